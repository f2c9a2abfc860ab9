/* The statements of the client: their number in the transaction, how deep we are in one, and what is done at its end.
 *
 * These hooks are the outermost: whatever the others run, be it to plan or to look something up, is within a statement. */
#include "pg/prelude.h"

#include "audit/audit.h"
#include "audit/context.h"
#include "audit/store.h"

extern "C" {
#include "executor/executor.h"
#include "optimizer/planner.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"
}

static planner_hook_type next_planner;
static ExecutorStart_hook_type next_executor_start;
static ExecutorRun_hook_type next_executor_run;
static ExecutorFinish_hook_type next_executor_finish;
static ProcessUtility_hook_type next_process_utility;

static int depth = 0;
static int32 number = 0;
static int64 fingerprint = 0;
static uint64 first_id = 0;       /* random, so that no two backends have the same numbers */
static uint64 id = 0;

int
ms_audit_depth(void)
{
	return depth;
}

int32
ms_audit_statement_no(void)
{
	return number;
}

int64
ms_audit_fingerprint(void)
{
	return fingerprint;
}

uint64
ms_audit_statement_id(void)
{
	if (unlikely(first_id == 0)) {
		if (!pg_strong_random(&first_id, sizeof(first_id)) || first_id == 0)
			first_id = (uint64) MyProcPid << 32;
	}
	return first_id + id;
}

static void
begin_statement(const PlannedStmt *statement)
{
	number++;
	id++;
	fingerprint = (int64) statement->queryId;
	ms_audit_who_begin();
}

/* Writes of the statement become events before the next one can ask for them. */
static void
end_statement(void)
{
	if (depth == 0 && IsTransactionState())
		ms_audit_store_pending();
}

/* Planning may run functions and queries. */
static PlannedStmt *
plan(Query *query, const char *source, int cursor_options, ParamListInfo params)
{
	PlannedStmt *planned = nullptr;

	depth++;
	PG_TRY();
	{
		planned = next_planner ? next_planner(query, source, cursor_options, params)
							   : standard_planner(query, source, cursor_options, params);
	}
	PG_FINALLY();
	{
		depth--;
	}
	PG_END_TRY();
	return planned;
}

static void
executor_start(QueryDesc *desc, int eflags)
{
	if (depth == 0)
		begin_statement(desc->plannedstmt);
	depth++;
	PG_TRY();
	{
		if (next_executor_start)
			next_executor_start(desc, eflags);
		else
			standard_ExecutorStart(desc, eflags);
	}
	PG_FINALLY();
	{
		depth--;
	}
	PG_END_TRY();
}

static void
executor_run(QueryDesc *desc, ScanDirection direction, uint64 count MS_EXECUTE_ONCE_PARAMETER)
{
	depth++;
	PG_TRY();
	{
		if (next_executor_run)
			next_executor_run(desc, direction, count MS_EXECUTE_ONCE);
		else
			standard_ExecutorRun(desc, direction, count MS_EXECUTE_ONCE);
	}
	PG_FINALLY();
	{
		depth--;
	}
	PG_END_TRY();
}

static void
executor_finish(QueryDesc *desc)
{
	depth++;
	PG_TRY();
	{
		if (next_executor_finish)
			next_executor_finish(desc);
		else
			standard_ExecutorFinish(desc);
	}
	PG_FINALLY();
	{
		depth--;
	}
	PG_END_TRY();
	end_statement();
}

static void
process_utility(PlannedStmt *planned, const char *query, bool read_only_tree, ProcessUtilityContext context,
				ParamListInfo params, QueryEnvironment *environment, DestReceiver *receiver, QueryCompletion *completion)
{
	/* BEGIN, COMMIT and the like are no statements within the transaction. */
	if (depth == 0 && !IsA(planned->utilityStmt, TransactionStmt))
		begin_statement(planned);
	depth++;
	PG_TRY();
	{
		if (next_process_utility)
			next_process_utility(planned, query, read_only_tree, context, params, environment, receiver, completion);
		else
			standard_ProcessUtility(planned, query, read_only_tree, context, params, environment, receiver, completion);
	}
	PG_FINALLY();
	{
		depth--;
	}
	PG_END_TRY();
	end_statement();
}

static void
on_xact_event(XactEvent event, void *arg)
{
	(void) arg;
	/* A procedure that commits is still the statement that it was. */
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		number = depth > 0 ? 1 : 0;
}

void
ms_audit_statement_init(void)
{
	/* Fingerprints are PostgreSQL's own query ids; compute_query_id = off turns them off. */
	EnableQueryId();
	RegisterXactCallback(on_xact_event, nullptr);
	next_planner = planner_hook;
	planner_hook = plan;
	next_executor_start = ExecutorStart_hook;
	ExecutorStart_hook = executor_start;
	next_executor_run = ExecutorRun_hook;
	ExecutorRun_hook = executor_run;
	next_executor_finish = ExecutorFinish_hook;
	ExecutorFinish_hook = executor_finish;
	next_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
}
