/* What the reader could have written himself is never exempt: he could read within it unseen. */
#include "pg/prelude.h"

#include "audit/marks.h"

extern "C" {
#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "rewrite/rowsecurity.h"
#include "utils/acl.h"
#include "utils/syscache.h"
}

int
ms_audit_count_policy_quals(Query *query, RangeTblEntry *entry, int rti)
{
	List *quals = NIL, *checks = NIL;
	bool has_row_security, has_sublinks;

	/* The rewriter puts them before those of views. */
	get_row_security_policies(query, entry, rti, &quals, &checks, &has_row_security, &has_sublinks);
	return list_length(quals);
}

bool
ms_audit_reader_may_be(Oid owner)
{
	Oid session = GetSessionUserId(), outer = GetOuterUserId();

	/* A superuser, who may be anybody, is taken for whom he has become. */
	return (!superuser_arg(session) && is_member_of_role_nosuper(session, owner)) ||
		(outer != session && !superuser_arg(outer) && is_member_of_role_nosuper(outer, owner));
}

bool
ms_audit_reader_may_write_relation(Oid relid)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));

	if (!HeapTupleIsValid(tuple))
		return false;
	Oid owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	bool is_temporary = ((Form_pg_class) GETSTRUCT(tuple))->relpersistence == RELPERSISTENCE_TEMP;

	ReleaseSysCache(tuple);
	return is_temporary || ms_audit_reader_may_be(owner);
}

bool
ms_audit_reader_may_write_function(Oid function)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));

	if (!HeapTupleIsValid(tuple))
		return false;
	Oid owner = ((Form_pg_proc) GETSTRUCT(tuple))->proowner;
	Oid schema = ((Form_pg_proc) GETSTRUCT(tuple))->pronamespace;

	ReleaseSysCache(tuple);
	return isTempNamespace(schema) || ms_audit_reader_may_be(owner);
}

bool
ms_audit_is_imitation(const PlannedStmt *plan)
{
	ListCell *cell;

	/* Views are among them, too. */
	foreach(cell, plan->relationOids)
		if (lfirst_oid(cell) >= FirstNormalObjectId && ms_audit_reader_may_write_relation(lfirst_oid(cell)))
			return true;
	return false;
}
