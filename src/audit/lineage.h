/* Where in a plan the patient of an audited row can be seen.
 *
 * From each scan of an audited relation the column that holds its patient is followed upwards.  As long as it is among
 * the columns that a node puts out, a row there tells the patient.  Where it is not, the row that it came from may
 * still be at hand: nodes that pass on one row at a time leave it in a slot of theirs.  An *item* says how to find the
 * patient when a certain node has put out a row.
 *
 * An item that reaches the top tells exactly whose rows were sent.  One that is lost on the way, because a sort or a
 * hash table keeps rows without the column, is *settled* at the last node where it is known: what is counted there was
 * examined, and what is sent is among it. */
#pragma once

#include "audit/relations.h"

extern "C" {
#include "nodes/execnodes.h"
}

/* Where the key of an item is, when the node that it is counted at has put out a row. */
enum AuditPlace : uint8 {
	kInResult,        /* in that row */
	kInScanSlot,      /* in the row that the scan `node` looked at */
	kInOuter,         /* in the row that `node` got from its outer, */
	kInInner,         /* or from its inner child, */
	kInScanTuple,     /* or that it takes for its own row: SubqueryScan, ModifyTable */
	kInHeap,          /* nowhere in the row of the index-only scan `node`: in the table's */
	kNowhere          /* it cannot be known */
};

/* Rows come from the item's part of the plan only while all of its conditions hold. */
struct AuditCondition {
	const AuditCondition *next;
	PlanState *node;
	int child;                      /* of an Append or MergeAppend; -1: the inner row of a NestLoop is a real one */
};

struct AuditReading;

struct AuditItem {
	AuditItem *next;                /* at the same node, or of all settled ones */
	const AuditRelation *audited;
	PlanState *node;
	const AuditCondition *condition;
	PlanState *counted_at;          /* where it was settled; NULL for those that reach the top */
	AuditItem *fallback;            /* the same where it was before, if nothing can be counted at the node it is at */
	Index rti;                      /* of the scan */
	Oid relid;                      /* the relation that `attno` is a column of, for kInScanTuple of ModifyTable */
	AttrNumber attno;
	AuditPlace place;
	bool may_be_null;               /* a NULL may stand for no row at all (outer joins) */
	bool is_unique;                 /* no patient comes twice */
	bool is_target;                 /* of UPDATE, DELETE or MERGE: the event of the write tells of it */
	bool is_sent;                   /* it reached the top, and so do columns of its relation */
	bool counts_only;               /* no column of the relation comes out: an aggregate */
	bool fixed;                     /* nothing above decides over it any more */
	bool dropped;
	TupleTableSlot *heap_slot;      /* for kInHeap */
	AuditReading *reading;          /* what it is counted for: capture.cpp */
};

struct AuditLineage {
	EState *estate;
	AuditItem *settled;             /* a list; may hold dropped ones */
	bool is_joined;                 /* the plan is more than a chain of nodes above one scan */
	AuditItem **ctes;               /* by number of the subplan: what its rows carry */
	bool *cte_done;
	List *leaky_rows;               /* nodes whose rows are seen by what can carry values out, leaks.h */
	List *leaky_quals;              /* scans whose conditions can */
	struct AuditLeakyQual *quals;
	AuditItem *scans;               /* of audited relations, a list */
};

/* Follows everything in the plan of an execution that was started, in the current memory context.  Returns the items
 * that reach the top of `root`; the rest is in lineage->settled. */
AuditItem *ms_audit_trace(AuditLineage *lineage, EState *estate, PlanState *root);

/* Settles items, a list, at the node whose rows tell them. */
void ms_audit_settle(AuditLineage *lineage, AuditItem *items, PlanState *node);

/* Whether a value that the node puts out may come from a row of the relation; the counts of aggregates do
 * not.  (taint.cpp) */
bool ms_audit_may_come_out(EState *estate, PlanState *node, const AuditRelation *audited);

/* Whether that is certain of what the top of a plan sends, of this member of the range table. */
bool ms_audit_is_sent(EState *estate, PlanState *root, Index rti);

/* Whether a window function among the node's columns takes values from other rows of the relation. */
bool ms_audit_window_mixes(EState *estate, PlanState *node, const AuditRelation *audited);
