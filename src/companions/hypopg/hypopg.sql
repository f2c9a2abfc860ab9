-- hypopg's functions by name and signature.  Hypothetical indexes need hooks in the planner that this stand-in lacks.
CREATE FUNCTION hypopg_create_index(sql_order text, OUT indexrelid oid, OUT indexname text) RETURNS SETOF record
    LANGUAGE plpgsql VOLATILE PARALLEL RESTRICTED STRICT SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RAISE EXCEPTION 'hypothetical indexes are not available'
        USING ERRCODE = 'feature_not_supported',
              DETAIL = 'The installed extension hypopg is a companion of mentalspace that only accepts the name.',
              HINT = 'Install the package of hypopg, then DROP EXTENSION hypopg and create it again.';
END
$$;
COMMENT ON FUNCTION hypopg_create_index(text) IS 'raises an error: hypothetical indexes are not available here';

CREATE FUNCTION hypopg_list_indexes() RETURNS TABLE (indexrelid oid, index_name text, schema_name name, table_name name, am_name name)
    LANGUAGE sql STABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$ SELECT NULL::oid, NULL::text, NULL::name, NULL::name, NULL::name WHERE false $$;
COMMENT ON FUNCTION hypopg_list_indexes() IS 'no rows: there are no hypothetical indexes here';

CREATE FUNCTION hypopg_reset() RETURNS void
    LANGUAGE sql VOLATILE PARALLEL RESTRICTED STRICT SET search_path = pg_catalog, pg_temp
    AS $$ $$;
COMMENT ON FUNCTION hypopg_reset() IS 'does nothing: there are no hypothetical indexes here';
