-- supabase_vault: what both flavours do alike.
\set VERBOSITY sqlstate
SET client_min_messages = warning;
CREATE ROLE service_role;
CREATE ROLE vault_stranger;
CREATE SCHEMA extensions;
CREATE EXTENSION pgcrypto SCHEMA extensions;
CREATE SCHEMA vault;
CREATE EXTENSION IF NOT EXISTS supabase_vault WITH SCHEMA vault;
CREATE EXTENSION IF NOT EXISTS supabase_vault WITH SCHEMA vault;

-- Gives the vault a new key: by file, or where no file can be had, by function.
CREATE PROCEDURE new_vault_key() LANGUAGE plpgsql AS $$
DECLARE
    file text;
BEGIN
    IF to_regprocedure('vault.add_key(text)') IS NOT NULL THEN
        EXECUTE 'SELECT vault.add_key()';
    ELSE
        file := current_setting('data_directory') || '/vault.key';
        EXECUTE format($sql$COPY (SELECT encode(sha256(gen_random_uuid()::text::bytea), 'hex')) TO PROGRAM
            'umask 077; cat > %1$s.new; test ! -f %1$s || cat %1$s >> %1$s.new; mv %1$s.new %1$s'$sql$, file);
        PERFORM set_config('mentalspace.vault_key_file', file, false);
    END IF;
END
$$;

-- Without a key nothing is stored.
SELECT vault.create_secret('s3cret', 'first');
INSERT INTO vault.secrets (secret) VALUES ('s3cret');
SELECT count(*) FROM vault.secrets;
SELECT count(*) FROM vault.decrypted_secrets;

CALL new_vault_key();
SELECT vault.create_secret('s3cret', 'first') IS NOT NULL AS stored;
SELECT vault.create_secret(new_secret := 'émile €', new_name := 'second', new_description := 'with accents') IS NOT NULL AS stored;
SELECT vault.create_secret('') IS NOT NULL AS stored;
SELECT vault.create_secret(repeat('long ', 10000), 'long') IS NOT NULL AS stored;
SELECT name, description, secret ~ '^ms[12]:' AS sealed, secret ~ 's3cret' AS readable, key_id = vault._key_id() AS by_key, length(nonce) IN (12, 16) AS nonce
  FROM vault.secrets ORDER BY name;
SELECT name, left(decrypted_secret, 20) AS decrypted_secret, length(decrypted_secret) FROM vault.decrypted_secrets ORDER BY name;
SELECT vault.create_secret('again', 'first');
SELECT vault.create_secret(NULL, 'null');
SELECT count(DISTINCT secret), count(DISTINCT nonce) FROM vault.secrets;

-- Written straight to the table, as some projects do.
INSERT INTO vault.secrets (name, secret, description) VALUES ('third', 'plain', 'inserted');
UPDATE vault.secrets SET secret = 'changed', updated_at = now() WHERE name = 'third';
SELECT s.secret ~ '^ms[12]:' AS sealed, d.decrypted_secret, d.description
  FROM vault.secrets s JOIN vault.decrypted_secrets d USING (id) WHERE s.name = 'third';
UPDATE vault.secrets SET description = 'only this' WHERE name = 'third';
UPDATE vault.secrets SET nonce = NULL, key_id = NULL WHERE name = 'third';
SELECT decrypted_secret, description FROM vault.decrypted_secrets WHERE name = 'third';
UPDATE vault.secrets SET id = gen_random_uuid() WHERE name = 'third';
-- What looks sealed but has no nonce is plain text.
INSERT INTO vault.secrets (name, secret) VALUES ('looks', 'ms1:AAAA');
SELECT decrypted_secret FROM vault.decrypted_secrets WHERE name = 'looks';

SELECT vault.update_secret((SELECT id FROM vault.secrets WHERE name = 'third'), new_secret := 'updated');
SELECT vault.update_secret((SELECT id FROM vault.secrets WHERE name = 'third'), NULL, 'renamed', 'described');
SELECT name, description, decrypted_secret FROM vault.decrypted_secrets WHERE name IN ('third', 'renamed');
SELECT vault.update_secret('00000000-0000-0000-0000-000000000000', 'nobody');

-- Another row's secret, and a changed one, do not open.
CREATE TABLE kept AS SELECT * FROM vault.secrets WHERE name = 'first';
INSERT INTO vault.secrets (id, name, secret, nonce, key_id) SELECT '11111111-1111-1111-1111-111111111111', 'moved', secret, nonce, key_id FROM kept;
SELECT decrypted_secret FROM vault.decrypted_secrets WHERE name = 'moved';
DELETE FROM vault.secrets WHERE name IN ('moved', 'first');
INSERT INTO vault.secrets SELECT id, name, description, overlay(secret PLACING CASE substr(secret, 10, 1) WHEN 'A' THEN 'B' ELSE 'A' END FROM 10), key_id, nonce FROM kept;
DO $$
BEGIN
    PERFORM decrypted_secret FROM vault.decrypted_secrets WHERE name = 'first';
EXCEPTION WHEN data_corrupted THEN
    RAISE WARNING 'a changed secret: %', SQLERRM;
END
$$;
DELETE FROM vault.secrets WHERE name = 'first';
INSERT INTO vault.secrets (id, name, secret, nonce, key_id) SELECT id, name, 'ms1:A', nonce, key_id FROM kept;
DO $$
BEGIN
    PERFORM decrypted_secret FROM vault.decrypted_secrets WHERE name = 'first';
EXCEPTION WHEN data_corrupted THEN
    RAISE WARNING 'a cut secret: %', SQLERRM;
END
$$;
DELETE FROM vault.secrets WHERE name = 'first';

-- As a dump is restored: rows come sealed, under their own ids.
INSERT INTO vault.secrets SELECT * FROM kept;
SELECT decrypted_secret FROM vault.decrypted_secrets WHERE name = 'first';
SELECT extname, unnest(extconfig)::regclass FROM pg_extension WHERE extname = 'supabase_vault';

-- A key that the vault does not have is told apart from a changed row.
INSERT INTO vault.secrets (id, name, secret, nonce, key_id)
    SELECT '22222222-2222-2222-2222-222222222222', 'other key', secret, nonce, 'aaaaaaaa-aaaa-8aaa-8aaa-aaaaaaaaaaaa' FROM kept;
SELECT decrypted_secret FROM vault.decrypted_secrets WHERE name = 'other key';
DELETE FROM vault.secrets WHERE name = 'other key';

-- A new key: old secrets open, are sealed again on demand, and then need the old key no longer.
SELECT vault.rotate_key() AS nothing_to_do;
CREATE TABLE old_key AS SELECT vault._key_id() AS id;
CALL new_vault_key();
SELECT vault._key_id() <> id AS new_key FROM old_key;
SELECT decrypted_secret FROM vault.decrypted_secrets WHERE name = 'first';
SELECT count(*) > 5 AS many, vault.rotate_key() = count(*) AS all_of_them FROM vault.secrets;
SELECT count(*) AS under_the_old_key FROM vault.secrets WHERE key_id = (SELECT id FROM old_key);
SELECT name, left(decrypted_secret, 20) AS decrypted_secret FROM vault.decrypted_secrets ORDER BY name, decrypted_secret;

-- Who may what.
SELECT r AS role, has_schema_privilege(r, 'vault', 'USAGE') AS usage,
       has_table_privilege(r, 'vault.secrets', 'SELECT') AS "select", has_table_privilege(r, 'vault.secrets', 'INSERT') AS "insert",
       has_table_privilege(r, 'vault.decrypted_secrets', 'SELECT') AS view,
       has_function_privilege(r, 'vault._open(uuid,text,bytea,uuid)', 'EXECUTE') AS open,
       has_function_privilege(r, 'vault._seal(uuid,text)', 'EXECUTE') AS seal,
       has_function_privilege(r, 'vault.create_secret(text,text,text,uuid)', 'EXECUTE') AS "create",
       has_function_privilege(r, 'vault.rotate_key()', 'EXECUTE') AS rotate
  FROM unnest(ARRAY['vault_stranger', 'service_role']) AS r;
SELECT p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE n.nspname = 'vault' AND obj_description(p.oid, 'pg_proc') IS NULL;

-- The schema is the user's, not the extension's; DROP leaves it, and CREATE finds it.
SELECT count(*) AS member FROM pg_depend WHERE classid = 'pg_namespace'::regclass AND objid = 'vault'::regnamespace AND deptype = 'e';
COMMENT ON EXTENSION supabase_vault IS 'a comment of the user''s';
DROP EXTENSION supabase_vault;
SELECT to_regnamespace('vault') AS schema, to_regclass('vault.secrets') AS table;
CREATE EXTENSION supabase_vault WITH SCHEMA extensions;
SELECT extnamespace::regnamespace, to_regclass('vault.secrets') FROM pg_extension WHERE extname = 'supabase_vault';
DROP EXTENSION supabase_vault;
DROP SCHEMA vault;
CREATE EXTENSION supabase_vault;
SELECT nspowner = current_user::regrole AS mine FROM pg_namespace WHERE nspname = 'vault';
