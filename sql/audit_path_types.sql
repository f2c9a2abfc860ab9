-- A path over a foreign key whose columns have different types: whichever pair PostgreSQL allows, each row leads to its
-- patient, in writes and (where they are seen) in reads.
CREATE EXTENSION mentalspace;
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
\getenv abs_srcdir PG_ABS_SRCDIR
\set pairs :abs_srcdir '/test/lib/audit_pairs.sql'
\i :pairs

-- Writes that do not name the patient of their row: none.
SELECT p.referring, p.referred, e.row_key, e.patient_ids FROM mentalspace.audit_events AS e JOIN pairs AS p ON e.relation = 'public.f' || p.id
 WHERE e.action = 'C' AND e.kind = 'data_modification' AND e.patient_ids IS DISTINCT FROM ARRAY['patient ' || e.row_key] ORDER BY p.id;
SELECT count(*) > 300 FROM mentalspace.audit_events WHERE action = 'C' AND kind = 'data_modification';

-- A table that refers to itself, and a type that changes after the declaration.
CREATE TABLE tree (id int PRIMARY KEY, parent int REFERENCES tree, cid text);
SELECT mentalspace.audit_table('tree', 'parent->tree.cid');
INSERT INTO tree VALUES (1, NULL, 'root'), (2, 1, 'child'), (3, 2, 'grandchild');
CREATE TABLE kin (id int PRIMARY KEY, of int REFERENCES tree);
SELECT mentalspace.audit_table('kin', 'of->tree.parent->tree.cid');
INSERT INTO kin VALUES (1, 3), (2, 2);
ALTER TABLE tree ALTER parent TYPE bigint, ALTER id TYPE numeric;
INSERT INTO tree VALUES (4, 3, 'great');
INSERT INTO kin VALUES (3, 4);
SELECT relation, row_key, patient_ids FROM mentalspace.audit_events
 WHERE relation IN ('public.tree', 'public.kin') AND action = 'C' AND kind = 'data_modification' ORDER BY 1, 2;
SELECT relation, resolves FROM mentalspace.audit_tables() WHERE relation::text IN ('tree', 'kin') ORDER BY relation::text;

-- A cast that somebody wrote is not run within other people's reads.
CREATE FUNCTION mood_letter(mood) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE EXCEPTION 'mine runs'; END $$;
CREATE CAST (mood AS text) WITH FUNCTION mood_letter(mood) AS IMPLICIT;
CREATE TABLE by_mood (id text PRIMARY KEY, patient text);
CREATE TABLE of_mood (id int, ref mood REFERENCES by_mood);
SELECT mentalspace.audit_table('of_mood', 'ref->by_mood.patient');
-- Nor what a domain checks within a value.
CREATE TABLE by_pair (id pair PRIMARY KEY, patient text);
CREATE TABLE of_pair (id int, ref twin REFERENCES by_pair);
SELECT mentalspace.audit_table('of_pair', 'ref->by_pair.patient');
