-- What the verification of a signature takes with a key that was loaded.  Keys and signatures are made by the caller's Node.js.
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS mentalspace;
CREATE TABLE signatures (alg text, jwk jsonb, message bytea, signature bytea);
\copy signatures FROM PROGRAM 'node "$MS_BENCH"/signatures.mjs'
INSERT INTO mentalspace.jwt_key_store (kty, alg, jwk, origin) SELECT jwk ->> 'kty', alg, jwk, 'jwks' FROM signatures;
CREATE FUNCTION time_of(jwk jsonb, key_id bigint, message bytea, signature bytea, repeats int) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
    began timestamptz;
BEGIN
    began := clock_timestamp();
    FOR i IN 1 .. repeats LOOP
        IF NOT mentalspace.jwk_fits(jwk, key_id, message, signature) THEN
            RAISE EXCEPTION 'the signature does not fit';
        END IF;
    END LOOP;
    RETURN extract(epoch FROM clock_timestamp() - began) * 1000 / repeats;
END $$;
SELECT alg, round(percentile_cont(0.5) WITHIN GROUP (ORDER BY loaded)::numeric, 2) AS "loaded key ms",
       round(percentile_cont(0.5) WITHIN GROUP (ORDER BY given)::numeric, 2) AS "key as argument ms"
  FROM (SELECT s.alg, time_of(s.jwk, k.id, s.message, s.signature, 50) AS loaded, time_of(s.jwk, NULL, s.message, s.signature, 5) AS given
          FROM generate_series(1, :rounds), signatures AS s JOIN mentalspace.jwt_key_store AS k USING (jwk)) AS t
 GROUP BY alg ORDER BY alg;
