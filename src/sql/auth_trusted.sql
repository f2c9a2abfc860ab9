-- auth.uid() and its siblings, in SQL: the legacy variable first, then the claim.  They are made by a function, because
-- auth_settings can put others in their place (see seal_trusted.sql).
CREATE OR REPLACE FUNCTION mentalspace.define_auth_functions() RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $define$
BEGIN
    CREATE OR REPLACE FUNCTION auth.uid() RETURNS uuid
        LANGUAGE sql STABLE PARALLEL SAFE
        AS $$
        SELECT CASE
            WHEN pg_catalog.current_setting('request.jwt.claim.sub', true) <> ''
            THEN pg_catalog.current_setting('request.jwt.claim.sub', true)
            ELSE nullif(pg_catalog.current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'
        END::uuid
        $$;
    CREATE OR REPLACE FUNCTION auth.role() RETURNS text
        LANGUAGE sql STABLE PARALLEL SAFE
        AS $$
        SELECT CASE
            WHEN pg_catalog.current_setting('request.jwt.claim.role', true) <> ''
            THEN pg_catalog.current_setting('request.jwt.claim.role', true)
            ELSE nullif(pg_catalog.current_setting('request.jwt.claims', true), '')::jsonb ->> 'role'
        END
        $$;
    CREATE OR REPLACE FUNCTION auth.email() RETURNS text
        LANGUAGE sql STABLE PARALLEL SAFE
        AS $$
        SELECT CASE
            WHEN pg_catalog.current_setting('request.jwt.claim.email', true) <> ''
            THEN pg_catalog.current_setting('request.jwt.claim.email', true)
            ELSE nullif(pg_catalog.current_setting('request.jwt.claims', true), '')::jsonb ->> 'email'
        END
        $$;
    CREATE OR REPLACE FUNCTION auth.jwt() RETURNS jsonb
        LANGUAGE sql STABLE PARALLEL SAFE
        AS $$
        SELECT CASE
            WHEN pg_catalog.current_setting('request.jwt.claim', true) <> ''
            THEN pg_catalog.current_setting('request.jwt.claim', true)
            ELSE nullif(pg_catalog.current_setting('request.jwt.claims', true), '')
        END::jsonb
        $$;
END
$define$;
COMMENT ON FUNCTION mentalspace.define_auth_functions() IS 'internal to auth_settings: makes auth.uid() and its siblings those that believe variables';
DO $$ BEGIN PERFORM mentalspace.define_auth_functions(); END $$;
