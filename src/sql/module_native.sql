CREATE FUNCTION mentalspace.module_version() RETURNS text
    LANGUAGE c STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'ms_module_version';
COMMENT ON FUNCTION mentalspace.module_version() IS 'version that the loaded library was built as';
