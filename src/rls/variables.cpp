/* Policies that cost nothing: settings and hooks of the feature. */
#include "pg/prelude.h"

#include "pg/module.h"
#include "rls/function_cache.h"
#include "rls/items.h"

extern "C" {
#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "nodes/primnodes.h"
#include "nodes/supportnodes.h"
}

static const struct config_enum_entry kModes[] = {
	{"off", RLS_OFF, false},
	{"hoist", RLS_HOIST, false},
	{"full", RLS_FULL, false},
	{nullptr, 0, false},
};

/* Read by SQL from the database's settings, not from here: see src/sql/has_role.sql. */
static char *role_source;

void
ms_rls_init(void)
{
	DefineCustomEnumVariable("mentalspace.rls_optimize",
							 "How row level security policies are made cheap.",
							 "off: as PostgreSQL does it. hoist: what a policy computes without looking at the row is computed "
							 "once per query. full: conditions such as has_role(...) are also evaluated when the query is "
							 "planned, so that indexes can be used, and confirmed before it is executed.",
							 &rls_optimize, RLS_FULL, kModes, PGC_USERSET, 0, nullptr, nullptr, nullptr);
	DefineCustomBoolVariable("mentalspace.rls_optimize_quals",
							 "Treats WHERE and JOIN conditions of queries as it treats policies.",
							 nullptr, &rls_optimize_quals, false, PGC_USERSET, 0, nullptr, nullptr, nullptr);
	DefineCustomStringVariable("mentalspace.rls_role_source",
							   "Where mentalspace.has_role() looks.",
							   "A table with a column user_id of type uuid and a column role of type text, varchar or an "
							   "enum, or claim:PATH (claim:app_metadata.roles), or both with a comma; empty means "
							   "public.user_roles. It counts only as a setting of the database (ALTER DATABASE ... SET).",
							   &role_source, "", PGC_SUSET, 0, nullptr, nullptr, nullptr);
	rls_init_function_cache();
	rls_init_planner();
	rls_init_executor();
	rls_init_explain();
}

/* mentalspace.rls_session_stats() returns record: what policies were spared in this session. */
MS_FUNCTION(ms_rls_session_stats)
{
	TupleDesc descriptor;
	Datum values[6];
	bool nulls[6] = {};

	if (get_call_result_type(fcinfo, nullptr, &descriptor) != TYPEFUNC_COMPOSITE)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("function returns a row")));
	values[0] = Int64GetDatum(rls_stats.queries_optimized);
	values[1] = Int64GetDatum(rls_stats.calls_hoisted);
	values[2] = Int64GetDatum(rls_stats.calls_saved);
	values[3] = Int64GetDatum(rls_stats.facts_folded);
	values[4] = Int64GetDatum(rls_stats.executions_with_facts);
	values[5] = Int64GetDatum(rls_stats.executions_replanned);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls)));
}

/* mentalspace.policy_value(anyelement, price float8): its first argument.  It stands in plans for an expression of a policy
 * that was taken out but not evaluated beforehand, and costs `price`, in the planner's units, as the expression does. */
MS_FUNCTION(ms_policy_value)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_DATUM(PG_GETARG_DATUM(0));
}

/* mentalspace.policy_value_support(internal): tells the planner what policy_value() costs. */
MS_FUNCTION(ms_policy_value_support)
{
	Node *request = (Node *) PG_GETARG_POINTER(0);

	if (IsA(request, SupportRequestCost)) {
		SupportRequestCost *cost = (SupportRequestCost *) request;

		if (cost->node != nullptr && IsA(cost->node, FuncExpr) && list_length(((FuncExpr *) cost->node)->args) == 2) {
			Const *price = (Const *) lsecond(((FuncExpr *) cost->node)->args);

			if (IsA(price, Const) && price->consttype == FLOAT8OID && !price->constisnull) {
				cost->startup = 0;
				cost->per_tuple = DatumGetFloat8(price->constvalue);
				PG_RETURN_POINTER(cost);
			}
		}
	}
	PG_RETURN_POINTER(nullptr);
}
