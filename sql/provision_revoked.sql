-- provision() again, after migrations took privileges away: they stay away.
CREATE EXTENSION mentalspace;
SET client_min_messages = warning;
SELECT count(*) > 0 AS provisioned FROM mentalspace.provision();
ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON TABLES FROM anon;
ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON FUNCTIONS FROM anon, authenticated, service_role;
REVOKE ALL ON storage.objects FROM anon;
REVOKE INSERT ON realtime.messages FROM authenticated;
REVOKE USAGE ON SCHEMA graphql_public FROM anon;
SELECT kind, object, state, detail FROM mentalspace.provision()
 WHERE state IN ('made', 'changed') OR detail LIKE '%taken%' ORDER BY 1, 2;
CREATE TABLE mine (id int);
CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1';
SELECT has_table_privilege('anon', 'mine', 'SELECT') AS anon, has_table_privilege('authenticated', 'mine', 'SELECT') AS authenticated,
       (SELECT proacl IS NULL FROM pg_proc WHERE oid = 'mine()'::regprocedure) AS function_has_only_the_servers_grant,
       has_table_privilege('anon', 'storage.objects', 'SELECT') AS objects,
       has_table_privilege('authenticated', 'realtime.messages', 'INSERT') AS messages,
       has_schema_privilege('anon', 'graphql_public', 'USAGE') AS graphql;
