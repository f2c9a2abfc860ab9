/* See worker.h. */
#include "pg/prelude.h"

#include "pg/worker.h"

extern "C" {
#include "catalog/pg_database.h"
#include "catalog/pg_tablespace.h"
#include "common/relpath.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "storage/latch.h"
#include "storage/lock.h"
}

#include <dirent.h>
#include <unistd.h>

bool
ms_worker_database_is_wanted(void)
{
	LOCKTAG tag;

	/* Who connects takes the lock that is tried here. */
	SET_LOCKTAG_OBJECT(tag, InvalidOid, DatabaseRelationId, MyDatabaseId, 0);
	if (LockAcquire(&tag, RowExclusiveLock, true, true) == LOCKACQUIRE_NOT_AVAIL)
		return true;
	LockRelease(&tag, RowExclusiveLock, true);
	return false;
}

bool
ms_worker_database_exists(Oid database)
{
	bool found = access(GetDatabasePath(database, DEFAULTTABLESPACE_OID), F_OK) == 0;
	DIR *directory = found ? nullptr : opendir("pg_tblspc");
	struct dirent *entry;

	while (directory && !found && (entry = readdir(directory)) != nullptr) {
		const unsigned long tablespace = strtoul(entry->d_name, nullptr, 10);

		found = tablespace != 0 && access(GetDatabasePath(database, (Oid) tablespace), F_OK) == 0;
	}
	if (directory)
		closedir(directory);
	return found;
}

void
ms_worker_fix_settings(void)
{
	static const char *const settings[][2] = {
		{"search_path", "pg_catalog, pg_temp"}, {"default_transaction_read_only", "off"},
		{"default_transaction_isolation", "read committed"}, {"statement_timeout", "0"}, {"lock_timeout", "0"},
		{"idle_in_transaction_session_timeout", "0"},
	};
	for (const auto &setting : settings)
		SetConfigOption(setting[0], setting[1], PGC_SUSET, PGC_S_OVERRIDE);
}

void
ms_worker_wait(long milliseconds)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, milliseconds, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	if (ConfigReloadPending) {
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
}
