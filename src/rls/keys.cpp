/* Keys that subqueries of policies gave are constants while a query is planned, and parameters in its plan: whoever reads a
 * plan (EXPLAIN, auto_explain) may not be allowed to read where they come from. */
#include "pg/prelude.h"

#include "rls/rewrite.h"

extern "C" {
#include "nodes/nodeFuncs.h"
#include "nodes/plannodes.h"
#include "optimizer/optimizer.h"
#include "utils/array.h"
#include "utils/datum.h"
}

/* What a key costs: to be collected, copied, and compared with the statistics for each estimate.  In calls of operators. */
static const double kCostOfKey = 100;

struct Hiding {
	const RlsRewrite *rewrite;
	List *facts;
};

static Node *
hide_mutator(Node *node, void *context)
{
	const Hiding *hiding = (const Hiding *) context;
	ListCell *cell;

	if (node == nullptr)
		return nullptr;
	if (!IsA(node, Const) || ((Const *) node)->constlen != -1 || ((Const *) node)->constisnull)
		return ms_mutate_expression(node, hide_mutator, context);
	foreach(cell, hiding->facts) {
		int index = intVal(linitial((List *) lfirst(cell)));
		const Const *keys = (const Const *) lsecond((List *) lfirst(cell));
		const Const *value = (const Const *) node;

		if (value->consttype != keys->consttype || !datumIsEqual(value->constvalue, keys->constvalue, false, -1))
			continue;
		Param *param = makeNode(Param);

		param->paramkind = PARAM_EXTERN;
		param->paramid = hiding->rewrite->base + index + 1;
		param->paramtype = value->consttype;
		param->paramtypmod = value->consttypmod;
		param->paramcollid = value->constcollid;
		param->location = -1;
		return (Node *) param;
	}
	return ms_mutate_expression(node, hide_mutator, context);
}

static bool hide_in_plan(Plan *plan, Hiding *hiding);

static void
hide_in(List **list, Hiding *hiding)
{
	*list = (List *) hide_mutator((Node *) *list, hiding);
}

static bool
hide_in_plans(List *plans, Hiding *hiding)
{
	ListCell *cell;

	foreach(cell, plans)
		if (!hide_in_plan((Plan *) lfirst(cell), hiding))
			return false;
	return true;
}

static void
hide_in_join(Join *join, Hiding *hiding)
{
	hide_in(&join->joinqual, hiding);
	if (IsA(join, MergeJoin))
		hide_in(&((MergeJoin *) join)->mergeclauses, hiding);
	else if (IsA(join, HashJoin)) {
		hide_in(&((HashJoin *) join)->hashclauses, hiding);
		hide_in(&((HashJoin *) join)->hashkeys, hiding);
	}
}

static void
hide_in_modify_table(ModifyTable *modify, Hiding *hiding)
{
	ListCell *cell, *action;

	hide_in(&modify->returningLists, hiding);
	hide_in(&modify->onConflictSet, hiding);
	modify->onConflictWhere = hide_mutator(modify->onConflictWhere, hiding);
	foreach(cell, modify->mergeActionLists)
		foreach(action, (List *) lfirst(cell)) {
			MergeAction *merge = (MergeAction *) lfirst(action);

			merge->qual = hide_mutator(merge->qual, hiding);
			hide_in(&merge->targetList, hiding);
		}
}

/* False for nodes whose expressions are not known here, or are sent elsewhere as text. */
static bool
hide_in_node(Plan *plan, Hiding *hiding)
{
	switch (nodeTag(plan)) {
		case T_IndexScan:
			hide_in(&((IndexScan *) plan)->indexqual, hiding);
			hide_in(&((IndexScan *) plan)->indexqualorig, hiding);
			return true;
		case T_IndexOnlyScan:
			hide_in(&((IndexOnlyScan *) plan)->indexqual, hiding);
			hide_in(&((IndexOnlyScan *) plan)->recheckqual, hiding);
			return true;
		case T_BitmapIndexScan:
			hide_in(&((BitmapIndexScan *) plan)->indexqual, hiding);
			hide_in(&((BitmapIndexScan *) plan)->indexqualorig, hiding);
			return true;
		case T_BitmapHeapScan:
			hide_in(&((BitmapHeapScan *) plan)->bitmapqualorig, hiding);
			return true;
		case T_TidScan:
			hide_in(&((TidScan *) plan)->tidquals, hiding);
			return true;
		case T_TidRangeScan:
			hide_in(&((TidRangeScan *) plan)->tidrangequals, hiding);
			return true;
		case T_BitmapAnd:
			return hide_in_plans(((BitmapAnd *) plan)->bitmapplans, hiding);
		case T_BitmapOr:
			return hide_in_plans(((BitmapOr *) plan)->bitmapplans, hiding);
		case T_Append:
			return hide_in_plans(((Append *) plan)->appendplans, hiding);
		case T_MergeAppend:
			return hide_in_plans(((MergeAppend *) plan)->mergeplans, hiding);
		case T_SubqueryScan:
			return hide_in_plan(((SubqueryScan *) plan)->subplan, hiding);
		case T_NestLoop:
		case T_MergeJoin:
		case T_HashJoin:
			hide_in_join((Join *) plan, hiding);
			return true;
		case T_Hash:
			hide_in(&((Hash *) plan)->hashkeys, hiding);
			return true;
		case T_Result:
			((Result *) plan)->resconstantqual = hide_mutator(((Result *) plan)->resconstantqual, hiding);
			return true;
		case T_ModifyTable:
			hide_in_modify_table((ModifyTable *) plan, hiding);
			return true;
		case T_SeqScan:
		case T_FunctionScan:
		case T_ValuesScan:
		case T_CteScan:
		case T_WorkTableScan:
		case T_NamedTuplestoreScan:
		case T_ProjectSet:
		case T_RecursiveUnion:
		case T_Material:
		case T_Memoize:
		case T_Sort:
		case T_IncrementalSort:
		case T_Group:
		case T_Agg:
		case T_WindowAgg:
		case T_Unique:
		case T_Gather:
		case T_GatherMerge:
		case T_SetOp:
		case T_LockRows:
		case T_Limit:
			return true;
		default:
			return false;
	}
}

static bool
hide_in_plan(Plan *plan, Hiding *hiding)
{
	if (plan == nullptr)
		return true;
	hide_in(&plan->targetlist, hiding);
	hide_in(&plan->qual, hiding);
	return hide_in_node(plan, hiding) && hide_in_plan(plan->lefttree, hiding) && hide_in_plan(plan->righttree, hiding);
}

bool
rls_hide_keys(PlannedStmt *stmt, const RlsRewrite *rewrite, List *facts)
{
	Hiding hiding = {rewrite, NIL};
	ListCell *cell;

	foreach(cell, facts)
		if (bms_is_member(intVal(linitial((List *) lfirst(cell))), rewrite->array_items))
			hiding.facts = lappend(hiding.facts, lfirst(cell));
	return hiding.facts == NIL || (hide_in_plan(stmt->planTree, &hiding) && hide_in_plans(stmt->subplans, &hiding));
}

double
rls_cost_of_keys(const RlsRewrite *rewrite, const RlsRun *run)
{
	double count = 0;
	int array = -1;

	while ((array = bms_next_member(rewrite->array_items, array)) >= 0) {
		const RlsItem *item = &run->items[array];

		if (item->evaluated && !item->value.isnull) {
			ArrayType *keys = DatumGetArrayTypeP(item->value.value);

			count += ArrayGetNItems(ARR_NDIM(keys), ARR_DIMS(keys));
		} else if (!item->evaluated && item->plan->subplans != NIL)
			count += ((Plan *) llast(item->plan->subplans))->plan_rows;
	}
	return count * kCostOfKey * cpu_operator_cost;
}
