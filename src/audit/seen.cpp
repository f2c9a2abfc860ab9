/* A set of keys by open addressing. */
#include "pg/prelude.h"

#include "audit/seen.h"

extern "C" {
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "utils/uuid.h"
}

/* More keys than this are not remembered. */
static const uint32 kSeenLimit = 1 << 20;

static inline uint64
mix(const uint64 *id)
{
	uint64 h = (id[0] ^ (id[1] * UINT64CONST(0x9e3779b97f4a7c15))) * UINT64CONST(0xff51afd7ed558ccd);

	return h ^ (h >> 32);
}

static void
seen_grow(AuditSeen *seen, MemoryContext context)
{
	uint32 size = seen->size ? seen->size * 2 : 64;
	uint64 (*old)[2] = seen->slots;
	uint64 (*slots)[2] = (uint64 (*)[2]) MemoryContextAllocExtended(context, sizeof(uint64[2]) * size,
																		MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);

	for (uint32 i = 0; i < seen->size; i++) {
		if (old[i][0] == 0 && old[i][1] == 0)
			continue;
		uint32 at = (uint32) mix(old[i]) & (size - 1);

		while (slots[at][0] != 0 || slots[at][1] != 0)
			at = (at + 1) & (size - 1);
		slots[at][0] = old[i][0];
		slots[at][1] = old[i][1];
	}
	seen->slots = slots;
	seen->size = size;
	if (old != nullptr)
		pfree(old);
}

void
ms_audit_seen_clear(AuditSeen *seen)
{
	if (seen->size > 0)
		memset(seen->slots, 0, sizeof(seen->slots[0]) * seen->size);
	seen->count = 0;
	seen->has_zero = false;
}

bool
ms_audit_seen_add(AuditSeen *seen, const uint64 *id, MemoryContext context)
{
	if (unlikely(id[0] == 0 && id[1] == 0)) {
		bool added = !seen->has_zero;

		seen->has_zero = true;
		return added;
	}
	if (unlikely(seen->count * 2 >= seen->size)) {
		if (seen->count >= kSeenLimit)
			ms_audit_seen_clear(seen);
		else
			seen_grow(seen, context);
	}
	uint32 at = (uint32) mix(id) & (seen->size - 1);

	while (seen->slots[at][0] != 0 || seen->slots[at][1] != 0) {
		if (seen->slots[at][0] == id[0] && seen->slots[at][1] == id[1])
			return false;
		at = (at + 1) & (seen->size - 1);
	}
	seen->slots[at][0] = id[0];
	seen->slots[at][1] = id[1];
	seen->count++;
	return true;
}

/* Two hashes that nobody can choose collisions for. */
void
ms_audit_identify_bytes(const char *bytes, size_t length, uint64 *id)
{
	static uint64 seeds[2];

	if (unlikely(seeds[0] == 0) && !pg_strong_random(seeds, sizeof(seeds)))
		seeds[0] = (uint64) MyStartTimestamp | 1;
	id[0] = hash_bytes_extended((const unsigned char *) bytes, (int) length, seeds[0]);
	id[1] = hash_bytes_extended((const unsigned char *) bytes, (int) length, seeds[1]);
}

bool
ms_audit_is_plain_key(Oid type)
{
	return type == UUIDOID || type == INT2OID || type == INT4OID || type == INT8OID || type == TEXTOID || type == VARCHAROID;
}

bool
ms_audit_identify_key(Oid type, Datum key, uint64 *id)
{
	switch (type) {
		case UUIDOID:
			memcpy(id, DatumGetUUIDP(key)->data, UUID_LEN);
			return true;
		case INT2OID:
		case INT4OID:
		case INT8OID:
			id[0] = (uint64) (type == INT8OID ? DatumGetInt64(key)
											  : type == INT4OID ? DatumGetInt32(key) : DatumGetInt16(key));
			id[1] = 1;
			return true;
		case TEXTOID:
		case VARCHAROID: {
			struct varlena *value = PG_DETOAST_DATUM_PACKED(key);

			ms_audit_identify_bytes(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value), id);
			if ((Pointer) value != DatumGetPointer(key))
				pfree(value);
			return true;
		}
		default:
			return false;
	}
}
