/* The settings of the identity in the table mentalspace.auth_settings.
 *
 * ALTER DATABASE ... SET is not part of a dump of the database, and what it set would be gone after a restore: claims set
 * by hand would be believed where they were not before.  So such a command is written down in a table of the extension, which
 * dumps hold; and a session that finds a row there for which the database has no setting obeys the row, and warns. */
#include "pg/prelude.h"

#include "auth/recorded.h"

extern "C" {
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/parallel.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "commands/dbcommands.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/parsenodes.h"
#include "parser/parse_func.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/guc_tables.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
}

namespace {

constexpr char kPrefix[] = "mentalspace.";

bool recalled = false;
ProcessUtility_hook_type next_process_utility;
ExecutorRun_hook_type next_executor_run;

/* True where the row is put in force: the database has no setting of that name, and nothing stronger has set it. */
bool
obey(const char *name, const char *value)
{
	char *full = psprintf("%s%s", kPrefix, name);
	struct config_generic *variable = ms_find_guc(full);

	if (variable == nullptr || (variable->flags & GUC_CUSTOM_PLACEHOLDER) != 0 || variable->source >= PGC_S_DATABASE)
		return false;
	/* What nobody understands protects as much as there is. */
	if (set_config_option(full, value, PGC_SUSET, PGC_S_DATABASE, GUC_ACTION_SET, true, WARNING, false) > 0)
		return true;
	return strcmp(name, "auth_claims_source") == 0 &&
		set_config_option(full, "verified", PGC_SUSET, PGC_S_DATABASE, GUC_ACTION_SET, true, WARNING, false) > 0;
}

/* The rows of the table, with a snapshot as catalogs are read: this may be the first command of a transaction. */
void
obey_table(Oid table)
{
	Relation relation = table_open(table, AccessShareLock);
	SysScanDesc scan = systable_beginscan(relation, InvalidOid, false, nullptr, 0, nullptr);
	StringInfoData obeyed;

	initStringInfo(&obeyed);
	while (HeapTuple tuple = systable_getnext(scan)) {
		Datum values[2];
		bool nulls[2];

		heap_deform_tuple(tuple, RelationGetDescr(relation), values, nulls);
		const char *name = TextDatumGetCString(values[0]);
		if (obey(name, TextDatumGetCString(values[1])))
			appendStringInfo(&obeyed, "%s%s%s", obeyed.len ? ", " : "", kPrefix, name);
	}
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	if (obeyed.len > 0)
		ereport(WARNING,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("settings of the identity are missing in this database"),
				 errdetail("In force as mentalspace.auth_settings has them: %s.", obeyed.data),
				 errhint("SELECT * FROM mentalspace.provision(ARRAY['auth']) gives them to the database again, after a restore for "
						 "example.")));
}

/* The name of a variable of ours whose setting of this database a command changes, `*` for all; else NULL. */
const char *
changed_setting(const Node *statement)
{
	if (!IsA(statement, AlterDatabaseSetStmt))
		return nullptr;
	const AlterDatabaseSetStmt *alter = (const AlterDatabaseSetStmt *) statement;
	const char *database = get_database_name(MyDatabaseId);
	if (database == nullptr || strcmp(alter->dbname, database) != 0)
		return nullptr;
	if (alter->setstmt->kind == VAR_RESET_ALL)
		return "*";
	const char *name = alter->setstmt->name;
	return name && pg_strncasecmp(name, "mentalspace.auth_", strlen("mentalspace.auth_")) == 0 ? name : nullptr;
}

void
record(const char *name)
{
	Oid argument[] = {TEXTOID};
	Oid function = LookupFuncName(list_make2(makeString(pstrdup("mentalspace")), makeString(pstrdup("record_auth_settings"))), 1,
								  argument, true);

	/* Not there where the extension is not in this database, or an older one. */
	if (!OidIsValid(function))
		return;
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	char *lower = pstrdup(name);
	for (char *c = lower; *c; c++)
		*c = pg_tolower((unsigned char) *c);
	LOCAL_FCINFO(call, 1);
	FmgrInfo flinfo;
	fmgr_info(function, &flinfo);
	InitFunctionCallInfoData(*call, &flinfo, 1, InvalidOid, nullptr, nullptr);
	call->args[0].value = CStringGetTextDatum(lower);
	call->args[0].isnull = false;
	(void) FunctionCallInvoke(call);
	PopActiveSnapshot();
}

void
process_utility(PlannedStmt *planned, const char *query, bool read_only_tree, ProcessUtilityContext context,
				ParamListInfo params, QueryEnvironment *environment, DestReceiver *receiver, QueryCompletion *completion)
{
	ms_recorded_recall();
	if (next_process_utility)
		next_process_utility(planned, query, read_only_tree, context, params, environment, receiver, completion);
	else
		standard_ProcessUtility(planned, query, read_only_tree, context, params, environment, receiver, completion);
	if (const char *name = changed_setting(planned->utilityStmt))
		record(name);
}

void
executor_run(MS_EXECUTOR_RUN_PARAMS)
{
	ms_recorded_recall();
	if (next_executor_run)
		next_executor_run(MS_EXECUTOR_RUN_ARGS);
	else
		standard_ExecutorRun(MS_EXECUTOR_RUN_ARGS);
}

}  // namespace

void
ms_recorded_recall(void)
{
	if (likely(recalled) || !IsTransactionState() || !OidIsValid(MyDatabaseId) || IsInParallelMode())
		return;
	recalled = true;
	Oid schema = get_namespace_oid("mentalspace", true);
	Oid table = OidIsValid(schema) ? get_relname_relid("auth_settings", schema) : InvalidOid;
	if (OidIsValid(table))
		obey_table(table);
}

void
ms_recorded_init(void)
{
	next_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
	next_executor_run = ExecutorRun_hook;
	ExecutorRun_hook = executor_run;
}
