/* The feature's entry point. */
#include "pg/prelude.h"

#include "audit/admin.h"
#include "audit/audit.h"
#include "audit/context.h"
#include "audit/outlet.h"
#include "audit/reads.h"
#include "audit/relations.h"
#include "audit/settings.h"
#include "audit/store.h"
#include "pg/module.h"

void
ms_audit_init(void)
{
	ms_audit_settings_init();
	ms_audit_context_init();
	ms_audit_relations_init();
	ms_audit_store_init();
	ms_audit_outlet_init();
	ms_audit_writes_init();
	ms_audit_admin_init();
	ms_audit_utility_init();
	ms_audit_denied_init();
	/* Its hooks see the plan as the others leave it. */
	ms_audit_reads_init();
	/* Last: whatever the hooks above run is within a statement. */
	ms_audit_statement_init();
}
