/* Identity from the claims that PostgREST, or whoever acts like it, sets as configuration variables.
 *
 * What always holds here:
 * - A claims variable becomes ours (an assign hook tells of every change, also of those that a rollback, a savepoint or
 *   the end of the transaction makes) only once somebody has set it.  Until then current_setting(name, true) is NULL,
 *   as on Supabase; a variable that a module defines would read as '' and break `current_setting(...)::json`.
 * - `generation` moves with every change; what was parsed under an older generation is never used.
 * - In parallel mode no variable can be defined, so values are compared instead. */
#include "pg/prelude.h"

#include "auth/identity.h"
#include "pg/module.h"

extern "C" {
#include "access/parallel.h"
}

namespace {

enum Slot { kClaims, kClaim, kSub, kRole, kEmail, kSlots };

struct Variable {
	const char *name;
	bool bound;     /* defined by us: `value` is the variable's storage and the assign hook fires */
	char *value;    /* bound: owned by guc.c; else: our copy of the placeholder's text, or NULL */
};

Variable variables[kSlots] = {
	{"request.jwt.claims", false, nullptr},
	{"request.jwt.claim", false, nullptr},
	{"request.jwt.claim.sub", false, nullptr},
	{"request.jwt.claim.role", false, nullptr},
	{"request.jwt.claim.email", false, nullptr},
};

enum class State { kUnknown, kNone, kKnown };

/* What was parsed of the variables, all of it in `context`. */
struct Identity {
	MemoryContext context;
	uint64 generation;
	State uid_state, role_state, email_state, claims_state, jwt_state;
	pg_uuid_t uid;
	char *role;
	char *email;
	Jsonb *claims;   /* of request.jwt.claims */
	Jsonb *jwt;      /* what auth.jwt() gives: request.jwt.claim first */
};

uint64 generation = 1;
Identity identity;
int seen_guc_count = -2;
int unbound = kSlots;

void
assign_claims(const char *newval, void *extra)
{
	(void) newval;
	(void) extra;
	generation++;
}

void
define_variable(Variable *variable)
{
	if (variable->value)
		pfree(variable->value);
	variable->value = nullptr;
	variable->bound = true;
	DefineCustomStringVariable(variable->name,
							   "Claims of the user on whose behalf this transaction runs.",
							   "Set per request, as PostgREST does: set_config(name, claims, true).",
							   &variable->value, nullptr, PGC_USERSET, GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE,
							   nullptr, assign_claims, nullptr);
	generation++;
	unbound--;
}

/* Takes over variables that were set since the last look. */
void
look_for_new_variables(void)
{
	bool parallel = IsInParallelMode();

	for (Variable &variable : variables) {
		if (variable.bound)
			continue;
		const char *text = GetConfigOption(variable.name, true, false);
		if (text == nullptr)
			continue;
		if (!parallel)
			define_variable(&variable);
		else if (variable.value == nullptr || strcmp(variable.value, text) != 0) {
			char *copy = MemoryContextStrdup(TopMemoryContext, text);
			if (variable.value)
				pfree(variable.value);
			variable.value = copy;
			generation++;
		}
	}
	/* In parallel mode a set but unbound variable stays to be looked at. */
	seen_guc_count = parallel ? -2 : ms_guc_count();
}

/* Makes `identity` one of the present generation, with everything still to be parsed. */
inline void
refresh(void)
{
	if (unbound > 0) {
		int count = ms_guc_count();
		if (count < 0 || count != seen_guc_count)
			look_for_new_variables();
	}
	if (likely(identity.generation == generation))
		return;

	if (identity.context == nullptr)
		identity.context = AllocSetContextCreate(TopMemoryContext, "mentalspace identity", ALLOCSET_SMALL_SIZES);
	else
		MemoryContextReset(identity.context);
	identity.uid_state = identity.role_state = identity.email_state = State::kUnknown;
	identity.claims_state = identity.jwt_state = State::kUnknown;
	identity.generation = generation;
}

/* The variable's text, NULL where it is unset or empty. */
inline const char *
text_of(Slot slot)
{
	const char *text = variables[slot].value;

	return text && *text ? text : nullptr;
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
		const char *text = text_of(kClaims);

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

/* The legacy variable where it is set, else the claim; kept in the identity. */
const char *
kept_claim(Slot legacy, const char *key, State *state, char **kept)
{
	refresh();
	if (*state == State::kUnknown) {
		const char *text = text_of(legacy);

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
		const char *text = text_of(kSub);

		if (text == nullptr)
			text = claim_text("sub");
		if (text != nullptr)
			identity.uid = *DatumGetUUIDP(DirectFunctionCall1(uuid_in, CStringGetDatum(text)));
		identity.uid_state = text ? State::kKnown : State::kNone;
	}
	*uid = identity.uid;
	return identity.uid_state == State::kKnown;
}

const char *
ms_identity_role(void)
{
	return kept_claim(kRole, "role", &identity.role_state, &identity.role);
}

const char *
ms_identity_email(void)
{
	return kept_claim(kEmail, "email", &identity.email_state, &identity.email);
}

Jsonb *
ms_identity_claims(void)
{
	refresh();
	if (identity.jwt_state == State::kUnknown) {
		const char *text = text_of(kClaim);

		identity.jwt = text ? parse_jsonb(text) : claims_of_request();
		identity.jwt_state = State::kKnown;
	}
	return identity.jwt;
}

void
ms_identity_init(void)
{
	/* Nothing to define: variables are taken over when they are first set. */
}
