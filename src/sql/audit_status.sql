COMMENT ON FUNCTION mentalspace.audit_status() IS
    'the way of reads into audit_events: outlet of this session, worker, size of the ring and what waits in it, events that could not be recorded (they are in the server log), how often sessions waited for room';
REVOKE ALL ON FUNCTION mentalspace.audit_status() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION mentalspace.audit_status() TO mentalspace_auditor;
