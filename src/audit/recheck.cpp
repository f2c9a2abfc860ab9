/* Rows that another transaction changed meanwhile.
 *
 * LockRows and ModifyTable then take the row's new version and run the plan below them again for it alone, in a copy of
 * the plan (EvalPlanQual) that is made when it is first needed.  No hook tells of that.  So the plan that it is made from
 * stands below a node of ours, which follows the copy as the original was followed (lineage.h) before its first row. */
#include "pg/prelude.h"

#include "audit/capture.h"
#include "audit/recheck.h"

extern "C" {
#include "executor/executor.h"
#include "nodes/extensible.h"
}

struct RecheckPlan {
	CustomScan scan;
	EPQState *epq;
	Plan *plan;              /* the one that is run again */
	List *targets;           /* the event of the write tells of these */
};

static AuditCapture *
capture_of(EState *estate)
{
	AuditCapture *capture;

	while ((capture = ms_audit_capture_of(estate)) == nullptr && estate->es_epq_active != nullptr)
		estate = estate->es_epq_active->parentestate;
	return capture;
}

static void
drop_targets(AuditItem *items, const List *targets)
{
	for (AuditItem *item = items; item != nullptr; item = item->next)
		item->dropped |= list_member_int(targets, (int) item->rti);
}

static void
begin(CustomScanState *node, EState *estate, int eflags)
{
	const RecheckPlan *plan = (const RecheckPlan *) node->ss.ps.plan;
	AuditCapture *capture = capture_of(plan->epq->parentestate);
	AuditLineage lineage = {};

	outerPlanState(node) = ExecInitNode(plan->plan, estate, eflags);
	if (capture == nullptr)
		return;
	AuditItem *top = ms_audit_trace(&lineage, estate, outerPlanState(node));
	ms_audit_settle(&lineage, top, outerPlanState(node));
	drop_targets(lineage.settled, plan->targets);
	ms_audit_capture_extend(capture, estate, lineage.settled);
}

static TupleTableSlot *
next(CustomScanState *node)
{
	return ExecProcNode(outerPlanState(node));
}

static void
rescan(CustomScanState *node)
{
	if (outerPlanState(node)->chgParam == nullptr)
		ExecReScan(outerPlanState(node));
}

static void
end(CustomScanState *node)
{
	ExecEndNode(outerPlanState(node));
}

static const CustomExecMethods kExecMethods = {
	.CustomName = "mentalspace recheck",
	.BeginCustomScan = begin,
	.ExecCustomScan = next,
	.EndCustomScan = end,
	.ReScanCustomScan = rescan,
	.MarkPosCustomScan = nullptr,
	.RestrPosCustomScan = nullptr,
	.EstimateDSMCustomScan = nullptr,
	.InitializeDSMCustomScan = nullptr,
	.ReInitializeDSMCustomScan = nullptr,
	.InitializeWorkerCustomScan = nullptr,
	.ShutdownCustomScan = nullptr,
	.ExplainCustomScan = nullptr,
};

static Node *
make_state(CustomScan *)
{
	CustomScanState *state = makeNode(CustomScanState);

	state->methods = &kExecMethods;
	return (Node *) state;
}

static const CustomScanMethods kScanMethods = {"mentalspace recheck", make_state};

void
ms_audit_watch_recheck(EPQState *epq, List *targets)
{
	Plan *plan = epq->plan;

	if (plan == nullptr || (IsA(plan, CustomScan) && ((CustomScan *) plan)->methods == &kScanMethods))
		return;
	RecheckPlan *recheck = (RecheckPlan *) palloc0(sizeof(RecheckPlan));

	NodeSetTag(recheck, T_CustomScan);
	/* What must be known beforehand for the plan to run. */
	recheck->scan.scan.plan.extParam = plan->extParam;
	recheck->scan.scan.plan.allParam = plan->allParam;
	recheck->scan.methods = &kScanMethods;
	recheck->epq = epq;
	recheck->plan = plan;
	recheck->targets = targets;
	epq->plan = &recheck->scan.scan.plan;
}
