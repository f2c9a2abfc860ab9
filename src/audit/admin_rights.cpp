/* GRANT and REVOKE, roles, and configuration as events. */
#include "pg/prelude.h"

#include "audit/admin_parts.h"
#include "audit/settings.h"

extern "C" {
#include "access/genam.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "tcop/utility.h"
#include "utils/fmgroids.h"
#include "utils/formatting.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
}

namespace {

void
append_role(StringInfo text, const RoleSpec *role)
{
	switch (role->roletype) {
		case ROLESPEC_CSTRING: appendStringInfoString(text, quote_identifier(role->rolename)); break;
		case ROLESPEC_PUBLIC: appendStringInfoString(text, "PUBLIC"); break;
		case ROLESPEC_CURRENT_USER: appendStringInfoString(text, "CURRENT_USER"); break;
		case ROLESPEC_SESSION_USER: appendStringInfoString(text, "SESSION_USER"); break;
		default: appendStringInfoString(text, "CURRENT_ROLE"); break;
	}
}

void
append_roles(StringInfo text, List *roles)
{
	ListCell *cell;

	foreach (cell, roles) {
		if (cell != list_head(roles))
			appendStringInfoString(text, ", ");
		append_role(text, lfirst_node(RoleSpec, cell));
	}
}

const char *
as_written(const char *name, bool is_role)
{
	return is_role ? quote_identifier(name) : asc_toupper(name, strlen(name));
}

/* "SELECT, UPDATE (note)", "ALL", or the names of granted roles. */
void
append_privileges(StringInfo text, List *privileges, bool is_role)
{
	ListCell *cell, *column;

	if (privileges == NIL)
		appendStringInfoString(text, "ALL");
	foreach (cell, privileges) {
		AccessPriv *privilege = lfirst_node(AccessPriv, cell);

		if (cell != list_head(privileges))
			appendStringInfoString(text, ", ");
		appendStringInfoString(text, privilege->priv_name ? as_written(privilege->priv_name, is_role) : "ALL");
		foreach (column, privilege->cols)
			appendStringInfo(text, "%s%s", column == list_head(privilege->cols) ? " (" : ", ",
							 quote_identifier(strVal(lfirst(column))));
		if (privilege->cols != NIL)
			appendStringInfoChar(text, ')');
	}
}

/* The name of something that privileges are granted on. */
void
append_object(StringInfo text, Node *object)
{
	if (IsA(object, RangeVar)) {
		RangeVar *name = (RangeVar *) object;

		appendStringInfoString(text, quote_qualified_identifier(name->schemaname, name->relname));
	} else if (IsA(object, ObjectWithArgs))
		appendStringInfoString(text, NameListToQuotedString(((ObjectWithArgs *) object)->objname));
	else if (IsA(object, List))
		appendStringInfoString(text, NameListToQuotedString((List *) object));
	else if (IsA(object, TypeName))
		appendStringInfoString(text, NameListToQuotedString(((TypeName *) object)->names));
	else if (IsA(object, String))
		appendStringInfoString(text, quote_identifier(strVal(object)));
	else
		appendStringInfoString(text, "an object");
}

const char *
words_for(ObjectType type)
{
	switch (type) {
		case OBJECT_TABLE: return "TABLE";
		case OBJECT_SEQUENCE: return "SEQUENCE";
		case OBJECT_SCHEMA: return "SCHEMA";
		case OBJECT_FUNCTION: return "FUNCTION";
		case OBJECT_PROCEDURE: return "PROCEDURE";
		case OBJECT_ROUTINE: return "ROUTINE";
		case OBJECT_DATABASE: return "DATABASE";
		case OBJECT_TYPE: return "TYPE";
		case OBJECT_DOMAIN: return "DOMAIN";
		case OBJECT_LANGUAGE: return "LANGUAGE";
		case OBJECT_FDW: return "FOREIGN DATA WRAPPER";
		case OBJECT_FOREIGN_SERVER: return "FOREIGN SERVER";
		case OBJECT_TABLESPACE: return "TABLESPACE";
		case OBJECT_LARGEOBJECT: return "LARGE OBJECT";
		case OBJECT_PARAMETER_ACL: return "PARAMETER";
		default: return "OBJECT";
	}
}

void
append_grant(StringInfo text, const GrantStmt *stmt, const char *tag)
{
	appendStringInfo(text, "%s ", tag);
	append_privileges(text, stmt->privileges, false);
}

void
append_grantees(StringInfo text, const GrantStmt *stmt)
{
	appendStringInfoString(text, stmt->is_grant ? " TO " : " FROM ");
	append_roles(text, stmt->grantees);
	if (stmt->grant_option)
		appendStringInfoString(text, stmt->is_grant ? " WITH GRANT OPTION" : " (GRANT OPTION)");
}

AdminEvent *
event_of_grant(const GrantStmt *stmt, const AuditRelation *audited)
{
	StringInfoData detail;

	initStringInfo(&detail);
	append_grant(&detail, stmt, stmt->is_grant ? "GRANT" : "REVOKE");
	append_grantees(&detail, stmt);
	return ms_audit_make_event(kAdminAction, kUpdate, kInfo, audited, detail.data);
}

int
by_relation(const ListCell *left, const ListCell *right)
{
	return strcmp(((AdminEvent *) lfirst(left))->relation, ((AdminEvent *) lfirst(right))->relation);
}

/* One event for each audited relation in a schema. */
List *
events_of_schema(const GrantStmt *stmt, Oid schema)
{
	Relation classes = table_open(RelationRelationId, AccessShareLock);
	List *events = NIL;
	ScanKeyData key;

	ScanKeyInit(&key, Anum_pg_class_relnamespace, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(schema));
	SysScanDesc scan = systable_beginscan(classes, InvalidOid, false, nullptr, 1, &key);
	for (HeapTuple tuple; HeapTupleIsValid(tuple = systable_getnext(scan));) {
		Oid relid = ((Form_pg_class) GETSTRUCT(tuple))->oid;
		const AuditRelation *audited = ms_audit_relation(relid);

		if (audited && audited->relid == relid)
			events = lappend(events, event_of_grant(stmt, audited));
	}
	systable_endscan(scan);
	table_close(classes, AccessShareLock);
	list_sort(events, by_relation);
	return events;
}

/* What the extension does with each month's partition of its events, and nobody need be told. */
bool
opens_events(const GrantStmt *stmt)
{
	RangeVar *table = list_length(stmt->objects) == 1 && IsA(linitial(stmt->objects), RangeVar) ?
		linitial_node(RangeVar, stmt->objects) : nullptr;
	AccessPriv *privilege = list_length(stmt->privileges) == 1 ? linitial_node(AccessPriv, stmt->privileges) : nullptr;
	RoleSpec *grantee = list_length(stmt->grantees) == 1 ? linitial_node(RoleSpec, stmt->grantees) : nullptr;

	return stmt->is_grant && !stmt->grant_option && table && table->schemaname &&
		strcmp(table->schemaname, "mentalspace") == 0 && strncmp(table->relname, "audit_events", strlen("audit_events")) == 0 &&
		privilege && privilege->priv_name && strcmp(privilege->priv_name, "select") == 0 &&
		grantee && grantee->roletype == ROLESPEC_CSTRING && strcmp(grantee->rolename, "mentalspace_auditor") == 0;
}

/* Those on audited relations are told one by one, all others together. */
List *
describe_grant(GrantStmt *stmt)
{
	List *events = NIL;
	bool others = false;
	StringInfoData detail;
	ListCell *cell;

	if (opens_events(stmt))
		return NIL;
	initStringInfo(&detail);
	append_grant(&detail, stmt, stmt->is_grant ? "GRANT" : "REVOKE");
	appendStringInfo(&detail, stmt->targtype == ACL_TARGET_ALL_IN_SCHEMA ? " ON ALL %sS IN SCHEMA " : " ON %s ",
					 words_for(stmt->objtype));
	foreach (cell, stmt->objects) {
		Node *object = (Node *) lfirst(cell);
		const AuditRelation *audited = nullptr;

		if (stmt->objtype == OBJECT_TABLE && stmt->targtype == ACL_TARGET_ALL_IN_SCHEMA && IsA(object, String)) {
			Oid schema = get_namespace_oid(strVal(object), true);

			if (OidIsValid(schema))
				events = list_concat(events, events_of_schema(stmt, schema));
		} else if (stmt->objtype == OBJECT_TABLE && IsA(object, RangeVar))
			audited = ms_audit_table_of(ms_audit_find((RangeVar *) object));
		if (audited) {
			events = lappend(events, event_of_grant(stmt, audited));
			continue;
		}
		if (others)
			appendStringInfoString(&detail, ", ");
		append_object(&detail, object);
		others = true;
	}
	append_grantees(&detail, stmt);
	if (others)
		events = lappend(events, ms_audit_make_event(kPermissionChange, kUpdate, kInfo, nullptr, detail.data));
	return events;
}

List *
describe_default_privileges(AlterDefaultPrivilegesStmt *stmt)
{
	StringInfoData detail;

	initStringInfo(&detail);
	append_grant(&detail, stmt->action, stmt->action->is_grant ? "ALTER DEFAULT PRIVILEGES GRANT" : "ALTER DEFAULT PRIVILEGES REVOKE");
	appendStringInfo(&detail, " ON %s", words_for(stmt->action->objtype));
	append_grantees(&detail, stmt->action);
	return ms_audit_one(kPermissionChange, kUpdate, kInfo, nullptr, detail.data);
}

List *
describe_role_grant(GrantRoleStmt *stmt)
{
	StringInfoData detail;

	initStringInfo(&detail);
	appendStringInfoString(&detail, stmt->is_grant ? "GRANT ROLE " : "REVOKE ROLE ");
	append_privileges(&detail, stmt->granted_roles, true);
	appendStringInfoString(&detail, stmt->is_grant ? " TO " : " FROM ");
	append_roles(&detail, stmt->grantee_roles);
	return ms_audit_one(kAdminAction, kUpdate, kInfo, nullptr, detail.data);
}

/* The options of a role by name; never the password, nor any other value. */
AuditSeverity
append_options(StringInfo text, List *options)
{
	static const struct {
		const char *option, *words;
		bool powerful;
	} kOptions[] = {
		{"superuser", "SUPERUSER", true}, {"bypassrls", "BYPASSRLS", true}, {"isreplication", "REPLICATION", true},
		{"createrole", "CREATEROLE", true}, {"createdb", "CREATEDB", false}, {"canlogin", "LOGIN", false},
		{"inherit", "INHERIT", false}, {"password", "PASSWORD", false}, {"connectionlimit", "CONNECTION LIMIT", false},
		{"validUntil", "VALID UNTIL", false}, {"rolemembers", "ROLE", false}, {"adminmembers", "ADMIN", false},
		{"addroleto", "IN ROLE", false}};
	AuditSeverity severity = kInfo;
	ListCell *cell;

	foreach (cell, options) {
		DefElem *option = lfirst_node(DefElem, cell);
		const char *words = option->defname;
		bool on = option->arg == nullptr || !IsA(option->arg, Boolean) || boolVal(option->arg);

		for (const auto &known : kOptions)
			if (strcmp(words, known.option) == 0) {
				words = known.words;
				if (known.powerful && on)
					severity = kWarning;
				break;
			}
		appendStringInfo(text, "%s %s%s", cell == list_head(options) ? ":" : ",", on ? "" : "NO", words);
	}
	return severity;
}

List *
describe_role(Node *stmt, AuditAction action, const char *name, const RoleSpec *role, List *options)
{
	StringInfoData detail;

	initStringInfo(&detail);
	appendStringInfo(&detail, "%s ", GetCommandTagName(CreateCommandTag(stmt)));
	if (role)
		append_role(&detail, role);
	else
		appendStringInfoString(&detail, quote_identifier(name));
	AuditSeverity severity = append_options(&detail, options);
	return ms_audit_one(kAdminAction, action, severity, nullptr, detail.data);
}

/* DROP ROLE, DROP OWNED, REASSIGN OWNED. */
List *
describe_roles(Node *stmt, AuditAction action, List *roles, AuditSeverity severity)
{
	StringInfoData detail;

	initStringInfo(&detail);
	appendStringInfo(&detail, "%s ", GetCommandTagName(CreateCommandTag(stmt)));
	append_roles(&detail, roles);
	return ms_audit_one(kAdminAction, action, severity, nullptr, detail.data);
}

/* What weakens or stops what this module and row level security do. */
AuditSeverity
severity_of_variable(const char *name)
{
	static const char *const kWatched[] = {"session_replication_role", "row_security", "shared_preload_libraries",
										   "session_preload_libraries", "local_preload_libraries"};

	if (name == nullptr || pg_strncasecmp(name, "mentalspace.", strlen("mentalspace.")) == 0)
		return kWarning;
	for (const char *watched : kWatched)
		if (pg_strcasecmp(name, watched) == 0)
			return kWarning;
	return kInfo;
}

List *
describe_stored_setting(const char *of, const VariableSetStmt *set)
{
	bool reset = set->kind == VAR_RESET || set->kind == VAR_RESET_ALL || set->kind == VAR_SET_DEFAULT;

	return ms_audit_one(kConfigurationChange, kUpdate, severity_of_variable(set->name), nullptr,
						psprintf("%s %s %s", of, reset ? "RESET" : "SET", set->name ? set->name : "ALL"));
}

/* SET of this session, as far as it concerns the audit or the identity.  Purpose of use is told by every event, and the
 * switch by switch.cpp. */
List *
describe_set(const VariableSetStmt *set)
{
	const char *name = set->name;

	if (name == nullptr || pg_strncasecmp(name, "mentalspace.au", strlen("mentalspace.au")) != 0 ||
		pg_strcasecmp(name, "mentalspace.audit_purpose") == 0 || pg_strcasecmp(name, "mentalspace.audit_enabled") == 0)
		return NIL;
	bool reset = set->kind == VAR_RESET || set->kind == VAR_SET_DEFAULT;
	List *events = ms_audit_one(kConfigurationChange, kUpdate,
								kWarning, nullptr,
								psprintf("%s%s %s", reset ? "RESET" : "SET", set->is_local ? " LOCAL" : "", name));

	((AdminEvent *) linitial(events))->lasting = true;
	return events;
}

List *
describe_publication(Node *stmt, const char *name)
{
	return ms_audit_one(kConfigurationChange, kUpdate, kWarning, nullptr,
						psprintf("%s %s", GetCommandTagName(CreateCommandTag(stmt)), quote_identifier(name)));
}

}  // namespace

List *
ms_audit_describe_rights(Node *statement)
{
	StringInfoData text;

	switch (nodeTag(statement)) {
		case T_GrantStmt:
			return describe_grant((GrantStmt *) statement);
		case T_GrantRoleStmt:
			return describe_role_grant((GrantRoleStmt *) statement);
		case T_AlterDefaultPrivilegesStmt:
			return describe_default_privileges((AlterDefaultPrivilegesStmt *) statement);
		case T_CreateRoleStmt:
			return describe_role(statement, kCreate, ((CreateRoleStmt *) statement)->role, nullptr,
								 ((CreateRoleStmt *) statement)->options);
		case T_AlterRoleStmt:
			return describe_role(statement, kUpdate, nullptr, ((AlterRoleStmt *) statement)->role,
								 ((AlterRoleStmt *) statement)->options);
		case T_DropRoleStmt:
			return describe_roles(statement, kDelete, ((DropRoleStmt *) statement)->roles, kInfo);
		case T_DropOwnedStmt:
			return describe_roles(statement, kDelete, ((DropOwnedStmt *) statement)->roles, kWarning);
		case T_ReassignOwnedStmt:
			return describe_roles(statement, kUpdate, ((ReassignOwnedStmt *) statement)->roles, kWarning);
		case T_AlterSystemStmt:
			return describe_stored_setting("ALTER SYSTEM", ((AlterSystemStmt *) statement)->setstmt);
		case T_AlterDatabaseSetStmt:
			return describe_stored_setting(psprintf("ALTER DATABASE %s",
													quote_identifier(((AlterDatabaseSetStmt *) statement)->dbname)),
										   ((AlterDatabaseSetStmt *) statement)->setstmt);
		case T_AlterRoleSetStmt:
			initStringInfo(&text);
			appendStringInfoString(&text, "ALTER ROLE ");
			if (((AlterRoleSetStmt *) statement)->role)
				append_role(&text, ((AlterRoleSetStmt *) statement)->role);
			else
				appendStringInfoString(&text, "ALL");
			return describe_stored_setting(text.data, ((AlterRoleSetStmt *) statement)->setstmt);
		case T_VariableSetStmt:
			return describe_set((VariableSetStmt *) statement);
		case T_CreatePublicationStmt:
			return describe_publication(statement, ((CreatePublicationStmt *) statement)->pubname);
		case T_AlterPublicationStmt:
			return describe_publication(statement, ((AlterPublicationStmt *) statement)->pubname);
		case T_AlterOwnerStmt:
			initStringInfo(&text);
			appendStringInfo(&text, "%s OWNER TO ", GetCommandTagName(CreateCommandTag(statement)));
			append_role(&text, ((AlterOwnerStmt *) statement)->newowner);
			return ms_audit_one(kPermissionChange, kUpdate, kInfo, nullptr, text.data);
		default:
			return NIL;
	}
}
