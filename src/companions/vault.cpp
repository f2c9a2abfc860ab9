/* The native half of companion supabase_vault: where its keys come from, and sealing and opening of secrets.
 *
 * What always holds here: keys are read for one call and overwritten at its end, unless they were given as a setting at
 * server start; no message holds a key, a secret or what a file says. */
#include "pg/prelude.h"

#include "core/vault.h"
#include "pg/boundary.h"
#include "pg/module.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

extern "C" {
#include "mb/pg_wchar.h"
#include "storage/fd.h"
#include "utils/uuid.h"
}

using namespace mentalspace;

namespace {

char *key_file;             /* mentalspace.vault_key_file */
char *shown_key;            /* mentalspace.vault_key as SHOW has it: never the key */
VaultKeys *preloaded_keys;  /* what mentalspace.vault_key was; no key in it if that was malformed */

constexpr size_t kMaxKeyFile = 4096;

/* A setting's value is in the hands of guc.c, which shows it, logs it and keeps it: so the keys leave it at once. */
bool
check_key(char **newval, void **extra, GucSource source)
{
	(void) source;
	if (*newval == nullptr || **newval == '\0')
		return true;

	VaultKeys *keys = (VaultKeys *) ms_guc_alloc(sizeof(VaultKeys));
	char *shown = (char *) ms_guc_alloc(sizeof("(hidden)"));
	if (keys == nullptr || shown == nullptr) {
		ms_guc_release(keys);
		ms_guc_release(shown);
		return false;
	}
	memcpy(shown, "(hidden)", sizeof("(hidden)"));
	keys->count = 0;

	/* A refusal would make guc.c print the value; a malformed key is reported when it is needed. */
	Failure failure;
	const char *text = *newval;
	if (!Guarded(&failure, [&]() {
			if (!ParseVaultKeys(text, keys).ok())
				keys->count = 0;
		}))
		keys->count = 0;

	Zeroise(*newval, strlen(*newval));
	ms_guc_release(*newval);
	*newval = shown;
	*extra = keys;
	return true;
}

void
assign_key(const char *newval, void *extra)
{
	(void) newval;
	preloaded_keys = (VaultKeys *) extra;
}

/* Why a key file is not used: nullptr if it may be.  The rules are those of PostgreSQL for the key of its certificate. */
const char *
objection_to(const struct stat *file)
{
	if (!S_ISREG(file->st_mode))
		return "It is not a regular file.";
	if (file->st_uid != geteuid() && file->st_uid != 0)
		return "It must be owned by the user that the server runs as, or by root.";
	if (file->st_uid == geteuid() ? (file->st_mode & (S_IRWXG | S_IRWXO)) != 0
								  : (file->st_mode & (S_IWGRP | S_IXGRP | S_IRWXO)) != 0)
		return "It must have mode 0600 or less if the server's user owns it, 0640 or less if root does.";
	if (file->st_size > (off_t) kMaxKeyFile)
		return "It is larger than 4096 bytes.";
	return nullptr;
}

/* Reads the keys of mentalspace.vault_key_file, with an ERROR if that is not possible. */
void
read_key_file(VaultKeys *keys)
{
	if (!is_absolute_path(key_file))
		ereport(ERROR, (errcode(ERRCODE_CONFIG_FILE_ERROR),
						errmsg("parameter \"%s\" must be an absolute path", "mentalspace.vault_key_file")));

	/* Nothing here may wait, for a FIFO say, before the file is known to be a regular one. */
	int fd = OpenTransientFile(key_file, O_RDONLY | O_NONBLOCK | PG_BINARY);
	if (fd < 0)
		ereport(ERROR, (errcode_for_file_access(), errmsg("could not open the vault's key file: %m")));

	struct stat file;
	if (fstat(fd, &file) != 0)
		ereport(ERROR, (errcode_for_file_access(), errmsg("could not stat the vault's key file: %m")));
	const char *objection = objection_to(&file);
	if (objection)
		ereport(ERROR, (errcode(ERRCODE_CONFIG_FILE_ERROR), errmsg("the vault's key file cannot be used"),
						errdetail_internal("%s", objection)));

	char text[kMaxKeyFile + 1];
	ssize_t length = read(fd, text, sizeof(text));
	int read_errno = errno;
	CloseTransientFile(fd);

	Failure failure;
	Status status;
	bool done = length < 0 || Guarded(&failure, [&]() {
		status = ParseVaultKeys(std::string_view(text, (size_t) length), keys);
	});
	Zeroise(text, sizeof(text));
	if (length < 0) {
		errno = read_errno;
		ereport(ERROR, (errcode_for_file_access(), errmsg("could not read the vault's key file: %m")));
	}
	if (!done)
		raise_failure(&failure);
	if (!status.ok())
		ereport(ERROR, (errcode(ERRCODE_CONFIG_FILE_ERROR), errmsg("the vault's key file cannot be used"),
						errdetail("The file is malformed: %s.", status.detail()),
						errhint("Make a key with: openssl rand -hex 32")));
}

/* Fills *keys; raises an ERROR if the server has no key.  The caller calls Zeroise. */
void
read_keys(VaultKeys *keys)
{
	keys->count = 0;
	if (key_file && *key_file)
		read_key_file(keys);
	else if (preloaded_keys && preloaded_keys->count > 0)
		memcpy(keys, preloaded_keys, sizeof(*keys));
	else if (preloaded_keys)
		ereport(ERROR, (errcode(ERRCODE_CONFIG_FILE_ERROR),
						errmsg("parameter \"%s\" holds no usable key", "mentalspace.vault_key"),
						errhint("A key is 64 hexadecimal digits; make one with: openssl rand -hex 32")));
	else
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("the vault has no key, so it neither stores nor shows secrets"),
						errhint("As a superuser, set mentalspace.vault_key_file to a file with a key.")));
}

/* C's bytes of a text or bytea argument. */
std::string_view
view_of(const struct varlena *argument)
{
	return {VARDATA_ANY(argument), (size_t) VARSIZE_ANY_EXHDR(argument)};
}

Datum
make_bytea(std::string_view bytes)
{
	bytea *result = (bytea *) palloc(bytes.size() + VARHDRSZ);

	SET_VARSIZE(result, bytes.size() + VARHDRSZ);
	memcpy(VARDATA(result), bytes.data(), bytes.size());
	return PointerGetDatum(result);
}

Datum
make_uuid(const char *bytes)
{
	pg_uuid_t *result = (pg_uuid_t *) palloc(sizeof(pg_uuid_t));

	memcpy(result->data, bytes, UUID_LEN);
	return UUIDPGetDatum(result);
}

}  // namespace

/* vault._seal(row_id uuid, plain text, OUT secret text, OUT nonce bytea, OUT key_id uuid): what the row keeps.
 * 55000 without a key, F0000 with one that cannot be used. */
MS_FUNCTION(ms_vault_seal)
{
	pg_uuid_t *row = PG_GETARG_UUID_P(0);
	text *secret = PG_GETARG_TEXT_PP(1);
	std::string_view plain = view_of(secret);

	TupleDesc descriptor;
	if (get_call_result_type(fcinfo, nullptr, &descriptor) != TYPEFUNC_COMPOSITE)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("a row is needed as the result type")));
	descriptor = BlessTupleDesc(descriptor);

	/* Sealed as UTF-8, so that a dump opens in a database of another encoding. */
	char *utf8 = pg_server_to_any(const_cast<char *>(plain.data()), (int) plain.size(), PG_UTF8);
	if (utf8 != plain.data())
		plain = {utf8, strlen(utf8)};

	VaultKeys keys;
	read_keys(&keys);

	/* Room for what the core gives, so that no object of it lives on. */
	size_t capacity = plain.size() * 2 + 256, text_length = 0;
	char *sealed_text = (char *) palloc(capacity);
	char nonce[kAesGcmNonceLength];
	bool sealed_well = false;
	Failure failure;
	bool done = Guarded(&failure, [&]() {
		mentalspace::Result<SealedSecret> sealed =
			SealSecret(keys.keys[0], {reinterpret_cast<const char *>(row->data), UUID_LEN}, plain);

		if (!sealed.ok() || sealed.value().text.size() > capacity)
			return;
		text_length = sealed.value().text.size();
		memcpy(sealed_text, sealed.value().text.data(), text_length);
		memcpy(nonce, sealed.value().nonce.data(), sizeof(nonce));
		sealed_well = true;
	});
	char key_id[kVaultIdLength];
	memcpy(key_id, keys.keys[0].id, sizeof(key_id));
	Zeroise(&keys, sizeof(keys));
	if (!done)
		raise_failure(&failure);
	if (!sealed_well)
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not seal the secret")));

	Datum values[3] = {
		PointerGetDatum(cstring_to_text_with_len(sealed_text, (int) text_length)),
		make_bytea({nonce, sizeof(nonce)}),
		make_uuid(key_id),
	};
	bool nulls[3] = {false, false, false};
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(descriptor, values, nulls)));
}

/* vault._open(row_id uuid, secret text, nonce bytea, key_id uuid) returns text: the secret that a row keeps.
 * 55000 without a key or without this one, XX001 if the row was changed by other means than the vault's. */
MS_FUNCTION(ms_vault_open)
{
	pg_uuid_t *row = PG_GETARG_UUID_P(0);
	text *sealed = PG_GETARG_TEXT_PP(1);
	bytea *nonce = PG_GETARG_BYTEA_PP(2);
	pg_uuid_t *key_id = PG_GETARG_UUID_P(3);

	std::string_view sealed_text = view_of(sealed);
	char *plain = (char *) palloc(sealed_text.size() + 1);
	size_t plain_length = 0;

	VaultKeys keys;
	read_keys(&keys);
	const VaultKey *key = keys.Find({reinterpret_cast<const char *>(key_id->data), UUID_LEN});
	bool known = key != nullptr, opened = false, done = true;
	Failure failure;
	if (known)
		done = Guarded(&failure, [&]() {
			mentalspace::Result<std::string> result =
				OpenSecret(*key, {reinterpret_cast<const char *>(row->data), UUID_LEN}, sealed_text, view_of(nonce));

			if (!result.ok())
				return;
			plain_length = result.value().size();
			memcpy(plain, result.value().data(), plain_length);
			Zeroise(result.value().data(), plain_length);
			opened = true;
		});
	Zeroise(&keys, sizeof(keys));

	if (!done)
		raise_failure(&failure);
	if (!known)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("the secret was sealed with a key that the vault does not have"),
						errdetail("The id of that key is %s.",
								  DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(key_id)))),
						errhint("Add the key to the file that mentalspace.vault_key_file names, below the present one.")));
	if (!opened)
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
						errmsg("a row of the vault was changed by other means than the vault's, or is damaged"),
						errdetail("The id of the row is %s.",
								  DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(row))))));

	plain[plain_length] = '\0';
	char *result = pg_any_to_server(plain, (int) plain_length, PG_UTF8);
	if (result == plain)
		PG_RETURN_TEXT_P(cstring_to_text_with_len(plain, (int) plain_length));
	PG_RETURN_TEXT_P(cstring_to_text(result));
}

/* vault._key_id() returns uuid: the id of the key that seals.  55000 without a key. */
MS_FUNCTION(ms_vault_key_id)
{
	(void) fcinfo;
	VaultKeys keys;
	read_keys(&keys);
	char key_id[kVaultIdLength];
	memcpy(key_id, keys.keys[0].id, sizeof(key_id));
	Zeroise(&keys, sizeof(keys));
	PG_RETURN_DATUM(make_uuid(key_id));
}

void
ms_companion_vault_init(void)
{
	DefineCustomStringVariable("mentalspace.vault_key_file",
							   "File with the keys of the vault (extension supabase_vault).",
							   "An absolute path. Each line of the file is a key of 64 hexadecimal digits: the first seals "
							   "new secrets, all of them open. The server's user, or root, must own it, and nobody else "
							   "may read it. Without a key the vault stores nothing.",
							   &key_file, "", PGC_SUSET, GUC_SUPERUSER_ONLY, nullptr, nullptr, nullptr);

	/* Only a server that loads this library at its start can keep a key in a setting: anywhere else everybody could read
	 * it with SHOW until the library is loaded. */
	if (process_shared_preload_libraries_in_progress)
		DefineCustomStringVariable("mentalspace.vault_key",
								   "Key of the vault, where a file cannot be had.",
								   "64 hexadecimal digits, in a configuration file that only the server's user can read. "
								   "Needs mentalspace in shared_preload_libraries. mentalspace.vault_key_file goes first. "
								   "What SHOW tells is never the key.",
								   &shown_key, nullptr, PGC_POSTMASTER,
								   GUC_SUPERUSER_ONLY | GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE, check_key, assign_key,
								   nullptr);
}
