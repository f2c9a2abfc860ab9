-- pgmq: queues as projects use them.
\set SHOW_CONTEXT never
CREATE SCHEMA pgmq;
CREATE EXTENSION IF NOT EXISTS pgmq WITH SCHEMA pgmq;
CREATE EXTENSION IF NOT EXISTS pgmq;
COMMENT ON EXTENSION pgmq IS 'a comment';

SELECT pgmq.create('emails');
SELECT pgmq.create('emails');
SELECT pgmq.create_unlogged('Fast');
SELECT queue_name, is_partitioned, is_unlogged, created_at = now() AS old FROM pgmq.list_queues() ORDER BY 1;
SELECT relname, relkind, relpersistence FROM pg_class WHERE relnamespace = 'pgmq'::regnamespace AND relkind IN ('r', 'S') ORDER BY 1;
SELECT attname, format_type(atttypid, atttypmod), attnotnull, attidentity FROM pg_attribute WHERE attrelid = 'pgmq.q_emails'::regclass AND attnum > 0 ORDER BY attnum;
SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute WHERE attrelid = 'pgmq.a_emails'::regclass AND attnum > 0 ORDER BY attnum;
SELECT pgmq.create('bad$name');
SELECT pgmq.create('bad;name');
SELECT pgmq.create('bad--name');
SELECT pgmq.create('bad''name');
SELECT pgmq.create('');
SELECT pgmq.create(repeat('x', 48));
-- Bytes count: the names of these would be cut off to one.
SELECT pgmq.create(repeat('ü', 31) || 'a');
SELECT pgmq.send(repeat('ü', 31) || 'a', '1');
SELECT pgmq.drop_queue(repeat('ü', 31) || 'b');
SELECT pgmq.create('quoted "name"'), pgmq.send('quoted "name"', '1'), pgmq.drop_queue('quoted "name"');
SELECT pgmq.create_partitioned('parts');
\set VERBOSITY sqlstate
SELECT pgmq.send('missing', '{}');
SELECT pgmq.read('missing', 0, 1);
\set VERBOSITY default

-- Sending.
SELECT pgmq.send('emails', '{"to": "a"}');
SELECT * FROM pgmq.send('emails', '{"to": "b"}', 0);
SELECT pgmq.send('emails', '{"to": "c"}', '{"x-trace": 1}'::jsonb);
SELECT pgmq.send('emails', '{"to": "later"}', 3600);
SELECT pgmq.send('emails', '{"to": "later"}', now() + '1 hour');
SELECT pgmq.send(queue_name := 'emails', msg := '{"to": "later"}', headers := '{"h": 1}', delay := 3600);
SELECT pgmq.send_batch('emails', ARRAY['{"to": "d"}', '{"to": "e"}']::jsonb[]);
SELECT pgmq.send_batch('emails', ARRAY['{"to": "f"}', '{"to": "g"}']::jsonb[], ARRAY['{"n": 1}']::jsonb[]);
SELECT pgmq.send_batch('emails', ARRAY['{"to": "later"}']::jsonb[], 3600);
SELECT pgmq.send_batch('emails', '{}'::jsonb[]);
SELECT msg_id, read_ct, vt > clock_timestamp() AS later, message, headers FROM pgmq.q_emails ORDER BY msg_id;
SELECT queue_name, queue_length, newest_msg_age_sec >= 0 AS newest, oldest_msg_age_sec >= newest_msg_age_sec AS older, total_messages, queue_visible_length FROM pgmq.metrics('emails');

-- Reading: a message that was read is hidden until its time has come.
SELECT msg_id, read_ct, vt > clock_timestamp() AS hidden, message, headers FROM pgmq.read('emails', 3600, 2);
SELECT msg_id, read_ct, message, headers FROM pgmq.read(queue_name => 'emails', vt => 0, qty => 1);
SELECT msg_id, read_ct, message FROM pgmq.read('emails', 0, 10, '{"to": "e"}');
SELECT msg_id, read_ct FROM pgmq.read('emails', 3600, 1);
SELECT msg_id, read_ct, vt <= clock_timestamp() AS visible FROM pgmq.set_vt('emails', 1, 0);
SELECT msg_id, read_ct FROM pgmq.read('emails', 3600, 1);
SELECT msg_id, message FROM pgmq.read_with_poll('emails', 3600, 1, 1, 10, '{"to": "g"}');
SELECT msg_id, message FROM pgmq.read_with_poll('emails', 3600, 1, 0, 10);
SELECT count(*) FROM pgmq.read_with_poll('Fast', 1, 1, 1, 300);

-- Taking away.
SELECT msg_id, message FROM pgmq.pop('emails');
SELECT pgmq.delete('emails', 1), pgmq.delete('emails', 1), pgmq.delete('emails', 999);
SELECT pgmq.delete('emails', ARRAY[2, 999]);
SELECT pgmq.archive('emails', 3), pgmq.archive('emails', 3);
SELECT pgmq.archive('emails', ARRAY[4, 5, 999]::bigint[]);
SELECT msg_id, read_ct, archived_at IS NOT NULL AS archived, message, headers FROM pgmq.a_emails ORDER BY msg_id;
SELECT msg_id FROM pgmq.q_emails ORDER BY msg_id;
SELECT pgmq.purge_queue('emails'), pgmq.purge_queue('emails');
SELECT queue_name, queue_length, newest_msg_age_sec, total_messages, queue_visible_length FROM pgmq.metrics_all() ORDER BY 1;
SELECT pgmq.pop('emails');

-- As the projects' functions call it.
CREATE FUNCTION enqueue_email(queue_name text, payload jsonb) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    RETURN pgmq.send(queue_name, payload);
EXCEPTION WHEN undefined_table THEN
    PERFORM pgmq.create(queue_name);
    RETURN pgmq.send(queue_name, payload);
END
$$;
SELECT enqueue_email('letters', '{"n": 1}'), enqueue_email('letters', '{"n": 2}');
SELECT pgmq.delete(queue_name, 1::bigint) FROM pgmq.list_queues() WHERE queue_name = 'letters';

-- DROP EXTENSION leaves queues with their messages; CREATE EXTENSION knows them again.
DROP EXTENSION pgmq;
SELECT msg_id, message FROM pgmq.q_letters;
CREATE EXTENSION pgmq;
SELECT queue_name, is_partitioned, is_unlogged FROM pgmq.list_queues() ORDER BY 1;
SELECT msg_id, read_ct, message FROM pgmq.read('letters', 0, 5);
SELECT pgmq.send('letters', '{"n": 3}');
SELECT pgmq.drop_queue('letters'), pgmq.drop_queue('letters'), pgmq.drop_queue('emails', false), pgmq.drop_queue('fast');
SELECT count(*) FROM pgmq.list_queues();
SELECT relname FROM pg_class WHERE relnamespace = 'pgmq'::regnamespace AND relkind IN ('r', 'S') ORDER BY 1;
