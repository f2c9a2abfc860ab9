-- Ed25519 in PL/pgSQL: -x^2 + y^2 = 1 + d x^2 y^2 modulo p = 2^255 - 19, base point of order l.  See
-- jwt_key_points_trusted.sql.
-- RFC 8032, section 5.1.3; NULL where the bytes are no point.
CREATE FUNCTION mentalspace.ed25519_point(bytes bytea, OUT x numeric, OUT y numeric)
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    p CONSTANT numeric := 57896044618658097711785492504343953926634992332820282019728792003956564819949;
    d CONSTANT numeric := 37095705934669439343138083508754565189542113879843219016388785533085940283555;
    root_of_minus_1 CONSTANT numeric := 19681161376707505956807079304988542015446066515923890162744021073123829784752;
    sign int := get_byte(bytes, 31) >> 7;
    u numeric;
    v numeric;
    exponent numeric := div(p - 5, 8);
    base numeric;
    power numeric := 1;
BEGIN
    y := mentalspace.number_of(mentalspace.reverse_bytes(set_byte(bytes, 31, get_byte(bytes, 31) & 127)));
    IF y >= p THEN
        y := NULL;
        RETURN;
    END IF;
    u := (y * y - 1 + p) % p;
    v := (d * y % p * y + 1) % p;
    -- x = u v^3 (u v^7)^((p - 5) / 8)
    x := u * (v * v % p * v % p) % p;
    base := x * (v * v % p * v % p * v % p) % p;
    WHILE exponent > 0 LOOP
        IF exponent % 2 = 1 THEN
            power := power * base % p;
        END IF;
        base := base * base % p;
        exponent := div(exponent, 2);
    END LOOP;
    x := x * power % p;
    IF (v * x % p * x + u) % p = 0 THEN
        x := x * root_of_minus_1 % p;
    END IF;
    IF (v * x % p * x - u) % p <> 0 OR (x = 0 AND sign = 1) THEN
        x := NULL;
        y := NULL;
    ELSIF x % 2 <> sign THEN
        x := p - x;
    END IF;
END
$$;
COMMENT ON FUNCTION mentalspace.ed25519_point(bytea) IS 'internal to login(): the point that 32 bytes stand for, NULL where there is none';

CREATE FUNCTION mentalspace.ed25519_multiples(px numeric, py numeric, OUT place int, OUT a numeric, OUT b numeric, OUT c numeric)
    RETURNS SETOF record
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    p CONSTANT numeric := 57896044618658097711785492504343953926634992332820282019728792003956564819949;
    d2 CONSTANT numeric := 2 * 37095705934669439343138083508754565189542113879843219016388785533085940283555;
    sum numeric;
    difference numeric;
    product numeric;
    x numeric;
    y numeric;
    z numeric;
    t numeric;
    e numeric;
    f numeric;
    g numeric;
    h numeric;
    inverse numeric;
    xs numeric[];
    ys numeric[];
    zs numeric[];
    products numeric[];
BEGIN
    FOR w IN 0 .. 31 LOOP
        sum := py + px;
        difference := py - px;
        product := d2 * px % p * py % p;
        x := px;
        y := py;
        z := 1;
        t := px * py % p;
        xs := ARRAY[x];
        ys := ARRAY[y];
        zs := ARRAY[z];
        FOR n IN 2 .. 256 LOOP
            e := (y + x) * sum % p;
            f := (y - x) * difference % p;
            g := t * product % p;
            h := e + f;
            e := e - f;
            f := 2 * z - g;
            g := 2 * z + g;
            x := e * f % p;
            y := g * h % p;
            t := e * h % p;
            z := f * g % p;
            xs[n] := x;
            ys[n] := y;
            zs[n] := z;
        END LOOP;
        products := ARRAY[1];
        inverse := 1;
        FOR n IN 1 .. 256 LOOP
            inverse := inverse * zs[n] % p;
            products[n + 1] := inverse;
        END LOOP;
        inverse := mentalspace.inverse_of(inverse, p);
        FOR n IN REVERSE 256 .. 1 LOOP
            z := inverse * products[n] % p;
            inverse := inverse * zs[n] % p;
            x := (xs[n] * z % p + p) % p;
            y := (ys[n] * z % p + p) % p;
            IF n = 256 THEN
                px := x;
                py := y;
            ELSE
                place := w * 256 + n;
                a := y + x;
                b := y - x;
                c := d2 * x % p * y % p;
                RETURN NEXT;
            END IF;
        END LOOP;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mentalspace.ed25519_multiples(numeric, numeric) IS 'internal to load_jwks(): multiples of a point, in the form of jwt_key_points';

-- For keys that were not loaded: number * (px, py) by doubling and adding, in the form of jwt_key_points.
CREATE FUNCTION mentalspace.ed25519_product(px numeric, py numeric, number numeric, OUT a numeric, OUT b numeric, OUT c numeric)
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    p CONSTANT numeric := 57896044618658097711785492504343953926634992332820282019728792003956564819949;
    d2 CONSTANT numeric := 2 * 37095705934669439343138083508754565189542113879843219016388785533085940283555;
    digits text := '';
    rest numeric := number;
    product numeric := d2 * px % p * py % p;
    x numeric := 0;
    y numeric := 1;
    z numeric := 1;
    t numeric;
    digit text;
    e numeric;
    f numeric;
    g numeric;
    h numeric;
BEGIN
    WHILE rest > 0 LOOP
        digits := (rest % 281474976710656)::bigint::bit(48)::text || digits;
        rest := div(rest, 281474976710656);
    END LOOP;
    FOREACH digit IN ARRAY string_to_array(digits, NULL) LOOP
        -- Doubled: RFC 8032, section 5.1.4.
        e := x * x % p;
        f := y * y % p;
        h := e + f;
        t := x + y;
        g := e - f;
        e := h - t * t % p;
        f := 2 * z * z % p + g;
        x := e * f % p;
        y := g * h % p;
        t := e * h % p;
        z := f * g % p;
        CONTINUE WHEN digit = '0';
        e := (y + x) * (py + px) % p;
        f := (y - x) * (py - px) % p;
        g := t * product % p;
        h := e + f;
        e := e - f;
        f := 2 * z - g;
        g := 2 * z + g;
        x := e * f % p;
        y := g * h % p;
        z := f * g % p;
    END LOOP;
    z := mentalspace.inverse_of(z, p);
    x := (x * z % p + p) % p;
    y := (y * z % p + p) % p;
    a := y + x;
    b := y - x;
    c := d2 * x % p * y % p;
END
$$;
COMMENT ON FUNCTION mentalspace.ed25519_product(numeric, numeric, numeric) IS 'internal to jws_verify(): a multiple of a point';

-- RFC 8032, section 5.1.7, without the cofactor: s * B - k * A must be R, byte for byte.  The multiples are those of -A.
CREATE FUNCTION mentalspace.ed25519_fits(public_key bytea, key_id bigint, message bytea, signature bytea) RETURNS boolean
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    p CONSTANT numeric := 57896044618658097711785492504343953926634992332820282019728792003956564819949;
    l CONSTANT numeric := 7237005577332262213973186563042994240857116359379907606001950938285454250989;
    r CONSTANT numeric :=
        numeric '0.0000000000000000000000000000000000000000000000000000000000000000000000000000172723371101'
                '888892507727037256007991422320007288725627700474069403371836063305224549';
    s numeric;
    k numeric;
    px numeric;
    py numeric;
    base_is_made boolean;
    point record;
    x numeric := 0;
    y numeric := 1;
    z numeric := 1;
    t numeric := 0;
    e numeric;
    f numeric;
    g numeric;
    h numeric;
BEGIN
    IF octet_length(signature) <> 64 THEN
        RETURN false;
    END IF;
    s := mentalspace.number_of(mentalspace.reverse_bytes(substr(signature, 33)));
    IF s >= l THEN
        RETURN false;
    END IF;
    k := mentalspace.number_of(mentalspace.reverse_bytes(sha512(substr(signature, 1, 32) || public_key || message))) % l;
    IF key_id IS NULL THEN
        SELECT q.x, q.y INTO px, py FROM mentalspace.ed25519_point(public_key) AS q;
    END IF;
    base_is_made := EXISTS (SELECT FROM mentalspace.jwt_key_points AS b WHERE b.key_id = -3);
    FOR point IN
        SELECT b.a, b.b, b.c FROM mentalspace.jwt_key_points AS b WHERE b.key_id = -3 AND b.place = ANY (mentalspace.places_of(s))
        UNION ALL
        SELECT b.a, b.b, b.c
          FROM mentalspace.ed25519_product(15112221349535400772501151409588531511454012693041857206046113283949847762202,
                                           46316835694926478169428394003475163141307993866256225615783033603165251855960, s) AS b
         WHERE NOT base_is_made
        UNION ALL
        SELECT q.a, q.b, q.c FROM mentalspace.jwt_key_points AS q
         WHERE q.key_id = ed25519_fits.key_id AND q.place = ANY (mentalspace.places_of(k))
        UNION ALL
        SELECT q.a, q.b, q.c FROM mentalspace.ed25519_product(-px, py, k) AS q
         WHERE ed25519_fits.key_id IS NULL
    LOOP
        e := (y + x) * point.a;
        e := e - trunc(e * r) * p;
        f := (y - x) * point.b;
        f := f - trunc(f * r) * p;
        g := t * point.c;
        g := g - trunc(g * r) * p;
        h := e + f;
        e := e - f;
        f := z + z - g;
        g := z + z + g;
        x := e * f;
        x := x - trunc(x * r) * p;
        y := g * h;
        y := y - trunc(y * r) * p;
        t := e * h;
        t := t - trunc(t * r) * p;
        z := f * g;
        z := z - trunc(z * r) * p;
    END LOOP;
    z := mentalspace.inverse_of(z, p);
    x := (x * z % p + p) % p;
    y := (y * z % p + p) % p;
    RETURN mentalspace.number_of(mentalspace.reverse_bytes(substr(signature, 1, 32)))
           = y + CASE WHEN x % 2 = 1 THEN 57896044618658097711785492504343953926634992332820282019728792003956564819968 ELSE 0 END;
END
$$;
COMMENT ON FUNCTION mentalspace.ed25519_fits(bytea, bigint, bytea, bytea) IS 'internal to login(): Ed25519; key_id is that of the key''s multiples in jwt_key_points, or NULL';
