-- The secrets, with Supabase's columns.  Rows are dumped as they are: sealed.
CREATE TABLE vault.secrets (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name text,
    description text NOT NULL DEFAULT '',
    secret text NOT NULL,
    key_id uuid,
    nonce bytea,
    created_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT secrets_are_sealed CHECK (secret ~ '^ms[12]:' AND key_id IS NOT NULL AND nonce IS NOT NULL)
);
CREATE UNIQUE INDEX secrets_name_idx ON vault.secrets USING btree (name) WHERE name IS NOT NULL;
SELECT pg_catalog.pg_extension_config_dump('vault.secrets', '');

COMMENT ON TABLE vault.secrets IS 'secrets of the vault, sealed with a key that is not in this table';
COMMENT ON COLUMN vault.secrets.name IS 'unique name by which the secret is asked for';
COMMENT ON COLUMN vault.secrets.secret IS 'sealed text; what is written here in plain is sealed before it is stored';
COMMENT ON COLUMN vault.secrets.key_id IS 'which key sealed it; says nothing else of the key';
COMMENT ON COLUMN vault.secrets.nonce IS 'random bytes that it was sealed with';
