/* The access method behind hnsw and ivfflat of companion vector: accepted, never built, never used.
 *
 * The planner considers an index only for operators of its operator classes, and these have none. */
#include "pg/prelude.h"

extern "C" {
#include "access/amapi.h"
#include "access/genam.h"
#include "access/relscan.h"
#include "nodes/execnodes.h"
#include "nodes/pathnodes.h"
#include "utils/rel.h"
}

namespace {

IndexBuildResult *
build(Relation heap, Relation index, IndexInfo *info)
{
	(void) info;
	IndexBuildResult *result = (IndexBuildResult *) palloc0(sizeof(IndexBuildResult));

	/* The table's own number of rows stays what it was. */
	result->heap_tuples = heap->rd_rel->reltuples;
	ereport(NOTICE, (errmsg("index \"%s\" is accepted but stays empty", RelationGetRelationName(index)),
					 errdetail("The installed extension vector is a companion of mentalspace: its searches are exact and read "
							   "the whole table.")));
	return result;
}

void
build_empty(Relation index)
{
	(void) index;
}

bool
insert(Relation index, Datum *values, bool *isnull, ItemPointer heap_tid, Relation heap, IndexUniqueCheck unique,
	   bool unchanged, IndexInfo *info)
{
	(void) index, (void) values, (void) isnull, (void) heap_tid, (void) heap, (void) unique, (void) unchanged, (void) info;
	return false;
}

IndexBulkDeleteResult *
bulk_delete(IndexVacuumInfo *info, IndexBulkDeleteResult *stats, IndexBulkDeleteCallback callback, void *state)
{
	(void) info, (void) callback, (void) state;
	return stats;
}

IndexBulkDeleteResult *
vacuum_cleanup(IndexVacuumInfo *info, IndexBulkDeleteResult *stats)
{
	(void) info;
	return stats;
}

void
cost_estimate(PlannerInfo *root, IndexPath *path, double loops, Cost *startup, Cost *total, Selectivity *selectivity,
			  double *correlation, double *pages)
{
	(void) root, (void) path, (void) loops;
	*startup = *total = 1e300;
	*selectivity = 1;
	*correlation = 0;
	*pages = 1;
}

/* Whatever parameters pgvector's indexes have: they stay in pg_class, for a dump. */
bytea *
options(Datum reloptions, bool validate)
{
	(void) reloptions, (void) validate;
	return nullptr;
}

bool
validate(Oid operator_class)
{
	(void) operator_class;
	return true;
}

[[noreturn]] void
no_scan(void)
{
	ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("an index that stays empty cannot be scanned")));
	pg_unreachable();
}

IndexScanDesc
begin_scan(Relation index, int keys, int order_bys)
{
	(void) index, (void) keys, (void) order_bys;
	no_scan();
}

void
rescan(IndexScanDesc scan, ScanKey keys, int key_count, ScanKey order_bys, int order_by_count)
{
	(void) scan, (void) keys, (void) key_count, (void) order_bys, (void) order_by_count;
	no_scan();
}

void
end_scan(IndexScanDesc scan)
{
	(void) scan;
}

}  // namespace

/* The handler of both access methods. */
MS_FUNCTION(ms_vector_index_handler)
{
	(void) fcinfo;
	IndexAmRoutine *routine = makeNode(IndexAmRoutine);

	routine->ambuild = build;
	routine->ambuildempty = build_empty;
	routine->aminsert = insert;
	routine->ambulkdelete = bulk_delete;
	routine->amvacuumcleanup = vacuum_cleanup;
	routine->amcostestimate = cost_estimate;
	routine->amoptions = options;
	routine->amvalidate = validate;
	routine->ambeginscan = begin_scan;
	routine->amrescan = rescan;
	routine->amendscan = end_scan;
	PG_RETURN_POINTER(routine);
}
