-- Writes of audited tables: every kind of statement, and what its events hold.
CREATE EXTENSION mentalspace;
\set SHOW_CONTEXT never
SET client_min_messages = error;
CREATE TABLE clients (id int PRIMARY KEY, name text, ssn text, born date, balance numeric, tags text[], extra jsonb);
CREATE TABLE notes (id bigint PRIMARY KEY, client_id int NOT NULL REFERENCES clients ON DELETE CASCADE ON UPDATE CASCADE, body text);
CREATE TABLE files (note_id bigint REFERENCES notes ON DELETE CASCADE, page int, name text, PRIMARY KEY (note_id, page));
CREATE TABLE marks (id int PRIMARY KEY, note_id bigint, page int, label text, FOREIGN KEY (note_id) REFERENCES notes ON DELETE SET NULL);
CREATE TABLE loose (client_id int, body text);
CREATE TABLE vitals (client_id int, taken date, pulse int) PARTITION BY RANGE (taken);
CREATE TABLE vitals_old PARTITION OF vitals FOR VALUES FROM (MINVALUE) TO ('2020-01-01');
-- its columns are in another order, and one was dropped
CREATE TABLE vitals_new (gone int, pulse int, taken date, client_id int);
ALTER TABLE vitals_new DROP COLUMN gone;
ALTER TABLE vitals ATTACH PARTITION vitals_new DEFAULT;
CREATE TABLE letters (id int PRIMARY KEY, client_id int);
CREATE TABLE faxes (number text) INHERITS (letters);
CREATE TABLE user_roles (user_id uuid, role text);
SELECT mentalspace.audit_table('clients', 'id', redact => '{ssn,born,tags}'),
       mentalspace.audit_table('notes', 'client_id', category => 'psychotherapy_note'),
       mentalspace.audit_table('files', 'note_id->notes.client_id'),
       mentalspace.audit_table('marks', 'note_id->notes.client_id'),
       mentalspace.audit_table('loose', 'client_id', category => 'billing'),
       mentalspace.audit_table('vitals', 'client_id'),
       mentalspace.audit_table('letters', 'client_id'),
       mentalspace.audit_table('user_roles', NULL);

-- What has come since the last look, in the order of statements; events of one statement by their keys.
CREATE TABLE looked (event_id bigint);
INSERT INTO looked VALUES (0);
CREATE FUNCTION look(OUT action text, OUT relation text, OUT row_key text, OUT patients text, OUT rows bigint, OUT shown jsonb, OUT kind text, OUT severity text)
    RETURNS SETOF record LANGUAGE sql AS $$
    WITH new AS (SELECT e.* FROM mentalspace.audit_events AS e WHERE e.event_id > (SELECT l.event_id FROM looked AS l)
                   AND (e.kind = 'data_modification' OR e.relation = 'public.user_roles' AND e.kind = 'permission_change')),
         seen AS (UPDATE looked SET event_id = greatest(event_id, (SELECT max(n.event_id) FROM new AS n)))
    SELECT n.action, n.relation, n.row_key, array_to_string(ARRAY(SELECT unnest(n.patient_ids) ORDER BY 1), ' '), n.row_count,
           coalesce(n.changes, n.row_image, to_jsonb(n.row_digest IS NOT NULL)), n.kind, n.severity
      FROM new AS n ORDER BY n.transaction_id, n.relation, n.action, n.row_key, n.event_id
$$;
SELECT set_config('look.salt', encode((SELECT salt FROM mentalspace.audit_salts), 'hex'), false) IS NOT NULL AS salted;
CREATE FUNCTION redacted(value text) RETURNS text LANGUAGE sql AS $$
    SELECT 'sha256:' || encode(sha256(decode(current_setting('look.salt'), 'hex') || convert_to(value, 'UTF8')), 'hex')
$$;
SELECT count(*) FROM look();

-- INSERT: keys, and a digest that can be checked as long as the row is as it was
INSERT INTO clients VALUES (1, 'Ann', '111-11', '1990-02-03', 1.50, '{a,b}', '{"x": 1}'), (2, 'Béa', NULL, NULL, NULL, NULL, NULL);
INSERT INTO clients SELECT n, 'C' || n FROM generate_series(3, 4) AS n;
INSERT INTO notes VALUES (10, 1, 'first'), (20, 2, 'second');
INSERT INTO files VALUES (10, 1, 'a'), (10, 2, 'b'), (20, 1, 'c');
INSERT INTO marks VALUES (1, 20, 1, 'm'), (2, NULL, NULL, 'of nobody');
INSERT INTO loose VALUES (1, 'x'), (NULL, 'y');
INSERT INTO user_roles VALUES ('00000000-0000-4000-8000-00000000000a', 'admin');
SELECT * FROM look();
SELECT c.id, mentalspace.audit_digest(c) = e.row_digest AS fits, length(e.row_digest) AS bytes
  FROM clients AS c JOIN mentalspace.audit_events AS e ON e.relation = 'public.clients' AND e.action = 'C' AND e.row_key = c.id::text ORDER BY 1;
-- the formula, for whoever checks it elsewhere
SELECT bool_and(sha256(decode(current_setting('look.salt'), 'hex') || record_send(n)) = e.row_digest) AS fits
  FROM notes AS n JOIN mentalspace.audit_events AS e ON e.relation = 'public.notes' AND e.action = 'C' AND e.row_key = n.id::text;
-- whatever the client's encoding is
SET client_encoding = 'LATIN1';
INSERT INTO clients VALUES (5, convert_from('\xc3a9', 'UTF8'));
SELECT mentalspace.audit_digest(c) = e.row_digest AS fits FROM clients AS c JOIN mentalspace.audit_events AS e ON e.relation = 'public.clients' AND e.row_key = '5' WHERE c.id = 5;
RESET client_encoding;
SELECT mentalspace.audit_digest(c) = e.row_digest AS fits FROM clients AS c JOIN mentalspace.audit_events AS e ON e.relation = 'public.clients' AND e.row_key = '5' WHERE c.id = 5;
DELETE FROM clients WHERE id = 5;
SELECT count(*) FROM look();

-- UPDATE: what changed, nothing else; redacted values as digests
UPDATE clients SET name = 'Anna', balance = 1.500 WHERE id = 1;
UPDATE clients SET name = name WHERE id = 1;
UPDATE clients SET extra = '{"x": 2}', name = NULL WHERE id = 1;
SELECT * FROM look();
UPDATE clients SET ssn = '222-22', born = '1990-02-04', tags = '{c}' WHERE id = 1;
UPDATE clients SET ssn = '333-33' WHERE id = 2;
SELECT l.row_key, c.name, l.shown -> c.name ->> 0 = redacted(c.old) AS old_fits, l.shown -> c.name ->> 1 = redacted(c.new) AS new_fits,
       jsonb_typeof(l.shown -> c.name -> 0) AS old_is
  FROM look() AS l JOIN (VALUES ('1', 'ssn', '111-11', '222-22'), ('1', 'born', date '1990-02-03'::text, date '1990-02-04'::text), ('1', 'tags', '{a,b}', '{c}'),
                                ('2', 'ssn', NULL, '333-33')) AS c(row_key, name, old, new) ON c.row_key = l.row_key
 ORDER BY 1, 2;
-- a row that goes from one patient to another is both's
UPDATE notes SET client_id = 2 WHERE id = 10;
UPDATE files SET note_id = 20, page = 3 WHERE note_id = 10 AND page = 2;
UPDATE loose SET client_id = 2 WHERE client_id IS NULL;
UPDATE notes SET client_id = 1 WHERE id = 10;
SELECT * FROM look();
-- a primary key that changes takes its rows along
UPDATE clients SET id = 40 WHERE id = 4;
INSERT INTO notes VALUES (40, 40, NULL);
UPDATE clients SET id = 4 WHERE id = 40;
SELECT * FROM look();

-- DELETE: the row as it was
DELETE FROM loose WHERE body = 'y';
DELETE FROM files WHERE note_id = 20 AND page = 3;
DELETE FROM clients WHERE id = 999;
SELECT * FROM look();
DELETE FROM clients WHERE id = 2;
SELECT action, relation, row_key, patients, rows, shown - 'ssn' AS shown, shown ->> 'ssn' = redacted('333-33') AS fits, kind, severity FROM look();

-- ON CONFLICT, MERGE, COPY, RETURNING, data-modifying WITH, a function with the rights of its owner
INSERT INTO clients VALUES (3, 'again') ON CONFLICT DO NOTHING;
INSERT INTO clients (id, name) VALUES (3, 'again'), (6, 'new') ON CONFLICT (id) DO UPDATE SET name = excluded.name;
SELECT * FROM look();
MERGE INTO loose USING (VALUES (1, 'merged'), (3, 'inserted')) AS v(id, body) ON client_id = v.id
 WHEN MATCHED THEN UPDATE SET body = v.body WHEN NOT MATCHED THEN INSERT VALUES (v.id, v.body);
SELECT * FROM look();
MERGE INTO loose USING (VALUES (3)) AS v(id) ON client_id = v.id WHEN MATCHED THEN DELETE;
SELECT * FROM look();
COPY loose FROM stdin;
4	copied
6	copied, too
\.
SELECT * FROM look();
WITH moved AS (DELETE FROM loose WHERE body LIKE 'copied%' RETURNING *) INSERT INTO notes SELECT 100 + client_id, client_id, body FROM moved RETURNING id;
SELECT * FROM look();
CREATE FUNCTION add_note(id bigint, client int) RETURNS void LANGUAGE sql SECURITY DEFINER AS 'INSERT INTO notes VALUES ($1, $2, NULL)';
SELECT add_note(200, 6);
SELECT * FROM look();

-- partitions, whose events name the table that was declared; a row that moves is deleted and inserted
INSERT INTO vitals VALUES (1, '2019-05-05', 60), (6, '2021-01-01', 70);
INSERT INTO vitals_new (client_id, taken, pulse) VALUES (3, '2022-02-02', 80);
UPDATE vitals SET pulse = 61 WHERE client_id = 1;
SELECT * FROM look();
UPDATE vitals SET taken = '2023-03-03' WHERE client_id = 1;
DELETE FROM vitals_new WHERE client_id = 3;
SELECT * FROM look();
-- children by inheritance
INSERT INTO letters VALUES (1, 1);
INSERT INTO faxes VALUES (2, 3, '555');
UPDATE letters SET client_id = 6;
DELETE FROM letters;
SELECT * FROM look();

-- cascades: also where the way to the patient goes with them
DELETE FROM notes WHERE id = 10;
SELECT * FROM look();
INSERT INTO notes VALUES (11, 1, 'to go');
INSERT INTO files VALUES (11, 1, 'x'), (11, 2, 'y');
INSERT INTO marks VALUES (3, 11, 1, 'z');
SELECT count(*) FROM look();
DELETE FROM clients WHERE id = 1;
SELECT action, relation, row_key, patients, rows, shown - 'ssn' - 'born' - 'tags' AS shown, kind, severity FROM look();

-- what triggers make of a row
CREATE FUNCTION upper_name() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN new.name := upper(new.name); RETURN new; END $$;
CREATE TRIGGER upper_name BEFORE INSERT OR UPDATE ON clients FOR EACH ROW EXECUTE FUNCTION upper_name();
UPDATE clients SET name = 'small' WHERE id = 6;
SELECT * FROM look();

-- TRUNCATE: how many rows of whom
INSERT INTO clients SELECT n FROM generate_series(101, 160) AS n;
INSERT INTO notes SELECT n, n FROM generate_series(101, 102) AS n ON CONFLICT DO NOTHING;
INSERT INTO files VALUES (101, 1), (101, 2), (102, 1);
INSERT INTO loose SELECT n FROM generate_series(101, 151) AS n;
SELECT count(*) FROM look();
TRUNCATE files;
TRUNCATE user_roles;
SELECT * FROM look();
TRUNCATE loose;
SELECT action, relation, length(patients) AS patients, rows, kind, severity FROM look();
INSERT INTO vitals VALUES (101, '2000-01-01'), (101, '2018-05-05'), (102, '2018-05-05'), (103, '2024-01-01');
SELECT count(*) FROM look();
TRUNCATE vitals_old;
SELECT * FROM look();
TRUNCATE vitals;
SELECT * FROM look();
-- a partition that came later
CREATE TABLE vitals_late PARTITION OF vitals FOR VALUES FROM ('2030-01-01') TO (MAXVALUE);
INSERT INTO vitals VALUES (101, '2030-01-01');
TRUNCATE vitals;
SELECT action, relation, sum(rows) AS rows, max(patients) AS patients FROM look() GROUP BY 1, 2 ORDER BY 1;

-- what is rolled back leaves nothing, what is released stays
BEGIN;
INSERT INTO clients VALUES (201);
ROLLBACK;
BEGIN;
INSERT INTO clients VALUES (202);
SAVEPOINT s;
INSERT INTO clients VALUES (203);
ROLLBACK TO s;
INSERT INTO clients VALUES (204);
SAVEPOINT t;
INSERT INTO clients VALUES (205);
RELEASE t;
COMMIT;
DO $$
BEGIN
    INSERT INTO clients VALUES (206);
    BEGIN
        INSERT INTO clients VALUES (207);
        PERFORM 1 / 0;
    EXCEPTION WHEN division_by_zero THEN
        INSERT INTO clients VALUES (208);
    END;
END
$$;
INSERT INTO clients SELECT n FROM generate_series(210, 200, -1) AS n;
SELECT * FROM look();
-- events of a transaction have its id, and are there before it ends
BEGIN;
UPDATE clients SET name = 'x' WHERE id = 202;
SELECT count(*) FROM look();
SELECT DISTINCT transaction_id = pg_current_xact_id() AS same FROM mentalspace.audit_events WHERE row_key = '202' AND action = 'U';
COMMIT;

-- who, from where, why
-- headers without a value do not hide those that come
SELECT set_config('request.headers', NULL, false), set_config('request.jwt.claims', NULL, false);
UPDATE clients SET name = 'w' WHERE id = 202;
BEGIN;
SELECT set_config('request.jwt.claims', '{"sub": "00000000-0000-4000-8000-00000000000b", "role": "authenticated", "aal": "aal2",
    "session_id": "00000000-0000-4000-8000-0000000000aa", "app_metadata": {"role": "clinician", "roles": ["therapist", "authenticated", 7]}}', true) <> '' AS set,
       set_config('request.headers', '{"user-agent": "test/1", "x-request-id": "r-1", "cookie": "secret"}', true) <> '' AS set;
SET LOCAL mentalspace.audit_purpose = 'TREAT';
SET LOCAL mentalspace.audit_break_glass = 'bg-7';
SET LOCAL application_name = 'ehr';
UPDATE clients SET name = 'y' WHERE id = 202;
COMMIT;
UPDATE clients SET name = 'z' WHERE id = 202;
BEGIN;
SELECT set_config('request.jwt.claims', '{not json', true) <> '' AS set, set_config('request.headers', '[}', true) <> '' AS set;
UPDATE clients SET name = 'a' WHERE id = 202;
ROLLBACK AND CHAIN;
SELECT set_config('request.jwt.claims', '{"sub": "no uuid", "role": "anon"}', true) <> '' AS set, set_config('request.headers', '{"user-agent": 7}', true) <> '' AS set;
UPDATE clients SET name = 'b' WHERE id = 202;
COMMIT;
SELECT changes -> 'name' ->> 1 AS name, outcome, user_id, roles, aal, session_id, identity_source, client_address, nullif(application_name, 'pg_regress/audit_writes') AS application,
       user_agent, request_id, purpose_of_use, break_glass_id, session_user_name = session_user AS session_user, outer_role_name
  FROM mentalspace.audit_events WHERE row_key = '202' AND action = 'U' ORDER BY event_id;
CREATE ROLE clerk;
GRANT clerk TO CURRENT_USER;
GRANT ALL ON clients TO clerk;
SET ROLE clerk;
UPDATE clients SET name = 'c' WHERE id = 202;
RESET ROLE;
SELECT session_user_name = session_user AS session_user, outer_role_name FROM mentalspace.audit_events WHERE changes -> 'name' ->> 1 = 'C';
SELECT count(*) FROM look();

-- a patient key that leads nowhere any more: the write is recorded, and critical
ALTER TABLE files DROP CONSTRAINT files_note_id_fkey;
INSERT INTO files VALUES (101, 9, 'lost');
SELECT * FROM look();
-- no longer audited
SELECT mentalspace.unaudit_table('files');
INSERT INTO files VALUES (101, 10, 'free');
SELECT * FROM look();
