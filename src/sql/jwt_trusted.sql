-- Verification of tokens in PL/pgSQL: HS, RS and PS 256 to 512, ES256, ES384, and EdDSA with Ed25519.  The rules are those of
-- src/core.

-- Settings of the identity: variables of an extension without a library could be set by anybody, so they are rows that
-- only the owner writes.
CREATE TABLE mentalspace.auth_settings (
    name  text PRIMARY KEY CHECK (name IN ('auth_issuers', 'auth_audience', 'auth_leeway', 'auth_max_token_bytes',
                                           'auth_allowed_roles', 'auth_sync_users', 'auth_claims_source')),
    value text NOT NULL,
    CHECK (name <> 'auth_claims_source' OR value IN ('guc', 'verified'))
);
COMMENT ON TABLE mentalspace.auth_settings IS 'settings of login() in the trusted flavour, in place of the variables mentalspace.auth_* of the native one';
COMMENT ON COLUMN mentalspace.auth_settings.name IS 'name of the variable without the prefix mentalspace.';
COMMENT ON COLUMN mentalspace.auth_settings.value IS 'its value, as the variable would have it';
SELECT pg_catalog.pg_extension_config_dump('mentalspace.auth_settings', '')
 WHERE EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = 'mentalspace');

CREATE FUNCTION mentalspace.auth_setting(name text) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RETURN coalesce((SELECT s.value FROM mentalspace.auth_settings AS s WHERE s.name = auth_setting.name),
                    CASE auth_setting.name WHEN 'auth_audience' THEN 'authenticated' WHEN 'auth_leeway' THEN '30'
                            WHEN 'auth_max_token_bytes' THEN '16384' WHEN 'auth_allowed_roles' THEN 'anon, authenticated'
                            WHEN 'auth_sync_users' THEN 'off' WHEN 'auth_claims_source' THEN 'guc' ELSE '' END);
END
$$;
COMMENT ON FUNCTION mentalspace.auth_setting(text) IS 'value of a setting in mentalspace.auth_settings, or its default';

CREATE FUNCTION mentalspace.refuse_token(class text, detail text) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RAISE EXCEPTION 'token refused: %', class USING ERRCODE = 'invalid_authorization_specification',
        DETAIL = format('The reason is: %s.', detail);
END
$$;
COMMENT ON FUNCTION mentalspace.refuse_token(text, text) IS 'internal to login(): raises SQLSTATE 28000';

CREATE FUNCTION mentalspace.base64url_decode(encoded text) RETURNS bytea
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    bytes bytea;
BEGIN
    IF encoded !~ '^[A-Za-z0-9_-]*$' OR length(encoded) % 4 = 1 THEN
        RETURN NULL;
    END IF;
    bytes := decode(translate(encoded, '-_', '+/') || repeat('=', (4 - length(encoded) % 4) % 4), 'base64');
    -- One spelling only: unused bits of the last character are zero.
    IF rtrim(translate(encode(bytes, 'base64'), E'+/\n', '-_'), '=') <> encoded THEN
        RETURN NULL;
    END IF;
    RETURN bytes;
END
$$;
COMMENT ON FUNCTION mentalspace.base64url_decode(text) IS 'internal to login(): bytes of unpadded base64url, NULL where it is not strict';

CREATE FUNCTION mentalspace.json_is_strict(document json, depth int) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    CASE json_typeof(document)
        WHEN 'object' THEN
            RETURN depth > 0
               AND (SELECT count(*) = count(DISTINCT key) AND coalesce(bool_and(mentalspace.json_is_strict(value, depth - 1)), true)
                      FROM json_each(document));
        WHEN 'array' THEN
            RETURN depth > 0 AND (SELECT coalesce(bool_and(mentalspace.json_is_strict(value, depth - 1)), true)
                                    FROM json_array_elements(document));
        WHEN 'number' THEN
            -- Within a double's range, before anything calculates with it: numeric takes 1e131071, in thousands of digits.
            RETURN length(document::text) <= 400
               AND abs(coalesce(substring(document::text, '[eE]([+-]?[0-9]{1,6})')::int, 0)) <= 308
               AND document::text !~ '[eE][+-]?[0-9]{7}';
        ELSE
            RETURN true;
    END CASE;
END
$$;
COMMENT ON FUNCTION mentalspace.json_is_strict(json, int) IS 'internal to login(): whether no object has a key twice, nothing is nested deeper, and numbers are within a double''s range';

CREATE FUNCTION mentalspace.json_of(bytes bytea, depth int) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    written text;
    document json;
BEGIN
    -- At most 2,048 values, roughly, before anything looks at each.
    written := convert_from(bytes, 'UTF8');
    IF length(written) - length(replace(written, ',', '')) > 2048 THEN
        RETURN NULL;
    END IF;
    document := written::json;
    IF json_typeof(document) <> 'object' OR NOT mentalspace.json_is_strict(document, depth) THEN
        RETURN NULL;
    END IF;
    RETURN document::jsonb;
EXCEPTION
    WHEN data_exception OR statement_too_complex THEN
        RETURN NULL;
END
$$;
COMMENT ON FUNCTION mentalspace.json_of(bytea, int) IS 'internal to login(): a JSON object in strict UTF-8, NULL where it is not one';

CREATE FUNCTION mentalspace.hash_of(bits text, message bytea) RETURNS bytea
    LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$ SELECT CASE $1 WHEN '256' THEN sha256($2) WHEN '384' THEN sha384($2) WHEN '512' THEN sha512($2) END $$;
COMMENT ON FUNCTION mentalspace.hash_of(text, bytea) IS 'internal to login(): SHA-256, SHA-384 or SHA-512';

CREATE FUNCTION mentalspace.hmac_of(bits text, key bytea, message bytea) RETURNS bytea
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    block int := CASE bits WHEN '256' THEN 64 ELSE 128 END;
    padded bytea := CASE WHEN octet_length(key) > block THEN mentalspace.hash_of(bits, key) ELSE key END;
    inner_pad bytea := decode(repeat('36', block), 'hex');
    outer_pad bytea := decode(repeat('5c', block), 'hex');
BEGIN
    FOR i IN 0 .. octet_length(padded) - 1 LOOP
        inner_pad := set_byte(inner_pad, i, get_byte(inner_pad, i) # get_byte(padded, i));
        outer_pad := set_byte(outer_pad, i, get_byte(outer_pad, i) # get_byte(padded, i));
    END LOOP;
    RETURN mentalspace.hash_of(bits, outer_pad || mentalspace.hash_of(bits, inner_pad || message));
END
$$;
COMMENT ON FUNCTION mentalspace.hmac_of(text, bytea, bytea) IS 'internal to login(): HMAC (RFC 2104)';

CREATE FUNCTION mentalspace.read_jwk(jwk jsonb, OUT algorithm text, OUT problem text, OUT lacking text)
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    kty text := jwk ->> 'kty';
    alg text := jwk ->> 'alg';
    modulus bytea;
    exponent bytea;
    secret bytea;
    crv text := jwk ->> 'crv';
    x bytea;
    y bytea;
    curve record;
BEGIN
    IF jsonb_typeof(jwk) IS DISTINCT FROM 'object' THEN
        problem := 'a key must be a JSON object';
    ELSIF jsonb_typeof(jwk -> 'kty') IS DISTINCT FROM 'string' THEN
        problem := 'kty must be a string';
    ELSIF jsonb_typeof(jwk -> 'kid') <> 'string' OR jsonb_typeof(jwk -> 'alg') <> 'string' OR jsonb_typeof(jwk -> 'crv') <> 'string' THEN
        problem := 'kid, alg and crv must be strings';
    ELSIF kty NOT IN ('RSA', 'EC', 'OKP', 'oct') THEN
        RETURN;
    ELSIF kty <> 'oct' AND jwk ?| ARRAY['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth'] THEN
        problem := 'the key is a private key';
    ELSIF jsonb_typeof(jwk -> 'use') <> 'string' OR jsonb_typeof(jwk -> 'key_ops') <> 'array' THEN
        problem := 'use must be a string and key_ops an array of strings';
    ELSIF jwk ->> 'use' <> 'sig' OR NOT jwk -> 'key_ops' ? 'verify' THEN
        RETURN;
    ELSIF alg IS NOT NULL AND alg NOT IN ('HS256', 'HS384', 'HS512', 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512',
                                          'ES256', 'ES384', 'ES512', 'EdDSA') THEN
        RETURN;
    ELSIF kty = 'EC' AND crv = 'P-521' OR kty = 'OKP' AND crv = 'Ed448' THEN
        -- One of native's that is not written here.
        lacking := coalesce(alg, crv);
    ELSIF kty IN ('EC', 'OKP') AND crv IS NULL THEN
        problem := 'crv must be a string';
    ELSIF kty = 'EC' AND crv NOT IN ('P-256', 'P-384') OR kty = 'OKP' AND crv <> 'Ed25519' THEN
        RETURN;
    ELSIF kty IN ('EC', 'OKP')
          AND alg <> (CASE crv WHEN 'P-256' THEN 'ES256' WHEN 'P-384' THEN 'ES384' WHEN 'Ed25519' THEN 'EdDSA' END) THEN
        problem := 'alg does not fit the curve of the key';
    ELSIF kty = 'EC' THEN
        x := mentalspace.base64url_decode(jwk ->> 'x');
        y := mentalspace.base64url_decode(jwk ->> 'y');
        curve := mentalspace.curve_of(crv);
        IF x IS NULL OR y IS NULL THEN
            problem := 'an EC key needs x and y in base64url';
        ELSIF octet_length(x) <> curve.size OR octet_length(y) <> curve.size
              OR mentalspace.number_of(x) >= curve.p OR mentalspace.number_of(y) >= curve.p
              OR (mentalspace.number_of(y) * mentalspace.number_of(y)
                  - ((mentalspace.number_of(x) * mentalspace.number_of(x) - 3) * mentalspace.number_of(x) + curve.b)) % curve.p <> 0 THEN
            problem := 'the EC key is no point of its curve';
        ELSE
            algorithm := CASE crv WHEN 'P-256' THEN 'ES256' ELSE 'ES384' END;
        END IF;
    ELSIF kty = 'OKP' THEN
        x := mentalspace.base64url_decode(jwk ->> 'x');
        IF x IS NULL THEN
            problem := 'an OKP key needs x in base64url';
        ELSIF octet_length(x) <> 32 OR (SELECT p.x IS NULL FROM mentalspace.ed25519_point(x) AS p) THEN
            problem := 'the OKP key is no point of its curve';
        ELSE
            algorithm := 'EdDSA';
        END IF;
    ELSIF kty = 'RSA' THEN
        modulus := mentalspace.base64url_decode(jwk ->> 'n');
        exponent := mentalspace.base64url_decode(jwk ->> 'e');
        alg := coalesce(alg, 'RS256');
        IF alg NOT IN ('RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512') THEN
            problem := 'alg does not fit the kind of the key';
        ELSIF modulus IS NULL OR exponent IS NULL OR octet_length(modulus) = 0 OR octet_length(exponent) = 0
              OR get_byte(modulus, 0) = 0 OR get_byte(exponent, 0) = 0 THEN
            problem := 'an RSA key needs n and e in base64url';
        ELSIF octet_length(modulus) < 256 OR (octet_length(modulus) = 256 AND get_byte(modulus, 0) < 128) THEN
            problem := 'an RSA key has 2048 bits at least';
        ELSIF get_byte(modulus, octet_length(modulus) - 1) % 2 = 0 THEN
            problem := 'the modulus of the RSA key is even';
        ELSIF octet_length(modulus) > 1024 OR octet_length(exponent) > 7
              OR mentalspace.number_of(exponent) < 3 OR mentalspace.number_of(exponent) % 2 = 0 THEN
            problem := 'the RSA key is too large, or its exponent is not odd and at least 3';
        ELSE
            algorithm := alg;
        END IF;
    ELSIF alg IS NULL THEN
        problem := 'a symmetric key must name its alg';
    ELSIF alg NOT IN ('HS256', 'HS384', 'HS512') THEN
        problem := 'alg does not fit the kind of the key';
    ELSE
        secret := mentalspace.base64url_decode(jwk ->> 'k');
        IF secret IS NULL THEN
            problem := 'a symmetric key needs k in base64url';
        ELSIF octet_length(secret) < right(alg, 3)::int / 8 THEN
            problem := 'the secret is shorter than the hash of its algorithm';
        ELSE
            algorithm := alg;
        END IF;
    END IF;
END
$$;
COMMENT ON FUNCTION mentalspace.read_jwk(jsonb) IS 'internal to load_jwks(): algorithm of a key, what is wrong with it, which algorithm this flavour lacks, or nothing where it is to be passed over';

CREATE FUNCTION mentalspace.jwk_algorithm(jwk jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$ SELECT algorithm FROM mentalspace.read_jwk($1) $$;

CREATE FUNCTION mentalspace.check_jwks(jwks jsonb) RETURNS int
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    listed jsonb := CASE WHEN jwks ? 'keys' THEN jwks -> 'keys' ELSE jsonb_build_array(jwks) END;
    r record;
    usable int := 0;
    kids text[] := '{}';
    secrets int := 0;
    found text := 'keys must be an array of at most 256 keys';
    lacking text[] := '{}';
    place bigint;
BEGIN
    IF jsonb_typeof(listed) = 'array' AND jsonb_array_length(listed) <= 256 THEN
        found := NULL;
        FOR r IN SELECT e.place, e.key, k.algorithm, k.problem, k.lacking
                   FROM jsonb_array_elements(listed) WITH ORDINALITY AS e(key, place), mentalspace.read_jwk(e.key) AS k
                  ORDER BY e.place
        LOOP
            place := r.place;
            found := CASE WHEN r.problem IS NOT NULL THEN r.problem
                          WHEN r.key ->> 'kid' = ANY (kids) THEN 'two keys have the same kid' END;
            EXIT WHEN found IS NOT NULL;
            kids := kids || coalesce(r.key ->> 'kid', '');
            kids := array_remove(kids, '');
            usable := usable + (r.algorithm IS NOT NULL)::int;
            lacking := array_remove(lacking || r.lacking, NULL);
            secrets := secrets + coalesce((r.algorithm LIKE 'HS%')::int, 0);
        END LOOP;
        IF found IS NULL THEN
            place := NULL;
            found := CASE WHEN secrets > 0 AND secrets < usable THEN 'the set mixes secrets and public keys'
                          WHEN usable = 0 AND lacking <> '{}'
                          THEN format('the trusted flavour cannot verify signatures of %s keys', array_to_string(lacking, ', '))
                          WHEN usable = 0 THEN 'there is no key that verifies signatures of a known algorithm' END;
        END IF;
    END IF;
    IF found IS NOT NULL THEN
        RAISE EXCEPTION 'invalid key set'
            USING ERRCODE = CASE WHEN found LIKE 'the trusted flavour%' THEN 'feature_not_supported' ELSE 'invalid_parameter_value' END,
                  DETAIL = CASE WHEN place IS NULL THEN format('The reason is: %s.', found)
                                ELSE format('The reason is, at key number %s: %s.', place, found) END;
    END IF;
    IF lacking <> '{}' THEN
        RAISE WARNING 'keys are passed over' USING ERRCODE = 'feature_not_supported',
            DETAIL = format('The trusted flavour cannot verify signatures of %s keys.', array_to_string(lacking, ', '));
    END IF;
    RETURN usable;
END
$$;

CREATE FUNCTION mentalspace.jwk_fits(jwk jsonb, key_id bigint, message bytea, signature bytea) RETURNS boolean
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    kty text := jwk ->> 'kty';
    -- That of a key which names none is RS256, or its curve's.
    alg text := coalesce(jwk ->> 'alg', 'RS256');
BEGIN
    IF kty = 'RSA' AND alg LIKE 'RS%' THEN
        RETURN mentalspace.rsa_fits(right(alg, 3), mentalspace.base64url_decode(jwk ->> 'n'),
                                    mentalspace.base64url_decode(jwk ->> 'e'), key_id, message, signature);
    ELSIF kty = 'RSA' THEN
        RETURN mentalspace.rsa_pss_fits(right(alg, 3), mentalspace.base64url_decode(jwk ->> 'n'),
                                        mentalspace.base64url_decode(jwk ->> 'e'), key_id, message, signature);
    ELSIF kty = 'EC' THEN
        RETURN mentalspace.ecdsa_fits(jwk ->> 'crv', mentalspace.number_of(mentalspace.base64url_decode(jwk ->> 'x')),
                                      mentalspace.number_of(mentalspace.base64url_decode(jwk ->> 'y')), key_id, message, signature);
    ELSIF kty = 'OKP' THEN
        RETURN mentalspace.ed25519_fits(mentalspace.base64url_decode(jwk ->> 'x'), key_id, message, signature);
    END IF;
    -- Hashes are compared, so that the time it takes says nothing of the signature that is expected.
    RETURN sha256(mentalspace.hmac_of(right(alg, 3), mentalspace.base64url_decode(jwk ->> 'k'), message)) = sha256(signature);
END
$$;
COMMENT ON FUNCTION mentalspace.jwk_fits(jsonb, bigint, bytea, bytea) IS 'internal to login(): whether the signature is the key''s; key_id is that of a stored key, or NULL';

CREATE FUNCTION mentalspace.split_token(token text, OUT header jsonb, OUT payload bytea, OUT signature bytea, OUT signed bytea)
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    parts text[];
    alg text;
BEGIN
    IF token IS NULL THEN
        PERFORM mentalspace.refuse_token('malformed', 'the token is NULL');
    ELSIF octet_length(token) > mentalspace.auth_setting('auth_max_token_bytes')::int THEN
        PERFORM mentalspace.refuse_token('malformed', 'the token is too long');
    END IF;
    parts := string_to_array(token, '.');
    IF cardinality(parts) = 5 THEN
        PERFORM mentalspace.refuse_token('malformed', 'encrypted tokens are refused');
    ELSIF cardinality(parts) <> 3 THEN
        PERFORM mentalspace.refuse_token('malformed', 'a token has exactly three segments');
    END IF;
    payload := mentalspace.base64url_decode(parts[2]);
    signature := mentalspace.base64url_decode(parts[3]);
    IF payload IS NULL OR signature IS NULL OR mentalspace.base64url_decode(parts[1]) IS NULL THEN
        PERFORM mentalspace.refuse_token('malformed', 'a segment is not strict base64url');
    END IF;
    header := mentalspace.json_of(mentalspace.base64url_decode(parts[1]), 4);
    IF header IS NULL THEN
        PERFORM mentalspace.refuse_token('malformed', 'the header is not a JSON object');
    ELSIF header ?| ARRAY['crit', 'b64', 'enc'] THEN
        PERFORM mentalspace.refuse_token('malformed', 'crit, b64 and enc in the header are refused');
    ELSIF EXISTS (SELECT FROM unnest(ARRAY['alg', 'kid', 'typ', 'cty']) AS n WHERE jsonb_typeof(header -> n) <> 'string') THEN
        PERFORM mentalspace.refuse_token('malformed', 'alg, kid, typ and cty in the header must be strings');
    ELSIF lower(header ->> 'cty') IN ('jwt', 'application/jwt') THEN
        PERFORM mentalspace.refuse_token('malformed', 'nested tokens are refused');
    END IF;
    alg := header ->> 'alg';
    IF alg IS NULL THEN
        PERFORM mentalspace.refuse_token('malformed', 'the header lacks alg');
    ELSIF lower(alg) = 'none' THEN
        PERFORM mentalspace.refuse_token('malformed', 'unsigned tokens are refused');
    ELSIF alg NOT IN ('HS256', 'HS384', 'HS512', 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512',
                      'ES256', 'ES384', 'ES512', 'EdDSA') THEN
        PERFORM mentalspace.refuse_token('malformed', 'the algorithm is not known');
    END IF;
    signed := convert_to(parts[1] || '.' || parts[2], 'UTF8');
END
$$;
COMMENT ON FUNCTION mentalspace.split_token(text) IS 'internal to login(): takes a token apart, its signature not yet verified';

CREATE FUNCTION mentalspace.jws_verify(token text, jwk jsonb) RETURNS bytea
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    t record;
    k record;
BEGIN
    SELECT * INTO k FROM mentalspace.read_jwk(jwk);
    IF k.algorithm IS NULL THEN
        RAISE EXCEPTION 'invalid key'
            USING ERRCODE = CASE WHEN k.lacking IS NOT NULL THEN 'feature_not_supported' ELSE 'invalid_parameter_value' END,
                  DETAIL = format('The reason is: %s.', coalesce(k.problem,
                                  format('the trusted flavour cannot verify signatures of %s keys', k.lacking),
                                  'the key is not one that verifies signatures of a known algorithm'));
    END IF;
    SELECT * INTO t FROM mentalspace.split_token(token);
    IF t.header ->> 'alg' <> k.algorithm OR t.header ->> 'kid' <> jwk ->> 'kid' THEN
        PERFORM mentalspace.refuse_token('unknown key', 'the key is not for this algorithm and kid');
    END IF;
    IF NOT mentalspace.jwk_fits(jwk, NULL, t.signed, t.signature) THEN
        PERFORM mentalspace.refuse_token('bad signature', 'the signature does not fit');
    END IF;
    RETURN t.payload;
END
$$;
