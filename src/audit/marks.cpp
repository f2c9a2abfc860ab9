/* Telling what policies read from what the user reads.
 *
 * A policy looks up tables to find out which rows the user may see.  That is not the user's reading, and it would be
 * in the record of nearly every statement.  Before planning, policies can still be told from the rest of the query:
 * relations in their subqueries are marked by RangeTblEntry.security_barrier, which means nothing for a relation and
 * stays with the entry down to the executor, and calls of functions by FuncExpr.funcformat = COERCE_SQL_SYNTAX, which
 * the parser gives to functions of pg_catalog alone and which is kept down to FmgrInfo.fn_expr, also on the way to
 * parallel workers.
 *
 * Whoever can make a table can write a policy for it, and could read within it unseen.  So only policies count of which
 * the one who reads is not the author: those of declared tables, whose changes are events, and those of tables that he
 * has no rights of the owner on.
 *
 * Functions that policies call (SECURITY DEFINER helpers) are watched through fmgr_hook: what is executed within a
 * marked call is the policy's.  The same function called by the user is not marked. */
#include "pg/prelude.h"

#include "audit/reads.h"
#include "audit/relations.h"

extern "C" {
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_language.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_proc.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "optimizer/planner.h"
#include "parser/parsetree.h"
#include "utils/acl.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/syscache.h"
}

int audit_policy_depth = 0;

static planner_hook_type next_planner = nullptr;
static needs_fmgr_hook_type next_needs_fmgr = nullptr;
static fmgr_hook_type next_fmgr = nullptr;

/* ---- marks ---- */

/* Functions that policies of the query being planned call: when the planner evaluates a call to estimate how many rows
 * there are, it makes a node of its own for it. */
static List *planning = NIL;

static bool
mark_walker(Node *node, void *context)
{
	if (node == nullptr)
		return false;
	switch (nodeTag(node)) {
		case T_RangeTblEntry:
			if (((RangeTblEntry *) node)->rtekind == RTE_RELATION)
				((RangeTblEntry *) node)->security_barrier = true;
			/* Its contents come next. */
			return false;
		case T_Query:
			return ms_walk_query((Query *) node, mark_walker, context, QTW_EXAMINE_RTES_BEFORE);
		case T_FuncExpr: {
			FuncExpr *call = (FuncExpr *) node;

			if (call->funcid >= FirstNormalObjectId) {
				List **functions = (List **) context;

				call->funcformat = COERCE_SQL_SYNTAX;
				*functions = list_append_unique_oid(*functions, call->funcid);
			}
			break;
		}
		default:
			break;
	}
	return ms_walk_expression(node, mark_walker, context);
}

/* Whether what the policies of a relation read is theirs, and not a way to read unseen. */
static bool
is_trusted(Oid relid)
{
	if (ms_audit_relation(relid) != nullptr)
		return true;
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));

	if (!HeapTupleIsValid(tuple))
		return false;
	Oid owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	bool is_temporary = ((Form_pg_class) GETSTRUCT(tuple))->relpersistence == RELPERSISTENCE_TEMP;

	ReleaseSysCache(tuple);
	/* A superuser, who may be anybody, is taken for whom he has become. */
	return !is_temporary && !has_privs_of_role(GetOuterUserId(), owner) &&
		(superuser_arg(GetSessionUserId()) || !has_privs_of_role(GetSessionUserId(), owner));
}

/* Finds the policies of a query, at all levels. */
static bool
policies_walker(Node *node, void *context)
{
	ListCell *cell;

	if (node == nullptr)
		return false;
	if (!IsA(node, Query))
		return ms_walk_expression(node, policies_walker, context);
	Query *query = (Query *) node;

	foreach(cell, query->rtable) {
		RangeTblEntry *entry = (RangeTblEntry *) lfirst(cell);

		if (entry->securityQuals != NIL && is_trusted(entry->relid))
			(void) mark_walker((Node *) entry->securityQuals, context);
	}
	if (query->withCheckOptions != NIL && query->resultRelation > 0 &&
		is_trusted(rt_fetch(query->resultRelation, query->rtable)->relid))
		foreach(cell, query->withCheckOptions)
			if (((WithCheckOption *) lfirst(cell))->kind != WCO_VIEW_CHECK)
				(void) mark_walker(((WithCheckOption *) lfirst(cell))->qual, context);
	return ms_walk_query(query, policies_walker, context, 0);
}

static bool
may_have_policies(const Query *query)
{
	ListCell *cell;

	if (query->hasRowSecurity || query->hasSubLinks || query->cteList != NIL)
		return true;
	foreach(cell, query->rtable)
		if (((const RangeTblEntry *) lfirst(cell))->rtekind == RTE_SUBQUERY ||
			((const RangeTblEntry *) lfirst(cell))->rtekind == RTE_FUNCTION)
			return true;
	return false;
}

static PlannedStmt *
plan(Query *query, const char *source, int cursor_options, ParamListInfo params)
{
	if (next_planner != nullptr)
		return next_planner(query, source, cursor_options, params);
	return standard_planner(query, source, cursor_options, params);
}

static PlannedStmt *
ms_audit_planner(Query *query, const char *source, int cursor_options, ParamListInfo params)
{
	if (query->commandType == CMD_UTILITY || !ms_audit_any())
		return plan(query, source, cursor_options, params);

	List *volatile outer = planning;
	List *functions = NIL;
	PlannerGlobal *inlined = nullptr;
	PlannedStmt *result;

	if (may_have_policies(query)) {
		inlined = ms_audit_inline_functions(query, params);
		(void) policies_walker((Node *) query, &functions);
	}
	if (functions == NIL && outer == NIL)
		result = plan(query, source, cursor_options, params);
	else {
		planning = functions;
		PG_TRY();
		{
			result = plan(query, source, cursor_options, params);
		}
		PG_FINALLY();
		{
			planning = outer;
		}
		PG_END_TRY();
	}
	if (inlined != nullptr) {
		result->invalItems = list_concat(result->invalItems, inlined->invalItems);
		result->dependsOnRole |= inlined->dependsOnRole;
	}
	return result;
}

/* ---- functions ---- */

struct PolicyFunction {
	Oid function;
	uint64 generation;       /* as of which it is known */
	bool watched;
};

static HTAB *functions = nullptr;
static uint64 generation = 1;

/* A policy was made or changed: its relation is invalidated.  So it is by much else, so each answer is looked up again
 * only when it is asked for. */
static void
relation_changed(Datum arg, Oid relid)
{
	(void) arg;
	(void) relid;
	generation++;
}

static void
function_changed(Datum arg, int cache, uint32 hash)
{
	(void) arg;
	(void) cache;
	(void) hash;
	generation++;
}

/* A function in SQL without a table is put into the query that calls it, and watching would keep it from that. */
static bool
may_read(Oid function)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	bool null;

	if (!HeapTupleIsValid(tuple))
		return false;
	Form_pg_proc form = (Form_pg_proc) GETSTRUCT(tuple);
	bool may = form->prolang != SQLlanguageId || form->prosecdef;

	if (!may) {
		Datum body = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosqlbody, &null);

		if (!null)
			may = strstr(TextDatumGetCString(body), ":rtekind 0") != nullptr;
		else {
			body = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosrc, &null);
			const char *word = null ? "" : TextDatumGetCString(body);
			for (; !may && *word != '\0'; word++)
				may = pg_strncasecmp(word, "from", 4) == 0 || pg_strncasecmp(word, "table", 5) == 0;
		}
	}
	ReleaseSysCache(tuple);
	return may;
}

static bool
is_in_policy(Oid function)
{
	Relation depend = table_open(DependRelationId, AccessShareLock);
	ScanKeyData keys[2];
	HeapTuple tuple;
	bool found = false;

	ScanKeyInit(&keys[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(ProcedureRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(function));
	SysScanDesc scan = systable_beginscan(depend, DependReferenceIndexId, true, nullptr, 2, keys);
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
		found = ((Form_pg_depend) GETSTRUCT(tuple))->classid == PolicyRelationId;
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
	return found;
}

static bool
is_watched(Oid function)
{
	bool known;

	if (functions == nullptr) {
		HASHCTL control = {};

		control.keysize = sizeof(Oid);
		control.entrysize = sizeof(PolicyFunction);
		functions = hash_create("mentalspace functions of policies", 64, &control, HASH_ELEM | HASH_BLOBS);
	}
	PolicyFunction *entry = (PolicyFunction *) hash_search(functions, &function, HASH_FIND, &known);
	if (known && entry->generation == generation)
		return entry->watched;

	uint64 now = generation;
	bool watched = is_in_policy(function) && may_read(function);

	entry = (PolicyFunction *) hash_search(functions, &function, HASH_ENTER, &known);
	entry->generation = now;
	entry->watched = watched;
	return watched;
}

static bool
ms_audit_needs_fmgr(Oid function)
{
	if (next_needs_fmgr != nullptr && next_needs_fmgr(function))
		return true;
	return function >= FirstNormalObjectId && IsTransactionState() && ms_audit_any() && is_watched(function);
}

/* What the hook keeps between the events of one call. */
struct WatchedCall {
	Datum next;              /* what the next hook keeps */
	bool counted;
};

static bool
is_policy_call(const FmgrInfo *info)
{
	const FuncExpr *call = (const FuncExpr *) info->fn_expr;

	if (call == nullptr || !IsA(call, FuncExpr))
		return false;
	return call->funcformat == COERCE_SQL_SYNTAX ||
		(planning != NIL && call->location < 0 && list_member_oid(planning, call->funcid));
}

static void
ms_audit_fmgr(FmgrHookEventType event, FmgrInfo *info, Datum *arg)
{
	WatchedCall *call = (WatchedCall *) DatumGetPointer(*arg);

	if (call == nullptr) {
		call = (WatchedCall *) MemoryContextAllocZero(info->fn_mcxt, sizeof(WatchedCall));
		*arg = PointerGetDatum(call);
	}
	if (event == FHET_START) {
		if (next_fmgr != nullptr)
			next_fmgr(event, info, &call->next);
		call->counted = info->fn_oid >= FirstNormalObjectId && is_policy_call(info);
		if (call->counted)
			audit_policy_depth++;
	} else {
		if (call->counted) {
			call->counted = false;
			audit_policy_depth--;
		}
		if (next_fmgr != nullptr)
			next_fmgr(event, info, &call->next);
	}
}

void
ms_audit_marks_init(void)
{
	next_planner = planner_hook;
	planner_hook = ms_audit_planner;
	next_needs_fmgr = needs_fmgr_hook;
	needs_fmgr_hook = ms_audit_needs_fmgr;
	next_fmgr = fmgr_hook;
	fmgr_hook = ms_audit_fmgr;
	CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(PROCOID, function_changed, (Datum) 0);
}
