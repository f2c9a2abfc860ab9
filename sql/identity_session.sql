-- What a transaction leaves for the next one on its connection: nothing but rows.  Native alone.
CREATE EXTENSION mentalspace;
\getenv abs_srcdir PG_ABS_SRCDIR
\set tokens :abs_srcdir '/test/lib/tokens.sql'
\set ECHO none
\i :tokens
\set ECHO all
\set SHOW_CONTEXT never
\set VERBOSITY terse
CREATE ROLE anon;
CREATE ROLE authenticated;
CREATE ROLE edge LOGIN NOINHERIT IN ROLE anon, authenticated;
CREATE ROLE desktop LOGIN NOINHERIT IN ROLE anon, authenticated;
ALTER ROLE edge SET mentalspace.auth_claims_source = 'verified';
ALTER ROLE edge SET mentalspace.auth_lock = 'always';
ALTER ROLE desktop SET mentalspace.auth_claims_source = 'verified';
GRANT USAGE ON SCHEMA auth TO authenticated;
-- the worst case: more rights than provision() gives
GRANT CREATE ON SCHEMA public TO authenticated;
GRANT TEMPORARY ON DATABASE regression TO PUBLIC;
SELECT mentalspace.add_jwt_secret(maker.secret());
CREATE TABLE clients (id serial PRIMARY KEY, owner uuid, name text);
INSERT INTO clients (owner, name) VALUES ('00000000-0000-4000-8000-000000000001', 'hers'), ('00000000-0000-4000-8000-000000000002', 'his');
ALTER TABLE clients ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON clients USING (owner = auth.uid());
GRANT SELECT, INSERT ON clients TO authenticated;
GRANT USAGE ON clients_id_seq TO authenticated;
-- functions of the project that anybody may call
CREATE TABLE queue (what text);
CREATE FUNCTION enqueue(what text) RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS 'INSERT INTO queue VALUES (what)';
CREATE FUNCTION scratch() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN CREATE TEMP TABLE clients AS SELECT 1 AS id; END $$;
CREATE FUNCTION as_anon() RETURNS text LANGUAGE sql PARALLEL SAFE SET role = 'anon' AS 'SELECT current_user::text';
CREATE FUNCTION as_other() RETURNS text LANGUAGE sql PARALLEL SAFE SET request.jwt.claims = '{"sub": "00000000-0000-4000-8000-000000000002"}'
    AS $$ SELECT current_setting('request.jwt.claims') $$;

CREATE TABLE attempt (n int GENERATED ALWAYS AS IDENTITY, statement text);
GRANT SELECT ON attempt TO PUBLIC;
INSERT INTO attempt (statement) VALUES
    -- what stands in for the tables, functions and types of others
    ('CREATE TEMP TABLE clients (name text)'),
    ('CREATE TEMPORARY TABLE clients AS SELECT 1 AS name'),
    ('CREATE TABLE pg_temp.clients (name text)'),
    ('CREATE LOCAL TEMP TABLE clients (name text) ON COMMIT DROP'),
    ('CREATE TEMP VIEW clients AS SELECT 1 AS name'),
    ('CREATE OR REPLACE TEMP VIEW clients AS SELECT 1 AS name'),
    ('CREATE VIEW pg_temp.clients AS SELECT 1 AS name'),
    ('CREATE TEMP RECURSIVE VIEW clients (n) AS SELECT 1'),
    ('CREATE TEMP SEQUENCE s'),
    ('SET search_path = pg_temp, public; CREATE VIEW clients AS SELECT 1 AS name'),
    ('CREATE FUNCTION pg_temp.uid() RETURNS uuid LANGUAGE sql AS ''SELECT NULL::uuid'''),
    ('CREATE PROCEDURE pg_temp.p() LANGUAGE sql AS ''SELECT 1'''),
    ('CREATE AGGREGATE pg_temp.a(int) (SFUNC = int4pl, STYPE = int)'),
    ('CREATE TYPE pg_temp.mood AS ENUM (''sad'')'),
    ('CREATE TYPE pg_temp.pair AS (a int, b int)'),
    ('CREATE TYPE pg_temp.span AS RANGE (subtype = int)'),
    ('CREATE TYPE pg_temp.shell'),
    ('CREATE DOMAIN pg_temp.name AS text'),
    ('CREATE OPERATOR pg_temp.= (LEFTARG = uuid, RIGHTARG = uuid, FUNCTION = uuid_ne)'),
    ('CREATE COLLATION pg_temp.c FROM "C"'),
    ('CREATE CONVERSION pg_temp.c FOR ''LATIN1'' TO ''UTF8'' FROM iso8859_1_to_utf8'),
    ('CREATE TEXT SEARCH CONFIGURATION pg_temp.c (COPY = simple)'),
    ('CREATE TEXT SEARCH DICTIONARY pg_temp.d (TEMPLATE = simple)'),
    ('DO $d$ BEGIN CREATE TEMP TABLE clients (name text); EXCEPTION WHEN division_by_zero THEN NULL; END $d$'),
    ('SELECT public.scratch()'),
    -- what would outlive the transaction
    ('DECLARE c CURSOR WITH HOLD FOR SELECT * FROM clients'),
    ('DEALLOCATE ALL'),
    ('DEALLOCATE PREPARE s1'),
    ('LISTEN somebody'),
    ('UNLISTEN *'),
    ('LOAD ''plpgsql'''),
    ('SELECT lo_create(0)'),
    ('SELECT lo_from_bytea(0, ''x'')'),
    ('ALTER ROLE CURRENT_USER SET search_path = ''x'''),
    ('ALTER ROLE CURRENT_USER PASSWORD ''x'''),
    ('ALTER ROLE SESSION_USER PASSWORD ''x'''),
    ('ALTER USER edge RESET ALL'),
    ('ALTER ROLE authenticated SET search_path = ''x'''),
    ('ALTER ROLE ALL SET search_path = ''x'''),
    ('ALTER DATABASE regression SET search_path = ''x'''),
    ('ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC'),
    ('DROP OWNED BY CURRENT_USER'),
    ('REASSIGN OWNED BY CURRENT_USER TO edge'),
    ('DO LANGUAGE sql ''SELECT 1'''),
    ('SELECT count(*) FROM pg_prepared_statements'),
    ('DISCARD TEMP'),
    ('SELECT mentalspace.login(maker.token(1), ''session'')');
CREATE FUNCTION public.attempts() RETURNS TABLE (n int, result text, statement text) LANGUAGE plpgsql
    AS $$
BEGIN
    FOR n, statement IN SELECT a.n, a.statement FROM public.attempt AS a ORDER BY a.n LOOP
        result := maker.try(statement);
        RETURN NEXT;
    END LOOP;
END
$$;

\c - edge
\set VERBOSITY terse
BEGIN;
SELECT mentalspace.login(maker.token(1));
SELECT * FROM public.attempts();
ROLLBACK;
-- nobody is logged in: nor then, but for what a pooler sends to clean up (which the helper cannot run)
SELECT count(*), count(*) FILTER (WHERE result ~ '^42501') AS refused FROM public.attempts();
SELECT result, statement FROM public.attempts() WHERE result !~ '^42501';
UNLISTEN *;

-- what SQL prepares ends with the transaction
BEGIN;
SELECT mentalspace.login(maker.token(1));
PREPARE mine AS SELECT name FROM clients;
EXECUTE mine;
DEALLOCATE mine;
PREPARE mine AS SELECT count(*) FROM clients;
COMMIT;
EXECUTE mine;

-- settings, of any kind and any way
BEGIN;
SELECT mentalspace.login(maker.token(1));
SET search_path = auth;
SET SESSION timezone = 'Asia/Tokyo';
SET DateStyle = 'German';
SET standard_conforming_strings = off;
SET row_security = off;
SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY;
SET LOCAL statement_timeout = '1h';
SET LOCAL work_mem = '1MB';
SET work_mem = '2MB';
SET my.patient = 'Bob';
SELECT set_config('my.other', 'Bob', false), set_config('application_name', 'evil', false);
SAVEPOINT s;
SET enable_seqscan = off;
SET enable_seqscan = on;
SET LOCAL enable_seqscan = off;
RELEASE s;
SET search_path = pg_catalog;
COMMIT;
SELECT current_setting('search_path'), current_setting('timezone') <> 'Asia/Tokyo' AS zone, current_setting('datestyle'),
       current_setting('standard_conforming_strings'), current_setting('row_security'), current_setting('default_transaction_read_only'),
       current_setting('statement_timeout'), current_setting('work_mem'), current_setting('my.patient', true), current_setting('my.other', true),
       current_setting('application_name'), current_setting('enable_seqscan');
-- without a login, too, and with a warning
SET search_path = auth;
BEGIN; SET search_path = auth; COMMIT;
SELECT set_config('search_path', 'auth', false);
DO $$ BEGIN SET search_path = auth; COMMIT; RAISE NOTICE '%', current_setting('search_path'); END $$;
SHOW search_path;

-- advisory locks, sequences, the seed
BEGIN;
SELECT mentalspace.login(maker.token(1));
SELECT pg_advisory_lock(1), pg_advisory_lock(1), pg_advisory_lock_shared(2), pg_try_advisory_lock(3, 4), pg_advisory_xact_lock(5);
INSERT INTO clients (owner, name) VALUES (auth.uid(), 'new');
SELECT currval('clients_id_seq') = lastval() AS same;
SELECT setseed(0.5);
SELECT random() AS seeded \gset
SELECT setseed(0.5);
COMMIT;
SELECT random() = :seeded AS predictable;
BEGIN; SELECT mentalspace.login(maker.token(1)); SET SEED = 0.5; COMMIT;
SELECT random() = :seeded AS predictable;
BEGIN;
SELECT mentalspace.login(maker.token(2));
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory';
SELECT lastval();
ROLLBACK;
BEGIN;
SELECT mentalspace.login(maker.token(2));
SELECT currval('clients_id_seq');
ROLLBACK;
-- where the transaction fails, or the login itself is rolled back
BEGIN;
SELECT mentalspace.login(maker.token(1));
SELECT pg_advisory_lock(1), nextval('clients_id_seq') > 0 AS next;
PREPARE other AS SELECT 1;
SET seed = 0.5;
SELECT 1 / 0;
ROLLBACK;
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory';
SELECT lastval();
EXECUTE other;

-- without a login, nothing is written, nor another connection disturbed
SELECT public.enqueue('x');
WITH w AS (INSERT INTO public.queue VALUES ('x') RETURNING 1) SELECT * FROM w;
SELECT * FROM attempt FOR UPDATE;
COPY clients FROM STDIN;
\.
NOTIFY somebody;
SELECT pg_notify('somebody', 'x');
SELECT lo_create(0);
SELECT count(*) FROM pg_stat_activity;
SELECT pg_terminate_backend(pg_backend_pid());
SELECT mentalspace.roles_of('00000000-0000-4000-8000-000000000002');
PREPARE TRANSACTION 'x';
-- with one, it is as it was
BEGIN;
SELECT mentalspace.login(maker.token(1));
SELECT public.enqueue('x');
NOTIFY somebody;
SELECT mentalspace.roles_of('00000000-0000-4000-8000-000000000001');
COMMIT;
BEGIN;
SELECT mentalspace.login(maker.token(1));
PREPARE TRANSACTION 'x';
ROLLBACK;

-- parallel workers: a function's SET clause
BEGIN;
SELECT mentalspace.login(maker.token(1));
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL parallel_leader_participation = off;
SET LOCAL max_parallel_workers_per_gather = 2;
EXPLAIN (COSTS off) SELECT DISTINCT current_user FROM attempt WHERE as_anon() = 'anon';
SAVEPOINT s;
SELECT count(*) FROM attempt WHERE as_anon() = 'anon';
ROLLBACK TO s;
SELECT count(*) FROM attempt WHERE as_other() <> '';
ROLLBACK;

-- temporary objects where the setting allows them: until the transaction ends
\c - postgres
ALTER ROLE edge SET mentalspace.auth_temporary_objects = on;
\c - edge
\set VERBOSITY terse
BEGIN;
SELECT mentalspace.login(maker.token(1));
CREATE TEMP TABLE clients AS SELECT 'mine' AS name;
CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE TEMP VIEW attempt AS SELECT pg_temp.f();
SELECT * FROM clients, attempt;
COMMIT;
SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema();
SELECT count(*) FROM pg_proc WHERE pronamespace = pg_my_temp_schema();
BEGIN;
SELECT mentalspace.login(maker.token(1));
SELECT name FROM clients WHERE name = 'hers';
CREATE TABLE public.ordinary (a int);
SET LOCAL mentalspace.auth_temporary_objects = off;
ROLLBACK;

-- auto: the rules hold for transactions in which somebody logged in
\c - desktop
\set VERBOSITY terse
SET search_path = public, auth;
PREPARE own AS SELECT current_user;
CREATE TEMP TABLE clients AS SELECT 'stands in' AS name;
BEGIN;
SELECT mentalspace.login(maker.token(1));
-- what was in pg_temp is gone
SELECT name FROM clients;
CREATE TABLE public.ordinary (a int);
DROP TABLE public.ordinary;
SAVEPOINT s;
CREATE TEMP TABLE clients AS SELECT 'stands in' AS name;
ROLLBACK TO s;
DEALLOCATE own;
ROLLBACK TO s;
SET search_path = public;
SELECT pg_advisory_lock(1);
COMMIT;
EXECUTE own;
SHOW search_path;
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory';
-- a login that is rolled back, within the transaction
BEGIN;
SAVEPOINT s;
SELECT mentalspace.login(maker.token(1));
SELECT pg_advisory_lock(1);
ROLLBACK TO s;
COMMIT;
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory';

-- logout() in a transaction over a session's login: back to the login role for good
\c - postgres
ALTER ROLE desktop SET mentalspace.auth_lock = 'off';
GRANT USAGE ON SCHEMA auth TO PUBLIC;
\c - desktop
SELECT mentalspace.login(maker.token(1), 'session');
BEGIN;
SELECT mentalspace.login(maker.token(2));
SELECT mentalspace.logout();
SELECT current_user, auth.uid();
COMMIT;
SELECT current_user, auth.uid();
SELECT mentalspace.login(maker.token(1), 'session');
BEGIN;
SELECT mentalspace.logout();
ROLLBACK;
SELECT current_user, auth.uid();

-- superusers, where the lock is always for all: they administer, and turn it off
\c - postgres
SET mentalspace.auth_lock = 'always';
INSERT INTO queue VALUES ('administered');
SET search_path = auth;
SHOW search_path;
SET mentalspace.auth_lock = 'off';
SET search_path = auth;
SHOW search_path;
