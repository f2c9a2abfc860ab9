-- login() with a shared secret, and what auth.uid() costs where it is sealed.
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS mentalspace;
CREATE EXTENSION IF NOT EXISTS pgcrypto;
CREATE FUNCTION base64url(bytea) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT rtrim(translate(encode($1, 'base64'), E'+/\n', '-_'), '=') $$;
CREATE FUNCTION token_of(n int) RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT input || '.' || base64url(hmac(convert_to(input, 'UTF8'), convert_to(repeat('not a secret ', 4), 'UTF8'), 'sha256'))
      FROM (SELECT base64url('{"alg":"HS256","typ":"JWT"}') || '.' || base64url(convert_to(jsonb_build_object(
                'iss', 'https://project.example/auth/v1', 'aud', 'authenticated', 'role', 'authenticated',
                'sub', '00000000-0000-4000-8000-' || lpad(n::text, 12, '0'), 'email', 'user@example.org', 'aal', 'aal1',
                'session_id', gen_random_uuid(), 'app_metadata', '{"provider": "email", "providers": ["email"]}'::jsonb,
                'user_metadata', '{"full_name": "Somebody"}'::jsonb, 'iat', extract(epoch FROM now())::bigint,
                'exp', extract(epoch FROM now())::bigint + 3600)::text, 'UTF8')) AS input) AS s $$;
SELECT mentalspace.add_jwt_secret(repeat('not a secret ', 4)) \g /dev/null
CREATE ROLE authenticated;
GRANT authenticated TO owner;
CREATE TABLE tokens AS SELECT n, token_of(n) AS token FROM generate_series(1, 200) AS n;
CREATE TABLE login_times (load text, ms float8);
CREATE PROCEDURE log_in(load text, changing boolean) LANGUAGE plpgsql AS $$
DECLARE
    began timestamptz;
    tokens text[] := ARRAY(SELECT token FROM tokens ORDER BY n);
BEGIN
    began := clock_timestamp();
    FOR i IN 1 .. 200 LOOP
        PERFORM mentalspace.login(tokens[CASE WHEN changing THEN i ELSE 1 END]);
        PERFORM set_config('role', 'none', true);
    END LOOP;
    INSERT INTO login_times VALUES (load, extract(epoch FROM clock_timestamp() - began) * 5);
END $$;
CREATE TABLE rows AS SELECT ('00000000-0000-4000-8000-' || lpad((n % 100)::text, 12, '0'))::uuid AS owner, n FROM generate_series(1, 100000) AS n;
ALTER TABLE rows ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON rows USING (owner = (SELECT auth.uid()));
GRANT SELECT ON rows TO authenticated;
GRANT USAGE ON SCHEMA auth TO authenticated;
ANALYZE rows;
CREATE PROCEDURE scan(load text) LANGUAGE plpgsql AS $$
DECLARE
    began timestamptz;
BEGIN
    PERFORM mentalspace.login((SELECT token FROM tokens WHERE n = 1));
    began := clock_timestamp();
    FOR i IN 1 .. 5 LOOP
        PERFORM count(*) FROM rows;
    END LOOP;
    INSERT INTO login_times SELECT load, extract(epoch FROM clock_timestamp() - began) * 200;
END $$;
GRANT INSERT ON login_times TO authenticated;
GRANT SELECT ON tokens TO authenticated;
CREATE PROCEDURE login_rounds(rounds int) LANGUAGE plpgsql AS $$
BEGIN
    FOR round IN 0 .. rounds LOOP
        CALL log_in('login(), a token not seen before', true);
        CALL log_in('login(), the same token again', false);
        COMMIT;
        INSERT INTO mentalspace.auth_settings VALUES ('auth_claims_source', 'guc') ON CONFLICT (name) DO UPDATE SET value = 'guc';
        CALL scan('wrapped policy over 100,000 rows, claims as variables');
        COMMIT;
        UPDATE mentalspace.auth_settings SET value = 'verified';
        CALL scan('wrapped policy over 100,000 rows, claims sealed');
        COMMIT;
        IF round = 0 THEN
            DELETE FROM login_times;
        END IF;
    END LOOP;
END $$;
CALL login_rounds(:rounds);
SELECT load, round(percentile_cont(0.5) WITHIN GROUP (ORDER BY ms)::numeric, 3) AS ms FROM login_times GROUP BY load ORDER BY load;
