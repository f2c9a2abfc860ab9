-- Companions that only accept a name: made, moved, dropped, made again, and what they say.
\set SHOW_CONTEXT never
CREATE SCHEMA extensions;
CREATE SCHEMA elsewhere;
CREATE SCHEMA graphql;
CREATE SCHEMA pgsodium;
CREATE EXTENSION IF NOT EXISTS "hypopg" WITH SCHEMA "extensions";
CREATE EXTENSION IF NOT EXISTS "index_advisor" WITH SCHEMA "extensions";
CREATE EXTENSION IF NOT EXISTS "http" WITH SCHEMA "extensions";
CREATE EXTENSION IF NOT EXISTS "pg_graphql" WITH SCHEMA "graphql";
CREATE EXTENSION IF NOT EXISTS "pg_jsonschema" WITH SCHEMA "extensions";
CREATE EXTENSION IF NOT EXISTS "pg_stat_monitor" WITH SCHEMA "extensions";
CREATE EXTENSION IF NOT EXISTS "pg_hashids" WITH SCHEMA "extensions";
CREATE EXTENSION IF NOT EXISTS "pgsodium" WITH SCHEMA "pgsodium";
CREATE EXTENSION IF NOT EXISTS "wrappers" WITH SCHEMA "extensions";
SELECT e.extname, e.extversion ~ '-mentalspace$' AS ours, obj_description(e.oid, 'pg_extension') AS comment
  FROM pg_extension e WHERE e.extname <> 'plpgsql' ORDER BY 1;

-- What each says when it is called.
SET search_path = public, extensions;
SELECT * FROM hypopg_create_index('CREATE INDEX ON t (a)');
SELECT * FROM hypopg_list_indexes();
SELECT hypopg_reset();
SELECT * FROM index_advisor('SELECT 1');
SELECT status FROM extensions.http_get('http://example.invalid/');
SELECT content FROM http_post('http://example.invalid/', '{}', 'application/json');
SELECT content FROM http(('POST', 'http://example.invalid/', ARRAY[http_header('Authorization', 'Bearer x')], 'application/json', '{}')::http_request);
SELECT http_set_curlopt('CURLOPT_TIMEOUT', '1');
SELECT graphql.resolve('{ __typename }');
SELECT graphql_public.graphql(query := '{ __typename }');
SELECT jsonb_matches_schema('{"type": "object"}', '{}');
SELECT jsonschema_validation_errors('{"type": "object"}', '{}');
CREATE TABLE checked (a jsonb CHECK (jsonb_matches_schema('{"type": "object"}', a)));
INSERT INTO checked VALUES ('{}');
SELECT pg_stat_monitor_reset();
SELECT id_encode(1);
SELECT id_decode('x', 'salt');
SELECT pgsodium.create_key();
SELECT wrappers_unavailable();

-- What of http needs no network.
SELECT http_header('a', 'b'), http_headers('a', '1', 'b', '2'), urlencode('a b&ü/~'), urlencode('{"q": "a b", "n": 1}'::jsonb), urlencode('\x00ff'::bytea), urlencode('');
SELECT text_to_bytea('ü'), bytea_to_text(text_to_bytea('ü'));
SELECT method, uri, content FROM (SELECT (('GET', 'u', NULL, NULL, NULL)::http_request).*) r;

-- Moved.
ALTER EXTENSION http SET SCHEMA elsewhere;
SELECT status FROM elsewhere.http_get('http://example.invalid/');
SELECT elsewhere.urlencode('{"q": "a b"}'::jsonb);
ALTER EXTENSION pg_hashids SET SCHEMA elsewhere;
SELECT elsewhere.id_encode(ARRAY[1, 2]);

-- Dropped, made again.
DROP TABLE checked;
DROP EXTENSION "pg_graphql";
DROP EXTENSION IF EXISTS http;
DROP EXTENSION hypopg, index_advisor, pg_jsonschema, pg_stat_monitor, pg_hashids, pgsodium, wrappers;
CREATE EXTENSION http WITH SCHEMA extensions;
CREATE EXTENSION pg_graphql;
SELECT to_regnamespace('graphql') AS graphql, to_regnamespace('graphql_public') AS graphql_public;
