-- Making, listing and dropping queues.
CREATE FUNCTION pgmq.validate_queue_name(queue_name text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    -- Bytes: a longer name of an index or a table would be cut off, and two queues be one.
    IF queue_name IS NULL OR queue_name = '' OR octet_length(queue_name) > 47 OR octet_length(lower(queue_name)) > 47 THEN
        RAISE EXCEPTION 'the name of a queue must have 1 to 47 bytes' USING ERRCODE = 'invalid_parameter_value';
    END IF;
END
$$;
COMMENT ON FUNCTION pgmq.validate_queue_name(text) IS 'raises an error if a queue cannot have this name';

CREATE FUNCTION pgmq.format_table_name(queue_name text, prefix text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    IF queue_name ~ '[$;'']|--' THEN
        RAISE EXCEPTION 'the name of a queue must not contain $, ;, -- or '''
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF octet_length(lower(prefix || '_' || queue_name)) > 63 THEN
        RAISE EXCEPTION 'the name of a queue must have 1 to 47 bytes' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN lower(prefix || '_' || queue_name);
END
$$;
COMMENT ON FUNCTION pgmq.format_table_name(text, text) IS 'name of the table in schema pgmq that holds the messages (prefix q) or the archive (prefix a) of a queue';

CREATE FUNCTION pgmq.acquire_queue_lock(queue_name text) RETURNS void
    LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$ SELECT pg_advisory_xact_lock(hashtext('pgmq.queue_' || queue_name)) $$;
COMMENT ON FUNCTION pgmq.acquire_queue_lock(text) IS 'until the end of the transaction nobody else makes or drops this queue';

CREATE FUNCTION pgmq._create(queue_name text, unlogged boolean) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    queue_table text := pgmq.format_table_name(queue_name, 'q');
    archive_table text := pgmq.format_table_name(queue_name, 'a');
BEGIN
    PERFORM pgmq.validate_queue_name(queue_name);
    PERFORM pgmq.acquire_queue_lock(queue_name);
    EXECUTE format($sql$
        CREATE %1$s TABLE IF NOT EXISTS pgmq.%2$I (
            msg_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            read_ct integer NOT NULL DEFAULT 0,
            enqueued_at timestamptz NOT NULL DEFAULT now(),
            vt timestamptz NOT NULL,
            message jsonb,
            headers jsonb
        );
        CREATE INDEX IF NOT EXISTS %3$I ON pgmq.%2$I (vt);
        CREATE TABLE IF NOT EXISTS pgmq.%4$I (
            msg_id bigint PRIMARY KEY,
            read_ct integer NOT NULL DEFAULT 0,
            enqueued_at timestamptz NOT NULL DEFAULT now(),
            archived_at timestamptz NOT NULL DEFAULT now(),
            vt timestamptz NOT NULL,
            message jsonb,
            headers jsonb
        );
        CREATE INDEX IF NOT EXISTS %5$I ON pgmq.%4$I (archived_at);
    $sql$, CASE WHEN unlogged THEN 'UNLOGGED' END, queue_table, queue_table || '_vt_idx', archive_table,
           'archived_at_idx_' || queue_name);
    INSERT INTO pgmq.meta (queue_name, is_partitioned, is_unlogged)
        VALUES (_create.queue_name, false, unlogged) ON CONFLICT DO NOTHING;
END
$$;
COMMENT ON FUNCTION pgmq._create(text, boolean) IS 'makes a queue unless it is there';

CREATE FUNCTION pgmq.create(queue_name text) RETURNS void
    LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$ SELECT pgmq._create(queue_name, false) $$;
COMMENT ON FUNCTION pgmq.create(text) IS 'makes a queue, tables q_NAME and a_NAME, unless it is there';

CREATE FUNCTION pgmq.create_non_partitioned(queue_name text) RETURNS void
    LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$ SELECT pgmq._create(queue_name, false) $$;
COMMENT ON FUNCTION pgmq.create_non_partitioned(text) IS 'the same as pgmq.create';

CREATE FUNCTION pgmq.create_unlogged(queue_name text) RETURNS void
    LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$ SELECT pgmq._create(queue_name, true) $$;
COMMENT ON FUNCTION pgmq.create_unlogged(text) IS 'makes a queue whose messages a crash of the server loses; its archive is kept';

CREATE FUNCTION pgmq.create_partitioned(queue_name text, partition_interval text DEFAULT '10000', retention_interval text DEFAULT '100000') RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RAISE EXCEPTION 'partitioned queues are not available'
        USING ERRCODE = 'feature_not_supported',
              DETAIL = 'The installed extension pgmq is a companion of mentalspace without partitioning.',
              HINT = 'Use pgmq.create, and delete old rows of the archive from time to time.';
END
$$;
COMMENT ON FUNCTION pgmq.create_partitioned(text, text, text) IS 'raises an error: there are no partitioned queues here';

CREATE FUNCTION pgmq.detach_archive(queue_name text) RETURNS void
    LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$ $$;
COMMENT ON FUNCTION pgmq.detach_archive(text) IS 'does nothing: an archive never belongs to the extension here';

CREATE FUNCTION pgmq.drop_queue(queue_name text) RETURNS boolean
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    queue_table text := pgmq.format_table_name(queue_name, 'q');
BEGIN
    PERFORM pgmq.acquire_queue_lock(queue_name);
    IF to_regclass(format('pgmq.%I', queue_table)) IS NULL THEN
        RAISE NOTICE 'queue "%" does not exist', queue_name;
        RETURN false;
    END IF;
    EXECUTE format('DROP TABLE pgmq.%I; DROP TABLE IF EXISTS pgmq.%I', queue_table, pgmq.format_table_name(queue_name, 'a'));
    DELETE FROM pgmq.meta m WHERE pgmq.format_table_name(m.queue_name, 'q') = queue_table;
    RETURN true;
END
$$;
COMMENT ON FUNCTION pgmq.drop_queue(text) IS 'drops a queue with its archive; false if there is none';

CREATE FUNCTION pgmq.drop_queue(queue_name text, partitioned boolean) RETURNS boolean
    LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$ SELECT pgmq.drop_queue(queue_name) $$;
COMMENT ON FUNCTION pgmq.drop_queue(text, boolean) IS 'the same as pgmq.drop_queue(queue_name)';

CREATE FUNCTION pgmq.list_queues() RETURNS SETOF pgmq.queue_record
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$ SELECT m.queue_name, m.is_partitioned, m.is_unlogged, m.created_at FROM pgmq.meta m $$;
COMMENT ON FUNCTION pgmq.list_queues() IS 'the queues';

CREATE FUNCTION pgmq.purge_queue(queue_name text) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    deleted bigint;
BEGIN
    EXECUTE format('DELETE FROM pgmq.%I', pgmq.format_table_name(queue_name, 'q'));
    GET DIAGNOSTICS deleted = ROW_COUNT;
    RETURN deleted;
END
$$;
COMMENT ON FUNCTION pgmq.purge_queue(text) IS 'deletes all messages of a queue, not its archive, and returns how many there were';

-- Queues that an earlier CREATE EXTENSION left: their tables outlive DROP EXTENSION.
INSERT INTO pgmq.meta (queue_name, is_partitioned, is_unlogged)
    SELECT substr(q.relname, 3), false, q.relpersistence = 'u'
      FROM pg_catalog.pg_class q
      JOIN pg_catalog.pg_class a ON a.relnamespace = q.relnamespace AND a.relkind = 'r'
       AND a.relname = 'a_' || substr(q.relname, 3)
     WHERE q.relnamespace = 'pgmq'::pg_catalog.regnamespace AND q.relkind = 'r' AND q.relname LIKE 'q\_%';
