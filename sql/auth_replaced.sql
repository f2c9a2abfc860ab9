-- auth.uid() and its siblings replaced in place: what means the same gives way to mentalspace's own, the rest is kept and
-- said, and provision() mends it.
\set VERBOSITY terse
CREATE EXTENSION mentalspace;
SELECT mentalspace.replaced_auth_functions();
-- messages are tested natively, where each definition has its own
SET client_min_messages = error;

CREATE FUNCTION define(function text, result text, body text) RETURNS name[] LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE OR REPLACE FUNCTION auth.%I() RETURNS %s %s', function, result, body);
    PERFORM mentalspace.keep_auth_functions();
    RETURN mentalspace.replaced_auth_functions();
END $$;

-- The same, in the words of several hands.
SELECT d.n, define(d.function, d.result, d.body) FROM (VALUES
    (1, 'uid', 'uuid', $d$LANGUAGE sql STABLE AS $$ select nullif(current_setting('request.jwt.claim.sub', true), '')::uuid; $$$d$),
    (2, 'uid', 'uuid', $d$LANGUAGE sql STABLE AS $$
        select coalesce(current_setting('request.jwt.claim.sub', true),
                        (current_setting('request.jwt.claims', true)::jsonb ->> 'sub'))::uuid
    $$$d$),
    (3, 'uid', 'uuid', $d$LANGUAGE sql STABLE AS $$
        -- the present one
        SELECT COALESCE(
            NULLIF(pg_catalog.current_setting('request.jwt.claim.sub', TRUE), ''),
            (NULLIF(pg_catalog.current_setting('request.jwt.claims', TRUE), '')::jsonb ->> 'sub')
        )::uuid /* as Supabase has it */
    $$$d$),
    (4, 'uid', 'uuid', $d$LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
        BEGIN RETURN nullif(current_setting('request.jwt.claims', true)::json ->> 'sub', '')::uuid; END; $$$d$),
    (5, 'uid', 'uuid', $d$STABLE RETURN (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid$d$),
    (6, 'uid', 'uuid', $d$STABLE BEGIN ATOMIC SELECT (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid; END$d$),
    (7, 'role', 'text', $d$LANGUAGE sql AS $$ select coalesce(nullif(current_setting('request.jwt.claim.role', true), ''),
        (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role'))::text $$$d$),
    (8, 'email', 'text', $d$LANGUAGE sql AS $$ select (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'email')::text $$$d$),
    (9, 'jwt', 'jsonb', $d$LANGUAGE sql AS $$ select coalesce(nullif(current_setting('request.jwt.claim', true), ''),
        nullif(current_setting('request.jwt.claims', true), ''))::jsonb $$$d$)
  ) AS d (n, function, result, body) ORDER BY d.n;
BEGIN;
SELECT set_config('request.jwt.claims', '{"sub": "00000000-0000-4000-8000-00000000000a"}', true) <> '' AS set;
SELECT auth.uid();
COMMIT;

-- Something else, alone or beside the claims.
SELECT d.n, define(d.function, d.result, d.body) FROM (VALUES
    (1, 'uid', 'uuid', $d$LANGUAGE sql AS $$ SELECT '00000000-0000-4000-8000-00000000000f'::uuid $$$d$),
    (2, 'uid', 'uuid', $d$LANGUAGE sql AS $$ SELECT nullif(current_setting('app.user_id', true), '')::uuid $$$d$),
    (3, 'uid', 'uuid', $d$LANGUAGE sql AS $$ SELECT (current_setting('request.jwt.claims', true)::jsonb ->> 'user_id')::uuid $$$d$),
    (4, 'uid', 'uuid', $d$LANGUAGE sql AS $$ SELECT (current_setting('request.jwt.claims', true)::jsonb ->> 'SUB')::uuid $$$d$),
    (5, 'uid', 'uuid', $d$LANGUAGE sql AS $$ SELECT (current_setting('request.jwt.claims', true)::jsonb ->> 'sub')::uuid
        WHERE current_user <> 'nobody' $$$d$),
    (6, 'uid', 'uuid', $d$LANGUAGE sql SET work_mem = '1MB'
        AS $$ SELECT (current_setting('request.jwt.claims', true)::jsonb ->> 'sub')::uuid $$$d$),
    (7, 'role', 'text', $d$LANGUAGE sql AS $$ SELECT current_user::text $$$d$),
    (8, 'role', 'text', $d$LANGUAGE sql AS $$ SELECT nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'email' $$$d$),
    (9, 'email', 'text', $d$LANGUAGE plpgsql AS $$ BEGIN PERFORM 1; RETURN nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'email'; END $$$d$),
    (10, 'jwt', 'jsonb', $d$LANGUAGE sql AS $$ SELECT '{}'::jsonb $$$d$)
  ) AS d (n, function, result, body) ORDER BY d.n;

-- It is seen, and mended.
SELECT capability, available, detail FROM mentalspace.capabilities() WHERE capability = 'identity by claims';
SELECT problem LIKE 'replaced: auth.email(), auth.jwt(), auth.role(), auth.uid(); no claims are set%' AS said FROM mentalspace.whoami();
BEGIN;
SELECT object, state, detail FROM mentalspace.provision('{auth}') WHERE kind = 'function' AND object LIKE 'auth.%';
SELECT object, state, detail FROM mentalspace.provision('{auth}') WHERE kind = 'function' AND object LIKE 'auth.%';
COMMIT;
SELECT mentalspace.replaced_auth_functions();
SELECT available FROM mentalspace.capabilities() WHERE capability = 'identity by claims';

-- So are other ways to change one.
ALTER FUNCTION auth.uid() IMMUTABLE;
SELECT mentalspace.keep_auth_functions();
SELECT mentalspace.replaced_auth_functions();
ALTER FUNCTION auth.uid() SECURITY DEFINER;
SELECT mentalspace.keep_auth_functions();
SELECT mentalspace.replaced_auth_functions();
