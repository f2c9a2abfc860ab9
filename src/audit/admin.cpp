/* Commands as events: which audited relation, which words.  Names and options are told, literals never. */
#include "pg/prelude.h"

#include "audit/admin.h"
#include "audit/admin_parts.h"
#include "audit/context.h"
#include "audit/outlet.h"
#include "audit/settings.h"
#include "audit/store.h"

extern "C" {
#include "access/xlog.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "tcop/utility.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
}

namespace {

const char *const kTriggers[] = {"mentalspace_audit", "mentalspace_audit_truncate"};

bool
is_our_trigger(const char *name)
{
	for (const char *trigger : kTriggers)
		if (name && strcmp(name, trigger) == 0)
			return true;
	return false;
}

/* Without the triggers, writes would go unseen. */
void
ms_audit_check_trigger(const AuditRelation *audited)
{
	if (!superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("audit triggers of %s cannot be changed", audited->name),
				 errhint("Use mentalspace.unaudit_table() to end the audit of the table.")));
}

/* "schema.table", for a relation whose name is not the audited one's: partitions and children. */
void
append_part(StringInfo text, const AuditRelation *audited, Oid relid)
{
	if (relid != audited->relid)
		appendStringInfo(text, " (%s)",
						 quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), get_rel_name(relid)));
}

/* What audit_table() does with its triggers, which takes nothing away and is told of by itself. */
bool
makes_whole(const AlterTableStmt *stmt)
{
	const AlterTableCmd *command = stmt->cmds ? linitial_node(AlterTableCmd, stmt->cmds) : nullptr;

	return list_length(stmt->cmds) == 1 && command->subtype == AT_EnableAlwaysTrig && is_our_trigger(command->name);
}

bool
is_our_function(List *name)
{
	return list_length(name) == 2 && strcmp(strVal(linitial(name)), "mentalspace") == 0 &&
		(strcmp(strVal(lsecond(name)), "audit_row") == 0 || strcmp(strVal(lsecond(name)), "audit_truncate") == 0);
}

/* What takes away from the record itself; how serious it is, kInfo for all that its upkeep does. */
AuditSeverity
severity_for_own(const AlterTableStmt *stmt)
{
	AuditSeverity severity = kInfo;
	ListCell *cell;

	foreach (cell, stmt->cmds)
		switch (lfirst_node(AlterTableCmd, cell)->subtype) {
			case AT_DetachPartition:
				/* Months go when they have been kept for long enough. */
				if (severity == kInfo)
					severity = kWarning;
				break;
			case AT_EnableTrig: case AT_EnableReplicaTrig: case AT_EnableTrigAll: case AT_EnableTrigUser:
			case AT_DisableTrig: case AT_DisableTrigAll: case AT_DisableTrigUser: case AT_DisableRowSecurity:
			case AT_DropColumn: case AT_AlterColumnType: case AT_ChangeOwner:
				severity = kCritical;
				break;
			default:
				break;
		}
	return severity;
}

List *
describe_alter_own(AlterTableStmt *stmt, const AuditRelation *own)
{
	AuditSeverity severity = severity_for_own(stmt);
	StringInfoData detail;
	ListCell *cell;

	if (severity == kInfo)
		return NIL;
	initStringInfo(&detail);
	appendStringInfoString(&detail, GetCommandTagName(CreateCommandTag((Node *) stmt)));
	foreach (cell, stmt->cmds)
		appendStringInfo(&detail, "%s%s", cell == list_head(stmt->cmds) ? ": " : ", ",
						 ms_audit_words(lfirst_node(AlterTableCmd, cell)));
	return ms_audit_one(kAdminAction, kUpdate, severity, own, detail.data);
}

List *
describe_alter_table(AlterTableStmt *stmt)
{
	Oid relid = ms_audit_find(stmt->relation);
	const AuditRelation *audited = ms_audit_table_of(relid);
	AuditSeverity severity = kInfo;
	StringInfoData detail;
	ListCell *cell;

	const AuditRelation *own = audited ? nullptr : ms_audit_own_table(relid);
	if (own)
		return describe_alter_own(stmt, own);
	if (audited == nullptr || makes_whole(stmt))
		return NIL;
	initStringInfo(&detail);
	appendStringInfoString(&detail, GetCommandTagName(CreateCommandTag((Node *) stmt)));
	append_part(&detail, audited, relid);
	foreach (cell, stmt->cmds) {
		AlterTableCmd *command = lfirst_node(AlterTableCmd, cell);
		AuditSeverity own = kInfo;

		switch (command->subtype) {
			case AT_EnableTrig:
			case AT_EnableReplicaTrig:
			case AT_DisableTrig:
				/* ENABLE means less than ENABLE ALWAYS, which is what they have. */
				if (!is_our_trigger(command->name))
					break;
				[[fallthrough]];
			case AT_EnableTrigAll:
			case AT_EnableTrigUser:
			case AT_DisableTrigAll:
			case AT_DisableTrigUser:
				if (!audited->writes)
					break;
				ms_audit_check_trigger(audited);
				own = kCritical;
				break;
			case AT_DisableRowSecurity:
				own = kCritical;
				break;
			case AT_EnableRowSecurity:
			case AT_ForceRowSecurity:
			case AT_NoForceRowSecurity:
			case AT_DetachPartition:
			case AT_DropInherit:
			case AT_ChangeOwner:
				own = kWarning;
				break;
			default:
				break;
		}
		severity = (AuditSeverity) (own > severity ? own : severity);
		appendStringInfo(&detail, "%s%s", cell == list_head(stmt->cmds) ? ": " : ", ", ms_audit_words(command));
	}
	return ms_audit_one(kAdminAction, kUpdate, severity, audited, detail.data);
}

/* DROP of what belongs to a table.  Relations themselves are seen as they go (drops.cpp). */
List *
describe_drop(DropStmt *stmt)
{
	List *events = NIL;
	ListCell *cell;

	if (stmt->removeType == OBJECT_EXTENSION) {
		foreach (cell, stmt->objects)
			if (strcmp(strVal(lfirst(cell)), "mentalspace") == 0)
				return ms_audit_one(kAdminAction, kDelete, kCritical, nullptr, "DROP EXTENSION mentalspace");
		return NIL;
	}
	if (stmt->removeType != OBJECT_TRIGGER && stmt->removeType != OBJECT_POLICY && stmt->removeType != OBJECT_RULE)
		return NIL;
	foreach (cell, stmt->objects) {
		List *name = (List *) lfirst(cell);
		const char *own = strVal(llast(name));
		List *table = list_copy_head(name, list_length(name) - 1);
		Oid relid = table ? ms_audit_find(makeRangeVarFromNameList(table)) : InvalidOid;
		const AuditRelation *audited = ms_audit_table_of(relid);
		AuditSeverity severity = stmt->removeType == OBJECT_POLICY ? kWarning : kInfo;

		if (audited == nullptr) {
			audited = ms_audit_own_table(relid);
			severity = kCritical;
		}
		if (audited == nullptr)
			continue;
		if (stmt->removeType == OBJECT_TRIGGER && is_our_trigger(own)) {
			/* audit_table() called again, for reads alone. */
			if (!audited->writes)
				continue;
			ms_audit_check_trigger(audited);
			severity = kCritical;
		}
		events = lappend(events, ms_audit_make_event(kAdminAction, kDelete, severity, audited,
											psprintf("%s %s", GetCommandTagName(CreateCommandTag((Node *) stmt)),
													 quote_identifier(own))));
	}
	return events;
}

List *
describe_rename(RenameStmt *stmt)
{
	const char *tag = GetCommandTagName(CreateCommandTag((Node *) stmt));

	if (stmt->renameType == OBJECT_ROLE)
		return ms_audit_one(kAdminAction, kUpdate, kInfo, nullptr,
				   psprintf("%s %s RENAME TO %s", tag, quote_identifier(stmt->subname), quote_identifier(stmt->newname)));
	/* The names of all relations in it change, as far as events tell them. */
	if (stmt->renameType == OBJECT_SCHEMA)
		return ms_audit_one(kAdminAction, kUpdate, kInfo, nullptr,
				   psprintf("%s %s RENAME TO %s", tag, quote_identifier(stmt->subname), quote_identifier(stmt->newname)));
	const AuditRelation *audited = stmt->relation ? ms_audit_table_of(ms_audit_find(stmt->relation)) : nullptr;
	AuditSeverity severity = kInfo;

	if (audited == nullptr)
		return NIL;
	if (stmt->renameType == OBJECT_TRIGGER && is_our_trigger(stmt->subname)) {
		ms_audit_check_trigger(audited);
		severity = kCritical;
	} else if (stmt->renameType == OBJECT_POLICY)
		severity = kWarning;
	return ms_audit_one(kAdminAction, kUpdate, severity, audited,
			   psprintf("%s%s%s RENAME TO %s", tag, stmt->subname ? " " : "",
						stmt->subname ? quote_identifier(stmt->subname) : "", quote_identifier(stmt->newname)));
}

/* CREATE and ALTER of what belongs to a table, and new partitions. */
List *
describe_part(Node *stmt, const RangeVar *table, const char *name, AuditAction action, AuditSeverity severity)
{
	const AuditRelation *audited = table ? ms_audit_table_of(ms_audit_find(table)) : nullptr;

	if (audited == nullptr)
		return NIL;
	return ms_audit_one(kAdminAction, action, severity, audited,
			   psprintf("%s%s%s", GetCommandTagName(CreateCommandTag(stmt)), name ? " " : "", name ? quote_identifier(name) : ""));
}

/* Expressions in them are evaluated when the table is analyzed. */
List *
describe_statistics(CreateStatsStmt *stmt)
{
	const RangeVar *table = stmt->relations && IsA(linitial(stmt->relations), RangeVar) ? linitial_node(RangeVar, stmt->relations)
																						 : nullptr;

	return describe_part((Node *) stmt, table, stmt->defnames ? strVal(llast(stmt->defnames)) : nullptr, kCreate, kInfo);
}

/* A trigger of ours that went with some extension would end the audit of writes without a word. */
List *
describe_depends(AlterObjectDependsStmt *stmt)
{
	const AuditRelation *audited = stmt->relation ? ms_audit_table_of(ms_audit_find(stmt->relation)) : nullptr;
	const char *name = audited && IsA(stmt->object, List) ? strVal(llast((List *) stmt->object)) : nullptr;

	if (name == nullptr)
		return NIL;
	if (stmt->objectType == OBJECT_TRIGGER && is_our_trigger(name))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("audit triggers of %s cannot depend on an extension", audited->name),
				 errhint("Use mentalspace.unaudit_table() to end the audit of the table.")));
	return ms_audit_one(kAdminAction, kUpdate, kInfo, audited,
						psprintf("%s %s DEPENDS ON EXTENSION", GetCommandTagName(CreateCommandTag((Node *) stmt)),
								 quote_identifier(name)));
}

List *
describe_schema(AlterObjectSchemaStmt *stmt)
{
	const AuditRelation *audited = stmt->relation ? ms_audit_table_of(ms_audit_find(stmt->relation)) : nullptr;

	if (audited == nullptr)
		return NIL;
	return ms_audit_one(kAdminAction, kUpdate, kInfo, audited,
						psprintf("%s SET SCHEMA %s", GetCommandTagName(CreateCommandTag((Node *) stmt)),
								 quote_identifier(stmt->newschema)));
}

List *
describe_trigger(CreateTrigStmt *stmt)
{
	const AuditRelation *audited = ms_audit_table_of(ms_audit_find(stmt->relation));

	if (audited && stmt->replace && is_our_trigger(stmt->trigname)) {
		ms_audit_check_trigger(audited);
		return ms_audit_one(kAdminAction, kUpdate, kCritical, audited, psprintf("CREATE OR REPLACE TRIGGER %s", stmt->trigname));
	}
	if (is_our_trigger(stmt->trigname) && is_our_function(stmt->funcname))
		return NIL;
	return describe_part((Node *) stmt, stmt->relation, stmt->trigname, kCreate, kInfo);
}

/* A table that becomes part of an audited one. */
List *
describe_create(CreateStmt *stmt)
{
	ListCell *cell;

	foreach (cell, stmt->inhRelations) {
		List *events = describe_part((Node *) stmt, lfirst_node(RangeVar, cell), stmt->relation->relname, kCreate, kInfo);

		if (events != NIL)
			return events;
	}
	return NIL;
}

List *
describe_extension(Node *stmt, const char *name)
{
	if (strcmp(name, "mentalspace") != 0)
		return NIL;
	return ms_audit_one(kAdminAction, kUpdate, kWarning, nullptr, psprintf("%s mentalspace", GetCommandTagName(CreateCommandTag(stmt))));
}

void
tell_log(const AuditEvent *event)
{
	StringInfoData line;

	initStringInfo(&line);
	ms_audit_to_json(event, &line);
	ereport(LOG_SERVER_ONLY,
			(errmsg_internal("mentalspace audit: %s", line.data), errhidestmt(true), errhidecontext(true)));
	pfree(line.data);
}

}  // namespace

Oid
ms_audit_find(const RangeVar *name)
{
	if (name->schemaname == nullptr)
		return RelnameGetRelid(name->relname);
	Oid schema = strcmp(name->schemaname, "pg_temp") == 0 ? LookupNamespaceNoError("pg_temp") :
		get_namespace_oid(name->schemaname, true);
	return OidIsValid(schema) ? get_relname_relid(name->relname, schema) : InvalidOid;
}

const AuditRelation *
ms_audit_subject(Node *statement)
{
	const RangeVar *table = nullptr;

	switch (nodeTag(statement)) {
		case T_CopyStmt: table = ((CopyStmt *) statement)->relation; break;
		case T_AlterObjectDependsStmt: table = ((AlterObjectDependsStmt *) statement)->relation; break;
		case T_AlterTableStmt: table = ((AlterTableStmt *) statement)->relation; break;
		case T_RenameStmt: table = ((RenameStmt *) statement)->relation; break;
		case T_AlterObjectSchemaStmt: table = ((AlterObjectSchemaStmt *) statement)->relation; break;
		case T_IndexStmt: table = ((IndexStmt *) statement)->relation; break;
		case T_CreateTrigStmt: table = ((CreateTrigStmt *) statement)->relation; break;
		case T_RuleStmt: table = ((RuleStmt *) statement)->relation; break;
		case T_CreatePolicyStmt: table = ((CreatePolicyStmt *) statement)->table; break;
		case T_AlterPolicyStmt: table = ((AlterPolicyStmt *) statement)->table; break;
		case T_TruncateStmt: return ms_audit_first_of(((TruncateStmt *) statement)->relations);
		case T_LockStmt: return ms_audit_first_of(((LockStmt *) statement)->relations);
		case T_GrantStmt:
			if (((GrantStmt *) statement)->targtype == ACL_TARGET_OBJECT && ((GrantStmt *) statement)->objtype == OBJECT_TABLE)
				return ms_audit_first_of(((GrantStmt *) statement)->objects);
			return nullptr;
		case T_DropStmt:
			return ms_audit_first_dropped((DropStmt *) statement);
		default:
			return nullptr;
	}
	return table ? ms_audit_table_of(ms_audit_find(table)) : nullptr;
}

List *
ms_audit_describe(Node *statement)
{
	switch (nodeTag(statement)) {
		case T_AlterTableStmt:
			return describe_alter_table((AlterTableStmt *) statement);
		case T_RenameStmt:
			return describe_rename((RenameStmt *) statement);
		case T_AlterObjectSchemaStmt:
			return describe_schema((AlterObjectSchemaStmt *) statement);
		case T_IndexStmt:
			return describe_part(statement, ((IndexStmt *) statement)->relation, ((IndexStmt *) statement)->idxname, kCreate,
								 kInfo);
		case T_CreateTrigStmt:
			return describe_trigger((CreateTrigStmt *) statement);
		case T_RuleStmt:
			return describe_part(statement, ((RuleStmt *) statement)->relation, ((RuleStmt *) statement)->rulename, kCreate,
								 kWarning);
		case T_CreatePolicyStmt:
			return describe_part(statement, ((CreatePolicyStmt *) statement)->table,
								 ((CreatePolicyStmt *) statement)->policy_name, kCreate, kWarning);
		case T_AlterPolicyStmt:
			return describe_part(statement, ((AlterPolicyStmt *) statement)->table,
								 ((AlterPolicyStmt *) statement)->policy_name, kUpdate, kWarning);
		case T_CreateStatsStmt:
			return describe_statistics((CreateStatsStmt *) statement);
		case T_AlterObjectDependsStmt:
			return describe_depends((AlterObjectDependsStmt *) statement);
		case T_CreateStmt:
			return describe_create((CreateStmt *) statement);
		case T_DropStmt:
			return describe_drop((DropStmt *) statement);
		case T_AlterExtensionStmt:
			return describe_extension(statement, ((AlterExtensionStmt *) statement)->extname);
		case T_AlterExtensionContentsStmt:
			return describe_extension(statement, ((AlterExtensionContentsStmt *) statement)->extname);
		default:
			return ms_audit_describe_rights(statement);
	}
}

static void
make_event(const AdminEvent *admin, AuditEvent *event)
{
	ms_audit_event_init(event, admin->kind, admin->action);
	event->severity = admin->severity;
	event->category = admin->category;
	event->relation = admin->relation;
	event->detail = admin->detail;
}

void
ms_audit_tell_failed(const AdminEvent *admin)
{
	AuditEvent event;

	if (admin->relation == nullptr)
		return;
	make_event(admin, &event);
	event.outcome = kFailure;
	ms_audit_emit(&event, false);
}

void
ms_audit_tell(const AdminEvent *admin)
{
	AuditEvent event;

	make_event(admin, &event);
	/* On a standby nothing can be written. */
	if (admin->lasting || RecoveryInProgress())
		ms_audit_emit(&event, false);
	else if (OidIsValid(get_relname_relid("audit_events", get_namespace_oid("mentalspace", true)))) {
		ms_audit_record(&event);
		if (event.relation)
			ms_audit_keep_undoable(&event);
	} else if (admin->relation == nullptr || strncmp(admin->relation, "mentalspace.", strlen("mentalspace.")) != 0)
		/* The extension itself has gone, and with it the table that could tell of it. */
		tell_log(&event);
}

void
ms_audit_table_changed(const char *table)
{
	static uint32 transaction = 0;
	static int32 statement = 0;
	static char last[NAMEDATALEN];

	bool declarations = strcmp(table, "audit_relations") == 0;

	if (!audit_enabled || (!declarations && !ms_audit_any()))
		return;
	/* audit_table() and unaudit_table() tell of themselves, if they are not rolled back; this is for whoever writes to their
	 * table. */
	if (declarations && InLocalUserIdChange()) {
		AuditEvent event;

		ms_audit_event_init(&event, kConfigurationChange, kUpdate);
		event.severity = kCritical;
		event.detail = "mentalspace.audit_relations changed, and rolled back";
		ms_audit_keep_undoable(&event);
		return;
	}
	if (!ms_audit_any())
		return;
	/* load_jwks() deletes and inserts: that is one change. */
	if (transaction == ms_local_xid() && statement == ms_audit_statement_no() && strcmp(last, table) == 0)
		return;
	transaction = ms_local_xid();
	statement = ms_audit_statement_no();
	strlcpy(last, table, sizeof(last));
	ms_audit_tell(ms_audit_make_event(kConfigurationChange, kUpdate, declarations ? kCritical : kWarning, nullptr,
									  psprintf("mentalspace.%s changed", table)));
}
