/* Rows as jsonb: images and changes.
 *
 * jsonb is written as it is stored (utils/jsonb.h): an object is a header, an entry for each key and each value, then
 * the keys' bytes and the values' bytes.  The order of the keys is known for each relation beforehand, so that neither
 * a tree nor sorting is needed; a row that is deleted would otherwise cost twice as much. */
#include "pg/prelude.h"

extern "C" {
#include "access/detoast.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/datetime.h"
#include "utils/datum.h"
#include "utils/json.h"
#include "utils/numeric.h"
#include "utils/rel.h"
#include "utils/uuid.h"
}

#include "audit/row.h"

static constexpr char kHexDigits[] = "0123456789abcdef";

/* ---- the pieces of an object or array ---- */

/* An object, or an array, that is being written. */
struct Object {
	int entries;            /* where in the buffer, which moves */
	int count;              /* of keys: 0 in an array */
	uint32 total;           /* bytes of keys and values so far */
};

/* Numbers and containers begin at multiples of four; the gap belongs to them. */
static void
pad(StringInfo out)
{
	while (out->len % sizeof(uint32) != 0)
		appendStringInfoCharMacro(out, '\0');
}

static Object
begin_container(StringInfo out, uint32 header, int keys, int entries)
{
	Object object;

	pad(out);
	object.count = keys;
	object.total = 0;
	appendBinaryStringInfo(out, reinterpret_cast<char *>(&header), sizeof(header));
	object.entries = out->len;
	enlargeStringInfo(out, static_cast<int>(entries * sizeof(JEntry)));
	out->len += static_cast<int>(entries * sizeof(JEntry));
	return object;
}

static Object
begin_object(StringInfo out, int count)
{
	return begin_container(out, static_cast<uint32>(count) | JB_FOBJECT, count, count * 2);
}

static Object
begin_array(StringInfo out, int count)
{
	return begin_container(out, static_cast<uint32>(count) | JB_FARRAY, 0, count);
}

/* The key or value number `index` has been written since `from`.  Some entries tell where it ends instead of its
 * length. */
static void
end_entry(StringInfo out, Object *object, int index, int from, uint32 type)
{
	uint32 length = static_cast<uint32>(out->len - from);

	object->total += length;
	if (object->total > JENTRY_OFFLENMASK)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("row is too large for an audit event")));

	JEntry entry = index % JB_OFFSET_STRIDE == 0 ? type | object->total | JENTRY_HAS_OFF : type | length;

	memcpy(out->data + object->entries + index * sizeof(JEntry), &entry, sizeof(entry));
}

static void
put_key(StringInfo out, Object *object, int index, const char *name, int length)
{
	int from = out->len;

	appendBinaryStringInfo(out, name, length);
	end_entry(out, object, index, from, JENTRY_ISSTRING);
}

static void
begin_document(StringInfo out)
{
	initStringInfo(out);
	out->len = VARHDRSZ;
}

static Jsonb *
end_document(StringInfo out)
{
	SET_VARSIZE(out->data, out->len);
	return reinterpret_cast<Jsonb *>(out->data);
}

/* ---- values: each is appended, and its type returned ---- */

static uint32
put_string(StringInfo out, const char *text, int length)
{
	appendBinaryStringInfo(out, text, length);
	return JENTRY_ISSTRING;
}

static uint32
put_numeric(StringInfo out, Numeric number)
{
	/* JSON has neither NaN nor infinity. */
	if (numeric_is_nan(number) || numeric_is_inf(number)) {
		char *written = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(number)));

		return put_string(out, written, static_cast<int>(strlen(written)));
	}
	pad(out);
	appendBinaryStringInfo(out, reinterpret_cast<char *>(number), static_cast<int>(VARSIZE_ANY(number)));
	return JENTRY_ISNUMERIC;
}

static uint32
put_float(StringInfo out, AuditColumn *column, Datum value)
{
	char *written = OutputFunctionCall(&column->output_function, value);

	/* As to_jsonb() does: the shortest digits that give the number back. */
	if (strpbrk(written, "NI") != nullptr)
		return put_string(out, written, static_cast<int>(strlen(written)));
	return put_numeric(out, DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(written),
																ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1))));
}

static uint32
put_uuid(StringInfo out, const uint8 *bytes)
{
	char text[36];
	char *at = text;

	for (int i = 0; i < UUID_LEN; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*at++ = '-';
		*at++ = kHexDigits[bytes[i] >> 4];
		*at++ = kHexDigits[bytes[i] & 15];
	}
	return put_string(out, text, sizeof(text));
}

static uint32
put_jsonb(StringInfo out, Jsonb *json)
{
	JsonbValue scalar;

	if (!JB_ROOT_IS_SCALAR(json)) {
		pad(out);
		appendBinaryStringInfo(out, VARDATA(json), static_cast<int>(VARSIZE(json) - VARHDRSZ));
		return JENTRY_ISCONTAINER;
	}
	JsonbExtractScalar(&json->root, &scalar);
	switch (scalar.type) {
		case jbvString: return put_string(out, scalar.val.string.val, scalar.val.string.len);
		case jbvNumeric: return put_numeric(out, scalar.val.numeric);
		case jbvBool: return scalar.val.boolean ? JENTRY_ISBOOL_TRUE : JENTRY_ISBOOL_FALSE;
		default: return JENTRY_ISNULL;
	}
}

/* json that jsonb cannot hold (\u0000, a number out of range) is a string here: the write must not fail for it.
 * Parsing takes no locks and opens nothing, so that this needs no subtransaction. */
static uint32
put_json(StringInfo out, Datum value)
{
	MemoryContext context = CurrentMemoryContext;
	char *written = TextDatumGetCString(value);
	Jsonb *volatile json = nullptr;

	PG_TRY();
	{
		json = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(written)));
	}
	PG_CATCH();
	{
		int category = ERRCODE_TO_CATEGORY(geterrcode());

		if (category != ERRCODE_DATA_EXCEPTION && category != ERRCODE_PROGRAM_LIMIT_EXCEEDED)
			PG_RE_THROW();
		MemoryContextSwitchTo(context);
		FlushErrorState();
	}
	PG_END_TRY();
	return json != nullptr ? put_jsonb(out, json) : put_string(out, written, static_cast<int>(strlen(written)));
}

static uint32
put_value(StringInfo out, AuditColumn *column, Datum value)
{
	switch (column->json) {
		case kJsonBool:
			return DatumGetBool(value) ? JENTRY_ISBOOL_TRUE : JENTRY_ISBOOL_FALSE;
		case kJsonInt2:
			return put_numeric(out, int64_to_numeric(DatumGetInt16(value)));
		case kJsonInt4:
			return put_numeric(out, int64_to_numeric(DatumGetInt32(value)));
		case kJsonInt8:
			return put_numeric(out, int64_to_numeric(DatumGetInt64(value)));
		case kJsonNumeric:
			return put_numeric(out, DatumGetNumeric(value));
		case kJsonFloat:
			return put_float(out, column, value);
		case kJsonText: {
			struct varlena *bytes = PG_DETOAST_DATUM_PACKED(value);

			return put_string(out, VARDATA_ANY(bytes), static_cast<int>(VARSIZE_ANY_EXHDR(bytes)));
		}
		case kJsonUuid:
			return put_uuid(out, DatumGetUUIDP(value)->data);
		case kJsonDateTime: {
			char written[MAXDATELEN + 1];

			JsonEncodeDateTime(written, value, column->base_type, nullptr);
			return put_string(out, written, static_cast<int>(strlen(written)));
		}
		case kJsonJson:
			return put_json(out, value);
		case kJsonJsonb:
			return put_jsonb(out, DatumGetJsonbP(value));
		case kJsonOutput: {
			char *written = OutputFunctionCall(&column->output_function, value);

			return put_string(out, written, static_cast<int>(strlen(written)));
		}
		case kJsonFunction:
			break;
	}
	return put_jsonb(out, DatumGetJsonbP(FunctionCall1(&column->to_jsonb, value)));
}

/* Ends a digest and puts 'sha256:<hex>'. */
static uint32
put_hash(StringInfo out)
{
	uint8 digest[32];
	char hex[64];
	char *at = hex;

	ms_audit_hash_end(digest);
	for (uint8 byte : digest) {
		*at++ = kHexDigits[byte >> 4];
		*at++ = kHexDigits[byte & 15];
	}
	put_string(out, "sha256:", 7);
	return put_string(out, hex, sizeof(hex));
}

/* Instead of the value: 'sha256:<hex>' of the salt and its text, as the type writes it, in UTF-8. */
static uint32
put_redacted(StringInfo out, AuditColumn *column, Datum value)
{
	char *written = OutputFunctionCall(&column->output_function, value);
	int length = static_cast<int>(strlen(written));
	const char *utf8 = written;

	if (GetDatabaseEncoding() != PG_UTF8 && GetDatabaseEncoding() != PG_SQL_ASCII) {
		utf8 = pg_server_to_any(written, length, PG_UTF8);
		length = static_cast<int>(strlen(utf8));
	}
	ms_audit_hash_begin();
	ms_audit_hash(utf8, length);
	return put_hash(out);
}

/* A JSON document holds 256 MB, and text is up to three times as long as what it stands for. */
static constexpr Size kLargestValue = 16 * 1024 * 1024;
static constexpr int kLargestImage = 64 * 1024 * 1024;

static bool
is_too_large(StringInfo out, const AuditColumn *column, Datum value)
{
	return column->length == -1 && (out->len > kLargestImage || toast_raw_datum_size(value) > kLargestValue) &&
		toast_raw_datum_size(value) > 1024;
}

/* Instead of the value: 'sha256:<hex>' of the salt and its bytes, so that the write does not fail. */
static uint32
put_digest(StringInfo out, Datum value)
{
	struct varlena *bytes = PG_DETOAST_DATUM_PACKED(value);

	ms_audit_hash_begin();
	ms_audit_hash(VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
	return put_hash(out);
}

/* The value of a column in the slot, all of whose columns are at hand, as value number `index` of an object or array. */
static void
put_column(StringInfo out, Object *object, int index, AuditColumn *column, TupleTableSlot *slot)
{
	int from = out->len;
	uint32 type;

	if (slot->tts_isnull[column->at])
		type = JENTRY_ISNULL;
	else if (is_too_large(out, column, slot->tts_values[column->at]))
		type = put_digest(out, slot->tts_values[column->at]);
	else if (column->redact)
		type = put_redacted(out, column, slot->tts_values[column->at]);
	else
		type = put_value(out, column, slot->tts_values[column->at]);
	end_entry(out, object, object->count + index, from, type);
}

/* ---- rows ---- */

Jsonb *
ms_audit_row_image(AuditRow *row, TupleTableSlot *slot)
{
	StringInfoData out;

	slot_getallattrs(slot);
	begin_document(&out);
	Object object = begin_object(&out, row->count);

	for (int i = 0; i < row->count; i++)
		put_key(&out, &object, i, row->by_key[i]->name, row->by_key[i]->name_length);
	for (int i = 0; i < row->count; i++)
		put_column(&out, &object, i, row->by_key[i], slot);
	return end_document(&out);
}

/* Whether a value was left as it is.  One that is stored out of line and was not touched has the same address still,
 * and need not be fetched. */
static bool
unchanged(const AuditColumn *column, TupleTableSlot *before, TupleTableSlot *after)
{
	int at = column->at;
	Datum old_value = before->tts_values[at], new_value = after->tts_values[at];

	if (before->tts_isnull[at] || after->tts_isnull[at])
		return before->tts_isnull[at] == after->tts_isnull[at];
	if (column->by_value)
		return old_value == new_value;
	if (column->length == -1) {
		auto *old_bytes = DatumGetPointer(old_value), *new_bytes = DatumGetPointer(new_value);

		/* Most are the same byte for byte. */
		if (VARSIZE_ANY(old_bytes) == VARSIZE_ANY(new_bytes) &&
			memcmp(old_bytes, new_bytes, VARSIZE_ANY(old_bytes)) == 0)
			return true;
	}
	return datum_image_eq(old_value, new_value, false, column->length);
}

Jsonb *
ms_audit_row_changes(AuditRow *row, TupleTableSlot *before, TupleTableSlot *after)
{
	StringInfoData out;
	int count = 0;

	slot_getallattrs(before);
	slot_getallattrs(after);
	for (int i = 0; i < row->count; i++)
		if (!unchanged(row->by_key[i], before, after))
			row->changed[count++] = i;

	begin_document(&out);
	Object object = begin_object(&out, count);

	for (int i = 0; i < count; i++) {
		AuditColumn *column = row->by_key[row->changed[i]];

		put_key(&out, &object, i, column->name, column->name_length);
	}
	for (int i = 0; i < count; i++) {
		AuditColumn *column = row->by_key[row->changed[i]];
		int from = out.len;
		Object values = begin_array(&out, 2);

		put_column(&out, &values, 0, column, before);
		put_column(&out, &values, 1, column, after);
		end_entry(&out, &object, count + i, from, JENTRY_ISCONTAINER);
	}
	return end_document(&out);
}
