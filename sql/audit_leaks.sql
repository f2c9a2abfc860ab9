-- Values that get out of a query by other ways than its rows: functions that may keep what they see, and errors.
CREATE EXTENSION mentalspace;
\set SHOW_CONTEXT never
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on
CREATE TABLE clients (id int PRIMARY KEY, name text NOT NULL, born int);
INSERT INTO clients SELECT i, 'name ' || i, i FROM generate_series(1, 100000) AS i;
CREATE TABLE notes (note_id int PRIMARY KEY, client_id int REFERENCES clients, body text);
INSERT INTO notes SELECT 100 + i, i, 'body ' || i FROM generate_series(1, 5) AS i;
CREATE TABLE own (id int PRIMARY KEY, target int);
INSERT INTO own VALUES (1, 3), (2, 4);
ANALYZE;
CREATE ROLE app;
CREATE ROLE reader;
CREATE SCHEMA mine AUTHORIZATION reader;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO reader;
GRANT CREATE ON SCHEMA public TO app;
SET ROLE app;
CREATE FUNCTION tidy(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN upper(t); END $$;
SET ROLE reader;
CREATE FUNCTION mine.leak(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN t; END $$;
CREATE FUNCTION mine.leak_both(a text, b text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN false; END $$;
CREATE OPERATOR mine.~~~ (FUNCTION = mine.leak_both, LEFTARG = text, RIGHTARG = text);
CREATE AGGREGATE mine.leak_all(text) (SFUNC = textcat, STYPE = text);
CREATE DOMAIN mine.sieve AS text CHECK (mine.leak(VALUE) IS NOT NULL);
RESET ROLE;
SELECT mentalspace.audit_table('clients', 'id'), mentalspace.audit_table('notes', 'client_id');
\getenv abs_srcdir PG_ABS_SRCDIR
\set seen :abs_srcdir '/test/lib/audit_seen.sql'
\i :seen
CREATE FUNCTION leaves(statement text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    SET ROLE reader;
    BEGIN
        EXECUTE statement;
    EXCEPTION WHEN OTHERS THEN
        RETURN NEXT '  ' || SQLSTATE;
    END;
    RESET ROLE;
    RETURN QUERY SELECT concat_ws(' ', relation, event, rows, CASE WHEN length(patients) < 30 THEN '{' || patients || '}' END) FROM seen();
END $$;
CREATE FUNCTION undone(statement text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT leaves('DO $do$ BEGIN ' || statement || '; RAISE division_by_zero; EXCEPTION WHEN division_by_zero THEN NULL; END $do$');
END $$;
SELECT count(*) >= 0 FROM seen();

-- conditions
SELECT leaves($$SELECT FROM clients WHERE id = 5 AND set_config('my.x', name, false) IS NULL$$);
SET enable_indexscan = off;
SET enable_bitmapscan = off;
SELECT leaves($$SELECT FROM clients WHERE id = 5 AND set_config('my.x', name, false) IS NULL$$);
SELECT leaves($$SELECT FROM clients WHERE id BETWEEN 7 AND 8 AND mine.leak(name) IS NULL$$);
SELECT leaves($$SELECT FROM clients WHERE id BETWEEN 7 AND 8 AND name OPERATOR(mine.~~~) 'x'$$);
SELECT leaves($$SELECT FROM clients WHERE id BETWEEN 7 AND 8 AND name::mine.sieve = ''$$);
RESET enable_indexscan;
RESET enable_bitmapscan;
SELECT leaves($$SELECT FROM clients WHERE mine.leak(name) IS NULL$$);
SELECT leaves($$SELECT FROM clients AS c JOIN notes AS n ON n.client_id = c.id AND mine.leak_both(c.name, n.body) WHERE c.id < 4$$);

-- projections, sort keys, aggregates
SELECT leaves($$SELECT count(set_config('my.x', name, false)) FROM clients WHERE id < 4$$);
SELECT leaves($$SELECT length(mine.leak_all(name)) > 0 FROM clients WHERE id < 4$$);
SELECT leaves($$SELECT 1 FROM clients WHERE id < 4 ORDER BY mine.leak(name) LIMIT 1$$);
SELECT leaves($$SELECT (SELECT set_config('my.x', c.name, false)) IS NULL FROM clients AS c WHERE id < 4 OFFSET 3$$);
SELECT leaves($$SELECT count(*) FROM clients AS c, LATERAL mine.leak(c.name) AS l WHERE c.id < 4$$);

-- writes that are rolled back
SELECT undone($$UPDATE clients SET name = mine.leak(name) WHERE id = 1$$);
SELECT undone($$UPDATE clients SET born = 0 WHERE id < 3 AND mine.leak(name) <> ''$$);
SELECT undone($$DELETE FROM notes WHERE mine.leak(body) = 'body 5'$$);
SELECT undone($$UPDATE clients SET born = 0 WHERE id = 1$$);
SELECT leaves($$MERGE INTO notes USING own ON notes.client_id = own.target WHEN MATCHED AND mine.leak(body) IS NULL THEN DELETE WHEN MATCHED THEN DO NOTHING$$);
SELECT leaves($$INSERT INTO notes VALUES (101, 1, 'x'), (102, 2, 'x') ON CONFLICT (note_id) DO UPDATE SET body = '' WHERE mine.leak(notes.body) IS NULL$$);
SELECT undone($$INSERT INTO notes VALUES (101, 1, 'x') ON CONFLICT (note_id) DO UPDATE SET body = mine.leak(notes.body)$$);

-- errors name the rows at which the scans stood
SELECT leaves($$SELECT name::int FROM clients WHERE id = 6$$);
SELECT leaves($$SELECT 1 FROM clients WHERE name::int = 5$$);
SELECT leaves($$UPDATE clients SET id = NULL WHERE id = 6$$);
SELECT leaves($$UPDATE clients SET name = NULL WHERE id = 6$$);
SELECT leaves($$SELECT 1 / (born - 3) FROM clients WHERE id BETWEEN 1 AND 5$$);

-- what a search looks at is no read
SET ROLE reader;
SELECT name FROM clients WHERE name ILIKE '%me 9999_' OR name ILIKE 'NAME 1234_' ORDER BY id;
RESET ROLE;
SELECT * FROM seen();
SELECT leaves($$SELECT FROM clients WHERE public.tidy(name) = 'NAME 7'$$);
SELECT leaves($$SELECT FROM clients WHERE lower(name) = 'nobody' AND born::text <> name$$);
