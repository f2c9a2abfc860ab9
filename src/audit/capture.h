/* What one execution of a plan has shown of audited relations: collected row by row, handed on in parts. */
#pragma once

#include "audit/lineage.h"
#include "audit/seen.h"

extern "C" {
#include "executor/execdesc.h"
#include "lib/stringinfo.h"
}

/* How the rows of a reading are counted. */
enum AuditMode : uint8 {
	kAtTop,          /* what the plan puts out: delivered, if that goes to the client */
	kBelow,          /* what was looked at on the way */
	kCounted         /* the same, without patients */
};

/* One relation in one mode. */
struct AuditReading {
	AuditReading *next;
	const AuditRelation *audited;
	AuditMode mode;
	bool unknown;                   /* there were rows whose patient cannot be known */
	bool handed_over;               /* a part of it, in this run */
	uint32 pending;                 /* patients in the buffer */
	int64 rows;                     /* not handed over yet */
	int64 patients;                 /* all together */
	uint64 last_row;                /* serial of the row that was counted last */
	bool in_row;                    /* all that is counted stands in the rows that come out */
	bool is_unique;                 /* no key comes twice */
	uint32 items;                   /* that are counted for it */
	bool has_last;
	uint64 last[2];                 /* identity of the last key */
	AuditSeen keys;
	AuditSeen ids;                  /* of patients, where a path leads from the key to them */
	StringInfoData buffer;
	int intent;
	AuditEvent event;               /* as the run began, */
	uint64 event_generation;        /* valid as long as audit_who_generation is this */
};

struct AuditCapture {
	AuditCapture *older;
	EState *estate;
	AuditReading *readings;
	struct AuditTap *taps;
	MemoryContext scratch;
	uint64 statement_id;
	bool intended;
	bool exporting;
	bool rechecked;                 /* rows were read again: nodes below may stand at what was there before */
	bool to_client;                 /* this run's rows go to the client */
	bool to_store;                  /* ... by way of a tuplestore, so none if it fails */
	AuditItem *scans;               /* of audited relations: where they stand, should an error come up */
	AuditItem *dropped;             /* counted nowhere, see parallel.cpp */
	MemoryContextCallback callback;
};

/* The node that taps belong to, and what is to be looked at there. */
struct AuditTap {
	AuditTap *next;                 /* in its bucket */
	AuditTap *sibling;              /* of the same capture */
	PlanState *node;
	ExecProcNodeMtd original;
	AuditCapture *capture;
	AuditItem *items;
	const EState *estate;           /* that the node belongs to */
	bool is_top;                    /* what it puts out is what the plan puts out */
};

/* Sets up the capture of an execution whose items are known; `root` is where those that reached the top are
 * counted.  In the execution's own memory. */
AuditCapture *ms_audit_capture_make(EState *estate, AuditItem *top, PlanState *root, AuditItem *settled);

/* Adds what is run again for an execution, with memory of its own (recheck.cpp): `items`, a list, were settled.  In that
 * memory. */
void ms_audit_capture_extend(AuditCapture *capture, EState *estate, AuditItem *items);

/* Rows are counted for an item that no node puts out: first where, then each. */
void ms_audit_capture_expect(AuditCapture *capture, AuditItem *item);
void ms_audit_capture_see(AuditCapture *capture, AuditItem *item);

/* The capture of this execution, NULL where it has none. */
AuditCapture *ms_audit_capture_of(const EState *estate);

/* Makes durable who is about to read what. */
void ms_audit_capture_intend(AuditCapture *capture);

/* Hands over what was collected since the last time; `done`: the run is over, so intents are, too. */
void ms_audit_capture_hand_over(AuditCapture *capture, bool done);

/* In a parallel worker: what its leader is executing, which its events are parts of.  NULL at the end. */
void ms_audit_capture_for(const AuditEvent *leader);
