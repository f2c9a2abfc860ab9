-- What is worked out once for each key that is loaded.  Verified are signatures with ES256 and ES384 (ECDSA, FIPS 186-5),
-- EdDSA with Ed25519 (RFC 8032), and RSA.
-- Only public values are computed with, so that nothing depends on how long it takes.
--
-- A signature needs u * G + v * Q for a curve's base point G and the key Q.  For G and for each key that was loaded,
-- mentalspace.jwt_key_points holds d * 256^w of it for all bytes d and places w: then at most two points a byte are added.
-- Residues are taken by a reciprocal of the modulus, rounded up so that multiples of it give 0: a - trunc(a * c) * p, which
-- numeric does faster than a % p; such a residue may be negative.
-- A trigger, so that every key has them however it was stored.
CREATE FUNCTION mentalspace.make_key_points() RETURNS trigger
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    crv text := NEW.jwk ->> 'crv';
    curve record;
    point record;
BEGIN
    DELETE FROM mentalspace.jwt_key_points AS k WHERE k.key_id = NEW.id;
    IF NEW.alg = 'EdDSA' THEN
        IF NOT EXISTS (SELECT FROM mentalspace.jwt_key_points AS k WHERE k.key_id = -3) THEN
            INSERT INTO mentalspace.jwt_key_points (key_id, place, a, b, c)
            SELECT -3, m.place, m.a, m.b, m.c
              FROM mentalspace.ed25519_multiples(
                       15112221349535400772501151409588531511454012693041857206046113283949847762202,
                       46316835694926478169428394003475163141307993866256225615783033603165251855960) AS m;
        END IF;
        point := mentalspace.ed25519_point(mentalspace.base64url_decode(NEW.jwk ->> 'x'));
        -- Those of the opposite point.
        INSERT INTO mentalspace.jwt_key_points (key_id, place, a, b, c)
        SELECT NEW.id, m.place, m.a, m.b, m.c FROM mentalspace.ed25519_multiples(-point.x, point.y) AS m;
    ELSIF NEW.alg LIKE 'ES%' THEN
        curve := mentalspace.curve_of(crv);
        IF NOT EXISTS (SELECT FROM mentalspace.jwt_key_points AS k WHERE k.key_id = curve.base) THEN
            INSERT INTO mentalspace.jwt_key_points (key_id, place, a, b)
            SELECT curve.base, m.place, m.a, m.b FROM mentalspace.curve_multiples(crv, curve.x, curve.y) AS m;
        END IF;
        INSERT INTO mentalspace.jwt_key_points (key_id, place, a, b)
        SELECT NEW.id, m.place, m.a, m.b
          FROM mentalspace.curve_multiples(crv, mentalspace.number_of(mentalspace.base64url_decode(NEW.jwk ->> 'x')),
                                           mentalspace.number_of(mentalspace.base64url_decode(NEW.jwk ->> 'y'))) AS m;
    ELSIF NEW.kty = 'RSA' THEN
        INSERT INTO mentalspace.jwt_key_points (key_id, place, a, b)
        SELECT NEW.id, 0, m.n, mentalspace.rsa_reciprocal(m.n)
          FROM (SELECT mentalspace.number_of(mentalspace.base64url_decode(NEW.jwk ->> 'n')) AS n) AS m;
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION mentalspace.make_key_points() IS 'trigger: multiples of the points of keys on elliptic curves, for fast verification';

CREATE FUNCTION mentalspace.drop_key_points() RETURNS trigger
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    DELETE FROM mentalspace.jwt_key_points AS k
     WHERE k.key_id > 0 AND NOT EXISTS (SELECT FROM mentalspace.jwt_key_store AS s WHERE s.id = k.key_id);
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION mentalspace.drop_key_points() IS 'trigger: multiples go with their key';
REVOKE ALL ON FUNCTION mentalspace.make_key_points(), mentalspace.drop_key_points() FROM PUBLIC;
