-- Reads of audited tables in parts, inside of functions, by statements that write, and by ones that fail.
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
CREATE TABLE secrets (id int PRIMARY KEY, client_id int, text text);
INSERT INTO secrets SELECT i, i, 'secret ' || i FROM generate_series(1, 5) AS i;
CREATE TABLE crowd (id int PRIMARY KEY, client_id uuid);
INSERT INTO crowd SELECT i, lpad(i::text, 32, '0')::uuid FROM generate_series(1, 1300) AS i;
CREATE TABLE many (id int PRIMARY KEY, name text);
INSERT INTO many SELECT i, 'many ' || i FROM generate_series(1, 1000) AS i;
CREATE TABLE taken (id int, name text);
SELECT mentalspace.audit_table('clients', 'id'), mentalspace.audit_table('notes', 'client_id'), mentalspace.audit_table('files', 'note_id->notes.client_id'),
       mentalspace.audit_table('secrets', 'client_id', category => 'psychotherapy_note'), mentalspace.audit_table('crowd', 'client_id'), mentalspace.audit_table('many', 'id');
VACUUM ANALYZE;
\getenv abs_srcdir PG_ABS_SRCDIR
\set seen :abs_srcdir '/test/lib/audit_seen.sql'
\i :seen
SELECT count(*) >= 0 FROM seen();

-- cursors: each FETCH tells its own rows; what is kept for later was looked at only
BEGIN;
DECLARE c CURSOR FOR SELECT name FROM clients;
FETCH 2 FROM c;
SELECT * FROM seen();
FETCH 3 FROM c;
SELECT * FROM seen();
MOVE 1 FROM c;
SELECT * FROM seen();
CLOSE c;
COMMIT;
SELECT * FROM seen();
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT id FROM clients;
FETCH 2 FROM c;
SELECT * FROM seen();
FETCH BACKWARD 1 FROM c;
SELECT * FROM seen();
COMMIT;
BEGIN;
DECLARE c CURSOR WITH HOLD FOR SELECT name FROM clients WHERE id < 5;
FETCH 1 FROM c;
SELECT * FROM seen();
COMMIT;
FETCH 1 FROM c;
SELECT * FROM seen();
CLOSE c;
BEGIN;
DECLARE c CURSOR FOR SELECT name FROM clients WHERE id < 3 FOR UPDATE;
FETCH 1 FROM c;
UPDATE clients SET status = 'gone' WHERE CURRENT OF c;
COMMIT;
SELECT * FROM seen();

-- prepared statements
PREPARE one(int) AS SELECT name FROM clients WHERE id = $1;
EXECUTE one(7);
SELECT * FROM seen();
EXECUTE one(8);
SELECT * FROM seen();

-- functions: nobody knows what becomes of their rows
DO $$
DECLARE
    r record;
    c CURSOR FOR SELECT name FROM notes JOIN clients ON id = client_id WHERE id = 5;
BEGIN
    FOR r IN SELECT name FROM clients WHERE id < 4 LOOP NULL; END LOOP;
    OPEN c;
    FETCH c INTO r;
    CLOSE c;
END
$$;
SELECT * FROM seen();
CREATE FUNCTION of_owner(i int) RETURNS SETOF clients LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN RETURN QUERY SELECT * FROM clients WHERE id = i; END $$;
CREATE ROLE reader;
SET ROLE reader;
SELECT name FROM of_owner(9);
RESET ROLE;
CREATE TABLE copy_of AS SELECT current_user_name, outer_role_name FROM mentalspace.audit_events WHERE false;
SELECT * FROM seen();
SELECT outer_role_name, current_user_name = outer_role_name AS same FROM mentalspace.audit_events WHERE outer_role_name = 'reader';
CREATE FUNCTION inlined(i int) RETURNS SETOF text LANGUAGE sql STABLE AS $$ SELECT name FROM clients WHERE id = i $$;
SELECT * FROM inlined(10);
SELECT * FROM seen();
CREATE FUNCTION caught() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 / (id - 3) FROM clients WHERE id < 5;
    RETURN 'none';
EXCEPTION WHEN division_by_zero THEN
    RETURN 'caught';
END
$$;
SELECT caught();
SELECT * FROM seen();

-- statements that write, too
INSERT INTO taken SELECT id, name FROM clients WHERE id IN (5, 6);
SELECT * FROM seen();
INSERT INTO taken SELECT id, name FROM clients WHERE id IN (5, 6) RETURNING name;
SELECT * FROM seen();
CREATE TABLE taken_too AS SELECT name FROM clients WHERE id = 7;
SELECT * FROM seen();
UPDATE clients SET name = 'renamed' WHERE id = 2;
SELECT * FROM seen();
UPDATE clients SET name = 'renamed' WHERE id = 3 RETURNING name;
SELECT * FROM seen();
UPDATE clients SET name = 'renamed' WHERE id = 3 RETURNING 1;
SELECT * FROM seen();
INSERT INTO clients VALUES (30, 'new') RETURNING name;
SELECT * FROM seen();
UPDATE notes SET body = c.name FROM clients AS c WHERE c.id = client_id AND note_id = 111;
SELECT * FROM seen();
DELETE FROM files AS f USING notes AS n WHERE n.note_id = f.note_id AND n.note_id = 101 RETURNING f.name;
SELECT * FROM seen();
MERGE INTO taken AS t USING (SELECT id, name FROM clients WHERE id = 11) AS s ON s.id = t.id WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.name);
SELECT * FROM seen();
MERGE INTO clients AS t USING (VALUES (1), (99)) AS s (i) ON s.i = t.id WHEN MATCHED THEN UPDATE SET name = 'merged';
SELECT * FROM seen();
SELECT name FROM clients WHERE id = 12 FOR UPDATE;
SELECT * FROM seen();
WITH u AS (UPDATE clients SET status = 'x' WHERE id IN (13, 14) RETURNING *) SELECT name FROM u WHERE id = 13;
SELECT * FROM seen();

-- COPY of a query; EXPLAIN reads with ANALYZE only
COPY (SELECT name FROM clients WHERE id IN (15, 16)) TO STDOUT;
SELECT * FROM seen();
EXPLAIN (COSTS OFF) SELECT name FROM clients WHERE id = 4;
SELECT * FROM seen();
DO $$ BEGIN EXECUTE 'EXPLAIN ANALYZE SELECT name FROM clients WHERE id = 4'; END $$;
SELECT * FROM seen();

-- what was sent stays sent
BEGIN;
SELECT name FROM clients WHERE id = 4;
ROLLBACK;
SELECT * FROM seen();
BEGIN READ ONLY;
SELECT name FROM clients WHERE id = 4;
COMMIT;
SELECT * FROM seen();
SELECT id, 1 / (id - 6) FROM clients WHERE id BETWEEN 4 AND 8;
SELECT * FROM seen();
BEGIN;
SAVEPOINT s;
SELECT name FROM clients WHERE id = 5;
SELECT id, 1 / (id - 6) FROM clients WHERE id BETWEEN 5 AND 8;
ROLLBACK TO s;
COMMIT;
SELECT * FROM seen();
-- nothing of this is sent before all of it was written
UPDATE clients SET therapist = 1 / (id - 6) WHERE id BETWEEN 4 AND 8 RETURNING name;
SELECT * FROM seen();

-- categories, many patients, and settings
SELECT text FROM secrets WHERE id = 3;
SELECT * FROM seen();
SELECT count(*) FROM secrets;
SELECT * FROM seen();
SET mentalspace.audit_bulk_patients = 2;
SELECT name FROM clients WHERE id BETWEEN 7 AND 9;
SELECT * FROM seen();
RESET mentalspace.audit_bulk_patients;
\o /dev/null
SELECT id, client_id FROM crowd;
\o
SELECT mentalspace.audit_flush();
SELECT relation, precision, severity, count(DISTINCT p) AS patients, count(*) AS named, min(p), max(p), count(DISTINCT (transaction_id, statement_no)) AS statements
  FROM mentalspace.audit_events CROSS JOIN LATERAL unnest(patient_ids) AS p WHERE relation = 'public.crowd' GROUP BY 1, 2, 3 ORDER BY 3;
SELECT sum(row_count) FROM mentalspace.audit_events WHERE relation = 'public.crowd' AND kind = 'phi_access';

-- a table by its primary key: each patient once, also where a cursor goes back
\o /dev/null
SELECT name FROM many;
SELECT a.name FROM many AS a JOIN many AS b ON b.id < 4 AND a.id < 500;
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT name FROM many;
FETCH 300 FROM c;
FETCH BACKWARD 200 FROM c;
COMMIT;
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT name FROM many;
DO $$
DECLARE
    c refcursor := 'c';
    r record;
BEGIN
    FOR i IN 1..50 LOOP FETCH NEXT FROM c INTO r; END LOOP;
    FOR i IN 1..49 LOOP FETCH PRIOR FROM c INTO r; END LOOP;
END
$$;
COMMIT;
\o
SELECT mentalspace.audit_flush();
SELECT precision, row_count > 0 AS rows, cardinality(patient_ids) AS named, (SELECT count(DISTINCT p) FROM unnest(patient_ids) AS p) AS patients
  FROM mentalspace.audit_events WHERE relation = 'public.many' AND kind = 'phi_access' ORDER BY occurred_at, precision, named;
