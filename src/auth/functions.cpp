/* auth.uid(), auth.role(), auth.email() and auth.jwt(): SQL's view of the identity.
 *
 * Results and errors are Supabase's.  Each result is a copy in the caller's context: the identity may change within the
 * statement. */
#include "pg/prelude.h"

#include "auth/identity.h"

/* auth.uid() returns uuid: the claim `sub`; NULL where there is none, 22P02 where it is no uuid. */
MS_FUNCTION(ms_auth_uid)
{
	pg_uuid_t *uid = (pg_uuid_t *) palloc(sizeof(pg_uuid_t));

	if (!ms_identity_uid(uid))
		PG_RETURN_NULL();
	PG_RETURN_UUID_P(uid);
}

/* auth.role() returns text: the claim `role`, NULL where there is none. */
MS_FUNCTION(ms_auth_role)
{
	const char *role = ms_identity_role();

	if (role == nullptr)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(role));
}

/* auth.email() returns text: the claim `email`, NULL where there is none. */
MS_FUNCTION(ms_auth_email)
{
	const char *email = ms_identity_email();

	if (email == nullptr)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(email));
}

/* auth.jwt() returns jsonb: all claims, NULL where there are none. */
MS_FUNCTION(ms_auth_jwt)
{
	Jsonb *claims = ms_identity_claims();

	if (claims == nullptr)
		PG_RETURN_NULL();
	Jsonb *copy = (Jsonb *) palloc(VARSIZE(claims));
	memcpy(copy, claims, VARSIZE(claims));
	PG_RETURN_JSONB_P(copy);
}
