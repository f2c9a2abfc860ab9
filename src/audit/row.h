/* Rows of audited relations as events show them: digest, image, changes.  What is needed of the columns is looked up
 * once for each relation; used by writes.cpp. */
#pragma once

#include "audit/relations.h"

extern "C" {
#include "executor/tuptable.h"
#include "utils/jsonb.h"
#include "utils/relcache.h"
}

/* How the value goes into the digest: as the type's binary output function gives it. */
enum ColumnSend : uint8 {
	kSendBool, kSend16, kSend32, kSend64, kSendFloat4, kSendUuid,
	kSendBytes,             /* text and the like: the bytes that it consists of, in the encoding of the database */
	kSendFunction,
	kSendText               /* the type has no binary output */
};

/* How the value becomes JSON: as to_jsonb() has it. */
enum ColumnJson : uint8 {
	kJsonBool, kJsonInt2, kJsonInt4, kJsonInt8, kJsonNumeric, kJsonFloat, kJsonText, kJsonUuid, kJsonDateTime, kJsonJson,
	kJsonJsonb,
	kJsonOutput,            /* the text of the output function */
	kJsonFunction           /* to_jsonb() itself */
};

struct AuditColumn {
	const char *name;
	int name_length;
	int at;                 /* index in a slot */
	Oid type;
	Oid base_type;
	int16 length;
	bool by_value;
	bool redact;
	ColumnSend send;
	ColumnJson json;
	FmgrInfo send_function;
	FmgrInfo output_function;
	FmgrInfo to_jsonb;
};

struct AuditRow {
	Oid relid;
	bool valid;
	MemoryContext context;
	const AuditRelation *audited;
	uint32 transaction;     /* in which what depends on `audited` was looked up */
	AttrNumber key;         /* of the way to the patient; 0: none */
	/* Whether a function of a type that is not known here takes part in the digest: it may convert to the client's
	 * encoding. */
	bool sends_by_function;
	int count;              /* columns that are not dropped, as they follow one another in the relation */
	AuditColumn *columns;
	AuditColumn **by_key;   /* in the order of keys in a jsonb object */
	int *changed;           /* room for indexes of by_key */
};

/* Lasts until the transaction ends, at least. */
AuditRow *ms_audit_row_of(Relation relation, const AuditRelation *audited);

/* sha256(salt || record_send(row)), with client_encoding as the database has it. */
void ms_audit_row_digest(AuditRow *row, TupleTableSlot *slot, uint8 digest[32]);

/* All columns; in the current memory context. */
Jsonb *ms_audit_row_image(AuditRow *row, TupleTableSlot *slot);

/* Those that differ: {"column": [old, new]}. */
Jsonb *ms_audit_row_changes(AuditRow *row, TupleTableSlot *before, TupleTableSlot *after);

void ms_audit_row_init(void);

/* Pieces for row.cpp and row_json.cpp: the salted hash of one thing after another. */
void ms_audit_hash_begin(void);
void ms_audit_hash(const void *bytes, Size length);
void ms_audit_hash_end(uint8 digest[32]);
