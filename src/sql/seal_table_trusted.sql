-- The secret of the seals: of this installation, not in dumps; row security without a policy keeps members of pg_read_all_data
-- out.  gen_random_uuid() draws on the server's source of strong random numbers: four of them hold 488 random bits.
CREATE TABLE mentalspace.auth_seal (
    only_one  boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    inner_pad bytea NOT NULL,
    outer_pad bytea NOT NULL
);
COMMENT ON TABLE mentalspace.auth_seal IS 'the secret that login() seals identities with, as HMAC needs it; not in dumps';
COMMENT ON COLUMN mentalspace.auth_seal.only_one IS 'there is one row';
COMMENT ON COLUMN mentalspace.auth_seal.inner_pad IS 'the secret, exclusive-ored with bytes 0x36';
COMMENT ON COLUMN mentalspace.auth_seal.outer_pad IS 'the secret, exclusive-ored with bytes 0x5c';
ALTER TABLE mentalspace.auth_seal ENABLE ROW LEVEL SECURITY;
REVOKE ALL ON mentalspace.auth_seal FROM PUBLIC;
ALTER TABLE mentalspace.auth_seal ALTER COLUMN inner_pad SET STATISTICS 0, ALTER COLUMN outer_pad SET STATISTICS 0;
DO $$
DECLARE
    secret bytea := sha256(convert_to(concat(gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), gen_random_uuid()), 'UTF8'))
                    || decode(repeat('00', 32), 'hex');
    pads bytea[] := ARRAY[secret, secret];
BEGIN
    FOR i IN 0 .. 63 LOOP
        pads[1] := set_byte(pads[1], i, get_byte(secret, i) # 54);
        pads[2] := set_byte(pads[2], i, get_byte(secret, i) # 92);
    END LOOP;
    INSERT INTO mentalspace.auth_seal (inner_pad, outer_pad) VALUES (pads[1], pads[2]);
END
$$;
CREATE TRIGGER claims_source_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON mentalspace.auth_settings
    FOR EACH STATEMENT EXECUTE FUNCTION mentalspace.claims_source_changed();
