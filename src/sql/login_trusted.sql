-- Verified identity in PL/pgSQL.  The signature and all claims are checked as in the native flavour; what holds the
-- identity afterwards are ordinary variables, which every SQL statement can set, and their seals (see seal_trusted.sql).
CREATE FUNCTION mentalspace.check_claims(claims jsonb) RETURNS void
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    api_key boolean := claims ->> 'sub' IS NULL AND claims ->> 'role' IN ('anon', 'service_role');
    issuers text[] := array_remove(regexp_split_to_array(trim(mentalspace.auth_setting('auth_issuers')), '\s*,\s*'), '');
    audience text := mentalspace.auth_setting('auth_audience');
    leeway numeric := mentalspace.auth_setting('auth_leeway')::numeric;
    seconds numeric := extract(epoch FROM clock_timestamp());
BEGIN
    IF cardinality(issuers) > 0 AND NOT coalesce(claims ->> 'iss' = ANY (issuers), false) THEN
        PERFORM mentalspace.refuse_token('wrong issuer', 'the issuer is not accepted');
    ELSIF audience <> '' AND (CASE jsonb_typeof(claims -> 'aud') WHEN 'string' THEN claims ->> 'aud' <> audience
                                  WHEN 'array' THEN NOT claims -> 'aud' ? audience ELSE NOT coalesce(api_key, false) END) THEN
        PERFORM mentalspace.refuse_token('wrong audience', 'the token is not for this audience');
    ELSIF claims -> 'exp' IS NULL AND NOT coalesce(api_key, false) THEN
        PERFORM mentalspace.refuse_token('malformed', 'the token of a user must have exp');
    ELSIF seconds >= floor((claims ->> 'exp')::numeric) + leeway THEN
        PERFORM mentalspace.refuse_token('expired', 'exp is in the past');
    ELSIF seconds < ceil((claims ->> 'nbf')::numeric) - leeway THEN
        PERFORM mentalspace.refuse_token('not yet valid', 'nbf is in the future');
    ELSIF seconds < floor((claims ->> 'iat')::numeric) - leeway THEN
        PERFORM mentalspace.refuse_token('not yet valid', 'iat is in the future');
    ELSIF claims ->> 'sub' IS NOT NULL
          AND claims ->> 'sub' !~* '^\{?[0-9a-f]{4}(-?[0-9a-f]{4}){7}\}?$' THEN
        PERFORM mentalspace.refuse_token('malformed', 'a claim has a value that PostgreSQL cannot represent, or sub is not a uuid');
    END IF;
END
$$;
COMMENT ON FUNCTION mentalspace.check_claims(jsonb) IS 'internal to login(): issuer, audience and times';

-- All that does not depend on the time or on revocations.
CREATE FUNCTION mentalspace.verify_signature(token text, OUT claims jsonb, OUT key_id bigint)
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_variable
DECLARE
    t record;
    k record;
    issuer_has_keys boolean;
    of_other_issuer boolean := false;
    tried boolean := false;
    tries int := 0;
BEGIN
    SELECT * INTO t FROM mentalspace.split_token(token);
    IF lower(t.header ->> 'typ') NOT IN ('jwt', 'at+jwt', 'application/jwt', 'application/at+jwt') THEN
        PERFORM mentalspace.refuse_token('malformed', 'typ is not that of an access token');
    END IF;
    claims := mentalspace.json_of(t.payload, 16);
    IF claims IS NULL THEN
        PERFORM mentalspace.refuse_token('malformed', 'the payload is not a JSON object');
    ELSIF EXISTS (SELECT FROM unnest(ARRAY['sub', 'role', 'email', 'phone', 'aal', 'session_id', 'iss']) AS n
                   WHERE jsonb_typeof(claims -> n) NOT IN ('string', 'null')) THEN
        PERFORM mentalspace.refuse_token('malformed', 'sub, role, email, phone, aal, session_id and iss must be strings');
    ELSIF EXISTS (SELECT FROM unnest(ARRAY['exp', 'nbf', 'iat']) AS n
                   WHERE CASE WHEN jsonb_typeof(claims -> n) = 'number' THEN abs((claims ->> n)::numeric) > 253402300799
                              ELSE claims ? n END) THEN
        PERFORM mentalspace.refuse_token('malformed', 'exp, nbf and iat must be numbers within the years that there are');
    ELSIF jsonb_typeof(claims -> 'aud') NOT IN ('string', 'array')
          OR EXISTS (SELECT FROM jsonb_array_elements(CASE WHEN jsonb_typeof(claims -> 'aud') = 'array' THEN claims -> 'aud' ELSE '[]' END) AS a
                      WHERE jsonb_typeof(a.value) <> 'string') THEN
        PERFORM mentalspace.refuse_token('malformed', 'aud must be a string or an array of strings');
    END IF;

    issuer_has_keys := EXISTS (SELECT FROM mentalspace.jwt_key_store AS s WHERE s.issuer = claims ->> 'iss');
    FOR k IN SELECT s.id, s.jwk, s.issuer FROM mentalspace.jwt_key_store AS s
              WHERE s.alg = t.header ->> 'alg' AND coalesce(s.kid = t.header ->> 'kid', true) ORDER BY s.id
    LOOP
        IF NOT coalesce(CASE WHEN k.issuer IS NULL THEN NOT issuer_has_keys ELSE k.issuer = claims ->> 'iss' END, false) THEN
            of_other_issuer := true;
            CONTINUE;
        END IF;
        tried := true;
        tries := tries + 1;
        -- A bound on what a token that names no key can cost.
        IF tries > 8 THEN
            PERFORM mentalspace.refuse_token('unknown key', 'the token names no kid, and more than 8 keys could have signed it');
        END IF;
        IF mentalspace.jwk_fits(k.jwk, k.id, t.signed, t.signature) THEN
            key_id := k.id;
            EXIT;
        END IF;
    END LOOP;
    IF key_id IS NULL THEN
        PERFORM mentalspace.refuse_token(
            CASE WHEN tried THEN 'bad signature' WHEN of_other_issuer THEN 'wrong issuer' ELSE 'unknown key' END,
            CASE WHEN tried THEN 'the signature does not fit' WHEN of_other_issuer THEN 'the key belongs to another issuer'
                 ELSE 'there is no key for this algorithm and kid' END);
    END IF;
END
$$;
COMMENT ON FUNCTION mentalspace.verify_signature(text) IS 'internal to login(): the claims of a token and the key that signed it';
REVOKE ALL ON FUNCTION mentalspace.verify_signature(text) FROM PUBLIC;

CREATE FUNCTION mentalspace.verify_jwt(token text) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    claims jsonb;
    verified_by bigint;
    note text;
BEGIN
    -- The same token again: that its signature fits the key was noted, sealed, in a variable of the session.
    SELECT k.id INTO verified_by FROM mentalspace.jwt_key_store AS k
     WHERE k.id::text = split_part(current_setting('mentalspace.auth_note', true), ':', 1);
    note := concat(verified_by, ':', encode(sha256(convert_to(token, 'UTF8')), 'hex'));
    IF verified_by IS NOT NULL
       AND mentalspace.seal_of('token', note) = split_part(current_setting('mentalspace.auth_note', true), ':', 2) THEN
        claims := convert_from(mentalspace.base64url_decode(split_part(token, '.', 2)), 'UTF8');
    ELSE
        SELECT v.claims, v.key_id INTO claims, verified_by FROM mentalspace.verify_signature(token) AS v;
        note := concat(verified_by, ':', encode(sha256(convert_to(token, 'UTF8')), 'hex'));
        PERFORM set_config('mentalspace.auth_note', concat(verified_by, ':', mentalspace.seal_of('token', note)), false);
    END IF;
    PERFORM mentalspace.check_claims(claims);

    IF EXISTS (SELECT FROM mentalspace.jwt_revocations AS r
                WHERE (r.kind = 'session' AND r.subject = lower(claims ->> 'session_id'))
                   OR (r.kind = 'user' AND r.subject = (claims ->> 'sub')::uuid::text
                       AND coalesce(to_timestamp(floor((claims ->> 'iat')::numeric)::float8) <= r.revoked_at, true))) THEN
        PERFORM mentalspace.refuse_token('revoked', 'the session or the user''s older tokens were revoked');
    END IF;

    -- One note an hour; nobody waits for it.
    IF NOT pg_is_in_recovery() AND NOT current_setting('transaction_read_only')::boolean
       AND NOT EXISTS (SELECT FROM mentalspace.jwt_key_use AS u
                        WHERE u.key_id = verified_by AND u.used_at > statement_timestamp() - interval '1 hour')
       AND pg_try_advisory_xact_lock('mentalspace.jwt_key_use'::regclass::oid::int, verified_by::int) THEN
        INSERT INTO mentalspace.jwt_key_use (key_id, used_at) VALUES (verified_by, statement_timestamp());
    END IF;
    RETURN claims;
END
$$;

CREATE FUNCTION mentalspace.sync_user_of(token text) RETURNS boolean
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    claims jsonb;
BEGIN
    IF NOT mentalspace.auth_setting('auth_sync_users')::boolean OR pg_is_in_recovery()
       OR current_setting('transaction_read_only')::boolean THEN
        RETURN false;
    END IF;
    -- Triggers on auth.users are its owner's code, and this function runs them as its own.
    IF (SELECT NOT pg_has_role(c.relowner, current_user, 'MEMBER') FROM pg_class AS c WHERE c.oid = to_regclass('auth.users')) THEN
        RAISE EXCEPTION 'the owner of function mentalspace.sync_user_of(text) is not the owner of table auth.users'
            USING ERRCODE = 'insufficient_privilege',
                  HINT = format('Run SELECT * FROM mentalspace.provision(ARRAY[''auth''], owner => %L) as the owner of the extension.',
                                (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = to_regclass('auth.users')));
    END IF;
    claims := mentalspace.verify_jwt(token);
    RETURN claims ->> 'sub' IS NOT NULL AND mentalspace.sync_user(claims);
END
$$;
COMMENT ON FUNCTION mentalspace.sync_user_of(text) IS 'internal to login(): sync_user() for the claims of a token that it verifies itself';

CREATE FUNCTION mentalspace.login(token text, scope text) RETURNS uuid
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    AS $$
DECLARE
    claims pg_catalog.jsonb;
    seals record;
    local boolean := pg_catalog.lower(scope) OPERATOR(pg_catalog.=) 'transaction';
    name pg_catalog.text;
    role pg_catalog.text;
BEGIN
    IF scope IS NULL OR NOT scope OPERATOR(pg_catalog.=) ANY (ARRAY['transaction', 'session']) THEN
        RAISE EXCEPTION 'scope must be "transaction" or "session"' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF NOT local AND mentalspace.auth_setting('auth_claims_source') OPERATOR(pg_catalog.=) 'verified' THEN
        RAISE EXCEPTION 'a verified identity ends with its transaction' USING ERRCODE = 'feature_not_supported',
            HINT = 'Call mentalspace.login(token) at the start of each transaction.';
    END IF;
    seals := mentalspace.sealed_login(token);
    claims := seals.claims;
    role := claims OPERATOR(pg_catalog.->>) 'role';
    IF role IS NULL OR NOT role OPERATOR(pg_catalog.=) ANY (pg_catalog.regexp_split_to_array(
           pg_catalog.btrim(mentalspace.auth_setting('auth_allowed_roles')), '\s*,\s*')) THEN
        PERFORM mentalspace.refuse_token('role not allowed', 'mentalspace.auth_allowed_roles does not list the role that the token names');
    ELSIF NOT EXISTS (SELECT FROM pg_catalog.pg_roles AS r WHERE r.rolname OPERATOR(pg_catalog.=) role
                         AND pg_catalog.pg_has_role(session_user, r.oid, 'MEMBER')) THEN
        PERFORM mentalspace.refuse_token('role not allowed', 'the session''s login role is not a member of the role that the token names');
    END IF;
    IF mentalspace.auth_setting('auth_sync_users')::boolean THEN
        -- Triggers on auth.users run under nobody's identity, as they do in Supabase.
        PERFORM pg_catalog.set_config('request.jwt.claims', '', local);
        PERFORM pg_catalog.set_config('request.jwt.claim', '', local);
        FOREACH name IN ARRAY ARRAY['sub', 'role', 'email', 'aal', 'app_metadata', 'aud', 'exp', 'iat', 'is_anonymous', 'iss',
                                    'phone', 'session_id', 'user_metadata'] LOOP
            PERFORM pg_catalog.set_config(pg_catalog.concat('request.jwt.claim.', name), '', local);
        END LOOP;
        PERFORM mentalspace.sync_user_of(token);
    END IF;
    PERFORM pg_catalog.set_config('request.jwt.claims', claims::pg_catalog.text, local);
    PERFORM pg_catalog.set_config('request.jwt.claim', claims::pg_catalog.text, local);
    FOREACH name IN ARRAY ARRAY['sub', 'role', 'email', 'aal', 'app_metadata', 'aud', 'exp', 'iat', 'is_anonymous', 'iss',
                                'phone', 'session_id', 'user_metadata'] LOOP
        PERFORM pg_catalog.set_config(pg_catalog.concat('request.jwt.claim.', name),
                                      COALESCE(claims OPERATOR(pg_catalog.->>) name, ''), local);
    END LOOP;
    PERFORM pg_catalog.set_config('mentalspace.auth_seal_claims', seals.claims_seal, local),
            pg_catalog.set_config('mentalspace.auth_seal_sub', seals.sub_seal, local);
    PERFORM pg_catalog.set_config('role', role, local);
    RETURN (claims OPERATOR(pg_catalog.->>) 'sub')::pg_catalog.uuid;
END
$$;
CREATE FUNCTION mentalspace.login(token text) RETURNS uuid
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    AS $$ SELECT mentalspace.login($1, 'transaction') $$;

CREATE FUNCTION mentalspace.logout() RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    AS $$
DECLARE
    name pg_catalog.text;
BEGIN
    FOREACH name IN ARRAY ARRAY['claims', 'claim', 'claim.sub', 'claim.role', 'claim.email', 'claim.aal', 'claim.app_metadata',
                                'claim.aud', 'claim.exp', 'claim.iat', 'claim.is_anonymous', 'claim.iss', 'claim.phone',
                                'claim.session_id', 'claim.user_metadata'] LOOP
        PERFORM pg_catalog.set_config(pg_catalog.concat('request.jwt.', name), '', false);
    END LOOP;
    PERFORM pg_catalog.set_config('role', 'none', false);
END
$$;

CREATE FUNCTION mentalspace.whoami(OUT "session_user" text, OUT "current_user" text, OUT claims_source text,
    OUT uid uuid, OUT role text, OUT email text, OUT aal text, OUT session_id text, OUT issuer text,
    OUT expires_at timestamptz, OUT problem text, OUT audit text)
    LANGUAGE plpgsql VOLATILE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    claims jsonb;
    was_set boolean := current_setting('request.jwt.claims', true) IS NOT NULL;
    expired boolean;
    sealed boolean;
    -- said before anything else, for it may be why
    remark text := (SELECT 'replaced: ' || string_agg(format('auth.%s()', f), ', ') || '; ' FROM unnest(mentalspace.replaced_auth_functions()) AS f);
BEGIN
    audit := 'off: the trusted flavour sees no reads but those by mentalspace.read_phi()';
    "session_user" := session_user;
    "current_user" := current_user;
    sealed := mentalspace.auth_setting('auth_claims_source') = 'verified';
    claims_source := CASE WHEN coalesce(current_setting('request.jwt.claims', true), '') <> ''
                            OR coalesce(current_setting('request.jwt.claim', true), '') <> ''
                            OR coalesce(current_setting('request.jwt.claim.sub', true), '') <> ''
                            OR coalesce(current_setting('request.jwt.claim.role', true), '') <> ''
                            OR coalesce(current_setting('request.jwt.claim.email', true), '') <> ''
                          THEN CASE WHEN sealed THEN 'verified' ELSE 'guc' END ELSE 'none' END;
    IF claims_source = 'none' THEN
        problem := concat(remark, CASE WHEN was_set THEN 'no claims are set in this transaction; those of an earlier one ended with it'
                        ELSE 'no claims are set: request.jwt.claims was not set in this session' END);
        RETURN;
    END IF;
    BEGIN
        claims := auth.jwt();
        role := auth.role();
        email := auth.email();
        IF jsonb_typeof(claims) = 'object' THEN
            aal := claims ->> 'aal';
            session_id := claims ->> 'session_id';
            issuer := claims ->> 'iss';
            expires_at := CASE WHEN jsonb_typeof(claims -> 'exp') = 'number' AND (claims ->> 'exp')::numeric BETWEEN 1 AND 253402300799
                               THEN to_timestamp((claims ->> 'exp')::float8) END;
        END IF;
    EXCEPTION
        WHEN data_exception THEN
            problem := concat(remark, 'the claims are not valid JSON');
            RETURN;
        WHEN insufficient_privilege THEN
            claims_source := 'none';
            problem := concat(remark, 'the claims were not set by mentalspace.login() in this transaction, so nobody believes them');
            RETURN;
    END;
    BEGIN
        uid := auth.uid();
    EXCEPTION
        WHEN data_exception THEN
            problem := concat(remark, 'sub is not a uuid');
            RETURN;
        WHEN insufficient_privilege THEN
            claims_source := 'none';
            problem := concat(remark, 'the claims were not set by mentalspace.login() in this transaction, so nobody believes them');
            RETURN;
    END;
    expired := coalesce(expires_at < clock_timestamp(), false);
    problem := CASE WHEN uid IS NOT NULL AND expired AND NOT sealed THEN 'the token expired; claims that are set as variables are believed all the same'
                    WHEN uid IS NOT NULL THEN NULL
                    WHEN jsonb_typeof(claims) <> 'object' THEN 'the claims are not a JSON object'
                    WHEN expired THEN 'the claims have no sub, and the token expired'
                    ELSE 'the claims have no sub' END;
    problem := nullif(rtrim(concat(remark, problem), '; '), '');
END
$$;
