-- The audit in C++ (src/audit/).
CREATE FUNCTION mentalspace.audit_row() RETURNS trigger
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'ms_audit_row';
CREATE FUNCTION mentalspace.audit_truncate() RETURNS trigger
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'ms_audit_truncate';
CREATE FUNCTION mentalspace.audit_flush() RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'ms_audit_flush';
CREATE FUNCTION mentalspace.audit_ingest(file text) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'ms_audit_ingest';
CREATE FUNCTION mentalspace.audit_outlet_name() RETURNS text
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'ms_audit_outlet_name';
CREATE FUNCTION mentalspace.audit_start_worker() RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'ms_audit_start_worker';
COMMENT ON FUNCTION mentalspace.audit_start_worker() IS 'internal to audit_table(): makes the ring of this database and starts its worker';
REVOKE ALL ON FUNCTION mentalspace.audit_start_worker() FROM PUBLIC;

CREATE FUNCTION mentalspace.audit_start_reads(warn boolean) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM mentalspace.audit_start_worker();
    IF warn AND mentalspace.audit_outlet_name() NOT IN ('ring', 'spool') THEN
        RAISE WARNING 'reads of audited tables go to the server log only' USING
            ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Add mentalspace to shared_preload_libraries and restart the server: then they are kept in mentalspace.audit_events.';
    END IF;
END
$$;

-- Row triggers; a partition that comes later gets them by itself.
CREATE FUNCTION mentalspace.audit_trigger_list(rel regclass, OUT place regclass, OUT name name, OUT definition text) RETURNS SETOF record
    LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT c.oid::regclass, t.name, t.definition
      FROM mentalspace.audit_descendants($1) AS d JOIN pg_class AS c ON c.oid = d,
           (VALUES ('mentalspace_audit'::name, 'AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION mentalspace.audit_row()'),
                   ('mentalspace_audit_truncate', 'BEFORE TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION mentalspace.audit_truncate()'))
           AS t(name, definition)
     WHERE c.relkind <> 'm'
       AND NOT (t.name = 'mentalspace_audit_truncate' AND c.relkind = 'f' AND current_setting('server_version_num')::int < 160000)
     ORDER BY c.oid <> $1, c.oid, t.name
    $$;
