-- Sealing with pgcrypto: AES-256-CBC under a random IV, then HMAC-SHA-256 of everything (encrypt-then-MAC), with two keys
-- derived from one.  A managed service has no place outside the database for a key, so keys are rows of vault.keys, which
-- only the owner reads and no dump holds.  A setting would not do: SHOW and pg_db_role_setting tell it to everybody.
CREATE TABLE vault.keys (
    id uuid PRIMARY KEY,
    key bytea NOT NULL CHECK (length(key) = 32),
    number bigint NOT NULL GENERATED ALWAYS AS IDENTITY UNIQUE,
    created_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP
);
COMMENT ON TABLE vault.keys IS 'keys of the vault: the newest seals, all of them open; not in dumps, so keep a copy in a safe place';
COMMENT ON COLUMN vault.keys.number IS 'order in which the keys were added';

-- pgcrypto's functions, bound once, wherever pgcrypto is and wherever it may be moved.
DO $$
DECLARE
    crypto text := (SELECT e.extnamespace::pg_catalog.regnamespace::text FROM pg_catalog.pg_extension e WHERE e.extname = 'pgcrypto');
BEGIN
    EXECUTE pg_catalog.format($sql$
        CREATE FUNCTION vault._hmac(data bytea, key bytea) RETURNS bytea
            LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
            RETURN %1$s.hmac(data, key, 'sha256');
        CREATE FUNCTION vault._encrypt(data bytea, key bytea, iv bytea) RETURNS bytea
            LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
            RETURN %1$s.encrypt_iv(data, key, iv, 'aes-cbc/pad:pkcs');
        CREATE FUNCTION vault._decrypt(data bytea, key bytea, iv bytea) RETURNS bytea
            LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
            RETURN %1$s.decrypt_iv(data, key, iv, 'aes-cbc/pad:pkcs');
        CREATE FUNCTION vault._random(count integer) RETURNS bytea
            LANGUAGE sql VOLATILE PARALLEL SAFE STRICT
            RETURN %1$s.gen_random_bytes(count);
    $sql$, crypto);
END
$$;
COMMENT ON FUNCTION vault._hmac(bytea, bytea) IS 'HMAC-SHA-256 (RFC 2104)';
COMMENT ON FUNCTION vault._encrypt(bytea, bytea, bytea) IS 'AES-256-CBC';
COMMENT ON FUNCTION vault._decrypt(bytea, bytea, bytea) IS 'AES-256-CBC, undone; only after the HMAC was checked';
COMMENT ON FUNCTION vault._random(integer) IS 'so many random bytes';

CREATE FUNCTION vault.add_key(key text DEFAULT NULL) RETURNS uuid
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    bytes bytea;
    label bytea;
BEGIN
    IF key IS NULL THEN
        bytes := vault._random(32);
    ELSIF key ~ '^[0-9A-Fa-f]{64}$' THEN
        bytes := decode(key, 'hex');
    ELSE
        RAISE EXCEPTION 'a key of the vault is 64 hexadecimal digits'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Call vault.add_key() to have one made.';
    END IF;
    label := substr(vault._hmac('mentalspace vault key id'::bytea, bytes), 1, 16);
    label := set_byte(label, 6, (get_byte(label, 6) & 15) | 128);
    label := set_byte(label, 8, (get_byte(label, 8) & 63) | 128);
    INSERT INTO vault.keys (id, key) VALUES (encode(label, 'hex')::uuid, bytes);
    RETURN encode(label, 'hex')::uuid;
EXCEPTION
    WHEN unique_violation THEN
        RAISE EXCEPTION 'the vault has this key already' USING ERRCODE = 'unique_violation';
END
$$;
COMMENT ON FUNCTION vault.add_key(text) IS 'adds a key, made up unless given as 64 hexadecimal digits, which seals from now on; returns its id';

CREATE FUNCTION vault._key_id() RETURNS uuid
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    found_id uuid := (SELECT k.id FROM vault.keys k ORDER BY k.number DESC LIMIT 1);
BEGIN
    IF found_id IS NULL THEN
        RAISE EXCEPTION 'the vault has no key, so it neither stores nor shows secrets'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'As its owner, call vault.add_key(), and keep a copy of the key in a safe place.';
    END IF;
    RETURN found_id;
END
$$;

CREATE FUNCTION vault._seal(row_id uuid, plain text, OUT secret text, OUT nonce bytea, OUT key_id uuid) RETURNS record
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    key bytea;
    text_bytes bytea;
    mac bytea;
BEGIN
    key_id := vault._key_id();
    key := (SELECT k.key FROM vault.keys k WHERE k.id = _seal.key_id);
    nonce := vault._random(16);
    text_bytes := vault._encrypt(convert_to(plain, 'UTF8'), vault._hmac('encrypt'::bytea, key), nonce);
    mac := vault._hmac('ms2:'::bytea || uuid_send(key_id) || uuid_send(row_id) || nonce || text_bytes,
                       vault._hmac('authenticate'::bytea, key));
    secret := 'ms2:' || translate(encode(text_bytes || mac, 'base64'), E'+/=\n', '-_');
END
$$;

CREATE FUNCTION vault._open(row_id uuid, secret text, nonce bytea, key_id uuid) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    key bytea;
    mac_key bytea;
    sealed bytea;
    text_bytes bytea;
    encoded text := translate(substr(secret, 5), '-_', '+/');
BEGIN
    PERFORM vault._key_id();
    key := (SELECT k.key FROM vault.keys k WHERE k.id = _open.key_id);
    IF key IS NULL THEN
        RAISE EXCEPTION 'the secret was sealed with a key that the vault does not have'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  DETAIL = format('The id of that key is %s.', key_id),
                  HINT = 'As the vault''s owner, call vault.add_key() with that key, then again with the present one.';
    END IF;
    IF secret ~ '^ms2:[0-9A-Za-z_-]+$' AND length(encoded) % 4 <> 1 AND length(nonce) = 16 THEN
        sealed := decode(encoded || repeat('=', (4 - length(encoded) % 4) % 4), 'base64');
    END IF;
    IF length(sealed) >= 48 THEN
        text_bytes := substr(sealed, 1, length(sealed) - 32);
        mac_key := vault._hmac('authenticate'::bytea, key);
        -- Both sides go through one more HMAC, so that the time of the comparison tells nothing of the right one.
        IF vault._hmac(substr(sealed, length(sealed) - 31), mac_key)
           = vault._hmac(vault._hmac('ms2:'::bytea || uuid_send(key_id) || uuid_send(row_id) || nonce || text_bytes, mac_key), mac_key)
        THEN
            RETURN convert_from(vault._decrypt(text_bytes, vault._hmac('encrypt'::bytea, key), nonce), 'UTF8');
        END IF;
    END IF;
    RAISE EXCEPTION 'a row of the vault was changed by other means than the vault''s, or is damaged'
        USING ERRCODE = 'data_corrupted', DETAIL = format('The id of the row is %s.', row_id);
END
$$;
