-- supabase_vault, trusted: its keys are rows that only the owner reads.
\set SHOW_CONTEXT never
CREATE ROLE vault_user;
CREATE EXTENSION supabase_vault;
CREATE EXTENSION pgcrypto;
CREATE EXTENSION supabase_vault;
SELECT vault.create_secret('s3cret');
SELECT vault.add_key('not-a-key-but-a-s3cret');
SELECT vault.add_key(repeat('0', 63) || 'g');
CREATE TABLE copy_of_key AS SELECT encode(sha256(gen_random_uuid()::text::bytea), 'hex') AS key;
SELECT vault.add_key(key) IS NOT NULL AS added FROM copy_of_key;
SELECT vault.add_key(key) FROM copy_of_key;
SELECT encode(k.key, 'hex') = c.key AS as_given FROM vault.keys k, copy_of_key c;
SELECT vault.create_secret('s3cret', 'kept') IS NOT NULL AS stored;

-- A lost key, and its return.
DELETE FROM vault.keys;
SELECT vault.create_secret('s3cret');
SELECT vault.add_key() IS NOT NULL AS added;
\set VERBOSITY sqlstate
SELECT decrypted_secret FROM vault.decrypted_secrets;
\set VERBOSITY default
SELECT vault.add_key(key) IS NOT NULL AS added FROM copy_of_key;
SELECT decrypted_secret FROM vault.decrypted_secrets;

-- Keys are not dumped, and nobody else reads them or helps himself to the functions beneath.
SELECT unnest(extconfig)::regclass FROM pg_extension WHERE extname = 'supabase_vault';
GRANT USAGE ON SCHEMA vault TO vault_user;
GRANT vault_user TO CURRENT_USER;
SET ROLE vault_user;
SELECT * FROM vault.keys;
SELECT vault.add_key();
SELECT vault._open(gen_random_uuid(), 'ms2:', '', gen_random_uuid());
SELECT vault._hmac('', '');
RESET ROLE;

CREATE SCHEMA extensions;
-- Not possible without the library.
ALTER EXTENSION supabase_vault SET SCHEMA extensions;
