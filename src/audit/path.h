/* The way from a row of an audited relation to its patient: a path over foreign keys such as
 * note_id->clinical_notes.client_id. */
#pragma once

#include "audit/event.h"

extern "C" {
#include "utils/relcache.h"
#include "utils/snapshot.h"
}

struct AuditPath;

/* What a declaration's patient_key says of a relation. */
struct AuditKey {
	const char *column;      /* of the relation itself; NULL where patient_key is NULL or is no path at all */
	AttrNumber attno;
	Oid type;
	AuditPath *path;         /* NULL: the column holds the patient */
};

/* Resolves the text of a patient_key for a relation, in the current memory context.  False where it leads nowhere: no such
 * column, no foreign key.  Each relation on the way is given to `passes`, so that its changes are noticed. */
bool ms_audit_resolve_key(Relation relation, const char *patient_key, AuditKey *key, void (*passes)(Oid relid));

/* Follows the path from a value of the key column.  False where it ends.  See ms_audit_append_patient for `snapshot`.  The
 * result is in the current context. */
bool ms_audit_follow(const AuditPath *path, Datum from, Snapshot snapshot, Datum *to);

/* Type of what the path ends at. */
Oid ms_audit_path_type(const AuditPath *path);
