/* The background workers that run the jobs of the companion pg_cron.  docs/cron.md describes them for a DBA.
 *
 *   launcher    one per server, only with shared_preload_libraries: starts a scheduler in each database, then ends
 *   scheduler   one per database with active jobs, as superuser without a client; does all its reading and writing with
 *               the rights of the owner of cron.job, because that owner controls what these tables do (triggers, rules)
 *   run         one per run of a job: a session of the job's role, like a login of that role
 *
 * A job runs as a role only if the owner of cron.job may become that role: whoever can write the table gains
 * nothing. */
#pragma once

#include "pg/prelude.h"

extern "C" {
#include "port/atomics.h"
#include "storage/lock.h"
#include "utils/timestamp.h"
}

/* How far a run is: written by the run, read by the scheduler. */
enum CronRunState : uint32 { kRunWaiting, kRunRunning, kRunSucceeded, kRunFailed };

/* What a scheduler and a run share, in a dynamic shared memory segment.  The run fills what it says before it sets
 * `state`. */
struct CronRun {
	pg_atomic_uint32 state;
	Oid database;
	Oid role;
	int64 jobid;
	int pid;
	TimestampTz started;
	TimestampTz ended;
	char message[2048];    /* the row count or the error, in the server's encoding */
	char command[FLEXIBLE_ARRAY_MEMBER];
};

/* Locks, held for a session, that tell who is there: the scheduler of this database, and the run of a job.  They have
 * names of their own, so that no user can take them. */
void ms_cron_scheduler_lock(LOCKTAG *tag);
void ms_cron_run_lock(LOCKTAG *tag, int64 jobid);

/* True if somebody else holds the lock. */
bool ms_cron_lock_is_held(const LOCKTAG *tag);

/* Takes the lock until it is released or the process ends; false if somebody else holds it. */
bool ms_cron_take_lock(const LOCKTAG *tag);
void ms_cron_release_lock(const LOCKTAG *tag);

/* Starts the scheduler of a database in `tablespace`, if the server has a free slot for it.  `handle`, if wanted, makes
 * the server tell this process of its start and end. */
struct BackgroundWorkerHandle;
bool ms_cron_register_scheduler(Oid database, Oid tablespace, BackgroundWorkerHandle **handle);

/* mentalspace.cron_worker: whether the workers may run. */
namespace mentalspace {
extern bool cron_enabled;
}
