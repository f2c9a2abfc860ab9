/* The role lock.
 *
 * Every way to another role or session authorization ends in an assignment to one of two configuration variables: SET,
 * set_config(), a function's SET clause, RESET, DISCARD ALL and options of the connection.  So their hooks are wrapped.
 * A reset calls no check hook, which is why the assign hook refuses too; that is safe in the midst of a transaction only,
 * and only there it does: what commit, rollback and the end of a function with a SET clause restore passes, the last one
 * because login() refuses to run in a function that sets the role.
 *
 * What reaches the current user otherwise (SECURITY DEFINER functions, maintenance commands, triggers of foreign keys)
 * does not go through these variables and works as ever. */
#include "pg/prelude.h"

#include "audit/sessions.h"
#include "auth/lock.h"
#include "auth/session.h"
#include "auth/settings.h"
#include "auth/tokens.h"
#include "auth/verified.h"
#include "pg/module.h"

extern "C" {
#include "access/parallel.h"
#include "executor/executor.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"
}

#include "auth/variables.h"

namespace {

struct config_string *role_variable;
struct config_string *authorization_variable;
GucStringCheckHook core_check_role, core_check_authorization;
GucStringAssignHook core_assign_role, core_assign_authorization;
ProcessUtility_hook_type next_process_utility;
ExecutorRun_hook_type next_executor_run;

bool permitted = false;   /* a change by ourselves is under way */
bool armed = false;       /* the session has begun, and its options were looked at */

const char kRefused[] = "role and claims are locked";

const char *
hint_for(void)
{
	if (AuthLockInForce() == kLockAlways)
		return "In this session they come from mentalspace.login() alone.";
	return ms_verified_is_session() ? "They were set by mentalspace.login() and stay until mentalspace.logout()." :
		"They were set by mentalspace.login() and stay until the transaction ends.";
}

[[noreturn]] void
refuse(void)
{
	ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("%s", kRefused), errhint("%s", hint_for())));
	pg_unreachable();
}

bool
check_locked(GucSource source)
{
	if (permitted || source < PGC_S_INTERACTIVE || !ms_lock_holds())
		return true;
	GUC_check_errcode(ERRCODE_INSUFFICIENT_PRIVILEGE);
	GUC_check_errmsg("%s", kRefused);
	GUC_check_errhint("%s", hint_for());
	return false;
}

bool
check_role(char **newval, void **extra, GucSource source)
{
	return check_locked(source) && core_check_role(newval, extra, source);
}

bool
check_authorization(char **newval, void **extra, GucSource source)
{
	return check_locked(source) && core_check_authorization(newval, extra, source);
}

inline bool
assignment_is_refused(void)
{
	return armed && !permitted && IsTransactionState() && ms_lock_holds();
}

void
assign_role(const char *newval, void *extra)
{
	if (assignment_is_refused())
		refuse();
	core_assign_role(newval, extra);
}

void
assign_authorization(const char *newval, void *extra)
{
	if (assignment_is_refused())
		refuse();
	core_assign_authorization(newval, extra);
}

/* Once in a session, before the first thing that it runs: under `always` it must not have brought a role with it, by its
 * options or by ALTER ROLE ... SET role. */
void
arm(void)
{
	if (likely(armed))
		return;
	if (AuthLockInForce() == kLockAlways && !IsParallelWorker() && OidIsValid(GetCurrentRoleId()))
		ereport(FATAL,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("session cannot begin with a role while mentalspace.auth_lock is \"always\""),
				 errhint("Remove role from the connection's options and from ALTER ROLE ... SET.")));
	armed = true;
}

bool
is_guarded_variable(const char *name)
{
	return name && (pg_strcasecmp(name, "role") == 0 || pg_strcasecmp(name, "session_authorization") == 0 ||
					pg_strcasecmp(name, "request.jwt.claims") == 0 ||
					pg_strncasecmp(name, "request.jwt.claim", strlen("request.jwt.claim")) == 0);
}

/* What changes variables without any hook of theirs that could refuse. */
void
check_utility(const Node *statement)
{
	if (!ms_lock_holds())
		return;
	/* In an `always` session where nobody is logged in, a pooler may clean up. */
	bool logged_in = ms_verified_serial() != 0;

	if (IsA(statement, VariableSetStmt)) {
		const VariableSetStmt *set = (const VariableSetStmt *) statement;

		if (set->kind == VAR_RESET_ALL && logged_in)
			refuse();
		if ((set->kind == VAR_RESET || set->kind == VAR_SET_DEFAULT) && is_guarded_variable(set->name))
			refuse();
	} else if (IsA(statement, DiscardStmt) && logged_in && (!ms_verified_is_session() || IsTransactionBlock()))
		refuse();
}

/* Runs the statement, with changes of role and authorization permitted or as they are. */
void
run_utility(PlannedStmt *planned, const char *query, bool read_only_tree, ProcessUtilityContext context,
			ParamListInfo params, QueryEnvironment *environment, DestReceiver *receiver, QueryCompletion *completion)
{
	if (next_process_utility)
		next_process_utility(planned, query, read_only_tree, context, params, environment, receiver, completion);
	else
		standard_ProcessUtility(planned, query, read_only_tree, context, params, environment, receiver, completion);
}

void
process_utility(PlannedStmt *planned, const char *query, bool read_only_tree, ProcessUtilityContext context,
				ParamListInfo params, QueryEnvironment *environment, DestReceiver *receiver, QueryCompletion *completion)
{
	const Node *statement = planned->utilityStmt;
	bool discard_all = IsA(statement, DiscardStmt) && ((const DiscardStmt *) statement)->target == DISCARD_ALL;

	ms_lock_begin();
	check_utility(statement);
	ms_session_check_utility(statement);
	if (!discard_all) {
		run_utility(planned, query, read_only_tree, context, params, environment, receiver, completion);
		ms_session_after_utility(statement);
		return;
	}
	/* DISCARD ALL gives the session back as it began: with the role that it logged in as, and nobody's identity. */
	permitted = true;
	PG_TRY();
	{
		run_utility(planned, query, read_only_tree, context, params, environment, receiver, completion);
	}
	PG_FINALLY();
	{
		permitted = false;
	}
	PG_END_TRY();
	if (ms_verified_serial() != 0) {
		ms_token_logged_out(ms_verified_identity());
		ms_audit_session_logout();
		ms_verified_end();
	}
}

void
executor_run(MS_EXECUTOR_RUN_PARAMS)
{
	ms_lock_begin();
	ms_session_check_query(query->plannedstmt);
	if (query->plannedstmt->parallelModeNeeded)
		ms_verified_publish();
	if (next_executor_run)
		next_executor_run(MS_EXECUTOR_RUN_ARGS);
	else
		standard_ExecutorRun(MS_EXECUTOR_RUN_ARGS);
}

struct config_string *
find_string_variable(const char *name)
{
	struct config_generic *variable = ms_find_guc(name);

	if (variable == nullptr || variable->vartype != PGC_STRING)
		elog(FATAL, "configuration variable \"%s\" not found", name);
	return (struct config_string *) variable;
}

}  // namespace

void
ms_lock_begin(void)
{
	arm();
	ms_variables_catch_up();
}

bool
ms_lock_holds(void)
{
	if (InitializingParallelWorker)
		return false;
	switch (AuthLockInForce()) {
		case kLockAlways: return true;
		case kLockTransaction: return ms_verified_serial() != 0;
		default: return false;
	}
}

bool
ms_identity_locked(void)
{
	return !InitializingParallelWorker && AuthLockInForce() != kLockOff && ms_verified_serial() != 0;
}

void
ms_lock_switch_role(const char *role, bool local)
{
	permitted = true;
	PG_TRY();
	{
		(void) set_config_option("role", role, PGC_USERSET, PGC_S_SESSION, local ? GUC_ACTION_LOCAL : GUC_ACTION_SET, true,
								 0, false);
	}
	PG_FINALLY();
	{
		permitted = false;
	}
	PG_END_TRY();
}

void
ms_lock_check_place(const char *function)
{
	if (InLocalUserIdChange() || InSecurityRestrictedOperation())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("%s cannot be called within a SECURITY DEFINER function", function)));
	for (const GucStack *entry = role_variable->gen.stack; entry; entry = entry->prev)
		if (entry->state == GUC_SAVE)
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("%s cannot be called within a function that sets the role", function)));
}

void
ms_lock_init(void)
{
	role_variable = find_string_variable("role");
	core_check_role = role_variable->check_hook;
	core_assign_role = role_variable->assign_hook;
	role_variable->check_hook = check_role;
	role_variable->assign_hook = assign_role;

	authorization_variable = find_string_variable("session_authorization");
	core_check_authorization = authorization_variable->check_hook;
	core_assign_authorization = authorization_variable->assign_hook;
	authorization_variable->check_hook = check_authorization;
	authorization_variable->assign_hook = assign_authorization;

	next_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
	next_executor_run = ExecutorRun_hook;
	ExecutorRun_hook = executor_run;

	/* Loaded into a session that knows its options already: refuse it at once. */
	if (MyProcPort)
		arm();
}
