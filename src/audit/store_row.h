/* An event as a row of mentalspace.audit_events; used by store_table.cpp. */
#pragma once

#include "audit/event.h"

/* In the order of audit_columns. */
enum AuditColumnId {
	kEventId, kOccurredAt, kTransactionId, kQueryFingerprint, kRowCount, kStatementNo, kKindColumn, kActionColumn,
	kCategoryColumn, kOutcomeColumn, kSeverityColumn, kPrecisionColumn, kRelation, kRowKey, kPatientIds, kUserId,
	kSessionUserName, kCurrentUserName, kOuterRoleName, kRoles, kAal, kSessionId, kIdentitySource, kClientAddress,
	kApplicationName, kUserAgent, kRequestId, kPurposeOfUse, kBreakGlassId, kChanges, kRowDigest, kRowImage, kDetail,
	kColumnCount
};

struct AuditTableColumn {
	const char *name;
	Oid type;
};

extern const AuditTableColumn audit_columns[kColumnCount];

/* In that order. */
struct AuditTableRow {
	Datum value[kColumnCount];
	bool null[kColumnCount];
};

/* Fills the columns that tell who: once for all events of one identity.  What a column points to is in the current
 * memory context, or the event's own. */
void ms_audit_event_row_who(AuditTableRow *row, const AuditWho *who);

/* Fills all others. */
void ms_audit_event_row(AuditTableRow *row, const AuditEvent *event, int64 event_id);
