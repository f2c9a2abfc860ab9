-- provision() of a database that comes from Supabase, where other roles own schemas and tables.
CREATE EXTENSION mentalspace;
SET client_min_messages = warning;
CREATE ROLE supabase_admin;
CREATE ROLE supabase_auth_admin NOINHERIT;
ALTER SCHEMA auth OWNER TO supabase_admin;
GRANT ALL ON SCHEMA auth TO supabase_auth_admin;
CREATE TABLE auth.users (id uuid PRIMARY KEY, email varchar(255), is_sso_user boolean DEFAULT false NOT NULL);
CREATE INDEX users_email_partial_key ON auth.users (email);
INSERT INTO auth.users VALUES ('00000000-0000-0000-0000-00000000000a', 'ada@example.invalid');
ALTER TABLE auth.users OWNER TO supabase_auth_admin;
SELECT kind, object, state, left(detail, 60) AS detail FROM mentalspace.provision('{auth}', 'regress_owner') WHERE component = 'auth' AND state = 'changed';
SELECT object, state FROM mentalspace.provision('{auth}', 'regress_owner') WHERE state NOT IN ('found', 'skipped');
-- the owner can go on
SET SESSION AUTHORIZATION regress_owner;
ALTER TABLE auth.users ADD COLUMN nickname text;
CREATE FUNCTION public.on_user() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN new; END $$;
CREATE TRIGGER on_user AFTER INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION public.on_user();
CREATE TABLE public.profiles (id uuid PRIMARY KEY REFERENCES auth.users (id) ON DELETE CASCADE);
INSERT INTO public.profiles SELECT id FROM auth.users;
DELETE FROM auth.users;
SELECT count(*) FROM public.profiles;
