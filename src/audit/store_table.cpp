/* Rows for mentalspace.audit_events, given to the table access method as COPY does.
 *
 * A partition is found by the name that audit_make_partitions() gives it, and its columns by theirs: partitions may
 * have been attached with their columns in another order. */
#include "pg/prelude.h"

extern "C" {
#include "access/htup_details.h"
#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "commands/sequence.h"
#include "executor/executor.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
}

#include "audit/store_row.h"
#include "audit/store_table.h"

/* What is known of the partition that was used last. */
struct Target {
	bool valid;
	/* Whether a row of the month was seen to fit the partition's bounds. */
	bool bounds_checked;
	TimestampTz month_begin, month_end;
	Oid parent, partition, sequence;
	AttrNumber attribute[kColumnCount];
};

static Target target;

/* Rows that are given to the table access method at once: some pages full. */
static constexpr int kBatch = 128;
static constexpr int kPlainIndexes = 8;

static MemoryContext who_context, batch_context, slot_context;
static TupleTableSlot *slots[kBatch];
static int slot_count;
static TupleDesc slot_desc;
static bool writing;

static void
relation_changed(Datum, Oid relid)
{
	if (!OidIsValid(relid) || relid == target.parent || relid == target.partition || relid == target.sequence)
		target.valid = false;
}

/* The month in UTC that the time is in: its name as YYYYMM, and its bounds. */
static int
month_of(TimestampTz time, TimestampTz *begin, TimestampTz *end)
{
	struct pg_tm tm;
	fsec_t fraction;

	if (TIMESTAMP_NOT_FINITE(time) || timestamp2tm(time, nullptr, &tm, &fraction, nullptr, nullptr) != 0)
		ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE), errmsg("time of an audit event out of range")));

	int month = tm.tm_year * 100 + tm.tm_mon;

	tm.tm_mday = 1;
	tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
	if (tm2timestamp(&tm, 0, nullptr, begin) != 0)
		*begin = time;
	tm.tm_mon++;
	if (tm.tm_mon > 12) {
		tm.tm_mon = 1;
		tm.tm_year++;
	}
	if (tm2timestamp(&tm, 0, nullptr, end) != 0)
		*end = time + 1;
	return month;
}

static Oid
partition_named(const char *name, Oid schema, Oid parent)
{
	Oid relid = get_relname_relid(name, schema);

	return OidIsValid(relid) && get_rel_relispartition(relid) && get_partition_parent(relid, true) == parent
		? relid : InvalidOid;
}

[[noreturn]] static void
raise_missing(const char *what)
{
	ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("audit event could not be written: there is no %s", what),
					errhint("Tables are audited only where the extension mentalspace is installed.")));
	pg_unreachable();
}

/* Fills all of `target` but what is read from the relation itself. */
static void
find_target(TimestampTz time)
{
	char name[NAMEDATALEN];
	Target found = {};
	Oid schema = get_namespace_oid("mentalspace", true);
	int month = month_of(time, &found.month_begin, &found.month_end);

	if (OidIsValid(schema)) {
		found.parent = get_relname_relid("audit_events", schema);
		found.sequence = get_relname_relid("audit_event_ids", schema);
	}
	if (!OidIsValid(found.parent))
		raise_missing("table mentalspace.audit_events");
	if (!OidIsValid(found.sequence) || get_rel_relkind(found.sequence) != RELKIND_SEQUENCE)
		raise_missing("sequence mentalspace.audit_event_ids");
	snprintf(name, sizeof(name), "audit_events_%06d", month);
	found.partition = partition_named(name, schema, found.parent);
	if (!OidIsValid(found.partition))
		found.partition = partition_named("audit_events_default", schema, found.parent);
	if (!OidIsValid(found.partition))
		raise_missing("partition of mentalspace.audit_events for the present month, nor a default one");
	found.valid = true;
	target = found;
}

static void
map_columns(Relation relation)
{
	TupleDesc desc = RelationGetDescr(relation);

	if (relation->rd_rel->relkind != RELKIND_RELATION)
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("audit event could not be written: \"%s\" is not a table",
							   RelationGetRelationName(relation))));
	MemoryContextReset(slot_context);
	slot_count = 0;
	for (int column = 0; column < kColumnCount; column++) {
		target.attribute[column] = InvalidAttrNumber;
		for (int i = 0; i < desc->natts; i++) {
			Form_pg_attribute attribute = TupleDescAttr(desc, i);

			if (attribute->attisdropped || strcmp(NameStr(attribute->attname), audit_columns[column].name) != 0)
				continue;
			if (attribute->atttypid != audit_columns[column].type)
				ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
								errmsg("audit event could not be written: column \"%s\" of table \"%s\" has another type "
									   "than the library knows", audit_columns[column].name,
									   RelationGetRelationName(relation))));
			target.attribute[column] = attribute->attnum;
		}
	}
}

/* Opens the partition for the time.  Whoever makes partitions or drops them locks out this lock, so what is found
 * under it stays. */
static Relation
open_target(TimestampTz time)
{
	for (;;) {
		if (!target.valid || time < target.month_begin || time >= target.month_end) {
			find_target(time);
			target.attribute[kEventId] = InvalidAttrNumber;
		}

		Relation relation = try_table_open(target.partition, RowExclusiveLock);

		/* What was done to it while this waited for the lock is known now. */
		if (relation != nullptr && target.valid) {
			if (target.attribute[kEventId] == InvalidAttrNumber)
				map_columns(relation);
			return relation;
		}
		if (relation != nullptr)
			table_close(relation, RowExclusiveLock);
		target.valid = false;
	}
}

/* A slot for row number `n` of a batch.  They last, with a descriptor of their own, until the partition is another
 * one. */
static TupleTableSlot *
slot_of(int n, Relation relation)
{
	if (n == slot_count) {
		MemoryContext before = MemoryContextSwitchTo(slot_context);

		if (slot_count == 0)
			slot_desc = CreateTupleDescCopy(RelationGetDescr(relation));
		slots[n] = MakeSingleTupleTableSlot(slot_desc, table_slot_callbacks(relation));
		slot_count++;
		MemoryContextSwitchTo(before);
	}
	return slots[n];
}

static void
store_row(TupleTableSlot *slot, const AuditTableRow *row)
{
	ExecClearTuple(slot);
	memset(slot->tts_isnull, true, slot->tts_tupleDescriptor->natts * sizeof(bool));
	for (int column = 0; column < kColumnCount; column++) {
		int at = target.attribute[column] - 1;

		if (at < 0)
			continue;
		slot->tts_values[at] = row->value[column];
		slot->tts_isnull[at] = row->null[column];
	}
	ExecStoreVirtualTuple(slot);
}

/* Whether the rows of the month belong here.  PostgreSQL's own message would show the row. */
static void
check_bounds(Relation relation, TupleTableSlot *slot)
{
	EState *estate = CreateExecutorState();
	ResultRelInfo *result = makeNode(ResultRelInfo);

	InitResultRelInfo(result, relation, 0, nullptr, 0);
	if (relation->rd_rel->relispartition && !ExecPartitionCheck(result, slot, estate, false))
		ereport(ERROR, (errcode(ERRCODE_CHECK_VIOLATION),
						errmsg("audit event could not be written: partition \"%s\" does not take the month that its name "
							   "tells, or another partition does", RelationGetRelationName(relation))));
	FreeExecutorState(estate);
}

/* The indexes of the partition.  The executor's own way is taken where one is more than a list of columns: for the
 * others it would be a good part of the price of a single event. */
struct Indexes {
	int count;
	Relation relation[kPlainIndexes];
	IndexInfo *info[kPlainIndexes];
	EState *estate;                 /* of the executor's way, else NULL */
	ResultRelInfo *result;
};

static bool
open_plain_indexes(Indexes *indexes, Relation relation)
{
	List *oids = RelationGetIndexList(relation);
	bool plain = list_length(oids) <= kPlainIndexes;
	ListCell *cell;

	indexes->count = 0;
	if (plain)
		foreach(cell, oids) {
			Relation index = index_open(lfirst_oid(cell), RowExclusiveLock);
			IndexInfo *info = BuildIndexInfo(index);

			indexes->relation[indexes->count] = index;
			indexes->info[indexes->count++] = info;
			if (info->ii_Unique || info->ii_ExclusionOps != nullptr || info->ii_Expressions != NIL ||
				info->ii_Predicate != NIL)
				plain = false;
		}
	if (!plain)
		while (indexes->count > 0)
			index_close(indexes->relation[--indexes->count], RowExclusiveLock);
	return plain;
}

static void
open_indexes(Indexes *indexes, Relation relation)
{
	indexes->estate = nullptr;
	if (open_plain_indexes(indexes, relation))
		return;
	indexes->estate = CreateExecutorState();
	indexes->result = makeNode(ResultRelInfo);
	InitResultRelInfo(indexes->result, relation, 0, nullptr, 0);
	ExecOpenIndices(indexes->result, false);
}

static void
index_row(Indexes *indexes, Relation relation, TupleTableSlot *slot)
{
	Datum values[INDEX_MAX_KEYS];
	bool nulls[INDEX_MAX_KEYS];

	if (indexes->estate != nullptr) {
		list_free(ms_insert_index_tuples(indexes->result, slot, indexes->estate));
		ResetPerTupleExprContext(indexes->estate);
		return;
	}
	for (int i = 0; i < indexes->count; i++) {
		if (!indexes->info[i]->ii_ReadyForInserts)
			continue;
		FormIndexDatum(indexes->info[i], slot, nullptr, values, nulls);
		index_insert(indexes->relation[i], values, nulls, &slot->tts_tid, relation, UNIQUE_CHECK_NO, false,
					 indexes->info[i]);
	}
}

static void
close_indexes(Indexes *indexes)
{
	if (indexes->estate != nullptr) {
		ExecCloseIndices(indexes->result);
		FreeExecutorState(indexes->estate);
		return;
	}
	for (int i = 0; i < indexes->count; i++) {
		ms_index_insert_done(indexes->relation[i], indexes->info[i]);
		index_close(indexes->relation[i], RowExclusiveLock);
	}
}

/* Writes the events that belong to the partition of the first one; returns how many those were.  In who_context, which
 * is reset afterwards; what is of one batch only is in batch_context. */
static int
write_partition(const AuditEvent *const *events, int count)
{
	Relation relation = open_target(events[0]->occurred_at);
	Indexes indexes;
	int done = 0;
	const AuditWho *who = nullptr;
	AuditTableRow row = {};

	open_indexes(&indexes, relation);
	while (done < count) {
		int batch = 0;

		for (; batch < kBatch && done + batch < count; batch++) {
			const AuditEvent *event = events[done + batch];
			TupleTableSlot *slot;

			if (event->occurred_at < target.month_begin || event->occurred_at >= target.month_end)
				break;
			if (event->who != who) {
				ms_audit_event_row_who(&row, event->who);
				who = event->who;
			}
			MemoryContextSwitchTo(batch_context);
			ms_audit_event_row(&row, event, nextval_internal(target.sequence, false));
			MemoryContextSwitchTo(who_context);
			slot = slot_of(batch, relation);
			store_row(slot, &row);
			/* Those of one month are alike. */
			if (!target.bounds_checked) {
				check_bounds(relation, slot);
				target.bounds_checked = true;
			}
		}
		if (batch == 0)
			break;
		MemoryContextSwitchTo(batch_context);
		/* For one row the way of many costs more than twice as much. */
		if (batch == 1)
			table_tuple_insert(relation, slots[0], GetCurrentCommandId(true), 0, nullptr);
		else
			table_multi_insert(relation, slots, batch, GetCurrentCommandId(true), 0, nullptr);
		for (int i = 0; i < batch; i++) {
			index_row(&indexes, relation, slots[i]);
			ExecClearTuple(slots[i]);
		}
		MemoryContextSwitchTo(who_context);
		MemoryContextReset(batch_context);
		done += batch;
	}
	close_indexes(&indexes);
	table_close(relation, NoLock);
	return done;
}

static void
write_all(const AuditEvent *const *events, int count)
{
	MemoryContext before = MemoryContextSwitchTo(who_context);
	/* At the end of a transaction there is none, and values that are moved out of line ask for one. */
	bool needs_snapshot = !ActiveSnapshotSet();
	/* A transaction may have become read-only since; the events tell of what it did before.  An error needs nothing to
	 * be put back: the end of the transaction does. */
	bool was_read_only = XactReadOnly;

	if (needs_snapshot)
		PushActiveSnapshot(GetTransactionSnapshot());
	XactReadOnly = false;
	for (int done = 0; done < count;)
		done += write_partition(events + done, count - done);
	XactReadOnly = was_read_only;
	if (needs_snapshot)
		PopActiveSnapshot();
	MemoryContextSwitchTo(before);
}

bool
ms_audit_is_writing_table(void)
{
	return writing;
}

void
ms_audit_write_table(const AuditEvent *const *events, int count)
{
	if (RecoveryInProgress())
		ereport(ERROR, (errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
						errmsg("cannot write audit events during recovery")));
	/* A function in an index of the table would have to audit something. */
	if (writing)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
						errmsg("cannot write audit events while audit events are being written")));
	writing = true;
	PG_TRY();
	{
		write_all(events, count);
	}
	PG_FINALLY();
	{
		writing = false;
		MemoryContextReset(who_context);
		MemoryContextReset(batch_context);
	}
	PG_END_TRY();
}

void
ms_audit_store_table_init(void)
{
	who_context = AllocSetContextCreate(TopMemoryContext, "mentalspace audit writing", ALLOCSET_DEFAULT_SIZES);
	batch_context = AllocSetContextCreate(TopMemoryContext, "mentalspace audit rows", ALLOCSET_DEFAULT_SIZES);
	slot_context = AllocSetContextCreate(TopMemoryContext, "mentalspace audit slots", ALLOCSET_SMALL_SIZES);
	CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
}
