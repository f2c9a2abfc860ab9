-- What both flavours share: sealing on the way in, the view that opens, and Supabase's functions.
COMMENT ON FUNCTION vault._seal(uuid, text) IS 'seals a secret for the row with this id';
COMMENT ON FUNCTION vault._open(uuid, text, bytea, uuid) IS 'opens the secret of a row';
COMMENT ON FUNCTION vault._key_id() IS 'id of the key that seals';

-- Plain text never reaches the table, whichever way it comes.  Rows that are sealed already (a dump that is restored, a
-- key that is changed) bring a nonce of their own and pass as they are.
CREATE FUNCTION vault._seal_row() RETURNS trigger
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    sealed record;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF NEW.id IS DISTINCT FROM OLD.id THEN
            RAISE EXCEPTION 'the id of a secret cannot be changed'
                USING ERRCODE = 'feature_not_supported', DETAIL = 'A secret is sealed for the row that it was stored in.';
        END IF;
        IF NEW.secret IS NOT DISTINCT FROM OLD.secret THEN
            NEW.nonce := OLD.nonce;
            NEW.key_id := OLD.key_id;
            RETURN NEW;
        END IF;
        IF NEW.nonce IS NOT DISTINCT FROM OLD.nonce THEN
            NEW.nonce := NULL;
        END IF;
    END IF;
    IF NEW.secret IS NOT NULL AND (NEW.nonce IS NULL OR NEW.key_id IS NULL OR NEW.secret !~ '^ms[12]:[0-9A-Za-z_-]+$') THEN
        sealed := vault._seal(NEW.id, NEW.secret);
        NEW.secret := sealed.secret;
        NEW.nonce := sealed.nonce;
        NEW.key_id := sealed.key_id;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION vault._seal_row() IS 'seals what is written to vault.secrets';
CREATE TRIGGER seal_row BEFORE INSERT OR UPDATE ON vault.secrets
    FOR EACH ROW EXECUTE FUNCTION vault._seal_row();
COMMENT ON TRIGGER seal_row ON vault.secrets IS 'seals what is written';

CREATE VIEW vault.decrypted_secrets WITH (security_barrier) AS
    SELECT s.id, s.name, s.description, s.secret,
           vault._open(s.id, s.secret, s.nonce, s.key_id) AS decrypted_secret,
           s.key_id, s.nonce, s.created_at, s.updated_at
      FROM vault.secrets s;
COMMENT ON VIEW vault.decrypted_secrets IS 'secrets of the vault, opened; needs EXECUTE on vault._open besides SELECT';

CREATE FUNCTION vault.create_secret(new_secret text, new_name text DEFAULT NULL, new_description text DEFAULT '', new_key_id uuid DEFAULT NULL)
    RETURNS uuid
    LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
    INSERT INTO vault.secrets (secret, name, description) VALUES (new_secret, new_name, new_description) RETURNING id
    $$;
COMMENT ON FUNCTION vault.create_secret(text, text, text, uuid) IS 'stores a secret, sealed, and returns its id; new_key_id is not used';

CREATE FUNCTION vault.update_secret(secret_id uuid, new_secret text DEFAULT NULL, new_name text DEFAULT NULL, new_description text DEFAULT NULL, new_key_id uuid DEFAULT NULL)
    RETURNS void
    LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
    UPDATE vault.secrets s
       SET secret = coalesce(new_secret, s.secret),
           name = coalesce(new_name, s.name),
           description = coalesce(new_description, s.description),
           updated_at = now()
     WHERE s.id = secret_id
    $$;
COMMENT ON FUNCTION vault.update_secret(uuid, text, text, text, uuid) IS 'changes a secret, its name or its description: what is NULL stays; new_key_id is not used';

CREATE FUNCTION vault.rotate_key() RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    present uuid := vault._key_id();
    s vault.secrets;
    sealed record;
    changed bigint := 0;
BEGIN
    FOR s IN SELECT * FROM vault.secrets x WHERE x.key_id <> present ORDER BY x.id FOR UPDATE LOOP
        sealed := vault._seal(s.id, vault._open(s.id, s.secret, s.nonce, s.key_id));
        UPDATE vault.secrets x
           SET secret = sealed.secret, nonce = sealed.nonce, key_id = sealed.key_id
         WHERE x.id = s.id;
        changed := changed + 1;
    END LOOP;
    RETURN changed;
END
$$;
COMMENT ON FUNCTION vault.rotate_key() IS 'seals all secrets with the present key again and returns how many there were with another; then the old keys can go';
