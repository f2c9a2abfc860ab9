-- The owner of a declared partitioned table makes, attaches and detaches partitions, and gets no other say about the audit.
CREATE EXTENSION mentalspace;
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
SET client_min_messages = error;
CREATE ROLE app_owner;
CREATE ROLE app_team;
GRANT app_owner TO app_team;
GRANT app_owner, app_team TO CURRENT_USER;
CREATE SCHEMA app AUTHORIZATION app_owner;
GRANT USAGE ON SCHEMA mentalspace TO app_owner;
SET ROLE app_owner;
CREATE TABLE app.visits (id int, client_id int, year int) PARTITION BY RANGE (year);
CREATE TABLE app.visits_2024 PARTITION OF app.visits FOR VALUES FROM (2024) TO (2025);
RESET ROLE;
SELECT mentalspace.audit_table('app.visits', 'client_id');
SET ROLE app_owner;
CREATE TABLE app.visits_2025 PARTITION OF app.visits FOR VALUES FROM (2025) TO (2026);
CREATE TABLE app.visits_2026 (client_id int, id int, year int);
ALTER TABLE app.visits ATTACH PARTITION app.visits_2026 FOR VALUES FROM (2026) TO (2027);
CREATE TABLE app.later PARTITION OF app.visits FOR VALUES FROM (2027) TO (2100) PARTITION BY RANGE (year);
RESET ROLE;
SET ROLE app_team;
CREATE TABLE app.visits_2027 PARTITION OF app.later FOR VALUES FROM (2027) TO (2028);
RESET ROLE;
SET ROLE app_owner;
INSERT INTO app.visits VALUES (1, 1, 2024), (2, 2, 2025), (3, 3, 2026), (4, 4, 2027);
ALTER TABLE app.visits DETACH PARTITION app.visits_2024;
-- what else it may not make of that: a second event for each row, one before it happens, an event of nothing, less than all
CREATE TRIGGER twice AFTER INSERT ON app.visits_2025 FOR EACH ROW EXECUTE FUNCTION mentalspace.audit_row();
INSERT INTO app.visits VALUES (5, 5, 2025);
DROP TRIGGER twice ON app.visits_2025;
CREATE TRIGGER early BEFORE INSERT ON app.visits_2025 FOR EACH ROW EXECUTE FUNCTION mentalspace.audit_row();
\set VERBOSITY sqlstate
INSERT INTO app.visits VALUES (6, 6, 2025);
\set VERBOSITY default
DROP TRIGGER early ON app.visits_2025;
CREATE TABLE app.notes (id int PRIMARY KEY, client_id int) PARTITION BY RANGE (id);
CREATE TABLE app.notes_1 PARTITION OF app.notes DEFAULT;
CREATE TRIGGER mentalspace_audit AFTER INSERT ON app.notes FOR EACH ROW WHEN (NEW.id < 0) EXECUTE FUNCTION mentalspace.audit_row();
RESET ROLE;
SELECT mentalspace.audit_table('app.notes', 'client_id');
SELECT tgrelid::regclass, tgname, tgtype, tgenabled, tgqual IS NULL FROM pg_trigger WHERE tgrelid::regclass::text ~ '^app.notes' AND tgname = 'mentalspace_audit' ORDER BY 1;
INSERT INTO app.notes VALUES (1, 7);
SELECT relation, triggers, problem FROM mentalspace.audit_tables() WHERE relation = 'app.notes'::regclass;
SELECT relation, action, patient_ids FROM mentalspace.audit_events WHERE kind = 'data_modification' ORDER BY patient_ids;
SELECT count(*) FROM mentalspace.audit_events WHERE kind = 'denied';
