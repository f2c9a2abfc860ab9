/* What is known of audited relations' columns, and digests of rows. */
#include "pg/prelude.h"

extern "C" {
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "port/pg_bswap.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/uuid.h"
}

#include "audit/row.h"
#include "core/crypto.h"
#include "pg/boundary.h"

using mentalspace::Failure;
using mentalspace::Guarded;
using mentalspace::Sha256;

struct RowEntry {
	Oid relid;
	AuditRow *row;
};

static HTAB *rows;
/* The one that was used last: a statement writes many rows of one relation. */
static AuditRow *last_row;

static Sha256 *hasher;
/* Small pieces are collected: OpenSSL takes its time for each. */
static char collected[4096];
static Size collected_length;

static void
relation_changed(Datum, Oid relid)
{
	HASH_SEQ_STATUS all;

	if (rows == nullptr)
		return;
	if (OidIsValid(relid)) {
		auto *entry = static_cast<RowEntry *>(hash_search(rows, &relid, HASH_FIND, nullptr));

		if (entry != nullptr && entry->row != nullptr)
			entry->row->valid = false;
		return;
	}
	hash_seq_init(&all, rows);
	while (auto *entry = static_cast<RowEntry *>(hash_seq_search(&all)))
		if (entry->row != nullptr)
			entry->row->valid = false;
}

static ColumnSend
send_of(Oid base_type)
{
	switch (base_type) {
		case BOOLOID: return kSendBool;
		case INT2OID: return kSend16;
		case INT4OID: case OIDOID: case DATEOID: return kSend32;
		case INT8OID: case FLOAT8OID: case TIMESTAMPOID: case TIMESTAMPTZOID: case TIMEOID: return kSend64;
		case FLOAT4OID: return kSendFloat4;
		case UUIDOID: return kSendUuid;
		case TEXTOID: case VARCHAROID: case BPCHAROID: case BYTEAOID: case JSONOID: return kSendBytes;
		default: return kSendFunction;
	}
}

static ColumnJson
json_of(Oid base_type)
{
	switch (base_type) {
		case BOOLOID: return kJsonBool;
		case INT2OID: return kJsonInt2;
		case INT4OID: return kJsonInt4;
		case INT8OID: return kJsonInt8;
		case NUMERICOID: return kJsonNumeric;
		case FLOAT4OID: case FLOAT8OID: return kJsonFloat;
		case TEXTOID: case VARCHAROID: case BPCHAROID: return kJsonText;
		case UUIDOID: return kJsonUuid;
		case DATEOID: case TIMESTAMPOID: case TIMESTAMPTZOID: return kJsonDateTime;
		case JSONOID: return kJsonJson;
		case JSONBOID: return kJsonJsonb;
		default: break;
	}
	/* Arrays and composites, and types of others, which may have a cast to json that to_jsonb() uses. */
	if (OidIsValid(get_element_type(base_type)) || type_is_rowtype(base_type) ||
		(base_type >= FirstNormalObjectId && !type_is_enum(base_type)))
		return kJsonFunction;
	return kJsonOutput;
}

/* to_jsonb() asks for the type of its argument's expression. */
static void
prepare_to_jsonb(AuditColumn *column, MemoryContext context)
{
	Const *argument = makeNullConst(column->type, -1, InvalidOid);
	FuncExpr *call = makeFuncExpr(F_TO_JSONB, JSONBOID, list_make1(argument), InvalidOid, InvalidOid,
								  COERCE_EXPLICIT_CALL);

	fmgr_info_cxt(F_TO_JSONB, &column->to_jsonb, context);
	fmgr_info_set_expr(reinterpret_cast<Node *>(call), &column->to_jsonb);
}

static void
fill_column(AuditColumn *column, Form_pg_attribute attribute, AuditRow *row)
{
	Oid function;
	bool varlena;

	column->name = pstrdup(NameStr(attribute->attname));
	column->name_length = static_cast<int>(strlen(column->name));
	column->at = attribute->attnum - 1;
	column->type = attribute->atttypid;
	column->base_type = getBaseType(attribute->atttypid);
	column->length = attribute->attlen;
	column->by_value = attribute->attbyval;
	column->redact = false;
	column->send = send_of(column->base_type);
	column->json = json_of(column->base_type);

	getTypeOutputInfo(column->type, &function, &varlena);
	fmgr_info_cxt(function, &column->output_function, row->context);
	if (column->send == kSendFunction) {
		HeapTuple tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(column->base_type));

		if (!HeapTupleIsValid(tuple))
			elog(ERROR, "cache lookup failed for type %u", column->base_type);
		function = reinterpret_cast<Form_pg_type>(GETSTRUCT(tuple))->typsend;
		ReleaseSysCache(tuple);
		if (OidIsValid(function)) {
			fmgr_info_cxt(function, &column->send_function, row->context);
			row->sends_by_function = true;
		} else
			column->send = kSendText;
	}
	if (column->json == kJsonFunction)
		prepare_to_jsonb(column, row->context);
}

/* Keys of jsonb objects are sorted by their length first. */
static int
compare_keys(const void *a, const void *b)
{
	const AuditColumn *one = *static_cast<AuditColumn *const *>(a), *other = *static_cast<AuditColumn *const *>(b);

	if (one->name_length != other->name_length)
		return one->name_length < other->name_length ? -1 : 1;
	return memcmp(one->name, other->name, one->name_length);
}

static AuditRow *
make_row(Relation relation)
{
	TupleDesc desc = RelationGetDescr(relation);
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "mentalspace audited columns",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext before = MemoryContextSwitchTo(context);
	auto *row = static_cast<AuditRow *>(palloc0(sizeof(AuditRow)));

	row->relid = RelationGetRelid(relation);
	row->context = context;
	row->columns = static_cast<AuditColumn *>(palloc0(desc->natts * sizeof(AuditColumn)));
	for (int i = 0; i < desc->natts; i++)
		if (!TupleDescAttr(desc, i)->attisdropped)
			fill_column(&row->columns[row->count++], TupleDescAttr(desc, i), row);
	row->by_key = static_cast<AuditColumn **>(palloc(desc->natts * sizeof(AuditColumn *)));
	for (int i = 0; i < row->count; i++)
		row->by_key[i] = &row->columns[i];
	qsort(row->by_key, row->count, sizeof(AuditColumn *), compare_keys);
	row->changed = static_cast<int *>(palloc(desc->natts * sizeof(int)));
	MemoryContextSwitchTo(before);
	return row;
}

/* What the declaration says of the columns; it may be another one in each transaction. */
static void
apply_declaration(AuditRow *row, const AuditRelation *audited)
{
	row->key = ms_audit_key_attno(audited, row->relid);
	for (int i = 0; i < row->count; i++) {
		row->columns[i].redact = false;
		for (int j = 0; j < audited->redact_count; j++)
			if (strcmp(audited->redact[j], row->columns[i].name) == 0)
				row->columns[i].redact = true;
	}
	row->audited = audited;
	row->transaction = ms_local_xid();
}

static AuditRow *
find_row(Relation relation)
{
	Oid relid = RelationGetRelid(relation);
	bool found;

	if (rows == nullptr) {
		HASHCTL control = {};

		control.keysize = sizeof(Oid);
		control.entrysize = sizeof(RowEntry);
		control.hcxt = TopMemoryContext;
		rows = hash_create("mentalspace audited columns", 32, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}

	auto *entry = static_cast<RowEntry *>(hash_search(rows, &relid, HASH_ENTER, &found));

	if (!found)
		entry->row = nullptr;
	if (entry->row == nullptr || !entry->row->valid) {
		AuditRow *old = entry->row;
		AuditRow *row;

		/* It may be in use further up, where a function of a type changed something. */
		entry->row = nullptr;
		if (old != nullptr)
			MemoryContextSetParent(old->context, TopTransactionContext);
		row = make_row(relation);
		MemoryContextSetParent(row->context, TopMemoryContext);
		row->valid = true;
		entry = static_cast<RowEntry *>(hash_search(rows, &relid, HASH_ENTER, &found));
		entry->row = row;
	}
	return entry->row;
}

AuditRow *
ms_audit_row_of(Relation relation, const AuditRelation *audited)
{
	AuditRow *row = last_row;

	if (row == nullptr || !row->valid || row->relid != RelationGetRelid(relation)) {
		last_row = nullptr;
		row = find_row(relation);
		last_row = row;
	}
	if (row->audited != audited || row->transaction != ms_local_xid())
		apply_declaration(row, audited);
	return row;
}

static void
check_hash(bool done)
{
	if (!done)
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not compute a SHA-256 digest")));
}

void
ms_audit_hash_begin(void)
{
	if (hasher == nullptr) {
		Failure failure;

		if (!Guarded(&failure, []() { hasher = new Sha256; }))
			mentalspace::raise_failure(&failure);
	}
	check_hash(hasher->Begin());
	memcpy(collected, ms_audit_salt(), 32);
	collected_length = 32;
}

static void
hash_long(const void *bytes, Size length)
{
	check_hash(hasher->Update({collected, collected_length}));
	collected_length = 0;
	if (length > sizeof(collected)) {
		check_hash(hasher->Update({static_cast<const char *>(bytes), length}));
		return;
	}
	memcpy(collected, bytes, length);
	collected_length = length;
}

static inline void
hash_bytes_of(const void *bytes, Size length)
{
	if (unlikely(length > sizeof(collected) - collected_length)) {
		hash_long(bytes, length);
		return;
	}
	memcpy(collected + collected_length, bytes, length);
	collected_length += length;
}

void
ms_audit_hash(const void *bytes, Size length)
{
	hash_bytes_of(bytes, length);
}

void
ms_audit_hash_end(uint8 digest[32])
{
	check_hash(hasher->Update({collected, collected_length}) && hasher->Finish(digest));
}

/* A number in network order. */
static inline void
hash32(uint32 number)
{
	number = pg_hton32(number);
	hash_bytes_of(&number, sizeof(number));
}

static void
hash_value(AuditColumn *column, Datum value)
{
	switch (column->send) {
		case kSendBool: {
			char byte = DatumGetBool(value) ? 1 : 0;

			hash32(1);
			hash_bytes_of(&byte, 1);
			break;
		}
		case kSend16: {
			uint16 number = pg_hton16(DatumGetUInt16(value));

			hash32(2);
			hash_bytes_of(&number, 2);
			break;
		}
		case kSend32:
		case kSendFloat4:
			hash32(4);
			hash32(DatumGetUInt32(value));
			break;
		case kSend64: {
			uint64 number = pg_hton64(DatumGetUInt64(value));

			hash32(8);
			hash_bytes_of(&number, 8);
			break;
		}
		case kSendUuid:
			hash32(UUID_LEN);
			hash_bytes_of(DatumGetUUIDP(value)->data, UUID_LEN);
			break;
		case kSendBytes: {
			struct varlena *bytes = PG_DETOAST_DATUM_PACKED(value);

			hash32(VARSIZE_ANY_EXHDR(bytes));
			hash_bytes_of(VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
			if (reinterpret_cast<Pointer>(bytes) != DatumGetPointer(value))
				pfree(bytes);
			break;
		}
		case kSendFunction: {
			bytea *bytes = SendFunctionCall(&column->send_function, value);

			hash32(VARSIZE(bytes) - VARHDRSZ);
			hash_bytes_of(VARDATA(bytes), VARSIZE(bytes) - VARHDRSZ);
			pfree(bytes);
			break;
		}
		case kSendText: {
			char *text = OutputFunctionCall(&column->output_function, value);

			hash32(strlen(text));
			hash_bytes_of(text, strlen(text));
			pfree(text);
			break;
		}
	}
}

static void
hash_row(AuditRow *row, TupleTableSlot *slot)
{
	slot_getallattrs(slot);
	ms_audit_hash_begin();
	hash32(row->count);
	for (int i = 0; i < row->count; i++) {
		AuditColumn *column = &row->columns[i];

		hash32(column->type);
		if (slot->tts_isnull[column->at])
			hash32(static_cast<uint32>(-1));
		else
			hash_value(column, slot->tts_values[column->at]);
	}
}

void
ms_audit_row_digest(AuditRow *row, TupleTableSlot *slot, uint8 digest[32])
{
	int encoding = pg_get_client_encoding();

	if (!row->sends_by_function || encoding == PG_SQL_ASCII || encoding == GetDatabaseEncoding())
		hash_row(row, slot);
	else {
		/* What the row digests to must not depend on who looks at it. */
		SetClientEncoding(PG_SQL_ASCII);
		PG_TRY();
		{
			hash_row(row, slot);
		}
		PG_CATCH();
		{
			SetClientEncoding(encoding);
			PG_RE_THROW();
		}
		PG_END_TRY();
		SetClientEncoding(encoding);
	}
	ms_audit_hash_end(digest);
}

void
ms_audit_row_init(void)
{
	CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
}
