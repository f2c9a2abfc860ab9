/* What is a policy's own, and how it is told from what its reader could pass off as that. */
#pragma once

#include "pg/prelude.h"

extern "C" {
#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"
}

/* RangeTblEntry.security_barrier means nothing for a table and stays with the entry down to the executor: there it says
 * that a policy reads the table. */
static inline bool
ms_audit_is_policy_read(const RangeTblEntry *entry)
{
	return entry->rtekind == RTE_RELATION && entry->security_barrier;
}

static inline void
ms_audit_mark_policy_read(RangeTblEntry *entry)
{
	if (entry->rtekind == RTE_RELATION)
		entry->security_barrier = true;
}

/* How many of the conditions of an entry, from the first on, are of row level security; those that follow are of views
 * with security_barrier through which a row is written. */
int ms_audit_count_policy_quals(Query *query, RangeTblEntry *entry, int rti);

/* Whether the reader could have written an object of this owner.  Membership counts, not whether rights are inherited. */
bool ms_audit_reader_may_be(Oid owner);
bool ms_audit_reader_may_write_relation(Oid relid);
bool ms_audit_reader_may_write_function(Oid function);

/* Whether a query that runs within a policy's function reads what the reader could have put in the place of what the
 * function means: a temporary view, for one. */
bool ms_audit_is_imitation(const PlannedStmt *plan);
