/* The way of events into the partitions of mentalspace.audit_events; used by store.cpp. */
#pragma once

#include "audit/event.h"

/* Writes the events in their order, in the current transaction and with the numbers that the sequence gives.
 * Privileges, row level security, triggers and who the current user is play no part. */
void ms_audit_write_table(const AuditEvent *const *events, int count);

/* Whether that is being done: there is no second time within it. */
bool ms_audit_is_writing_table(void);

void ms_audit_store_table_init(void);

