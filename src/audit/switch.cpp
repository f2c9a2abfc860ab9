/* The switch of the audit, watched: see switch.h.
 *
 * SET is a utility command, set_config() is not, and settings of roles come with the session.  So the value is compared
 * with the one last seen before anything is executed, and what could go unseen is preceded by the event. */
#include "pg/prelude.h"

#include "audit/context.h"
#include "audit/outlet.h"
#include "audit/relations.h"
#include "audit/settings.h"
#include "audit/switch.h"

extern "C" {
#include "access/parallel.h"
}

namespace {

bool seen = true;

/* Whether there is anything to be audited, while the switch is off. */
bool
is_anything_audited(void)
{
	const bool now = audit_enabled;
	volatile bool any = false;

	audit_enabled = true;
	PG_TRY();
	{
		any = ms_audit_any();
	}
	PG_FINALLY();
	{
		audit_enabled = now;
	}
	PG_END_TRY();
	return any;
}

}  // namespace

void
ms_audit_check_switch(void)
{
	if (likely(audit_enabled == seen) || !IsTransactionState() || IsParallelWorker())
		return;
	seen = audit_enabled;
	if (!is_anything_audited())
		return;
	AuditEvent event;

	ms_audit_event_init(&event, kConfigurationChange, kUpdate);
	event.severity = audit_enabled ? kWarning : kCritical;
	event.detail = audit_enabled ? "mentalspace.audit_enabled: the audit is on again" :
		"mentalspace.audit_enabled: the audit is off";
	ms_audit_emit(&event, false);
}
