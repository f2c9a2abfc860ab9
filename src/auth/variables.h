/* The variables request.jwt.claims and request.jwt.claim.*, in which PostgREST hands over the claims of a request, and
 * which mirror a verified identity for SQL that reads them with current_setting(). */
#pragma once

#include "pg/prelude.h"

/* Those that auth.uid() and its siblings read come first. */
enum ClaimsSlot { kClaims, kClaim, kSub, kRole, kEmail, kReadSlots };

/* Moves whenever a claims variable, the verified identity or the claims source changes. */
extern uint64 auth_claims_generation;

/* To be called before variables are read: takes over what was set since the last look.  Cheap. */
void ms_variables_look(void);

/* The text of a variable as far as it counts, NULL where it is unset or empty.  Where somebody is logged in, only what
 * was set by hand since then counts, and that only where the claims source is guc. */
const char *ms_variable_text(ClaimsSlot slot);

/* Whether claims were set by hand since the login in force: they then hide it.  Never where the source is verified. */
bool ms_variables_override_login(void);

/* Whether somebody has set a variable in this session, be it empty now. */
bool ms_variables_were_used(void);

/* Makes all of the variables the module's own, if they are not: from then on they read as '' where there are no claims,
 * as they do on Supabase once they were set in a session. */
void ms_variables_define(void);

/* Claims source or lock changed; `refuse`: from now on setting a variable may have to be refused. */
void ms_variables_settings_changed(bool refuse);

/* Defines what could not be defined when they changed, and forgets the last look.  Called before each run of a query or
 * utility command. */
void ms_variables_catch_up(void);

/* At the end of the module's initialisation. */
void ms_variables_init(void);
