/* Whether auth.uid() and its siblings are this module's: their owner and superusers can replace them in place. */
#pragma once

#include "pg/prelude.h"

/* Those that were replaced, as "auth.uid(), auth.role()"; NULL where none was. */
const char *ms_replaced_functions(void);

/* What a function of ours without arguments returns, an array of names, as a list in the current context, each by a format;
 * NULL where it is empty, or where the database has no such function. */
const char *ms_listed_names(const char *function, const char *format);

void ms_replaced_init(void);
