/* The user's row in auth.users. */
#include "pg/prelude.h"

#include "auth/settings.h"
#include "auth/sync.h"
#include "auth/tokens.h"

extern "C" {
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "parser/parse_func.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
}

namespace {

Oid
owner_of_auth_users(void)
{
	Oid schema = get_namespace_oid("auth", true);
	Oid table = OidIsValid(schema) ? get_relname_relid("users", schema) : InvalidOid;
	HeapTuple tuple = OidIsValid(table) ? SearchSysCache1(RELOID, ObjectIdGetDatum(table)) : nullptr;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("mentalspace.auth_sync_users is on, but table auth.users does not exist"),
				 errhint("Run mentalspace.provision(), or turn the setting off.")));
	Oid owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/* Calls mentalspace.sync_user(claims) as the table's owner: triggers of the project run with the rights of whoever may
 * make them, never with more. */
void
call_sync_user(void *arg)
{
	const VerifiedIdentity *who = (const VerifiedIdentity *) arg;
	Oid types[] = {JSONBOID};
	Oid function = LookupFuncName(list_make2(makeString(pstrdup("mentalspace")), makeString(pstrdup("sync_user"))), 1,
								  types, false);
	Oid saved_user;
	int saved_context;

	GetUserIdAndSecContext(&saved_user, &saved_context);
	SetUserIdAndSecContext(owner_of_auth_users(), saved_context | SECURITY_LOCAL_USERID_CHANGE);
	/* An error's rollback puts the user back. */
	(void) OidFunctionCall1(function, JsonbPGetDatum(who->claims));
	SetUserIdAndSecContext(saved_user, saved_context);
}

}  // namespace

void
ms_sync_user(const VerifiedIdentity *who)
{
	if (!auth_sync_users || !who->has_uid || XactReadOnly || RecoveryInProgress() || ms_token_is_synced(who))
		return;
	ms_verified_without(call_sync_user, (void *) who);
	ms_token_set_synced(who);
}
