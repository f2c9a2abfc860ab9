/* The keys that one execution has seen, so that each patient is named once. */
#pragma once

#include "pg/prelude.h"

/* By what identifies a key in 128 bits. */
struct AuditSeen {
	uint64 (*slots)[2];
	uint32 size;                    /* a power of two; 0: nothing allocated yet */
	uint32 count;
	bool has_zero;
};

/* True where the key was not there yet.  Very many keys are not remembered: one may be new again, never taken for
 * seen. */
bool ms_audit_seen_add(AuditSeen *seen, const uint64 *id, MemoryContext context);
void ms_audit_seen_clear(AuditSeen *seen);

/* Whether a value of the type is written as text without any conversion function. */
bool ms_audit_is_plain_key(Oid type);

/* What identifies a value; false for types that have to become text first. */
bool ms_audit_identify_key(Oid type, Datum key, uint64 *id);
void ms_audit_identify_bytes(const char *bytes, size_t length, uint64 *id);
