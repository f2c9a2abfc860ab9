/* Whether what a plan puts out comes from rows of a relation.  Asked only where aggregates or window functions stand
 * between, or where the patient is known at the top but not put out; what cannot be told counts as `unsure` says. */
#include "pg/prelude.h"

#include "audit/lineage.h"

extern "C" {
#include "nodes/nodeFuncs.h"
#include "nodes/plannodes.h"
#include "utils/fmgroids.h"
}

struct Taint {
	EState *estate;
	PlanState *node;
	const AuditRelation *audited;
	Index rti;               /* if not 0: what comes from this member of the range table alone */
	bool of_windows;         /* look at what window functions take only */
	bool unsure;             /* the answer where it cannot be told */
};

static bool comes_from(const Taint *taint, PlanState *node, AttrNumber attno);

/* Results of these say nothing of any row. */
static bool
only_counts(Oid function)
{
	switch (function) {
		case F_COUNT_:
		case F_COUNT_ANY:
		case F_ROW_NUMBER:
		case F_RANK_:
		case F_DENSE_RANK_:
		case F_PERCENT_RANK_:
		case F_CUME_DIST_:
		case F_NTILE:
			return true;
		default:
			return false;
	}
}

static bool
is_it(const Taint *taint, Index rti)
{
	if (rti == 0)
		return taint->unsure;
	if (taint->rti != 0)
		return rti == taint->rti;
	RangeTblEntry *entry = (RangeTblEntry *) list_nth(taint->estate->es_range_table, (int) rti - 1);
	return entry->rtekind == RTE_RELATION && ms_audit_relation(entry->relid) == taint->audited;
}

static bool expression_walker(Node *node, void *context);

static List *
columns_of_scan(PlanState *node)
{
	return IsA(node, ForeignScanState) ? ((ForeignScan *) node->plan)->fdw_scan_tlist
									   : ((CustomScan *) node->plan)->custom_scan_tlist;
}

/* A column of the node's own relation. */
static bool
own_column(const Taint *taint, const Var *var)
{
	PlanState *node = taint->node;

	switch (nodeTag(node)) {
		case T_SubqueryScanState:
			return comes_from(taint, ((SubqueryScanState *) node)->subplan, var->varattno);
		case T_CteScanState:
			return comes_from(taint, ((CteScanState *) node)->cteplanstate, var->varattno);
		case T_FunctionScanState:
		case T_ValuesScanState:
		case T_TableFuncScanState:
			/* Its arguments may be of other tables' rows. */
			return taint->unsure && !bms_is_empty(node->plan->extParam);
		case T_SeqScanState:
		case T_SampleScanState:
		case T_IndexScanState:
		case T_IndexOnlyScanState:
		case T_BitmapHeapScanState:
		case T_TidScanState:
		case T_TidRangeScanState:
			return is_it(taint, ((Scan *) node->plan)->scanrelid);
		case T_ForeignScanState:
		case T_CustomScanState: {
			List *columns = columns_of_scan(node);

			/* One of what it was asked for, or a column within that. */
			if (var->varno != INDEX_VAR || columns == NIL)
				return is_it(taint, var->varno > 0 ? (Index) var->varno : ((Scan *) node->plan)->scanrelid);
			if (var->varattno < 1 || var->varattno > list_length(columns))
				return taint->unsure;
			Expr *expr = ((TargetEntry *) list_nth(columns, var->varattno - 1))->expr;
			return expression_walker((Node *) expr, (void *) taint);
		}
		case T_ModifyTableState:
			return is_it(taint, (Index) var->varno);
		default:
			return taint->unsure;
	}
}

static bool
expression_walker(Node *node, void *context)
{
	const Taint *taint = (const Taint *) context;

	if (node == nullptr)
		return false;
	switch (nodeTag(node)) {
		case T_Var: {
			const Var *var = (const Var *) node;

			if (taint->of_windows)
				return false;
			if (var->varno == OUTER_VAR)
				return outerPlanState(taint->node) ? comes_from(taint, outerPlanState(taint->node), var->varattno)
												   : taint->unsure;
			if (var->varno == INNER_VAR)
				return innerPlanState(taint->node) ? comes_from(taint, innerPlanState(taint->node), var->varattno)
												   : taint->unsure;
			return own_column(taint, var);
		}
		case T_Param:
			return taint->unsure && ((Param *) node)->paramkind == PARAM_EXEC && !taint->of_windows;
		case T_SubPlan:
			/* Its arguments choose what it looks for. */
			if (!taint->unsure)
				return false;
			break;
		case T_Aggref:
			if (only_counts(((Aggref *) node)->aggfnoid))
				return false;
			break;
		case T_WindowFunc:
			if (only_counts(((WindowFunc *) node)->winfnoid))
				return false;
			if (taint->of_windows) {
				Taint all = *taint;

				all.of_windows = false;
				return ms_walk_expression(node, expression_walker, &all);
			}
			break;
		default:
			break;
	}
	return ms_walk_expression(node, expression_walker, context);
}

/* `attno` 0: any column that is not the plan's own business. */
static bool
columns_come_from(const Taint *taint, PlanState *node, AttrNumber attno)
{
	Taint here = *taint;
	ListCell *cell;

	here.node = node;
	if (attno > 0) {
		if (attno > list_length(node->plan->targetlist))
			return taint->unsure;
		return expression_walker((Node *) ((TargetEntry *) list_nth(node->plan->targetlist, attno - 1))->expr, &here);
	}
	foreach(cell, node->plan->targetlist)
		if (!((TargetEntry *) lfirst(cell))->resjunk &&
			expression_walker((Node *) ((TargetEntry *) lfirst(cell))->expr, &here))
			return true;
	return false;
}

static bool
comes_from(const Taint *taint, PlanState *node, AttrNumber attno)
{
	check_stack_depth();
	switch (nodeTag(node)) {
		case T_AppendState:
			for (int i = 0; i < ((AppendState *) node)->as_nplans; i++)
				if (comes_from(taint, ((AppendState *) node)->appendplans[i], attno))
					return true;
			return false;
		case T_MergeAppendState:
			for (int i = 0; i < ((MergeAppendState *) node)->ms_nplans; i++)
				if (comes_from(taint, ((MergeAppendState *) node)->mergeplans[i], attno))
					return true;
			return false;
		case T_RecursiveUnionState:
		case T_SetOpState:
			return taint->unsure;
		case T_ModifyTableState:
			if (taint->unsure)
				return true;
			break;
		default:
			break;
	}
	return columns_come_from(taint, node, attno);
}

bool
ms_audit_may_come_out(EState *estate, PlanState *node, const AuditRelation *audited)
{
	const Taint taint = {estate, node, audited, 0, false, true};

	return comes_from(&taint, node, 0);
}

bool
ms_audit_is_sent(EState *estate, PlanState *root, Index rti)
{
	const Taint taint = {estate, root, nullptr, rti, false, false};

	return comes_from(&taint, root, 0);
}

bool
ms_audit_window_mixes(EState *estate, PlanState *node, const AuditRelation *audited)
{
	const Taint taint = {estate, node, audited, 0, true, true};

	return columns_come_from(&taint, node, 0);
}
