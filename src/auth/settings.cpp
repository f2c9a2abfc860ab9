/* The configuration variables mentalspace.auth_*. */
#include "pg/prelude.h"

#include "auth/settings.h"
#include "auth/lock.h"
#include "auth/variables.h"

int auth_claims_source = kClaimsFromGuc;
int auth_lock_setting = kLockAuto;
char *auth_issuers = nullptr;
char *auth_audience = nullptr;
int auth_leeway = 30;
int auth_max_token_bytes = 16384;
char *auth_allowed_roles = nullptr;
char *auth_jwks_file = nullptr;
bool auth_sync_users = false;
bool auth_temporary_objects = false;

uint64 auth_settings_generation = 1;

namespace {

const struct config_enum_entry kClaimsSources[] = {
	{"guc", kClaimsFromGuc, false},
	{"verified", kClaimsVerified, false},
	{nullptr, 0, false},
};

const struct config_enum_entry kLocks[] = {
	{"auto", kLockAuto, false},
	{"off", kLockOff, false},
	{"transaction", kLockTransaction, false},
	{"always", kLockAlways, false},
	{nullptr, 0, false},
};

/* While an identity is locked, not even a superuser's SECURITY DEFINER function changes what locks it. */
bool
check_not_locked(GucSource source)
{
	if (source < PGC_S_INTERACTIVE || !ms_identity_locked())
		return true;
	GUC_check_errcode(ERRCODE_INSUFFICIENT_PRIVILEGE);
	GUC_check_errmsg("parameter cannot be changed while the identity of the session is locked");
	return false;
}

bool
check_enum(int *newval, void **extra, GucSource source)
{
	(void) newval;
	(void) extra;
	return check_not_locked(source);
}

bool
check_bool(bool *newval, void **extra, GucSource source)
{
	(void) newval;
	(void) extra;
	return check_not_locked(source);
}

bool
check_roles(char **newval, void **extra, GucSource source)
{
	(void) newval;
	(void) extra;
	return check_not_locked(source);
}

void
assign_claims_source(int newval, void *extra)
{
	(void) extra;
	auth_settings_generation++;
	ms_variables_settings_changed(newval == kClaimsVerified || auth_lock_setting == kLockAlways);
}

void
assign_lock(int newval, void *extra)
{
	(void) extra;
	auth_settings_generation++;
	ms_variables_settings_changed(newval == kLockAlways || auth_claims_source == kClaimsVerified);
}

void
assign_enum(int newval, void *extra)
{
	(void) newval;
	(void) extra;
	auth_settings_generation++;
}

void
assign_string(const char *newval, void *extra)
{
	(void) newval;
	(void) extra;
	auth_settings_generation++;
}

void
assign_bool(bool newval, void *extra)
{
	(void) newval;
	(void) extra;
	auth_settings_generation++;
}

void
define_string(const char *name, const char *short_desc, const char *long_desc, char **variable, const char *boot,
			  int flags, GucStringCheckHook check)
{
	DefineCustomStringVariable(name, short_desc, long_desc, variable, boot, PGC_SUSET, flags, check, assign_string,
							   nullptr);
}

}  // namespace

AuthLock
AuthLockInForce(void)
{
	if (auth_lock_setting != kLockAuto)
		return (AuthLock) auth_lock_setting;
	return auth_claims_source == kClaimsVerified ? kLockTransaction : kLockOff;
}

void
ms_settings_init(void)
{
	DefineCustomEnumVariable("mentalspace.auth_claims_source",
							 "Whom auth.uid() and its siblings believe.",
							 "guc: whoever sets request.jwt.claims, as on Supabase; right where only PostgREST or another "
							 "trusted server connects.  verified: mentalspace.login() alone, which checks the user's token; "
							 "setting a claims variable by hand is then refused.",
							 &auth_claims_source, kClaimsFromGuc, kClaimsSources, PGC_SUSET, 0, check_enum,
							 assign_claims_source, nullptr);
	DefineCustomEnumVariable("mentalspace.auth_lock",
							 "Whether SQL may change role or claims once mentalspace.login() has set them.",
							 "off: as in plain PostgreSQL.  transaction: after login() nothing changes them until the "
							 "transaction ends.  always: the session takes a role or claims through login() and in no other "
							 "way; set this for the login role of an application.  auto: transaction where "
							 "mentalspace.auth_claims_source is verified, else off.",
							 &auth_lock_setting, kLockAuto, kLocks, PGC_SUSET, 0, check_enum, assign_lock, nullptr);
	define_string("mentalspace.auth_issuers", "Issuers (claim iss) whose tokens are accepted.",
				  "Separated by commas; compared exactly.  Empty: every issuer that the keys allow.  Supabase's API keys have "
				  "the issuer supabase, user tokens https://<project>.supabase.co/auth/v1.",
				  &auth_issuers, "", 0, nullptr);
	define_string("mentalspace.auth_audience", "Audience (claim aud) that a user's token must name.",
				  "Supabase's API keys, which belong to no user, have no audience and pass without one.  Empty: not checked.",
				  &auth_audience, "authenticated", 0, nullptr);
	DefineCustomIntVariable("mentalspace.auth_leeway", "How far the clocks of issuer and server may differ.",
							"A token counts as valid this long after exp and before nbf and iat.",
							&auth_leeway, 30, 0, 600, PGC_SUSET, GUC_UNIT_S, nullptr, assign_enum, nullptr);
	DefineCustomIntVariable("mentalspace.auth_max_token_bytes", "Longest token that is looked at.",
							"Longer ones are refused as malformed before anything of them is read.",
							&auth_max_token_bytes, 16384, 256, 262144, PGC_SUSET, GUC_UNIT_BYTE, nullptr, assign_enum,
							nullptr);
	define_string("mentalspace.auth_allowed_roles", "Roles that mentalspace.login() may switch to.",
				  "Separated by commas.  A token whose claim role names another one is refused.  Add service_role only "
				  "where tokens that bypass row-level security may be used on such connections.",
				  &auth_allowed_roles, "anon, authenticated", GUC_LIST_INPUT, check_roles);
	define_string("mentalspace.auth_jwks_file", "File with keys (a JWKS) that tokens are verified with.",
				  "An absolute path on the server, owned by the server's user or root and writable by nobody else.  Its keys "
				  "are added to those of mentalspace.load_jwks(), for every issuer; read again when the configuration is "
				  "reloaded.",
				  &auth_jwks_file, "", GUC_SUPERUSER_ONLY, nullptr);
	DefineCustomBoolVariable("mentalspace.auth_sync_users",
							 "Whether mentalspace.login() keeps the user's row in auth.users up to date.",
							 "Inserted at the first login, so that triggers on auth.users run and foreign keys hold; written "
							 "again only where the token says something new; never on a standby or in a read-only transaction.",
							 &auth_sync_users, false, PGC_SUSET, 0, nullptr, assign_bool, nullptr);
	DefineCustomBoolVariable("mentalspace.auth_temporary_objects",
							 "Whether temporary objects can be made while role and claims are locked.",
							 "Off: they cannot, since a temporary view, table or function stands in for the one that other "
							 "code means.  On, for the login role of an application that needs them: what was made is dropped "
							 "when the transaction ends.",
							 &auth_temporary_objects, false, PGC_SUSET, 0, check_bool, assign_bool, nullptr);
}
