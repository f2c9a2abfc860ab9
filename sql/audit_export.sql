-- COPY ... TO of audited tables is seen row by row, and gives what it gives without the library.
CREATE EXTENSION mentalspace;
\getenv abs_srcdir PG_ABS_SRCDIR
\set tools :abs_srcdir '/test/lib/audit_show.sql'
\i :tools
CREATE ROLE clerk;
CREATE SCHEMA ehr;
CREATE TABLE ehr.clients (gone int, id int PRIMARY KEY, "Name" text, double int GENERATED ALWAYS AS (id * 2) STORED, clients text);
INSERT INTO ehr.clients (gone, id, "Name", clients) SELECT 0, i, 'name ' || i, 'c' FROM generate_series(1, 3) AS i;
ALTER TABLE ehr.clients DROP COLUMN gone;
CREATE TABLE ehr.plain (LIKE ehr.clients INCLUDING ALL);
INSERT INTO ehr.plain (id, "Name") SELECT id, "Name" FROM ehr.clients;
CREATE TABLE ehr.old_clients (retired bool) INHERITS (ehr.clients);
INSERT INTO ehr.old_clients VALUES (9, 'old', DEFAULT, 'c', true);
CREATE TABLE ehr.visits (id int, client_id int, at int) PARTITION BY RANGE (at);
CREATE TABLE ehr.visits_1 PARTITION OF ehr.visits FOR VALUES FROM (0) TO (100);
INSERT INTO ehr.visits VALUES (1, 1, 5), (2, 3, 6);
CREATE TABLE ehr.nothing ();
INSERT INTO ehr.nothing DEFAULT VALUES;
CREATE VIEW ehr.names AS SELECT id, "Name" FROM ehr.clients;
CREATE MATERIALIZED VIEW ehr.ids AS SELECT id FROM ehr.clients;
SELECT mentalspace.audit_table('ehr.clients', 'id'), mentalspace.audit_table('ehr.visits', 'client_id');
:skip

-- all columns that there are and that are not generated; ONLY the table; chosen ones in their order
COPY ehr.clients TO STDOUT;
COPY ehr.old_clients TO STDOUT;
COPY ehr.clients (clients, id) TO STDOUT (FORMAT csv, HEADER, FORCE_QUOTE (id));
COPY ehr.clients (id, "Name") TO STDOUT (FORMAT csv, HEADER, FORCE_QUOTE *, NULL 'x');
COPY ehr.visits_1 TO STDOUT;
COPY (SELECT "Name" FROM ehr.clients WHERE id > 1) TO STDOUT;
COPY (SELECT * FROM ehr.visits ORDER BY id) TO STDOUT;
COPY (UPDATE ehr.clients SET "Name" = upper("Name") WHERE id = 3 RETURNING id) TO STDOUT;
COPY ehr.nothing TO STDOUT;
:show

-- the order of rows is the table's, also where an index or workers would be cheaper
UPDATE ehr.clients SET "Name" = 'moved' WHERE id = 1;
VACUUM ANALYZE ehr.clients;
SET enable_seqscan = off;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
COPY ehr.clients (id) TO STDOUT;
SHOW enable_indexonlyscan;
SHOW max_parallel_workers_per_gather;
RESET ALL;
:show

-- errors are those of COPY
COPY ehr.clients (double) TO STDOUT;
COPY ehr.clients (gone) TO STDOUT;
COPY ehr.clients (id, id) TO STDOUT;
COPY ehr.clients (ctid) TO STDOUT;
COPY ehr.clients (id) TO STDOUT (FORMAT csv, FORCE_QUOTE ("Name"));
COPY ehr.clients TO STDOUT (FORMAT csv, FORCE_QUOTE (nowhere));
COPY ehr.clients TO STDOUT (DELIMITER 'xx');
COPY ehr.clients TO '/nowhere/at/all';
COPY ehr.visits TO STDOUT;
COPY ehr.names TO STDOUT;
COPY ehr.nowhere TO STDOUT;
:show

-- privileges and row security
GRANT SELECT (id) ON ehr.clients TO clerk;
SET ROLE clerk;
COPY ehr.clients (id) TO STDOUT;
RESET ROLE;
GRANT USAGE ON SCHEMA ehr TO clerk;
:skip
SET ROLE clerk;
COPY ehr.clients (id) TO STDOUT;
COPY ehr.clients TO STDOUT;
DO $$ BEGIN COPY ehr.clients (id) TO PROGRAM 'cat'; EXCEPTION WHEN OTHERS THEN RAISE NOTICE '%', SQLSTATE; END $$;
RESET ROLE;
ALTER TABLE ehr.clients ENABLE ROW LEVEL SECURITY;
CREATE POLICY two ON ehr.clients USING (id = 2);
:show
SET ROLE clerk;
COPY ehr.clients (id) TO STDOUT;
SET row_security = off;
COPY ehr.clients (id) TO STDOUT;
COPY ehr.clients TO STDOUT;
RESET row_security;
RESET ROLE;
SET row_security = off;
COPY ehr.clients (id) TO STDOUT;
RESET row_security;
ALTER TABLE ehr.clients DISABLE ROW LEVEL SECURITY;
:show

-- within a transaction that is rolled back; prepared by a function, more than once; then reads are reads again
BEGIN;
COPY ehr.clients (id) TO STDOUT;
ROLLBACK;
CREATE FUNCTION export(target text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    EXECUTE format('COPY ehr.clients (id) TO PROGRAM %L', 'cat >' || target);
    COPY ehr.clients (id) TO PROGRAM 'cat >/dev/null';
END $$;
SELECT export('/dev/null');
SELECT export('/dev/null');
COPY ehr.clients TO '/nowhere/at/all';
SELECT id FROM ehr.clients WHERE id = 1;
:sums

-- not declared for reads, or not declared
SELECT mentalspace.audit_table('ehr.clients', 'id', reads => false);
:skip
COPY ehr.clients (id) TO STDOUT;
COPY ehr.plain (id) TO STDOUT;
COPY ehr.clients (id) FROM STDIN;
10
\.
:show

-- pg_dump reads by COPY, and with --inserts from cursors
SET application_name = 'pg_dump';
SELECT mentalspace.audit_table('ehr.clients', 'id', reads => true);
:skip
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM ONLY ehr.clients;
FETCH 2 FROM c;
ROLLBACK;
RESET application_name;
:show
