-- RSA in PL/pgSQL.
CREATE FUNCTION mentalspace.rsa_reciprocal(n numeric) RETURNS numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT (div(('1' || repeat('0', 2 * length($1::text) + 8))::numeric, $1) + 1) * ('1e-' || (2 * length($1::text) + 8))::numeric
    $$;
COMMENT ON FUNCTION mentalspace.rsa_reciprocal(numeric) IS 'internal to login(): 1 / n, rounded up, as exact as residues of squares need it';

-- RSAVP1 (RFC 8017, section 5.2.2).  Of a stored key, the modulus and its reciprocal are in jwt_key_points.
CREATE FUNCTION mentalspace.rsa_open(modulus bytea, exponent bytea, key_id bigint, signature bytea) RETURNS numeric
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    n numeric;
    c numeric;
    s numeric := mentalspace.number_of(signature);
    e bigint := mentalspace.number_of(exponent)::bigint;
    bit bigint := 1;
    power numeric := s;
BEGIN
    SELECT k.a, k.b INTO n, c FROM mentalspace.jwt_key_points AS k WHERE k.key_id = rsa_open.key_id AND k.place = 0;
    IF NOT FOUND THEN
        n := mentalspace.number_of(modulus);
        c := mentalspace.rsa_reciprocal(n);
    END IF;
    IF octet_length(signature) <> octet_length(modulus) OR s >= n THEN
        RETURN NULL;
    END IF;
    WHILE bit * 2 <= e LOOP
        bit := bit * 2;
    END LOOP;
    WHILE bit > 1 LOOP
        bit := bit / 2;
        power := power * power;
        power := power - trunc(power * c) * n;
        IF e & bit <> 0 THEN
            power := power * s;
            power := power - trunc(power * c) * n;
        END IF;
    END LOOP;
    RETURN (power % n + n) % n;
END
$$;
COMMENT ON FUNCTION mentalspace.rsa_open(bytea, bytea, bigint, bytea) IS 'internal to login(): what an RSA signature holds as a number, NULL where it is not of the modulus'' length or not below it';

-- The one encoding of the hash (RFC 8017, section 9.2), compared as a whole: nothing is parsed.
CREATE FUNCTION mentalspace.rsa_fits(bits text, modulus bytea, exponent bytea, key_id bigint, message bytea, signature bytea) RETURNS boolean
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    tail bytea := decode(CASE bits WHEN '256' THEN '3031300d060960864801650304020105000420'
                                   WHEN '384' THEN '3041300d060960864801650304020205000430'
                                   ELSE '3051300d060960864801650304020305000440' END, 'hex')
                  || mentalspace.hash_of(bits, message);
BEGIN
    RETURN coalesce(mentalspace.rsa_open(modulus, exponent, key_id, signature) = mentalspace.number_of('\x0001'::bytea
                    || decode(repeat('ff', octet_length(modulus) - octet_length(tail) - 3), 'hex') || '\x00'::bytea || tail), false);
END
$$;
COMMENT ON FUNCTION mentalspace.rsa_fits(text, bytea, bytea, bigint, bytea, bytea) IS 'internal to login(): RSASSA-PKCS1-v1_5 (RFC 8017 section 8.2.2)';

-- With MGF1 of the same hash and a salt of its length, as RFC 7518 section 3.5 has it.
CREATE FUNCTION mentalspace.rsa_pss_fits(bits text, modulus bytea, exponent bytea, key_id bigint, message bytea, signature bytea)
    RETURNS boolean
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    size int := bits::int / 8;
    power numeric := mentalspace.rsa_open(modulus, exponent, key_id, signature);
    opened bytea := '';
    -- The encoded message has one bit less than the modulus, whose own leading bits may be 0.
    unused int := 9 - length(ltrim(get_byte(modulus, 0)::bit(8)::text, '0'));
    masked bytea;
    hash bytea;
    mask bytea := '';
    block bytea := '';
    byte int;
BEGIN
    IF power IS NULL THEN
        RETURN false;
    END IF;
    -- Six bytes at a time.
    FOR i IN 1 .. (octet_length(modulus) + 5) / 6 LOOP
        opened := substr(int8send((power % 281474976710656)::bigint), 3) || opened;
        power := div(power, 281474976710656);
    END LOOP;
    opened := substr(opened, octet_length(opened) - octet_length(modulus) + 1);
    IF unused = 8 THEN
        IF get_byte(opened, 0) <> 0 THEN
            RETURN false;
        END IF;
        opened := substr(opened, 2);
        unused := 0;
    END IF;
    IF octet_length(opened) < 2 * size + 2 OR get_byte(opened, octet_length(opened) - 1) <> 188
       OR get_byte(opened, 0) >> (8 - unused) <> 0 THEN
        RETURN false;
    END IF;
    masked := substr(opened, 1, octet_length(opened) - size - 1);
    hash := substr(opened, octet_length(opened) - size, size);
    FOR i IN 0 .. (octet_length(masked) - 1) / size LOOP
        mask := mask || mentalspace.hash_of(bits, hash || int4send(i));
    END LOOP;
    FOR i IN 0 .. octet_length(masked) - 1 LOOP
        byte := get_byte(masked, i) # get_byte(mask, i);
        IF i = 0 THEN
            byte := byte & (255 >> unused);
        END IF;
        block := block || set_byte('\x00'::bytea, 0, byte);
    END LOOP;
    RETURN substr(block, 1, octet_length(block) - size)
           = decode(repeat('00', octet_length(block) - size - 1), 'hex') || '\x01'::bytea
       AND mentalspace.hash_of(bits, decode(repeat('00', 8), 'hex') || mentalspace.hash_of(bits, message)
                                     || substr(block, octet_length(block) - size + 1)) = hash;
END
$$;
COMMENT ON FUNCTION mentalspace.rsa_pss_fits(text, bytea, bytea, bigint, bytea, bytea) IS 'internal to login(): RSASSA-PSS (RFC 8017 section 8.1.2)';
