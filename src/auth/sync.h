/* The user's row in auth.users (mentalspace.auth_sync_users). */
#pragma once

#include "pg/prelude.h"

#include "auth/verified.h"

/* Inserts or refreshes the row of this user, as the owner of auth.users and under nobody's identity, as Supabase Auth
 * does; nothing where the setting is off, in a read-only transaction, on a standby, or for a token without a user.
 * Raises what the table's constraints and triggers raise. */
void ms_sync_user(const VerifiedIdentity *who);
