/* The launcher of cron.h. */
#include "pg/prelude.h"

#include "companions/cron.h"
#include "pg/worker.h"

extern "C" {
#include "access/heapam.h"
#include "access/tableam.h"
#include "catalog/pg_database.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
}

using namespace mentalspace;

/* The launcher: starts a scheduler in every database; those that find nothing to do end at once. */
extern "C" PGDLLEXPORT void
ms_cron_launcher_main(Datum arg)
{
	struct Database {
		Oid oid, tablespace;
	};
	Database *databases = nullptr;
	int count = 0;

	(void) arg;
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(nullptr, nullptr, 0);

	StartTransactionCommand();
	Relation catalog = table_open(DatabaseRelationId, AccessShareLock);
	TableScanDesc scan = table_beginscan_catalog(catalog, 0, nullptr);
	HeapTuple tuple;
	while (HeapTupleIsValid(tuple = heap_getnext(scan, ForwardScanDirection))) {
		Form_pg_database form = (Form_pg_database) GETSTRUCT(tuple);

		if (!form->datallowconn || form->datistemplate)
			continue;
		if (count % 64 == 0)
			databases = (Database *) (count == 0 ? MemoryContextAlloc(TopMemoryContext, 64 * sizeof(Database))
												 : repalloc(databases, (count + 64) * sizeof(Database)));
		databases[count++] = {form->oid, form->dattablespace};
	}
	table_endscan(scan);
	table_close(catalog, AccessShareLock);
	CommitTransactionCommand();

	for (int i = 0; i < count && cron_enabled; i++) {
		BackgroundWorkerHandle *handle;
		pid_t pid;
		bool complained = false;

		while (!ms_cron_register_scheduler(databases[i].oid, databases[i].tablespace, &handle)) {
			if (!complained)
				ereport(LOG, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
							  errmsg("could not start the cron worker of database %u yet", databases[i].oid),
							  errhint("Consider increasing max_worker_processes.")));
			complained = true;
			ms_worker_wait(5000);
		}
		if (WaitForBackgroundWorkerStartup(handle, &pid) == BGWH_POSTMASTER_DIED)
			proc_exit(1);
		pfree(handle);
	}
	proc_exit(0);
}
