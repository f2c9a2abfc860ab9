-- mentalspace.wrap_policies(): conditions that do not look at the row become ranges that an index answers.
\set SHOW_CONTEXT never
CREATE EXTENSION mentalspace;
-- what PostgreSQL itself makes of policies
SELECT set_config('mentalspace.rls_optimize', 'off', false);
CREATE ROLE wr_user;
GRANT wr_user TO CURRENT_USER;
GRANT USAGE ON SCHEMA auth TO wr_user;
CREATE TABLE user_roles (user_id uuid, role text);
CREATE FUNCTION has_role(_user_id uuid, _role text) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public
    AS $$ SELECT CASE WHEN _user_id IS NULL THEN NULL ELSE EXISTS (SELECT FROM user_roles WHERE user_id = _user_id AND role = _role) END $$;
CREATE FUNCTION id_of(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid $$;
INSERT INTO user_roles VALUES (id_of(1), 'admin'), (id_of(2), 'supervisor'), (id_of(3), 'billing');
-- A table of each kind, with the same rows and the same policies.
CREATE TABLE by_uuid (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), n int, owner uuid, note text);
CREATE TABLE by_int8 (id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, n int, owner uuid, note text);
CREATE TABLE by_int2 (id int2 PRIMARY KEY GENERATED ALWAYS AS IDENTITY, n int, owner uuid, note text);
CREATE TABLE by_date (n int, owner uuid, note text, "On" date NOT NULL DEFAULT 'infinity');
CREATE INDEX ON by_date ("On");
CREATE TABLE by_time (n int, owner uuid, note text, at timestamptz NOT NULL DEFAULT '-infinity', UNIQUE (at, n));
CREATE TABLE by_part (id int, n int, owner uuid, note text, PRIMARY KEY (id, n)) PARTITION BY RANGE (n);
CREATE TABLE by_part_1 PARTITION OF by_part FOR VALUES FROM (MINVALUE) TO (100);
CREATE TABLE by_part_2 PARTITION OF by_part FOR VALUES FROM (100) TO (MAXVALUE);
-- nothing to make a range of: a text key, a column that may be NULL, a partial index, a parent of children by inheritance
CREATE TABLE by_text (id text PRIMARY KEY DEFAULT gen_random_uuid()::text, n int, owner uuid, note text);
CREATE TABLE by_null (id int UNIQUE, n int, owner uuid, note text);
CREATE TABLE by_some (id int NOT NULL DEFAULT 0, n int, owner uuid, note text);
CREATE INDEX ON by_some (id) WHERE n > 5;
CREATE TABLE by_kids (id int NOT NULL DEFAULT 0, n int, owner uuid, note text);
CREATE INDEX ON by_kids (id);
CREATE TABLE a_kid () INHERITS (by_kids);
CREATE TABLE kinds (t regclass);
INSERT INTO kinds SELECT c.oid FROM pg_class AS c WHERE c.relname LIKE 'by\_%' AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace;
DO $$
DECLARE
    k record;
BEGIN
    FOR k IN SELECT t, t::text IN ('by_part', 'by_null') AS has_no_default FROM kinds LOOP
        EXECUTE format('INSERT INTO %s (%s n, owner, note) SELECT %s n, id_of(n %% 40), ''note '' || n FROM generate_series(1, 200) AS n', k.t,
                       CASE WHEN k.has_no_default THEN 'id,' END, CASE WHEN k.has_no_default THEN 'n,' END);
        EXECUTE format('CREATE INDEX ON %s (owner)', k.t);
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', k.t);
        EXECUTE format('GRANT SELECT, UPDATE, DELETE ON %s TO wr_user', k.t);
        EXECUTE format('CREATE POLICY all_of_it ON %s TO wr_user USING (has_role(auth.uid(), ''admin''))', k.t);
        EXECUTE format('CREATE POLICY one_of_many ON %s FOR SELECT TO wr_user USING (has_role(auth.uid(), ''supervisor'') OR owner = auth.uid() OR (has_role(auth.uid(), ''billing'') AND n < 10) OR has_role(auth.uid(), ''nobody has this''))', k.t);
        EXECUTE format('CREATE POLICY own ON %s FOR UPDATE TO wr_user USING (owner = auth.uid() OR has_role(auth.uid(), ''supervisor'')) WITH CHECK (owner = auth.uid() OR has_role(auth.uid(), ''supervisor''))', k.t);
        EXECUTE format('CREATE POLICY plain_and ON %s FOR DELETE TO wr_user USING (has_role(auth.uid(), ''supervisor'') AND owner = id_of(5))', k.t);
        EXECUTE format('CREATE POLICY not_these ON %s AS RESTRICTIVE TO wr_user USING (n <> 41 OR has_role(auth.uid(), ''admin''))', k.t);
    END LOOP;
END
$$;
INSERT INTO a_kid SELECT 1, n, id_of(n), 'kid' FROM generate_series(1, 5) AS n;
ALTER TABLE a_kid ALTER id DROP NOT NULL;
INSERT INTO by_null SELECT NULL, n, id_of(n % 40), 'without' FROM generate_series(300, 310) AS n;

-- what each user sees and may change, as a digest
CREATE TABLE looks (stage text, t regclass, who int, what text, answer text);
GRANT ALL ON looks, kinds TO wr_user;
CREATE FUNCTION look(stage text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    k record;
    who int;
    statement text;
    answer text;
BEGIN
    FOREACH who IN ARRAY ARRAY[0, 1, 2, 3, 5, 39, 77] LOOP
        PERFORM set_config('request.jwt.claims', CASE WHEN who > 0 THEN json_build_object('sub', id_of(who))::text ELSE '' END, true);
        FOR k IN SELECT t FROM kinds LOOP
            FOREACH statement IN ARRAY ARRAY['SELECT n FROM %s', 'UPDATE %s SET note = note || ''!'' RETURNING n',
                                             'UPDATE %s SET owner = id_of(5) RETURNING n', 'DELETE FROM %s RETURNING n'] LOOP
                BEGIN
                    SET LOCAL ROLE wr_user;
                    EXECUTE format('WITH d AS (' || statement || ') SELECT count(*) || '' '' || md5(string_agg(n::text, '','' ORDER BY n)) FROM d', k.t) INTO answer;
                    RAISE EXCEPTION 'undone' USING ERRCODE = 'UNDON';
                EXCEPTION WHEN SQLSTATE 'UNDON' THEN
                    NULL;
                          WHEN insufficient_privilege THEN
                    answer := sqlerrm;
                END;
                INSERT INTO looks VALUES (stage, k.t, who, statement, answer);
            END LOOP;
        END LOOP;
    END LOOP;
    RETURN (SELECT count(*) FROM looks AS l WHERE l.stage = look.stage);
END
$$;
CREATE TABLE before AS SELECT tablename, policyname, qual, with_check FROM pg_policies WHERE schemaname = 'public';
SELECT look('before');
SELECT who, what, min(answer), count(DISTINCT answer) FROM looks WHERE t::text LIKE 'by%' AND t::text NOT IN ('by_kids', 'by_null') GROUP BY 1, 2 ORDER BY 1, 2;
-- only wrapped, on request
SELECT count(*) FILTER (WHERE statement LIKE '%CASE WHEN%') FROM mentalspace.wrap_policies(ranges => false);
SELECT policy_name, statement, done, detail FROM mentalspace.wrap_policies() WHERE table_name = 'by_uuid';
SELECT table_name, count(*) FILTER (WHERE statement LIKE '%CASE WHEN%') AS ranges, max(detail) AS detail FROM mentalspace.wrap_policies() GROUP BY 1 ORDER BY 1;
SELECT count(*), bool_and(done) AS done FROM mentalspace.wrap_policies(false);
SELECT table_name, policy_name, done FROM mentalspace.wrap_policies(false);
SELECT look('ranges');
SELECT b.t, b.who, b.what, b.answer, r.answer FROM looks AS b JOIN looks AS r USING (t, who, what)
 WHERE b.stage = 'before' AND r.stage = 'ranges' AND b.answer IS DISTINCT FROM r.answer;
SELECT tablename, policyname, qual FROM pg_policies WHERE tablename IN ('by_date', 'by_part') AND policyname IN ('all_of_it', 'one_of_many') ORDER BY 1, 2;
-- the plan: an index for the user's own rows and one for the range
CREATE TABLE planned (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), owner uuid);
INSERT INTO planned (owner) SELECT id_of(n % 100) FROM generate_series(1, 10000) AS n;
CREATE INDEX ON planned (owner);
CREATE POLICY staff ON planned TO wr_user USING (has_role(auth.uid(), 'admin') OR has_role(auth.uid(), 'supervisor'));
CREATE POLICY own ON planned TO wr_user USING (owner = auth.uid());
ALTER TABLE planned ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON planned TO wr_user;
ANALYZE planned;
SELECT policy_name, done FROM mentalspace.wrap_policies(false);
BEGIN;
SELECT set_config('request.jwt.claims', json_build_object('sub', id_of(39))::text, true) IS NOT NULL AS set;
SET LOCAL ROLE wr_user;
EXPLAIN (COSTS OFF) SELECT count(*) FROM planned;
SELECT count(*) FROM planned;
ROLLBACK;
-- back
SELECT count(*), bool_and(done) AS done FROM mentalspace.unwrap_policies(false);
SELECT * FROM before EXCEPT SELECT tablename, policyname, qual, with_check FROM pg_policies;
-- a range that somebody has changed by hand is theirs
SELECT count(*) FROM mentalspace.wrap_policies(false) WHERE table_name = 'by_int2';
ALTER POLICY all_of_it ON by_int2 USING (id >= (SELECT CASE WHEN has_role(auth.uid(), 'admin') THEN (-100)::int2 END) AND id <= 32767::int2);
SELECT policy_name, done, detail FROM mentalspace.unwrap_policies(false) WHERE table_name = 'by_int2' ORDER BY 1;
-- without an index that it could use any more, the range is still the same rows, and goes back
SELECT count(*) FROM mentalspace.wrap_policies(false) WHERE table_name = 'by_date';
DROP INDEX "by_date_On_idx";
SELECT policy_name, done, detail FROM mentalspace.unwrap_policies(false) WHERE table_name = 'by_date' ORDER BY 1;
SELECT * FROM before WHERE tablename <> 'by_int2' EXCEPT SELECT tablename, policyname, qual, with_check FROM pg_policies;
