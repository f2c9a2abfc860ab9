/* Who acts: the identity, the roles and the request, as every event of this transaction names them. */
#pragma once

#include "audit/event.h"

/* Of now; the user is the one that the statement of the client began with.  Raises nothing for what claims, headers or names hold; what cannot be read is left out.  Cheap while nothing
 * changed.  Where the transaction was aborted it is the last one that was asked for.  Valid until the next call. */
const AuditWho *ms_audit_who(void);

/* A statement of the client begins: whoever it is now is whom its rows are sent to. */
void ms_audit_who_begin(void);

/* As long as this is the same, everything that ms_audit_who() has returned is valid. */
extern uint64 audit_who_generation;

/* A copy that lasts as long as the memory context. */
AuditWho *ms_audit_who_copy(const AuditWho *who, MemoryContext context);

/* In a parallel worker: what its leader published is who acts, until `who` is NULL again. */
void ms_audit_who_override(const AuditWho *who);

/* The statement of the client that is being executed: number in its transaction, fingerprint.  Kept by the hooks of
 * statement.cpp. */
int32 ms_audit_statement_no(void);
int64 ms_audit_fingerprint(void);
/* Unique in the server for as long as it runs. */
uint64 ms_audit_statement_id(void);

/* How deep planner, executor and utility commands are nested: 0 outside, 1 in a statement of the client's itself. */
int ms_audit_depth(void);

/* Fills kind and action as given, outcome success, severity info, the time, the transaction, the statement and who. */
void ms_audit_event_init(AuditEvent *event, AuditKind kind, AuditAction action);

void ms_audit_context_init(void);
