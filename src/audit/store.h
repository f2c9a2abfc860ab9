/* Writes events into mentalspace.audit_events, in the current transaction. */
#pragma once

#include "audit/event.h"

/* The event becomes part of the transaction that it tells of: it is kept by this backend until the statement's end, at
 * most until the commit, and goes with a (sub)transaction that is rolled back.  Copies what it points to. */
void ms_audit_record(const AuditEvent *event);

/* Writes now what ms_audit_record() kept. */
void ms_audit_store_pending(void);

/* Writes events at once, with the numbers that the sequence gives: for the worker and for audit_ingest(). */
void ms_audit_store(const AuditEvent *events, int count);

void ms_audit_store_init(void);
