/* Who acts, as events name it.
 *
 * Kept until anything changes that it was made of: the identity's generation, the roles, the request's headers and the
 * settings.  The last few are kept, because a SECURITY DEFINER function changes the current user back and forth. */
#include "pg/prelude.h"

#include "audit/context.h"
#include "audit/relations.h"
#include "audit/settings.h"
#include "auth/identity.h"
#include "auth/variables.h"
#include "auth/verified.h"

extern "C" {
#include "access/parallel.h"
#include "mb/pg_wchar.h"
#include "utils/acl.h"
#include "utils/guc_tables.h"
#include "utils/inval.h"
#include "utils/jsonb.h"
#include "utils/syscache.h"
}

/* Texts of the client's are cut: an event has to stay small. */
static const int kMaxText = 200;

/* What a context was made of. */
struct Ingredients {
	uint64 identity;
	uint64 first;               /* the identity that the statement began with; 0 where that is the same, or does not count */
	Oid session_user, current_user, outer_user;
	const char *headers, *application_name, *purpose, *break_glass;
};

struct Kept {
	MemoryContext context;      /* NULL: this place is free */
	Ingredients made_of;        /* its texts are copies */
	AuditWho who;
};

static const int kKept = 4;
static Kept kept[kKept];
static int last = 0;                 /* the one that was asked for last */
static const AuditWho *overriding = nullptr;

/* The identity that the statement of the client began with: a user cannot slip out of it while rows are sent to him. */
static struct {
	MemoryContext context;
	uint64 identity;            /* 0: not known */
	AuditWho who;
} first;
uint64 audit_who_generation = 0;
static bool names_changed = false;

static const char *
or_empty(const char *text)
{
	return text ? text : "";
}

/* request.headers, as PostgREST sets it for each request; NULL where nobody did in this session. */
static const char *
request_headers(void)
{
	static struct config_generic *variable = nullptr;
	static int seen = -2;

	if (variable == nullptr) {
		int count = ms_guc_count();

		if (count >= 0 && count == seen)
			return nullptr;
		seen = count;
		/* Not GetConfigOption(), to which one without a value is none. */
		variable = ms_find_guc("request.headers");
		if (variable == nullptr || variable->vartype != PGC_STRING) {
			variable = nullptr;
			return nullptr;
		}
	}
	return *((struct config_string *) variable)->variable;
}

/* A copy of at most kMaxText bytes; NULL for nothing. */
static const char *
clipped(const char *text)
{
	if (text == nullptr || *text == '\0')
		return nullptr;
	int length = (int) strlen(text);
	if (length > kMaxText)
		length = pg_mbcliplen(text, length, kMaxText);
	return pnstrdup(text, length);
}

/* The text of a string in an object, in the current context; NULL where there is none. */
static const char *
string_of(Jsonb *object, const char *key)
{
	JsonbValue buffer;

	if (object == nullptr || !JB_ROOT_IS_OBJECT(object))
		return nullptr;
	JsonbValue *value = getKeyJsonValueFromContainer(&object->root, key, (int) strlen(key), &buffer);
	if (value == nullptr || value->type != jbvString)
		return nullptr;
	return clipped(pnstrdup(value->val.string.val, value->val.string.len));
}

/* Appends a role to lines, once. */
static void
add_role(StringInfo lines, const char *role, int length)
{
	if (length == 0 || memchr(role, '\n', length) || lines->len + length > kMaxText)
		return;
	for (const char *line = lines->data; *line;) {
		int present = (int) strcspn(line, "\n");

		if (present == length && memcmp(line, role, length) == 0)
			return;
		line += present + (line[present] == '\n');
	}
	if (lines->len > 0)
		appendStringInfoChar(lines, '\n');
	appendBinaryStringInfo(lines, role, length);
}

/* The claims role, then app_metadata.role and app_metadata.roles. */
static const char *
roles_of(const char *role, Jsonb *claims)
{
	StringInfoData lines;
	JsonbValue outer, inner;

	initStringInfo(&lines);
	if (role)
		add_role(&lines, role, (int) strlen(role));
	if (claims && JB_ROOT_IS_OBJECT(claims)) {
		JsonbValue *metadata = getKeyJsonValueFromContainer(&claims->root, "app_metadata", 12, &outer);

		if (metadata && metadata->type == jbvBinary && JsonContainerIsObject(metadata->val.binary.data)) {
			JsonbContainer *container = metadata->val.binary.data;
			JsonbValue *value = getKeyJsonValueFromContainer(container, "role", 4, &inner);

			if (value && value->type == jbvString)
				add_role(&lines, value->val.string.val, value->val.string.len);
			value = getKeyJsonValueFromContainer(container, "roles", 5, &inner);
			if (value && value->type == jbvBinary && JsonContainerIsArray(value->val.binary.data))
				for (uint32 i = 0; i < JsonContainerSize(value->val.binary.data); i++) {
					JsonbValue *element = getIthJsonbValueFromContainer(value->val.binary.data, i);

					if (element->type == jbvString)
						add_role(&lines, element->val.string.val, element->val.string.len);
				}
		}
	}
	return lines.len > 0 ? lines.data : nullptr;
}

/* Runs `read`; what it raises over the data that it read is let go.  Parsing takes no locks and opens nothing, so that
 * this needs no subtransaction. */
static void
try_to_read(void (*read)(AuditWho *who), AuditWho *who)
{
	MemoryContext context = CurrentMemoryContext;

	PG_TRY();
	{
		read(who);
	}
	PG_CATCH();
	{
		/* The second is that of a Unicode escape where the database's encoding is SQL_ASCII. */
		if (ERRCODE_TO_CATEGORY(geterrcode()) != ERRCODE_DATA_EXCEPTION &&
			ERRCODE_TO_CATEGORY(geterrcode()) != ERRCODE_FEATURE_NOT_SUPPORTED)
			PG_RE_THROW();
		MemoryContextSwitchTo(context);
		FlushErrorState();
	}
	PG_END_TRY();
}

static void
read_claims(AuditWho *who)
{
	Jsonb *claims = ms_identity_claims();
	const char *role = ms_identity_role();

	if (claims == nullptr && role == nullptr)
		return;
	who->identity_source = "guc";
	who->roles = roles_of(role, claims);
	who->aal = string_of(claims, "aal");
	who->session_id = string_of(claims, "session_id");
}

static void
read_uid(AuditWho *who)
{
	if (ms_identity_uid(&who->user_id)) {
		who->has_user_id = true;
		who->identity_source = "guc";
	}
}

static void
read_identity(AuditWho *who)
{
	const VerifiedIdentity *verified = ms_identity_verified();

	who->identity_source = "none";
	if (verified == nullptr) {
		try_to_read(read_claims, who);
		try_to_read(read_uid, who);
		return;
	}
	who->identity_source = "verified";
	who->has_user_id = verified->has_uid;
	who->user_id = verified->uid;
	who->roles = roles_of(verified->role, verified->claims);
	who->aal = clipped(verified->aal);
	who->session_id = clipped(verified->session_id);
}

static const char *
copy_of(const char *text)
{
	return text ? pstrdup(text) : nullptr;
}

static void
take_identity(AuditWho *who, const AuditWho *from)
{
	who->identity_source = from->identity_source;
	who->has_user_id = from->has_user_id;
	who->user_id = from->user_id;
	who->roles = copy_of(from->roles);
	who->aal = copy_of(from->aal);
	who->session_id = copy_of(from->session_id);
}

static void
read_headers(AuditWho *who)
{
	const char *text = request_headers();

	if (text == nullptr || *text == '\0')
		return;
	Jsonb *headers = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));
	who->user_agent = string_of(headers, "user-agent");
	who->request_id = string_of(headers, "x-request-id");
}

/* The client's address; NULL for a Unix socket and for background workers. */
static const char *
client_address(void)
{
	static char address[80];
	static bool known = false;

	if (!known) {
		LOCAL_FCINFO(call, 0);

		InitFunctionCallInfoData(*call, nullptr, 0, InvalidOid, nullptr, nullptr);
		Datum inet = inet_client_addr(call);
		if (!call->isnull)
			strlcpy(address, DatumGetCString(DirectFunctionCall1(inet_out, inet)), sizeof(address));
		known = true;
	}
	return address[0] ? address : nullptr;
}

static const char *
role_name(Oid role)
{
	return OidIsValid(role) ? GetUserNameFromId(role, true) : nullptr;
}

static bool
is_made_of(const Kept *place, const Ingredients *now)
{
	const Ingredients *then = &place->made_of;

	return place->context != nullptr && then->identity == now->identity && then->first == now->first &&
		then->current_user == now->current_user &&
		then->session_user == now->session_user && then->outer_user == now->outer_user &&
		strcmp(then->headers, now->headers) == 0 && strcmp(then->application_name, now->application_name) == 0 &&
		strcmp(then->purpose, now->purpose) == 0 && strcmp(then->break_glass, now->break_glass) == 0;
}

static const char *
session_user_name(void)
{
	const char *name = role_name(GetSessionUserId());

	/* A role that was dropped meanwhile. */
	return name ? name : psprintf("%u", GetSessionUserId());
}

static void
make(Kept *place, const Ingredients *now)
{
	MemoryContext context = place->context;
	StringInfoData bytes;

	audit_who_generation++;
	place->context = nullptr;
	if (context == nullptr)
		context = AllocSetContextCreate(TopMemoryContext, "mentalspace audit context", ALLOCSET_SMALL_SIZES);
	else
		MemoryContextReset(context);
	MemoryContext old = MemoryContextSwitchTo(context);
	AuditWho *who = &place->who;

	memset(who, 0, sizeof(*who));
	who->session_user = session_user_name();
	who->current_user = role_name(now->current_user);
	if (now->outer_user != now->session_user)
		who->outer_role = role_name(now->outer_user);
	read_identity(who);
	/* Who logs in within the statement that began as nobody is whom its rows are sent to. */
	if (now->first != 0 && (first.who.has_user_id || !who->has_user_id))
		take_identity(who, &first.who);
	try_to_read(read_headers, who);
	who->client_address = client_address();
	who->application_name = clipped(now->application_name);
	who->purpose_of_use = clipped(now->purpose);
	who->break_glass_id = clipped(now->break_glass);

	initStringInfo(&bytes);
	ms_audit_encode_who(who, &bytes);
	who->encoded = bytes.data;
	who->encoded_length = (uint32) bytes.len;
	place->made_of = *now;
	place->made_of.headers = pstrdup(now->headers);
	place->made_of.application_name = pstrdup(now->application_name);
	place->made_of.purpose = pstrdup(now->purpose);
	place->made_of.break_glass = pstrdup(now->break_glass);
	MemoryContextSwitchTo(old);
	place->context = context;
}

static void
forget_all(void)
{
	names_changed = false;
	audit_who_generation++;
	for (Kept &place : kept)
		if (place.context) {
			MemoryContextDelete(place.context);
			place.context = nullptr;
		}
}

/* Without catalogs. */
static const AuditWho *
who_without_transaction(void)
{
	static AuditWho nobody;

	if (kept[last].context)
		return &kept[last].who;
	nobody.session_user = GetConfigOption("session_authorization", true, false);
	if (nobody.session_user == nullptr || *nobody.session_user == '\0')
		nobody.session_user = "unknown";
	nobody.identity_source = "none";
	return &nobody;
}

void
ms_audit_who_begin(void)
{
	if (IsParallelWorker() || !IsTransactionState() || !ms_audit_any())
		return;
	const uint64 identity = ms_identity_generation();

	if (likely(first.identity == identity))
		return;
	first.identity = 0;
	if (first.context == nullptr)
		first.context = AllocSetContextCreate(TopMemoryContext, "mentalspace audit identity", ALLOCSET_SMALL_SIZES);
	else
		MemoryContextReset(first.context);
	MemoryContext old = MemoryContextSwitchTo(first.context);

	memset(&first.who, 0, sizeof(first.who));
	read_identity(&first.who);
	MemoryContextSwitchTo(old);
	first.identity = identity;
}

/* `kept_to`: the identity is the one that the statement began with. */
static const AuditWho *
find_who(bool kept_to)
{
	if (overriding)
		return overriding;
	if (!IsTransactionState())
		return who_without_transaction();
	if (unlikely(names_changed))
		forget_all();

	const uint64 identity = ms_identity_generation();
	Ingredients now = {
		identity, kept_to && ms_audit_depth() > 0 && first.identity != identity ? first.identity : 0, GetSessionUserId(), GetUserId(), GetOuterUserId(), or_empty(request_headers()),
		or_empty(application_name), or_empty(audit_purpose), or_empty(audit_break_glass),
	};

	if (likely(is_made_of(&kept[last], &now)))
		return &kept[last].who;
	for (int i = 0; i < kKept; i++)
		if (is_made_of(&kept[i], &now)) {
			last = i;
			return &kept[i].who;
		}
	int next = (last + 1) % kKept;
	make(&kept[next], &now);
	/* Whatever changed while it was made makes the next one; this one is as good as any. */
	last = next;
	return &kept[last].who;
}

const AuditWho *
ms_audit_who(void)
{
	return find_who(true);
}

AuditWho *
ms_audit_who_copy(const AuditWho *who, MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	AuditWho *copy = (AuditWho *) palloc(sizeof(AuditWho));
	StringInfoData bytes;

	initStringInfo(&bytes);
	ms_audit_encode_who(who, &bytes);
	if (!ms_audit_decode_who(bytes.data, bytes.len, copy))
		elog(ERROR, "audit context could not be copied");
	MemoryContextSwitchTo(old);
	return copy;
}

void
ms_audit_who_override(const AuditWho *who)
{
	overriding = who;
}

void
ms_audit_event_init(AuditEvent *event, AuditKind kind, AuditAction action)
{
	memset(event, 0, sizeof(*event));
	event->kind = kind;
	event->action = action;
	event->row_count = -1;
	event->occurred_at = GetCurrentTimestamp();
	event->transaction_id = U64FromFullTransactionId(GetTopFullTransactionIdIfAny());
	event->statement_no = ms_audit_statement_no();
	event->fingerprint = ms_audit_fingerprint();
	/* Logins and logouts name whom they are about. */
	event->who = find_who(kind != kLogin && kind != kLogout && kind != kAuthenticationAttempt);
}

static void
on_role_change(Datum arg, int cache, uint32 hash)
{
	(void) arg;
	(void) cache;
	(void) hash;
	names_changed = true;
}

void
ms_audit_context_init(void)
{
	CacheRegisterSyscacheCallback(AUTHOID, on_role_change, (Datum) 0);
}
