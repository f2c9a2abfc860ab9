CREATE FUNCTION mentalspace.audit_status(OUT outlet text, OUT worker_pid int, OUT ring_bytes bigint, OUT waiting_bytes bigint,
                                         OUT events_lost bigint, OUT waits bigint, OUT spool_directory text)
    LANGUAGE c VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'ms_audit_status';
