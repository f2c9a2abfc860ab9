-- More declared tables in a statement, and more statements within one another, than there are places for reads that have begun:
-- each leaves its event, and none that says nobody knows how it ended.
CREATE EXTENSION mentalspace;
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
DO $$ BEGIN FOR i IN 1 .. 100 LOOP EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY)', i); EXECUTE format('INSERT INTO t%s VALUES (%s)', i, i); END LOOP; END $$;
SELECT count(mentalspace.audit_table(format('t%s', i)::regclass, 'id')) FROM generate_series(1, 100) AS i;
SELECT string_agg(format('SELECT id FROM t%s', i), ' UNION ALL ' ORDER BY i) AS many FROM generate_series(1, 100) AS i \gset
SELECT string_agg(format('SELECT id FROM t%s', i), ' UNION ALL ' ORDER BY i) AS some FROM generate_series(1, 9) AS i \gset
SELECT count(*) FROM (:some) AS s;
BEGIN;
DECLARE c CURSOR FOR :many;
DECLARE d CURSOR FOR :some;
\o /dev/null
FETCH ALL FROM d;
FETCH 50 FROM c;
FETCH ALL FROM c;
\o
COMMIT;
CREATE FUNCTION nested(n int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN CASE WHEN n = 0 THEN 0 ELSE (SELECT max(nested(n - 1)) FROM t1) END; END $$;
SELECT id, nested(20) FROM t2;
SELECT mentalspace.audit_flush();
-- those that the spool holds are taken over when nobody writes to it any more
\c
DO $$ BEGIN FOR i IN 1 .. 600 LOOP EXIT WHEN NOT EXISTS (SELECT FROM pg_ls_dir('mentalspace/spool')); PERFORM pg_sleep(0.1); END LOOP; END $$;
SELECT pg_ls_dir('mentalspace/spool');
SELECT outcome, count(DISTINCT relation), count(*) > 100 FROM mentalspace.audit_events WHERE kind = 'phi_access' GROUP BY 1;
