-- auth.uid() and its siblings, in SQL: the legacy variable first, then the claim; where mentalspace.auth_settings has the claims
-- source `verified`, those of seal_trusted.sql.
CREATE FUNCTION mentalspace.auth_sources() RETURNS TABLE (function name, result text, language name, source text, library text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    sealed boolean := false;
BEGIN
    -- While the extension is made there are no settings yet.
    IF to_regclass('mentalspace.auth_settings') IS NOT NULL THEN
        sealed := mentalspace.auth_setting('auth_claims_source') = 'verified';
    END IF;
    RETURN QUERY SELECT s.f, s.r, 'sql'::name, s.body, NULL::text FROM (VALUES
    (false, 'uid'::name, 'uuid', $body$
    SELECT CASE
        WHEN pg_catalog.current_setting('request.jwt.claim.sub', true) <> ''
        THEN pg_catalog.current_setting('request.jwt.claim.sub', true)
        ELSE nullif(pg_catalog.current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'
    END::uuid
    $body$),
    (false, 'role', 'text', $body$
    SELECT CASE
        WHEN pg_catalog.current_setting('request.jwt.claim.role', true) <> ''
        THEN pg_catalog.current_setting('request.jwt.claim.role', true)
        ELSE nullif(pg_catalog.current_setting('request.jwt.claims', true), '')::jsonb ->> 'role'
    END
    $body$),
    (false, 'email', 'text', $body$
    SELECT CASE
        WHEN pg_catalog.current_setting('request.jwt.claim.email', true) <> ''
        THEN pg_catalog.current_setting('request.jwt.claim.email', true)
        ELSE nullif(pg_catalog.current_setting('request.jwt.claims', true), '')::jsonb ->> 'email'
    END
    $body$),
    (false, 'jwt', 'jsonb', $body$
    SELECT CASE
        WHEN pg_catalog.current_setting('request.jwt.claim', true) <> ''
        THEN pg_catalog.current_setting('request.jwt.claim', true)
        ELSE nullif(pg_catalog.current_setting('request.jwt.claims', true), '')
    END::jsonb
    $body$),
    (true, 'uid', 'uuid', 'SELECT mentalspace.sealed_uid()'),
    (true, 'role', 'text', 'SELECT mentalspace.sealed_claims() OPERATOR(pg_catalog.->>) ''role'''),
    (true, 'email', 'text', 'SELECT mentalspace.sealed_claims() OPERATOR(pg_catalog.->>) ''email'''),
    (true, 'jwt', 'jsonb', 'SELECT mentalspace.sealed_claims()')) AS s (of_sealed, f, r, body)
     WHERE s.of_sealed = sealed;
END
$$;
