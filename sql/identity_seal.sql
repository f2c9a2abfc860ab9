-- An identity that SQL cannot forge, without a library: auth_claims_source = verified.  Trusted alone.
CREATE EXTENSION mentalspace;
SELECT current_user AS regress_user \gset
\getenv abs_srcdir PG_ABS_SRCDIR
\set tokens :abs_srcdir '/test/lib/tokens.sql'
\set ECHO none
\i :tokens
\set ECHO all
\set SHOW_CONTEXT never
CREATE ROLE anon;
CREATE ROLE authenticated;
CREATE ROLE edge LOGIN;
GRANT anon, authenticated TO edge;
GRANT pg_read_all_data TO edge;
SELECT mentalspace.add_jwt_secret(maker.secret());
INSERT INTO mentalspace.auth_settings VALUES ('auth_claims_source', 'perhaps');
INSERT INTO mentalspace.auth_settings VALUES ('auth_claims_source', 'verified');
CREATE TABLE notes (owner uuid, body text);
INSERT INTO notes SELECT ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 'note of ' || n FROM generate_series(1, 3) AS n;
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON notes USING (owner = auth.uid());
CREATE POLICY staff ON notes USING (auth.jwt() ->> 'aal' = 'aal2' AND auth.role() = 'authenticated');
GRANT SELECT ON notes TO authenticated;
GRANT CREATE ON SCHEMA public TO authenticated;
GRANT USAGE ON SCHEMA auth TO PUBLIC;
CREATE FUNCTION victim() RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT '00000000-0000-4000-8000-000000000001' $$;

\c - edge
-- an honest request
BEGIN;
SELECT mentalspace.login(maker.token(2));
SELECT auth.uid(), auth.role(), auth.email(), auth.jwt() ->> 'aal' AS aal, body FROM notes;
SELECT claims_source, uid, problem FROM mentalspace.whoami();
COMMIT;
-- nobody is signed in between
SELECT auth.uid(), auth.jwt(), auth.role();
SELECT claims_source, uid, problem FROM mentalspace.whoami();
SELECT mentalspace.login(maker.token(2), 'session');

-- variables set by hand, in every form
BEGIN;
SELECT set_config('request.jwt.claims', json_build_object('sub', victim(), 'role', 'authenticated', 'aal', 'aal2')::text, true) IS NOT NULL AS set;
SET LOCAL ROLE authenticated;
SELECT claims_source, uid, problem FROM mentalspace.whoami();
SAVEPOINT s;
SELECT auth.uid();
ROLLBACK TO s;
SELECT auth.jwt();
ROLLBACK TO s;
SELECT * FROM notes;
ROLLBACK;
BEGIN;
SELECT set_config('request.jwt.claim.sub', victim(), true) IS NOT NULL AS set;
SAVEPOINT s;
SELECT auth.uid();
ROLLBACK TO s;
SELECT auth.role();
ROLLBACK;
-- after a login: another user's sub, another's claims, and back
BEGIN;
SELECT mentalspace.login(maker.token(2));
SAVEPOINT s;
SELECT set_config('request.jwt.claim.sub', victim(), true) IS NOT NULL AS set;
SELECT auth.uid();
ROLLBACK TO s;
SELECT set_config('request.jwt.claims', replace(current_setting('request.jwt.claims'), 'aal1', 'aal2'), true) IS NOT NULL AS set;
SELECT count(*) FROM notes;
ROLLBACK TO s;
SELECT set_config('request.jwt.claim.sub', '', true) IS NOT NULL AS set;
SELECT auth.uid() IS NULL AS nobody;
ROLLBACK TO s;
SELECT set_config('request.jwt.claim.role', 'service_role', true) IS NOT NULL AS set;
SELECT auth.role();
ROLLBACK TO s;
-- one kind of seal for the other
SELECT set_config('mentalspace.auth_seal_sub', current_setting('mentalspace.auth_seal_claims'), true) IS NOT NULL AS set;
SELECT auth.uid();
ROLLBACK;
-- seals of another transaction, of the same user's and another's
BEGIN;
SELECT mentalspace.login(maker.token(1));
SELECT set_config('stolen.sub', current_setting('mentalspace.auth_seal_sub'), false) IS NOT NULL AND
       set_config('stolen.claims', current_setting('request.jwt.claims'), false) IS NOT NULL AND
       set_config('stolen.seal', current_setting('mentalspace.auth_seal_claims'), false) IS NOT NULL AS stolen;
COMMIT;
BEGIN;
SELECT mentalspace.login(maker.token(2));
SELECT set_config('request.jwt.claim.sub', victim(), true) IS NOT NULL AND
       set_config('mentalspace.auth_seal_sub', current_setting('stolen.sub'), true) IS NOT NULL AND
       set_config('request.jwt.claims', current_setting('stolen.claims'), true) IS NOT NULL AND
       set_config('mentalspace.auth_seal_claims', current_setting('stolen.seal'), true) IS NOT NULL AS replayed;
SAVEPOINT s;
SELECT auth.uid();
ROLLBACK TO s;
SELECT auth.jwt();
ROLLBACK;
-- a login that is rolled back leaves nobody
BEGIN;
SAVEPOINT s;
SELECT mentalspace.login(maker.token(2));
ROLLBACK TO s;
SELECT auth.uid(), current_user;
ROLLBACK;
-- in the midst of a DO block with transactions of its own
DO $$
BEGIN
    PERFORM mentalspace.login(maker.token(2));
    RAISE NOTICE 'before: %', auth.uid();
    COMMIT;
    RAISE NOTICE 'after: %', auth.uid();
    PERFORM set_config('request.jwt.claim.sub', victim(), true);
    BEGIN
        RAISE NOTICE 'forged: %', auth.uid();
    EXCEPTION WHEN insufficient_privilege THEN
        RAISE NOTICE 'forged: %', sqlerrm;
    END;
END
$$;
-- names put in the way: functions and operators in pg_temp and in a schema of one's own, first in the path
BEGIN;
SELECT mentalspace.login(maker.token(2));
CREATE FUNCTION pg_temp.sha256(bytea) RETURNS bytea LANGUAGE sql AS $$ SELECT '\x00'::bytea $$;
CREATE FUNCTION public.encode(bytea, text) RETURNS text LANGUAGE sql AS $$ SELECT current_setting('mentalspace.auth_seal_sub') $$;
CREATE FUNCTION public.always(text, text) RETURNS boolean LANGUAGE sql AS $$ SELECT true $$;
CREATE OPERATOR public.= (LEFTARG = text, RIGHTARG = text, FUNCTION = public.always);
CREATE TEMP TABLE auth_seal (only_one boolean, inner_pad bytea, outer_pad bytea);
SET LOCAL search_path = pg_temp, public, pg_catalog;
SELECT pg_catalog.set_config('request.jwt.claim.sub', victim(), true) IS NOT NULL AS set;
SELECT auth.uid();
ROLLBACK;
-- the secret and what uses it
BEGIN;
SELECT mentalspace.login(maker.token(2));
SAVEPOINT s;
SELECT * FROM mentalspace.auth_seal;
ROLLBACK TO s;
SELECT mentalspace.seal_of('sub', victim());
ROLLBACK TO s;
UPDATE mentalspace.auth_settings SET value = 'guc';
ROLLBACK TO s;
SELECT mentalspace.apply_claims_source();
ROLLBACK TO s;
CREATE OR REPLACE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql AS $$ SELECT victim()::uuid $$;
ROLLBACK TO s;
SELECT mentalspace.sealed_login(maker.token(1)) IS NOT NULL AS a_token_is_a_token;
SELECT auth.uid();
ROLLBACK;
\c - :regress_user
-- in parallel workers
CREATE TABLE many AS SELECT ('00000000-0000-4000-8000-' || lpad((n % 10)::text, 12, '0'))::uuid AS owner, repeat('x', 100) AS body FROM generate_series(1, 20000) AS n;
ALTER TABLE many ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON many USING (owner = (SELECT auth.uid()));
CREATE POLICY plain ON many USING (owner = auth.uid() AND length(body) = 100);
GRANT SELECT ON many TO authenticated;
ANALYZE many;
\c - edge
BEGIN;
SET LOCAL parallel_setup_cost = 0; SET LOCAL parallel_tuple_cost = 0; SET LOCAL min_parallel_table_scan_size = 0;
SELECT mentalspace.login(maker.token(2));
EXPLAIN (COSTS off) SELECT count(*) FROM many;
SELECT count(*) FROM many;
SELECT set_config('request.jwt.claim.sub', victim(), true) IS NOT NULL AS set;
SELECT count(*) FROM many;
ROLLBACK;
-- back to believing variables, by who may
\c - :regress_user
UPDATE mentalspace.auth_settings SET value = 'guc' WHERE name = 'auth_claims_source';
SELECT set_config('request.jwt.claim.sub', victim(), false) IS NOT NULL AS set;
SELECT auth.uid();
DELETE FROM mentalspace.auth_settings;
INSERT INTO mentalspace.auth_settings VALUES ('auth_claims_source', 'verified');
SELECT auth.uid();
