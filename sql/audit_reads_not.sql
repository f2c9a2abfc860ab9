-- What is no reading of the user's: foreign keys, policies and what they call; and what is: the same, asked for.
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
CREATE TABLE team (therapist int PRIMARY KEY, who text);
INSERT INTO team VALUES (2, 'reader'), (3, 'other');
CREATE ROLE reader;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO reader;
SELECT mentalspace.audit_table('clients', 'id'), mentalspace.audit_table('notes', 'client_id'), mentalspace.audit_table('files', 'note_id->notes.client_id'),
       mentalspace.audit_table('team', 'therapist');
\getenv abs_srcdir PG_ABS_SRCDIR
\set seen :abs_srcdir '/test/lib/audit_seen.sql'
\i :seen
CREATE FUNCTION may_see(i int) RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public AS $$
BEGIN
    RETURN EXISTS (SELECT FROM clients JOIN team USING (therapist) WHERE id = i AND who = 'reader');
END
$$;
CREATE FUNCTION may_see_sql(i int) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM clients JOIN team USING (therapist) WHERE id = i AND who = 'reader')
$$;
CREATE FUNCTION is_reader() RETURNS boolean LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN EXISTS (SELECT FROM team WHERE who = 'reader'); END $$;
CREATE POLICY theirs ON clients TO reader USING (EXISTS (SELECT FROM team AS t WHERE t.therapist = clients.therapist AND t.who = 'reader'));
CREATE POLICY theirs ON notes TO reader USING (may_see(client_id));
CREATE POLICY theirs ON files TO reader USING (is_reader() AND may_see_sql((SELECT n.client_id FROM notes AS n WHERE n.note_id = files.note_id)));
ALTER TABLE clients ENABLE ROW LEVEL SECURITY;
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
ALTER TABLE files ENABLE ROW LEVEL SECURITY;
SELECT count(*) >= 0 FROM seen();

-- foreign keys: checks, and cascades
INSERT INTO notes VALUES (200, 3, 'x');
SELECT * FROM seen();
DELETE FROM clients WHERE id = 20;
SELECT * FROM seen();
DELETE FROM clients WHERE id = 3;
SELECT count(*) FROM seen();

-- a new foreign key that finds the rows that are there, as every restore makes them
CREATE TABLE visits (id int PRIMARY KEY, client_id int);
INSERT INTO visits SELECT i, i FROM generate_series(4, 8) AS i;
SELECT mentalspace.audit_table('visits', 'client_id');
SELECT count(*) >= 0 FROM seen();
ALTER TABLE visits ADD CONSTRAINT of_client FOREIGN KEY (client_id) REFERENCES clients;
ALTER TABLE visits DROP CONSTRAINT of_client;
ALTER TABLE visits ADD CONSTRAINT of_client FOREIGN KEY (client_id) REFERENCES clients NOT VALID;
DO $$ BEGIN ALTER TABLE visits VALIDATE CONSTRAINT of_client; END $$;
SELECT relation, event FROM seen() WHERE event LIKE 'phi_access%';
-- what looks like it and is not
CREATE TABLE nothing (id int PRIMARY KEY);
\set violations 'SELECT fk.name FROM ONLY clients fk LEFT OUTER JOIN ONLY nothing pk ON (pk.id = fk.id) WHERE pk.id IS NULL AND fk.id IN (4, 5)'
CREATE TABLE copies (id int);
INSERT INTO copies VALUES (1);
SELECT format('ALTER TABLE copies ADD as_xml xml DEFAULT query_to_xml(%L, false, false, %L)', :'violations', '') \gexec
SELECT * FROM seen();
SELECT format('CREATE FUNCTION names() RETURNS text LANGUAGE plpgsql VOLATILE AS $f$ DECLARE n text; BEGIN %s LIMIT 1; RETURN n; END $f$', replace(:'violations', ' FROM', ' INTO n FROM')) \gexec
ALTER TABLE copies ADD name text DEFAULT names();
SELECT relation, event FROM seen();

-- policies, however they are planned
CREATE PROCEDURE under(mode text) LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('mentalspace.rls_optimize', mode, false); END $$;
\set try 'SET ROLE reader; SELECT name FROM clients WHERE id < 8 ORDER BY id; RESET ROLE; SELECT * FROM seen(); SET ROLE reader; SELECT body FROM notes WHERE note_id < 108 ORDER BY note_id; RESET ROLE; SELECT * FROM seen(); SET ROLE reader; SELECT name FROM files ORDER BY id; RESET ROLE; SELECT * FROM seen();'
CALL under('full');
:try
CALL under('hoist');
:try
CALL under('off');
:try
CALL under('full');

-- prepared, in views, CTEs and subqueries
PREPARE theirs AS SELECT name FROM clients WHERE id < 4;
SET ROLE reader;
EXECUTE theirs;
EXECUTE theirs;
EXECUTE theirs;
EXECUTE theirs;
EXECUTE theirs;
EXECUTE theirs;
EXECUTE theirs;
RESET ROLE;
SELECT * FROM seen();
SET ROLE reader;
WITH c AS MATERIALIZED (SELECT * FROM clients WHERE id < 8) SELECT name, (SELECT count(*) FROM notes AS n WHERE n.client_id = c.id) FROM c ORDER BY id;
RESET ROLE;
SELECT * FROM seen();
CREATE VIEW of_reader WITH (security_barrier) AS SELECT * FROM notes;
ALTER VIEW of_reader OWNER TO reader;
SELECT body FROM of_reader WHERE note_id = 101;
SELECT * FROM seen();

-- WITH CHECK
SET ROLE reader;
INSERT INTO notes VALUES (201, 2, 'x');
UPDATE notes SET body = 'y' WHERE note_id = 201;
INSERT INTO notes VALUES (202, 5, 'x');
RESET ROLE;
SELECT * FROM seen();

-- asked for by the user, the same is reading: tables and functions of policies
SET ROLE reader;
SELECT name FROM clients WHERE id < 8 AND EXISTS (SELECT FROM team WHERE who = 'other') ORDER BY id;
RESET ROLE;
SELECT * FROM seen();
SET ROLE reader;
SELECT may_see(6);
RESET ROLE;
SELECT * FROM seen();
SET ROLE reader;
SELECT may_see_sql(6);
RESET ROLE;
SELECT * FROM seen();
SET ROLE reader;
SELECT body FROM notes WHERE may_see(client_id) AND note_id < 103;
RESET ROLE;
SELECT * FROM seen();
CREATE VIEW asks AS SELECT may_see(6);
GRANT SELECT ON asks TO reader;
SET ROLE reader;
SELECT * FROM asks;
RESET ROLE;
SELECT * FROM seen();
CREATE FUNCTION asks() RETURNS boolean LANGUAGE sql STABLE BEGIN ATOMIC SELECT may_see(6); END;
SET ROLE reader;
SELECT asks();
RESET ROLE;
SELECT * FROM seen();

-- a function that becomes a policy's, and is none any more
CREATE FUNCTION of_team() RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN (SELECT count(who) FROM (SELECT who FROM team OFFSET 0) AS t WHERE who IS NOT NULL); END $$;
CREATE TABLE plain (i int);
INSERT INTO plain VALUES (1), (2);
SELECT mentalspace.audit_table('plain', NULL, reads => false);
GRANT SELECT ON plain TO reader;
ALTER TABLE plain ENABLE ROW LEVEL SECURITY;
CREATE POLICY most ON plain TO reader USING (i <= of_team());
SET ROLE reader;
SELECT * FROM plain;
RESET ROLE;
SELECT * FROM seen();
DROP POLICY most ON plain;
CREATE POLICY most ON plain TO reader USING (true);
SET ROLE reader;
SELECT * FROM plain WHERE i <= of_team();
RESET ROLE;
-- (once a row, and once while planning)
SELECT relation, event, rows > 2 AS rows, patients FROM seen();

-- what a trigger reads during a cascade is no check of the foreign key
CREATE TABLE parents (id int PRIMARY KEY);
CREATE TABLE children (id int REFERENCES parents ON DELETE CASCADE);
INSERT INTO parents VALUES (1);
INSERT INTO children VALUES (1);
CREATE FUNCTION peek() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    found text;
BEGIN
    SELECT name INTO found FROM clients WHERE id = 6;
    RETURN OLD;
END
$$;
CREATE TRIGGER peek BEFORE DELETE ON children FOR EACH ROW EXECUTE FUNCTION peek();
DELETE FROM parents;
SELECT * FROM seen();

-- the policy of a table that is not declared is no way to read unseen, whoever made it
SET ROLE reader;
CREATE TEMPORARY TABLE own (i int);
INSERT INTO own VALUES (1), (5);
ALTER TABLE own ENABLE ROW LEVEL SECURITY;
ALTER TABLE own FORCE ROW LEVEL SECURITY;
CREATE POLICY read ON own USING (i IN (SELECT id FROM clients));
SELECT * FROM own;
DROP POLICY read ON own;
CREATE POLICY read ON own USING (i <= of_team());
SELECT * FROM own;
RESET ROLE;
SELECT relation, event, patients FROM seen();
CREATE TABLE theirs (i int);
INSERT INTO theirs VALUES (1), (5);
ALTER TABLE theirs ENABLE ROW LEVEL SECURITY;
ALTER TABLE theirs FORCE ROW LEVEL SECURITY;
CREATE POLICY read ON theirs USING (i IN (SELECT id FROM clients)) WITH CHECK (i IN (SELECT id FROM clients));
GRANT SELECT, INSERT ON theirs TO reader;
SET ROLE reader;
SELECT * FROM theirs;
INSERT INTO theirs VALUES (5);
RESET ROLE;
SELECT relation, event, patients FROM seen();
ALTER TABLE theirs OWNER TO reader;
SET ROLE reader;
SELECT * FROM theirs;
INSERT INTO theirs VALUES (5);
RESET ROLE;
SELECT relation, event, patients FROM seen();

-- switched off, and not declared
SELECT mentalspace.audit_table('team', 'therapist', reads => false);
SELECT count(*) >= 0 FROM seen();
SELECT who FROM team ORDER BY who;
SELECT * FROM seen();
SET mentalspace.audit_enabled = off;
SELECT name FROM clients WHERE id = 5;
RESET mentalspace.audit_enabled;
SELECT * FROM seen();
SELECT mentalspace.unaudit_table('clients');
SELECT count(*) >= 0 FROM seen();
SELECT name FROM clients WHERE id = 5;
SELECT * FROM seen();
