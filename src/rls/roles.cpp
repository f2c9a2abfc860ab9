/* mentalspace.has_role() and its siblings: a user's roles, read once per snapshot.
 *
 * The roles come from mentalspace.roles_of(uuid), an SQL function.  They are kept as results of functions are
 * (function_cache.h): only for a snapshot with the very contents of the one that they were read under, only while the
 * transaction has written nothing, for the same claims, and until anything is redefined. */
#include "pg/prelude.h"

#include "auth/identity.h"
#include "rls/function_cache.h"
#include "rls/items.h"

extern "C" {
#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/uuid.h"
}

/* What a call site looks up once. */
struct RolesCall {
	FmgrInfo roles_of;
	FmgrInfo role_source;
};

struct KeptRoles {
	pg_uuid_t user;
	uint64 identity;
	ArrayType *roles;        /* text[] */
};

static const int kKeptUsers = 16;

static MemoryContext kept_context = nullptr;
static KeptRoles kept[kKeptUsers];
static int kept_count = 0;
static uint64 kept_definitions = 0;
static RlsSnapshotMark kept_mark;

/* A function of the extension's schema; raises 42883 where it is gone. */
static Oid
own_function(Oid schema, const char *name, Oid *types, int count)
{
	Oid function = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, CStringGetDatum(name),
								   PointerGetDatum(buildoidvector(types, count)), ObjectIdGetDatum(schema));

	if (!OidIsValid(function))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_FUNCTION), errmsg("function mentalspace.%s does not exist", name)));
	return function;
}

static RolesCall *
roles_call(FunctionCallInfo fcinfo)
{
	FmgrInfo *info = fcinfo->flinfo;

	if (info->fn_extra == nullptr) {
		RolesCall *call = (RolesCall *) MemoryContextAllocZero(info->fn_mcxt, sizeof(RolesCall));
		Oid schema = get_func_namespace(info->fn_oid);
		Oid uuid = UUIDOID;

		fmgr_info_cxt(own_function(schema, "roles_of", &uuid, 1), &call->roles_of, info->fn_mcxt);
		fmgr_info_cxt(own_function(schema, "role_source", nullptr, 0), &call->role_source, info->fn_mcxt);
		info->fn_extra = call;
	}
	return (RolesCall *) info->fn_extra;
}

/* Whether snapshots tell of every change of what the roles are read from: a plain table, without policies for its reader
 * (those may ask for anything), or no table. */
static bool
is_told_by_snapshots(RolesCall *call)
{
	LOCAL_FCINFO(fcinfo, 0);
	HeapTuple tuple;

	InitFunctionCallInfoData(*fcinfo, &call->role_source, 0, InvalidOid, nullptr, nullptr);
	Oid source = DatumGetObjectId(FunctionCallInvoke(fcinfo));
	if (fcinfo->isnull)
		return true;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(call->roles_of.fn_oid));
	if (!HeapTupleIsValid(tuple))
		return false;
	Oid reader = ((Form_pg_proc) GETSTRUCT(tuple))->proowner;
	ReleaseSysCache(tuple);
	return get_rel_relkind(source) == RELKIND_RELATION && !has_subclass(source) &&
		check_enable_rls(source, reader, true) != RLS_ENABLED;
}

/* The roles of a user, text[]: valid until the next call. */
static ArrayType *
roles_of(FunctionCallInfo fcinfo, const pg_uuid_t *user)
{
	bool may_keep = !TransactionIdIsValid(GetTopTransactionIdIfAny()) && !IsolationIsSerializable() && ActiveSnapshotSet() &&
		GetActiveSnapshot()->snapshot_type == SNAPSHOT_MVCC;
	uint64 identity = ms_identity_generation();
	uint64 definitions = rls_definitions();

	if (may_keep && kept_count > 0) {
		if (kept_definitions != definitions || !rls_snapshot_shows_the_same(&kept_mark, GetActiveSnapshot()))
			kept_count = 0;
		for (int i = 0; i < kept_count; i++)
			if (kept[i].identity == identity && memcmp(&kept[i].user, user, sizeof(pg_uuid_t)) == 0)
				return kept[i].roles;
	}

	RolesCall *call = roles_call(fcinfo);
	ArrayType *roles = DatumGetArrayTypeP(FunctionCall1(&call->roles_of, UUIDPGetDatum(user)));

	if (!may_keep || !is_told_by_snapshots(call) || definitions != rls_definitions() ||
		identity != ms_identity_generation() || TransactionIdIsValid(GetTopTransactionIdIfAny()))
		return roles;
	if (kept_context == nullptr)
		kept_context = AllocSetContextCreate(TopMemoryContext, "mentalspace roles", ALLOCSET_SMALL_SIZES);
	if (kept_count == kKeptUsers || kept_count == 0 || kept_definitions != definitions ||
		!rls_snapshot_shows_the_same(&kept_mark, GetActiveSnapshot())) {
		kept_count = 0;
		MemoryContextReset(kept_context);
		rls_mark_snapshot(&kept_mark, GetActiveSnapshot());
		kept_definitions = definitions;
	}
	KeptRoles *entry = &kept[kept_count];
	entry->user = *user;
	entry->identity = identity;
	entry->roles = (ArrayType *) MemoryContextAlloc(kept_context, VARSIZE(roles));
	memcpy(entry->roles, roles, VARSIZE(roles));
	kept_count++;
	return entry->roles;
}

/* Whether one of `wanted` is among the user's roles. */
static bool
has_one_of(FunctionCallInfo fcinfo, const pg_uuid_t *user, Datum *wanted, const bool *nulls, int count)
{
	Datum *roles;
	bool *role_nulls;
	int role_count;

	deconstruct_array(roles_of(fcinfo, user), TEXTOID, -1, false, TYPALIGN_INT, &roles, &role_nulls, &role_count);
	for (int i = 0; i < count; i++) {
		if (nulls[i])
			continue;
		text *one = DatumGetTextPP(wanted[i]);

		for (int j = 0; j < role_count; j++) {
			if (role_nulls[j])
				continue;
			text *role = DatumGetTextPP(roles[j]);

			if (VARSIZE_ANY_EXHDR(one) == VARSIZE_ANY_EXHDR(role) &&
				memcmp(VARDATA_ANY(one), VARDATA_ANY(role), VARSIZE_ANY_EXHDR(one)) == 0)
				return true;
		}
	}
	return false;
}

/* mentalspace.has_role(user_id uuid, role text) returns boolean; false for NULL. */
MS_FUNCTION(ms_has_role)
{
	static const bool kNotNull = false;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_BOOL(false);
	Datum wanted = PG_GETARG_DATUM(1);
	PG_RETURN_BOOL(has_one_of(fcinfo, PG_GETARG_UUID_P(0), &wanted, &kNotNull, 1));
}

/* mentalspace.has_role(role text) returns boolean, of the signed-in user; false where nobody is. */
MS_FUNCTION(ms_has_my_role)
{
	static const bool kNotNull = false;
	pg_uuid_t user;

	if (!ms_identity_uid(&user) || PG_ARGISNULL(0))
		PG_RETURN_BOOL(false);
	Datum wanted = PG_GETARG_DATUM(0);
	PG_RETURN_BOOL(has_one_of(fcinfo, &user, &wanted, &kNotNull, 1));
}

/* mentalspace.has_any_role(roles text[]) returns boolean, of the signed-in user. */
MS_FUNCTION(ms_has_any_role)
{
	pg_uuid_t user;
	Datum *wanted;
	bool *nulls;
	int count;

	if (!ms_identity_uid(&user) || PG_ARGISNULL(0))
		PG_RETURN_BOOL(false);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), TEXTOID, -1, false, TYPALIGN_INT, &wanted, &nulls, &count);
	PG_RETURN_BOOL(has_one_of(fcinfo, &user, wanted, nulls, count));
}

/* mentalspace.roles() returns text[]: those of the signed-in user. */
MS_FUNCTION(ms_roles)
{
	pg_uuid_t user;

	if (!ms_identity_uid(&user))
		PG_RETURN_ARRAYTYPE_P(construct_empty_array(TEXTOID));
	ArrayType *roles = roles_of(fcinfo, &user);
	ArrayType *copy = (ArrayType *) palloc(VARSIZE(roles));
	memcpy(copy, roles, VARSIZE(roles));
	PG_RETURN_ARRAYTYPE_P(copy);
}
