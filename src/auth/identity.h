/* Who the user of the application is, for everybody in the module who needs to know.
 *
 * The identity is the verified one (mentalspace.login), or, where the claims source is guc, what the claims variables
 * say.  All functions are cheap to call once per row: claims are
 * parsed once after each change.  Those that parse may raise 22P02 for claims that are not JSON, exactly where Supabase's
 * SQL functions do. */
#pragma once

#include "pg/prelude.h"

extern "C" {
#include "utils/jsonb.h"
#include "utils/uuid.h"
}

/* sub as uuid; false where there is none.  Raises 22P02 where sub is no uuid. */
bool ms_identity_uid(pg_uuid_t *uid);

/* The text of the claim `role` or `email`, owned by the identity and valid until the claims change; NULL where there is
 * none. */
const char *ms_identity_role(void);
const char *ms_identity_email(void);

/* All claims, owned by the identity and valid until they change; NULL where there are none. */
Jsonb *ms_identity_claims(void);

/* A number that changes whenever the claims may have changed. */
uint64 ms_identity_generation(void);
/* The verified identity where it is the one that counts, NULL otherwise; valid until the identity changes. */
struct VerifiedIdentity;
const VerifiedIdentity *ms_identity_verified(void);
