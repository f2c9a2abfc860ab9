-- Nobody but the extension's owner, who may pass it on, and, as on Supabase, service_role.
REVOKE ALL ON vault.secrets, vault.decrypted_secrets FROM PUBLIC;
REVOKE ALL ON FUNCTION vault._seal(uuid, text), vault._open(uuid, text, bytea, uuid), vault._key_id(), vault._seal_row(),
    vault.create_secret(text, text, text, uuid), vault.update_secret(uuid, text, text, text, uuid), vault.rotate_key() FROM PUBLIC;
DO $$
DECLARE
    owner pg_catalog.regrole := (SELECT e.extowner FROM pg_catalog.pg_extension e WHERE e.extname = 'supabase_vault');
BEGIN
    EXECUTE pg_catalog.format($sql$
        GRANT USAGE ON SCHEMA vault TO %1$s;
        GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES ON vault.secrets TO %1$s WITH GRANT OPTION;
        GRANT SELECT ON vault.decrypted_secrets TO %1$s WITH GRANT OPTION;
        GRANT EXECUTE ON FUNCTION vault._open(uuid, text, bytea, uuid), vault._key_id(),
            vault.create_secret(text, text, text, uuid), vault.update_secret(uuid, text, text, text, uuid),
            vault.rotate_key() TO %1$s WITH GRANT OPTION;
    $sql$, owner);
    IF pg_catalog.to_regrole('service_role') IS NOT NULL THEN
        GRANT USAGE ON SCHEMA vault TO service_role;
        GRANT SELECT, DELETE ON vault.secrets TO service_role;
        GRANT SELECT ON vault.decrypted_secrets TO service_role;
        GRANT EXECUTE ON FUNCTION vault._open(uuid, text, bytea, uuid), vault.create_secret(text, text, text, uuid),
            vault.update_secret(uuid, text, text, text, uuid) TO service_role;
    END IF;
END
$$;
