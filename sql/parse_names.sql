-- parse_sql() in the native flavour: the names that statements make, drop and need.
CREATE EXTENSION mentalspace;
CREATE FUNCTION names(sql text) RETURNS TABLE (statement int, line int, "position" int, action text, kind text, name text, detail text)
    LANGUAGE sql AS $$
    SELECT statement, line, "position", action, kind, array_to_string(name, '.'), detail FROM mentalspace.parse_sql(sql)
     WHERE kind <> 'type' OR name[1] <> 'pg_catalog'
$$;

SELECT * FROM names($$
CREATE TABLE IF NOT EXISTS app.clients (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    owner uuid REFERENCES auth.users ON DELETE CASCADE DEFAULT auth.uid(),
    parent uuid REFERENCES app.clients,
    kind client_kind[] CHECK (is_kind(kind)),
    LIKE app.template
);
CREATE INDEX clients_kind ON app.clients (lower(name)) WHERE owner = auth.uid();$$);

-- Names of a WITH clause, aliases and OLD, NEW are no tables.
SELECT * FROM names($$WITH q AS (SELECT * FROM t1), r AS (SELECT * FROM q) SELECT f(x.a) FROM q x JOIN r ON true FOR UPDATE OF x$$);
SELECT * FROM names($$INSERT INTO t2 SELECT * FROM t3 ON CONFLICT DO NOTHING; UPDATE t4 SET a = g() FROM t5; DELETE FROM t6 USING t7$$);
SELECT * FROM names($$SELECT 1 INTO t8 FROM t9; CREATE VIEW v AS SELECT * FROM t10; CREATE TABLE t11 AS SELECT * FROM t12$$);

-- Functions: what LANGUAGE sql needs to be made, and nothing of PL/pgSQL's body.
SELECT * FROM names($$CREATE OR REPLACE FUNCTION has_role(_user_id uuid, _role app_role, x t.c%TYPE) RETURNS SETOF t13 LANGUAGE sql
    AS 'SELECT EXISTS (SELECT 1 FROM user_roles WHERE user_id = _user_id)'$$);
SELECT * FROM names($$CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT g(); SELECT a FROM t14; END;
CREATE FUNCTION h() RETURNS int RETURN g2()$$);
SELECT * FROM names($$CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO nowhere VALUES (1); END'$$);
SELECT * FROM names($$CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELEC 1'$$);

-- What is there no more, moves, or may be missing.
SELECT * FROM names($$DROP TABLE IF EXISTS a CASCADE; DROP TABLE b; DROP POLICY IF EXISTS p ON c; DROP POLICY p ON c;
DROP FUNCTION f(int); ALTER TABLE IF EXISTS d ADD COLUMN x int; ALTER TABLE e RENAME TO e2; ALTER TABLE e2 SET SCHEMA s;
ALTER TYPE y RENAME TO y2; DROP ROLE IF EXISTS r1, r2; ALTER TABLE g RENAME COLUMN a TO b; DROP SCHEMA s$$);

-- Roles, privileges, policies, triggers, publications, extensions, comments.
SELECT * FROM names($$GRANT SELECT ON t, s.u TO anon, PUBLIC; GRANT EXECUTE ON FUNCTION f(int) TO service_role;
GRANT USAGE ON SCHEMA auth TO authenticated; REVOKE ALL ON ALL TABLES IN SCHEMA app FROM anon;
ALTER DEFAULT PRIVILEGES FOR ROLE owner1 IN SCHEMA app GRANT SELECT ON TABLES TO anon; ALTER TABLE t OWNER TO owner2;
CREATE ROLE r; GRANT anon TO authenticator; ALTER ROLE authenticator SET a = 1;
CREATE POLICY p ON storage.objects FOR SELECT TO authenticated USING (bucket_id = 'x' AND (storage.foldername(name))[1] = auth.uid()::text);
CREATE TRIGGER t AFTER INSERT ON auth.users FOR EACH ROW WHEN (NEW.a = f()) EXECUTE FUNCTION public.handle_new_user();
ALTER PUBLICATION supabase_realtime ADD TABLE messages; CREATE PUBLICATION p FOR TABLES IN SCHEMA app;
CREATE EXTENSION IF NOT EXISTS pg_cron WITH SCHEMA extensions; COMMENT ON COLUMN s.t.c IS 'x'; COMMENT ON FUNCTION f(int) IS 'x'$$);
SELECT * FROM names($$CREATE TYPE app_role AS ENUM ('a'); ALTER TYPE app_role ADD VALUE 'b'; CREATE TYPE pair AS (a int, b other);
CREATE DOMAIN email AS citext CHECK (valid(VALUE)); CREATE SEQUENCE s1; CREATE SCHEMA app CREATE TABLE inner_table (a int);
CREATE MATERIALIZED VIEW m AS SELECT 1; REFRESH MATERIALIZED VIEW m2; TRUNCATE t1, t2; CALL proc(f())$$);

-- Positions count characters; an error is one row, and positions are of the text.
SELECT * FROM names(E'SELECT \'\u00e9\u00e9\';\n\nSELECT * FROM \u00e9\u00e9.t');
SELECT * FROM names(E'SELECT 1;\nSELECT \u00e9\u00e9 FROM (;');
SELECT DISTINCT grantee::regrole FROM pg_proc, aclexplode(coalesce(proacl, acldefault('f', proowner)))
 WHERE oid = 'mentalspace.parse_sql(text)'::regprocedure AND grantee = 0;
