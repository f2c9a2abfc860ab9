/* What LockRows and ModifyTable read again because another transaction changed a row (EvalPlanQual). */
#pragma once

#include "pg/prelude.h"

extern "C" {
#include "nodes/execnodes.h"
}

/* What is run again is counted for the execution that it belongs to.  `targets`: members of the range table that the event
 * of a write tells of. */
void ms_audit_watch_recheck(EPQState *epq, List *targets);
