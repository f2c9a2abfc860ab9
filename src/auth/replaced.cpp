/* auth.uid() and its siblings, when a command defines them anew: mentalspace.keep_auth_functions() looks what it made of
 * them, and says so. */
#include "pg/prelude.h"

#include "auth/replaced.h"

extern "C" {
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "nodes/makefuncs.h"
#include "parser/parse_func.h"
#include "tcop/utility.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
}

namespace {

ProcessUtility_hook_type next_process_utility;

List *
own_name(const char *function)
{
	return list_make2(makeString(pstrdup("mentalspace")), makeString(pstrdup(function)));
}

/* The name of the function that a command defines or alters, if it may be one of the four: its schema may be that of the
 * search path.  Else NULL. */
const char *
identity_function(const Node *statement)
{
	List *name = NIL;

	if (IsA(statement, CreateFunctionStmt))
		name = ((const CreateFunctionStmt *) statement)->funcname;
	else if (IsA(statement, AlterFunctionStmt))
		name = ((const AlterFunctionStmt *) statement)->func->objname;
	if (name == NIL)
		return nullptr;
	char *schema, *function;
	DeconstructQualifiedName(name, &schema, &function);
	if (schema && strcmp(schema, "auth") != 0)
		return nullptr;
	if (strcmp(function, "uid") == 0 || strcmp(function, "role") == 0 || strcmp(function, "email") == 0 ||
		strcmp(function, "jwt") == 0)
		return function;
	return nullptr;
}

void
keep(const char *function)
{
	Oid argument[] = {NAMEARRAYOID};
	Oid keep = LookupFuncName(own_name("keep_auth_functions"), 1, argument, true);
	NameData name;
	Datum names[] = {NameGetDatum(&name)};

	if (!OidIsValid(keep))
		return;
	namestrcpy(&name, function);
	/* What the command did is to be seen. */
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	(void) OidFunctionCall1(keep, PointerGetDatum(construct_array(names, 1, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR)));
	PopActiveSnapshot();
}

void
process_utility(PlannedStmt *planned, const char *query, bool read_only_tree, ProcessUtilityContext context,
				ParamListInfo params, QueryEnvironment *environment, DestReceiver *receiver, QueryCompletion *completion)
{
	const char *concerned = creating_extension ? nullptr : identity_function(planned->utilityStmt);

	if (next_process_utility)
		next_process_utility(planned, query, read_only_tree, context, params, environment, receiver, completion);
	else
		standard_ProcessUtility(planned, query, read_only_tree, context, params, environment, receiver, completion);
	if (concerned)
		keep(concerned);
}

}  // namespace

const char *
ms_replaced_functions(void)
{
	return ms_listed_names("replaced_auth_functions", "auth.%s()");
}

const char *
ms_listed_names(const char *name, const char *format)
{
	/* Not there where the extension is not in this database, or an older one. */
	Oid function = LookupFuncName(own_name(name), 0, nullptr, true);
	StringInfoData text;
	Datum *names;
	int count;

	if (!OidIsValid(function))
		return nullptr;
	deconstruct_array(DatumGetArrayTypeP(OidFunctionCall0(function)), NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR, &names, nullptr,
					  &count);
	if (count == 0)
		return nullptr;
	initStringInfo(&text);
	for (int i = 0; i < count; i++) {
		appendStringInfoString(&text, i ? ", " : "");
		appendStringInfo(&text, format, NameStr(*DatumGetName(names[i])));
	}
	return text.data;
}

void
ms_replaced_init(void)
{
	next_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
}
