/* Rows that a statement looks at and does not put out, where something of them can get out all the same. */
#pragma once

#include "audit/capture.h"

extern "C" {
#include "nodes/execnodes.h"
}

struct AuditLeakyQual;

/* Finds what can carry values out: functions that are volatile, and those that the reader could have written.  Fills
 * lineage->leaky_rows, leaky_quals. */
void ms_audit_find_leaks(AuditLineage *lineage, EState *estate, PlanState *root);

/* Whether there is such in an expression that is given columns. */
bool ms_audit_leaks(Node *expression);

/* Items of a node that was followed, whose rows are seen by such: they are counted there, too.  `before`: what was settled
 * before that. */
void ms_audit_settle_leaks(AuditLineage *lineage, AuditItem *items, const AuditItem *before, PlanState *node);

/* When all is settled: what is named at a node is not counted there without names as well. */
void ms_audit_name_leaks(AuditLineage *lineage);

/* The rows that come to such a condition of a scan, or to that of ON CONFLICT, are counted for this item. */
void ms_audit_watch_qual(AuditLineage *lineage, ExprState **qual, List *clauses, PlanState *node, const AuditItem *item);

/* From now on, for this execution. */
void ms_audit_bind_quals(AuditCapture *capture, const AuditLineage *lineage);

/* In a PG_CATCH: the rows at which the scans of the execution stand are recorded; the error is raised again. */
[[noreturn]] void ms_audit_rethrow_with_rows(AuditCapture *capture);
