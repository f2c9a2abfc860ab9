-- auth.uid(), auth.role(), auth.email() and auth.jwt() for claims that arrive by configuration variables: results and
-- errors are those of Supabase's SQL functions.  Reference functions that say so in plain SQL stand beside them here, and
-- every case is asked of both.
\set VERBOSITY terse
CREATE EXTENSION mentalspace;

CREATE SCHEMA ref;
CREATE FUNCTION ref.first_set(VARIADIC names text[]) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT current_setting(n, true) FROM unnest(names) WITH ORDINALITY AS u(n, i)
           WHERE current_setting(n, true) <> '' ORDER BY i LIMIT 1 $$;
CREATE FUNCTION ref.claim(key text) RETURNS text LANGUAGE plpgsql STABLE PARALLEL SAFE
    AS $$
BEGIN
    IF ref.first_set('request.jwt.claim.' || key) IS NOT NULL THEN
        RETURN ref.first_set('request.jwt.claim.' || key);
    END IF;
    RETURN ref.first_set('request.jwt.claims')::jsonb ->> key;
END $$;
CREATE FUNCTION ref.uid() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT ref.claim('sub')::uuid $$;
CREATE FUNCTION ref.role() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT ref.claim('role') $$;
CREATE FUNCTION ref.email() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT ref.claim('email') $$;
CREATE FUNCTION ref.jwt() RETURNS jsonb LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT ref.first_set('request.jwt.claim', 'request.jwt.claims')::jsonb $$;

-- ---- Before anything is set, in a session that has not called us yet and in one that has.
\c
SELECT current_setting('request.jwt.claims', true) IS NULL AS unset;
SELECT auth.uid() IS NULL AS uid, auth.role() IS NULL AS role, auth.email() IS NULL AS email, auth.jwt() IS NULL AS jwt;
SELECT n, current_setting(n, true) IS NULL AS still_unset
  FROM unnest(ARRAY['request.jwt.claims', 'request.jwt.claim', 'request.jwt.claim.sub', 'request.jwt.claim.role',
                    'request.jwt.claim.email']) AS n;
SHOW request.jwt.claims;
SELECT current_setting('request.jwt.claims');
SELECT name FROM pg_settings WHERE name LIKE 'request.%';

-- ---- The cases.
CREATE TABLE cases (n int GENERATED ALWAYS AS IDENTITY, what text, claims text DEFAULT '', sub text DEFAULT '',
                    role text DEFAULT '', email text DEFAULT '', claim text DEFAULT '');
INSERT INTO cases (what, claims) VALUES
    ('all empty', ''),
    ('a token''s claims', '{"sub": "00000000-0000-4000-8000-00000000000a", "role": "authenticated", "email": "a@x.test", "aud": "authenticated"}'),
    ('no claims at all', '{}'),
    ('null', 'null'),
    ('an array', '[1]'),
    ('an array of objects', '[{"sub": "00000000-0000-4000-8000-00000000000a"}]'),
    ('a string', '"x"'),
    ('a string that is a key', '"sub"'),
    ('a number', '1'),
    ('true', 'true'),
    ('sub null', '{"sub": null, "role": null, "email": null}'),
    ('sub empty', '{"sub": "", "role": "r"}'),
    ('sub a number', '{"sub": 123, "role": 123, "email": 1.50}'),
    ('sub true', '{"sub": true, "role": true, "email": false}'),
    ('sub an object', '{"sub": {"a": 1}, "role": {"a":  [1,2]}}'),
    ('sub an array', '{"sub": ["00000000-0000-4000-8000-00000000000a"], "role": ["x"]}'),
    ('sub no uuid', '{"sub": "user_1", "role": "r", "email": "e"}'),
    ('sub in braces', '{"sub": "{00000000-0000-4000-8000-00000000000A}"}'),
    ('sub in one brace', '{"sub": "{00000000-0000-4000-8000-00000000000A"}'),
    ('sub in upper case', '{"sub": "ABCDEF00-0000-4000-8000-00000000000A"}'),
    ('sub without hyphens', '{"sub": "abcdef0000004000800000000000000a"}'),
    ('sub with a blank in front', '{"sub": " 00000000-0000-4000-8000-00000000000a"}'),
    ('sub with a blank behind', '{"sub": "00000000-0000-4000-8000-00000000000a "}'),
    ('sub too long', '{"sub": "00000000-0000-4000-8000-00000000000a0"}'),
    ('key in upper case', '{"SUB": "00000000-0000-4000-8000-00000000000a", "Role": "r"}'),
    ('key written with an escape', '{"\u0073ub": "00000000-0000-4000-8000-00000000000a"}'),
    ('value written with escapes', '{"role": "\u0061\n\t\"\\\/", "email": "\u00e4\ud83d\ude00@x.test"}'),
    ('nested keys are no claims', '{"a": {"sub": "00000000-0000-4000-8000-00000000000a", "role": "r"}}'),
    ('role empty', '{"role": "", "email": ""}'),
    ('a key twice', '{"sub": "user_1", "role": "first", "sub": "00000000-0000-4000-8000-00000000000b", "role": "last"}'),
    ('a key twice, the last null', '{"sub": "00000000-0000-4000-8000-00000000000b", "sub": null}'),
    ('white space around', E' \n\t{"role": "r"}\n '),
    ('blank', '   '),
    ('cut off', '{"sub": "00000000-0000-4000-8000-00000000000a"'),
    ('something behind it', '{"role": "r"} x'),
    ('no JSON', 'x'),
    ('single quotes', '{''role'': ''r''}'),
    ('a comma too many', '{"role": "r",}'),
    ('no number', '{"role": NaN}'),
    ('a lone surrogate', '{"role": "\ud83d"}'),
    ('a NUL', '{"role": "a\u0000b"}'),
    ('a huge number', '{"role": 1e400}'),
    ('no number of numeric', '{"role": 1e400000}');
INSERT INTO cases (what, claims, sub, role, email) VALUES
    ('legacy alone', '', '00000000-0000-4000-8000-00000000000c', 'legacy', 'legacy@x.test'),
    ('legacy first', '{"sub": "00000000-0000-4000-8000-00000000000a", "role": "r", "email": "e"}', '00000000-0000-4000-8000-00000000000c', 'legacy', 'legacy@x.test'),
    ('one legacy, others claims', '{"sub": "00000000-0000-4000-8000-00000000000a", "role": "r", "email": "e"}', '', 'legacy', ''),
    ('legacy over malformed claims', '{', '00000000-0000-4000-8000-00000000000c', 'legacy', ''),
    ('legacy over claims null', 'null', '00000000-0000-4000-8000-00000000000c', '', ''),
    ('legacy sub no uuid', '{"sub": "00000000-0000-4000-8000-00000000000a"}', 'user_1', '', ''),
    ('legacy blank', '{"sub": "00000000-0000-4000-8000-00000000000a", "role": "r"}', ' ', ' ', ' '),
    ('legacy is no JSON', '', '', '["x"]', '"quoted"');
INSERT INTO cases (what, claims, claim, sub) VALUES
    ('claim alone', '', '{"sub": "00000000-0000-4000-8000-00000000000d", "role": "single"}', ''),
    ('claim and claims', '{"sub": "00000000-0000-4000-8000-00000000000a", "role": "r"}', '{"sub": "00000000-0000-4000-8000-00000000000d", "role": "single"}', ''),
    ('claim malformed', '{"role": "r"}', '{', ''),
    ('claim over malformed claims', '{', '{"role": "single"}', ''),
    ('claim null', '{"role": "r"}', 'null', ''),
    ('claim blank', '{"role": "r"}', ' ', ''),
    ('claim and legacy sub', '{"role": "r"}', '{"role": "single"}', '00000000-0000-4000-8000-00000000000c');
INSERT INTO cases (what, claims) VALUES
    ('a megabyte', '{"role": "' || repeat('x', 1000000) || '", "sub": "00000000-0000-4000-8000-00000000000e"}'),
    ('nested too deep', repeat('[', 100000) || repeat(']', 100000));

-- What an expression gives: its value as text (the hash of a long one), or the SQLSTATE of its error.
CREATE FUNCTION outcome(expression text) RETURNS text LANGUAGE plpgsql
    AS $$
DECLARE
    result text;
BEGIN
    EXECUTE 'SELECT (' || expression || ')::text' INTO result;
    RETURN CASE WHEN length(result) > 200 THEN 'md5 ' || md5(result) ELSE result END;
EXCEPTION WHEN OTHERS THEN
    RETURN 'ERROR ' || SQLSTATE;
END $$;

-- Each function twice and in both orders, so that nothing depends on which was asked first, or on an error before it.
CREATE FUNCTION ask(c cases, OUT uid text, OUT role text, OUT email text, OUT jwt text, OUT differs text)
    LANGUAGE plpgsql
    AS $$
DECLARE
    f text;
    got text;
BEGIN
    FOREACH f IN ARRAY ARRAY['uid', 'role', 'email', 'jwt', 'jwt', 'email', 'role', 'uid', 'uid', 'jwt'] LOOP
        IF f = 'uid' THEN
            -- Set anew, so that what was parsed for one function is parsed for the next one again.
            PERFORM set_config('request.jwt.claims', c.claims, true), set_config('request.jwt.claim', c.claim, true),
                    set_config('request.jwt.claim.sub', c.sub, true), set_config('request.jwt.claim.role', c.role, true),
                    set_config('request.jwt.claim.email', c.email, true);
        END IF;
        got := outcome('auth.' || f || '()');
        IF got IS DISTINCT FROM outcome('ref.' || f || '()') THEN
            differs := concat_ws('; ', differs, format('auth.%s() %L ref.%s() %L', f, got, f, outcome('ref.' || f || '()')));
        END IF;
        CASE f WHEN 'uid' THEN uid := got; WHEN 'role' THEN role := got; WHEN 'email' THEN email := got; ELSE jwt := got; END CASE;
    END LOOP;
END $$;
\pset null NULL
SELECT c.n, c.what, a.* FROM cases c, ask(c) a ORDER BY c.n;
-- From the last to the first: no case may leave anything to the next.
SELECT count(*) AS cases, count(a.differs) AS differ
  FROM (SELECT * FROM cases ORDER BY n DESC) c, ask(ROW(c.*)::cases) a;
DROP FUNCTION ask, outcome;
DROP TABLE cases;

-- Messages are PostgreSQL's own, with no claim in the first line but what the cast says.
SET request.jwt.claims = '{"sub": "user_1"}';
SELECT auth.uid();
SELECT ref.uid();
SET request.jwt.claims = '{"sub": ';
SELECT auth.uid();
SELECT ref.uid();

-- ---- When the variables change.  who() is what both say, so that a difference shows.
\c
CREATE FUNCTION who() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT CASE WHEN (auth.uid(), auth.role(), auth.email(), auth.jwt())
                          IS NOT DISTINCT FROM (ref.uid(), ref.role(), ref.email(), ref.jwt())
                      THEN concat_ws(' ', coalesce(right(auth.uid()::text, 4), 'nobody'), auth.role())
                      ELSE format('DIFFERS: %s %s', ROW(auth.uid(), auth.role(), auth.email(), auth.jwt()),
                                                    ROW(ref.uid(), ref.role(), ref.email(), ref.jwt())) END $$;
CREATE FUNCTION claims(who text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT '{"sub": "00000000-0000-4000-8000-00000000' || who || '", "role": "r' || who || '"}' $$;
SELECT who();
SET request.jwt.claims = '{"sub": "00000000-0000-4000-8000-000000000001"}';
SELECT who(), current_setting('request.jwt.claim.sub', true) IS NULL AS others_still_unset;
SET request.jwt.claims = '{"sub": "00000000-0000-4000-8000-000000000002"}';
SELECT who();
RESET request.jwt.claims;
SELECT who();
-- for the transaction
BEGIN;
SELECT set_config('request.jwt.claims', claims('0003'), true) IS NOT NULL AS set;
SELECT who();
COMMIT;
SELECT who();
BEGIN;
SET LOCAL request.jwt.claim.sub = '00000000-0000-4000-8000-000000000004';
SELECT who();
ROLLBACK;
SELECT who(), current_setting('request.jwt.claim.sub', true) = '' AS empty_now;
-- savepoints
BEGIN;
SELECT set_config('request.jwt.claims', claims('0005'), true) IS NOT NULL AS set;
SELECT who();
SAVEPOINT s;
SELECT set_config('request.jwt.claims', claims('0006'), true) IS NOT NULL AS set;
SELECT who();
ROLLBACK TO s;
SELECT who();
SELECT set_config('request.jwt.claims', claims('0007'), true) IS NOT NULL AS set;
RELEASE s;
SELECT who();
SAVEPOINT s;
SELECT set_config('request.jwt.claim.role', 'legacy', true);
SELECT who();
SELECT 1 / 0;
ROLLBACK TO s;
SELECT who();
COMMIT;
SELECT who();
-- for the session, taken back by a rollback
BEGIN;
SELECT set_config('request.jwt.claims', claims('0008'), false) IS NOT NULL AS set;
SELECT who();
ROLLBACK;
SELECT who();
-- malformed claims do no harm to what comes after
BEGIN;
SET LOCAL request.jwt.claims = '{"sub": "0';
SELECT who();
ROLLBACK;
SELECT who();
-- RESET ALL, DISCARD ALL
SELECT set_config('request.jwt.claims', claims('0009'), false) IS NOT NULL AS set;
SELECT who();
RESET ALL;
SELECT who();
SELECT set_config('request.jwt.claims', claims('0010'), false) IS NOT NULL AS set;
DISCARD ALL;
SELECT who();

-- within a statement
SELECT set_config('request.jwt.claims', claims('0011'), false) IS NOT NULL AS set, auth.role() AS first,
       set_config('request.jwt.claims', claims('0012'), false) IS NOT NULL AS set, auth.role() AS second,
       set_config('request.jwt.claim.role', 'legacy', false) IS NOT NULL AS set, auth.role() AS third,
       set_config('request.jwt.claim.role', '', false) IS NOT NULL AS set, auth.role() AS fourth;
SELECT i, auth.role() AS before, set_config('request.jwt.claims', claims((i + 1000)::text), false) IS NOT NULL AS set,
       auth.role() AS after
  FROM generate_series(1, 3) AS i;
-- a result is its caller's: it does not change when the identity does
SELECT count(DISTINCT role) AS roles, count(DISTINCT uid) AS uids, count(DISTINCT jwt) AS jwts
  FROM (SELECT auth.role() AS role, auth.uid() AS uid, auth.jwt() AS jwt
          FROM (SELECT set_config('request.jwt.claims', claims((i + 2000)::text), false) FROM generate_series(1, 100) AS i
                OFFSET 0) AS s OFFSET 0) AS r;

-- prepared statements, generic plans too
PREPARE ask AS SELECT auth.uid() IS NOT DISTINCT FROM ref.uid() AS same, auth.role();
EXECUTE ask;
SELECT set_config('request.jwt.claims', claims('0015'), false) IS NOT NULL AS set;
EXECUTE ask;
SET plan_cache_mode = force_generic_plan;
EXECUTE ask;
SELECT set_config('request.jwt.claims', claims('0016'), false) IS NOT NULL AS set;
EXECUTE ask;
RESET request.jwt.claims;
EXECUTE ask;

-- ---- A variable that was set and has no value any more, in sessions that had not asked before: the next value counts.
\c
BEGIN;
SELECT set_config('request.jwt.claims', NULL, true);
SELECT who();
SELECT set_config('request.jwt.claims', claims('0021'), true) IS NOT NULL AS set;
SELECT who();
COMMIT;
SELECT set_config('request.jwt.claims', claims('0022'), false) IS NOT NULL AS set;
SELECT who();
\c
RESET request.jwt.claims;
SELECT set_config('request.jwt.claim.sub', NULL, false);
SELECT who();
SELECT set_config('request.jwt.claims', claims('0023'), false) IS NOT NULL AS set;
SELECT who();
SET request.jwt.claim.sub = '00000000-0000-4000-8000-000000000024';
SELECT who();
-- claims that nobody read, then none: what a connection pool does
\c
BEGIN;
SELECT set_config('request.jwt.claims', claims('0025'), true) IS NOT NULL AS set;
COMMIT;
SELECT who();
BEGIN;
SELECT set_config('request.jwt.claims', claims('0026'), true) IS NOT NULL AS set;
SELECT who();
ROLLBACK;
SELECT who();
-- the session's claims, and none for the transaction
\c
SELECT set_config('request.jwt.claims', claims('0027'), false) IS NOT NULL AS set;
BEGIN;
SET LOCAL request.jwt.claims TO DEFAULT;
SELECT who();
COMMIT;
SELECT who();
-- as many variables as before, but others: some went when the library that reserves their names was loaded
\c
SELECT set_config('plpgsql.gone_' || i, '1', false) IS NOT NULL AS set FROM generate_series(1, 6) AS i;
SELECT auth.uid();
SET client_min_messages = error;
BEGIN;
SET LOCAL request.jwt.claims = '{"sub": "00000000-0000-4000-8000-000000000028"}';
DO $$ BEGIN END $$;
SELECT auth.uid();
COMMIT;

-- ---- In parallel workers: one that did not see the variables before, and one whose leader asked already.
\c
CREATE TABLE notes AS
    SELECT ('00000000-0000-4000-8000-00000000' || (2000 + i % 2))::uuid AS owner FROM generate_series(1, 10000) AS i;
ANALYZE notes;
CREATE FUNCTION process() RETURNS int LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$ BEGIN RETURN pg_backend_pid(); END $$;
\c
SELECT pg_backend_pid() AS leader \gset
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET parallel_leader_participation = off;
SET request.jwt.claims = '{"sub": "00000000-0000-4000-8000-000000002001", "role": "worker"}';
SELECT count(*) AS rows, min(auth.role()) AS role, bool_or(process() = :leader) AS any_in_the_leader
  FROM notes WHERE owner = auth.uid();
SET request.jwt.claims = '{"sub": "00000000-0000-4000-8000-000000002009", "role": "other"}';
SELECT count(*) AS rows, min(auth.role()) AS role, bool_or(process() = :leader) AS any_in_the_leader
  FROM notes WHERE owner = auth.uid();
SELECT count(*) AS rows, min(who()) AS first, max(who()) AS last, bool_or(process() = :leader) AS any_in_the_leader FROM notes;
-- now the leader asks, too
SELECT auth.role();
SET request.jwt.claims = '{"sub": "00000000-0000-4000-8000-000000002000", "role": "after"}';
SELECT count(*) AS rows, min(auth.role()) AS role, bool_or(process() = :leader) AS any_in_the_leader
  FROM notes WHERE owner = auth.uid();
BEGIN;
SET LOCAL request.jwt.claims = '';
SET LOCAL request.jwt.claim.sub = '00000000-0000-4000-8000-000000002001';
SELECT count(*) AS rows, min(auth.role()) AS role, bool_or(process() = :leader) AS any_in_the_leader
  FROM notes WHERE owner = auth.uid();
ROLLBACK;
-- leader and workers share the work, in a session that was never asked
\c
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET request.jwt.claims = '{"sub": "00000000-0000-4000-8000-000000002001", "role": "both"}';
SELECT count(*) AS rows, min(who()) AS first, max(who()) AS last FROM notes WHERE owner = auth.uid();
SET request.jwt.claims = '{"sub": "00000000-0000-4000-8000-000000002000", "role": "again"}';
SELECT count(*) AS rows, min(who()) AS first, max(who()) AS last FROM notes WHERE owner = auth.uid();
SELECT who();
