-- What came of requests.  These functions run with the rights of their caller, who must be allowed to read the tables.
CREATE TYPE net.request_status AS ENUM ('PENDING', 'SUCCESS', 'ERROR');
CREATE TYPE net.http_response AS (status_code integer, headers jsonb, body text);
CREATE TYPE net.http_response_result AS (status net.request_status, message text, response net.http_response);
COMMENT ON TYPE net.request_status IS 'PENDING: queued; SUCCESS: there is an answer, of any status code; ERROR: there is none';
COMMENT ON TYPE net.http_response IS 'an answer to a request';
COMMENT ON TYPE net.http_response_result IS 'what came of a request';

CREATE FUNCTION net._await_response(request_id bigint) RETURNS boolean
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    WHILE NOT EXISTS (SELECT FROM net._http_response r WHERE r.id = request_id) LOOP
        -- The order matters: delivery writes the response and deletes the request at the same time.
        IF EXISTS (SELECT FROM net.http_request_queue q WHERE q.id = request_id AND q.xmin = pg_current_xact_id_if_assigned()::xid) THEN
            RAISE EXCEPTION 'request % is not sent before the transaction commits', request_id USING ERRCODE = 'object_not_in_prerequisite_state';
        END IF;
        IF NOT EXISTS (SELECT FROM net.http_request_queue q WHERE q.id = request_id) THEN
            RETURN EXISTS (SELECT FROM net._http_response r WHERE r.id = request_id);
        END IF;
        PERFORM pg_sleep(0.05);
    END LOOP;
    RETURN true;
END
$$;
COMMENT ON FUNCTION net._await_response(bigint) IS 'waits until a request has its response; false if there is no such request';

CREATE FUNCTION net._http_collect_response(request_id bigint, async boolean DEFAULT true) RETURNS net.http_response_result
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    found_response net._http_response;
BEGIN
    IF NOT async THEN
        PERFORM net._await_response(request_id);
    END IF;
    SELECT * INTO found_response FROM net._http_response r WHERE r.id = request_id ORDER BY r.created LIMIT 1;
    IF FOUND AND found_response.error_msg IS NULL THEN
        RETURN ROW('SUCCESS', 'ok', ROW(found_response.status_code, found_response.headers, found_response.content)::net.http_response)::net.http_response_result;
    ELSIF FOUND THEN
        RETURN ROW('ERROR', found_response.error_msg, NULL)::net.http_response_result;
    ELSIF EXISTS (SELECT FROM net.http_request_queue q WHERE q.id = request_id) THEN
        RETURN ROW('PENDING', 'request is queued', NULL)::net.http_response_result;
    END IF;
    RETURN ROW('ERROR', 'request matching request_id not found', NULL)::net.http_response_result;
END
$$;
COMMENT ON FUNCTION net._http_collect_response(bigint, boolean) IS 'what came of a request; waits for it unless async';

CREATE FUNCTION net.http_collect_response(request_id bigint, async boolean DEFAULT true) RETURNS net.http_response_result
    LANGUAGE sql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$ SELECT net._http_collect_response(request_id, async) $$;
COMMENT ON FUNCTION net.http_collect_response(bigint, boolean) IS 'what came of a request; waits for it unless async';

CREATE FUNCTION net.check_worker_is_up() RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.application_name = 'mentalspace-outbox' AND a.datname = current_database()) THEN
        RAISE EXCEPTION 'no mentalspace-outbox is connected to this database'
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Requests stay in net.http_request_queue until one is.';
    END IF;
END
$$;
COMMENT ON FUNCTION net.check_worker_is_up() IS 'raises an error if no mentalspace-outbox is connected';

CREATE FUNCTION net._delete_expired_responses(ttl interval DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    deleted bigint;
BEGIN
    DELETE FROM net._http_response r
     WHERE r.created < now() - coalesce(ttl, nullif(current_setting('pg_net.ttl', true), '')::interval, '6 hours');
    GET DIAGNOSTICS deleted = ROW_COUNT;
    RETURN deleted;
END
$$;
COMMENT ON FUNCTION net._delete_expired_responses(interval) IS
    'deletes responses older than ttl, or than the setting pg_net.ttl, or than six hours; returns how many';
