/* What the planner hook takes out of policies, and how it is evaluated.
 *
 * A policy calls auth.uid(), has_role(...) and the like with arguments that do not depend on the row.  Each such
 * expression becomes an *item*: in the query it is replaced by an external parameter, and the executor fetches the
 * parameter's value when, and only when, a row needs it, once per execution and under the query's own snapshot.  Equal
 * expressions are one item.
 *
 * With rls_optimize = full, items whose value is a boolean or an array of keys are also evaluated when the query is
 * planned and put in as constants, so that the planner sees through `col = $1 OR has_role(...)`.  Such a value is a
 * *fact*: before execution it is evaluated again under the execution's snapshot, and where it differs the query is planned
 * anew.  Nothing is ever executed with a fact that its own snapshot does not confirm.
 *
 * Items and facts travel inside the PlannedStmt, in a range table entry that nothing refers to (the *carrier*), so that
 * they live, are copied and die with the plan, whoever keeps it. */
#pragma once

#include "pg/prelude.h"

extern "C" {
#include "executor/execdesc.h"
#include "nodes/execnodes.h"
#include "nodes/params.h"
#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"
#include "utils/snapshot.h"
}

enum RlsMode { RLS_OFF, RLS_HOIST, RLS_FULL };

extern int rls_optimize;
extern bool rls_optimize_quals;

/* What a function keeps between calls, shared by the items that call it: a function in SQL is parsed once, not once an
 * item. */
struct RlsFunction {
	RlsFunction *next;
	FmgrInfo info;
	FuncExpr *call;          /* the first call: others are of the same types */
};

/* One item at run time. */
struct RlsItem {
	Node *expr;              /* expression, or NULL where `plan` gives the value */
	PlannedStmt *plan;       /* SELECT of one value, for expressions with subqueries */
	Oid type;
	FuncExpr *call;          /* compiled when first needed: either a plain call ... */
	RlsFunction *function;
	ExprState *state;        /* ... or any expression */
	bool evaluated;
	ParamExternData value;
};

/* The items of one execution (or of one planning) and the parameters that the query itself has. */
struct RlsRun {
	MemoryContext context;
	ParamListInfo params;    /* what the executor is given: the query's own, then one for each item */
	ParamListInfo outer;     /* the query's own, or NULL */
	int base;                /* items are the parameters base + 1 ... base + count */
	int count;
	int checked_count;       /* functions that the user was found to be allowed to call */
	Oid checked[8];
	bool watched;            /* whoever asks may be somebody else from one row to the next */
	bool sealed;             /* nothing is evaluated any more: workers have been sent the values */
	RlsItem *items;
	RlsFunction *functions;
	ExprContext *econtext;
	Oid user;                /* whose values these are, and whom the facts were confirmed for */
	uint64 identity;
	struct RlsCarrier *carrier;   /* of an execution: what it runs */
	EState *estate;
	ExecProcNodeMtd *guarded;     /* by plan_node_id: what a scan of a plan with facts does */
};

/* A run over a list of items (Node expressions, or List(Param, PlannedStmt)).  Lives in the current memory context. */
RlsRun *rls_make_run(List *items, int base, ParamListInfo outer);

/* The run whose parameters these are, or NULL. */
RlsRun *rls_run_of(ParamListInfo params);

/* Somebody else asks than those whose values these are.  Values are forgotten; where the plan was made with facts, it goes
 * on only if all is the same for them, and raises otherwise. */
void rls_identity_changed(RlsRun *run);
void rls_take_identity(RlsRun *run);
bool rls_is_of_others(const RlsRun *run);

/* The value of an item, evaluated on first use; may raise whatever its functions raise. */
ParamExternData *rls_item_value(RlsRun *run, int index);

/* Looks up what execution would look up at its start, so that a missing privilege shows as it does without us. */
void rls_check_permissions(RlsRun *run, int index);

/* Evaluates items in a subtransaction; where one raises, its flag in failed[] is set and the rest are still evaluated.
 * Must not be called in parallel mode. */
void rls_evaluate_guarded(RlsRun *run, const bool *wanted, bool *failed);

/* The carrier. */
struct RlsCarrier {
	List *items;             /* as above */
	List *facts;             /* of List(Integer item, Const value) */
	Query *original;         /* the query before it was changed; NULL where it is never planned anew */
	List *live;              /* of int: items that the plan itself still refers to */
	int base;
	int cursor_options;
	bool runs_code;          /* the plan calls what may change who asks */
	uint64 serial;           /* of the planning that made it, 0 where it evaluated nothing */
};

void rls_attach_carrier(PlannedStmt *stmt, const RlsCarrier *carrier);
bool rls_find_carrier(PlannedStmt *stmt, RlsCarrier *carrier);

/* Planning: see planner.cpp.  `fold` false gives a plan without facts. */
PlannedStmt *rls_plan(Query *query, const char *source, int cursor_options, ParamListInfo params, bool fold);

/* The last planning whose facts were evaluated, for an execution that follows at once under the same snapshot. */
struct RlsSnapshotMark {
	bool valid;
	TransactionId xmin, xmax, own_xid;
	CommandId curcid;
	uint32 lxid;
	uint32 xcnt;
	int32 subxcnt;
	bool suboverflowed;
	bool in_recovery;
	uint32 allocated;
	TransactionId *xids;     /* xip, then subxip */
};
void rls_mark_snapshot(RlsSnapshotMark *mark, Snapshot snapshot);
bool rls_snapshot_is_marked(const RlsSnapshotMark *mark, Snapshot snapshot);
bool rls_snapshot_shows_the_same(const RlsSnapshotMark *mark, Snapshot snapshot);

struct RlsLastPlanning {
	uint64 serial;
	uint64 activity;         /* as long as rls_activity is the same, nothing else was executed since */
	Oid user;                /* whom it was planned for */
	uint64 identity;
	RlsSnapshotMark mark;
};
extern RlsLastPlanning rls_last_planning;
extern uint64 rls_activity;
extern int rls_evaluation_depth;

/* Set while a query is explained: the executor leaves there what the query was started with. */
extern RlsCarrier *rls_explained;

/* Confirmation: see confirm.cpp. */

/* Whether every fact, and every item that was evaluated in `running`, has the same value under the active snapshot. */
bool rls_facts_hold(const RlsCarrier *carrier, ParamListInfo outer, const RlsRun *running = nullptr);

/* Raises unless the facts, and what was evaluated, are the same for whoever asks now. */
void rls_confirm_again(RlsRun *run);

/* Has each row of the plan's scans looked at for a change of who asks. */
void rls_guard_scans(RlsRun *run, PlanState *root);

void rls_init_explain(void);
void rls_init_executor(void);
void rls_init_planner(void);

/* Counters for mentalspace.rls_stats, of this backend. */
struct RlsStats {
	int64 queries_optimized;
	int64 calls_hoisted;
	int64 calls_saved;       /* a value was taken that a row would have had computed */
	int64 facts_folded;
	int64 executions_with_facts;
	int64 executions_replanned;
};
extern RlsStats rls_stats;
