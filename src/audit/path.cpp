/* Paths over foreign keys, followed by looks in the indexes that the keys refer to: without row level security and
 * without a query of anybody's. */
#include "pg/prelude.h"

#include "audit/path.h"

extern "C" {
#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "executor/tuptable.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/varlena.h"
}

/* From a value to the row that it refers to, and there to a column. */
struct AuditPath {
	AuditPath *next;
	Oid relid;               /* the referenced table */
	bool partitioned;
	Oid index;               /* of the referenced column */
	AttrNumber referenced;
	RegProcedure equals;     /* referenced column = value */
	Oid collation;
	AttrNumber attno;        /* the column to go on from */
	Oid type;
	int16 length;
	bool by_value;
};

/* The foreign key of one column, to a table of that name. */
static const ForeignKeyCacheInfo *
find_foreign_key(Relation relation, AttrNumber column, const char *schema, const char *table)
{
	ListCell *cell;

	foreach(cell, RelationGetFKeyList(relation)) {
		const ForeignKeyCacheInfo *key = (const ForeignKeyCacheInfo *) lfirst(cell);

		if (key->nkeys != 1 || key->conkey[0] != column)
			continue;
		char *name = get_rel_name(key->confrelid);
		if (name == nullptr || strcmp(name, table) != 0)
			continue;
		if (schema) {
			char *of = get_namespace_name(get_rel_namespace(key->confrelid));

			if (of == nullptr || strcmp(of, schema) != 0)
				continue;
		}
		return key;
	}
	return nullptr;
}

/* The index that a foreign key refers to. */
static Oid
index_of(Oid constraint)
{
	HeapTuple tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
	Oid index = InvalidOid;

	if (HeapTupleIsValid(tuple)) {
		index = ((Form_pg_constraint) GETSTRUCT(tuple))->conindid;
		ReleaseSysCache(tuple);
	}
	return index;
}

/* One part of a patient_key: names separated by points. */
static List *
split_names(char *part)
{
	List *names = NIL;

	return SplitIdentifierString(part, '.', &names) ? names : NIL;
}

bool
ms_audit_resolve_key(Relation relation, const char *patient_key, AuditKey *key, void (*passes)(Oid relid))
{
	memset(key, 0, sizeof(*key));
	if (patient_key == nullptr)
		return true;
	char *rest = pstrdup(patient_key);
	char *arrow = strstr(rest, "->");

	if (arrow)
		*arrow = '\0';
	List *names = split_names(rest);
	if (list_length(names) != 1)
		return false;
	key->column = (const char *) linitial(names);
	key->attno = get_attnum(RelationGetRelid(relation), key->column);
	if (key->attno <= 0)
		return false;
	key->type = get_atttype(RelationGetRelid(relation), key->attno);

	AuditPath **end = &key->path;
	Relation from = relation;
	AttrNumber column = key->attno;
	bool resolved = true;
	while (arrow) {
		rest = arrow + 2;
		arrow = strstr(rest, "->");
		if (arrow)
			*arrow = '\0';
		names = split_names(rest);
		int count = list_length(names);
		if (count != 2 && count != 3) {
			resolved = false;
			break;
		}
		const ForeignKeyCacheInfo *foreign = find_foreign_key(
			from, column, count == 3 ? (const char *) linitial(names) : nullptr, (const char *) list_nth(names, count - 2));
		if (foreign == nullptr) {
			resolved = false;
			break;
		}
		AuditPath *step = (AuditPath *) palloc0(sizeof(AuditPath));
		step->relid = foreign->confrelid;
		step->partitioned = get_rel_relkind(step->relid) == RELKIND_PARTITIONED_TABLE;
		step->index = index_of(foreign->conoid);
		step->referenced = foreign->confkey[0];
		step->equals = get_opcode(foreign->conpfeqop[0]);
		step->attno = get_attnum(step->relid, (const char *) llast(names));
		if (passes)
			passes(step->relid);
		if (step->attno <= 0 || !OidIsValid(step->index)) {
			resolved = false;
			break;
		}
		step->type = get_atttype(step->relid, step->attno);
		get_typlenbyval(step->type, &step->length, &step->by_value);
		*end = step;
		end = &step->next;
		if (from != relation)
			table_close(from, NoLock);
		from = table_open(step->relid, AccessShareLock);
		column = step->attno;
		Form_pg_attribute referenced = TupleDescAttr(RelationGetDescr(from), step->referenced - 1);
		step->collation = referenced->attcollation;
	}
	if (from != relation)
		table_close(from, NoLock);
	return resolved;
}

/* Whether a version of a row counts where ordinary visibility finds none: it was there when this transaction began to
 * delete, or it was made by it.  `best` is set where no other version can be better. */
static bool
counts_nevertheless(TupleTableSlot *slot, bool *best)
{
	bool should_free;
	HeapTuple tuple = ExecFetchSlotHeapTuple(slot, false, &should_free);
	HeapTupleHeader header = tuple->t_data;
	TransactionId xmin = HeapTupleHeaderGetXmin(header);
	bool made = HeapTupleHeaderXminFrozen(header) || TransactionIdIsCurrentTransactionId(xmin) ||
		TransactionIdDidCommit(xmin);

	*best = made && !(header->t_infomask & HEAP_XMAX_INVALID) &&
		TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetUpdateXid(header));
	if (should_free)
		heap_freetuple(tuple);
	return made;
}

/* The value of the step's column in the row that `from` refers to, in this table and by this index. */
static bool
look_up(const AuditPath *step, Relation table, Oid index_oid, AttrNumber attno, Datum from, Snapshot snapshot, Datum *to)
{
	Relation index = index_open(index_oid, AccessShareLock);
	TupleTableSlot *slot = table_slot_create(table, nullptr);
	IndexScanDesc scan = ms_index_beginscan(table, index, snapshot, 1);
	ScanKeyData key;
	bool found = false, best = false;

	ScanKeyEntryInitialize(&key, 0, 1, BTEqualStrategyNumber, InvalidOid, step->collation, step->equals, from);
	index_rescan(scan, &key, 1, nullptr, 0);
	while (!best && index_getnext_slot(scan, ForwardScanDirection, slot)) {
		bool null;

		best = true;
		if (snapshot->snapshot_type == SNAPSHOT_ANY && !counts_nevertheless(slot, &best))
			continue;
		Datum value = slot_getattr(slot, attno, &null);
		if (null)
			continue;
		*to = datumCopy(value, step->by_value, step->length);
		found = true;
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, NoLock);
	return found;
}

/* The same in whichever partition has the row. */
static bool
look_up_in_partitions(const AuditPath *step, Relation root, Datum from, Snapshot snapshot, Datum *to)
{
	char *column = get_attname(step->relid, step->attno, false);
	char *referenced = get_attname(step->relid, step->referenced, false);
	bool found = false;
	ListCell *cell;

	foreach(cell, find_all_inheritors(RelationGetRelid(root), AccessShareLock, nullptr)) {
		Oid relid = lfirst_oid(cell);

		if (get_rel_relkind(relid) != RELKIND_RELATION)
			continue;
		Relation partition = table_open(relid, NoLock);
		AttrNumber key = get_attnum(relid, referenced);
		ListCell *at;

		foreach(at, RelationGetIndexList(partition)) {
			Relation index = index_open(lfirst_oid(at), AccessShareLock);
			bool fits = index->rd_index->indisunique && index->rd_index->indisvalid &&
				index->rd_index->indnkeyatts == 1 && index->rd_index->indkey.values[0] == key;
			Oid index_oid = RelationGetRelid(index);

			index_close(index, NoLock);
			if (!fits)
				continue;
			found = look_up(step, partition, index_oid, get_attnum(relid, column), from, snapshot, to);
			break;
		}
		table_close(partition, NoLock);
		if (found)
			break;
	}
	return found;
}

bool
ms_audit_follow(const AuditPath *path, Datum from, Snapshot snapshot, Datum *to)
{
	*to = from;
	for (const AuditPath *step = path; step; step = step->next) {
		Relation table = table_open(step->relid, AccessShareLock);
		Snapshot under = snapshot ? snapshot : GetActiveSnapshot();
		bool found = false;

		/* What the active snapshot does not show may have been deleted, or made, by the statement that is under way. */
		for (int attempt = 0; attempt < (snapshot ? 1 : 2) && !found; attempt++) {
			found = step->partitioned ? look_up_in_partitions(step, table, *to, under, to)
									  : look_up(step, table, step->index, step->attno, *to, under, to);
			under = SnapshotAny;
		}
		table_close(table, NoLock);
		if (!found)
			return false;
	}
	return true;
}

Oid
ms_audit_path_type(const AuditPath *path)
{
	while (path->next)
		path = path->next;
	return path->type;
}
