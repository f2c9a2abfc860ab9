-- A database without an encoding: whatever bytes and escapes headers and rows hold, reads and writes go on and are recorded.
CREATE DATABASE bytes TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C';
\c bytes
CREATE EXTENSION mentalspace;
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
CREATE TABLE clients (id int PRIMARY KEY, name text);
SELECT mentalspace.audit_table('clients', 'id');
SET request.headers = E'{"user-agent":"raw \xff", "x-request-id":"r1"}';
INSERT INTO clients VALUES (1, E'name \xfe');
SELECT id FROM clients;
SET request.headers = E'{"user-agent":"escaped \\u00e9\\ud83d\\ude00", "x-request-id":"r2"}';
SELECT id FROM clients;
UPDATE clients SET name = E'\xc3' WHERE id = 1;
SET request.headers = E'{"user-agent":"zero \\u0000", "x-request-id":"r3"}';
SELECT id FROM clients;
DELETE FROM clients;
SELECT mentalspace.audit_flush();
SELECT kind, action, patient_ids, encode(user_agent::bytea, 'escape'), request_id FROM mentalspace.audit_events WHERE kind <> 'admin_action'
 ORDER BY occurred_at, event_id;
