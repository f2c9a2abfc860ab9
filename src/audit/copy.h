/* COPY ... TO as an export: its rows are seen where all others are, in the executor. */
#pragma once

#include "pg/prelude.h"

extern "C" {
#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"
}

struct AuditCopy {
	PlannedStmt *statement;    /* what is to be executed: the given one, or a copy that selects from the table */
	bool rewritten;
	const char *unseen;        /* name of an audited relation that PostgreSQL would read past the executor; NULL: none */
};

/* `planned` is a COPY.  COPY table TO of an audited table becomes COPY (SELECT the same columns FROM ONLY table) TO, as
 * PostgreSQL does it itself where row level security applies.  Where the command is going to fail, it is left to
 * PostgreSQL, so that its errors stay what they are. */
void ms_audit_copy_prepare(PlannedStmt *planned, AuditCopy *copy);

/* While a rewritten COPY runs: rows come in the order in which COPY table TO gives them.  Returns what ends it. */
int ms_audit_copy_begin(void);
void ms_audit_copy_end(int level);
