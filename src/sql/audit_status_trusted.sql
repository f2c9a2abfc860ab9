-- Nothing leaves its transaction here: there is no ring, no worker and no spool.
CREATE FUNCTION mentalspace.audit_status(OUT outlet text, OUT worker_pid int, OUT ring_bytes bigint, OUT waiting_bytes bigint,
                                         OUT events_lost bigint, OUT waits bigint, OUT spool_directory text)
    LANGUAGE sql VOLATILE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
    AS $$ SELECT 'off'::text, NULL::int, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint, NULL::text $$;
