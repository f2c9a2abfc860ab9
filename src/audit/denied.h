/* Refused access: what failed with insufficient_privilege (42501). */
#pragma once

#include "audit/relations.h"

/* Something new begins to be executed: errors from here on are others than those before. */
void ms_audit_denied_forget(void);

/* For a PG_CATCH: records the error that was caught if it is a refusal and was not recorded yet, and raises it again.
 * `relation` may be NULL; `context` is where the caller works. */
[[noreturn]] void ms_audit_denied_rethrow(MemoryContext context, AuditAction action, const AuditRelation *relation);
