/* Variables of the row level security features. */
#include "pg/prelude.h"

#include "pg/module.h"

/* Read by SQL from the database's settings, not from here: see src/sql/has_role.sql. */
static char *role_source;

void
ms_rls_init(void)
{
	DefineCustomStringVariable("mentalspace.rls_role_source",
							   "Table that mentalspace.has_role() looks in.",
							   "A table with a column user_id of type uuid and a column role of type text, varchar or an "
							   "enum; empty means public.user_roles. It counts only as a setting of the database "
							   "(ALTER DATABASE ... SET).",
							   &role_source, "", PGC_SUSET, 0, nullptr, nullptr, nullptr);
}
