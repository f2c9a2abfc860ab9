/* Following the patient's column through a plan. */
#include "pg/prelude.h"

#include "audit/leaks.h"
#include "audit/lineage_nodes.h"
#include "audit/marks.h"
#include "audit/recheck.h"

extern "C" {
#include "executor/executor.h"
#include "nodes/plannodes.h"
}

/* ---- items ---- */

AuditItem *
ms_lineage_item(const AuditRelation *audited, Index rti, Oid relid)
{
	AuditItem *item = (AuditItem *) palloc0(sizeof(AuditItem));

	item->audited = audited;
	item->rti = rti;
	item->relid = relid;
	return item;
}

AuditItem *
ms_lineage_concat(AuditItem *a, AuditItem *b)
{
	AuditItem *last = a;

	if (a == nullptr)
		return b;
	while (last->next != nullptr)
		last = last->next;
	last->next = b;
	return a;
}

/* A hash join of parallel workers gets another function when they are started. */
static bool
changes_later(const PlanState *node)
{
	return IsA(node, HashJoinState) && node->plan->parallel_aware;
}

void
ms_audit_settle(AuditLineage *lineage, AuditItem *items, PlanState *node)
{
	/* A hash table is filled past the node's own function: its child hands out the same rows. */
	while (IsA(node, HashState))
		node = outerPlanState(node);
	while (items != nullptr) {
		AuditItem *item = items;

		items = item->next;
		if (item->fallback != nullptr) {
			item = item->fallback;
			item->next = nullptr;
			ms_audit_settle(lineage, item, item->counted_at);
			continue;
		}
		item->counted_at = node;
		item->next = lineage->settled;
		lineage->settled = item;
	}
}

AttrNumber
ms_lineage_column(List *columns, int varno, AttrNumber attno)
{
	ListCell *cell;

	/* Most nodes put out what they get. */
	if (attno <= list_length(columns)) {
		Expr *expr = ((TargetEntry *) list_nth(columns, attno - 1))->expr;

		if (IsA(expr, Var) && ((Var *) expr)->varno == varno && ((Var *) expr)->varattno == attno)
			return attno;
	}
	foreach(cell, columns) {
		TargetEntry *entry = (TargetEntry *) lfirst(cell);
		Expr *expr = entry->expr;

		while (IsA(expr, RelabelType))
			expr = ((RelabelType *) expr)->arg;
		if (IsA(expr, Var) && ((Var *) expr)->varno == varno && ((Var *) expr)->varattno == attno)
			return entry->resno;
	}
	return 0;
}

/* ---- from a node to the one above ---- */

AuditItem *
ms_lineage_pass(AuditLineage *lineage, AuditItem *items, PlanState *child, PlanState *node, const AuditPassage &passage)
{
	AuditItem *passed = nullptr;

	while (items != nullptr) {
		AuditItem *item = items;
		bool keeps = item->condition == nullptr || passage.keeps_below;
		AuditItem *fallback = nullptr;

		items = item->next;
		item->next = nullptr;
		if (unlikely(changes_later(node))) {
			AuditItem *before = (AuditItem *) palloc(sizeof(AuditItem));

			*before = *item;
			before->counted_at = child;
			fallback = before;
		}
		if (item->place != kInResult)
			keeps = passage.keeps_below;
		else if (keeps) {
			AttrNumber column = ms_lineage_column(node->plan->targetlist, passage.varno, item->attno);

			if (column != 0)
				item->attno = column;
			else if (passage.keeps_row) {
				item->place = passage.place;
				item->node = node;
			} else
				keeps = false;
		}
		if (keeps) {
			/* What is settled at a Hash node is settled at its child. */
			if (fallback != nullptr || !IsA(node, HashState))
				item->fallback = fallback;
			item->next = passed;
			passed = item;
		} else
			ms_audit_settle(lineage, item, child);
	}
	return passed;
}

static AuditItem *
trace_outer(AuditLineage *lineage, PlanState *node, bool streams)
{
	PlanState *child = outerPlanState(node);
	const AuditPassage passage = {OUTER_VAR, streams, streams, kInOuter};

	return child ? ms_lineage_pass(lineage, ms_lineage_trace(lineage, child), child, node, passage) : nullptr;
}

static void
settle_child(AuditLineage *lineage, PlanState *child)
{
	if (child != nullptr)
		ms_audit_settle(lineage, ms_lineage_trace(lineage, child), child);
}

/* ---- scans ---- */

const AuditRelation *
ms_lineage_audited(AuditLineage *lineage, Index rti, RangeTblEntry **entry)
{
	*entry = exec_rt_fetch(rti, lineage->estate);
	if ((*entry)->rtekind != RTE_RELATION || ms_audit_is_policy_read(*entry))
		return nullptr;
	const AuditRelation *audited = ms_audit_relation((*entry)->relid);
	return audited != nullptr && audited->reads ? audited : nullptr;
}

/* Where the scan has the row that its condition is about to look at, or that it stands at. */
static AuditItem *
item_in_scan(const AuditItem *of, PlanState *node)
{
	AuditItem *item = (AuditItem *) palloc(sizeof(AuditItem));

	*item = *of;
	item->next = nullptr;
	item->is_target = false;
	if (item->attno == 0)
		return item;
	item->place = kInScanSlot;
	if (IsA(node, IndexOnlyScanState)) {
		AttrNumber in_index = ms_lineage_column(((IndexOnlyScan *) node->plan)->indextlist,
												(int) ((Scan *) node->plan)->scanrelid, item->attno);

		if (in_index != 0)
			item->attno = in_index;
		else
			item->place = kInHeap;
	}
	return item;
}

static void
watch_scan(AuditLineage *lineage, const AuditItem *of, PlanState *node)
{
	AuditItem *item = item_in_scan(of, node);

	if (unlikely(list_member_ptr(lineage->leaky_quals, node)))
		ms_audit_watch_qual(lineage, &node->qual, node->plan->qual, node, item);
	item->next = lineage->scans;
	lineage->scans = item;
}

static AuditItem *
trace_relation(AuditLineage *lineage, PlanState *node)
{
	Index rti = ((Scan *) node->plan)->scanrelid;
	RangeTblEntry *entry;
	const AuditRelation *audited = ms_lineage_audited(lineage, rti, &entry);

	if (audited == nullptr)
		return nullptr;
	AuditItem *item = ms_lineage_item(audited, rti, entry->relid);
	AttrNumber column = 0;
	int varno = (int) rti;

	item->is_target = audited->writes && list_member_int(lineage->estate->es_plannedstmt->resultRelations, (int) rti);
	item->node = node;
	item->place = kNowhere;
	item->attno = audited->broken ? 0 : ms_audit_key_attno(audited, entry->relid);
	watch_scan(lineage, item, node);
	if (item->attno == 0)
		return item;
	if (IsA(node, IndexOnlyScanState)) {
		AttrNumber in_index = ms_lineage_column(((IndexOnlyScan *) node->plan)->indextlist, varno, item->attno);

		if (in_index == 0) {
			item->place = kInHeap;
			return item;
		}
		item->attno = in_index;
		varno = INDEX_VAR;
	}
	column = ms_lineage_column(node->plan->targetlist, varno, item->attno);
	if (column != 0) {
		item->place = kInResult;
		item->attno = column;
	} else
		item->place = kInScanSlot;
	return item;
}

/* A scan whose rows somebody else makes: what it was not asked for may be missing. */
static AuditItem *
trace_foreign(AuditLineage *lineage, PlanState *node, Bitmapset *relids, List *scan_columns)
{
	Index scanrelid = ((Scan *) node->plan)->scanrelid;
	AuditItem *items = nullptr;
	int rti = -1;

	if (scanrelid > 0)
		relids = bms_make_singleton((int) scanrelid);
	while ((rti = bms_next_member(relids, rti)) >= 0) {
		RangeTblEntry *entry;
		const AuditRelation *audited = ms_lineage_audited(lineage, (Index) rti, &entry);
		AttrNumber column = 0;

		if (audited == nullptr)
			continue;
		AuditItem *item = ms_lineage_item(audited, (Index) rti, entry->relid);
		int varno = rti;

		item->is_target = audited->writes && list_member_int(lineage->estate->es_plannedstmt->resultRelations, rti);
		item->node = node;
		item->place = kNowhere;
		item->attno = audited->broken ? 0 : ms_audit_key_attno(audited, entry->relid);
		if (item->attno != 0 && scan_columns != NIL) {
			item->attno = ms_lineage_column(scan_columns, rti, item->attno);
			varno = INDEX_VAR;
			if (item->attno != 0)
				item->place = kInScanSlot;
		}
		if (item->attno != 0)
			column = ms_lineage_column(node->plan->targetlist, varno, item->attno);
		if (column != 0) {
			item->place = kInResult;
			item->attno = column;
		}
		/* An aggregate that is computed elsewhere. */
		if (item->place == kNowhere && scanrelid == 0 &&
			!ms_audit_may_come_out(lineage->estate, node, audited)) {
			item->counts_only = item->fixed = true;
			ms_audit_settle(lineage, item, node);
			continue;
		}
		item->may_be_null = scanrelid == 0;
		items = ms_lineage_concat(item, items);
	}
	return items;
}

/* Whether rows of one scan pass the node at most once each. */
static bool
is_link(PlanState *node)
{
	switch (nodeTag(node)) {
		case T_SeqScanState:
		case T_SampleScanState:
		case T_IndexScanState:
		case T_IndexOnlyScanState:
		case T_BitmapHeapScanState:
		case T_TidScanState:
		case T_TidRangeScanState:
		case T_ResultState:
		case T_LimitState:
		case T_LockRowsState:
		case T_SortState:
		case T_IncrementalSortState:
		case T_UniqueState:
		case T_GatherState:
		case T_GatherMergeState:
		case T_SubqueryScanState:
		case T_WindowAggState:
		case T_AggState:
		case T_GroupState:
			return true;
		default:
			return false;
	}
}

static AuditItem *
trace_node(AuditLineage *lineage, PlanState *node)
{
	check_stack_depth();
	if (!is_link(node))
		lineage->is_joined = true;
	switch (nodeTag(node)) {
		case T_SeqScanState:
		case T_SampleScanState:
		case T_IndexScanState:
		case T_IndexOnlyScanState:
		case T_BitmapHeapScanState:
		case T_TidScanState:
		case T_TidRangeScanState:
			return trace_relation(lineage, node);
		case T_ForeignScanState: {
			ForeignScan *scan = (ForeignScan *) node->plan;

			return trace_foreign(lineage, node, scan->fs_relids, scan->fdw_scan_tlist);
		}
		case T_CustomScanState: {
			CustomScan *scan = (CustomScan *) node->plan;
			ListCell *cell;

			foreach(cell, ((CustomScanState *) node)->custom_ps)
				settle_child(lineage, (PlanState *) lfirst(cell));
			settle_child(lineage, outerPlanState(node));
			settle_child(lineage, innerPlanState(node));
			if (((CustomScanState *) node)->custom_ps != NIL)
				return nullptr;
			return trace_foreign(lineage, node, scan->custom_relids, scan->custom_scan_tlist);
		}
		case T_FunctionScanState:
		case T_ValuesScanState:
		case T_TableFuncScanState:
		case T_WorkTableScanState:
		case T_NamedTuplestoreScanState:
			return nullptr;
		case T_LockRowsState:
			ms_audit_watch_recheck(&((LockRowsState *) node)->lr_epqstate, NIL);
			return trace_outer(lineage, node, true);
		case T_ResultState:
		case T_ProjectSetState:
		case T_LimitState:
			return trace_outer(lineage, node, true);
		case T_SortState:
		case T_IncrementalSortState:
		case T_MaterialState:
		case T_MemoizeState:
		case T_UniqueState:
		case T_HashState:
		case T_GatherState:
		case T_GatherMergeState:
			return trace_outer(lineage, node, false);
		case T_SubqueryScanState: {
			PlanState *child = ((SubqueryScanState *) node)->subplan;
			const AuditPassage passage = {(int) ((Scan *) node->plan)->scanrelid, true, true, kInScanTuple};

			return ms_lineage_pass(lineage, ms_lineage_trace(lineage, child), child, node, passage);
		}
		case T_NestLoopState:
		case T_HashJoinState:
		case T_MergeJoinState:
			return ms_lineage_join(lineage, node);
		case T_AppendState: {
			AppendState *append = (AppendState *) node;

			return ms_lineage_append(lineage, node, append->appendplans, append->as_nplans, append->as_nasyncplans > 0);
		}
		case T_MergeAppendState: {
			MergeAppendState *append = (MergeAppendState *) node;

			return ms_lineage_append(lineage, node, append->mergeplans, append->ms_nplans, false);
		}
		case T_AggState:
		case T_GroupState:
			return ms_lineage_groups(lineage, node);
		case T_WindowAggState:
			return ms_lineage_window(lineage, node);
		case T_CteScanState:
			return ms_lineage_cte(lineage, node);
		case T_ModifyTableState:
			return ms_lineage_modify(lineage, node);
		default:
			/* RecursiveUnion, SetOp, and what there may be that is not known here. */
			settle_child(lineage, outerPlanState(node));
			settle_child(lineage, innerPlanState(node));
			return nullptr;
	}
}

AuditItem *
ms_lineage_trace(AuditLineage *lineage, PlanState *node)
{
	const AuditItem *before = lineage->settled;
	AuditItem *items = trace_node(lineage, node);

	if (unlikely(list_member_ptr(lineage->leaky_rows, node)))
		ms_audit_settle_leaks(lineage, items, before, node);
	return items;
}

/* Whether what reached the top tells all of the relation that is sent, and nothing else. */
static bool
is_sent(const AuditLineage *lineage, const AuditItem *items, const AuditItem *item, PlanState *root)
{
	for (const AuditItem *lost = lineage->settled; lost != nullptr; lost = lost->next)
		if (lost->audited == item->audited && !lost->counts_only && !lost->dropped)
			return false;
	if (item->place == kInResult && item->attno <= list_length(root->plan->targetlist) &&
		!((TargetEntry *) list_nth(root->plan->targetlist, item->attno - 1))->resjunk)
		return true;
	for (const AuditItem *other = items; other != nullptr; other = other->next)
		if (other != item && other->rti == item->rti)
			return false;
	return ms_audit_is_sent(lineage->estate, root, item->rti);
}

AuditItem *
ms_audit_trace(AuditLineage *lineage, EState *estate, PlanState *root)
{
	int subplans = list_length(estate->es_subplanstates);

	lineage->estate = estate;
	if (subplans > 0) {
		lineage->ctes = (AuditItem **) palloc0(sizeof(AuditItem *) * subplans);
		lineage->cte_done = (bool *) palloc0(sizeof(bool) * subplans);
	}
	ms_audit_find_leaks(lineage, estate, root);
	/* What comes out at the top is counted there anyway. */
	if (lineage->leaky_rows != NIL && nodeTag(root) != T_ModifyTableState)
		lineage->leaky_rows = list_delete_ptr(lineage->leaky_rows, root);
	AuditItem *items = ms_lineage_trace(lineage, root);

	/* A large scan of a table of patients: no need to look for what came before.  A cursor may go back. */
	if (!lineage->is_joined && root->plan->plan_rows > 100 &&
		(estate->es_top_eflags & (EXEC_FLAG_BACKWARD | EXEC_FLAG_REWIND)) == 0)
		for (AuditItem *item = items ? items : lineage->settled; item != nullptr; item = item->next)
			item->is_unique = estate->es_relations[item->rti - 1] != nullptr &&
				ms_audit_key_is_unique(item->audited, estate->es_relations[item->rti - 1]);

	/* Subqueries that are expressions.  A CTE comes before what refers to it, and is done with that. */
	for (int i = subplans - 1; i >= 0; i--) {
		PlanState *subplan = (PlanState *) list_nth(estate->es_subplanstates, i);

		if (subplan != nullptr && !lineage->cte_done[i])
			settle_child(lineage, subplan);
	}
	if (unlikely(lineage->leaky_rows != NIL))
		ms_audit_name_leaks(lineage);
	for (AuditItem *item = items; item != nullptr; item = item->next)
		item->is_sent = is_sent(lineage, items, item, root);
	return items;
}
