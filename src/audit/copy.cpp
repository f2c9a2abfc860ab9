/* COPY ... TO as an export.
 *
 * COPY table TO reads the table without the executor, where nothing could be seen.  So it is given the query that it
 * stands for.  What makes the difference to COPY (query) TO invisible:
 * - the columns are those of COPY table TO: the given ones, or all that are neither dropped nor generated;
 * - everything that may fail is looked at first, and where it would, PostgreSQL gets the statement as it was;
 * - neither indexes nor workers change the order of the rows. */
#include "pg/prelude.h"

#include "audit/copy.h"
#include "audit/relations.h"

extern "C" {
#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "nodes/makefuncs.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"
}

namespace {

/* The columns that COPY table TO gives; false where it would raise. */
bool
columns_of(Relation relation, List *names, List **numbers)
{
	TupleDesc columns = RelationGetDescr(relation);
	ListCell *cell;

	*numbers = NIL;
	for (int i = 0; names == NIL && i < columns->natts; i++) {
		Form_pg_attribute column = TupleDescAttr(columns, i);

		if (!column->attisdropped && !column->attgenerated)
			*numbers = lappend_int(*numbers, column->attnum);
	}
	foreach (cell, names) {
		AttrNumber found = InvalidAttrNumber;

		for (int i = 0; i < columns->natts; i++) {
			Form_pg_attribute column = TupleDescAttr(columns, i);

			if (!column->attisdropped && !column->attgenerated && namestrcmp(&column->attname, strVal(lfirst(cell))) == 0)
				found = column->attnum;
		}
		if (found == InvalidAttrNumber || list_member_int(*numbers, found))
			return false;
		*numbers = lappend_int(*numbers, found);
	}
	return true;
}

bool
may_select(Oid relid, List *numbers)
{
	Oid user = GetUserId();
	ListCell *cell;

	if (pg_class_aclcheck(relid, user, ACL_SELECT) == ACLCHECK_OK)
		return true;
	if (numbers == NIL)
		return pg_attribute_aclcheck_all(relid, user, ACL_SELECT, ACLMASK_ANY) == ACLCHECK_OK;
	foreach (cell, numbers)
		if (pg_attribute_aclcheck(relid, lfirst_int(cell), user, ACL_SELECT) != ACLCHECK_OK)
			return false;
	return true;
}

/* FORCE_QUOTE names columns, and the errors for those that are not copied tell table and query apart. */
bool
options_fit(Relation relation, List *options, List *numbers)
{
	ListCell *cell, *name;

	foreach (cell, options) {
		DefElem *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, "force_quote") != 0 || option->arg == nullptr || !IsA(option->arg, List))
			continue;
		foreach (name, (List *) option->arg) {
			AttrNumber number = get_attnum(RelationGetRelid(relation), strVal(lfirst(name)));

			if (number <= 0 || !list_member_int(numbers, number))
				return false;
		}
	}
	return true;
}

SelectStmt *
select_from(Relation relation, List *numbers)
{
	bool temporary = relation->rd_rel->relpersistence == RELPERSISTENCE_TEMP;
	char *schema = temporary ? pstrdup("pg_temp") : get_namespace_name(RelationGetNamespace(relation));
	RangeVar *from = makeRangeVar(schema, pstrdup(RelationGetRelationName(relation)), -1);
	SelectStmt *select = makeNode(SelectStmt);
	ListCell *cell;

	from->inh = false;
	select->fromClause = list_make1(from);
	foreach (cell, numbers) {
		Form_pg_attribute column = TupleDescAttr(RelationGetDescr(relation), lfirst_int(cell) - 1);
		ColumnRef *reference = makeNode(ColumnRef);
		ResTarget *target = makeNode(ResTarget);

		reference->fields = list_make1(makeString(pstrdup(NameStr(column->attname))));
		reference->location = -1;
		target->val = (Node *) reference;
		target->location = -1;
		select->targetList = lappend(select->targetList, target);
	}
	return select;
}

bool
may_write(const CopyStmt *stmt)
{
	return stmt->filename == nullptr ||
		has_privs_of_role(GetUserId(), stmt->is_program ? ROLE_PG_EXECUTE_SERVER_PROGRAM : ROLE_PG_WRITE_SERVER_FILES);
}

}  // namespace

void
ms_audit_copy_prepare(PlannedStmt *planned, AuditCopy *copy)
{
	CopyStmt *stmt = (CopyStmt *) planned->utilityStmt;
	List *numbers;

	copy->statement = planned;
	copy->rewritten = false;
	copy->unseen = nullptr;
	if (stmt->is_from || stmt->relation == nullptr || !may_write(stmt))
		return;
	/* The lock that COPY takes, and keeps: the query must find the same table. */
	Oid relid = RangeVarGetRelid(stmt->relation, AccessShareLock, true);
	const AuditRelation *audited = OidIsValid(relid) ? ms_audit_relation(relid) : nullptr;

	if (audited == nullptr || !audited->reads)
		return;
	Relation relation = relation_open(relid, NoLock);

	/* Where policies apply, or are refused, PostgreSQL makes the query itself. */
	if (ms_copy_reads_relation(relation) && !RELATION_IS_OTHER_TEMP(relation) &&
		check_enable_rls(relid, InvalidOid, true) != RLS_ENABLED) {
		if (columns_of(relation, stmt->attlist, &numbers) && may_select(relid, numbers) &&
			options_fit(relation, stmt->options, numbers)) {
			CopyStmt *query = (CopyStmt *) copyObjectImpl(stmt);

			query->relation = nullptr;
			query->attlist = NIL;
			query->query = (Node *) select_from(relation, numbers);
			copy->statement = makeNode(PlannedStmt);
			memcpy(copy->statement, planned, sizeof(PlannedStmt));
			copy->statement->utilityStmt = (Node *) query;
			copy->rewritten = true;
		} else
			copy->unseen = audited->name;
	}
	relation_close(relation, NoLock);
}

int
ms_audit_copy_begin(void)
{
	static const char *const kSettings[][2] = {
		{"enable_indexonlyscan", "off"}, {"max_parallel_workers_per_gather", "0"}, {"jit", "off"}};
	int level = NewGUCNestLevel();

	for (const auto &setting : kSettings)
		(void) set_config_option(setting[0], setting[1], PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	return level;
}

void
ms_audit_copy_end(int level)
{
	AtEOXact_GUC(true, level);
}
