-- The companion's own schema.  It may be there already (pg_dump restores schemas first, provisioning makes it) and is
-- never a member of the extension: objects of the user's may live in it.
DO $$
DECLARE
    owner pg_catalog.regrole := (SELECT e.extowner FROM pg_catalog.pg_extension e WHERE e.extname = '@NAME@');
BEGIN
    IF pg_catalog.to_regnamespace('@SCHEMA@') IS NULL THEN
        EXECUTE pg_catalog.format('CREATE SCHEMA @SCHEMA@ AUTHORIZATION %s', owner);
        ALTER EXTENSION @NAME@ DROP SCHEMA @SCHEMA@;
    ELSIF NOT EXISTS (SELECT FROM pg_catalog.pg_namespace n
                        JOIN pg_catalog.pg_roles r ON r.oid = n.nspowner
                       WHERE n.nspname = '@SCHEMA@'
                         AND (r.rolsuper OR pg_catalog.pg_has_role(owner::oid, r.oid, 'USAGE'))) THEN
        RAISE EXCEPTION 'schema "@SCHEMA@" belongs to another role'
            USING ERRCODE = 'insufficient_privilege',
                  DETAIL = 'The extension puts its objects into this schema, and the schema''s owner could replace them.',
                  HINT = pg_catalog.format('Look at what is in it, then run ALTER SCHEMA @SCHEMA@ OWNER TO %s.', owner);
    END IF;
END
$$;
