-- The audit in PL/pgSQL: writes by triggers as in the native flavour.  Reads leave no trace by themselves, because this
-- flavour has no hooks: an application reads by read_phi(), and pgaudit, where it is installed, sees the statements.
CREATE FUNCTION mentalspace.audit_outlet_name() RETURNS text
    LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
    AS $$ SELECT 'off'::text $$;

CREATE FUNCTION mentalspace.audit_start_reads(warn boolean) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    IF warn THEN
        RAISE WARNING 'reads of audited tables are not seen by the trusted flavour' USING
            ERRCODE = 'feature_not_supported', HINT = 'Read by mentalspace.read_phi(), and have pgaudit log statements.';
    END IF;
END
$$;

CREATE FUNCTION mentalspace.audit_flush() RETURNS void
    LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$ SELECT $$;

CREATE FUNCTION mentalspace.audit_ingest(file text) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RAISE EXCEPTION 'the trusted flavour reads no files' USING ERRCODE = 'feature_not_supported',
        DETAIL = 'Spool files are written by standbys of the native flavour.';
END
$$;

-- Anybody may call it, because read_phi() runs as its caller: what it adds is an event of the caller's own.
CREATE FUNCTION mentalspace.audit_note_read(rel regclass, patient_id text, rows bigint) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    declared mentalspace.audit_relations := mentalspace.audit_declaration(rel);
    event mentalspace.audit_events;
BEGIN
    IF declared.relation IS NULL OR NOT declared.reads THEN
        RETURN;
    END IF;
    event.kind := 'phi_access';
    event.action := 'R';
    event.category := declared.category;
    event.severity := CASE WHEN declared.category = 'psychotherapy_note' THEN 'critical' ELSE 'info' END;
    event.precision := 'examined';
    event.relation := mentalspace.audit_relation_name(declared.relation);
    event.row_count := rows;
    event.patient_ids := ARRAY[patient_id];
    PERFORM mentalspace.audit_add_event(event);
END
$$;
COMMENT ON FUNCTION mentalspace.audit_note_read(regclass, text, bigint) IS 'internal to read_phi(): adds the event of a read';
