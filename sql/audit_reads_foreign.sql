-- Reads of audited foreign tables: what is asked for is what can be known.
CREATE EXTENSION mentalspace;
CREATE EXTENSION postgres_fdw;
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
CREATE SCHEMA far;
CREATE TABLE far.clients (id int PRIMARY KEY, name text);
INSERT INTO far.clients SELECT i, 'name ' || i FROM generate_series(1, 9) AS i;
CREATE TABLE far.notes (note_id int, client_id int, body text);
INSERT INTO far.notes SELECT 100 + i, i, 'body ' || i FROM generate_series(1, 9) AS i;
DO $$
BEGIN
    EXECUTE format('CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host %L, port %L, dbname %L, async_capable ''true'')',
                   current_setting('unix_socket_directories'), current_setting('port'), current_database());
    EXECUTE format('CREATE USER MAPPING FOR CURRENT_USER SERVER far OPTIONS (user %L, password_required ''false'')', current_user);
END
$$;
CREATE FOREIGN TABLE clients (id int, name text) SERVER far OPTIONS (schema_name 'far', table_name 'clients');
CREATE FOREIGN TABLE notes (note_id int, client_id int, body text) SERVER far OPTIONS (schema_name 'far', table_name 'notes');
CREATE TABLE local (id int, name text) PARTITION BY LIST (name);
CREATE TABLE far.one AS SELECT * FROM far.clients WHERE id = 1;
CREATE TABLE far.two AS SELECT * FROM far.clients WHERE id = 2;
CREATE FOREIGN TABLE local_1 PARTITION OF local FOR VALUES IN ('name 1') SERVER far OPTIONS (schema_name 'far', table_name 'one');
CREATE FOREIGN TABLE local_2 PARTITION OF local FOR VALUES IN ('name 2') SERVER far OPTIONS (schema_name 'far', table_name 'two');
SELECT mentalspace.audit_table('clients', 'id', writes => false), mentalspace.audit_table('notes', 'client_id', writes => false),
       mentalspace.audit_table('local', 'id', writes => false);
\getenv abs_srcdir PG_ABS_SRCDIR
\set seen :abs_srcdir '/test/lib/audit_seen.sql'
\i :seen
SELECT count(*) >= 0 FROM seen();

SELECT id, name FROM clients WHERE id < 3;
SELECT * FROM seen();
-- who it was is not known here: a warning
SELECT name FROM clients WHERE id < 3;
SELECT * FROM seen();
SELECT count(*) FROM clients;
SELECT * FROM seen();
-- joined there, or here
SELECT c.id, c.name, n.client_id, n.body FROM clients AS c JOIN notes AS n ON n.client_id = c.id WHERE c.id = 4;
SELECT * FROM seen();
SELECT c.id, n.client_id, n.body FROM clients AS c LEFT JOIN notes AS n ON n.client_id = c.id AND n.note_id = 105 WHERE c.id IN (5, 6) ORDER BY c.id;
SELECT * FROM seen();
-- two at a time
SELECT id, name FROM local WHERE name IN ('name 1', 'name 2') AND id < 3 ORDER BY id;
SELECT * FROM seen();
-- written there
UPDATE clients SET name = 'new' WHERE id = 7 RETURNING id, name;
SELECT relation, patients FROM seen();
