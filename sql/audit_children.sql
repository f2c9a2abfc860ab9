-- Children and partitions that come after the declaration are audited like those before it.
CREATE EXTENSION mentalspace;
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
CREATE ROLE keeper;
GRANT CREATE ON SCHEMA public TO keeper;
SET ROLE keeper;
CREATE TABLE clients (id int, name text);
RESET ROLE;
CREATE TABLE parted (id int, name text) PARTITION BY LIST (id);
SELECT mentalspace.audit_table('clients', 'id'), mentalspace.audit_table('parted', 'id');
\getenv abs_srcdir PG_ABS_SRCDIR
\set seen :abs_srcdir '/test/lib/audit_seen.sql'
\i :seen
SELECT count(*) >= 0 FROM seen();
\set triggers 'SELECT tgrelid::regclass::text COLLATE "C" AS on_table, count(*), min(tgenabled) FROM pg_trigger WHERE tgname LIKE ''mentalspace_audit%'' AND tgrelid::regclass::text NOT LIKE ''mentalspace.%'' GROUP BY 1 ORDER BY 1;'
SET ROLE keeper;
CREATE TABLE made (more int) INHERITS (clients);
CREATE TABLE below () INHERITS (made);
CREATE TABLE joined (name text, id int);
CREATE TABLE under_joined () INHERITS (joined);
ALTER TABLE joined INHERIT clients;
CREATE TEMPORARY TABLE passing () INHERITS (clients);
DO $$ BEGIN CREATE TABLE done () INHERITS (clients); END $$;
RESET ROLE;
GRANT CREATE ON DATABASE :DBNAME TO keeper;
SET ROLE keeper;
CREATE SCHEMA kept CREATE TABLE inner_table () INHERITS (public.clients);
:triggers
INSERT INTO made VALUES (1, 'x');
INSERT INTO below VALUES (2, 'x');
INSERT INTO joined VALUES ('x', 3);
INSERT INTO under_joined VALUES ('x', 4);
INSERT INTO passing VALUES (5, 'x');
INSERT INTO done VALUES (6, 'x');
INSERT INTO kept.inner_table VALUES (7, 'x');
TRUNCATE ONLY done;
RESET ROLE;
SELECT relation, event, patients FROM seen();
SET ROLE keeper;
SELECT * FROM joined;
SELECT * FROM under_joined;
SELECT * FROM made;
RESET ROLE;
SELECT relation, event, patients FROM seen();

-- TRUNCATE of a partition
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
CREATE TABLE parted_2 (id int, name text);
ALTER TABLE parted ATTACH PARTITION parted_2 FOR VALUES IN (2);
INSERT INTO parted VALUES (1, 'x'), (2, 'x');
TRUNCATE parted_1;
TRUNCATE parted_2;
SELECT relation, event, rows, patients FROM seen();
:triggers
SELECT relation, problem FROM mentalspace.audit_tables();

-- a table that is declared for reads alone gives no triggers, and a child with a declaration of its own keeps it
SELECT mentalspace.audit_table('parted', 'id', writes => false);
CREATE TABLE parted_3 PARTITION OF parted FOR VALUES IN (3);
CREATE TABLE apart (id int, name text);
SELECT mentalspace.audit_table('apart', 'name');
ALTER TABLE apart INHERIT clients;
:triggers
