/* Commands about declared tables that are rolled back.
 *
 * Such a command can be used to read: an index on an expression, a check or a policy calls functions, a table that is
 * detached or no longer declared is read unseen.  So its event outlives the transaction as that of a read does: it is
 * written within it, and emitted if it is rolled back. */
#include "pg/prelude.h"

#include "audit/admin.h"
#include "audit/admin_parts.h"
#include "audit/outlet.h"

extern "C" {
#include "access/xact.h"
}

namespace {

struct Undoable {
	Undoable *older;
	int nest_level;
	AuditEvent event;
	AuditWho who;
	char bytes[FLEXIBLE_ARRAY_MEMBER];
};

/* The latest first; in TopTransactionContext. */
Undoable *undoable = nullptr;

/* Emits all down to a level. */
void
emit_down_to(int nest_level)
{
	while (undoable && undoable->nest_level >= nest_level) {
		AuditEvent event = undoable->event;

		undoable = undoable->older;
		event.outcome = kFailure;
		ms_audit_emit(&event, false);
	}
}

void
transaction_event(XactEvent event, void *)
{
	switch (event) {
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PRE_PREPARE:
			/* Nobody is here any more when a prepared transaction is rolled back. */
			emit_down_to(0);
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PREPARE:
			undoable = nullptr;
			break;
		default:
			break;
	}
}

void
subtransaction_event(SubXactEvent event, SubTransactionId, SubTransactionId, void *)
{
	const int nest_level = GetCurrentTransactionNestLevel();

	if (event == SUBXACT_EVENT_ABORT_SUB)
		emit_down_to(nest_level);
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
		for (Undoable *one = undoable; one && one->nest_level >= nest_level; one = one->older)
			one->nest_level = nest_level - 1;
}

}  // namespace

void
ms_audit_keep_undoable(const AuditEvent *event)
{
	StringInfoData encoded;

	initStringInfo(&encoded);
	ms_audit_encode(event, &encoded);
	auto *one = (Undoable *) MemoryContextAlloc(TopTransactionContext, offsetof(Undoable, bytes) + encoded.len);
	memcpy(one->bytes, encoded.data, encoded.len);
	pfree(encoded.data);
	if (!ms_audit_decode(one->bytes, encoded.len, &one->event, &one->who))
		elog(ERROR, "audit event could not be copied");
	one->nest_level = GetCurrentTransactionNestLevel();
	one->older = undoable;
	undoable = one;
}

void
ms_audit_admin_init(void)
{
	RegisterXactCallback(transaction_event, nullptr);
	RegisterSubXactCallback(subtransaction_event, nullptr);
}
