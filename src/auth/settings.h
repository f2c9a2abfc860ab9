/* The configuration variables of the identity (mentalspace.auth_*), for whoever reads them in C.
 *
 * All of them can be set by superusers only (or by whom a superuser granted SET on them), also for a database or a role:
 * nobody can loosen in a session what the DBA has set. */
#pragma once

#include "pg/prelude.h"

enum AuthClaimsSource { kClaimsFromGuc, kClaimsVerified };
enum AuthLock { kLockAuto, kLockOff, kLockTransaction, kLockAlways };

extern int auth_claims_source;
extern int auth_lock_setting;
extern char *auth_issuers;
extern char *auth_audience;
extern int auth_leeway;
extern int auth_max_token_bytes;
extern char *auth_allowed_roles;
extern char *auth_jwks_file;
extern bool auth_sync_users;
extern bool auth_temporary_objects;

/* Moves with every change of a variable above: what was derived under an older number is stale. */
extern uint64 auth_settings_generation;

/* The lock in force: `auto` is transaction where the claims source is verified, else off. */
AuthLock AuthLockInForce(void);

void ms_settings_init(void);
