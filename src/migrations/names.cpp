/* Names in a raw parse tree.  C style: PostgreSQL functions called here may raise errors.
 *
 * Only what is needed when the statement itself runs: columns, operators and the bodies of PL/pgSQL are not looked at.
 * A name that a WITH clause of the statement introduces is never taken for a table. */
#include "pg/prelude.h"

#include "migrations/names.h"
#include "migrations/names_utility.h"

extern "C" {
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
}

void
ms_emit_list(NameScan *scan, const char *action, const char *kind, List *names, int location)
{
	int length = list_length(names);
	const char *name = nullptr, *schema = nullptr;

	if (length == 0 || kind == nullptr)
		return;
	if (!IsA(llast(names), String))
		return;
	name = strVal(llast(names));
	if (length > 1 && IsA(list_nth(names, length - 2), String))
		schema = strVal(list_nth(names, length - 2));
	scan->sink->name(scan->sink, action, kind, schema, name, location);
}

void
ms_emit_range(NameScan *scan, const char *action, const char *kind, const RangeVar *range)
{
	if (range != nullptr && range->relname != nullptr)
		scan->sink->name(scan->sink, action, kind, range->schemaname, range->relname, range->location);
}

void
ms_emit_role(NameScan *scan, const char *action, const RoleSpec *role)
{
	if (role != nullptr && role->roletype == ROLESPEC_CSTRING)
		scan->sink->name(scan->sink, action, "role", nullptr, role->rolename, role->location);
}

void
ms_emit_roles(NameScan *scan, const char *action, List *roles)
{
	ListCell *cell;

	foreach (cell, roles)
		if (IsA(lfirst(cell), RoleSpec))
			ms_emit_role(scan, action, lfirst_node(RoleSpec, cell));
}

static bool
is_cte(const NameScan *scan, const RangeVar *range)
{
	ListCell *cell;

	if (range->schemaname != nullptr)
		return false;
	foreach (cell, scan->ctes)
		if (strcmp((const char *) lfirst(cell), range->relname) == 0)
			return true;
	return false;
}

static void
note_ctes(NameScan *scan, WithClause *with)
{
	ListCell *cell;

	if (with == nullptr)
		return;
	foreach (cell, with->ctes)
		scan->ctes = lappend(scan->ctes, lfirst_node(CommonTableExpr, cell)->ctename);
}

static bool
walk(Node *node, void *context)
{
	NameScan *scan = (NameScan *) context;

	if (node == nullptr)
		return false;
	switch (nodeTag(node)) {
		case T_RangeVar:
			if (!is_cte(scan, (RangeVar *) node))
				ms_emit_range(scan, "needs", "relation", (RangeVar *) node);
			return false;
		case T_IntoClause:
			ms_emit_range(scan, "makes", "relation", ((IntoClause *) node)->rel);
			return false;
		case T_LockingClause:   /* names aliases of the query */
			return false;
		case T_SelectStmt:
			note_ctes(scan, ((SelectStmt *) node)->withClause);
			break;
		case T_InsertStmt:
			note_ctes(scan, ((InsertStmt *) node)->withClause);
			break;
		case T_UpdateStmt:
			note_ctes(scan, ((UpdateStmt *) node)->withClause);
			break;
		case T_DeleteStmt:
			note_ctes(scan, ((DeleteStmt *) node)->withClause);
			break;
		case T_MergeStmt:
			note_ctes(scan, ((MergeStmt *) node)->withClause);
			break;
		case T_FuncCall:
			ms_emit_list(scan, "needs", "function", ((FuncCall *) node)->funcname, ((FuncCall *) node)->location);
			break;
		case T_TypeName: {
			TypeName *type = (TypeName *) node;
			if (type->pct_type) {
				List *table = list_copy(type->names);
				table = list_truncate(table, list_length(table) - 1);
				ms_emit_list(scan, "needs", "relation", table, type->location);
			} else {
				ms_emit_list(scan, "needs", "type", type->names, type->location);
			}
			break;
		}
		case T_ColumnDef: {
			ColumnDef *column = (ColumnDef *) node;
			ms_walk_names(scan, (Node *) column->typeName);
			ms_walk_names(scan, column->raw_default);
			ms_walk_list(scan, column->constraints);
			return false;
		}
		case T_Constraint: {
			Constraint *constraint = (Constraint *) node;
			ms_walk_names(scan, constraint->raw_expr);
			ms_walk_names(scan, (Node *) constraint->pktable);
			ms_walk_names(scan, constraint->where_clause);
			return false;
		}
		case T_FunctionParameter:
			ms_walk_names(scan, (Node *) ((FunctionParameter *) node)->argType);
			ms_walk_names(scan, ((FunctionParameter *) node)->defexpr);
			return false;
		case T_TableLikeClause:
			ms_walk_names(scan, (Node *) ((TableLikeClause *) node)->relation);
			return false;
		default:
			break;
	}
	return ms_raw_expression_tree_walker(node, walk, context);
}

void
ms_walk_names(NameScan *scan, Node *node)
{
	(void) walk(node, scan);
}

void
ms_walk_list(NameScan *scan, List *list)
{
	ListCell *cell;

	foreach (cell, list)
		ms_walk_names(scan, (Node *) lfirst(cell));
}

/* The expression walker raises an error for what it does not know: utility statements are not for it. */
void
ms_find_in_statement(NameScan *scan, Node *node)
{
	if (node == nullptr)
		return;
	switch (nodeTag(node)) {
		case T_SelectStmt:
		case T_InsertStmt:
		case T_UpdateStmt:
		case T_DeleteStmt:
		case T_MergeStmt:
			ms_walk_names(scan, node);
			break;
		case T_ReturnStmt:   /* in the body of a function: BEGIN ATOMIC or RETURN */
			ms_walk_names(scan, ((ReturnStmt *) node)->returnval);
			break;
		default:
			ms_find_utility_names(scan, node);
	}
}

void
ms_find_names(NameSink *sink, Node *statement)
{
	NameScan scan = {sink, NIL};

	ms_find_in_statement(&scan, statement);
}
