/* Differences between the PostgreSQL versions that are built for (15, 17, 18; 16 by the way).
 * The only file that knows PG_VERSION_NUM.  Included by prelude.h, after PostgreSQL's own headers. */
#pragma once

#if PG_VERSION_NUM < 150000
#error "mentalspace needs PostgreSQL 15 or newer"
#endif

extern "C" {
#include "utils/guc_tables.h"
}

/* Number of configuration variables, or -1 where this version cannot tell cheaply: a cheap way to see that no new
 * placeholder can have appeared since the last look. */
static inline int
ms_guc_count(void)
{
#if PG_VERSION_NUM < 160000
	return GetNumConfigOptions();
#else
	return -1;
#endif
}
