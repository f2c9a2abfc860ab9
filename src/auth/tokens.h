/* From a token to an accepted identity: the verifier, the keys, the revocations and the backend's memory of tokens. */
#pragma once

#include "pg/prelude.h"

#include "auth/verified.h"

/* All checks of a token: signature, issuer, audience, times, revocation.  Returns the identity, held by the memory of
 * tokens; take a hold of your own before anything else is accepted.  Raises 28000 for a token that is refused.
 * A token that this backend accepted before is not verified again, but its times and revocation are checked each time. */
VerifiedIdentity *ms_accept_token(text *token);

/* Raises 28000 "token refused: <class>", and lets an audit event of it leave.  Both are literals: nothing of the token is
 * in them. */
[[noreturn]] void ms_refuse_token(const char *error_class, const char *detail);

/* The same for what is no attempt to be somebody. */
[[noreturn]] void ms_refuse_signature(const char *error_class, const char *detail);

/* Whether this is the first login with the token in this backend: a pool logs in anew at each transaction. */
bool ms_token_logs_in_first(const VerifiedIdentity *who);

/* Its next login is a first one again. */
void ms_token_logged_out(const VerifiedIdentity *who);

/* Whether the row of this accepted identity in auth.users was written or looked at by this backend, in a transaction that
 * was not rolled back; and to note it. */
bool ms_token_is_synced(const VerifiedIdentity *who);
void ms_token_set_synced(const VerifiedIdentity *who);

void ms_tokens_init(void);
