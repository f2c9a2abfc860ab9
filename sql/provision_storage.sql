-- provision(), component storage: functions on paths, and policies that call them.
CREATE EXTENSION mentalspace;
SELECT DISTINCT component FROM mentalspace.provision('{storage}') ORDER BY 1;
SELECT p AS path, storage.foldername(p), storage.filename(p), storage.extension(p)
  FROM unnest(ARRAY['a/b/c.tar.gz', 'c.png', 'noext', '/x', 'x/', '', NULL]) WITH ORDINALITY AS u(p, n) ORDER BY n;
SELECT proname, provolatile, proparallel FROM pg_proc
 WHERE pronamespace = 'storage'::regnamespace AND proname IN ('foldername', 'filename', 'extension') ORDER BY 1;
CREATE INDEX by_folder ON storage.objects ((storage.foldername(name)));

INSERT INTO storage.buckets (id, name, public) VALUES ('notes', 'notes', false) ON CONFLICT (id) DO NOTHING;
INSERT INTO storage.buckets (id, name) VALUES ('long', repeat('x', 101));
CREATE POLICY "own folder" ON storage.objects FOR ALL TO authenticated
    USING (bucket_id = 'notes' AND auth.uid()::text = (storage.foldername(name))[1])
    WITH CHECK (bucket_id = 'notes' AND auth.uid()::text = (storage.foldername(name))[1]);
INSERT INTO storage.objects (bucket_id, name, metadata)
VALUES ('notes', '00000000-0000-0000-0000-00000000000a/2026/a.pdf', '{"size": 10}'),
       ('notes', '00000000-0000-0000-0000-00000000000a/b.pdf', '{"size": 20}'),
       ('notes', '00000000-0000-0000-0000-00000000000b/c_d.pdf', '{"size": 30}');
SELECT * FROM storage.get_size_by_bucket();
SELECT name, id IS NULL AS folder FROM storage.search('', 'notes');
SELECT name, id IS NULL AS folder FROM storage.search('00000000-0000-0000-0000-00000000000a/', 'notes', 100, 2, 0, '', 'name', 'desc');
-- % and _ stand for themselves
SELECT name FROM storage.search('00000000-0000-0000-0000-00000000000b/c%', 'notes', 100, 2);
SELECT name FROM storage.search('00000000-0000-0000-0000-00000000000b/', 'notes', 100, 2, 0, 'c_');
SELECT name FROM storage.search('', 'notes', 1, 1, 0, '', 'name; DROP TABLE storage.objects', 'desc; SELECT 1');

BEGIN;
SET LOCAL ROLE authenticated;
SET LOCAL request.jwt.claims = '{"sub": "00000000-0000-0000-0000-00000000000a", "role": "authenticated"}';
SELECT name, path_tokens[2] FROM storage.objects ORDER BY name;
SELECT name FROM storage.search('', 'notes');
SAVEPOINT s;
SELECT storage.can_insert_object('notes', '00000000-0000-0000-0000-00000000000a/new.pdf', NULL, NULL);
ROLLBACK TO s;
SELECT storage.can_insert_object('notes', '00000000-0000-0000-0000-00000000000b/new.pdf', NULL, NULL);
ROLLBACK TO s;
INSERT INTO storage.objects (bucket_id, name) VALUES ('notes', '00000000-0000-0000-0000-00000000000b/x');
ROLLBACK TO s;
SET LOCAL storage.operation = 'storage.object.list';
SELECT storage.operation(), storage.allow_any_operation('{object.list,object.copy}') AS any_of, storage.allow_only_operation('storage.object.list') AS only_this,
       storage.allow_only_operation('') AS none, storage.allow_only_operation('object.copy') AS other;
-- buckets have row level security and no policy yet
SELECT count(*) FROM storage.buckets;
ROLLBACK;
-- updated_at follows
UPDATE storage.objects SET updated_at = '2000-01-01', version = 'v2' WHERE name LIKE '%/b.pdf';
SELECT updated_at > '2020-01-01' AS fresh FROM storage.objects WHERE version = 'v2';
SELECT storage.get_common_prefix('a/b/c', 'a/', '/'), storage.get_common_prefix('a/b', 'a/', '/');
