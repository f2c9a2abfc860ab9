/* The file of a ring: see ring.h.
 *
 * A record is its length, a checksum, its position, and the bytes of an event.  The position, which no earlier round
 * has had, and the checksum tell a record from what a power failure left half written. */
#include "pg/prelude.h"

#include "audit/ring.h"

extern "C" {
#include "common/file_perm.h"
#include "port/pg_crc32c.h"
#include "storage/fd.h"
}

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace {

constexpr char kMagic[8] = {'m', 's', 'r', 'i', 'n', 'g', '\r', '\n'};
constexpr uint32 kVersion = 1;
constexpr size_t kPage = 4096;

struct RecordHead {
	uint32 length;
	pg_crc32c checksum;             /* of what follows, the length, and the position */
	uint64 position;
};

static_assert(sizeof(RingHeader) <= kPage);
static_assert(sizeof(RingIntent) == 2048);
static_assert(sizeof(RecordHead) == 16);

size_t
intents_size(int processes)
{
	return (size_t) processes * kIntentsPerProcess * sizeof(RingIntent);
}

pg_crc32c
checksum_of(const RecordHead *head, const char *bytes)
{
	pg_crc32c crc;

	INIT_CRC32C(crc);
	COMP_CRC32C(crc, bytes, head->length);
	COMP_CRC32C(crc, &head->length, sizeof(head->length));
	COMP_CRC32C(crc, &head->position, sizeof(head->position));
	FIN_CRC32C(crc);
	return crc;
}

void
copy_in(Ring *ring, uint64 position, const void *from, size_t length)
{
	const size_t at = position % ring->size;
	const size_t first = length < ring->size - at ? length : ring->size - at;

	memcpy(ring->data + at, from, first);
	memcpy(ring->data, (const char *) from + first, length - first);
}

void
copy_out(const Ring *ring, uint64 position, void *to, size_t length)
{
	const size_t at = position % ring->size;
	const size_t first = length < ring->size - at ? length : ring->size - at;

	memcpy(to, ring->data + at, first);
	memcpy((char *) to + first, ring->data, length - first);
}

/* Whether there is a record at this position, which ends before `limit`; then `out` has its bytes. */
bool
record_at(const Ring *ring, uint64 position, uint64 limit, RecordHead *head, StringInfo out)
{
	if (limit - position < sizeof(*head))
		return false;
	copy_out(ring, position, head, sizeof(*head));
	if (head->position != position || head->length == 0 || head->length > ring->size ||
		ms_ring_record_size(head->length) > limit - position)
		return false;
	resetStringInfo(out);
	enlargeStringInfo(out, (int) head->length);
	copy_out(ring, position + sizeof(*head), out->data, head->length);
	out->len = (int) head->length;
	out->data[out->len] = '\0';
	return checksum_of(head, out->data) == head->checksum;
}

bool
sync_range(const void *from, size_t length)
{
	const uintptr_t begin = (uintptr_t) from & ~(uintptr_t) (kPage - 1);

	return msync((void *) begin, (uintptr_t) from + length - begin, MS_SYNC) == 0;
}

/* Makes the file so long; what it gets is zeros that the disk has room for. */
bool
allocate(int fd, off_t from, off_t length)
{
	const int error = posix_fallocate(fd, from, length);

	if (error != 0)
		errno = error;
	return error == 0;
}

uint64
random_number()
{
	uint64 number;

	if (!pg_strong_random(&number, sizeof(number)))
		number = (uint64) GetCurrentTimestamp() * 1000003 + (uint64) getpid();
	return number;
}

}  // namespace

void
ms_ring_path(Oid database, char *path, size_t size)
{
	pg_snprintf(path, size, "%s/audit-%u.ring", kRingDirectory, database);
}

bool
ms_ring_create(Oid database, uint64 bytes, int processes)
{
	char path[MAXPGPATH], temporary[MAXPGPATH];
	RingHeader header;
	const off_t size = (off_t) (kPage + bytes + intents_size(processes));

	ms_ring_path(database, path, sizeof(path));
	pg_snprintf(temporary, sizeof(temporary), "%s/new-%u.tmp", kRingDirectory, database);
	if (MakePGDirectory(kRingDirectory) != 0 && errno != EEXIST)
		return false;
	memset((void *) &header, 0, sizeof(header));
	memcpy(header.magic, kMagic, sizeof(kMagic));
	header.version = kVersion;
	header.processes = (uint32) processes;
	header.data_bytes = bytes;
	header.ring_id = random_number();

	const int fd = open(temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, pg_file_create_mode);
	if (fd < 0)
		return false;
	bool made = allocate(fd, 0, size);
	if (made) {
		errno = ENOSPC;
		made = pwrite(fd, &header, sizeof(header), 0) == (ssize_t) sizeof(header) && fsync(fd) == 0;
	}
	if (made)
		made = rename(temporary, path) == 0;
	const int error = errno;
	close(fd);
	if (made)
		fsync_fname(kRingDirectory, true);
	else
		unlink(temporary);
	errno = error;
	return made;
}

bool
ms_ring_map(const char *path, Ring *ring, const char **problem)
{
	RingHeader header;
	struct stat status;
	const int fd = open(path, O_RDWR | O_CLOEXEC, 0);
	int error = 0;

	*problem = nullptr;
	if (fd < 0)
		return false;
	if (fstat(fd, &status) != 0)
		error = errno;
	else if (status.st_size < (off_t) kPage || pread(fd, &header, sizeof(header), 0) != (ssize_t) sizeof(header) ||
			 memcmp(header.magic, kMagic, sizeof(kMagic)) != 0)
		*problem = "the file is not a ring";
	else if (header.version != kVersion)
		*problem = "the file was made by another version";
	else if (header.processes > (1 << 20) || header.data_bytes < kPage || header.data_bytes % kPage != 0 ||
			 header.data_bytes > ((uint64) 1 << 40) ||
			 (uint64) status.st_size < kPage + header.data_bytes + intents_size((int) header.processes))
		*problem = "the file is too short";
	else {
		ring->mapped = kPage + header.data_bytes + intents_size((int) header.processes);
		void *address = mmap(nullptr, ring->mapped, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

		if (address == MAP_FAILED) {
			error = errno;
		} else {
			ring->header = (RingHeader *) address;
			ring->data = (char *) address + kPage;
			ring->size = header.data_bytes;
			ring->intents = (RingIntent *) (ring->data + ring->size);
			close(fd);
			return true;
		}
	}
	close(fd);
	errno = error;
	return false;
}

void
ms_ring_unmap(Ring *ring)
{
	munmap((void *) ring->header, ring->mapped);
	memset((void *) ring, 0, sizeof(*ring));
}

uint64
ms_ring_record_size(uint32 length)
{
	return sizeof(RecordHead) + TYPEALIGN64(8, (uint64) length);
}

bool
ms_ring_put(Ring *ring, const char *bytes, uint32 length)
{
	const uint64 position = pg_atomic_read_u64(&ring->header->head);
	const uint64 size = ms_ring_record_size(length);
	RecordHead head;

	if (position - pg_atomic_read_u64(&ring->header->tail) + size > ring->size)
		return false;
	head.length = length;
	head.position = position;
	head.checksum = checksum_of(&head, bytes);
	copy_in(ring, position, &head, sizeof(head));
	copy_in(ring, position + sizeof(head), bytes, length);
	pg_write_barrier();
	pg_atomic_write_u64(&ring->header->head, position + size);
	return true;
}

bool
ms_ring_next(const Ring *ring, uint64 *position, uint64 head, StringInfo out, uint64 *torn)
{
	RecordHead record;
	bool gap = false;

	for (; *position < head; *position += 8) {
		if (record_at(ring, *position, head, &record, out)) {
			*position += ms_ring_record_size(record.length);
			*torn += gap;
			return true;
		}
		gap = true;
	}
	*position = head;
	*torn += gap;
	return false;
}

bool
ms_ring_flush(Ring *ring, uint64 from, uint64 to)
{
	const uint64 tail = pg_atomic_read_u64(&ring->header->tail);

	from = from < tail ? tail : from;
	if (from < to) {
		const size_t begin = from % ring->size, end = (to - 1) % ring->size + 1;
		const bool done = begin < end ? sync_range(ring->data + begin, end - begin)
									  : sync_range(ring->data + begin, ring->size - begin) && sync_range(ring->data, end);

		if (!done)
			return false;
	}
	return sync_range(ring->header, sizeof(RingHeader));
}

bool
ms_ring_flush_intent(const RingIntent *intent)
{
	return sync_range(intent, sizeof(*intent));
}

/* Makes events of what is left of intents, or forgets them. */
static void
resolve_intents(Ring *ring, bool forget, void (*no_room)(Oid, const AuditEvent *), Oid database)
{
	const size_t count = (size_t) ring->header->processes * kIntentsPerProcess;

	for (size_t i = 0; i < count; i++) {
		RingIntent *intent = &ring->intents[i];
		const uint32 length = pg_atomic_read_u32(&intent->length);
		AuditEvent event;
		AuditWho who;

		if (length == 0)
			continue;
		if (!forget) {
			if (length > sizeof(intent->bytes) || !ms_audit_decode(intent->bytes, length, &event, &who)) {
				ereport(LOG, (errcode(ERRCODE_DATA_CORRUPTED),
							  errmsg("the record of a read that was not ended is damaged")));
				pg_atomic_fetch_add_u64(&ring->header->lost, 1);
			} else if (!ms_ring_put(ring, intent->bytes, length)) {
				no_room(database, &event);
			}
		}
		pg_atomic_write_u32(&intent->length, 0);
	}
}

/* Gives the ring a new number; what is in it already keeps the one that it had. */
static void
renew_number(Ring *ring, uint64 head, uint64 tail)
{
	RingHeader *header = ring->header;
	uint32 kept = 0;

	if (header->origin_count > kRingOrigins)
		header->origin_count = 0;
	for (uint32 i = 0; i < header->origin_count; i++)
		if (header->origins[i].end > tail)
			header->origins[kept++] = header->origins[i];
	if (kept < kRingOrigins || head == tail) {
		if (head > tail)
			header->origins[kept++] = {header->ring_id, head};
		header->ring_id = random_number();
	}
	header->origin_count = kept;
}

bool
ms_ring_boot(const char *path, int processes, bool forget_intents, void (*no_room)(Oid, const AuditEvent *),
			 Oid database, const char **problem)
{
	Ring ring;
	RecordHead record;
	StringInfoData bytes;

	if (!ms_ring_map(path, &ring, problem))
		return false;
	RingHeader *header = ring.header;
	uint64 head = pg_atomic_read_u64(&header->head);
	const uint64 tail = pg_atomic_read_u64(&header->tail);

	if (head < tail || head - tail > ring.size || head % 8 != 0 || tail % 8 != 0) {
		*problem = "its positions are damaged";
		ms_ring_unmap(&ring);
		return false;
	}
	/* After a power failure the header may be older than the records. */
	initStringInfo(&bytes);
	while (record_at(&ring, head, tail + ring.size, &record, &bytes))
		head += ms_ring_record_size(record.length);
	pfree(bytes.data);
	pg_atomic_write_u64(&header->head, head);

	renew_number(&ring, head, tail);
	resolve_intents(&ring, forget_intents, no_room, database);

	/* The intents are the end of the file, so it grows without moving anything. */
	if (header->processes < (uint32) processes) {
		const off_t from = (off_t) ring.mapped;
		const int fd = open(path, O_RDWR | O_CLOEXEC, 0);
		const size_t more = intents_size(processes) - intents_size((int) header->processes);
		const bool grown = fd >= 0 && allocate(fd, from, (off_t) more);
		const int error = errno;

		if (fd >= 0)
			close(fd);
		if (grown) {
			header->processes = (uint32) processes;
		} else {
			ms_ring_unmap(&ring);
			errno = error;
			return false;
		}
	}
	ms_ring_unmap(&ring);
	return true;
}
