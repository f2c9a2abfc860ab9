/* From the ring into the table: see worker.h.
 *
 * The position that is reached is written in the transaction that writes the events, so that whatever stops the worker,
 * none is lost and none comes twice. */
#include "pg/prelude.h"

#include "audit/outlet.h"
#include "audit/spool.h"
#include "audit/store.h"
#include "audit/worker.h"

extern "C" {
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "pgstat.h"
#include "utils/snapmgr.h"
}

namespace {

constexpr int kRecords = 2000;
constexpr size_t kBytes = 1024 * 1024;
/* So often the same event must fail, while others do not, to be given up. */
constexpr int kAttempts = 3;

/* What one transaction writes. */
struct Batch {
	uint64 ring_id;
	const AuditEvent *events;
	int count;
	uint64 position;
};

void
progress_name(uint64 ring_id, char *name, size_t size)
{
	pg_snprintf(name, size, "ring %08x%08x", (uint32) (ring_id >> 32), (uint32) ring_id);
}

void
store_batch(void *argument)
{
	const Batch *batch = (const Batch *) argument;
	char name[64];
	Oid types[] = {TEXTOID, INT8OID};
	Datum values[2];

	if (batch->count > 0)
		ms_audit_store(batch->events, batch->count);
	progress_name(batch->ring_id, name, sizeof(name));
	values[0] = CStringGetTextDatum(name);
	values[1] = Int64GetDatum((int64) batch->position);
	if (SPI_execute_with_args("INSERT INTO mentalspace.audit_progress AS p (source, position) VALUES ($1, $2) "
							  "ON CONFLICT (source) DO UPDATE SET position = excluded.position, taken_at = pg_catalog.now()",
							  2, types, values, nullptr, false, 0) < 0)
		elog(ERROR, "could not write the progress of the audit");
}

/* An event like any other, to see whether the table takes one at all; goes with the transaction. */
void
try_table(void *argument)
{
	AuditEvent event = {};
	AuditWho who = {};

	(void) argument;
	who.session_user = "mentalspace";
	event.kind = kConfigurationChange;
	event.occurred_at = GetCurrentTimestamp();
	event.row_count = -1;
	event.who = &who;
	ms_audit_store(&event, 1);
	ereport(ERROR, (errcode(ERRCODE_SUCCESSFUL_COMPLETION), errmsg_internal("the table takes events")));
}

bool
table_works()
{
	ErrorData *error = nullptr;

	(void) ms_worker_try(try_table, nullptr, &error);
	const bool works = error && error->sqlerrcode == ERRCODE_SUCCESSFUL_COMPLETION;
	if (error)
		FreeErrorData(error);
	return works;
}

/* Errors that lie in the data: class 22, 23 and 54. */
bool
lies_in_event(int sqlstate)
{
	return ERRCODE_TO_CATEGORY(sqlstate) == ERRCODE_DATA_EXCEPTION ||
		ERRCODE_TO_CATEGORY(sqlstate) == ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION ||
		ERRCODE_TO_CATEGORY(sqlstate) == ERRCODE_PROGRAM_LIMIT_EXCEEDED;
}

/* Errors that pass: class 53, 57 and 58, such as a disk that is full.  Small events may go in where this one does not. */
bool
passes(int sqlstate)
{
	return ERRCODE_TO_CATEGORY(sqlstate) == ERRCODE_INSUFFICIENT_RESOURCES ||
		ERRCODE_TO_CATEGORY(sqlstate) == ERRCODE_OPERATOR_INTERVENTION || ERRCODE_TO_CATEGORY(sqlstate) == ERRCODE_SYSTEM_ERROR;
}

void
give_up(Ring *ring, const AuditEvent *event, const ErrorData *error)
{
	StringInfoData json;

	initStringInfo(&json);
	ms_audit_to_json(event, &json);
	pg_atomic_fetch_add_u64(&ring->header->lost, 1);
	ereport(WARNING, (errcode(ERRCODE_DATA_EXCEPTION),
					  errmsg("an audit event cannot be written into the table: %s", error->message),
					  errdetail_internal("%s", json.data), errhidestmt(true), errhidecontext(true)));
	pfree(json.data);
}

/* What is in the table: nobody needs it any more. */
void
move_tail(Ring *ring, RingPlace *place, uint64 position)
{
	pg_atomic_write_u64(&ring->header->tail, position);
	ConditionVariableBroadcast(&place->moved);
}

/* A batch failed: each event by itself, so that one that always fails does not keep the others. */
bool
store_one_by_one(Ring *ring, RingPlace *place, const AuditEvent *events, const uint64 *ends, int count,
				 uint64 *position)
{
	/* Of the event at this position. */
	static uint64 failing = 0;
	static int attempts = 0;

	for (int i = 0; i < count; i++) {
		ErrorData *error = nullptr;
		Batch batch = {ring->header->ring_id, &events[i], 1, ends[i]};

		if (!ms_worker_try(store_batch, &batch, &error)) {
			attempts = failing == ends[i] ? attempts + 1 : 1;
			failing = ends[i];
			if (passes(error->sqlerrcode) || !table_works() || (attempts < kAttempts && !lies_in_event(error->sqlerrcode))) {
				ereport(LOG, (errcode(error->sqlerrcode),
							  errmsg("audit events cannot be written into the table at present: %s", error->message)));
				FreeErrorData(error);
				return i > 0;
			}
			give_up(ring, &events[i], error);
			FreeErrorData(error);
			batch.count = 0;
			if (!ms_worker_try(store_batch, &batch, nullptr))
				return i > 0;
		}
		*position = ends[i];
		move_tail(ring, place, *position);
		CHECK_FOR_INTERRUPTS();
	}
	return true;
}

}  // namespace

bool
ms_worker_try(void (*work)(void *), void *argument, ErrorData **error)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool done = false;

	PG_TRY();
	{
		SetCurrentStatementStartTimestamp();
		StartTransactionCommand();
		PushActiveSnapshot(GetTransactionSnapshot());
		SPI_connect();
		AuditUser before = ms_audit_become_owner();
		work(argument);
		ms_audit_become(before);
		SPI_finish();
		PopActiveSnapshot();
		CommitTransactionCommand();
		done = true;
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		ErrorData *caught = CopyErrorData();

		FlushErrorState();
		AbortCurrentTransaction();
		MemoryContextSwitchTo(context);
		if (error)
			*error = caught;
		else {
			ereport(LOG, (errcode(caught->sqlerrcode), errmsg("%s", caught->message),
						  errcontext("background worker of the mentalspace audit")));
			FreeErrorData(caught);
		}
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	pgstat_report_stat(true);
	return done;
}

/* Where the worker of an earlier time was, by the numbers that the ring had. */
struct Start {
	const Ring *ring;
	uint64 position;
};

static bool
read_progress(uint64 ring_id, uint64 *position)
{
	char name[64];
	Oid types[] = {TEXTOID};
	Datum value;
	bool null;

	progress_name(ring_id, name, sizeof(name));
	value = CStringGetTextDatum(name);
	if (SPI_execute_with_args("SELECT position FROM mentalspace.audit_progress WHERE source = $1", 1, types, &value,
							  nullptr, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read the progress of the audit");
	if (SPI_processed == 0)
		return false;
	*position = (uint64) DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null));
	return true;
}

static void
find_start(void *argument)
{
	Start *start = (Start *) argument;
	const RingHeader *header = start->ring->header;
	uint64 taken;

	for (uint32 i = 0; i < header->origin_count && i < kRingOrigins; i++)
		if (header->origins[i].end > start->position && read_progress(header->origins[i].id, &taken)) {
			taken = taken < header->origins[i].end ? taken : header->origins[i].end;
			start->position = taken > start->position ? taken : start->position;
		}
	if (read_progress(header->ring_id, &taken) && taken > start->position)
		start->position = taken;
}

bool
ms_worker_find_start(Ring *ring, uint64 *position)
{
	Start start = {ring, pg_atomic_read_u64(&ring->header->tail)};

	if (!ms_worker_try(find_start, &start, nullptr))
		return false;
	*position = start.position;
	pg_atomic_write_u64(&ring->header->tail, start.position);
	return true;
}

bool
ms_worker_take_batch(Ring *ring, RingPlace *place, uint64 *position, bool *failed)
{
	static MemoryContext context;
	const uint64 head = pg_atomic_read_u64(&ring->header->head);
	uint64 next = *position, torn = 0;
	size_t total = 0;
	int count = 0;
	StringInfoData record;
	bool done;

	*failed = false;
	if (next >= head)
		return false;
	pg_read_barrier();
	if (context == nullptr)
		context = AllocSetContextCreate(TopMemoryContext, "mentalspace audit batch", ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(context);
	MemoryContext old = MemoryContextSwitchTo(context);
	AuditEvent *events = (AuditEvent *) palloc(kRecords * sizeof(AuditEvent));
	AuditWho *whos = (AuditWho *) palloc(kRecords * sizeof(AuditWho));
	uint64 *ends = (uint64 *) palloc(kRecords * sizeof(uint64));

	initStringInfo(&record);
	while (count < kRecords && total < kBytes && ms_ring_next(ring, &next, head, &record, &torn)) {
		char *copy = (char *) palloc((size_t) record.len);

		memcpy(copy, record.data, (size_t) record.len);
		total += (size_t) record.len;
		if (ms_audit_decode(copy, (size_t) record.len, &events[count], &whos[count]))
			ends[count++] = next;
		else
			torn++;
	}
	if (torn > 0) {
		pg_atomic_fetch_add_u64(&ring->header->lost, (int64) torn);
		ereport(WARNING, (errcode(ERRCODE_DATA_CORRUPTED),
						  errmsg("the audit ring of this database is damaged in " UINT64_FORMAT " places: events are lost", torn)));
	}
	/* What is damaged at the end is passed with the last event. */
	if (count > 0)
		ends[count - 1] = next;

	AuditEvent *merged = (AuditEvent *) palloc(kRecords * sizeof(AuditEvent));
	memcpy(merged, events, (size_t) count * sizeof(AuditEvent));
	Batch batch = {ring->header->ring_id, merged, ms_worker_merge(merged, count), next};
	ErrorData *error = nullptr;

	pgstat_report_activity(STATE_RUNNING, "writing audit events");
	done = ms_worker_try(store_batch, &batch, &error);
	if (done) {
		*position = next;
		move_tail(ring, place, next);
	} else {
		FreeErrorData(error);
		done = store_one_by_one(ring, place, events, ends, count, position);
		*failed = !done;
	}
	pgstat_report_activity(STATE_IDLE, nullptr);
	MemoryContextSwitchTo(old);
	return done;
}
