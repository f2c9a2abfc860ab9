/* The identity as SQL and the module's other parts read it: from the verified identity, or from the claims that
 * PostgREST, or whoever acts like it, sets as configuration variables.
 *
 * Whatever is read is kept until auth_claims_generation moves; nothing read under an older generation is ever used. */
#include "pg/prelude.h"

#include "auth/identity.h"
#include "auth/recorded.h"
#include "auth/settings.h"
#include "auth/variables.h"
#include "auth/verified.h"
#include "pg/module.h"

namespace {

enum class State { kUnknown, kNone, kKnown };

/* What was read.  Without `who` it was parsed from the variables, all of it in `context`. */
struct Identity {
	MemoryContext context;
	uint64 generation;
	bool verified;                /* only a verified identity counts, be it none */
	const VerifiedIdentity *who;
	State uid_state, role_state, email_state, claims_state, jwt_state;
	pg_uuid_t uid;
	char *role;
	char *email;
	Jsonb *claims;   /* of request.jwt.claims */
	Jsonb *jwt;      /* what auth.jwt() gives: request.jwt.claim first */
};

Identity identity;

/* Makes `identity` one of the present generation, with everything still to be read. */
inline void
refresh(void)
{
	ms_recorded_recall();
	ms_variables_look();
	(void) ms_verified_expired();
	if (likely(identity.generation == auth_claims_generation))
		return;

	if (identity.context == nullptr)
		identity.context = AllocSetContextCreate(TopMemoryContext, "mentalspace identity", ALLOCSET_SMALL_SIZES);
	else
		MemoryContextReset(identity.context);
	identity.uid_state = identity.role_state = identity.email_state = State::kUnknown;
	identity.claims_state = identity.jwt_state = State::kUnknown;
	/* First this: in a parallel worker it takes over what the leader published, which moves the generation. */
	identity.who = ms_verified_identity();
	identity.verified = auth_claims_source == kClaimsVerified ||
		(ms_verified_serial() != 0 && !ms_variables_override_login());
	if (!identity.verified)
		identity.who = nullptr;
	identity.generation = auth_claims_generation;
}

Jsonb *
parse_jsonb(const char *text)
{
	/* Parse in the caller's short-lived context, so that an error leaves nothing behind, and keep a copy. */
	Jsonb *parsed = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));
	Jsonb *kept = (Jsonb *) MemoryContextAlloc(identity.context, VARSIZE(parsed));

	memcpy(kept, parsed, VARSIZE(parsed));
	pfree(parsed);
	return kept;
}

Jsonb *
claims_of_request(void)
{
	if (identity.claims_state == State::kUnknown) {
		const char *text = ms_variable_text(kClaims);

		identity.claims = text ? parse_jsonb(text) : nullptr;
		identity.claims_state = State::kKnown;
	}
	return identity.claims;
}

/* claims ->> key, in the current context; NULL where there is none. */
char *
claim_text(const char *key)
{
	Jsonb *claims = claims_of_request();

	if (claims == nullptr)
		return nullptr;

	LOCAL_FCINFO(call, 2);
	InitFunctionCallInfoData(*call, nullptr, 2, InvalidOid, nullptr, nullptr);
	call->args[0].value = JsonbPGetDatum(claims);
	call->args[0].isnull = false;
	call->args[1].value = PointerGetDatum(cstring_to_text(key));
	call->args[1].isnull = false;
	Datum result = jsonb_object_field_text(call);
	return call->isnull ? nullptr : text_to_cstring(DatumGetTextPP(result));
}

/* The legacy variable where it is set, else the claim of the other one; kept in the identity. */
const char *
kept_claim(ClaimsSlot legacy, const char *key, State *state, char **kept)
{
	if (*state == State::kUnknown) {
		const char *text = ms_variable_text(legacy);

		if (text == nullptr)
			text = claim_text(key);
		*kept = text ? MemoryContextStrdup(identity.context, text) : nullptr;
		*state = text ? State::kKnown : State::kNone;
	}
	return *state == State::kKnown ? *kept : nullptr;
}

}  // namespace

bool
ms_identity_uid(pg_uuid_t *uid)
{
	refresh();
	if (unlikely(identity.uid_state == State::kUnknown)) {
		if (identity.verified) {
			bool known = identity.who && identity.who->has_uid;

			if (known)
				identity.uid = identity.who->uid;
			identity.uid_state = known ? State::kKnown : State::kNone;
		} else {
			const char *text = ms_variable_text(kSub);

			if (text == nullptr)
				text = claim_text("sub");
			if (text != nullptr)
				identity.uid = *DatumGetUUIDP(DirectFunctionCall1(uuid_in, CStringGetDatum(text)));
			identity.uid_state = text ? State::kKnown : State::kNone;
		}
	}
	*uid = identity.uid;
	return identity.uid_state == State::kKnown;
}

const char *
ms_identity_role(void)
{
	refresh();
	if (identity.verified)
		return identity.who ? identity.who->role : nullptr;
	return kept_claim(kRole, "role", &identity.role_state, &identity.role);
}

const char *
ms_identity_email(void)
{
	refresh();
	if (identity.verified)
		return identity.who ? identity.who->email : nullptr;
	return kept_claim(kEmail, "email", &identity.email_state, &identity.email);
}

Jsonb *
ms_identity_claims(void)
{
	refresh();
	if (identity.verified)
		return identity.who ? identity.who->claims : nullptr;
	if (identity.jwt_state == State::kUnknown) {
		const char *text = ms_variable_text(kClaim);

		identity.jwt = text ? parse_jsonb(text) : claims_of_request();
		identity.jwt_state = State::kKnown;
	}
	return identity.jwt;
}

uint64
ms_identity_generation(void)
{
	refresh();
	return auth_claims_generation;
}

const VerifiedIdentity *
ms_identity_verified(void)
{
	refresh();
	return identity.verified ? identity.who : nullptr;
}
