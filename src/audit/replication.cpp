/* Connections for replication: whoever streams files or changes of the server exports all that is in it.
 *
 * They are seen as they are let in.  No database is known then, and for physical replication there is none, so the event
 * goes to every database with audited tables. */
#include "pg/prelude.h"

#include "audit/outlet.h"
#include "audit/replication.h"
#include "audit/ring.h"
#include "audit/settings.h"
#include "audit/spool.h"

/* Port has the same layout without it, and GSSAPI's own headers need not be installed. */
#undef ENABLE_GSS

extern "C" {
#include "access/xlog.h"
#include "common/ip.h"
#include "libpq/auth.h"
#include "libpq/libpq-be.h"
#include "replication/walsender.h"
#include "storage/lwlock.h"
}

#include <netdb.h>
#include <sys/socket.h>

namespace {

ClientAuthentication_hook_type next_client_authentication;

bool
put_into_ring(RingPlace *place, const StringInfoData *bytes)
{
	Ring ring;
	char path[MAXPGPATH];
	const char *problem;

	ms_ring_path(place->database, path, sizeof(path));
	if (!ms_ring_map(path, &ring, &problem))
		return false;
	LWLockAcquire(place->lock, LW_EXCLUSIVE);
	bool done = ms_ring_put(&ring, bytes->data, (uint32) bytes->len);
	LWLockRelease(place->lock);
	ms_ring_unmap(&ring);
	return done;
}

void
emit_everywhere(const AuditEvent *event)
{
	RingShared *shared = ms_ring_shared();
	StringInfoData bytes;

	if (shared == nullptr)
		return;
	initStringInfo(&bytes);
	ms_audit_encode(event, &bytes);
	for (RingPlace &place : shared->places) {
		Oid database = place.database;

		if (!OidIsValid(database))
			continue;
		if (!RecoveryInProgress() && put_into_ring(&place, &bytes)) {
			(void) ms_ring_ensure_worker(&place, false);
			ms_ring_wake(&place);
		} else
			ms_spool_left_intent(database, event);
	}
	pfree(bytes.data);
}

void
client_authentication(Port *port, int status)
{
	if (next_client_authentication)
		next_client_authentication(port, status);
	if (!am_walsender || status != STATUS_OK || !audit_enabled)
		return;
	AuditEvent event;
	AuditWho who;
	char address[NI_MAXHOST];

	memset((void *) &event, 0, sizeof(event));
	memset((void *) &who, 0, sizeof(who));
	who.session_user = port->user_name;
	who.identity_source = "none";
	if (port->raddr.addr.ss_family != AF_UNIX &&
		pg_getnameinfo_all(&port->raddr.addr, port->raddr.salen, address, sizeof(address), nullptr, 0, NI_NUMERICHOST) == 0)
		who.client_address = address;
	who.application_name = port->application_name && *port->application_name ? port->application_name : nullptr;
	event.kind = kExport;
	event.action = kRead;
	event.severity = kWarning;
	event.row_count = -1;
	event.occurred_at = GetCurrentTimestamp();
	event.who = &who;
	event.detail = am_db_walsender ? "connection for logical replication" : "connection for physical replication";
	emit_everywhere(&event);
}

}  // namespace

void
ms_audit_replication_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	next_client_authentication = ClientAuthentication_hook;
	ClientAuthentication_hook = client_authentication;
}
