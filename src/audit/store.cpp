/* Events that are kept until their statement ends, and go with the subtransaction that they belong to.
 *
 * Written inside a subtransaction, an event of an outer level would go with the inner one's rollback.  So the events
 * are kept in levels, one for each nesting level of subtransactions that has any, and only those of the current level
 * are ever written.  Levels are a stack: while one is current, nothing is added to those below. */
#include "pg/prelude.h"

extern "C" {
#include "access/parallel.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "tcop/utility.h"
}

#include "audit/context.h"
#include "audit/store.h"
#include "audit/store_table.h"

struct KeptEvent {
	KeptEvent *next;
	Size size;
	AuditEvent event;
	/* What it points to follows. */
};

struct Level {
	int nest_level;
	int count;
	Size bytes;
	KeptEvent *first, *last;
};

struct KeptWho {
	KeptWho *next;
	const AuditWho *who;
};

static constexpr int kEventsAtMost = 1000;
static constexpr Size kBytesAtMost = 1024 * 1024;
static constexpr Size kBytesKept = 512 * 1024;
static constexpr int kWhosAtMost = 16;

static MemoryContext event_context;
static MemoryContext who_context;
static MemoryContext level_context;
static Level *levels;
static int level_count, level_room;
static KeptWho *whos;
static int who_count;


/* Few are different within a statement (two where definer functions write, too), so each is kept once. */
static const AuditWho *
kept_who(const AuditWho *who)
{
	if (who->encoded != nullptr)
		for (KeptWho *kept = whos; kept != nullptr; kept = kept->next)
			if (kept->who->encoded_length == who->encoded_length &&
				memcmp(kept->who->encoded, who->encoded, who->encoded_length) == 0)
				return kept->who;

	auto *kept = static_cast<KeptWho *>(MemoryContextAlloc(who_context, sizeof(KeptWho)));

	kept->who = ms_audit_who_copy(who, who_context);
	kept->next = whos;
	whos = kept;
	who_count++;
	return kept->who;
}

/* Where no event is kept, memory is given back; the people stay for what comes next, unless they become many. */
static void
release_memory(void)
{
	if (level_count > 0)
		return;
	MemoryContextReset(event_context);
	if (who_count > kWhosAtMost) {
		MemoryContextReset(who_context);
		whos = nullptr;
		who_count = 0;
	}
}

static Level *
current_level(void)
{
	int nest_level = GetCurrentTransactionNestLevel();

	if (level_count > 0 && levels[level_count - 1].nest_level >= nest_level)
		return &levels[level_count - 1];
	if (level_count == level_room) {
		int room = level_room == 0 ? 8 : level_room * 2;

		if (levels == nullptr)
			levels = static_cast<Level *>(MemoryContextAlloc(level_context, room * sizeof(Level)));
		else
			levels = static_cast<Level *>(repalloc(levels, room * sizeof(Level)));
		level_room = room;
	}
	levels[level_count] = {nest_level, 0, 0, nullptr, nullptr};
	return &levels[level_count++];
}

/* Copies what follows an event into its chunk. */
struct Packer {
	char *at;

	const char *
	bytes(const void *data, Size size)
	{
		char *copy = at;

		if (data == nullptr)
			return nullptr;
		memcpy(copy, data, size);
		at += MAXALIGN(size);
		return copy;
	}
};

static Size
text_size(const char *text)
{
	return text == nullptr ? 0 : strlen(text) + 1;
}

void
ms_audit_record(const AuditEvent *event)
{
	if (IsParallelWorker())
		ereport(ERROR, (errcode(ERRCODE_INVALID_TRANSACTION_STATE),
						errmsg("cannot record audit events in a parallel worker")));

	Size relation = text_size(event->relation), row_key = text_size(event->row_key), detail = text_size(event->detail);
	Size changes = event->changes == nullptr ? 0 : VARSIZE(event->changes);
	Size row_image = event->row_image == nullptr ? 0 : VARSIZE(event->row_image);
	Size digest = event->row_digest == nullptr ? 0 : 32;
	Size size = MAXALIGN(sizeof(KeptEvent)) + MAXALIGN(relation) + MAXALIGN(row_key) + MAXALIGN(detail) +
		MAXALIGN(changes) + MAXALIGN(row_image) + MAXALIGN(digest) + MAXALIGN(event->patients.bytes);

	const AuditWho *who = kept_who(event->who);
	auto *kept = static_cast<KeptEvent *>(MemoryContextAllocHuge(event_context, size));
	Packer packer = {reinterpret_cast<char *>(kept) + MAXALIGN(sizeof(KeptEvent))};

	kept->next = nullptr;
	kept->size = size;
	kept->event = *event;
	kept->event.who = who;
	kept->event.relation = packer.bytes(event->relation, relation);
	kept->event.row_key = packer.bytes(event->row_key, row_key);
	kept->event.detail = packer.bytes(event->detail, detail);
	kept->event.changes = reinterpret_cast<const Jsonb *>(packer.bytes(event->changes, changes));
	kept->event.row_image = reinterpret_cast<const Jsonb *>(packer.bytes(event->row_image, row_image));
	kept->event.row_digest = reinterpret_cast<const uint8 *>(packer.bytes(event->row_digest, digest));
	kept->event.patients.data = packer.bytes(event->patients.data, event->patients.bytes);

	Level *level = current_level();

	if (level->last == nullptr)
		level->first = kept;
	else
		level->last->next = kept;
	level->last = kept;
	level->count++;
	level->bytes += size;
	if (level->count >= kEventsAtMost || level->bytes >= kBytesAtMost)
		ms_audit_store_pending();
}

void
ms_audit_store_pending(void)
{
	/* No writing in parallel mode.  It ends before its statement does. */
	if (level_count == 0 || IsInParallelMode() || ms_audit_is_writing_table() ||
		levels[level_count - 1].nest_level < GetCurrentTransactionNestLevel())
		return;

	/* Taken off first: an error drops them with their (sub)transaction in any case. */
	Level level = levels[--level_count];
	auto **events = static_cast<const AuditEvent **>(
		MemoryContextAllocHuge(event_context, level.count * sizeof(AuditEvent *)));
	int count = 0;

	for (KeptEvent *kept = level.first; kept != nullptr; kept = kept->next)
		events[count++] = &kept->event;
	ms_audit_write_table(events, count);

	pfree(events);
	if (level_count > 0)
		for (KeptEvent *kept = level.first, *next; kept != nullptr; kept = next) {
			next = kept->next;
			pfree(kept);
		}
	release_memory();
}

void
ms_audit_store(const AuditEvent *events, int count)
{
	auto **pointers = static_cast<const AuditEvent **>(palloc_extended(count * sizeof(AuditEvent *), MCXT_ALLOC_HUGE));

	for (int i = 0; i < count; i++)
		pointers[i] = &events[i];
	ms_audit_write_table(pointers, count);
	pfree(pointers);
}

static void
transaction_event(XactEvent event, void *)
{
	switch (event) {
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			while (level_count > 0 && !IsInParallelMode())
				ms_audit_store_pending();
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PREPARE:
		case XACT_EVENT_ABORT:
			level_count = 0;
			release_memory();
			break;
		default:
			break;
	}
}

static void
subtransaction_event(SubXactEvent event, SubTransactionId, SubTransactionId, void *)
{
	if (level_count == 0 || (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB))
		return;

	int nest_level = GetCurrentTransactionNestLevel();
	Level *level = &levels[level_count - 1];

	if (level->nest_level < nest_level)
		return;
	if (event == SUBXACT_EVENT_ABORT_SUB) {
		for (KeptEvent *kept = level->first, *next; kept != nullptr; kept = next) {
			next = kept->next;
			pfree(kept);
		}
		level_count--;
		return;
	}

	Level *parent = level_count > 1 ? level - 1 : nullptr;

	if (parent == nullptr || parent->nest_level < nest_level - 1) {
		level->nest_level = nest_level - 1;
		return;
	}
	parent->last->next = level->first;
	parent->last = level->last;
	parent->count += level->count;
	parent->bytes += level->bytes;
	level_count--;
}

void
ms_audit_store_init(void)
{
	ms_audit_store_table_init();

	/* The first block stays when it is reset: asking the system for memory again and again costs more than keeping it,
	 * and what is never used is never the backend's own. */
	event_context = AllocSetContextCreate(TopMemoryContext, "mentalspace audit events", kBytesKept, kBytesKept,
										  kBytesAtMost);
	who_context = AllocSetContextCreate(TopMemoryContext, "mentalspace audit identities", ALLOCSET_SMALL_SIZES);
	level_context = AllocSetContextCreate(TopMemoryContext, "mentalspace audit levels", ALLOCSET_SMALL_SIZES);

	RegisterXactCallback(transaction_event, nullptr);
	RegisterSubXactCallback(subtransaction_event, nullptr);
}
