-- login(), verify_jwt(), keys and revocations: what both flavours do alike.
CREATE EXTENSION mentalspace;
SELECT current_user AS regress_user \gset
\getenv abs_srcdir PG_ABS_SRCDIR
\set tokens :abs_srcdir '/test/lib/tokens.sql'
\i :tokens
\set SHOW_CONTEXT never
CREATE ROLE anon;
CREATE ROLE authenticated;
CREATE ROLE service_role;
CREATE ROLE staff;
CREATE ROLE app LOGIN NOINHERIT IN ROLE anon, authenticated;
GRANT USAGE ON SCHEMA auth TO PUBLIC;

-- keys: none yet, weak ones, bad ones
SELECT maker.answer(maker.token(1));
SELECT maker.try(format('SELECT mentalspace.add_jwt_secret(%L)', secret)) FROM (VALUES (''), (repeat('x', 31)), (NULL)) AS v(secret);
SELECT maker.try(format('SELECT mentalspace.load_jwks(%L)', jwks)) FROM (VALUES
    (NULL), ('[]'), ('{"keys": []}'), ('{"keys": {}}'), ('{"keys": ["x"]}'),
    ('{"keys": [{"kty": "oct", "k": "bm90IGEgc2VjcmV0IGF0IGFsbCBub3QgYSBzZWNyZXQ"}]}'),
    ('{"keys": [{"kty": "oct", "alg": "HS512", "k": "bm90IGEgc2VjcmV0IGF0IGFsbCBub3QgYSBzZWNyZXQ"}]}'),
    ('{"keys": [{"kty": "oct", "alg": "RS256", "k": "bm90IGEgc2VjcmV0IGF0IGFsbCBub3QgYSBzZWNyZXQ"}]}'),
    ('{"keys": [{"kty": "oct", "alg": "HS256", "k": "bm90IGEgc2VjcmV0IGF0IGFsbCBub3QgYSBzZWNyZXR="}]}'),
    ('{"keys": [{"kty": "oct", "alg": "HS256", "use": "enc", "k": "bm90IGEgc2VjcmV0IGF0IGFsbCBub3QgYSBzZWNyZXQ"}]}'),
    ('{"keys": [{"kty": "oct", "alg": "HS256", "key_ops": ["sign"], "k": "bm90IGEgc2VjcmV0IGF0IGFsbCBub3QgYSBzZWNyZXQ"}]}'),
    ('{"keys": [{"kty": "new", "k": "?"}]}'),
    ('{"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}]}'),
    ('{"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB", "d": "AQAB"}]}'),
    ('{"keys": [{"kty": "oct", "kid": "1", "alg": "HS256", "k": "bm90IGEgc2VjcmV0IGF0IGFsbCBub3QgYSBzZWNyZXQ"},
                {"kty": "oct", "kid": "1", "alg": "HS256", "k": "bm90IGEgc2VjcmV0IGF0IGFsbCBub3QgYSBzZWNyZXQ"}]}')) AS v(jwks);
SELECT count(*) FROM mentalspace.jwt_keys;
SELECT mentalspace.add_jwt_secret(maker.secret());
-- the same again is no second key
SELECT mentalspace.add_jwt_secret(maker.secret());
SELECT kid, kty, alg, issuer, last_used_at FROM mentalspace.jwt_keys;
SELECT maker.answer(maker.token(1));
SELECT last_used_at BETWEEN now() - interval '1 minute' AND clock_timestamp() AS used FROM mentalspace.jwt_keys;

-- tokens, one after the other; the class in the message is what a client may rely on
SELECT what, maker.answer(token) FROM (VALUES
    ('null', NULL),
    ('empty', ''),
    ('two segments', 'e30.e30'),
    ('four segments', maker.token(1) || '.e30'),
    ('encrypted', 'e30.e30.e30.e30.e30'),
    ('padded', maker.token(1) || '='),
    ('white space', maker.token(1) || ' '),
    ('unused bits', left(maker.token(1), -1) || '_'),
    ('signature cut', left(maker.token(1), -3)),
    ('signature empty', regexp_replace(maker.token(1), '[^.]*$', '')),
    ('other secret', maker.sign('{"alg":"HS256"}', maker.claims(1)::text, maker.secret() || 'x')),
    ('none', maker.sign('{"alg":"none"}', maker.claims(1)::text, maker.secret())),
    ('NoNe', maker.sign('{"alg":"NoNe"}', maker.claims(1)::text, maker.secret())),
    ('lower case', maker.sign('{"alg":"hs256"}', maker.claims(1)::text, maker.secret())),
    ('HS512 with the key of HS256', maker.sign('{"alg":"HS512"}', maker.claims(1)::text, maker.secret())),
    ('RS256 with a secret', maker.sign('{"alg":"RS256"}', maker.claims(1)::text, maker.secret())),
    ('no alg', maker.sign('{"typ":"JWT"}', maker.claims(1)::text, maker.secret())),
    ('alg a number', maker.sign('{"alg":256}', maker.claims(1)::text, maker.secret())),
    ('crit', maker.sign('{"alg":"HS256","crit":["exp"]}', maker.claims(1)::text, maker.secret())),
    ('b64', maker.sign('{"alg":"HS256","b64":false}', maker.claims(1)::text, maker.secret())),
    ('nested', maker.sign('{"alg":"HS256","cty":"JWT"}', maker.claims(1)::text, maker.secret())),
    ('another type', maker.sign('{"alg":"HS256","typ":"logout+jwt"}', maker.claims(1)::text, maker.secret())),
    ('jwk in the header', maker.sign('{"alg":"HS256","jwk":{"kty":"oct","k":""},"jku":"x","x5u":"x","x5c":["x"]}', maker.claims(1)::text, maker.secret())),
    ('alg twice', maker.sign('{"alg":"HS256","alg":"HS256"}', maker.claims(1)::text, maker.secret())),
    ('header no object', maker.sign('["HS256"]', maker.claims(1)::text, maker.secret())),
    ('header no JSON', maker.sign('{alg:HS256}', maker.claims(1)::text, maker.secret())),
    ('kid, and the key has none', maker.sign('{"alg":"HS256","kid":"1"}', maker.claims(1)::text, maker.secret())),
    ('payload no object', maker.sign('{"alg":"HS256"}', '[1]', maker.secret())),
    ('payload no JSON', maker.sign('{"alg":"HS256"}', '{', maker.secret())),
    ('a claim twice', maker.sign('{"alg":"HS256"}', replace(maker.claims(1)::text, '{"aal"', '{"aal": "aal2", "aal"'), maker.secret())),
    ('NUL', maker.sign('{"alg":"HS256"}', replace(maker.claims(1)::text, 'Person', '\u0000'), maker.secret())),
    ('half a pair', maker.sign('{"alg":"HS256"}', replace(maker.claims(1)::text, 'Person', '\ud800'), maker.secret())),
    ('too deep', maker.token(1, ('{"deep":' || repeat('[', 20) || repeat(']', 20) || '}')::jsonb)),
    ('too long', maker.token(1, jsonb_build_object('long', repeat('x', 20000)))),
    ('expired', maker.token(1, jsonb_build_object('exp', maker.at(-40)))),
    ('expired within the leeway', maker.token(1, jsonb_build_object('exp', maker.at(-10)))),
    ('exp missing', maker.token(1, '{"exp": null}')),
    ('exp a string', maker.token(1, '{"exp": "never"}')),
    ('exp too large', maker.token(1, '{"exp": 1e300}')),
    ('nbf in the future', maker.token(1, jsonb_build_object('nbf', maker.at(100)))),
    ('nbf within the leeway', maker.token(1, jsonb_build_object('nbf', maker.at(10)))),
    ('iat in the future', maker.token(1, jsonb_build_object('iat', maker.at(100)))),
    ('iat a string', maker.token(1, '{"iat": "1"}')),
    ('another audience', maker.token(1, '{"aud": "x"}')),
    ('audience in a list', maker.token(1, '{"aud": ["x", "authenticated"]}')),
    ('audience not in a list', maker.token(1, '{"aud": ["x"]}')),
    ('audience a number', maker.token(1, '{"aud": [1]}')),
    ('no audience', maker.token(1, '{"aud": null}')),
    ('API key', maker.token(1, '{"aud": null, "sub": null, "role": "anon", "iss": "supabase", "exp": null}')),
    ('not quite an API key', maker.token(1, '{"aud": null, "sub": null, "role": "staff"}')),
    ('sub no uuid', maker.token(1, '{"sub": "user_1"}')),
    ('sub a number', maker.token(1, '{"sub": 1}')),
    ('role a list', maker.token(1, '{"role": ["staff"]}'))) AS v(what, token);

-- keys of issuers: each verifies for its own alone
SELECT mentalspace.add_jwt_secret(repeat('another secret of ours ', 2), 'https://project.example/auth/v1', 'legacy');
SELECT maker.answer(maker.token(1)) AS key_of_nobody_no_longer_counts;
SELECT maker.answer(maker.sign('{"alg":"HS256"}', maker.claims(1)::text, repeat('another secret of ours ', 2)));
SELECT maker.answer(maker.sign('{"alg":"HS256","kid":"legacy"}', maker.claims(1)::text, repeat('another secret of ours ', 2)));
SELECT maker.answer(maker.sign('{"alg":"HS256","kid":"legacy"}', maker.claims(1, '{"iss": "other"}')::text, repeat('another secret of ours ', 2)));
SELECT mentalspace.load_jwks(jsonb_build_object('kty', 'oct', 'alg', 'HS256', 'kid', 'one', 'k', maker.base64url(convert_to(maker.secret(), 'UTF8'))),
    'https://project.example/auth/v1');
SELECT maker.answer(maker.token(1)) AS loaded_for_the_issuer;
-- a set that is refused leaves the old one
SELECT maker.try($$SELECT mentalspace.load_jwks('{"keys": [{"kty": "oct"}]}', 'https://project.example/auth/v1')$$);
SELECT maker.answer(maker.token(1)) AS still_there;
BEGIN;
SELECT mentalspace.load_jwks(jsonb_build_object('kty', 'oct', 'alg', 'HS256', 'kid', 'two', 'k', maker.base64url(repeat('yet another one of them', 2)::bytea)),
    'https://project.example/auth/v1');
SELECT maker.answer(maker.token(1)) AS replaced;
ROLLBACK;
SELECT maker.answer(maker.token(1)) AS back_again;
SELECT kid, kty, alg, issuer FROM mentalspace.jwt_keys ORDER BY issuer, kid;
DELETE FROM mentalspace.jwt_key_store WHERE issuer IS NOT NULL;
SELECT maker.answer(maker.token(1)) AS the_first_key_again;

-- jws_verify: the signature alone
SELECT convert_from(mentalspace.jws_verify(maker.sign('{"alg":"HS256"}', 'not JSON', maker.secret()),
    jsonb_build_object('kty', 'oct', 'alg', 'HS256', 'k', maker.base64url(maker.secret()::bytea))), 'UTF8');
SELECT maker.try(format('SELECT mentalspace.jws_verify(%L, %L)', maker.sign('{"alg":"HS256"}', 'x', maker.secret()), jwk)) FROM (VALUES
    ('{"kty": "oct", "k": "bm90IGEgc2VjcmV0IGF0IGFsbCBub3QgYSBzZWNyZXQ"}'),
    ('{"kty": "oct", "alg": "HS256", "k": "bm90IGEgc2VjcmV0IGF0IGFsbCBub3QgYSBzZWNyZXQ"}'),
    ('{"kty": "oct", "alg": "HS256", "k": ""}'), ('1')) AS v(jwk);

-- login, as the application does it
\c - app
BEGIN;
SELECT mentalspace.login(maker.token(1));
SELECT auth.uid(), auth.role(), auth.email(), auth.jwt() ->> 'aal' AS aal, current_user, session_user;
SELECT current_setting('request.jwt.claims')::json ->> 'sub' AS claims, current_setting('request.jwt.claim.sub') AS sub,
       current_setting('request.jwt.claim.email') AS email;
SELECT mentalspace.login(maker.token(2));
SELECT auth.uid(), auth.email(), current_user;
COMMIT;
SELECT auth.uid(), current_user, nullif(current_setting('request.jwt.claims', true), '') AS claims;
BEGIN;
SELECT mentalspace.login(maker.token(1));
SAVEPOINT a;
SELECT mentalspace.login(maker.token(2));
ROLLBACK TO a;
SELECT auth.uid(), current_user, current_setting('request.jwt.claims')::json ->> 'email' AS email;
-- one that fails changes nothing
SELECT maker.try(format('SELECT mentalspace.login(%L)', maker.token(2, '{"exp": 1}')));
SELECT auth.uid(), current_user;
ROLLBACK;
SELECT auth.uid(), current_user;

-- roles: those that are allowed, and that the login role is a member of
BEGIN;
SELECT mentalspace.login(maker.token(1, '{"sub": null, "aud": null, "role": "anon"}')) AS nobody;
SELECT auth.uid(), auth.role(), current_user;
ROLLBACK;
SELECT role, maker.try(format('SELECT mentalspace.login(%L)', maker.token(1, jsonb_build_object('role', role))))
  FROM unnest(ARRAY['service_role', 'staff', 'none', 'postgres', 'public', 'app', '', 'nobody', NULL]) AS role;

-- the session's scope
SELECT mentalspace.login(maker.token(3), 'session');
SELECT auth.uid(), current_user;
BEGIN;
SELECT mentalspace.login(maker.token(4));
SELECT auth.uid();
COMMIT;
SELECT auth.uid(), current_user;
BEGIN;
SELECT mentalspace.login(maker.token(5), 'session');
ROLLBACK;
SELECT auth.uid(), current_user;
SELECT mentalspace.logout();
SELECT auth.uid(), current_user;
SELECT mentalspace.login(maker.token(3), 'forever');
SELECT mentalspace.login(maker.token(3), NULL);
SELECT mentalspace.login(maker.token(3), 'session');
DISCARD ALL;
SELECT auth.uid(), current_user;

-- what the application may not
SELECT * FROM mentalspace.jwt_keys;
SELECT * FROM mentalspace.jwt_key_store;
SELECT * FROM mentalspace.jwt_revocations;
SELECT mentalspace.load_jwks('{}');
SELECT mentalspace.add_jwt_secret('x');
SELECT mentalspace.revoke_user('00000000-0000-4000-8000-000000000001', 'because');
SELECT mentalspace.sync_user('{}');

-- revocation: of a session, of all that a user has until now
\c - :regress_user
SELECT maker.answer(maker.token(1)), maker.answer(maker.token(2));
SELECT mentalspace.revoke_session('10000000-0000-4000-8000-000000000001', 'stolen');
SELECT mentalspace.revoke_session('10000000-0000-4000-8000-000000000001', 'stolen');
SELECT mentalspace.revoke_user('00000000-0000-4000-8000-000000000002', 'left');
SELECT maker.answer(maker.token(1)) AS one, maker.answer(maker.token(2)) AS two, maker.answer(maker.token(3)) AS three;
SELECT maker.answer(maker.token(1, '{"session_id": "10000000-0000-4000-8000-0000000000AA"}')) AS another_session,
       maker.answer(maker.token(2, jsonb_build_object('iat', maker.at(5)))) AS issued_later,
       maker.answer(maker.token(2, '{"iat": null}')) AS who_knows_when;
SELECT subject, kind, reason FROM mentalspace.jwt_revocations ORDER BY kind;
