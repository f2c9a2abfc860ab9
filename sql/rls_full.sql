-- mentalspace.rls_optimize = full: conditions are settled when the query is planned, and confirmed before it is executed.
CREATE EXTENSION mentalspace;
CREATE ROLE app_user;
CREATE ROLE app_other;
GRANT USAGE ON SCHEMA auth, mentalspace, public TO app_user, app_other;
CREATE TABLE user_roles (user_id uuid, role text);
INSERT INTO user_roles VALUES ('00000000-0000-0000-0000-00000000000a', 'admin');
CREATE TABLE members (user_id uuid, org int);
INSERT INTO members VALUES ('00000000-0000-0000-0000-00000000000b', 1), ('00000000-0000-0000-0000-00000000000b', 2);
CREATE FUNCTION public.has_role(u uuid, r text) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public
    AS $$ SELECT EXISTS (SELECT 1 FROM user_roles WHERE user_id = u AND role = r) $$;
CREATE TABLE docs (id int PRIMARY KEY, owner uuid, org int);
INSERT INTO docs SELECT i, ('00000000-0000-0000-0000-' || lpad(to_hex(i % 100), 12, '0'))::uuid, i % 50 FROM generate_series(1, 2000) AS i;
CREATE INDEX ON docs (owner);
CREATE INDEX ON docs (org);
ANALYZE docs, user_roles, members;
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs USING (owner = auth.uid() OR has_role(auth.uid(), 'admin') OR has_role(auth.uid(), 'staff'));
GRANT ALL ON docs, user_roles, members TO app_user, app_other;
SHOW mentalspace.rls_optimize;
SET ROLE app_user;

-- roles that are false leave an index; one that is true leaves no filter
SET request.jwt.claims = '{"sub": "00000000-0000-0000-0000-00000000000b"}';
EXPLAIN (COSTS OFF) SELECT * FROM docs;
SELECT count(*) FROM docs;
SET request.jwt.claims = '{"sub": "00000000-0000-0000-0000-00000000000a"}';
EXPLAIN (COSTS OFF) SELECT * FROM docs;
SELECT count(*) FROM docs;
-- a row by its primary key is not worth it
EXPLAIN (COSTS OFF) SELECT * FROM docs WHERE id = 1;
-- keys of a membership table
RESET ROLE;
ALTER POLICY p ON docs USING (org IN (SELECT org FROM members WHERE user_id = auth.uid()));
SET ROLE app_user;
SET request.jwt.claims = '{"sub": "00000000-0000-0000-0000-00000000000b"}';
EXPLAIN (COSTS OFF) SELECT * FROM docs;
SELECT count(*) FROM docs;
RESET ROLE;
-- keys that cannot be collected are asked for row by row, as ever
CREATE FUNCTION public.positive(i int) RETURNS int LANGUAGE plpgsql STABLE
    AS $$ BEGIN IF i < 0 THEN RAISE EXCEPTION 'negative'; END IF; RETURN i; END $$;
INSERT INTO members SELECT '00000000-0000-0000-0000-00000000000c', i FROM generate_series(-1, 5000) AS i;
CREATE INDEX ON members (org);
ANALYZE members;
ALTER POLICY p ON docs USING (EXISTS (SELECT FROM members m WHERE m.org = docs.org AND positive(m.org) > 0));
SET ROLE app_user;
SELECT count(*) FROM docs WHERE id IN (51, 52);
SET mentalspace.rls_optimize = off;
SELECT count(*) FROM docs WHERE id IN (51, 52);
RESET mentalspace.rls_optimize;
RESET ROLE;
DROP INDEX members_org_idx;

-- a generic plan, through changes of user, roles, function, policy and database role
ALTER POLICY p ON docs USING (owner = auth.uid() OR has_role(auth.uid(), 'admin'));
SET plan_cache_mode = force_generic_plan;
SET ROLE app_user;
PREPARE q AS SELECT count(*) FROM docs;
SET request.jwt.claims = '{"sub": "00000000-0000-0000-0000-00000000000b"}';
EXECUTE q;
SET request.jwt.claims = '{"sub": "00000000-0000-0000-0000-00000000000a"}';
EXECUTE q;
EXPLAIN (COSTS OFF) EXECUTE q;
DELETE FROM user_roles;
EXECUTE q;
EXPLAIN (COSTS OFF) EXECUTE q;
INSERT INTO user_roles VALUES ('00000000-0000-0000-0000-00000000000a', 'admin');
EXECUTE q;
SET ROLE app_other;
EXECUTE q;
RESET ROLE;
EXECUTE q;
SET ROLE app_user;
EXECUTE q;
RESET ROLE;
CREATE OR REPLACE FUNCTION public.has_role(u uuid, r text) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public
    AS $$ SELECT false $$;
SET ROLE app_user;
EXECUTE q;
RESET ROLE;
CREATE OR REPLACE FUNCTION public.has_role(u uuid, r text) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public
    AS $$ SELECT EXISTS (SELECT 1 FROM user_roles WHERE user_id = u AND role = r) $$;
SET ROLE app_user;
EXECUTE q;
RESET ROLE;
ALTER POLICY p ON docs USING (owner = auth.uid() OR has_role(auth.uid(), 'staff'));
SET ROLE app_user;
EXECUTE q;
RESET ROLE;
ALTER POLICY p ON docs USING (owner = auth.uid() OR has_role(auth.uid(), 'admin'));
-- in a loop of PL/pgSQL
CREATE FUNCTION public.counts() RETURNS SETOF bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE i int;
BEGIN
    FOR i IN 1 .. 4 LOOP
        PERFORM set_config('request.jwt.claims', format('{"sub": "00000000-0000-0000-0000-00000000000%s"}', CASE WHEN i % 2 = 1 THEN 'a' ELSE 'b' END), true);
        RETURN NEXT (SELECT count(*) FROM docs);
    END LOOP;
END $$;
SET ROLE app_user;
SELECT * FROM counts();
RESET plan_cache_mode;

-- a role revoked, or granted and rolled back, in the same transaction
BEGIN;
SELECT count(*) FROM docs;
DELETE FROM user_roles;
SELECT count(*) FROM docs;
ROLLBACK;
SELECT count(*) FROM docs;
DELETE FROM user_roles;
BEGIN;
SELECT count(*) FROM docs;
SAVEPOINT s;
INSERT INTO user_roles VALUES ('00000000-0000-0000-0000-00000000000a', 'admin');
SELECT count(*) FROM docs;
EXECUTE q;
ROLLBACK TO s;
SELECT count(*) FROM docs;
EXECUTE q;
COMMIT;
SELECT count(*) FROM docs;
INSERT INTO user_roles VALUES ('00000000-0000-0000-0000-00000000000a', 'admin');
-- the same in PL/pgSQL, where a block is left by an error after the role was granted
DO $$
DECLARE n bigint;
BEGIN
    DELETE FROM user_roles;
    FOR i IN 1 .. 2 LOOP
        BEGIN
            IF i = 1 THEN INSERT INTO user_roles VALUES ('00000000-0000-0000-0000-00000000000a', 'admin'); END IF;
            SELECT count(*) INTO n FROM docs;
            RAISE NOTICE '% rows', n;
            RAISE EXCEPTION 'undo';
        EXCEPTION WHEN raise_exception THEN NULL;
        END;
    END LOOP;
END $$;
INSERT INTO user_roles VALUES ('00000000-0000-0000-0000-00000000000a', 'admin');

-- cursors: the rows of whom they were opened for, or an error; never a mixture
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT id FROM docs ORDER BY id;
FETCH 2 FROM c;
SET LOCAL request.jwt.claims = '{"sub": "00000000-0000-0000-0000-00000000000b"}';
FETCH 2 FROM c;
ROLLBACK;
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT id FROM docs ORDER BY id;
FETCH 2 FROM c;
DELETE FROM user_roles;
FETCH 2 FROM c;
FETCH BACKWARD 3 FROM c;
ROLLBACK;
BEGIN;
SET LOCAL mentalspace.rls_optimize = hoist;
DECLARE c CURSOR FOR SELECT id FROM docs ORDER BY id;
FETCH 2 FROM c;
SET LOCAL request.jwt.claims = '{"sub": "00000000-0000-0000-0000-00000000000b"}';
FETCH 2 FROM c;
ROLLBACK;
BEGIN;
DECLARE h CURSOR WITH HOLD FOR SELECT id FROM docs ORDER BY id;
FETCH 1 FROM h;
COMMIT;
SET request.jwt.claims = '';
FETCH 2 FROM h;
CLOSE h;
SET request.jwt.claims = '{"sub": "00000000-0000-0000-0000-00000000000a"}';
-- opened by a SECURITY DEFINER function, fetched by the caller
RESET ROLE;
CREATE FUNCTION public.open_it(c refcursor) RETURNS refcursor LANGUAGE plpgsql SECURITY DEFINER
    AS $$ BEGIN OPEN c FOR SELECT id FROM docs ORDER BY id; RETURN c; END $$;
ALTER FUNCTION public.open_it(refcursor) OWNER TO app_other;
SET ROLE app_user;
BEGIN;
SELECT open_it('r');
FETCH 2 FROM r;
COMMIT;

-- results of has_role() are kept while the snapshot shows the same: a statement of another transaction shows something else
SELECT count(*) FROM docs;
SELECT count(*) FROM docs;
DELETE FROM user_roles;
SELECT count(*) FROM docs;
INSERT INTO user_roles VALUES ('00000000-0000-0000-0000-00000000000a', 'admin');
SELECT count(*) FROM docs;
RESET ROLE;
-- who reads the table decides whether its policies count: kept for nobody else
CREATE FUNCTION public.invoker_role(u uuid, r text) RETURNS boolean LANGUAGE sql STABLE SET search_path = public
    AS $$ SELECT EXISTS (SELECT 1 FROM user_roles WHERE user_id = u AND role = r) $$;
ALTER TABLE user_roles ENABLE ROW LEVEL SECURITY;
CREATE POLICY nobody ON user_roles TO app_other USING (false);
CREATE POLICY flagged ON user_roles TO app_user USING (current_setting('app.flag', true) = 'on');
ALTER POLICY p ON docs USING (invoker_role(auth.uid(), 'admin') AND id > 0);
ALTER TABLE docs FORCE ROW LEVEL SECURITY;
CREATE ROLE app_owner;
GRANT USAGE ON SCHEMA auth, mentalspace, public TO app_owner;
ALTER TABLE docs OWNER TO app_owner;
ALTER TABLE user_roles OWNER TO app_owner;
SET ROLE app_owner;
SELECT count(*) FROM docs;
SET ROLE app_other;
SELECT count(*) FROM docs;
SET ROLE app_user;
SELECT count(*) FROM docs;
SET app.flag = 'on';
SELECT count(*) FROM docs;
SET app.flag = 'off';
SELECT count(*) FROM docs;
RESET ROLE;

-- what raises is no fact, and its error is seen where a row asks
CREATE FUNCTION public.raises() RETURNS boolean LANGUAGE plpgsql STABLE
    AS $$ BEGIN RAISE EXCEPTION 'a row asked' USING ERRCODE = 'XR001'; END $$;
ALTER POLICY p ON docs USING (id > 5000 AND raises());
SET ROLE app_user;
SELECT count(*) FROM docs;
RESET ROLE;
ALTER POLICY p ON docs USING (id > 1999 AND raises());
SET ROLE app_user;
\set VERBOSITY terse
SELECT count(*) FROM docs;
-- a timeout ends the statement, not only the fact
RESET ROLE;
CREATE FUNCTION public.slow() RETURNS boolean LANGUAGE plpgsql STABLE AS $$ BEGIN PERFORM pg_sleep(60); RETURN true; END $$;
ALTER POLICY p ON docs USING (slow());
SET ROLE app_user;
SET statement_timeout = 50;
SELECT count(*) FROM docs;
RESET statement_timeout;
RESET ROLE;

-- mentalspace.has_role() and its siblings read a user's roles once a snapshot
CREATE OR REPLACE FUNCTION mentalspace.roles_of(user_id uuid) RETURNS text[] LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp AS $$ BEGIN RAISE NOTICE 'read'; RETURN '{admin}'; END $$;
ALTER TABLE user_roles DISABLE ROW LEVEL SECURITY;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT mentalspace.has_role('admin') AS admin, mentalspace.has_role('staff') AS staff, mentalspace.has_any_role('{staff,admin}') AS one;
SELECT mentalspace.roles();
-- not where the transaction has written
CREATE TABLE written ();
SELECT mentalspace.has_role('admin') AS admin, mentalspace.has_role('staff') AS staff;
COMMIT;
-- nor where reading must be seen
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT mentalspace.has_role('admin') AS admin, mentalspace.has_role('staff') AS staff;
COMMIT;
-- nor where the table has policies for its reader
ALTER TABLE user_roles ENABLE ROW LEVEL SECURITY;
ALTER TABLE user_roles FORCE ROW LEVEL SECURITY;
ALTER FUNCTION mentalspace.roles_of(uuid) OWNER TO app_owner;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT mentalspace.has_role('admin') AS admin, mentalspace.has_role('staff') AS staff;
COMMIT;
