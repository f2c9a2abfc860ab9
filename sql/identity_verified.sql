-- Claims source verified, scopes and mirrors of the verified identity, parallel workers, whoami().  Native alone.
CREATE EXTENSION mentalspace;
\getenv abs_srcdir PG_ABS_SRCDIR
\set tokens :abs_srcdir '/test/lib/tokens.sql'
\set ECHO none
\i :tokens
\set ECHO all
\set SHOW_CONTEXT never
CREATE ROLE anon;
CREATE ROLE authenticated;
CREATE ROLE app LOGIN NOINHERIT IN ROLE anon, authenticated;
GRANT USAGE ON SCHEMA auth TO PUBLIC;
SELECT mentalspace.add_jwt_secret(maker.secret());
SHOW mentalspace.auth_claims_source;
SHOW mentalspace.auth_lock;

-- guc, the default: who sets claims last is believed, and a login counts as setting them
SELECT current_setting('request.jwt.claims', true) IS NULL AS unset;
BEGIN;
SELECT set_config('request.jwt.claims', '{"sub": "00000000-0000-4000-8000-00000000000a"}', true) <> '' AS set;
SELECT auth.uid(), (mentalspace.whoami()).claims_source;
SELECT mentalspace.login(maker.token(1));
SELECT auth.uid(), (mentalspace.whoami()).claims_source, current_setting('request.jwt.claim.sub');
SAVEPOINT a;
SET LOCAL request.jwt.claims = '{"sub": "00000000-0000-4000-8000-00000000000b"}';
SELECT auth.uid(), auth.email(), (mentalspace.whoami()).claims_source, current_setting('request.jwt.claim.sub') AS sub;
SELECT mentalspace.login(maker.token(1));
SELECT auth.uid(), (mentalspace.whoami()).claims_source;
ROLLBACK TO a;
SELECT auth.uid(), (mentalspace.whoami()).claims_source;
SET request.jwt.claim.sub = '00000000-0000-4000-8000-00000000000c';
SELECT auth.uid(), auth.email();
COMMIT;
SELECT auth.uid(), auth.email();
RESET request.jwt.claim.sub;
SELECT auth.uid();
SELECT mentalspace.login(maker.token(1));

-- verified: set for the database; new sessions refuse claims that are set by hand
ALTER DATABASE regression SET mentalspace.auth_claims_source = 'verified';
ALTER DATABASE regression SET mentalspace.auth_leeway = '5min';
ALTER DATABASE regression SET session_preload_libraries = 'mentalspace';
\c - app
SHOW mentalspace.auth_claims_source;
SET request.jwt.claims = '{"sub": "00000000-0000-4000-8000-00000000000a"}';
SET LOCAL request.jwt.claim.sub = '00000000-0000-4000-8000-00000000000a';
SELECT set_config('request.jwt.claims', '{}', true);
SELECT set_config('request.jwt.claim.role', 'service_role', false);
SELECT set_config('request.jwt.claims', '', true);
CREATE FUNCTION pg_temp.f() RETURNS uuid LANGUAGE sql SET request.jwt.claims = '{}' AS 'SELECT auth.uid()';
ALTER ROLE app SET request.jwt.claims = '{}';
SET mentalspace.auth_claims_source = 'guc';
SET mentalspace.auth_lock = 'off';
SET mentalspace.auth_allowed_roles = 'anon, authenticated, service_role';
SET mentalspace.auth_leeway = 600;
SET mentalspace.auth_identity = '1 0 {}';
SELECT set_config('mentalspace.auth_identity', '1 0 {"sub": "00000000-0000-4000-8000-00000000000a"}', false);
SELECT auth.uid(), auth.jwt(), auth.role(), auth.email(), (mentalspace.whoami()).*;
BEGIN;
SELECT mentalspace.login(maker.token(1));
SELECT auth.uid(), auth.jwt() ->> 'sub' AS jwt, auth.role(), auth.email();
SELECT claims_source, uid, role, email, aal, session_id, issuer, expires_at > now() AS later, problem FROM mentalspace.whoami();
SELECT name, current_setting(name) <> '' AS mirrored FROM unnest(ARRAY['request.jwt.claims', 'request.jwt.claim', 'request.jwt.claim.sub',
    'request.jwt.claim.role', 'request.jwt.claim.email', 'request.jwt.claim.aal', 'request.jwt.claim.app_metadata',
    'request.jwt.claim.aud', 'request.jwt.claim.exp', 'request.jwt.claim.iat', 'request.jwt.claim.is_anonymous', 'request.jwt.claim.iss',
    'request.jwt.claim.phone', 'request.jwt.claim.session_id', 'request.jwt.claim.user_metadata']) AS name;
COMMIT;
SELECT auth.uid(), current_user, current_setting('request.jwt.claims') AS claims, (mentalspace.whoami()).problem;
-- outside a transaction block
SELECT mentalspace.login(maker.token(1)), auth.uid();
SELECT auth.uid();
-- nested subtransactions, released and rolled back
BEGIN;
SAVEPOINT a;
SELECT mentalspace.login(maker.token(1));
SAVEPOINT b;
SAVEPOINT c;
SELECT mentalspace.login(maker.token(2));
RELEASE c;
SELECT auth.uid();
ROLLBACK TO b;
SELECT auth.uid();
SELECT mentalspace.login(maker.token(3));
RELEASE b;
SELECT auth.uid(), current_user;
ROLLBACK TO a;
SELECT auth.uid(), current_user;
SELECT mentalspace.login(maker.token(4));
RELEASE a;
SELECT auth.uid(), current_user;
DO $$
BEGIN
    PERFORM mentalspace.login(maker.token(5));
    RAISE NOTICE '%', auth.uid();
    RAISE EXCEPTION 'x';
EXCEPTION WHEN OTHERS THEN
    RAISE NOTICE '%', auth.uid();
END $$;
SELECT auth.uid(), current_user;
PREPARE TRANSACTION 'never';
SELECT auth.uid(), current_user;
-- COMMIT and ROLLBACK in a procedure
DO $$
BEGIN
    PERFORM mentalspace.login(maker.token(6));
    RAISE NOTICE '% %', auth.uid(), current_user;
    COMMIT;
    RAISE NOTICE '% %', auth.uid(), current_user;
    PERFORM mentalspace.login(maker.token(7));
    ROLLBACK;
    RAISE NOTICE '% %', auth.uid(), current_user;
END $$;
BEGIN;
SELECT mentalspace.login(maker.token(8));
COMMIT AND CHAIN;
SELECT auth.uid(), current_user;
COMMIT;
-- a session's token that expires: the session goes on as nobody
SELECT mentalspace.login(maker.token(1, jsonb_build_object('exp', maker.at(-100))), 'session');
SELECT auth.uid(), auth.jwt(), auth.role(), current_setting('request.jwt.claims') AS claims, current_user, (mentalspace.whoami()).problem;
SELECT mentalspace.logout();
SELECT current_user, (mentalspace.whoami()).problem;
-- an API key
BEGIN;
SELECT mentalspace.login(maker.token(1, '{"sub": null, "aud": null, "role": "anon", "iss": "supabase"}'));
SELECT auth.uid(), auth.role(), claims_source, issuer, problem FROM mentalspace.whoami();
COMMIT;

-- SECURITY DEFINER sees the caller's identity, and cannot log in
\c - postgres
CREATE FUNCTION look() RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$ SELECT concat_ws(' ', auth.uid(), auth.role(), current_setting('request.jwt.claim.sub'), current_user) $$;
CREATE FUNCTION enter(token text) RETURNS uuid LANGUAGE sql SECURITY DEFINER AS 'SELECT mentalspace.login($1)';
CREATE FUNCTION enter_as(token text) RETURNS uuid LANGUAGE sql SET role = anon AS 'SELECT mentalspace.login($1)';
-- Parallel workers
CREATE TABLE many AS SELECT i, ('00000000-0000-4000-8000-' || lpad((i % 10)::text, 12, '0'))::uuid AS owner FROM generate_series(1, 20000) AS i;
ALTER TABLE many ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON many USING (owner = auth.uid() AND auth.role() = 'authenticated'
    AND owner::text = current_setting('request.jwt.claim.sub') AND auth.jwt() ->> 'aal' = 'aal1');
GRANT SELECT ON many TO authenticated, app;
ANALYZE many;
CREATE FUNCTION in_worker() RETURNS boolean LANGUAGE plpgsql PARALLEL SAFE
    AS $$ BEGIN RETURN pg_backend_pid() <> current_setting('test.leader')::int; END $$;
SHOW mentalspace.auth_identity;
\c - app
BEGIN;
SELECT mentalspace.login(maker.token(1));
SELECT look();
SELECT maker.try(format('SELECT enter(%L)', maker.token(2)));
SELECT maker.try(format('SELECT enter_as(%L)', maker.token(2)));
ROLLBACK;
SELECT maker.try(format('SELECT enter_as(%L)', maker.token(2)));
SELECT auth.uid(), current_user;
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
SELECT set_config('test.leader', pg_backend_pid()::text, false) <> '' AS leader;
SET parallel_leader_participation = off;
BEGIN;
SELECT count(*) FROM many;
SELECT mentalspace.login(maker.token(1));
SELECT count(*), min(owner::text), max(owner::text) FROM many WHERE in_worker();
SAVEPOINT a;
SELECT mentalspace.login(maker.token(2));
SELECT count(*), min(owner::text), max(owner::text) FROM many;
ROLLBACK TO a;
SELECT count(*), min(owner::text), max(owner::text) FROM many;
COMMIT;
SELECT count(*) FROM many;
SELECT mentalspace.login(maker.token(3), 'session');
SELECT count(*), min(owner::text), max(owner::text) FROM many;
SELECT count(*), min(owner::text), max(owner::text) FROM many;
SELECT mentalspace.logout();
SELECT mentalspace.login(maker.token(4, jsonb_build_object('exp', maker.at(-100))), 'session');
SELECT count(*), current_user FROM many;

-- claims source guc: a login reaches the workers as well
\c - postgres
ALTER DATABASE regression SET mentalspace.auth_claims_source = 'guc';
\c - app
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
SET parallel_leader_participation = off;
SELECT set_config('test.leader', pg_backend_pid()::text, false) <> '' AS leader;
BEGIN;
SELECT mentalspace.login(maker.token(1));
SELECT count(*), min(owner::text), max(owner::text) FROM many WHERE in_worker();
COMMIT;

-- a role that is allowed, and that the login role is not a member of; one that is no longer allowed
\c - postgres
CREATE ROLE staff;
ALTER DATABASE regression SET mentalspace.auth_allowed_roles = 'anon, staff';
\c - app
SELECT maker.try(format('SELECT mentalspace.login(%L)', maker.token(1, '{"role": "staff"}')));
SELECT maker.try(format('SELECT mentalspace.login(%L)', maker.token(1)));
\c - postgres
GRANT staff TO app;
\c - app
BEGIN;
SELECT mentalspace.login(maker.token(1, '{"role": "staff"}'));
SELECT current_user, auth.role();
COMMIT;
