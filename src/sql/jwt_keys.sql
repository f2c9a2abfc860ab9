-- The keys that tokens are verified with, and what was revoked.  The tables are members of the extension and not marked
-- for pg_dump: keys and revocations belong to an installation, not to a dump.
CREATE TABLE mentalspace.jwt_key_store (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    issuer   text,
    kid      text,
    kty      text NOT NULL,
    alg      text NOT NULL,
    jwk      jsonb NOT NULL,
    added_at timestamptz NOT NULL DEFAULT now(),
    origin   text NOT NULL CHECK (origin IN ('jwks', 'secret'))
);
CREATE UNIQUE INDEX jwt_key_store_issuer_kid ON mentalspace.jwt_key_store ((coalesce(issuer, '')), kid);
COMMENT ON TABLE mentalspace.jwt_key_store IS 'keys that tokens are verified with, shared secrets among them: for the owner of the extension only, not in dumps';
COMMENT ON SEQUENCE mentalspace.jwt_key_store_id_seq IS 'numbers of the keys in mentalspace.jwt_key_store';
COMMENT ON COLUMN mentalspace.jwt_key_store.id IS 'number of the key';
COMMENT ON COLUMN mentalspace.jwt_key_store.issuer IS 'claim iss of the tokens that it verifies; NULL: of issuers without keys of their own';
COMMENT ON COLUMN mentalspace.jwt_key_store.kid IS 'name of the key in the header of tokens, NULL where it has none';
COMMENT ON COLUMN mentalspace.jwt_key_store.kty IS 'kind of key: RSA, EC, OKP or oct (shared secret)';
COMMENT ON COLUMN mentalspace.jwt_key_store.alg IS 'the one algorithm that it verifies';
COMMENT ON COLUMN mentalspace.jwt_key_store.jwk IS 'the key as a JSON Web Key (RFC 7517)';
COMMENT ON COLUMN mentalspace.jwt_key_store.added_at IS 'when it was loaded';
COMMENT ON COLUMN mentalspace.jwt_key_store.origin IS 'jwks: from load_jwks(); secret: from add_jwt_secret()';
-- Statistics hold samples of a column's values.
ALTER TABLE mentalspace.jwt_key_store ALTER COLUMN jwk SET STATISTICS 0;

CREATE TABLE mentalspace.jwt_key_use (
    key_id  bigint NOT NULL,
    used_at timestamptz NOT NULL
);
COMMENT ON TABLE mentalspace.jwt_key_use IS 'notes, one an hour at most for each key, that a key was used';
COMMENT ON COLUMN mentalspace.jwt_key_use.key_id IS 'number of the key';
COMMENT ON COLUMN mentalspace.jwt_key_use.used_at IS 'when it verified a token';

CREATE TABLE mentalspace.jwt_revocations (
    subject    text COLLATE "C",
    kind       text COLLATE "C" CHECK (kind IN ('session', 'user')),
    revoked_at timestamptz NOT NULL,
    reason     text,
    PRIMARY KEY (subject, kind)
);
COMMENT ON TABLE mentalspace.jwt_revocations IS 'sessions and users whose tokens are refused, from revoke_session() and revoke_user()';
COMMENT ON COLUMN mentalspace.jwt_revocations.subject IS 'session_id or user id';
COMMENT ON COLUMN mentalspace.jwt_revocations.kind IS 'session, or user (then tokens issued until revoked_at are refused)';
COMMENT ON COLUMN mentalspace.jwt_revocations.revoked_at IS 'when it was revoked';
COMMENT ON COLUMN mentalspace.jwt_revocations.reason IS 'why, for whoever reads the table';

-- Nobody but the owner, whatever default privileges say; and row security without a policy keeps members of
-- pg_read_all_data out too.
ALTER TABLE mentalspace.jwt_key_store ENABLE ROW LEVEL SECURITY;
ALTER TABLE mentalspace.jwt_key_use ENABLE ROW LEVEL SECURITY;
ALTER TABLE mentalspace.jwt_revocations ENABLE ROW LEVEL SECURITY;
DO $$
DECLARE
    r record;
BEGIN
    FOR r IN
        SELECT DISTINCT c.oid::pg_catalog.regclass AS rel,
               CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END AS grantee
          FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) AS a
         WHERE c.relnamespace = 'mentalspace'::pg_catalog.regnamespace AND a.grantee <> c.relowner
           AND c.relname IN ('jwt_key_store', 'jwt_key_store_id_seq', 'jwt_key_use', 'jwt_revocations')
    LOOP
        EXECUTE pg_catalog.format('REVOKE ALL ON %s FROM %s', r.rel, r.grantee);
    END LOOP;
END
$$;

CREATE VIEW mentalspace.jwt_keys AS
    SELECT k.kid, k.kty, k.alg, k.issuer, k.added_at,
           (SELECT max(u.used_at) FROM mentalspace.jwt_key_use u WHERE u.key_id = k.id) AS last_used_at
      FROM mentalspace.jwt_key_store k;
REVOKE ALL ON mentalspace.jwt_keys FROM PUBLIC;
COMMENT ON VIEW mentalspace.jwt_keys IS 'the keys that tokens are verified with, without the keys themselves';
COMMENT ON COLUMN mentalspace.jwt_keys.kid IS 'name of the key in the header of tokens';
COMMENT ON COLUMN mentalspace.jwt_keys.kty IS 'kind of key: RSA, EC, OKP or oct (shared secret)';
COMMENT ON COLUMN mentalspace.jwt_keys.alg IS 'the one algorithm that it verifies';
COMMENT ON COLUMN mentalspace.jwt_keys.issuer IS 'claim iss of its tokens; NULL: of issuers without keys of their own';
COMMENT ON COLUMN mentalspace.jwt_keys.added_at IS 'when it was loaded';
COMMENT ON COLUMN mentalspace.jwt_keys.last_used_at IS 'when it last verified a token, give or take an hour';

CREATE FUNCTION mentalspace.load_jwks(jwks jsonb, issuer text DEFAULT NULL) RETURNS int
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    of_issuer text := nullif(load_jwks.issuer, '');
    given jsonb[];
BEGIN
    IF load_jwks.jwks IS NULL THEN
        RAISE EXCEPTION 'key set must not be NULL' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    PERFORM mentalspace.check_jwks(load_jwks.jwks);
    LOCK TABLE mentalspace.jwt_key_store IN SHARE ROW EXCLUSIVE MODE;
    -- What stays the same stays.
    given := ARRAY(SELECT j.key
                     FROM jsonb_array_elements(CASE WHEN load_jwks.jwks ? 'keys' THEN load_jwks.jwks -> 'keys'
                                                    ELSE jsonb_build_array(load_jwks.jwks) END) WITH ORDINALITY AS j(key, place)
                    WHERE mentalspace.jwk_algorithm(j.key) IS NOT NULL
                    ORDER BY j.place);
    DELETE FROM mentalspace.jwt_key_store AS k
     WHERE k.issuer IS NOT DISTINCT FROM of_issuer AND k.origin = 'jwks' AND NOT k.jwk = ANY (given);
    INSERT INTO mentalspace.jwt_key_store (issuer, kid, kty, alg, jwk, origin)
    SELECT of_issuer, j.key ->> 'kid', j.key ->> 'kty', mentalspace.jwk_algorithm(j.key), j.key, 'jwks'
      FROM (SELECT DISTINCT ON (g.key) g.key, g.place FROM unnest(given) WITH ORDINALITY AS g(key, place) ORDER BY g.key, g.place) AS j
     WHERE NOT EXISTS (SELECT FROM mentalspace.jwt_key_store AS k
                        WHERE k.issuer IS NOT DISTINCT FROM of_issuer AND k.origin = 'jwks' AND k.jwk = j.key)
     ORDER BY j.place;
    DELETE FROM mentalspace.jwt_key_use AS u
     WHERE NOT EXISTS (SELECT FROM mentalspace.jwt_key_store AS k WHERE k.id = u.key_id);
    RETURN cardinality(given);
END
$$;
COMMENT ON FUNCTION mentalspace.load_jwks(jsonb, text) IS 'replaces the keys of an issuer by a JWKS and returns their number; the old ones stay if anything in it is wrong; secrets stay';

CREATE FUNCTION mentalspace.add_jwt_secret(secret text, issuer text DEFAULT NULL, kid text DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    made jsonb;
BEGIN
    IF octet_length(convert_to(add_jwt_secret.secret, 'UTF8')) < 32 IS NOT FALSE THEN
        RAISE EXCEPTION 'secret is too short' USING ERRCODE = 'invalid_parameter_value',
            DETAIL = 'A secret for HS256 has 32 bytes at least.';
    END IF;
    made := jsonb_strip_nulls(jsonb_build_object('kty', 'oct', 'alg', 'HS256', 'kid', add_jwt_secret.kid,
        'k', rtrim(translate(encode(convert_to(add_jwt_secret.secret, 'UTF8'), 'base64'), E'+/\n', '-_'), '=')));
    PERFORM mentalspace.check_jwks(jsonb_build_object('keys', jsonb_build_array(made)));
    -- The same again changes nothing.
    IF NOT EXISTS (SELECT FROM mentalspace.jwt_key_store AS k
                    WHERE k.jwk = made AND k.issuer IS NOT DISTINCT FROM nullif(add_jwt_secret.issuer, '')) THEN
        INSERT INTO mentalspace.jwt_key_store (issuer, kid, kty, alg, jwk, origin)
        VALUES (nullif(add_jwt_secret.issuer, ''), add_jwt_secret.kid, 'oct', 'HS256', made, 'secret');
    END IF;
END
$$;
COMMENT ON FUNCTION mentalspace.add_jwt_secret(text, text, text) IS 'adds a shared secret for HS256 (a Supabase project''s legacy JWT secret), of 32 bytes at least';

CREATE FUNCTION mentalspace.revoke_session(session_id uuid, reason text) RETURNS void
    LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
    INSERT INTO mentalspace.jwt_revocations (subject, kind, revoked_at, reason)
    VALUES ($1::text, 'session', clock_timestamp(), $2)
    ON CONFLICT (subject, kind) DO NOTHING
    $$;
COMMENT ON FUNCTION mentalspace.revoke_session(uuid, text) IS 'tokens of this session (claim session_id) are refused from the next login on, in every backend';

CREATE FUNCTION mentalspace.revoke_user(user_id uuid, reason text) RETURNS void
    LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
    INSERT INTO mentalspace.jwt_revocations AS r (subject, kind, revoked_at, reason)
    VALUES ($1::text, 'user', clock_timestamp(), $2)
    ON CONFLICT (subject, kind) DO UPDATE SET revoked_at = excluded.revoked_at, reason = excluded.reason
    $$;
COMMENT ON FUNCTION mentalspace.revoke_user(uuid, text) IS 'tokens issued to this user until now are refused from the next login on, in every backend';

REVOKE ALL ON FUNCTION mentalspace.load_jwks(jsonb, text), mentalspace.add_jwt_secret(text, text, text),
    mentalspace.revoke_session(uuid, text), mentalspace.revoke_user(uuid, text) FROM PUBLIC;
