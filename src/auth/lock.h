/* The role lock: what login() has set, SQL cannot change (mentalspace.auth_lock). */
#pragma once

#include "pg/prelude.h"

/* Whether role, session authorization and claims are locked now: somebody is logged in and the lock is on, or the lock is
 * `always`.  Not in a parallel worker that is still taking over what its leader has. */
bool ms_lock_holds(void);

/* Whether somebody is logged in and locked in. */
bool ms_identity_locked(void);

/* Switches the role as SET ROLE does, or with `local` as SET LOCAL ROLE; "none" is the login role.  Raises what SET ROLE
 * raises. */
void ms_lock_switch_role(const char *role, bool local);

/* Raises 42501 where the role cannot be switched from here: in a SECURITY DEFINER function, in a function that sets the
 * role itself, in an index expression and the like. */
void ms_lock_check_place(const char *function);

/* Called before anything runs: looks, once in a session, at what its options brought. */
void ms_lock_begin(void);

/* After the variables are defined. */
void ms_lock_init(void);
