/* Paths over foreign keys, followed by looks in the indexes that the keys refer to: without row level security and
 * without a query of anybody's. */
#include "pg/prelude.h"

#include "audit/path.h"

extern "C" {
#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "catalog/partition.h"
#include "catalog/pg_am.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "executor/tuptable.h"
#include "parser/parse_coerce.h"
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
	Oid subtype;             /* of the value in that comparison */
	FmgrInfo cast;           /* makes it of the referring column's value; fn_oid is 0 where that is of this type already */
	AttrNumber attno;        /* the column to go on from */
	Oid type;
	int16 length;
	bool by_value;
};

/* The foreign key of one column, to a table of that name; a copy, as the cache's own may go. */
static bool
find_foreign_key(Relation relation, AttrNumber column, const char *schema, const char *table, ForeignKeyCacheInfo *found)
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
		*found = *key;
		return true;
	}
	return false;
}

/* The index that a foreign key refers to; InvalidOid unless it can be searched by the collation of its column. */
static Oid
index_of(Oid constraint, Oid relid, AttrNumber column)
{
	HeapTuple tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));

	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	Oid oid = ((Form_pg_constraint) GETSTRUCT(tuple))->conindid;
	Oid type, collation;
	int32 typmod;
	ReleaseSysCache(tuple);
	if (!OidIsValid(oid))
		return InvalidOid;
	get_atttypetypmodcoll(relid, column, &type, &typmod, &collation);
	Relation index = index_open(oid, AccessShareLock);
	Oid own = index->rd_indcollation[0];
	bool fits = index->rd_rel->relam == BTREE_AM_OID &&
		(own == collation || !OidIsValid(own) || !OidIsValid(collation) ||
		 (get_collation_isdeterministic(own) && get_collation_isdeterministic(collation)));

	index_close(index, AccessShareLock);
	return fits ? oid : InvalidOid;
}

/* Whether a function is C code: what a user wrote in another language must not run within somebody's read. */
static bool
is_native(Oid function)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));

	if (!HeapTupleIsValid(tuple))
		return false;
	Oid language = ((Form_pg_proc) GETSTRUCT(tuple))->prolang;
	ReleaseSysCache(tuple);
	return language == INTERNALlanguageId || language == ClanguageId;
}

/* How a value of the referring column is compared with the referenced one: by the foreign key's own operator, after the
 * cast that PostgreSQL's checks of the key make (ri_HashCompareOp).  False where that cannot be done here. */
static bool
find_comparison(AuditPath *step, Oid op, Oid type)
{
	Oid left, cast = InvalidOid;

	step->equals = get_opcode(op);
	if (!OidIsValid(step->equals) || !is_native(step->equals))
		return false;
	op_input_types(op, &left, &step->subtype);
	type = getBaseType(type);
	if (type == step->subtype)
		return true;
	switch (find_coercion_pathway(step->subtype, type, COERCION_IMPLICIT, &cast)) {
		case COERCION_PATH_RELABELTYPE:
			return true;
		case COERCION_PATH_FUNC:
			if (!is_native(cast))
				return false;
			fmgr_info_cxt(cast, &step->cast, CurrentMemoryContext);
			return true;
		default:
			/* Arrays, enumerations, ranges and rows. */
			return IsBinaryCoercible(type, step->subtype);
	}
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
	/* A table that refers to itself is opened once more. */
	Relation from = relation, opened = nullptr;
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
		ForeignKeyCacheInfo foreign;
		if (!find_foreign_key(from, column, count == 3 ? (const char *) linitial(names) : nullptr,
							  (const char *) list_nth(names, count - 2), &foreign)) {
			resolved = false;
			break;
		}
		AuditPath *step = (AuditPath *) palloc0(sizeof(AuditPath));
		step->relid = foreign.confrelid;
		step->partitioned = get_rel_relkind(step->relid) == RELKIND_PARTITIONED_TABLE;
		step->referenced = foreign.confkey[0];
		step->index = index_of(foreign.conoid, step->relid, step->referenced);
		step->attno = get_attnum(step->relid, (const char *) llast(names));
		if (passes)
			passes(step->relid);
		if (step->attno <= 0 || !OidIsValid(step->index) ||
			!find_comparison(step, foreign.conpfeqop[0], get_atttype(RelationGetRelid(from), column))) {
			resolved = false;
			break;
		}
		step->type = get_atttype(step->relid, step->attno);
		get_typlenbyval(step->type, &step->length, &step->by_value);
		*end = step;
		end = &step->next;
		if (opened)
			table_close(opened, AccessShareLock);
		from = opened = table_open(step->relid, AccessShareLock);
		column = step->attno;
	}
	if (opened)
		table_close(opened, AccessShareLock);
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

	ScanKeyEntryInitialize(&key, 0, 1, BTEqualStrategyNumber, step->subtype, index->rd_indcollation[0], step->equals, from);
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
	index_close(index, AccessShareLock);
	return found;
}

/* The same in whichever partition has the row, by its part of the index. */
static bool
look_up_in_partitions(const AuditPath *step, Relation table, Oid index, Datum from, Snapshot snapshot, Datum *to)
{
	if (table->rd_rel->relkind != RELKIND_PARTITIONED_TABLE) {
		char *column = get_attname(step->relid, step->attno, false);

		return look_up(step, table, index, get_attnum(RelationGetRelid(table), column), from, snapshot, to);
	}
	bool found = false;
	ListCell *cell;

	foreach(cell, find_inheritance_children(RelationGetRelid(table), AccessShareLock)) {
		if (get_rel_relkind(lfirst_oid(cell)) == RELKIND_FOREIGN_TABLE)
			continue;
		Relation partition = table_open(lfirst_oid(cell), NoLock);
		Oid part = index_get_partition(partition, index);

		if (!found && OidIsValid(part))
			found = look_up_in_partitions(step, partition, part, from, snapshot, to);
		table_close(partition, AccessShareLock);
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
		Datum value = *to;

		if (OidIsValid(step->cast.fn_oid)) {
			FmgrInfo cast = step->cast;

			value = FunctionCall3(&cast, value, Int32GetDatum(-1), BoolGetDatum(false));
		}
		/* What the active snapshot does not show may have been deleted, or made, by the statement that is under way. */
		for (int attempt = 0; attempt < (snapshot ? 1 : 2) && !found; attempt++) {
			found = step->partitioned ? look_up_in_partitions(step, table, step->index, value, under, to)
									  : look_up(step, table, step->index, step->attno, value, under, to);
			under = SnapshotAny;
		}
		/* Not kept to the end of the transaction, which a migration of a table that it does not name would wait for. */
		table_close(table, AccessShareLock);
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
