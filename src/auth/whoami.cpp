/* mentalspace.whoami(): who the session and its identity are, in words why auth.uid() is NULL, and how reads are audited. */
#include "pg/prelude.h"

#include "audit/outlet.h"
#include "audit/relations.h"
#include "audit/settings.h"
#include "auth/identity.h"
#include "auth/lock.h"
#include "auth/replaced.h"
#include "auth/settings.h"
#include "auth/variables.h"
#include "auth/verified.h"

extern "C" {
#include "access/xlog.h"
#include "utils/timestamp.h"
}

namespace {

enum Column {
	kSessionUser, kCurrentUser, kSource, kUid, kRole, kEmail, kAal, kSessionId, kIssuer, kExpiresAt, kProblem, kAudit,
	kColumns
};

struct Row {
	Datum values[kColumns];
	bool nulls[kColumns];
};

void
set_text(Row *row, int column, const char *text)
{
	row->nulls[column] = text == nullptr;
	if (text)
		row->values[column] = CStringGetTextDatum(text);
}

void
set_uid(Row *row, const pg_uuid_t *uid)
{
	pg_uuid_t *copy = (pg_uuid_t *) palloc(sizeof(pg_uuid_t));

	*copy = *uid;
	row->values[kUid] = UUIDPGetDatum(copy);
	row->nulls[kUid] = false;
}

char *
field_of(Jsonb *claims, const char *key)
{
	LOCAL_FCINFO(call, 2);

	InitFunctionCallInfoData(*call, nullptr, 2, InvalidOid, nullptr, nullptr);
	call->args[0].value = JsonbPGetDatum(claims);
	call->args[0].isnull = false;
	call->args[1].value = PointerGetDatum(cstring_to_text(key));
	call->args[1].isnull = false;
	Datum result = jsonb_object_field_text(call);
	return call->isnull ? nullptr : text_to_cstring(DatumGetTextPP(result));
}

const char *
problem_of_verified(Row *row)
{
	const VerifiedIdentity *who = ms_identity_verified();

	if (who == nullptr) {
		if (ms_verified_expired())
			return "the token of the session expired";
		return "nobody is logged in: mentalspace.login() was not called in this transaction";
	}
	set_text(row, kSource, "verified");
	set_text(row, kRole, who->role);
	set_text(row, kEmail, who->email);
	set_text(row, kAal, who->aal);
	set_text(row, kSessionId, who->session_id);
	set_text(row, kIssuer, who->issuer);
	if (who->expires_at != DT_NOEND) {
		row->values[kExpiresAt] = TimestampTzGetDatum(who->expires_at);
		row->nulls[kExpiresAt] = false;
	}
	if (!who->has_uid)
		return "the token is an API key: it has no sub, and belongs to no user";
	set_uid(row, &who->uid);
	return nullptr;
}

/* Whether `read` ran without an error over the data that it read.  Parsing takes no locks and opens nothing, so that what
 * it raised can be let go without a subtransaction. */
bool
reads_without_error(void (*read)(Row *row), Row *row)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool failed = false;

	PG_TRY();
	{
		read(row);
	}
	PG_CATCH();
	{
		if (ERRCODE_TO_CATEGORY(geterrcode()) != ERRCODE_DATA_EXCEPTION)
			PG_RE_THROW();
		MemoryContextSwitchTo(context);
		FlushErrorState();
		failed = true;
	}
	PG_END_TRY();
	return !failed;
}

void
read_claims(Row *row)
{
	Jsonb *claims = ms_identity_claims();

	set_text(row, kRole, ms_identity_role());
	set_text(row, kEmail, ms_identity_email());
	if (claims == nullptr)
		return;
	set_text(row, kAal, field_of(claims, "aal"));
	set_text(row, kSessionId, field_of(claims, "session_id"));
	set_text(row, kIssuer, field_of(claims, "iss"));

	char *exp = field_of(claims, "exp"), *end;
	double seconds = exp ? strtod(exp, &end) : 0;
	if (exp && *end == '\0' && seconds > 0 && seconds < 253402300800.0) {
		row->values[kExpiresAt] = TimestampTzGetDatum(
			((TimestampTz) seconds - ((POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * (int64) SECS_PER_DAY)) * USECS_PER_SEC);
		row->nulls[kExpiresAt] = false;
	}
}

void
read_uid(Row *row)
{
	pg_uuid_t uid;

	if (ms_identity_uid(&uid))
		set_uid(row, &uid);
}

const char *
problem_of_guc(Row *row)
{
	bool set = false;

	for (int slot = 0; slot < kReadSlots; slot++)
		set = set || ms_variable_text((ClaimsSlot) slot) != nullptr;
	if (!set) {
		if (!ms_variables_were_used())
			return "no claims are set: request.jwt.claims was not set in this session";
		if (!IsTransactionBlock())
			return "no claims are set: outside a transaction block, what SET LOCAL or set_config(..., true) sets ends with "
				   "the statement";
		return "no claims are set in this transaction; those of an earlier one ended with it";
	}
	set_text(row, kSource, "guc");
	if (!reads_without_error(read_claims, row))
		return "the claims are not valid JSON";
	if (!reads_without_error(read_uid, row))
		return "sub is not a uuid";

	bool expired = !row->nulls[kExpiresAt] && DatumGetTimestampTz(row->values[kExpiresAt]) < GetCurrentTimestamp();
	if (!row->nulls[kUid])
		return expired ? "the token expired; claims that are set as variables are believed all the same" : nullptr;
	Jsonb *claims = ms_identity_claims();
	if (claims && !JB_ROOT_IS_OBJECT(claims))
		return "the claims are not a JSON object";
	return expired ? "the claims have no sub, and the token expired" : "the claims have no sub";
}

/* How reads of this session are audited. */
const char *
audit_of_reads(void)
{
	if (!audit_enabled)
		return "off: mentalspace.audit_enabled is off";
	if (!ms_audit_any())
		return "off: no table is declared with mentalspace.audit_table()";
	switch (ms_audit_outlet()) {
		case kOutletRing:
			return "durable";
		case kOutletSpool:
			return "durable: in a spool file, which the primary takes over";
		case kOutletLog:
			break;
	}
	if (RecoveryInProgress() && audit_standby == kStandbyLog)
		return "server log: mentalspace.audit_standby is log";
	return "server log: mentalspace is not in shared_preload_libraries";
}

}  // namespace

/* mentalspace.whoami() returns one row; never raises for what the claims hold. */
MS_FUNCTION(ms_whoami)
{
	TupleDesc descriptor;
	Row row;
	const char *problem;

	if (get_call_result_type(fcinfo, nullptr, &descriptor) != TYPEFUNC_COMPOSITE || descriptor->natts != kColumns)
		elog(ERROR, "mentalspace.whoami() has another result type than this version of the library");
	descriptor = BlessTupleDesc(descriptor);
	memset(row.nulls, true, sizeof(row.nulls));
	set_text(&row, kSessionUser, GetUserNameFromId(GetSessionUserId(), false));
	set_text(&row, kCurrentUser, GetUserNameFromId(GetUserId(), false));
	set_text(&row, kSource, "none");

	/* Brings the identity up to date. */
	(void) ms_identity_verified();
	if (auth_claims_source == kClaimsVerified || (ms_verified_serial() != 0 && !ms_variables_override_login()))
		problem = problem_of_verified(&row);
	else
		problem = problem_of_guc(&row);
	/* Said first: it may be why the functions say something else than this row. */
	if (const char *replaced = ms_replaced_functions())
		problem = psprintf("replaced: %s%s%s", replaced, problem ? "; " : "", problem ? problem : "");
	if (const char *missing = ms_listed_names("missing_auth_settings", "mentalspace.%s"))
		problem = psprintf("missing in the database, and in force nevertheless: %s%s%s", missing, problem ? "; " : "",
						   problem ? problem : "");
	set_text(&row, kProblem, problem);
	set_text(&row, kAudit, audit_of_reads());
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(descriptor, row.values, row.nulls)));
}
