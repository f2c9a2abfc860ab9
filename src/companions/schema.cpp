/* CREATE EXTENSION and ALTER EXTENSION ... SET SCHEMA for companions whose objects live in a schema of their own.
 *
 * pg_net keeps its objects in schema net wherever it is said to be installed, pg_cron in cron, and so on.  PostgreSQL
 * moves an extension only if all its objects move along, so SET SCHEMA would fail for them, and projects ask for it.
 * For companions of ours, and for nothing else, SET SCHEMA changes what pg_extension says, and a notice tells that the
 * objects stay.  Event triggers are not told.
 *
 * CREATE EXTENSION ... WITH SCHEMA names a schema that must exist.  The originals make theirs; so does this hook, if it
 * is the companion's own schema that is named. */
#include "pg/prelude.h"

#include "pg/module.h"

extern "C" {
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_namespace.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "nodes/makefuncs.h"
#include "tcop/utility.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
}

namespace {

/* Extensions whose objects live in a schema of their own; ours have the version suffix besides. */
struct Fixed {
	const char *extension;
	const char *schema;
};
constexpr Fixed fixed_schemas[] = {
	{"pg_net", "net"},
	{"pg_cron", "cron"},
	{"pgmq", "pgmq"},
	{"supabase_vault", "vault"},
	{"pg_graphql", "graphql"},
	{"pgsodium", "pgsodium"},
};
constexpr char version_suffix[] = "-mentalspace";

ProcessUtility_hook_type previous_utility;

const char *
schema_of(const char *extension)
{
	for (const Fixed &fixed : fixed_schemas)
		if (strcmp(fixed.extension, extension) == 0)
			return fixed.schema;
	return nullptr;
}

bool
is_companion_version(const char *version)
{
	size_t length = strlen(version), suffix = sizeof(version_suffix) - 1;

	return length > suffix && strcmp(version + length - suffix, version_suffix) == 0;
}

/* The companion that the statement is about, with its version; InvalidOid if the statement is not for this hook. */
Oid
companion_to_move(const AlterObjectSchemaStmt *statement)
{
	if (statement->objectType != OBJECT_EXTENSION)
		return InvalidOid;

	const char *name = strVal(statement->object);
	if (schema_of(name) == nullptr)
		return InvalidOid;
	Oid extension = get_extension_oid(name, true);
	if (!OidIsValid(extension))
		return InvalidOid;

	Relation relation = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key[1];
	ScanKeyInit(&key[0], Anum_pg_extension_oid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(extension));
	SysScanDesc scan = systable_beginscan(relation, ExtensionOidIndexId, true, nullptr, 1, key);
	HeapTuple tuple = systable_getnext(scan);
	bool ours = false;
	if (HeapTupleIsValid(tuple)) {
		bool isnull;
		Datum version = fastgetattr(tuple, Anum_pg_extension_extversion, RelationGetDescr(relation), &isnull);
		ours = !isnull && is_companion_version(TextDatumGetCString(version));
	}
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return ours ? extension : InvalidOid;
}

/* Sets pg_extension.extnamespace, with the checks that PostgreSQL makes for an extension that it moves. */
void
set_schema(Oid extension, const char *name, const char *schema)
{
	PreventCommandIfReadOnly("ALTER EXTENSION");
	PreventCommandIfParallelMode("ALTER EXTENSION");

	Oid wanted = LookupCreationNamespace(schema);
	if (!ms_owns_extension(extension, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_EXTENSION, name);
	if (getExtensionOfObject(NamespaceRelationId, wanted) == extension)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("cannot move extension \"%s\" into schema \"%s\" because the extension contains the schema",
							   name, schema)));

	Relation relation = table_open(ExtensionRelationId, RowExclusiveLock);
	ScanKeyData key[1];
	ScanKeyInit(&key[0], Anum_pg_extension_oid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(extension));
	SysScanDesc scan = systable_beginscan(relation, ExtensionOidIndexId, true, nullptr, 1, key);
	HeapTuple found = systable_getnext(scan);
	if (!HeapTupleIsValid(found))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("extension \"%s\" does not exist", name)));
	HeapTuple tuple = heap_copytuple(found);
	systable_endscan(scan);

	Form_pg_extension form = (Form_pg_extension) GETSTRUCT(tuple);
	Oid old = form->extnamespace;
	if (old != wanted) {
		form->extnamespace = wanted;
		CatalogTupleUpdate(relation, &tuple->t_self, tuple);
		changeDependencyFor(ExtensionRelationId, extension, NamespaceRelationId, old, wanted);
		InvokeObjectPostAlterHook(ExtensionRelationId, extension, 0);
	}
	table_close(relation, RowExclusiveLock);
	ereport(NOTICE, (errmsg("extension \"%s\" now belongs to schema \"%s\"; its objects stay in schema \"%s\"",
							name, schema, schema_of(name))));
}

/* Makes the schema that WITH SCHEMA names if it is the companion's own and is not there. */
void
make_own_schema(const CreateExtensionStmt *statement, const PlannedStmt *planned, const char *query_string,
				ParamListInfo params, QueryEnvironment *environment)
{
	const char *own = schema_of(statement->extname);
	if (own == nullptr || OidIsValid(get_extension_oid(statement->extname, true)) ||
		OidIsValid(get_namespace_oid(own, true)))
		return;

	ListCell *cell;
	foreach(cell, statement->options) {
		DefElem *option = (DefElem *) lfirst(cell);

		if (strcmp(option->defname, "schema") != 0 || strcmp(defGetString(option), own) != 0)
			continue;

		CreateSchemaStmt *create = makeNode(CreateSchemaStmt);
		create->schemaname = pstrdup(own);
		PlannedStmt *wrapper = makeNode(PlannedStmt);
		wrapper->commandType = CMD_UTILITY;
		wrapper->utilityStmt = (Node *) create;
		wrapper->stmt_location = planned->stmt_location;
		wrapper->stmt_len = planned->stmt_len;
		ProcessUtility(wrapper, query_string, false, PROCESS_UTILITY_SUBCOMMAND, params, environment, None_Receiver,
					   nullptr);
		CommandCounterIncrement();
		return;
	}
}

void
companion_utility(PlannedStmt *planned, const char *query_string, bool read_only_tree, ProcessUtilityContext context,
				  ParamListInfo params, QueryEnvironment *environment, DestReceiver *destination,
				  QueryCompletion *completion)
{
	Node *statement = planned->utilityStmt;

	if (IsA(statement, AlterObjectSchemaStmt)) {
		AlterObjectSchemaStmt *alter = (AlterObjectSchemaStmt *) statement;
		Oid extension = companion_to_move(alter);

		if (OidIsValid(extension)) {
			set_schema(extension, strVal(alter->object), alter->newschema);
			return;
		}
	} else if (IsA(statement, CreateExtensionStmt))
		make_own_schema((CreateExtensionStmt *) statement, planned, query_string, params, environment);

	if (previous_utility)
		previous_utility(planned, query_string, read_only_tree, context, params, environment, destination, completion);
	else
		standard_ProcessUtility(planned, query_string, read_only_tree, context, params, environment, destination,
								completion);
}

}  // namespace

void
ms_companion_schema_init(void)
{
	previous_utility = ProcessUtility_hook;
	ProcessUtility_hook = companion_utility;
}
