-- pg_hashids' functions by name and signature.
CREATE FUNCTION hashids_unavailable() RETURNS text
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RAISE EXCEPTION 'hashids are not available'
        USING ERRCODE = 'feature_not_supported',
              DETAIL = 'The installed extension pg_hashids is a companion of mentalspace that only accepts the name.',
              HINT = 'Install the extension pg_hashids, or use uuid keys.';
END
$$;
COMMENT ON FUNCTION hashids_unavailable() IS 'raises the error that says what this extension is';
CREATE FUNCTION id_encode(number bigint) RETURNS text
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    RETURN hashids_unavailable();
COMMENT ON FUNCTION id_encode(bigint) IS 'raises an error: hashids are not available here';
CREATE FUNCTION id_encode(number bigint, salt text) RETURNS text
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    RETURN hashids_unavailable();
COMMENT ON FUNCTION id_encode(bigint, text) IS 'raises an error: hashids are not available here';
CREATE FUNCTION id_encode(number bigint, salt text, min_length integer) RETURNS text
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    RETURN hashids_unavailable();
COMMENT ON FUNCTION id_encode(bigint, text, integer) IS 'raises an error: hashids are not available here';
CREATE FUNCTION id_encode(number bigint, salt text, min_length integer, alphabet text) RETURNS text
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    RETURN hashids_unavailable();
COMMENT ON FUNCTION id_encode(bigint, text, integer, text) IS 'raises an error: hashids are not available here';
CREATE FUNCTION id_encode(numbers bigint[]) RETURNS text
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    RETURN hashids_unavailable();
COMMENT ON FUNCTION id_encode(bigint[]) IS 'raises an error: hashids are not available here';
CREATE FUNCTION id_encode(numbers bigint[], salt text) RETURNS text
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    RETURN hashids_unavailable();
COMMENT ON FUNCTION id_encode(bigint[], text) IS 'raises an error: hashids are not available here';
CREATE FUNCTION id_encode(numbers bigint[], salt text, min_length integer) RETURNS text
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    RETURN hashids_unavailable();
COMMENT ON FUNCTION id_encode(bigint[], text, integer) IS 'raises an error: hashids are not available here';
CREATE FUNCTION id_encode(numbers bigint[], salt text, min_length integer, alphabet text) RETURNS text
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    RETURN hashids_unavailable();
COMMENT ON FUNCTION id_encode(bigint[], text, integer, text) IS 'raises an error: hashids are not available here';
CREATE FUNCTION id_decode(hash text) RETURNS bigint[]
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    RETURN ARRAY[hashids_unavailable()::bigint];
COMMENT ON FUNCTION id_decode(text) IS 'raises an error: hashids are not available here';
CREATE FUNCTION id_decode(hash text, salt text) RETURNS bigint[]
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    RETURN ARRAY[hashids_unavailable()::bigint];
COMMENT ON FUNCTION id_decode(text, text) IS 'raises an error: hashids are not available here';
CREATE FUNCTION id_decode(hash text, salt text, min_length integer) RETURNS bigint[]
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    RETURN ARRAY[hashids_unavailable()::bigint];
COMMENT ON FUNCTION id_decode(text, text, integer) IS 'raises an error: hashids are not available here';
CREATE FUNCTION id_decode(hash text, salt text, min_length integer, alphabet text) RETURNS bigint[]
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    RETURN ARRAY[hashids_unavailable()::bigint];
COMMENT ON FUNCTION id_decode(text, text, integer, text) IS 'raises an error: hashids are not available here';
CREATE FUNCTION id_decode_once(hash text) RETURNS bigint
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    RETURN hashids_unavailable()::bigint;
COMMENT ON FUNCTION id_decode_once(text) IS 'raises an error: hashids are not available here';
CREATE FUNCTION id_decode_once(hash text, salt text) RETURNS bigint
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    RETURN hashids_unavailable()::bigint;
COMMENT ON FUNCTION id_decode_once(text, text) IS 'raises an error: hashids are not available here';
CREATE FUNCTION id_decode_once(hash text, salt text, min_length integer) RETURNS bigint
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    RETURN hashids_unavailable()::bigint;
COMMENT ON FUNCTION id_decode_once(text, text, integer) IS 'raises an error: hashids are not available here';
CREATE FUNCTION id_decode_once(hash text, salt text, min_length integer, alphabet text) RETURNS bigint
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    RETURN hashids_unavailable()::bigint;
COMMENT ON FUNCTION id_decode_once(text, text, integer, text) IS 'raises an error: hashids are not available here';
