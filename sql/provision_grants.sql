-- provision(api_grants => ...): what the roles of the API may do with what the owner makes in public.
CREATE EXTENSION mentalspace;
SET client_min_messages = warning;
-- What each role may do with a table, a sequence and a function that are made now.
CREATE FUNCTION pg_temp.rights(relation text) RETURNS TABLE (role name, "table" text, sequence text, function boolean, temporary boolean)
    LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TABLE public.%I (id int); CREATE SEQUENCE public.%I; CREATE FUNCTION public.%I() RETURNS int LANGUAGE sql AS ''SELECT 1''',
        relation, relation || '_seq', relation);
    RETURN QUERY
    SELECT r.rolname,
           (SELECT string_agg(p, ' ') FROM unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) AS p
             WHERE has_table_privilege(r.oid, 'public.' || relation, p)),
           (SELECT string_agg(p, ' ') FROM unnest('{USAGE,SELECT,UPDATE}'::text[]) AS p
             WHERE has_sequence_privilege(r.oid, 'public.' || relation || '_seq', p)),
           has_function_privilege(r.oid, 'public.' || relation || '()', 'EXECUTE'),
           has_database_privilege(r.oid, current_database(), 'TEMPORARY')
      FROM pg_roles r WHERE r.rolname IN ('anon', 'authenticated') ORDER BY 1;
END $$;
CREATE FUNCTION pg_temp.provision(mode text DEFAULT NULL) RETURNS TABLE (object text, state text, detail text) LANGUAGE sql AS $$
    SELECT object, state, replace(detail, current_user, 'OWNER') FROM mentalspace.provision('{}', api_grants => mode)
     WHERE kind IN ('rights', 'default privileges') $$;
CREATE FUNCTION pg_temp.findings() RETURNS TABLE (finding text, table_name name, detail text) LANGUAGE sql AS $$
    SELECT finding, table_name, replace(detail, current_user, 'OWNER') FROM mentalspace.check_policies() WHERE policy_name IS NULL ORDER BY 1, 2, 3 $$;
SELECT available FROM mentalspace.capabilities() WHERE capability = 'rights of the API on rows only';
-- rows only, and no temporary objects
SELECT * FROM pg_temp.provision();
SELECT * FROM pg_temp.rights('data');
SELECT available, detail FROM mentalspace.capabilities() WHERE capability = 'rights of the API on rows only';
SELECT * FROM pg_temp.findings();
SET ROLE anon;
CREATE TEMP TABLE data (id int);
TRUNCATE public.data;
CREATE TRIGGER t BEFORE UPDATE ON public.data EXECUTE FUNCTION suppress_redundant_updates_trigger();
RESET ROLE;
SELECT DISTINCT state FROM pg_temp.provision();
-- as Supabase today: nothing
SELECT * FROM pg_temp.provision('none');
SELECT * FROM pg_temp.rights('none');
-- which stays so without the argument
SELECT DISTINCT state FROM pg_temp.provision();
SELECT * FROM pg_temp.rights('none_2');
-- functions that provision() makes can be called nevertheless
SELECT count(*) > 0 AS made FROM mentalspace.provision('{storage}');
SELECT has_function_privilege('anon', 'storage.foldername(text)', 'EXECUTE') AS foldername;
SELECT * FROM pg_temp.provision('data');
SELECT * FROM pg_temp.rights('data_2');
-- as Supabase once: everything
SELECT * FROM pg_temp.provision('legacy');
SELECT * FROM pg_temp.rights('legacy');
SELECT * FROM pg_temp.findings() WHERE table_name IS NULL OR table_name ~ '^legacy';
-- which is taken back unless it is asked for again
GRANT TRUNCATE ON public.data_2 TO service_role;
SELECT * FROM pg_temp.provision('legacy') WHERE state <> 'found';
SELECT * FROM pg_temp.provision();
SELECT * FROM pg_temp.rights('after');
SELECT * FROM pg_temp.findings() WHERE finding NOT IN ('open_table', 'no_policy');
REVOKE TRUNCATE ON public.data_2 FROM service_role;

-- A database of 0.1: ALL by default privileges, also on functions; a grant that cannot be taken back alone is said.
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON SEQUENCES TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON FUNCTIONS TO anon, authenticated, service_role;
SELECT format('GRANT TEMPORARY ON DATABASE %I TO PUBLIC', current_database()) \gexec
SELECT * FROM pg_temp.rights('old');
CREATE TABLE public.passed_on (id int);
REVOKE ALL ON public.passed_on FROM anon;
GRANT TRUNCATE ON public.passed_on TO service_role WITH GRANT OPTION;
SET ROLE service_role;
GRANT TRUNCATE ON public.passed_on TO authenticator;
RESET ROLE;
CREATE TABLE public.narrowed (id int);
REVOKE ALL ON public.narrowed FROM anon;
REVOKE INSERT, UPDATE, DELETE ON public.narrowed FROM authenticated;
SELECT * FROM pg_temp.findings() WHERE finding NOT IN ('open_table', 'no_policy');
SELECT * FROM pg_temp.provision();
SELECT grantee::regrole, string_agg(privilege_type, ' ') FROM pg_class c, aclexplode(relacl)
 WHERE c.oid = 'public.narrowed'::regclass AND grantee <> relowner GROUP BY 1 ORDER BY 1;
SELECT * FROM pg_temp.provision() WHERE state <> 'found';
SELECT proacl IS NULL AS as_postgresql_makes_it FROM pg_proc WHERE oid = 'public.after()'::regprocedure;
SELECT * FROM pg_temp.findings() WHERE finding NOT IN ('open_table', 'no_policy');

-- A project that closed functions to PUBLIC and names roles in its place keeps both.
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT EXECUTE ON FUNCTIONS TO authenticated;
SELECT * FROM pg_temp.provision() WHERE object LIKE 'functions in%' OR object LIKE '%PUBLIC';
SELECT role, function FROM pg_temp.rights('named');
SELECT * FROM pg_temp.provision('data') WHERE object LIKE 'functions in%' OR object LIKE '%PUBLIC';
SELECT role, function FROM pg_temp.rights('named_2');
-- wrong
SELECT * FROM pg_temp.provision('all');
