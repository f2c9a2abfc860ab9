/* Logins, logouts and refused tokens as events. */
#pragma once

#include "pg/prelude.h"

/* Somebody took on an identity, which is in force by now. */
void ms_audit_session_login(bool session);

/* The identity in force is about to end. */
void ms_audit_session_logout(void);

/* A token was refused; `error_class` is a literal. */
void ms_audit_session_refused(const char *error_class);
