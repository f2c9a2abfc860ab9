/* Names in utility statements: a case for each kind of statement that migrations are made of. */
#include "pg/prelude.h"

#include "migrations/names_utility.h"

extern "C" {
#include "commands/defrem.h"
#include "nodes/value.h"
}

static const char *
kind_of(ObjectType type)
{
	switch (type) {
		case OBJECT_TABLE:
		case OBJECT_VIEW:
		case OBJECT_MATVIEW:
		case OBJECT_SEQUENCE:
		case OBJECT_INDEX:
		case OBJECT_FOREIGN_TABLE:
			return "relation";
		case OBJECT_FUNCTION:
		case OBJECT_PROCEDURE:
		case OBJECT_ROUTINE:
		case OBJECT_AGGREGATE:
			return "function";
		case OBJECT_TYPE:
		case OBJECT_DOMAIN:
			return "type";
		case OBJECT_SCHEMA:
			return "schema";
		case OBJECT_EXTENSION:
			return "extension";
		case OBJECT_ROLE:
			return "role";
		case OBJECT_PUBLICATION:
			return "publication";
		case OBJECT_LANGUAGE:
			return "language";
		default:
			return nullptr;
	}
}

/* Objects that belong to a table, written as the table's name and theirs. */
static bool
is_of_table(ObjectType type)
{
	return type == OBJECT_COLUMN || type == OBJECT_POLICY || type == OBJECT_TRIGGER || type == OBJECT_RULE ||
		   type == OBJECT_TABCONSTRAINT;
}

/* The name of an object in the forms that the grammar has for it. */
static List *
names_of(Node *object)
{
	if (object == nullptr)
		return NIL;
	switch (nodeTag(object)) {
		case T_List:
			return (List *) object;
		case T_String:
			return list_make1(object);
		case T_ObjectWithArgs:
			return ((ObjectWithArgs *) object)->objname;
		case T_TypeName:
			return ((TypeName *) object)->names;
		case T_RangeVar: {
			RangeVar *range = (RangeVar *) object;
			List *names = list_make1(makeString(range->relname));
			return range->schemaname ? lcons(makeString(range->schemaname), names) : names;
		}
		default:
			return NIL;
	}
}

static void
emit_object(NameScan *scan, const char *action, ObjectType type, Node *object)
{
	List *names = names_of(object);
	int location = object && IsA(object, RangeVar) ? ((RangeVar *) object)->location : -1;

	if (is_of_table(type)) {
		names = list_truncate(list_copy(names), list_length(names) > 0 ? list_length(names) - 1 : 0);
		ms_emit_list(scan, "needs", "relation", names, location);
	} else {
		ms_emit_list(scan, action, kind_of(type), names, location);
	}
}

static void
emit_objects(NameScan *scan, const char *action, ObjectType type, List *objects)
{
	ListCell *cell;

	foreach (cell, objects)
		emit_object(scan, action, type, (Node *) lfirst(cell));
}

static void
emit_string(NameScan *scan, const char *action, const char *kind, const char *name)
{
	if (name != nullptr)
		scan->sink->name(scan->sink, action, kind, nullptr, name, -1);
}

static void
find_in_statements(NameScan *scan, List *statements)
{
	ListCell *cell;

	foreach (cell, statements)
		ms_find_in_statement(scan, (Node *) lfirst(cell));
}

/* An object gets another name or schema. */
static void
emit_move(NameScan *scan, ObjectType type, List *names, bool missing_ok, const char *newschema, const char *newname)
{
	List *moved = NIL;

	if (names == NIL || kind_of(type) == nullptr || !IsA(llast(names), String))
		return;
	if (!missing_ok)
		ms_emit_list(scan, "needs", kind_of(type), names, -1);
	if (newschema)
		moved = list_make1(makeString(pstrdup(newschema)));
	else if (list_length(names) > 1)
		moved = list_make1(list_nth(names, list_length(names) - 2));
	moved = lappend(moved, newname ? (void *) makeString(pstrdup(newname)) : llast(names));
	ms_emit_list(scan, "makes", kind_of(type), moved, -1);
	ms_emit_list(scan, "drops", kind_of(type), names, -1);
}

static void
find_in_create_function(NameScan *scan, CreateFunctionStmt *stmt)
{
	ListCell *cell;
	const char *language = nullptr;
	DefElem *body = nullptr;

	ms_walk_list(scan, stmt->parameters);
	ms_walk_names(scan, (Node *) stmt->returnType);
	foreach (cell, stmt->options) {
		DefElem *option = lfirst_node(DefElem, cell);
		if (strcmp(option->defname, "language") == 0)
			language = strVal(option->arg);
		else if (strcmp(option->defname, "as") == 0)
			body = option;
	}
	if (language)
		emit_string(scan, "needs", "language", language);
	/* Before the body: it may call itself. */
	ms_emit_list(scan, "makes", "function", stmt->funcname, -1);
	if (stmt->sql_body) {
		if (IsA(stmt->sql_body, List))
			foreach (cell, (List *) stmt->sql_body)
				find_in_statements(scan, (List *) lfirst(cell));
		else
			ms_find_in_statement(scan, stmt->sql_body);
	}
	if (body && language && strcmp(language, "sql") == 0 && IsA(body->arg, List))
		scan->sink->sql_body(scan->sink, strVal(linitial((List *) body->arg)), body->location);
}

static void
find_in_alter_table(NameScan *scan, AlterTableStmt *stmt)
{
	ListCell *cell;

	if (!stmt->missing_ok)
		ms_emit_range(scan, "needs", stmt->objtype == OBJECT_TYPE ? "type" : "relation", stmt->relation);
	foreach (cell, stmt->cmds) {
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, cell);
		switch (cmd->subtype) {
			case AT_AddColumn:
			case AT_ColumnDefault:
			case AT_AlterColumnType:
			case AT_AddConstraint:
			case AT_AddInherit:
			case AT_DropInherit:
			case AT_AddOf:
				ms_walk_names(scan, cmd->def);
				break;
			case AT_AttachPartition:
			case AT_DetachPartition:
				if (cmd->def && IsA(cmd->def, PartitionCmd))
					ms_emit_range(scan, "needs", "relation", ((PartitionCmd *) cmd->def)->name);
				break;
			case AT_ChangeOwner:
				ms_emit_role(scan, "needs", cmd->newowner);
				break;
			default:
				break;
		}
	}
}

static void
find_in_grant(NameScan *scan, GrantStmt *stmt)
{
	if (stmt->targtype == ACL_TARGET_OBJECT)
		emit_objects(scan, "needs", stmt->objtype, stmt->objects);
	else if (stmt->targtype == ACL_TARGET_ALL_IN_SCHEMA)
		emit_objects(scan, "needs", OBJECT_SCHEMA, stmt->objects);
	ms_emit_roles(scan, "needs", stmt->grantees);
}

static void
find_in_publication(NameScan *scan, List *objects)
{
	ListCell *cell;

	foreach (cell, objects) {
		PublicationObjSpec *object = lfirst_node(PublicationObjSpec, cell);
		if (object->pubtable)
			ms_emit_range(scan, "needs", "relation", object->pubtable->relation);
		else if (object->pubobjtype == PUBLICATIONOBJ_TABLES_IN_SCHEMA)
			emit_string(scan, "needs", "schema", object->name);
	}
}

static void
find_in_drop(NameScan *scan, DropStmt *stmt)
{
	if (!stmt->missing_ok)
		emit_objects(scan, "needs", stmt->removeType, stmt->objects);
	if (!is_of_table(stmt->removeType))
		emit_objects(scan, "drops", stmt->removeType, stmt->objects);
}

static void
find_in_rename(NameScan *scan, RenameStmt *stmt)
{
	if (stmt->renameType == OBJECT_SCHEMA || stmt->renameType == OBJECT_ROLE)
		emit_move(scan, stmt->renameType, list_make1(makeString(stmt->subname)), false, nullptr, stmt->newname);
	else if (kind_of(stmt->renameType))
		emit_move(scan, stmt->renameType, names_of(stmt->relation ? (Node *) stmt->relation : stmt->object), stmt->missing_ok,
				  nullptr, stmt->newname);
	else if (stmt->relation && !stmt->missing_ok)
		ms_emit_range(scan, "needs", "relation", stmt->relation);
}

/* A value of an option: a list of roles or names of schemas. */
static void
find_in_default_privileges(NameScan *scan, AlterDefaultPrivilegesStmt *stmt)
{
	ListCell *cell;

	foreach (cell, stmt->options) {
		DefElem *option = lfirst_node(DefElem, cell);
		if (strcmp(option->defname, "schemas") == 0)
			emit_objects(scan, "needs", OBJECT_SCHEMA, (List *) option->arg);
		else if (strcmp(option->defname, "roles") == 0)
			ms_emit_roles(scan, "needs", (List *) option->arg);
	}
	ms_emit_roles(scan, "needs", stmt->action->grantees);
}

static void
find_in_create_schema(NameScan *scan, CreateSchemaStmt *stmt)
{
	ms_emit_role(scan, "needs", stmt->authrole);
	if (stmt->schemaname)
		emit_string(scan, "makes", "schema", stmt->schemaname);
	else if (stmt->authrole && stmt->authrole->roletype == ROLESPEC_CSTRING)
		emit_string(scan, "makes", "schema", stmt->authrole->rolename);
	find_in_statements(scan, stmt->schemaElts);
}

static void
find_in_create_extension(NameScan *scan, CreateExtensionStmt *stmt)
{
	ListCell *cell;

	emit_string(scan, "needs", "available extension", stmt->extname);
	foreach (cell, stmt->options)
		if (strcmp(lfirst_node(DefElem, cell)->defname, "schema") == 0)
			emit_string(scan, "needs", "schema", defGetString(lfirst_node(DefElem, cell)));
	emit_string(scan, "makes", "extension", stmt->extname);
}

static void
find_in_create_table(NameScan *scan, CreateStmt *stmt)
{
	ms_walk_list(scan, stmt->inhRelations);
	/* Before its columns: foreign keys may point to itself. */
	ms_emit_range(scan, "makes", "relation", stmt->relation);
	ms_walk_list(scan, stmt->tableElts);
	ms_walk_list(scan, stmt->constraints);
}

static void
find_in_create_index(NameScan *scan, IndexStmt *stmt)
{
	ms_emit_range(scan, "needs", "relation", stmt->relation);
	ms_walk_list(scan, stmt->indexParams);
	ms_walk_names(scan, stmt->whereClause);
	if (stmt->idxname)
		scan->sink->name(scan->sink, "makes", "relation", stmt->relation->schemaname, stmt->idxname, -1);
}

/* Statements about queries. */
static bool
find_in_query_utility(NameScan *scan, Node *node)
{
	switch (nodeTag(node)) {
		case T_ViewStmt:
			ms_find_in_statement(scan, ((ViewStmt *) node)->query);
			ms_emit_range(scan, "makes", "relation", ((ViewStmt *) node)->view);
			return true;
		case T_CreateTableAsStmt:
			ms_find_in_statement(scan, ((CreateTableAsStmt *) node)->query);
			ms_emit_range(scan, "makes", "relation", ((CreateTableAsStmt *) node)->into->rel);
			return true;
		case T_RuleStmt:
			ms_emit_range(scan, "needs", "relation", ((RuleStmt *) node)->relation);
			find_in_statements(scan, ((RuleStmt *) node)->actions);
			return true;
		case T_CopyStmt:
			ms_emit_range(scan, "needs", "relation", ((CopyStmt *) node)->relation);
			ms_find_in_statement(scan, ((CopyStmt *) node)->query);
			return true;
		case T_ExplainStmt:
			ms_find_in_statement(scan, ((ExplainStmt *) node)->query);
			return true;
		case T_PrepareStmt:
			ms_find_in_statement(scan, ((PrepareStmt *) node)->query);
			return true;
		case T_DeclareCursorStmt:
			ms_find_in_statement(scan, ((DeclareCursorStmt *) node)->query);
			return true;
		case T_CallStmt:
			ms_walk_names(scan, (Node *) ((CallStmt *) node)->funccall);
			return true;
		case T_TruncateStmt:
			ms_walk_list(scan, ((TruncateStmt *) node)->relations);
			return true;
		case T_LockStmt:
			ms_walk_list(scan, ((LockStmt *) node)->relations);
			return true;
		case T_RefreshMatViewStmt:
			ms_emit_range(scan, "needs", "relation", ((RefreshMatViewStmt *) node)->relation);
			return true;
		default:
			return false;
	}
}

/* Types, sequences, domains and what DefineStmt makes. */
static bool
find_in_definition(NameScan *scan, Node *node)
{
	switch (nodeTag(node)) {
		case T_CreateEnumStmt:
			ms_emit_list(scan, "makes", "type", ((CreateEnumStmt *) node)->typeName, -1);
			return true;
		case T_AlterEnumStmt:
			ms_emit_list(scan, "needs", "type", ((AlterEnumStmt *) node)->typeName, -1);
			return true;
		case T_CompositeTypeStmt:
			ms_walk_list(scan, ((CompositeTypeStmt *) node)->coldeflist);
			ms_emit_range(scan, "makes", "type", ((CompositeTypeStmt *) node)->typevar);
			return true;
		case T_CreateRangeStmt:
			ms_emit_list(scan, "makes", "type", ((CreateRangeStmt *) node)->typeName, -1);
			return true;
		case T_CreateDomainStmt:
			ms_walk_names(scan, (Node *) ((CreateDomainStmt *) node)->typeName);
			ms_walk_list(scan, ((CreateDomainStmt *) node)->constraints);
			ms_emit_list(scan, "makes", "type", ((CreateDomainStmt *) node)->domainname, -1);
			return true;
		case T_AlterDomainStmt:
			ms_emit_list(scan, "needs", "type", ((AlterDomainStmt *) node)->typeName, -1);
			return true;
		case T_CreateSeqStmt:
			ms_emit_range(scan, "makes", "relation", ((CreateSeqStmt *) node)->sequence);
			return true;
		case T_AlterSeqStmt:
			if (!((AlterSeqStmt *) node)->missing_ok)
				ms_emit_range(scan, "needs", "relation", ((AlterSeqStmt *) node)->sequence);
			return true;
		case T_DefineStmt:
			emit_objects(scan, "makes", ((DefineStmt *) node)->kind, list_make1(((DefineStmt *) node)->defnames));
			return true;
		case T_CreateStatsStmt:
			ms_walk_list(scan, ((CreateStatsStmt *) node)->relations);
			return true;
		default:
			return false;
	}
}

/* Roles, publications and triggers. */
static bool
find_in_owner_utility(NameScan *scan, Node *node)
{
	switch (nodeTag(node)) {
		case T_CreateRoleStmt:
			emit_string(scan, "makes", "role", ((CreateRoleStmt *) node)->role);
			return true;
		case T_AlterRoleStmt:
			ms_emit_role(scan, "needs", ((AlterRoleStmt *) node)->role);
			return true;
		case T_AlterRoleSetStmt:
			ms_emit_role(scan, "needs", ((AlterRoleSetStmt *) node)->role);
			return true;
		case T_DropRoleStmt:
			if (!((DropRoleStmt *) node)->missing_ok)
				ms_emit_roles(scan, "needs", ((DropRoleStmt *) node)->roles);
			ms_emit_roles(scan, "drops", ((DropRoleStmt *) node)->roles);
			return true;
		case T_GrantRoleStmt:
			ms_emit_roles(scan, "needs", ((GrantRoleStmt *) node)->grantee_roles);
			return true;
		case T_CreatePublicationStmt:
			find_in_publication(scan, ((CreatePublicationStmt *) node)->pubobjects);
			emit_string(scan, "makes", "publication", ((CreatePublicationStmt *) node)->pubname);
			return true;
		case T_AlterPublicationStmt:
			emit_string(scan, "needs", "publication", ((AlterPublicationStmt *) node)->pubname);
			find_in_publication(scan, ((AlterPublicationStmt *) node)->pubobjects);
			return true;
		case T_CreateTrigStmt:
			ms_emit_range(scan, "needs", "relation", ((CreateTrigStmt *) node)->relation);
			ms_emit_list(scan, "needs", "function", ((CreateTrigStmt *) node)->funcname, -1);
			ms_walk_names(scan, ((CreateTrigStmt *) node)->whenClause);
			return true;
		case T_CreateEventTrigStmt:
			ms_emit_list(scan, "needs", "function", ((CreateEventTrigStmt *) node)->funcname, -1);
			return true;
		case T_CreatePolicyStmt:
			ms_emit_range(scan, "needs", "relation", ((CreatePolicyStmt *) node)->table);
			ms_emit_roles(scan, "needs", ((CreatePolicyStmt *) node)->roles);
			ms_walk_names(scan, ((CreatePolicyStmt *) node)->qual);
			ms_walk_names(scan, ((CreatePolicyStmt *) node)->with_check);
			return true;
		case T_AlterPolicyStmt:
			ms_emit_range(scan, "needs", "relation", ((AlterPolicyStmt *) node)->table);
			ms_emit_roles(scan, "needs", ((AlterPolicyStmt *) node)->roles);
			ms_walk_names(scan, ((AlterPolicyStmt *) node)->qual);
			ms_walk_names(scan, ((AlterPolicyStmt *) node)->with_check);
			return true;
		default:
			return false;
	}
}

/* Statements that change what is there. */
static bool
find_in_alteration(NameScan *scan, Node *node)
{
	switch (nodeTag(node)) {
		case T_AlterTableStmt:
			find_in_alter_table(scan, (AlterTableStmt *) node);
			return true;
		case T_DropStmt:
			find_in_drop(scan, (DropStmt *) node);
			return true;
		case T_RenameStmt:
			find_in_rename(scan, (RenameStmt *) node);
			return true;
		case T_AlterObjectSchemaStmt: {
			AlterObjectSchemaStmt *stmt = (AlterObjectSchemaStmt *) node;
			emit_string(scan, "needs", "schema", stmt->newschema);
			if (stmt->objectType == OBJECT_EXTENSION)
				emit_object(scan, "needs", stmt->objectType, stmt->object);
			else
				emit_move(scan, stmt->objectType, names_of(stmt->relation ? (Node *) stmt->relation : stmt->object),
						  stmt->missing_ok, stmt->newschema, nullptr);
			return true;
		}
		case T_AlterOwnerStmt:
			emit_object(scan, "needs", ((AlterOwnerStmt *) node)->objectType, ((AlterOwnerStmt *) node)->object);
			ms_emit_role(scan, "needs", ((AlterOwnerStmt *) node)->newowner);
			return true;
		case T_AlterFunctionStmt:
			emit_object(scan, "needs", ((AlterFunctionStmt *) node)->objtype, (Node *) ((AlterFunctionStmt *) node)->func);
			return true;
		case T_AlterExtensionStmt:
			emit_string(scan, "needs", "extension", ((AlterExtensionStmt *) node)->extname);
			return true;
		case T_CommentStmt:
			emit_object(scan, "needs", ((CommentStmt *) node)->objtype, ((CommentStmt *) node)->object);
			return true;
		case T_GrantStmt:
			find_in_grant(scan, (GrantStmt *) node);
			return true;
		case T_AlterDefaultPrivilegesStmt:
			find_in_default_privileges(scan, (AlterDefaultPrivilegesStmt *) node);
			return true;
		default:
			return false;
	}
}

void
ms_find_utility_names(NameScan *scan, Node *node)
{
	switch (nodeTag(node)) {
		case T_CreateStmt:
			find_in_create_table(scan, (CreateStmt *) node);
			return;
		case T_CreateForeignTableStmt:
			find_in_create_table(scan, &((CreateForeignTableStmt *) node)->base);
			return;
		case T_IndexStmt:
			find_in_create_index(scan, (IndexStmt *) node);
			return;
		case T_CreateFunctionStmt:
			find_in_create_function(scan, (CreateFunctionStmt *) node);
			return;
		case T_CreateSchemaStmt:
			find_in_create_schema(scan, (CreateSchemaStmt *) node);
			return;
		case T_CreateExtensionStmt:
			find_in_create_extension(scan, (CreateExtensionStmt *) node);
			return;
		default:
			break;
	}
	/* What none of them knows names nothing of interest. */
	(void) (find_in_query_utility(scan, node) || find_in_definition(scan, node) || find_in_owner_utility(scan, node) ||
			find_in_alteration(scan, node));
}
