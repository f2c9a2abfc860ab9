/* Refused access, seen in three places: where plans begin and run, where commands run (utility.cpp), and where an error
 * goes to the client.  The first two see also what an EXCEPTION block catches.
 *
 * An error that comes by several of them is recorded once: it is the same as long as nothing new is executed. */
#include "pg/prelude.h"

#include "audit/audit.h"
#include "audit/context.h"
#include "audit/denied.h"
#include "audit/outlet.h"
#include "audit/settings.h"
#include "audit/switch.h"

extern "C" {
#include "access/parallel.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/planner.h"
#include "utils/lsyscache.h"
}

namespace {

planner_hook_type next_planner;
ExecutorStart_hook_type next_executor_start;
ExecutorRun_hook_type next_executor_run;
emit_log_hook_type next_emit_log;

/* The place in the source and the message of the refusal that was recorded last. */
struct {
	bool set;
	int line;
	char file[64];
	char message[256];
} recorded;

bool
is_recorded(const ErrorData *error)
{
	return recorded.set && recorded.line == error->lineno &&
		strncmp(recorded.file, error->filename ? error->filename : "", sizeof(recorded.file) - 1) == 0 &&
		strncmp(recorded.message, error->message ? error->message : "", sizeof(recorded.message) - 1) == 0;
}

void
remember(const ErrorData *error)
{
	recorded.set = true;
	recorded.line = error->lineno;
	strlcpy(recorded.file, error->filename ? error->filename : "", sizeof(recorded.file));
	strlcpy(recorded.message, error->message ? error->message : "", sizeof(recorded.message));
}

/* In words: PostgreSQL's own message where it holds names of objects only.  What functions raise may hold anything. */
const char *
detail_of(const ErrorData *error)
{
	if (error->funcname == nullptr)
		return "insufficient privilege";
	if (strncmp(error->funcname, "aclcheck_error", strlen("aclcheck_error")) == 0 ||
		strcmp(error->funcname, "check_enable_rls") == 0 || strcmp(error->funcname, "ms_audit_check_trigger") == 0)
		return error->message;
	if (strcmp(error->funcname, "ExecWithCheckOptions") == 0)
		return "row refused by row level security";
	return "insufficient privilege";
}

void
record_now(const ErrorData *error, AuditAction action, const AuditRelation *relation)
{
	AuditEvent event;

	ms_audit_event_init(&event, kDenied, action);
	event.outcome = kRefused;
	event.severity = kWarning;
	event.detail = detail_of(error);
	if (relation) {
		event.relation = relation->name;
		event.category = relation->category;
	}
	ms_audit_emit(&event, false);
}

/* Raises nothing: the user is to see the error that there was. */
void
record(const ErrorData *error, AuditAction action, const AuditRelation *relation)
{
	MemoryContext context = CurrentMemoryContext;

	remember(error);
	PG_TRY();
	{
		record_now(error, action, relation);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		FlushErrorState();
		ereport(WARNING, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("a refused access could not be recorded")));
	}
	PG_END_TRY();
}

bool
is_watched(void)
{
	return audit_enabled && !IsParallelWorker() && ms_audit_any();
}

AuditAction
action_of(CmdType operation)
{
	switch (operation) {
		case CMD_INSERT: return kCreate;
		case CMD_UPDATE: return kUpdate;
		case CMD_DELETE: return kDelete;
		case CMD_SELECT: return kRead;
		default: return kExecute;
	}
}

/* Whether a plan has anything to do with audited relations. */
bool
touches_audited(const PlannedStmt *plan)
{
	ListCell *cell;

	foreach (cell, plan->rtable) {
		RangeTblEntry *entry = lfirst_node(RangeTblEntry, cell);

		if (OidIsValid(entry->relid) && ms_audit_relation(entry->relid))
			return true;
	}
	return false;
}

/* Which audited relation it was: the one that lacks a privilege, the one that a row was not let into, the only one. */
const AuditRelation *
refused_relation(const PlannedStmt *plan, const ErrorData *error)
{
	bool row = error->funcname && strcmp(error->funcname, "ExecWithCheckOptions") == 0;
	const AuditRelation *only = nullptr;
	bool several = false;
	ListCell *cell;
	int index = 0;

	foreach (cell, plan->rtable) {
		RangeTblEntry *entry = lfirst_node(RangeTblEntry, cell);
		const AuditRelation *audited = OidIsValid(entry->relid) ? ms_audit_relation(entry->relid) : nullptr;

		index++;
		if (audited == nullptr)
			continue;
		if (row) {
			char *name = get_rel_name(entry->relid);

			if (list_member_int(plan->resultRelations, index) && name && error->message && strstr(error->message, name))
				return audited;
		} else if (ms_lacks_privilege(plan, entry))
			return audited;
		several |= only != nullptr && only->relid != audited->relid;
		only = audited;
	}
	return several ? nullptr : only;
}

/* What a query that could not be planned is about. */
struct Subjects {
	const AuditRelation *relation;
	bool several;
};

bool
find_subjects(Node *node, void *context)
{
	Subjects *subjects = (Subjects *) context;

	if (node == nullptr)
		return false;
	if (IsA(node, RangeTblEntry)) {
		Oid relid = ((RangeTblEntry *) node)->relid;
		const AuditRelation *audited = OidIsValid(relid) ? ms_audit_relation(relid) : nullptr;

		if (audited) {
			subjects->several |= subjects->relation && subjects->relation->relid != audited->relid;
			subjects->relation = audited;
		}
		return false;
	}
	if (IsA(node, Query))
		return ms_walk_query((Query *) node, find_subjects, context, QTW_EXAMINE_RTES_BEFORE);
	return ms_walk_expression(node, find_subjects, context);
}

/* A plan that was refused, or a query that could not even be planned.  False where it is about no audited relation. */
bool
find_refused(const PlannedStmt *plan, Node *query, const ErrorData *error, const AuditRelation **relation)
{
	Subjects subjects = {nullptr, false};

	if (plan) {
		*relation = refused_relation(plan, error);
		return true;
	}
	(void) find_subjects(query, &subjects);
	*relation = subjects.several ? nullptr : subjects.relation;
	return subjects.relation != nullptr;
}

[[noreturn]] void
rethrow(MemoryContext context, const PlannedStmt *plan, Node *query, CmdType operation)
{
	if (geterrcode() != ERRCODE_INSUFFICIENT_PRIVILEGE)
		PG_RE_THROW();
	MemoryContextSwitchTo(context);
	ErrorData *error = CopyErrorData();

	FlushErrorState();
	if (!is_recorded(error)) {
		volatile bool concerns = false;
		const AuditRelation *relation = nullptr;

		/* The catalogs are asked after an error that took nothing down with it; should they raise, it stays unnamed. */
		PG_TRY();
		{
			concerns = find_refused(plan, query, error, &relation);
		}
		PG_CATCH();
		{
			MemoryContextSwitchTo(context);
			FlushErrorState();
		}
		PG_END_TRY();
		if (concerns)
			record(error, action_of(operation), relation);
	}
	ReThrowError(error);
	pg_unreachable();
}

PlannedStmt *
plan_next(Query *query, const char *source, int options, ParamListInfo params)
{
	return next_planner ? next_planner(query, source, options, params) : standard_planner(query, source, options, params);
}

/* Privileges on views are looked at while planning in newer minor versions, and functions may be called. */
PlannedStmt *
planner(Query *query, const char *source, int options, ParamListInfo params)
{
	MemoryContext context = CurrentMemoryContext;
	CmdType operation = query->commandType;
	PlannedStmt *volatile planned = nullptr;

	if (!is_watched())
		return plan_next(query, source, options, params);
	PG_TRY();
	{
		planned = plan_next(query, source, options, params);
	}
	PG_CATCH();
	{
		rethrow(context, nullptr, (Node *) query, operation);
	}
	PG_END_TRY();
	return planned;
}

void
start_next(QueryDesc *query, int eflags)
{
	if (next_executor_start)
		next_executor_start(query, eflags);
	else
		standard_ExecutorStart(query, eflags);
}

void
executor_start(QueryDesc *query, int eflags)
{
	MemoryContext context = CurrentMemoryContext;
	PlannedStmt *plan = query->plannedstmt;

	ms_audit_check_switch();
	recorded.set = false;
	if (!is_watched() || !touches_audited(plan)) {
		start_next(query, eflags);
		return;
	}
	PG_TRY();
	{
		start_next(query, eflags);
	}
	PG_CATCH();
	{
		rethrow(context, plan, nullptr, plan->commandType);
	}
	PG_END_TRY();
}

void
run_next(MS_EXECUTOR_RUN_PARAMS)
{
	if (next_executor_run)
		next_executor_run(MS_EXECUTOR_RUN_ARGS);
	else
		standard_ExecutorRun(MS_EXECUTOR_RUN_ARGS);
}

void
executor_run(MS_EXECUTOR_RUN_PARAMS)
{
	MemoryContext context = CurrentMemoryContext;
	PlannedStmt *plan = query->plannedstmt;

	if (!is_watched() || !touches_audited(plan)) {
		run_next(MS_EXECUTOR_RUN_ARGS);
		return;
	}
	PG_TRY();
	{
		run_next(MS_EXECUTOR_RUN_ARGS);
	}
	PG_CATCH();
	{
		rethrow(context, plan, nullptr, plan->commandType);
	}
	PG_END_TRY();
}

/* In the report of an error: what raises is let go.  Errors of this class leave nothing behind that catalogs could not be
 * asked over. */
bool
is_watched_after_error(void)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool watched = false;

	PG_TRY();
	{
		watched = is_watched();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		FlushErrorState();
	}
	PG_END_TRY();
	return watched;
}

/* An error within the report of an error throws away the memory of the outer one, and finding out who it was may raise
 * and catch some (claims that are no JSON).  So the outer one lives here from then on. */
void
record_in_report(ErrorData *error)
{
	static MemoryContext mine = nullptr;

	if (mine == nullptr)
		mine = AllocSetContextCreate(TopMemoryContext, "mentalspace audit refusal", ALLOCSET_SMALL_SIZES);
	MemoryContextReset(mine);
	MemoryContext old = MemoryContextSwitchTo(mine);
	ErrorData *copy = CopyErrorData();

	if (is_watched_after_error())
		record(copy, kExecute, nullptr);
	*error = *copy;
	MemoryContextSwitchTo(old);
}

/* What no hook of ours saw: names that may not be looked up, functions, what is checked while planning. */
void
emit_log(ErrorData *error)
{
	if (error->elevel == ERROR && error->sqlerrcode == ERRCODE_INSUFFICIENT_PRIVILEGE && audit_enabled &&
		IsTransactionState() && !IsParallelWorker() && !is_recorded(error))
		record_in_report(error);
	if (next_emit_log)
		next_emit_log(error);
}

}  // namespace

void
ms_audit_denied_forget(void)
{
	recorded.set = false;
}

void
ms_audit_denied_rethrow(MemoryContext context, AuditAction action, const AuditRelation *relation)
{
	if (geterrcode() != ERRCODE_INSUFFICIENT_PRIVILEGE)
		PG_RE_THROW();
	MemoryContextSwitchTo(context);
	ErrorData *error = CopyErrorData();

	FlushErrorState();
	if (!is_recorded(error))
		record(error, action, relation);
	ReThrowError(error);
	pg_unreachable();
}

void
ms_audit_denied_init(void)
{
	next_planner = planner_hook;
	planner_hook = planner;
	next_executor_start = ExecutorStart_hook;
	ExecutorStart_hook = executor_start;
	next_executor_run = ExecutorRun_hook;
	ExecutorRun_hook = executor_run;
	next_emit_log = emit_log_hook;
	emit_log_hook = emit_log;
}
