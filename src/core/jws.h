/* JSON Web Signatures in the compact serialization (RFC 7515 section 7.1): taking a token apart, and its signature.
 *
 * Stricter than the RFC: exactly three segments; `crit` and `b64` are refused; `jwk`, `jku`, `x5u` and `x5c` are never
 * looked at; a token inside a token (`cty` of JWT) and encryption (`enc`) are refused; `none` in any spelling is
 * refused. Everything is bounded before any cryptography. */
#pragma once

#include "core/crypto.h"
#include "core/json.h"
#include "core/jwk.h"
#include "core/status.h"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace mentalspace {

/* The header of a token may hold this much. */
constexpr JsonLimits kHeaderLimits = {4096, 4, 64};

/* A token taken apart, its signature not yet verified. */
struct UnverifiedJws {
	Algorithm algorithm;             /* what the header claims */
	std::optional<std::string> kid;
	std::optional<std::string> typ;
	std::string_view signing_input;  /* points into the token */
	std::string payload;
	std::string signature;
};

/* Takes a token apart; kMalformed where it breaks a rule above or is longer than `max_bytes`.  Throws std::bad_alloc.
 *  */
Result<UnverifiedJws> SplitJws(std::string_view token, std::size_t max_bytes, JsonParser parser);

/* Whether the key verifies the token's algorithm, and no kid speaks against it.  A key without kid fits any. */
bool FitsKey(const UnverifiedJws &jws, const Jwk &key) noexcept;

/* Verifies the signature of `token` with one key and returns the payload, which need not be JSON.
 * kMalformed; kUnknownKey where the key is for another algorithm or bears another kid; kBadSignature. */
Result<std::string> VerifyJws(std::string_view token, const Jwk &key, std::size_t max_bytes, JsonParser parser);

/* A token with `header` and `payload` as they are, signed with HS256, HS384 or HS512.  kInvalidArgument for another
 * algorithm, kInvalidKey for a secret shorter than the hash. */
Result<std::string> SignJws(Algorithm algorithm, std::string_view secret, std::string_view header,
							std::string_view payload);

}  // namespace mentalspace
