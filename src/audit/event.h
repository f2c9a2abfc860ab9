/* One audit event as it travels through the module: a plain struct that owns nothing.
 *
 * Its fields are the columns of mentalspace.audit_events (src/sql/audit_events.sql says what each means).  Two ways lead
 * there: ms_audit_record() (store.h) writes it in the transaction that it tells of, ms_audit_emit() (outlet.h) lets it
 * leave the transaction, so that no rollback undoes it. */
#pragma once

#include "pg/prelude.h"

extern "C" {
#include "lib/stringinfo.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"
}

enum AuditKind : uint8 {
	kPhiAccess, kDataModification, kAdminAction, kLogin, kLogout, kAuthenticationAttempt, kPermissionChange,
	kConfigurationChange, kExport, kDenied
};

/* As FHIR AuditEvent.action names them. */
enum AuditAction : char { kNoAction = 0, kCreate = 'C', kRead = 'R', kUpdate = 'U', kDelete = 'D', kExecute = 'E' };

enum AuditCategory : uint8 { kNoCategory, kPhi, kPsychotherapyNote, kSubstanceUse, kBilling };

/* kFailure: it began and ended with an error, what the event names did happen (rows were sent).  kUnknown: it began, and
 * the server stopped before its end was known. */
enum AuditOutcome : uint8 { kSuccess, kFailure, kRefused, kUnknown };

enum AuditSeverity : uint8 { kInfo, kWarning, kCritical };

/* kDelivered: exactly what was sent to the client; kExamined: what the query looked at, at least what was sent. */
enum AuditPrecision : uint8 { kNoPrecision, kDelivered, kExamined };

/* The names in the table; NULL for kNoCategory and kNoPrecision. */
const char *ms_audit_kind_name(AuditKind kind);
const char *ms_audit_category_name(AuditCategory category);
const char *ms_audit_outcome_name(AuditOutcome outcome);
const char *ms_audit_severity_name(AuditSeverity severity);
const char *ms_audit_precision_name(AuditPrecision precision);
/* False where there is none of that name. */
bool ms_audit_category_of(const char *name, AuditCategory *category);

/* Who, from where and why: what the events of a transaction have in common.  Texts are NULL where there is nothing. */
struct AuditWho {
	bool has_user_id;
	pg_uuid_t user_id;
	const char *session_user;       /* the login role */
	const char *current_user;       /* whose privileges counted, the owner within SECURITY DEFINER functions */
	const char *outer_role;         /* what SET ROLE or login() set, seen from outside of such functions */
	const char *roles;              /* of the application's user: the claims role and app_metadata.roles, one a line */
	const char *aal;
	const char *session_id;
	const char *identity_source;    /* verified, guc or none, as in whoami() */
	const char *client_address;     /* text of an inet */
	const char *application_name;
	const char *user_agent;         /* from request.headers */
	const char *request_id;         /* x-request-id of request.headers */
	const char *purpose_of_use;     /* mentalspace.audit_purpose */
	const char *break_glass_id;     /* mentalspace.audit_break_glass */
	/* All of the above as ms_audit_encode writes it, where somebody has made it already. */
	const char *encoded;
	uint32 encoded_length;
};

/* Patients as they are handed on: `count` texts, each a uint32 length and so many bytes, one after another. */
struct AuditIds {
	uint32 count;
	uint32 bytes;
	const char *data;
};

struct AuditEvent {
	AuditKind kind;
	AuditAction action;
	AuditCategory category;
	AuditOutcome outcome;
	AuditSeverity severity;
	AuditPrecision precision;
	int32 statement_no;             /* in the transaction, from 1; 0: not known */
	TimestampTz occurred_at;
	uint64 transaction_id;          /* full transaction id, 0 where it has none */
	int64 fingerprint;              /* PostgreSQL's query id, 0: not known */
	int64 row_count;                /* -1: not known */
	const AuditWho *who;            /* never NULL */
	const char *relation;           /* schema.table, quoted where needed */
	const char *row_key;            /* primary key of the row: its text, or a JSON object for keys of several columns */
	AuditIds patients;              /* data NULL: not known or not asked for */
	const Jsonb *changes;           /* UPDATE: {"column": [old, new]} */
	const Jsonb *row_image;         /* DELETE: the row */
	const uint8 *row_digest;        /* INSERT: 32 bytes, see mentalspace.audit_digest() */
	const char *detail;             /* in words, never a value of the application's */
	uint64 statement_id;            /* same for all parts of one statement, also of its parallel workers; 0: alone.
	                                 * Not a column: the worker merges parts that it finds together. */
};

/* Appends one id to a packed buffer. */
void ms_audit_pack_id(StringInfo buffer, const char *text, uint32 length);

/* The event as bytes that are independent of any process, without changes, row_image and row_digest, which never leave
 * their transaction.  ms_audit_decode fills an event and its `who` with pointers into the bytes, which must be 8-aligned,
 * and returns false for bytes that are no event of this version; it checks every length and raises nothing. */
void ms_audit_encode(const AuditEvent *event, StringInfo out);
bool ms_audit_decode(const char *bytes, size_t length, AuditEvent *event, AuditWho *who);

/* The part of it that AuditWho is; false as above.  Sets who->encoded to the bytes. */
void ms_audit_encode_who(const AuditWho *who, StringInfo out);
bool ms_audit_decode_who(const char *bytes, size_t length, AuditWho *who);

/* The event as one line of JSON without a line feed: the keys are the columns' names.  Raises only out-of-memory and
 * needs no catalog, so that it works in a transaction that is being aborted. */
void ms_audit_to_json(const AuditEvent *event, StringInfo out);
