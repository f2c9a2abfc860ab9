/* Results of functions that depend on nothing but their arguments, the tables they read, and who asks.
 *
 * has_role(user, role) of a Supabase project is such a function: a STABLE function in SQL over one table.  Its result for
 * the same arguments is the same for as long as the snapshot shows the same rows, and it is kept exactly that long. */
#pragma once

#include "pg/prelude.h"

extern "C" {
#include "utils/snapshot.h"
}

static const int kCachedArgs = 4;

/* A call that may be looked up; filled by rls_cached_call. */
struct RlsCachedCall {
	Oid function;
	uint64 generation;       /* of definitions: a result is kept only if nothing was redefined while it was computed */
	Oid collation;
	int nargs;
	uint32 hash;
	Oid types[kCachedArgs];
	NullableDatum args[kCachedArgs];
};

/* Whether results of this call may be kept: the function is one of those, and this transaction has written nothing. */
bool rls_cached_call(RlsCachedCall *call, FunctionCallInfo fcinfo, Oid function, const Oid *types);

/* The kept result for the active snapshot. */
bool rls_cache_lookup(const RlsCachedCall *call, Datum *value, bool *isnull);

/* Keeps a result that was computed under the active snapshot. */
void rls_cache_store(const RlsCachedCall *call, Oid result_type, Datum value, bool isnull);

/* Moves whenever a function, role, membership, schema or relation may have been redefined. */
uint64 rls_definitions(void);

void rls_init_function_cache(void);
