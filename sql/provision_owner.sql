-- provision() by a NOSUPERUSER role with CREATEROLE that owns the database.
CREATE EXTENSION mentalspace;
SET client_min_messages = warning;
SELECT kind, object, state, detail FROM mentalspace.provision() WHERE component = 'roles' OR kind IN ('database setting', 'owner of function', 'check');
-- nor does service_role pass policies: as a member of this owner it could make roles
CREATE TABLE public.notes (body text);
ALTER TABLE public.notes ENABLE ROW LEVEL SECURITY;
INSERT INTO public.notes VALUES ('x');
CREATE ROLE web LOGIN;
GRANT authenticator TO web;
\c - web
SET ROLE service_role;
SELECT count(*) FROM public.notes;
SET ROLE authenticated;
SELECT count(*) FROM public.notes;
SET ROLE anon;
SELECT count(*) FROM public.notes;
RESET ROLE;
-- the login role has no rights of its own, and cannot provision
SELECT count(*) FROM public.notes;
SET ROLE regress_owner;
SELECT * FROM mentalspace.provision();
\c - regress_owner
-- the administrative roles' objects are within reach
SET ROLE supabase_auth_admin;
RESET ROLE;
CREATE SCHEMA app;
ALTER SCHEMA app OWNER TO supabase_auth_admin;
-- roles that somebody else made are used as they are, with what could not be done said in the row
SELECT object, state FROM mentalspace.provision() WHERE state NOT IN ('found', 'skipped');
