-- Signatures in SQL: published vectors, sets of keys, and what a token may cost.  Trusted alone; natively OpenSSL verifies.
CREATE EXTENSION mentalspace;
\getenv abs_srcdir PG_ABS_SRCDIR
\set tokens :abs_srcdir '/test/lib/tokens.sql'
\set ECHO none
\i :tokens
\set ECHO all
\set SHOW_CONTEXT never
-- RFC 7515, appendix A.3 (ES256), and RFC 8037, appendix A.4 (Ed25519): keys and tokens as published there
CREATE TABLE published (name text, jwk jsonb, token text);
INSERT INTO published VALUES
    ('ES256', '{"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}',
     'eyJhbGciOiJFUzI1NiJ9.'
     'eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ'
     '.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q'),
    ('EdDSA', '{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}',
     'eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc'
     '.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg');
SELECT name, convert_from(mentalspace.jws_verify(token, jwk), 'UTF8') AS payload FROM published ORDER BY name;
-- one bit of the signature changed, and another's key
SELECT name, maker.try(format('SELECT mentalspace.jws_verify(%L, %L)', overlay(token placing 'A' FROM length(token) - 40), jwk)) FROM published ORDER BY name;
SELECT p.name, maker.try(format('SELECT mentalspace.jws_verify(%L, %L)', p.token, q.jwk)) FROM published p, published q WHERE p.name <> q.name ORDER BY 1;
-- keys that are none
SELECT maker.try(format('SELECT mentalspace.load_jwks(%L)', jwk || more))
  FROM published, (VALUES ('{"x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEQ"}'::jsonb), ('{"x": "AAAA"}'), ('{"x": 1}'), ('{"alg": "ES384"}'),
                          ('{"x": "_____________________________________________w"}'), ('{"crv": null}')) AS m(more)
 ORDER BY name, more;
-- what this flavour lacks is passed over and said; nothing else in the set suffers from it
SELECT mentalspace.load_jwks(jsonb_build_object('keys', jsonb_agg(jwk || jsonb_build_object('kid', name)))) FROM published;
SELECT mentalspace.load_jwks(jsonb_build_object('keys', jsonb_agg(jwk) || '[{"kty": "EC", "crv": "P-521", "kid": "large"}, {"kty": "OKP", "crv": "Ed448", "kid": "larger"}]')) FROM published;
SELECT maker.try($$SELECT mentalspace.load_jwks('{"kty": "OKP", "crv": "Ed448", "x": "AA"}')$$);
SELECT kid, kty, alg FROM mentalspace.jwt_keys ORDER BY alg;
-- with the keys as loaded: the published token's signature fits; it is for another audience
SELECT name, maker.answer(token) FROM published WHERE name = 'ES256';
SELECT name, maker.answer(overlay(token placing 'A' FROM length(token) - 40)) FROM published WHERE name = 'ES256';
-- loaded again, the same keys stay the same; those that are gone take their multiples along
CREATE TABLE before AS SELECT id FROM mentalspace.jwt_key_store;
SELECT mentalspace.load_jwks(jsonb_build_object('keys', jsonb_agg(jwk))) FROM published;
SELECT count(*) FROM before JOIN mentalspace.jwt_key_store USING (id);
SELECT mentalspace.load_jwks(jwk) FROM published WHERE name = 'EdDSA';
SELECT count(DISTINCT key_id) AS with_multiples FROM mentalspace.jwt_key_points WHERE key_id > 0;

-- what a token may cost: a bound on the keys that are tried where it names none ...
SELECT mentalspace.add_jwt_secret(maker.secret() || n) FROM generate_series(1, 9) AS n;
CREATE FUNCTION token_of(n int, kid text) RETURNS text LANGUAGE sql VOLATILE
    AS $$ SELECT maker.sign(jsonb_strip_nulls(jsonb_build_object('alg', 'HS256', 'kid', kid))::text, maker.claims(1)::text, maker.secret() || n) $$;
SELECT n, maker.answer(token_of(n, NULL)) FROM generate_series(7, 9) AS n;
SELECT mentalspace.add_jwt_secret(maker.secret() || 10, kid => 'ten');
-- ... and on numbers, before anything calculates with them
SELECT number, maker.answer(maker.sign('{"alg": "HS256"}', left(maker.claims(1)::text, -1) || format(', "n": %s}', number), maker.secret() || 1))
  FROM unnest('{1e308,1e309,1e131071,-1E-308,1e-400,1e99999999999,12345678901234567890}'::text[]) AS number;
SELECT maker.answer(maker.sign('{"alg": "HS256"}', left(maker.claims(1)::text, -1) || format(', "n": [%s1]}', repeat('1,', 2100)), maker.secret() || 1));
