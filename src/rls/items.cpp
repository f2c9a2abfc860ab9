/* Items at run time: their values, on first use, and the carrier that brings them from the planner to the executor. */
#include "pg/prelude.h"

#include "auth/identity.h"
#include "rls/function_cache.h"
#include "rls/items.h"

extern "C" {
#include "access/parallel.h"
#include "executor/executor.h"
#include "executor/tstoreReceiver.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "tcop/dest.h"
#include "pgstat.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
}

int rls_evaluation_depth = 0;

static const char kCarrierName[] = "mentalspace rls";

/* ---- values ---- */

/* Receives the only column of the only row of a subquery item. */
struct ValueReceiver {
	DestReceiver pub;
	RlsRun *run;
	RlsItem *item;
	int rows;
};

static bool
receive_value(TupleTableSlot *slot, DestReceiver *self)
{
	ValueReceiver *receiver = (ValueReceiver *) self;
	bool isnull;
	Datum value = slot_getattr(slot, 1, &isnull);

	receiver->item->value.isnull = isnull;
	if (!isnull) {
		int16 length;
		bool by_value;
		MemoryContext old = MemoryContextSwitchTo(receiver->run->context);

		get_typlenbyval(receiver->item->type, &length, &by_value);
		receiver->item->value.value = datumCopy(value, by_value, length);
		MemoryContextSwitchTo(old);
	}
	receiver->rows++;
	return true;
}

static void
receiver_startup(DestReceiver *self, int operation, TupleDesc typeinfo)
{
	(void) self;
	(void) operation;
	(void) typeinfo;
}

static void
receiver_noop(DestReceiver *self)
{
	(void) self;
}

static void
evaluate_plan(RlsRun *run, RlsItem *item)
{
	ValueReceiver receiver = {};

	receiver.pub.receiveSlot = receive_value;
	receiver.pub.rStartup = receiver_startup;
	receiver.pub.rShutdown = receiver_noop;
	receiver.pub.rDestroy = receiver_noop;
	receiver.pub.mydest = DestNone;
	receiver.run = run;
	receiver.item = item;
	item->value.isnull = true;
	item->value.value = (Datum) 0;

	QueryDesc *query = CreateQueryDesc(item->plan, "(subquery of a policy)", GetActiveSnapshot(), InvalidSnapshot,
									   &receiver.pub, run->params, nullptr, 0);
	ExecutorStart(query, 0);
	ms_executor_run(query, ForwardScanDirection, 0);
	ExecutorFinish(query);
	ExecutorEnd(query);
	FreeQueryDesc(query);
}

static ParamExternData *fetch_param(ParamListInfo params, int paramid, bool speculative, ParamExternData *workspace);

/* f(constants and parameters), of few arguments, neither set-returning nor variadic. */
static bool
is_plain_call(Node *node)
{
	FuncExpr *call = (FuncExpr *) node;
	ListCell *cell;

	if (!IsA(node, FuncExpr) || call->funcretset || call->funcvariadic || list_length(call->args) > 8)
		return false;
	foreach(cell, call->args)
		if (!IsA(lfirst(cell), Const) && !IsA(lfirst(cell), Param))
			return false;
	return true;
}

static bool
same_function(FuncExpr *a, FuncExpr *b)
{
	ListCell *cell, *other;

	if (a->funcid != b->funcid || a->inputcollid != b->inputcollid || list_length(a->args) != list_length(b->args))
		return false;
	forboth(cell, a->args, other, b->args)
		if (exprType((Node *) lfirst(cell)) != exprType((Node *) lfirst(other)))
			return false;
	return true;
}

/* The right to call a function is looked up once per execution, as PostgreSQL does for each call at the start. */
static void
check_execute(RlsRun *run, Oid function)
{
	for (int i = 0; i < run->checked_count; i++)
		if (run->checked[i] == function)
			return;
	ms_check_execute(function);
	if (run->checked_count < (int) lengthof(run->checked))
		run->checked[run->checked_count++] = function;
}

static void
compile_item(RlsRun *run, RlsItem *item)
{
	MemoryContext old = MemoryContextSwitchTo(run->context);
	Node *expr = item->expr;

	if (is_plain_call(expr)) {
		FuncExpr *call = (FuncExpr *) expr;
		RlsFunction *function = run->functions;

		check_execute(run, call->funcid);
		while (function != nullptr && !same_function(function->call, call))
			function = function->next;
		if (function == nullptr) {
			function = (RlsFunction *) palloc0(sizeof(RlsFunction));
			fmgr_info(call->funcid, &function->info);
			fmgr_info_set_expr((Node *) call, &function->info);
			function->call = call;
			function->next = run->functions;
			run->functions = function;
		}
		item->function = function;
		item->call = call;
	} else {
		if (run->econtext == nullptr) {
			run->econtext = CreateStandaloneExprContext();
			run->econtext->ecxt_param_list_info = run->params;
		}
		item->state = ExecInitExprWithParams((Expr *) expr, run->params);
	}
	MemoryContextSwitchTo(old);
}

static Datum
call_function(RlsRun *run, RlsItem *item, bool *isnull)
{
	LOCAL_FCINFO(fcinfo, 8);
	PgStat_FunctionCallUsage usage;
	FmgrInfo *info = &item->function->info;
	ListCell *cell;
	Oid types[8];
	int n = 0;

	InitFunctionCallInfoData(*fcinfo, info, list_length(item->call->args), item->call->inputcollid, nullptr, nullptr);
	foreach(cell, item->call->args) {
		types[n] = exprType((Node *) lfirst(cell));
		if (IsA(lfirst(cell), Const)) {
			fcinfo->args[n].value = ((Const *) lfirst(cell))->constvalue;
			fcinfo->args[n].isnull = ((Const *) lfirst(cell))->constisnull;
		} else {
			ParamExternData workspace;
			ParamExternData *param = fetch_param(run->params, ((Param *) lfirst(cell))->paramid, false, &workspace);

			fcinfo->args[n].value = param->value;
			fcinfo->args[n].isnull = param->isnull;
		}
		if (fcinfo->args[n++].isnull && info->fn_strict) {
			*isnull = true;
			return (Datum) 0;
		}
	}

	RlsCachedCall cached;
	bool keep = rls_cached_call(&cached, fcinfo, item->call->funcid, types);
	Datum value;

	if (keep && rls_cache_lookup(&cached, &value, isnull))
		return value;
	pgstat_init_function_usage(fcinfo, &usage);
	value = FunctionCallInvoke(fcinfo);
	pgstat_end_function_usage(&usage, true);
	*isnull = fcinfo->isnull;
	if (keep)
		rls_cache_store(&cached, item->type, value, *isnull);
	return value;
}

ParamExternData *
rls_item_value(RlsRun *run, int index)
{
	RlsItem *item = &run->items[index];

	if (likely(item->evaluated)) {
		rls_stats.calls_saved++;
		return &item->value;
	}

	if (item->plan != nullptr)
		evaluate_plan(run, item);
	else {
		bool isnull;
		Datum value;
		MemoryContext old = CurrentMemoryContext;

		if (item->call == nullptr && item->state == nullptr)
			compile_item(run, item);
		if (item->call != nullptr)
			value = call_function(run, item, &isnull);
		else
			value = ExecEvalExprSwitchContext(item->state, run->econtext, &isnull);

		MemoryContextSwitchTo(run->context);
		item->value.isnull = isnull;
		item->value.value = (Datum) 0;
		if (!isnull) {
			int16 length;
			bool by_value;

			get_typlenbyval(item->type, &length, &by_value);
			item->value.value = datumCopy(value, by_value, length);
		}
		MemoryContextSwitchTo(old);
		if (item->state != nullptr)
			ResetExprContext(run->econtext);
	}
	item->evaluated = true;
	return &item->value;
}

void
rls_check_permissions(RlsRun *run, int index)
{
	RlsItem *item = &run->items[index];

	if (item->plan != nullptr)
		ms_check_plan_permissions(item->plan);
	else if (is_plain_call(item->expr))
		check_execute(run, ((FuncExpr *) item->expr)->funcid);
	else if (item->state == nullptr)
		compile_item(run, item);
}

bool
rls_is_of_others(const RlsRun *run)
{
	return run->identity != ms_identity_generation() || run->user != GetUserId();
}

void
rls_take_identity(RlsRun *run)
{
	run->identity = ms_identity_generation();
	run->user = GetUserId();
}

void
rls_identity_changed(RlsRun *run)
{
	if (run->carrier != nullptr && (run->carrier->facts != NIL || IsInParallelMode())) {
		rls_confirm_again(run);
		return;
	}
	for (int i = 0; i < run->count; i++)
		run->items[i].evaluated = false;
	/* Workers are gone, or the identity could not have changed. */
	run->sealed = false;
	rls_take_identity(run);
}

static ParamExternData *
fetch_param(ParamListInfo params, int paramid, bool speculative, ParamExternData *workspace)
{
	RlsRun *run = (RlsRun *) params->paramFetchArg;

	if (paramid > run->base) {
		int index = paramid - run->base - 1;

		if (run->watched && !speculative && unlikely(rls_is_of_others(run)))
			rls_identity_changed(run);
		if (run->items[index].evaluated || (!speculative && !run->sealed))
			return rls_item_value(run, index);
	} else if (run->outer != nullptr && paramid <= run->outer->numParams) {
		if (run->outer->paramFetch != nullptr)
			return run->outer->paramFetch(run->outer, paramid, speculative, workspace);
		return &run->outer->params[paramid - 1];
	}
	workspace->value = (Datum) 0;
	workspace->isnull = true;
	workspace->pflags = 0;
	workspace->ptype = InvalidOid;
	return workspace;
}

RlsRun *
rls_run_of(ParamListInfo params)
{
	if (params == nullptr || params->paramFetch != fetch_param)
		return nullptr;
	return (RlsRun *) params->paramFetchArg;
}

RlsRun *
rls_make_run(List *items, int base, ParamListInfo outer)
{
	RlsRun *run = (RlsRun *) palloc0(sizeof(RlsRun));
	ListCell *cell;
	int index = 0;

	run->context = CurrentMemoryContext;
	run->outer = outer;
	run->base = base;
	run->count = list_length(items);
	rls_take_identity(run);
	run->items = (RlsItem *) palloc0(sizeof(RlsItem) * run->count);
	foreach(cell, items) {
		RlsItem *item = &run->items[index++];
		Node *node = (Node *) lfirst(cell);

		if (IsA(node, List)) {
			item->type = exprType((Node *) linitial((List *) node));
			item->plan = (PlannedStmt *) lsecond((List *) node);
		} else {
			item->type = exprType(node);
			item->expr = node;
		}
		item->value.ptype = item->type;
		item->value.isnull = true;
	}

	ParamListInfo params = (ParamListInfo) palloc0(offsetof(ParamListInfoData, params));
	params->paramFetch = fetch_param;
	params->paramFetchArg = run;
	params->numParams = base + run->count;
	if (outer != nullptr) {
		params->parserSetup = outer->parserSetup;
		params->parserSetupArg = outer->parserSetupArg;
		params->paramValuesStr = outer->paramValuesStr;
	}
	run->params = params;
	return run;
}

void
rls_evaluate_guarded(RlsRun *run, const bool *wanted, bool *failed)
{
	volatile int next = 0;
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;

	while (next < run->count) {
		BeginInternalSubTransaction(nullptr);
		MemoryContextSwitchTo(context);
		rls_evaluation_depth++;
		PG_TRY();
		{
			while (next < run->count) {
				int index = next;

				if (wanted[index])
					(void) rls_item_value(run, index);
				next = index + 1;
			}
			rls_evaluation_depth--;
			ReleaseCurrentSubTransaction();
			MemoryContextSwitchTo(context);
			CurrentResourceOwner = owner;
		}
		PG_CATCH();
		{
			MemoryContextSwitchTo(context);
			ErrorData *error = CopyErrorData();

			rls_evaluation_depth--;
			FlushErrorState();
			RollbackAndReleaseCurrentSubTransaction();
			MemoryContextSwitchTo(context);
			CurrentResourceOwner = owner;
			/* A cancel is for the whole statement. */
			if (error->sqlerrcode == ERRCODE_QUERY_CANCELED)
				ReThrowError(error);
			FreeErrorData(error);
			int index = next;

			failed[index] = true;
			next = index + 1;
			/* What was compiled may hold on to what the subtransaction had. */
			run->econtext = nullptr;
			run->functions = nullptr;
			for (int i = 0; i < run->count; i++) {
				run->items[i].state = nullptr;
				run->items[i].call = nullptr;
			}
		}
		PG_END_TRY();
	}
}

/* ---- the carrier ---- */

void
rls_attach_carrier(PlannedStmt *stmt, const RlsCarrier *carrier)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);

	rte->rtekind = RTE_SUBQUERY;
	rte->ctename = pstrdup(kCarrierName);
	rte->eref = makeAlias(kCarrierName, NIL);
	rte->subquery = carrier->original;
	rte->securityQuals = carrier->items;
	rte->values_lists = carrier->facts;
	rte->coltypmods = list_make4_int(carrier->base, carrier->cursor_options, (int) (carrier->serial >> 32),
									 (int) carrier->serial);
	rte->coltypmods = list_concat(lappend_int(rte->coltypmods, carrier->runs_code), carrier->live);
	stmt->rtable = lappend(stmt->rtable, rte);
}

bool
rls_find_carrier(PlannedStmt *stmt, RlsCarrier *carrier)
{
	if (stmt->rtable == NIL)
		return false;
	RangeTblEntry *rte = (RangeTblEntry *) llast(stmt->rtable);
	if (rte->rtekind != RTE_SUBQUERY || rte->ctename == nullptr || strcmp(rte->ctename, kCarrierName) != 0)
		return false;
	carrier->items = rte->securityQuals;
	carrier->facts = rte->values_lists;
	carrier->original = rte->subquery;
	carrier->base = linitial_int(rte->coltypmods);
	carrier->cursor_options = lsecond_int(rte->coltypmods);
	carrier->serial = ((uint64) (uint32) lthird_int(rte->coltypmods) << 32) | (uint32) lfourth_int(rte->coltypmods);
	carrier->runs_code = list_nth_int(rte->coltypmods, 4) != 0;
	carrier->live = list_copy_tail(rte->coltypmods, 5);
	return true;
}
