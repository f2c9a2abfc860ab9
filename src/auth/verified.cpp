/* The verified identity: its life through transactions, subtransactions and parallel workers. */
#include "pg/prelude.h"

#include "auth/variables.h"
#include "auth/verified.h"

extern "C" {
#include "access/parallel.h"
}

namespace {

struct Login {
	uint64 serial;          /* 0: nobody is logged in */
	VerifiedIdentity *who;
};

/* As SET and SET LOCAL: what is in force is the transaction's, if there is one, else the session's. */
struct Logins {
	Login session;
	Login transaction;
};

/* What was in force before the subtransaction at `level` changed it. */
struct Saved {
	Saved *outer;
	int level;
	Logins before;
};

Logins logins;
Saved *saved = nullptr;
uint64 last_serial = 0;

/* The variable that carries the identity to parallel workers: "<serial> <session> <claims>".  Its check hook lets
 * nothing in but what this file puts there. */
const char kCarrier[] = "mentalspace.auth_identity";
char *carrier = nullptr;
uint64 carried_serial = 0;
bool publishing = false;
bool adopted = false;
bool expired_seen = false;

inline const Login &
in_force(void)
{
	return logins.transaction.serial ? logins.transaction : logins.session;
}

void
hold(const Logins &some)
{
	if (some.session.who)
		some.session.who->holders++;
	if (some.transaction.who)
		some.transaction.who->holders++;
}

void
release(const Logins &some)
{
	if (some.session.who)
		ms_verified_release(some.session.who);
	if (some.transaction.who)
		ms_verified_release(some.transaction.who);
}

/* The identity changed: nothing that was read under the old one may be used again. */
void
changed(void)
{
	expired_seen = false;
	auth_claims_generation++;
}

/* Remembers, once for each level, what a rollback of the present (sub)transaction has to bring back. */
void
save_for_rollback(void)
{
	int level = GetCurrentTransactionNestLevel();

	if (saved && saved->level >= level)
		return;
	Saved *entry = (Saved *) MemoryContextAlloc(TopMemoryContext, sizeof(Saved));
	entry->outer = saved;
	entry->level = level;
	entry->before = logins;
	hold(entry->before);
	saved = entry;
}

void
pop_saved(bool restore)
{
	Saved *entry = saved;

	saved = entry->outer;
	if (restore) {
		release(logins);
		logins = entry->before;
		changed();
	} else
		release(entry->before);
	pfree(entry);
}

void
end_transaction(bool commit)
{
	while (saved)
		pop_saved(!commit);
	if (logins.transaction.serial) {
		Login ended = logins.transaction;

		logins.transaction = {0, nullptr};
		changed();
		if (ended.who)
			ms_verified_release(ended.who);
	}
}

void
on_xact_event(XactEvent event, void *arg)
{
	(void) arg;
	switch (event) {
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PREPARE:
			end_transaction(true);
			break;
		case XACT_EVENT_ABORT:
			end_transaction(false);
			break;
		default:
			break;
	}
}

void
on_subxact_event(SubXactEvent event, SubTransactionId subid, SubTransactionId parent, void *arg)
{
	int level = GetCurrentTransactionNestLevel();

	(void) subid;
	(void) parent;
	(void) arg;
	if (event == SUBXACT_EVENT_ABORT_SUB) {
		while (saved && saved->level >= level)
			pop_saved(true);
	} else if (event == SUBXACT_EVENT_COMMIT_SUB && saved && saved->level >= level) {
		/* The parent takes over, with the older memory where it has one. */
		if (saved->outer && saved->outer->level == level - 1)
			pop_saved(false);
		else
			saved->level = level - 1;
	}
}

bool
check_carrier(char **newval, void **extra, GucSource source)
{
	(void) extra;
	/* The leader's value reaches a worker with the source it had there; whatever ALTER ROLE, ALTER DATABASE or the
	 * client's options bring has another. */
	if (publishing || source <= PGC_S_DYNAMIC_DEFAULT || *newval == nullptr || **newval == '\0' ||
		(InitializingParallelWorker && source == PGC_S_SESSION))
		return true;
	GUC_check_errcode(ERRCODE_INSUFFICIENT_PRIVILEGE);
	GUC_check_errmsg("parameter \"%s\" cannot be set", kCarrier);
	return false;
}

void
assign_carrier(const char *newval, void *extra)
{
	(void) extra;
	carried_serial = newval && *newval ? strtou64(newval, nullptr, 10) : 0;
	if (IsParallelWorker()) {
		adopted = false;
		changed();
		/* The leader made them its own at login; here nothing else would. */
		if (carried_serial)
			ms_variables_define();
	}
}

const char *
show_carrier(void)
{
	return "";
}

/* In a parallel worker: takes the identity that the leader published. */
void
adopt(void)
{
	char *rest;

	adopted = true;
	if (carried_serial == 0)
		return;
	uint64 serial = strtou64(carrier, &rest, 10);
	bool session = rest[1] == '1';
	VerifiedIdentity *who = rest[2] == ' ' ? ms_verified_make(rest + 3) : nullptr;
	Login login = {serial, who};

	if (session)
		logins.session = login;
	else
		logins.transaction = login;
	changed();
}

char *
claim_of(Jsonb *claims, const char *key)
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

/* The seconds of the claim exp, as the core reads them: fractions cut off. */
TimestampTz
expiry_of(Jsonb *claims)
{
	char *text = claim_of(claims, "exp");

	if (text == nullptr)
		return DT_NOEND;
	double seconds = strtod(text, nullptr);
	/* The core let nothing later than the year 9999 pass. */
	return ((TimestampTz) seconds - ((POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * (int64) SECS_PER_DAY)) * USECS_PER_SEC;
}

}  // namespace

VerifiedIdentity *
ms_verified_make(const char *text)
{
	/* Under the caller's context until it is whole: an error leaves nothing behind. */
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "mentalspace token", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	VerifiedIdentity *who = (VerifiedIdentity *) palloc0(sizeof(VerifiedIdentity));

	who->context = context;
	who->holders = 1;
	who->text = pstrdup(text);
	who->claims = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(who->text)));
	who->sub = claim_of(who->claims, "sub");
	who->role = claim_of(who->claims, "role");
	who->email = claim_of(who->claims, "email");
	who->aal = claim_of(who->claims, "aal");
	who->session_id = claim_of(who->claims, "session_id");
	who->issuer = claim_of(who->claims, "iss");
	who->expires_at = expiry_of(who->claims);
	if (who->sub) {
		who->uid = *DatumGetUUIDP(DirectFunctionCall1(uuid_in, CStringGetDatum(who->sub)));
		who->has_uid = true;
	}
	MemoryContextSwitchTo(old);
	MemoryContextSetParent(context, TopMemoryContext);
	return who;
}

void
ms_verified_hold(VerifiedIdentity *who)
{
	who->holders++;
}

void
ms_verified_release(VerifiedIdentity *who)
{
	if (--who->holders == 0)
		MemoryContextDelete(who->context);
}

const VerifiedIdentity *
ms_verified_identity(void)
{
	if (unlikely(IsParallelWorker() && !adopted))
		adopt();
	return expired_seen ? nullptr : in_force().who;
}

uint64
ms_verified_serial(void)
{
	if (unlikely(IsParallelWorker() && !adopted))
		adopt();
	return in_force().serial;
}

bool
ms_verified_is_session(void)
{
	return !logins.transaction.serial && logins.session.serial;
}

bool
ms_verified_has_session(void)
{
	return logins.session.serial != 0;
}

bool
ms_verified_expired(void)
{
	const Login &login = logins.session;

	if (likely(login.serial == 0 || logins.transaction.serial || login.who == nullptr))
		return false;
	if (!expired_seen && GetCurrentStatementStartTimestamp() >= login.who->expires_at) {
		changed();
		expired_seen = true;
	}
	return expired_seen;
}

void
ms_verified_establish(VerifiedIdentity *who, bool session)
{
	save_for_rollback();
	Login login = {++last_serial, who};

	if (who)
		ms_verified_hold(who);
	if (logins.transaction.who)
		ms_verified_release(logins.transaction.who);
	logins.transaction = {0, nullptr};
	if (session) {
		if (logins.session.who)
			ms_verified_release(logins.session.who);
		logins.session = login;
	} else
		logins.transaction = login;
	changed();
}

void
ms_verified_end(void)
{
	save_for_rollback();
	release(logins);
	logins = {{0, nullptr}, {0, nullptr}};
	changed();
}

void
ms_verified_without(void (*run)(void *arg), void *arg)
{
	/* Triggers may use subtransactions of their own: what those roll back comes back to here, and what rolls back this
	 * level to before. */
	save_for_rollback();
	Login before = logins.transaction;

	logins.transaction = {++last_serial, nullptr};
	changed();
	PG_TRY();
	{
		run(arg);
	}
	PG_FINALLY();
	{
		logins.transaction = before;
		changed();
	}
	PG_END_TRY();
}

void
ms_verified_publish(void)
{
	const Login &login = in_force();

	if (likely(login.serial == carried_serial) || IsInParallelMode())
		return;
	char *value = login.serial == 0 ? pstrdup("") :
		psprintf(UINT64_FORMAT " %d%s%s", login.serial, ms_verified_is_session() ? 1 : 0, login.who ? " " : "",
				 login.who ? login.who->text : "");

	publishing = true;
	PG_TRY();
	{
		/* For the transaction only: its end takes the variable back, and the next parallel query sets it again. */
		(void) set_config_option(kCarrier, value, PGC_SUSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
	}
	PG_FINALLY();
	{
		publishing = false;
	}
	PG_END_TRY();
	pfree(value);
}

void
ms_verified_init(void)
{
	DefineCustomStringVariable(kCarrier, "Carries the verified identity to parallel workers.",
							   "Set by the module alone; reads as empty.",
							   &carrier, "", PGC_SUSET,
							   GUC_NO_SHOW_ALL | GUC_NO_RESET_ALL | GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE |
							   GUC_SUPERUSER_ONLY,
							   check_carrier, assign_carrier, show_carrier);
	RegisterXactCallback(on_xact_event, nullptr);
	RegisterSubXactCallback(on_subxact_event, nullptr);
}
