/* Taking the spool over into the table: see spool.h.
 *
 * How far a file was taken over stands in mentalspace.audit_progress, in the transaction that does it.  So do reads
 * that have begun and not ended, each as a row "spool FILE read ID" with the position of its line. */
#include "pg/prelude.h"

#include "audit/settings.h"
#include "audit/spool.h"
#include "pg/module.h"

extern "C" {
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "storage/fd.h"
#include "tcop/utility.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
}

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace {

/* Seconds. */
constexpr int kSettled = 10;
/* Lines are read in pieces of this size; none is longer than sixty-four of them. */
constexpr int kPiece = 1024 * 1024;
constexpr int64 kLongestLine = (int64) 64 * kPiece;

struct Taking {
	const char *name;               /* of the file, without its directory */
	int fd;
	int64 position;                 /* of the line */
	int64 events;
};

/* Runs a statement whose parameters are a text and, if `number` is given, a number. */
uint64
run(const char *sql, const char *text, size_t length, const int64 *number = nullptr)
{
	Oid types[] = {TEXTOID, INT8OID};
	Datum values[2];

	values[0] = PointerGetDatum(cstring_to_text_with_len(text, (int) length));
	values[1] = number ? Int64GetDatum(*number) : (Datum) 0;
	if (SPI_execute_with_args(sql, number ? 2 : 1, types, values, nullptr, false, 0) < 0)
		elog(ERROR, "could not run: %s", sql);
	return SPI_processed;
}

const char *
column(int number)
{
	return SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, number);
}

void
insert_event(const char *line, size_t length)
{
	run("INSERT INTO mentalspace.audit_events SELECT r.* FROM pg_catalog.jsonb_populate_record("
		"NULL::mentalspace.audit_events, $1::pg_catalog.jsonb || pg_catalog.jsonb_build_object('event_id', "
		"pg_catalog.nextval('mentalspace.audit_event_ids'))) AS r", line, length);
}

/* One line, in a memory context of its own. */
void
take_line(Taking *taking, const char *line, size_t length)
{
	const char *state, *event;
	char *source;
	bool has_kind;

	pg_verifymbstr(line, (int) length, false);
	run("SELECT l ->> 'state', l ->> 'event', l ? 'kind' FROM (SELECT $1::pg_catalog.jsonb AS l) AS t",
		line, length);
	state = column(1);
	event = column(2);
	has_kind = strcmp(column(3), "t") == 0;
	SPI_freetuptable(SPI_tuptable);
	if (event == nullptr || (state && strcmp(state, "begun") != 0 && strcmp(state, "ended") != 0) ||
		(!has_kind && (state == nullptr || strcmp(state, "ended") != 0)))
		ereport(ERROR, (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION), errmsg("the line is not an audit event")));
	source = psprintf("spool %s read %s", taking->name, event);
	if (state == nullptr) {
		insert_event(line, length);
		taking->events++;
	} else if (strcmp(state, "begun") == 0) {
		run("INSERT INTO mentalspace.audit_progress (source, position) VALUES ($1, $2)",
			source, strlen(source), &taking->position);
	} else {
		run("DELETE FROM mentalspace.audit_progress WHERE source = $1", source, strlen(source));
	}
}

int64
line_number(const Taking *taking)
{
	char piece[8192];
	int64 number = 1, at = 0;

	while (at < taking->position) {
		const int64 wanted = taking->position - at < (int64) sizeof(piece) ? taking->position - at : (int64) sizeof(piece);
		const ssize_t got = pread(taking->fd, piece, (size_t) wanted, (off_t) at);

		if (got <= 0)
			break;
		for (ssize_t i = 0; i < got; i++)
			number += piece[i] == '\n';
		at += got;
	}
	return number;
}

/* The same, with an error that says which line it was. */
void
take_line_or_name_it(Taking *taking, const char *line, size_t length, MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);

	PG_TRY();
	{
		take_line(taking, line, length);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(old);
		ErrorData *error = CopyErrorData();

		if (error->sqlerrcode == ERRCODE_QUERY_CANCELED || error->sqlerrcode == ERRCODE_ADMIN_SHUTDOWN ||
			error->elevel > ERROR)
			PG_RE_THROW();
		FlushErrorState();
		/* The other error's details may hold what is in the line. */
		ereport(ERROR, (errcode(error->sqlerrcode),
						errmsg("could not take over line " INT64_FORMAT " of audit spool file \"%s\"", line_number(taking),
							   taking->name),
						errdetail_internal("%s", error->sqlerrcode == ERRCODE_INVALID_TEXT_REPRESENTATION
											   ? "The line is not an audit event." : error->message)));
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	MemoryContextReset(context);
}

/* Reads from a position until the buffer has a whole line; false where there is none. */
bool
read_lines(int fd, int64 position, StringInfo buffer)
{
	resetStringInfo(buffer);
	for (;;) {
		enlargeStringInfo(buffer, kPiece);
		const ssize_t got = pread(fd, buffer->data + buffer->len, kPiece, (off_t) (position + buffer->len));

		if (got < 0)
			ereport(ERROR, (errcode_for_file_access(), errmsg("could not read an audit spool file: %m")));
		if (got == 0)
			return false;
		const bool whole = memchr(buffer->data + buffer->len, '\n', (size_t) got) != nullptr;
		buffer->len += (int) got;
		if (whole)
			return true;
		if (buffer->len > kLongestLine)
			ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("a line of an audit spool file is too long")));
	}
}

/* Reads that have begun and never ended, in a file that nobody writes to any more. */
void
take_unknown(Taking *taking, StringInfo buffer)
{
	const char *prefix = psprintf("spool %s read ", taking->name);
	SPITupleTable *reads;
	uint64 count;

	count = run("DELETE FROM mentalspace.audit_progress WHERE pg_catalog.starts_with(source, $1) "
				"RETURNING position", prefix, strlen(prefix));
	reads = SPI_tuptable;
	for (uint64 i = 0; i < count; i++) {
		bool null;
		const int64 position = DatumGetInt64(SPI_getbinval(reads->vals[i], reads->tupdesc, 1, &null));

		if (!read_lines(taking->fd, position, buffer))
			continue;
		insert_event(buffer->data, (size_t) ((char *) memchr(buffer->data, '\n', (size_t) buffer->len) - buffer->data));
		taking->events++;
	}
}

/* Whether nobody has written to the file for a while. */
bool
is_settled(const struct stat *status)
{
	return time(nullptr) - status->st_mtime >= kSettled;
}

const char *
name_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

Oid
owner_of_events()
{
	const Oid schema = get_namespace_oid("mentalspace", false);
	const Oid table = get_relname_relid("audit_events", schema);
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
	Oid owner;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("relation \"mentalspace.audit_events\" does not exist")));
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

}  // namespace

AuditUser
ms_audit_become_owner(void)
{
	AuditUser before;

	GetUserIdAndSecContext(&before.user, &before.context);
	SetUserIdAndSecContext(owner_of_events(),
						   before.context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
	return before;
}

void
ms_audit_become(AuditUser user)
{
	SetUserIdAndSecContext(user.user, user.context);
}

bool
ms_spool_is_ours(const char *name)
{
	char prefix[64];
	const size_t length = strlen(name);

	pg_snprintf(prefix, sizeof(prefix), UINT64_FORMAT "-%u-", GetSystemIdentifier(), MyDatabaseId);
	return strncmp(name, prefix, strlen(prefix)) == 0 && length > 6 && strcmp(name + length - 6, ".jsonl") == 0;
}

int64
ms_spool_take(const char *path, int64 at_most, bool *rest, bool *finished, int64 *size)
{
	Taking taking = {name_of(path), OpenTransientFile(path, O_RDONLY | PG_BINARY), 0, 0};
	const char *source = psprintf("spool %s", taking.name);
	struct stat status;
	StringInfoData buffer;
	bool null;

	if (taking.fd < 0)
		ereport(ERROR, (errcode_for_file_access(), errmsg("could not open audit spool file \"%s\": %m", path)));
	/* Held until the file is closed: who writes meanwhile takes another file. */
	const bool alone = flock(taking.fd, LOCK_EX | LOCK_NB) == 0;
	if (fstat(taking.fd, &status) != 0)
		ereport(ERROR, (errcode_for_file_access(), errmsg("could not stat file \"%s\": %m", path)));
	/* A copy that is being made holds no lock. */
	const bool complete = alone && (at_most == 0 || is_settled(&status));

	run("INSERT INTO mentalspace.audit_progress (source, position) VALUES ($1, 0) "
		"ON CONFLICT DO NOTHING", source, strlen(source));
	run("SELECT position FROM mentalspace.audit_progress WHERE source = $1 FOR UPDATE", source,
		strlen(source));
	taking.position = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null));
	const int64 begin = taking.position;
	if (begin > (int64) status.st_size)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("audit spool file \"%s\" is shorter than what was taken over already", taking.name)));

	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "mentalspace audit line", ALLOCSET_DEFAULT_SIZES);
	initStringInfo(&buffer);
	*rest = false;
	while (taking.position < (int64) status.st_size && read_lines(taking.fd, taking.position, &buffer)) {
		const char *line = buffer.data, *end;

		if (at_most > 0 && taking.position - begin >= at_most) {
			*rest = true;
			break;
		}
		while ((end = (const char *) memchr(line, '\n', (size_t) (buffer.data + buffer.len - line))) != nullptr) {
			if (end > line)
				take_line_or_name_it(&taking, line, (size_t) (end - line), context);
			taking.position += end - line + 1;
			line = end + 1;
			CHECK_FOR_INTERRUPTS();
		}
	}
	*finished = complete && taking.position == (int64) status.st_size;
	*size = taking.position;
	if (*finished)
		take_unknown(&taking, &buffer);
	if (taking.position != begin)
		run("UPDATE mentalspace.audit_progress SET position = $2, taken_at = pg_catalog.now() WHERE source = $1",
			source, strlen(source), &taking.position);
	CloseTransientFile(taking.fd);
	return taking.events;
}

void
ms_spool_remove(const char *path, int64 size)
{
	struct stat status;
	const int fd = open(path, O_RDONLY | O_CLOEXEC, 0);

	if (fd < 0)
		return;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &status) == 0 && status.st_size == (off_t) size &&
		is_settled(&status) && unlink(path) != 0)
		ereport(LOG, (errcode_for_file_access(), errmsg("could not remove file \"%s\": %m", path)));
	close(fd);
}

/* mentalspace.audit_ingest(file text) returns bigint: the number of events taken over from a spool file. */
MS_FUNCTION(ms_audit_ingest)
{
	char *file;
	const Oid extension = get_extension_oid("mentalspace", false);
	bool rest, finished;
	int64 events, size;

	if (!superuser() && !ms_owns_extension(extension, GetUserId()))
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("must be superuser or owner of the extension to take over audit events")));
	if (PG_ARGISNULL(0))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("the file must not be NULL")));
	file = text_to_cstring(PG_GETARG_TEXT_PP(0));
	if (is_absolute_path(file)) {
		if (!superuser())
			ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("must be superuser to name an absolute path"),
							errhint("Name a file in mentalspace.audit_spool_directory.")));
	} else if (strchr(file, '/') != nullptr || strcmp(file, "..") == 0 || file[0] == '\0') {
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"%s\" is not the name of a file in mentalspace.audit_spool_directory", file)));
	} else {
		file = psprintf("%s/%s", audit_spool_directory, file);
	}
	PreventCommandIfReadOnly("audit_ingest()");
	PushActiveSnapshot(GetTransactionSnapshot());
	SPI_connect();
	AuditUser before = ms_audit_become_owner();
	events = ms_spool_take(file, 0, &rest, &finished, &size);
	ms_audit_become(before);
	SPI_finish();
	PopActiveSnapshot();
	PG_RETURN_INT64(events);
}
