/* The feature's entry point. */
#include "pg/prelude.h"

#include "auth/keys.h"
#include "auth/lock.h"
#include "auth/recorded.h"
#include "auth/redact.h"
#include "auth/replaced.h"
#include "auth/session.h"
#include "auth/settings.h"
#include "auth/tokens.h"
#include "auth/variables.h"
#include "auth/verified.h"
#include "pg/module.h"

void
ms_auth_init(void)
{
	ms_settings_init();
	ms_verified_init();
	ms_keys_init();
	ms_tokens_init();
	ms_redact_init();
	ms_replaced_init();
	ms_lock_init();
	ms_session_init();
	ms_recorded_init();
	/* Last: needs to know the settings. */
	ms_variables_init();
}
