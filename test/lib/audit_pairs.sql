-- For audit tests: pairs of tables p1 and f1, p2 and f2 ..., one for each pair of types that a foreign key allows, each f
-- declared with the path to the patient in p, and rows of which number N leads to `patient N`.
SET client_min_messages = error;
SET timezone = 'UTC';
CREATE TYPE mood AS ENUM ('sad', 'ok', 'glad');
CREATE DOMAIN letter AS varchar(3);
CREATE DOMAIN whole AS numeric CHECK (VALUE = trunc(VALUE));
CREATE TYPE pair AS (a int, b text);
CREATE TYPE twin AS (c int, d text);

-- Three values of each type, of which some are equal after a cast.
CREATE TABLE kinds AS
    SELECT t.oid AS type, format_type(t.oid, NULL) AS name, v.texts
      FROM pg_type AS t CROSS JOIN LATERAL (SELECT CASE
            WHEN t.typname IN ('int2', 'int4', 'int8', 'oid', 'float4', 'float8', 'numeric', 'whole', 'xid8', 'money') THEN '{1,2,30}'
            WHEN t.typname IN ('text', 'varchar', 'bpchar', 'name', 'char', 'letter') THEN '{a,b,c}'
            WHEN t.typname = 'bool' THEN '{t,f}'
            WHEN t.typname IN ('date', 'timestamp', 'timestamptz') THEN '{2020-01-01,2021-02-02,1999-03-03}'
            WHEN t.typname IN ('time', 'timetz', 'interval') THEN '{10:00,11:00,03:00}'
            WHEN t.typname = 'uuid' THEN '{00000000-0000-4000-8000-00000000000a,00000000-0000-4000-8000-00000000000b}'
            WHEN t.typname IN ('inet', 'cidr') THEN '{10.0.0.1,10.0.0.2,10.0.0.0}'
            WHEN t.typname IN ('macaddr', 'macaddr8') THEN '{08:00:2b:01:02:03,08:00:2b:01:02:04,08:00:2b:01:02:05}'
            WHEN t.typname IN ('bit', 'varbit') THEN '{1,0}'
            WHEN t.typname = 'bytea' THEN '{one,two,three}'
            WHEN t.typname IN ('tid') THEN '{"(0,1)","(0,2)","(1,1)"}'
            WHEN t.typname = 'pg_lsn' THEN '{0/1,0/2,1/0}'
            WHEN t.typname = 'mood' THEN '{sad,ok,glad}'
            WHEN t.typname IN ('_int4', '_int8', '_numeric', '_text', '_varchar', '_bpchar') THEN '{"{1,2}","{3}","{}"}'
            WHEN t.typname IN ('oidvector') THEN '{1 2,3 4,5}'
            WHEN t.typname IN ('int4range', 'int8range', 'numrange') THEN '{"[1,2)","[3,5)","empty"}'
            WHEN t.typname = 'int4multirange' THEN '{"{[1,2)}","{[3,5)}","{}"}'
            WHEN t.typname = 'jsonb' THEN '{"{}","1","[2]"}'
            WHEN t.typname IN ('tsvector', 'tsquery') THEN '{a,b,c}'
            WHEN t.typname IN ('pair', 'twin') THEN '{"(1,a)","(2,b)","(3,c)"}'
            WHEN t.typname IN ('regproc', 'regtype', 'regrole', 'regnamespace') THEN '{1,2,30}'
            WHEN t.typname = 'regclass' THEN '{1247,1255,1259}'
            END::text[] AS texts) AS v
     WHERE v.texts IS NOT NULL AND t.typnamespace::regnamespace::text IN ('pg_catalog', 'public');

-- What the catalogs' types leave out would go unseen: those with a default btree class have values above.
SELECT DISTINCT format_type(c.opcintype, NULL) AS without_values FROM pg_opclass AS c
 WHERE c.opcdefault AND c.opcmethod = (SELECT oid FROM pg_am WHERE amname = 'btree')
   AND c.opcintype NOT IN (SELECT type FROM kinds) ORDER BY 1;

-- A pair of tables for each pair of types with which ALTER TABLE ... ADD FOREIGN KEY succeeds.
-- Rows are refused as references (see below).
DELETE FROM kinds WHERE name IN ('pair', 'twin');
CREATE TABLE pairs (id int PRIMARY KEY, referring text, referred text);
CREATE FUNCTION make_pairs() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    f record;
    p record;
    n int := 0;
BEGIN
    FOR p IN SELECT * FROM kinds ORDER BY name LOOP
        BEGIN
            EXECUTE format('CREATE TABLE referred (id %s PRIMARY KEY, patient text)', p.name);
        EXCEPTION WHEN undefined_object THEN
            CONTINUE;
        END;
        FOR f IN SELECT * FROM kinds ORDER BY name LOOP
            BEGIN
                EXECUTE format('CREATE TABLE referring (id int PRIMARY KEY, ref %s)', f.name);
                ALTER TABLE referring ADD FOREIGN KEY (ref) REFERENCES referred;
            EXCEPTION WHEN datatype_mismatch THEN
                CONTINUE;
            END;
            n := n + 1;
            EXECUTE format('CREATE TABLE p%s (id %s PRIMARY KEY, patient text)', n, p.name);
            EXECUTE format('CREATE TABLE f%s (id int PRIMARY KEY, ref %s REFERENCES p%s)', n, f.name, n);
            DROP TABLE referring;
            INSERT INTO pairs VALUES (n, f.name, p.name);
        END LOOP;
        DROP TABLE referred;
    END LOOP;
END
$$;
SELECT make_pairs();
SELECT count(*) > 100 AS many FROM pairs;
-- among them those of two types
SELECT string_agg(referring || ' to ' || referred, ', ' ORDER BY id) FROM pairs
 WHERE (referring, referred) IN (('integer', 'numeric'), ('"char"', 'text'), ('time without time zone', 'interval'),
    ('date', 'timestamp with time zone'), ('timestamp with time zone', 'date'), ('character', 'text'), ('text', 'name'), ('double precision', 'real'),
    ('"char"', 'letter'), ('bigint', 'whole'));
SELECT count(mentalspace.audit_table(('f' || id)::regclass, format('ref->p%s.patient', id))) > 100 FROM pairs;

CREATE FUNCTION fill_pairs() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    p record;
    referring text;
BEGIN
    FOR p IN SELECT pairs.*, kinds.texts FROM pairs JOIN kinds ON kinds.name = pairs.referring ORDER BY pairs.id LOOP
        referring := CASE WHEN p.referring LIKE 'reg%' THEN '::oid::' ELSE '::' END || p.referring;
        FOR i IN 1 .. cardinality(p.texts) LOOP
            BEGIN
                -- By the referring type, as the other one may write the value in another way.
                EXECUTE format('INSERT INTO p%s VALUES (($1%s)%s::%s, $2)', p.id, referring,
                               CASE WHEN (p.referring || p.referred) LIKE '%reg%' THEN '::oid'
                                    WHEN p.referring <> 'macaddr8' THEN '::text' ELSE '' END, p.referred)
                  USING p.texts[i], 'patient ' || i;
                EXECUTE format('INSERT INTO f%s VALUES ($2, $1%s)', p.id, referring) USING p.texts[i], i;
            EXCEPTION WHEN OTHERS THEN
                RETURN NEXT format('%s to %s: %s', p.referring, p.referred, sqlerrm);
            END;
        END LOOP;
    END LOOP;
END
$$;
SELECT * FROM fill_pairs();
