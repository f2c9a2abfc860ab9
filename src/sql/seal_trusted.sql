-- An identity that SQL cannot forge, where auth_claims_source is `verified` in mentalspace.auth_settings.
--
-- What carries the identity are variables, which anybody can set.  So login() seals them: an HMAC (RFC 2104) with SHA-256 over
-- the kind, the value, the start of the transaction and the session's user, by a secret that only the extension's owner reads.
-- auth.uid() and its siblings then believe nothing without its seal.  A seal is worth nothing in another transaction or
-- another login role's session, and what is sealed is what a token said that was verified.
CREATE FUNCTION mentalspace.seal_of(kind text, value text) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    -- Parallel workers have the same start of the transaction and the same user of the session.
    RETURN (SELECT encode(sha256(s.outer_pad || sha256(s.inner_pad || convert_to(concat(kind, '|',
                       CASE WHEN kind <> 'token' THEN concat(extract(epoch FROM transaction_timestamp()), '|', session_user) END,
                       '|', value), 'UTF8'))), 'hex')
              FROM mentalspace.auth_seal AS s);
END
$$;
COMMENT ON FUNCTION mentalspace.seal_of(text, text) IS 'internal to login(): HMAC of a value with the secret of this database, for this transaction; of kind token for all';

CREATE FUNCTION mentalspace.refuse_claims() RETURNS void
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RAISE EXCEPTION 'the claims of this transaction are not verified' USING ERRCODE = 'insufficient_privilege',
        DETAIL = 'The variables request.jwt.* were set by something else than mentalspace.login(), or in another transaction.',
        HINT = 'Call mentalspace.login(token) at the start of each transaction.';
END
$$;
COMMENT ON FUNCTION mentalspace.refuse_claims() IS 'internal to auth.uid(): raises SQLSTATE 42501';

-- One function each, without calls of others, because policies may call them for each row.
CREATE FUNCTION mentalspace.sealed_uid() RETURNS uuid
    LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    sub text := coalesce(current_setting('request.jwt.claim.sub', true), '');
BEGIN
    IF sub = '' AND coalesce(current_setting('request.jwt.claims', true), '') = '' THEN
        RETURN NULL;
    ELSIF (SELECT encode(sha256(s.outer_pad || sha256(s.inner_pad || convert_to(concat('sub|',
                      extract(epoch FROM transaction_timestamp()), '|', session_user, '|', sub), 'UTF8'))), 'hex')
             FROM mentalspace.auth_seal AS s) = current_setting('mentalspace.auth_seal_sub', true) THEN
        -- An identity without a user, as that of an API key, is sealed as such.
        RETURN nullif(sub, '');
    END IF;
    PERFORM mentalspace.refuse_claims();
END
$$;
COMMENT ON FUNCTION mentalspace.sealed_uid() IS 'internal to auth.uid(): the user whose token login() verified in this transaction';

CREATE FUNCTION mentalspace.sealed_claims() RETURNS jsonb
    LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    claims text := current_setting('request.jwt.claims', true);
BEGIN
    IF claims = '' IS NOT FALSE THEN
        -- A variable of a single claim without the claims is nobody's seal.
        IF current_setting('request.jwt.claim.sub', true) <> '' THEN
            PERFORM mentalspace.refuse_claims();
        END IF;
        RETURN NULL;
    ELSIF (SELECT encode(sha256(s.outer_pad || sha256(s.inner_pad || convert_to(concat('claims|',
                      extract(epoch FROM transaction_timestamp()), '|', session_user, '|', claims), 'UTF8'))), 'hex')
             FROM mentalspace.auth_seal AS s) = current_setting('mentalspace.auth_seal_claims', true) THEN
        RETURN claims;
    END IF;
    PERFORM mentalspace.refuse_claims();
END
$$;
COMMENT ON FUNCTION mentalspace.sealed_claims() IS 'internal to auth.jwt(): the claims of the token that login() verified in this transaction';

-- The four functions are replaced as a whole, so that the unsealed ones cost what they cost without this.
CREATE FUNCTION mentalspace.apply_claims_source() RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM mentalspace.restore_auth_functions(mentalspace.replaced_auth_functions());
END
$$;
COMMENT ON FUNCTION mentalspace.apply_claims_source() IS 'internal to auth_settings: makes auth.uid() and its siblings those of the claims source';

CREATE FUNCTION mentalspace.claims_source_changed() RETURNS trigger
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM mentalspace.apply_claims_source();
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION mentalspace.claims_source_changed() IS 'trigger: auth.uid() and its siblings follow auth_claims_source';

-- What login() sets, for a token that it verifies itself.
CREATE FUNCTION mentalspace.sealed_login(token text, OUT claims jsonb, OUT claims_seal text, OUT sub_seal text)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    claims := mentalspace.verify_jwt(token);
    claims_seal := mentalspace.seal_of('claims', claims::text);
    sub_seal := mentalspace.seal_of('sub', coalesce(claims ->> 'sub', ''));
END
$$;
COMMENT ON FUNCTION mentalspace.sealed_login(text) IS 'internal to login(): the claims of a token that it verifies, and their seals';
REVOKE ALL ON FUNCTION mentalspace.seal_of(text, text), mentalspace.apply_claims_source(), mentalspace.claims_source_changed()
    FROM PUBLIC;
