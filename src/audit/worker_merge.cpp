/* Parts of one statement's event that were found together become one event again: see worker.h. */
#include "pg/prelude.h"

#include "audit/worker.h"

extern "C" {
#include "common/hashfn.h"
}

namespace {

constexpr uint32 kPatients = 10000;     /* in one event at most */
constexpr int kBuckets = 1024;

bool
same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

/* Whether both tell of the same: numbers of statements begin anew with the server, so the rest is compared, too. */
bool
belong_together(const AuditEvent *a, const AuditEvent *b)
{
	return a->statement_id == b->statement_id && a->kind == b->kind && a->outcome == b->outcome &&
		a->precision == b->precision && a->action == b->action && a->category == b->category &&
		a->statement_no == b->statement_no && a->transaction_id == b->transaction_id && a->fingerprint == b->fingerprint &&
		same_text(a->relation, b->relation) && a->row_key == nullptr && b->row_key == nullptr &&
		same_text(a->detail, b->detail) && a->who->encoded_length == b->who->encoded_length &&
		memcmp(a->who->encoded, b->who->encoded, a->who->encoded_length) == 0;
}

/* Patients that are gathered, each once. */
struct Patients {
	StringInfoData packed;
	uint32 count;
	uint32 buckets;                 /* power of two */
	int *places;                    /* where in `packed`, -1 for none */
};

bool
is_same(const char *packed, const char *other, uint32 size)
{
	return memcmp(packed, other, sizeof(uint32)) == 0 && memcmp(packed, other, size) == 0;
}

void
add_patients(Patients *all, const AuditIds *ids)
{
	const char *at = ids->data;

	for (uint32 i = 0; i < ids->count; i++) {
		uint32 length;

		memcpy(&length, at, sizeof(length));
		const uint32 size = (uint32) sizeof(length) + length;
		uint32 bucket = hash_bytes((const unsigned char *) at, (int) size) & (all->buckets - 1);

		while (all->places[bucket] >= 0 && !is_same(all->packed.data + all->places[bucket], at, size))
			bucket = (bucket + 1) & (all->buckets - 1);
		if (all->places[bucket] < 0) {
			all->places[bucket] = all->packed.len;
			appendBinaryStringInfo(&all->packed, at, (int) size);
			all->count++;
		}
		at += size;
	}
}

/* One event out of those that are chained behind `first`. */
void
unite(AuditEvent *events, const int *next_part, int first)
{
	AuditEvent *event = &events[first];
	Patients all = {};
	uint32 count = 0;
	bool known = false;

	for (int i = first; i >= 0; i = next_part[i])
		count += events[i].patients.count;
	for (all.buckets = 16; all.buckets < count * 2; all.buckets *= 2)
		;
	all.places = (int *) palloc(all.buckets * sizeof(int));
	memset(all.places, -1, all.buckets * sizeof(int));
	initStringInfo(&all.packed);
	for (int i = first; i >= 0; i = next_part[i]) {
		const AuditEvent *part = &events[i];

		known = known || part->patients.data != nullptr;
		add_patients(&all, &part->patients);
		if (i != first) {
			if (part->row_count >= 0)
				event->row_count = (event->row_count < 0 ? 0 : event->row_count) + part->row_count;
			event->severity = part->severity > event->severity ? part->severity : event->severity;
			event->occurred_at = part->occurred_at < event->occurred_at ? part->occurred_at : event->occurred_at;
		}
	}
	pfree(all.places);
	if (known)
		event->patients = {all.count, (uint32) all.packed.len, all.packed.data};
}

}  // namespace

int
ms_worker_merge(AuditEvent *events, int count)
{
	int *buckets = (int *) palloc(kBuckets * sizeof(int));
	int *same_bucket = (int *) palloc((size_t) count * sizeof(int) + 1);    /* the event before it there */
	int *next_part = (int *) palloc((size_t) count * sizeof(int) + 1);
	int *last_part = (int *) palloc((size_t) count * sizeof(int) + 1);      /* -1: is part of another one */
	uint32 *patients = (uint32 *) palloc((size_t) count * sizeof(uint32) + 1);
	int kept = 0;

	memset(buckets, -1, kBuckets * sizeof(int));
	for (int i = 0; i < count; i++) {
		const uint32 bucket = murmurhash32((uint32) events[i].statement_id) % kBuckets;
		int whole = -1;

		next_part[i] = -1;
		last_part[i] = i;
		patients[i] = events[i].patients.count;
		if (events[i].statement_id == 0)
			continue;
		for (int at = buckets[bucket]; at >= 0 && whole < 0; at = same_bucket[at])
			if (patients[at] + patients[i] <= kPatients && belong_together(&events[at], &events[i]))
				whole = at;
		if (whole >= 0) {
			next_part[last_part[whole]] = i;
			last_part[whole] = i;
			last_part[i] = -1;
			patients[whole] += patients[i];
		} else {
			same_bucket[i] = buckets[bucket];
			buckets[bucket] = i;
		}
	}
	for (int i = 0; i < count; i++) {
		if (last_part[i] < 0)
			continue;
		if (next_part[i] >= 0)
			unite(events, next_part, i);
		events[kept++] = events[i];
	}
	return kept;
}
