/* Who comes and goes.  These events leave the transaction at once: a rollback does not undo an attempt. */
#include "pg/prelude.h"

#include "audit/context.h"
#include "audit/outlet.h"
#include "audit/sessions.h"

namespace {

void
tell(AuditKind kind, AuditOutcome outcome, AuditSeverity severity, const char *detail)
{
	AuditEvent event;

	if (!ms_audit_is_on())
		return;
	ms_audit_event_init(&event, kind, kExecute);
	event.outcome = outcome;
	event.severity = severity;
	event.detail = detail;
	ms_audit_emit(&event, false);
}

}  // namespace

void
ms_audit_session_login(bool session)
{
	tell(kLogin, kSuccess, kInfo, session ? "scope session" : "scope transaction");
}

void
ms_audit_session_logout(void)
{
	tell(kLogout, kSuccess, kInfo, nullptr);
}

void
ms_audit_session_refused(const char *error_class)
{
	tell(kAuthenticationAttempt, kRefused, kWarning, error_class);
}
