/* The module: magic block and _PG_init.  What each feature does at load time is in that feature's folder. */
#include "pg/prelude.h"

#include "pg/module.h"

extern "C" {
PG_MODULE_MAGIC;

void _PG_init(void);
}

void
_PG_init(void)
{
	ms_auth_init();
	ms_companion_schema_init();
	ms_companion_vault_init();
	ms_rls_init();
	ms_cron_init();
	ms_audit_init();

	/* Last: every variable of ours is defined now, what is left of the prefix is a misspelling. */
	MarkGUCPrefixReserved("mentalspace");
}

/* mentalspace.module_version(): the version that the loaded library was built as; differs from pg_extension.extversion
 * when a package was upgraded but ALTER EXTENSION UPDATE was not yet run. */
MS_FUNCTION(ms_module_version)
{
	(void) fcinfo;
	PG_RETURN_TEXT_P(cstring_to_text(MS_VERSION));
}
