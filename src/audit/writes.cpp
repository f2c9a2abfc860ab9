/* The triggers of audited tables: mentalspace.audit_row() and audit_truncate(). */
#include "pg/prelude.h"

extern "C" {
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_inherits.h"
#include "partitioning/partdesc.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "common/hashfn.h"
#include "utils/datum.h"
#include "utils/hsearch.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
}

#include "audit/audit.h"
#include "audit/context.h"
#include "audit/relations.h"
#include "audit/row.h"
#include "audit/store.h"
#include "audit/store_table.h"

static void
check_trigger(FunctionCallInfo fcinfo, TriggerEvent level, TriggerEvent timing, const char *wanted)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("function must be called as a trigger")));

	TriggerEvent event = (reinterpret_cast<TriggerData *>(fcinfo->context))->tg_event;

	if ((event & TRIGGER_EVENT_ROW) != level || (event & TRIGGER_EVENT_TIMINGMASK) != timing)
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED), errmsg("trigger must be %s", wanted)));
}

/* An owner's own trigger would record everything twice. */
static void
check_name(const TriggerData *trigger, const char *name)
{
	if (strcmp(trigger->tg_trigger->tgname, name) != 0)
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("trigger \"%s\" was not made by mentalspace.audit_table()", trigger->tg_trigger->tgname)));
}

static void
begin_event(AuditEvent *event, const AuditRelation *audited, AuditAction action)
{
	ms_audit_event_init(event, audited->is_role_source ? kPermissionChange : kDataModification, action);
	event->category = audited->category;
	event->relation = audited->name;
	/* Whose data it is cannot be told: somebody has to look at the declaration. */
	if (audited->broken) {
		event->severity = kCritical;
		event->detail = "the patient key of the table leads nowhere";
	}
}

/* The patients of rows, each once. */
static void
add_patient(AuditEvent *event, StringInfo buffer, const AuditRow *row, TupleTableSlot *slot)
{
	int start = buffer->len;
	bool null;

	if (row->key == 0)
		return;

	Datum key = slot_getattr(slot, row->key, &null);

	if (null || !ms_audit_append_patient(row->audited, key, nullptr, buffer))
		return;
	if (event->patients.count == 1 && buffer->len == 2 * start && memcmp(buffer->data, buffer->data + start, start) == 0) {
		buffer->len = start;
		return;
	}
	event->patients = {event->patients.count + 1, static_cast<uint32>(buffer->len), buffer->data};
}

static bool
same_patient_key(const AuditRow *row, TupleTableSlot *before, TupleTableSlot *after)
{
	bool old_null, new_null;

	if (row->key == 0)
		return true;

	Form_pg_attribute attribute = TupleDescAttr(before->tts_tupleDescriptor, row->key - 1);
	Datum old_key = slot_getattr(before, row->key, &old_null), new_key = slot_getattr(after, row->key, &new_null);

	return old_null || new_null ? old_null == new_null
		: datum_image_eq(old_key, new_key, attribute->attbyval, attribute->attlen);
}

MS_FUNCTION(ms_audit_row)
{
	check_trigger(fcinfo, TRIGGER_EVENT_ROW, TRIGGER_EVENT_AFTER, "AFTER ROW");

	auto *trigger = reinterpret_cast<TriggerData *>(fcinfo->context);
	Relation relation = trigger->tg_relation;
	const AuditRelation *audited = ms_audit_relation(RelationGetRelid(relation));

	if (audited == nullptr || !audited->writes)
		return PointerGetDatum(nullptr);
	check_name(trigger, "mentalspace_audit");

	AuditRow *row = ms_audit_row_of(relation, audited);
	TupleTableSlot *slot = trigger->tg_trigslot;
	AuditEvent event;
	StringInfoData patients;
	uint8 digest[32];

	initStringInfo(&patients);
	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event)) {
		begin_event(&event, audited, kCreate);
		ms_audit_row_digest(row, slot, digest);
		event.row_digest = digest;
		add_patient(&event, &patients, row, slot);
	} else if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event)) {
		TupleTableSlot *before = slot;

		slot = trigger->tg_newslot;
		begin_event(&event, audited, kUpdate);
		event.changes = ms_audit_row_changes(row, before, slot);
		add_patient(&event, &patients, row, before);
		if (!same_patient_key(row, before, slot))
			add_patient(&event, &patients, row, slot);
	} else {
		begin_event(&event, audited, kDelete);
		event.row_image = ms_audit_row_image(row, slot);
		add_patient(&event, &patients, row, slot);
	}
	event.row_count = 1;
	event.row_key = ms_audit_row_key(relation, slot);
	ms_audit_record(&event);
	return PointerGetDatum(nullptr);
}

/* ---- TRUNCATE ---- */

struct Patient {
	const char *text;
	uint32 length;
};

static uint32
hash_patient(const void *key, Size)
{
	auto *patient = static_cast<const Patient *>(key);

	return hash_bytes(reinterpret_cast<const unsigned char *>(patient->text), static_cast<int>(patient->length));
}

static int
compare_patients(const void *a, const void *b, Size)
{
	auto *one = static_cast<const Patient *>(a), *other = static_cast<const Patient *>(b);

	return one->length != other->length || memcmp(one->text, other->text, one->length) != 0;
}

/* What is in a table: the number of rows and their patients. */
struct Contents {
	const AuditRelation *audited;
	HTAB *patients;
	StringInfoData packed;
	MemoryContext context;
	int64 row_count;
	uint32 patient_count;
};

static void
see_row(Contents *contents, AttrNumber key, TupleTableSlot *slot)
{
	StringInfoData one;
	Patient patient;
	bool null, found;

	contents->row_count++;
	if (key == 0)
		return;

	Datum value = slot_getattr(slot, key, &null);

	if (null)
		return;
	initStringInfo(&one);
	if (!ms_audit_append_patient(contents->audited, value, nullptr, &one))
		return;
	patient = {one.data + sizeof(uint32), static_cast<uint32>(one.len - sizeof(uint32))};
	auto *entry = static_cast<Patient *>(hash_search(contents->patients, &patient, HASH_FIND, nullptr));
	if (entry != nullptr)
		return;

	auto *text = static_cast<char *>(MemoryContextAlloc(contents->context, patient.length + 1));

	memcpy(text, patient.text, patient.length);
	patient.text = text;
	hash_search(contents->patients, &patient, HASH_ENTER, &found);
	ms_audit_pack_id(&contents->packed, patient.text, patient.length);
	contents->patient_count++;
}

static void
see_table(Contents *contents, Relation relation)
{
	AttrNumber key = ms_audit_key_attno(contents->audited, RelationGetRelid(relation));
	MemoryContext row_context = AllocSetContextCreate(CurrentMemoryContext, "mentalspace truncated row",
													  ALLOCSET_DEFAULT_SIZES);
	/* All that goes: also what a transaction with an older snapshot does not see. */
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	TableScanDesc scan = table_beginscan(relation, snapshot, 0, nullptr);
	TupleTableSlot *slot = table_slot_create(relation, nullptr);

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot)) {
		CHECK_FOR_INTERRUPTS();
		MemoryContext before = MemoryContextSwitchTo(row_context);

		see_row(contents, key, slot);
		MemoryContextSwitchTo(before);
		MemoryContextReset(row_context);
	}
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	MemoryContextDelete(row_context);
}

static bool
has_trigger(Relation relation, Oid function)
{
	TriggerDesc *triggers = relation->trigdesc;

	for (int i = 0; triggers != nullptr && i < triggers->numtriggers; i++)
		if (triggers->triggers[i].tgfoid == function && TRIGGER_FOR_TRUNCATE(triggers->triggers[i].tgtype))
			return true;
	return false;
}

/* Where there is a partition that has the trigger itself, it gives an event of its own.  All are locked. */
static bool
see_partitions(Contents *contents, Relation root, Oid function)
{
	bool seen = false;
	ListCell *cell;

	foreach(cell, find_all_inheritors(RelationGetRelid(root), NoLock, nullptr)) {
		Relation partition = table_open(lfirst_oid(cell), NoLock);

		if (partition->rd_rel->relkind == RELKIND_RELATION && !has_trigger(partition, function)) {
			see_table(contents, partition);
			seen = true;
		}
		table_close(partition, NoLock);
	}
	return seen;
}

MS_FUNCTION(ms_audit_truncate)
{
	check_trigger(fcinfo, 0, TRIGGER_EVENT_BEFORE, "BEFORE TRUNCATE FOR EACH STATEMENT");

	auto *trigger = reinterpret_cast<TriggerData *>(fcinfo->context);
	Relation relation = trigger->tg_relation;
	const AuditRelation *audited = ms_audit_relation(RelationGetRelid(relation));

	if (!TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED), errmsg("trigger must be for TRUNCATE")));
	if (audited == nullptr || !audited->writes)
		return PointerGetDatum(nullptr);
	check_name(trigger, "mentalspace_audit_truncate");

	Contents contents = {};
	HASHCTL control = {};
	AuditEvent event;
	bool counted = true;

	contents.audited = audited;
	contents.context = AllocSetContextCreate(CurrentMemoryContext, "mentalspace truncated patients",
											 ALLOCSET_DEFAULT_SIZES);
	MemoryContext before = MemoryContextSwitchTo(contents.context);

	initStringInfo(&contents.packed);
	control.keysize = control.entrysize = sizeof(Patient);
	control.hash = hash_patient;
	control.match = compare_patients;
	control.hcxt = contents.context;
	contents.patients = hash_create("mentalspace truncated patients", 256, &control,
									HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
	if (relation->rd_rel->relkind == RELKIND_RELATION)
		see_table(&contents, relation);
	else if (relation->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		counted = false;
	else if (!see_partitions(&contents, relation, fcinfo->flinfo->fn_oid) &&
			 RelationGetPartitionDesc(relation, true)->nparts > 0) {
		MemoryContextSwitchTo(before);
		MemoryContextDelete(contents.context);
		return PointerGetDatum(nullptr);
	}

	begin_event(&event, audited, kDelete);
	event.detail = "TRUNCATE";
	if (event.severity == kInfo)
		event.severity = kWarning;
	if (counted) {
		event.row_count = contents.row_count;
		if (!audited->broken && audited->key_column != nullptr)
			event.patients = {contents.patient_count, static_cast<uint32>(contents.packed.len), contents.packed.data};
	}
	ms_audit_record(&event);
	MemoryContextSwitchTo(before);
	MemoryContextDelete(contents.context);
	return PointerGetDatum(nullptr);
}

void
ms_audit_writes_init(void)
{
	ms_audit_row_init();
}
