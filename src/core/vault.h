/* The vault's secrets: how keys are written in a file, how a key is known without being shown, and how a secret is sealed.
 *
 * A secret is sealed with AES-256-GCM (NIST SP 800-38D) under a random nonce.  The associated data holds the id of the row
 * and the id of the key: what is sealed cannot be moved to another row. */
#pragma once

#include "core/crypto.h"
#include "core/status.h"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace mentalspace {

constexpr std::size_t kVaultMaxKeys = 8;
constexpr std::size_t kVaultIdLength = 16;   /* of a row and of a key: a UUID */

struct VaultKey {
	char id[kVaultIdLength];
	char key[kAesGcmKeyLength];

	std::string_view Id() const noexcept { return {id, sizeof(id)}; }
	std::string_view Key() const noexcept { return {key, sizeof(key)}; }
};

/* The first key seals; all of them open.  Plain data, so that it can be kept in C memory: its user calls Zeroise. */
struct VaultKeys {
	std::size_t count;
	VaultKey keys[kVaultMaxKeys];

	/* The key with this id, nullptr if there is none. */
	const VaultKey *Find(std::string_view id) const noexcept;
};

/* Reads keys from text: one a line, each of 64 hexadecimal digits; blanks around them, empty lines and lines that begin
 * with # are ignored.  kInvalidKey where there is no key, more than kVaultMaxKeys, one twice, or anything else in the
 * text; *keys then holds none.  Throws std::bad_alloc. */
Status ParseVaultKeys(std::string_view text, VaultKeys *keys);

/* What a row keeps of a secret.  `text` is printable. */
struct SealedSecret {
	std::string text;
	std::string nonce;
};

/* Seals the bytes of a secret for the row with this id.  kInvalidArgument where AES-256-GCM does (never in practice).
 * Throws std::bad_alloc, std::runtime_error without random numbers. */
Result<SealedSecret> SealSecret(const VaultKey &key, std::string_view row_id, std::string_view secret);

/* The secret.  kMalformed where `text` or `nonce` is nothing that SealSecret makes; kBadSignature where key, row, nonce
 * and text do not belong together.  Throws std::bad_alloc. */
Result<std::string> OpenSecret(const VaultKey &key, std::string_view row_id, std::string_view text, std::string_view nonce);

}  // namespace mentalspace
