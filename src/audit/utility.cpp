/* The hook of utility commands: exports by COPY, and commands that an auditor wants to know of. */
#include "pg/prelude.h"

#include "audit/admin.h"
#include "audit/audit.h"
#include "audit/children.h"
#include "audit/context.h"
#include "audit/copy.h"
#include "audit/denied.h"
#include "audit/drops.h"
#include "audit/outlet.h"
#include "audit/reads.h"
#include "audit/replication.h"
#include "audit/settings.h"
#include "audit/switch.h"

extern "C" {
#include "access/parallel.h"
#include "commands/extension.h"
#include "tcop/utility.h"
}

namespace {

ProcessUtility_hook_type next_process_utility;

/* The arguments of the hook, but for the statement. */
struct Call {
	const char *source;
	bool read_only_tree;
	ProcessUtilityContext context;
	ParamListInfo params;
	QueryEnvironment *environment;
	DestReceiver *receiver;
	QueryCompletion *completion;
};

void
run_next(PlannedStmt *planned, const Call *call)
{
	if (next_process_utility)
		next_process_utility(planned, call->source, call->read_only_tree, call->context, call->params, call->environment,
							 call->receiver, call->completion);
	else
		standard_ProcessUtility(planned, call->source, call->read_only_tree, call->context, call->params,
								call->environment, call->receiver, call->completion);
}

/* An export whose rows could not be seen.  COPY was expected to fail: this is for the case that it did not. */
void
tell_unseen(const char *relation, const QueryCompletion *completion)
{
	AuditEvent event;

	ms_audit_event_init(&event, kExport, kRead);
	event.severity = kWarning;
	event.relation = relation;
	event.row_count = completion ? (int64) completion->nprocessed : -1;
	event.detail = "COPY: patients not known";
	ms_audit_emit(&event, true);
}

void
run_copy(PlannedStmt *planned, const Call *call)
{
	bool before = audit_exporting;
	AuditCopy copy;

	ms_audit_copy_prepare(planned, &copy);
	int level = copy.rewritten ? ms_audit_copy_begin() : 0;
	audit_exporting = !((CopyStmt *) planned->utilityStmt)->is_from;
	PG_TRY();
	{
		run_next(copy.statement, call);
	}
	PG_FINALLY();
	{
		audit_exporting = before;
	}
	PG_END_TRY();
	if (copy.rewritten)
		ms_audit_copy_end(level);
	if (copy.unseen)
		tell_unseen(copy.unseen, call->completion);
}

AuditAction
action_of(Node *statement)
{
	switch (nodeTag(statement)) {
		case T_CopyStmt: return ((CopyStmt *) statement)->is_from ? kCreate : kRead;
		case T_TruncateStmt: case T_DropStmt: return kDelete;
		case T_AlterTableStmt: case T_GrantStmt: case T_RenameStmt: return kUpdate;
		case T_IndexStmt: case T_CreateTrigStmt: case T_RuleStmt: case T_CreatePolicyStmt: return kCreate;
		default: return kExecute;
	}
}

/* Commands that run others, whose own errors are seen where they come up or when they reach the client. */
bool
contains_others(Node *statement)
{
	switch (nodeTag(statement)) {
		case T_DoStmt: case T_CallStmt: case T_ExecuteStmt: case T_ExplainStmt: case T_FetchStmt:
		case T_DeclareCursorStmt: case T_CreateTableAsStmt: case T_RefreshMatViewStmt: case T_CreateSchemaStmt:
		case T_CreateExtensionStmt: case T_AlterExtensionStmt:
			return true;
		default:
			return false;
	}
}

/* Returns the events of relations that went. */
List *
run_under_tag(PlannedStmt *planned, const Call *call, const char *tag)
{
	AuditDrops drops;

	ms_audit_drops_begin(&drops, tag);
	PG_TRY();
	{
		if (IsA(planned->utilityStmt, CopyStmt))
			run_copy(planned, call);
		else
			run_next(planned, call);
	}
	PG_FINALLY();
	{
		ms_audit_drops_end(&drops);
	}
	PG_END_TRY();
	return drops.events;
}

/* Whether the extension is being made or updated: what its scripts do to its own tables is no news. */
bool
in_our_script(void)
{
	return creating_extension && CurrentExtensionObject == get_extension_oid("mentalspace", true);
}

/* In a PG_CATCH: the command may have called functions over the rows before it failed. */
void
tell_failed(MemoryContext context, List *events)
{
	MemoryContext error_context = MemoryContextSwitchTo(context);
	ListCell *cell;

	foreach (cell, events)
		ms_audit_tell_failed((AdminEvent *) lfirst(cell));
	MemoryContextSwitchTo(error_context);
}

/* Describes, runs and tells. */
void
run_command(PlannedStmt *planned, const Call *call)
{
	Node *statement = planned->utilityStmt;
	/* Parts of a command are the command's business, but for GRANT in CREATE SCHEMA, which may be about any table. */
	bool ours = in_our_script();
	bool part = ours || (call->context == PROCESS_UTILITY_SUBCOMMAND && !IsA(statement, GrantStmt));
	List *events = part ? NIL : ms_audit_describe(statement);
	const char *tag = ours ? nullptr : GetCommandTagName(CreateCommandTag(statement));
	MemoryContext context = CurrentMemoryContext;
	List *gone = NIL;
	ListCell *cell;

	PG_TRY();
	{
		gone = run_under_tag(planned, call, tag);
		if (!ours)
			ms_audit_adopt_children(statement);
	}
	PG_CATCH();
	{
		/* What it refused is an event of its own. */
		if (events != NIL && geterrcode() != ERRCODE_INSUFFICIENT_PRIVILEGE)
			tell_failed(context, events);
		PG_RE_THROW();
	}
	PG_END_TRY();
	events = list_concat(gone, events);
	foreach (cell, events)
		ms_audit_tell((AdminEvent *) lfirst(cell));
}

void
run_watched(PlannedStmt *planned, const Call *call)
{
	Node *statement = planned->utilityStmt;
	MemoryContext context = CurrentMemoryContext;

	ms_audit_denied_forget();
	if (contains_others(statement)) {
		run_command(planned, call);
		return;
	}
	/* Copied: the declaration may go with the command. */
	const AuditRelation *subject = ms_audit_subject(statement);
	AuditRelation copy;

	if (subject) {
		copy = *subject;
		copy.name = pstrdup(subject->name);
		subject = &copy;
	}
	AuditAction action = action_of(statement);
	PG_TRY();
	{
		run_command(planned, call);
	}
	PG_CATCH();
	{
		ms_audit_denied_rethrow(context, action, subject);
	}
	PG_END_TRY();
}

/* Variables of the audit and of the identity. */
void
run_set(PlannedStmt *planned, const Call *call)
{
	List *events = ms_audit_describe(planned->utilityStmt);
	ListCell *cell;

	run_next(planned, call);
	ms_audit_check_switch();
	if (events != NIL && ms_audit_any())
		foreach (cell, events)
			ms_audit_tell((AdminEvent *) lfirst(cell));
}

/* ALTER TABLE that is running, and what the error context was when it began. */
bool altering = false;
ErrorContextCallback *alter_context = nullptr;

void
run_alter(PlannedStmt *planned, const Call *call)
{
	const bool outer = altering;
	ErrorContextCallback *outer_context = alter_context;

	altering = true;
	alter_context = error_context_stack;
	PG_TRY();
	{
		run_watched(planned, call);
	}
	PG_FINALLY();
	{
		altering = outer;
		alter_context = outer_context;
	}
	PG_END_TRY();
}

void
process_utility(PlannedStmt *planned, const char *source, bool read_only_tree, ProcessUtilityContext context,
				ParamListInfo params, QueryEnvironment *environment, DestReceiver *receiver, QueryCompletion *completion)
{
	Call call = {source, read_only_tree, context, params, environment, receiver, completion};
	Node *statement = planned->utilityStmt;

	if (IsA(statement, TransactionStmt) || !IsTransactionState() || IsParallelWorker()) {
		run_next(planned, &call);
		return;
	}
	ms_audit_check_switch();
	ms_audit_check_drop(statement);
	if (IsA(statement, VariableSetStmt))
		run_set(planned, &call);
	else if (!audit_enabled || !ms_audit_any())
		run_next(planned, &call);
	else if (IsA(statement, AlterTableStmt))
		run_alter(planned, &call);
	else
		run_watched(planned, &call);
}

}  // namespace

bool
ms_audit_is_export(void)
{
	return audit_exporting || (application_name && strcmp(application_name, "pg_dump") == 0);
}

bool
ms_audit_in_alter_table(void)
{
	/* SPI's own is the only one since then: functions of a procedural language would have left theirs. */
	return altering && error_context_stack != nullptr && error_context_stack->previous == alter_context;
}

void
ms_audit_utility_init(void)
{
	ms_audit_drops_init();
	ms_audit_replication_init();
	next_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
}
