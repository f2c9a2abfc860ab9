-- What only looks like the check of a foreign key or like a policy is a read like any other.
CREATE EXTENSION mentalspace;
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
CREATE TABLE clients (id int PRIMARY KEY, name text, therapist int);
INSERT INTO clients SELECT i, 'name ' || i, i % 4 FROM generate_series(1, 20) AS i;
CREATE TABLE notes (note_id int PRIMARY KEY, client_id int REFERENCES clients, body text);
INSERT INTO notes SELECT 100 + i, 1 + i % 10, 'body ' || i FROM generate_series(1, 30) AS i;
CREATE TABLE team (therapist int PRIMARY KEY, who text);
INSERT INTO team VALUES (2, 'reader'), (3, 'other');
CREATE ROLE tables_owner;
CREATE ROLE reader NOINHERIT IN ROLE tables_owner;
GRANT CREATE ON SCHEMA public TO reader, tables_owner;
GRANT SELECT, INSERT, UPDATE, DELETE ON clients, notes, team TO reader, tables_owner;
SELECT mentalspace.audit_table('clients', 'id'), mentalspace.audit_table('notes', 'client_id');
\getenv abs_srcdir PG_ABS_SRCDIR
\set seen :abs_srcdir '/test/lib/audit_seen.sql'
\i :seen
CREATE FUNCTION in_team(i int) RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public AS $$
BEGIN
    RETURN EXISTS (SELECT FROM team AS t JOIN clients AS c USING (therapist) WHERE c.id = i AND t.who = 'reader');
END
$$;
CREATE POLICY theirs ON notes TO reader USING (in_team(client_id)) WITH CHECK (in_team(client_id));
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
SELECT count(*) >= 0 FROM seen();
\set look 'RESET ROLE; SELECT relation, event, patients FROM seen(); SET ROLE reader;'
SET ROLE reader;

-- the foreign key's own check is none; a trigger and a rule of a table that a cascade reaches are
INSERT INTO notes VALUES (200, 2, 'x');
:look
CREATE TEMPORARY TABLE parents (id int PRIMARY KEY);
CREATE TEMPORARY TABLE children (id int REFERENCES parents ON DELETE CASCADE);
CREATE FUNCTION pg_temp.peek() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM public.clients WHERE id = OLD.id AND name LIKE 'name%' FOR KEY SHARE;
    EXECUTE 'SELECT 1 FROM ONLY public.clients x WHERE id = 1 + $1 AND name LIKE ''name%'' FOR KEY SHARE OF x' USING OLD.id;
    RETURN OLD;
END
$$;
CREATE TRIGGER peek BEFORE DELETE ON children FOR EACH ROW EXECUTE FUNCTION pg_temp.peek();
INSERT INTO parents VALUES (6);
INSERT INTO children VALUES (6);
DELETE FROM parents;
:look
CREATE TEMPORARY TABLE others (id int REFERENCES parents ON DELETE CASCADE);
CREATE RULE peek AS ON DELETE TO others DO ALSO SELECT 1 FROM public.clients WHERE id = 8 AND name LIKE 'name%' FOR KEY SHARE;
INSERT INTO parents VALUES (7);
INSERT INTO others VALUES (7);
DELETE FROM parents;
:look

-- the conditions of a security_barrier view stand beside those of the policy
UPDATE notes SET body = body WHERE note_id = 101;
:look
CREATE FUNCTION pg_temp.tell(i int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RETURN EXISTS (SELECT FROM public.clients WHERE id = i AND name LIKE 'name%'); END $$;
CREATE FUNCTION public.tell(i int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RETURN EXISTS (SELECT FROM public.clients WHERE id = i AND name LIKE 'name%'); END $$;
CREATE VIEW barrier WITH (security_barrier) AS
    SELECT * FROM notes WHERE EXISTS (SELECT FROM clients AS c WHERE c.id = 12 AND c.name LIKE 'name%');
UPDATE barrier SET body = body WHERE note_id = 101;
:look
DELETE FROM barrier WHERE note_id = 0;
WITH u AS (UPDATE barrier SET body = body WHERE note_id = 101 RETURNING 1) SELECT count(*) FROM u;
:look
CREATE VIEW outside WITH (security_barrier) AS SELECT * FROM barrier WHERE public.tell(13);
UPDATE outside SET body = body WHERE note_id = 101;
RESET ROLE;
SELECT relation, event, patients FROM seen();
ALTER FUNCTION public.tell(int) OWNER TO CURRENT_USER;
CREATE POLICY told ON notes AS RESTRICTIVE TO reader USING (public.tell(14));
SET ROLE reader;
-- one and the same function, in the view and in the policy
UPDATE outside SET body = body WHERE note_id = 101;
:look
RESET ROLE;
DROP POLICY told ON notes;
SET ROLE reader;

-- a temporary view in the place of what a policy's helper reads (its plans would stay with what they know)
SELECT body FROM notes WHERE note_id = 101;
:look
CREATE TEMPORARY VIEW team AS SELECT 2 AS therapist, 'reader' AS who FROM public.clients WHERE id IN (15, 16) AND name LIKE 'name%';
DISCARD PLANS;
SELECT body FROM notes WHERE note_id = 101;
:look
DROP VIEW pg_temp.team;
CREATE TEMPORARY VIEW team AS SELECT 2 AS therapist, 'reader' AS who WHERE pg_temp.tell(17);
DISCARD PLANS;
SELECT body FROM notes WHERE note_id = 101;
:look
DROP VIEW pg_temp.team;
DISCARD PLANS;
SELECT body FROM notes WHERE note_id = 101;
:look

-- a policy of a table that is not declared, whoever made it
SET ROLE tables_owner;
CREATE TABLE own (i int);
INSERT INTO own VALUES (1), (5);
ALTER TABLE own ENABLE ROW LEVEL SECURITY;
ALTER TABLE own FORCE ROW LEVEL SECURITY;
CREATE POLICY read ON own USING (i IN (SELECT id FROM clients)) WITH CHECK (i IN (SELECT id FROM clients));
GRANT SELECT, INSERT ON own TO reader;
SET ROLE reader;
SELECT * FROM own;
:look
INSERT INTO own VALUES (5);
:look

-- a helper, or a view in a policy, that the reader may replace: by membership, not by inherited rights
RESET ROLE;
ALTER FUNCTION in_team(int) OWNER TO tables_owner;
SELECT count(*) >= 0 FROM seen();
SET ROLE tables_owner;
CREATE OR REPLACE FUNCTION in_team(i int) RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public AS $$
BEGIN
    RETURN EXISTS (SELECT FROM clients WHERE id = 18 AND name LIKE 'name%');
END
$$;
SET ROLE reader;
SELECT body FROM notes WHERE note_id = 101;
:look
RESET ROLE;
ALTER FUNCTION in_team(int) OWNER TO CURRENT_USER;
DROP POLICY theirs ON notes;
CREATE VIEW allowed AS SELECT id FROM clients WHERE id < 20;
GRANT SELECT ON allowed TO reader;
CREATE POLICY theirs ON notes TO reader USING (client_id IN (SELECT id FROM allowed));
SET ROLE reader;
SELECT body FROM notes WHERE note_id = 101;
:look
RESET ROLE;
ALTER VIEW allowed OWNER TO tables_owner;
SELECT count(*) >= 0 FROM seen();
SET ROLE reader;
SELECT body FROM notes WHERE note_id = 101;
:look
RESET ROLE;
DROP OWNED BY reader;
