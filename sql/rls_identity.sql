-- The identity changes while a statement runs: what is still to be evaluated uses the new one, as PostgreSQL does it, or
-- the statement ends in an error where the plan was made for the old one.
CREATE EXTENSION mentalspace;
CREATE ROLE app_user;
CREATE ROLE app_other;
GRANT app_other TO app_user;
GRANT USAGE ON SCHEMA auth, mentalspace, public TO app_user, app_other;
CREATE TABLE user_roles (user_id uuid, role text);
INSERT INTO user_roles VALUES ('00000000-0000-0000-0000-000000000001', 'admin');
CREATE FUNCTION public.has_role(u uuid, r text) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public
    AS $$ SELECT EXISTS (SELECT 1 FROM user_roles WHERE user_id = u AND role = r) $$;
CREATE TABLE notes (id int PRIMARY KEY, owner uuid, body text);
INSERT INTO notes SELECT i, ('00000000-0000-0000-0000-00000000000' || CASE WHEN i <= 1 THEN 2 ELSE 3 END)::uuid, 'x'
    FROM generate_series(1, 6) AS i;
CREATE INDEX ON notes (owner);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON notes USING (owner = auth.uid() OR has_role(auth.uid(), 'admin'));
GRANT ALL ON notes TO app_user, app_other;

-- as a user's code would: changes that the statement's text does not show
CREATE FUNCTION public.become(n int) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('request.jwt.claims', format('{"sub": "00000000-0000-0000-0000-00000000000%s"}', n), true);
    RETURN true;
END $$;
-- runs a statement as user 1, the administrator, for each value of the setting
CREATE PROCEDURE public.try(statement text) LANGUAGE plpgsql AS $$
DECLARE
    mode text;
    result record;
    seen text;
BEGIN
    FOREACH mode IN ARRAY ARRAY['off', 'hoist', 'full'] LOOP
        BEGIN
            PERFORM set_config('mentalspace.rls_optimize', mode, true), become(1);
            SET LOCAL ROLE app_user;
            result := NULL;
            IF statement LIKE 'MERGE%' THEN EXECUTE statement; ELSE EXECUTE statement INTO result; END IF;
            RESET ROLE;
            SELECT string_agg(id || ':' || body, ' ' ORDER BY id) INTO seen FROM notes WHERE body <> 'x' OR id > 6;
            RAISE NOTICE '%: %, table %', rpad(mode, 5), result, seen;
            RAISE EXCEPTION 'undo' USING ERRCODE = 'XX999';
        EXCEPTION
            WHEN SQLSTATE 'XX999' THEN NULL;
            WHEN OTHERS THEN RAISE NOTICE '%: % %', rpad(mode, 5), SQLSTATE, SQLERRM;
        END;
    END LOOP;
END $$;

-- what the text shows is planned by PostgreSQL alone
CALL try($$SELECT set_config('request.jwt.claims', '{"sub": "00000000-0000-0000-0000-000000000002"}', true) IS NULL, (SELECT count(*) FROM notes)$$);
CALL try($$SELECT count(*) FROM notes WHERE CASE id WHEN 1 THEN set_config('request.jwt.claims', '{"sub": "00000000-0000-0000-0000-000000000002"}', true) <> '' ELSE true END$$);
CALL try($$WITH l AS MATERIALIZED (SELECT mentalspace.logout()) SELECT (SELECT logout IS NULL FROM l), (SELECT count(*) FROM notes)$$);
CALL try($$WITH l AS MATERIALIZED (SELECT set_config('role', 'app_other', true) AS role) SELECT (SELECT role FROM l), (SELECT count(*) FROM notes)$$);
-- an answer that is the same for both
CALL try($$SELECT become(1), (SELECT count(*) FROM notes)$$);
-- rows after the change: in the same scan, in another, in a branch that the facts took away
CALL try($$SELECT become(2), (SELECT count(*) FROM notes)$$);
CALL try($$SELECT count(*) FROM notes WHERE CASE id WHEN 3 THEN become(2) ELSE true END$$);
CALL try($$SELECT string_agg(a.id::text, ',') FROM notes a, LATERAL (SELECT become(2) OFFSET 0) s, notes b WHERE a.id = 1$$);
CALL try($$SELECT count(*) FROM (SELECT become(2) UNION ALL SELECT true FROM notes) s$$);
CALL try($$SELECT become(3), become(1), (SELECT count(*) FROM notes)$$);
CREATE TABLE secrets (id int);
INSERT INTO secrets VALUES (1), (2);
ALTER TABLE secrets ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON secrets USING (NOT has_role(auth.uid(), 'admin'));
GRANT ALL ON secrets TO app_user;
CALL try($$SELECT count(*) FROM (SELECT become(2) UNION ALL SELECT true FROM secrets) s$$);
-- the role of the database
ALTER POLICY p ON notes USING (owner = auth.uid() OR has_role(auth.uid(), 'admin') AND current_user = 'app_user');
CREATE FUNCTION public.become_other() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN SET LOCAL ROLE app_other; RETURN true; END $$;
CALL try($$SELECT become_other(), (SELECT count(*) FROM notes)$$);
ALTER POLICY p ON notes USING (owner = auth.uid() OR has_role(auth.uid(), 'admin'));
-- a function's own settings end with it; a block that is left by an error takes back what it set
CREATE FUNCTION public.as_another() RETURNS bigint LANGUAGE sql
    SET request.jwt.claims = '{"sub": "00000000-0000-0000-0000-000000000002"}' AS $$ SELECT count(*) FROM notes $$;
CALL try($$SELECT as_another(), count(*) FROM notes$$);
CREATE FUNCTION public.try_to_become() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint;
BEGIN
    PERFORM become(2);
    n := (SELECT count(*) FROM notes);
    RAISE EXCEPTION 'undo';
EXCEPTION WHEN raise_exception THEN RETURN n;
END $$;
CALL try($$SELECT try_to_become(), count(*) FROM notes$$);
CREATE FUNCTION public.become_definer() RETURNS boolean LANGUAGE sql VOLATILE SECURITY DEFINER AS $$ SELECT become(2) $$;
CALL try($$SELECT become_definer(), (SELECT count(*) FROM notes)$$);
-- plans that functions keep
CREATE FUNCTION public.counted() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT count(*) FROM notes); END $$;
CALL try($$SELECT counted(), become(2), counted(), become(1), counted()$$);
CREATE FUNCTION public.in_loop() RETURNS text LANGUAGE plpgsql AS $$
DECLARE r record; seen text := '';
BEGIN
    FOR r IN SELECT id FROM notes ORDER BY id LOOP
        seen := seen || r.id;
        PERFORM become(2);
    END LOOP;
    RETURN seen;
END $$;
SET cursor_tuple_fraction = 1;
CALL try($$SELECT in_loop()$$);
-- what is written is checked for whoever asks then: triggers come before
CREATE FUNCTION public.switch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM become(2); RETURN NEW; END $$;
CREATE TRIGGER switch BEFORE INSERT OR UPDATE ON notes FOR EACH ROW WHEN (NEW.body = 'switch') EXECUTE FUNCTION switch();
CALL try($$INSERT INTO notes VALUES (7, '00000000-0000-0000-0000-000000000003', 'y') RETURNING id$$);
CALL try($$INSERT INTO notes VALUES (7, '00000000-0000-0000-0000-000000000003', 'switch') RETURNING id$$);
CALL try($$INSERT INTO notes VALUES (7, '00000000-0000-0000-0000-000000000002', 'switch') RETURNING id$$);
CALL try($$INSERT INTO notes SELECT 7, '00000000-0000-0000-0000-000000000003', 'y' WHERE become(2)$$);
CALL try($$INSERT INTO notes VALUES (3, '00000000-0000-0000-0000-000000000002', 'switch') ON CONFLICT (id) DO UPDATE SET body = 'z' RETURNING id$$);
CALL try($$UPDATE notes SET body = 'switch' WHERE id = 4 RETURNING id$$);
CALL try($$UPDATE notes SET body = 'switch' WHERE body = 'x' RETURNING id$$);
CALL try($$WITH s AS (SELECT become(2) AS b), u AS (UPDATE notes SET body = 'u' FROM s WHERE b RETURNING id) SELECT count(*) FROM u$$);
CALL try($$MERGE INTO notes USING (SELECT 5 AS k, become(2)) s ON id = k WHEN MATCHED THEN UPDATE SET body = 'm'$$);
-- parameters alone, between the rows of one scan
ALTER POLICY p ON notes USING (owner::text = auth.uid()::text);
CALL try($$SELECT string_agg(id::text, ',') FROM notes WHERE become(CASE id WHEN 1 THEN 3 ELSE 2 END)$$);
CALL try($$SELECT string_agg(a.id::text, ',') FROM (SELECT become(2) OFFSET 0) s, notes a$$);
-- sent row by row: none of another's goes out before the error
ALTER POLICY p ON notes USING (owner = auth.uid() OR has_role(auth.uid(), 'admin'));
SET ROLE app_user;
BEGIN;
SELECT become(1);
DECLARE c CURSOR FOR SELECT id, CASE id WHEN 2 THEN become(2) END FROM notes;
FETCH 1 FROM c;
FETCH ALL FROM c;
ROLLBACK;
-- workers
BEGIN;
SELECT become(1);
SET LOCAL force_parallel_mode = on;
SET LOCAL parallel_setup_cost = 0;
SELECT count(*) FROM notes;
SELECT become(2), (SELECT count(*) FROM notes);
ROLLBACK;
-- login() and logout() of a verified identity, in a CTE and in functions: who is logged in then has no row
RESET ROLE;
\getenv abs_srcdir PG_ABS_SRCDIR
\set tokens :abs_srcdir '/test/lib/tokens.sql'
\set ECHO none
\i :tokens
\set ECHO all
SELECT mentalspace.add_jwt_secret(maker.secret());
CREATE TABLE tokens AS SELECT maker.token(1) AS token;
CREATE ROLE anon;
CREATE ROLE authenticated;
GRANT USAGE ON SCHEMA auth, mentalspace, public TO authenticated;
GRANT ALL ON notes, tokens TO app_user, authenticated;
CREATE FUNCTION public.log_in() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM mentalspace.login(token) FROM tokens; RETURN true; END $$;
CREATE FUNCTION public.log_out() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM mentalspace.logout(); RETURN true; END $$;
CALL try($$WITH l AS MATERIALIZED (SELECT mentalspace.login(token) IS NOT NULL AS ok FROM tokens) SELECT (SELECT ok FROM l), (SELECT count(*) FROM notes)$$);
CALL try($$SELECT log_in(), (SELECT count(*) FROM notes)$$);
CALL try($$INSERT INTO notes SELECT 7, '00000000-0000-0000-0000-000000000003', 'y' WHERE log_in()$$);
CALL try($$SELECT log_in(), log_out(), (SELECT count(*) FROM notes)$$);
