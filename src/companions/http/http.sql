-- The types and functions of http.  A request within a transaction would hold it up for as long as the other side likes, and
-- a ROLLBACK would not call it back; pg_net queues requests, and is what Supabase recommends too.
CREATE DOMAIN http_method AS text;
COMMENT ON DOMAIN http_method IS 'method of a request';
CREATE TYPE http_header AS (field varchar, value varchar);
COMMENT ON TYPE http_header IS 'header of a request or response';
CREATE TYPE http_response AS (status integer, content_type varchar, headers http_header[], content varchar);
COMMENT ON TYPE http_response IS 'response';
CREATE TYPE http_request AS (method http_method, uri varchar, headers http_header[], content_type varchar, content varchar);
COMMENT ON TYPE http_request IS 'request';

CREATE FUNCTION http_unavailable() RETURNS http_response
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RAISE EXCEPTION 'requests within a transaction are not available'
        USING ERRCODE = 'feature_not_supported',
              DETAIL = 'The installed extension http is a companion of mentalspace that only accepts the name.',
              HINT = 'Use net.http_get, net.http_post or net.http_delete of the extension pg_net, which send after the commit.';
END
$$;
COMMENT ON FUNCTION http_unavailable() IS 'raises the error that says what this extension is';

CREATE FUNCTION http_get(uri varchar) RETURNS http_response
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    RETURN http_unavailable();
COMMENT ON FUNCTION http_get(varchar) IS 'raises an error: requests within a transaction are not available here';
CREATE FUNCTION http_get(uri varchar, data jsonb) RETURNS http_response
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    RETURN http_unavailable();
COMMENT ON FUNCTION http_get(varchar, jsonb) IS 'raises an error: requests within a transaction are not available here';
CREATE FUNCTION http_head(uri varchar) RETURNS http_response
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    RETURN http_unavailable();
COMMENT ON FUNCTION http_head(varchar) IS 'raises an error: requests within a transaction are not available here';
CREATE FUNCTION http_post(uri varchar, content varchar, content_type varchar) RETURNS http_response
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    RETURN http_unavailable();
COMMENT ON FUNCTION http_post(varchar, varchar, varchar) IS 'raises an error: requests within a transaction are not available here';
CREATE FUNCTION http_post(uri varchar, data jsonb) RETURNS http_response
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    RETURN http_unavailable();
COMMENT ON FUNCTION http_post(varchar, jsonb) IS 'raises an error: requests within a transaction are not available here';
CREATE FUNCTION http_put(uri varchar, content varchar, content_type varchar) RETURNS http_response
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    RETURN http_unavailable();
COMMENT ON FUNCTION http_put(varchar, varchar, varchar) IS 'raises an error: requests within a transaction are not available here';
CREATE FUNCTION http_patch(uri varchar, content varchar, content_type varchar) RETURNS http_response
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    RETURN http_unavailable();
COMMENT ON FUNCTION http_patch(varchar, varchar, varchar) IS 'raises an error: requests within a transaction are not available here';
CREATE FUNCTION http_delete(uri varchar) RETURNS http_response
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    RETURN http_unavailable();
COMMENT ON FUNCTION http_delete(varchar) IS 'raises an error: requests within a transaction are not available here';
CREATE FUNCTION http_delete(uri varchar, content varchar, content_type varchar) RETURNS http_response
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    RETURN http_unavailable();
COMMENT ON FUNCTION http_delete(varchar, varchar, varchar) IS 'raises an error: requests within a transaction are not available here';
CREATE FUNCTION http(request http_request) RETURNS http_response
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    RETURN http_unavailable();
COMMENT ON FUNCTION http(http_request) IS 'raises an error: requests within a transaction are not available here';

CREATE FUNCTION http_set_curlopt(curlopt varchar, value varchar) RETURNS boolean
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    RETURN (http_unavailable()) IS NULL;
COMMENT ON FUNCTION http_set_curlopt(varchar, varchar) IS 'raises an error: requests within a transaction are not available here';
CREATE FUNCTION http_reset_curlopt() RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN true;
COMMENT ON FUNCTION http_reset_curlopt() IS 'does nothing';
CREATE FUNCTION http_list_curlopt() RETURNS TABLE (curlopt text, value text)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    BEGIN ATOMIC SELECT NULL::text, NULL::text WHERE false; END;
COMMENT ON FUNCTION http_list_curlopt() IS 'no rows: there are no options here';

-- These need no network, and work.
CREATE FUNCTION http_header(field varchar, value varchar) RETURNS http_header
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ROW(field, value)::http_header;
COMMENT ON FUNCTION http_header(varchar, varchar) IS 'a header';
CREATE FUNCTION http_headers(VARIADIC args text[]) RETURNS http_header[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    BEGIN ATOMIC
        SELECT pg_catalog.array_agg(ROW(args[i], args[i + 1])::http_header ORDER BY i)
          FROM pg_catalog.generate_series(1, pg_catalog.array_length(args, 1), 2) AS i;
    END;
COMMENT ON FUNCTION http_headers(text[]) IS 'headers of name, value, name, value and so on';
CREATE FUNCTION text_to_bytea(data text) RETURNS bytea
    LANGUAGE sql STABLE PARALLEL SAFE STRICT
    RETURN pg_catalog.convert_to(data, pg_catalog.getdatabaseencoding());
COMMENT ON FUNCTION text_to_bytea(text) IS 'the bytes of a text';
CREATE FUNCTION bytea_to_text(data bytea) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE STRICT
    RETURN pg_catalog.convert_from(data, pg_catalog.getdatabaseencoding());
COMMENT ON FUNCTION bytea_to_text(bytea) IS 'the text of bytes';
CREATE FUNCTION urlencode(string bytea) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
    BEGIN ATOMIC
        SELECT coalesce(pg_catalog.string_agg(
                   CASE WHEN b BETWEEN 48 AND 57 OR b BETWEEN 65 AND 90 OR b BETWEEN 97 AND 122 OR b IN (45, 46, 95, 126)
                        THEN pg_catalog.chr(b)
                        ELSE '%' || pg_catalog.upper(pg_catalog.lpad(pg_catalog.to_hex(b), 2, '0')) END, '' ORDER BY i), '')
          FROM pg_catalog.generate_series(0, pg_catalog.length(string) - 1) AS i, pg_catalog.get_byte(string, i) AS b;
    END;
COMMENT ON FUNCTION urlencode(bytea) IS 'percent-encoding (RFC 3986 section 2.1)';
CREATE FUNCTION urlencode(string varchar) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
    RETURN urlencode(pg_catalog.convert_to(string::text, 'UTF8'));
COMMENT ON FUNCTION urlencode(varchar) IS 'percent-encoding (RFC 3986 section 2.1) of a text in UTF-8';
CREATE FUNCTION urlencode(data jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
    BEGIN ATOMIC
        SELECT pg_catalog.string_agg(urlencode(e.key::varchar) || '=' || urlencode(e.value::varchar), '&')
          FROM pg_catalog.jsonb_each_text(data) AS e;
    END;
COMMENT ON FUNCTION urlencode(jsonb) IS 'the members of an object as the query of a URL';
