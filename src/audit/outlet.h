/* The way out of the transaction for what no rollback may undo: reads, denials, logins.
 *
 *   ring         in shared memory and on disk at once; the worker writes it into mentalspace.audit_events
 *   spool        JSON lines in a file: on a standby, and where the ring takes nothing any more
 *   server log   where the library was not preloaded with the server, or by mentalspace.audit_standby = log */
#pragma once

#include "audit/event.h"

enum AuditOutlet { kOutletRing, kOutletSpool, kOutletLog };

/* Which one is in use for this backend now. */
AuditOutlet ms_audit_outlet(void);

/* Whether there is anybody to emit to: the library is preloaded and the database has a ring, or it has audited
 * relations. */
bool ms_audit_is_on(void);

/* Lets an event leave.  With `may_raise`, where the ring is full it waits, which can be cancelled, or raises 53400, as
 * mentalspace.audit_ring_full says; when it raises, the event has left nonetheless, into the spool, and is not to be
 * emitted again.  Without `may_raise` nothing is raised: for use while a transaction is aborted; what finds no room
 * goes to the spool.  Where that fails, too, the event is counted as lost, with a WARNING, and is in the server log. */
void ms_audit_emit(const AuditEvent *event, bool may_raise);

/* Before the first row of a read: `event` (kind, relation, who) is durable when this returns, as
 * mentalspace.audit_durability says.  Returns a handle for ms_audit_intent_done(), which must be called whatever
 * happens; 0 where none is needed.  If the server stops in between, an event with outcome unknown is written at its
 * next start. */
int ms_audit_intent(const AuditEvent *event);
void ms_audit_intent_done(int handle);

/* Parallel workers of this backend are about to emit, too: for ms_audit_wait() that is this backend's. */
void ms_audit_note_workers(void);

/* Waits until all that this backend has emitted is in the table.  55000 where no worker does it. */
void ms_audit_wait(void);

/* Makes the ring of this database and starts its worker, if the server has the library preloaded; at the first
 * audit_table(). */
void ms_audit_start(void);

void ms_audit_outlet_init(void);
