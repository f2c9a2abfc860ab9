/* What the server tells of as it happens: relations that go, by DROP TABLE, DROP INDEX and whatever reaches them with
 * CASCADE, and functions that decode the changes of tables. */
#include "pg/prelude.h"

#include "audit/admin_parts.h"
#include "audit/context.h"
#include "audit/drops.h"
#include "audit/outlet.h"
#include "audit/settings.h"

extern "C" {
#include "access/genam.h"
#include "access/heapam.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
}

namespace {

object_access_hook_type next_object_access;
AuditDrops *current;              /* of the command that is running, NULL where none is */

/* Takes the declaration of a relation that ceases to be out of mentalspace.audit_relations. */
void
forget_declaration(Oid relid)
{
	Oid schema = get_namespace_oid("mentalspace", true);
	Oid declarations = OidIsValid(schema) ? get_relname_relid("audit_relations", schema) : InvalidOid;
	ScanKeyData key;

	if (!OidIsValid(declarations))
		return;
	Relation table = table_open(declarations, RowExclusiveLock);
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());

	ScanKeyInit(&key, get_attnum(declarations, "relation"), BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	SysScanDesc scan = systable_beginscan(table, InvalidOid, false, snapshot, 1, &key);
	for (HeapTuple tuple; HeapTupleIsValid(tuple = systable_getnext(scan));) {
		simple_heap_delete(table, &tuple->t_self);
		CacheInvalidateRelcache(table);
	}
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(table, RowExclusiveLock);
}

/* What is to be told of a relation that goes; NULL where that is nothing. */
AdminEvent *
event_of(Oid relid, const AuditRelation *audited)
{
	const AuditRelation *own = audited ? nullptr : ms_audit_own_table(relid);
	char kind = get_rel_relkind(relid);
	bool index = kind == RELKIND_INDEX || kind == RELKIND_PARTITIONED_INDEX;
	const char *name = get_rel_name(relid);

	if (own)
		return kind != RELKIND_RELATION ? nullptr :
			ms_audit_make_event(kAdminAction, kDelete, kWarning, own, psprintf("%s: a part of the record dropped", current->tag));
	/* Indexes go with their table; on their own they are told of. */
	if (audited == nullptr || (index && strcmp(current->tag, "DROP INDEX") != 0))
		return nullptr;
	if (audited->relid == relid)
		return ms_audit_make_event(kAdminAction, kDelete, kWarning, audited,
								   psprintf("%s: dropped, its audit ends", current->tag));
	return ms_audit_make_event(kAdminAction, kDelete, index ? kInfo : kWarning, audited,
							   psprintf("%s: %s %s dropped", current->tag, index ? "index" : "part",
										quote_identifier(name ? name : "")));
}

void
relation_goes(Oid relid)
{
	MemoryContext old = MemoryContextSwitchTo(current->context);
	const AuditRelation *audited = ms_audit_table_of(relid);
	AdminEvent *event = event_of(relid, audited);

	if (event)
		current->events = lappend(current->events, event);
	MemoryContextSwitchTo(old);
	if (audited && audited->relid == relid)
		forget_declaration(relid);
}

/* Functions that give the changes of tables past the executor. */
bool
is_decoder(Oid function)
{
	return function == F_PG_LOGICAL_SLOT_GET_CHANGES || function == F_PG_LOGICAL_SLOT_PEEK_CHANGES ||
		function == F_PG_LOGICAL_SLOT_GET_BINARY_CHANGES || function == F_PG_LOGICAL_SLOT_PEEK_BINARY_CHANGES;
}

void
changes_are_read(Oid function)
{
	AuditEvent event;

	ms_audit_event_init(&event, kExport, kRead);
	event.severity = kWarning;
	event.detail = get_func_name(function);
	ms_audit_emit(&event, true);
}

void
object_access(ObjectAccessType access, Oid class_id, Oid object_id, int sub_id, void *arg)
{
	if (access == OAT_DROP && class_id == RelationRelationId && sub_id == 0 && current && current->tag &&
		(((ObjectAccessDrop *) arg)->dropflags & PERFORM_DELETION_INTERNAL) == 0 && audit_enabled && ms_audit_any())
		relation_goes(object_id);
	else if (access == OAT_FUNCTION_EXECUTE && unlikely(is_decoder(object_id)) && audit_enabled && ms_audit_any())
		changes_are_read(object_id);
	if (next_object_access)
		next_object_access(access, class_id, object_id, sub_id, arg);
}

}  // namespace

void
ms_audit_check_drop(const Node *statement)
{
	const DropStmt *drop = (const DropStmt *) statement;
	Oid extension = get_extension_oid("mentalspace", true);
	ListCell *cell;

	if (!IsA(statement, DropStmt) || drop->removeType != OBJECT_EXTENSION || drop->behavior == DROP_CASCADE ||
		!OidIsValid(extension) || !ms_owns_extension(extension, GetUserId()))
		return;
	foreach (cell, drop->objects)
		if (strcmp(strVal(lfirst(cell)), "mentalspace") == 0)
			break;
	if (cell == nullptr)
		return;
	Oid schema = get_namespace_oid("mentalspace", true);
	if (!OidIsValid(schema) || !OidIsValid(get_relname_relid("audit_events", schema)))
		return;
	SPI_connect();
	if (SPI_execute("SELECT FROM mentalspace.audit_events LIMIT 1", true, 1) == SPI_OK_SELECT && SPI_processed > 0)
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("cannot drop extension %s because its record of access to patients' data goes with it", "mentalspace"),
				 errhint("Dump the schema mentalspace, then use DROP ... CASCADE.")));
	SPI_finish();
}

void
ms_audit_drops_begin(AuditDrops *drops, const char *tag)
{
	drops->tag = tag;
	drops->context = CurrentMemoryContext;
	drops->events = NIL;
	drops->outer = current;
	current = drops;
}

void
ms_audit_drops_end(const AuditDrops *drops)
{
	current = drops->outer;
}

void
ms_audit_drops_init(void)
{
	next_object_access = object_access_hook;
	object_access_hook = object_access;
}
