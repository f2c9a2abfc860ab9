/* What the descriptions of commands share, and the words of ALTER TABLE. */
#include "pg/prelude.h"

#include "audit/admin_parts.h"

extern "C" {
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "utils/lsyscache.h"
}

const AuditRelation *
ms_audit_table_of(Oid relid)
{
	if (!OidIsValid(relid))
		return nullptr;
	char kind = get_rel_relkind(relid);

	if (kind == RELKIND_INDEX || kind == RELKIND_PARTITIONED_INDEX)
		relid = IndexGetRelation(relid, true);
	return OidIsValid(relid) ? ms_audit_relation(relid) : nullptr;
}

AdminEvent *
ms_audit_make_event(AuditKind kind, AuditAction action, AuditSeverity severity, const AuditRelation *audited, const char *detail)
{
	AdminEvent *event = (AdminEvent *) palloc0(sizeof(AdminEvent));

	event->kind = kind;
	event->action = action;
	event->severity = severity;
	event->detail = detail;
	if (audited) {
		event->relation = pstrdup(audited->name);
		event->category = audited->category;
	}
	return event;
}

List *
ms_audit_one(AuditKind kind, AuditAction action, AuditSeverity severity, const AuditRelation *audited, const char *detail)
{
	return list_make1(ms_audit_make_event(kind, action, severity, audited, detail));
}

const AuditRelation *
ms_audit_own_table(Oid relid)
{
	Oid schema = OidIsValid(relid) ? get_rel_namespace(relid) : InvalidOid;
	const char *name = OidIsValid(schema) && schema == get_namespace_oid("mentalspace", true) ? get_rel_name(relid) : nullptr;

	if (name == nullptr || strncmp(name, "audit_", strlen("audit_")) != 0)
		return nullptr;
	AuditRelation *own = (AuditRelation *) palloc0(sizeof(AuditRelation));
	own->relid = relid;
	own->name = quote_qualified_identifier("mentalspace", name);
	return own;
}

const AuditRelation *
ms_audit_first_of(List *names)
{
	ListCell *cell;

	foreach (cell, names) {
		const AuditRelation *audited =
			IsA(lfirst(cell), RangeVar) ? ms_audit_table_of(ms_audit_find((RangeVar *) lfirst(cell))) : nullptr;

		if (audited)
			return audited;
	}
	return nullptr;
}

const AuditRelation *
ms_audit_first_dropped(DropStmt *stmt)
{
	bool part = stmt->removeType == OBJECT_TRIGGER || stmt->removeType == OBJECT_POLICY || stmt->removeType == OBJECT_RULE;
	ListCell *cell;

	if (!part && stmt->removeType != OBJECT_TABLE && stmt->removeType != OBJECT_INDEX &&
		stmt->removeType != OBJECT_FOREIGN_TABLE && stmt->removeType != OBJECT_MATVIEW)
		return nullptr;
	foreach (cell, stmt->objects) {
		List *name = (List *) lfirst(cell);

		if (part)
			name = list_copy_head(name, list_length(name) - 1);
		const AuditRelation *audited = name ? ms_audit_table_of(ms_audit_find(makeRangeVarFromNameList(name))) : nullptr;

		if (audited)
			return audited;
	}
	return nullptr;
}

const char *
ms_audit_words(const AlterTableCmd *command)
{
	const char *words;
	const char *name = command->name;

	switch (command->subtype) {
		case AT_AddColumn:
			words = "ADD COLUMN";
			name = command->def && IsA(command->def, ColumnDef) ? ((ColumnDef *) command->def)->colname : nullptr;
			break;
		case AT_DropColumn: words = "DROP COLUMN"; break;
		case AT_AlterColumnType: words = "ALTER COLUMN TYPE"; break;
		case AT_ColumnDefault: words = "ALTER COLUMN DEFAULT"; break;
		case AT_DropNotNull: words = "DROP NOT NULL"; break;
		case AT_SetNotNull: words = "SET NOT NULL"; break;
		case AT_AddConstraint:
			words = "ADD CONSTRAINT";
			name = command->def && IsA(command->def, Constraint) ? ((Constraint *) command->def)->conname : nullptr;
			break;
		case AT_DropConstraint: words = "DROP CONSTRAINT"; break;
		case AT_ValidateConstraint: words = "VALIDATE CONSTRAINT"; break;
		case AT_EnableTrig: words = "ENABLE TRIGGER"; break;
		case AT_EnableAlwaysTrig: words = "ENABLE ALWAYS TRIGGER"; break;
		case AT_EnableReplicaTrig: words = "ENABLE REPLICA TRIGGER"; break;
		case AT_DisableTrig: words = "DISABLE TRIGGER"; break;
		case AT_EnableTrigAll: words = "ENABLE TRIGGER ALL"; break;
		case AT_DisableTrigAll: words = "DISABLE TRIGGER ALL"; break;
		case AT_EnableTrigUser: words = "ENABLE TRIGGER USER"; break;
		case AT_DisableTrigUser: words = "DISABLE TRIGGER USER"; break;
		case AT_EnableRule: words = "ENABLE RULE"; break;
		case AT_DisableRule: words = "DISABLE RULE"; break;
		case AT_EnableRowSecurity: words = "ENABLE ROW LEVEL SECURITY"; break;
		case AT_DisableRowSecurity: words = "DISABLE ROW LEVEL SECURITY"; break;
		case AT_ForceRowSecurity: words = "FORCE ROW LEVEL SECURITY"; break;
		case AT_NoForceRowSecurity: words = "NO FORCE ROW LEVEL SECURITY"; break;
		case AT_ChangeOwner:
			words = "OWNER TO";
			name = command->newowner && command->newowner->roletype == ROLESPEC_CSTRING ? command->newowner->rolename : "CURRENT_ROLE";
			break;
		case AT_SetLogged: words = "SET LOGGED"; break;
		case AT_SetUnLogged: words = "SET UNLOGGED"; break;
		case AT_SetTableSpace: words = "SET TABLESPACE"; break;
		case AT_ReplicaIdentity: words = "REPLICA IDENTITY"; break;
		case AT_AddInherit: words = "INHERIT"; break;
		case AT_DropInherit: words = "NO INHERIT"; break;
		case AT_AttachPartition:
		case AT_DetachPartition:
			words = command->subtype == AT_AttachPartition ? "ATTACH PARTITION" : "DETACH PARTITION";
			name = command->def && IsA(command->def, PartitionCmd) ? ((PartitionCmd *) command->def)->name->relname : nullptr;
			break;
		default: words = "other changes"; break;
	}
	return name ? psprintf("%s %s", words, quote_identifier(name)) : words;
}
