-- provision() by a NOSUPERUSER role with CREATEROLE for a role of its own that has no such rights: what is advised where
-- BYPASSRLS cannot be given.
CREATE EXTENSION mentalspace;
SET client_min_messages = warning;
CREATE ROLE app_owner;
GRANT app_owner TO CURRENT_USER;
SELECT kind, object, state, split_part(detail, ';', 1) AS detail FROM mentalspace.provision(owner => 'app_owner')
 WHERE kind IN ('row level security', 'membership', 'owner of function', 'check', 'schema') OR kind = 'grant' AND component = 'roles';
SELECT kind, object, state, detail FROM mentalspace.provision(owner => 'app_owner') WHERE state NOT IN ('found', 'skipped');
SELECT c.oid::regclass FROM pg_class c
 WHERE relnamespace::regnamespace::text IN ('auth', 'storage', 'realtime', 'supabase_migrations', 'supabase_functions') AND relowner <> 'app_owner'::regrole;
-- every session of the migrating role works as the owner
SET ROLE app_owner;
CREATE TABLE public.notes (owner uuid REFERENCES auth.users (id), body text);
ALTER TABLE public.notes ENABLE ROW LEVEL SECURITY;
CREATE TABLE public.user_roles (user_id uuid, role text);
INSERT INTO public.user_roles VALUES ('00000000-0000-0000-0000-00000000000a', 'admin');
CREATE FUNCTION public.on_user() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN new; END $$;
CREATE TRIGGER on_user AFTER INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION public.on_user();
CREATE POLICY p ON storage.objects FOR SELECT TO authenticated USING (bucket_id = 'b');
INSERT INTO public.notes VALUES (NULL, 'x');
RESET ROLE;
CREATE ROLE web LOGIN;
GRANT authenticator TO web;
\c - web
SET ROLE service_role;
SELECT count(*) FROM public.notes;
SET ROLE authenticated;
SELECT count(*) FROM public.notes;
SELECT mentalspace.has_role('00000000-0000-0000-0000-00000000000a', 'admin');
RESET ROLE;
-- whatever the login role may take, it may not make roles
SELECT r.rolname FROM pg_roles r WHERE pg_has_role('web', r.oid, 'MEMBER') AND (r.rolcreaterole OR r.rolsuper OR r.rolcreatedb OR r.rolreplication);
