/* Whether auth.uid() and its siblings are this module's: their owner and superusers can replace them in place. */
#pragma once

#include "pg/prelude.h"

/* "auth.uid(), auth.role()": those that were replaced, in the current context; NULL where none was. */
const char *ms_replaced_functions(void);

void ms_replaced_init(void);
