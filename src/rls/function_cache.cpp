/* See function_cache.h.
 *
 * What always holds here:
 * - A result is used only under a snapshot with the very contents of the one that it was computed under: the same
 *   transactions are finished, running and not yet begun.  Every change that others make visible changes the contents.
 * - Neither the transaction that computed it nor the one that uses it has a transaction id: what it wrote itself is not
 *   told by the contents.
 * - It is used only for the same user, session user and claims.
 * - Any change of any function, role, membership or schema, or of any relation's definition, empties everything.
 * - Serializable transactions keep nothing: what they read must be seen to be read. */
#include "pg/prelude.h"

#include "auth/identity.h"
#include "rls/function_cache.h"
#include "rls/items.h"

extern "C" {
#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/catalog.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/functions.h"
#include "nodes/nodeFuncs.h"
#include "parser/analyze.h"
#include "tcop/tcopprot.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "common/hashfn.h"
}

/* ---- which functions ---- */

/* What a body's names mean, and whose policies apply, is another matter for another user. */
struct FunctionAndUser {
	Oid function;
	Oid user;
};

struct KnownFunction {
	FunctionAndUser key;
	bool pure;
};

static HTAB *known_functions = nullptr;
static int analysis_depth = 0;
static uint64 generation = 0;    /* of definitions */

static bool is_pure_function(Oid function);

static bool
is_impure_call(Oid function, void *context)
{
	(void) context;
	switch (func_volatile(function)) {
		case PROVOLATILE_IMMUTABLE:
			return false;
		case PROVOLATILE_STABLE:
			/* The text of an enum's label changes by DDL only. */
			if (function == F_ENUM_IN || function == F_ENUM_OUT)
				return false;
			return !is_pure_function(function);
		default:
			return true;
	}
}

static bool
impure_walker(Node *node, void *context)
{
	if (node == nullptr)
		return false;
	if (IsA(node, Query)) {
		Query *query = (Query *) node;
		ListCell *cell;

		if (query->commandType != CMD_SELECT || query->rowMarks != NIL || query->hasModifyingCTE)
			return true;
		foreach(cell, query->rtable) {
			RangeTblEntry *rte = (RangeTblEntry *) lfirst(cell);

			switch (rte->rtekind) {
				case RTE_RELATION:
					/* Children may be foreign tables; catalogs can change without a transaction. */
					if (rte->relkind != RELKIND_RELATION || IsCatalogRelationOid(rte->relid) || has_subclass(rte->relid) ||
						rte->tablesample != nullptr || get_rel_persistence(rte->relid) == RELPERSISTENCE_TEMP ||
						check_enable_rls(rte->relid, InvalidOid, true) == RLS_ENABLED)
						return true;
					break;
				case RTE_SUBQUERY:
				case RTE_JOIN:
				case RTE_VALUES:
				case RTE_CTE:
				case RTE_RESULT:
				case RTE_FUNCTION:
					break;
				default:
					/* RTE_GROUP of newer versions is harmless, but unknown here: not kept. */
					return true;
			}
		}
		return ms_walk_query(query, impure_walker, context, 0);
	}
	if (IsA(node, SQLValueFunction))
		switch (((SQLValueFunction *) node)->op) {
			case SVFOP_CURRENT_ROLE:
			case SVFOP_CURRENT_USER:
			case SVFOP_USER:
			case SVFOP_SESSION_USER:
				return false;
			default:
				return true;
		}
	/* Settings and domains' constraints can decide what these give. */
	if (IsA(node, XmlExpr) || IsA(node, CoerceToDomain) || ms_is_json_constructor(node))
		return true;
	if (IsA(node, NextValueExpr) || check_functions_in_node(node, is_impure_call, nullptr))
		return true;
	return ms_walk_expression(node, impure_walker, context);
}

/* The value of a function's SET search_path, NULL where it has none or has other settings too; *other says the latter. */
static char *
pinned_search_path(HeapTuple tuple, bool *other)
{
	bool isnull;
	Datum config = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_proconfig, &isnull);
	Datum *settings;
	int count;
	static const char kPrefix[] = "search_path=";

	*other = false;
	if (isnull)
		return nullptr;
	*other = true;
	deconstruct_array(DatumGetArrayTypeP(config), TEXTOID, -1, false, TYPALIGN_INT, &settings, nullptr, &count);
	if (count != 1)
		return nullptr;
	char *setting = TextDatumGetCString(settings[0]);
	*other = strncmp(setting, kPrefix, strlen(kPrefix)) != 0;
	return *other ? nullptr : setting + strlen(kPrefix);
}

/* Whether the body of a function in SQL is one query that reads plain tables and calls pure functions only. */
static bool
has_pure_body(HeapTuple tuple)
{
	bool isnull, other_settings;
	char *path = pinned_search_path(tuple, &other_settings);

	if (other_settings)
		return false;
	Datum body = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosqlbody, &isnull);

	if (!isnull) {
		Node *node = (Node *) stringToNode(TextDatumGetCString(body));

		if (IsA(node, List)) {
			List *queries = linitial_node(List, castNode(List, node));

			if (list_length(queries) != 1)
				return false;
			node = (Node *) linitial(queries);
		}
		return !impure_walker(node, nullptr);
	}

	Datum source = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosrc, &isnull);
	if (path == nullptr || isnull)
		return false;

	char *body_text = TextDatumGetCString(source);
	SQLFunctionParseInfoPtr info = prepare_sql_fn_parse_info(tuple, nullptr, InvalidOid);
	List *statements = pg_parse_query(body_text);
	if (list_length(statements) != 1)
		return false;
	RawStmt *statement = linitial_node(RawStmt, statements);
	if (!IsA(statement->stmt, SelectStmt))
		return false;

	int level = NewGUCNestLevel();
	(void) set_config_option("search_path", path, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	Query *query = parse_analyze_withcb(statement, body_text, (ParserSetupHook) sql_fn_parser_setup, info, nullptr);
	bool impure = impure_walker((Node *) query, nullptr);
	AtEOXact_GUC(true, level);
	return !impure;
}

/* auth.uid() and its siblings: what they give is told by the claims. */
static bool
reads_identity_only(HeapTuple tuple)
{
	static const char *const kSymbols[] = {"ms_auth_uid", "ms_auth_role", "ms_auth_email", "ms_auth_jwt"};
	bool isnull;
	Datum source = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosrc, &isnull);
	Datum library = isnull ? (Datum) 0 : SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_probin, &isnull);

	if (isnull || strcmp(TextDatumGetCString(library), "$libdir/mentalspace") != 0)
		return false;
	for (const char *symbol : kSymbols)
		if (strcmp(TextDatumGetCString(source), symbol) == 0)
			return true;
	return false;
}

static bool
analyze_function(Oid function)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		return false;

	Form_pg_proc form = (Form_pg_proc) GETSTRUCT(tuple);
	bool pure = false;

	if (!form->proretset && form->prokind == PROKIND_FUNCTION && form->provolatile != PROVOLATILE_VOLATILE) {
		if (form->prolang == SQLlanguageId) {
			Oid user;
			int context;

			/* As whoever it will run as. */
			GetUserIdAndSecContext(&user, &context);
			if (form->prosecdef)
				SetUserIdAndSecContext(form->proowner, context | SECURITY_LOCAL_USERID_CHANGE);
			pure = has_pure_body(tuple);
			SetUserIdAndSecContext(user, context);
		}
		else if (form->prolang == ClanguageId)
			pure = reads_identity_only(tuple);
	}
	ReleaseSysCache(tuple);
	return pure;
}

static bool
is_pure_function(Oid function)
{
	bool found;
	KnownFunction *known;
	FunctionAndUser key = {function, GetUserId()};
	uint64 began = generation;

	if (known_functions == nullptr) {
		HASHCTL control = {};

		control.keysize = sizeof(FunctionAndUser);
		control.entrysize = sizeof(KnownFunction);
		known_functions = hash_create("mentalspace known functions", 64, &control, HASH_ELEM | HASH_BLOBS);
	}
	known = (KnownFunction *) hash_search(known_functions, &key, HASH_FIND, nullptr);
	if (known != nullptr)
		return known->pure;
	if (analysis_depth >= 5)
		return false;
	analysis_depth++;
	bool pure = false;
	PG_TRY();
	{
		pure = analyze_function(function);
	}
	PG_FINALLY();
	{
		analysis_depth--;
	}
	PG_END_TRY();
	/* Something was redefined meanwhile: this may be of the old definition. */
	if (began != generation)
		return false;
	known = (KnownFunction *) hash_search(known_functions, &key, HASH_ENTER, &found);
	known->pure = pure;
	return pure;
}

/* ---- results ---- */

struct CachedResult {
	RlsCachedCall call;      /* by-reference arguments in cache_context */
	Oid user;
	Oid session_user;
	uint64 identity;
	bool isnull;
	Datum value;
};

static const int kCachedResults = 64;

static MemoryContext cache_context = nullptr;
static CachedResult *results = nullptr;
static int result_count = 0;
static RlsSnapshotMark cache_mark;

static void
empty_results(void)
{
	result_count = 0;
	cache_mark.valid = false;
}

static void
forget_everything(void)
{
	generation++;
	empty_results();
	if (known_functions != nullptr) {
		HASH_SEQ_STATUS status;
		KnownFunction *known;

		hash_seq_init(&status, known_functions);
		while ((known = (KnownFunction *) hash_seq_search(&status)) != nullptr)
			(void) hash_search(known_functions, &known->key, HASH_REMOVE, nullptr);
	}
}

static void
definition_changed(Datum arg, int cache_id, uint32 hash)
{
	(void) arg;
	(void) cache_id;
	(void) hash;
	forget_everything();
}

static void
relation_changed(Datum arg, Oid relation)
{
	(void) arg;
	(void) relation;
	forget_everything();
}

uint64
rls_definitions(void)
{
	return generation;
}

bool
rls_cached_call(RlsCachedCall *call, FunctionCallInfo fcinfo, Oid function, const Oid *types)
{
	if (fcinfo->nargs > kCachedArgs || IsolationIsSerializable() || TransactionIdIsValid(GetTopTransactionIdIfAny()) || !ActiveSnapshotSet() ||
		GetActiveSnapshot()->snapshot_type != SNAPSHOT_MVCC || !is_pure_function(function))
		return false;
	call->function = function;
	call->generation = generation;
	call->collation = fcinfo->fncollation;
	call->nargs = fcinfo->nargs;
	call->hash = murmurhash32(function);
	for (int i = 0; i < call->nargs; i++) {
		int16 length;
		bool by_value;

		call->types[i] = types[i];
		call->args[i] = fcinfo->args[i];
		if (call->args[i].isnull)
			continue;
		get_typlenbyval(types[i], &length, &by_value);
		/* Only what can be compared by its bytes as it stands. */
		if (length == -1 && VARATT_IS_EXTENDED(DatumGetPointer(call->args[i].value)))
			return false;
		if (by_value)
			call->hash = hash_combine(call->hash, murmurhash32((uint32) call->args[i].value));
		else
			call->hash = hash_combine(call->hash,
									  hash_bytes((unsigned char *) DatumGetPointer(call->args[i].value),
												 (int) datumGetSize(call->args[i].value, by_value, length)));
	}
	return true;
}

static bool
same_call(const RlsCachedCall *a, const RlsCachedCall *b)
{
	if (a->hash != b->hash || a->function != b->function || a->collation != b->collation || a->nargs != b->nargs)
		return false;
	for (int i = 0; i < a->nargs; i++) {
		int16 length;
		bool by_value;

		if (a->types[i] != b->types[i] || a->args[i].isnull != b->args[i].isnull)
			return false;
		if (a->args[i].isnull)
			continue;
		get_typlenbyval(a->types[i], &length, &by_value);
		if (!datumIsEqual(a->args[i].value, b->args[i].value, by_value, length))
			return false;
	}
	return true;
}

bool
rls_cache_lookup(const RlsCachedCall *call, Datum *value, bool *isnull)
{
	if (result_count == 0)
		return false;
	if (!rls_snapshot_shows_the_same(&cache_mark, GetActiveSnapshot())) {
		empty_results();
		return false;
	}
	for (int i = 0; i < result_count; i++) {
		CachedResult *result = &results[i];

		if (result->user == GetUserId() && result->session_user == GetSessionUserId() &&
			result->identity == ms_identity_generation() && same_call(&result->call, call)) {
			*value = result->value;
			*isnull = result->isnull;
			return true;
		}
	}
	return false;
}

void
rls_cache_store(const RlsCachedCall *call, Oid result_type, Datum value, bool isnull)
{
	int16 length;
	bool by_value;

	/* The function may have written after all, or have been replaced while it ran. */
	if (TransactionIdIsValid(GetTopTransactionIdIfAny()) || call->generation != generation)
		return;
	/* By-reference results would have to be copied out again: what policies ask for is yes or no. */
	get_typlenbyval(result_type, &length, &by_value);
	if (!by_value)
		return;
	if (result_count == kCachedResults ||
		(result_count > 0 && !rls_snapshot_shows_the_same(&cache_mark, GetActiveSnapshot())))
		empty_results();
	if (result_count == 0) {
		if (cache_context == nullptr) {
			cache_context = AllocSetContextCreate(TopMemoryContext, "mentalspace function cache", ALLOCSET_SMALL_SIZES);
			results = (CachedResult *) MemoryContextAlloc(TopMemoryContext, sizeof(CachedResult) * kCachedResults);
		}
		MemoryContextReset(cache_context);
		rls_mark_snapshot(&cache_mark, GetActiveSnapshot());
		if (!cache_mark.valid)
			return;
	}

	CachedResult *result = &results[result_count];
	MemoryContext old = MemoryContextSwitchTo(cache_context);

	result->call = *call;
	for (int i = 0; i < call->nargs; i++)
		if (!call->args[i].isnull) {
			get_typlenbyval(call->types[i], &length, &by_value);
			result->call.args[i].value = datumCopy(call->args[i].value, by_value, length);
		}
	MemoryContextSwitchTo(old);
	result->user = GetUserId();
	result->session_user = GetSessionUserId();
	result->identity = ms_identity_generation();
	result->value = value;
	result->isnull = isnull;
	result_count++;
}

void
rls_init_function_cache(void)
{
	static const int kDefinitions[] = {PROCOID, AUTHOID, AUTHMEMROLEMEM, NAMESPACEOID};

	for (int cache : kDefinitions)
		CacheRegisterSyscacheCallback(cache, definition_changed, (Datum) 0);
	CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
}
