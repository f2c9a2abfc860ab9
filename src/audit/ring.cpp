/* Places of rings in shared memory, and this process's mapping: see ring.h. */
#include "pg/prelude.h"

#include "audit/ring.h"
#include "audit/settings.h"
#include "audit/spool.h"

extern "C" {
#include "postmaster/bgworker.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/shmem.h"
}

#include <dirent.h>
#include <unistd.h>

namespace {

constexpr const char *kTranche = "mentalspace audit";

RingShared *shared = nullptr;
shmem_request_hook_type previous_request = nullptr;
shmem_startup_hook_type previous_startup = nullptr;

/* Of this process. */
RingPlace *my_place = nullptr;
uint32 looked_at_generation = 0;
bool looked = false;
Ring my_ring;
bool mapping_failed = false;

/* Calls `each` with the databases that have a ring. */
void
for_each_ring(void (*each)(Oid))
{
	DIR *directory = opendir(kRingDirectory);
	struct dirent *entry;

	if (directory == nullptr)
		return;
	while ((entry = readdir(directory)) != nullptr) {
		char again[64];
		unsigned int database;

		if (sscanf(entry->d_name, "audit-%u.ring", &database) != 1)
			continue;
		pg_snprintf(again, sizeof(again), "audit-%u.ring", database);
		if (strcmp(again, entry->d_name) == 0)
			each(database);
	}
	closedir(directory);
}

void
describe_worker(BackgroundWorker *worker, Oid database)
{
	memset(worker, 0, sizeof(*worker));
	worker->bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker->bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker->bgw_restart_time = 1;
	strlcpy(worker->bgw_library_name, "mentalspace", sizeof(worker->bgw_library_name));
	strlcpy(worker->bgw_function_name, "ms_audit_worker_main", sizeof(worker->bgw_function_name));
	pg_snprintf(worker->bgw_name, sizeof(worker->bgw_name), "mentalspace audit for database %u", database);
	strlcpy(worker->bgw_type, "mentalspace audit", sizeof(worker->bgw_type));
	worker->bgw_main_arg = ObjectIdGetDatum(database);
}

void
register_static_worker(Oid database)
{
	BackgroundWorker worker;

	describe_worker(&worker, database);
	RegisterBackgroundWorker(&worker);
}

/* A free place, NULL if there is none. */
RingPlace *
take_free_place(Oid database)
{
	for (RingPlace &place : shared->places)
		if (!OidIsValid(place.database)) {
			place.registered = false;
			place.worker_pid = 0;
			place.worker_latch = nullptr;
			place.database = database;
			pg_write_barrier();
			pg_atomic_fetch_add_u32(&shared->generation, 1);
			return &place;
		}
	return nullptr;
}

/* Prepares the ring that an earlier start of the server has left. */
void
boot_ring(Oid database)
{
	static bool from_backup;
	char path[MAXPGPATH], aside[MAXPGPATH + 16];
	const char *problem;

	ms_ring_path(database, path, sizeof(path));
	/* Reads that were under way on the server that a backup was taken from are that server's. */
	from_backup = access("backup_label", F_OK) == 0;
	if (!ms_ring_boot(path, MaxBackends, from_backup, ms_spool_left_intent, database, &problem)) {
		if (problem == nullptr) {
			ereport(LOG, (errcode_for_file_access(), errmsg("could not prepare the audit ring \"%s\": %m", path),
						  errdetail("Reads of database %u are recorded in the spool.", database)));
			return;
		}
		pg_snprintf(aside, sizeof(aside), "%s.damaged", path);
		ereport(LOG, (errcode(ERRCODE_DATA_CORRUPTED),
					  errmsg("the audit ring \"%s\" cannot be used and is kept as \"%s\": %s", path, aside, problem)));
		(void) rename(path, aside);
		pg_atomic_fetch_add_u64(&shared->lost, 1);
		return;
	}
	RingPlace *place = take_free_place(database);
	if (place)
		place->registered = true;
	else
		ereport(LOG, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
					  errmsg("there are more than %d databases with audited tables", kRingPlaces),
					  errdetail("Reads of database %u are recorded in the spool.", database)));
}

void
request_memory()
{
	if (previous_request)
		previous_request();
	RequestAddinShmemSpace(MAXALIGN(sizeof(RingShared)));
	RequestNamedLWLockTranche(kTranche, kRingPlaces + 1);
}

void
make_memory()
{
	bool found;

	if (previous_startup)
		previous_startup();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared = (RingShared *) ShmemInitStruct("mentalspace audit", sizeof(RingShared), &found);
	if (!found) {
		LWLockPadded *locks = GetNamedLWLockTranche(kTranche);

		memset((void *) shared, 0, sizeof(*shared));
		if (!pg_strong_random(&shared->boot_id, sizeof(shared->boot_id)))
			shared->boot_id = (uint64) GetCurrentTimestamp();
		shared->lock = &locks[kRingPlaces].lock;
		pg_atomic_init_u32(&shared->generation, 1);
		pg_atomic_init_u32(&shared->spool_number, 0);
		pg_atomic_init_u64(&shared->next_event, 0);
		pg_atomic_init_u64(&shared->lost, 0);
		for (int i = 0; i < kRingPlaces; i++) {
			RingPlace *place = &shared->places[i];

			place->lock = &locks[i].lock;
			ConditionVariableInit(&place->moved);
			pg_atomic_init_u64(&place->failures, 0);
			pg_atomic_init_u32(&place->spool_wanted, 0);
			pg_atomic_init_u64(&place->spool_rounds, 0);
			pg_atomic_init_u64(&place->spool_rounds_done, 0);
		}
		for_each_ring(boot_ring);
	}
	LWLockRelease(AddinShmemInitLock);
}

}  // namespace

RingShared *
ms_ring_shared(void)
{
	return shared;
}

RingPlace *
ms_ring_place(void)
{
	if (shared == nullptr || !OidIsValid(MyDatabaseId))
		return nullptr;
	const uint32 generation = pg_atomic_read_u32(&shared->generation);

	if (!looked || generation != looked_at_generation) {
		pg_read_barrier();
		my_place = nullptr;
		for (RingPlace &place : shared->places)
			if (place.database == MyDatabaseId)
				my_place = &place;
		looked_at_generation = generation;
		looked = true;
	}
	return my_place;
}

Ring *
ms_ring(void)
{
	char path[MAXPGPATH];
	const char *problem;

	if (my_ring.header)
		return &my_ring;
	if (mapping_failed || ms_ring_place() == nullptr)
		return nullptr;
	ms_ring_path(MyDatabaseId, path, sizeof(path));
	if (ms_ring_map(path, &my_ring, &problem))
		return &my_ring;
	mapping_failed = true;
	if (problem)
		ereport(LOG, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("could not use the audit ring \"%s\": %s", path, problem)));
	else
		ereport(LOG, (errcode_for_file_access(), errmsg("could not map the audit ring \"%s\": %m", path)));
	return nullptr;
}

bool
ms_ring_places_taken(void)
{
	for (const RingPlace &place : shared->places)
		if (!OidIsValid(place.database))
			return false;
	return true;
}

RingPlace *
ms_ring_take_place(const char **problem, const char **hint)
{
	const uint64 page = 4096;
	RingPlace *place;
	char path[MAXPGPATH];

	*problem = nullptr;
	*hint = nullptr;
	if ((place = ms_ring_place()) != nullptr)
		return place;
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	if ((place = ms_ring_place()) != nullptr) {
		LWLockRelease(shared->lock);
		return place;
	}
	if (ms_ring_places_taken()) {
		LWLockRelease(shared->lock);
		*problem = "too many databases of this server have audited tables";
		return nullptr;
	}
	/* One that is there was left aside at the start of the server, for want of a place or of disk space. */
	ms_ring_path(MyDatabaseId, path, sizeof(path));
	if (access(path, F_OK) == 0) {
		if (!ms_ring_boot(path, MaxBackends, false, ms_spool_left_intent, MyDatabaseId, problem)) {
			*hint = "See the file mentalspace/audit-OID.ring in the data directory.";
			LWLockRelease(shared->lock);
			return nullptr;
		}
	} else if (!ms_ring_create(MyDatabaseId, ((uint64) audit_ring_size * 1024 + page - 1) / page * page, MaxBackends)) {
		LWLockRelease(shared->lock);
		*hint = "The ring of a database takes mentalspace.audit_ring_size in the data directory.";
		return nullptr;
	}
	place = take_free_place(MyDatabaseId);
	LWLockRelease(shared->lock);
	mapping_failed = false;
	return place;
}

bool
ms_ring_ensure_worker(RingPlace *place, bool again)
{
	BackgroundWorker worker;
	bool done;

	if (!IsUnderPostmaster)
		return false;
	if ((place->registered && !again) || place->worker_pid != 0)
		return true;
	describe_worker(&worker, place->database);
	LWLockAcquire(place->lock, LW_EXCLUSIVE);
	done = place->registered && !again;
	if (!done)
		done = place->registered = RegisterDynamicBackgroundWorker(&worker, nullptr);
	LWLockRelease(place->lock);
	return done;
}

void
ms_ring_wake(RingPlace *place)
{
	Latch *latch = place->worker_latch;

	if (latch)
		SetLatch(latch);
}

void
ms_ring_leave_place(Oid database)
{
	char path[MAXPGPATH];

	ms_ring_path(database, path, sizeof(path));
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	(void) unlink(path);
	for (RingPlace &place : shared->places)
		if (place.database == database) {
			place.database = InvalidOid;
			pg_atomic_fetch_add_u32(&shared->generation, 1);
		}
	LWLockRelease(shared->lock);
}

void
ms_ring_count_lost(uint64 count)
{
	if (my_ring.header)
		pg_atomic_fetch_add_u64(&my_ring.header->lost, (int64) count);
	else if (shared)
		pg_atomic_fetch_add_u64(&shared->lost, (int64) count);
}

void
ms_ring_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	previous_request = shmem_request_hook;
	shmem_request_hook = request_memory;
	previous_startup = shmem_startup_hook;
	shmem_startup_hook = make_memory;
	for_each_ring(register_static_worker);
}
