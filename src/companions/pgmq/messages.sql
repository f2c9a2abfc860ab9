-- Sending, reading, deleting and archiving.  A queue that is not there is an undefined table (42P01).
CREATE FUNCTION pgmq.send_batch(queue_name text, msgs jsonb[], headers jsonb[], delay timestamptz) RETURNS SETOF bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RETURN QUERY EXECUTE format($sql$
        INSERT INTO pgmq.%I (vt, message, headers)
        SELECT $3, m.message, h.header
          FROM unnest($1) WITH ORDINALITY AS m(message, number)
          LEFT JOIN unnest($2) WITH ORDINALITY AS h(header, number) USING (number)
         ORDER BY number
        RETURNING msg_id
        $sql$, pgmq.format_table_name(queue_name, 'q')) USING msgs, headers, delay;
END
$$;
CREATE FUNCTION pgmq.send_batch(queue_name text, msgs jsonb[]) RETURNS SETOF bigint
    LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$ SELECT pgmq.send_batch(queue_name, msgs, NULL::jsonb[], clock_timestamp()) $$;
CREATE FUNCTION pgmq.send_batch(queue_name text, msgs jsonb[], headers jsonb[]) RETURNS SETOF bigint
    LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$ SELECT pgmq.send_batch(queue_name, msgs, headers, clock_timestamp()) $$;
CREATE FUNCTION pgmq.send_batch(queue_name text, msgs jsonb[], delay integer) RETURNS SETOF bigint
    LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$ SELECT pgmq.send_batch(queue_name, msgs, NULL::jsonb[], clock_timestamp() + make_interval(secs => delay)) $$;
CREATE FUNCTION pgmq.send_batch(queue_name text, msgs jsonb[], delay timestamptz) RETURNS SETOF bigint
    LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$ SELECT pgmq.send_batch(queue_name, msgs, NULL::jsonb[], delay) $$;
CREATE FUNCTION pgmq.send_batch(queue_name text, msgs jsonb[], headers jsonb[], delay integer) RETURNS SETOF bigint
    LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$ SELECT pgmq.send_batch(queue_name, msgs, headers, clock_timestamp() + make_interval(secs => delay)) $$;
COMMENT ON FUNCTION pgmq.send_batch(text, jsonb[], jsonb[], timestamptz) IS 'sends messages with headers, to be read from a point in time on; returns their ids';
COMMENT ON FUNCTION pgmq.send_batch(text, jsonb[]) IS 'sends messages; returns their ids';
COMMENT ON FUNCTION pgmq.send_batch(text, jsonb[], jsonb[]) IS 'sends messages with headers; returns their ids';
COMMENT ON FUNCTION pgmq.send_batch(text, jsonb[], integer) IS 'sends messages, to be read after so many seconds; returns their ids';
COMMENT ON FUNCTION pgmq.send_batch(text, jsonb[], timestamptz) IS 'sends messages, to be read from a point in time on; returns their ids';
COMMENT ON FUNCTION pgmq.send_batch(text, jsonb[], jsonb[], integer) IS 'sends messages with headers, to be read after so many seconds; returns their ids';

CREATE FUNCTION pgmq.send(queue_name text, msg jsonb, headers jsonb, delay timestamptz) RETURNS SETOF bigint
    LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$ SELECT pgmq.send_batch(queue_name, ARRAY[msg], ARRAY[headers], delay) $$;
CREATE FUNCTION pgmq.send(queue_name text, msg jsonb) RETURNS SETOF bigint
    LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$ SELECT pgmq.send(queue_name, msg, NULL::jsonb, clock_timestamp()) $$;
CREATE FUNCTION pgmq.send(queue_name text, msg jsonb, headers jsonb) RETURNS SETOF bigint
    LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$ SELECT pgmq.send(queue_name, msg, headers, clock_timestamp()) $$;
CREATE FUNCTION pgmq.send(queue_name text, msg jsonb, delay integer) RETURNS SETOF bigint
    LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$ SELECT pgmq.send(queue_name, msg, NULL::jsonb, clock_timestamp() + make_interval(secs => delay)) $$;
CREATE FUNCTION pgmq.send(queue_name text, msg jsonb, delay timestamptz) RETURNS SETOF bigint
    LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$ SELECT pgmq.send(queue_name, msg, NULL::jsonb, delay) $$;
CREATE FUNCTION pgmq.send(queue_name text, msg jsonb, headers jsonb, delay integer) RETURNS SETOF bigint
    LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$ SELECT pgmq.send(queue_name, msg, headers, clock_timestamp() + make_interval(secs => delay)) $$;
COMMENT ON FUNCTION pgmq.send(text, jsonb, jsonb, timestamptz) IS 'sends a message with headers, to be read from a point in time on; returns its id';
COMMENT ON FUNCTION pgmq.send(text, jsonb) IS 'sends a message; returns its id';
COMMENT ON FUNCTION pgmq.send(text, jsonb, jsonb) IS 'sends a message with headers; returns its id';
COMMENT ON FUNCTION pgmq.send(text, jsonb, integer) IS 'sends a message, to be read after so many seconds; returns its id';
COMMENT ON FUNCTION pgmq.send(text, jsonb, timestamptz) IS 'sends a message, to be read from a point in time on; returns its id';
COMMENT ON FUNCTION pgmq.send(text, jsonb, jsonb, integer) IS 'sends a message with headers, to be read after so many seconds; returns its id';

CREATE FUNCTION pgmq.read(queue_name text, vt integer, qty integer, conditional jsonb DEFAULT '{}') RETURNS SETOF pgmq.message_record
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RETURN QUERY EXECUTE format($sql$
        WITH picked AS MATERIALIZED (
            SELECT q.msg_id FROM pgmq.%1$I q
             WHERE q.vt <= clock_timestamp() AND ($3 = '{}' OR q.message @> $3)
             ORDER BY q.msg_id LIMIT $1
               FOR UPDATE SKIP LOCKED
        ), taken AS (
            UPDATE pgmq.%1$I q SET vt = clock_timestamp() + $2, read_ct = q.read_ct + 1
              FROM picked WHERE q.msg_id = picked.msg_id
            RETURNING q.msg_id, q.read_ct, q.enqueued_at, q.vt, q.message, q.headers
        )
        SELECT * FROM taken ORDER BY msg_id
        $sql$, pgmq.format_table_name(queue_name, 'q')) USING qty, make_interval(secs => vt), coalesce(conditional, '{}');
END
$$;
COMMENT ON FUNCTION pgmq.read(text, integer, integer, jsonb) IS 'reads up to qty messages, which nobody else reads for vt seconds; those that contain conditional, if it is given';

CREATE FUNCTION pgmq.read_with_poll(queue_name text, vt integer, qty integer, max_poll_seconds integer DEFAULT 5, poll_interval_ms integer DEFAULT 100, conditional jsonb DEFAULT '{}') RETURNS SETOF pgmq.message_record
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    until timestamptz := clock_timestamp() + make_interval(secs => max_poll_seconds);
BEGIN
    WHILE clock_timestamp() < until LOOP
        RETURN QUERY SELECT * FROM pgmq.read(queue_name, vt, qty, conditional);
        EXIT WHEN FOUND;
        PERFORM pg_sleep(poll_interval_ms / 1000.0);
    END LOOP;
END
$$;
COMMENT ON FUNCTION pgmq.read_with_poll(text, integer, integer, integer, integer, jsonb) IS 'reads as pgmq.read does, and waits up to max_poll_seconds for a message';

CREATE FUNCTION pgmq.pop(queue_name text) RETURNS SETOF pgmq.message_record
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RETURN QUERY EXECUTE format($sql$
        DELETE FROM pgmq.%1$I q
         WHERE q.msg_id = (SELECT p.msg_id FROM pgmq.%1$I p WHERE p.vt <= clock_timestamp()
                            ORDER BY p.msg_id LIMIT 1 FOR UPDATE SKIP LOCKED)
        RETURNING q.msg_id, q.read_ct, q.enqueued_at, q.vt, q.message, q.headers
        $sql$, pgmq.format_table_name(queue_name, 'q'));
END
$$;
COMMENT ON FUNCTION pgmq.pop(text) IS 'reads the next message and deletes it';

CREATE FUNCTION pgmq.set_vt(queue_name text, msg_id bigint, vt integer) RETURNS SETOF pgmq.message_record
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RETURN QUERY EXECUTE format($sql$
        UPDATE pgmq.%I q SET vt = clock_timestamp() + $2 WHERE q.msg_id = $1
        RETURNING q.msg_id, q.read_ct, q.enqueued_at, q.vt, q.message, q.headers
        $sql$, pgmq.format_table_name(queue_name, 'q')) USING msg_id, make_interval(secs => vt);
END
$$;
COMMENT ON FUNCTION pgmq.set_vt(text, bigint, integer) IS 'lets a message be read again in vt seconds from now; returns it';

CREATE FUNCTION pgmq.delete(queue_name text, msg_ids bigint[]) RETURNS SETOF bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RETURN QUERY EXECUTE format('DELETE FROM pgmq.%I q WHERE q.msg_id = ANY ($1) RETURNING q.msg_id',
                                pgmq.format_table_name(queue_name, 'q')) USING msg_ids;
END
$$;
CREATE FUNCTION pgmq.delete(queue_name text, msg_id bigint) RETURNS boolean
    LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$ SELECT count(*) > 0 FROM pgmq.delete(queue_name, ARRAY[msg_id]) $$;
COMMENT ON FUNCTION pgmq.delete(text, bigint[]) IS 'deletes messages; returns the ids of those that were there';
COMMENT ON FUNCTION pgmq.delete(text, bigint) IS 'deletes a message; false if it was not there';

CREATE FUNCTION pgmq.archive(queue_name text, msg_ids bigint[]) RETURNS SETOF bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RETURN QUERY EXECUTE format($sql$
        WITH moved AS (
            DELETE FROM pgmq.%I q WHERE q.msg_id = ANY ($1)
            RETURNING q.msg_id, q.read_ct, q.enqueued_at, q.vt, q.message, q.headers
        )
        INSERT INTO pgmq.%I (msg_id, read_ct, enqueued_at, vt, message, headers)
        SELECT m.msg_id, m.read_ct, m.enqueued_at, m.vt, m.message, m.headers FROM moved m
        RETURNING msg_id
        $sql$, pgmq.format_table_name(queue_name, 'q'), pgmq.format_table_name(queue_name, 'a')) USING msg_ids;
END
$$;
CREATE FUNCTION pgmq.archive(queue_name text, msg_id bigint) RETURNS boolean
    LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$ SELECT count(*) > 0 FROM pgmq.archive(queue_name, ARRAY[msg_id]) $$;
COMMENT ON FUNCTION pgmq.archive(text, bigint[]) IS 'moves messages to the archive; returns the ids of those that were there';
COMMENT ON FUNCTION pgmq.archive(text, bigint) IS 'moves a message to the archive; false if it was not there';
