-- What the planner hook has done (src/rls).
CREATE FUNCTION mentalspace.rls_session_stats(
    OUT queries_optimized bigint, OUT calls_hoisted bigint, OUT calls_saved bigint, OUT facts_folded bigint,
    OUT executions_with_facts bigint, OUT executions_replanned bigint) RETURNS record
    LANGUAGE c VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'ms_rls_session_stats';

CREATE FUNCTION mentalspace.policy_value(anyelement) RETURNS anyelement
    LANGUAGE c STABLE PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'ms_policy_value';
COMMENT ON FUNCTION mentalspace.policy_value(anyelement) IS 'stands in plans for what was taken out of a policy and is evaluated when a row first asks for it';
