/* Parallel workers: what the leader is executing, and where rows are counted below its Gather nodes. */
#pragma once

#include "audit/capture.h"

/* In the leader, before workers are started: tells them what is being executed.  `capture` may be NULL: functions that
 * workers call may read, too. */
void ms_audit_publish(AuditCapture *capture);

/* In a worker, at the start of its part of the plan: takes over who acts and marks what is a policy's own.  False where
 * the leader left no word. */
bool ms_audit_adopt(List *range_table);

/* Of what a worker found in its part of the plan, counts what the leader counts there, and as it does. */
void ms_audit_agree(AuditLineage *lineage, AuditItem *top, PlanState *root);

void ms_audit_parallel_init(void);
