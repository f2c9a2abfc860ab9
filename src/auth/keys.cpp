/* Keys and revocations: the backend's copies of the tables mentalspace.jwt_key_store and mentalspace.jwt_revocations. */
#include "pg/prelude.h"

#include "auth/jwks_file.h"
#include "audit/admin.h"
#include "auth/keys.h"
#include "auth/settings.h"
#include "pg/boundary.h"
#include "pg/json_reader.h"

extern "C" {
#include "access/genam.h"
#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_collation.h"
#include "commands/trigger.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/jsonb.h"
}

#include <string>
#include <vector>

using namespace mentalspace;

uint64 auth_keys_generation = 1;
uint64 auth_revocations_generation = 1;

namespace {

enum KeyColumn { kKeyId = 0, kKeyIssuer = 1, kKeyJwk = 5, kKeyColumns = 8 };
enum RevocationColumn { kSubject, kSubjectKind, kRevokedAt, kReason, kRevocationColumns };
enum UseColumn { kUseKey, kUsedAt, kUseColumns };

struct Keys {
	KeySet set;
	std::vector<int64> ids;              /* of the rows; keys of the file have none and come last */
	std::vector<TimestampTz> noted;      /* when use of it was last noted */
};

Keys *keys;
bool keys_valid;
uint64 keys_settings_generation;
TimestampTz keys_reload_time;
Oid keys_oid, revocations_oid;
uint64 nothing_revoked_generation;

VerifyOptions *options;
uint64 options_settings_generation;

/* A row as the builder wants it. */
struct KeyRow {
	int64 id;
	const char *issuer;
	const char *jwk;
};

void
on_relation_invalidated(Datum arg, Oid relation)
{
	(void) arg;
	if (relation == InvalidOid || relation == keys_oid) {
		keys_valid = false;
		auth_keys_generation++;
	}
	if (relation == InvalidOid || relation == revocations_oid)
		auth_revocations_generation++;
}

Oid
table_oid(const char *name)
{
	Oid schema = get_namespace_oid("mentalspace", true);
	Oid oid = OidIsValid(schema) ? get_relname_relid(name, schema) : InvalidOid;

	if (!OidIsValid(oid))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table mentalspace.%s does not exist", name),
				 errhint("Run CREATE EXTENSION mentalspace, or ALTER EXTENSION mentalspace UPDATE.")));
	return oid;
}

/* The rows are read into arrays of this length. */
void
check_columns(Relation relation, int expected)
{
	if (RelationGetDescr(relation)->natts != expected)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table mentalspace.%s is of another version than the library", RelationGetRelationName(relation)),
				 errhint("Run ALTER EXTENSION mentalspace UPDATE.")));
}

/* Reads the table of keys, under a snapshot of its own: what others committed counts, also in REPEATABLE READ. */
int
read_key_rows(KeyRow **rows)
{
	Relation relation = table_open(keys_oid, AccessShareLock);
	check_columns(relation, kKeyColumns);
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	SysScanDesc scan = systable_beginscan(relation, InvalidOid, false, snapshot, 0, nullptr);
	int count = 0, room = 16;
	Datum values[kKeyColumns];
	bool nulls[kKeyColumns];

	*rows = (KeyRow *) palloc(room * sizeof(KeyRow));
	for (HeapTuple tuple; HeapTupleIsValid(tuple = systable_getnext(scan));) {
		if (count == room)
			*rows = (KeyRow *) repalloc(*rows, (room *= 2) * sizeof(KeyRow));
		heap_deform_tuple(tuple, RelationGetDescr(relation), values, nulls);
		KeyRow *row = &(*rows)[count++];

		row->id = DatumGetInt64(values[kKeyId]);
		row->issuer = nulls[kKeyIssuer] ? nullptr : TextDatumGetCString(values[kKeyIssuer]);
		row->jwk = DatumGetCString(DirectFunctionCall1(jsonb_out, values[kKeyJwk]));
	}
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(relation, AccessShareLock);
	return count;
}

/* Builds the set and puts it in the old one's place.  Returns false where a row or the file holds no usable key. */
Status
build(const KeyRow *rows, int count, const char *file)
{
	KeySetBuilder builder;
	Status first_problem;
	std::vector<int64> ids;

	for (int i = 0; i < count; i++) {
		std::optional<std::string_view> issuer;

		if (rows[i].issuer)
			issuer = rows[i].issuer;
		mentalspace::Result<int> added = builder.AddJwks(issuer, rows[i].jwk, ReadJson);
		if (added.ok())
			ids.push_back(rows[i].id);
		else if (first_problem.ok())
			first_problem = added.status();
	}
	if (file) {
		mentalspace::Result<int> added = builder.AddJwks(std::nullopt, file, ReadJson);

		if (!added.ok() && first_problem.ok())
			first_problem = added.status();
	}
	auto fresh = std::make_unique<Keys>();
	fresh->set = builder.Build();
	fresh->ids = std::move(ids);
	fresh->noted.resize(fresh->ids.size());
	if (keys)
		for (std::size_t i = 0; i < fresh->ids.size(); i++)
			for (std::size_t j = 0; j < keys->ids.size(); j++)
				if (keys->ids[j] == fresh->ids[i])
					fresh->noted[i] = keys->noted[j];
	delete keys;
	keys = fresh.release();
	return first_problem;
}

void
load_keys(void)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "mentalspace keys", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	KeyRow *rows;
	Failure failure;
	Status problem;

	keys_oid = table_oid("jwt_key_store");
	/* A change that comes in while the rows are read moves this, and they are read again. */
	uint64 begun = ++auth_keys_generation;

	int count = read_key_rows(&rows);
	const char *file = auth_jwks_file && *auth_jwks_file ? ms_read_jwks_file(auth_jwks_file) : nullptr;
	bool built = Guarded(&failure, [&]() { problem = build(rows, count, file); });

	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	if (!built)
		raise_failure(&failure);
	keys_valid = auth_keys_generation == begun;
	keys_settings_generation = auth_settings_generation;
	keys_reload_time = PgReloadTime;
	if (!problem.ok())
		ereport(WARNING,
				(errcode(ERRCODE_CONFIG_FILE_ERROR), errmsg("some keys for tokens cannot be used"),
				 errdetail("The reason is: %s.", problem.detail())));
}

/* Calls `add` for each element of a list separated by commas, without the white space around it. */
template <typename F>
void
for_each_element(const char *list, F add)
{
	std::string_view rest = list ? list : "";

	while (!rest.empty()) {
		std::size_t comma = rest.find(',');
		std::string_view element = rest.substr(0, comma);

		rest = comma == rest.npos ? std::string_view() : rest.substr(comma + 1);
		std::size_t from = element.find_first_not_of(" \t\n");
		if (from == element.npos)
			continue;
		add(element.substr(from, element.find_last_not_of(" \t\n") - from + 1));
	}
}

}  // namespace

const KeySet *
ms_keys(void)
{
	AcceptInvalidationMessages();
	while (unlikely(!keys_valid || keys_settings_generation != auth_settings_generation ||
					(keys_reload_time != PgReloadTime && auth_jwks_file && *auth_jwks_file)))
		load_keys();
	return &keys->set;
}

VerifyOptions *
ms_verify_options(void)
{
	if (likely(options && options_settings_generation == auth_settings_generation))
		return options;

	Failure failure;
	bool built = Guarded(&failure, []() {
		auto fresh = std::make_unique<VerifyOptions>();

		for_each_element(auth_issuers, [&](std::string_view issuer) { fresh->issuers.emplace_back(issuer); });
		fresh->audience = auth_audience;
		fresh->leeway = auth_leeway;
		fresh->max_bytes = auth_max_token_bytes;
		fresh->parser = ReadJson;
		delete options;
		options = fresh.release();
		options_settings_generation = auth_settings_generation;
	});
	if (!built)
		raise_failure(&failure);
	return options;
}

bool
ms_is_revoked(const VerifiedIdentity *who, bool has_issued_at, int64 issued_at)
{
	if (who->session_id == nullptr && !who->has_uid)
		return false;

	/* Where nothing at all is revoked, and that is the rule, one look is enough until the table changes. */
	if (likely(nothing_revoked_generation == auth_revocations_generation))
		return false;
	revocations_oid = table_oid("jwt_revocations");
	uint64 generation = auth_revocations_generation;
	Oid index = get_relname_relid("jwt_revocations_pkey", get_namespace_oid("mentalspace", false));
	Relation relation = table_open(revocations_oid, AccessShareLock);
	check_columns(relation, kRevocationColumns);
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	TimestampTz issued = (issued_at - ((POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * (int64) SECS_PER_DAY)) * USECS_PER_SEC;
	bool revoked = false;

	SysScanDesc any = systable_beginscan(relation, InvalidOid, false, snapshot, 0, nullptr);
	bool empty = !HeapTupleIsValid(systable_getnext(any));
	systable_endscan(any);
	if (empty)
		nothing_revoked_generation = generation;

	/* Names of sessions and users are kept as text: a session_id need not be a uuid. */
	const char *subjects[] = {who->session_id, who->has_uid ? who->sub : nullptr};
	for (int kind = 0; kind < 2 && !revoked && !empty; kind++) {
		ScanKeyData condition[2];
		Datum values[kRevocationColumns];
		bool nulls[kRevocationColumns];

		if (subjects[kind] == nullptr)
			continue;
		char *subject = kind == 0 ? pstrdup(subjects[kind]) :
			DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&who->uid)));
		/* revoke_session() writes the uuid in its one spelling. */
		if (kind == 0)
			for (char *c = subject; *c; c++)
				*c = pg_ascii_tolower((unsigned char) *c);
		ScanKeyInit(&condition[0], kSubject + 1, BTEqualStrategyNumber, F_TEXTEQ, CStringGetTextDatum(subject));
		ScanKeyInit(&condition[1], kSubjectKind + 1, BTEqualStrategyNumber, F_TEXTEQ,
					CStringGetTextDatum(kind == 0 ? "session" : "user"));
		condition[0].sk_collation = condition[1].sk_collation = C_COLLATION_OID;
		SysScanDesc scan = systable_beginscan(relation, index, OidIsValid(index), snapshot, 2, condition);
		HeapTuple tuple = systable_getnext(scan);

		if (HeapTupleIsValid(tuple)) {
			heap_deform_tuple(tuple, RelationGetDescr(relation), values, nulls);
			/* iat is in whole seconds: one issued in the second of the revocation counts as issued before it. */
			revoked = kind == 0 || !has_issued_at || issued <= DatumGetTimestampTz(values[kRevokedAt]);
		}
		systable_endscan(scan);
	}
	UnregisterSnapshot(snapshot);
	table_close(relation, AccessShareLock);
	return revoked;
}

void
ms_keys_note_use(size_t index)
{
	if (keys == nullptr || index >= keys->ids.size())
		return;
	TimestampTz now = GetCurrentStatementStartTimestamp();
	if (likely(now - keys->noted[index] < USECS_PER_HOUR) || XactReadOnly || RecoveryInProgress() || IsInParallelMode())
		return;
	keys->noted[index] = now;

	/* One session at a time, and nobody waits: a note that is not made now is made in an hour. */
	LOCKTAG tag;
	Oid oid = table_oid("jwt_key_use");
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, oid, (uint32) keys->ids[index], 3);
	if (LockAcquire(&tag, ExclusiveLock, false, true) == LOCKACQUIRE_NOT_AVAIL)
		return;

	int64 id = keys->ids[index];
	Relation relation = table_open(oid, RowExclusiveLock);
	check_columns(relation, kUseColumns);
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	SysScanDesc scan = systable_beginscan(relation, InvalidOid, false, snapshot, 0, nullptr);
	Datum values[kUseColumns];
	bool nulls[kUseColumns] = {false, false};
	bool noted = false;

	for (HeapTuple tuple; !noted && HeapTupleIsValid(tuple = systable_getnext(scan));) {
		heap_deform_tuple(tuple, RelationGetDescr(relation), values, nulls);
		noted = DatumGetInt64(values[kUseKey]) == id && now - DatumGetTimestampTz(values[kUsedAt]) < USECS_PER_HOUR;
	}
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	if (!noted) {
		values[kUseKey] = Int64GetDatum(id);
		values[kUsedAt] = TimestampTzGetDatum(now);
		nulls[kUseKey] = nulls[kUsedAt] = false;
		HeapTuple tuple = heap_form_tuple(RelationGetDescr(relation), values, nulls);
		simple_heap_insert(relation, tuple);
		heap_freetuple(tuple);
	}
	table_close(relation, RowExclusiveLock);
}

/* mentalspace.invalidate_backends(): trigger that makes every backend forget its copy of the table. */
MS_FUNCTION(ms_invalidate_backends)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function mentalspace.invalidate_backends can be called as a trigger only")));
	Relation table = ((TriggerData *) fcinfo->context)->tg_relation;

	CacheInvalidateRelcache(table);
	ms_audit_table_changed(RelationGetRelationName(table));
	PG_RETURN_POINTER(nullptr);
}

void
ms_keys_init(void)
{
	CacheRegisterRelcacheCallback(on_relation_invalidated, (Datum) 0);
}
