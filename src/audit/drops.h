/* Audited relations that are dropped, also by CASCADE: each is an event, and its declaration goes with it. */
#pragma once

#include "pg/prelude.h"

extern "C" {
#include "nodes/parsenodes.h"
}

/* A command during which relations may go. */
struct AuditDrops {
	const char *tag;                /* of the command; NULL where its drops are of no interest */
	MemoryContext context;
	List *events;                   /* AdminEvent, to be told when it has succeeded */
	AuditDrops *outer;
};

void ms_audit_drops_begin(AuditDrops *drops, const char *tag);
void ms_audit_drops_end(const AuditDrops *drops);

/* Raises 2BP01 where the command is DROP EXTENSION mentalspace without CASCADE, and there are events. */
void ms_audit_check_drop(const Node *statement);

void ms_audit_drops_init(void);
