-- pgjwt: the original's functions, stricter.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA extensions;
CREATE EXTENSION pgcrypto SCHEMA extensions;
CREATE EXTENSION IF NOT EXISTS pgjwt WITH SCHEMA extensions;
CREATE EXTENSION IF NOT EXISTS pgjwt WITH SCHEMA extensions;
COMMENT ON EXTENSION pgjwt IS 'a comment';
SET search_path = public, extensions;

-- base64url: the examples of RFC 4648 section 10 without padding, and bytes that need the other alphabet.
SELECT t, url_encode(convert_to(t, 'UTF8')), convert_from(url_decode(url_encode(convert_to(t, 'UTF8'))), 'UTF8') = t AS back
  FROM unnest(ARRAY['', 'f', 'fo', 'foo', 'foob', 'fooba', 'foobar']) AS t;
SELECT url_encode('\xfbff'), url_decode('-_8'), url_decode('-_8') = '\xfbff' AS same;
SELECT length(url_encode(decode(repeat('ab', 1000), 'hex'))), url_decode(url_encode(decode(repeat('ab', 1000), 'hex'))) = decode(repeat('ab', 1000), 'hex') AS same;
SELECT url_decode('Zg==');
SELECT url_decode('Zh');
SELECT url_decode('Zg+/');
SELECT url_decode('Z');
SELECT url_decode(E'Zm\n9v');

-- HMAC: RFC 4231, test case 2.
SELECT encode(url_decode(algorithm_sign('what do ya want for nothing?', 'Jefe', 'HS256')), 'hex') = '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843' AS hs256,
       encode(url_decode(algorithm_sign('what do ya want for nothing?', 'Jefe', 'HS384')), 'hex') = 'af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649' AS hs384,
       encode(url_decode(algorithm_sign('what do ya want for nothing?', 'Jefe', 'HS512')), 'hex') = '164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737' AS hs512;
SELECT algorithm_sign('x', '', 'HS256');
SELECT algorithm_sign('x', 'secret', 'none');
SELECT algorithm_sign('x', 'secret', 'hs256');
SELECT algorithm_sign('x', 'secret', 'RS256');
SELECT algorithm_sign('x', 'secret', NULL) IS NULL AS nothing;

-- sign: the original's own example, published by jwt.io: an example, no secret of anybody's.
SELECT sign('{"sub":"1234567890","name":"John Doe","admin":true}', 'secret') AS token \gset
SELECT :'token' = 'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiYWRtaW4iOnRydWV9.TJVA95OrM7E2cBab30RMHrHDcEfxjoYZgeFONFh7HgQ' AS as_everywhere;
SELECT * FROM verify(:'token', 'secret');
SELECT * FROM verify(:'token', 'Secret');
SELECT * FROM verify(sign('{"a": "é €"}', 'sécret', 'HS384'), 'sécret', 'HS384');
SELECT * FROM verify(token := sign(payload := '{}', secret := 's', algorithm := 'HS512'), secret := 's', algorithm := 'HS512');
SELECT sign('{}', '');
SELECT sign('{}', 's', 'none');
SELECT sign('[1]', 's');
SELECT sign('"x"', 's');
SELECT sign('{"exp": "tomorrow"}', 's');
SELECT sign('{"exp": null}', 's');
SELECT sign('{"nbf": "1"}', 's');
SELECT sign(NULL, 's') IS NULL AS nothing;

-- verify: the algorithm is the caller's, not the token's.
SELECT valid FROM verify(sign('{}', 's', 'HS256'), 's', 'HS384');
SELECT valid FROM verify(:'token', 'secret', 'HS256');
SELECT verify(:'token', 'secret', 'none');
SELECT verify(:'token', '');
-- A token whose header is made up, signed as its header does not say.
CREATE FUNCTION token_of(header text, payload text, secret text DEFAULT 's', algorithm text DEFAULT 'HS256') RETURNS text
    LANGUAGE sql AS $$
    SELECT s || '.' || algorithm_sign(s, secret, algorithm)
      FROM (SELECT url_encode(convert_to(header, 'UTF8')) || '.' || url_encode(convert_to(payload, 'UTF8')) AS s) x
    $$;
SELECT h AS header, valid FROM unnest(ARRAY['{"alg":"HS256"}', '{"alg":"HS512"}', '{"alg":"none"}', '{"alg":"hs256"}', '{"alg":["HS256"]}', '{"alg":null}', '{}',
    '[]', '"HS256"', '{"alg":"HS256","crit":["exp"]}', '{"alg":"none","alg":"HS256"}']) AS h, verify(token_of(h, '{}'), 's');
SELECT p AS payload, valid FROM unnest(ARRAY['{}', '{"exp": 1}', '{"exp": 32503680000}', '{"exp": 32503680000.5}', '{"exp": "32503680000"}', '{"exp": null}', '{"exp": [32503680000]}', '{"exp": 1e400}',
    '{"nbf": 1}', '{"nbf": 32503680000}', '{"nbf": "1"}', '{"nbf": 1, "exp": 32503680000}', '{"exp": 32503680000, "exp": 1}', '[]', '1']) AS p, verify(token_of('{"alg":"HS256"}', p), 's');
BEGIN;
SELECT valid FROM verify(sign(json_build_object('exp', extract(epoch FROM now())), 's'), 's');
SELECT valid FROM verify(sign(json_build_object('nbf', extract(epoch FROM now())), 's'), 's');
COMMIT;

-- What is no token.
SELECT verify('', 's');
SELECT verify('a.b', 's');
SELECT verify(:'token' || '.', 's');
SELECT verify(:'token' || '.x', 's');
SELECT verify('..', 's');
SELECT verify(:'token' || '=', 'secret');
SELECT verify(' ' || :'token', 'secret');
SELECT verify(url_encode('\x7b00') || '.e30.', 's');
SELECT verify(url_encode('\xff') || '.e30.', 's');
SELECT valid FROM verify('eyJhbGciOiJub25lIn0.e30.', 's');
SELECT verify(url_encode('patient Jane') || '.e30.', 's');
SELECT verify('e30.' || url_encode(convert_to('{"patient": "Jane \u0000"}', 'UTF8')) || '.', 's');
SELECT verify('e30.' || url_encode(convert_to('{"patient": "Jane \ud800"}', 'UTF8')) || '.', 's');
SELECT verify('e30.' || url_encode(convert_to('{"patient": 1e4000000}', 'UTF8')) || '.', 's');
SELECT verify('e30.' || url_encode('{"patient": "Jane"') || '.', 's');
SELECT count(*) FROM verify(NULL, 's');
-- Every changed letter of the signature is found.
SELECT count(*) FILTER (WHERE valid) AS valid FROM (SELECT (verify(overlay(:'token' PLACING CASE substr(:'token', i, 1) WHEN 'A' THEN 'B' ELSE 'A' END FROM i), 'secret')).valid
  FROM generate_series(length(:'token') - 42, length(:'token') - 1) AS i) x;

SELECT p.oid::regprocedure FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid AND d.classid = 'pg_proc'::regclass
 WHERE d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pgjwt') AND d.deptype = 'e' AND obj_description(p.oid, 'pg_proc') IS NULL;
DROP EXTENSION pgjwt;
CREATE EXTENSION pgjwt WITH SCHEMA extensions;
DROP EXTENSION pgjwt;
