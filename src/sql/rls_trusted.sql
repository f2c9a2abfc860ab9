-- This flavour has no planner hook: it has optimised nothing.
CREATE FUNCTION mentalspace.rls_session_stats(
    OUT queries_optimized bigint, OUT calls_hoisted bigint, OUT calls_saved bigint, OUT facts_folded bigint,
    OUT executions_with_facts bigint, OUT executions_replanned bigint) RETURNS record
    LANGUAGE sql VOLATILE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
    AS $$ SELECT 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint $$;
