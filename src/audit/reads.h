/* Reads of audited relations, seen in the executor. */
#pragma once

#include "audit/event.h"

extern "C" {
#include "nodes/params.h"
#include "nodes/parsenodes.h"
}

/* While this is set, what the executor reads is an export (COPY TO, pg_dump). */
extern bool audit_exporting;

/* Marks in a query what policies read, so that it is not taken for the user's reading; calls the next planner.
 * (marks.cpp) */
void ms_audit_marks_init(void);

/* Puts functions in SQL into the query, at all its levels, as the planner would do it itself.  What the plan depends on
 * because of them is in the result: its invalItems and dependsOnRole.  (inlined.cpp) */
struct PlannerGlobal *ms_audit_inline_functions(Query *query, ParamListInfo params);

/* Whether a function is running that a policy called: what it reads is not the user's reading. */
extern int audit_policy_depth;

/* Whether reads are exports now: that, or the session is pg_dump's, which may fetch from cursors, too. */
bool ms_audit_is_export(void);

/* Whether ALTER TABLE itself is asking, or a function in C that it called. */
bool ms_audit_in_alter_table(void);

void ms_audit_reads_init(void);
