-- What the planner hook has done (src/rls).
CREATE FUNCTION mentalspace.rls_session_stats(
    OUT queries_optimized bigint, OUT calls_hoisted bigint, OUT calls_saved bigint, OUT facts_folded bigint,
    OUT executions_with_facts bigint, OUT executions_replanned bigint) RETURNS record
    LANGUAGE c VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'ms_rls_session_stats';

CREATE FUNCTION mentalspace.policy_value_support(internal) RETURNS internal
    LANGUAGE c IMMUTABLE PARALLEL SAFE STRICT
    AS 'MODULE_PATHNAME', 'ms_policy_value_support';
COMMENT ON FUNCTION mentalspace.policy_value_support(internal) IS 'internal to the planner: what policy_value() costs';
CREATE FUNCTION mentalspace.policy_value(value anyelement, price double precision) RETURNS anyelement
    LANGUAGE c STABLE PARALLEL SAFE COST 100 SUPPORT mentalspace.policy_value_support
    AS 'MODULE_PATHNAME', 'ms_policy_value';
COMMENT ON FUNCTION mentalspace.policy_value(anyelement, double precision) IS 'stands in plans for what was taken out of a policy and is evaluated when a row first asks for it, at the price of what it stands for';
