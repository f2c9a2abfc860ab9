CREATE FUNCTION mentalspace.module_version() RETURNS text
    LANGUAGE c STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'ms_module_version';
