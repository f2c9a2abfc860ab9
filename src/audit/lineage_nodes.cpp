/* The patient's column through nodes that are more than a stream of one child's rows. */
#include "pg/prelude.h"

#include "audit/leaks.h"
#include "audit/lineage_nodes.h"
#include "audit/recheck.h"

extern "C" {
#include "nodes/plannodes.h"
}

/* ---- nodes with more than one child ---- */

static void
may_be_null(AuditItem *items)
{
	for (; items != nullptr; items = items->next)
		items->may_be_null = true;
}

AuditItem *
ms_lineage_join(AuditLineage *lineage, PlanState *node)
{
	JoinType type = ((Join *) node->plan)->jointype;
	bool is_loop = IsA(node, NestLoopState);
	PlanState *outer = outerPlanState(node);
	PlanState *inner = innerPlanState(node);
	AuditItem *from_outer = ms_lineage_trace(lineage, outer);
	AuditItem *from_inner = ms_lineage_trace(lineage, inner);
	/* A merge join goes back to marked rows, and a hash join keeps them in files: the nodes below have gone on. */
	const AuditPassage outer_passage = {OUTER_VAR, true, is_loop, kInOuter};
	const AuditPassage inner_passage = {INNER_VAR, true, is_loop, kInInner};

	if (type == JOIN_SEMI || type == JOIN_ANTI) {
		ms_audit_settle(lineage, from_inner, inner);
		from_inner = nullptr;
	}
	if (MS_JOIN_HIDES_OUTER(type)) {
		ms_audit_settle(lineage, from_outer, outer);
		from_outer = nullptr;
	}
	if (type == JOIN_LEFT || type == JOIN_FULL)
		may_be_null(from_inner);
	if (type == JOIN_RIGHT || type == JOIN_FULL)
		may_be_null(from_outer);
	if (is_loop && type == JOIN_LEFT)
		for (AuditItem *item = from_inner; item != nullptr; item = item->next)
			if (item->place != kInResult || item->condition != nullptr) {
				AuditCondition *condition = (AuditCondition *) palloc(sizeof(AuditCondition));

				*condition = {item->condition, node, -1};
				item->condition = condition;
			}
	return ms_lineage_concat(ms_lineage_pass(lineage, from_outer, outer, node, outer_passage),
				  ms_lineage_pass(lineage, from_inner, inner, node, inner_passage));
}

/* An item like this one in a list. */
static AuditItem **
find_same(AuditItem **list, const AuditItem *like)
{
	for (; *list != nullptr; list = &(*list)->next)
		if ((*list)->audited == like->audited && (*list)->place == kInResult && (*list)->condition == nullptr &&
			(*list)->attno == like->attno && (*list)->is_target == like->is_target)
			return list;
	return nullptr;
}

AuditItem *
ms_lineage_append(AuditLineage *lineage, PlanState *node, PlanState **children, int count, bool is_async)
{
	AuditItem **items = (AuditItem **) palloc0(sizeof(AuditItem *) * (count + 1));
	AuditItem *passed = nullptr;

	for (int i = 0; i < count; i++)
		items[i] = ms_lineage_trace(lineage, children[i]);

	/* What every child has in the same column is in that column of the Append: partitions above all. */
	for (AuditItem **link = &items[0]; count > 0 && *link != nullptr;) {
		AuditItem *item = *link;
		bool everywhere = item->place == kInResult && item->condition == nullptr;

		for (int i = 1; everywhere && i < count; i++)
			everywhere = find_same(&items[i], item) != nullptr;
		if (!everywhere) {
			link = &item->next;
			continue;
		}
		for (int i = 1; i < count; i++) {
			AuditItem **same = find_same(&items[i], item);

			item->may_be_null |= (*same)->may_be_null;
			*same = (*same)->next;
		}
		*link = item->next;
		item->next = passed;
		passed = item;
	}

	/* The rest counts as long as the Append is at that child. */
	for (int i = 0; i < count; i++)
		while (items[i] != nullptr) {
			AuditItem *item = items[i];

			items[i] = item->next;
			item->next = nullptr;
			if (is_async) {
				ms_audit_settle(lineage, item, children[i]);
				continue;
			}
			AuditCondition *condition = (AuditCondition *) palloc(sizeof(AuditCondition));
			*condition = {item->condition, node, i};
			item->condition = condition;
			item->next = passed;
			passed = item;
		}
	return passed;
}

/* ---- nodes that are more than a stream of rows ---- */

AuditItem *
ms_lineage_groups(AuditLineage *lineage, PlanState *node)
{
	PlanState *child = outerPlanState(node);
	AuditItem *before = lineage->settled;
	AuditItem *items = ms_lineage_trace(lineage, child);
	AuditItem *passed = nullptr;
	bool has_sets = IsA(node, AggState) && ((Agg *) node->plan)->groupingSets != NIL;

	while (items != nullptr) {
		AuditItem *item = items;
		AttrNumber column = 0;

		items = item->next;
		item->next = nullptr;
		/* Rows that are grouped by the patient are that patient's. */
		if (item->place == kInResult && item->condition == nullptr && !has_sets)
			column = ms_lineage_column(node->plan->targetlist, OUTER_VAR, item->attno);
		if (column != 0) {
			item->attno = column;
			item->next = passed;
			passed = item;
		} else
			ms_audit_settle(lineage, item, child);
	}
	/* Of what does not come out, not even as part of a value, it is enough to know how much there was. */
	for (AuditItem *item = lineage->settled; item != before; item = item->next)
		if (!item->fixed && !item->counts_only)
			item->counts_only = !ms_audit_may_come_out(lineage->estate, node, item->audited);
	return passed;
}

AuditItem *
ms_lineage_window(AuditLineage *lineage, PlanState *node)
{
	PlanState *child = outerPlanState(node);
	AuditItem *items = ms_lineage_trace(lineage, child);
	AuditItem *own = nullptr;
	const AuditPassage passage = {OUTER_VAR, false, false, kInOuter};

	while (items != nullptr) {
		AuditItem *item = items;

		items = item->next;
		item->next = nullptr;
		if (ms_audit_window_mixes(lineage->estate, node, item->audited))
			ms_audit_settle(lineage, item, child);
		else {
			item->next = own;
			own = item;
		}
	}
	return ms_lineage_pass(lineage, own, child, node, passage);
}

AuditItem *
ms_lineage_cte(AuditLineage *lineage, PlanState *node)
{
	int number = ((CteScan *) node->plan)->ctePlanId - 1;
	int rti = (int) ((Scan *) node->plan)->scanrelid;
	PlanState *cte = ((CteScanState *) node)->cteplanstate;
	AuditItem *items = nullptr;

	if (!lineage->cte_done[number]) {
		AuditItem *before = lineage->settled;
		AuditItem *carried = ms_lineage_trace(lineage, cte);

		lineage->cte_done[number] = true;
		while (carried != nullptr) {
			AuditItem *item = carried;

			carried = item->next;
			item->next = nullptr;
			/* Its rows are kept. */
			if (item->place == kInResult && item->condition == nullptr) {
				item->next = lineage->ctes[number];
				lineage->ctes[number] = item;
			} else
				ms_audit_settle(lineage, item, cte);
		}
		/* Others may look at them, too. */
		for (AuditItem *item = lineage->settled; item != before; item = item->next)
			item->fixed = true;
	}
	for (const AuditItem *of = lineage->ctes[number]; of != nullptr; of = of->next) {
		AuditItem *item = (AuditItem *) palloc(sizeof(AuditItem));
		AttrNumber column = ms_lineage_column(node->plan->targetlist, rti, of->attno);

		*item = *of;
		item->fallback = nullptr;
		if (column != 0)
			item->attno = column;
		else {
			item->place = kInScanSlot;
			item->node = node;
		}
		item->next = items;
		items = item;
	}
	return items;
}

/* The rows that ON CONFLICT finds come from no scan. */
static void
watch_conflicts(AuditLineage *lineage, PlanState *node)
{
	ModifyTable *modify = (ModifyTable *) node->plan;
	ResultRelInfo *target = ((ModifyTableState *) node)->resultRelInfo;
	RangeTblEntry *entry;
	const AuditRelation *audited;

	if (modify->onConflictAction != ONCONFLICT_UPDATE || target->ri_onConflict == nullptr ||
		(audited = ms_lineage_audited(lineage, (Index) linitial_int(modify->resultRelations), &entry)) == nullptr ||
		!ms_audit_leaks((Node *) list_make2(modify->onConflictSet, modify->onConflictWhere)))
		return;
	AuditItem *item = ms_lineage_item(audited, (Index) linitial_int(modify->resultRelations), entry->relid);

	item->node = node;
	item->attno = audited->broken ? 0 : ms_audit_key_attno(audited, entry->relid);
	item->place = item->attno ? kInScanTuple : kNowhere;
	ms_audit_watch_qual(lineage, &target->ri_onConflict->oc_WhereClause, NIL, node, item);
}

AuditItem *
ms_lineage_modify(AuditLineage *lineage, PlanState *node)
{
	ModifyTable *modify = (ModifyTable *) node->plan;
	PlanState *child = outerPlanState(node);
	AuditItem *before = lineage->settled;

	/* Of what is returned it may be the only way to know. */
	ms_audit_watch_recheck(&((ModifyTableState *) node)->mt_epqstate,
						   modify->returningLists == NIL ? modify->resultRelations : NIL);
	watch_conflicts(lineage, node);
	AuditItem *items = child ? ms_lineage_trace(lineage, child) : nullptr;
	AuditItem *returned = nullptr;
	AuditItem *others = nullptr;
	const AuditPassage passage = {OUTER_VAR, true, true, kInOuter};
	int rti = linitial_int(modify->resultRelations);
	RangeTblEntry *entry;
	const AuditRelation *audited;

	if (modify->returningLists != NIL && (audited = ms_lineage_audited(lineage, (Index) rti, &entry)) != nullptr) {
		/* The row as it was written is sent back. */
		AttrNumber attno = audited->broken ? 0 : ms_audit_key_attno(audited, entry->relid);
		AttrNumber column = attno ? ms_lineage_column(node->plan->targetlist, rti, attno) : 0;

		/* A deleted one is gone when the node has put it out. */
		if (column != 0 || attno == 0 || modify->operation != CMD_DELETE) {
			returned = ms_lineage_item(audited, (Index) rti, entry->relid);
			returned->node = node;
			returned->attno = column ? column : attno;
			returned->place = column ? kInResult : attno ? kInScanTuple : kNowhere;
		}
	}

	/* How the target was scanned does not matter, unless that is the only way to know what is returned. */
	bool wanted = modify->returningLists != NIL && returned == nullptr;
	while (items != nullptr) {
		AuditItem *item = items;

		items = item->next;
		item->next = nullptr;
		if (item->is_target && list_member_int(modify->resultRelations, (int) item->rti)) {
			if (!wanted)
				continue;
			item->is_target = false;
		}
		item->next = others;
		others = item;
	}
	for (AuditItem *item = lineage->settled; item != before; item = item->next)
		if (item->is_target && list_member_int(modify->resultRelations, (int) item->rti)) {
			item->is_target = false;
			item->dropped = !wanted;
		}
	if (modify->returningLists == NIL) {
		if (others != nullptr)
			ms_audit_settle(lineage, others, child);
		return nullptr;
	}
	return ms_lineage_concat(returned, ms_lineage_pass(lineage, others, child, node, passage));
}
