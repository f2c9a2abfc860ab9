-- http_get(), http_post() and http_delete(): put a request into the outbox, with the rights of the extension's owner.
CREATE FUNCTION net._urlencode_string(string varchar) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
    -- RFC 3986, section 2.3: what need not be encoded.
    SELECT coalesce(string_agg(CASE WHEN get_byte(b, i) < 128 AND chr(greatest(get_byte(b, i), 1)) ~ '[A-Za-z0-9._~-]'
                                    THEN chr(get_byte(b, i)) ELSE '%' || upper(lpad(to_hex(get_byte(b, i)), 2, '0')) END, '' ORDER BY i), '')
      FROM (SELECT convert_to(string, 'UTF8') AS b) AS bytes, generate_series(0, length(b) - 1) AS i
    $$;
COMMENT ON FUNCTION net._urlencode_string(varchar) IS 'percent-encodes all but unreserved characters (RFC 3986)';

CREATE FUNCTION net._encode_url_with_params_array(url text, params_array text[]) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT CASE WHEN cardinality(params_array) = 0 THEN url
        ELSE base || CASE WHEN base ~ '[?&]$' THEN '' WHEN base LIKE '%?%' THEN '&' ELSE '?' END
             || array_to_string(params_array, '&') || coalesce(substr(url, length(base) + 1), '') END
      FROM split_part(url, '#', 1) AS base
    $$;
COMMENT ON FUNCTION net._encode_url_with_params_array(text, text[]) IS 'adds encoded parameters to the query of a URL';

CREATE FUNCTION net.wake() RETURNS void
    LANGUAGE sql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$ SELECT pg_notify('mentalspace_outbox', '') $$;
COMMENT ON FUNCTION net.wake() IS 'tells mentalspace-outbox to look at the queue, when the transaction commits';

-- Refuses what cannot be sent as it is meant: another scheme, control characters, headers that would break the request.
CREATE FUNCTION net._enqueue(method text, url text, params jsonb, headers jsonb, body jsonb, timeout_milliseconds integer)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    full_url text;
    request_id bigint;
    header record;
BEGIN
    params := coalesce(params, '{}');
    headers := coalesce(headers, '{}');
    IF jsonb_typeof(params) <> 'object' OR jsonb_typeof(headers) <> 'object' THEN
        RAISE EXCEPTION 'params and headers must be JSON objects' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF url IS NULL THEN
        RAISE EXCEPTION 'url must not be null' USING ERRCODE = 'not_null_violation';
    END IF;
    -- The URL itself is not shown: it may hold a key.
    IF url !~* '^https?://[^][:space:][:cntrl:]/?#\\@]' OR url ~ '[[:space:][:cntrl:]]' THEN
        RAISE EXCEPTION 'invalid url: it must begin with http:// or https:// and a host, and hold no spaces or control characters'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF substring(url FROM '^[^:]+://([^/?#\\]*)') LIKE '%@%' THEN
        RAISE EXCEPTION 'invalid url: it must not hold a user name' USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Use the header Authorization.';
    END IF;
    IF timeout_milliseconds IS NULL OR timeout_milliseconds NOT BETWEEN 1 AND 600000 THEN
        RAISE EXCEPTION 'timeout_milliseconds must be between 1 and 600000' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    FOR header IN SELECT h.key, h.value FROM jsonb_each_text(headers) h LOOP
        -- RFC 9110, sections 5.1 and 5.5
        IF header.key !~ '^[A-Za-z0-9!#$%&''*+.^_`|~-]+$' OR header.value ~ '[\x01-\x08\x0a-\x1f\x7f]' THEN
            RAISE EXCEPTION 'invalid header "%"', header.key USING ERRCODE = 'invalid_parameter_value';
        END IF;
        IF lower(header.key) IN ('content-length', 'transfer-encoding', 'connection', 'host') THEN
            RAISE EXCEPTION 'header "%" cannot be set', header.key USING ERRCODE = 'invalid_parameter_value',
                DETAIL = 'The delivery of the request determines it.';
        END IF;
    END LOOP;
    full_url := net._encode_url_with_params_array(url,
        ARRAY(SELECT net._urlencode_string(p.key) || '=' || coalesce(net._urlencode_string(p.value), '') FROM jsonb_each_text(params) p));
    INSERT INTO net.http_request_queue AS q (method, url, headers, body, timeout_milliseconds)
        VALUES (_enqueue.method, full_url, _enqueue.headers, convert_to(_enqueue.body::text, 'UTF8'), _enqueue.timeout_milliseconds)
        RETURNING q.id INTO request_id;
    PERFORM net.wake();
    RETURN request_id;
END
$$;
COMMENT ON FUNCTION net._enqueue(text, text, jsonb, jsonb, jsonb, integer) IS 'checks a request and puts it into the outbox; returns its id';

CREATE FUNCTION net.http_get(url text, params jsonb DEFAULT '{}', headers jsonb DEFAULT '{}', timeout_milliseconds integer DEFAULT 5000)
    RETURNS bigint
    LANGUAGE sql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$ SELECT net._enqueue('GET', url, params, headers, NULL, timeout_milliseconds) $$;
COMMENT ON FUNCTION net.http_get(text, jsonb, jsonb, integer) IS 'queues a GET request, to be sent after the commit; returns its id';

CREATE FUNCTION net.http_post(url text, body jsonb DEFAULT '{}', params jsonb DEFAULT '{}',
                              headers jsonb DEFAULT '{"Content-Type": "application/json"}', timeout_milliseconds integer DEFAULT 5000)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    content_type text;
BEGIN
    headers := coalesce(headers, '{}');
    IF jsonb_typeof(headers) = 'object' THEN
        SELECT h.value INTO content_type FROM jsonb_each_text(headers) h WHERE lower(h.key) = 'content-type' LIMIT 1;
        IF content_type IS NULL THEN
            headers := headers || '{"Content-Type": "application/json"}';
        ELSIF content_type <> 'application/json' THEN
            RAISE EXCEPTION 'Content-Type header must be "application/json"' USING ERRCODE = 'invalid_parameter_value';
        END IF;
    END IF;
    RETURN net._enqueue('POST', url, params, headers, body, timeout_milliseconds);
END
$$;
COMMENT ON FUNCTION net.http_post(text, jsonb, jsonb, jsonb, integer) IS
    'queues a POST request with a JSON body, to be sent after the commit; returns its id';

CREATE FUNCTION net.http_delete(url text, params jsonb DEFAULT '{}', headers jsonb DEFAULT '{}',
                                timeout_milliseconds integer DEFAULT 5000, body jsonb DEFAULT NULL)
    RETURNS bigint
    LANGUAGE sql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$ SELECT net._enqueue('DELETE', url, params, headers, body, timeout_milliseconds) $$;
COMMENT ON FUNCTION net.http_delete(text, jsonb, jsonb, integer, jsonb) IS
    'queues a DELETE request, to be sent after the commit; returns its id';
