-- parse_sql(): what both flavours tell, and that nothing is executed.
\set VERBOSITY terse
CREATE EXTENSION mentalspace;
CREATE TABLE witness (i int);

CREATE FUNCTION told(sql text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(CASE action WHEN 'error' THEN kind ELSE action END, ', ')
      FROM mentalspace.parse_sql(sql) WHERE action IN ('statement', 'error')
$$;

SELECT told('SELECT 1');
SELECT told('CREATE TABLE t (a int, b text DEFAULT ''x;y'')');
SELECT told(E'-- a comment\n/* another */ CREATE POLICY p ON nowhere.t USING (auth.uid() = owner)');
SELECT told('CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $f$ BEGIN RETURN 1; END $f$');
SELECT told('GRANT SELECT ON nowhere.t TO nobody_at_all');
SELECT told('SELECT 1 INTO TEMP TABLE fresh');
SELECT told('') IS NULL AS nothing, told('-- only a comment') IS NULL AS comment_only, told(NULL) IS NULL AS null_text;

-- Syntax errors are rows.
SELECT told('CREATE POLICY IF NOT EXISTS p ON t USING (true)');
SELECT told('SELEC 1');
SELECT told('CREATE TABLE t (a int');
SELECT told('SELECT ''not closed');
SELECT told('CREATE TABLE t (a int,)');

SELECT detail FROM mentalspace.parse_sql('SELEC 1');

-- Nothing runs, whatever the text tries.
SELECT told('INSERT INTO witness VALUES (1)');
SELECT told('SELECT 1; END; INSERT INTO witness VALUES (2); BEGIN SELECT 1') IS NOT NULL AS answered;
SELECT told('SELECT 1; END $x$; INSERT INTO witness VALUES (3); SELECT $x$') IS NOT NULL AS answered;
SELECT told('DO $$ BEGIN INSERT INTO witness VALUES (4); END $$');
SELECT told($$SELECT 1'; INSERT INTO witness VALUES (5); --$$) IS NOT NULL AS answered;
SELECT told('COMMIT'), told('BEGIN'), told('ROLLBACK');
SELECT count(*) AS inserted FROM witness;
SELECT count(*) AS functions_left FROM pg_proc WHERE proname = 'mentalspace_syntax_check';

-- Many errors leave nothing behind and do not harm the transaction.
BEGIN;
SELECT count(*) FROM generate_series(1, 200) i, mentalspace.parse_sql('SELEC ' || i) WHERE action = 'error';
INSERT INTO witness VALUES (6);
COMMIT;
SELECT count(*) AS inserted FROM witness;
DROP TABLE witness;
