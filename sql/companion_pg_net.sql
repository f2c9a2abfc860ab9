-- The companion pg_net: what goes into the outbox, what does not, and who sees it.  Delivery: test/tap/outbox.pl.
\set SHOW_CONTEXT never
CREATE EXTENSION mentalspace;
CREATE ROLE service_role;
CREATE ROLE regress_user;
GRANT service_role, regress_user TO CURRENT_USER;
CREATE EXTENSION pg_net WITH SCHEMA public;
COMMENT ON EXTENSION pg_net IS 'a comment of the user''s own';
CREATE VIEW queue AS SELECT id, method, url, headers, convert_from(body, 'UTF8') AS body, timeout_milliseconds AS ms
  FROM net.http_request_queue ORDER BY id;

-- As projects call it, as a user without rights on the tables.
SET ROLE regress_user;
SELECT net.http_get('https://example.org');
SELECT net.http_get('https://example.org/a?b=1#top', params := '{"q": "ä &=?", "n": 1}');
SELECT net.http_post(url := 'https://example.org/functions/v1/hello', headers := '{"Content-Type": "application/json"}'::jsonb, body := '{"a": 1}'::jsonb);
SELECT net.http_post('https://example.org/', '{"name": "Jürgen"}', headers := '{"Authorization": "Bearer x"}', timeout_milliseconds := 10000);
SELECT net.http_post(url := 'http://localhost:8080/', body := '[]', params := NULL, headers := NULL);
SELECT net.http_delete('HTTPS://[::1]:8443/x', body := '{"b": 2}');
RESET ROLE;
TABLE queue;
SELECT count(DISTINCT idempotency_key) AS keys FROM net.http_request_queue;

-- Nothing is sent, or said to be sent, by the database itself.
SELECT count(*) AS responses FROM net._http_response;
SELECT * FROM net.http_collect_response(1);
SELECT * FROM net.http_collect_response(4711);
SELECT net._await_response(4711);
SELECT net.check_worker_is_up();
BEGIN;
SELECT net.http_get('https://example.org') AS id \gset
SELECT net._await_response(:id);
ROLLBACK;
-- A request that is rolled back was never made.
SELECT count(*) FROM net.http_request_queue;

-- What is refused.
SELECT net.http_get(NULL);
SELECT net.http_get('ftp://example.org');
SELECT net.http_get('file:///etc/passwd');
SELECT net.http_get('example.org');
SELECT net.http_get('http://');
SELECT net.http_get('http:///path');
SELECT net.http_get('http://exa mple.org/');
SELECT net.http_get(E'http://example.org/\r\nX: y');
SELECT net.http_get(E'http://example.org/\n');
SELECT net.http_get('http://example.org@evil.example/');
SELECT net.http_get('https://example.org', headers := '{"X\r\nY": "z"}');
SELECT net.http_get('https://example.org', headers := '{"X": "a\r\nY: z"}');
SELECT net.http_get('https://example.org', headers := '{"": "a"}');
SELECT net.http_get('https://example.org', headers := '{"Transfer-Encoding": "chunked"}');
SELECT net.http_get('https://example.org', headers := '["X"]');
SELECT net.http_get('https://example.org', params := '1');
SELECT net.http_get('https://example.org', timeout_milliseconds := 0);
SELECT net.http_get('https://example.org', timeout_milliseconds := NULL);
SELECT net.http_post('https://example.org', headers := '{"content-type": "text/plain"}');
INSERT INTO net.http_request_queue (method, url, timeout_milliseconds) VALUES ('PATCH', 'https://example.org', 1);

-- Who sees it.
SET ROLE regress_user;
SELECT * FROM net.http_request_queue;
SELECT * FROM net._http_response;
SELECT net.http_collect_response(1);
SELECT net._enqueue('GET', 'https://example.org', NULL, NULL, NULL, 1);
INSERT INTO net._http_response (id) VALUES (1);
SET ROLE service_role;
SELECT count(*) FROM net.http_request_queue;
SELECT count(*) FROM net._http_response;
DELETE FROM net._http_response;
RESET ROLE;

-- Responses: as delivery writes them.
INSERT INTO net._http_response (id, status_code, content_type, headers, content, timed_out)
    VALUES (1, 200, 'text/plain', '{"content-type": "text/plain"}', 'hello', false);
INSERT INTO net._http_response (id, timed_out, error_msg, created) VALUES (2, true, 'Timeout was reached', now() - interval '7 hours');
SELECT status, message, (response).* FROM net.http_collect_response(1, async := false);
SELECT * FROM net.http_collect_response(2);
SET pg_net.ttl = '8 hours';
SELECT net._delete_expired_responses();
RESET pg_net.ttl;
SELECT net._delete_expired_responses();
SELECT net._delete_expired_responses('-1 hour');

-- The encoders.
SELECT net._urlencode_string('aZ09-._~ /?&=+%ä€') AS encoded, net._urlencode_string('') = '' AS empty;
SELECT net._encode_url_with_params_array(u, ARRAY['a=1', 'b=2'])
  FROM unnest(ARRAY['http://x', 'http://x/', 'http://x/?', 'http://x/?c=3', 'http://x/?c=3&', 'http://x/#f', 'http://x/?c#f#g']) AS u;

-- DROP, and CREATE again; pg_dump takes no rows.
DROP EXTENSION pg_net CASCADE;
CREATE EXTENSION pg_net;
SELECT net.http_get('https://example.org');
SELECT extconfig IS NULL AS no_rows_dumped FROM pg_extension WHERE extname = 'pg_net';
