-- mentalspace.wrap_policies() and unwrap_policies(): the same rows before, between and after, for every role and user.
\set SHOW_CONTEXT never
CREATE EXTENSION mentalspace;
-- what PostgreSQL itself makes of policies, wrapped or not
SELECT set_config('mentalspace.rls_optimize', 'off', false);
CREATE SCHEMA app;
CREATE SCHEMA "Odd Schema";
CREATE ROLE wp_user;
CREATE ROLE wp_other;
GRANT wp_user, wp_other TO CURRENT_USER;
GRANT USAGE ON SCHEMA app, auth, "Odd Schema" TO wp_user, wp_other;
CREATE TYPE app.app_role AS ENUM ('therapist', 'billing');
CREATE TABLE app.user_roles (user_id uuid, role app.app_role);
GRANT SELECT ON app.user_roles TO PUBLIC;
INSERT INTO app.user_roles VALUES ('00000000-0000-0000-0000-000000000001', 'therapist'), ('00000000-0000-0000-0000-000000000002', 'billing');
CREATE FUNCTION app.has_role(_user_id uuid, _role app.app_role) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
    AS $$ SELECT EXISTS (SELECT FROM app.user_roles ur WHERE ur.user_id = _user_id AND ur.role = _role) $$;
CREATE FUNCTION app.my_number(_more int DEFAULT 1) RETURNS int LANGUAGE plpgsql STABLE
    AS $$ BEGIN RETURN right(auth.uid()::text, 1)::int + _more; END $$;
CREATE FUNCTION app.my_numbers() RETURNS SETOF int LANGUAGE sql STABLE AS $$ SELECT generate_series(1, app.my_number()) $$;
CREATE FUNCTION app.same(uuid) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT $1 $$;
CREATE FUNCTION app.dice() RETURNS int LANGUAGE sql VOLATILE AS $$ SELECT 6 $$;
CREATE FUNCTION app.rolled(_dice int DEFAULT app.dice()) RETURNS boolean LANGUAGE sql STABLE AS $$ SELECT _dice > 5 $$;
CREATE FUNCTION app.pair(OUT a int, OUT b int) LANGUAGE sql STABLE AS $$ SELECT 1, 2 $$;
CREATE FUNCTION app.fails() RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN RAISE EXCEPTION 'called'; END $$;
CREATE FUNCTION "Odd Schema"."Is ""Me"" (x"(uuid) RETURNS boolean LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN $1 = auth.uid(); END $$;

-- One table for each policy: number, command, USING, WITH CHECK.
CREATE TABLE app.kind (id int, command text, using_text text, check_text text);
INSERT INTO app.kind VALUES
    (1, 'ALL', 'auth.uid() = owner', NULL),
    (2, 'SELECT', 'app.has_role(auth.uid(), ''therapist'') OR app.has_role((SELECT auth.uid()), ''billing'') AND id < 4', NULL),
    (3, 'ALL', 'EXISTS (SELECT FROM app.user_roles ur WHERE ur.user_id = auth.uid() AND (ur.role = ''billing'' OR row_data.owner = auth.uid()))', 'id > app.my_number(3)'),
    (4, 'ALL', 'CASE WHEN id = 1 THEN true WHEN id = 2 THEN auth.uid() IS NULL ELSE coalesce((auth.jwt() ->> ''org'') = note, false) END', NULL),
    (5, 'SELECT', 'note = ''(SELECT auth.uid()) = ''''auth.uid()'''''' OR note <> ''a\'' AND "auth.uid()" = (auth.uid())::text', NULL),
    (6, 'ALL', '"Odd Schema"."Is ""Me"" (x"(auth.uid()) AND id IN (SELECT app.my_numbers())', NULL),
    (7, 'ALL', 'owner = (SELECT auth.uid()) AND (SELECT auth.jwt() ->> ''org'') IS NOT NULL', NULL),
    (8, 'ALL', '"Odd Schema"."Is ""Me"" (x"(owner) AND app.dice() > 5 AND app.rolled()', NULL),
    (9, 'UPDATE', 'owner = app.same(auth.uid())', 'app.same(auth.uid()) = owner AND current_setting(''app.x'', true) IS DISTINCT FROM note'),
    (10, 'INSERT', NULL, 'auth.uid() = owner OR app.has_role(auth.uid(), ''billing'')'),
    (11, 'DELETE', 'auth.role() = ''authenticated'' AND auth.email() LIKE ''%@x.y'' AND id = app.my_number()', NULL),
    (12, 'ALL', 'id IN (SELECT g FROM generate_series(1, app.my_number()) AS g, app.my_number(2) AS m(n) JOIN app.user_roles u ON u.user_id = auth.uid() WHERE g < n GROUP BY g HAVING max(auth.role()) <> '''')', NULL),
    (13, 'SELECT', 'id = ANY (ARRAY[app.my_number(), app.my_number(2)]) OR (id, owner) = (2, auth.uid())', NULL),
    (14, 'ALL', '(SELECT p.b FROM app.pair() AS p) = id OR (app.pair()).a = id OR id = ((auth.jwt() -> ''n'') ->> 0)::int', NULL),
    (15, 'ALL', 'CASE WHEN id > 100 THEN app.fails() = 1 ELSE owner = auth.uid() END', NULL),
    (16, 'ALL', 'note COLLATE "C" < current_setting(''app.x'' COLLATE "C", true) OR lower(auth.email()) = note', NULL),
    (17, 'ALL', 'EXISTS (SELECT DISTINCT auth.uid() AS u FROM app.user_roles ORDER BY auth.uid()) AND owner IS NOT DISTINCT FROM auth.uid()', NULL),
    (18, 'ALL', 'app.my_number(_more => 2) > id AND note = ANY (string_to_array(current_setting(''app.list'', true), '',''))', NULL);
DO $$
DECLARE
    k record;
BEGIN
    FOR k IN SELECT * FROM app.kind ORDER BY id LOOP
        EXECUTE format('CREATE TABLE app.t%s (id int, owner uuid, note text, "auth.uid()" text)', k.id);
        EXECUTE format('INSERT INTO app.t%1$s SELECT i, (''00000000-0000-0000-0000-00000000000'' || (i %% 3 + 1))::uuid, '
            '(ARRAY[''a'', ''o1'', ''(SELECT auth.uid()) = ''''auth.uid()'''''', ''u1@x.y''])[i %% 4 + 1], '
            '''00000000-0000-0000-0000-00000000000'' || (i %% 2 + 1) FROM generate_series(1, 6) AS i', k.id);
        EXECUTE format('ALTER TABLE app.t%s ENABLE ROW LEVEL SECURITY', k.id);
        EXECUTE format('GRANT ALL ON app.t%s TO wp_user, wp_other', k.id);
        EXECUTE format('CREATE POLICY "the policy" ON app.t%s FOR %s TO wp_user', k.id, k.command)
            || replace(coalesce(' USING (' || k.using_text || ')', '') || coalesce(' WITH CHECK (' || k.check_text || ')', ''),
                       'row_data', 't' || k.id);
        -- What the others need to be seen, and a restriction.
        IF k.command <> 'ALL' THEN
            EXECUTE format('CREATE POLICY "also read" ON app.t%s FOR SELECT TO wp_user USING (id < 6)', k.id);
        END IF;
        EXECUTE format('CREATE POLICY "never" ON app.t%s AS RESTRICTIVE USING (id <> app.my_number(1) OR auth.role() = ''x'')', k.id);
    END LOOP;
END
$$;

-- What a user does to every table, and what comes of it; the changes are undone.
CREATE FUNCTION app.try(statement text) RETURNS text LANGUAGE plpgsql
    AS $$
DECLARE
    answer text;
BEGIN
    BEGIN
        EXECUTE format('WITH done AS (%s) SELECT string_agg(id::text, '' '' ORDER BY id) FROM done', statement) INTO answer;
        RAISE EXCEPTION USING ERRCODE = 'MS000', MESSAGE = coalesce(answer, 'nothing');
    EXCEPTION WHEN OTHERS THEN
        RETURN concat_ws(' ', nullif(SQLSTATE, 'MS000'), SQLERRM);
    END;
END
$$;
CREATE FUNCTION app.look() RETURNS TABLE (t int, what text, answer text) LANGUAGE plpgsql
    AS $$
BEGIN
    FOR k IN 1 .. 18 LOOP
        t := k;
        answer := app.try(format('SELECT id FROM app.t%s', t));
        what := 'select';
        RETURN NEXT;
        answer := app.try(format('UPDATE app.t%s SET id = id RETURNING id', t));
        what := 'update';
        RETURN NEXT;
        answer := app.try(format('UPDATE app.t%s SET id = id + 3, owner = ''00000000-0000-0000-0000-000000000002'' WHERE id < 4 RETURNING id', t));
        what := 'change';
        RETURN NEXT;
        answer := app.try(format('DELETE FROM app.t%s RETURNING id', t));
        what := 'delete';
        RETURN NEXT;
        FOR n IN 1 .. 3 LOOP
            answer := app.try(format('INSERT INTO app.t%s (id, owner, note) VALUES (%s, ''00000000-0000-0000-0000-00000000000%s'', ''o1'') RETURNING id', t, n * 2 - 1, n));
            what := 'insert ' || n;
            RETURN NEXT;
        END LOOP;
    END LOOP;
END
$$;
CREATE TABLE app.seen (stage text, role text, claims text, t int, what text, answer text);
GRANT ALL ON app.seen TO PUBLIC;
CREATE FUNCTION app.look_as_everybody(stage text) RETURNS bigint LANGUAGE plpgsql
    AS $$
DECLARE
    who text;
    claims text;
BEGIN
    FOREACH who IN ARRAY ARRAY['wp_user', 'wp_other'] LOOP
        FOREACH claims IN ARRAY ARRAY[
            '{"sub": "00000000-0000-0000-0000-000000000001", "role": "authenticated", "email": "u1@x.y", "org": "o1", "n": [3]}',
            '{"sub": "00000000-0000-0000-0000-000000000002", "role": "x", "email": "U2@X.Y", "org": "a"}',
            '{"sub": "00000000-0000-0000-0000-000000000003", "role": "authenticated", "email": "u1@x.y"}',
            '', '{"sub": "nobody"}'] LOOP
            PERFORM set_config('request.jwt.claims', claims, true), set_config('app.x', 'b', true), set_config('app.list', 'o1,a', true);
            EXECUTE format('SET LOCAL ROLE %I', who);
            INSERT INTO app.seen SELECT stage, who, claims, l.* FROM app.look() AS l;
            RESET ROLE;
        END LOOP;
    END LOOP;
    RETURN (SELECT count(*) FROM app.seen s WHERE s.stage = look_as_everybody.stage);
END
$$;
CREATE TABLE app.before AS SELECT schemaname, tablename, policyname, permissive, roles, cmd, qual, with_check FROM pg_policies;
SELECT app.look_as_everybody('before');
-- how many users see what
SELECT what, count(DISTINCT (t, answer)) AS different, count(*) FILTER (WHERE answer ~ '^[1-9 ]+$') AS rows,
       count(*) FILTER (WHERE answer = 'nothing') AS nothing, count(*) FILTER (WHERE answer ~ '^42501 ') AS refused
  FROM app.seen WHERE claims !~ 'nobody' GROUP BY what ORDER BY what;
SELECT t, claims ->> 'sub' AS sub, answer FROM (SELECT t, answer, nullif(claims, '')::json AS claims FROM app.seen
    WHERE role = 'wp_user' AND what = 'select') AS s WHERE claims ->> 'org' IS NOT NULL ORDER BY t, sub;

-- ---- what would be done ----
SELECT schema_name, table_name, statement, done, detail FROM mentalspace.wrap_policies()
 WHERE policy_name = 'the policy' ORDER BY substr(table_name, 2)::int;
SELECT statement FROM mentalspace.wrap_policies() WHERE policy_name <> 'the policy' AND table_name = 't1';
-- these hold nothing to be wrapped
SELECT tablename, policyname FROM pg_policies p
 WHERE schemaname <> 'mentalspace' AND NOT EXISTS (SELECT FROM mentalspace.wrap_policies() w WHERE (w.table_name, w.policy_name) = (p.tablename, p.policyname))
 ORDER BY 1, 2;
SELECT count(*) AS nothing_was_changed FROM (SELECT * FROM app.before EXCEPT
    SELECT schemaname, tablename, policyname, permissive, roles, cmd, qual, with_check FROM pg_policies) AS d;

-- ---- and is ----
-- whatever the session's search_path holds
SET search_path = app, public;
SET quote_all_identifiers = on;
SET standard_conforming_strings = off;
SET escape_string_warning = off;
SELECT count(*), bool_and(done) AS done, count(detail) AS details FROM mentalspace.wrap_policies(dry_run => false);
RESET search_path;
RESET quote_all_identifiers;
RESET standard_conforming_strings;
RESET escape_string_warning;
SELECT count(*) AS again FROM mentalspace.wrap_policies(false);
SELECT tablename, qual, with_check FROM pg_policies WHERE policyname = 'the policy' AND tablename IN ('t3', 't4', 't9') ORDER BY 1;
SELECT app.look_as_everybody('wrapped');
SELECT count(*) AS compared FROM app.seen b JOIN app.seen w USING (t, what, role, claims) WHERE b.stage = 'before' AND w.stage = 'wrapped';
-- An identity that cannot be read: its error may be missing where no row is seen in any case, because the server calls
-- stable functions also to estimate numbers of rows, and does not run sub-selects for that.
SELECT b.t, b.what, b.role, b.claims, b.answer, w.answer AS wrapped
  FROM app.seen b JOIN app.seen w USING (t, what, role, claims)
 WHERE b.stage = 'before' AND w.stage = 'wrapped' AND b.answer IS DISTINCT FROM w.answer
   AND NOT (b.answer ~ '^22P02 ' AND w.answer = 'nothing') ORDER BY 1, 2, 3, 4;
-- once a query
CREATE SEQUENCE app.calls;
GRANT ALL ON app.calls TO wp_user;
CREATE FUNCTION app.counted() RETURNS boolean LANGUAGE sql STABLE AS $$ SELECT nextval('app.calls') > 0 $$;
CREATE TABLE app.counting AS SELECT generate_series(1, 50) AS id;
ALTER TABLE app.counting ENABLE ROW LEVEL SECURITY;
GRANT ALL ON app.counting TO wp_user;
CREATE POLICY counted ON app.counting USING (app.counted());
SELECT statement, done FROM mentalspace.wrap_policies(false);
SET ROLE wp_user;
SELECT count(*) FROM app.counting;
RESET ROLE;
SELECT last_value < 50 AS once FROM app.calls;

-- ---- and undone ----
-- changed since
ALTER POLICY "never" ON app.t1 USING (id <> 4);
ALTER POLICY "never" ON app.t2 USING (auth.uid() IS NOT NULL);
DROP POLICY "never" ON app.t3;
-- an entry that is not the policy's
UPDATE mentalspace.wrapped_policies SET original_using = 'true' WHERE table_name = 'counting';
SELECT table_name, policy_name, statement, done, detail FROM mentalspace.unwrap_policies()
 WHERE detail IS NOT NULL OR table_name = 't3' ORDER BY 1, 2;
SELECT count(*) AS nothing_was_done FROM mentalspace.unwrap_policies() WHERE done;
-- wrapped anew, it is what it was then that comes back
SELECT statement, done FROM mentalspace.wrap_policies(false);
SELECT count(*) FILTER (WHERE done) AS done, count(detail) AS details FROM mentalspace.unwrap_policies(false);
SELECT qual FROM pg_policies WHERE tablename = 't2' AND policyname = 'never';
ALTER POLICY "never" ON app.t1 USING (id <> app.my_number(1) OR auth.role() = 'x');
ALTER POLICY "never" ON app.t2 USING (id <> app.my_number(1) OR auth.role() = 'x');
CREATE POLICY "never" ON app.t3 AS RESTRICTIVE USING (id <> app.my_number(1) OR auth.role() = 'x');
SELECT * FROM app.before EXCEPT
    SELECT schemaname, tablename, policyname, permissive, roles, cmd, qual, with_check FROM pg_policies;
SELECT app.look_as_everybody('unwrapped');
SELECT b.t, b.what, b.role, b.claims, b.answer, w.answer AS unwrapped
  FROM app.seen b JOIN app.seen w USING (t, what, role, claims)
 WHERE b.stage = 'before' AND w.stage = 'unwrapped' AND b.answer IS DISTINCT FROM w.answer ORDER BY 1, 2, 3, 4;
SELECT table_name, policy_name, detail FROM mentalspace.unwrap_policies(false);

-- ---- who may ----
CREATE SCHEMA theirs AUTHORIZATION wp_other;
SET ROLE wp_other;
CREATE TABLE theirs.t (id int, owner uuid);
CREATE POLICY p ON theirs.t USING (owner = auth.uid());
SELECT schema_name, table_name, done FROM mentalspace.wrap_policies();
SELECT mentalspace.wrap_policies(false);
SELECT mentalspace.unwrap_policies(false);
RESET ROLE;
GRANT SELECT, INSERT, UPDATE, DELETE ON mentalspace.wrapped_policies TO wp_other;
SET ROLE wp_other;
SELECT schema_name, table_name, done FROM mentalspace.wrap_policies(false);
SELECT table_name, policy_name, statement, done, detail FROM mentalspace.unwrap_policies(false);
RESET ROLE;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT mentalspace.wrap_policies(false);
ROLLBACK;
-- temporary tables are the session's own
CREATE TEMPORARY TABLE passing (id int, owner uuid);
CREATE POLICY p ON passing USING (owner = auth.uid());
SELECT * FROM mentalspace.wrap_policies() WHERE table_name = 'passing';

-- ---- the text of expressions ----
SELECT e, mentalspace.wrap_expression(e, '{auth.uid,app.f,current_setting}', '{auth.uid,app.f,app.g}')
  FROM (VALUES ('(x = auth.uid())'), ('"auth.uid"() = auth."uid"'), ('app.f(auth.uid(), ''a) OR (b''::app.r)'), ('app.f(x)'),
               ('app.f(t.x)'), ('app.f((''x''::text)::app.dom)'), ('app.f(NULL::app.dom, true, 1.5e3, ''2''::character varying(5))'),
               ('app.f(random())'), ('app.f(lower(''A''::text))'), ('app.f((1 OPERATOR(app.+) 2))'), ('app.g(auth.uid())'),
               ('app.f(app.h())'), ('app.f(( SELECT auth.uid() AS uid))'), ('app.f(( SELECT x.y FROM x))'),
               ('( SELECT auth.uid() AS uid)'), ('( SELECT (auth.uid())::text AS uid)'), ('app.f(unknown(1))'), ('x.f()'),
               ('( SELECT DISTINCT ON (auth.uid()) 1, auth.uid() AS u FROM app.f() f(a))'),
               ('(EXISTS ( SELECT FROM (a JOIN app.f() b ON ((b.x = auth.uid()))), app.f(auth.uid()) c WHERE (NOT (auth.uid() IS DISTINCT FROM c.c))))')
       ) AS v(e);
SELECT mentalspace.wrap_expression('(x = auth.uid()', '{}', '{}');
