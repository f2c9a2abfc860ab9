-- mentalspace.rls_role_source: another table of roles.  Only a superuser may set it, for the database.
CREATE EXTENSION mentalspace;
CREATE SCHEMA app;
CREATE TABLE app.members (user_id uuid, role text);
INSERT INTO app.members VALUES ('00000000-0000-0000-0000-00000000000b', 'owner');
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET mentalspace.rls_role_source = %L', current_database(), 'app.members'); END $$;
SELECT mentalspace.role_source(), mentalspace.has_role('00000000-0000-0000-0000-00000000000b', 'owner') AS owner,
       mentalspace.has_role('00000000-0000-0000-0000-00000000000a', 'admin') AS admin;
-- what is no table of roles is refused
ALTER TABLE app.members ALTER user_id TYPE text;
SELECT mentalspace.has_role('00000000-0000-0000-0000-00000000000b', 'owner');
ALTER TABLE app.members ALTER user_id TYPE uuid USING user_id::uuid, ALTER role TYPE int USING 1;
SELECT mentalspace.has_role('00000000-0000-0000-0000-00000000000b', 'owner');
DROP TABLE app.members;
CREATE VIEW app.members AS SELECT '00000000-0000-0000-0000-00000000000b'::uuid AS user_id, 'owner'::text AS role;
SELECT mentalspace.has_role('00000000-0000-0000-0000-00000000000b', 'owner');
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET mentalspace.rls_role_source = %L', current_database(), 'app.gone'); END $$;
SELECT mentalspace.has_role('00000000-0000-0000-0000-00000000000b', 'owner') AS gone;

-- roles from claims, alone and with a table
CREATE TABLE app.roles (user_id uuid, role text);
INSERT INTO app.roles VALUES ('00000000-0000-0000-0000-00000000000a', 'admin');
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET mentalspace.rls_role_source = %L', current_database(), 'claim:app_metadata.roles'); END $$;
SET request.jwt.claims = '{"sub": "00000000-0000-0000-0000-00000000000a", "app_metadata": {"roles": ["editor", 7, null, "viewer"], "role": "solo"}}';
SELECT mentalspace.role_sources(), mentalspace.role_source(), mentalspace.roles();
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET mentalspace.rls_role_source = %L', current_database(), 'app.roles, claim:app_metadata.roles,claim:app_metadata.role'); END $$;
SELECT mentalspace.role_sources(), mentalspace.role_source(), mentalspace.roles();
-- claims are nobody else's
SELECT mentalspace.has_role('viewer') AS mine, mentalspace.has_role('00000000-0000-0000-0000-00000000000b', 'viewer') AS others;
SET request.jwt.claims = '{"sub": "00000000-0000-0000-0000-00000000000b", "app_metadata": {"roles": {"viewer": true}}}';
SELECT mentalspace.roles(), mentalspace.has_role('00000000-0000-0000-0000-00000000000a', 'admin') AS admin;
-- what users can write themselves is no source
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET mentalspace.rls_role_source = %L', current_database(), 'claim:user_metadata.roles'); END $$;
SELECT mentalspace.roles();
RESET request.jwt.claims;
-- a temporary table neither
CREATE TEMP TABLE mine (user_id uuid, role text);
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET mentalspace.rls_role_source = %L', current_database(), 'mine'); END $$;
SELECT mentalspace.has_role('00000000-0000-0000-0000-00000000000b', 'owner');

-- a table whose owner is no superuser is not read with a superuser's rights: whoever owns it could run code so
CREATE TABLE public.user_roles (user_id uuid, role text);
INSERT INTO public.user_roles VALUES ('00000000-0000-0000-0000-00000000000a', 'admin');
ALTER TABLE public.user_roles OWNER TO regress_owner;
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I RESET mentalspace.rls_role_source', current_database()); END $$;
SELECT mentalspace.has_role('00000000-0000-0000-0000-00000000000a', 'admin');
-- provisioning for that owner gives him the function
SELECT object, state, detail FROM mentalspace.provision('{auth}', 'regress_owner') WHERE kind = 'owner of function';
SELECT mentalspace.has_role('00000000-0000-0000-0000-00000000000a', 'admin');
SELECT object, state, detail FROM mentalspace.provision('{auth}', 'regress_owner') WHERE kind = 'owner of function';
SELECT has_schema_privilege('regress_owner', 'mentalspace', 'CREATE') AS may_create;
