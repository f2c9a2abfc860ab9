-- What an extension's script takes from PUBLIC no role of the API may execute, whatever schema the extension lands in.
CREATE EXTENSION mentalspace;
SET client_min_messages = error;
SELECT count(*) > 0 AS provisioned FROM mentalspace.provision();
-- Every extension of the server that can be made here.
DO $$
DECLARE
    e record;
BEGIN
    FOR e IN SELECT name FROM pg_available_extensions WHERE installed_version IS NULL ORDER BY name LOOP
        BEGIN
            EXECUTE format('CREATE EXTENSION %I CASCADE', e.name);
        EXCEPTION WHEN OTHERS THEN
            NULL;
        END;
    END LOOP;
END $$;
CREATE VIEW public.taken AS
    SELECT e.extname, p.oid::regprocedure AS function
      FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid JOIN pg_proc p ON p.oid = d.objid
     WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
       AND e.extname <> 'mentalspace' AND NOT has_function_privilege('public', p.oid, 'EXECUTE');
SELECT count(*) > 40 AS many FROM pg_extension;
SELECT extname, count(*) > 0 AS takes FROM public.taken
 WHERE extname IN ('adminpack', 'dblink', 'pageinspect', 'pg_stat_statements', 'pg_visibility', 'pgstattuple') GROUP BY 1 ORDER BY 1;
SELECT t.*, r.rolname FROM public.taken t, pg_roles r
 WHERE r.rolname IN ('anon', 'authenticated', 'service_role') AND has_function_privilege(r.oid, t.function, 'EXECUTE');
-- and what scripts leave to PUBLIC they may
SELECT has_function_privilege('anon', 'public.similarity(text, text)', 'EXECUTE') AS similarity;
SELECT * FROM mentalspace.check_policies() WHERE finding = 'extension_function';
SELECT object, state FROM mentalspace.provision() WHERE object = 'functions of extensions';

-- Made while default privileges named the roles, as 0.1 and Supabase have them.
DROP EXTENSION dblink;
CREATE SCHEMA elsewhere;
GRANT USAGE ON SCHEMA elsewhere TO anon;
ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO anon, service_role;
CREATE EXTENSION dblink SCHEMA elsewhere;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM service_role;
SET ROLE anon;
SELECT elsewhere.dblink_connect_u('c', 'nonsense') AS reached;
RESET ROLE;
-- granted by its name, afterwards: meant
GRANT EXECUTE ON FUNCTION pg_stat_statements_reset(oid, oid, bigint) TO service_role;
SELECT level, finding, schema_name, detail FROM mentalspace.check_policies() WHERE finding IN ('default_rights', 'extension_function');
SELECT available FROM mentalspace.capabilities() WHERE capability = 'rights of the API on rows only';
SELECT object, state, detail FROM mentalspace.provision() WHERE object = 'functions of extensions';
SET ROLE anon;
SELECT elsewhere.dblink_connect_u('c', 'nonsense');
RESET ROLE;
SELECT level, finding, schema_name, detail FROM mentalspace.check_policies() WHERE finding IN ('default_rights', 'extension_function');
SELECT has_function_privilege('service_role', 'pg_stat_statements_reset(oid, oid, bigint)', 'EXECUTE') AS meant;

-- A loopback that everybody can use.
CREATE SERVER loopback FOREIGN DATA WRAPPER postgres_fdw OPTIONS (dbname 'regression');
CREATE USER MAPPING FOR PUBLIC SERVER loopback OPTIONS (user 'postgres', password 'x');
CREATE SERVER other FOREIGN DATA WRAPPER postgres_fdw OPTIONS (dbname 'regression');
CREATE USER MAPPING FOR PUBLIC SERVER other OPTIONS (user 'postgres');
SELECT level, finding, detail FROM mentalspace.check_policies() WHERE finding = 'shared_login';
