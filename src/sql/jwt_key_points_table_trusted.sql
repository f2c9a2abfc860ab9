-- What jwt_key_points_trusted.sql fills; every key has its multiples, however it was stored.
CREATE TABLE mentalspace.jwt_key_points (
    key_id bigint NOT NULL,
    place  int NOT NULL,
    a      numeric NOT NULL,
    b      numeric NOT NULL,
    c      numeric,
    PRIMARY KEY (key_id, place)
);
COMMENT ON TABLE mentalspace.jwt_key_points IS 'what is worked out of a key when it is loaded, so that verification is fast; not in dumps';
COMMENT ON COLUMN mentalspace.jwt_key_points.key_id IS 'number of the key; negative: the base point of a curve';
COMMENT ON COLUMN mentalspace.jwt_key_points.place IS 'which multiple: d * 256^w of the point is at 256 * w + d; 0: an RSA key';
COMMENT ON COLUMN mentalspace.jwt_key_points.a IS 'x; of Ed25519 y + x; of RSA the modulus';
COMMENT ON COLUMN mentalspace.jwt_key_points.b IS 'y; of Ed25519 y - x; of RSA the reciprocal of the modulus';
COMMENT ON COLUMN mentalspace.jwt_key_points.c IS 'of Ed25519 2 * d * x * y';
ALTER TABLE mentalspace.jwt_key_points ENABLE ROW LEVEL SECURITY;
CREATE TRIGGER make_key_points AFTER INSERT OR UPDATE OF alg, jwk ON mentalspace.jwt_key_store
    FOR EACH ROW EXECUTE FUNCTION mentalspace.make_key_points();
CREATE TRIGGER drop_key_points AFTER DELETE ON mentalspace.jwt_key_store
    FOR EACH STATEMENT EXECUTE FUNCTION mentalspace.drop_key_points();
