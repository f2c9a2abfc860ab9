-- provision() by a superuser for an owner who is none.
CREATE EXTENSION mentalspace;
SET client_min_messages = warning;
CREATE ROLE intruder;
ALTER DATABASE regression SET session_preload_libraries = 'auto_explain';
ALTER DATABASE regression SET search_path = public, "Other";
SELECT component, kind, object, state, detail FROM mentalspace.provision(owner => 'regress_owner')
 WHERE kind IN ('role', 'row level security', 'membership', 'database setting', 'owner of function', 'default privileges', 'schema', 'check')
    OR kind = 'grant' AND component = 'roles';
SELECT * FROM mentalspace.provision(owner => 'regress_owner') WHERE state IN ('made', 'changed');
SELECT setconfig FROM pg_db_role_setting WHERE setrole = 0;
SELECT c.oid::regclass FROM pg_class c
 WHERE relnamespace::regnamespace::text IN ('auth', 'storage', 'realtime', 'supabase_migrations', 'supabase_functions') AND relowner <> 'regress_owner'::regrole;

-- the owner's migrations
SET SESSION AUTHORIZATION regress_owner;
SET search_path = public, extensions;
CREATE SCHEMA app;
CREATE TABLE public.notes (id uuid PRIMARY KEY DEFAULT uuid_generate_v4(), owner uuid REFERENCES auth.users (id), body text);
ALTER TABLE public.notes ENABLE ROW LEVEL SECURITY;
CREATE FUNCTION public.on_user() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN new; END $$;
CREATE TRIGGER on_user AFTER INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION public.on_user();
CREATE POLICY p ON storage.objects FOR SELECT TO authenticated USING (bucket_id = 'b');
CREATE POLICY p ON realtime.messages FOR SELECT TO authenticated USING (true);
ALTER PUBLICATION supabase_realtime ADD TABLE public.notes;
ALTER SCHEMA app OWNER TO supabase_auth_admin;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO anon;
GRANT USAGE ON SCHEMA auth TO authenticated;
COMMENT ON EXTENSION pgcrypto IS 'by the owner';
INSERT INTO auth.users (id, email) VALUES ('00000000-0000-0000-0000-00000000000a', 'ada@example.invalid');
INSERT INTO public.notes (owner, body) VALUES ('00000000-0000-0000-0000-00000000000a', 'x');
SET ROLE service_role;
SELECT count(*) AS service_role_sees FROM public.notes;
SET ROLE authenticated;
SELECT count(*) AS authenticated_sees FROM public.notes;
RESET ROLE;
-- he cannot provision for a superuser, nor as one
SELECT * FROM mentalspace.provision(owner => 'postgres');
-- what he wrote does not run with a superuser's rights when a superuser provisions again
CREATE TABLE public.who (name name);
CREATE FUNCTION public.tattle() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.who VALUES (current_user); RETURN true; END $$;
ALTER TABLE auth.users DROP COLUMN is_sso_user CASCADE, DROP COLUMN confirmed_at, ADD CONSTRAINT tattle CHECK (public.tattle());
RESET SESSION AUTHORIZATION;
SELECT object, state, detail FROM mentalspace.provision(owner => 'regress_owner') WHERE state = 'changed';
SELECT DISTINCT name FROM public.who;

-- roles belong to the cluster: a member of a service_role that was there would see this database's rows
ALTER ROLE service_role NOBYPASSRLS;
GRANT service_role TO intruder;
ALTER ROLE anon BYPASSRLS;
SELECT kind, object, state, detail FROM mentalspace.provision('{roles}', 'regress_owner')
 WHERE detail LIKE 'WARNING%' OR state NOT IN ('found', 'skipped');
REVOKE service_role FROM intruder;
ALTER ROLE anon NOBYPASSRLS;
SELECT kind, object, state, detail FROM mentalspace.provision('{roles}', 'regress_owner') WHERE state <> 'found';

-- strangers' objects: reported; strangers' schemas: refused
ALTER FUNCTION storage.foldername(text) OWNER TO intruder;
ALTER TABLE auth.instances OWNER TO intruder;
SELECT object, state, detail FROM mentalspace.provision(owner => 'regress_owner') WHERE detail LIKE 'WARNING%';
ALTER SCHEMA realtime OWNER TO intruder;
SELECT object, state, detail FROM mentalspace.provision('{realtime}', 'regress_owner');
