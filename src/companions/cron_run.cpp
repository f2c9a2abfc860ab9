/* One run of a cron job: a session of the job's role that executes the job's command as psql would send it:
 * statement by statement, all in one transaction unless the command itself begins and ends transactions. */
#include "pg/prelude.h"

#include "companions/cron.h"

extern "C" {
#include "mb/pg_wchar.h"
#include "nodes/parsenodes.h"
#include "parser/analyze.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "tcop/cmdtag.h"
#include "tcop/dest.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/snapmgr.h"
}

namespace {

/* A run has no client: what COPY sends to one would go into the server's log, byte for byte, and what it reads from one
 * would come from wherever the server's standard input leads. */
void
refuse_copy_with_client(const Node *statement)
{
	if (IsA(statement, CopyStmt) && ((const CopyStmt *) statement)->filename == nullptr)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("a job cannot COPY to or from a client"),
						errhint("Use INSERT ... SELECT, or COPY with a file or a program on the server.")));
}

/* Executes one statement and leaves its completion in *completion. */
void
execute_statement(RawStmt *statement, const char *command, bool alone, QueryCompletion *completion)
{
	bool has_snapshot = false;
	List *queries, *plans;
	Portal portal;
	DestReceiver *nowhere;

	refuse_copy_with_client(statement->stmt);
	if (analyze_requires_snapshot(statement)) {
		PushActiveSnapshot(GetTransactionSnapshot());
		has_snapshot = true;
	}
	queries = pg_analyze_and_rewrite_fixedparams(statement, command, nullptr, 0, nullptr);
	plans = pg_plan_queries(queries, command, CURSOR_OPT_PARALLEL_OK, nullptr);
	if (has_snapshot)
		PopActiveSnapshot();

	portal = CreatePortal("", true, true);
	portal->visible = false;
	PortalDefineQuery(portal, nullptr, command, CreateCommandTag(statement->stmt), plans, nullptr);
	PortalStart(portal, nullptr, 0, InvalidSnapshot);
	nowhere = CreateDestReceiver(DestNone);
	InitializeQueryCompletion(completion);
	(void) ms_portal_run(portal, alone, nowhere, completion);
	nowhere->rDestroy(nowhere);
	PortalDrop(portal, false);
}

void
execute_command(const char *command, MemoryContext context, QueryCompletion *completion)
{
	List *statements;
	ListCell *cell;
	bool in_transaction;

	InitializeQueryCompletion(completion);
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	in_transaction = true;
	MemoryContextSwitchTo(context);
	statements = pg_parse_query(command);
	const bool alone = list_length(statements) == 1;

	foreach (cell, statements) {
		RawStmt *statement = lfirst_node(RawStmt, cell);

		if (!in_transaction) {
			StartTransactionCommand();
			in_transaction = true;
		}
		if (!alone)
			BeginImplicitTransactionBlock();
		CHECK_FOR_INTERRUPTS();
		MemoryContextSwitchTo(context);
		execute_statement(statement, command, alone, completion);

		if (lnext(statements, cell) == nullptr) {
			if (!alone)
				EndImplicitTransactionBlock();
			CommitTransactionCommand();
			in_transaction = false;
		} else if (IsA(statement->stmt, TransactionStmt)) {
			CommitTransactionCommand();
			in_transaction = false;
		} else {
			CommandCounterIncrement();
		}
	}
	if (in_transaction)
		CommitTransactionCommand();
	/* BEGIN without an end: as a client that goes away. */
	AbortOutOfAnyTransaction();
}

void
finish(CronRun *run, CronRunState state)
{
	const int length = (int) strlen(run->message);

	/* Not cut off within a character. */
	run->message[pg_mbcliplen(run->message, length, length)] = '\0';
	run->ended = GetCurrentTimestamp();
	pg_write_barrier();
	pg_atomic_write_u32(&run->state, state);
}

/* What psql would say of the last statement: the number of rows, or the command. */
void
describe(CronRun *run, const QueryCompletion *completion)
{
	const unsigned long long rows = completion->nprocessed;

	if (completion->commandTag == CMDTAG_SELECT)
		pg_snprintf(run->message, sizeof(run->message), "%llu row%s", rows, rows == 1 ? "" : "s");
	else if (completion->commandTag == CMDTAG_INSERT)
		pg_snprintf(run->message, sizeof(run->message), "INSERT 0 %llu", rows);
	else if (command_tag_display_rowcount(completion->commandTag))
		pg_snprintf(run->message, sizeof(run->message), "%s %llu", GetCommandTagName(completion->commandTag), rows);
	else if (completion->commandTag != CMDTAG_UNKNOWN)
		strlcpy(run->message, GetCommandTagName(completion->commandTag), sizeof(run->message));
}

}  // namespace

/* Runs the job whose CronRun is in the segment that the argument names. */
extern "C" PGDLLEXPORT void
ms_cron_run_main(Datum arg)
{
	LOCKTAG lock;
	QueryCompletion completion;

	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();

	dsm_segment *segment = dsm_attach(DatumGetUInt32(arg));
	if (!segment)
		proc_exit(0);    /* the scheduler is gone: the run is not known to anybody */
	dsm_pin_mapping(segment);
	CronRun *run = (CronRun *) dsm_segment_address(segment);

	BackgroundWorkerInitializeConnectionByOid(run->database, run->role, 0);
	pgstat_report_appname("mentalspace cron");
	ms_cron_run_lock(&lock, run->jobid);
	run->pid = MyProcPid;
	run->started = GetCurrentTimestamp();
	if (!ms_cron_take_lock(&lock)) {
		strlcpy(run->message, "an earlier run of the job has not ended", sizeof(run->message));
		finish(run, kRunFailed);
		proc_exit(0);
	}
	pg_write_barrier();
	pg_atomic_write_u32(&run->state, kRunRunning);

	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "mentalspace cron command", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(context);
	char *command = pstrdup(run->command);
	debug_query_string = command;
	pgstat_report_activity(STATE_RUNNING, command);
	PG_TRY();
	{
		execute_command(command, context, &completion);
		describe(run, &completion);
		pgstat_report_stat(true);
		finish(run, kRunSucceeded);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		ErrorData *error = CopyErrorData();
		EmitErrorReport();
		FlushErrorState();
		AbortOutOfAnyTransaction();
		pg_snprintf(run->message, sizeof(run->message), "ERROR:  %s%s%s", error->message ? error->message : "",
					error->detail ? "\nDETAIL:  " : "", error->detail ? error->detail : "");
		finish(run, kRunFailed);
	}
	PG_END_TRY();
	proc_exit(0);
}
