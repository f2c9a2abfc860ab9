/* The patient of a row, as events name him: the text of what the key column, or the path from it, holds. */
#include "pg/prelude.h"

#include "audit/path.h"
#include "audit/relations.h"

extern "C" {
#include "catalog/pg_type.h"
#include "utils/lsyscache.h"
}

/* Each byte as two digits: a scan of a large table writes very many UUIDs. */
struct HexPairs {
	char digits[256][2];

	constexpr HexPairs() : digits()
	{
		for (int i = 0; i < 256; i++) {
			digits[i][0] = "0123456789abcdef"[i >> 4];
			digits[i][1] = "0123456789abcdef"[i & 15];
		}
	}
};
static constexpr HexPairs kHexPairs;

static void
pack_value(Oid type, Datum value, StringInfo buffer)
{
	char text[48];

	switch (type) {
		case UUIDOID: {
			const uint8 *bytes = DatumGetUUIDP(value)->data;
			const uint32 length = 36;

			/* As ms_audit_pack_id() does. */
			if (buffer->len + (int) (sizeof(length) + length) >= buffer->maxlen)
				enlargeStringInfo(buffer, (int) (sizeof(length) + length));
			char *to = buffer->data + buffer->len;
			memcpy(to, &length, sizeof(length));
			to += sizeof(length);
			auto put = [to, bytes](int at, int byte) { memcpy(to + at, kHexPairs.digits[bytes[byte]], 2); };
			put(0, 0), put(2, 1), put(4, 2), put(6, 3);
			put(9, 4), put(11, 5);
			put(14, 6), put(16, 7);
			put(19, 8), put(21, 9);
			put(24, 10), put(26, 11), put(28, 12), put(30, 13), put(32, 14), put(34, 15);
			to[8] = to[13] = to[18] = to[23] = '-';
			buffer->len += (int) (sizeof(length) + length);
			return;
		}
		case INT4OID:
			ms_audit_pack_id(buffer, text, (uint32) pg_ltoa(DatumGetInt32(value), text));
			return;
		case INT8OID:
			ms_audit_pack_id(buffer, text, (uint32) pg_lltoa(DatumGetInt64(value), text));
			return;
		case TEXTOID:
		case VARCHAROID: {
			struct varlena *packed = PG_DETOAST_DATUM_PACKED(value);

			ms_audit_pack_id(buffer, VARDATA_ANY(packed), (uint32) VARSIZE_ANY_EXHDR(packed));
			return;
		}
		default: {
			Oid output;
			bool is_varlena;

			getTypeOutputInfo(type, &output, &is_varlena);
			char *string = OidOutputFunctionCall(output, value);
			ms_audit_pack_id(buffer, string, (uint32) strlen(string));
			pfree(string);
		}
	}
}

bool
ms_audit_append_patient(const AuditRelation *audited, Datum key, Snapshot snapshot, StringInfo buffer)
{
	if (audited->broken)
		return false;
	if (likely(audited->path == nullptr)) {
		pack_value(audited->key_type, key, buffer);
		return true;
	}
	Datum patient;
	if (!ms_audit_follow(audited->path, key, snapshot, &patient))
		return false;
	pack_value(ms_audit_path_type(audited->path), patient, buffer);
	return true;
}
