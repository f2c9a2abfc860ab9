/* The declarations of mentalspace.audit_relations, as this backend knows them.
 *
 * What is looked up is kept until a change is noticed: a trigger on the table sends an invalidation of it, and every
 * relation that a declaration was resolved with sends its own.  An old generation lives until the transaction ends, so
 * that whoever holds an AuditRelation may go on using it. */
#include "pg/prelude.h"

#include "audit/path.h"
#include "audit/relations.h"
#include "audit/settings.h"

extern "C" {
#include "access/relation.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "parser/parse_func.h"
#include "utils/array.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
}

/* A row of mentalspace.audit_relations. */
struct Declaration {
	Oid relid;
	char *patient_key;
	bool reads, writes;
	AuditCategory category;
	int redact_count;
	const char **redact;
	AuditRelation *resolved;     /* made when it is first asked for */
};

/* What is known of a relation. */
struct Entry {
	Oid relid;                   /* key of the hash table */
	bool looked_up;
	bool matters;                /* its changes make all of this stale */
	const AuditRelation *audited;
	AttrNumber key_attno;
	bool key_known;              /* the fields that follow are set */
	int key_count;               /* columns of the primary key */
	AttrNumber key_attnos[INDEX_MAX_KEYS];
	Oid key_types[INDEX_MAX_KEYS];
	FmgrInfo key_outputs[INDEX_MAX_KEYS];
};

/* All that was read at one time. */
struct Generation {
	Generation *older;
	MemoryContext context;
	HTAB *entries;
	Oid config;                  /* OID of mentalspace.audit_relations, InvalidOid where there is none */
	int count;
	Declaration *declarations;
	bool salted;
	uint8 salt[32];
};

static Generation *current = nullptr;
static bool stale = true;
static Generation *retired = nullptr;
static bool loading = false;
/* Entries of the present generation that were asked for lately, by the last bits of their relation's OID. */
static Entry *recent[16];

/* ---- reading ---- */

static Oid
table_of_ours(const char *name)
{
	Oid schema = get_namespace_oid("mentalspace", true);

	return OidIsValid(schema) ? get_relname_relid(name, schema) : InvalidOid;
}

static Datum
column_of(TupleTableSlot *slot, Oid relid, const char *column, bool *null)
{
	AttrNumber attno = get_attnum(relid, column);

	*null = true;
	return attno > 0 ? slot_getattr(slot, attno, null) : (Datum) 0;
}

/* Calls `row` for each row of a table of ours. */
static void
read_table(Oid relid, void (*row)(TupleTableSlot *slot, Oid relid, Generation *generation), Generation *generation)
{
	Relation table = table_open(relid, AccessShareLock);
	/* Also in parallel mode, where no other snapshot can be had that shows what was just committed. */
	Snapshot snapshot = RegisterSnapshot(GetCatalogSnapshot(relid));
	TableScanDesc scan = table_beginscan_strat(table, snapshot, 0, nullptr, true, false);
	TupleTableSlot *slot = table_slot_create(table, nullptr);

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
		row(slot, relid, generation);
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(table, AccessShareLock);
}

static Entry *
entry_of(Generation *generation, Oid relid)
{
	bool found;
	Entry *entry = (Entry *) hash_search(generation->entries, &relid, HASH_ENTER, &found);

	if (!found) {
		memset(entry, 0, sizeof(*entry));
		entry->relid = relid;
	}
	return entry;
}

static void
read_declaration(TupleTableSlot *slot, Oid relid, Generation *generation)
{
	bool null;
	Declaration *declaration;

	if (generation->count % 64 == 0)
		generation->declarations = (Declaration *) (generation->count == 0
			? palloc(64 * sizeof(Declaration))
			: repalloc(generation->declarations, (generation->count + 64) * sizeof(Declaration)));
	declaration = &generation->declarations[generation->count];
	memset(declaration, 0, sizeof(*declaration));
	declaration->relid = DatumGetObjectId(column_of(slot, relid, "relation", &null));
	if (null)
		return;
	declaration->reads = DatumGetBool(column_of(slot, relid, "reads", &null));
	declaration->writes = DatumGetBool(column_of(slot, relid, "writes", &null));
	Datum key = column_of(slot, relid, "patient_key", &null);
	if (!null)
		declaration->patient_key = TextDatumGetCString(key);
	Datum category = column_of(slot, relid, "category", &null);
	if (null || !ms_audit_category_of(TextDatumGetCString(category), &declaration->category))
		declaration->category = kPhi;
	Datum redact = column_of(slot, relid, "redact", &null);
	if (!null) {
		Datum *names;
		bool *nulls;

		deconstruct_array(DatumGetArrayTypeP(redact), TEXTOID, -1, false, TYPALIGN_INT, &names, &nulls,
						  &declaration->redact_count);
		declaration->redact = (const char **) palloc(sizeof(char *) * (declaration->redact_count + 1));
		for (int i = 0; i < declaration->redact_count; i++)
			declaration->redact[i] = nulls[i] ? "" : TextDatumGetCString(names[i]);
	}
	generation->count++;
	entry_of(generation, declaration->relid)->matters = true;
}

static Generation *
read_generation(void)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "mentalspace audited relations",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Generation *generation = (Generation *) palloc0(sizeof(Generation));
	HASHCTL control = {};

	generation->context = context;
	control.keysize = sizeof(Oid);
	control.entrysize = sizeof(Entry);
	control.hcxt = context;
	generation->entries = hash_create("mentalspace audited relations", 128, &control,
									  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	generation->config = table_of_ours("audit_relations");
	if (OidIsValid(generation->config))
		read_table(generation->config, read_declaration, generation);
	MemoryContextSwitchTo(old);
	return generation;
}

/* The present generation; its memory is TopMemoryContext's from then on. */
static Generation *
refresh(void)
{
	if (likely(!stale && current))
		return current;
	/* An invalidation while it is being read makes the next one, not this one, wrong. */
	loading = true;
	stale = false;
	PG_TRY();
	{
		Generation *fresh = read_generation();

		MemoryContextSetParent(fresh->context, TopMemoryContext);
		if (current) {
			current->older = retired;
			retired = current;
		}
		current = fresh;
		memset(recent, 0, sizeof(recent));
	}
	PG_CATCH();
	{
		stale = true;
		loading = false;
		PG_RE_THROW();
	}
	PG_END_TRY();
	loading = false;
	return current;
}

/* ---- resolving ---- */

static void
passes(Oid relid)
{
	entry_of(current, relid)->matters = true;
}

/* Whether has_role() looks in this table. */
static bool
is_role_source(Oid relid)
{
	List *name = list_make2(makeString(pstrdup("mentalspace")), makeString(pstrdup("role_source")));
	Oid function = LookupFuncName(name, 0, nullptr, true);
	bool pushed = false;

	if (!OidIsValid(function))
		return false;
	if (!ActiveSnapshotSet()) {
		PushActiveSnapshot(GetTransactionSnapshot());
		pushed = true;
	}
	LOCAL_FCINFO(call, 0);
	FmgrInfo info;
	fmgr_info(function, &info);
	InitFunctionCallInfoData(*call, &info, 0, InvalidOid, nullptr, nullptr);
	Datum source = FunctionCallInvoke(call);
	bool is = !call->isnull && DatumGetObjectId(source) == relid;
	if (pushed)
		PopActiveSnapshot();
	return is;
}

static const AuditRelation *
resolve(Generation *generation, Declaration *declaration)
{
	if (declaration->resolved)
		return declaration->resolved;
	Relation relation = try_relation_open(declaration->relid, AccessShareLock);

	if (relation == nullptr)
		return nullptr;
	MemoryContext old = MemoryContextSwitchTo(generation->context);
	AuditRelation *audited = (AuditRelation *) palloc0(sizeof(AuditRelation));
	AuditKey key;

	audited->relid = declaration->relid;
	audited->name = quote_qualified_identifier(get_namespace_name(RelationGetNamespace(relation)),
											   RelationGetRelationName(relation));
	audited->category = declaration->category;
	audited->reads = declaration->reads;
	audited->writes = declaration->writes;
	audited->broken = !ms_audit_resolve_key(relation, declaration->patient_key, &key, passes);
	audited->key_column = key.column;
	audited->key_type = key.type;
	audited->path = key.path;
	audited->redact_count = declaration->redact_count;
	audited->redact = declaration->redact;
	MemoryContextSwitchTo(old);
	relation_close(relation, AccessShareLock);
	if (audited->writes)
		audited->is_role_source = is_role_source(audited->relid);
	declaration->resolved = audited;
	return audited;
}

/* The declaration of this very relation. */
static Declaration *
declaration_of(Generation *generation, Oid relid)
{
	for (int i = 0; i < generation->count; i++)
		if (generation->declarations[i].relid == relid)
			return &generation->declarations[i];
	return nullptr;
}

/* The tables that this one inherits from. */
static List *
parents_of(Oid relid)
{
	Relation catalog = table_open(InheritsRelationId, AccessShareLock);
	List *parents = NIL;
	ScanKeyData key;
	HeapTuple tuple;

	ScanKeyInit(&key, Anum_pg_inherits_inhrelid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	SysScanDesc scan = systable_beginscan(catalog, InheritsRelidSeqnoIndexId, true, nullptr, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		parents = lappend_oid(parents, ((Form_pg_inherits) GETSTRUCT(tuple))->inhparent);
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return parents;
}

/* The declaration of the relation, or of the next above it that has one. */
static Declaration *
declaration_above(Generation *generation, Oid relid, int depth)
{
	Declaration *declaration = declaration_of(generation, relid);
	ListCell *cell;

	if (declaration || depth > 32)
		return declaration;
	if (get_rel_relispartition(relid)) {
		List *ancestors = get_partition_ancestors(relid);

		foreach(cell, ancestors) {
			declaration = declaration_of(generation, lfirst_oid(cell));
			if (declaration)
				return declaration;
		}
		return nullptr;
	}
	if (get_rel_relkind(relid) != RELKIND_RELATION || !has_superclass(relid))
		return nullptr;
	foreach(cell, parents_of(relid)) {
		declaration = declaration_above(generation, lfirst_oid(cell), depth + 1);
		if (declaration)
			return declaration;
	}
	return nullptr;
}

static Entry *
look_up(Generation *generation, Oid relid)
{
	Entry *entry = recent[relid % lengthof(recent)];

	if (likely(entry != nullptr && entry->relid == relid && entry->looked_up))
		return entry;
	entry = entry_of(generation, relid);
	if (likely(entry->looked_up)) {
		recent[relid % lengthof(recent)] = entry;
		return entry;
	}
	loading = true;
	PG_TRY();
	{
		Declaration *declaration = declaration_above(generation, relid, 0);
		const AuditRelation *audited = declaration ? resolve(generation, declaration) : nullptr;

		/* Resolving may have enlarged the table. */
		entry = entry_of(generation, relid);
		if (audited) {
			entry->matters = true;
			entry->audited = audited;
			if (audited->key_column)
				entry->key_attno = get_attnum(relid, audited->key_column);
			if (entry->key_attno < 0)
				entry->key_attno = 0;
		}
		entry->looked_up = true;
	}
	PG_FINALLY();
	{
		loading = false;
	}
	PG_END_TRY();
	return entry;
}

bool
ms_audit_any(void)
{
	if (unlikely(!audit_enabled || loading))
		return false;
	return refresh()->count > 0;
}

const AuditRelation *
ms_audit_relation(Oid relid)
{
	if (!ms_audit_any() || relid < FirstNormalObjectId)
		return nullptr;
	return look_up(current, relid)->audited;
}

AttrNumber
ms_audit_key_attno(const AuditRelation *audited, Oid relid)
{
	if (loading || audited->key_column == nullptr)
		return 0;
	const Entry *entry = look_up(refresh(), relid);
	return entry->audited && entry->audited->relid == audited->relid ? entry->key_attno : 0;
}

/* ---- keys ---- */

/* Finds the columns of the primary key. */
static void
know_key(Generation *generation, Entry *entry, Relation relation)
{
	Oid primary = ms_primary_key_index(relation);

	entry->key_count = 0;
	if (OidIsValid(primary)) {
		HeapTuple tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(primary));

		if (HeapTupleIsValid(tuple)) {
			Form_pg_index index = (Form_pg_index) GETSTRUCT(tuple);

			for (int i = 0; i < index->indnkeyatts; i++) {
				AttrNumber attno = index->indkey.values[i];
				Oid output;
				bool is_varlena;

				entry->key_attnos[i] = attno;
				entry->key_types[i] = TupleDescAttr(RelationGetDescr(relation), attno - 1)->atttypid;
				getTypeOutputInfo(entry->key_types[i], &output, &is_varlena);
				fmgr_info_cxt(output, &entry->key_outputs[i], generation->context);
			}
			entry->key_count = index->indnkeyatts;
			ReleaseSysCache(tuple);
		}
	}
	entry->matters = entry->key_known = true;
}

bool
ms_audit_key_is_unique(const AuditRelation *audited, Relation relation)
{
	if (loading)
		return false;
	Generation *generation = refresh();
	Entry *entry = look_up(generation, RelationGetRelid(relation));

	if (unlikely(!entry->key_known))
		know_key(generation, entry, relation);
	return entry->audited == audited && entry->key_count == 1 && entry->key_attnos[0] == entry->key_attno;
}

char *
ms_audit_row_key(Relation relation, TupleTableSlot *slot)
{
	Generation *generation = refresh();
	Entry *entry = entry_of(generation, RelationGetRelid(relation));
	StringInfoData out;
	bool null;

	if (unlikely(!entry->key_known))
		know_key(generation, entry, relation);
	if (entry->key_count == 0)
		return nullptr;
	if (entry->key_count == 1) {
		Datum value = slot_getattr(slot, entry->key_attnos[0], &null);

		return null ? nullptr : OutputFunctionCall(&entry->key_outputs[0], value);
	}
	initStringInfo(&out);
	for (int i = 0; i < entry->key_count; i++) {
		Datum value = slot_getattr(slot, entry->key_attnos[i], &null);
		char *text = null ? nullptr : OutputFunctionCall(&entry->key_outputs[i], value);
		Oid type = entry->key_types[i];

		appendStringInfoString(&out, i == 0 ? "{" : ", ");
		escape_json(&out, NameStr(TupleDescAttr(RelationGetDescr(relation), entry->key_attnos[i] - 1)->attname));
		appendStringInfoString(&out, ": ");
		if (text == nullptr)
			appendStringInfoString(&out, "null");
		else if (type == INT2OID || type == INT4OID || type == INT8OID)
			appendStringInfoString(&out, text);
		else
			escape_json(&out, text);
	}
	appendStringInfoChar(&out, '}');
	return out.data;
}

/* ---- the salt ---- */

static TimestampTz oldest_salt;

static void
read_salt(TupleTableSlot *slot, Oid relid, Generation *generation)
{
	bool null;
	TimestampTz made_at = DatumGetTimestampTz(column_of(slot, relid, "made_at", &null));

	if (null || (generation->salted && made_at >= oldest_salt))
		return;
	bytea *salt = DatumGetByteaPP(column_of(slot, relid, "salt", &null));
	if (null || VARSIZE_ANY_EXHDR(salt) != sizeof(generation->salt))
		return;
	memcpy(generation->salt, VARDATA_ANY(salt), sizeof(generation->salt));
	generation->salted = true;
	oldest_salt = made_at;
}

const uint8 *
ms_audit_salt(void)
{
	Generation *generation = refresh();

	if (unlikely(!generation->salted)) {
		Oid table = table_of_ours("audit_salts");

		if (OidIsValid(table))
			read_table(table, read_salt, generation);
		if (!generation->salted)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("table mentalspace.audit_salts holds no salt for digests"),
					 errhint("It is filled by CREATE EXTENSION mentalspace; restore its row from a dump.")));
	}
	return generation->salt;
}

/* ---- changes ---- */

static void
on_relcache_change(Datum arg, Oid relid)
{
	(void) arg;
	if (current == nullptr || stale)
		return;
	if (!OidIsValid(relid) || relid == current->config || !OidIsValid(current->config)) {
		stale = true;
		return;
	}
	Entry *entry = (Entry *) hash_search(current->entries, &relid, HASH_FIND, nullptr);
	if (entry == nullptr)
		return;
	if (entry->matters)
		stale = true;
	else
		entry->looked_up = entry->key_known = false;
}

static void
on_xact_event(XactEvent event, void *arg)
{
	(void) arg;
	switch (event) {
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
		case XACT_EVENT_PARALLEL_COMMIT:
		case XACT_EVENT_PARALLEL_ABORT:
			loading = false;
			while (retired) {
				Generation *old = retired;

				retired = old->older;
				MemoryContextDelete(old->context);
			}
			break;
		default:
			break;
	}
}

void
ms_audit_relations_init(void)
{
	CacheRegisterRelcacheCallback(on_relcache_change, (Datum) 0);
	RegisterXactCallback(on_xact_event, nullptr);
}
