-- ECDSA in PL/pgSQL: y^2 = x^3 - 3x + b modulo p, base point (x, y) of order n.  See jwt_key_points_trusted.sql.
-- c is 1 / p; size the bytes of a number; bits those of the hash; base the key_id of the base point's multiples.  The numbers
-- are those of NIST SP 800-186, section 3.2.1.
CREATE FUNCTION mentalspace.curve_of(crv text, OUT p numeric, OUT n numeric, OUT b numeric, OUT x numeric, OUT y numeric,
    OUT c numeric, OUT size int, OUT bits text, OUT base bigint)
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    IF crv = 'P-256' THEN
        p := 115792089210356248762697446949407573530086143415290314195533631308867097853951;
        n := 115792089210356248762697446949407573529996955224135760342422259061068512044369;
        b := 41058363725152142129326129780047268409114441015993725554835256314039467401291;
        x := 48439561293906451759052585252797914202762949526041747995844080717082404635286;
        y := 36134250956749795798585127919587881956611106672985015071877198253568414405109;
        c := numeric
            '0.0000000000000000000000000000000000000000000000000000000000000000000000000000086361685571'
            '05209308772300658839423991948790790990166685258047968038348554231534719895';
        size := 32;
        bits := '256';
        base := -1;
    ELSIF crv = 'P-384' THEN
        p := numeric
            '394020061963944792122790401001436138050797392704654466679482934042457217714968703290472660'
            '88258938001861606973112319';
        n := numeric
            '394020061963944792122790401001436138050797392704654466679469052796276593991132635693989563'
            '08152294913554433653942643';
        b := numeric
            '275801935599597058778490118403890480930569058563615685214287073019886892413098608651362607'
            '64883745107765439761230575';
        x := numeric
            '262470350957996892686231567445669818918529234911092133878156159009255188547380500890223880'
            '53975719786650872476732087';
        y := numeric
            '832571096148902998554675128952010817928785304886131559470920590248050319988441922443864376'
            '0392947333078086511627871';
        c := numeric
            '0.0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000'
            '000000000000000000000000000253794183731564922327402455583054354682361884970109558160606032'
            '123947669788932139202590261628999677511531390710068546107169';
        size := 48;
        bits := '384';
        base := -2;
    END IF;
END
$$;
COMMENT ON FUNCTION mentalspace.curve_of(text) IS 'internal to login(): the numbers of the curve P-256 or P-384';

-- Takes 0.3 to 1 s.
CREATE FUNCTION mentalspace.curve_multiples(crv text, px numeric, py numeric, OUT place int, OUT a numeric, OUT b numeric)
    RETURNS SETOF record
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    curve record := mentalspace.curve_of(crv);
    p numeric := curve.p;
    x numeric;
    y numeric;
    zz numeric;
    zzz numeric;
    u numeric;
    v numeric;
    s numeric;
    m numeric;
    q numeric;
    inverse numeric;
    xs numeric[];
    ys numeric[];
    zzs numeric[];
    zzzs numeric[];
    products numeric[];
BEGIN
    FOR w IN 0 .. curve.size - 1 LOOP
        -- Twice the point, then three times, and so on to 256 times.
        u := 2 * py;
        v := u * u % p;
        m := 3 * (px - 1) * (px + 1) % p;
        s := px * v % p;
        zz := v;
        zzz := u * v % p;
        x := (m * m - 2 * s) % p;
        y := (m * (s - x) - zzz * py) % p;
        xs := ARRAY[px, x];
        ys := ARRAY[py, y];
        zzs := ARRAY[1, zz];
        zzzs := ARRAY[1, zzz];
        FOR d IN 3 .. 256 LOOP
            u := (px * zz - x) % p;
            v := (py * zzz - y) % p;
            s := u * u % p;
            m := u * s % p;
            q := x * s % p;
            x := (v * v - m - 2 * q) % p;
            y := (v * (q - x) - y * m) % p;
            zz := zz * s % p;
            zzz := zzz * m % p;
            xs[d] := x;
            ys[d] := y;
            zzs[d] := zz;
            zzzs[d] := zzz;
        END LOOP;
        -- One inversion for all of them.
        products := ARRAY[1];
        inverse := 1;
        FOR d IN 1 .. 256 LOOP
            inverse := inverse * zzzs[d] % p;
            products[d + 1] := inverse;
        END LOOP;
        inverse := mentalspace.inverse_of(inverse, p);
        FOR d IN REVERSE 256 .. 1 LOOP
            u := inverse * products[d] % p;
            inverse := inverse * zzzs[d] % p;
            s := u * zzs[d] % p;
            a := ((xs[d] * (s * s % p)) % p + p) % p;
            b := ((ys[d] * u) % p + p) % p;
            IF d = 256 THEN
                px := a;
                py := b;
            ELSE
                place := w * 256 + d;
                RETURN NEXT;
            END IF;
        END LOOP;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mentalspace.curve_multiples(text, numeric, numeric) IS 'internal to load_jwks(): multiples of a point, in the form of jwt_key_points';

-- For keys that were not loaded: number * (px, py) by doubling and adding, in some milliseconds; no row where it is no point.
CREATE FUNCTION mentalspace.curve_product(crv text, px numeric, py numeric, number numeric, OUT a numeric, OUT b numeric)
    RETURNS SETOF record
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    curve record := mentalspace.curve_of(crv);
    p numeric := curve.p;
    c numeric := curve.c;
    digits text := '';
    rest numeric := number;
    x numeric;
    y numeric;
    zz numeric;
    zzz numeric;
    u numeric;
    v numeric;
    uu numeric;
    uuu numeric;
    q numeric;
BEGIN
    WHILE rest > 0 LOOP
        digits := (rest % 281474976710656)::bigint::bit(48)::text || digits;
        rest := div(rest, 281474976710656);
    END LOOP;
    FOREACH u IN ARRAY string_to_array(digits, NULL)::numeric[] LOOP
        IF zz IS NOT NULL THEN
            v := y + y;
            uu := v * v;
            uu := uu - trunc(uu * c) * p;
            uuu := v * uu;
            uuu := uuu - trunc(uuu * c) * p;
            q := x * uu;
            q := q - trunc(q * c) * p;
            v := 3 * (x - zz) * (x + zz);
            v := v - trunc(v * c) * p;
            x := v * v - q - q;
            x := x - trunc(x * c) * p;
            y := v * (q - x) - uuu * y;
            y := y - trunc(y * c) * p;
            zz := uu * zz;
            zz := zz - trunc(zz * c) * p;
            zzz := uuu * zzz;
            zzz := zzz - trunc(zzz * c) * p;
        END IF;
        CONTINUE WHEN u = 0;
        IF zz IS NULL THEN
            x := px;
            y := py;
            zz := 1;
            zzz := 1;
            CONTINUE;
        END IF;
        -- Below the order of the point, what is doubled so far is never the point itself; its opposite only at the end.
        u := px * zz - x;
        u := u - trunc(u * c) * p;
        IF u = 0 THEN
            RETURN;
        END IF;
        v := py * zzz - y;
        v := v - trunc(v * c) * p;
        uu := u * u;
        uu := uu - trunc(uu * c) * p;
        uuu := u * uu;
        uuu := uuu - trunc(uuu * c) * p;
        q := x * uu;
        q := q - trunc(q * c) * p;
        x := v * v - uuu - q - q;
        x := x - trunc(x * c) * p;
        y := v * (q - x) - y * uuu;
        y := y - trunc(y * c) * p;
        zz := zz * uu;
        zz := zz - trunc(zz * c) * p;
        zzz := zzz * uuu;
        zzz := zzz - trunc(zzz * c) * p;
    END LOOP;
    IF zz IS NOT NULL THEN
        u := mentalspace.inverse_of(zzz, p);
        v := u * zz % p;
        a := (x * (v * v % p) % p + p) % p;
        b := (y * u % p + p) % p;
        RETURN NEXT;
    END IF;
END
$$;
COMMENT ON FUNCTION mentalspace.curve_product(text, numeric, numeric, numeric) IS 'internal to jws_verify(): a multiple of a point';

-- FIPS 186-5, section 6.4.2.  Points are added in coordinates X / ZZ, Y / ZZZ; no point yet: zz is NULL.
CREATE FUNCTION mentalspace.ecdsa_fits(crv text, px numeric, py numeric, key_id bigint, message bytea, signature bytea) RETURNS boolean
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    curve record := mentalspace.curve_of(crv);
    p numeric := curve.p;
    c numeric := curve.c;
    r numeric;
    s numeric;
    base_is_made boolean;
    point record;
    x numeric;
    y numeric;
    zz numeric;
    zzz numeric;
    u numeric;
    v numeric;
    uu numeric;
    uuu numeric;
    q numeric;
BEGIN
    IF octet_length(signature) <> 2 * curve.size THEN
        RETURN false;
    END IF;
    r := mentalspace.number_of(substr(signature, 1, curve.size));
    s := mentalspace.number_of(substr(signature, curve.size + 1));
    IF r = 0 OR s = 0 OR r >= curve.n OR s >= curve.n THEN
        RETURN false;
    END IF;
    s := mentalspace.inverse_of(s, curve.n);
    u := mentalspace.number_of(mentalspace.hash_of(curve.bits, message)) * s % curve.n;
    v := r * s % curve.n;
    base_is_made := EXISTS (SELECT FROM mentalspace.jwt_key_points AS g WHERE g.key_id = curve.base);
    FOR point IN
        SELECT g.a, g.b FROM mentalspace.jwt_key_points AS g WHERE g.key_id = curve.base AND g.place = ANY (mentalspace.places_of(u))
        UNION ALL
        SELECT g.a, g.b FROM mentalspace.curve_product(crv, curve.x, curve.y, u) AS g WHERE NOT base_is_made
        UNION ALL
        SELECT k.a, k.b FROM mentalspace.jwt_key_points AS k
         WHERE k.key_id = ecdsa_fits.key_id AND k.place = ANY (mentalspace.places_of(v))
        UNION ALL
        SELECT k.a, k.b FROM mentalspace.curve_product(crv, px, py, v) AS k WHERE ecdsa_fits.key_id IS NULL
    LOOP
        IF zz IS NULL THEN
            x := point.a;
            y := point.b;
            zz := 1;
            zzz := 1;
            CONTINUE;
        END IF;
        u := point.a * zz - x;
        u := u - trunc(u * c) * p;
        v := point.b * zzz - y;
        v := v - trunc(v * c) * p;
        IF u = 0 THEN
            IF v <> 0 THEN
                -- A point and its opposite.
                zz := NULL;
                CONTINUE;
            END IF;
            -- The same point: doubled.
            u := 2 * point.b;
            uu := u * u % p;
            uuu := u * uu % p;
            q := point.a * uu % p;
            v := 3 * (point.a - 1) * (point.a + 1) % p;
            x := (v * v - 2 * q) % p;
            y := (v * (q - x) - uuu * point.b) % p;
            zz := uu;
            zzz := uuu;
            CONTINUE;
        END IF;
        uu := u * u;
        uu := uu - trunc(uu * c) * p;
        uuu := u * uu;
        uuu := uuu - trunc(uuu * c) * p;
        q := x * uu;
        q := q - trunc(q * c) * p;
        x := v * v - uuu - q - q;
        x := x - trunc(x * c) * p;
        y := v * (q - x) - y * uuu;
        y := y - trunc(y * c) * p;
        zz := zz * uu;
        zz := zz - trunc(zz * c) * p;
        zzz := zzz * uuu;
        zzz := zzz - trunc(zzz * c) * p;
    END LOOP;
    IF zz IS NULL THEN
        RETURN false;
    END IF;
    -- X / ZZ modulo p and then modulo n is r: there are at most two such X / ZZ.
    RETURN (r * zz - x) % p = 0 OR (r + curve.n < p AND ((r + curve.n) * zz - x) % p = 0);
END
$$;
COMMENT ON FUNCTION mentalspace.ecdsa_fits(text, numeric, numeric, bigint, bytea, bytea) IS 'internal to login(): ECDSA with the point (px, py); key_id is that of its multiples in jwt_key_points, or NULL';
