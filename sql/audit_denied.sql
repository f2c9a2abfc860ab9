-- Refused access: 42501, wherever it comes from, also where an exception block catches it; and the error stays what it is.
CREATE EXTENSION mentalspace;
\getenv abs_srcdir PG_ABS_SRCDIR
\set tools :abs_srcdir '/test/lib/audit_show.sql'
\i :tools
\set SHOW_CONTEXT never
CREATE ROLE clerk;
CREATE ROLE owner;
CREATE TABLE clients (id int PRIMARY KEY, name text, therapist text);
CREATE TABLE notes (id int PRIMARY KEY, client_id int REFERENCES clients, body text);
CREATE TABLE other (id int);
INSERT INTO clients VALUES (1, 'John', 'clerk'), (2, 'Mary', 'owner');
INSERT INTO notes VALUES (10, 1, 'x');
CREATE VIEW client_names AS SELECT id, name FROM clients;
GRANT SELECT (id), UPDATE (name) ON clients TO clerk;
GRANT SELECT ON notes TO clerk;
SELECT mentalspace.audit_table('clients', 'id'), mentalspace.audit_table('notes', 'client_id', category => 'psychotherapy_note');
:skip

-- which relation, of several; which action
SET ROLE clerk;
SELECT name FROM clients;
SELECT c.name FROM notes n JOIN clients c ON c.id = n.client_id;
SELECT * FROM client_names;
INSERT INTO clients VALUES (3);
UPDATE clients SET therapist = 'me';
DELETE FROM clients;
SELECT id FROM clients FOR UPDATE OF clients NOWAIT;
TRUNCATE clients, notes;
COPY clients TO STDOUT;
COPY clients FROM STDIN;
\.
COPY (SELECT * FROM clients) TO STDOUT;
ALTER TABLE clients ADD COLUMN x int;
DROP TABLE notes;
CREATE POLICY p ON clients USING (true);
LOCK TABLE clients IN EXCLUSIVE MODE;
GRANT SELECT ON clients TO clerk;
PREPARE p AS SELECT name FROM clients WHERE id = $1;
EXECUTE p (1);
DECLARE c CURSOR WITH HOLD FOR SELECT name FROM clients;
EXPLAIN SELECT name FROM clients;
RESET ROLE;
:show

-- what is not about an audited table is told as far as it reaches the client
SET ROLE clerk;
SELECT * FROM other;
SELECT pg_read_file('/nowhere');
SELECT * FROM shown.events;
SET mentalspace.audit_enabled = off;
DO $$ BEGIN PERFORM * FROM other; EXCEPTION WHEN insufficient_privilege THEN NULL; END $$;
RESET ROLE;
:show

-- caught within, once each
SET ROLE clerk;
DO $$ BEGIN PERFORM name FROM clients; EXCEPTION WHEN insufficient_privilege THEN RAISE NOTICE '%', SQLERRM; END $$;
DO $$ BEGIN
    FOR i IN 1 .. 3 LOOP
        BEGIN DELETE FROM clients WHERE id = i; EXCEPTION WHEN insufficient_privilege THEN NULL; END;
    END LOOP;
END $$;
DO $$ BEGIN
    BEGIN PERFORM name FROM clients; EXCEPTION WHEN division_by_zero THEN NULL; END;
END $$;
DO $$ BEGIN COPY clients TO '/nowhere'; EXCEPTION WHEN insufficient_privilege THEN NULL; END $$;
RESET ROLE;
:show

-- the same error twice in two statements is two; within nested functions it is one
CREATE FUNCTION names() RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY SELECT name FROM clients; END $$;
CREATE FUNCTION more() RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY SELECT names() FROM notes; END $$;
SET ROLE clerk;
SELECT name FROM clients;
SELECT name FROM clients;
SELECT more() FROM notes;
RESET ROLE;
:show

-- rows refused by WITH CHECK; who is who in a SECURITY DEFINER function
ALTER TABLE clients ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON clients USING (therapist = current_user);
GRANT ALL ON clients TO clerk;
SET ROLE clerk;
INSERT INTO clients VALUES (4, 'Ann', 'owner');
UPDATE clients SET therapist = 'owner';
INSERT INTO clients VALUES (1, 'Ann', 'clerk') ON CONFLICT (id) DO UPDATE SET therapist = 'owner';
WITH n AS (INSERT INTO clients VALUES (5, 'Ann', 'owner') RETURNING id) SELECT * FROM n;
DO $$ BEGIN INSERT INTO clients VALUES (4, 'Ann', 'owner'); EXCEPTION WHEN insufficient_privilege THEN NULL; END $$;
SET row_security = off;
SELECT * FROM clients;
COPY clients TO STDOUT;
RESET row_security;
RESET ROLE;
:show

-- messages of functions may hold anything, so they are not told; tables that are read are
CREATE FUNCTION only_for(name text) RETURNS bool LANGUAGE plpgsql AS $$
BEGIN RAISE insufficient_privilege USING MESSAGE = name || ' is not yours'; END $$;
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM only_for(new.name); END $$;
CREATE TRIGGER refuse BEFORE INSERT ON clients FOR EACH ROW EXECUTE FUNCTION refuse();
:skip
SET ROLE clerk;
SELECT only_for(name) FROM clients;
INSERT INTO clients VALUES (6, 'Ann', 'clerk');
SELECT only_for('John');
RESET ROLE;
:show

-- in a transaction that is rolled back, and with claims that are no JSON
BEGIN;
SAVEPOINT s;
SET LOCAL ROLE clerk;
SELECT body FROM notes JOIN other ON true;
ROLLBACK TO s;
ROLLBACK;
SET ROLE clerk;
SET request.jwt.claims = '{"sub": ';
SELECT * FROM shown.events;
SELECT name, pg_read_file('x') FROM clients;
RESET ROLE;
RESET request.jwt.claims;
:show

-- what is refused before anything is executed: views (in newer minor versions), functions in conditions
CREATE FUNCTION hidden() RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1';
REVOKE ALL ON FUNCTION hidden() FROM PUBLIC;
SET ROLE clerk;
DO $$ BEGIN PERFORM * FROM client_names; EXCEPTION WHEN insufficient_privilege THEN NULL; END $$;
DO $$ BEGIN PERFORM * FROM notes WHERE client_id = hidden(); EXCEPTION WHEN insufficient_privilege THEN NULL; END $$;
DO $$ BEGIN PERFORM hidden(); EXCEPTION WHEN insufficient_privilege THEN NULL; END $$;
RESET ROLE;
:show
