-- provision(): everything that it makes, that a second run changes nothing, and what it refuses.
CREATE EXTENSION mentalspace;
SET client_min_messages = warning;
CREATE TEMP TABLE first AS SELECT * FROM mentalspace.provision();
-- What depends on who installs (rights over roles and the database) is in provision_superuser and provision_owner, and
-- the extensions depend on the server.
SELECT component, kind, object, state FROM first
 WHERE kind NOT IN ('extension', 'database setting', 'row level security', 'membership', 'owner of function')
   AND NOT (kind = 'role' AND object = 'postgres') AND NOT (kind = 'grant' AND (component IN ('roles', 'cron', 'net', 'vault', 'pgmq') OR component = 'storage' AND object <> 'schema storage'));

-- a second run finds everything and touches no catalog
CREATE TEMP TABLE before AS
    SELECT 'pg_class' AS catalog, oid, xmin::text AS version FROM pg_class WHERE relpersistence = 'p'
    UNION ALL SELECT 'pg_proc', oid, xmin::text FROM pg_proc
    UNION ALL SELECT 'pg_type', oid, xmin::text FROM pg_type
    UNION ALL SELECT 'pg_constraint', oid, xmin::text FROM pg_constraint
    UNION ALL SELECT 'pg_trigger', oid, xmin::text FROM pg_trigger
    UNION ALL SELECT 'pg_namespace', oid, xmin::text FROM pg_namespace WHERE nspname !~ '^pg_'
    UNION ALL SELECT 'pg_extension', oid, xmin::text FROM pg_extension
    UNION ALL SELECT 'pg_publication', oid, xmin::text FROM pg_publication
    UNION ALL SELECT 'pg_default_acl', oid, xmin::text FROM pg_default_acl
    UNION ALL SELECT 'pg_db_role_setting', setdatabase, xmin::text FROM pg_db_role_setting
    UNION ALL SELECT 'pg_database', oid, xmin::text FROM pg_database;
SELECT * FROM mentalspace.provision() WHERE state NOT IN ('found', 'skipped');
SELECT catalog, count(*) FROM before
 WHERE (catalog, oid, version) NOT IN (
    SELECT 'pg_class' AS catalog, oid, xmin::text FROM pg_class WHERE relpersistence = 'p'
    UNION ALL SELECT 'pg_proc', oid, xmin::text FROM pg_proc
    UNION ALL SELECT 'pg_type', oid, xmin::text FROM pg_type
    UNION ALL SELECT 'pg_constraint', oid, xmin::text FROM pg_constraint
    UNION ALL SELECT 'pg_trigger', oid, xmin::text FROM pg_trigger
    UNION ALL SELECT 'pg_namespace', oid, xmin::text FROM pg_namespace
    UNION ALL SELECT 'pg_extension', oid, xmin::text FROM pg_extension
    UNION ALL SELECT 'pg_publication', oid, xmin::text FROM pg_publication
    UNION ALL SELECT 'pg_default_acl', oid, xmin::text FROM pg_default_acl
    UNION ALL SELECT 'pg_db_role_setting', setdatabase, xmin::text FROM pg_db_role_setting
    UNION ALL SELECT 'pg_database', oid, xmin::text FROM pg_database)
 GROUP BY catalog;
-- what was skipped first is skipped again, for the same reason
SELECT * FROM (SELECT * FROM first WHERE state = 'skipped' EXCEPT SELECT * FROM mentalspace.provision()) AS d;

-- nothing that it made belongs to the extension, and everything belongs to the owner
SELECT d.classid::regclass, d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND d.deptype = 'e'
 WHERE e.extname = 'mentalspace' AND (pg_identify_object(d.classid, d.objid, 0)).schema NOT IN ('mentalspace', 'auth');
SELECT c.oid::regclass FROM pg_class c WHERE relnamespace::regnamespace::text IN ('auth', 'storage', 'realtime', 'supabase_migrations', 'supabase_functions')
   AND relowner <> current_user::regrole;
SELECT p.oid::regprocedure FROM pg_proc p WHERE pronamespace::regnamespace::text IN ('storage', 'realtime', 'supabase_functions') AND proowner <> current_user::regrole;
-- every table has row level security and a comment, every function a comment and a fixed search_path or a parsed body
SELECT c.oid::regclass FROM pg_class c
 WHERE relnamespace::regnamespace::text IN ('auth', 'storage', 'realtime', 'supabase_migrations', 'supabase_functions')
   AND relkind IN ('r', 'p') AND (NOT relrowsecurity OR obj_description(oid, 'pg_class') IS NULL);
SELECT p.oid::regprocedure FROM pg_proc p
 WHERE pronamespace::regnamespace::text IN ('storage', 'realtime', 'supabase_functions')
   AND (obj_description(oid, 'pg_proc') IS NULL OR prosqlbody IS NULL AND NOT coalesce(proconfig @> '{"search_path=pg_catalog, pg_temp"}', false));
-- unqualified calls of what is in schema extensions work in the next session
\c -
SHOW search_path;
SELECT length(uuid_generate_v4()::text), crypt('x', gen_salt('bf', 4)) IS NOT NULL AS crypts;

-- no table of auth can be read by the roles of the API
SELECT c.oid::regclass, r.rolname, p FROM pg_class c, pg_roles r, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'REFERENCES']) AS p
 WHERE c.relnamespace = 'auth'::regnamespace AND c.relkind = 'r' AND r.rolname IN ('anon', 'authenticated')
   AND has_any_column_privilege(r.oid, c.oid, p);
-- and nobody but the owner of the database may provision
SELECT p.oid::regprocedure FROM pg_proc p
 WHERE pronamespace = 'mentalspace'::regnamespace AND proname ~ '^provision' AND has_function_privilege('public', oid, 'EXECUTE');

-- wrong calls
SELECT * FROM mentalspace.provision('{auth,authn}');
SELECT * FROM mentalspace.provision(ARRAY[NULL]);
SELECT * FROM mentalspace.provision(owner => 'nobody there');
SELECT * FROM mentalspace.provision(owner => NULL);
SELECT * FROM mentalspace.provision(owner => 'authenticated');
-- none at all: only the roles
SELECT DISTINCT component FROM mentalspace.provision('{}');
