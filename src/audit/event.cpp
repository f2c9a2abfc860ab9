/* Events as bytes and as JSON.
 *
 * The bytes are read by other processes, and after a crash by another start of the server: each length is checked, and
 * texts end with NUL so that they can be pointed to. */
#include "pg/prelude.h"

#include "audit/event.h"

extern "C" {
#include "utils/json.h"
}

static const uint32 kFormat = 0x6d730001;      /* moves with every change of the bytes */
static const uint32 kNull = 0xffffffff;

static const char *const kKinds[] = {"phi_access", "data_modification", "admin_action", "login", "logout",
									 "authentication_attempt", "permission_change", "configuration_change", "export",
									 "denied"};
static const char *const kCategories[] = {nullptr, "phi", "psychotherapy_note", "substance_use", "billing"};
static const char *const kOutcomes[] = {"success", "failure", "denied", "unknown"};
static const char *const kSeverities[] = {"info", "warning", "critical"};
static const char *const kPrecisions[] = {nullptr, "delivered", "examined"};

/* The texts of an AuditWho, in the order of the bytes, each with its column. */
struct WhoText {
	const char *AuditWho::*member;
	const char *column;
};
static constexpr WhoText kWhoTexts[] = {
	{&AuditWho::session_user, "session_user_name"}, {&AuditWho::current_user, "current_user_name"},
	{&AuditWho::outer_role, "outer_role_name"}, {&AuditWho::roles, "roles"}, {&AuditWho::aal, "aal"},
	{&AuditWho::session_id, "session_id"}, {&AuditWho::identity_source, "identity_source"},
	{&AuditWho::client_address, "client_address"}, {&AuditWho::application_name, "application_name"},
	{&AuditWho::user_agent, "user_agent"}, {&AuditWho::request_id, "request_id"},
	{&AuditWho::purpose_of_use, "purpose_of_use"}, {&AuditWho::break_glass_id, "break_glass_id"},
};

/* What stands at the beginning of an event's bytes. */
struct Head {
	uint32 format;
	AuditKind kind;
	AuditAction action;
	AuditCategory category;
	AuditOutcome outcome;
	AuditSeverity severity;
	AuditPrecision precision;
	bool has_patients;
	int32 statement_no;
	TimestampTz occurred_at;
	uint64 transaction_id;
	int64 fingerprint;
	int64 row_count;
	uint64 statement_id;
	uint32 who_length;
	uint32 ids_count;
	uint32 ids_bytes;
};

const char *
ms_audit_kind_name(AuditKind kind)
{
	return kKinds[kind];
}

const char *
ms_audit_category_name(AuditCategory category)
{
	return kCategories[category];
}

const char *
ms_audit_outcome_name(AuditOutcome outcome)
{
	return kOutcomes[outcome];
}

const char *
ms_audit_severity_name(AuditSeverity severity)
{
	return kSeverities[severity];
}

const char *
ms_audit_precision_name(AuditPrecision precision)
{
	return kPrecisions[precision];
}

bool
ms_audit_category_of(const char *name, AuditCategory *category)
{
	for (size_t i = 1; i < lengthof(kCategories); i++)
		if (strcmp(name, kCategories[i]) == 0) {
			*category = (AuditCategory) i;
			return true;
		}
	return false;
}

void
ms_audit_pack_id(StringInfo buffer, const char *text, uint32 length)
{
	enlargeStringInfo(buffer, (int) (sizeof(length) + length));
	memcpy(buffer->data + buffer->len, &length, sizeof(length));
	memcpy(buffer->data + buffer->len + sizeof(length), text, length);
	buffer->len += (int) (sizeof(length) + length);
}

static void
put_text(StringInfo out, const char *text)
{
	uint32 length = text ? (uint32) strlen(text) : kNull;
	uint32 bytes = text ? length + 1 : 0;

	enlargeStringInfo(out, (int) (sizeof(length) + bytes));
	memcpy(out->data + out->len, &length, sizeof(length));
	if (text)
		memcpy(out->data + out->len + sizeof(length), text, bytes);
	out->len += (int) (sizeof(length) + bytes);
}

/* Bytes that are still to be read. */
struct Rest {
	const char *at;
	size_t length;
};

static bool
take(Rest *rest, void *to, size_t length)
{
	if (rest->length < length)
		return false;
	memcpy(to, rest->at, length);
	rest->at += length;
	rest->length -= length;
	return true;
}

static bool
take_text(Rest *rest, const char **text)
{
	uint32 length;

	if (!take(rest, &length, sizeof(length)))
		return false;
	*text = nullptr;
	if (length == kNull)
		return true;
	if (rest->length <= length || rest->at[length] != '\0' || memchr(rest->at, '\0', length) != nullptr)
		return false;
	*text = rest->at;
	rest->at += length + 1;
	rest->length -= length + 1;
	return true;
}

void
ms_audit_encode_who(const AuditWho *who, StringInfo out)
{
	if (who->encoded) {
		appendBinaryStringInfo(out, who->encoded, (int) who->encoded_length);
		return;
	}
	appendStringInfoCharMacro(out, who->has_user_id ? 1 : 0);
	appendBinaryStringInfo(out, (const char *) who->user_id.data, UUID_LEN);
	for (const WhoText &text : kWhoTexts)
		put_text(out, who->*text.member);
}

bool
ms_audit_decode_who(const char *bytes, size_t length, AuditWho *who)
{
	Rest rest = {bytes, length};
	char has_user_id;

	memset(who, 0, sizeof(*who));
	if (!take(&rest, &has_user_id, 1) || !take(&rest, who->user_id.data, UUID_LEN))
		return false;
	who->has_user_id = has_user_id != 0;
	for (const WhoText &text : kWhoTexts)
		if (!take_text(&rest, &(who->*text.member)))
			return false;
	who->encoded = bytes;
	who->encoded_length = (uint32) length;
	return rest.length == 0 && who->session_user != nullptr;
}

void
ms_audit_encode(const AuditEvent *event, StringInfo out)
{
	Head head;
	int start = out->len;

	/* All of it, gaps too: the bytes are compared and checksummed. */
	memset(&head, 0, sizeof(head));
	head.format = kFormat;
	head.kind = event->kind;
	head.action = event->action;
	head.category = event->category;
	head.outcome = event->outcome;
	head.severity = event->severity;
	head.precision = event->precision;
	head.has_patients = event->patients.data != nullptr;
	head.statement_no = event->statement_no;
	head.occurred_at = event->occurred_at;
	head.transaction_id = event->transaction_id;
	head.fingerprint = event->fingerprint;
	head.row_count = event->row_count;
	head.statement_id = event->statement_id;
	head.ids_count = head.has_patients ? event->patients.count : 0;
	head.ids_bytes = head.has_patients ? event->patients.bytes : 0;
	if (unlikely(event->who->encoded == nullptr)) {
		appendBinaryStringInfo(out, (const char *) &head, sizeof(head));
		ms_audit_encode_who(event->who, out);
		((Head *) (out->data + start))->who_length = (uint32) (out->len - start - (int) sizeof(head));
		put_text(out, event->relation);
		put_text(out, event->row_key);
		put_text(out, event->detail);
		if (head.ids_bytes)
			appendBinaryStringInfo(out, event->patients.data, (int) head.ids_bytes);
		return;
	}

	/* The same at one go: every read of an audited row comes here twice. */
	const char *texts[] = {event->relation, event->row_key, event->detail};
	uint32 lengths[lengthof(texts)];
	size_t total;

	head.who_length = event->who->encoded_length;
	total = sizeof(head) + head.who_length + sizeof(lengths) + head.ids_bytes;
	for (size_t i = 0; i < lengthof(texts); i++) {
		lengths[i] = texts[i] ? (uint32) strlen(texts[i]) : kNull;
		if (texts[i])
			total += lengths[i] + 1;
	}
	enlargeStringInfo(out, (int) total);

	char *to = out->data + start;
	memcpy(to, &head, sizeof(head));
	to += sizeof(head);
	memcpy(to, event->who->encoded, head.who_length);
	to += head.who_length;
	for (size_t i = 0; i < lengthof(texts); i++) {
		memcpy(to, &lengths[i], sizeof(lengths[i]));
		to += sizeof(lengths[i]);
		if (texts[i]) {
			memcpy(to, texts[i], lengths[i] + 1);
			to += lengths[i] + 1;
		}
	}
	if (head.ids_bytes)
		memcpy(to, event->patients.data, head.ids_bytes);
	out->len += (int) total;
	out->data[out->len] = '\0';
}

bool
ms_audit_decode(const char *bytes, size_t length, AuditEvent *event, AuditWho *who)
{
	Rest rest = {bytes, length};
	Head head;

	memset(event, 0, sizeof(*event));
	if (!take(&rest, &head, sizeof(head)) || head.format != kFormat || head.kind >= lengthof(kKinds) ||
		head.category >= lengthof(kCategories) || head.outcome >= lengthof(kOutcomes) ||
		head.severity >= lengthof(kSeverities) || head.precision >= lengthof(kPrecisions) ||
		head.who_length > rest.length || !ms_audit_decode_who(rest.at, head.who_length, who))
		return false;
	rest.at += head.who_length;
	rest.length -= head.who_length;
	if (!take_text(&rest, &event->relation) || !take_text(&rest, &event->row_key) || !take_text(&rest, &event->detail) ||
		rest.length != head.ids_bytes)
		return false;
	event->kind = head.kind;
	event->action = head.action;
	event->category = head.category;
	event->outcome = head.outcome;
	event->severity = head.severity;
	event->precision = head.precision;
	event->statement_no = head.statement_no;
	event->occurred_at = head.occurred_at;
	event->transaction_id = head.transaction_id;
	event->fingerprint = head.fingerprint;
	event->row_count = head.row_count;
	event->statement_id = head.statement_id;
	event->who = who;
	if (head.has_patients)
		event->patients = {head.ids_count, head.ids_bytes, rest.at};
	for (uint32 i = 0; i < head.ids_count; i++) {
		uint32 id;

		if (!take(&rest, &id, sizeof(id)) || id > rest.length)
			return false;
		rest.at += id;
		rest.length -= id;
	}
	return rest.length == 0;
}

/* "key": in front of a value. */
static void
put_key(StringInfo out, const char *key)
{
	if (out->data[out->len - 1] != '{')
		appendStringInfoChar(out, ',');
	appendStringInfo(out, "\"%s\":", key);
}

static void
put_json(StringInfo out, const char *key, const char *value)
{
	if (value == nullptr)
		return;
	put_key(out, key);
	escape_json(out, value);
}

static void
put_number(StringInfo out, const char *key, int64 value)
{
	put_key(out, key);
	appendStringInfo(out, INT64_FORMAT, value);
}

/* Texts that stand one a line. */
static void
put_lines(StringInfo out, const char *key, const char *lines)
{
	if (lines == nullptr)
		return;
	put_key(out, key);
	appendStringInfoChar(out, '[');
	for (const char *line = lines; *line;) {
		size_t length = strcspn(line, "\n");
		char *copy = pnstrdup(line, length);

		if (line != lines)
			appendStringInfoChar(out, ',');
		escape_json(out, copy);
		pfree(copy);
		line += length + (line[length] == '\n');
	}
	appendStringInfoChar(out, ']');
}

static void
put_time(StringInfo out, const char *key, TimestampTz time)
{
	struct pg_tm parts;
	fsec_t microseconds;

	if (timestamp2tm(time, nullptr, &parts, &microseconds, nullptr, nullptr) != 0)
		return;
	put_key(out, key);
	appendStringInfo(out, "\"%04d-%02d-%02dT%02d:%02d:%02d.%06dZ\"", parts.tm_year, parts.tm_mon, parts.tm_mday,
					 parts.tm_hour, parts.tm_min, parts.tm_sec, (int) microseconds);
}

static void
put_ids(StringInfo out, const char *key, const AuditIds *ids)
{
	const char *at = ids->data;

	put_key(out, key);
	appendStringInfoChar(out, '[');
	for (uint32 i = 0; i < ids->count; i++) {
		uint32 length;

		memcpy(&length, at, sizeof(length));
		char *copy = pnstrdup(at + sizeof(length), length);
		if (i > 0)
			appendStringInfoChar(out, ',');
		escape_json(out, copy);
		pfree(copy);
		at += sizeof(length) + length;
	}
	appendStringInfoChar(out, ']');
}

void
ms_audit_to_json(const AuditEvent *event, StringInfo out)
{
	const AuditWho *who = event->who;

	appendStringInfoChar(out, '{');
	put_time(out, "occurred_at", event->occurred_at);
	if (event->transaction_id) {
		put_key(out, "transaction_id");
		appendStringInfo(out, "\"" UINT64_FORMAT "\"", event->transaction_id);
	}
	if (event->fingerprint)
		put_number(out, "query_fingerprint", event->fingerprint);
	if (event->row_count >= 0)
		put_number(out, "row_count", event->row_count);
	if (event->statement_no)
		put_number(out, "statement_no", event->statement_no);
	put_json(out, "kind", kKinds[event->kind]);
	if (event->action) {
		char action[2] = {event->action, '\0'};

		put_json(out, "action", action);
	}
	put_json(out, "category", kCategories[event->category]);
	put_json(out, "outcome", kOutcomes[event->outcome]);
	put_json(out, "severity", kSeverities[event->severity]);
	put_json(out, "precision", kPrecisions[event->precision]);
	put_json(out, "relation", event->relation);
	put_json(out, "row_key", event->row_key);
	if (event->patients.data)
		put_ids(out, "patient_ids", &event->patients);
	if (who->has_user_id) {
		char text[UUID_LEN * 2 + 5];
		char *to = text;

		for (int i = 0; i < UUID_LEN; i++) {
			if (i == 4 || i == 6 || i == 8 || i == 10)
				*to++ = '-';
			*to++ = "0123456789abcdef"[who->user_id.data[i] >> 4];
			*to++ = "0123456789abcdef"[who->user_id.data[i] & 15];
		}
		*to = '\0';
		put_json(out, "user_id", text);
	}
	for (const WhoText &text : kWhoTexts)
		if (text.member == &AuditWho::roles)
			put_lines(out, text.column, who->roles);
		else
			put_json(out, text.column, who->*text.member);
	put_json(out, "detail", event->detail);
	appendStringInfoChar(out, '}');
}
