-- Reads of audited tables in parallel workers: below a Gather they count for their leader.
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
CREATE TABLE visits (id int, client_id int, place text) PARTITION BY LIST (place);
CREATE TABLE visits_a PARTITION OF visits FOR VALUES IN ('a');
CREATE TABLE visits_b PARTITION OF visits FOR VALUES IN ('b');
INSERT INTO visits SELECT i, i, CASE WHEN i % 2 = 0 THEN 'a' ELSE 'b' END FROM generate_series(1, 10) AS i;
CREATE TABLE dry (k int);
INSERT INTO dry SELECT generate_series(1, 3);
SELECT mentalspace.audit_table('clients', 'id'), mentalspace.audit_table('notes', 'client_id'), mentalspace.audit_table('files', 'note_id->notes.client_id'),
       mentalspace.audit_table('visits', 'client_id');
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY '{clients,notes,files,visits_a,visits_b,dry}'::text[] LOOP
        EXECUTE format('ALTER TABLE %I SET (parallel_workers = 2)', name);
    END LOOP;
END
$$;
VACUUM ANALYZE;
\getenv abs_srcdir PG_ABS_SRCDIR
\set seen :abs_srcdir '/test/lib/audit_seen.sql'
\i :seen
CREATE FUNCTION workers(query text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    line text;
    planned boolean := false;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        planned := planned OR line LIKE '%Workers Planned: 2%';
    END LOOP;
    RETURN planned;
END
$$;
SELECT count(*) >= 0 FROM seen();
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET min_parallel_index_scan_size = 0;

-- once with the leader taking part, and once without
SET parallel_leader_participation = on;
SELECT workers('SELECT id, name FROM clients WHERE id < 5');
SELECT count(*) FROM (SELECT id, name FROM clients WHERE id < 5 OFFSET 0) AS s;
SELECT * FROM seen();
SET parallel_leader_participation = off;
\set q 'SELECT id, name FROM clients WHERE id < 5'
SELECT workers(:'q');
:q \g |sort -n
SELECT * FROM seen();
\set q 'SELECT name FROM clients WHERE id < 5'
SELECT workers(:'q');
:q \g |sort
SELECT * FROM seen();
SET parallel_leader_participation = on;
:q \g |sort
SELECT * FROM seen();
SET parallel_leader_participation = off;
-- paths
\set q 'SELECT name FROM files WHERE id < 1003'
SELECT workers(:'q');
:q \g |sort
SELECT * FROM seen();
-- aggregates
\set q 'SELECT count(*) FROM clients WHERE id < 8'
SELECT workers(:'q');
:q;
SELECT * FROM seen();
\set q 'SELECT status, max(name) FROM clients WHERE id < 8 GROUP BY status ORDER BY status'
SELECT workers(:'q');
:q;
SELECT * FROM seen();
\set q 'SELECT client_id, count(*) FROM notes GROUP BY client_id HAVING client_id < 3 ORDER BY 1'
SELECT workers(:'q');
:q;
SELECT * FROM seen();
-- sorted, joined, appended
\set q 'SELECT id, name FROM clients ORDER BY name LIMIT 2'
SELECT workers(:'q');
:q;
SELECT * FROM seen();
\set q 'SELECT c.name, n.body FROM clients AS c JOIN notes AS n ON n.client_id = c.id WHERE note_id < 104'
SELECT workers(:'q');
:q \g |sort
SELECT * FROM seen();
\set q 'SELECT count(*) FROM clients AS c JOIN notes AS n ON n.client_id = c.id WHERE note_id < 104'
SELECT workers(:'q');
:q;
SELECT * FROM seen();
SET enable_parallel_hash = off;
\set q 'SELECT c.name, n.body FROM clients AS c JOIN notes AS n ON n.client_id = c.id WHERE note_id < 104'
:q \g |sort
SELECT * FROM seen();
-- an aggregate that only the leader computes
\set r 'SELECT count(DISTINCT c.status) FROM clients AS c WHERE EXISTS (SELECT FROM notes AS n WHERE n.client_id = c.id)'
SELECT workers(:'r');
:r;
SELECT * FROM seen();
SET enable_hashjoin = off;
SET enable_mergejoin = off;
:q \g |sort
SELECT * FROM seen();
RESET enable_parallel_hash;
RESET enable_hashjoin;
RESET enable_mergejoin;
\set q 'SELECT place FROM visits WHERE id < 4'
SELECT workers(:'q');
:q \g |sort
SELECT * FROM seen();

-- functions that workers call, and a query without audited relations of its own
CREATE FUNCTION name_of(i int) RETURNS text LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$ BEGIN RETURN (SELECT name FROM clients WHERE id = i); END $$;
\set q 'SELECT name_of(k) FROM dry'
SELECT workers(:'q');
:q \g |sort
SELECT * FROM seen();

-- policies in workers
CREATE ROLE reader;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader;
CREATE FUNCTION may_see(i int) RETURNS boolean LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = public AS $$
BEGIN
    RETURN EXISTS (SELECT FROM clients WHERE id = i AND therapist = 2);
END
$$;
CREATE POLICY theirs ON notes TO reader USING (may_see(client_id));
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
SELECT count(*) >= 0 FROM seen();
SET ROLE reader;
\set q 'SELECT body FROM notes WHERE note_id < 107'
SELECT workers(:'q');
:q \g |sort
RESET ROLE;
SELECT * FROM seen();
-- the user's own call of the same function
SET ROLE reader;
\set q 'SELECT may_see(k) FROM dry'
SELECT workers(:'q');
:q \g |sort
RESET ROLE;
SELECT * FROM seen();

-- errors, also in a worker
SELECT name, 1 / (id - 21) FROM clients WHERE id < 3 \g |sort
SELECT * FROM seen();
SELECT name, 1 / (id - 20) FROM clients;
SELECT relation, event, rows > 0 AND rows <= 20 AS some FROM seen();

-- one statement, whoever did what
SELECT count(DISTINCT (session_user_name, current_user_name, application_name, coalesce(statement_no, 0) > 0)) FROM mentalspace.audit_events
 WHERE kind = 'phi_access' AND outer_role_name IS DISTINCT FROM 'reader';
-- nobody else sets what workers are told
SET mentalspace.audit_parallel = '00';
SHOW mentalspace.audit_parallel;
