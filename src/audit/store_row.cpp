/* Events as rows of mentalspace.audit_events. */
#include "pg/prelude.h"

extern "C" {
#include "catalog/pg_type.h"
#include "utils/array.h"
}

#include "audit/store_row.h"

const AuditTableColumn audit_columns[kColumnCount] = {
	{"event_id", INT8OID}, {"occurred_at", TIMESTAMPTZOID}, {"transaction_id", XID8OID}, {"query_fingerprint", INT8OID},
	{"row_count", INT8OID}, {"statement_no", INT4OID}, {"kind", TEXTOID}, {"action", TEXTOID}, {"category", TEXTOID},
	{"outcome", TEXTOID}, {"severity", TEXTOID}, {"precision", TEXTOID}, {"relation", TEXTOID}, {"row_key", TEXTOID},
	{"patient_ids", TEXTARRAYOID}, {"user_id", UUIDOID}, {"session_user_name", TEXTOID},
	{"current_user_name", TEXTOID}, {"outer_role_name", TEXTOID}, {"roles", TEXTARRAYOID}, {"aal", TEXTOID},
	{"session_id", TEXTOID}, {"identity_source", TEXTOID}, {"client_address", INETOID}, {"application_name", TEXTOID},
	{"user_agent", TEXTOID}, {"request_id", TEXTOID}, {"purpose_of_use", TEXTOID}, {"break_glass_id", TEXTOID},
	{"changes", JSONBOID}, {"row_digest", BYTEAOID}, {"row_image", JSONBOID}, {"detail", TEXTOID}};

static Datum
text_datum(const char *text)
{
	return PointerGetDatum(cstring_to_text(text));
}

/* Names out of small sets, as texts that last. */
static Datum
name_datum(Datum *known, const char *name)
{
	if (*known == 0) {
		MemoryContext before = MemoryContextSwitchTo(TopMemoryContext);

		*known = text_datum(name);
		MemoryContextSwitchTo(before);
	}
	return *known;
}

/* text[] of packed texts (event.h). */
static Datum
ids_datum(const AuditIds *ids)
{
	if (ids->count == 0)
		return PointerGetDatum(construct_empty_array(TEXTOID));

	Size size = ARR_OVERHEAD_NONULLS(1) + (Size) ids->count * (VARHDRSZ + sizeof(int32)) + ids->bytes;
	auto *array = static_cast<ArrayType *>(palloc0(size));
	char *to = reinterpret_cast<char *>(array) + ARR_OVERHEAD_NONULLS(1);
	const char *from = ids->data;

	for (uint32 i = 0; i < ids->count; i++) {
		uint32 length;

		memcpy(&length, from, sizeof(length));
		SET_VARSIZE(to, VARHDRSZ + length);
		memcpy(VARDATA(to), from + sizeof(length), length);
		to += INTALIGN(VARHDRSZ + length);
		from += sizeof(length) + length;
	}
	SET_VARSIZE(array, to - reinterpret_cast<char *>(array));
	array->ndim = 1;
	array->dataoffset = 0;
	array->elemtype = TEXTOID;
	ARR_DIMS(array)[0] = static_cast<int>(ids->count);
	ARR_LBOUND(array)[0] = 1;
	return PointerGetDatum(array);
}

static Datum
lines_datum(const char *lines)
{
	StringInfoData packed;
	AuditIds ids = {};

	initStringInfo(&packed);
	while (*lines != '\0') {
		size_t length = strcspn(lines, "\n");

		ms_audit_pack_id(&packed, lines, static_cast<uint32>(length));
		ids.count++;
		lines += length;
		if (*lines == '\n')
			lines++;
	}
	ids.bytes = static_cast<uint32>(packed.len);
	ids.data = packed.data;
	return ids_datum(&ids);
}

static void
set(AuditTableRow *row, AuditColumnId column, Datum datum)
{
	row->value[column] = datum;
	row->null[column] = false;
}

static void
set_text(AuditTableRow *row, AuditColumnId column, const char *text)
{
	row->null[column] = text == nullptr;
	if (text != nullptr)
		row->value[column] = text_datum(text);
}

static void
set_name(AuditTableRow *row, AuditColumnId column, Datum *known, const char *name)
{
	row->null[column] = name == nullptr;
	if (name != nullptr)
		row->value[column] = name_datum(known, name);
}

void
ms_audit_event_row_who(AuditTableRow *row, const AuditWho *who)
{
	row->null[kUserId] = !who->has_user_id;
	row->value[kUserId] = PointerGetDatum(&who->user_id);
	set_text(row, kSessionUserName, who->session_user != nullptr ? who->session_user : "");
	set_text(row, kCurrentUserName, who->current_user);
	set_text(row, kOuterRoleName, who->outer_role);
	row->null[kRoles] = who->roles == nullptr;
	if (who->roles != nullptr)
		row->value[kRoles] = lines_datum(who->roles);
	set_text(row, kAal, who->aal);
	set_text(row, kSessionId, who->session_id);
	set_text(row, kIdentitySource, who->identity_source);
	row->null[kClientAddress] = who->client_address == nullptr;
	if (who->client_address != nullptr)
		row->value[kClientAddress] = DirectFunctionCall1(inet_in, CStringGetDatum(who->client_address));
	set_text(row, kApplicationName, who->application_name);
	set_text(row, kUserAgent, who->user_agent);
	set_text(row, kRequestId, who->request_id);
	set_text(row, kPurposeOfUse, who->purpose_of_use);
	set_text(row, kBreakGlassId, who->break_glass_id);
}

void
ms_audit_event_row(AuditTableRow *row, const AuditEvent *event, int64 event_id)
{
	static Datum kinds[kDenied + 1], categories[kBilling + 1], outcomes[kUnknown + 1], severities[kCritical + 1],
		precisions[kExamined + 1], actions[128];
	const char action[2] = {static_cast<char>(event->action), '\0'};

	set(row, kEventId, Int64GetDatum(event_id));
	set(row, kOccurredAt, TimestampTzGetDatum(event->occurred_at));
	set(row, kTransactionId, UInt64GetDatum(event->transaction_id));
	row->null[kTransactionId] = event->transaction_id == 0;
	set(row, kQueryFingerprint, Int64GetDatum(event->fingerprint));
	row->null[kQueryFingerprint] = event->fingerprint == 0;
	set(row, kRowCount, Int64GetDatum(event->row_count));
	row->null[kRowCount] = event->row_count < 0;
	set(row, kStatementNo, Int32GetDatum(event->statement_no));
	row->null[kStatementNo] = event->statement_no == 0;
	set_name(row, kKindColumn, &kinds[event->kind], ms_audit_kind_name(event->kind));
	set_name(row, kActionColumn, &actions[event->action & 127], event->action == kNoAction ? nullptr : action);
	set_name(row, kCategoryColumn, &categories[event->category], ms_audit_category_name(event->category));
	set_name(row, kOutcomeColumn, &outcomes[event->outcome], ms_audit_outcome_name(event->outcome));
	set_name(row, kSeverityColumn, &severities[event->severity], ms_audit_severity_name(event->severity));
	set_name(row, kPrecisionColumn, &precisions[event->precision], ms_audit_precision_name(event->precision));
	set_text(row, kRelation, event->relation);
	set_text(row, kRowKey, event->row_key);
	row->null[kPatientIds] = event->patients.data == nullptr;
	if (event->patients.data != nullptr)
		row->value[kPatientIds] = ids_datum(&event->patients);
	set(row, kChanges, PointerGetDatum(event->changes));
	row->null[kChanges] = event->changes == nullptr;
	set(row, kRowImage, PointerGetDatum(event->row_image));
	row->null[kRowImage] = event->row_image == nullptr;
	row->null[kRowDigest] = event->row_digest == nullptr;
	if (event->row_digest != nullptr) {
		auto *digest = static_cast<bytea *>(palloc(VARHDRSZ + 32));

		SET_VARSIZE(digest, VARHDRSZ + 32);
		memcpy(VARDATA(digest), event->row_digest, 32);
		row->value[kRowDigest] = PointerGetDatum(digest);
	}
	set_text(row, kDetail, event->detail);
}
