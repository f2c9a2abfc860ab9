-- The schema of the extension, and the schema auth, which may be there already: pg_dump restores schemas before
-- extensions, and a database that comes from Supabase has one.  It never becomes a member of the extension: the user's
-- tables live in it, and DROP EXTENSION must not reach them.
CREATE SCHEMA mentalspace;
COMMENT ON SCHEMA mentalspace IS 'mentalspace: Supabase applications on plain PostgreSQL (extension)';
GRANT USAGE ON SCHEMA mentalspace TO PUBLIC;

DO $$
BEGIN
    IF pg_catalog.to_regnamespace('auth') IS NULL THEN
        CREATE SCHEMA auth;
        COMMENT ON SCHEMA auth IS 'Supabase Auth: users and the identity of the request';
        ALTER EXTENSION mentalspace DROP SCHEMA auth;
    END IF;
END
$$;
