-- Sealing in C++ (src/companions/vault.cpp): AES-256-GCM; the keys are outside the database.
CREATE FUNCTION vault._seal(row_id uuid, plain text, OUT secret text, OUT nonce bytea, OUT key_id uuid) RETURNS record
    LANGUAGE c VOLATILE PARALLEL UNSAFE STRICT
    AS 'MODULE_PATHNAME', 'ms_vault_seal';
CREATE FUNCTION vault._open(row_id uuid, secret text, nonce bytea, key_id uuid) RETURNS text
    LANGUAGE c STABLE PARALLEL RESTRICTED STRICT
    AS 'MODULE_PATHNAME', 'ms_vault_open';
CREATE FUNCTION vault._key_id() RETURNS uuid
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'ms_vault_key_id';
