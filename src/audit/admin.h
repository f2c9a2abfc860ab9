/* What a utility command means to an auditor: DDL and privileges of audited relations, roles, configuration. */
#pragma once

#include "audit/relations.h"

extern "C" {
#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"
}

/* An event to be, if the command succeeds. */
struct AdminEvent {
	AuditKind kind;
	AuditAction action;
	AuditSeverity severity;
	AuditCategory category;
	const char *relation;
	const char *detail;
	bool lasting;              /* what it tells of works at once and survives no rollback: so must the event */
};

/* The relation that a name in a command means, without a lock, a check or an error. */
Oid ms_audit_find(const RangeVar *name);

/* The audited relation that a command is about, itself or by an index of it; NULL where there is none. */
const AuditRelation *ms_audit_subject(Node *statement);

/* The events of a command, a list of AdminEvent in the current context.  Raises 42501 where the command would take away
 * the triggers of an audited relation and the user is no superuser. */
List *ms_audit_describe(Node *statement);

/* Records it, in this transaction where it is not lasting.  If that is rolled back, what was done to a declared table
 * leaves it with the outcome failure: meanwhile the command may have served to read. */
void ms_audit_tell(const AdminEvent *admin);

/* A command failed: what it was to do to a declared table leaves the transaction.  Raises nothing. */
void ms_audit_tell_failed(const AdminEvent *admin);

void ms_audit_admin_init(void);

/* A table of keys, of revocations or of declarations was written to: called by their triggers. */
void ms_audit_table_changed(const char *table);
