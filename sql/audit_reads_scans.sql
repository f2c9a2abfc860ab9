-- Reads of audited tables, by kind of scan: each finds exactly the patients whose rows were sent.
CREATE EXTENSION mentalspace;
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
CREATE TABLE clients (id int PRIMARY KEY, name text, status text, therapist int);
CREATE INDEX clients_status ON clients (status);
INSERT INTO clients SELECT i, 'name ' || i, CASE WHEN i % 5 = 0 THEN 'left' ELSE 'here' END, i % 4 FROM generate_series(1, 20) AS i;
CREATE TABLE notes (note_id int PRIMARY KEY, client_id int REFERENCES clients, body text);
CREATE INDEX notes_client ON notes (client_id);
INSERT INTO notes SELECT 100 + i, 1 + i % 10, 'body ' || i FROM generate_series(1, 30) AS i;
CREATE TABLE files (id int PRIMARY KEY, note_id int REFERENCES notes, name text);
INSERT INTO files SELECT 1000 + i, 100 + i, 'file ' || i FROM generate_series(1, 10) AS i;
CREATE TABLE visits (id int, client_id int, place text, PRIMARY KEY (id, place)) PARTITION BY LIST (place);
CREATE TABLE visits_a PARTITION OF visits FOR VALUES IN ('a');
-- its columns are in another order, and one was dropped
CREATE TABLE visits_b (place text NOT NULL, gone int, client_id int, id int NOT NULL);
ALTER TABLE visits_b DROP COLUMN gone;
ALTER TABLE visits ATTACH PARTITION visits_b FOR VALUES IN ('b');
INSERT INTO visits SELECT i, i, CASE WHEN i % 2 = 0 THEN 'a' ELSE 'b' END FROM generate_series(1, 10) AS i;
CREATE TABLE letters (id int, client_id int);
CREATE TABLE faxes (number text) INHERITS (letters);
INSERT INTO letters VALUES (1, 1), (2, 2);
INSERT INTO faxes VALUES (3, 3, '555');
CREATE TABLE texts (id text PRIMARY KEY, name varchar(20));
INSERT INTO texts VALUES ('a', 'x'), ('B c', 'y'), ('', 'z');
CREATE TABLE uuids (id uuid PRIMARY KEY, name text);
INSERT INTO uuids VALUES ('00000000-0000-0000-0000-000000000000', 'x'), ('ABCDEF00-0000-4000-8000-00000000000a', 'y');
CREATE TABLE numbers (id numeric PRIMARY KEY, name text);
INSERT INTO numbers VALUES (1.50, 'x'), (2, 'y');
CREATE TABLE open_notes (id int, client_id int);
INSERT INTO open_notes VALUES (1, 1), (2, NULL);
SELECT count(mentalspace.audit_table(t, 'client_id')) FROM unnest('{notes,visits,letters,open_notes}'::regclass[]) AS t;
SELECT count(mentalspace.audit_table(t, 'id')) FROM unnest('{clients,texts,uuids,numbers}'::regclass[]) AS t;
SELECT mentalspace.audit_table('files', 'note_id->notes.client_id');
VACUUM ANALYZE;
\getenv abs_srcdir PG_ABS_SRCDIR
\set seen :abs_srcdir '/test/lib/audit_seen.sql'
\i :seen
CREATE FUNCTION uses(node text, query text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        IF line LIKE '%' || node || '%' THEN RETURN true; END IF;
    END LOOP;
    RETURN false;
END
$$;
SELECT count(*) >= 0 FROM seen();

-- sequential, with the key among the columns and without
SELECT uses('Seq Scan', 'SELECT id, name FROM clients WHERE therapist = 1');
SELECT id, name FROM clients WHERE therapist = 1;
SELECT * FROM seen();
SELECT name FROM clients WHERE therapist = 1 LIMIT 2 OFFSET 1;
SELECT * FROM seen();
SELECT c FROM clients AS c WHERE id = 3;
SELECT * FROM seen();
SELECT to_jsonb(c) -> 'name' FROM clients AS c WHERE id = 3;
SELECT * FROM seen();
-- nothing was read
SELECT * FROM clients WHERE name = 'nobody';
SELECT * FROM seen();

-- index, index-only (the key is in the index, or has to be looked for in the table), bitmap, TID
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT uses('Index Scan using clients_pkey', 'SELECT name FROM clients WHERE id = 7');
SELECT name FROM clients WHERE id = 7;
SELECT * FROM seen();
SELECT uses('Index Only Scan using clients_pkey', 'SELECT id FROM clients WHERE id < 4');
SELECT id FROM clients WHERE id < 4;
SELECT * FROM seen();
SELECT uses('Index Only Scan using clients_status', 'SELECT status FROM clients WHERE status = ''left''');
SELECT status FROM clients WHERE status = 'left';
SELECT * FROM seen();
SELECT status FROM clients WHERE status = 'left' LIMIT 1;
SELECT * FROM seen();
-- likewise where rows have newer versions: on pages that are visible to all, and on others
UPDATE clients SET name = 'new ' || id WHERE id = 10;
UPDATE clients SET name = 'newer ' || id WHERE id = 10;
SELECT count(*) >= 0 FROM seen();
SELECT status FROM clients WHERE status = 'left';
SELECT * FROM seen();
VACUUM clients;
SELECT status FROM clients WHERE status = 'left';
SELECT * FROM seen();
SELECT uses('Index Only Scan', 'SELECT count(*) FROM clients WHERE status = ''left''');
SELECT count(*) FROM clients WHERE status = 'left';
SELECT * FROM seen();
RESET enable_bitmapscan;
SET enable_indexscan = off;
SET enable_indexonlyscan = off;
SELECT uses('BitmapOr', 'SELECT name FROM clients WHERE id = 2 OR status = ''left''');
SELECT name FROM clients WHERE id = 2 OR status = 'left';
SELECT * FROM seen();
SELECT uses('Tid Scan', 'SELECT name FROM clients WHERE ctid = ''(0,4)''');
SELECT name FROM clients WHERE ctid = '(0,4)';
SELECT * FROM seen();
SELECT uses('Tid Range Scan', 'SELECT name FROM clients WHERE ctid < ''(0,4)''');
SELECT name FROM clients WHERE ctid < '(0,4)';
SELECT * FROM seen();
RESET ALL;
SELECT uses('Sample Scan', 'SELECT name FROM clients TABLESAMPLE system (100) WHERE id = 12');
SELECT name FROM clients TABLESAMPLE system (100) WHERE id = 12;
SELECT * FROM seen();

-- keys of other types, and no key at all
SELECT name FROM texts WHERE id <> 'a' ORDER BY name;
SELECT * FROM seen();
SELECT name FROM uuids;
SELECT * FROM seen();
SELECT name FROM numbers;
SELECT * FROM seen();
SELECT id FROM open_notes;
SELECT * FROM seen();
-- a path of foreign keys
SELECT name FROM files WHERE id IN (1001, 1003);
SELECT * FROM seen();
SELECT name FROM files AS f JOIN notes AS n USING (note_id) WHERE f.id IN (1001, 1010) ORDER BY name;
SELECT * FROM seen();

-- partitions: with and without the key, pruned, directly, at run time; inheritance
SELECT id, client_id FROM visits WHERE id < 4;
SELECT * FROM seen();
SELECT id FROM visits WHERE id < 4 LIMIT 2;
SELECT * FROM seen();
SELECT place FROM visits WHERE place = 'b' AND id > 6;
SELECT * FROM seen();
SELECT place FROM visits_b WHERE id = 1;
SELECT * FROM seen();
SELECT client_id FROM visits ORDER BY client_id DESC LIMIT 3;
SELECT * FROM seen();
SET enable_sort = off;
SELECT uses('Merge Append', 'SELECT place FROM visits ORDER BY id LIMIT 3');
SELECT place FROM visits ORDER BY id LIMIT 3;
SELECT * FROM seen();
RESET enable_sort;
PREPARE pruned(text) AS SELECT id FROM visits WHERE place = $1 AND id < 5;
SET plan_cache_mode = force_generic_plan;
EXECUTE pruned('a');
SELECT * FROM seen();
RESET plan_cache_mode;
SELECT id FROM letters;
SELECT * FROM seen();
SELECT number FROM faxes;
SELECT * FROM seen();
