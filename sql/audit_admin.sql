-- What administrators do: DDL and privileges of audited tables, roles, configuration, and the audit itself.
CREATE EXTENSION mentalspace;
\getenv abs_srcdir PG_ABS_SRCDIR
\set tools :abs_srcdir '/test/lib/audit_show.sql'
\i :tools
\set VERBOSITY terse
CREATE ROLE clerk;
CREATE TABLE clients (id int PRIMARY KEY, name text, note text);
CREATE TABLE visits (id int, client_id int REFERENCES clients, at date) PARTITION BY RANGE (at);
CREATE TABLE visits_1 PARTITION OF visits FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE other (id int);

-- nothing is audited yet, so nothing is told
GRANT SELECT ON clients TO clerk;
ALTER ROLE clerk CREATEDB;
SELECT count(*) FROM mentalspace.audit_events;
SELECT mentalspace.audit_table('clients', 'id'), mentalspace.audit_table('visits', 'client_id');
:show

-- DDL of audited tables, of their parts, and of others
ALTER TABLE clients ADD COLUMN born date, ALTER COLUMN note SET DEFAULT 'secret literal', ALTER COLUMN name TYPE varchar;
ALTER TABLE clients RENAME COLUMN note TO notes;
CREATE INDEX clients_name ON clients (name);
DROP INDEX clients_name;
CREATE TABLE visits_2 PARTITION OF visits FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
ALTER TABLE visits DETACH PARTITION visits_2;
ALTER TABLE visits_1 ADD CHECK (id > 0);
CREATE RULE nothing AS ON DELETE TO clients DO INSTEAD NOTHING;
DROP RULE nothing ON clients;
ALTER TABLE other ADD COLUMN x int;
DROP TABLE visits_2, other;
:show

-- row level security
ALTER TABLE clients ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON clients USING (name = 'secret literal');
ALTER POLICY own ON clients USING (true);
ALTER POLICY own ON clients RENAME TO theirs;
DROP POLICY theirs ON clients;
ALTER TABLE clients NO FORCE ROW LEVEL SECURITY;
ALTER TABLE clients DISABLE ROW LEVEL SECURITY;
:show

-- privileges: of audited tables by name, of anything else together
GRANT SELECT, UPDATE (name) ON clients TO clerk;
CREATE TABLE more (id int);
GRANT ALL ON clients, more TO clerk WITH GRANT OPTION;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO PUBLIC;
REVOKE ALL ON clients FROM clerk, PUBLIC;
CREATE SCHEMA decoy GRANT SELECT ON public.clients TO clerk;
REVOKE ALL ON clients FROM clerk;
GRANT USAGE ON SCHEMA public TO clerk;
REVOKE EXECUTE ON FUNCTION pg_sleep(float) FROM PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO clerk;
GRANT SELECT ON mentalspace.audit_events TO clerk;
:show

-- roles, never with passwords
CREATE ROLE nurse LOGIN PASSWORD 'secret literal' CONNECTION LIMIT 7;
ALTER ROLE nurse BYPASSRLS NOLOGIN;
GRANT clerk TO nurse;
REVOKE clerk FROM nurse;
ALTER ROLE nurse RENAME TO doctor;
ALTER ROLE doctor SET mentalspace.audit_bulk_patients = 7;
DROP OWNED BY doctor;
DROP ROLE doctor;
:show

-- configuration
ALTER DATABASE regression SET mentalspace.audit_bulk_patients = 70;
ALTER DATABASE regression RESET mentalspace.audit_bulk_patients;
ALTER SYSTEM SET work_mem = '5MB';
ALTER SYSTEM RESET ALL;
SET mentalspace.audit_bulk_patients = 7;
RESET mentalspace.audit_bulk_patients;
SET mentalspace.auth_lock = off;
SET mentalspace.audit_purpose = 'TREAT';
SET mentalspace.audit_break_glass = 'secret literal';
RESET mentalspace.audit_purpose;
RESET mentalspace.audit_break_glass;
SET work_mem = '5MB';
:show
SELECT mentalspace.add_jwt_secret('a secret literal of 32 bytes at least');
SELECT mentalspace.load_jwks('{"keys": [{"kty": "oct", "alg": "HS256", "k": "bm90IGEgc2VjcmV0IGF0IGFsbCBub3QgYSBzZWNyZXQ"}]}');
SELECT mentalspace.revoke_user('00000000-0000-4000-8000-000000000001', 'secret literal');
:show

-- the switch: by whatever way, and not undone by a rollback
SET mentalspace.audit_enabled = off;
SELECT count(*) FROM clients;
SET mentalspace.audit_enabled = on;
BEGIN;
SELECT set_config('mentalspace.audit_enabled', 'off', true);
SELECT count(*) FROM clients;
ROLLBACK;
:show

-- a command that is rolled back, one that fails, and those within functions
BEGIN;
GRANT SELECT ON clients TO clerk;
ROLLBACK;
GRANT SELECT ON clients TO nobody_there;
DO $$ BEGIN GRANT INSERT ON clients TO clerk; BEGIN GRANT UPDATE ON clients TO clerk; RAISE 'no'; EXCEPTION WHEN raise_exception THEN NULL; END; END $$;
:show

-- our triggers: whoever owns the table does not take them away, a superuser is seen doing it
GRANT ALL ON SCHEMA public TO clerk;
ALTER TABLE clients OWNER TO clerk;
SET ROLE clerk;
ALTER TABLE clients DISABLE TRIGGER mentalspace_audit;
ALTER TABLE clients ENABLE TRIGGER mentalspace_audit_truncate;
ALTER TABLE clients DISABLE TRIGGER USER;
ALTER TABLE clients ENABLE TRIGGER ALL;
DROP TRIGGER mentalspace_audit ON clients;
ALTER TRIGGER mentalspace_audit ON clients RENAME TO x;
CREATE OR REPLACE TRIGGER mentalspace_audit AFTER INSERT ON clients FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
ALTER TABLE clients ENABLE ALWAYS TRIGGER mentalspace_audit;
RESET ROLE;
SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'clients'::regclass AND NOT tgisinternal ORDER BY tgname;
:show
ALTER TABLE clients DISABLE TRIGGER mentalspace_audit;
ALTER TABLE clients ENABLE ALWAYS TRIGGER mentalspace_audit;
DROP TRIGGER mentalspace_audit_truncate ON clients;
:show

-- declared once more, without writes, and no longer
SELECT mentalspace.audit_table('clients', 'id', writes => false);
SELECT mentalspace.unaudit_table('clients');
ALTER TABLE clients ADD COLUMN nobody_cares int;
:show

-- tables that go, and their declarations with them
SELECT mentalspace.audit_table('clients', 'id');
CREATE SCHEMA gone;
CREATE TABLE gone.notes (id int PRIMARY KEY, client_id int REFERENCES clients);
SELECT mentalspace.audit_table('gone.notes', 'client_id', category => 'psychotherapy_note');
ALTER TABLE clients SET SCHEMA gone;
BEGIN;
DROP SCHEMA gone CASCADE;
SELECT relation FROM mentalspace.audit_relations;
ROLLBACK;
SELECT relation FROM mentalspace.audit_relations ORDER BY 1;
:show
DROP TABLE visits;
DROP SCHEMA gone CASCADE;
SELECT relation FROM mentalspace.audit_relations ORDER BY 1;
:show

-- the record itself
SELECT mentalspace.audit_make_partitions(3);
ALTER TABLE mentalspace.audit_events DISABLE TRIGGER audit_refuse_change;
ALTER TABLE mentalspace.audit_events ENABLE ALWAYS TRIGGER audit_refuse_change;
DROP POLICY auditors ON mentalspace.audit_events;
CREATE TABLE more_clients (id int PRIMARY KEY);
SELECT mentalspace.audit_table('more_clients', 'id');
SELECT mentalspace.audit_make_partitions(3);
ALTER TABLE mentalspace.audit_events DISABLE TRIGGER audit_refuse_change;
ALTER TABLE mentalspace.audit_events ENABLE ALWAYS TRIGGER audit_refuse_change;
DROP POLICY auditors ON mentalspace.audit_events_default;
INSERT INTO mentalspace.audit_relations SELECT 'more'::regclass, NULL, true, true, '{}', 'phi';
DO $$ DECLARE month text := (SELECT max(relid::text) FROM pg_partition_tree('mentalspace.audit_events') WHERE isleaf AND relid::text ~ '[0-9]$');
BEGIN
    EXECUTE format('ALTER TABLE mentalspace.audit_events DETACH PARTITION %s', month);
    EXECUTE format('DROP TABLE %s', month);
END $$;
SELECT regexp_replace(relation, '[0-9]+$', 'MONTH') AS relation, severity, regexp_replace(detail, '[0-9]+$', 'MONTH') AS detail
  FROM mentalspace.audit_events WHERE relation LIKE 'mentalspace%' OR detail LIKE '%audit_relations%' ORDER BY occurred_at, event_id;
\set VERBOSITY sqlstate
DELETE FROM mentalspace.audit_events;
TRUNCATE mentalspace.audit_events;
SELECT mentalspace.audit_flush();
SELECT kind, outcome, count(*) FROM mentalspace.audit_events WHERE kind = 'denied' AND relation IS NULL GROUP BY 1, 2;
