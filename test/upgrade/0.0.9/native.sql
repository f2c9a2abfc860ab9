-- mentalspace 0.0.9, native flavour: never released, for the test of updates.
\echo Use "CREATE EXTENSION mentalspace" to load this file. \quit
CREATE SCHEMA mentalspace;
COMMENT ON SCHEMA mentalspace IS 'mentalspace: Supabase applications on plain PostgreSQL (extension)';
GRANT USAGE ON SCHEMA mentalspace TO PUBLIC;
CREATE SCHEMA auth;
ALTER EXTENSION mentalspace DROP SCHEMA auth;
CREATE FUNCTION auth.uid() RETURNS uuid
    LANGUAGE sql STABLE SECURITY DEFINER
    AS $$ SELECT (nullif(pg_catalog.current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid $$;
COMMENT ON FUNCTION auth.uid() IS 'an older comment';
CREATE FUNCTION auth.role() RETURNS text
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'ms_auth_role';
