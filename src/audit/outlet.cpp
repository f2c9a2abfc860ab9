/* The way out of the transaction: see outlet.h. */
#include "pg/prelude.h"

#include "audit/context.h"
#include "audit/outlet.h"
#include "audit/relations.h"
#include "audit/ring.h"
#include "audit/settings.h"
#include "audit/spool.h"

extern "C" {
#include "access/xlog.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "storage/proc.h"
}

AuditLeft audit_left;

namespace {

/* If the server starts no worker for so long, it will not. */
constexpr int kPatience = 10;

StringInfoData bytes;                  /* of the event that is being handed over */
uint64 not_flushed = 0;                /* beginning of what it has not flushed yet */
bool any_not_flushed = false;
RingIntent *my_intents = nullptr;
int open_intents = 0;
bool start_failed = false;

void
encode(const AuditEvent *event)
{
	if (bytes.data == nullptr || bytes.maxlen > 1024 * 1024) {
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		if (bytes.data)
			pfree(bytes.data);
		initStringInfo(&bytes);
		MemoryContextSwitchTo(old);
	}
	resetStringInfo(&bytes);
	ms_audit_encode(event, &bytes);
}

void
to_log(const AuditEvent *event)
{
	StringInfoData json;

	initStringInfo(&json);
	ms_audit_to_json(event, &json);
	ereport(LOG_SERVER_ONLY, (errmsg_internal("mentalspace audit: %s", json.data), errhidestmt(true),
							  errhidecontext(true)));
	pfree(json.data);
}

void
lose(const AuditEvent *event, const char *why)
{
	ms_ring_count_lost(1);
	to_log(event);
	ereport(WARNING, (errcode(ERRCODE_IO_ERROR), errmsg("an audit event could not be recorded: %s", why),
					  errdetail("It is in the server log.")));
}

void
to_spool(const AuditEvent *event)
{
	if (ms_spool_event(event))
		audit_left.spooled = true;
	else {
		const int error = errno;
		char reason[256];

		pg_snprintf(reason, sizeof(reason), "%s", pg_strerror(error));
		lose(event, reason);
	}
}

/* The ring of this database, made now if it has none. */
Ring *
ring_now()
{
	Ring *ring = ms_ring();

	if (ring == nullptr && ms_ring_place() == nullptr && !start_failed) {
		const char *problem, *hint;
		RingPlace *place = ms_ring_take_place(&problem, &hint);

		if (place) {
			(void) ms_ring_ensure_worker(place, false);
			ring = ms_ring();
		} else {
			/* Not again and again in the same session: the spool takes its place. */
			start_failed = true;
			if (problem)
				ereport(LOG, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED), errmsg("could not make the audit ring: %s", problem)));
			else
				ereport(LOG, (errcode_for_file_access(), errmsg("could not make the audit ring: %m")));
		}
	}
	return ring;
}

/* Puts `bytes` into the ring.  False where it has no room. */
bool
put(Ring *ring, RingPlace *place)
{
	bool done;
	uint64 before, after, tail;

	LWLockAcquire(place->lock, LW_EXCLUSIVE);
	before = pg_atomic_read_u64(&ring->header->head);
	done = ms_ring_put(ring, bytes.data, (uint32) bytes.len);
	after = pg_atomic_read_u64(&ring->header->head);
	LWLockRelease(place->lock);
	if (!done)
		return false;
	audit_left.last = after;
	if (!any_not_flushed)
		not_flushed = before;
	any_not_flushed = true;
	tail = pg_atomic_read_u64(&ring->header->tail);
	if (before < tail + ring->size / 2 && after >= tail + ring->size / 2) {
		(void) ms_ring_ensure_worker(place, false);
		ms_ring_wake(place);
	}
	return true;
}

/* mentalspace.audit_durability = machine: what this process has put into the ring survives a power failure. */
void
flush(Ring *ring)
{
	if (!any_not_flushed)
		return;
	any_not_flushed = false;
	if (pg_atomic_read_u64(&ring->header->tail) >= audit_left.last)
		return;
	if (!ms_ring_flush(ring, not_flushed, audit_left.last))
		ereport(WARNING, (errcode_for_file_access(), errmsg("could not flush the audit ring: %m")));
}

/* Waits until there may be room.  False if there is no use in it. */
bool
wait_for_room(Ring *ring, RingPlace *place, const AuditEvent *event, int *absent)
{
	pg_atomic_fetch_add_u64(&ring->header->waits, 1);
	(void) ms_ring_ensure_worker(place, *absent == 4);
	ms_ring_wake(place);
	PG_TRY();
	{
		if (ConditionVariableTimedSleep(&place->moved, 1000, PG_WAIT_EXTENSION))
			*absent = ms_ring_worker_waits_for_us(place) ? kPatience : place->worker_pid == 0 ? *absent + 1 : 0;
	}
	PG_CATCH();
	{
		/* Cancelled: what was read was read. */
		to_spool(event);
		PG_RE_THROW();
	}
	PG_END_TRY();
	return *absent < kPatience;
}

void
emit_to_ring(const AuditEvent *event, bool may_raise)
{
	Ring *ring = ring_now();
	RingPlace *place = ms_ring_place();
	bool done;
	int absent = 0;

	if (ring == nullptr || place == nullptr) {
		to_spool(event);
		return;
	}
	encode(event);
	if (ms_ring_record_size((uint32) bytes.len) > ring->size / 4) {
		/* In two halves, as long as there are several patients. */
		AuditEvent half = *event;
		const char *at = event->patients.data;

		if (at == nullptr || event->patients.count < 2) {
			to_spool(event);
			return;
		}
		half.patients.count = event->patients.count / 2;
		for (uint32 i = 0; i < half.patients.count; i++) {
			uint32 length;

			memcpy(&length, at, sizeof(length));
			at += sizeof(length) + length;
		}
		half.patients.bytes = (uint32) (at - event->patients.data);
		emit_to_ring(&half, may_raise);
		half.row_count = half.row_count > 0 ? 0 : half.row_count;
		half.patients = {event->patients.count - half.patients.count, event->patients.bytes - half.patients.bytes, at};
		emit_to_ring(&half, may_raise);
		return;
	}
	done = put(ring, place);
	if (!done && may_raise && audit_ring_full == kRingFullFail) {
		/* What was read was read. */
		to_spool(event);
		ereport(ERROR, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED), errmsg("the audit ring of this database is full"),
						errdetail("What was read until now is recorded."),
						errhint("See mentalspace.audit_ring_full and mentalspace.audit_ring_size, and the server log for "
								"what keeps the worker.")));
	}
	if (!done && may_raise && INTERRUPTS_CAN_BE_PROCESSED()) {
		ConditionVariablePrepareToSleep(&place->moved);
		while (!(done = put(ring, place)) && wait_for_room(ring, place, event, &absent)) {
			/* The bytes are encoded anew: the sleep may have handed over something else. */
			encode(event);
		}
		ConditionVariableCancelSleep();
	}
	if (!done)
		to_spool(event);
	else if (audit_durability == kDurableMachine && open_intents == 0)
		flush(ring);
}

void
emit(const AuditEvent *event, bool may_raise)
{
	switch (ms_audit_outlet()) {
		case kOutletRing:
			emit_to_ring(event, may_raise);
			break;
		case kOutletSpool:
			to_spool(event);
			break;
		case kOutletLog:
			to_log(event);
			break;
	}
}

/* What this process, or the one that had its number before it, has left. */
void
resolve_intents(Ring *ring, RingPlace *place)
{
	for (int i = 0; i < kIntentsPerProcess; i++) {
		RingIntent *intent = &my_intents[i];
		const uint32 length = pg_atomic_read_u32(&intent->length);
		AuditEvent event;
		AuditWho who;

		if (length == 0)
			continue;
		if (length <= sizeof(intent->bytes) && ms_audit_decode(intent->bytes, length, &event, &who)) {
			encode(&event);
			if (!put(ring, place))
				to_spool(&event);
		} else {
			ms_ring_count_lost(1);
		}
		pg_atomic_write_u32(&intent->length, 0);
	}
}

void
at_exit(int code, Datum arg)
{
	(void) code;
	(void) arg;
	if (my_intents && open_intents > 0)
		resolve_intents(ms_ring(), ms_ring_place());
}

/* This process's places in the ring for reads that have begun; NULL where it has none. */
RingIntent *
intents_now(Ring *ring)
{
	if (my_intents == nullptr) {
		const int number = ms_proc_number();

		if (number < 0 || (uint32) number >= ring->header->processes)
			return nullptr;
		my_intents = ring->intents + (size_t) number * kIntentsPerProcess;
		resolve_intents(ring, ms_ring_place());
		/* After the transaction was aborted, which ends reads properly. */
		on_shmem_exit(at_exit, (Datum) 0);
	}
	return my_intents;
}

int
begin_in_ring(Ring *ring, const AuditEvent *event)
{
	RingIntent *intents = intents_now(ring);
	AuditEvent shorter = *event;
	AuditWho who;

	encode(event);
	if (bytes.len > (int) sizeof(intents->bytes)) {
		/* What a client can make long at will. */
		who = *event->who;
		who.encoded = nullptr;
		who.user_agent = who.request_id = who.roles = nullptr;
		shorter.who = &who;
		shorter.detail = nullptr;
		encode(&shorter);
	}
	for (int i = 0; intents && i < kIntentsPerProcess && bytes.len <= (int) sizeof(intents->bytes); i++) {
		RingIntent *intent = &intents[i];

		if (pg_atomic_read_u32(&intent->length) != 0)
			continue;
		memcpy(intent->bytes, bytes.data, (size_t) bytes.len);
		pg_write_barrier();
		pg_atomic_write_u32(&intent->length, (uint32) bytes.len);
		open_intents++;
		if (audit_durability == kDurableMachine && !ms_ring_flush_intent(intent))
			ereport(WARNING, (errcode_for_file_access(), errmsg("could not flush the audit ring: %m")));
		return i + 1;
	}
	return 0;
}

}  // namespace

AuditOutlet
ms_audit_outlet(void)
{
	if (ms_ring_shared() == nullptr || !OidIsValid(MyDatabaseId))
		return kOutletLog;
	if (RecoveryInProgress())
		return audit_standby == kStandbyLog ? kOutletLog : kOutletSpool;
	return kOutletRing;
}

bool
ms_audit_is_on(void)
{
	return ms_ring_place() != nullptr || ms_audit_any();
}

void
ms_audit_emit(const AuditEvent *event, bool may_raise)
{
	MemoryContext context = CurrentMemoryContext;

	if (may_raise) {
		emit(event, true);
		return;
	}
	PG_TRY();
	{
		emit(event, false);
	}
	PG_CATCH();
	{
		/* Out of memory, in all likelihood. */
		MemoryContextSwitchTo(context);
		FlushErrorState();
		ms_ring_count_lost(1);
		ereport(WARNING, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("an audit event could not be recorded")));
	}
	PG_END_TRY();
}

int
ms_audit_intent(const AuditEvent *event)
{
	AuditEvent unknown = *event;

	unknown.outcome = kUnknown;
	switch (ms_audit_outlet()) {
		case kOutletLog:
			return 0;
		case kOutletRing:
			if (Ring *ring = ring_now()) {
				const int handle = begin_in_ring(ring, &unknown);

				if (handle != 0)
					return handle;
			}
			break;
		case kOutletSpool:
			break;
	}
	/* On a standby, or where all places are taken. */
	const int handle = ms_spool_begin(&unknown, audit_durability == kDurableMachine);
	if (handle == 0) {
		const int error = errno;

		ereport(ERROR, (errcode(ERRCODE_IO_ERROR),
						errmsg("could not record that audited data is about to be read: %s", pg_strerror(error)),
						errhint("The spool is the directory mentalspace.audit_spool_directory.")));
	}
	return kIntentsPerProcess + handle;
}

void
ms_audit_intent_done(int handle)
{
	if (handle > kIntentsPerProcess) {
		ms_spool_end(handle - kIntentsPerProcess);
	} else if (handle > 0 && my_intents) {
		/* On disk, the end of the intent must not come before what the read did. */
		if (audit_durability == kDurableMachine && ms_ring())
			flush(ms_ring());
		pg_atomic_write_u32(&my_intents[handle - 1].length, 0);
		open_intents--;
	}
}

void
ms_audit_start(void)
{
	const char *problem, *hint;
	RingPlace *place;

	if (ms_ring_shared() == nullptr || RecoveryInProgress())
		return;
	place = ms_ring_take_place(&problem, &hint);
	if (place == nullptr) {
		if (problem)
			ereport(ERROR, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
							errmsg("could not make the audit ring of this database: %s", problem), hint ? errhint("%s", hint) : 0));
		else
			ereport(ERROR, (errcode_for_file_access(), errmsg("could not make the audit ring of this database: %m"),
							hint ? errhint("%s", hint) : 0));
	}
	start_failed = false;
	if (!ms_ring_ensure_worker(place, false))
		ereport(WARNING, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
						  errmsg("no background worker is free for the audit of this database"),
						  errdetail("Reads are recorded in the ring until there is one."),
						  errhint("Consider increasing max_worker_processes.")));
}

void
ms_audit_outlet_init(void)
{
	ms_ring_init();
}
