/* Writing to the spool: see spool.h. */
#include "pg/prelude.h"

#include "audit/ring.h"
#include "audit/settings.h"
#include "audit/spool.h"

extern "C" {
#include "access/xlog.h"
#include "common/file_perm.h"
#include "storage/fd.h"
}

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace {

/* A file that is longer than this is followed by another one, so that what was taken over can be removed. */
constexpr off_t kLongFile = 16 * 1024 * 1024;

int file = -1;
char file_directory[MAXPGPATH];
/* Reads of this process that have begun in the file: it must end them there. */
int open_reads = 0;
/* Their numbers, by handle - 1; 0: free. */
uint64 *reads = nullptr;
int read_places = 0;

/* Opens a file in a way that nobody removes it; false where that cannot be, or it is too long. */
bool
open_and_hold(const char *path, int flags)
{
	struct stat status, named;

	file = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | flags, pg_file_create_mode);
	if (file < 0)
		return false;
	/* Whoever takes a file over holds it alone, and may remove it between the opening and the lock. */
	if (flock(file, LOCK_SH | LOCK_NB) == 0 && fstat(file, &status) == 0 && stat(path, &named) == 0 &&
		status.st_ino == named.st_ino && status.st_dev == named.st_dev && status.st_size <= kLongFile)
		return true;
	close(file);
	file = -1;
	return false;
}

/* Makes sure that the file that is open is the one to write to: one of this start of the server that is not too long,
 * or a new one, whose name no file has had before. */
bool
open_file(Oid database)
{
	RingShared *shared = ms_ring_shared();
	char prefix[96], path[MAXPGPATH * 2];
	struct stat status;
	struct dirent *entry;

	if (file >= 0 && (open_reads > 0 || (strcmp(audit_spool_directory, file_directory) == 0 &&
										 fstat(file, &status) == 0 && status.st_size <= kLongFile)))
		return true;
	if (file >= 0)
		close(file);
	file = -1;
	pg_snprintf(prefix, sizeof(prefix), UINT64_FORMAT "-%u-%08x%08x-", GetSystemIdentifier(), database,
				(uint32) (shared->boot_id >> 32), (uint32) shared->boot_id);
	DIR *directory = opendir(audit_spool_directory);
	if (directory == nullptr && errno == ENOENT) {
		strlcpy(file_directory, audit_spool_directory, sizeof(file_directory));
		if (pg_mkdir_p(file_directory, pg_dir_create_mode) != 0)
			return false;
		directory = opendir(audit_spool_directory);
	}
	if (directory == nullptr)
		return false;
	strlcpy(file_directory, audit_spool_directory, sizeof(file_directory));
	while (file < 0 && (entry = readdir(directory)) != nullptr)
		if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0) {
			pg_snprintf(path, sizeof(path), "%s/%s", audit_spool_directory, entry->d_name);
			(void) open_and_hold(path, 0);
		}
	closedir(directory);
	if (file >= 0)
		return true;
	pg_snprintf(path, sizeof(path), "%s/%s%u.jsonl", audit_spool_directory, prefix,
				pg_atomic_fetch_add_u32(&shared->spool_number, 1));
	return open_and_hold(path, O_CREAT | O_EXCL);
}

/* Appends a line as a whole or not at all. */
bool
append(Oid database, const char *bytes, size_t length, bool to_disk)
{
	RingShared *shared = ms_ring_shared();
	struct stat status;
	bool done = false;
	int error = 0;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	if (!open_file(database) || fstat(file, &status) != 0) {
		error = errno;
	} else {
		errno = ENOSPC;
		const ssize_t written = write(file, bytes, length);

		done = written == (ssize_t) length;
		error = errno;
		if (written > 0 && !done && ftruncate(file, status.st_size) != 0)
			ereport(LOG, (errcode_for_file_access(), errmsg("could not shorten a file in \"%s\": %m", file_directory)));
	}
	LWLockRelease(shared->lock);
	if (done && to_disk && fdatasync(file) != 0) {
		error = errno;
		done = false;
	}
	errno = error;
	return done;
}

uint64
new_number()
{
	return pg_atomic_add_fetch_u64(&ms_ring_shared()->next_event, 1);
}

void
put_number(StringInfo line, uint64 number)
{
	const uint64 boot = ms_ring_shared()->boot_id;

	appendStringInfo(line, "{\"event\":\"%08x%08x-" UINT64_FORMAT "\"", (uint32) (boot >> 32), (uint32) boot, number);
}

bool
append_event(Oid database, const AuditEvent *event, uint64 number, const char *state, bool to_disk)
{
	StringInfoData line;

	initStringInfo(&line);
	put_number(&line, number);
	if (state)
		appendStringInfo(&line, ",\"state\":\"%s\"", state);
	/* The event begins with a brace: a comma takes its place. */
	const int brace = line.len;
	ms_audit_to_json(event, &line);
	line.data[brace] = ',';
	appendStringInfoChar(&line, '\n');
	const bool done = append(database, line.data, (size_t) line.len, to_disk);
	const int error = errno;
	pfree(line.data);
	errno = error;
	return done;
}

}  // namespace

bool
ms_spool_event(const AuditEvent *event)
{
	/* Within a read its end does it. */
	const bool to_disk = audit_durability == kDurableMachine && open_reads == 0;

	return append_event(MyDatabaseId, event, new_number(), nullptr, to_disk);
}

int
ms_spool_begin(const AuditEvent *event, bool to_disk)
{
	const uint64 number = new_number();
	int place = 0;

	while (place < read_places && reads[place] != 0)
		place++;
	if (place == read_places) {
		const int places = read_places + 64;

		if (reads == nullptr)
			reads = (uint64 *) MemoryContextAlloc(TopMemoryContext, sizeof(uint64) * places);
		else
			reads = (uint64 *) repalloc(reads, sizeof(uint64) * places);
		memset(reads + read_places, 0, sizeof(uint64) * (places - read_places));
		read_places = places;
	}
	if (!append_event(MyDatabaseId, event, number, "begun", to_disk))
		return 0;
	reads[place] = number;
	open_reads++;
	return place + 1;
}

void
ms_spool_end(int handle)
{
	StringInfoData line;

	initStringInfo(&line);
	put_number(&line, reads[handle - 1]);
	reads[handle - 1] = 0;
	appendStringInfoString(&line, ",\"state\":\"ended\"}\n");
	/* Without this line the read stays one of unknown outcome, which is not wrong. */
	if (!append(MyDatabaseId, line.data, (size_t) line.len, audit_durability == kDurableMachine))
		ereport(LOG, (errcode_for_file_access(), errmsg("could not write to the audit spool: %m")));
	pfree(line.data);
	if (open_reads > 0)
		open_reads--;
}

void
ms_spool_left_intent(Oid database, const AuditEvent *event)
{
	/* The postmaster, or whoever does this, is not to keep a file open that is another database's. */
	if (!append_event(database, event, new_number(), nullptr, true)) {
		ereport(LOG, (errcode_for_file_access(),
					  errmsg("the record of a read that was not ended could not be written to the audit spool: %m")));
		pg_atomic_fetch_add_u64(&ms_ring_shared()->lost, 1);
	}
	if (file >= 0)
		close(file);
	file = -1;
}
