CREATE FUNCTION pgmq.metrics(queue_name text) RETURNS pgmq.metrics_result
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    queue_table text := format('pgmq.%I', pgmq.format_table_name(queue_name, 'q'));
    result pgmq.metrics_result;
BEGIN
    EXECUTE format($sql$
        SELECT $1, count(*),
               extract(epoch FROM now() - max(q.enqueued_at))::integer, extract(epoch FROM now() - min(q.enqueued_at))::integer,
               (SELECT CASE WHEN s.is_called THEN s.last_value ELSE 0 END FROM %2$s s),
               now(), count(*) FILTER (WHERE q.vt <= now())
          FROM %1$s q
        $sql$, queue_table, pg_get_serial_sequence(queue_table, 'msg_id')) INTO result USING queue_name;
    RETURN result;
END
$$;
COMMENT ON FUNCTION pgmq.metrics(text) IS 'how full a queue is, and of how old messages';

CREATE FUNCTION pgmq.metrics_all() RETURNS SETOF pgmq.metrics_result
    LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$ SELECT x.* FROM pgmq.meta m, LATERAL pgmq.metrics(m.queue_name) x $$;
COMMENT ON FUNCTION pgmq.metrics_all() IS 'the metrics of every queue';
