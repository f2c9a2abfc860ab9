/* The features' entry points, called by _PG_init in this order.  Each defines its GUCs and chains its hooks. */
#pragma once

void ms_identity_init(void);
