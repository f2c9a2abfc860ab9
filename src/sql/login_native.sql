-- Verified identity, in C++ (src/auth/).
CREATE FUNCTION mentalspace.check_jwks(jwks jsonb) RETURNS int
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'ms_check_jwks';
CREATE FUNCTION mentalspace.jwk_algorithm(jwk jsonb) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'ms_jwk_algorithm';
CREATE FUNCTION mentalspace.jws_verify(token text, jwk jsonb) RETURNS bytea
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'ms_jws_verify';
CREATE FUNCTION mentalspace.verify_jwt(token text) RETURNS jsonb
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'ms_verify_jwt';
CREATE FUNCTION mentalspace.login(token text) RETURNS uuid
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'ms_login';
CREATE FUNCTION mentalspace.login(token text, scope text) RETURNS uuid
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'ms_login';
CREATE FUNCTION mentalspace.logout() RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'ms_logout';
CREATE FUNCTION mentalspace.whoami(OUT "session_user" text, OUT "current_user" text, OUT claims_source text,
    OUT uid uuid, OUT role text, OUT email text, OUT aal text, OUT session_id text, OUT issuer text,
    OUT expires_at timestamptz, OUT problem text, OUT audit text)
    LANGUAGE c VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'ms_whoami';

-- Each backend keeps a copy of these tables; every change of them throws all copies away.
CREATE FUNCTION mentalspace.invalidate_backends() RETURNS trigger
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'ms_invalidate_backends';
REVOKE ALL ON FUNCTION mentalspace.invalidate_backends() FROM PUBLIC;
COMMENT ON FUNCTION mentalspace.invalidate_backends() IS 'trigger: every backend forgets its copy of the table at commit';
CREATE TRIGGER invalidate_backends AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON mentalspace.jwt_key_store
    FOR EACH STATEMENT EXECUTE FUNCTION mentalspace.invalidate_backends();
CREATE TRIGGER invalidate_backends AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON mentalspace.jwt_revocations
    FOR EACH STATEMENT EXECUTE FUNCTION mentalspace.invalidate_backends();
-- Also for changes that replication applies, or that are made with session_replication_role = replica.
ALTER TABLE mentalspace.jwt_key_store ENABLE ALWAYS TRIGGER invalidate_backends;
ALTER TABLE mentalspace.jwt_revocations ENABLE ALWAYS TRIGGER invalidate_backends;
COMMENT ON TRIGGER invalidate_backends ON mentalspace.jwt_key_store IS 'every backend forgets its copy of the keys at commit';
COMMENT ON TRIGGER invalidate_backends ON mentalspace.jwt_revocations IS 'every backend looks again at the next login';
