/* Counting rows at nodes of the plan, and handing over what was seen. */
#include "pg/prelude.h"

#include "audit/capture.h"
#include "audit/context.h"
#include "audit/outlet.h"
#include "audit/reads.h"
#include "audit/settings.h"

extern "C" {
#include "access/genam.h"
#include "access/relscan.h"
#include "access/tableam.h"
#include "executor/executor.h"
#include "lib/binaryheap.h"
}

/* Patients that are handed over at a time. */
static const uint32 kPartSize = 512;

static AuditCapture *captures = nullptr;
static AuditTap *buckets[256];
static uint64 row_serial = 0;
static const AuditEvent *leader = nullptr;

static inline AuditTap **
bucket_of(const PlanState *node)
{
	uint64 bits = (uint64) (uintptr_t) node;

	return &buckets[((bits >> 4) ^ (bits >> 12)) & 255];
}

/* ---- handing over ---- */

static void
fill_event(const AuditCapture *capture, const AuditReading *reading, AuditEvent *event)
{
	const AuditRelation *audited = reading->audited;

	ms_audit_event_init(event, capture->exporting ? kExport : kPhiAccess, kRead);
	event->statement_id = ms_audit_statement_id();
	if (leader != nullptr) {
		event->statement_id = leader->statement_id;
		event->statement_no = leader->statement_no;
		event->fingerprint = leader->fingerprint;
		event->kind = leader->kind;
	}
	event->category = audited->category;
	event->relation = audited->name;
	if (audited->broken || audited->category == kPsychotherapyNote)
		event->severity = kCritical;
}

/* The event as the run began, made anew where whom it names is not known any more. */
static void
begin_event(const AuditCapture *capture, AuditReading *reading)
{
	fill_event(capture, reading, &reading->event);
	reading->event_generation = audit_who_generation;
}

static void
hand_over(AuditCapture *capture, AuditReading *reading, bool failed)
{
	if (reading->rows == 0 && reading->pending == 0)
		return;
	if (unlikely(reading->event_generation != audit_who_generation || reading->event.who == nullptr))
		begin_event(capture, reading);
	AuditEvent event = reading->event;

	event.transaction_id = U64FromFullTransactionId(GetTopFullTransactionIdIfAny());
	event.row_count = reading->rows;
	event.precision = reading->mode == kAtTop && capture->to_client && (reading->in_row || !capture->rechecked)
		? kDelivered : kExamined;
	/* What is sent by way of a tuplestore is sent when all of it is there. */
	if (capture->to_store && (failed || reading->handed_over || reading->pending >= kPartSize))
		event.precision = kExamined;
	if (event.severity == kInfo && (reading->patients > audit_bulk_patients || reading->unknown))
		event.severity = kWarning;
	if (failed)
		event.outcome = kFailure;
	if (reading->pending > 0 || (reading->mode != kCounted && !reading->unknown)) {
		event.patients.count = reading->pending;
		event.patients.bytes = (uint32) reading->buffer.len;
		event.patients.data = reading->buffer.data ? reading->buffer.data : "";
	}
	/* It has left also if this raises. */
	reading->handed_over = true;
	reading->rows = 0;
	reading->pending = 0;
	ms_audit_emit(&event, !failed);
	if (reading->buffer.data != nullptr) {
		reading->buffer.len = 0;
		reading->buffer.data[0] = '\0';
	}
}

static void
intents_done(AuditCapture *capture)
{
	capture->intended = false;
	for (AuditReading *reading = capture->readings; reading != nullptr; reading = reading->next)
		if (reading->intent != 0) {
			int intent = reading->intent;

			reading->intent = 0;
			ms_audit_intent_done(intent);
		}
}

void
ms_audit_capture_hand_over(AuditCapture *capture, bool done)
{
	for (AuditReading *reading = capture->readings; reading != nullptr; reading = reading->next)
		hand_over(capture, reading, false);
	if (done)
		intents_done(capture);
}

void
ms_audit_capture_intend(AuditCapture *capture)
{
	uint64 statement = ms_audit_statement_id();

	if (capture->statement_id != statement) {
		/* The next FETCH, which is to name its own patients. */
		for (AuditReading *reading = capture->readings; reading != nullptr; reading = reading->next) {
			ms_audit_seen_clear(&reading->keys);
			ms_audit_seen_clear(&reading->ids);
			reading->has_last = false;
			reading->handed_over = false;
		}
		capture->statement_id = statement;
	}
	for (AuditReading *reading = capture->readings; reading != nullptr; reading = reading->next)
		begin_event(capture, reading);
	if (capture->intended || leader != nullptr)
		return;
	capture->intended = true;
	for (AuditReading *reading = capture->readings; reading != nullptr; reading = reading->next) {
		AuditReading *other = capture->readings;

		while (other != reading && other->audited != reading->audited)
			other = other->next;
		if (other != reading)
			continue;
		reading->intent = ms_audit_intent(&reading->event);
	}
}

void
ms_audit_capture_for(const AuditEvent *event)
{
	leader = event;
}

/* ---- rows ---- */

static void
note_patient(AuditCapture *capture, AuditReading *reading, Datum key)
{
	const AuditRelation *audited = reading->audited;
	MemoryContext query = capture->estate->es_query_cxt;
	uint64 id[2];
	bool known = reading->is_unique || ms_audit_identify_key(audited->key_type, key, id);

	if (likely(known) && !reading->is_unique) {
		if (reading->has_last && reading->last[0] == id[0] && reading->last[1] == id[1])
			return;
		/* The first key needs no set: many statements see no other. */
		if (reading->has_last || reading->keys.size > 0) {
			if (reading->keys.size == 0)
				(void) ms_audit_seen_add(&reading->keys, reading->last, query);
			reading->last[0] = id[0];
			reading->last[1] = id[1];
			reading->has_last = true;
			if (!ms_audit_seen_add(&reading->keys, id, query))
				return;
		} else {
			reading->last[0] = id[0];
			reading->last[1] = id[1];
			reading->has_last = true;
		}
	}
	if (unlikely(reading->buffer.data == nullptr)) {
		/* Small at first: most statements see one patient. */
		reading->buffer.data = (char *) MemoryContextAlloc(query, 64);
		reading->buffer.data[0] = '\0';
		reading->buffer.maxlen = 64;
	}

	int before = reading->buffer.len;
	bool direct = audited->path == nullptr && known;
	if (direct)
		(void) ms_audit_append_patient(audited, key, capture->estate->es_snapshot, &reading->buffer);
	else {
		if (capture->scratch == nullptr)
			capture->scratch = AllocSetContextCreate(query, "mentalspace audit", ALLOCSET_SMALL_SIZES);
		MemoryContext old = MemoryContextSwitchTo(capture->scratch);
		bool found = ms_audit_append_patient(audited, key, capture->estate->es_snapshot, &reading->buffer);

		MemoryContextSwitchTo(old);
		MemoryContextReset(capture->scratch);
		if (!found)
			return;
		ms_audit_identify_bytes(reading->buffer.data + before, (size_t) (reading->buffer.len - before), id);
		if (!ms_audit_seen_add(&reading->ids, id, query)) {
			reading->buffer.len = before;
			reading->buffer.data[before] = '\0';
			return;
		}
	}
	if (unlikely(reading->buffer.len == before))
		return;
	reading->patients++;
	if (++reading->pending >= kPartSize)
		hand_over(capture, reading, false);
}

static bool
holds(const AuditCondition *condition)
{
	for (; condition != nullptr; condition = condition->next) {
		PlanState *node = condition->node;

		if (condition->child < 0) {
			if (node->ps_ExprContext->ecxt_innertuple == ((NestLoopState *) node)->nl_NullInnerTupleSlot)
				return false;
		} else if (IsA(node, AppendState)) {
			if (((AppendState *) node)->as_whichplan != condition->child)
				return false;
		} else {
			binaryheap *heap = ((MergeAppendState *) node)->ms_heap;

			if (binaryheap_empty(heap) || DatumGetInt32(binaryheap_first(heap)) != condition->child)
				return false;
		}
	}
	return true;
}

/* The row of the table that an index-only scan did not look at. */
static TupleTableSlot *
heap_row(AuditCapture *capture, AuditItem *item)
{
	IndexOnlyScanState *scan = (IndexOnlyScanState *) item->node;

	if (item->heap_slot == nullptr) {
		MemoryContext old = MemoryContextSwitchTo(capture->estate->es_query_cxt);

		item->heap_slot = table_slot_create(scan->ss.ss_currentRelation, &capture->estate->es_tupleTable);
		MemoryContextSwitchTo(old);
	}
	IndexScanDesc index = scan->ioss_ScanDesc;
	if (index == nullptr)
		return nullptr;
	/* Where the scan had to look whether the row is visible, its address is that of the version in question; otherwise
	 * it may be where a chain of versions begins. */
	if (table_tuple_fetch_row_version(scan->ss.ss_currentRelation, &index->xs_heaptid, index->xs_snapshot,
									  item->heap_slot) ||
		index_fetch_heap(index, item->heap_slot))
		return item->heap_slot;
	return nullptr;
}

static inline void
count_row(AuditReading *reading)
{
	if (reading->last_row != row_serial) {
		reading->last_row = row_serial;
		reading->rows++;
	}
}

static void
see(AuditCapture *capture, AuditItem *item, TupleTableSlot *result)
{
	AuditReading *reading = item->reading;
	TupleTableSlot *slot = result;
	bool null = false;
	Datum key = (Datum) 0;

	if (item->condition != nullptr && !holds(item->condition))
		return;
	if (reading->mode == kCounted) {
		count_row(reading);
		return;
	}
	switch (item->place) {
		case kInResult:
			break;
		case kInScanSlot:
			slot = ((ScanState *) item->node)->ss_ScanTupleSlot;
			break;
		case kInOuter:
			slot = item->node->ps_ExprContext->ecxt_outertuple;
			break;
		case kInInner:
			slot = item->node->ps_ExprContext->ecxt_innertuple;
			break;
		case kInScanTuple:
			slot = item->node->ps_ExprContext->ecxt_scantuple;
			if (IsA(item->node, ModifyTableState) && slot != nullptr && slot->tts_tableOid != item->relid) {
				/* Another partition. */
				item->relid = slot->tts_tableOid;
				item->attno = ms_audit_key_attno(item->audited, item->relid);
			}
			break;
		case kInHeap:
			slot = heap_row(capture, item);
			break;
		case kNowhere:
			slot = nullptr;
			break;
	}
	if (unlikely(slot == nullptr || TTS_EMPTY(slot) || item->attno <= 0 ||
				 item->attno > slot->tts_tupleDescriptor->natts)) {
		reading->unknown = true;
		null = true;
	} else {
		key = slot_getattr(slot, item->attno, &null);
		if (null && item->may_be_null)
			return;
	}
	count_row(reading);
	if (!null)
		note_patient(capture, reading, key);
	if (item->place == kInHeap && slot != nullptr)
		ExecClearTuple(slot);
}

static TupleTableSlot *
tapped(PlanState *node)
{
	AuditTap *tap = *bucket_of(node);

	while (unlikely(tap->node != node))
		tap = tap->next;
	TupleTableSlot *slot = tap->original(node);

	if (TupIsNull(slot))
		return slot;
	row_serial++;
	/* Whoever sends it takes all of its columns anyway, and takes them faster at one go. */
	if (tap->capture->to_client && tap->is_top)
		slot_getallattrs(slot);
	for (AuditItem *item = tap->items; item != nullptr; item = item->next)
		see(tap->capture, item, slot);
	return slot;
}

/* ---- an execution ---- */

static void
remove_tap(const AuditTap *tap)
{
	AuditTap **link = bucket_of(tap->node);

	while (*link != nullptr && *link != tap)
		link = &(*link)->next;
	if (*link != nullptr)
		*link = tap->next;
}

/* The execution's memory goes: at its end, or because of an error. */
static void
execution_gone(void *arg)
{
	AuditCapture *capture = (AuditCapture *) arg;
	AuditCapture **link = &captures;

	while (*link != nullptr && *link != capture)
		link = &(*link)->older;
	if (*link != nullptr)
		*link = capture->older;
	for (const AuditTap *tap = capture->taps; tap != nullptr; tap = tap->sibling)
		remove_tap(tap);
	capture->taps = nullptr;
	for (AuditReading *reading = capture->readings; reading != nullptr; reading = reading->next)
		hand_over(capture, reading, true);
	intents_done(capture);
}

static AuditReading *
reading_of(AuditCapture *capture, const AuditRelation *audited, AuditMode mode)
{
	for (AuditReading *reading = capture->readings; reading != nullptr; reading = reading->next)
		if (reading->audited == audited && reading->mode == mode)
			return reading;
	AuditReading *reading = (AuditReading *) MemoryContextAllocZero(capture->estate->es_query_cxt, sizeof(AuditReading));

	reading->audited = audited;
	reading->mode = mode;
	reading->in_row = true;
	reading->next = capture->readings;
	capture->readings = reading;
	return reading;
}

static void
tap_at(AuditCapture *capture, PlanState *node, AuditItem *item)
{
	AuditTap *tap = capture->taps;

	while (tap != nullptr && tap->node != node)
		tap = tap->sibling;
	if (tap == nullptr) {
		AuditTap **bucket = bucket_of(node);

		tap = (AuditTap *) palloc(sizeof(AuditTap));
		tap->node = node;
		tap->capture = capture;
		tap->estate = node->state;
		tap->is_top = item->counted_at == nullptr;
		tap->items = nullptr;
		tap->original = node->ExecProcNodeReal;
		tap->next = *bucket;
		tap->sibling = capture->taps;
		*bucket = capture->taps = tap;
		ExecSetExecProcNode(node, tapped);
	}
	/* Only one item may say so of what it is counted for. */
	item->reading->is_unique = item->is_unique && item->reading->items == 0 && item->audited->path == nullptr &&
		ms_audit_is_plain_key(item->audited->key_type);
	item->reading->in_row &= item->place == kInResult ||
		(item->place == kInScanTuple && IsA(item->node, ModifyTableState));
	item->reading->items++;
	item->next = tap->items;
	tap->items = item;
}

AuditCapture *
ms_audit_capture_make(EState *estate, AuditItem *top, PlanState *root, AuditItem *settled)
{
	AuditCapture *capture = (AuditCapture *) palloc0(sizeof(AuditCapture));

	capture->estate = estate;
	capture->older = captures;
	captures = capture;
	capture->callback.func = execution_gone;
	capture->callback.arg = capture;
	MemoryContextRegisterResetCallback(estate->es_query_cxt, &capture->callback);
	while (top != nullptr) {
		AuditItem *item = top;

		top = item->next;
		item->reading = reading_of(capture, item->audited, item->is_sent ? kAtTop : kBelow);
		tap_at(capture, root, item);
	}
	while (settled != nullptr) {
		AuditItem *item = settled;

		settled = item->next;
		if (item->dropped) {
			item->next = capture->dropped;
			capture->dropped = item;
			continue;
		}
		item->reading = reading_of(capture, item->audited, item->counts_only ? kCounted : kBelow);
		tap_at(capture, item->counted_at, item);
	}
	return capture;
}

void
ms_audit_capture_expect(AuditCapture *capture, AuditItem *item)
{
	item->reading = reading_of(capture, item->audited, kBelow);
	item->reading->is_unique = false;
	item->reading->items++;
	/* For a time when nobody can be asked any more. */
	if (item->reading->event.who == nullptr)
		begin_event(capture, item->reading);
}

void
ms_audit_capture_see(AuditCapture *capture, AuditItem *item)
{
	row_serial++;
	see(capture, item, nullptr);
}

/* What was added for this memory goes. */
struct Extension {
	AuditCapture *capture;
	const EState *estate;
	MemoryContextCallback callback;
};

static void
extension_gone(void *arg)
{
	const Extension *extension = (const Extension *) arg;
	AuditTap **link = &extension->capture->taps;

	while (*link != nullptr)
		if ((*link)->estate == extension->estate) {
			remove_tap(*link);
			*link = (*link)->sibling;
		} else
			link = &(*link)->sibling;
}

void
ms_audit_capture_extend(AuditCapture *capture, EState *estate, AuditItem *items)
{
	Extension *extension = (Extension *) palloc0(sizeof(Extension));

	capture->rechecked = true;
	extension->capture = capture;
	extension->estate = estate;
	extension->callback.func = extension_gone;
	extension->callback.arg = extension;
	MemoryContextRegisterResetCallback(estate->es_query_cxt, &extension->callback);
	while (items != nullptr) {
		AuditItem *item = items;

		items = item->next;
		if (item->dropped)
			continue;
		/* The row may be one that the scan was given. */
		if (item->place == kInScanSlot)
			item->place = kInScanTuple;
		item->reading = reading_of(capture, item->audited, item->counts_only ? kCounted : kBelow);
		tap_at(capture, item->counted_at, item);
	}
}

AuditCapture *
ms_audit_capture_of(const EState *estate)
{
	AuditCapture *capture = captures;

	while (capture != nullptr && capture->estate != estate)
		capture = capture->older;
	return capture;
}
