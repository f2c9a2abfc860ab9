/* Waiting until the table has what a session did, and what SQL sees of the way there: see outlet.h. */
#include "pg/prelude.h"

#include "audit/outlet.h"
#include "audit/ring.h"
#include "audit/settings.h"
#include "audit/store.h"

extern "C" {
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "pgstat.h"
#include "utils/array.h"
}

/* If the server starts no worker for so many seconds, it will not. */
constexpr int kPatience = 10;

namespace {

void
raise_no_worker()
{
	ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("no background worker writes the audit events of this database"),
					errdetail("They are kept until one does."),
					errhint("Consider increasing max_worker_processes, and see the server log.")));
}

void
raise_worker_waits()
{
	ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("the background worker of the audit waits for a lock that this transaction holds"),
					errhint("Wait for the audit events after the end of the transaction.")));
}

/* A second has passed. */
void
late(RingPlace *place, int *absent)
{
	*absent = place->worker_pid == 0 ? *absent + 1 : 0;
	if (ms_ring_worker_waits_for_us(place))
		raise_worker_waits();
}

/* What this process left in the spool of a primary is taken over by the worker, too. */
void
wait_for_spool(RingPlace *place)
{
	const uint64 begun = pg_atomic_read_u64(&place->spool_rounds);
	const uint64 failures = pg_atomic_read_u64(&place->failures);
	int absent = 0;

	pg_atomic_write_u32(&place->spool_wanted, 1);
	ms_ring_wake(place);
	ConditionVariablePrepareToSleep(&place->moved);
	/* A round that begins from now on, and all of it. */
	while (pg_atomic_read_u64(&place->spool_rounds_done) <= begun) {
		if (ConditionVariableTimedSleep(&place->moved, 1000, PG_WAIT_EXTENSION))
			late(place, &absent);
		if (absent >= kPatience || !ms_ring_ensure_worker(place, absent == 4))
			raise_no_worker();
		if (pg_atomic_read_u64(&place->failures) > failures + 1)
			raise_no_worker();
	}
	ConditionVariableCancelSleep();
	audit_left.spooled = false;
}

}  // namespace

bool
ms_ring_worker_waits_for_us(const RingPlace *place)
{
	Datum *pids;
	int count;
	const int worker = place->worker_pid;

	if (worker == 0)
		return false;
	ArrayType *blockers = DatumGetArrayTypeP(DirectFunctionCall1(pg_blocking_pids, Int32GetDatum(worker)));
	deconstruct_array(blockers, INT4OID, sizeof(int32), true, TYPALIGN_INT, &pids, nullptr, &count);
	for (int i = 0; i < count; i++)
		if (DatumGetInt32(pids[i]) == MyProcPid)
			return true;
	return false;
}

void
ms_audit_note_workers(void)
{
	audit_left.by_workers = true;
}

void
ms_audit_wait(void)
{
	RingPlace *place = ms_ring_place();
	Ring *ring;
	int absent = 0;

	if (ms_ring_shared() == nullptr)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("no background worker writes the audit events of this database"),
						errdetail("What this session read is in the server log."),
						errhint("Add mentalspace to shared_preload_libraries and restart the server.")));
	if (RecoveryInProgress())
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("audit events of a standby reach the table through the primary"),
						errdetail("What this session read is in the spool or in the server log.")));
	if (place == nullptr) {
		if (audit_left.spooled)
			raise_no_worker();
		return;
	}
	ring = ms_ring();
	if (ring && audit_left.by_workers) {
		/* They have ended, and what others emitted meanwhile does no harm. */
		audit_left.last = pg_atomic_read_u64(&ring->header->head);
		audit_left.by_workers = false;
	}
	if (ring && audit_left.last > pg_atomic_read_u64(&ring->header->tail)) {
		const uint64 failures = pg_atomic_read_u64(&place->failures);

		if (!ms_ring_ensure_worker(place, false))
			raise_no_worker();
		ms_ring_wake(place);
		ConditionVariablePrepareToSleep(&place->moved);
		while (pg_atomic_read_u64(&ring->header->tail) < audit_left.last) {
			if (ConditionVariableTimedSleep(&place->moved, 1000, PG_WAIT_EXTENSION)) {
				late(place, &absent);
				ms_ring_wake(place);
			}
			if (absent >= kPatience || !ms_ring_ensure_worker(place, absent == 4))
				raise_no_worker();
			if (pg_atomic_read_u64(&place->failures) > failures + 1)
				ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
								errmsg("the audit events of this database cannot be written into the table"),
								errdetail("They are kept until they can."), errhint("See the server log.")));
		}
		ConditionVariableCancelSleep();
	}
	if (audit_left.spooled)
		wait_for_spool(place);
}

/* mentalspace.audit_flush() returns void. */
MS_FUNCTION(ms_audit_flush)
{
	(void) fcinfo;
	ms_audit_store_pending();
	ms_audit_wait();
	PG_RETURN_VOID();
}

/* mentalspace.audit_start_worker() returns void: makes the ring and starts the worker, for audit_table(). */
MS_FUNCTION(ms_audit_start_worker)
{
	(void) fcinfo;
	ms_audit_start();
	PG_RETURN_VOID();
}

static const char *
outlet_name()
{
	switch (ms_audit_outlet()) {
		case kOutletRing:
			/* More databases than have a ring leave their events in the spool, where they stay. */
			return ms_ring_place() == nullptr && ms_ring_places_taken() ? "spool" : "ring";
		case kOutletSpool:
			return "spool";
		case kOutletLog:
			break;
	}
	return "server log";
}

/* mentalspace.audit_outlet_name() returns text: ring, spool or server log. */
MS_FUNCTION(ms_audit_outlet_name)
{
	(void) fcinfo;
	PG_RETURN_TEXT_P(cstring_to_text(outlet_name()));
}

/* mentalspace.audit_status(): see src/sql/audit_status.sql. */
MS_FUNCTION(ms_audit_status)
{
	const RingShared *shared = ms_ring_shared();
	const RingPlace *place = ms_ring_place();
	Ring *ring = ms_ring();
	TupleDesc desc;
	Datum values[7] = {};
	bool nulls[7] = {};

	if (get_call_result_type(fcinfo, nullptr, &desc) != TYPEFUNC_COMPOSITE || desc->natts != (int) lengthof(values))
		elog(ERROR, "return type of audit_status() is not as it should be");
	values[0] = CStringGetTextDatum(outlet_name());
	nulls[1] = place == nullptr || place->worker_pid == 0;
	if (!nulls[1])
		values[1] = Int32GetDatum(place->worker_pid);
	nulls[2] = nulls[3] = nulls[5] = ring == nullptr;
	uint64 lost = shared ? pg_atomic_read_u64(const_cast<pg_atomic_uint64 *>(&shared->lost)) : 0;
	if (ring) {
		const uint64 tail = pg_atomic_read_u64(&ring->header->tail);

		values[2] = Int64GetDatum((int64) ring->size);
		values[3] = Int64GetDatum((int64) (pg_atomic_read_u64(&ring->header->head) - tail));
		values[5] = Int64GetDatum((int64) pg_atomic_read_u64(&ring->header->waits));
		lost += pg_atomic_read_u64(&ring->header->lost);
	}
	nulls[4] = shared == nullptr;
	values[4] = Int64GetDatum((int64) lost);
	values[6] = CStringGetTextDatum(audit_spool_directory);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}
