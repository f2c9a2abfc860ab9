-- The functions of pgsodium that projects call, by name.
CREATE FUNCTION pgsodium._unavailable() RETURNS bytea
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RAISE EXCEPTION 'pgsodium is not available'
        USING ERRCODE = 'feature_not_supported',
              DETAIL = 'The installed extension pgsodium is a companion of mentalspace that only accepts the name.',
              HINT = 'Keep secrets with vault.create_secret of the extension supabase_vault; encrypt columns with pgcrypto.';
END
$$;
COMMENT ON FUNCTION pgsodium._unavailable() IS 'raises the error that says what this extension is';
CREATE FUNCTION pgsodium.create_key(key_type text DEFAULT 'aead-det', name text DEFAULT NULL) RETURNS bytea
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    RETURN pgsodium._unavailable();
COMMENT ON FUNCTION pgsodium.create_key(text, text) IS 'raises an error: pgsodium is not available here';
CREATE FUNCTION pgsodium.crypto_aead_det_noncegen() RETURNS bytea
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    RETURN pgsodium._unavailable();
COMMENT ON FUNCTION pgsodium.crypto_aead_det_noncegen() IS 'raises an error: pgsodium is not available here';
CREATE FUNCTION pgsodium.crypto_aead_det_encrypt(message bytea, additional bytea, key_uuid uuid, nonce bytea DEFAULT NULL) RETURNS bytea
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    RETURN pgsodium._unavailable();
COMMENT ON FUNCTION pgsodium.crypto_aead_det_encrypt(bytea, bytea, uuid, bytea) IS 'raises an error: pgsodium is not available here';
CREATE FUNCTION pgsodium.crypto_aead_det_decrypt(ciphertext bytea, additional bytea, key_uuid uuid, nonce bytea DEFAULT NULL) RETURNS bytea
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    RETURN pgsodium._unavailable();
COMMENT ON FUNCTION pgsodium.crypto_aead_det_decrypt(bytea, bytea, uuid, bytea) IS 'raises an error: pgsodium is not available here';
