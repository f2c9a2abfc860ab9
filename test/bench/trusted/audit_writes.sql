-- Writes to an audited table beside the same writes to one that is not.
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS mentalspace;
CREATE TABLE plain (id int PRIMARY KEY, patient uuid, name text, born date, note text, seen timestamptz DEFAULT now(), n numeric, ok boolean,
    tags text[], extra jsonb, a int, b int, c text, d text, e text, f bigint, g float8, h text, i text, j date);
CREATE TABLE audited (LIKE plain INCLUDING ALL);
SELECT mentalspace.audit_table('audited', 'patient', reads => false);
CREATE TABLE results (load text, audited boolean, ms float8);

CREATE PROCEDURE measure(load text, statement text, undo text, repeats int) LANGUAGE plpgsql AS $$
DECLARE
    began timestamptz;
    rel text;
BEGIN
    FOREACH rel IN ARRAY ARRAY['plain', 'audited'] LOOP
        began := clock_timestamp();
        FOR n IN 1 .. repeats LOOP
            EXECUTE format(statement, rel) USING n;
        END LOOP;
        INSERT INTO results VALUES (load, rel = 'audited', extract(epoch FROM clock_timestamp() - began) * 1000 / repeats);
        IF undo <> '' THEN
            EXECUTE format(undo, rel);
        END IF;
        COMMIT;
    END LOOP;
END $$;
CREATE PROCEDURE all_rounds(rounds int) LANGUAGE plpgsql AS $$
BEGIN
    FOR round IN 0 .. rounds LOOP
        CALL measure('INSERT of 10,000 rows', 'INSERT INTO %I (id, patient, name, born, note, n, ok, tags, a, c)
            SELECT i, gen_random_uuid(), ''name '' || i, ''1980-01-01'', repeat(''note '', 10), i * 1.5, true, ''{a,b}'', i, ''c'' FROM generate_series(1, 10000) AS i', '', 1);
        CALL measure('UPDATE of 10,000 rows, 2 columns', 'UPDATE %I SET name = name || ''x'', a = a + 1', '', 1);
        CALL measure('DELETE of 10,000 rows', 'DELETE FROM %I', '', 1);
        CALL measure('INSERT of one row', 'INSERT INTO %I (id, patient, name, born) VALUES ($1, gen_random_uuid(), ''name'', ''1980-01-01'')', '', 200);
        CALL measure('UPDATE of one row', 'UPDATE %I SET name = name || ''x'' WHERE id = $1', '', 200);
        CALL measure('DELETE of one row', 'DELETE FROM %I WHERE id = $1', '', 200);
        IF round = 0 THEN
            DELETE FROM results;
        END IF;
    END LOOP;
END $$;
CALL all_rounds(:rounds);
SELECT load, round(m[1]::numeric, 3) AS "plain ms", round(m[2]::numeric, 3) AS "audited ms", round((m[2] / m[1])::numeric, 2) AS ratio,
       round((m[2] - m[1])::numeric, 3) AS "more ms"
  FROM (SELECT load, array_agg(median ORDER BY audited) AS m
          FROM (SELECT load, audited, percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) AS median FROM results GROUP BY 1, 2) AS r
         GROUP BY load) AS r ORDER BY load;
