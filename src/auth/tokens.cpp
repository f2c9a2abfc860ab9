/* From a token to an accepted identity.
 *
 * A backend remembers the tokens that it verified: with a pool, the same few come again and again.  A memory is used only
 * for the very same bytes, and only while the keys and the settings are those that it was verified with. */
#include "pg/prelude.h"

#include "audit/sessions.h"
#include "auth/keys.h"
#include "auth/redact.h"
#include "auth/settings.h"
#include "auth/tokens.h"
#include "core/claims.h"
#include "pg/boundary.h"

extern "C" {
#include "common/hashfn.h"
#include "mb/pg_wchar.h"
#include "utils/timestamp.h"
}

#include <string>

using namespace mentalspace;

namespace {

struct Remembered {
	uint64 hash;
	std::string token;
	VerifiedToken verified;
	VerifiedIdentity *who;
	uint64 keys_generation;
	uint64 settings_generation;
	uint64 revocations_generation;  /* under which it was not revoked; 0: not looked at */
	bool logged_in;                 /* somebody logged in with it, and did not log out */
	uint64 synced_in;               /* transaction in which its row in auth.users was written or found; 0: not */
};

constexpr uint32 kMemory = 64;
Remembered *memory[kMemory];
uint64 hash_seed;
uint64 transaction = 1;            /* counts the transactions of this backend */

/* Secret and different in each backend, so that nobody finds tokens that share a place, or learns of one by timing. */
uint64
hash_of(std::string_view token)
{
	if (unlikely(hash_seed == 0) && (!pg_strong_random(&hash_seed, sizeof(hash_seed)) || hash_seed == 0))
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("no random numbers are to be had")));
	return hash_bytes_extended((const unsigned char *) token.data(), (int) token.size(), hash_seed);
}

int64
unix_now(void)
{
	return GetCurrentTimestamp() / USECS_PER_SEC + (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * (int64) SECS_PER_DAY;
}

/* Makes the identity of verified claims; refuses the token where PostgreSQL cannot represent them. */
VerifiedIdentity *
make_identity(const char *payload)
{
	MemoryContext context = CurrentMemoryContext;
	VerifiedIdentity *volatile who = nullptr;
	volatile bool failed = false;

	/* Parsing takes no locks and opens nothing, so that what it raised can be let go without a subtransaction. */
	PG_TRY();
	{
		who = ms_verified_make(payload);
	}
	PG_CATCH();
	{
		int sqlstate = geterrcode();

		if (ERRCODE_TO_CATEGORY(sqlstate) != ERRCODE_DATA_EXCEPTION)
			PG_RE_THROW();
		MemoryContextSwitchTo(context);
		FlushErrorState();
		failed = true;
	}
	PG_END_TRY();
	if (failed)
		ms_refuse_token("malformed", "a claim has a value that PostgreSQL cannot represent, or sub is not a uuid");
	return who;
}

void
check_revocation(Remembered *entry)
{
	if (likely(entry->revocations_generation == auth_revocations_generation))
		return;
	uint64 generation = auth_revocations_generation;
	std::optional<int64> issued = entry->verified.issued_at();

	if (ms_is_revoked(entry->who, issued.has_value(), issued.value_or(0)))
		ms_refuse_token("revoked", "the session or the user's older tokens were revoked");
	entry->revocations_generation = generation;
}

void
forget(uint32 place)
{
	Remembered *entry = memory[place];

	memory[place] = nullptr;
	if (entry == nullptr)
		return;
	ms_verified_release(entry->who);
	delete entry;
}

Remembered *
remembered(const VerifiedIdentity *who)
{
	for (Remembered *entry : memory)
		if (entry && entry->who == who)
			return entry;
	return nullptr;
}

/* What was rolled back was not written, as far as anybody can tell. */
void
forget_synced(void)
{
	for (Remembered *entry : memory)
		if (entry && entry->synced_in == transaction)
			entry->synced_in = 0;
}

void
on_xact_event(XactEvent event, void *arg)
{
	(void) arg;
	if (event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		forget_synced();
	if (event == XACT_EVENT_ABORT || event == XACT_EVENT_COMMIT || event == XACT_EVENT_PREPARE)
		transaction++;
}

void
on_subxact_event(SubXactEvent event, SubTransactionId subid, SubTransactionId parent, void *arg)
{
	(void) subid;
	(void) parent;
	(void) arg;
	if (event == SUBXACT_EVENT_ABORT_SUB)
		forget_synced();
}

}  // namespace

void
ms_refuse_token(const char *error_class, const char *detail)
{
	ms_audit_session_refused(error_class);
	ms_refuse_signature(error_class, detail);
}

void
ms_refuse_signature(const char *error_class, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION), errmsg("token refused: %s", error_class),
			 errdetail("The reason is: %s.", detail),
			 errhidestmt(true), errhidecontext(true)));
	pg_unreachable();
}

VerifiedIdentity *
ms_accept_token(text *token)
{
	std::string_view bytes(VARDATA_ANY(token), VARSIZE_ANY_EXHDR(token));

	ms_redact_activity();
	if (bytes.size() > (size_t) auth_max_token_bytes)
		ms_refuse_token("malformed", "the token is longer than mentalspace.auth_max_token_bytes");

	const KeySet *keys = ms_keys();
	VerifyOptions *options = ms_verify_options();
	uint64 hash = hash_of(bytes);
	uint32 place = hash % kMemory;
	Remembered *entry = memory[place];
	Failure failure;
	Status status;
	bool done;

	options->now = unix_now();
	if (entry && entry->hash == hash && entry->keys_generation == auth_keys_generation && entry->token == bytes) {
		done = Guarded(&failure, [&]() { status = entry->verified.Check(*options); });
		if (!done)
			raise_failure(&failure);
		if (!status.ok())
			ms_refuse_token(ErrorClassName(status.error()), status.detail());
		entry->settings_generation = auth_settings_generation;
		check_revocation(entry);
		ms_keys_note_use(entry->verified.key_index());
		return entry->who;
	}

	/* Verified first, kept on the heap meanwhile: nothing with a destructor is alive where PostgreSQL may raise. */
	entry = nullptr;
	done = Guarded(&failure, [&]() {
		mentalspace::Result<VerifiedToken> result = VerifyToken(bytes, *keys, *options);

		if (!result.ok()) {
			status = result.status();
			return;
		}
		entry = new Remembered{hash, std::string(bytes), std::move(result).value(), nullptr, auth_keys_generation,
							   auth_settings_generation, 0, false, 0};
	});
	if (!done)
		raise_failure(&failure);
	if (entry == nullptr)
		ms_refuse_token(ErrorClassName(status.error()), status.detail());

	PG_TRY();
	{
		std::string_view payload = entry->verified.payload();
		char *text = pnstrdup(payload.data(), payload.size());

		entry->who = make_identity(pg_any_to_server(text, (int) payload.size(), PG_UTF8));
		check_revocation(entry);
	}
	PG_CATCH();
	{
		if (entry->who)
			ms_verified_release(entry->who);
		delete entry;
		PG_RE_THROW();
	}
	PG_END_TRY();

	forget(place);
	memory[place] = entry;
	ms_keys_note_use(entry->verified.key_index());
	return entry->who;
}

bool
ms_token_logs_in_first(const VerifiedIdentity *who)
{
	Remembered *entry = remembered(who);

	if (entry == nullptr)
		return true;
	bool first = !entry->logged_in;
	entry->logged_in = true;
	return first;
}

void
ms_token_logged_out(const VerifiedIdentity *who)
{
	Remembered *entry = remembered(who);

	if (entry)
		entry->logged_in = false;
}

bool
ms_token_is_synced(const VerifiedIdentity *who)
{
	Remembered *entry = remembered(who);

	return entry && entry->synced_in != 0;
}

void
ms_token_set_synced(const VerifiedIdentity *who)
{
	Remembered *entry = remembered(who);

	if (entry)
		entry->synced_in = transaction;
}

void
ms_tokens_init(void)
{
	RegisterXactCallback(on_xact_event, nullptr);
	RegisterSubXactCallback(on_subxact_event, nullptr);
}
