/* Functions in SQL that the planner puts into the query in place of a call in FROM.  With the body come the policies of the
 * tables that it reads, and those can be told from the rest only before planning (marks.cpp): so it is done here, by the
 * planner's own function and on the same conditions, ahead of it. */
#include "pg/prelude.h"

#include "audit/reads.h"

extern "C" {
#include "access/transam.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
}

static bool
inline_walker(Node *node, void *context)
{
	PlannerInfo *root = (PlannerInfo *) context;
	ListCell *cell;

	if (node == nullptr)
		return false;
	if (!IsA(node, Query))
		return ms_walk_expression(node, inline_walker, context);
	Query *query = (Query *) node;

	foreach(cell, query->rtable) {
		RangeTblEntry *entry = (RangeTblEntry *) lfirst(cell);

		if (entry->rtekind != RTE_FUNCTION || list_length(entry->functions) != 1)
			continue;
		const FuncExpr *call = (const FuncExpr *) ((RangeTblFunction *) linitial(entry->functions))->funcexpr;

		if (call == nullptr || !IsA(call, FuncExpr) || !call->funcretset || call->funcid < FirstNormalObjectId)
			continue;
		/* Completes the arguments. */
		entry->functions = (List *) eval_const_expressions(root, (Node *) entry->functions);
		Query *body = inline_set_returning_function(root, entry);
		if (body != nullptr) {
			entry->rtekind = RTE_SUBQUERY;
			entry->subquery = body;
			entry->security_barrier = false;
			/* `functions` stays, as the planner leaves it: it tells what type the row as a whole has. */
			entry->funcordinality = false;
		}
	}
	return ms_walk_query(query, inline_walker, context, 0);
}

PlannerGlobal *
ms_audit_inline_functions(Query *query, ParamListInfo params)
{
	PlannerInfo *root = makeNode(PlannerInfo);

	root->glob = makeNode(PlannerGlobal);
	root->glob->boundParams = params;
	root->parse = query;
	(void) inline_walker((Node *) query, root);
	return root->glob;
}
