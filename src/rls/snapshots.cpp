/* Whether a snapshot shows the same rows as one that was marked before. */
#include "pg/prelude.h"

#include "rls/items.h"

extern "C" {
#include "access/xact.h"
#include "storage/proc.h"
#include "utils/snapmgr.h"
}

void
rls_mark_snapshot(RlsSnapshotMark *mark, Snapshot snapshot)
{
	uint32 count = snapshot->xcnt + (snapshot->subxcnt > 0 ? snapshot->subxcnt : 0);

	mark->valid = false;
	if (snapshot->snapshot_type != SNAPSHOT_MVCC)
		return;
	if (count > mark->allocated) {
		if (mark->xids != nullptr)
			pfree(mark->xids);
		mark->allocated = 0;
		mark->xids = (TransactionId *) MemoryContextAlloc(TopMemoryContext, count * sizeof(TransactionId));
		mark->allocated = count;
	}
	mark->xmin = snapshot->xmin;
	mark->xmax = snapshot->xmax;
	mark->own_xid = GetTopTransactionIdIfAny();
	mark->curcid = snapshot->curcid;
	mark->lxid = ms_local_xid();
	mark->xcnt = snapshot->xcnt;
	mark->subxcnt = snapshot->subxcnt;
	mark->suboverflowed = snapshot->suboverflowed;
	mark->in_recovery = snapshot->takenDuringRecovery;
	if (snapshot->xcnt > 0)
		memcpy(mark->xids, snapshot->xip, snapshot->xcnt * sizeof(TransactionId));
	if (snapshot->subxcnt > 0)
		memcpy(mark->xids + snapshot->xcnt, snapshot->subxip, snapshot->subxcnt * sizeof(TransactionId));
	mark->valid = true;
}

static bool
same_contents(const RlsSnapshotMark *mark, Snapshot snapshot)
{
	return mark->valid && snapshot->snapshot_type == SNAPSHOT_MVCC &&
		mark->xmin == snapshot->xmin && mark->xmax == snapshot->xmax &&
		mark->xcnt == snapshot->xcnt && mark->subxcnt == snapshot->subxcnt &&
		mark->suboverflowed == snapshot->suboverflowed && mark->in_recovery == snapshot->takenDuringRecovery &&
		(snapshot->xcnt == 0 || memcmp(mark->xids, snapshot->xip, snapshot->xcnt * sizeof(TransactionId)) == 0) &&
		(snapshot->subxcnt <= 0 ||
		 memcmp(mark->xids + snapshot->xcnt, snapshot->subxip, snapshot->subxcnt * sizeof(TransactionId)) == 0);
}

/* Whether the snapshot shows exactly the rows that the marked one showed, in the same transaction. */
bool
rls_snapshot_is_marked(const RlsSnapshotMark *mark, Snapshot snapshot)
{
	return same_contents(mark, snapshot) && mark->curcid == snapshot->curcid &&
		mark->own_xid == GetTopTransactionIdIfAny() && mark->lxid == ms_local_xid();
}

/* Whether the snapshot shows exactly the rows that the marked one showed, in whatever transaction, as long as neither has
 * written anything. */
bool
rls_snapshot_shows_the_same(const RlsSnapshotMark *mark, Snapshot snapshot)
{
	return same_contents(mark, snapshot) && !TransactionIdIsValid(mark->own_xid) &&
		!TransactionIdIsValid(GetTopTransactionIdIfAny());
}
