-- The lock: SQL that tries to change role or identity after login().  Native alone.
CREATE EXTENSION mentalspace;
\getenv abs_srcdir PG_ABS_SRCDIR
\set tokens :abs_srcdir '/test/lib/tokens.sql'
\set ECHO none
\i :tokens
\set ECHO all
\set SHOW_CONTEXT never
CREATE ROLE anon;
CREATE ROLE authenticated;
CREATE ROLE service_role BYPASSRLS;
-- The worst case: a login role that is a member of everything.
CREATE ROLE app LOGIN NOINHERIT IN ROLE anon, authenticated, service_role;
GRANT USAGE ON SCHEMA auth TO PUBLIC;
GRANT CREATE ON SCHEMA public TO authenticated;
SELECT mentalspace.add_jwt_secret(maker.secret());

-- Functions that were there before, made without the lock.
CREATE FUNCTION as_service() RETURNS name LANGUAGE sql SET role = 'service_role' AS 'SELECT current_user';
CREATE FUNCTION as_other() RETURNS uuid LANGUAGE sql SET request.jwt.claims = '{"sub": "00000000-0000-4000-8000-00000000000f"}'
    AS 'SELECT auth.uid()';
CREATE FUNCTION unlock() RETURNS text LANGUAGE sql SECURITY DEFINER AS $$ SELECT set_config('mentalspace.auth_lock', 'off', true) $$;
CREATE FUNCTION believe() RETURNS text LANGUAGE sql SECURITY DEFINER AS $$ SELECT set_config('mentalspace.auth_claims_source', 'guc', true) $$;
CREATE FUNCTION allow() RETURNS text LANGUAGE sql SECURITY DEFINER AS $$ SELECT set_config('mentalspace.auth_allowed_roles', 'service_role', true) $$;
CREATE FUNCTION carry() RETURNS text LANGUAGE sql SECURITY DEFINER AS $$ SELECT set_config('mentalspace.auth_identity', '9 0 {"sub": "00000000-0000-4000-8000-00000000000f"}', true) $$;
CREATE FUNCTION run_as_owner(statement text) RETURNS text LANGUAGE plpgsql SECURITY DEFINER
    AS $$ BEGIN EXECUTE statement; RETURN 'done'; END $$;
CREATE FUNCTION limited() RETURNS text LANGUAGE sql SET search_path = public SET work_mem = '1MB'
    AS $$ SELECT current_setting('work_mem') || ' ' || auth.uid() $$;
CREATE FUNCTION who_called() RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$ SELECT auth.uid() || ' by ' || current_user $$;
CREATE TABLE notes (owner uuid DEFAULT auth.uid(), body text);
INSERT INTO notes VALUES ('00000000-0000-4000-8000-000000000001', 'hers'), ('00000000-0000-4000-8000-000000000002', 'his');
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON notes USING (owner = auth.uid());
GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO authenticated, service_role;

CREATE TABLE attempt (n int GENERATED ALWAYS AS IDENTITY, statement text, why text);
GRANT SELECT ON attempt TO PUBLIC;
INSERT INTO attempt (statement, why) VALUES
    ('SET ROLE service_role', 'the role that bypasses policies'),
    ('SET ROLE authenticated', 'even the role that it has: nothing to gain, one rule'),
    ('SET SESSION ROLE anon', 'beyond the transaction'),
    ('SET LOCAL ROLE service_role', 'for the transaction'),
    ('SET ROLE none', 'back to the login role'),
    ('SET "role" = ''service_role''', 'as any variable'),
    ('SET role TO DEFAULT', 'a reset in other words'),
    ('RESET ROLE', 'no check hook sees a reset'),
    ('SET SESSION AUTHORIZATION postgres', 'the session''s own identity'),
    ('SET SESSION AUTHORIZATION app', 'forgets the role on the way'),
    ('SET LOCAL SESSION AUTHORIZATION DEFAULT', 'forgets the role on the way'),
    ('RESET SESSION AUTHORIZATION', 'forgets the role on the way'),
    ('SELECT set_config(''role'', ''service_role'', true)', 'the function behind SET'),
    ('SELECT set_config(''role'', ''service_role'', false)', 'beyond the transaction'),
    ('SELECT set_config(''ROLE'', ''none'', true)', 'names of variables ignore case'),
    ('SELECT set_config(''role'', NULL, true)', 'a reset through the function'),
    ('SELECT set_config(''session_authorization'', ''app'', true)', 'forgets the role on the way'),
    ('SELECT set_config(''session_authorization'', NULL, false)', 'a reset through the function'),
    ('SELECT pg_catalog.set_config(x, y, z) FROM (VALUES (''role'', ''service_role'', true)) AS v(x, y, z)', 'arguments known only when it runs'),
    ('WITH a AS MATERIALIZED (SELECT set_config(''role'', ''none'', true)) SELECT * FROM a', 'in a CTE'),
    ('SELECT 1 ORDER BY set_config(''role'', ''none'', true)', 'in a sort key'),
    ('SELECT count(*) FROM attempt WHERE set_config(''role'', ''none'', true) IS NULL', 'in a condition'),
    ('EXPLAIN ANALYZE SELECT set_config(''role'', ''none'', true)', 'under EXPLAIN'),
    ('CREATE TEMP TABLE t AS SELECT set_config(''role'', ''none'', true)', 'under CREATE TABLE AS'),
    ('INSERT INTO notes (body) VALUES (set_config(''role'', ''none'', true))', 'in a row that is written'),
    ('SET request.jwt.claims = ''{"sub": "00000000-0000-4000-8000-000000000002"}''', 'another user''s claims'),
    ('SET LOCAL request.jwt.claims = ''{}''', 'nobody''s claims'),
    ('SET request.jwt.claim.sub = ''00000000-0000-4000-8000-000000000002''', 'the legacy variable'),
    ('SELECT set_config(''request.jwt.claims'', ''{"role": "service_role"}'', true)', 'claims by the function'),
    ('SELECT set_config(''request.jwt.claim'', ''{}'', false)', 'the singular legacy variable'),
    ('SELECT set_config(''request.jwt.claim.role'', ''service_role'', true)', 'the role that policies ask for'),
    ('SELECT set_config(''request.jwt.claim.email'', ''boss@example.org'', true)', 'the address that policies ask for'),
    ('RESET request.jwt.claims', 'a reset'),
    ('SET request.jwt.claim.sub TO DEFAULT', 'a reset in other words'),
    ('RESET ALL', 'all resets at once'),
    ('DISCARD ALL', 'gives up the session''s state'),
    ('DISCARD PLANS', 'no part of it either'),
    ('DO $d$ BEGIN SET LOCAL ROLE service_role; END $d$', 'a DO block'),
    ('DO $d$ BEGIN EXECUTE ''RESET ROLE''; END $d$', 'dynamic SQL'),
    ('DO $d$ BEGIN PERFORM set_config(''role'', NULL, false); EXCEPTION WHEN division_by_zero THEN NULL; END $d$', 'in a subtransaction'),
    ('CREATE FUNCTION pg_temp.f() RETURNS name LANGUAGE sql SET role = ''service_role'' AS ''SELECT current_user''', 'a function with a SET clause, new'),
    ('CREATE FUNCTION pg_temp.f() RETURNS name LANGUAGE sql SET role FROM CURRENT AS ''SELECT current_user''', 'the same from the present role'),
    ('CREATE FUNCTION pg_temp.f() RETURNS uuid LANGUAGE sql SET request.jwt.claims = ''{}'' AS ''SELECT auth.uid()''', 'a function that brings claims, new'),
    ('SELECT as_service()', 'a function with a SET clause, old'),
    ('SELECT as_other()', 'a function that brings claims, old'),
    ('ALTER ROLE authenticated SET role = ''service_role''', 'for later sessions'),
    ('ALTER ROLE app SET request.jwt.claims = ''{}''', 'for later sessions'),
    ('ALTER ROLE ALL IN DATABASE regression SET role = ''service_role''', 'for everybody''s later sessions'),
    ('ALTER DATABASE regression SET request.jwt.claims = ''{}''', 'for everybody''s later sessions'),
    ('PREPARE p AS SELECT set_config(''role'', $1, true); EXECUTE p(''service_role'')', 'a prepared statement'),
    ('DECLARE c CURSOR FOR SELECT set_config(''role'', ''none'', true); FETCH c', 'a cursor'),
    ('SELECT query_to_xml(''SET ROLE none'', false, false, '''')', 'SQL run by a core function'),
    ('SELECT query_to_xml(''SELECT set_config($$role$$, NULL, true)'', false, false, '''')', 'a query run by a core function'),
    ('SET mentalspace.auth_lock = off', 'the lock itself'),
    ('SET LOCAL mentalspace.auth_claims_source = guc', 'what claims are worth'),
    ('SET mentalspace.auth_identity = ''9 0 {}''', 'the carrier to parallel workers'),
    ('SELECT unlock()', 'the lock itself, with a superuser''s rights'),
    ('SELECT believe()', 'what claims are worth, with a superuser''s rights'),
    ('SELECT allow()', 'the roles that login() may take, with a superuser''s rights'),
    ('SELECT carry()', 'the carrier, with a superuser''s rights'),
    ('SELECT run_as_owner(''SET ROLE service_role'')', 'an injection into a SECURITY DEFINER function'),
    ('SELECT run_as_owner(''RESET ROLE'')', 'the same, a reset'),
    ('SELECT run_as_owner(''SELECT set_config($$request.jwt.claims$$, $${}$$, true)'')', 'the same, claims'),
    ('SELECT run_as_owner(''SET SESSION AUTHORIZATION app'')', 'the same, the session'),
    ('SELECT mentalspace.logout()', 'the login role has more rights'),
    ('SELECT mentalspace.login(''e30.e30.e30'')', 'a token of its own making'),
    ('SELECT mentalspace.login(maker.sign(''{"alg":"none"}'', ''{"role":"service_role"}'', ''''))', 'an unsigned token'),
    ('SELECT mentalspace.login(maker.token(2, ''{"role": "service_role"}''))', 'a genuine token of a role that is not allowed'),
    ('GRANT service_role TO authenticated', 'membership'),
    ('COMMIT', 'within a function there is no COMMIT'),
    ('ROLLBACK', 'nor a ROLLBACK');

ALTER DATABASE regression SET session_preload_libraries = 'mentalspace';
ALTER DATABASE regression SET mentalspace.auth_claims_source = 'verified';
-- for the list of attempts; what is refused without it is in identity_session
ALTER DATABASE regression SET mentalspace.auth_temporary_objects = on;
\c - app
BEGIN;
SELECT mentalspace.login(maker.token(1));
-- what was tried, how it was refused, and that nothing changed
\set ECHO none
CREATE FUNCTION pg_temp.attempts() RETURNS TABLE (n int, statement text, result text, kept boolean) LANGUAGE plpgsql
    AS $$
BEGIN
    FOR n, statement IN SELECT a.n, a.statement FROM attempt AS a ORDER BY a.n LOOP
        result := maker.try(statement);
        kept := auth.uid() = '00000000-0000-4000-8000-000000000001' AND current_user = 'authenticated' AND session_user = 'app'
            AND auth.role() = 'authenticated' AND current_setting('request.jwt.claim.sub') = auth.uid()::text;
        RETURN NEXT;
    END LOOP;
END
$$;
\set ECHO all
CREATE TEMP TABLE results AS SELECT * FROM pg_temp.attempts();
SELECT t.n, left(t.result, 5) AS sqlstate, t.kept, a.why, t.statement FROM results AS t JOIN attempt AS a USING (n) ORDER BY n;
SELECT n, result FROM results WHERE result !~ '^(42501|28000|0A000) ' OR NOT kept;
-- one that is no error, and does nothing
UPDATE pg_settings SET setting = 'service_role' WHERE name = 'role';
SELECT set_config('request.jwt.claims', NULL, true) LIKE '%000000000001%' AS mirror_stays;
SELECT auth.uid(), current_user;

-- what works as ever
INSERT INTO notes (body) VALUES ('new');
UPDATE notes SET body = 'changed' WHERE body = 'new';
SELECT * FROM notes ORDER BY body;
DELETE FROM notes WHERE body = 'changed';
SAVEPOINT s;
SELECT 1 / 0;
ROLLBACK TO s;
SET LOCAL search_path = public;
SET LOCAL statement_timeout = '1min';
SELECT set_config('app.theme', 'dark', true);
SELECT limited(), who_called();
PREPARE q AS SELECT count(*) FROM notes WHERE owner = $1;
EXECUTE q('00000000-0000-4000-8000-000000000002');
DECLARE c CURSOR FOR SELECT body FROM notes;
FETCH c;
CREATE TEMP TABLE scratch AS SELECT auth.uid() AS me;
DO $$ BEGIN PERFORM count(*) FROM notes; END $$;
EXPLAIN (COSTS off, SUMMARY off) SELECT 1;
LOCK TABLE notes IN ACCESS SHARE MODE;
SET CONSTRAINTS ALL IMMEDIATE;
SELECT mentalspace.login(maker.token(2));
SELECT * FROM notes;
COMMIT;
-- the transaction is over, and with it the lock
SELECT current_user, auth.uid();
SET ROLE anon;
RESET ROLE;
SET ROLE service_role;
SELECT count(*) FROM notes;
RESET ROLE;
DISCARD ALL;

-- a session's login is locked as long as it lasts; DISCARD ALL and logout() end it
SELECT mentalspace.login(maker.token(1), 'session');
RESET ROLE;
SET request.jwt.claims = '{}';
RESET ALL;
SELECT auth.uid(), current_user;
BEGIN;
SELECT mentalspace.logout();
ROLLBACK;
SELECT mentalspace.logout();
SELECT auth.uid(), current_user;

-- always: not even between transactions
\c - postgres
ALTER ROLE app IN DATABASE regression SET mentalspace.auth_lock = 'always';
\c - app
SHOW mentalspace.auth_lock;
SET ROLE service_role;
SELECT set_config('role', 'service_role', false);
SELECT set_config('role', NULL, false);
RESET ROLE;
SET SESSION AUTHORIZATION app;
RESET SESSION AUTHORIZATION;
SET request.jwt.claims = '{}';
BEGIN; SET LOCAL ROLE anon; ROLLBACK;
SELECT as_service();
ALTER ROLE app SET role = 'service_role';
ALTER ROLE app RESET mentalspace.auth_lock;
ALTER ROLE app IN DATABASE regression RESET mentalspace.auth_lock;
ALTER ROLE app IN DATABASE regression RESET ALL;
SELECT array_length(setconfig, 1) FROM pg_db_role_setting WHERE setrole = 'app'::regrole;
SET mentalspace.auth_lock = 'off';
SELECT count(*) FROM notes;
BEGIN;
SELECT mentalspace.login(maker.token(1));
SELECT body FROM notes;
-- the injected part
COMMIT\; BEGIN\; SET ROLE service_role;
ROLLBACK;
BEGIN\; SELECT mentalspace.login(maker.token(1))\; ROLLBACK\; SET ROLE service_role\; SELECT count(*) FROM notes;
SELECT current_user, auth.uid();
BEGIN;
SAVEPOINT before;
SELECT mentalspace.login(maker.token(1));
ROLLBACK TO before;
SET LOCAL ROLE service_role;
ROLLBACK;
-- a pooler may still clean up; a login for the session would be the next client's
RESET ALL;
DISCARD ALL;
SELECT mentalspace.login(maker.token(2), 'session');
SELECT body FROM notes;
DISCARD ALL;
SELECT current_user, auth.uid();
-- always where claims are believed as they come: then they do not come by hand either
\c - postgres
ALTER ROLE app IN DATABASE regression SET mentalspace.auth_claims_source = 'guc';
\c - app
SET request.jwt.claims = '{"sub": "00000000-0000-4000-8000-000000000002"}';
SELECT auth.uid();
-- a superuser can turn it off again
\c - postgres
SET mentalspace.auth_lock = 'always';
SET ROLE anon;
SET mentalspace.auth_lock = 'auto';
SET ROLE anon;
RESET ROLE;
-- a session does not begin with a role
ALTER ROLE app SET role = 'service_role';
\set QUIET on
\! psql -X -U app -d regression -c 'SELECT current_user' 2>&1 | sed 's/^psql: error: connection to server on socket ".*" failed: //'
