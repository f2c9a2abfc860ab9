/* Putting facts in, and what else is asked of a query's tree: its parameters, and whether it looks up single rows. */
#include "pg/prelude.h"

#include "rls/rewrite.h"

extern "C" {
#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "utils/array.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"
}

/* An array of more keys than this is not worth carrying in a plan. */
static const int kMaxKeys = 10000;

/* ---- facts ---- */

struct PutIn {
	const RlsRewrite *rewrite;
	RlsRun *run;
	List *facts;
	Oid policy_value;
};

static bool
is_fact(const RlsRewrite *rewrite, const RlsItem *item, int index)
{
	if (!item->evaluated || rewrite->no_facts)
		return false;
	if (item->type == BOOLOID)
		return true;
	if (!bms_is_member(index, rewrite->array_items))
		return false;
	if (item->value.isnull)
		return false;
	ArrayType *keys = DatumGetArrayTypeP(item->value.value);
	return ArrayGetNItems(ARR_NDIM(keys), ARR_DIMS(keys)) <= kMaxKeys;
}

/* mentalspace.policy_value(anyelement, float8), whoever plans; InvalidOid where the extension is not in this database.  A function
 * in C is nobody's but a superuser's. */
static Oid
policy_value_function(void)
{
	Oid schema = get_namespace_oid("mentalspace", true);
	Oid types[] = {ANYELEMENTOID, FLOAT8OID};
	Oid function = InvalidOid;

	if (!OidIsValid(schema))
		return InvalidOid;
	HeapTuple tuple = SearchSysCache3(PROCNAMEARGSNSP, CStringGetDatum("policy_value"),
									  PointerGetDatum(buildoidvector(types, 2)), ObjectIdGetDatum(schema));
	if (HeapTupleIsValid(tuple)) {
		Form_pg_proc form = (Form_pg_proc) GETSTRUCT(tuple);

		if (form->prolang == ClanguageId)
			function = form->oid;
		ReleaseSysCache(tuple);
	}
	return function;
}

/* The price of the expression that an item stands for, where the planner must go on to see it: where the item, or another
 * of the query, may raise, what is evaluated before what must stay as it was.  NULL where it need not. */
static Const *
price_to_keep(const RlsRewrite *rewrite, const RlsRun *run, int index)
{
	QualCost cost = {};
	/* A subquery that could not be evaluated: as dear as a function. */
	double price = 100 * cpu_operator_cost;

	if (run->items[index].evaluated && !rewrite->no_facts)
		return nullptr;
	if (run->items[index].plan == nullptr) {
		cost_qual_eval_node(&cost, eval_const_expressions(nullptr, (Node *) list_nth(rewrite->originals, index)), nullptr);
		price = cost.startup + cost.per_tuple;
	}
	return makeConst(FLOAT8OID, -1, InvalidOid, sizeof(float8), Float8GetDatum(price), false, FLOAT8PASSBYVAL);
}

static Node *put_in_mutator(Node *node, void *context);

/* Not into what new rows are checked with: triggers come first, and may change who asks. */
static Query *
put_in_query(Query *query, PutIn *put)
{
	List *checks = query->withCheckOptions;

	query->withCheckOptions = NIL;
	query = ms_mutate_query(query, put_in_mutator, put, 0);
	query->withCheckOptions = checks;
	return query;
}

static Node *
put_in_mutator(Node *node, void *context)
{
	PutIn *put = (PutIn *) context;

	if (node == nullptr)
		return nullptr;
	if (IsA(node, Query))
		return (Node *) put_in_query((Query *) node, put);
	if (IsA(node, Param)) {
		Param *param = (Param *) node;
		int index = param->paramid - put->run->base - 1;

		if (param->paramkind == PARAM_EXTERN && index >= 0 && is_fact(put->rewrite, &put->run->items[index], index)) {
			RlsItem *item = &put->run->items[index];
			ListCell *cell;
			int16 length;
			bool by_value;

			get_typlenbyval(item->type, &length, &by_value);
			Const *value = makeConst(item->type, param->paramtypmod, param->paramcollid, length,
									 item->value.isnull ? (Datum) 0 : datumCopy(item->value.value, by_value, length),
									 item->value.isnull, by_value);
			foreach(cell, put->facts)
				if (intVal(linitial((List *) lfirst(cell))) == index)
					return (Node *) value;
			put->facts = lappend(put->facts, list_make2(makeInteger(index), copyObjectImpl(value)));
			return (Node *) value;
		}
		/* A bare parameter is cheap, and cheap conditions go first: an error of this one could then be seen where another
		 * condition keeps the row away. */
		if (param->paramkind == PARAM_EXTERN && index >= 0) {
			Const *price = price_to_keep(put->rewrite, put->run, index);

			if (price != nullptr && !OidIsValid(put->policy_value))
				put->policy_value = policy_value_function();
			if (price != nullptr && OidIsValid(put->policy_value))
				return (Node *) makeFuncExpr(put->policy_value, param->paramtype, list_make2(copyObjectImpl(node), price),
											 param->paramcollid, param->paramcollid, COERCE_EXPLICIT_CALL);
		}
	}
	return ms_mutate_expression(node, put_in_mutator, context);
}

Query *
rls_put_in(Query *query, const RlsRewrite *rewrite, RlsRun *run, List **facts)
{
	PutIn put = {rewrite, run, *facts, InvalidOid};

	query = put_in_query(query, &put);
	*facts = put.facts;
	return query;
}

/* ---- parameters ---- */

struct ParamSearch {
	int base;
	int highest;
	bool changes_identity;
	bool *runs_code;         /* out, where wanted */
	Bitmapset *found;
};

/* set_config(), which can set claims, role and whatever else a policy reads; login() and logout(). */
static bool
changes_identity(Oid function)
{
	if (function == F_SET_CONFIG)
		return true;
	if (function < FirstNormalObjectId || func_volatile(function) != PROVOLATILE_VOLATILE)
		return false;
	if (get_func_namespace(function) != get_namespace_oid("mentalspace", true))
		return false;
	const char *name = get_func_name(function);
	return strcmp(name, "login") == 0 || strcmp(name, "logout") == 0;
}

/* Whether a function might run what users wrote, which might change the identity: all but PostgreSQL's own, of which those
 * that run queries are not parallel safe, and ours. */
static bool
may_run_code(Oid function, void *context)
{
	(void) context;
	if (function < FirstNormalObjectId)
		return func_parallel(function) != PROPARALLEL_SAFE;
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		return true;
	Form_pg_proc form = (Form_pg_proc) GETSTRUCT(tuple);
	bool ours = form->prolang == ClanguageId && form->provolatile != PROVOLATILE_VOLATILE &&
		(form->pronamespace == get_namespace_oid("auth", true) ||
		 form->pronamespace == get_namespace_oid("mentalspace", true));
	ReleaseSysCache(tuple);
	return !ours;
}

static bool
params_walker(Node *node, void *context)
{
	ParamSearch *search = (ParamSearch *) context;

	if (node == nullptr)
		return false;
	if (IsA(node, Query)) {
		/* Triggers come with writes. */
		if (search->runs_code != nullptr && ((Query *) node)->commandType != CMD_SELECT)
			*search->runs_code = true;
		return ms_walk_query((Query *) node, params_walker, context, 0);
	}
	if (search->runs_code != nullptr && !*search->runs_code &&
		(IsA(node, CoerceToDomain) || check_functions_in_node(node, may_run_code, nullptr)))
		*search->runs_code = true;
	if (IsA(node, Param) && ((Param *) node)->paramkind == PARAM_EXTERN) {
		int id = ((Param *) node)->paramid;

		if (id > search->highest)
			search->highest = id;
		if (id > search->base)
			search->found = bms_add_member(search->found, id - search->base - 1);
	}
	if (IsA(node, FuncExpr) && search->base == INT_MAX && changes_identity(((FuncExpr *) node)->funcid))
		search->changes_identity = true;
	return ms_walk_expression(node, params_walker, context);
}

int
rls_highest_param(Query *query, bool *changes_identity)
{
	ParamSearch search = {INT_MAX, 0, false, nullptr, nullptr};

	(void) params_walker((Node *) query, &search);
	*changes_identity = search.changes_identity;
	return search.highest;
}

void
rls_note_references(RlsRewrite *rewrite)
{
	ListCell *cell;
	int index = 0;

	rewrite->references = (Bitmapset **) palloc0(sizeof(Bitmapset *) * list_length(rewrite->items));
	foreach(cell, rewrite->items) {
		ParamSearch search = {rewrite->base, 0, false, nullptr, nullptr};
		Node *item = (Node *) lfirst(cell);

		(void) params_walker(IsA(item, List) ? (Node *) lsecond((List *) item) : item, &search);
		rewrite->references[index++] = search.found;
	}
}

List *
rls_live_items(Query *query, const RlsRewrite *rewrite, bool *runs_code)
{
	ParamSearch search = {rewrite->base, 0, false, runs_code, nullptr};
	List *live = NIL;
	int index = -1;

	*runs_code = query->commandType != CMD_SELECT;
	(void) params_walker((Node *) query, &search);
	/* An item refers only to items that were made before it. */
	for (index = list_length(rewrite->items) - 1; index >= 0; index--)
		if (bms_is_member(index, search.found)) {
			search.found = bms_add_members(search.found, rewrite->references[index]);
			live = lappend_int(live, index);
		}
	return live;
}

/* ---- point lookups ---- */

static Node *
without_relabel(Node *node)
{
	while (node != nullptr && IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	return node;
}

bool
rls_is_point_lookup(Query *query)
{
	if (query->jointree == nullptr || list_length(query->jointree->fromlist) != 1 ||
		!IsA(linitial(query->jointree->fromlist), RangeTblRef))
		return false;
	int index = ((RangeTblRef *) linitial(query->jointree->fromlist))->rtindex;
	RangeTblEntry *rte = rt_fetch(index, query->rtable);

	if (rte->rtekind != RTE_RELATION || rte->relkind != RELKIND_RELATION)
		return false;

	Bitmapset *columns = nullptr;
	ListCell *cell;

	foreach(cell, make_ands_implicit((Expr *) query->jointree->quals)) {
		OpExpr *qual = (OpExpr *) lfirst(cell);

		if (!IsA(qual, OpExpr) || list_length(qual->args) != 2)
			continue;
		Node *left = without_relabel((Node *) linitial(qual->args));
		Node *right = without_relabel((Node *) lsecond(qual->args));
		Var *var = nullptr;

		if (IsA(left, Var) && (IsA(right, Const) || IsA(right, Param)))
			var = (Var *) left;
		else if (IsA(right, Var) && (IsA(left, Const) || IsA(left, Param)))
			var = (Var *) right;
		if (var != nullptr && (int) var->varno == index && var->varlevelsup == 0 &&
			op_mergejoinable(qual->opno, exprType((Node *) linitial(qual->args))))
			columns = bms_add_member(columns, var->varattno - FirstLowInvalidHeapAttributeNumber);
	}
	if (columns == nullptr)
		return false;

	Relation relation = table_open(rte->relid, NoLock);
	Bitmapset *key = RelationGetIndexAttrBitmap(relation, INDEX_ATTR_BITMAP_PRIMARY_KEY);
	bool found = !bms_is_empty(key) && bms_is_subset(key, columns);
	table_close(relation, NoLock);
	return found;
}
