/* The executor hooks: at the start of an execution it is settled where audited rows are counted (lineage.h), while it
 * runs they are counted there (capture.h), and what was seen is handed over before the client hears of the end. */
#include "pg/prelude.h"

#include "audit/capture.h"
#include "audit/context.h"
#include "audit/leaks.h"
#include "audit/marks.h"
#include "audit/outlet.h"
#include "audit/parallel.h"
#include "audit/reads.h"
#include "audit/settings.h"

extern "C" {
#include "access/parallel.h"
#include "executor/executor.h"
#include "tcop/dest.h"
#include "tcop/pquery.h"
#include "utils/portal.h"
}

bool audit_exporting = false;

static ExecutorStart_hook_type next_start = nullptr;
static ExecutorRun_hook_type next_run = nullptr;
static ExecutorFinish_hook_type next_finish = nullptr;
static ExecutorEnd_hook_type next_end = nullptr;

/* How many executions are running, one within the other. */
static int depth = 0;

/* How many of them belong to a foreign key. */
static int foreign_key_depth = 0;

/* ---- the start ---- */

/* Whether anything of what the plan reads is a read that matters: most plans leave here. */
static bool
reads_audited(const PlannedStmt *plan)
{
	ListCell *cell;

	foreach(cell, plan->rtable) {
		const RangeTblEntry *entry = (const RangeTblEntry *) lfirst(cell);

		if (entry->rtekind != RTE_RELATION || ms_audit_is_policy_read(entry))
			continue;
		const AuditRelation *audited = ms_audit_relation(entry->relid);
		if (audited != nullptr && audited->reads)
			return true;
	}
	return false;
}

/* The query by which PostgreSQL checks a foreign key: it shows nothing of a row and calls nobody's function.  It is
 * known by its text, as the rewriter may add others to it, and by what it runs in: the triggers and rules of a table that a
 * cascade reaches run within the cascade's own statement, and what they read is somebody's own reading. */
static bool
checks_foreign_key(const QueryDesc *desc)
{
	static const char kText[] = "SELECT 1 FROM ";
	const PlannedStmt *plan = desc->plannedstmt;
	ListCell *cell;

	if (!InNoForceRLSOperation() || foreign_key_depth > 0 || desc->sourceText == nullptr ||
		strncmp(desc->sourceText, kText, sizeof(kText) - 1) != 0 || plan->commandType != CMD_SELECT ||
		plan->rowMarks == NIL || plan->invalItems != NIL)
		return false;
	foreach(cell, plan->planTree->targetlist) {
		const TargetEntry *entry = (const TargetEntry *) lfirst(cell);

		if (!entry->resjunk && !IsA(entry->expr, Const))
			return false;
	}
	return true;
}

/* Whether it is a policy's: that, and nothing that the reader could have put in its place. */
static bool
is_policys(const PlannedStmt *plan)
{
	return audit_policy_depth > 0 && !ms_audit_is_imitation(plan);
}

/* Runs a part of an execution, within which others may begin. */
template <typename Part>
static void
run_within(const QueryDesc *desc, Part part)
{
	int policies = audit_policy_depth;
	bool keeps_foreign_key = InNoForceRLSOperation();

	if (unlikely(policies > 0) && ms_audit_any() && ms_audit_is_imitation(desc->plannedstmt))
		audit_policy_depth = 0;
	depth++;
	if (unlikely(keeps_foreign_key))
		foreign_key_depth++;
	PG_TRY();
	{
		part();
	}
	PG_FINALLY();
	{
		depth--;
		if (unlikely(keeps_foreign_key))
			foreign_key_depth--;
		audit_policy_depth = policies;
	}
	PG_END_TRY();
}

/* ALTER TABLE looks for rows that violate a new foreign key with one query, of which it takes the first row for its error.
 * Its text could be anybody's, its limit could not: no function in C passes on a query with it. */
static EState *may_validate = nullptr;

static bool
may_validate_foreign_key(const QueryDesc *desc)
{
	bool fk = false, pk = false;
	ListCell *cell;

	if (!ms_audit_in_alter_table() || desc->plannedstmt->commandType != CMD_SELECT || desc->plannedstmt->invalItems != NIL)
		return false;
	foreach(cell, desc->plannedstmt->rtable) {
		const RangeTblEntry *entry = (const RangeTblEntry *) lfirst(cell);

		if (entry->rtekind == RTE_JOIN)
			continue;
		if (entry->rtekind != RTE_RELATION)
			return false;
		fk = fk || strcmp(entry->eref->aliasname, "fk") == 0;
		pk = pk || strcmp(entry->eref->aliasname, "pk") == 0;
	}
	return fk && pk;
}

static void
set_taps(QueryDesc *desc)
{
	EState *estate = desc->estate;
	MemoryContext old = MemoryContextSwitchTo(estate->es_query_cxt);
	AuditLineage lineage = {};
	AuditItem *top = ms_audit_trace(&lineage, estate, desc->planstate);

	if (IsParallelWorker() && depth == 0) {
		/* Rows go to the leader, which follows them from there. */
		ms_audit_agree(&lineage, top, desc->planstate);
		top = nullptr;
	}
	if (top != nullptr || lineage.settled != nullptr || lineage.scans != nullptr || lineage.quals != nullptr) {
		AuditCapture *capture = ms_audit_capture_make(estate, top, desc->planstate, lineage.settled);

		capture->exporting = ms_audit_is_export();
		capture->scans = lineage.scans;
		ms_audit_bind_quals(capture, &lineage);
	}
	MemoryContextSwitchTo(old);
}

static void
ms_audit_executor_start(QueryDesc *desc, int eflags)
{
	if (next_start != nullptr)
		next_start(desc, eflags);
	else
		standard_ExecutorStart(desc, eflags);
	may_validate = nullptr;
	if (likely(!ms_audit_any()) || !audit_enabled || (eflags & EXEC_FLAG_EXPLAIN_ONLY) != 0 ||
		is_policys(desc->plannedstmt) || checks_foreign_key(desc))
		return;
	if (IsParallelWorker() && depth == 0 && !ms_audit_adopt(desc->plannedstmt->rtable))
		return;
	if (is_policys(desc->plannedstmt) || !reads_audited(desc->plannedstmt))
		return;
	if (unlikely(may_validate_foreign_key(desc))) {
		may_validate = desc->estate;
		return;
	}
	set_taps(desc);
}

/* ---- the run ---- */

/* Whether what is put out goes to the client: at once, or by way of a tuplestore that is sent when it is complete. */
static void
note_destination(AuditCapture *capture, const QueryDesc *desc)
{
	bool to_client = false, to_store = false;

	if (depth == 0 && desc->dest != nullptr)
		switch (desc->dest->mydest) {
			case DestRemote:
			case DestRemoteExecute:
			case DestRemoteSimple:
			case DestCopyOut:
				to_client = true;
				break;
			case DestTuplestore:
				/* FETCH and EXECUTE fill the store of another portal, RETURNING its own.  A cursor WITH HOLD that outlives
				 * its transaction fills its own, too, and nobody knows what will be fetched from it. */
				to_client = to_store = ActivePortal != nullptr &&
					(ActivePortal->holdStore == nullptr || ActivePortal->strategy == PORTAL_ONE_RETURNING ||
					 ActivePortal->strategy == PORTAL_ONE_MOD_WITH);
				break;
			default:
				break;
		}
	/* A cursor's MOVE, or FETCH LAST, passes over rows that nobody gets: they are not to be told with those of a FETCH. */
	if (to_client != capture->to_client)
		ms_audit_capture_hand_over(capture, false);
	capture->to_client = to_client;
	capture->to_store = to_store;
}

static void
run(QueryDesc *desc, ScanDirection direction, uint64 count MS_EXECUTE_ONCE_PARAMETER)
{
	if (next_run != nullptr)
		next_run(desc, direction, count MS_EXECUTE_ONCE);
	else
		standard_ExecutorRun(desc, direction, count MS_EXECUTE_ONCE);
}

/* What the plan reads in parallel workers is part of this statement. */
static void
prepare_workers(QueryDesc *desc, AuditCapture *capture)
{
	if (!IsInParallelMode()) {
		ms_audit_publish(capture);
		ms_audit_note_workers();
		return;
	}
	/* A function that is called while workers are running cannot tell workers of its own anything: it does without. */
	MemoryContext old = MemoryContextSwitchTo(desc->estate->es_query_cxt);
	PlannedStmt *alone = makeNode(PlannedStmt);

	memcpy(alone, desc->plannedstmt, sizeof(PlannedStmt));
	alone->parallelModeNeeded = false;
	desc->plannedstmt = alone;
	MemoryContextSwitchTo(old);
}

static void
ms_audit_executor_run(QueryDesc *desc, ScanDirection direction, uint64 count MS_EXECUTE_ONCE_PARAMETER)
{
	if (unlikely(may_validate == desc->estate)) {
		may_validate = nullptr;
		if (count != 1)
			set_taps(desc);
	}
	AuditCapture *capture = ms_audit_capture_of(desc->estate);

	if (capture != nullptr) {
		note_destination(capture, desc);
		ms_audit_capture_intend(capture);
	}
	if (unlikely(desc->plannedstmt->parallelModeNeeded) && ms_audit_any())
		prepare_workers(desc, capture);
	PG_TRY();
	{
		run_within(desc, [&] { run(desc, direction, count MS_EXECUTE_ONCE); });
	}
	PG_CATCH();
	{
		ms_audit_rethrow_with_rows(capture);
	}
	PG_END_TRY();
	/* What went to the client is handed over before the command is complete for it. */
	if (capture != nullptr && capture->to_client)
		ms_audit_capture_hand_over(capture, true);
}

static void
finish(QueryDesc *desc)
{
	if (next_finish != nullptr)
		next_finish(desc);
	else
		standard_ExecutorFinish(desc);
}

static void
ms_audit_executor_finish(QueryDesc *desc)
{
	AuditCapture *capture = ms_audit_capture_of(desc->estate);

	run_within(desc, [&] { finish(desc); });
	if (capture != nullptr)
		ms_audit_capture_hand_over(capture, true);
}

static void
ms_audit_executor_end(QueryDesc *desc)
{
	AuditCapture *capture = ms_audit_capture_of(desc->estate);

	if (capture != nullptr)
		ms_audit_capture_hand_over(capture, true);
	if (next_end != nullptr)
		next_end(desc);
	else
		standard_ExecutorEnd(desc);
}

void
ms_audit_reads_init(void)
{
	ms_audit_marks_init();
	ms_audit_parallel_init();
	next_start = ExecutorStart_hook;
	ExecutorStart_hook = ms_audit_executor_start;
	next_run = ExecutorRun_hook;
	ExecutorRun_hook = ms_audit_executor_run;
	next_finish = ExecutorFinish_hook;
	ExecutorFinish_hook = ms_audit_executor_finish;
	next_end = ExecutorEnd_hook;
	ExecutorEnd_hook = ms_audit_executor_end;
}
