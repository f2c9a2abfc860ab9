/* Between the files of which ms_audit_describe() is made. */
#pragma once

#include "audit/admin.h"

/* The audited relation that this one is, belongs to or is an index of. */
const AuditRelation *ms_audit_table_of(Oid relid);

/* One of the tables that hold the record itself, as if it were audited; NULL for others. */
const AuditRelation *ms_audit_own_table(Oid relid);

/* The first of a list of RangeVar, or of what DROP names, that is audited. */
const AuditRelation *ms_audit_first_of(List *names);
const AuditRelation *ms_audit_first_dropped(DropStmt *stmt);

AdminEvent *ms_audit_make_event(AuditKind kind, AuditAction action, AuditSeverity severity, const AuditRelation *audited,
								const char *detail);

/* The same as a list of one. */
List *ms_audit_one(AuditKind kind, AuditAction action, AuditSeverity severity, const AuditRelation *audited,
				   const char *detail);

/* GRANT and REVOKE, roles, configuration. */
List *ms_audit_describe_rights(Node *statement);

/* A subcommand of ALTER TABLE: "ADD COLUMN note". */
const char *ms_audit_words(const AlterTableCmd *command);

/* The event is emitted if this (sub)transaction is rolled back.  (admin_undone.cpp) */
void ms_audit_keep_undoable(const AuditEvent *event);
