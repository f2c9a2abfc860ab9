-- What both flavours say of the audit.
COMMENT ON FUNCTION mentalspace.audit_outlet_name() IS 'internal to capabilities(): how this session''s reads leave their transaction: ring, spool, server log or off';
COMMENT ON FUNCTION mentalspace.audit_start_reads(boolean) IS 'internal to audit_table(): starts what takes reads, and warns where they cannot be taken durably';
COMMENT ON FUNCTION mentalspace.audit_flush() IS 'waits until all that this session has done so far is in audit_events';
COMMENT ON FUNCTION mentalspace.audit_ingest(text) IS 'takes over a spool file, of a standby for example, into audit_events and returns the number of events; what was taken over before does not come again';
COMMENT ON FUNCTION mentalspace.audit_row() IS 'trigger for rows of audited tables: adds an event to the transaction';
COMMENT ON FUNCTION mentalspace.audit_truncate() IS 'trigger for TRUNCATE of audited tables: adds an event to the transaction';
COMMENT ON FUNCTION mentalspace.audit_trigger_list(regclass) IS 'internal to the audit: the triggers of a table, its partitions and children where it is audited';
REVOKE ALL ON FUNCTION mentalspace.audit_trigger_list(regclass), mentalspace.audit_start_reads(boolean), mentalspace.audit_ingest(text), mentalspace.audit_row(),
    mentalspace.audit_truncate() FROM PUBLIC;
