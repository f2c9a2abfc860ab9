/* Keys as JSON Web Keys (RFC 7517, 7518 section 6, 8037), and the immutable set of keys that tokens are verified with.
 *
 * Every key verifies exactly one algorithm, and that is a property of the key, never of the token:
 * - a symmetric key (oct) must name its `alg`: an unlabelled secret is refused;
 * - RSA without `alg` means RS256;
 * - the curve of an EC or OKP key says it, and an `alg` that differs is refused.
 * In a set, keys that are not for verifying signatures (`use` or `key_ops` say so) or of a kind that is not known here
 * are passed over, as RFC 7517 section 5 wants; anything that is wrong, weak or private refuses the whole set, and so
 * does a kid that is there twice, or a secret among public keys. */
#pragma once

#include "core/crypto.h"
#include "core/json.h"
#include "core/status.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mentalspace {

/* One key with what is known of it. */
struct Jwk {
	std::optional<std::string> kid;
	const char *kty;  /* "RSA", "EC", "OKP" or "oct" */
	VerificationKey key;
};

/* A key of a key set. */
struct KeyEntry {
	std::optional<std::string> issuer;  /* nothing: for tokens of any issuer that has no keys of its own */
	Jwk jwk;
};

/* Reads a single JWK (not a set) that verifies signatures.  kInvalidKey says what is wrong. */
Result<Jwk> ParseJwk(std::string_view jwk, JsonParser parser);

class KeySetBuilder;

/* Immutable; made by a KeySetBuilder.  Replace the whole set to change keys. */
class KeySet {
 public:
	KeySet() = default;
	KeySet(KeySet &&) noexcept = default;
	KeySet &operator=(KeySet &&) noexcept = default;

	const std::vector<KeyEntry> &entries() const noexcept { return entries_; }

	/* Whether there are keys for this very issuer. */
	bool HasIssuer(std::string_view issuer) const noexcept;

 private:
	friend class KeySetBuilder;
	std::vector<KeyEntry> entries_;
};

/* Collects keys.  Each Add takes all or nothing; the builder can go on being used after a refusal. */
class KeySetBuilder {
 public:
	/* A JWKS ({"keys": [...]}) or a single JWK.  Returns the number of keys taken, at least 1.  kInvalidKey where
	 * anything is wrong; status().index() is then the place of the key in the set.  Two keys of one issuer with the
	 * same kid are refused. */
	Result<int> AddJwks(std::optional<std::string_view> issuer, std::string_view jwks, JsonParser parser);

	/* A shared secret, 32 (HS256), 48 (HS384) or 64 (HS512) bytes at least. */
	Status AddSecret(std::optional<std::string_view> issuer, Algorithm algorithm, std::string_view secret,
					 std::optional<std::string_view> kid);

	/* The set; the builder is empty afterwards. */
	KeySet Build();

 private:
	bool HasKid(const std::optional<std::string> &issuer, std::string_view kid) const noexcept;

	std::vector<KeyEntry> entries_;
};

}  // namespace mentalspace
