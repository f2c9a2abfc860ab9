/* The claims variables.
 *
 * What always holds:
 * - Where the claims source is guc, a variable becomes ours only once somebody has set it or logged in.  Until then
 *   current_setting(name, true) is NULL, as on Supabase; a variable that a module defines would read as '' and break
 *   `current_setting(...)::json`.  Where the source is verified or the lock `always`, all are ours from the start, so that
 *   setting one can be refused.
 * - Each value remembers the serial number of the login under which it was set by hand.
 * - A verified identity is shown by show hooks; it is never copied into a variable.
 * - In parallel mode no variable can be defined, so values are compared instead. */
#include "pg/prelude.h"

#include "auth/lock.h"
#include "auth/settings.h"
#include "auth/variables.h"
#include "auth/verified.h"

extern "C" {
#include "access/parallel.h"
}

uint64 auth_claims_generation = 1;

namespace {

struct Variable {
	const char *name;
	const char *claim;  /* that it mirrors; NULL: all of them */
	bool bound;         /* defined by us: `value` is the variable's storage and the assign hook fires */
	char *value;        /* bound: owned by guc.c; else: our copy of the placeholder's text, or NULL */
	uint64 serial;      /* of the login in force when the value was set by hand */
};

Variable variables[] = {
	{"request.jwt.claims", nullptr, false, nullptr, 0},
	{"request.jwt.claim", nullptr, false, nullptr, 0},
	{"request.jwt.claim.sub", "sub", false, nullptr, 0},
	{"request.jwt.claim.role", "role", false, nullptr, 0},
	{"request.jwt.claim.email", "email", false, nullptr, 0},
	{"request.jwt.claim.aal", "aal", false, nullptr, 0},
	{"request.jwt.claim.app_metadata", "app_metadata", false, nullptr, 0},
	{"request.jwt.claim.aud", "aud", false, nullptr, 0},
	{"request.jwt.claim.exp", "exp", false, nullptr, 0},
	{"request.jwt.claim.iat", "iat", false, nullptr, 0},
	{"request.jwt.claim.is_anonymous", "is_anonymous", false, nullptr, 0},
	{"request.jwt.claim.iss", "iss", false, nullptr, 0},
	{"request.jwt.claim.phone", "phone", false, nullptr, 0},
	{"request.jwt.claim.session_id", "session_id", false, nullptr, 0},
	{"request.jwt.claim.user_metadata", "user_metadata", false, nullptr, 0},
};
constexpr int kSlots = lengthof(variables);

int seen_guc_count = -2;
int unbound = kReadSlots;     /* of those that are read */
bool all_bound = false;
bool initialised = false;
bool definition_due = false;

bool
check_claims(char **newval, void **extra, GucSource source)
{
	(void) newval;
	if (source <= PGC_S_DYNAMIC_DEFAULT || InitializingParallelWorker)
		return true;
	if (auth_claims_source == kClaimsVerified || ms_lock_holds()) {
		GUC_check_errcode(ERRCODE_INSUFFICIENT_PRIVILEGE);
		GUC_check_errmsg("claims cannot be set by hand");
		GUC_check_errhint("Claims come from mentalspace.login() alone.");
		return false;
	}
	uint64 serial = ms_verified_serial();
	if (serial != 0) {
		uint64 *kept = (uint64 *) ms_guc_alloc(sizeof(uint64));

		if (kept == nullptr)
			return false;
		*kept = serial;
		*extra = kept;
	}
	return true;
}

template <int slot>
void
assign_claims(const char *newval, void *extra)
{
	(void) newval;
	variables[slot].serial = extra ? *(uint64 *) extra : 0;
	auth_claims_generation++;
}

/* What a variable shows of the verified identity. */
const char *
mirror(const Variable *variable)
{
	const VerifiedIdentity *who = ms_verified_identity();

	if (who == nullptr)
		return "";
	if (variable->claim == nullptr)
		return who->text;

	LOCAL_FCINFO(call, 2);
	InitFunctionCallInfoData(*call, nullptr, 2, InvalidOid, nullptr, nullptr);
	call->args[0].value = JsonbPGetDatum(who->claims);
	call->args[0].isnull = false;
	call->args[1].value = PointerGetDatum(cstring_to_text(variable->claim));
	call->args[1].isnull = false;
	Datum result = jsonb_object_field_text(call);
	return call->isnull ? "" : text_to_cstring(DatumGetTextPP(result));
}

const char *
text_that_counts(const Variable *variable)
{
	uint64 serial = ms_verified_serial();

	if (auth_claims_source == kClaimsVerified || (serial != 0 && variable->serial != serial))
		return nullptr;
	return variable->value && *variable->value ? variable->value : nullptr;
}

template <int slot>
const char *
show_claims(void)
{
	const Variable *variable = &variables[slot];

	(void) ms_verified_expired();
	if (auth_claims_source == kClaimsVerified || (ms_verified_serial() != 0 && !ms_variables_override_login()))
		return mirror(variable);
	const char *text = text_that_counts(variable);
	return text ? text : "";
}

/* To be called before a placeholder becomes a variable of ours.  guc.c then sets its stacked values again, from the bottom
 * up, but ignores one whose source ranks below that of the value under it: after SET LOCAL x TO DEFAULT the session's
 * claims would be back.  So what lies on another value counts as set by the session. */
void
rank_stacked_values(const char *name)
{
	struct config_generic *placeholder = ms_find_guc(name);

	if (placeholder == nullptr || placeholder->stack == nullptr || placeholder->vartype != PGC_STRING)
		return;
	if (placeholder->source < PGC_S_SESSION) {
		const char *text = *((struct config_string *) placeholder)->variable;

		(void) set_config_option(name, text ? text : "", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
	}
	for (GucStack *entry = placeholder->stack; entry->prev; entry = entry->prev)
		if (entry->source < PGC_S_SESSION)
			entry->source = PGC_S_SESSION;
}

template <int slot>
void
define_slot(void)
{
	Variable *variable = &variables[slot];

	if (variable->bound)
		return;
	rank_stacked_values(variable->name);
	if (variable->value)
		pfree(variable->value);
	variable->value = nullptr;
	variable->bound = true;
	DefineCustomStringVariable(variable->name,
							   "Claims of the user on whose behalf this transaction runs.",
							   "Set per request, as PostgREST does: set_config(name, claims, true); after mentalspace.login() "
							   "the claims of its token.",
							   &variable->value, nullptr, PGC_USERSET, GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE,
							   check_claims, assign_claims<slot>, show_claims<slot>);
	auth_claims_generation++;
	if (slot < kReadSlots)
		unbound--;
}

template <int slot>
void
define_from(void)
{
	define_slot<slot>();
	if constexpr (slot + 1 < kSlots)
		define_from<slot + 1>();
}

void
define_read_slot(int slot)
{
	switch (slot) {
		case kClaims: define_slot<kClaims>(); break;
		case kClaim: define_slot<kClaim>(); break;
		case kSub: define_slot<kSub>(); break;
		case kRole: define_slot<kRole>(); break;
		case kEmail: define_slot<kEmail>(); break;
	}
}

}  // namespace

void
ms_variables_look(void)
{
	if (likely(unbound == 0))
		return;
	int count = ms_guc_count();
	if (count >= 0 && count == seen_guc_count)
		return;

	bool parallel = IsInParallelMode();

	for (int slot = 0; slot < kReadSlots; slot++) {
		Variable *variable = &variables[slot];

		if (variable->bound)
			continue;
		/* Not GetConfigOption(), which does not tell a placeholder without a value, as RESET and rollbacks leave it, from
		 * none at all: its next value would go unseen, since the count does not change. */
		char *text = GetConfigOptionByName(variable->name, nullptr, true);
		if (text == nullptr)
			continue;
		if (!parallel)
			define_read_slot(slot);
		else if (variable->value == nullptr || strcmp(variable->value, text) != 0) {
			char *copy = MemoryContextStrdup(TopMemoryContext, text);
			if (variable->value)
				pfree(variable->value);
			variable->value = copy;
			auth_claims_generation++;
		}
		pfree(text);
	}
	/* In parallel mode a set but unbound variable stays to be looked at. */
	seen_guc_count = parallel ? -2 : ms_guc_count();
}

const char *
ms_variable_text(ClaimsSlot slot)
{
	return text_that_counts(&variables[slot]);
}

bool
ms_variables_override_login(void)
{
	if (auth_claims_source == kClaimsVerified)
		return false;
	uint64 serial = ms_verified_serial();
	for (int slot = 0; slot < kReadSlots; slot++)
		if (variables[slot].serial == serial)
			return true;
	return false;
}

bool
ms_variables_were_used(void)
{
	ms_variables_look();
	return unbound < kReadSlots;
}

void
ms_variables_define(void)
{
	if (likely(all_bound))
		return;
	define_from<0>();
	all_bound = true;
	definition_due = false;
}

void
ms_variables_settings_changed(bool refuse)
{
	auth_claims_generation++;
	if (!refuse || !initialised || all_bound)
		return;
	/* Not while configuration variables are being rolled back or a file of them is being read. */
	if (IsTransactionState() && !IsInParallelMode())
		ms_variables_define();
	else
		definition_due = true;
}

void
ms_variables_catch_up(void)
{
	/* A library that is loaded may remove placeholders: the same count need not mean the same variables. */
	seen_guc_count = -2;
	if (unlikely(definition_due) && !IsInParallelMode())
		ms_variables_define();
}

void
ms_variables_init(void)
{
	initialised = true;
	if (auth_claims_source == kClaimsVerified || auth_lock_setting == kLockAlways)
		ms_variables_define();
}
