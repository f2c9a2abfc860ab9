/* The verified identity of the session: who login() let in, for how long, and what a rollback brings back.
 *
 * What always holds:
 * - A verified identity is made from a token that passed every check, or, in a parallel worker, from what its leader
 *   published; SQL can reach neither.
 * - At most one is in force.  It ends with its transaction (scope transaction) or with logout(), DISCARD ALL or the
 *   connection (scope session); a subtransaction that is rolled back brings back the one from before.
 * - Each login has a serial number of its own, never used twice in a backend and never 0. */
#pragma once

#include "pg/prelude.h"

extern "C" {
#include "utils/jsonb.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"
}

/* Immutable once made; counted by those who hold it.  Everything it points to is in `context`. */
struct VerifiedIdentity {
	MemoryContext context;
	int holders;
	Jsonb *claims;
	char *text;              /* the claims as they were signed, in the server's encoding */
	bool has_uid;
	pg_uuid_t uid;
	char *sub;               /* NULL where the token has none, as the following */
	char *role;
	char *email;
	char *aal;
	char *session_id;
	char *issuer;
	TimestampTz expires_at;  /* DT_NOEND where the token never expires */
};

/* Makes an identity out of claims in JSON, with one holder.  Raises 22P02 and its kin where PostgreSQL cannot represent
 * them; nothing stays allocated then. */
VerifiedIdentity *ms_verified_make(const char *text);
void ms_verified_hold(VerifiedIdentity *who);
void ms_verified_release(VerifiedIdentity *who);

/* The identity in force, NULL where there is none, and its serial number, 0 where there is none.  An identity without
 * claims (a serial number, but NULL) is in force while a user's row is written, and where a session's token expired. */
const VerifiedIdentity *ms_verified_identity(void);
uint64 ms_verified_serial(void);

/* Whether the identity in force lasts for the session. */
bool ms_verified_is_session(void);

/* Whether somebody is logged in for the session, in force or behind the transaction's login. */
bool ms_verified_has_session(void);

/* Whether the identity of the session went away because its token expired.  Cheap; looks at the statement's time. */
bool ms_verified_expired(void);

/* Puts an identity (NULL: one without claims) in force, for the session or for the transaction. */
void ms_verified_establish(VerifiedIdentity *who, bool session);

/* Ends every identity of the session; a rollback undoes it. */
void ms_verified_end(void);

/* Runs `run(arg)` under an identity without claims and puts the present one back, also after an error. */
void ms_verified_without(void (*run)(void *arg), void *arg);

/* Lets the parallel workers of a query that is about to run know the identity.  Called before each run. */
void ms_verified_publish(void);

void ms_verified_init(void);
