-- provision() where some of it is there already: completed, never replaced.
CREATE EXTENSION mentalspace;
-- an older auth schema with rows
CREATE TABLE auth.users (id uuid NOT NULL, email varchar(255), custom text DEFAULT 'kept');
INSERT INTO auth.users (id, email) VALUES ('00000000-0000-0000-0000-00000000000a', 'ada@example.invalid');
CREATE TABLE auth.identities (id text NOT NULL, user_id uuid NOT NULL, CONSTRAINT identities_old_key PRIMARY KEY (id, user_id));
INSERT INTO auth.identities VALUES ('x', '00000000-0000-0000-0000-00000000000a');
CREATE TABLE auth.one_time_tokens (id uuid, token_hash text);
INSERT INTO auth.one_time_tokens VALUES (NULL, '');
CREATE VIEW auth.instances AS SELECT 1 AS id;
CREATE TYPE auth.aal_level AS ENUM ('aal1');
CREATE DOMAIN auth.factor_status AS text;
CREATE SCHEMA storage;
CREATE TABLE storage.objects (id uuid PRIMARY KEY, bucket_id text, name text);
CREATE FUNCTION storage.foldername(name text) RETURNS text[] LANGUAGE sql AS $$ SELECT ARRAY['mine'] $$;
SET client_min_messages = error;
CREATE PUBLICATION supabase_realtime;
RESET client_min_messages;
SELECT kind, object, state, regexp_replace(detail, '^(added [^;]{60})[^;]*', '\1 ...') AS detail FROM mentalspace.provision('{auth,storage,realtime}')
 WHERE component <> 'roles' AND (state IN ('changed', 'skipped') OR state = 'found' AND kind NOT IN ('check', 'owner of function', 'grant'))
   AND kind <> 'database setting' AND object <> 'supabase_realtime';
-- what was there is as it was
SELECT id, email, custom, is_sso_user, confirmed_at FROM auth.users;
SELECT id, user_id, provider, email FROM auth.identities;
SELECT storage.foldername('a/b');
SELECT count(*) FILTER (WHERE attnotnull) AS not_null FROM pg_attribute WHERE attrelid = 'auth.identities'::regclass AND attname IN ('provider', 'identity_data');
-- nothing more to do, except what could not be done
SELECT kind, object, state, detail FROM mentalspace.provision('{auth,storage,realtime}') WHERE state = 'changed';
SELECT kind, object, state, detail FROM mentalspace.provision('{auth}') WHERE object IN ('auth.users', 'auth.identities', 'auth.one_time_tokens', 'auth.instances');
-- the cause removed, the rest follows
DELETE FROM auth.one_time_tokens;
SELECT object, state, detail FROM mentalspace.provision('{auth}') WHERE object = 'auth.one_time_tokens';
