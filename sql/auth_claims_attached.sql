-- Claims that a function or a database brings along.  Only a superuser may attach a variable that no module has defined yet.
CREATE EXTENSION mentalspace;
CREATE FUNCTION who() RETURNS text LANGUAGE sql STABLE
    AS $$ SELECT concat_ws(' ', coalesce(right(auth.uid()::text, 4), 'nobody'), auth.role()) $$;
CREATE FUNCTION claims(who text) RETURNS text LANGUAGE sql IMMUTABLE
    AS $$ SELECT '{"sub": "00000000-0000-4000-8000-00000000' || who || '", "role": "r' || who || '"}' $$;

-- set by a function, for the time of its run
CREATE FUNCTION as_another() RETURNS text LANGUAGE sql
    SET request.jwt.claims = '{"sub": "00000000-0000-4000-8000-000000000013", "role": "another"}'
    AS $$ SELECT who() $$;
SELECT set_config('request.jwt.claims', claims('0014'), false) IS NOT NULL AS set;
SELECT who(), as_another(), who();

-- a default of the database
SELECT format('ALTER DATABASE %I SET request.jwt.claims = %L', current_database(), claims('0017')) \gexec
\c
SELECT who();
BEGIN;
SELECT set_config('request.jwt.claims', claims('0018'), true) IS NOT NULL AS set;
SELECT who();
ROLLBACK;
SELECT who();
SET request.jwt.claims = '';
SELECT who();
RESET request.jwt.claims;
SELECT who();
SELECT format('ALTER DATABASE %I RESET request.jwt.claims', current_database()) \gexec
