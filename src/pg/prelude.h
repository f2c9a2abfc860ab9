/* The only door to PostgreSQL's headers: included first in every file outside src/core.
 *
 * PostgreSQL's headers are C; they come in as extern "C" and with the macros undone that C++ headers trip over. */
#pragma once

#ifdef FRONTEND
/* Code that is compiled for the unit tests and fuzzers too. */
extern "C" {
#include "postgres_fe.h"
}
#else
extern "C" {
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "access/xact.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
}
#endif

/* libintl and port.h replace these by macros, which breaks <string>, <cstdio> and friends. */
#undef gettext
#undef dgettext
#undef ngettext
#undef dngettext
#undef vsnprintf
#undef snprintf
#undef vsprintf
#undef sprintf
#undef vfprintf
#undef fprintf
#undef vprintf
#undef printf
#undef strerror
#undef strerror_r
#undef bind
#undef Min
#undef Max

#include "pg/compat.h"

/* An SQL-callable function: C linkage and exported by the version script because its name begins with ms_. */
#define MS_FUNCTION(name) \
	extern "C" { PG_FUNCTION_INFO_V1(name); } \
	extern "C" Datum name(PG_FUNCTION_ARGS)
