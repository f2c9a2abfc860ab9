-- Each backend keeps what audit_table() declared; every change of it makes all of them read it again.
CREATE TRIGGER invalidate_backends AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON mentalspace.audit_relations
    FOR EACH STATEMENT EXECUTE FUNCTION mentalspace.invalidate_backends();
ALTER TABLE mentalspace.audit_relations ENABLE ALWAYS TRIGGER invalidate_backends;
COMMENT ON TRIGGER invalidate_backends ON mentalspace.audit_relations IS 'every backend reads the declarations again at commit';
