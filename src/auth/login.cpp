/* mentalspace.login(), logout(), verify_jwt(), jws_verify() and the reading of keys. */
#include "pg/prelude.h"

#include "audit/sessions.h"
#include "auth/keys.h"
#include "auth/lock.h"
#include "auth/session.h"
#include "auth/settings.h"
#include "auth/sync.h"
#include "auth/tokens.h"
#include "auth/variables.h"
#include "auth/verified.h"
#include "core/jws.h"
#include "pg/boundary.h"
#include "pg/json_reader.h"

extern "C" {
#include "access/parallel.h"
#include "utils/acl.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"
#include "utils/varlena.h"
}

using namespace mentalspace;

namespace {

MemoryContext roles_context;
List *allowed_roles;
uint64 allowed_roles_generation;

bool
is_allowed_role(const char *role)
{
	if (unlikely(allowed_roles_generation != auth_settings_generation)) {
		List *names;

		if (roles_context == nullptr)
			roles_context = AllocSetContextCreate(TopMemoryContext, "mentalspace allowed roles", ALLOCSET_SMALL_SIZES);
		allowed_roles_generation = 0;
		allowed_roles = NIL;
		MemoryContextReset(roles_context);
		MemoryContext old = MemoryContextSwitchTo(roles_context);
		bool understood = SplitIdentifierString(pstrdup(auth_allowed_roles), ',', &names);
		MemoryContextSwitchTo(old);
		if (!understood)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("invalid value for parameter \"%s\"", "mentalspace.auth_allowed_roles"),
					 errdetail("It is no list of role names separated by commas.")));
		allowed_roles = names;
		allowed_roles_generation = auth_settings_generation;
	}
	ListCell *cell;
	foreach (cell, allowed_roles)
		if (strcmp((const char *) lfirst(cell), role) == 0)
			return true;
	return false;
}

void
check_role_of(const VerifiedIdentity *who)
{
	if (who->role == nullptr || !is_allowed_role(who->role))
		ms_refuse_token("role not allowed", "mentalspace.auth_allowed_roles does not list the role that the token names");
	Oid role = get_role_oid(who->role, true);
	if (!OidIsValid(role) || !ms_can_become_role(GetSessionUserId(), role))
		ms_refuse_token("role not allowed", "the session's login role is not a member of the role that the token names");
}

text *
token_argument(FunctionCallInfo fcinfo)
{
	/* Not a strict function: nobody shall take the NULL that it would return for a login. */
	if (PG_ARGISNULL(0))
		ms_refuse_token("malformed", "the token is NULL");
	return PG_GETARG_TEXT_PP(0);
}

/* 22023 for anything but transaction and session. */
bool
is_session_scope(text *scope)
{
	char *name = text_to_cstring(scope);

	if (strcmp(name, "session") == 0)
		return true;
	if (strcmp(name, "transaction") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("scope must be \"transaction\" or \"session\"")));
	return false;
}

}  // namespace

/* mentalspace.login(token, scope) returns uuid: verifies the token and takes on its identity and role.
 *
 * Everything that may fail comes before anything changes; what fails later takes the (sub)transaction, and with it the
 * changes, along. */
MS_FUNCTION(ms_login)
{
	text *token = token_argument(fcinfo);
	bool session = PG_NARGS() > 1 && is_session_scope(PG_ARGISNULL(1) ? cstring_to_text("") : PG_GETARG_TEXT_PP(1));

	ms_lock_check_place("login()");
	if (IsInParallelMode())
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_STATE), errmsg("login() cannot run during a parallel operation")));
	if (session && AuthLockInForce() == kLockAlways)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("login() for the session is not allowed while mentalspace.auth_lock is \"always\""),
				 errdetail("In a pool, it would log in whoever uses the connection next."),
				 errhint("Log in for each transaction, or set the lock to \"transaction\" for a client that owns its connection.")));
	VerifiedIdentity *who = ms_accept_token(token);
	check_role_of(who);
	ms_session_enter();

	/* The memory of tokens may let go of it while project code runs. */
	ms_verified_hold(who);
	PG_TRY();
	{
		ms_sync_user(who);
		ms_variables_define();
		ms_lock_switch_role(who->role, !session);
		if (session && ms_verified_is_session())
			ms_token_logged_out(ms_verified_identity());
		ms_verified_establish(who, session);
		if (ms_token_logs_in_first(who) || session)
			ms_audit_session_login(session);
	}
	PG_FINALLY();
	{
		ms_verified_release(who);
	}
	PG_END_TRY();

	if (!session && !IsTransactionBlock())
		ereport(WARNING,
				(errcode(ERRCODE_NO_ACTIVE_SQL_TRANSACTION),
				 errmsg("login() outside a transaction block ends with the statement")));
	if (!who->has_uid)
		PG_RETURN_NULL();
	pg_uuid_t *uid = (pg_uuid_t *) palloc(sizeof(pg_uuid_t));
	*uid = who->uid;
	PG_RETURN_UUID_P(uid);
}

/* mentalspace.logout(): ends the identity and goes back to the login role. */
MS_FUNCTION(ms_logout)
{
	(void) fcinfo;
	ms_lock_check_place("logout()");
	if (ms_verified_serial() == 0)
		PG_RETURN_VOID();
	if (ms_lock_holds() && (!ms_verified_is_session() || IsTransactionBlock()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("role and claims are locked"),
				 errhint("They stay until the transaction ends.")));
	ms_token_logged_out(ms_verified_identity());
	ms_audit_session_logout();
	/* Of the session too, where both are logged in: a SET LOCAL would bring its role back. */
	ms_lock_switch_role("none", !ms_verified_has_session());
	ms_verified_end();
	PG_RETURN_VOID();
}

/* mentalspace.verify_jwt(token) returns jsonb: the claims of a token that passes every check. */
MS_FUNCTION(ms_verify_jwt)
{
	Jsonb *claims = ms_accept_token(token_argument(fcinfo))->claims;
	Jsonb *copy = (Jsonb *) palloc(VARSIZE(claims));

	memcpy(copy, claims, VARSIZE(claims));
	PG_RETURN_JSONB_P(copy);
}

/* mentalspace.jws_verify(token, jwk) returns bytea: the payload of a JWS whose signature is the key's. */
MS_FUNCTION(ms_jws_verify)
{
	text *token = PG_GETARG_TEXT_PP(0);
	char *jwk = DatumGetCString(DirectFunctionCall1(jsonb_out, PG_GETARG_DATUM(1)));
	std::string_view bytes(VARDATA_ANY(token), VARSIZE_ANY_EXHDR(token));
	std::string *payload = nullptr;
	Status status;
	Failure failure;

	bool done = Guarded(&failure, [&]() {
		mentalspace::Result<Jwk> key = ParseJwk(jwk, ReadJson);

		if (!key.ok()) {
			status = key.status();
			return;
		}
		mentalspace::Result<std::string> result = VerifyJws(bytes, key.value(), auth_max_token_bytes, ReadJson);
		if (!result.ok()) {
			status = result.status();
			return;
		}
		payload = new std::string(std::move(result).value());
	});
	if (!done)
		raise_failure(&failure);
	if (status.error() == ErrorClass::kInvalidKey)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid key"), errdetail("The reason is: %s.", status.detail())));
	if (!status.ok())
		ms_refuse_signature(ErrorClassName(status.error()), status.detail());

	bytea *result = (bytea *) palloc_extended(VARHDRSZ + payload->size(), MCXT_ALLOC_NO_OOM);
	if (result) {
		SET_VARSIZE(result, VARHDRSZ + payload->size());
		memcpy(VARDATA(result), payload->data(), payload->size());
	}
	delete payload;
	if (result == nullptr)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	PG_RETURN_BYTEA_P(result);
}

/* mentalspace.check_jwks(jwks jsonb) returns int: how many keys of a set can verify tokens; 22023 where anything in it is
 * wrong. */
MS_FUNCTION(ms_check_jwks)
{
	char *jwks = DatumGetCString(DirectFunctionCall1(jsonb_out, PG_GETARG_DATUM(0)));
	Status status;
	Failure failure;
	int count = 0;

	bool done = Guarded(&failure, [&]() {
		KeySetBuilder builder;
		mentalspace::Result<int> added = builder.AddJwks(std::nullopt, jwks, ReadJson);

		if (added.ok())
			count = added.value();
		else
			status = added.status();
	});
	if (!done)
		raise_failure(&failure);
	if (!status.ok())
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid key set"),
				 status.index() >= 0 ? errdetail("The reason is, at key number %d: %s.", status.index() + 1, status.detail()) :
				 errdetail("The reason is: %s.", status.detail()),
				 errhidestmt(true)));
	PG_RETURN_INT32(count);
}

/* mentalspace.jwk_algorithm(jwk jsonb) returns text: the one algorithm that a key verifies, NULL where it verifies none. */
MS_FUNCTION(ms_jwk_algorithm)
{
	char *jwk = DatumGetCString(DirectFunctionCall1(jsonb_out, PG_GETARG_DATUM(0)));
	const char *name = nullptr;
	Failure failure;

	bool done = Guarded(&failure, [&]() {
		mentalspace::Result<Jwk> key = ParseJwk(jwk, ReadJson);

		if (key.ok())
			name = AlgorithmName(key.value().key.algorithm());
	});
	if (!done)
		raise_failure(&failure);
	if (name == nullptr)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(name));
}
