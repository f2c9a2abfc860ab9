-- Who reads the audit events, and that nobody changes them.
-- whatever default privileges say
CREATE ROLE everything;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO everything, PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO everything;
CREATE EXTENSION mentalspace;
\set SHOW_CONTEXT never
SET client_min_messages = error;
CREATE TABLE clients (id int PRIMARY KEY, ssn text);
CREATE TABLE notes (id int PRIMARY KEY, client_id int REFERENCES clients, body text);
REVOKE ALL ON clients, notes FROM everything, PUBLIC;
SELECT mentalspace.audit_table('clients', 'id', redact => '{ssn}'), mentalspace.audit_table('notes', 'client_id', category => 'psychotherapy_note');
SELECT mentalspace.audit_make_partitions(3);
INSERT INTO clients VALUES (1, 'x');
INSERT INTO mentalspace.audit_events (occurred_at, kind) VALUES ('1999-12-31', 'login');
CREATE TEMP TABLE tables AS SELECT c.oid::regclass AS name FROM pg_class AS c
    WHERE relnamespace = 'mentalspace'::regnamespace AND relname LIKE 'audit%' AND relkind IN ('r', 'p', 'S');
GRANT SELECT ON tables TO PUBLIC;
SELECT count(*) FROM tables;

-- nobody but the owner and auditors has any right on any table of the audit
SELECT t.name, CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee) END AS grantee, a.privilege_type
  FROM tables AS t JOIN pg_class AS c ON c.oid = t.name, aclexplode(c.relacl) AS a
 WHERE a.grantee <> c.relowner AND NOT (pg_get_userbyid(a.grantee) = 'mentalspace_auditor' AND a.privilege_type = 'SELECT') ORDER BY 1, 2, 3;
SELECT t.name FROM tables AS t JOIN pg_class AS c ON c.oid = t.name WHERE relkind <> 'S' AND NOT relrowsecurity;
SELECT p.oid::regprocedure AS function FROM pg_proc AS p
 WHERE pronamespace = 'mentalspace'::regnamespace AND proname LIKE '%audit%' AND proname <> 'audit_note_read' AND has_function_privilege('public', oid, 'EXECUTE') ORDER BY p.oid::regprocedure::text;

-- an auditor
CREATE ROLE inspector IN ROLE mentalspace_auditor;
CREATE ROLE reader;
CREATE ROLE curious;
GRANT inspector, reader, curious, everything TO CURRENT_USER;
GRANT SELECT ON clients, notes TO reader;
SET ROLE inspector;
SELECT kind, relation, row_key FROM mentalspace.audit_events WHERE kind IN ('data_modification', 'login') ORDER BY occurred_at;
SELECT count(*) FROM mentalspace.audit_events_default;
SELECT relation, patient_key, problem FROM mentalspace.audit_tables();
SELECT mentalspace.audit_digest(ROW(1)) IS NOT NULL AS digests;
INSERT INTO mentalspace.audit_events (kind) VALUES ('login');
UPDATE mentalspace.audit_events SET kind = 'login';
DELETE FROM mentalspace.audit_events;
TRUNCATE mentalspace.audit_events;
SELECT * FROM mentalspace.audit_salts;
SELECT * FROM mentalspace.audit_relations;
SELECT * FROM mentalspace.audit_progress;
SELECT nextval('mentalspace.audit_event_ids');
SELECT mentalspace.audit_table('clients', 'id');
SELECT mentalspace.unaudit_table('clients');
SELECT mentalspace.audit_salt();
SELECT mentalspace.audit_record_admin('clients', 'E', 'info', 'phi', 'x');
-- he does not see the patients
SELECT * FROM clients;
SELECT * FROM mentalspace.read_phi('clients', '1');
-- everybody else
SET ROLE reader;
SELECT count(*) FROM mentalspace.audit_events;
SELECT count(*) FROM mentalspace.audit_events_default;
SELECT * FROM mentalspace.audit_tables();
SELECT mentalspace.audit_digest(ROW(1));
SELECT mentalspace.audit_table('clients', 'id');
SELECT mentalspace.audit_discover('clients');
SELECT mentalspace.audit_make_partitions();
CREATE TRIGGER mine AFTER INSERT ON clients FOR EACH ROW EXECUTE FUNCTION mentalspace.audit_row();
SET ROLE everything;
SELECT count(*) FROM mentalspace.audit_events;
RESET ROLE;
-- whoever is given a right on the table itself, as pg_read_all_data gives it, is stopped by row security
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON mentalspace.audit_events, mentalspace.audit_events_default, mentalspace.audit_relations, mentalspace.audit_salts TO curious;
SET ROLE curious;
SELECT (SELECT count(*) FROM mentalspace.audit_events) AS events, (SELECT count(*) FROM mentalspace.audit_events_default) AS events,
       (SELECT count(*) FROM mentalspace.audit_relations) AS relations, (SELECT count(*) FROM mentalspace.audit_salts) AS salts;
INSERT INTO mentalspace.audit_events (kind) VALUES ('login');
UPDATE mentalspace.audit_events SET kind = 'x';
DELETE FROM mentalspace.audit_events;
TRUNCATE mentalspace.audit_events_default;
RESET ROLE;

-- not even the owner changes them: the table, each partition
CREATE FUNCTION try(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE command;
    RETURN 'done';
EXCEPTION WHEN OTHERS THEN
    RETURN sqlstate || ' ' || CASE WHEN sqlerrm ~ '^rows of mentalspace.audit_[a-z0-9_]+ cannot be changed or removed$' THEN 'cannot be changed' ELSE sqlerrm END;
END
$$;
SELECT try('UPDATE mentalspace.audit_events SET severity = ''info''');
SELECT try('DELETE FROM mentalspace.audit_events WHERE kind = ''login''');
SELECT try('TRUNCATE mentalspace.audit_events');
SELECT try('MERGE INTO mentalspace.audit_events USING (VALUES (1)) AS v ON true WHEN MATCHED THEN DELETE');
SELECT try('UPDATE mentalspace.audit_salts SET made_at = now()'), try('DELETE FROM mentalspace.audit_salts'), try('TRUNCATE mentalspace.audit_salts');
DO $$
DECLARE
    t regclass;
    refused int := 0;
BEGIN
    FOREACH t IN ARRAY ARRAY(SELECT name FROM tables WHERE name::text LIKE '%audit_events_%') LOOP
        IF try(format('TRUNCATE %s', t)) <> '42501 cannot be changed' THEN
            RAISE EXCEPTION '% was truncated: %', t, try(format('TRUNCATE %s', t));
        END IF;
    END LOOP;
    FOREACH t IN ARRAY ARRAY(SELECT DISTINCT tableoid FROM mentalspace.audit_events) LOOP
        IF try(format('UPDATE %s SET kind = NULL', t)) <> '42501 cannot be changed' OR try(format('DELETE FROM %s', t)) <> '42501 cannot be changed' THEN
            RAISE EXCEPTION '% was changed: %', t, try(format('DELETE FROM %s', t));
        END IF;
        refused := refused + 1;
    END LOOP;
    IF refused <> 2 THEN
        RAISE EXCEPTION 'tables with events: %', refused;
    END IF;
END
$$;
SELECT count(*) > 2 AS all_there FROM mentalspace.audit_events;
UPDATE mentalspace.audit_events SET kind = 'x' WHERE occurred_at < '2000-01-01';

-- read_phi(): what the caller may see, by a column and by a path (its events: audit_trusted)
CREATE TABLE files (id int PRIMARY KEY, note_id int REFERENCES notes, name text);
ALTER TABLE files ENABLE ROW LEVEL SECURITY;
CREATE POLICY open ON files USING (name LIKE 'open%');
GRANT SELECT ON files TO reader;
SELECT mentalspace.audit_table('files', 'note_id->notes.client_id');
INSERT INTO clients VALUES (2, 'y');
INSERT INTO notes VALUES (10, 1, 'a'), (11, 1, 'b'), (20, 2, 'c');
INSERT INTO files VALUES (1, 10, 'open'), (2, 11, 'closed'), (3, 20, 'open, of another'), (4, 11, 'open, too');
SET ROLE reader;
SELECT * FROM mentalspace.read_phi('notes', '1', 'TREAT') AS row ORDER BY row ->> 'id';
SELECT * FROM mentalspace.read_phi('files', '1') AS row ORDER BY row ->> 'id';
SELECT * FROM mentalspace.read_phi('files', '3');
SELECT * FROM mentalspace.read_phi('notes', 'one');
SELECT * FROM mentalspace.read_phi('notes', NULL);
SELECT * FROM mentalspace.read_phi(NULL, '1');
SELECT * FROM mentalspace.read_phi('tables', '1');
RESET ROLE;
SELECT mentalspace.audit_table('clients', NULL);
SELECT * FROM mentalspace.read_phi('clients', '1');
SELECT capability, detail <> '' AS explained FROM mentalspace.capabilities() WHERE capability LIKE '%audit%';
SELECT audit <> '' AS explained FROM mentalspace.whoami();

-- indexes come when a month is over
CREATE TABLE mentalspace.audit_events_200001 PARTITION OF mentalspace.audit_events
    FOR VALUES FROM ('2000-01-01 00:00+00') TO ('2000-02-01 00:00+00');
SELECT mentalspace.audit_make_partitions();
SELECT tablename = 'audit_events_200001' AS of_the_past, indexdef FROM pg_indexes
 WHERE tablename LIKE 'audit\_events%' ORDER BY indexname;
