-- mentalspace.rls_optimize = hoist: what a policy computes without looking at the row is computed once per query.
CREATE EXTENSION mentalspace;
SET mentalspace.rls_optimize = hoist;
CREATE ROLE app_user;
GRANT USAGE ON SCHEMA auth, mentalspace, public TO app_user;
-- each call is told by a NOTICE
CREATE FUNCTION public.noted(what text, answer boolean) RETURNS boolean LANGUAGE plpgsql STABLE
    AS $$ BEGIN RAISE NOTICE 'called %', what; RETURN answer; END $$;
CREATE FUNCTION public.raises() RETURNS boolean LANGUAGE plpgsql STABLE
    AS $$ BEGIN RAISE EXCEPTION 'called in vain' USING ERRCODE = 'XR001'; END $$;
CREATE FUNCTION public.changing(i int) RETURNS boolean LANGUAGE plpgsql VOLATILE
    AS $$ BEGIN RAISE NOTICE 'called for %', i; RETURN true; END $$;
CREATE FUNCTION public.changing() RETURNS boolean LANGUAGE plpgsql VOLATILE
    AS $$ BEGIN RAISE NOTICE 'called changing()'; RETURN true; END $$;
CREATE FUNCTION public.many() RETURNS SETOF int LANGUAGE plpgsql STABLE
    AS $$ BEGIN RAISE NOTICE 'called many'; RETURN QUERY SELECT 1 UNION ALL SELECT 2; END $$;
CREATE TABLE t (id int PRIMARY KEY, owner uuid DEFAULT '00000000-0000-0000-0000-00000000000a', note text);
INSERT INTO t SELECT i FROM generate_series(1, 3) AS i;
CREATE TABLE other (id int, t int);
INSERT INTO other SELECT i, i FROM generate_series(1, 3) AS i;
CREATE TABLE parts (id int, note text) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (2);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (2) TO (100);
INSERT INTO parts SELECT i FROM generate_series(1, 3) AS i;
CREATE TABLE empty (id int);
GRANT ALL ON ALL TABLES IN SCHEMA public TO app_user;
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
ALTER TABLE other ENABLE ROW LEVEL SECURITY;
ALTER TABLE parts ENABLE ROW LEVEL SECURITY;
ALTER TABLE empty ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON t USING (noted('once', true) AND id > 0) WITH CHECK (noted('once', true) AND id < 100);
CREATE POLICY p ON other USING (noted('once', true) AND id > 0);
CREATE POLICY p ON parts USING (noted('once', true) AND id > 0);
CREATE POLICY p ON empty USING (noted('never', true) AND id > 0);
CREATE VIEW v WITH (security_invoker = true) AS SELECT * FROM t WHERE id <= 2;
GRANT SELECT ON v TO app_user;
SET ROLE app_user;

-- off: once a row
SET mentalspace.rls_optimize = off;
SELECT count(*) FROM t;
SET mentalspace.rls_optimize = hoist;
SELECT count(*) FROM t;
EXPLAIN (COSTS OFF) SELECT * FROM t;
-- equal calls are one call, over the whole query
SELECT count(*) FROM t JOIN other ON other.t = t.id;
SELECT count(*) FROM t WHERE EXISTS (SELECT FROM other WHERE other.t = t.id);
SELECT count(*) FROM v;
SELECT count(*) FROM parts;
WITH c AS MATERIALIZED (SELECT * FROM t) SELECT count(*) FROM c, v;
SELECT id FROM t UNION ALL SELECT id FROM other ORDER BY 1;
INSERT INTO t VALUES (4), (5);
INSERT INTO t VALUES (4), (6) ON CONFLICT (id) DO UPDATE SET note = 'again' RETURNING id;
UPDATE t SET note = 'changed' WHERE id > 1;
DELETE FROM t WHERE id > 4;
MERGE INTO t USING (VALUES (1), (9)) AS s(k) ON t.id = s.k
    WHEN MATCHED THEN UPDATE SET note = 'merged' WHEN NOT MATCHED THEN INSERT VALUES (9);
INSERT INTO t VALUES (100);
DELETE FROM t WHERE id > 3;

-- lazy: an empty table, a branch that is not reached
SELECT * FROM empty;
RESET ROLE;
ALTER POLICY p ON t USING (id > 0 OR noted('never', true));
SET ROLE app_user;
SELECT count(*) FROM t;
RESET ROLE;
ALTER POLICY p ON t USING (id > 0 OR raises());
SET ROLE app_user;
SELECT count(*) FROM t;
RESET ROLE;
ALTER POLICY p ON t USING (CASE WHEN noted('first', false) THEN raises() ELSE id > 1 END);
SET ROLE app_user;
SELECT count(*) FROM t;
RESET ROLE;
ALTER POLICY p ON empty USING (raises());
ALTER POLICY p ON t USING (id > 2 AND raises());
SET ROLE app_user;
SELECT * FROM empty;
\set VERBOSITY sqlstate
SELECT * FROM t;
\set VERBOSITY default
-- the primary key's condition is looked at first, as without us
SELECT id FROM t WHERE id = 1;

-- VOLATILE functions and functions that return sets are called as ever; an uncorrelated subquery of one, once
RESET ROLE;
ALTER POLICY p ON t USING (changing(id));
SET ROLE app_user;
SELECT count(*) FROM t;
RESET ROLE;
ALTER POLICY p ON t USING (changing());
SET ROLE app_user;
SELECT count(*) FROM t;
RESET ROLE;
ALTER POLICY p ON t USING ((SELECT changing()));
SET ROLE app_user;
SELECT count(*) FROM t;
RESET ROLE;
ALTER POLICY p ON t USING (id IN (SELECT many()));
SET ROLE app_user;
SELECT id FROM t;
RESET ROLE;

-- keys that are arrays are compared as arrays
CREATE TABLE arrays (a int[]);
INSERT INTO arrays VALUES ('{1,2}'), ('{3}');
GRANT SELECT ON arrays TO app_user;
CREATE FUNCTION public.as_array(i int) RETURNS int[] LANGUAGE sql IMMUTABLE AS $$ SELECT ARRAY[i] $$;
ALTER POLICY p ON t USING (as_array(id) IN (SELECT a FROM arrays));
SET ROLE app_user;
SELECT id FROM t;
SET mentalspace.rls_optimize = full;
SELECT id FROM t;
RESET ROLE;

-- privileges are asked for as ever, also of what no row asks for
CREATE FUNCTION public.secret() RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER AS $$ SELECT current_user IS NOT NULL $$;
REVOKE EXECUTE ON FUNCTION public.secret() FROM PUBLIC;
ALTER POLICY p ON t USING (noted('permissive', true) OR secret());
DO $$
DECLARE mode text; state text;
BEGIN
    SET LOCAL client_min_messages = warning;
    FOREACH mode IN ARRAY '{off,hoist,full}'::text[] LOOP
        SET LOCAL ROLE app_user;
        PERFORM set_config('mentalspace.rls_optimize', mode, true);
        BEGIN
            EXECUTE 'SELECT FROM t';
            state := 'no error';
        EXCEPTION WHEN OTHERS THEN state := SQLERRM;
        END;
        RESET ROLE;
        RAISE WARNING '%: %', mode, state;
    END LOOP;
END $$;
DROP FUNCTION public.secret() CASCADE;
CREATE TABLE hidden (id int);
CREATE POLICY p ON t USING (EXISTS (SELECT FROM hidden));
DO $$
DECLARE mode text; state text;
BEGIN
    FOREACH mode IN ARRAY '{off,hoist,full}'::text[] LOOP
        SET LOCAL ROLE app_user;
        PERFORM set_config('mentalspace.rls_optimize', mode, true);
        BEGIN
            EXECUTE 'SELECT FROM t';
            state := 'no error';
        EXCEPTION WHEN OTHERS THEN state := SQLERRM;
        END;
        RESET ROLE;
        RAISE WARNING '%: %', mode, state;
    END LOOP;
END $$;

-- SECURITY DEFINER and SET: as whom and with what the function runs is its own affair
CREATE FUNCTION public.about() RETURNS text LANGUAGE plpgsql STABLE SECURITY DEFINER SET app.x = 'inside'
    AS $$ BEGIN RETURN (current_user = 'app_user') || ' ' || current_setting('app.x'); END $$;
ALTER POLICY p ON t USING (about() = 'false inside');
SET ROLE app_user;
SET mentalspace.rls_optimize = hoist;
SET app.x = 'outside';
SELECT count(*) FROM t;
SHOW app.x;
RESET ROLE;

-- parallel plans: what workers need is there before they start; where it raises, nobody asked yet
ALTER POLICY p ON t USING (noted('for workers', true) AND id > 0);
SET ROLE app_user;
SELECT set_config(name, 'on', false) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');
SELECT count(*) FROM t;
RESET ROLE;
ALTER POLICY p ON t USING (id > 0 OR raises());
SET ROLE app_user;
SELECT count(*) FROM t;
SELECT id FROM t WHERE id = 1;
SET mentalspace.rls_optimize = full;
SELECT id FROM t WHERE id = 1;
SET mentalspace.rls_optimize = hoist;
SELECT set_config(name, 'off', false) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');

-- calls whose arguments, or which themselves, were wrapped by hand, inside and out: as if they were not
RESET ROLE;
CREATE FUNCTION public.noted_for(u uuid, what text) RETURNS boolean LANGUAGE plpgsql STABLE
    AS $$ BEGIN RAISE NOTICE 'called % for %', what, u; RETURN true; END $$;
CREATE FUNCTION public.number_of(u uuid) RETURNS int LANGUAGE plpgsql STABLE
    AS $$ BEGIN RAISE NOTICE 'called number_of'; RETURN 0; END $$;
SET request.jwt.claims = '{"sub": "00000000-0000-0000-0000-00000000000a"}';
ALTER POLICY p ON t USING (noted_for((SELECT auth.uid()), 'once') AND id > number_of((SELECT auth.uid())))
    WITH CHECK (noted_for((SELECT (SELECT auth.uid())), 'once'));
SET ROLE app_user;
SELECT count(*) FROM t;
EXPLAIN (COSTS OFF) SELECT * FROM t;
UPDATE t SET note = 'wrapped';
RESET ROLE;
ALTER POLICY p ON t USING ((SELECT noted_for((SELECT auth.uid()), 'once')) AND id > 0);
SET ROLE app_user;
SELECT count(*) FROM t;
SET mentalspace.rls_optimize = full;
EXPLAIN (COSTS OFF) SELECT * FROM t WHERE note IS NULL;
SET mentalspace.rls_optimize = hoist;
-- not what looks at the row, or changes from row to row
RESET ROLE;
ALTER POLICY p ON t USING (noted_for((SELECT t.owner), 'for each row') AND id < 3 AND (SELECT changing(id)));
SET ROLE app_user;
SELECT count(*) FROM t;

-- rls_optimize_quals: conditions of queries, too
RESET ROLE;
ALTER TABLE t DISABLE ROW LEVEL SECURITY;
SELECT count(*) FROM t WHERE id < 0 OR noted('often', true);
SET mentalspace.rls_optimize_quals = on;
SELECT count(*) FROM t WHERE id < 0 OR noted('once', true);
RESET mentalspace.rls_optimize_quals;

-- what was done: in a new session, two queries
\c -
SET mentalspace.rls_optimize = hoist;
SELECT * FROM mentalspace.rls_session_stats();
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
ALTER POLICY p ON t USING (noted('stats', true) AND id > 0);
SET ROLE app_user;
SELECT count(*) FROM t;
SELECT count(*) FROM t, other;
SELECT * FROM mentalspace.rls_session_stats();
RESET ROLE;

-- plans can be printed as ever
SET debug_print_plan = on;
SET client_min_messages = warning;
SET ROLE app_user;
SELECT count(*) FROM t;
SET mentalspace.rls_optimize = full;
SELECT count(*) FROM t;
RESET ROLE;
