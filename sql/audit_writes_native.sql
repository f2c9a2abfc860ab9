-- Writes of audited tables, as far as only C++ does it: events that are kept for a while, and values read in binary form.
-- The library is not preloaded here: the triggers load it.
CREATE EXTENSION mentalspace;
\set SHOW_CONTEXT never
SET client_min_messages = error;
CREATE TABLE clients (id int PRIMARY KEY, name text);
CREATE TABLE notes (id int PRIMARY KEY, client_id int REFERENCES clients ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED, body text);
SELECT mentalspace.audit_table('clients', 'id'), mentalspace.audit_table('notes', 'client_id');
-- What has come since forget(); look() gives events and the sum of their keys.
CREATE TABLE seen (event_id bigint);
INSERT INTO seen VALUES (0);
CREATE VIEW events AS SELECT e.* FROM mentalspace.audit_events AS e WHERE e.kind = 'data_modification' AND e.event_id > (SELECT s.event_id FROM seen AS s);
CREATE FUNCTION look(OUT action text, OUT relation text, OUT events bigint, OUT keys bigint) RETURNS SETOF record LANGUAGE sql AS
    'SELECT e.action, e.relation, count(*), sum(e.row_key::int) FROM events AS e GROUP BY 1, 2 ORDER BY 2, 1';
CREATE FUNCTION forget() RETURNS void LANGUAGE sql AS 'UPDATE seen SET event_id = (SELECT max(event_id) FROM mentalspace.audit_events)';

-- more events than are kept: some are written before the statement ends
INSERT INTO clients SELECT n, 'c' FROM generate_series(1, 2500) AS n;
SELECT * FROM look();
SELECT count(DISTINCT event_id) AS numbers, bool_and(row_key::int = n) AS in_order
  FROM (SELECT event_id, row_key, row_number() OVER (ORDER BY event_id) AS n FROM events) AS e;
SELECT forget();
-- by their size, too
INSERT INTO clients SELECT 10000 + n, repeat('x', 100000) FROM generate_series(1, 30) AS n;
DELETE FROM clients WHERE id > 10000;
SELECT * FROM look();
SELECT bool_and(length(row_image ->> 'name') = 100000) AS whole FROM events WHERE action = 'D';
SELECT forget();

-- an event goes with the subtransaction that it belongs to, and with no other, however many there are
DO $$
BEGIN
    UPDATE clients SET name = 'outer' WHERE id <= 700;
    BEGIN
        UPDATE clients SET name = 'gone' WHERE id BETWEEN 701 AND 2400;
        RAISE division_by_zero;
    EXCEPTION WHEN division_by_zero THEN
        NULL;
    END;
    BEGIN
        UPDATE clients SET name = 'inner' WHERE id BETWEEN 701 AND 1400;
        BEGIN
            UPDATE clients SET name = 'gone' WHERE id BETWEEN 1401 AND 1402;
            RAISE division_by_zero;
        EXCEPTION WHEN division_by_zero THEN
            UPDATE clients SET name = 'handler' WHERE id = 1401;
        END;
    EXCEPTION WHEN others THEN
        NULL;
    END;
    UPDATE clients SET name = 'outer' WHERE id = 1402;
END
$$;
SELECT changes -> 'name' ->> 1 AS name, count(*), sum(row_key::int) FROM events WHERE action = 'U' GROUP BY 1 ORDER BY 1;
SELECT name, count(*), sum(id) FROM clients WHERE name <> 'c' GROUP BY 1 ORDER BY 1;
SELECT forget();
-- one subtransaction for each row, of which every second one fails
DO $$
BEGIN
    FOR i IN 1..2000 LOOP
        BEGIN
            UPDATE clients SET name = 'loop' WHERE id = i;
            IF i % 2 = 0 THEN
                RAISE division_by_zero;
            END IF;
        EXCEPTION WHEN division_by_zero THEN
            NULL;
        END;
    END LOOP;
END
$$;
SELECT * FROM look();
SELECT forget();
-- savepoints, with what came before already in the table
BEGIN;
UPDATE clients SET name = 'a' WHERE id = 1;
SAVEPOINT one;
UPDATE clients SET name = 'b' WHERE id = 2;
SAVEPOINT two;
UPDATE clients SET name = 'c' WHERE id = 4;
RELEASE two;
SELECT * FROM look();
ROLLBACK TO one;
UPDATE clients SET name = 'd' WHERE id = 8;
RELEASE one;
COMMIT;
SELECT * FROM look();
BEGIN;
UPDATE clients SET name = 'e' WHERE id = 16;
SAVEPOINT one;
SELECT 1 / 0;
ROLLBACK TO one;
COMMIT;
SELECT * FROM look();
SELECT forget();
-- a procedure that commits
CREATE PROCEDURE in_pieces() LANGUAGE plpgsql AS $$
BEGIN
    UPDATE clients SET name = 'p' WHERE id = 1;
    COMMIT;
    UPDATE clients SET name = 'p' WHERE id = 2;
    ROLLBACK;
    UPDATE clients SET name = 'p' WHERE id = 4;
END
$$;
CALL in_pieces();
SELECT * FROM look();
SELECT forget();

-- deferred constraints, and triggers that run at the commit
CREATE FUNCTION add_note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO notes VALUES (new.id, new.id, 'by trigger'); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER add_note AFTER INSERT ON clients DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION add_note();
BEGIN;
INSERT INTO notes VALUES (5000, 3001, 'before its client');
INSERT INTO clients VALUES (3001, 'late');
SELECT * FROM look();
COMMIT;
SELECT * FROM look();
SELECT forget();
-- the transaction has become read-only meanwhile: what it did before is still recorded
BEGIN;
DELETE FROM clients WHERE id = 3001;
SET TRANSACTION READ ONLY;
COMMIT;
SELECT * FROM look();
SELECT forget();

-- prepared transactions, also with triggers that run when they are prepared
BEGIN;
INSERT INTO clients VALUES (3002, 'late');
PREPARE TRANSACTION 'late';
COMMIT PREPARED 'late';
SELECT * FROM look();
SELECT forget();
DROP TRIGGER add_note ON clients;
BEGIN;
INSERT INTO clients VALUES (4001, 'prepared');
PREPARE TRANSACTION 'one';
SELECT * FROM look();
COMMIT PREPARED 'one';
SELECT * FROM look();
BEGIN;
INSERT INTO clients VALUES (4002, 'prepared');
PREPARE TRANSACTION 'two';
ROLLBACK PREPARED 'two';
SELECT * FROM look();
SELECT forget();

-- whatever the session says of triggers
SET session_replication_role = replica;
UPDATE clients SET name = 'replica' WHERE id = 1;
TRUNCATE notes;
RESET session_replication_role;
SELECT action, relation, row_key, row_count FROM events ORDER BY event_id;
SELECT forget();

-- values of many types: the image is what to_jsonb() makes of the row, the digest what record_send() gives
CREATE TYPE mood AS ENUM ('low', 'high');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN percent AS numeric(5,2) CHECK (value >= 0);
CREATE DOMAIN words AS text[];
CREATE TABLE zoo (
    id int PRIMARY KEY, b bool, i2 int2, i8 int8, o oid, n numeric, f4 float4, f8 float8, m money, t text, v varchar(10), c char(5),
    ch "char", na name, by bytea, d date, ti time, tz timetz, ts timestamp, tsz timestamptz, iv interval, u uuid, j json, jb jsonb, x xml,
    ip inet, mac macaddr, bi bit(3), p point, r int4range, mr int4multirange, a int[], at text[], am mood[], e mood, co pair, ac pair[],
    pc percent, w words, tv tsvector, rc regclass, gone int, g int GENERATED ALWAYS AS (id * 2) STORED, last text DEFAULT 'last');
ALTER TABLE zoo DROP COLUMN gone;
SELECT mentalspace.audit_table('zoo', 'id');
INSERT INTO zoo (id, b, i2, i8, o, n, f4, f8, m, t, v, c, ch, na, by, d, ti, tz, ts, tsz, iv, u, j, jb, x, ip, mac, bi, p, r, mr, a, at, am, e, co, ac, pc, w, tv, rc)
VALUES
(1, true, -2, 9007199254740993, 7, 12345678901234567890.1200, 0.1, 1e-300, 12.5, 'tëxt', 'v"\', 'c', 'x', 'name', '\x00ff', '2024-02-29', '23:59:59.5',
 '12:00+02', '2024-02-29 12:00', '2024-02-29 12:00+00', '1 mon 2 days', '00112233-4455-6677-8899-aabbccddeeff', '{"a" : [1, {"b": null}], "a": 2}',
 '{"k": [1, {"z": 1.50, "y": "s"}], "": {}}', '<a/>', '10.0.0.1/8', '08:00:2b:01:02:03', '101', '(1,2)', '[1,5)', '{[1,2),[4,5)}', '{{1,2},{3,NULL}}',
 '{a,"b c",NULL}', '{low}', 'high', '(1,x)', '{"(1,x)","(,)"}', 12.5, '{p,q}', 'a:1 b:2', 'zoo'),
(2, false, 0, 0, 0, 'NaN', 'NaN', '-Infinity', 0, '', '', '', '', '', '', 'infinity', '00:00', '00:00+00', '-infinity', '0044-03-15 12:00+00 BC', '0', NULL, 'null',
 '[]', NULL, '::1', NULL, NULL, NULL, 'empty', '{}', '{}', '{}', '{}', 'low', NULL, '{}', 0, '{}', '', NULL),
(3, NULL, NULL, NULL, NULL, NULL, 'Infinity', 'NaN', NULL, repeat('long', 5000), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'infinity', NULL, NULL, NULL, '"s"', '"scalar"', NULL,
 NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '(,)', NULL, NULL, NULL, NULL, NULL);
INSERT INTO zoo (id, jb, j) VALUES (4, 'null', '{}'), (5, '7', '7'), (6, 'true', 'true'), (7, NULL, NULL);
SELECT z.id, mentalspace.audit_digest(z) = e.row_digest AS fits FROM zoo AS z JOIN events AS e ON e.relation = 'public.zoo' AND e.action = 'C' AND e.row_key = z.id::text ORDER BY 1;
SET DateStyle = 'SQL, DMY';
SET IntervalStyle = iso_8601;
SET TimeZone = 'Asia/Kolkata';
SET bytea_output = escape;
SET extra_float_digits = 0;
CREATE TEMP TABLE zoo_images AS SELECT id, to_jsonb(z) AS image FROM zoo AS z;
DELETE FROM zoo;
SELECT i.id, i.image = e.row_image AS same, md5(i.image::text) = md5(e.row_image::text) AS same_text,
       pg_column_size(i.image || '{}') = pg_column_size(e.row_image || '{}') AS same_size,
       (SELECT count(*) FROM jsonb_object_keys(i.image) AS k WHERE i.image -> k = e.row_image -> k) AS columns
  FROM zoo_images AS i JOIN events AS e ON e.relation = 'public.zoo' AND e.action = 'D' AND e.row_key = i.id::text ORDER BY 1;
RESET ALL;
SET client_min_messages = error;
-- jsonb is read by index operators as PostgreSQL's own is
SELECT row_key, row_image -> 'jb' -> 'k' -> 1 ->> 'z' AS z, row_image @> '{"last": "last", "g": 2}' AS contains, row_image ? 'gone' AS gone
  FROM events WHERE relation = 'public.zoo' AND action = 'D' AND row_key = '1';
-- json that jsonb cannot hold stays text; the write does not fail for it
INSERT INTO zoo (id, j) VALUES (8, '"\u0000"');
UPDATE zoo SET j = '{"a": 1e999999}' WHERE id = 8;
DELETE FROM zoo WHERE id = 8;
SELECT action, changes, row_image -> 'j' AS image FROM events WHERE relation = 'public.zoo' AND row_key = '8' AND action <> 'C' ORDER BY event_id;
-- the binary form does not depend on the client, also where a type's own function writes it
SET client_encoding = 'LATIN1';
INSERT INTO zoo (id, na, e, j, at, tv) VALUES (9, convert_from('\xc3a9', 'UTF8')::name, 'low', to_json(convert_from('\xc3a9', 'UTF8')), ARRAY[convert_from('\xc3a9', 'UTF8')], convert_from('\xc3a9', 'UTF8')::tsvector);
SELECT pg_client_encoding();
RESET client_encoding;
SELECT mentalspace.audit_digest(z) = e.row_digest AS fits FROM zoo AS z JOIN events AS e ON e.relation = 'public.zoo' AND e.action = 'C' AND e.row_key = z.id::text WHERE z.id = 9;

-- values out of line: unchanged, changed, of the same length
CREATE TABLE files (id int PRIMARY KEY, client_id int, content text, kind text);
ALTER TABLE files ALTER content SET STORAGE EXTERNAL;
SELECT mentalspace.audit_table('files', 'client_id', redact => '{kind}');
INSERT INTO files VALUES (1, 7, repeat('abc', 10000), 'k');
UPDATE files SET client_id = 8;
UPDATE files SET content = repeat('abd', 10000);
UPDATE files SET content = content || '';
SELECT (SELECT string_agg(k, ' ') FROM jsonb_object_keys(changes) AS k) AS changed, patient_ids, length(changes -> 'content' ->> 'new') AS length
  FROM events WHERE relation = 'public.files' AND action = 'U' ORDER BY event_id;
SELECT forget();
-- what the table becomes is noticed
ALTER TABLE files ADD COLUMN added int DEFAULT 5;
UPDATE files SET added = 6;
ALTER TABLE files RENAME COLUMN kind TO sort;
ALTER TABLE files ALTER COLUMN added TYPE text;
UPDATE files SET added = 'seven', sort = 'l';
SELECT mentalspace.audit_table('files', 'client_id', redact => '{added}');
UPDATE files SET added = 'eight', sort = 'm';
SELECT changes - 'added', changes -> 'added' ->> 'new' LIKE 'sha256:%' AS redacted FROM events WHERE relation = 'public.files' AND action = 'U' ORDER BY event_id;

-- of months that have no partition, events are in the default one; a partition of another month is not taken
SELECT forget();
DO $$
DECLARE
    partition regclass;
BEGIN
    FOR partition IN SELECT inhrelid FROM pg_inherits
                      WHERE inhparent = 'mentalspace.audit_events'::regclass AND inhrelid <> 'mentalspace.audit_events_default'::regclass LOOP
        EXECUTE format('DROP TABLE %s', partition);
    END LOOP;
END
$$;
UPDATE clients SET name = 'default' WHERE id = 1;
SELECT tableoid::regclass, row_key FROM mentalspace.audit_events WHERE action = 'U';
ALTER TABLE mentalspace.audit_events_default DISABLE TRIGGER USER;
DELETE FROM mentalspace.audit_events_default;
ALTER TABLE mentalspace.audit_events_default ENABLE TRIGGER USER;
CREATE FUNCTION this_month() RETURNS text LANGUAGE sql AS $$ SELECT 'mentalspace.audit_events_' || to_char(now() AT TIME ZONE 'UTC', 'YYYYMM') $$;
DO $$
BEGIN
    EXECUTE 'CREATE TABLE ' || this_month() || ' PARTITION OF mentalspace.audit_events FOR VALUES FROM (''1990-01-01'') TO (''1991-01-01'')';
END
$$;
\set VERBOSITY sqlstate
UPDATE clients SET name = 'refused' WHERE id = 1;
\set VERBOSITY default
SELECT name FROM clients WHERE id = 1;
DO $$
BEGIN
    EXECUTE 'DROP TABLE ' || this_month();
END
$$;
-- columns in another order, and some that were dropped
CREATE TABLE mentalspace.other (LIKE mentalspace.audit_events INCLUDING DEFAULTS);
ALTER TABLE mentalspace.other DROP COLUMN row_key, DROP COLUMN kind;
ALTER TABLE mentalspace.other ADD COLUMN kind text NOT NULL, ADD COLUMN row_key text;
DO $$
BEGIN
    -- Events of what was done here are in the default partition meanwhile.
    ALTER TABLE mentalspace.audit_events_default DISABLE TRIGGER USER;
    DELETE FROM mentalspace.audit_events_default;
    ALTER TABLE mentalspace.audit_events_default ENABLE TRIGGER USER;
    EXECUTE 'ALTER TABLE mentalspace.other RENAME TO ' || split_part(this_month(), '.', 2);
    EXECUTE format('ALTER TABLE mentalspace.audit_events ATTACH PARTITION %s FOR VALUES FROM (%L) TO (%L)', this_month(),
                   date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC', (date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC');
END
$$;
UPDATE clients SET name = 'attached' WHERE id = 1;
SELECT tableoid::regclass = 'mentalspace.audit_events_default'::regclass AS in_default, kind, row_key, relation, changes FROM mentalspace.audit_events WHERE relation = 'public.clients' AND action = 'U';
-- nothing to write into
ALTER SEQUENCE mentalspace.audit_event_ids RENAME TO away;
UPDATE clients SET name = 'refused' WHERE id = 1;
ALTER SEQUENCE mentalspace.away RENAME TO audit_event_ids;
ALTER TABLE mentalspace.audit_events RENAME TO away;
UPDATE clients SET name = 'refused' WHERE id = 1;
ALTER TABLE mentalspace.away RENAME TO audit_events;
UPDATE clients SET name = 'back' WHERE id = 1;
SELECT changes FROM events WHERE action = 'U' ORDER BY event_id;

-- not as anything else
SELECT mentalspace.audit_row();
CREATE TRIGGER wrong BEFORE INSERT ON clients FOR EACH ROW EXECUTE FUNCTION mentalspace.audit_row();
INSERT INTO clients VALUES (6000);
DROP TRIGGER wrong ON clients;
CREATE TRIGGER wrong AFTER INSERT ON clients FOR EACH STATEMENT EXECUTE FUNCTION mentalspace.audit_row();
INSERT INTO clients VALUES (6000);
DROP TRIGGER wrong ON clients;
CREATE TRIGGER wrong BEFORE INSERT ON clients FOR EACH STATEMENT EXECUTE FUNCTION mentalspace.audit_truncate();
INSERT INTO clients VALUES (6000);
DROP TRIGGER wrong ON clients;
-- on a table that nobody declared it does nothing
CREATE TABLE free (id int);
CREATE TRIGGER idle AFTER INSERT ON free FOR EACH ROW EXECUTE FUNCTION mentalspace.audit_row();
CREATE TRIGGER idle_truncate BEFORE TRUNCATE ON free FOR EACH STATEMENT EXECUTE FUNCTION mentalspace.audit_truncate();
INSERT INTO free VALUES (1);
TRUNCATE free;
SELECT count(*) FROM events WHERE relation = 'public.free';
-- where the audit is off, writes leave nothing
SELECT forget();
SET mentalspace.audit_enabled = off;
UPDATE clients SET name = 'unseen' WHERE id = 1;
RESET mentalspace.audit_enabled;
SELECT * FROM look();
-- everybody's writes are seen, also of those who may neither see events nor call the functions
CREATE ROLE clerk;
GRANT ALL ON clients TO clerk;
SET ROLE clerk;
UPDATE clients SET name = 'by clerk' WHERE id = 1;
SELECT count(*) FROM mentalspace.audit_events;
SELECT nextval('mentalspace.audit_event_ids');
RESET ROLE;
SELECT outer_role_name, current_user_name, changes FROM events WHERE action = 'U';

-- values that no JSON document holds are digests of their bytes, as text or out of line
CREATE TABLE scans (id int PRIMARY KEY, client_id int, page bytea, words text, note text);
ALTER TABLE scans ALTER page SET STORAGE EXTERNAL;
SELECT mentalspace.audit_table('scans', 'client_id', redact => '{words}');
INSERT INTO scans SELECT 1, 7, decode(repeat('00', 135000000), 'hex'), repeat('x', 20000000), 'short';
UPDATE scans SET page = '\x01', note = repeat('y', 17000000) WHERE id = 1;
UPDATE scans SET page = decode(repeat('00', 135000000), 'hex') WHERE id = 1;
SELECT set_config('look.salt', encode((SELECT salt FROM mentalspace.audit_salts), 'hex'), false) IS NOT NULL AS salted;
DELETE FROM scans;
SELECT action, patient_ids, left(changes #>> '{page,1}', 7) AS page, left(changes #>> '{note,1}', 7) AS note, row_image ->> 'id' AS id,
       row_image ->> 'page' = 'sha256:' || encode(sha256(decode(current_setting('look.salt'), 'hex') || decode(repeat('00', 135000000), 'hex')), 'hex') AS page_fits,
       row_image ->> 'words' = 'sha256:' || encode(sha256(decode(current_setting('look.salt'), 'hex') || convert_to(repeat('x', 20000000), 'UTF8')), 'hex') AS words_fit,
       length(row_image ->> 'note') AS note_length
  FROM mentalspace.audit_events WHERE relation = 'public.scans' AND kind = 'data_modification' ORDER BY event_id;
