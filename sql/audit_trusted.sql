-- The audit without hooks: nothing but read_phi() sees reads, and nothing sees DROP TABLE.
CREATE EXTENSION mentalspace;
\set SHOW_CONTEXT never
CREATE TABLE clients (id int PRIMARY KEY, name text);
CREATE TABLE notes (id int PRIMARY KEY, client_id int REFERENCES clients, body text);
SELECT mentalspace.audit_table('clients', 'id'), mentalspace.audit_table('notes', 'client_id', category => 'psychotherapy_note');
SELECT mentalspace.audit_table('clients', 'id', reads => false);
INSERT INTO clients VALUES (1, 'A'), (2, 'B');
INSERT INTO notes VALUES (10, 1, 'a'), (11, 1, 'b');
CREATE ROLE reader;
GRANT reader TO CURRENT_USER;
GRANT SELECT ON clients, notes TO reader;
SET ROLE reader;
SELECT * FROM mentalspace.read_phi('notes', '1', 'TREAT');
SELECT * FROM mentalspace.read_phi('notes', '2');
-- not to be audited
SELECT * FROM mentalspace.read_phi('clients', '1');
-- the purpose is that of the rest of the transaction
BEGIN;
SELECT count(*) FROM mentalspace.read_phi('notes', '1', 'HPAYMT');
SELECT count(*) FROM mentalspace.read_phi('notes', '1');
COMMIT;
-- without a record there is no read
BEGIN READ ONLY;
SELECT count(*) FROM mentalspace.read_phi('notes', '1');
ROLLBACK;
-- an ordinary read leaves no trace
SELECT count(*) FROM notes;
RESET ROLE;
SELECT kind, action, relation, category, severity, patient_ids, row_count, precision, purpose_of_use, outer_role_name
  FROM mentalspace.audit_events WHERE kind = 'phi_access' ORDER BY event_id;
SELECT capability, available FROM mentalspace.capabilities() WHERE capability LIKE '%audit%';
SELECT audit FROM mentalspace.whoami();
SELECT mentalspace.audit_ingest('/tmp/spool');
-- a child that comes later has no triggers until the table is declared again, and audit_tables() says so
CREATE TABLE visits (id int);
SELECT mentalspace.audit_table('visits', 'id');
CREATE TABLE visits_late () INHERITS (visits);
SELECT relation, triggers, problem FROM mentalspace.audit_tables() WHERE relation = 'visits'::regclass;
SELECT mentalspace.audit_table('visits', 'id');
SELECT relation, triggers, problem FROM mentalspace.audit_tables() WHERE relation = 'visits'::regclass;
SELECT mentalspace.unaudit_table('visits');
-- a declaration outlives its table, and says so
DROP TABLE notes;
SELECT relation::text ~ '^[0-9]+$' AS number, triggers, resolves, problem FROM mentalspace.audit_tables() WHERE problem IS NOT NULL;
SELECT mentalspace.unaudit_table((SELECT relation FROM mentalspace.audit_tables() WHERE problem IS NOT NULL));
SELECT relation, problem FROM mentalspace.audit_tables();
