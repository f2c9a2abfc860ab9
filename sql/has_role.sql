-- mentalspace.has_role(): roles of the application.
CREATE EXTENSION mentalspace;
CREATE ROLE app_user;
GRANT app_user TO CURRENT_USER;
GRANT USAGE ON SCHEMA auth TO app_user;
SELECT mentalspace.has_role('00000000-0000-0000-0000-00000000000a', 'admin') AS no_table;

CREATE TYPE public.app_role AS ENUM ('admin', 'therapist');
CREATE TABLE public.user_roles (user_id uuid, role public.app_role);
INSERT INTO public.user_roles VALUES ('00000000-0000-0000-0000-00000000000a', 'admin');
ALTER TABLE public.user_roles ENABLE ROW LEVEL SECURITY;
-- its policy asks has_role(), which reads the table as its own owner: no recursion
CREATE POLICY admins ON public.user_roles USING (mentalspace.has_role('admin'));
GRANT SELECT ON public.user_roles TO app_user;
SELECT u, r, mentalspace.has_role(u::uuid, r)
  FROM unnest(ARRAY['00000000-0000-0000-0000-00000000000a', '00000000-0000-0000-0000-00000000000b', NULL]) AS u,
       unnest(ARRAY['admin', 'therapist', 'no such label', NULL]) AS r ORDER BY 1, 2;

BEGIN;
SET LOCAL ROLE app_user;
SET LOCAL request.jwt.claims = '{"sub": "00000000-0000-0000-0000-00000000000a"}';
SELECT mentalspace.has_role('admin') AS admin, mentalspace.has_role('therapist') AS therapist, count(*) FROM public.user_roles;
SET LOCAL request.jwt.claims = '{"sub": "00000000-0000-0000-0000-00000000000b"}';
SELECT mentalspace.has_role('admin') AS admin, count(*) FROM public.user_roles;
SET LOCAL request.jwt.claims = '';
SELECT mentalspace.has_role('admin') AS nobody;
-- a user cannot name a table of his own
SAVEPOINT s;
SET LOCAL search_path = pg_temp, public;
CREATE TEMP TABLE user_roles AS SELECT '00000000-0000-0000-0000-00000000000b'::uuid AS user_id, 'admin' AS role;
SET LOCAL request.jwt.claims = '{"sub": "00000000-0000-0000-0000-00000000000b"}';
SELECT mentalspace.has_role('admin') AS admin;
-- (only a superuser may set it where the library is loaded)
DO $$ BEGIN PERFORM set_config('mentalspace.rls_role_source', 'pg_temp.user_roles', true); EXCEPTION WHEN insufficient_privilege THEN NULL; END $$;
SELECT mentalspace.has_role('admin') AS admin;
ROLLBACK TO s;
SET LOCAL request.jwt.claims = '{"sub": "00000000-0000-0000-0000-00000000000b"}';
SELECT mentalspace.has_role('admin') AS admin;
ROLLBACK;

-- roles() and has_any_role(): of whoever is signed in, as the table is now
BEGIN;
SET LOCAL ROLE app_user;
SET LOCAL request.jwt.claims = '{"sub": "00000000-0000-0000-0000-00000000000a", "app_metadata": {"roles": ["owner"]}}';
SELECT mentalspace.roles(), mentalspace.has_any_role('{therapist,admin}') AS one, mentalspace.has_any_role('{therapist,NULL}') AS none,
       mentalspace.has_any_role('{}') AS empty, mentalspace.has_any_role(NULL) AS nothing;
SET LOCAL request.jwt.claims = '{"sub": "00000000-0000-0000-0000-00000000000b"}';
SELECT mentalspace.roles(), mentalspace.has_any_role('{therapist,admin}') AS none;
SET LOCAL request.jwt.claims = '';
SELECT mentalspace.roles(), mentalspace.has_any_role('{therapist,admin}') AS none;
COMMIT;
SET request.jwt.claims = '{"sub": "00000000-0000-0000-0000-00000000000a"}';
SELECT mentalspace.roles();
SELECT mentalspace.roles();
INSERT INTO public.user_roles VALUES ('00000000-0000-0000-0000-00000000000a', 'therapist'), ('00000000-0000-0000-0000-00000000000a', NULL);
SELECT mentalspace.roles();
BEGIN;
SELECT mentalspace.has_role('therapist');
DELETE FROM public.user_roles WHERE role = 'therapist';
SELECT mentalspace.has_role('therapist');
SAVEPOINT s;
DELETE FROM public.user_roles;
SELECT mentalspace.roles();
ROLLBACK TO s;
SELECT mentalspace.roles();
ROLLBACK;
SELECT mentalspace.roles();
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT mentalspace.has_role('therapist');
COMMIT;
DELETE FROM public.user_roles WHERE role = 'therapist';
SELECT mentalspace.has_role('therapist');
RESET request.jwt.claims;

-- what is no table of roles is refused
\set SHOW_CONTEXT never
ALTER TABLE public.user_roles RENAME TO other;
CREATE VIEW public.user_roles AS SELECT * FROM public.other;
SELECT mentalspace.has_role('00000000-0000-0000-0000-00000000000b', 'owner');
DROP VIEW public.user_roles;
CREATE TABLE public.user_roles (user_id uuid, role int);
SELECT mentalspace.has_role('00000000-0000-0000-0000-00000000000b', 'owner');
