/* JSON Web Tokens (RFC 7519): from a token to a verified identity.
 *
 * A VerifiedToken can only be made by VerifyToken: whoever holds one knows that the signature, the issuer, the audience
 * and the times were checked.  The clock is an argument. */
#pragma once

#include "core/json.h"
#include "core/jwk.h"
#include "core/status.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mentalspace {

struct VerifyOptions {
	/* `iss` must be one of these, exactly; empty: any, within what the keys allow. */
	std::vector<std::string> issuers;
	/* `aud` must contain this, exactly; empty: not checked. */
	std::string audience = "authenticated";
	/* Seconds by which clocks may differ. */
	std::int64_t leeway = 30;
	/* Longest token in bytes. */
	std::size_t max_bytes = 16384;
	/* Seconds since 1970-01-01 00:00 UTC. */
	std::int64_t now = 0;
	/* How to parse JSON; required. */
	JsonParser parser = nullptr;
};

/* What the payload of a token may hold, within max_bytes. */
constexpr int kPayloadMaxDepth = 16;
constexpr std::uint32_t kPayloadMaxValues = 2048;

/* The latest second that a time in a token may name: the end of the year 9999. */
constexpr std::int64_t kMaxTime = 253402300799;

class VerifiedToken;

/* Verifies a token.  In this order, with these classes of refusal:
 *   kMalformed      structure, header rules, limits, payload no JSON object, a registered claim of a wrong type
 *   kUnknownKey     no key for the token's kid and algorithm
 *   kWrongIssuer    the keys that there are belong to other issuers
 *   kBadSignature
 *   kWrongIssuer    `iss` not among options.issuers
 *   kWrongAudience  `aud` (a string or an array of strings) lacks the audience, or a user's token has none
 *   kMalformed      a user's token without `exp`
 *   kExpired, kNotYetValid (`nbf` or `iat` in the future)
 * An API key (no `sub`, and a role of anon or service_role) may lack `aud` and `exp`; every other token is a user's.
 * Throws std::bad_alloc. */
Result<VerifiedToken> VerifyToken(std::string_view token, const KeySet &keys, const VerifyOptions &options);

class VerifiedToken {
 public:
	VerifiedToken(VerifiedToken &&) noexcept = default;
	VerifiedToken &operator=(VerifiedToken &&) noexcept = default;

	/* The claims, as bytes as they were signed (a JSON object in UTF-8) and parsed. */
	std::string_view payload() const noexcept { return payload_; }
	JsonValue claims() const noexcept { return document_.root(); }

	/* String claims; nothing where the token has none or null.  They point into this object. */
	std::optional<std::string_view> sub() const noexcept { return sub_; }
	std::optional<std::string_view> role() const noexcept { return role_; }
	std::optional<std::string_view> email() const noexcept { return email_; }
	std::optional<std::string_view> phone() const noexcept { return phone_; }
	std::optional<std::string_view> aal() const noexcept { return aal_; }
	std::optional<std::string_view> session_id() const noexcept { return session_id_; }
	std::optional<std::string_view> issuer() const noexcept { return issuer_; }

	/* Times in seconds since 1970, fractions rounded to the stricter side (`exp` and `iat` down, `nbf` up). */
	std::optional<std::int64_t> expires_at() const noexcept { return expires_at_; }
	std::optional<std::int64_t> not_before() const noexcept { return not_before_; }
	std::optional<std::int64_t> issued_at() const noexcept { return issued_at_; }

	/* Which entry of the key set verified it. */
	std::size_t key_index() const noexcept { return key_index_; }

	/* An API key such as Supabase's anon and service keys: no user. */
	bool IsApiKey() const noexcept;

	/* The checks of issuer, audience and times again, with the options of now: for a token that is kept.  Cheap. */
	Status Check(const VerifyOptions &options) const;

 private:
	friend Result<VerifiedToken> VerifyToken(std::string_view, const KeySet &, const VerifyOptions &);
	VerifiedToken(std::string payload, JsonDocument document) noexcept
		: payload_(std::move(payload)), document_(std::move(document))
	{
	}
	Status ReadClaims();

	std::string payload_;
	JsonDocument document_;
	std::optional<std::string_view> sub_, role_, email_, phone_, aal_, session_id_, issuer_;
	std::optional<std::int64_t> expires_at_, not_before_, issued_at_;
	std::size_t key_index_ = 0;
};

}  // namespace mentalspace
