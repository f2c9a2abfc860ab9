/* Differences between the PostgreSQL versions that are built for (15, 17, 18; 16 by the way).
 * The only file that knows PG_VERSION_NUM.  Included by prelude.h, after PostgreSQL's own headers. */
#pragma once

#if PG_VERSION_NUM < 150000
#error "mentalspace needs PostgreSQL 15 or newer"
#endif

extern "C" {
#include "common/jsonapi.h"
#include "mb/pg_wchar.h"
}

/* What an action of the JSON parser returns: since 16 it can stop the parser. */
#if PG_VERSION_NUM >= 160000
typedef JsonParseErrorType ms_json_action_result;
#define MS_JSON_ACTION_RETURN(failed) return (failed) ? JSON_SEM_ACTION_FAILED : JSON_SUCCESS
#else
typedef void ms_json_action_result;
#define MS_JSON_ACTION_RETURN(failed) return
#endif

/* A lexer of UTF-8 text that resolves escapes.  The text need not end with NUL and must stay. */
static inline JsonLexContext *
ms_json_lexer_create(const char *text, int length)
{
#if PG_VERSION_NUM >= 170000
	return makeJsonLexContextCstringLen(nullptr, text, length, PG_UTF8, true);
#else
	return makeJsonLexContextCstringLen(const_cast<char *>(text), length, PG_UTF8, true);
#endif
}

static inline void
ms_json_lexer_free(JsonLexContext *lexer)
{
#if PG_VERSION_NUM >= 170000
	freeJsonLexContext(lexer);
#else
	pfree(lexer->strval->data);
	pfree(lexer->strval);
	pfree(lexer);
#endif
}

#ifndef FRONTEND

extern "C" {
#include "catalog/pg_extension.h"
#include "utils/acl.h"
#include "nodes/nodeFuncs.h"
#include "utils/guc_tables.h"
}

/* Number of configuration variables, or -1 where this version cannot tell cheaply: a cheap way to see that no new
 * placeholder can have appeared since the last look. */
static inline int
ms_guc_count(void)
{
#if PG_VERSION_NUM < 160000
	return GetNumConfigOptions();
#else
	return -1;
#endif
}

/* Whether the role owns the extension. */
static inline bool
ms_owns_extension(Oid extension, Oid role)
{
#if PG_VERSION_NUM < 160000
	return pg_extension_ownercheck(extension, role);
#else
	return object_ownercheck(ExtensionRelationId, extension, role);
#endif
}

/* Memory for what a GUC's check hook hands on: guc.c frees it.  NULL when there is none. */
static inline void *
ms_guc_alloc(size_t size)
{
#if PG_VERSION_NUM < 160000
	return malloc(size);
#else
	return guc_malloc(LOG, size);
#endif
}

static inline void
ms_guc_release(void *memory)
{
#if PG_VERSION_NUM < 160000
	free(memory);
#else
	guc_free(memory);
#endif
}

/* The executor's and the planner's interfaces. */
extern "C" {
#include "catalog/objectaccess.h"
#include "catalog/pg_proc.h"
#include "executor/executor.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "nodes/nodeFuncs.h"
#include "storage/proc.h"
}

static inline void
ms_executor_run(QueryDesc *query, ScanDirection direction, uint64 count)
{
#if PG_VERSION_NUM < 180000
	ExecutorRun(query, direction, count, true);
#else
	ExecutorRun(query, direction, count);
#endif
}

/* Raises where the current user lacks a privilege that the plan needs. */
static inline void
ms_check_plan_permissions(PlannedStmt *plan)
{
#if PG_VERSION_NUM < 160000
	ExecCheckRTPerms(plan->rtable, true);
#else
	ExecCheckPermissions(plan->rtable, plan->permInfos, true);
#endif
}

/* Raises where the current user may not execute the function. */
static inline void
ms_check_execute(Oid function)
{
#if PG_VERSION_NUM < 160000
	AclResult result = pg_proc_aclcheck(function, GetUserId(), ACL_EXECUTE);
#else
	AclResult result = object_aclcheck(ProcedureRelationId, function, GetUserId(), ACL_EXECUTE);
#endif

	if (result != ACLCHECK_OK)
		aclcheck_error(result, OBJECT_FUNCTION, get_func_name(function));
	InvokeFunctionExecuteHook(function);
}

/* JSON's SQL constructors, which depend on settings for some types: since 16. */
static inline bool
ms_is_json_constructor(Node *node)
{
#if PG_VERSION_NUM < 160000
	(void) node;
	return false;
#else
	return IsA(node, JsonConstructorExpr);
#endif
}

/* Number of this backend's present transaction. */
static inline uint32
ms_local_xid(void)
{
#if PG_VERSION_NUM < 170000
	return MyProc->lxid;
#else
	return MyProc->vxid.lxid;
#endif
}

/* Number of this process among those that can have transactions, from 0; below MaxBackends for a session. */
static inline int
ms_proc_number(void)
{
#if PG_VERSION_NUM < 170000
	return MyProc ? MyProc->pgprocno : -1;
#else
	return MyProc ? MyProcNumber : -1;
#endif
}

/* Tree walkers with typed callbacks. */
typedef bool (*MsWalker)(Node *node, void *context);
typedef Node *(*MsMutator)(Node *node, void *context);

#if PG_VERSION_NUM < 160000
typedef bool (*MsRawWalker)();
typedef Node *(*MsRawMutator)();
#define MS_WALKER(f) reinterpret_cast<MsRawWalker>(reinterpret_cast<void *>(f))
#define MS_MUTATOR(f) reinterpret_cast<MsRawMutator>(reinterpret_cast<void *>(f))
#else
#define MS_WALKER(f) (f)
#define MS_MUTATOR(f) (f)
#endif

static inline bool
ms_walk_expression(Node *node, MsWalker walker, void *context)
{
	return expression_tree_walker(node, MS_WALKER(walker), context);
}

static inline bool
ms_walk_query(Query *query, MsWalker walker, void *context, int flags)
{
	return query_tree_walker(query, MS_WALKER(walker), context, flags);
}

static inline Node *
ms_mutate_expression(Node *node, MsMutator mutator, void *context)
{
	return expression_tree_mutator(node, MS_MUTATOR(mutator), context);
}

static inline Query *
ms_mutate_query(Query *query, MsMutator mutator, void *context, int flags)
{
	return query_tree_mutator(query, MS_MUTATOR(mutator), context, flags);
}

typedef bool (*MsPlanStateWalker)(struct PlanState *node, void *context);

static inline bool
ms_walk_planstate(struct PlanState *node, MsPlanStateWalker walker, void *context)
{
#if PG_VERSION_NUM < 160000
	return planstate_tree_walker(node, reinterpret_cast<MsRawWalker>(reinterpret_cast<void *>(walker)), context);
#else
	return planstate_tree_walker(node, walker, context);
#endif
}

/* ExecutorRun lost its last argument in 18. */
#if PG_VERSION_NUM < 180000
#define MS_EXECUTE_ONCE_PARAMETER , bool execute_once
#define MS_EXECUTE_ONCE , execute_once
#else
#define MS_EXECUTE_ONCE_PARAMETER
#define MS_EXECUTE_ONCE
#endif

/* EXPLAIN of one query as PostgreSQL does it without a hook. */
extern "C" {
#include "commands/explain.h"
#include "tcop/tcopprot.h"
#if PG_VERSION_NUM >= 180000
#include "commands/explain_format.h"
#include "commands/explain_state.h"
#endif
}

static inline void
ms_explain_one_query(Query *query, int cursor_options, IntoClause *into, ExplainState *es, const char *source,
					 ParamListInfo params, QueryEnvironment *environment)
{
#if PG_VERSION_NUM >= 170000
	standard_ExplainOneQuery(query, cursor_options, into, es, source, params, environment);
#else
	instr_time start, duration;
	BufferUsage before, used;

	if (es->buffers)
		before = pgBufferUsage;
	INSTR_TIME_SET_CURRENT(start);
	PlannedStmt *plan = pg_plan_query(query, source, cursor_options, params);
	INSTR_TIME_SET_CURRENT(duration);
	INSTR_TIME_SUBTRACT(duration, start);
	if (es->buffers) {
		memset(&used, 0, sizeof(used));
		BufferUsageAccumDiff(&used, &pgBufferUsage, &before);
	}
	ExplainOnePlan(plan, into, es, source, params, environment, &duration, es->buffers ? &used : nullptr);
#endif
}

extern "C" {
#include "executor/execdesc.h"
#include "tcop/pquery.h"
#include "utils/acl.h"
#include "utils/portal.h"
}

/* Whether `member` may SET ROLE to `role`; a superuser may always. */
static inline bool
ms_can_become_role(Oid member, Oid role)
{
#if PG_VERSION_NUM < 160000
	return is_member_of_role(member, role);
#else
	return member_can_set_role(member, role);
#endif
}

extern "C" {
#include "parser/parse_relation.h"
#include "utils/rel.h"
}

/* Whether the current user lacks a privilege that the plan needs on one of its relations. */
static inline bool
ms_lacks_privilege(const PlannedStmt *plan, RangeTblEntry *entry)
{
#if PG_VERSION_NUM < 160000
	(void) plan;
	return entry->rtekind == RTE_RELATION && !ExecCheckRTPerms(list_make1(entry), false);
#else
	if (entry->perminfoindex == 0)
		return false;
	RangeTblEntry *alone = makeNode(RangeTblEntry);
	memcpy(alone, entry, sizeof(RangeTblEntry));
	alone->perminfoindex = 1;
	return !ExecCheckPermissions(list_make1(alone), list_make1(getRTEPermissionInfo(plan->permInfos, entry)), false);
#endif
}

/* Whether COPY relation TO gives rows of it: tables, and since 18 materialised views that were filled. */
static inline bool
ms_copy_reads_relation(Relation relation)
{
#if PG_VERSION_NUM >= 180000
	if (relation->rd_rel->relkind == RELKIND_MATVIEW)
		return RelationIsPopulated(relation);
#endif
	return relation->rd_rel->relkind == RELKIND_RELATION;
}

/* Runs a portal to its end.  `alone`: the command is a statement by itself, so that VACUUM and the like are allowed. */
static inline bool
ms_portal_run(Portal portal, bool alone, DestReceiver *dest, QueryCompletion *completion)
{
#if PG_VERSION_NUM < 180000
	return PortalRun(portal, FETCH_ALL, alone, true, dest, dest, completion);
#else
	return PortalRun(portal, FETCH_ALL, alone, dest, dest, completion);
#endif
}

/* raw_expression_tree_walker() with one type of callback on all versions. */
static inline bool
ms_raw_expression_tree_walker(Node *node, bool (*walker)(Node *, void *), void *context)
{
#if PG_VERSION_NUM < 160000
	return raw_expression_tree_walker(node, reinterpret_cast<bool (*)()>(reinterpret_cast<void (*)()>(walker)), context);
#else
	return raw_expression_tree_walker(node, walker, context);
#endif
}

/* A configuration variable's record, NULL where there is none of that name. */
static inline struct config_generic *
ms_find_guc(const char *name)
{
#if PG_VERSION_NUM < 160000
	struct config_generic **all = get_guc_variables();
	int count = GetNumConfigOptions();

	for (int i = 0; i < count; i++)
		if (strcmp(all[i]->name, name) == 0)
			return all[i];
	return nullptr;
#else
	return find_option(name, false, true, ERROR);
#endif
}

/* Calls `each` with every configuration variable. */
template <typename Each>
static inline void
ms_each_guc(Each each)
{
#if PG_VERSION_NUM < 160000
	struct config_generic **all = get_guc_variables();
	int count = GetNumConfigOptions();
#else
	int count;
	struct config_generic **all = get_guc_variables(&count);
#endif

	for (int i = 0; i < count; i++)
		each(all[i]);
#if PG_VERSION_NUM >= 160000
	pfree(all);
#endif
}

/* The arguments of an ExecutorRun hook, declared and passed on. */
#if PG_VERSION_NUM < 180000
#define MS_EXECUTOR_RUN_PARAMS QueryDesc *query, ScanDirection direction, uint64 count, bool execute_once
#define MS_EXECUTOR_RUN_ARGS query, direction, count, execute_once
#else
#define MS_EXECUTOR_RUN_PARAMS QueryDesc *query, ScanDirection direction, uint64 count
#define MS_EXECUTOR_RUN_ARGS query, direction, count
#endif

/* Enters a row that was just inserted into all indexes of its table. */
static inline List *
ms_insert_index_tuples(ResultRelInfo *result, TupleTableSlot *slot, EState *estate)
{
#if PG_VERSION_NUM < 160000
	return ExecInsertIndexTuples(result, slot, estate, false, false, nullptr, NIL);
#else
	return ExecInsertIndexTuples(result, slot, estate, false, false, nullptr, NIL, false);
#endif
}

extern "C" {
#include "access/genam.h"
}

/* What index_insert() left open is closed: since 17. */
static inline void
ms_index_insert_done(Relation index, IndexInfo *info)
{
#if PG_VERSION_NUM < 170000
	(void) index;
	(void) info;
#else
	index_insert_cleanup(index, info);
#endif
}

/* Query ids. */
extern "C" {
#if PG_VERSION_NUM >= 160000
#include "nodes/queryjumble.h"
#else
#include "utils/queryjumble.h"
#endif
}

/* A scan of an index that fetches rows. */
extern "C" {
#include "access/genam.h"
}

static inline IndexScanDesc
ms_index_beginscan(Relation table, Relation index, Snapshot snapshot, int key_count)
{
#if PG_VERSION_NUM >= 180000
	return index_beginscan(table, index, snapshot, nullptr, key_count, 0);
#else
	return index_beginscan(table, index, snapshot, key_count, 0);
#endif
}

extern "C" {
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_inherits.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
}

/* The index of the primary key, InvalidOid where there is none. */
static inline Oid
ms_primary_key_index(Relation relation)
{
#if PG_VERSION_NUM >= 180000
	return RelationGetPrimaryKeyIndex(relation, false);
#else
	return RelationGetPrimaryKeyIndex(relation);
#endif
}

/* Joins that put out nothing of their outer child: since 16 and 18. */
#if PG_VERSION_NUM >= 180000
#define MS_JOIN_HIDES_OUTER(type) ((type) == JOIN_RIGHT_ANTI || (type) == JOIN_RIGHT_SEMI)
#elif PG_VERSION_NUM >= 160000
#define MS_JOIN_HIDES_OUTER(type) ((type) == JOIN_RIGHT_ANTI)
#else
#define MS_JOIN_HIDES_OUTER(type) false
#endif

#endif
