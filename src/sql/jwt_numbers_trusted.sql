-- Large numbers, for the verification of signatures in PL/pgSQL.
CREATE FUNCTION mentalspace.number_of(bytes bytea) RETURNS numeric
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    -- Six bytes at a time.
    digits text := repeat('0', (12 - octet_length(bytes) * 2 % 12) % 12) || encode(bytes, 'hex');
    result numeric := 0;
BEGIN
    FOR i IN 0 .. length(digits) / 12 - 1 LOOP
        result := result * 281474976710656 + ('x' || substr(digits, i * 12 + 1, 12))::bit(48)::bigint;
    END LOOP;
    RETURN result;
END
$$;
COMMENT ON FUNCTION mentalspace.number_of(bytea) IS 'internal to login(): a big-endian number';

CREATE FUNCTION mentalspace.reverse_bytes(bytes bytea) RETURNS bytea
    LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT decode(string_agg(substr(h.digits, i, 2), '' ORDER BY i DESC), 'hex')
      FROM (SELECT encode($1, 'hex') AS digits) AS h, generate_series(1, 2 * octet_length($1), 2) AS i
    $$;
COMMENT ON FUNCTION mentalspace.reverse_bytes(bytea) IS 'internal to login(): bytes from the last to the first';

-- By the extended Euclidean algorithm.
CREATE FUNCTION mentalspace.inverse_of(number numeric, modulus numeric) RETURNS numeric
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    a numeric := modulus;
    b numeric := number % modulus;
    x numeric := 0;
    y numeric := 1;
    q numeric;
    swap numeric;
BEGIN
    IF b < 0 THEN
        b := b + modulus;
    END IF;
    WHILE b <> 0 LOOP
        q := div(a, b);
        swap := a - q * b;
        a := b;
        b := swap;
        swap := x - q * y;
        x := y;
        y := swap;
    END LOOP;
    RETURN CASE WHEN x < 0 THEN x + modulus ELSE x END;
END
$$;
COMMENT ON FUNCTION mentalspace.inverse_of(numeric, numeric) IS 'internal to login(): inverse modulo an odd prime';

-- The places in jwt_key_points whose points add up to number * point: its bytes that are not 0.
CREATE FUNCTION mentalspace.places_of(number numeric) RETURNS int[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    places int[] := '{}';
    rest numeric := number;
    part bigint;
    start int := 0;
    place int;
BEGIN
    -- Six bytes at a time.
    WHILE rest > 0 LOOP
        part := rest % 281474976710656;
        rest := div(rest, 281474976710656);
        place := start;
        WHILE part > 0 LOOP
            IF part & 255 > 0 THEN
                places := places || (place + (part & 255)::int);
            END IF;
            part := part >> 8;
            place := place + 256;
        END LOOP;
        start := start + 1536;
    END LOOP;
    RETURN places;
END
$$;
COMMENT ON FUNCTION mentalspace.places_of(numeric) IS 'internal to login(): which multiples of a point add up to this one';
