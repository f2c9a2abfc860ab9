/* The features' entry points, called by _PG_init in this order.  Each defines its GUCs and chains its hooks. */
#pragma once

void ms_auth_init(void);
void ms_companion_schema_init(void);
void ms_companion_vault_init(void);
void ms_rls_init(void);
void ms_cron_init(void);
void ms_audit_init(void);
