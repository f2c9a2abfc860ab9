/* Events as lines of JSON in files: on a standby, and where a ring takes nothing.
 *
 * A file belongs to one start of one server and one database: <system identifier>-<OID of the database>-<number of the
 * start>-<number of the file>.jsonl.  Processes that write to it hold a shared lock (flock) on it.  Lines are of three
 * kinds:
 *
 *     {"event": ID, columns of mentalspace.audit_events ...}
 *     {"event": ID, "state": "begun", columns ...}   a read that is about to begin, with outcome unknown
 *     {"event": ID, "state": "ended"}                it has ended: what it did is in other lines
 *
 * A read that has begun and not ended becomes an event when nobody writes to the file any more. */
#pragma once

#include "audit/event.h"

/* ---- spool.cpp: writing.  Nothing there raises an error, except for memory. */

/* False where it could not be written, with the reason in errno. */
bool ms_spool_event(const AuditEvent *event);
/* The number of what has begun for ms_spool_end(); 0 where it could not be written. */
int ms_spool_begin(const AuditEvent *event, bool to_disk);
void ms_spool_end(int handle);
/* At the start of the server: what has no room in the ring. */
void ms_spool_left_intent(Oid database, const AuditEvent *event);

/* ---- spool_ingest.cpp: taking over. */

/* Takes over what is new in a file, about `at_most` bytes of it (0: all, and nobody writes to it but who holds its
 * lock), in the current transaction.  Returns the number of events.  *rest: there is more to take.  *finished: all is
 * taken, and nobody writes to the file any more.  *size: up to where it is taken. */
int64 ms_spool_take(const char *path, int64 at_most, bool *rest, bool *finished, int64 *size);
/* Removes a file if it is as long as what was taken of it and nobody writes to it. */
void ms_spool_remove(const char *path, int64 size);
/* Whether the name is that of a spool file of this database. */
bool ms_spool_is_ours(const char *name);
/* Gives the current user the rights of the owner of mentalspace.audit_events and nothing more, until
 * ms_audit_become(). */
struct AuditUser {
	Oid user;
	int context;
};
AuditUser ms_audit_become_owner(void);
void ms_audit_become(AuditUser user);
