-- auth.uid() replaced in place, where the library is loaded: every such command says what became of it, and a verified
-- identity cannot be forged by what was put there.
CREATE EXTENSION mentalspace;
SELECT auth.uid();
CREATE OR REPLACE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE
    AS $$ select nullif(current_setting('request.jwt.claim.sub', true), '')::uuid; $$;
SET search_path = auth;
CREATE OR REPLACE FUNCTION role() RETURNS text LANGUAGE sql STABLE
    AS $$ select coalesce(nullif(current_setting('request.jwt.claim.role', true), ''),
        (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role'))::text $$;
RESET search_path;
ALTER FUNCTION auth.email() SET search_path = '';
DO $$ BEGIN
    EXECUTE 'CREATE OR REPLACE FUNCTION auth.jwt() RETURNS jsonb LANGUAGE sql AS $f$ SELECT NULL::jsonb $f$';
END $$;
ALTER FUNCTION auth.uid() SET request.jwt.claims = '{"sub": "00000000-0000-4000-8000-00000000000f"}';
SELECT mentalspace.replaced_auth_functions();
-- functions of these names elsewhere are nobody's business
CREATE FUNCTION public.uid() RETURNS int LANGUAGE sql AS 'SELECT 1';
SELECT count(*) FROM mentalspace.provision('{auth}') WHERE kind = 'function' AND object LIKE 'auth.%';

-- Verified: what was put there reads variables, and those show the verified identity.
CREATE OR REPLACE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE
    AS $$ SELECT nullif(current_setting(name, true), '')::uuid FROM (VALUES ('request.jwt.claim.sub'), ('request.jwt.claims')) AS v (name)
           WHERE current_setting(name, true) <> '' LIMIT 1 $$;

\getenv abs_srcdir PG_ABS_SRCDIR
\set tokens :abs_srcdir '/test/lib/tokens.sql'
\set ECHO none
\i :tokens
\set ECHO all
SELECT mentalspace.add_jwt_secret(maker.secret()) IS NOT NULL AS key;
CREATE TABLE notes (owner uuid DEFAULT auth.uid(), note text);
GRANT ALL ON notes TO authenticated;
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON notes USING (owner = auth.uid());
INSERT INTO notes VALUES ('00000000-0000-4000-8000-000000000001', 'of 1'), ('00000000-0000-4000-8000-000000000002', 'of 2');
SET mentalspace.auth_claims_source = 'verified';
BEGIN;
SELECT mentalspace.login(maker.token(1));
SELECT note FROM notes;
SAVEPOINT s;
SELECT set_config('request.jwt.claim.sub', '00000000-0000-4000-8000-000000000002', true);
ROLLBACK TO s;
SET LOCAL request.jwt.claims = '{"sub": "00000000-0000-4000-8000-000000000002"}';
ROLLBACK TO s;
SELECT note FROM notes;
SELECT uid, problem FROM mentalspace.whoami();
COMMIT;
SELECT auth.uid();
