/* Partitions and children that a declared table gets later: they take its triggers at once. */
#include "pg/prelude.h"

#include "audit/admin.h"
#include "audit/children.h"
#include "audit/relations.h"
#include "audit/spool.h"

extern "C" {
#include "executor/spi.h"
}

namespace {

/* What a command puts below another table; NULL where it does not. */
const RangeVar *
new_child(const Node *statement)
{
	ListCell *cell;

	switch (nodeTag(statement)) {
		case T_CreateStmt:
		case T_CreateForeignTableStmt:
			return ((const CreateStmt *) statement)->inhRelations != NIL ? ((const CreateStmt *) statement)->relation
																		 : nullptr;
		case T_AlterTableStmt:
			foreach (cell, ((const AlterTableStmt *) statement)->cmds) {
				const AlterTableCmd *command = lfirst_node(AlterTableCmd, cell);

				if (command->subtype == AT_AddInherit)
					return ((const AlterTableStmt *) statement)->relation;
				if (command->subtype == AT_AttachPartition)
					return ((const PartitionCmd *) command->def)->name;
			}
			return nullptr;
		default:
			return nullptr;
	}
}

}  // namespace

void
ms_audit_adopt_children(const Node *statement)
{
	const RangeVar *name = new_child(statement);

	if (name == nullptr)
		return;
	CommandCounterIncrement();
	Oid relid = ms_audit_find(name);
	const AuditRelation *audited = OidIsValid(relid) ? ms_audit_relation(relid) : nullptr;
	if (audited == nullptr || !audited->writes || audited->relid == relid)
		return;
	char *query = psprintf("SELECT mentalspace.audit_sync_triggers('%u'::pg_catalog.regclass)", audited->relid);
	AuditUser before = ms_audit_become_owner();

	PG_TRY();
	{
		SPI_connect();
		if (SPI_execute(query, false, 0) != SPI_OK_SELECT)
			elog(ERROR, "could not make the audit triggers of %s", audited->name);
		SPI_finish();
	}
	PG_FINALLY();
	{
		ms_audit_become(before);
	}
	PG_END_TRY();
}
