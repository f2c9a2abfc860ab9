-- EXPLAIN and its relatives show no key that a subquery of a policy gave.
CREATE EXTENSION mentalspace;
CREATE ROLE app_user;
GRANT USAGE ON SCHEMA auth, mentalspace, public TO app_user;
CREATE TABLE assigned (user_id uuid, client int);
INSERT INTO assigned SELECT '00000000-0000-0000-0000-000000000001', 70000 + i FROM generate_series(1, 12) AS i;
CREATE TABLE clients (id int PRIMARY KEY, name text, org int);
INSERT INTO clients SELECT 70000 + i, 'x', i % 10 FROM generate_series(1, 3000) AS i;
CREATE TABLE notes (id int, client int, body text) PARTITION BY RANGE (id);
CREATE TABLE notes_1 PARTITION OF notes FOR VALUES FROM (0) TO (1000);
CREATE TABLE notes_2 PARTITION OF notes FOR VALUES FROM (1000) TO (5000);
INSERT INTO notes SELECT i, 70000 + i, 'x' FROM generate_series(1, 3000) AS i;
CREATE INDEX ON notes (client);
ANALYZE;
ALTER TABLE clients ENABLE ROW LEVEL SECURITY;
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON clients USING (id IN (SELECT client FROM assigned WHERE user_id = auth.uid()));
CREATE POLICY p ON notes USING (EXISTS (SELECT FROM assigned a WHERE a.client = notes.client AND a.user_id = auth.uid()) OR client::bigint IN (SELECT client::bigint FROM assigned WHERE user_id = auth.uid()));
GRANT ALL ON clients, notes, notes_1 TO app_user;
-- of a table that the reader may not read, through a view
CREATE ROLE app_owner;
GRANT USAGE ON SCHEMA auth, mentalspace, public TO app_owner;
GRANT ALL ON clients, assigned, notes TO app_owner;
CREATE VIEW clients_view AS SELECT * FROM clients;
CREATE VIEW notes_view AS SELECT * FROM notes;
ALTER VIEW clients_view OWNER TO app_owner;
ALTER VIEW notes_view OWNER TO app_owner;
GRANT ALL ON clients_view, notes_view TO app_user;

-- what is shown of keys
CREATE FUNCTION public.shown(statement text, options text DEFAULT 'COSTS OFF') RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
    FOR line IN EXECUTE format('EXPLAIN (%s) %s', options, statement) LOOP
        IF line ~ '\m700[0-9][0-9]\M|keys of' THEN RETURN NEXT coalesce(substring(line FROM '\m700[0-9][0-9]\M'), 'only that there are keys'); END IF;
    END LOOP;
END $$;
SET request.jwt.claims = '{"sub": "00000000-0000-0000-0000-000000000001"}';
GRANT SELECT ON assigned TO app_user;
SET ROLE app_user;
EXPLAIN (COSTS OFF) SELECT * FROM clients;
EXPLAIN (COSTS OFF) SELECT id FROM clients_view WHERE org = 3;
SELECT count(*), sum(id) FROM clients;
SELECT count(*), sum(id) FROM notes;
CREATE TEMP TABLE statements (s text);
INSERT INTO statements VALUES
    ('SELECT * FROM clients'), ('SELECT count(*) FROM clients_view'), ('SELECT * FROM notes'), ('SELECT * FROM notes_view WHERE id < 900'),
    ('SELECT * FROM notes_1'), ('SELECT * FROM clients c JOIN notes n ON n.client = c.id'),
    ('SELECT * FROM clients c LEFT JOIN notes n ON n.client = c.id AND n.body = c.name'),
    ('SELECT (SELECT count(*) FROM notes n WHERE n.client = c.id) FROM clients c'),
    ('SELECT id FROM clients UNION ALL SELECT client FROM notes ORDER BY 1'),
    ('WITH w AS MATERIALIZED (SELECT * FROM clients) SELECT * FROM w'),
    ('SELECT * FROM clients WHERE id > ALL (SELECT client FROM notes)'),
    ('UPDATE clients SET name = ''y'''), ('DELETE FROM notes'), ('DELETE FROM notes USING clients WHERE clients.id = notes.client'),
    ('INSERT INTO clients SELECT 1 + max(id), ''x'' FROM clients'),
    ('INSERT INTO clients VALUES (1, ''x'') ON CONFLICT (id) DO UPDATE SET name = ''y'''),
    ('MERGE INTO clients USING notes ON notes.client = clients.id WHEN MATCHED AND notes.id < 100 THEN DELETE'),
    ('SELECT * FROM clients WHERE EXISTS (SELECT FROM notes WHERE client = clients.id) FOR UPDATE');
SELECT s, string_agg(DISTINCT shown, ', ') FROM statements LEFT JOIN LATERAL shown(s, 'COSTS OFF, VERBOSE') ON true GROUP BY s ORDER BY s COLLATE "C";
SELECT s, string_agg(DISTINCT shown, ', ') FROM statements LEFT JOIN LATERAL shown(s, 'COSTS OFF, FORMAT JSON') ON true GROUP BY s ORDER BY s COLLATE "C";
SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_hashjoin = off;
SELECT s, string_agg(DISTINCT shown, ', ') FROM statements LEFT JOIN LATERAL shown(s) ON true GROUP BY s ORDER BY s COLLATE "C";
SELECT count(*), sum(id) FROM clients;
SELECT count(*), sum(id) FROM notes;
RESET enable_seqscan; RESET enable_bitmapscan; RESET enable_hashjoin;
BEGIN;
SET LOCAL force_parallel_mode = on;
SELECT DISTINCT shown('SELECT * FROM notes', 'ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF');
SELECT count(*), sum(id) FROM notes;
ROLLBACK;
PREPARE q AS SELECT * FROM clients;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) EXECUTE q;
-- what is told of conditions
RESET ROLE;
ALTER POLICY p ON clients USING (EXISTS (SELECT FROM assigned WHERE user_id = auth.uid() AND client > 70005) AND auth.uid() IS NOT NULL);
SET ROLE app_user;
EXPLAIN (COSTS OFF) SELECT id FROM clients;
RESET ROLE;
