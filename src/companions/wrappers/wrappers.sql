-- The handlers of wrappers are the library's, so there is nothing to name here but what says so.
CREATE FUNCTION wrappers_unavailable() RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RAISE EXCEPTION 'the foreign data wrappers of wrappers are not available'
        USING ERRCODE = 'feature_not_supported',
              DETAIL = 'The installed extension wrappers is a companion of mentalspace that only accepts the name.',
              HINT = 'Use postgres_fdw, or fetch the data outside of the database.';
END
$$;
COMMENT ON FUNCTION wrappers_unavailable() IS 'raises the error that says what this extension is';
