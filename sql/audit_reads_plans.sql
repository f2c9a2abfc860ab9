-- Reads of audited tables through whatever a plan has: what reaches the client counts, else what was looked at.
CREATE EXTENSION mentalspace;
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
CREATE TABLE clients (id int PRIMARY KEY, name text, status text, therapist int);
CREATE INDEX clients_status ON clients (status);
INSERT INTO clients SELECT i, 'name ' || i, CASE WHEN i % 5 = 0 THEN 'left' ELSE 'here' END, i % 4 FROM generate_series(1, 20) AS i;
CREATE TABLE notes (note_id int PRIMARY KEY, client_id int REFERENCES clients, body text);
CREATE INDEX notes_client ON notes (client_id);
INSERT INTO notes SELECT 100 + i, 1 + i % 10, 'body ' || i FROM generate_series(1, 30) AS i;
CREATE TABLE files (id int PRIMARY KEY, note_id int REFERENCES notes, name text);
INSERT INTO files SELECT 1000 + i, 100 + i, 'file ' || i FROM generate_series(1, 10) AS i;
CREATE TABLE dry (k int);
INSERT INTO dry SELECT generate_series(1, 3);
SELECT mentalspace.audit_table('clients', 'id'), mentalspace.audit_table('notes', 'client_id'), mentalspace.audit_table('files', 'note_id->notes.client_id');
VACUUM ANALYZE;
\getenv abs_srcdir PG_ABS_SRCDIR
\set seen :abs_srcdir '/test/lib/audit_seen.sql'
\i :seen
SELECT count(*) >= 0 FROM seen();

-- sorts: where the key is among the columns a LIMIT counts, else all that was sorted
SELECT id, name FROM clients ORDER BY name LIMIT 2;
SELECT * FROM seen();
SELECT name FROM clients WHERE id < 4 ORDER BY name LIMIT 2;
SELECT * FROM seen();
SELECT id FROM clients WHERE id < 8 ORDER BY status, id FETCH FIRST 1 ROW WITH TIES;
SELECT * FROM seen();

-- joins of every kind and method
SELECT c.name, n.body FROM clients AS c JOIN notes AS n ON n.client_id = c.id WHERE n.note_id IN (101, 102) ORDER BY n.note_id;
SELECT * FROM seen();
SELECT c.id, n.client_id FROM clients AS c JOIN notes AS n ON n.client_id = c.id WHERE c.id < 3 ORDER BY n.note_id LIMIT 2;
SELECT * FROM seen();
-- columns of one side only
SELECT c.name FROM clients AS c, notes AS n WHERE c.id = 3 AND n.note_id = 105;
SELECT * FROM seen();
SELECT 1 FROM clients WHERE id = 3;
SELECT * FROM seen();
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SELECT c.name, n.body FROM clients AS c LEFT JOIN notes AS n ON n.client_id = c.id AND n.note_id < 103 WHERE c.id IN (2, 4);
SELECT * FROM seen();
-- where there is no note, there is no patient of one, either
SELECT c.name, l.b FROM clients AS c LEFT JOIN LATERAL (SELECT upper(n.body) AS b FROM notes AS n WHERE n.client_id = c.id AND n.note_id < 103 LIMIT 1) AS l ON true WHERE c.id IN (2, 4);
SELECT * FROM seen();
SELECT c.name FROM clients AS c WHERE EXISTS (SELECT FROM notes AS n WHERE n.client_id = c.id AND n.note_id < 103);
SELECT * FROM seen();
SELECT c.name FROM clients AS c WHERE c.id < 4 AND NOT EXISTS (SELECT FROM notes AS n WHERE n.client_id = c.id AND n.note_id < 103);
SELECT * FROM seen();
RESET enable_hashjoin;
SET enable_nestloop = off;
SELECT c.name, n.body FROM clients AS c LEFT JOIN notes AS n ON n.client_id = c.id AND n.note_id < 103 WHERE c.id IN (2, 4) ORDER BY c.id;
SELECT * FROM seen();
SELECT c.name, n.body FROM clients AS c JOIN notes AS n ON n.client_id = c.id WHERE c.id = 3 AND n.note_id < 120;
SELECT * FROM seen();
SELECT c.name, n.body FROM clients AS c FULL JOIN notes AS n ON n.client_id = c.id AND c.id < 0 WHERE c.id = 5 OR n.note_id = 104;
SELECT * FROM seen();
RESET enable_mergejoin;
SET enable_hashjoin = off;
SELECT c.name, n.body FROM clients AS c JOIN notes AS n ON n.client_id = c.id WHERE c.id = 3 AND n.note_id < 120;
SELECT * FROM seen();
SELECT c.name, d.name FROM clients AS c JOIN clients AS d ON d.id = c.id + 1 WHERE c.id IN (1, 5) ORDER BY c.id;
SELECT * FROM seen();
RESET ALL;
SELECT c.id, d.id FROM clients AS c LEFT JOIN clients AS d ON d.id = c.id + 18 WHERE c.id < 4 ORDER BY 1;
SELECT * FROM seen();
SELECT k, l.name FROM dry, LATERAL (SELECT name FROM clients WHERE id > k * 5 ORDER BY id LIMIT 1) AS l;
SELECT * FROM seen();

-- aggregates: no column comes out, or some do
SELECT count(*) FROM clients WHERE therapist = 1;
SELECT * FROM seen();
SELECT count(name), count(*) FILTER (WHERE id > 3) FROM clients;
SELECT * FROM seen();
SELECT count(*) FROM clients AS c WHERE EXISTS (SELECT FROM notes AS n WHERE n.client_id = c.id);
SELECT * FROM seen();
SELECT max(name) FROM clients WHERE id < 4;
SELECT * FROM seen();
SELECT status, count(*) FROM clients WHERE id < 6 GROUP BY status ORDER BY status;
SELECT * FROM seen();
SELECT count(*) FROM clients WHERE id < 6 GROUP BY status ORDER BY status;
SELECT * FROM seen();
SELECT client_id, count(*), max(body) FROM notes GROUP BY client_id HAVING client_id < 4 ORDER BY 1;
SELECT * FROM seen();
SELECT client_id, max(body) FROM notes WHERE client_id < 3 GROUP BY ROLLUP (client_id) ORDER BY 1;
SELECT * FROM seen();
SELECT DISTINCT status FROM clients WHERE id < 6 ORDER BY 1;
SELECT * FROM seen();
SELECT DISTINCT ON (status) status, id FROM clients ORDER BY status, id DESC;
SELECT * FROM seen();
SELECT string_agg(name, ',' ORDER BY id) FROM (SELECT * FROM clients ORDER BY id LIMIT 2) AS s;
SELECT * FROM seen();
-- window functions: those that take from other rows mix patients
SELECT id, row_number() OVER (ORDER BY id) FROM clients ORDER BY id LIMIT 2;
SELECT * FROM seen();
SELECT id, lead(name) OVER (ORDER BY id) FROM clients WHERE id < 4 ORDER BY id LIMIT 1;
SELECT * FROM seen();

-- subqueries and CTEs
SELECT (SELECT name FROM clients WHERE id = 4), (SELECT count(*) FROM notes);
SELECT * FROM seen();
SELECT EXISTS (SELECT FROM clients WHERE id = 4);
SELECT * FROM seen();
SELECT c.id, (SELECT body FROM notes AS n WHERE n.client_id = c.id ORDER BY note_id LIMIT 1) FROM clients AS c WHERE c.id < 3 ORDER BY 1;
SELECT * FROM seen();
SELECT name FROM clients WHERE id = ANY (ARRAY(SELECT client_id FROM notes WHERE note_id IN (103, 104))) ORDER BY id;
SELECT * FROM seen();
SELECT name FROM (SELECT * FROM clients ORDER BY id OFFSET 2) AS s WHERE name LIKE '%3';
SELECT * FROM seen();
WITH c AS MATERIALIZED (SELECT * FROM clients) SELECT name FROM c LIMIT 2;
SELECT * FROM seen();
WITH c AS MATERIALIZED (SELECT id, name FROM clients WHERE id < 6) SELECT a.name, (SELECT count(*) FROM c) FROM c AS a WHERE a.id = 2;
SELECT * FROM seen();
WITH c AS MATERIALIZED (SELECT name FROM clients WHERE id < 4) SELECT name FROM c LIMIT 1;
SELECT * FROM seen();
WITH RECURSIVE r AS (SELECT id, name FROM clients WHERE id = 3 UNION ALL SELECT c.id, c.name FROM r JOIN clients AS c ON c.id = r.id + 1 WHERE r.id < 5) SELECT name FROM r;
SELECT * FROM seen();
SELECT id FROM clients WHERE id < 3 UNION ALL SELECT client_id FROM notes WHERE note_id = 105 UNION ALL SELECT k FROM dry;
SELECT * FROM seen();
SELECT name FROM clients WHERE id < 3 UNION SELECT body FROM notes WHERE note_id = 105 ORDER BY 1;
SELECT * FROM seen();
SELECT id FROM clients WHERE id IN (1, 2) EXCEPT SELECT client_id FROM notes WHERE client_id = 2;
SELECT * FROM seen();
SELECT id, generate_series(1, 2) FROM clients WHERE id < 3;
SELECT * FROM seen();
SELECT name, unnest(ARRAY[1, 2]) FROM clients WHERE id = 6;
SELECT * FROM seen();

-- views are what is below them, materialised views relations of their own
CREATE VIEW both_of AS SELECT c.name, n.body FROM clients AS c JOIN notes AS n ON n.client_id = c.id;
SELECT * FROM both_of WHERE name = 'name 7' ORDER BY body LIMIT 1;
SELECT * FROM seen();
CREATE MATERIALIZED VIEW copies AS SELECT id, name FROM clients WHERE id < 4;
SELECT * FROM seen();
SELECT mentalspace.audit_table('copies', 'id', writes => false);
SELECT count(*) >= 0 FROM seen();
SELECT name FROM copies WHERE id = 2;
SELECT * FROM seen();
REFRESH MATERIALIZED VIEW copies;
SELECT * FROM seen();
