-- What no rollback takes along: commands on declared tables that may have served to read.  And users that cannot erase
-- themselves from the record.
CREATE EXTENSION mentalspace;
\getenv abs_srcdir PG_ABS_SRCDIR
\set tools :abs_srcdir '/test/lib/audit_show.sql'
\i :tools
\set VERBOSITY terse
CREATE TABLE clients (id int PRIMARY KEY, name text);
CREATE TABLE visits (id int, client_id int) PARTITION BY RANGE (id);
CREATE TABLE visits_1 PARTITION OF visits FOR VALUES FROM (0) TO (10);
INSERT INTO clients VALUES (1, 'Ada'), (2, 'Bea');
CREATE FUNCTION leak(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN t; END $$;
CREATE FUNCTION fail(t text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE EXCEPTION 'found %', t; END $$;
SELECT mentalspace.audit_table('clients', 'id'), mentalspace.audit_table('visits', 'client_id');
:skip

-- rolled back
BEGIN;
CREATE INDEX leaky ON clients (leak(name));
ALTER TABLE clients ADD CHECK (leak(name) <> '');
ALTER TABLE clients ALTER name TYPE varchar USING leak(name);
ALTER TABLE clients RENAME TO customers;
CREATE POLICY leaky ON customers USING (leak(name) <> '');
CREATE STATISTICS leaky ON (leak(name)) FROM customers;
ALTER TABLE visits DETACH PARTITION visits_1;
DROP TABLE customers;
ROLLBACK;
:show
BEGIN;
SELECT mentalspace.unaudit_table('clients');
SELECT name FROM clients WHERE id = 1;
ROLLBACK;
:show

-- in part: what is released belongs to what is around it
BEGIN;
SAVEPOINT a;
CREATE INDEX one ON clients (name);
SAVEPOINT b;
CREATE INDEX two ON clients (name);
RELEASE b;
ROLLBACK TO a;
CREATE INDEX three ON clients (name);
COMMIT;
:show
DO $$ BEGIN CREATE INDEX four ON clients (name); PERFORM 1 / 0; EXCEPTION WHEN division_by_zero THEN NULL; END $$;
:show

-- failed
CREATE INDEX ON clients (fail(name));
ALTER TABLE clients ADD CONSTRAINT fails CHECK (fail(name));
:show

-- committed, once
ALTER TABLE clients ADD COLUMN note text;
:show

-- the triggers of the audit belong to nobody else
ALTER TRIGGER mentalspace_audit ON clients DEPENDS ON EXTENSION plpgsql;
ALTER TRIGGER mentalspace_audit_truncate ON clients DEPENDS ON EXTENSION plpgsql;
:show

-- who it was is whom rows are sent to, whatever becomes of the identity meanwhile
SELECT set_config('request.jwt.claims', '{"sub": "00000000-0000-4000-8000-000000000001", "role": "authenticated"}', false) IS NOT NULL;
SELECT name, set_config('request.jwt.claims', '', false), query_to_xml('SELECT 1 FROM clients WHERE id = 2', true, true, '') IS NULL AS x
  FROM clients WHERE id = 1;
SELECT mentalspace.audit_flush();
SELECT DISTINCT user_id, roles, patient_ids FROM mentalspace.audit_events WHERE kind = 'phi_access' ORDER BY patient_ids;
:skip
SELECT set_config('request.jwt.claims', '{"sub": "00000000-0000-4000-8000-000000000001", "role": "authenticated"}', false) IS NOT NULL;
DO $$ BEGIN PERFORM set_config('request.jwt.claims', '{"sub": "00000000-0000-4000-8000-000000000002"}', true); UPDATE clients SET name = 'Cleo'; END $$;
SELECT DISTINCT user_id FROM mentalspace.audit_events WHERE kind = 'data_modification';
-- who logs in within it is whom it goes to
SELECT set_config('request.jwt.claims', '', false) IS NOT NULL;
DO $$ BEGIN PERFORM set_config('request.jwt.claims', '{"sub": "00000000-0000-4000-8000-000000000003"}', true); DELETE FROM clients; END $$;
SELECT DISTINCT user_id FROM mentalspace.audit_events WHERE action = 'D' AND kind = 'data_modification';
