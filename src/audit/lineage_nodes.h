/* What lineage.cpp and lineage_nodes.cpp share. */
#pragma once

#include "audit/lineage.h"

extern "C" {
#include "nodes/plannodes.h"
}

/* Follows a node; the items of what it puts out. */
AuditItem *ms_lineage_trace(AuditLineage *lineage, PlanState *node);

AuditItem *ms_lineage_item(const AuditRelation *audited, Index rti, Oid relid);
AuditItem *ms_lineage_concat(AuditItem *a, AuditItem *b);

/* The number of the column that is this Var and nothing else; 0 where there is none. */
AttrNumber ms_lineage_column(List *columns, int varno, AttrNumber attno);

/* The declaration that makes reading this member of the range table a read by the user. */
const AuditRelation *ms_lineage_audited(AuditLineage *lineage, Index rti, RangeTblEntry **entry);

/* How items of a child may pass a node when their column does not. */
struct AuditPassage {
	int varno;               /* how the node's columns refer to the child's */
	bool keeps_row;          /* `place` of the node holds the child's row as long as the node's own is looked at */
	bool keeps_below;        /* so do the slots of the nodes below the child */
	AuditPlace place;
};

/* Brings items of a child to the node; settles at the child those that go no further. */
AuditItem *ms_lineage_pass(AuditLineage *lineage, AuditItem *items, PlanState *child, PlanState *node,
						   const AuditPassage &passage);

AuditItem *ms_lineage_join(AuditLineage *lineage, PlanState *node);
AuditItem *ms_lineage_append(AuditLineage *lineage, PlanState *node, PlanState **children, int count, bool is_async);
/* Agg and Group. */
AuditItem *ms_lineage_groups(AuditLineage *lineage, PlanState *node);
AuditItem *ms_lineage_window(AuditLineage *lineage, PlanState *node);
AuditItem *ms_lineage_cte(AuditLineage *lineage, PlanState *node);
AuditItem *ms_lineage_modify(AuditLineage *lineage, PlanState *node);
