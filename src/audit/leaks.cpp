/* Values that get out of a query by other ways than its rows.
 *
 * A volatile function, or one that the reader could have written, may keep what it is given: in a variable, a sequence, a
 * NOTICE.  So the rows that it sees are counted where it stands, be it in a condition that rejects them, below an aggregate,
 * or in a write that is rolled back.  An error may tell values, too, and does so of the rows at which the scans stand. */
#include "pg/prelude.h"

#include "audit/leaks.h"
#include "audit/marks.h"

extern "C" {
#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "nodes/plannodes.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
}

/* ---- what can carry values out ---- */

struct Leaks {
	bool by_rows;            /* it is given columns, */
	bool by_params;          /* or what a node elsewhere puts out */
};

static bool
is_carrier(Oid function, void *)
{
	return func_volatile(function) == PROVOLATILE_VOLATILE ||
		(function >= FirstNormalObjectId && ms_audit_reader_may_write_function(function));
}

/* A domain's conditions are its owner's. */
static bool
is_carrying_domain(Oid type)
{
	HeapTuple tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));

	if (!HeapTupleIsValid(tuple))
		return false;
	Oid owner = ((Form_pg_type) GETSTRUCT(tuple))->typowner;

	ReleaseSysCache(tuple);
	return type >= FirstNormalObjectId && ms_audit_reader_may_be(owner);
}

static bool
inputs_walker(Node *node, void *context)
{
	Leaks *leaks = (Leaks *) context;

	if (node == nullptr)
		return false;
	if (IsA(node, Var))
		leaks->by_rows = true;
	else if (IsA(node, Param) && ((Param *) node)->paramkind == PARAM_EXEC)
		leaks->by_params = true;
	return ms_walk_expression(node, inputs_walker, context);
}

static bool
leaks_walker(Node *node, void *context)
{
	if (node == nullptr || IsA(node, Var) || IsA(node, Const))
		return false;
	/* What policies call, see marks.cpp. */
	bool is_policys = IsA(node, FuncExpr) && ((FuncExpr *) node)->funcformat == COERCE_SQL_SYNTAX &&
		((FuncExpr *) node)->funcid >= FirstNormalObjectId;

	if (!is_policys && (check_functions_in_node(node, is_carrier, nullptr) ||
						(IsA(node, CoerceToDomain) && is_carrying_domain(((CoerceToDomain *) node)->resulttype))))
		(void) ms_walk_expression(node, inputs_walker, context);
	return ms_walk_expression(node, leaks_walker, context);
}

static bool
find_in(const void *expression, Leaks *all)
{
	Leaks leaks = {};

	(void) leaks_walker((Node *) expression, &leaks);
	all->by_rows |= leaks.by_rows;
	all->by_params |= leaks.by_params;
	return leaks.by_rows;
}

bool
ms_audit_leaks(Node *expression)
{
	Leaks leaks = {};

	return find_in(expression, &leaks);
}

/* In expressions of a node besides its columns and conditions. */
static bool
find_in_others(const Plan *plan, Leaks *all)
{
	switch (nodeTag(plan)) {
		case T_NestLoop:
			return find_in(((Join *) plan)->joinqual, all);
		case T_MergeJoin:
			return find_in(((Join *) plan)->joinqual, all) | find_in(((MergeJoin *) plan)->mergeclauses, all);
		case T_HashJoin:
			return find_in(((Join *) plan)->joinqual, all) | find_in(((HashJoin *) plan)->hashclauses, all);
		case T_IndexScan:
			return find_in(((IndexScan *) plan)->indexqualorig, all) | find_in(((IndexScan *) plan)->indexorderbyorig, all);
		case T_IndexOnlyScan:
			return find_in(((IndexOnlyScan *) plan)->indexqual, all);
		case T_BitmapHeapScan:
			return find_in(((BitmapHeapScan *) plan)->bitmapqualorig, all);
		case T_TidScan:
			return find_in(((TidScan *) plan)->tidquals, all);
		case T_FunctionScan:
			for (ListCell *cell = list_head(((FunctionScan *) plan)->functions); cell != nullptr;
				 cell = lnext(((FunctionScan *) plan)->functions, cell))
				(void) find_in(((RangeTblFunction *) lfirst(cell))->funcexpr, all);
			return false;
		case T_TableFuncScan:
			return find_in(((TableFuncScan *) plan)->tablefunc, all);
		case T_ValuesScan:
			return find_in(((ValuesScan *) plan)->values_lists, all);
		case T_Result:
			return find_in(((Result *) plan)->resconstantqual, all);
		case T_Memoize:
			return find_in(((Memoize *) plan)->param_exprs, all);
		case T_ModifyTable:
			return find_in(((ModifyTable *) plan)->returningLists, all) | find_in(((ModifyTable *) plan)->onConflictSet, all) |
				find_in(((ModifyTable *) plan)->onConflictWhere, all) | find_in(((ModifyTable *) plan)->mergeActionLists, all);
		default:
			return false;
	}
}

static bool
is_relation_scan(const PlanState *node)
{
	switch (nodeTag(node)) {
		case T_SeqScanState: case T_SampleScanState: case T_IndexScanState: case T_IndexOnlyScanState:
		case T_BitmapHeapScanState: case T_TidScanState: case T_TidRangeScanState: case T_ForeignScanState:
			return true;
		default:
			return false;
	}
}

/* Whether its columns are made of more than the row that it puts out. */
static bool
folds_rows(const PlanState *node)
{
	return IsA(node, AggState) || IsA(node, WindowAggState) || IsA(node, GroupState) || IsA(node, ModifyTableState);
}

struct Search {
	AuditLineage *lineage;
	Leaks all;
	List *scans;
};

static bool
add_child(PlanState *child, void *context)
{
	AuditLineage *lineage = (AuditLineage *) context;

	lineage->leaky_rows = lappend(lineage->leaky_rows, child);
	return false;
}

static bool
find_in_node(PlanState *node, void *context)
{
	Search *search = (Search *) context;
	AuditLineage *lineage = search->lineage;
	bool of_columns = find_in(node->plan->targetlist, &search->all);
	bool of_qual = find_in(node->plan->qual, &search->all);
	bool of_others = find_in_others(node->plan, &search->all);

	if (is_relation_scan(node)) {
		search->scans = lappend(search->scans, node);
		if (of_qual)
			lineage->leaky_quals = lappend(lineage->leaky_quals, node);
		of_columns |= of_others;
	} else if (of_qual || of_others || (of_columns && folds_rows(node)))
		(void) ms_walk_planstate(node, add_child, lineage);
	if (of_columns && !folds_rows(node))
		lineage->leaky_rows = lappend(lineage->leaky_rows, node);
	return ms_walk_planstate(node, find_in_node, context);
}

void
ms_audit_find_leaks(AuditLineage *lineage, EState *, PlanState *root)
{
	Search search = {lineage, {}, NIL};

	(void) find_in_node(root, &search);
	/* What a node hands to another may come from anywhere. */
	if (search.all.by_params)
		lineage->leaky_rows = list_concat(lineage->leaky_rows, search.scans);
}

void
ms_audit_settle_leaks(AuditLineage *lineage, AuditItem *items, const AuditItem *before, PlanState *node)
{
	/* What is known further below alone: nothing above decides over it. */
	for (AuditItem *item = lineage->settled; item != before; item = item->next) {
		item->fixed = true;
		item->is_target = item->dropped = false;
	}
	for (const AuditItem *of = items; of != nullptr; of = of->next) {
		AuditItem *item = (AuditItem *) palloc(sizeof(AuditItem));

		*item = *of;
		item->next = nullptr;
		item->fallback = nullptr;
		item->fixed = true;
		item->is_target = item->is_unique = false;
		ms_audit_settle(lineage, item, node);
	}
}

void
ms_audit_name_leaks(AuditLineage *lineage)
{
	for (AuditItem *item = lineage->settled; item != nullptr; item = item->next)
		for (const AuditItem *other = lineage->settled; item->counts_only && other != nullptr; other = other->next)
			if (other->counted_at == item->counted_at && other->rti == item->rti && !other->counts_only)
				item->counts_only = false;
}

/* ---- conditions ---- */

/* Stands in the place of a condition. */
struct AuditLeakyQual {
	ExprState state;
	AuditLeakyQual *next;
	ExprState *before;       /* the conditions that come before the first that leaks */
	ExprState *rest;
	AuditItem *item;
	AuditCapture *capture;
};

static Datum
check_and_count(ExprState *state, ExprContext *context, bool *null)
{
	const AuditLeakyQual *qual = (const AuditLeakyQual *) state;

	*null = false;
	if (!ExecQual(qual->before, context))
		return BoolGetDatum(false);
	if (qual->capture != nullptr)
		ms_audit_capture_see(qual->capture, qual->item);
	return BoolGetDatum(ExecQual(qual->rest, context));
}

void
ms_audit_watch_qual(AuditLineage *lineage, ExprState **state, List *clauses, PlanState *node, const AuditItem *item)
{
	AuditLeakyQual *qual = (AuditLeakyQual *) palloc0(sizeof(AuditLeakyQual));
	int before = 0;
	ListCell *cell;

	foreach(cell, clauses) {
		Leaks leaks = {};

		if (find_in(lfirst(cell), &leaks))
			break;
		before++;
	}
	NodeSetTag(&qual->state, T_ExprState);
	qual->state.flags = EEO_FLAG_IS_QUAL;
	qual->state.evalfunc = check_and_count;
	/* Those of ON CONFLICT stay as they are. */
	qual->rest = *state;
	if (before > 0) {
		qual->before = ExecInitQual(list_copy_head(clauses, before), node);
		qual->rest = ExecInitQual(list_copy_tail(clauses, before), node);
	}
	qual->item = (AuditItem *) palloc(sizeof(AuditItem));
	*qual->item = *item;
	qual->item->next = qual->item->fallback = nullptr;
	qual->next = lineage->quals;
	lineage->quals = qual;
	*state = &qual->state;
}

void
ms_audit_bind_quals(AuditCapture *capture, const AuditLineage *lineage)
{
	for (AuditLeakyQual *qual = lineage->quals; qual != nullptr; qual = qual->next) {
		ms_audit_capture_expect(capture, qual->item);
		qual->capture = capture;
	}
}

/* ---- errors ---- */

/* Errors of these classes are the server's, and come up anywhere: their messages hold no values. */
static bool
tells_nothing(int code)
{
	int category = ERRCODE_TO_CATEGORY(code);

	return category == ERRCODE_TO_CATEGORY(ERRCODE_INTERNAL_ERROR) ||
		category == ERRCODE_TO_CATEGORY(ERRCODE_INSUFFICIENT_RESOURCES) ||
		category == ERRCODE_TO_CATEGORY(ERRCODE_OPERATOR_INTERVENTION) ||
		category == ERRCODE_TO_CATEGORY(ERRCODE_SYSTEM_ERROR) ||
		category == ERRCODE_TO_CATEGORY(ERRCODE_PROGRAM_LIMIT_EXCEEDED) ||
		category == ERRCODE_TO_CATEGORY(ERRCODE_T_R_SERIALIZATION_FAILURE) ||
		code == ERRCODE_INSUFFICIENT_PRIVILEGE;
}

void
ms_audit_rethrow_with_rows(AuditCapture *capture)
{
	if (capture == nullptr || capture->scans == nullptr || tells_nothing(geterrcode()))
		PG_RE_THROW();
	MemoryContextSwitchTo(capture->estate->es_query_cxt);
	ErrorData *error = CopyErrorData();

	FlushErrorState();
	/* An error of an expression or a constraint, which took nothing down with it. */
	PG_TRY();
	{
		for (AuditItem *item = capture->scans; item != nullptr; item = item->next) {
			const TupleTableSlot *slot = ((ScanState *) item->node)->ss_ScanTupleSlot;

			if (slot == nullptr || TTS_EMPTY(slot))
				continue;
			ms_audit_capture_expect(capture, item);
			ms_audit_capture_see(capture, item);
		}
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(capture->estate->es_query_cxt);
		FlushErrorState();
	}
	PG_END_TRY();
	ReThrowError(error);
	pg_unreachable();
}
