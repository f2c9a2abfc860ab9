-- What the owner of an audited table can define runs with their rights, or with none: never with those of the extension's
-- owner, who may read the keys that tokens are verified with.  The tables belong to another role than the extension.
\set VERBOSITY terse
SET client_min_messages = error;
CREATE EXTENSION mentalspace;
CREATE ROLE planter LOGIN;
GRANT planter TO CURRENT_USER;
CREATE SCHEMA garden AUTHORIZATION planter;
GRANT CREATE ON SCHEMA public TO planter;
CREATE ROLE authenticated;
GRANT authenticated TO CURRENT_USER;
-- Where the planted code says whose rights it has.  It raises nothing, so that the statement goes on.
CREATE FUNCTION garden_owner() RETURNS text LANGUAGE sql AS $$ SELECT pg_get_userbyid(extowner) FROM pg_extension WHERE extname = 'mentalspace' $$;
SELECT current_user = garden_owner() AS extension_is_mine;

SET ROLE planter;
CREATE TABLE garden.seen (place text, role text);
GRANT USAGE ON SCHEMA garden TO PUBLIC;
GRANT INSERT ON garden.seen TO PUBLIC;
CREATE FUNCTION garden.plant(place text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO garden.seen VALUES (place, current_user);
    RETURN true;
END $$;
-- Immutable, so that it runs while a plan is made.
CREATE FUNCTION garden.plant_early(place text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    PERFORM set_config('garden.role', current_setting('garden.role', true) || ' ' || place || '=' || current_user, false);
    RETURN true;
END $$;
CREATE TYPE garden.mood AS ENUM ('fine', 'bad');
CREATE FUNCTION garden.mood_json(garden.mood) RETURNS json LANGUAGE plpgsql AS $$ BEGIN PERFORM garden.plant('cast to json'); RETURN '1'; END $$;
CREATE FUNCTION garden.mood_text(garden.mood) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM garden.plant('cast to text'); RETURN 'x'; END $$;
CREATE CAST (garden.mood AS json) WITH FUNCTION garden.mood_json(garden.mood);
CREATE CAST (garden.mood AS text) WITH FUNCTION garden.mood_text(garden.mood) AS IMPLICIT;
CREATE TYPE garden.pair AS (a garden.mood, b int);
CREATE FUNCTION garden.pair_json(garden.pair) RETURNS json LANGUAGE plpgsql AS $$ BEGIN PERFORM garden.plant('cast of a row to json'); RETURN '1'; END $$;
CREATE CAST (garden.pair AS json) WITH FUNCTION garden.pair_json(garden.pair);
CREATE FUNCTION garden.checked(int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RETURN garden.plant('domain'); END $$;
CREATE DOMAIN garden.small AS int CHECK (garden.checked(VALUE));
CREATE FUNCTION garden.same(garden.mood, garden.mood) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RETURN garden.plant('operator'); END $$;
CREATE OPERATOR garden.= (LEFTARG = garden.mood, RIGHTARG = garden.mood, FUNCTION = garden.same);
CREATE TABLE garden.clients (id garden.small PRIMARY KEY, mood garden.mood, pair garden.pair, moods garden.mood[],
    patient int DEFAULT (garden.plant('default'))::int, made int GENERATED ALWAYS AS (patient + 1) STORED);
CREATE TABLE garden.notes (id int PRIMARY KEY, client_id garden.small REFERENCES garden.clients ON DELETE CASCADE, m garden.mood);
CREATE INDEX ON garden.clients ((garden.plant_early('index expression'))) WHERE garden.plant_early('index predicate');
ALTER TABLE garden.clients ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY p ON garden.clients USING (garden.plant('policy')) WITH CHECK (garden.plant('policy'));
ALTER TABLE garden.notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON garden.notes USING (garden.plant('policy'));
RESET ROLE;

SELECT mentalspace.audit_table('garden.clients', 'patient', redact => '{moods}');
SELECT mentalspace.audit_table('garden.notes', 'client_id->clients.patient');

SET ROLE planter;
INSERT INTO garden.clients (id, mood, pair, moods, patient) VALUES (1, 'fine', ('bad', 1), '{fine,bad}', 7), (2, 'bad', NULL, NULL, 8);
INSERT INTO garden.notes VALUES (1, 1, 'fine'), (2, 2, NULL), (3, 1, 'bad');
UPDATE garden.clients SET mood = 'bad', pair = ('fine', 2), moods = '{bad}' WHERE id = 1;
UPDATE garden.notes SET client_id = 2 WHERE id = 3;
-- planted after the declaration
ALTER TABLE garden.notes ADD COLUMN late garden.pair;
UPDATE garden.notes SET late = ('fine', 3) WHERE id = 2;
DELETE FROM garden.clients WHERE id = 1;
TRUNCATE garden.notes;
RESET ROLE;
CREATE FUNCTION masked(jsonb) RETURNS text LANGUAGE sql AS $$ SELECT regexp_replace($1::text, 'sha256:[0-9a-f]*', 'digest', 'g') $$;
SELECT action, relation, row_key, patient_ids AS patients, severity, masked(changes) AS changes, masked(row_image) AS image,
       row_digest IS NOT NULL AS digest, row_count AS rows
  FROM mentalspace.audit_events WHERE kind = 'data_modification' ORDER BY transaction_id::text::bigint, relation, row_key;
-- The table of roles, and the users that login() enters.
SET ROLE planter;
CREATE TABLE public.user_roles (user_id uuid, role text);
INSERT INTO public.user_roles VALUES ('00000000-0000-4000-8000-000000000001', 'therapist');
ALTER TABLE public.user_roles ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY p ON public.user_roles USING (garden.plant('policy on roles'));
RESET ROLE;
SELECT mentalspace.roles_of('00000000-0000-4000-8000-000000000001');
\getenv abs_srcdir PG_ABS_SRCDIR
\set tokens :abs_srcdir '/test/lib/tokens.sql'
\set ECHO none
\i :tokens
\set ECHO all
SELECT count(*) > 0 AS provisioned FROM mentalspace.provision(ARRAY['auth'], owner => 'planter');
SELECT mentalspace.add_jwt_secret(maker.secret());
INSERT INTO mentalspace.auth_settings VALUES ('auth_sync_users', 'on');
SET ROLE planter;
CREATE FUNCTION garden.new_user() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM garden.plant('trigger on auth.users'); RETURN new; END $$;
CREATE TRIGGER new_user AFTER INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION garden.new_user();
RESET ROLE;
SELECT mentalspace.roles_of('00000000-0000-4000-8000-000000000001');
BEGIN;
SELECT mentalspace.login(maker.token(1));
COMMIT;
-- Whose rights the planted code had.
SELECT place, role, count(*) > 0 AS ran FROM garden.seen GROUP BY 1, 2 ORDER BY 1, 2;
SELECT count(*) AS as_the_extension FROM garden.seen WHERE role = garden_owner();
SELECT string_agg(DISTINCT split_part(s, '=', 2), ', ') AS early FROM regexp_split_to_table(current_setting('garden.role', true), ' ') AS s WHERE s <> '';
-- What mentalspace_lookup may do.
SELECT has_table_privilege('mentalspace_lookup', 'garden.clients', 'SELECT') AS all_columns,
       has_column_privilege('mentalspace_lookup', 'garden.clients', 'patient', 'SELECT') AS patient,
       has_schema_privilege('mentalspace_lookup', 'mentalspace', 'CREATE') AS creates;
SELECT relation, triggers, resolves, problem FROM mentalspace.audit_tables();
