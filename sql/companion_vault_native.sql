-- supabase_vault, native: where the key comes from, and who may say so.
\set SHOW_CONTEXT never
SET client_min_messages = notice;
CREATE ROLE vault_user;
CREATE ROLE vault_reader;
CREATE EXTENSION supabase_vault;
SELECT vault.create_secret('s3cret');

-- Puts what it is given into a file of the server's, with a mode, and makes that the key file.
CREATE PROCEDURE use_key_file(content text, mode text, suffix text DEFAULT '') LANGUAGE plpgsql AS $$
DECLARE
    file text := current_setting('data_directory') || '/native.key';
BEGIN
    EXECUTE format($sql$COPY (SELECT string_to_table(%L, E'\n')) TO PROGRAM 'rm -rf %2$s; cat > %2$s; chmod %3$s %2$s'$sql$, content, file, mode);
    PERFORM set_config('mentalspace.vault_key_file', file || suffix, false);
END
$$;
CREATE FUNCTION new_key() RETURNS text LANGUAGE sql AS $$ SELECT encode(sha256(gen_random_uuid()::text::bytea), 'hex') $$;

-- Files that are not used.
CALL use_key_file(new_key(), '0640');
SELECT vault.create_secret('s3cret');
CALL use_key_file(new_key(), '0604');
SELECT vault.create_secret('s3cret');
\set VERBOSITY sqlstate
CALL use_key_file(new_key(), '0600', '.missing');
SELECT vault.create_secret('s3cret');
\set VERBOSITY default
SET mentalspace.vault_key_file = 'native.key';
SELECT vault.create_secret('s3cret');
SELECT set_config('mentalspace.vault_key_file', current_setting('data_directory'), false) IS NOT NULL AS a_directory;
SELECT vault.create_secret('s3cret');
CALL use_key_file('', '0600');
SELECT vault.create_secret('s3cret');
CALL use_key_file('# nothing but a remark', '0600');
SELECT vault.create_secret('s3cret');
CALL use_key_file('not-a-key-but-a-s3cret', '0600');
SELECT vault.create_secret('s3cret');
CALL use_key_file(left(new_key(), 62), '0600');
SELECT vault.create_secret('s3cret');
CALL use_key_file(overlay(new_key() PLACING 'g' FROM 5), '0600');
SELECT vault.create_secret('s3cret');
CALL use_key_file(repeat(new_key() || E'\n', 2), '0600');
SELECT vault.create_secret('s3cret');
SELECT string_agg(new_key(), E'\n') AS nine_keys FROM generate_series(1, 9) \gset
CALL use_key_file(:'nine_keys', '0600');
SELECT vault.create_secret('s3cret');
CALL use_key_file(repeat('#', 5000), '0600');
SELECT vault.create_secret('s3cret');
SELECT count(*) FROM vault.secrets;

-- Files that are.
CALL use_key_file(E'# key of 2026\n\n  ' || upper(new_key()) || E' \n', '0400');
SELECT vault.create_secret('s3cret', 'kept') IS NOT NULL AS stored;
SELECT decrypted_secret FROM vault.decrypted_secrets;

-- Without its key the secret is told from a damaged one.
CREATE TABLE old_key AS SELECT vault._key_id() AS id;
CALL use_key_file(new_key(), '0600');
DO $$
DECLARE
    said text;
BEGIN
    PERFORM decrypted_secret FROM vault.decrypted_secrets;
EXCEPTION WHEN object_not_in_prerequisite_state THEN
    GET STACKED DIAGNOSTICS said = PG_EXCEPTION_DETAIL;
    RAISE WARNING '% (the detail names the key: %)', SQLERRM, said LIKE '%' || (SELECT id FROM old_key) || '%';
END
$$;
\set VERBOSITY sqlstate
SELECT vault.rotate_key();
\set VERBOSITY default
SELECT count(*) FROM vault.secrets WHERE key_id = (SELECT id FROM old_key);

-- Only a superuser says which file, or sees it.
GRANT USAGE ON SCHEMA vault TO vault_user;
GRANT SELECT ON vault.secrets TO vault_user;
SET ROLE vault_user;
SET mentalspace.vault_key_file = '/etc/passwd';
\set VERBOSITY sqlstate
SHOW mentalspace.vault_key_file;
\set VERBOSITY default
SELECT vault._seal(gen_random_uuid(), 's3cret');
SELECT vault._open(id, secret, nonce, key_id) FROM vault.secrets;
SELECT * FROM vault.decrypted_secrets;
SELECT count(*) FROM vault.secrets;
RESET ROLE;
-- A key in a setting is not to be had without shared_preload_libraries: everybody could read it.
SET mentalspace.vault_key = 'x';

-- ALTER EXTENSION ... SET SCHEMA: the objects stay.
CREATE SCHEMA elsewhere;
ALTER EXTENSION supabase_vault SET SCHEMA elsewhere;
SELECT extnamespace::regnamespace, to_regclass('vault.secrets') FROM pg_extension WHERE extname = 'supabase_vault';
SELECT refobjid::regnamespace FROM pg_depend
 WHERE classid = 'pg_extension'::regclass AND refclassid = 'pg_namespace'::regclass
   AND objid = (SELECT oid FROM pg_extension WHERE extname = 'supabase_vault');
ALTER EXTENSION supabase_vault SET SCHEMA elsewhere;
ALTER EXTENSION supabase_vault SET SCHEMA missing;
ALTER EXTENSION missing SET SCHEMA elsewhere;
SET ROLE vault_user;
ALTER EXTENSION supabase_vault SET SCHEMA public;
RESET ROLE;
GRANT CREATE ON SCHEMA public TO vault_user;
SET ROLE vault_user;
ALTER EXTENSION supabase_vault SET SCHEMA public;
RESET ROLE;
BEGIN READ ONLY;
ALTER EXTENSION supabase_vault SET SCHEMA public;
ROLLBACK;
DROP SCHEMA elsewhere;
-- Extensions that are not ours are PostgreSQL's business.
CREATE EXTENSION sslinfo;
CREATE SCHEMA elsewhere2;
ALTER EXTENSION sslinfo SET SCHEMA elsewhere2;
SELECT extname, extnamespace::regnamespace FROM pg_extension WHERE extname IN ('sslinfo', 'supabase_vault') ORDER BY 1;
ALTER EXTENSION plpgsql SET SCHEMA public;

-- CREATE EXTENSION ... WITH SCHEMA makes the companion's own schema, and no other.
DROP EXTENSION supabase_vault;
DROP SCHEMA vault;
CREATE EXTENSION supabase_vault WITH SCHEMA missing;
CREATE EXTENSION supabase_vault WITH SCHEMA vault;
SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = 'supabase_vault';

-- As the owner of a database who is no superuser: PostgreSQL calls such an extension trusted.
DROP EXTENSION supabase_vault;
DROP SCHEMA vault;
SELECT format('GRANT CREATE ON DATABASE %I TO vault_user', current_database()) \gexec
SET ROLE vault_user;
CREATE EXTENSION supabase_vault;
SELECT vault.create_secret('s3cret', 'mine') IS NOT NULL AS stored;
INSERT INTO vault.secrets (name, secret) VALUES ('inserted', 's3cret');
SELECT name, decrypted_secret FROM vault.decrypted_secrets ORDER BY name;
GRANT USAGE ON SCHEMA vault TO vault_reader;
GRANT SELECT ON vault.decrypted_secrets TO vault_reader;
GRANT EXECUTE ON FUNCTION vault._open TO vault_reader;
DROP EXTENSION supabase_vault;
RESET ROLE;

-- A superuser makes the extension in somebody's schema: the objects are the schema's owner's, so that functions that run
-- with their owner's rights give him none that he lacks, whatever he puts in their place.
CREATE EXTENSION supabase_vault;
SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = 'vault';
SELECT DISTINCT pg_get_userbyid(proowner) FROM pg_proc WHERE pronamespace = 'vault'::regnamespace;
SELECT relname, pg_get_userbyid(relowner) FROM pg_class WHERE relnamespace = 'vault'::regnamespace AND relkind IN ('r', 'v') ORDER BY 1;
SET ROLE vault_user;
ALTER SCHEMA vault RENAME TO stolen;
CREATE SCHEMA vault;
CREATE TABLE vault.log (who name);
CREATE FUNCTION vault._seal(row_id uuid, plain text, OUT secret text, OUT nonce bytea, OUT key_id uuid) LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO vault.log VALUES (current_user);
    secret := 'ms1:x'; nonce := 'x'; key_id := row_id;
END
$$;
RESET ROLE;
INSERT INTO stolen.secrets (secret) VALUES ('s3cret');
SELECT who FROM vault.log;
DROP SCHEMA vault CASCADE;
ALTER SCHEMA stolen RENAME TO vault;
SET ROLE vault_user;
SELECT vault.create_secret('s3cret', 'still') IS NOT NULL AS works;
RESET ROLE;
DROP EXTENSION supabase_vault;

-- A schema of somebody else's is not trusted with secrets.
DROP SCHEMA vault;
CREATE ROLE vault_other;
CREATE SCHEMA vault AUTHORIZATION vault_other;
SET ROLE vault_user;
CREATE EXTENSION supabase_vault;
