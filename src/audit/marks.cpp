/* Telling what policies read from what the user reads.
 *
 * A policy looks up tables to find out which rows the user may see.  That is not the user's reading, and it would be
 * in the record of nearly every statement.  Before planning, policies can still be told from the rest of the query:
 * relations in their subqueries are marked by ms_audit_mark_policy_read(), and calls of functions by
 * FuncExpr.funcformat = COERCE_SQL_SYNTAX, which the parser gives to functions of pg_catalog alone and which is kept down
 * to FmgrInfo.fn_expr, also on the way to parallel workers.
 *
 * Whoever can make a table can write a policy for it, and could read within it unseen.  So only the policies of declared
 * tables are exempt, whose changes are events, and within them only what the reader could not have written: not his own
 * functions and views (authors.cpp), and not the conditions of security_barrier views, which stand beside those of
 * policies.
 *
 * Functions that policies call (SECURITY DEFINER helpers) are watched through fmgr_hook: what is executed within a
 * marked call is the policy's.  The same function called by the user is not marked. */
#include "pg/prelude.h"

#include "audit/marks.h"
#include "audit/reads.h"
#include "audit/relations.h"

extern "C" {
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_language.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_proc.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "optimizer/planner.h"
#include "parser/parsetree.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
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

/* Whether a query reads through a view that the reader could replace: the view's own entry tells. */
static bool
reads_own_view(const Query *query)
{
	ListCell *cell;

	foreach(cell, query->rtable) {
		const RangeTblEntry *entry = (const RangeTblEntry *) lfirst(cell);

		if (entry->relkind == RELKIND_VIEW && OidIsValid(entry->relid) &&
			ms_audit_reader_may_write_relation(entry->relid))
			return true;
	}
	return false;
}

static bool
mark_walker(Node *node, void *context)
{
	if (node == nullptr)
		return false;
	switch (nodeTag(node)) {
		case T_RangeTblEntry:
			ms_audit_mark_policy_read((RangeTblEntry *) node);
			/* Its contents come next. */
			return false;
		case T_Query:
			if (reads_own_view((const Query *) node))
				return false;
			return ms_walk_query((Query *) node, mark_walker, context, QTW_EXAMINE_RTES_BEFORE);
		case T_FuncExpr: {
			FuncExpr *call = (FuncExpr *) node;

			if (call->funcid >= FirstNormalObjectId && !ms_audit_reader_may_write_function(call->funcid)) {
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

/* What policies_walker() looks for. */
struct Policies {
	List *functions;         /* that are called there */
	bool only;               /* nothing but policies can have given an entry conditions */
};

/* Conditions of views come with what is written through them, and get into other entries by rules. */
static bool
has_only_policies(const Query *query)
{
	return query->commandType == CMD_SELECT && query->querySource == QSRC_ORIGINAL && !query->hasModifyingCTE;
}

static void
mark_conditions(Query *query, RangeTblEntry *entry, int rti, Policies *policies)
{
	int count = list_length(entry->securityQuals);
	ListCell *cell;

	if (!policies->only)
		count = ms_audit_count_policy_quals(query, entry, rti);
	foreach(cell, entry->securityQuals) {
		if (count-- <= 0)
			break;
		(void) mark_walker((Node *) lfirst(cell), &policies->functions);
	}
}

/* Finds the policies of a query, at all levels. */
static bool
policies_walker(Node *node, void *context)
{
	Policies *policies = (Policies *) context;
	int rti = 0;
	ListCell *cell;

	if (node == nullptr)
		return false;
	if (!IsA(node, Query))
		return ms_walk_expression(node, policies_walker, context);
	Query *query = (Query *) node;

	foreach(cell, query->rtable) {
		RangeTblEntry *entry = (RangeTblEntry *) lfirst(cell);

		rti++;
		if (entry->securityQuals != NIL && ms_audit_relation(entry->relid) != nullptr)
			mark_conditions(query, entry, rti, policies);
	}
	if (query->withCheckOptions != NIL && query->resultRelation > 0 &&
		ms_audit_relation(rt_fetch(query->resultRelation, query->rtable)->relid) != nullptr)
		foreach(cell, query->withCheckOptions)
			if (((WithCheckOption *) lfirst(cell))->kind != WCO_VIEW_CHECK)
				(void) mark_walker(((WithCheckOption *) lfirst(cell))->qual, &policies->functions);
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
	Policies policies = {NIL, has_only_policies(query)};
	PlannerGlobal *inlined = nullptr;
	PlannedStmt *result;

	if (may_have_policies(query)) {
		inlined = ms_audit_inline_functions(query, params);
		(void) policies_walker((Node *) query, &policies);
	}
	if (policies.functions == NIL && outer == NIL)
		result = plan(query, source, cursor_options, params);
	else {
		planning = policies.functions;
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
	bool watched = isTempNamespace(get_func_namespace(function)) || (is_in_policy(function) && may_read(function));

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
	bool started;
	int outer_depth;         /* of policies, before the call */
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
		call->started = info->fn_oid >= FirstNormalObjectId;
		call->outer_depth = audit_policy_depth;
		if (call->started && is_policy_call(info))
			audit_policy_depth++;
		else if (call->started && audit_policy_depth > 0 && isTempNamespace(get_func_namespace(info->fn_oid)))
			/* The reader's own, however it came to be called there. */
			audit_policy_depth = 0;
	} else {
		if (call->started) {
			call->started = false;
			audit_policy_depth = call->outer_depth;
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
