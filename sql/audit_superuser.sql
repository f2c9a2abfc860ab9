-- What takes a superuser, or the library: the audit where everything is in place.
CREATE EXTENSION mentalspace;
\set SHOW_CONTEXT never
CREATE EXTENSION file_fdw;
SELECT audit FROM mentalspace.whoami();
CREATE TABLE clients (id int PRIMARY KEY, name text);
-- no warning
SELECT mentalspace.audit_table('clients', 'id');
SELECT audit FROM mentalspace.whoami();
SELECT capability, available, detail FROM mentalspace.capabilities() WHERE capability LIKE '%audit%';
SELECT mentalspace.audit_outlet_name(), mentalspace.audit_flush();
SET mentalspace.audit_enabled = off;
SELECT audit FROM mentalspace.whoami();
RESET mentalspace.audit_enabled;

-- foreign tables: triggers for rows, and where the server has them for TRUNCATE
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE visits (client_id int, day text) SERVER files OPTIONS (program 'printf "1,mon\n2,tue\n"', format 'csv');
SELECT mentalspace.audit_table('visits', 'client_id');
SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'visits'::regclass AND tgname = 'mentalspace_audit';
SELECT relation, triggers, resolves, problem FROM mentalspace.audit_tables();
SELECT mentalspace.audit_table('visits', 'client_id->clients.id');

-- triggers fire also where those of the user's do not
SET session_replication_role = replica;
INSERT INTO clients VALUES (1, 'replicated');
\set VERBOSITY sqlstate
UPDATE mentalspace.audit_events SET kind = 'x';
DELETE FROM mentalspace.audit_events;
DELETE FROM mentalspace.audit_salts;
\set VERBOSITY default
RESET session_replication_role;
SELECT action, row_key FROM mentalspace.audit_events WHERE kind = 'data_modification';
TRUNCATE mentalspace.audit_events;

-- whoever may read all data does not read these
CREATE ROLE everything IN ROLE pg_read_all_data, pg_write_all_data;
SET ROLE everything;
SELECT count(*) FROM mentalspace.audit_events;
SELECT count(*) FROM mentalspace.audit_events_default;
SELECT count(*) FROM mentalspace.audit_relations;
SELECT count(*) FROM mentalspace.audit_salts;
INSERT INTO mentalspace.audit_events (kind) VALUES ('login');
INSERT INTO mentalspace.audit_relations VALUES ('clients', 'id', false, false, '{}', 'phi');
UPDATE mentalspace.audit_relations SET reads = false;
RESET ROLE;
SELECT reads FROM mentalspace.audit_tables() WHERE relation = 'clients'::regclass;


-- read_phi() is seen as any read is
CREATE TABLE notes (id int PRIMARY KEY, client_id int REFERENCES clients, body text);
SELECT mentalspace.audit_table('notes', 'client_id', category => 'psychotherapy_note');
INSERT INTO clients VALUES (2, 'other');
INSERT INTO notes VALUES (10, 1, 'a'), (20, 2, 'b'), (11, 1, 'c');
CREATE ROLE reader;
GRANT SELECT ON notes TO reader;
SET ROLE reader;
SELECT * FROM mentalspace.read_phi('notes', '1', 'TREAT');
RESET ROLE;
SELECT mentalspace.audit_flush();
SELECT kind, action, relation, category, severity, patient_ids, row_count, precision, purpose_of_use, outer_role_name
  FROM mentalspace.audit_events WHERE kind = 'phi_access' AND outer_role_name = 'reader' ORDER BY event_id;

-- the record does not go by the way
SELECT count(mentalspace.unaudit_table(relation)) > 0 AS ended FROM mentalspace.audit_tables();
DROP EXTENSION mentalspace;
SELECT count(*) > 0 AS still_there FROM mentalspace.audit_events;
CREATE EXTENSION pgcrypto;
DROP EXTENSION pgcrypto;
SET client_min_messages = error;
DROP EXTENSION mentalspace CASCADE;
