/* The background worker of the audit: one for each database that has a ring.  worker.cpp keeps it alive,
 * worker_store.cpp writes what it takes from the ring, spool_ingest.cpp what it takes from the spool. */
#pragma once

#include "audit/ring.h"

/* Where the worker is in the ring: behind what the table says that was taken over.  In no transaction. */
bool ms_worker_find_start(Ring *ring, uint64 *position);

/* Takes one batch of records over into the table and moves the tail.  False where nothing was done; *failed: because
 * the table takes nothing.  In no transaction. */
bool ms_worker_take_batch(Ring *ring, RingPlace *place, uint64 *position, bool *failed);

/* Events of one statement that were found together become one. */
int ms_worker_merge(AuditEvent *events, int count);

/* Runs `work` in a transaction with the rights of the owner of the audit tables.  False where it raised an error, which
 * is in the server log then, or in *error if that is asked for. */
bool ms_worker_try(void (*work)(void *), void *argument, ErrorData **error);
