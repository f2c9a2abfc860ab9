/* The life of the audit's background worker: see worker.h.
 *
 * It looks into the ring five times a second and is woken when that fills or somebody waits.  It leaves when the
 * database is wanted by somebody, and the server starts it again; it ends for good when the database is gone. */
#include "pg/prelude.h"

#include "audit/outlet.h"
#include "audit/settings.h"
#include "audit/spool.h"
#include "audit/worker.h"
#include "pg/worker.h"

extern "C" {
#include "catalog/namespace.h"
#include "executor/spi.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/lsyscache.h"
}

#include <dirent.h>

namespace {

constexpr long kPause = 200;                            /* milliseconds between two looks */
constexpr int64 kSpoolEvery = 5 * USECS_PER_SEC;
constexpr int64 kHour = 3600 * USECS_PER_SEC;
constexpr int64 kLongestRetry = 30 * USECS_PER_SEC;

RingPlace *my_place;

void
leave(int code, Datum arg)
{
	(void) code;
	(void) arg;
	LWLockAcquire(my_place->lock, LW_EXCLUSIVE);
	my_place->worker_latch = nullptr;
	my_place->worker_pid = 0;
	LWLockRelease(my_place->lock);
}

/* False if there is another worker. */
bool
take_place(RingPlace *place)
{
	bool taken;

	LWLockAcquire(place->lock, LW_EXCLUSIVE);
	taken = place->worker_pid == 0;
	if (taken) {
		place->worker_pid = MyProcPid;
		place->worker_latch = MyLatch;
		place->registered = true;
	}
	LWLockRelease(place->lock);
	if (taken) {
		my_place = place;
		before_shmem_exit(leave, (Datum) 0);
	}
	return taken;
}

/* Whether the extension is there.  Within a transaction. */
bool
tables_are_there()
{
	const Oid schema = get_namespace_oid("mentalspace", true);

	return OidIsValid(schema) && OidIsValid(get_relname_relid("audit_events", schema)) &&
		OidIsValid(get_relname_relid("audit_progress", schema));
}

bool
extension_is_there()
{
	bool there;

	StartTransactionCommand();
	there = tables_are_there();
	CommitTransactionCommand();
	return there;
}

void
make_partitions(void *argument)
{
	(void) argument;
	/* It takes strong locks, if there is something to make; events are not to wait behind it. */
	(void) SPI_execute("SET LOCAL lock_timeout = '1s'", false, 0);
	(void) SPI_execute("SELECT mentalspace.audit_make_partitions()", false, 0);
	/* Numbers of rings that are long gone. */
	(void) SPI_execute("DELETE FROM mentalspace.audit_progress WHERE source LIKE 'ring %' AND "
					   "taken_at < pg_catalog.now() - interval '1 year'", false, 0);
}

struct Take {
	char path[MAXPGPATH];
	int64 taken;
	bool rest;
	bool finished;
	int64 size;
};

void
take_spool_file(void *argument)
{
	Take *take = (Take *) argument;

	take->taken = ms_spool_take(take->path, 8 * 1024 * 1024, &take->rest, &take->finished, &take->size);
}

/* Takes over what is new in the spool.  False if some of it could not be taken. */
bool
take_spool()
{
	DIR *directory = opendir(audit_spool_directory);
	struct dirent *entry;
	bool done = true;

	pg_atomic_write_u32(&my_place->spool_wanted, 0);
	const uint64 round = pg_atomic_add_fetch_u64(&my_place->spool_rounds, 1);
	while (directory && (entry = readdir(directory)) != nullptr) {
		Take take;

		if (!ms_spool_is_ours(entry->d_name))
			continue;
		memset(&take, 0, sizeof(take));
		pg_snprintf(take.path, sizeof(take.path), "%s/%s", audit_spool_directory, entry->d_name);
		do {
			take.rest = take.finished = false;
			if (!ms_worker_try(take_spool_file, &take, nullptr)) {
				done = false;
				break;
			}
			CHECK_FOR_INTERRUPTS();
		} while (take.rest);
		if (take.finished)
			ms_spool_remove(take.path, take.size);
	}
	if (directory)
		closedir(directory);
	if (done)
		pg_atomic_write_u64(&my_place->spool_rounds_done, round);
	else
		pg_atomic_fetch_add_u64(&my_place->failures, 1);
	ConditionVariableBroadcast(&my_place->moved);
	return done;
}

void
work_forever(Ring *ring)
{
	TimestampTz retry_at = 0, spool_at = 0, hour_at = 0;
	int64 retry_after = USECS_PER_SEC;
	uint64 position = 0;
	bool started = false, missed = false;

	for (;;) {
		const TimestampTz now = GetCurrentTimestamp();

		if (ms_worker_database_is_wanted())
			proc_exit(1);    /* and be started again */
		if (now >= retry_at) {
			bool failed = false;

			/* Learns of changes, too. */
			if (!extension_is_there()) {
				failed = pg_atomic_read_u64(&ring->header->head) > pg_atomic_read_u64(&ring->header->tail);
				if (!missed)
					ereport(LOG, (errmsg("the audit worker waits for the extension mentalspace")));
				missed = true;
				started = false;
			} else {
				missed = false;
				if (!started)
					started = ms_worker_find_start(ring, &position);
				failed = !started;
				if (started && now >= hour_at) {
					const bool made = ms_worker_try(make_partitions, nullptr, nullptr);

					hour_at = now + (made ? kHour : kHour / 60);
				}
				while (started && !failed && ms_worker_take_batch(ring, my_place, &position, &failed))
					CHECK_FOR_INTERRUPTS();
				if (started && !failed && (now >= spool_at || pg_atomic_read_u32(&my_place->spool_wanted))) {
					(void) take_spool();
					spool_at = now + kSpoolEvery;
				}
			}
			if (failed) {
				pg_atomic_fetch_add_u64(&my_place->failures, 1);
				ConditionVariableBroadcast(&my_place->moved);
				retry_at = now + retry_after;
				retry_after = retry_after * 2 > kLongestRetry ? kLongestRetry : retry_after * 2;
			} else {
				retry_after = USECS_PER_SEC;
			}
		}
		ms_worker_wait(kPause);
	}
}

/* Beside what every worker of ours sets. */
void
fix_more_settings()
{
	static const char *const settings[][2] = {
		{"synchronous_commit", "on"}, {"session_replication_role", "replica"}, {"datestyle", "ISO, MDY"},
		{"default_tablespace", ""}, {"default_table_access_method", "heap"}, {"row_security", "off"}, {"jit", "off"},
		{"idle_session_timeout", "0"},
	};
	for (const auto &setting : settings)
		SetConfigOption(setting[0], setting[1], PGC_SUSET, PGC_S_OVERRIDE);
}

}  // namespace

/* The worker of the database whose OID is the argument. */
extern "C" PGDLLEXPORT void
ms_audit_worker_main(Datum arg)
{
	const Oid database = DatumGetObjectId(arg);
	const char *problem, *hint;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();

	if (!ms_worker_database_exists(database)) {
		ms_ring_leave_place(database);
		proc_exit(0);
	}
	BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, BGWORKER_BYPASS_ALLOWCONN);
	pgstat_report_appname("mentalspace audit");
	ms_worker_fix_settings();
	fix_more_settings();

	RingPlace *place = ms_ring_take_place(&problem, &hint);
	const int error = errno;
	const char *reason = problem ? problem : pg_strerror(error);
	if (place == nullptr)
		ereport(FATAL, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
						errmsg("there is no audit ring for database %u", database),
						errdetail("%s", reason)));
	if (!take_place(place))
		proc_exit(0);
	Ring *ring = ms_ring();
	if (ring == nullptr)
		ereport(FATAL, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("the audit ring of database %u cannot be used", database)));
	work_forever(ring);
}
