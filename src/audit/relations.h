/* Which relations are audited, as this backend knows it: mentalspace.audit_relations, read again whenever it or one of
 * the relations changes. */
#pragma once

#include "audit/event.h"

extern "C" {
#include "executor/tuptable.h"
#include "utils/relcache.h"
}

/* Gives the patient of a local key: see ms_audit_patient_text. */
struct AuditPath;

struct AuditRelation {
	Oid relid;                      /* the one that was declared: a partition has that of its root */
	const char *name;               /* schema.table, quoted where needed */
	AuditCategory category;
	bool reads;
	bool writes;
	bool is_role_source;            /* rows are roles of users: changes are permission_change */
	const char *key_column;         /* column of this relation where the way to the patient begins */
	Oid key_type;
	AuditPath *path;                /* NULL: the key column holds the patient */
	int redact_count;
	const char **redact;            /* names of columns whose values appear as digests only */
	bool broken;                    /* patient_key leads nowhere any more: events have no patients and are critical */
};

/* The declaration that covers this relation (its own, or that of the partitioned table or parent that it belongs to), NULL
 * where there is none.  Cheap: a look in a hash table.  Must be called in a transaction; raises what catalogs raise.
 * Lives until the transaction ends and longer, but is not to be kept across transactions. */
const AuditRelation *ms_audit_relation(Oid relid);

/* Whether anything is audited in this database: the cheapest question, for hooks on hot paths. */
bool ms_audit_any(void);

/* Number of the key column in this very relation (partitions may have others); 0 where it has none. */
AttrNumber ms_audit_key_attno(const AuditRelation *audited, Oid relid);

/* Whether no two rows of this very relation have the same key: its primary key is the key column. */
bool ms_audit_key_is_unique(const AuditRelation *audited, Relation relation);

/* Appends to a packed buffer (event.h) the patient that a value of the key column leads to: the value itself, or what the
 * path of foreign keys reaches.  False, nothing appended, where that is NULL or no row.  Rows of the path are looked up
 * without row level security, under `snapshot` (NULL: the active one, and then also rows that this transaction deleted, as
 * a cascade has before it). */
bool ms_audit_append_patient(const AuditRelation *audited, Datum key, Snapshot snapshot, StringInfo buffer);

/* The primary key of a row as text, in the current context; NULL where the relation has none. */
char *ms_audit_row_key(Relation relation, TupleTableSlot *slot);

/* The secret with which digests are salted; 32 bytes, valid until the next call. */
const uint8 *ms_audit_salt(void);

void ms_audit_relations_init(void);
