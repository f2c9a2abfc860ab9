-- index_advisor's function by name and signature.
CREATE FUNCTION index_advisor(query text)
    RETURNS TABLE (startup_cost_before jsonb, startup_cost_after jsonb, total_cost_before jsonb, total_cost_after jsonb, index_statements text[], errors text[])
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RAISE EXCEPTION 'advice on indexes is not available'
        USING ERRCODE = 'feature_not_supported',
              DETAIL = 'The installed extension index_advisor is a companion of mentalspace that only accepts the name.',
              HINT = 'Look at the plan with EXPLAIN (ANALYZE, BUFFERS).';
END
$$;
COMMENT ON FUNCTION index_advisor(text) IS 'raises an error: there is no advice to be had here';
