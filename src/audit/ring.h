/* The ring of a database: a file in the data directory that every session maps, and what the server shares about it.
 *
 * The file is what survives: the end of any process by any signal, and the restart that follows.  It holds records
 * (events on their way to the worker) and intents (reads that have begun and not ended, some places for each process).
 * Main shared memory holds the locks, and where the worker is.  Positions are bytes since the ring was made; they only
 * grow.  docs/audit.md tells a DBA what becomes of it in backups and on standbys. */
#pragma once

#include "audit/event.h"

extern "C" {
#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
}

constexpr int kRingPlaces = 256;
constexpr int kIntentsPerProcess = 8;
constexpr int kRingOrigins = 16;
constexpr const char *kRingDirectory = "mentalspace";

/* The first page of the file. */
struct RingHeader {
	char magic[8];
	uint32 version;
	uint32 processes;               /* for so many there is room for intents */
	uint64 data_bytes;
	uint64 ring_id;                 /* in mentalspace.audit_progress; another one after each start of the server, because
	                                 * the file may be a copy whose original goes on elsewhere */
	uint32 origin_count;            /* numbers that earlier records had */
	struct {
		uint64 id;
		uint64 end;                 /* records before this position */
	} origins[kRingOrigins];
	alignas(64) pg_atomic_uint64 head;      /* here the next record will be */
	alignas(64) pg_atomic_uint64 tail;      /* up to here all is in the table */
	alignas(64) pg_atomic_uint64 lost;
	pg_atomic_uint64 waits;
};

struct RingIntent {
	pg_atomic_uint32 length;        /* 0: nothing here; written last */
	uint32 reserved;
	char bytes[2040];
};

/* A mapped file. */
struct Ring {
	RingHeader *header;
	char *data;
	RingIntent *intents;            /* kIntentsPerProcess for each process */
	uint64 size;                    /* of the data */
	size_t mapped;
};

/* What the processes share about the ring of one database, in main shared memory. */
struct RingPlace {
	Oid database;                   /* InvalidOid: this place is free */
	LWLock *lock;                   /* who writes records, and who takes or leaves the place of the worker */
	ConditionVariable moved;        /* the tail has moved, or the worker has taken over from the spool */
	bool registered;                /* the server was asked for a worker */
	int worker_pid;
	Latch *worker_latch;
	pg_atomic_uint64 failures;      /* how often the worker could write nothing at all */
	pg_atomic_uint32 spool_wanted;  /* somebody waits for what he left in the spool */
	pg_atomic_uint64 spool_rounds;  /* how often the worker began to look into it, and ended */
	pg_atomic_uint64 spool_rounds_done;
};

struct RingShared {
	uint64 boot_id;                 /* another one after each start of the server */
	LWLock *lock;                   /* who changes the list of places, and who writes to the spool */
	pg_atomic_uint32 generation;    /* moves when a place is taken or left */
	pg_atomic_uint32 spool_number;
	pg_atomic_uint64 next_event;
	pg_atomic_uint64 lost;          /* where there was no ring to count it */
	RingPlace places[kRingPlaces];
};

/* ---- ring_file.cpp: the file.  Nothing there raises an error; what went wrong is left in errno or `problem`. */

void ms_ring_path(Oid database, char *path, size_t size);
/* Makes a ring of so many bytes.  A disk that is full is noticed here. */
bool ms_ring_create(Oid database, uint64 bytes, int processes);
/* Maps a ring.  `problem`: what is wrong with the file, if anything; else see errno. */
bool ms_ring_map(const char *path, Ring *ring, const char **problem);
void ms_ring_unmap(Ring *ring);
/* At the start of the server, before anybody else: makes room for the intents of so many processes, gives the ring its
 * new number, and makes events of the intents that were left, or forgets them. */
bool ms_ring_boot(const char *path, int processes, bool forget_intents, void (*no_room)(Oid, const AuditEvent *),
				  Oid database, const char **problem);

/* How much room a record of so many bytes takes. */
uint64 ms_ring_record_size(uint32 length);
/* Under the lock.  False where there is no room. */
bool ms_ring_put(Ring *ring, const char *bytes, uint32 length);
/* Reads the first whole record from *position on, before `head`, into `out`, which is emptied, and moves *position
 * behind it.  *torn counts places where there was something else.  False where there is none. */
bool ms_ring_next(const Ring *ring, uint64 *position, uint64 head, StringInfo out, uint64 *torn);
/* Writes to disk what is in memory. */
bool ms_ring_flush(Ring *ring, uint64 from, uint64 to);
bool ms_ring_flush_intent(const RingIntent *intent);

/* ---- ring.cpp: places, and this process's mapping. */

/* NULL where the library was not preloaded with the server. */
RingShared *ms_ring_shared(void);
/* That of this process's database, NULL where it has none. */
RingPlace *ms_ring_place(void);
/* This database's ring, mapped at the first call; NULL where it has none, or where it cannot be mapped, which the
 * server log says once. */
Ring *ms_ring(void);
/* Takes a place and makes the file, if the database has none.  NULL with the reason in words, or by errno with what was
 * tried. */
RingPlace *ms_ring_take_place(const char **problem, const char **hint);
/* Whether no other database can have a ring. */
bool ms_ring_places_taken(void);
/* Asks the server for a worker if nobody did yet; `again`: even then.  False where it has no room for one. */
bool ms_ring_ensure_worker(RingPlace *place, bool again);
/* Wakes the worker. */
void ms_ring_wake(RingPlace *place);
/* Whether the worker cannot go on before this transaction ends.  Looks at all locks: for who has waited for a while. */
bool ms_ring_worker_waits_for_us(const RingPlace *place);
/* The database is gone: the place and the file go, too. */
void ms_ring_leave_place(Oid database);
/* Counts what could not be recorded anywhere. */
void ms_ring_count_lost(uint64 count);

/* What this process has left on the way to the table. */
struct AuditLeft {
	uint64 last;                    /* end of its last record in the ring */
	bool spooled;                   /* something in the spool of a primary */
	bool by_workers;                /* parallel workers of this process may have left something, too */
};
extern AuditLeft audit_left;

void ms_ring_init(void);
