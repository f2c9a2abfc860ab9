-- Makes tokens for the tests, signed with HS256 by pgcrypto.
CREATE EXTENSION IF NOT EXISTS pgcrypto SCHEMA public;
CREATE SCHEMA maker;
GRANT USAGE ON SCHEMA maker TO PUBLIC;
CREATE FUNCTION maker.base64url(bytea) RETURNS text LANGUAGE sql IMMUTABLE
    AS $$ SELECT rtrim(translate(encode($1, 'base64'), E'+/\n', '-_'), '=') $$;
CREATE FUNCTION maker.sign(header text, payload text, secret text) RETURNS text LANGUAGE sql IMMUTABLE
    AS $$ SELECT input || '.' || maker.base64url(public.hmac(convert_to(input, 'UTF8'), convert_to(secret, 'UTF8'), 'sha256'))
            FROM (SELECT maker.base64url(convert_to(header, 'UTF8')) || '.' || maker.base64url(convert_to(payload, 'UTF8'))) AS s(input) $$;
-- Seconds since 1970, the given number of seconds from now.
CREATE FUNCTION maker.at(seconds int) RETURNS bigint LANGUAGE sql VOLATILE
    AS $$ SELECT extract(epoch FROM clock_timestamp())::bigint + seconds $$;
-- A user's token as Supabase Auth issues it; `more` replaces or adds claims, null removes one.
CREATE FUNCTION maker.claims(n int, more jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql VOLATILE
    AS $$ SELECT jsonb_strip_nulls(jsonb_build_object(
            'iss', 'https://project.example/auth/v1', 'aud', 'authenticated', 'role', 'authenticated',
            'sub', '00000000-0000-4000-8000-' || lpad(n::text, 12, '0'), 'email', 'user' || n || '@example.org',
            'phone', '', 'aal', 'aal1', 'session_id', '10000000-0000-4000-8000-' || lpad(n::text, 12, '0'),
            'app_metadata', '{"provider": "email", "providers": ["email"]}'::jsonb,
            'user_metadata', jsonb_build_object('full_name', 'Person ' || n), 'is_anonymous', false,
            'iat', maker.at(-60), 'exp', maker.at(3600)) || more) $$;
CREATE FUNCTION maker.secret() RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT repeat('not a secret at all ', 2) $$;
CREATE FUNCTION maker.token(n int, more jsonb DEFAULT '{}') RETURNS text LANGUAGE sql VOLATILE
    AS $$ SELECT maker.sign('{"alg":"HS256","typ":"JWT"}', maker.claims(n, more)::text, maker.secret()) $$;
-- How verify_jwt() answers: 'accepted', or the error.
CREATE FUNCTION maker.answer(token text) RETURNS text LANGUAGE plpgsql VOLATILE
    AS $$
BEGIN
    PERFORM mentalspace.verify_jwt(token);
    RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ' ' || SQLERRM;
END
$$;
-- The same for any statement.
CREATE FUNCTION maker.try(statement text) RETURNS text LANGUAGE plpgsql VOLATILE
    AS $$
DECLARE
    result text;
BEGIN
    EXECUTE statement INTO result;
    RETURN coalesce(result, 'done');
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ' ' || SQLERRM;
END
$$;
