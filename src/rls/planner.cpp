/* The planner hook: what a policy calls without looking at the row is taken out of the query (items.h says how).
 *
 * Only the conditions of policies are touched: the security quals of tables and the RLS kinds of WITH CHECK OPTIONs, with
 * all that is inside them; with rls_optimize_quals also WHERE and JOIN conditions.  The query keeps its meaning: an item is
 * evaluated only if a row asks for it, and a fact is confirmed under the execution's snapshot. */
#include "pg/prelude.h"

#include "auth/identity.h"
#include "pg/module.h"
#include "rls/items.h"
#include "rls/rewrite.h"

extern "C" {
#include "access/parallel.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/cost.h"
#include "optimizer/planner.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
}

/* Subqueries that cost more than this, in the planner's units, are not run while planning. */
static const double kMaxSubqueryCost = 100000;

int rls_optimize = RLS_FULL;
bool rls_optimize_quals = false;
RlsLastPlanning rls_last_planning;
RlsStats rls_stats;

static planner_hook_type next_planner = nullptr;
static uint64 planning_serial = 0;

static PlannedStmt *
plan_next(Query *query, const char *source, int cursor_options, ParamListInfo params)
{
	if (next_planner != nullptr)
		return next_planner(query, source, cursor_options, params);
	return standard_planner(query, source, cursor_options, params);
}

/* Plans the items; what their plans depend on, the whole plan will depend on. */
static void
plan_items(RlsRewrite *rewrite, const char *source)
{
	ListCell *cell;

	foreach(cell, rewrite->items) {
		Node *node = (Node *) lfirst(cell);

		if (IsA(node, List)) {
			PlannedStmt *plan = plan_next((Query *) lsecond((List *) node), source, 0, nullptr);

			rewrite->subquery_cost += plan->planTree->total_cost;
			rewrite->relations = list_concat(rewrite->relations, plan->relationOids);
			rewrite->invalidations = list_concat(rewrite->invalidations, plan->invalItems);
			rewrite->depends_on_role |= plan->dependsOnRole;
			rewrite->is_transient |= plan->transientPlan;
			lsecond((List *) node) = plan;
		} else {
			List *relations, *invalidations;

			lfirst(cell) = expression_planner_with_deps((Expr *) node, &relations, &invalidations);
			rewrite->relations = list_concat(rewrite->relations, relations);
			rewrite->invalidations = list_concat(rewrite->invalidations, invalidations);
		}
	}
}

static bool
contains_policies_walker(Node *node, void *context)
{
	if (node == nullptr)
		return false;
	if (IsA(node, Query)) {
		Query *query = (Query *) node;

		if (query->hasRowSecurity)
			return true;
		return ms_walk_query(query, contains_policies_walker, context, 0);
	}
	return ms_walk_expression(node, contains_policies_walker, context);
}

/* Old minor releases do not mark a query whose CTE or subquery has policies; a top-level table is marked always. */
static bool
is_candidate(Query *query)
{
	if (rls_optimize == RLS_OFF || query->commandType == CMD_UTILITY)
		return false;
	if (query->hasRowSecurity || rls_optimize_quals)
		return true;
	if (query->hasSubLinks || query->cteList != NIL)
		return contains_policies_walker((Node *) query, nullptr);
	return false;
}

/* One way to plan a query: what was taken out of it, and the plan. */
struct Attempt {
	RlsRewrite rewrite;
	PlannedStmt *plan;
	List *facts;
	List *live;
	bool runs_code;
};

static PlannedStmt *
finish(Attempt *attempt, Query *original, int cursor_options, uint64 serial)
{
	RlsCarrier carrier = {};

	carrier.items = attempt->rewrite.items;
	carrier.facts = attempt->facts;
	carrier.live = attempt->live;
	carrier.runs_code = attempt->runs_code;
	carrier.original = attempt->facts != NIL || attempt->plan->parallelModeNeeded ? original : nullptr;
	carrier.base = attempt->rewrite.base;
	carrier.cursor_options = cursor_options;
	carrier.serial = serial;
	attempt->plan->relationOids = list_concat(attempt->plan->relationOids, attempt->rewrite.relations);
	attempt->plan->invalItems = list_concat(attempt->plan->invalItems, attempt->rewrite.invalidations);
	attempt->plan->dependsOnRole |= attempt->rewrite.depends_on_role;
	attempt->plan->transientPlan |= attempt->rewrite.is_transient;
	rls_attach_carrier(attempt->plan, &carrier);
	rls_stats.queries_optimized++;
	rls_stats.calls_hoisted += list_length(carrier.items);
	rls_stats.facts_folded += list_length(carrier.facts);
	return attempt->plan;
}

/* Plans `query`, which it may change, with facts.  Leaves attempt->plan NULL where the subqueries that it would have to run
 * cost more than `limit`. */
static void
plan_with_facts(Attempt *attempt, Query *query, const char *source, int cursor_options, ParamListInfo params, double limit)
{
	RlsRewrite *rewrite = &attempt->rewrite;

	rls_take_out(query, rewrite);
	if (rewrite->items == NIL || (rewrite->arrays && bms_is_empty(rewrite->array_items)))
		return;
	rls_note_references(rewrite);
	plan_items(rewrite, source);
	RlsRun *run = rls_make_run(rewrite->items, rewrite->base, params);
	if (rewrite->subquery_cost + rls_cost_of_keys(rewrite, run) > limit)
		return;

	bool *wanted = (bool *) palloc0(sizeof(bool) * run->count);
	bool *failed = (bool *) palloc0(sizeof(bool) * run->count);
	uint64 activity = rls_activity;

	for (int i = 0; i < run->count; i++)
		wanted[i] = bms_is_member(i, rewrite->roots);
	rls_evaluate_guarded(run, wanted, failed);
	/* What evaluation itself executes is no activity of others. */
	rls_activity = activity;
	for (int i = 0; i < run->count; i++)
		rewrite->no_facts |= failed[i];
	rewrite->subquery_cost += rls_cost_of_keys(rewrite, run);
	if (rewrite->subquery_cost > limit)
		return;

	query = rls_put_in(query, rewrite, run, &attempt->facts);
	/* A subquery whose keys are no fact stays as it is: collecting all keys may raise what single rows do not. */
	int array = -1;
	while ((array = bms_next_member(rewrite->array_items, array)) >= 0) {
		ListCell *cell;

		foreach(cell, attempt->facts)
			if (intVal(linitial((List *) lfirst(cell))) == array)
				break;
		if (cell == nullptr)
			return;
	}
	attempt->live = rls_live_items(query, rewrite, &attempt->runs_code);
	PlannedStmt *plan = plan_next(query, source, cursor_options, run->params);

	if (rls_hide_keys(plan, rewrite, attempt->facts))
		attempt->plan = plan;
}

/* Plans `query`, from which the items have been taken out, as it is. */
static void
plan_without_facts(Attempt *attempt, Query *query, const char *source, int cursor_options, ParamListInfo params)
{
	RlsRewrite *rewrite = &attempt->rewrite;

	rls_note_references(rewrite);
	plan_items(rewrite, source);
	RlsRun *run = rls_make_run(rewrite->items, rewrite->base, params);
	query = rls_put_in(query, rewrite, run, &attempt->facts);
	attempt->live = rls_live_items(query, rewrite, &attempt->runs_code);
	attempt->plan = plan_next(query, source, cursor_options, run->params);
}

PlannedStmt *
rls_plan(Query *query, const char *source, int cursor_options, ParamListInfo params, bool fold)
{
	Attempt attempt = {};
	bool changes_identity;
	int base = rls_highest_param(query, &changes_identity);
	bool is_point_lookup = rls_is_point_lookup(query);

	/* Each row is for whoever asks when its turn comes: PostgreSQL alone. */
	if (changes_identity)
		return plan_next(query, source, cursor_options, params);

	if (params != nullptr && params->numParams > base)
		base = params->numParams;
	if (is_point_lookup)
		cursor_options &= ~CURSOR_OPT_PARALLEL_OK;
	attempt.rewrite.base = base;
	if (!fold || rls_optimize != RLS_FULL || rls_evaluation_depth > 0 || IsInParallelMode() || !ActiveSnapshotSet() ||
		is_point_lookup) {
		/* Without facts.  For a single row they would cost more than they save. */
		Query *original = nullptr;

		if ((cursor_options & CURSOR_OPT_PARALLEL_OK) != 0 && max_parallel_workers_per_gather > 0)
			original = (Query *) copyObjectImpl(query);
		rls_take_out(query, &attempt.rewrite);
		if (attempt.rewrite.items == NIL)
			return plan_next(query, source, cursor_options, params);
		plan_without_facts(&attempt, query, source, cursor_options, params);
		return finish(&attempt, original, cursor_options, 0);
	}

	Query *original = (Query *) copyObjectImpl(query);
	uint64 serial = ++planning_serial;
	uint64 identity = ms_identity_generation();

	attempt.rewrite.fold = true;
	plan_with_facts(&attempt, query, source, cursor_options, params, kMaxSubqueryCost);
	if (attempt.plan == nullptr) {
		if (attempt.rewrite.items == NIL && !attempt.rewrite.convertible)
			return plan_next(query, source, cursor_options, params);
		/* Its subqueries are too expensive to be run twice, or there is nothing but subqueries that give keys. */
		attempt = {};
		attempt.rewrite.base = base;
		Query *plain = (Query *) copyObjectImpl(original);

		rls_take_out(plain, &attempt.rewrite);
		plan_without_facts(&attempt, plain, source, cursor_options, params);
		attempt.rewrite.convertible = true;
	}
	/* debug_print_plan would print the keys. */
	if (attempt.rewrite.convertible && !Debug_print_plan) {
		/* Subqueries that could be arrays of keys: take the cheaper of the two forms.  Where few rows are looked at, the
		 * subquery as it stands is cheaper than to collect its whole result, and that is not even tried. */
		Attempt other = {};

		other.rewrite.base = base;
		other.rewrite.fold = other.rewrite.arrays = true;
		plan_with_facts(&other, (Query *) copyObjectImpl(original), source, cursor_options, params,
						attempt.plan->planTree->total_cost);
		if (other.plan != nullptr &&
			other.plan->planTree->total_cost + other.rewrite.subquery_cost < attempt.plan->planTree->total_cost)
			attempt = other;
	}
	if (attempt.rewrite.items == NIL)
		return attempt.plan;
	rls_last_planning.serial = serial;
	rls_last_planning.activity = rls_activity;
	rls_last_planning.user = GetUserId();
	rls_last_planning.identity = identity;
	rls_mark_snapshot(&rls_last_planning.mark, GetActiveSnapshot());
	return finish(&attempt, original, cursor_options, serial);
}

static PlannedStmt *
ms_planner(Query *query, const char *source, int cursor_options, ParamListInfo params)
{
	if (!is_candidate(query))
		return plan_next(query, source, cursor_options, params);
	return rls_plan(query, source, cursor_options, params, true);
}

void
rls_init_planner(void)
{
	next_planner = planner_hook;
	planner_hook = ms_planner;
}
