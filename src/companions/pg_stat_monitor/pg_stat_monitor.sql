-- pg_stat_monitor's functions by name.
CREATE FUNCTION pg_stat_monitor_unavailable() RETURNS text
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RAISE EXCEPTION 'statistics of pg_stat_monitor are not available'
        USING ERRCODE = 'feature_not_supported',
              DETAIL = 'The installed extension pg_stat_monitor is a companion of mentalspace that only accepts the name.',
              HINT = 'Use the extension pg_stat_statements.';
END
$$;
COMMENT ON FUNCTION pg_stat_monitor_unavailable() IS 'raises the error that says what this extension is';
CREATE FUNCTION pg_stat_monitor_version() RETURNS text
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    RETURN pg_stat_monitor_unavailable();
COMMENT ON FUNCTION pg_stat_monitor_version() IS 'raises an error: there are no such statistics here';
CREATE FUNCTION pg_stat_monitor_reset() RETURNS void
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    BEGIN ATOMIC SELECT pg_stat_monitor_unavailable(); END;
COMMENT ON FUNCTION pg_stat_monitor_reset() IS 'raises an error: there are no such statistics here';
