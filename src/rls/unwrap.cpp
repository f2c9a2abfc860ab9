/* What an expression of a policy depends on, and what it is without the sub-selects that people wrap around calls. */
#include "pg/prelude.h"

#include "rls/rewrite.h"

extern "C" {
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteManip.h"
#include "utils/lsyscache.h"
}

/* ---- does an expression depend on the row? ---- */

struct Dependence {
	int level;
	bool in_testexpr;
	bool has_subquery;
};

static bool
depends_on_row_walker(Node *node, void *context)
{
	Dependence *dependence = (Dependence *) context;

	if (node == nullptr)
		return false;
	switch (nodeTag(node)) {
		case T_Var:
			return (int) ((Var *) node)->varlevelsup >= dependence->level;
		case T_Aggref:
			return (int) ((Aggref *) node)->agglevelsup >= dependence->level;
		case T_GroupingFunc:
			return (int) ((GroupingFunc *) node)->agglevelsup >= dependence->level;
		case T_WindowFunc:
			if (dependence->level == 0)
				return true;
			break;
		case T_PlaceHolderVar:
		case T_CurrentOfExpr:
		case T_SetToDefault:
		case T_CaseTestExpr:
		case T_CoerceToDomainValue:
		case T_NextValueExpr:
		case T_SubPlan:
			return true;
		case T_Param:
			if (((Param *) node)->paramkind == PARAM_EXTERN)
				return false;
			return !(((Param *) node)->paramkind == PARAM_SUBLINK && dependence->in_testexpr);
		case T_SubLink: {
			SubLink *link = (SubLink *) node;
			bool outer = dependence->in_testexpr;

			dependence->has_subquery = true;
			if (link->subLinkType == MULTIEXPR_SUBLINK || link->subLinkType == CTE_SUBLINK)
				return true;
			dependence->in_testexpr = true;
			bool depends = depends_on_row_walker(link->testexpr, context);
			dependence->in_testexpr = outer;
			return depends || depends_on_row_walker(link->subselect, context);
		}
		case T_Query: {
			Query *query = (Query *) node;
			ListCell *cell;

			if (query->commandType != CMD_SELECT || query->rowMarks != NIL || query->hasModifyingCTE)
				return true;
			foreach(cell, query->rtable) {
				RangeTblEntry *rte = (RangeTblEntry *) lfirst(cell);

				if (rte->rtekind == RTE_CTE && (int) rte->ctelevelsup > dependence->level)
					return true;
				if (rte->rtekind == RTE_NAMEDTUPLESTORE)
					return true;
			}
			dependence->level++;
			bool depends = ms_walk_query(query, depends_on_row_walker, context, 0);
			dependence->level--;
			return depends;
		}
		default:
			break;
	}
	return ms_walk_expression(node, depends_on_row_walker, context);
}

bool
rls_depends_on_row(Node *node, bool *has_subquery)
{
	Dependence dependence = {};
	bool depends = depends_on_row_walker(node, &dependence);

	*has_subquery = dependence.has_subquery;
	return depends;
}

bool
rls_can_be_value(Node *node)
{
	Oid type = exprType(node);

	return OidIsValid(type) && get_typtype(type) != TYPTYPE_PSEUDO && !expression_returns_set(node);
}

/* (SELECT expression) without anything else, as the hand-wrapped form has it: the expression. */
static Node *
without_wrapping(SubLink *link)
{
	Query *query = (Query *) link->subselect;
	bool has_subquery;

	if (link->subLinkType != EXPR_SUBLINK || query->commandType != CMD_SELECT || query->rtable != NIL || query->hasAggs ||
		query->hasWindowFuncs || query->hasTargetSRFs || query->cteList != NIL || query->jointree->quals != nullptr ||
		query->havingQual != nullptr || query->limitCount != nullptr || query->limitOffset != nullptr ||
		query->groupClause != NIL || query->groupingSets != NIL || list_length(query->targetList) != 1)
		return (Node *) link;
	Node *expr = (Node *) ((TargetEntry *) linitial(query->targetList))->expr;

	if (checkExprHasSubLink(expr) || !rls_can_be_value(expr) || rls_depends_on_row((Node *) link, &has_subquery) ||
		contain_volatile_functions(expr))
		return (Node *) link;
	return expr;
}

/* From the inside out: has_role((SELECT auth.uid()), 'x') may itself be wrapped. */
static Node *
unwrap_mutator(Node *node, void *context)
{
	if (node == nullptr)
		return nullptr;
	if (IsA(node, Query))
		return (Node *) ms_mutate_query((Query *) node, unwrap_mutator, context, 0);
	node = ms_mutate_expression(node, unwrap_mutator, context);
	return IsA(node, SubLink) ? without_wrapping((SubLink *) node) : node;
}

void
rls_unwrap_conditions(Query *query)
{
	ListCell *cell;

	if (!query->hasSubLinks)
		return;
	foreach(cell, query->rtable) {
		RangeTblEntry *rte = (RangeTblEntry *) lfirst(cell);

		rte->securityQuals = (List *) unwrap_mutator((Node *) rte->securityQuals, nullptr);
	}
	foreach(cell, query->withCheckOptions) {
		WithCheckOption *option = (WithCheckOption *) lfirst(cell);

		if (option->kind != WCO_VIEW_CHECK)
			option->qual = unwrap_mutator(option->qual, nullptr);
	}
	if (rls_optimize_quals)
		query->jointree = (FromExpr *) unwrap_mutator((Node *) query->jointree, nullptr);
}
