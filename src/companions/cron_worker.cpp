/* The schedulers of cron.h.
 *
 * A scheduler wakes once a second.  It runs what has become due since the last time it looked, with two rules: a
 * minute is never looked at twice, and a job that is still running is not started again.  It ends when there is
 * nothing to do for it (no active job, no table), and steps aside when somebody wants the database for himself: DROP
 * DATABASE, CREATE DATABASE with this one as template and the like wait a few seconds for others to leave. */
#include "pg/prelude.h"

#include "companions/cron.h"
#include "core/cron_schedule.h"
#include "pg/worker.h"

extern "C" {
#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "catalog/pg_type.h"
#include "common/relpath.h"
#include "executor/spi.h"
#include "pgstat.h"
#include "pgtime.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/acl.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
}

#include <unistd.h>

using namespace mentalspace;

namespace {

constexpr int kMaxRuns = 32;
/* After a stop, only so many seconds are looked at again: jobs are not started in a bunch. */
constexpr int64 kMaxCatchUp = 300;
/* So far back it is looked for runs that were missed. */
constexpr int64 kMaxLookBack = 31 * 86400;
/* A clock that was set back by more than this is followed at once. */
constexpr int64 kMaxSetBack = 3600;

struct Job {
	int64 jobid;
	CronSchedule schedule;
	char *command;
	char *username;
};

/* A run in flight. */
struct Flight {
	int64 jobid;
	int64 runid;
	BackgroundWorkerHandle *handle;    /* NULL: this place is free */
	dsm_segment *segment;
	bool running;                      /* cron.job_run_details says so */
};

MemoryContext jobs_context;
Job *jobs;
int job_count;
Flight flights[kMaxRuns];
Oid job_table;
bool jobs_changed = true;

void
on_relcache_change(Datum arg, Oid relid)
{
	(void) arg;
	if (relid == job_table || !OidIsValid(relid))
		jobs_changed = true;
}

/* The owner of cron.job; InvalidOid if the companion is not there (any more).  Within a transaction. */
Oid
table_owner()
{
	Oid schema = get_namespace_oid("cron", true);
	Oid owner = InvalidOid;
	HeapTuple tuple;

	job_table = OidIsValid(schema) ? get_relname_relid("job", schema) : InvalidOid;
	if (!OidIsValid(job_table) || !OidIsValid(get_relname_relid("job_run_details", schema)) ||
		!OidIsValid(get_relname_relid("last_tick", schema)))
		return InvalidOid;
	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(job_table));
	if (HeapTupleIsValid(tuple)) {
		Form_pg_class form = (Form_pg_class) GETSTRUCT(tuple);

		if (form->relkind == RELKIND_RELATION)
			owner = form->relowner;
		ReleaseSysCache(tuple);
	}
	return owner;
}

struct Parameters {
	int count;
	Oid types[8];
	Datum values[8];
	char nulls[8];
};

void
add(Parameters *parameters, Oid type, Datum value, bool null = false)
{
	parameters->types[parameters->count] = type;
	parameters->values[parameters->count] = value;
	parameters->nulls[parameters->count] = null ? 'n' : ' ';
	parameters->count++;
}

/* Runs a statement in a transaction of its own with the rights of the tables' owner, and gives each row to `row`.
 * Returns false, having done nothing, if the tables are not there.  An ERROR ends the process; the server starts it
 * again. */
bool
run_as_owner(const char *sql, const Parameters *parameters, void (*row)(HeapTuple, TupleDesc, void *), void *arg)
{
	Oid owner, saved_user;
	int saved_context;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	owner = table_owner();
	if (!OidIsValid(owner)) {
		CommitTransactionCommand();
		return false;
	}
	GetUserIdAndSecContext(&saved_user, &saved_context);
	SetUserIdAndSecContext(owner, saved_context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
	PushActiveSnapshot(GetTransactionSnapshot());
	SPI_connect();
	if (SPI_execute_with_args(sql, parameters->count, (Oid *) parameters->types, (Datum *) parameters->values,
							  parameters->nulls, false, 0) < 0)
		elog(ERROR, "cron worker could not run: %s", sql);
	if (row && SPI_tuptable)
		for (uint64 i = 0; i < SPI_processed; i++)
			row(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, arg);
	SPI_finish();
	PopActiveSnapshot();
	SetUserIdAndSecContext(saved_user, saved_context);
	CommitTransactionCommand();
	pgstat_report_stat(true);
	return true;
}

void
add_job(HeapTuple tuple, TupleDesc desc, void *arg)
{
	bool null;
	MemoryContext old = MemoryContextSwitchTo(jobs_context);
	char *schedule = SPI_getvalue(tuple, desc, 2);
	Job *job = &jobs[job_count];

	(void) arg;
	if (job_count % 64 == 0)
		jobs = (Job *) (job_count == 0 ? palloc(64 * sizeof(Job)) : repalloc(jobs, (job_count + 64) * sizeof(Job)));
	job = &jobs[job_count];
	job->jobid = DatumGetInt64(SPI_getbinval(tuple, desc, 1, &null));
	job->command = SPI_getvalue(tuple, desc, 3);
	job->username = SPI_getvalue(tuple, desc, 4);
	if (ParseCronSchedule(schedule, &job->schedule) == CronError::kNone)
		job_count++;
	else
		ereport(LOG, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					  errmsg("cron job " INT64_FORMAT " is not run: invalid schedule: \"%s\"", job->jobid, schedule)));
	MemoryContextSwitchTo(old);
}

/* Reads the jobs anew.  False if there is nothing to run, now or later. */
bool
read_jobs()
{
	Parameters none = {};

	jobs_changed = false;
	MemoryContextReset(jobs_context);
	jobs = nullptr;
	job_count = 0;
	return run_as_owner("SELECT jobid, schedule, command, username FROM cron.job "
						"WHERE active AND database = pg_catalog.current_database() ORDER BY jobid",
						&none, add_job, nullptr) && job_count > 0;
}

void
take_id(HeapTuple tuple, TupleDesc desc, void *arg)
{
	bool null;

	*(int64 *) arg = DatumGetInt64(SPI_getbinval(tuple, desc, 1, &null));
}

void
record_start(int64 runid, const CronRun *run)
{
	Parameters p = {};

	add(&p, INT8OID, Int64GetDatum(runid));
	add(&p, INT4OID, Int32GetDatum(run->pid));
	add(&p, TIMESTAMPTZOID, TimestampTzGetDatum(run->started));
	run_as_owner("UPDATE cron.job_run_details SET status = 'running', job_pid = $2, start_time = $3 WHERE runid = $1",
				 &p, nullptr, nullptr);
}

void
record_end(int64 runid, bool succeeded, const char *message, TimestampTz ended)
{
	Parameters p = {};

	add(&p, INT8OID, Int64GetDatum(runid));
	add(&p, TEXTOID, CStringGetTextDatum(succeeded ? "succeeded" : "failed"));
	add(&p, TEXTOID, CStringGetTextDatum(message));
	add(&p, TIMESTAMPTZOID, TimestampTzGetDatum(ended));
	run_as_owner("UPDATE cron.job_run_details SET status = $2, return_message = $3, end_time = $4 WHERE runid = $1",
				 &p, nullptr, nullptr);
}

/* Looks up the job's role and says, in a sentence, why the job cannot run as it; NULL if it can. */
const char *
why_not(const char *username, Oid *role)
{
	const char *reason = nullptr;
	Oid owner;
	HeapTuple tuple;

	StartTransactionCommand();
	owner = table_owner();
	tuple = SearchSysCache1(AUTHNAME, CStringGetDatum(username));
	if (!HeapTupleIsValid(tuple)) {
		reason = "the role of the job does not exist";
	} else {
		Form_pg_authid form = (Form_pg_authid) GETSTRUCT(tuple);

		*role = form->oid;
		if (!form->rolcanlogin)
			reason = "the role of the job is not permitted to log in";
		else if (!OidIsValid(owner) || !ms_can_become_role(owner, *role))
			reason = "the owner of cron.job is not a member of the role of the job";
		ReleaseSysCache(tuple);
	}
	CommitTransactionCommand();
	return reason;
}

/* Starts the process that runs the job.  Returns why it could not, or NULL. */
const char *
launch(Flight *flight, const Job *job, Oid role)
{
	BackgroundWorker worker;
	size_t length = strlen(job->command);
	CronRun *run;

	flight->segment = dsm_create(offsetof(CronRun, command) + length + 1, DSM_CREATE_NULL_IF_MAXSEGMENTS);
	if (flight->segment == nullptr)
		return "no shared memory segment is free";
	run = (CronRun *) dsm_segment_address(flight->segment);
	memset(run, 0, offsetof(CronRun, command));
	pg_atomic_init_u32(&run->state, kRunWaiting);
	run->database = MyDatabaseId;
	run->role = role;
	run->jobid = job->jobid;
	memcpy(run->command, job->command, length + 1);

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker.bgw_library_name, "mentalspace", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "ms_cron_run_main", sizeof(worker.bgw_function_name));
	pg_snprintf(worker.bgw_name, sizeof(worker.bgw_name), "mentalspace cron job " INT64_FORMAT, job->jobid);
	strlcpy(worker.bgw_type, "mentalspace cron job", sizeof(worker.bgw_type));
	worker.bgw_main_arg = UInt32GetDatum(dsm_segment_handle(flight->segment));
	worker.bgw_notify_pid = MyProcPid;
	flight->running = false;
	if (!RegisterDynamicBackgroundWorker(&worker, &flight->handle)) {
		dsm_detach(flight->segment);
		flight->handle = nullptr;
		return "no background worker is free, consider increasing max_worker_processes";
	}
	return nullptr;
}

void
start_job(const Job *job)
{
	Flight *flight = nullptr;
	Oid role = InvalidOid;
	const char *reason;
	LOCKTAG tag;
	Parameters p = {};

	for (int i = 0; i < kMaxRuns; i++) {
		if (flights[i].handle && flights[i].jobid == job->jobid) {
			ereport(LOG, (errmsg("cron job " INT64_FORMAT " is still running and is not started again", job->jobid)));
			return;
		}
		if (!flights[i].handle)
			flight = &flights[i];
	}
	/* A run that an earlier scheduler started. */
	ms_cron_run_lock(&tag, job->jobid);
	if (ms_cron_lock_is_held(&tag)) {
		ereport(LOG, (errmsg("cron job " INT64_FORMAT " is still running and is not started again", job->jobid)));
		return;
	}

	reason = why_not(job->username, &role);
	if (!flight)
		reason = "too many jobs run at the same time";
	flight = flight ? flight : &flights[0];
	int64 runid = 0;
	add(&p, INT8OID, Int64GetDatum(job->jobid));
	add(&p, TEXTOID, CStringGetTextDatum(job->username));
	add(&p, TEXTOID, CStringGetTextDatum(job->command));
	add(&p, TIMESTAMPTZOID, TimestampTzGetDatum(GetCurrentTimestamp()));
	if (!run_as_owner("INSERT INTO cron.job_run_details (jobid, database, username, command, status, start_time) "
					  "VALUES ($1, pg_catalog.current_database(), $2, $3, 'starting', $4) RETURNING runid",
					  &p, take_id, &runid))
		return;
	if (!reason) {
		flight->jobid = job->jobid;
		flight->runid = runid;
		reason = launch(flight, job, role);
	}
	if (reason)
		record_end(runid, false, reason, GetCurrentTimestamp());
}

/* Writes down what runs have begun and ended.  Returns the number of runs still in flight. */
int
look_at_runs()
{
	int in_flight = 0;

	for (int i = 0; i < kMaxRuns; i++) {
		Flight *flight = &flights[i];
		pid_t pid;

		if (!flight->handle)
			continue;
		const bool ended = GetBackgroundWorkerPid(flight->handle, &pid) == BGWH_STOPPED;
		CronRun *run = (CronRun *) dsm_segment_address(flight->segment);
		const uint32 state = pg_atomic_read_u32(&run->state);

		pg_read_barrier();
		if (state != kRunWaiting && !flight->running) {
			record_start(flight->runid, run);
			flight->running = true;
		}
		if (!ended) {
			in_flight++;
			continue;
		}
		if (state == kRunSucceeded || state == kRunFailed)
			record_end(flight->runid, state == kRunSucceeded, run->message, run->ended);
		else
			record_end(flight->runid, false,
					   state == kRunWaiting ? "the session of the job could not be started, see the server log"
											: "the session of the job was terminated", GetCurrentTimestamp());
		dsm_detach(flight->segment);
		pfree(flight->handle);
		flight->handle = nullptr;
	}
	return in_flight;
}

/* What a scheduler before this one, or before a crash, left unfinished. */
void
close_abandoned_runs()
{
	Parameters none = {};

	run_as_owner("UPDATE cron.job_run_details SET status = 'failed', end_time = pg_catalog.now(), "
				 "return_message = 'the outcome is not known: the server or the cron worker was restarted' "
				 "WHERE status IN ('starting', 'running') AND database = pg_catalog.current_database()",
				 &none, nullptr, nullptr);
}

/* The offset of the jobs' clock from UTC, in seconds.  pg_cron's setting, if set, and like there GMT if not. */
int64
clock_offset(pg_time_t now)
{
	static char *complained = nullptr;
	const char *name = GetConfigOption("cron.timezone", true, false);
	pg_tz *zone = name && name[0] ? pg_tzset(name) : nullptr;

	if (!zone && name && name[0] && (!complained || strcmp(complained, name) != 0)) {
		complained = MemoryContextStrdup(TopMemoryContext, name);
		ereport(LOG, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					  errmsg("time zone \"%s\" of cron.timezone not recognized, jobs run by GMT", name)));
	}
	return zone ? pg_localtime(&now, zone)->tm_gmtoff : 0;
}

/* A job of which the newest run is in the row: tells the log if it has been due since then, which nobody makes up for. */
void
log_missed(HeapTuple tuple, TupleDesc desc, void *arg)
{
	bool null;
	const int64 jobid = DatumGetInt64(SPI_getbinval(tuple, desc, 1, &null));
	const int64 now = *(int64 *) arg, offset = clock_offset(now);
	int64 last = DatumGetInt64(SPI_getbinval(tuple, desc, 2, &null));

	last = last > now - kMaxLookBack ? last : now - kMaxLookBack;
	for (int i = 0; i < job_count; i++) {
		if (jobs[i].jobid == jobid && CronDue(jobs[i].schedule, last + offset, now + offset))
			ereport(LOG, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						  errmsg("cron job " INT64_FORMAT " was due while no cron worker ran and is not run for it", jobid)));
	}
}

void
log_missed_jobs(int64 now)
{
	Parameters none = {};

	run_as_owner("SELECT jobid, pg_catalog.floor(EXTRACT(epoch FROM pg_catalog.max(start_time)))::bigint "
				 "FROM cron.job_run_details WHERE jobid IS NOT NULL AND start_time > '-infinity' "
				 "AND database = pg_catalog.current_database() GROUP BY jobid",
				 &none, log_missed, &now);
}

void
schedule_forever()
{
	LOCKTAG lock;
	int64 checked = timestamptz_to_time_t(GetCurrentTimestamp());

	ms_cron_scheduler_lock(&lock);
	close_abandoned_runs();
	if (read_jobs())
		log_missed_jobs(checked);
	jobs_changed = true;    /* whether there is anything to do is for the loop to find */
	for (;;) {
		/* Learns of changes to cron.job. */
		StartTransactionCommand();
		CommitTransactionCommand();
		const int in_flight = look_at_runs();

		if (in_flight == 0) {
			if (!cron_enabled)
				proc_exit(0);
			if (ms_worker_database_is_wanted())
				proc_exit(1);    /* and be started again */
		}
		if (jobs_changed && !read_jobs() && in_flight == 0) {
			/* Who commits a job from now on sees that nobody is here; who did before is seen by the second look. */
			ms_cron_release_lock(&lock);
			if (!read_jobs() || !ms_cron_take_lock(&lock))
				proc_exit(0);
		}

		const int64 now = timestamptz_to_time_t(GetCurrentTimestamp());
		if (checked - now > kMaxSetBack)
			checked = now;
		if (now > checked) {
			const int64 offset = clock_offset(now);
			const int64 since = now - checked > kMaxCatchUp ? now - kMaxCatchUp : checked;

			if (since > checked)
				log_missed_jobs(since);
			checked = now;
			for (int i = 0; i < job_count && cron_enabled; i++)
				if (CronDue(jobs[i].schedule, since + offset, now + offset))
					start_job(&jobs[i]);
		}
		ms_worker_wait(1000 - (long) (GetCurrentTimestamp() % USECS_PER_SEC / 1000));
	}
}

}  // namespace

/* The scheduler of the database whose OID is the argument; its tablespace is in bgw_extra. */
extern "C" PGDLLEXPORT void
ms_cron_scheduler_main(Datum arg)
{
	Oid tablespace;
	LOCKTAG lock;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();

	/* Started again after its database was dropped: to connect would fail, again and again. */
	memcpy(&tablespace, MyBgworkerEntry->bgw_extra, sizeof(tablespace));
	if (access(GetDatabasePath(DatumGetObjectId(arg), tablespace), F_OK) != 0)
		proc_exit(0);
	BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(arg), InvalidOid, 0);
	pgstat_report_appname("mentalspace cron");
	ms_cron_scheduler_lock(&lock);
	if (!ms_cron_take_lock(&lock))
		proc_exit(0);
	ms_worker_fix_settings();
	jobs_context = AllocSetContextCreate(TopMemoryContext, "mentalspace cron jobs", ALLOCSET_DEFAULT_SIZES);
	CacheRegisterRelcacheCallback(on_relcache_change, (Datum) 0);
	schedule_forever();
}
