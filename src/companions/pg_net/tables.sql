-- The outbox and what came of it.  Both are logged tables, unlike pg_net's: what was accepted survives a crash.  Neither is
-- in pg_dump's output: a copy of the database must not send the original's requests.
CREATE DOMAIN net.http_method AS text CHECK (upper(value) IN ('GET', 'POST', 'DELETE'));
COMMENT ON DOMAIN net.http_method IS 'GET, POST or DELETE';

CREATE TABLE net.http_request_queue (
    id bigserial PRIMARY KEY,
    method net.http_method NOT NULL,
    url text NOT NULL,
    headers jsonb,
    body bytea,
    timeout_milliseconds integer NOT NULL,
    idempotency_key uuid NOT NULL DEFAULT pg_catalog.gen_random_uuid(),
    created timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE net.http_request_queue IS 'requests that are not delivered yet';
COMMENT ON COLUMN net.http_request_queue.idempotency_key IS 'sent as header Idempotency-Key: the same if a request is sent twice';

CREATE TABLE net._http_response (
    id bigint,
    status_code integer,
    content_type text,
    headers jsonb,
    content text,
    timed_out boolean,
    error_msg text,
    created timestamptz NOT NULL DEFAULT pg_catalog.now()
);
CREATE INDEX _http_response_id_idx ON net._http_response (id);
CREATE INDEX _http_response_created_idx ON net._http_response (created);
COMMENT ON TABLE net._http_response IS 'what came of requests: written by delivery only; deleted after pg_net.ttl';
