/* The keys that tokens are verified with, and the list of what was revoked, as this backend knows them.
 *
 * Both are tables of the extension that only its owner reads.  A copy is kept in each backend and thrown away as soon as
 * anybody's change is committed: triggers on the tables send an invalidation of the relation, which every backend
 * processes before its next login. */
#pragma once

#include "pg/prelude.h"

#include "auth/verified.h"
#include "core/claims.h"
#include "core/jwk.h"

/* Moves when the keys change: what was verified under an older number must be verified again. */
extern uint64 auth_keys_generation;

/* Moves when the list of revocations may have changed. */
extern uint64 auth_revocations_generation;

/* The present keys, valid until the next call.  May raise any error that reading a table raises; a JWKS file that cannot
 * be used is left out with a WARNING. */
const mentalspace::KeySet *ms_keys(void);

/* Notes, about once an hour, that the key at `index` was used.  Writes nothing on a standby, in a read-only transaction,
 * or while another session is writing the same. */
void ms_keys_note_use(size_t index);

/* Whether the token's session was revoked, or the user's tokens issued until `issued_at` (seconds since 1970; with
 * `has_issued_at` false: ever). */
bool ms_is_revoked(const VerifiedIdentity *who, bool has_issued_at, int64 issued_at);

/* Options for the verifier as the configuration has them; `now` is still to be set.  Valid until the next call. */
mentalspace::VerifyOptions *ms_verify_options(void);

void ms_keys_init(void);
