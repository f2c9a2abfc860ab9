/* Taking items out of policies. */
#include "pg/prelude.h"

#include "rls/rewrite.h"

extern "C" {
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteManip.h"
#include "utils/lsyscache.h"
}

/* ---- which expressions become items ---- */

static bool
is_computation(Node *node)
{
	switch (nodeTag(node)) {
		case T_FuncExpr:
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
		case T_ScalarArrayOpExpr:
		case T_BoolExpr:
		case T_CoerceViaIO:
		case T_ArrayCoerceExpr:
		case T_CaseExpr:
		case T_CoalesceExpr:
		case T_MinMaxExpr:
		case T_NullTest:
		case T_BooleanTest:
		case T_RelabelType:
		case T_CoerceToDomain:
		case T_ArrayExpr:
		case T_SubLink:
			return true;
		default:
			return false;
	}
}

static bool
is_item(Node *node, const RlsRewrite *rewrite, bool *has_subquery)
{
	if (!is_computation(node) || !rls_can_be_value(node) || rls_depends_on_row(node, has_subquery))
		return false;
	/* A subquery is worth the trouble only where it can become a fact; as it stands it is an InitPlan already. */
	if (*has_subquery && (!rewrite->fold || exprType(node) != BOOLOID))
		return false;
	return (*has_subquery || contain_mutable_functions(node)) && !contain_volatile_functions(node);
}

static Node *take_out_mutator(Node *node, void *context);
static Node *make_item(Node *node, RlsRewrite *rewrite, bool has_subquery, bool root);

static Param *
make_param(Node *node, const RlsRewrite *rewrite, int index)
{
	Param *param = makeNode(Param);

	param->paramkind = PARAM_EXTERN;
	param->paramid = rewrite->base + index + 1;
	param->paramtype = exprType(node);
	param->paramtypmod = exprTypmod(node);
	param->paramcollid = exprCollation(node);
	param->location = -1;
	return param;
}

/* The parameter of an equal expression that is an item already, or NULL. */
static Node *
known_item(Node *node, RlsRewrite *rewrite, bool root)
{
	ListCell *cell;
	int index = 0;

	foreach(cell, rewrite->originals) {
		if (equal(lfirst(cell), node)) {
			if (root && !rewrite->in_check)
				rewrite->roots = bms_add_member(rewrite->roots, index);
			return (Node *) make_param(node, rewrite, index);
		}
		index++;
	}
	return nullptr;
}

/* Inside an item: calls of STABLE functions are items of their own, so that equal calls are made once. */
static Node *
inner_mutator(Node *node, void *context)
{
	RlsRewrite *rewrite = (RlsRewrite *) context;

	if (node == nullptr)
		return nullptr;
	if (IsA(node, Query))
		return (Node *) ms_mutate_query((Query *) node, inner_mutator, context, 0);
	if (IsA(node, FuncExpr) && func_volatile(((FuncExpr *) node)->funcid) == PROVOLATILE_STABLE) {
		bool has_subquery;
		Node *known = known_item(node, rewrite, false);

		if (known != nullptr)
			return known;
		/* No item has a volatile function in it. */
		if (rls_can_be_value(node) && (rewrite->in_plain_item || (!rls_depends_on_row(node, &has_subquery) && !has_subquery)))
			return make_item(node, rewrite, false, false);
	}
	return ms_mutate_expression(node, inner_mutator, context);
}

static Node *
make_item(Node *node, RlsRewrite *rewrite, bool has_subquery, bool root)
{
	ListCell *cell;
	int index = 0;

	if (root)
		rewrite->in_plain_item = !has_subquery;
	/* The node's own children first: what is equal inside is shared. */
	Node *item = ms_mutate_expression(node, inner_mutator, rewrite);

	if (has_subquery) {
		Query *query = makeNode(Query);

		query->commandType = CMD_SELECT;
		query->querySource = QSRC_ORIGINAL;
		query->canSetTag = true;
		query->hasSubLinks = true;
		query->jointree = makeFromExpr(NIL, nullptr);
		query->targetList = list_make1(makeTargetEntry((Expr *) item, 1, pstrdup("value"), false));
		item = (Node *) list_make2(make_param(node, rewrite, 0), query);
	}
	foreach(cell, rewrite->items) {
		if (equal(lfirst(cell), item))
			break;
		index++;
	}
	if (cell == nullptr) {
		rewrite->items = lappend(rewrite->items, item);
		rewrite->originals = lappend(rewrite->originals, node);
	}
	if (root && !rewrite->in_check)
		rewrite->roots = bms_add_member(rewrite->roots, index);
	return (Node *) make_param(node, rewrite, index);
}

/* The item that stands for the whole expression, or NULL where it is none. */
static Node *
item_of(Node *node, RlsRewrite *rewrite)
{
	bool has_subquery;

	if (!is_computation(node))
		return nullptr;
	Node *known = known_item(node, rewrite, true);
	if (known != nullptr)
		return known;
	return is_item(node, rewrite, &has_subquery) ? make_item(node, rewrite, has_subquery, true) : nullptr;
}

static Node *
take_out_mutator(Node *node, void *context)
{
	RlsRewrite *rewrite = (RlsRewrite *) context;

	if (node == nullptr)
		return nullptr;
	if (IsA(node, Query))
		return (Node *) ms_mutate_query((Query *) node, take_out_mutator, context, 0);
	Node *item = item_of(node, rewrite);
	return item != nullptr ? item : ms_mutate_expression(node, take_out_mutator, context);
}

/* ---- subqueries that give keys ---- */

/* lhs = ANY (array of the subquery's only column), the array being an item; NULL where there is no array type. */
static Node *
any_of_keys(Oid opno, Oid collation, Node *lhs, Query *subquery, RlsRewrite *rewrite)
{
	bool has_subquery;
	SubLink *link = makeNode(SubLink);

	link->subLinkType = ARRAY_SUBLINK;
	link->subselect = (Node *) subquery;
	link->location = -1;
	/* Not get_promoted_array_type(): keys that are arrays themselves would run together. */
	if (!OidIsValid(get_array_type(exprType((Node *) ((TargetEntry *) linitial(subquery->targetList))->expr))) ||
		rls_depends_on_row((Node *) link, &has_subquery) || contain_volatile_functions((Node *) link))
		return nullptr;
	rewrite->convertible = true;
	if (!rewrite->arrays)
		return nullptr;

	ScalarArrayOpExpr *any = makeNode(ScalarArrayOpExpr);
	Param *keys = (Param *) make_item((Node *) link, rewrite, true, true);

	any->opno = opno;
	any->opfuncid = get_opcode(opno);
	any->useOr = true;
	any->inputcollid = collation;
	any->args = list_make2(take_out_mutator(lhs, rewrite), keys);
	any->location = -1;
	rewrite->array_items = bms_add_member(rewrite->array_items, keys->paramid - rewrite->base - 1);
	return (Node *) any;
}

static bool
is_plain_select(Query *query)
{
	return query->commandType == CMD_SELECT && query->setOperations == nullptr && !query->hasAggs &&
		!query->hasWindowFuncs && !query->hasTargetSRFs && query->groupClause == NIL && query->groupingSets == NIL &&
		query->havingQual == nullptr && query->distinctClause == NIL && query->limitCount == nullptr &&
		query->limitOffset == nullptr && query->rowMarks == NIL && query->cteList == NIL;
}

/* x IN (SELECT key ...) with a subquery that does not depend on the row. */
static Node *
keys_of_in(SubLink *link, RlsRewrite *rewrite)
{
	OpExpr *test = (OpExpr *) link->testexpr;

	if (test == nullptr || !IsA(test, OpExpr) || list_length(test->args) != 2)
		return nullptr;
	Node *lhs = (Node *) linitial(test->args);
	Node *rhs = (Node *) lsecond(test->args);
	Query *query = (Query *) copyObjectImpl(link->subselect);
	TargetEntry *target = (TargetEntry *) linitial(query->targetList);

	if (target->resjunk || !op_strict(test->opno))
		return nullptr;
	if (IsA(rhs, RelabelType) && is_plain_select(query)) {
		RelabelType *relabel = (RelabelType *) copyObjectImpl(rhs);

		rhs = (Node *) relabel->arg;
		relabel->arg = target->expr;
		target->expr = (Expr *) relabel;
	}
	if (!IsA(rhs, Param) || ((Param *) rhs)->paramkind != PARAM_SUBLINK)
		return nullptr;
	return any_of_keys(test->opno, test->inputcollid, lhs, query, rewrite);
}

/* EXISTS (SELECT ... WHERE inner = outer AND ...) with one equation that depends on the row: outer = ANY (inner ...).
 * Only where NULL and false mean the same: EXISTS is never NULL. */
static Node *
keys_of_exists(SubLink *link, RlsRewrite *rewrite)
{
	Query *query = (Query *) copyObjectImpl(link->subselect);
	List *rest = NIL;
	ListCell *cell;
	OpExpr *equation = nullptr;

	if (!is_plain_select(query) || query->jointree->fromlist == NIL)
		return nullptr;
	foreach(cell, make_ands_implicit((Expr *) query->jointree->quals)) {
		Node *qual = (Node *) lfirst(cell);

		if (!contain_vars_of_level(qual, 1))
			rest = lappend(rest, qual);
		else if (equation == nullptr && IsA(qual, OpExpr) && list_length(((OpExpr *) qual)->args) == 2)
			equation = (OpExpr *) qual;
		else
			return nullptr;
	}
	if (equation == nullptr || !op_strict(equation->opno) || contain_subplans((Node *) equation) ||
		contain_volatile_functions((Node *) equation) ||
		!op_mergejoinable(equation->opno, exprType((Node *) linitial(equation->args))))
		return nullptr;

	Node *outer = (Node *) linitial(equation->args);
	Node *inner = (Node *) lsecond(equation->args);
	Oid opno = equation->opno;

	if (!contain_vars_of_level(outer, 1)) {
		Node *swap = outer;

		outer = inner;
		inner = swap;
		opno = get_commutator(opno);
	}
	if (!OidIsValid(opno) || contain_vars_of_level(outer, 0) || contain_vars_of_level(inner, 1))
		return nullptr;
	query->jointree->quals = (Node *) make_ands_explicit(rest);
	query->targetList = list_make1(makeTargetEntry((Expr *) inner, 1, pstrdup("key"), false));
	query->sortClause = NIL;
	IncrementVarSublevelsUp(outer, -1, 1);
	return any_of_keys(opno, equation->inputcollid, outer, query, rewrite);
}

/* A condition, or a part of one that is joined by AND and OR, where NULL counts as false. */
static Node *
take_out_of_condition(Node *node, RlsRewrite *rewrite)
{
	ListCell *cell;

	if (node == nullptr)
		return nullptr;
	if (IsA(node, List)) {
		foreach(cell, (List *) node)
			lfirst(cell) = take_out_of_condition((Node *) lfirst(cell), rewrite);
		return node;
	}
	Node *item = item_of(node, rewrite);
	if (item != nullptr)
		return item;
	if (rewrite->fold && IsA(node, SubLink)) {
		SubLink *link = (SubLink *) node;
		Node *any = nullptr;

		if (link->subLinkType == ANY_SUBLINK)
			any = keys_of_in(link, rewrite);
		else if (link->subLinkType == EXISTS_SUBLINK)
			any = keys_of_exists(link, rewrite);
		if (any != nullptr)
			return any;
	}
	if (IsA(node, BoolExpr) && ((BoolExpr *) node)->boolop != NOT_EXPR) {
		foreach(cell, ((BoolExpr *) node)->args)
			lfirst(cell) = take_out_of_condition((Node *) lfirst(cell), rewrite);
		return node;
	}
	return ms_mutate_expression(node, take_out_mutator, rewrite);
}

static bool
subqueries_walker(Node *node, void *context)
{
	if (node == nullptr)
		return false;
	if (IsA(node, Query)) {
		rls_take_out((Query *) node, (RlsRewrite *) context);
		return false;
	}
	return ms_walk_expression(node, subqueries_walker, context);
}

void
rls_take_out(Query *query, RlsRewrite *rewrite)
{
	ListCell *cell;

	rls_unwrap_conditions(query);
	foreach(cell, query->rtable) {
		RangeTblEntry *rte = (RangeTblEntry *) lfirst(cell);

		rte->securityQuals = (List *) take_out_of_condition((Node *) rte->securityQuals, rewrite);
	}
	List *checks = query->withCheckOptions;
	bool fold = rewrite->fold, in_check = rewrite->in_check;

	rewrite->fold = false;
	rewrite->in_check = true;
	foreach(cell, checks) {
		WithCheckOption *option = (WithCheckOption *) lfirst(cell);

		if (option->kind != WCO_VIEW_CHECK)
			option->qual = take_out_of_condition(option->qual, rewrite);
		(void) subqueries_walker(option->qual, rewrite);
	}
	rewrite->fold = fold;
	rewrite->in_check = in_check;
	if (rls_optimize_quals && query->jointree != nullptr)
		query->jointree = (FromExpr *) take_out_mutator((Node *) query->jointree, rewrite);
	/* Subqueries, CTEs and sublinks have tables with policies too. */
	query->withCheckOptions = NIL;
	(void) ms_walk_query(query, subqueries_walker, rewrite, 0);
	query->withCheckOptions = checks;
}
