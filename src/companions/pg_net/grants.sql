-- Requests and responses hold keys and patients' data: nobody sees them but the owner, and service_role where it exists.
REVOKE ALL ON net.http_request_queue, net._http_response FROM PUBLIC;
REVOKE ALL ON SEQUENCE net.http_request_queue_id_seq FROM PUBLIC;
REVOKE ALL ON FUNCTION net._enqueue(text, text, jsonb, jsonb, jsonb, integer) FROM PUBLIC;
DO $$
BEGIN
    IF pg_catalog.to_regrole('service_role') IS NOT NULL THEN
        GRANT SELECT ON net.http_request_queue, net._http_response TO service_role;
    END IF;
    -- The schema may be somebody else's, who then grants it.
    IF pg_catalog.pg_has_role((SELECT n.nspowner FROM pg_catalog.pg_namespace n WHERE n.nspname = 'net'), 'USAGE') THEN
        GRANT USAGE ON SCHEMA net TO PUBLIC;
    END IF;
END
$$;
