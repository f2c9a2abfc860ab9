/* SQL's door to the schedules and the workers of the companion pg_cron, and what starts a scheduler. */
#include "pg/prelude.h"

#include "companions/cron.h"
#include "core/cron_schedule.h"
#include "pg/module.h"

extern "C" {
#include "access/heapam.h"
#include "access/relation.h"
#include "access/tableam.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "commands/trigger.h"
#include "executor/tuptable.h"
#include "postmaster/bgworker.h"
#include "storage/lmgr.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
}

using namespace mentalspace;

bool mentalspace::cron_enabled = true;

namespace {

/* Set by the trigger of cron.job, and by a first look at the table: the scheduler is to be there after the commit. */
bool scheduler_wanted = false;

/* This session has looked whether there are jobs that nobody runs.  One look a session is what starts the scheduler
 * where no job changes: after a start of the server without the launcher, or where no worker was free before. */
bool looked = false;

constexpr int64 kYear = 366 * 86400;

/* Advisory locks, because others do not outlive a transaction that fails; of kinds that no SQL function takes (1 and
 * 2). */
constexpr uint16 kSchedulerLock = 3, kRunLock = 4;

void
start_scheduler()
{
	LOCKTAG tag;

	if (!cron_enabled || RecoveryInProgress())
		return;
	ms_cron_scheduler_lock(&tag);
	if (ms_cron_lock_is_held(&tag))
		return;
	if (!ms_cron_register_scheduler(MyDatabaseId, MyDatabaseTableSpace, nullptr))
		ereport(LOG, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
					  errmsg("could not start the cron worker of database %u", MyDatabaseId),
					  errhint("Consider increasing max_worker_processes.")));
}

/* The value of a column of cron.job, if it has the type; the table may be anybody's. */
bool
column_of(Relation relation, TupleTableSlot *slot, const char *name, Oid type, Datum *value)
{
	bool null;
	const AttrNumber number = get_attnum(RelationGetRelid(relation), name);

	if (number <= 0 || get_atttype(RelationGetRelid(relation), number) != type)
		return false;
	*value = slot_getattr(slot, number, &null);
	return !null;
}

/* Whether cron.job is a table with active jobs of this database, as far as can be told without waiting.  Looks at the
 * heap alone: no code of the table's owner must run here. */
bool
has_jobs()
{
	Oid schema = get_namespace_oid("cron", true);
	Oid table = OidIsValid(schema) ? get_relname_relid("job", schema) : InvalidOid;
	bool found = false;

	if (!OidIsValid(table) || !OidIsValid(get_relname_relid("last_tick", schema)) ||
		!ConditionalLockRelationOid(table, AccessShareLock))
		return false;
	Relation relation = try_relation_open(table, NoLock);
	if (relation) {
		if (relation->rd_rel->relkind == RELKIND_RELATION && relation->rd_rel->relam == HEAP_TABLE_AM_OID) {
			TableScanDesc scan = table_beginscan_catalog(relation, 0, nullptr);
			TupleTableSlot *slot = table_slot_create(relation, nullptr);
			const char *here = get_database_name(MyDatabaseId);

			while (!found && table_scan_getnextslot(scan, ForwardScanDirection, slot)) {
				Datum active, database;

				found = column_of(relation, slot, "active", BOOLOID, &active) && DatumGetBool(active) &&
						column_of(relation, slot, "database", TEXTOID, &database) &&
						strcmp(TextDatumGetCString(database), here ? here : "") == 0;
			}
			ExecDropSingleTupleTableSlot(slot);
			table_endscan(scan);
		}
		relation_close(relation, NoLock);
	}
	UnlockRelationOid(table, AccessShareLock);
	return found;
}

void
at_end_of_transaction(XactEvent event, void *arg)
{
	(void) arg;
	switch (event) {
		case XACT_EVENT_PRE_COMMIT:
			/* A client's session; not one of the workers themselves. */
			if (!looked && MyBackendType == B_BACKEND && OidIsValid(MyDatabaseId) && cron_enabled && !RecoveryInProgress()) {
				looked = true;
				scheduler_wanted |= has_jobs();
			}
			break;
		case XACT_EVENT_COMMIT:
			if (scheduler_wanted)
				start_scheduler();
			scheduler_wanted = false;
			break;
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			scheduler_wanted = false;
			break;
		default:
			break;
	}
}

/* A timestamp in whole seconds since 1970, rounded down. */
int64
seconds_of(Timestamp time)
{
	constexpr int64 epoch = (int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY;

	if (TIMESTAMP_NOT_FINITE(time))
		ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE), errmsg("timestamp out of range")));
	return time / USECS_PER_SEC - (time % USECS_PER_SEC < 0 ? 1 : 0) + epoch;
}

}  // namespace

void
ms_cron_scheduler_lock(LOCKTAG *tag)
{
	SET_LOCKTAG_ADVISORY(*tag, MyDatabaseId, 0, 0, kSchedulerLock);
}

void
ms_cron_run_lock(LOCKTAG *tag, int64 jobid)
{
	SET_LOCKTAG_ADVISORY(*tag, MyDatabaseId, (uint32) (jobid >> 32), (uint32) jobid, kRunLock);
}

bool
ms_cron_lock_is_held(const LOCKTAG *tag)
{
	if (LockAcquire(tag, RowShareLock, true, true) == LOCKACQUIRE_NOT_AVAIL)
		return true;
	LockRelease(tag, RowShareLock, true);
	return false;
}

bool
ms_cron_take_lock(const LOCKTAG *tag)
{
	/* Somebody who only looks whether it is held holds it for a moment. */
	for (int attempt = 0; attempt < 10; attempt++) {
		if (LockAcquire(tag, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL)
			return true;
		pg_usleep(10000L);
	}
	return false;
}

void
ms_cron_release_lock(const LOCKTAG *tag)
{
	LockRelease(tag, ExclusiveLock, true);
}

bool
ms_cron_register_scheduler(Oid database, Oid tablespace, BackgroundWorkerHandle **handle)
{
	BackgroundWorker worker;

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = 5;
	strlcpy(worker.bgw_library_name, "mentalspace", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "ms_cron_scheduler_main", sizeof(worker.bgw_function_name));
	pg_snprintf(worker.bgw_name, sizeof(worker.bgw_name), "mentalspace cron for database %u", database);
	strlcpy(worker.bgw_type, "mentalspace cron", sizeof(worker.bgw_type));
	worker.bgw_main_arg = ObjectIdGetDatum(database);
	memcpy(worker.bgw_extra, &tablespace, sizeof(tablespace));
	worker.bgw_notify_pid = handle ? MyProcPid : 0;
	return RegisterDynamicBackgroundWorker(&worker, handle);
}

/* At load time: defines the setting, and starts the launcher in the postmaster.  Sessions start the scheduler of their
 * database, however the library was loaded. */
void
ms_cron_init(void)
{
	DefineCustomBoolVariable("mentalspace.cron_worker",
							 "Runs the jobs of the companion extension pg_cron in background workers.",
							 "Off where something else calls mentalspace.cron_tick().",
							 &cron_enabled, true, PGC_SIGHUP, 0, nullptr, nullptr, nullptr);
	RegisterXactCallback(at_end_of_transaction, nullptr);

	if (process_shared_preload_libraries_in_progress) {
		BackgroundWorker worker;

		memset(&worker, 0, sizeof(worker));
		worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
		worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
		worker.bgw_restart_time = 10;
		strlcpy(worker.bgw_library_name, "mentalspace", sizeof(worker.bgw_library_name));
		strlcpy(worker.bgw_function_name, "ms_cron_launcher_main", sizeof(worker.bgw_function_name));
		strlcpy(worker.bgw_name, "mentalspace cron launcher", sizeof(worker.bgw_name));
		strlcpy(worker.bgw_type, "mentalspace cron launcher", sizeof(worker.bgw_type));
		RegisterBackgroundWorker(&worker);
	}
}

/* cron.job_cache_invalidate(), a trigger after each statement that changes cron.job: tells the scheduler, and starts it
 * when the transaction commits. */
MS_FUNCTION(ms_cron_job_changed)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("function cron.job_cache_invalidate() must be called as a trigger")));
	CacheInvalidateRelcache(((TriggerData *) fcinfo->context)->tg_relation);
	scheduler_wanted = true;
	return PointerGetDatum(nullptr);
}

/* mentalspace.cron_worker_running() returns boolean: whether this database has its scheduler. */
MS_FUNCTION(ms_cron_worker_running)
{
	LOCKTAG tag;

	(void) fcinfo;
	ms_cron_scheduler_lock(&tag);
	PG_RETURN_BOOL(ms_cron_lock_is_held(&tag));
}

/* mentalspace.cron_due(schedule text, after timestamp, until timestamp) returns boolean: whether the schedule has a
 * time in the span, open below and closed above, of at most a year.  22023 for a schedule that is not understood. */
MS_FUNCTION(ms_cron_due)
{
	text *schedule_text = PG_GETARG_TEXT_PP(0);
	int64 after = seconds_of(PG_GETARG_TIMESTAMP(1));
	int64 until = seconds_of(PG_GETARG_TIMESTAMP(2));
	CronSchedule schedule;
	CronError error = ParseCronSchedule({VARDATA_ANY(schedule_text), (size_t) VARSIZE_ANY_EXHDR(schedule_text)},
										&schedule);

	if (error != CronError::kNone)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("invalid schedule: \"%s\"", text_to_cstring(schedule_text)),
						errdetail_internal("%s", CronErrorText(error)),
						errhint("Write five fields as in \"30 4 * * mon-fri\", a word like @daily, "
								"or \"N seconds\" with N from 1 to 59.")));
	if (until > after && until - after > kYear)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("the time span is longer than a year")));
	PG_RETURN_BOOL(CronDue(schedule, after, until));
}
