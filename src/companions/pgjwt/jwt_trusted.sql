-- pgjwt's functions over pgcrypto, which is bound once, wherever it is and wherever it may be moved.
DO $$
BEGIN
    EXECUTE pg_catalog.format($sql$
        CREATE FUNCTION @extschema@._pgjwt_hmac(data bytea, secret bytea, hash text) RETURNS bytea
            LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
            RETURN %s.hmac(data, secret, hash);
    $sql$, (SELECT e.extnamespace::pg_catalog.regnamespace FROM pg_catalog.pg_extension e WHERE e.extname = 'pgcrypto'));
END
$$;
COMMENT ON FUNCTION @extschema@._pgjwt_hmac(bytea, bytea, text) IS 'HMAC (RFC 2104) by pgcrypto';

CREATE FUNCTION @extschema@.url_encode(data bytea) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
    RETURN pg_catalog.translate(pg_catalog.encode(data, 'base64'), E'+/=\n', '-_');

CREATE FUNCTION @extschema@.url_decode(data text) RETURNS bytea
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    bytes bytea;
BEGIN
    IF data ~ '^[0-9A-Za-z_-]*$' AND length(data) % 4 <> 1 THEN
        bytes := decode(translate(data, '-_', '+/') || repeat('=', (4 - length(data) % 4) % 4), 'base64');
        -- One spelling only: unused bits are zero.
        IF translate(encode(bytes, 'base64'), E'+/=\n', '-_') = data THEN
            RETURN bytes;
        END IF;
    END IF;
    RAISE EXCEPTION 'the text is not base64url' USING ERRCODE = 'invalid_parameter_value';
END
$$;

CREATE FUNCTION @extschema@.algorithm_sign(signables text, secret text, algorithm text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    hash text := CASE algorithm WHEN 'HS256' THEN 'sha256' WHEN 'HS384' THEN 'sha384' WHEN 'HS512' THEN 'sha512' END;
BEGIN
    IF hash IS NULL THEN
        RAISE EXCEPTION 'unknown signature algorithm'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Known are HS256, HS384 and HS512.';
    END IF;
    IF secret = '' THEN
        RAISE EXCEPTION 'the secret must not be empty' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN @extschema@.url_encode(@extschema@._pgjwt_hmac(convert_to(signables, 'UTF8'), convert_to(secret, 'UTF8'), hash));
END
$$;

CREATE FUNCTION @extschema@.sign(payload json, secret text, algorithm text DEFAULT 'HS256') RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    signables text;
BEGIN
    IF jsonb_typeof(payload::jsonb) <> 'object' THEN
        RAISE EXCEPTION 'the payload of a token must be a JSON object' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF jsonb_typeof(payload::jsonb -> 'exp') <> 'number' OR jsonb_typeof(payload::jsonb -> 'nbf') <> 'number' THEN
        RAISE EXCEPTION 'exp and nbf of a token must be numbers' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    signables := @extschema@.url_encode(convert_to('{"alg":"' || algorithm || '","typ":"JWT"}', 'UTF8'))
                 || '.' || @extschema@.url_encode(convert_to(payload::text, 'UTF8'));
    RETURN signables || '.' || @extschema@.algorithm_sign(signables, secret, algorithm);
END
$$;

CREATE FUNCTION @extschema@.verify(token text, secret text, algorithm text DEFAULT 'HS256') RETURNS TABLE (header json, payload json, valid boolean)
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE STRICT ROWS 1 SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    segments text[] := string_to_array(token, '.');
    wanted bytea := @extschema@.url_decode(@extschema@.algorithm_sign(substr(token, 1, length(token) - length(segments[3]) - 1), secret, algorithm));
    signed boolean;
    claims jsonb;
    head jsonb;
    present numeric := extract(epoch FROM CURRENT_TIMESTAMP);
BEGIN
    IF array_length(segments, 1) IS DISTINCT FROM 3 THEN
        RAISE EXCEPTION 'malformed token: it must have three segments' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    BEGIN
        header := convert_from(@extschema@.url_decode(segments[1]), 'UTF8')::json;
        payload := convert_from(@extschema@.url_decode(segments[2]), 'UTF8')::json;
        head := header::jsonb;
        claims := payload::jsonb;
    EXCEPTION
        -- Their own messages would print what is in the token.
        WHEN invalid_text_representation OR character_not_in_repertoire OR untranslatable_character THEN
            RAISE EXCEPTION 'malformed token: header and payload must be JSON' USING ERRCODE = 'invalid_parameter_value';
    END;
    -- Both sides go through one more HMAC, so that the time of the comparison tells nothing of the right one.
    signed := @extschema@._pgjwt_hmac(@extschema@.url_decode(segments[3]), wanted, 'sha256')
              = @extschema@._pgjwt_hmac(wanted, wanted, 'sha256');
    valid := signed
        AND jsonb_typeof(head) = 'object' AND jsonb_typeof(claims) = 'object'
        AND coalesce(head -> 'alg' = to_jsonb(algorithm), false) AND NOT head ? 'crit'
        AND CASE WHEN claims ? 'exp'
                 THEN CASE WHEN jsonb_typeof(claims -> 'exp') = 'number' THEN present < (claims ->> 'exp')::numeric ELSE false END
                 ELSE true END
        AND CASE WHEN claims ? 'nbf'
                 THEN CASE WHEN jsonb_typeof(claims -> 'nbf') = 'number' THEN present >= (claims ->> 'nbf')::numeric ELSE false END
                 ELSE true END;
    RETURN NEXT;
END
$$;
REVOKE ALL ON FUNCTION @extschema@._pgjwt_hmac(bytea, bytea, text) FROM PUBLIC;
