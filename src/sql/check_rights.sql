-- What the roles of the API may do beyond reading and writing rows under policies.
CREATE FUNCTION mentalspace.role_privileges(role oid) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT string_agg(CASE WHEN r.oid = role THEN '' ELSE quote_ident(r.rolname) || ': ' END || w.what, ', '
                      ORDER BY r.oid <> role, r.rolname)
      FROM pg_roles r, LATERAL (SELECT nullif(concat_ws(', ', CASE WHEN r.rolsuper THEN 'SUPERUSER' END,
               CASE WHEN r.rolcreaterole THEN 'CREATEROLE' END, CASE WHEN r.rolcreatedb THEN 'CREATEDB' END,
               CASE WHEN r.rolreplication THEN 'REPLICATION' END,
               CASE WHEN r.rolbypassrls AND r.rolname <> 'service_role' THEN 'BYPASSRLS' END,
               -- Those of PostgreSQL, and those by which managed services stand in for a superuser.
               CASE WHEN r.rolname ~ '^pg_' OR r.rolname IN ('rds_superuser', 'rds_replication', 'pgtle_admin', 'azure_pg_admin',
                       'cloudsqlsuperuser', 'alloydbsuperuser') THEN 'what it may' END), '') AS what) AS w
     WHERE w.what IS NOT NULL AND pg_has_role(role, r.oid, 'MEMBER') AND r.rolname <> 'pg_database_owner'
    $$;
COMMENT ON FUNCTION mentalspace.role_privileges(oid) IS
    'internal to check_rights(): rights beyond its own objects that a role has or can take; NULL if there are none';

-- mentalspace.check_rights(): what the roles of the API may do that no policy guards, with the statement that takes it away.
-- check_policies() lists it, capabilities() sums it up, provision() takes back what default privileges gave (by_default).
CREATE FUNCTION mentalspace.check_rights(OUT finding text, OUT schema_name name, OUT object text, OUT detail text,
                                         OUT remedy text, OUT holder oid, OUT by_default boolean)
    RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $body$
WITH api AS (
    SELECT r.oid, r.rolname FROM pg_roles r WHERE r.rolname IN ('anon', 'authenticated', 'service_role') AND NOT r.rolsuper
), grantees AS (
    -- The roles of the API, PUBLIC, and what they are members of.
    SELECT r.oid, quote_ident(r.rolname) AS name FROM pg_roles r
     WHERE EXISTS (SELECT FROM api WHERE pg_has_role(api.oid, r.oid, 'USAGE'))
    UNION ALL SELECT 0, 'PUBLIC' WHERE EXISTS (SELECT FROM api)
), relations AS (
    SELECT n.nspname, c.oid, c.relkind, c.relowner, format('%I.%I', n.nspname, c.relname) AS name,
           string_agg(DISTINCT a.privilege_type, ', ') AS rights, string_agg(DISTINCT g.name, ', ') AS holders,
           -- Nobody grants TRIGGER, or UPDATE on a sequence, by its name: it tells that ALL was granted.
           n.nspname IN ('public', 'storage', 'realtime') AND bool_or(a.privilege_type IN ('TRIGGER', 'UPDATE') AND a.grantee IN (SELECT oid FROM api)) AS by_default
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(c.relacl) a
      JOIN grantees g ON g.oid = a.grantee
     WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND a.grantee <> c.relowner
       AND CASE c.relkind WHEN 'S' THEN a.privilege_type = 'UPDATE'
                ELSE a.privilege_type IN ('TRIGGER', 'TRUNCATE', 'REFERENCES', 'MAINTAIN') END
     GROUP BY n.nspname, c.oid
), defaults AS (
    SELECT n.nspname, d.defaclobjtype, d.defaclrole, string_agg(DISTINCT a.privilege_type, ', ') AS rights,
           string_agg(DISTINCT g.name, ', ') AS holders,
           CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' ELSE 'FUNCTIONS' END AS kind
      FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace, aclexplode(d.defaclacl) a
      JOIN grantees g ON g.oid = a.grantee
     WHERE a.grantee <> d.defaclrole
       AND CASE d.defaclobjtype
                WHEN 'r' THEN a.privilege_type IN ('TRIGGER', 'TRUNCATE', 'REFERENCES', 'MAINTAIN')
                WHEN 'S' THEN a.privilege_type = 'UPDATE'
                -- Needed where PUBLIC's default was taken away; else it only opens what a script takes from PUBLIC.
                WHEN 'f' THEN a.grantee <> 0 AND NOT EXISTS (SELECT FROM pg_default_acl p WHERE p.defaclrole = d.defaclrole
                        AND p.defaclnamespace = 0 AND p.defaclobjtype = 'f'
                        AND NOT EXISTS (SELECT FROM aclexplode(p.defaclacl) x WHERE x.grantee = 0)) END
     GROUP BY n.nspname, d.oid, d.defaclobjtype, d.defaclrole
), functions AS (
    -- What the script of an extension took from PUBLIC, while default privileges gave it to a role of the API: unlike a later GRANT,
    -- that is among the rights which the script left.  In a schema that one extension has to itself, the script's own grants are meant.
    SELECT n.nspname, p.oid, p.proowner, e.extname, string_agg(DISTINCT quote_ident(api.rolname), ', ') AS holders
      FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
      JOIN pg_proc p ON p.oid = d.objid
      JOIN pg_namespace n ON n.oid = p.pronamespace
      JOIN pg_init_privs i ON i.classoid = d.classid AND i.objoid = p.oid AND i.privtype = 'e', aclexplode(p.proacl) a
      JOIN api ON api.oid = a.grantee
     WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
       AND n.nspname NOT IN ('auth', 'cron', 'mentalspace', 'net', 'pgmq', 'pgsodium', 'vault')
       AND NOT EXISTS (SELECT FROM aclexplode(p.proacl) x WHERE x.grantee = 0)
       AND EXISTS (SELECT FROM aclexplode(i.initprivs) x WHERE x.grantee = api.oid)
       AND NOT EXISTS (SELECT FROM pg_depend o WHERE o.classid = 'pg_namespace'::regclass AND o.objid = n.oid
                          AND o.refclassid = d.refclassid AND o.refobjid = e.oid AND o.deptype = 'e')
     GROUP BY n.nspname, p.oid, e.extname
), found AS (
    SELECT 'temporary_objects' AS finding, NULL::name AS nspname, current_database()::text AS object,
           'everybody may make temporary objects, whose names go before those of tables' AS detail,
           format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database()) AS remedy, 0::oid AS holder, true AS by_default
     WHERE EXISTS (SELECT FROM api) AND has_database_privilege('public', current_database(), 'TEMPORARY')
    UNION ALL
    SELECT 'temporary_objects', NULL, current_database(),
           format('%s may make temporary objects, whose names go before those of tables', string_agg(g.name, ', ' ORDER BY g.name)),
           format('REVOKE TEMPORARY ON DATABASE %I FROM %s', current_database(), string_agg(g.name, ', ' ORDER BY g.name)), 0, false
      FROM pg_database d, aclexplode(d.datacl) a JOIN grantees g ON g.oid = a.grantee
     WHERE d.datname = current_database() AND a.privilege_type = 'TEMPORARY' AND a.grantee NOT IN (0, d.datdba)
       AND EXISTS (SELECT FROM api WHERE api.oid = a.grantee)
    HAVING count(*) > 0
    UNION ALL
    SELECT 'api_rights', r.nspname, r.name, format('%s has %s on it, which no policy guards', r.holders, r.rights),
           format('REVOKE %s ON %s %s FROM %s', r.rights, CASE r.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, r.name, r.holders),
           r.relowner, r.by_default
      FROM relations r
    UNION ALL
    SELECT 'default_rights', d.nspname, format('%s of %I', lower(d.kind), pg_get_userbyid(d.defaclrole)),
           format('%s will have %s on %s that %I makes', d.holders, d.rights, lower(d.kind), pg_get_userbyid(d.defaclrole)),
           format('ALTER DEFAULT PRIVILEGES FOR ROLE %I %sREVOKE %s ON %s FROM %s', pg_get_userbyid(d.defaclrole),
                  format('IN SCHEMA %I ', d.nspname), d.rights, d.kind, d.holders), d.defaclrole, false
      FROM defaults d WHERE d.nspname IS NOT NULL
    UNION ALL
    SELECT 'default_rights', NULL, format('%s of %I', lower(d.kind), pg_get_userbyid(d.defaclrole)),
           format('%s will have %s on %s that %I makes', d.holders, d.rights, lower(d.kind), pg_get_userbyid(d.defaclrole)),
           format('ALTER DEFAULT PRIVILEGES FOR ROLE %I REVOKE %s ON %s FROM %s', pg_get_userbyid(d.defaclrole),
                  d.rights, d.kind, d.holders), d.defaclrole, false
      FROM defaults d WHERE d.nspname IS NULL
    UNION ALL
    SELECT 'extension_function', f.nspname, f.oid::regprocedure::text,
           format('%s may execute it, although the script of extension %I took it from PUBLIC', f.holders, f.extname),
           format('REVOKE EXECUTE ON FUNCTION %s FROM %s', f.oid::regprocedure, f.holders), f.proowner, true
      FROM functions f
    UNION ALL
    SELECT 'open_table', n.nspname, format('%I.%I', n.nspname, c.relname),
           format('row security is off: %s may %s all of it', string_agg(DISTINCT api.rolname::text, ', '),
                  string_agg(DISTINCT p, ', ')),
           format('ALTER TABLE %I.%I ENABLE ROW LEVEL SECURITY', n.nspname, c.relname), c.relowner, false
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, api, unnest('{SELECT,INSERT,UPDATE,DELETE}'::text[]) AS p
     WHERE c.relkind IN ('r', 'p') AND NOT c.relrowsecurity AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
       AND api.rolname <> 'service_role' AND has_schema_privilege(api.oid, n.oid, 'USAGE')
       AND CASE p WHEN 'DELETE' THEN has_table_privilege(api.oid, c.oid, p) ELSE has_any_column_privilege(api.oid, c.oid, p) END
       AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
     GROUP BY n.nspname, c.oid
    UNION ALL
    SELECT 'privileged_member', NULL, m.rolname::text, format('can take %I (%s)', g.rolname, mentalspace.role_privileges(g.oid)),
           format('REVOKE %I FROM %I', g.rolname, m.rolname), 0, false
      FROM pg_auth_members a JOIN pg_roles m ON m.oid = a.member JOIN pg_roles g ON g.oid = a.roleid
     WHERE m.rolname IN ('anon', 'authenticated', 'service_role', 'authenticator') AND NOT m.rolsuper
       AND mentalspace.role_privileges(g.oid) IS NOT NULL AND g.rolname NOT IN ('anon', 'authenticated', 'service_role')
    UNION ALL
    SELECT 'shared_login', NULL, format('server %I', m.srvname),
           CASE WHEN m.umoptions IS NULL THEN 'everybody uses one user mapping, whose options only its owner can see'
                ELSE 'everybody connects with the password of one user mapping: what is read there is read past the identity' END,
           format('DROP USER MAPPING FOR PUBLIC SERVER %I', m.srvname), 0, false
      FROM pg_user_mappings m
     WHERE m.umuser = 0 AND (m.umoptions IS NULL OR EXISTS (SELECT FROM unnest(m.umoptions) AS o WHERE o ~ '^(password|passfile|sslkey|password_required)='))
)
SELECT f.finding, f.nspname, f.object, f.detail, f.remedy, f.holder, f.by_default FROM found f
$body$;
COMMENT ON FUNCTION mentalspace.check_rights() IS
    'rights of the roles of the API that no policy guards, with the statement that takes each away; check_policies() lists them';
