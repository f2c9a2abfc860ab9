/* Facts are confirmed: before execution, and again where who asks changes while a statement runs.
 *
 * A parameter can be evaluated again for somebody else, as PostgreSQL would do it for the next row.  A plan that was made
 * with facts cannot: it goes on only if all of them are the same.  So after each row that a scan of such a plan gives a
 * change is looked for, and also at the end of the run, as what facts made superfluous has no scan.  Plans that call
 * nothing that could change who asks are spared that. */
#include "pg/prelude.h"

#include "rls/items.h"

extern "C" {
#include "access/parallel.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
}

bool
rls_facts_hold(const RlsCarrier *carrier, ParamListInfo outer, const RlsRun *running)
{
	RlsRun *run = rls_make_run(carrier->items, carrier->base, outer);
	bool *wanted = (bool *) palloc0(sizeof(bool) * run->count);
	bool *failed = (bool *) palloc0(sizeof(bool) * run->count);
	ListCell *cell;

	foreach(cell, carrier->facts)
		wanted[intVal(linitial((List *) lfirst(cell)))] = true;
	for (int i = 0; running != nullptr && i < run->count; i++)
		wanted[i] |= running->items[i].evaluated;
	rls_evaluate_guarded(run, wanted, failed);
	for (int i = 0; running != nullptr && i < run->count; i++) {
		const RlsItem *before = &running->items[i];
		const RlsItem *now = &run->items[i];
		int16 length;
		bool by_value;

		if (!before->evaluated)
			continue;
		if (failed[i] || before->value.isnull != now->value.isnull)
			return false;
		get_typlenbyval(now->type, &length, &by_value);
		if (!now->value.isnull && !datumIsEqual(before->value.value, now->value.value, by_value, length))
			return false;
	}
	foreach(cell, carrier->facts) {
		int index = intVal(linitial((List *) lfirst(cell)));
		Const *value = (Const *) lsecond((List *) lfirst(cell));
		RlsItem *item = &run->items[index];

		if (failed[index] || item->value.isnull != value->constisnull)
			return false;
		if (!value->constisnull &&
			!datumIsEqual(item->value.value, value->constvalue, value->constbyval, value->constlen))
			return false;
	}
	return true;
}

void
rls_confirm_again(RlsRun *run)
{
	PushActiveSnapshot(run->estate->es_snapshot);
	bool hold = !IsInParallelMode() && rls_facts_hold(run->carrier, run->outer, run);
	PopActiveSnapshot();
	if (!hold)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("row level security of this statement was settled for another user"),
				 errdetail("The user or the claims changed after it was started, and its policies give other answers now."),
				 errhint("Change the user in a statement of its own. Open cursors again.")));
	rls_take_identity(run);
}

static TupleTableSlot *
guarded_scan(PlanState *node)
{
	RlsRun *run = (RlsRun *) node->state->es_param_list_info->paramFetchArg;
	TupleTableSlot *slot = run->guarded[node->plan->plan_node_id](node);

	if (unlikely(rls_is_of_others(run)))
		rls_confirm_again(run);
	return slot;
}

static bool
is_scan(const PlanState *node)
{
	switch (nodeTag(node->plan)) {
		case T_SeqScan:
		case T_SampleScan:
		case T_IndexScan:
		case T_IndexOnlyScan:
		case T_BitmapHeapScan:
		case T_TidScan:
		case T_TidRangeScan:
		case T_ForeignScan:
		case T_CustomScan:
			return true;
		default:
			return false;
	}
}

static bool
highest_id_walker(PlanState *node, void *context)
{
	int *highest = (int *) context;

	if (node == nullptr)
		return false;
	if (node->plan->plan_node_id > *highest)
		*highest = node->plan->plan_node_id;
	return ms_walk_planstate(node, highest_id_walker, context);
}

static bool
guard_walker(PlanState *node, void *context)
{
	RlsRun *run = (RlsRun *) context;

	if (node == nullptr)
		return false;
	/* One subplan may stand in several expressions. */
	if (is_scan(node) && node->ExecProcNodeReal != guarded_scan) {
		run->guarded[node->plan->plan_node_id] = node->ExecProcNodeReal;
		ExecSetExecProcNode(node, guarded_scan);
	}
	return ms_walk_planstate(node, guard_walker, context);
}

void
rls_guard_scans(RlsRun *run, PlanState *root)
{
	int highest = 0;

	(void) highest_id_walker(root, &highest);
	run->guarded = (ExecProcNodeMtd *) MemoryContextAllocZero(run->context, sizeof(ExecProcNodeMtd) * (highest + 1));
	(void) guard_walker(root, run);
}
