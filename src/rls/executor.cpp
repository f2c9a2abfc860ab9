/* Execution: facts are confirmed under the execution's snapshot, items get their parameters. */
#include "pg/prelude.h"

#include "auth/identity.h"
#include "pg/module.h"
#include "rls/items.h"

extern "C" {
#include "access/parallel.h"
#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "tcop/utility.h"
#include "utils/snapmgr.h"
}

uint64 rls_activity = 0;

static ExecutorStart_hook_type next_executor_start = nullptr;
static ExecutorRun_hook_type next_executor_run = nullptr;
static ProcessUtility_hook_type next_process_utility = nullptr;

/* Whether the plan was made just now, under the snapshot that it is to be executed with. */
static bool
is_fresh(const RlsCarrier *carrier, Snapshot snapshot)
{
	return carrier->serial != 0 && carrier->serial == rls_last_planning.serial &&
		rls_last_planning.activity == rls_activity && rls_last_planning.user == GetUserId() &&
		rls_last_planning.identity == ms_identity_generation() &&
		rls_snapshot_is_marked(&rls_last_planning.mark, snapshot);
}

/* Plans anew for this execution; false where nothing of the new plan needs parameters. */
static bool
plan_anew(QueryDesc *desc, RlsCarrier *carrier, int cursor_options, bool fold)
{
	rls_stats.executions_replanned++;
	desc->plannedstmt = rls_plan((Query *) copyObjectImpl(carrier->original), desc->sourceText, cursor_options,
								 desc->params, fold);
	return rls_find_carrier(desc->plannedstmt, carrier);
}

/* Parameters are sent to parallel workers before the first row asks for one: what the plan refers to is evaluated now, and
 * the rest never.  False where that raises, which must not be seen unless a row asks. */
static bool
evaluate_for_workers(const RlsCarrier *carrier, RlsRun *run)
{
	bool *wanted = (bool *) palloc0(sizeof(bool) * run->count);
	bool *failed = (bool *) palloc0(sizeof(bool) * run->count);
	ListCell *cell;

	if (IsInParallelMode())
		return false;
	foreach(cell, carrier->live)
		wanted[lfirst_int(cell)] = true;
	rls_evaluate_guarded(run, wanted, failed);
	for (int i = 0; i < run->count; i++)
		if (failed[i])
			return false;
	run->sealed = true;
	return true;
}

/* Facts are values like others for what still refers to them. */
static void
take_facts(RlsRun *run, const RlsCarrier *carrier)
{
	ListCell *cell;

	foreach(cell, carrier->facts) {
		RlsItem *item = &run->items[intVal(linitial((List *) lfirst(cell)))];
		const Const *value = (const Const *) lsecond((List *) lfirst(cell));

		item->value.value = value->constvalue;
		item->value.isnull = value->constisnull;
		item->evaluated = true;
	}
}

/* The run of a plan that has items; may plan anew.  NULL where the plan has none in the end. */
static RlsRun *
prepare_run(QueryDesc *desc, int eflags, RlsCarrier *carrier)
{
	bool fresh = is_fresh(carrier, desc->snapshot);
	/* A portal that was promised to run backwards must be able to with the new plan, too. */
	int scroll = (eflags & EXEC_FLAG_BACKWARD) != 0 ? CURSOR_OPT_SCROLL : 0;

	/* Should the start fail, this plan is not fresh any more. */
	rls_activity++;
	if (carrier->facts != NIL) {
		rls_stats.executions_with_facts++;
		if (!fresh) {
			bool parallel = IsInParallelMode();

			if ((parallel || !rls_facts_hold(carrier, desc->params)) &&
				!plan_anew(desc, carrier, carrier->cursor_options | scroll, !parallel))
				return nullptr;
		}
	}

	RlsRun *run = rls_make_run(carrier->items, carrier->base, desc->params);
	take_facts(run, carrier);
	if ((eflags & EXEC_FLAG_EXPLAIN_ONLY) == 0 && desc->plannedstmt->parallelModeNeeded &&
		!evaluate_for_workers(carrier, run)) {
		if (!plan_anew(desc, carrier, (carrier->cursor_options | scroll) & ~CURSOR_OPT_PARALLEL_OK, !IsInParallelMode()))
			return nullptr;
		run = rls_make_run(carrier->items, carrier->base, desc->params);
		take_facts(run, carrier);
	}

	/* Whoever may evaluate a fact was asked when it was evaluated; what the facts made superfluous is checked all the same. */
	Bitmapset *facts = nullptr;
	ListCell *cell;

	foreach(cell, carrier->facts)
		facts = bms_add_member(facts, intVal(linitial((List *) lfirst(cell))));
	for (int i = 0; i < run->count; i++)
		if (!bms_is_member(i, facts))
			rls_check_permissions(run, i);
	return run;
}

static void
start_with_items(QueryDesc *desc, int eflags, RlsCarrier *carrier)
{
	bool active = ActiveSnapshotSet() && GetActiveSnapshot() == desc->snapshot;
	ParamListInfo outer = desc->params;
	/* What is made here lives as long as the execution: the caller's memory may live much longer. */
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "mentalspace rls", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);

	if (!active)
		PushActiveSnapshot(desc->snapshot);
	RlsRun *run = prepare_run(desc, eflags, carrier);
	if (!active)
		PopActiveSnapshot();

	if (run != nullptr) {
		/* The carrier goes no further: workers need not be sent it. */
		PlannedStmt *bare = makeNode(PlannedStmt);
		memcpy(bare, desc->plannedstmt, sizeof(PlannedStmt));
		bare->rtable = list_copy_head(bare->rtable, list_length(bare->rtable) - 1);
		desc->plannedstmt = bare;
		desc->params = run->params;
		run->carrier = (RlsCarrier *) palloc(sizeof(RlsCarrier));
		*run->carrier = *carrier;
		run->watched = carrier->runs_code;
		rls_take_identity(run);
	}
	MemoryContextSwitchTo(old);
	if (run != nullptr && rls_explained != nullptr && rls_explained->items == NIL && rls_evaluation_depth == 0) {
		*rls_explained = *carrier;
		rls_explained->items = (List *) copyObjectImpl(carrier->items);
		rls_explained->facts = (List *) copyObjectImpl(carrier->facts);
	}
	if (next_executor_start != nullptr)
		next_executor_start(desc, eflags);
	else
		standard_ExecutorStart(desc, eflags);
	MemoryContextSetParent(context, desc->estate->es_query_cxt);
	if (run != nullptr) {
		run->estate = desc->estate;
		if (run->watched && run->carrier->facts != NIL && (eflags & EXEC_FLAG_EXPLAIN_ONLY) == 0)
			rls_guard_scans(run, desc->planstate);
	}
	desc->params = outer;
}

static void
ms_rls_executor_start(QueryDesc *desc, int eflags)
{
	RlsCarrier carrier;

	if (unlikely(rls_find_carrier(desc->plannedstmt, &carrier))) {
		start_with_items(desc, eflags, &carrier);
		rls_activity++;
		return;
	}
	rls_activity++;
	if (next_executor_start != nullptr)
		next_executor_start(desc, eflags);
	else
		standard_ExecutorStart(desc, eflags);
}

static void
ms_rls_executor_run(QueryDesc *desc, ScanDirection direction, uint64 count MS_EXECUTE_ONCE_PARAMETER)
{
	RlsRun *run = rls_run_of(desc->estate->es_param_list_info);
	bool is_execution = run != nullptr && run->carrier != nullptr;

	/* A cursor may be fetched from on behalf of somebody else than it was opened for. */
	if (is_execution && rls_is_of_others(run))
		rls_confirm_again(run);
	if (next_executor_run != nullptr)
		next_executor_run(desc, direction, count MS_EXECUTE_ONCE);
	else
		standard_ExecutorRun(desc, direction, count MS_EXECUTE_ONCE);
	/* What facts made superfluous looked at no row: rows may be missing. */
	if (is_execution && run->carrier->facts != NIL && rls_is_of_others(run))
		rls_confirm_again(run);
}

static void
ms_rls_process_utility(PlannedStmt *stmt, const char *source, bool read_only_tree, ProcessUtilityContext context,
					   ParamListInfo params, QueryEnvironment *environment, DestReceiver *dest, QueryCompletion *completion)
{
	rls_activity++;
	if (next_process_utility != nullptr)
		next_process_utility(stmt, source, read_only_tree, context, params, environment, dest, completion);
	else
		standard_ProcessUtility(stmt, source, read_only_tree, context, params, environment, dest, completion);
}

/* What was planned in a subtransaction that is rolled back may have seen what it wrote. */
static void
subtransaction_ends(SubXactEvent event, SubTransactionId id, SubTransactionId parent, void *arg)
{
	(void) id;
	(void) parent;
	(void) arg;
	if (event == SUBXACT_EVENT_ABORT_SUB)
		rls_activity++;
}

void
rls_init_executor(void)
{
	RegisterSubXactCallback(subtransaction_ends, nullptr);
	next_executor_start = ExecutorStart_hook;
	ExecutorStart_hook = ms_rls_executor_start;
	next_executor_run = ExecutorRun_hook;
	ExecutorRun_hook = ms_rls_executor_run;
	next_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = ms_rls_process_utility;
}
