-- What this installation can do.  A feature adds its rows here: name, whether it works now, and a sentence that says why
-- not or what it takes.
CREATE FUNCTION mentalspace.extension_detail(extension name) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT coalesce((SELECT format('extension %s, version %s', extname, extversion) FROM pg_extension
            WHERE extname = extension),
                    (SELECT format('extension %s is installed on this server and not created in this database', name)
                       FROM pg_available_extensions WHERE name = extension),
                    format('extension %s is not created in this database', extension))
    $$;
COMMENT ON FUNCTION mentalspace.extension_detail(name) IS 'internal to capabilities(): where an extension is to be had';

CREATE FUNCTION mentalspace.capabilities() RETURNS TABLE (capability text, available boolean, detail text)
    LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
    AS $$
    WITH session AS (
        SELECT '@FLAVOR@' = 'native' AS native,
               (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser,
               to_regrole('service_role') AS service_role,
               -- a variable that the module has not defined is not shown
               EXISTS (SELECT FROM pg_settings WHERE name = 'mentalspace.auth_lock') AS loaded,
               -- of the trusted flavour, see apply_claims_source()
               (SELECT prosrc LIKE '%sealed_uid()%' FROM pg_proc WHERE oid = to_regprocedure('auth.uid()')) AS sealed
    ), here AS (
        -- asked only where it loads nothing
        SELECT s.*, CASE WHEN s.loaded THEN mentalspace.audit_outlet_name() ELSE 'off' END AS outlet,
               (SELECT string_agg(format('auth.%s()', f), ', ') FROM unnest(mentalspace.replaced_auth_functions()) AS f) AS replaced,
               '; missing in the database: ' || nullif(array_to_string(mentalspace.missing_auth_settings(), ', '), '')
                   || ', which provision(ARRAY[''auth'']) sets again' AS missing
          FROM session AS s
    )
    SELECT c.capability, c.available, c.detail
      FROM here, LATERAL (VALUES
        (1, 'identity by claims', replaced IS NULL,
            coalesce('replaced: ' || replaced || '; provision(ARRAY[''auth'']) brings back mentalspace''s own',
                     'auth.uid(), auth.role(), auth.email() and auth.jwt() read request.jwt.claims as PostgREST sets them')),
        (2, 'identity in C++', native AND replaced IS NULL,
            CASE WHEN replaced IS NOT NULL THEN format('replaced: %s', replaced)
                    WHEN native THEN 'claims are parsed once after each change'
                    ELSE 'the trusted flavour reads claims in SQL at each call' END),
        (3, 'preloading by provision()', native AND superuser,
            CASE WHEN NOT native THEN 'the trusted flavour has no library'
                 WHEN superuser THEN 'session_preload_libraries of the database'
                 ELSE 'only a superuser can set session_preload_libraries; the library is loaded by the first call of auth.uid()' END),
        (4, 'service_role by BYPASSRLS',
            coalesce((SELECT rolbypassrls OR rolsuper FROM pg_roles WHERE oid = service_role), superuser),
            CASE WHEN (SELECT rolbypassrls OR rolsuper FROM pg_roles WHERE oid = service_role)
                    THEN 'service_role passes row level security'
                 WHEN superuser THEN 'provision() gives service_role BYPASSRLS'
                 ELSE 'only a superuser can give BYPASSRLS; service_role is made a member of the owner instead' END),
        (5, 'publication of changes', current_setting('wal_level') = 'logical',
            format('wal_level is %s', current_setting('wal_level'))),
        (6, 'tokens verified in the database', true,
            CASE WHEN native THEN 'mentalspace.login(): HS, RS, PS and ES 256 to 512, EdDSA'
                 ELSE 'mentalspace.login(): HS, RS and PS 256 to 512, ES256, ES384, EdDSA (Ed25519); the trusted flavour cannot verify ES512 and Ed448' END),
        (7, 'claims that cannot be forged', loaded AND current_setting('mentalspace.auth_claims_source',
                true) = 'verified' OR NOT native AND sealed,
            CASE WHEN NOT native AND sealed THEN 'auth_claims_source in mentalspace.auth_settings is verified: claims count by the seal that login() gives them'
                 WHEN NOT native THEN 'whoever can run SQL can set request.jwt.claims: set auth_claims_source to verified in mentalspace.auth_settings'
                 WHEN loaded THEN format('mentalspace.auth_claims_source is %s',
                         current_setting('mentalspace.auth_claims_source', true))
                 ELSE 'the library is not loaded in this session: it takes session_preload_libraries, which provision() sets' END
                || coalesce(missing, '')),
        (8, 'role lock', loaded AND (current_setting('mentalspace.auth_lock', true) IN ('transaction', 'always')
                OR current_setting('mentalspace.auth_lock', true) = 'auto'
                        AND current_setting('mentalspace.auth_claims_source', true) = 'verified'),
            CASE WHEN NOT native
                    THEN 'the trusted flavour has no hooks: whoever can run SQL can take any role that the login role may; where claims are sealed that brings no identity'
                 WHEN loaded THEN format('mentalspace.auth_lock is %s', current_setting('mentalspace.auth_lock', true))
                 ELSE 'the library is not loaded in this session: it takes session_preload_libraries, which provision() sets' END),
        (9, 'names in migrations', native,
            CASE WHEN native THEN 'parse_sql() lists what statements make, drop and need'
                 ELSE 'parse_sql() checks syntax by PL/pgSQL''s compiler; it cannot list names' END),
        (10, 'policies at the price of WHERE', loaded AND current_setting('mentalspace.rls_optimize', true) <> 'off',
            CASE WHEN NOT native THEN 'the trusted flavour has no planner hook: see wrap_policies() and advise_indexes()'
                 WHEN loaded THEN format('mentalspace.rls_optimize is %s', current_setting('mentalspace.rls_optimize', true))
                 ELSE 'the library is not loaded in this session: it takes session_preload_libraries, which provision() sets' END),
        (11, 'component cron', EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_cron'),
                mentalspace.extension_detail('pg_cron')),
        (12, 'component net', EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_net'),
                mentalspace.extension_detail('pg_net')),
        (13, 'component vault', EXISTS (SELECT FROM pg_extension WHERE extname = 'supabase_vault'),
                mentalspace.extension_detail('supabase_vault')),
        (14, 'component pgmq', EXISTS (SELECT FROM pg_extension WHERE extname = 'pgmq'),
                mentalspace.extension_detail('pgmq')),
        (15, 'component tests', to_regnamespace('tests') IS NOT NULL,
            CASE WHEN to_regnamespace('tests') IS NULL THEN 'made on request: provision(ARRAY[''tests''])'
                    ELSE 'schema tests is there' END),
        (16, 'audit of writes', true,
            'audit_table() gives tables triggers, ' || CASE WHEN native THEN 'in C++' ELSE 'in PL/pgSQL' END),
        (17, 'audit of reads', loaded,
            CASE WHEN NOT native THEN 'the trusted flavour has no hooks: reads by read_phi() are seen, others where pgaudit logs them'
                 WHEN loaded THEN 'reads of tables that audit_table() declared'
                 ELSE 'the library is not loaded in this session: it takes session_preload_libraries, which provision() sets' END),
        (18, 'durable audit of reads', outlet IN ('ring', 'spool'),
            CASE WHEN NOT native THEN 'the trusted flavour has no process of its own: a rollback takes the events of read_phi() along'
                 WHEN outlet = 'ring' THEN 'reads leave their transaction at once and survive the end of any process'
                 WHEN outlet = 'spool' THEN 'reads are appended to a file, which the primary takes over'
                 WHEN outlet = 'off' THEN 'the library is not loaded in this session'
                 ELSE 'reads go to the server log: to keep them in audit_events, shared_preload_libraries must name mentalspace' END),
        (19, 'audit of DDL', loaded,
            CASE WHEN NOT native THEN 'the trusted flavour has no hooks: audit_tables() shows triggers that are missing'
                 WHEN loaded THEN 'DDL on audited tables, policies, grants and roles'
                 ELSE 'the library is not loaded in this session: it takes session_preload_libraries, which provision() sets' END),
        (20, 'rights of the API on rows only',
            NOT EXISTS (SELECT FROM mentalspace.check_rights() AS r WHERE r.finding IN ('temporary_objects', 'api_rights',
                'default_rights', 'extension_function', 'privileged_member')),
            coalesce((SELECT 'provision() mends it, or: ' || string_agg(r.remedy, '; ' ORDER BY r.finding DESC, r.remedy)
                 FROM (SELECT * FROM mentalspace.check_rights() AS r WHERE r.finding IN ('temporary_objects', 'api_rights',
                'default_rights', 'extension_function', 'privileged_member') ORDER BY r.finding DESC, r.remedy LIMIT 3) AS r),
                'anon, authenticated and service_role have no TRIGGER, TRUNCATE, REFERENCES or temporary objects'))
      ) AS c (position, capability, available, detail)
     ORDER BY c.position
    $$;
COMMENT ON FUNCTION mentalspace.capabilities() IS 'what this installation can do, and why not where it cannot';
