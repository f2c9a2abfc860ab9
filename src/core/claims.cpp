#include "core/claims.h"

#include "core/jws.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <system_error>
#include <utility>

namespace mentalspace {

namespace {

enum class Rounding : unsigned char { kDown, kUp };

/* A string claim into *out; nothing for null.  False where it is of another type. */
bool
ReadString(JsonValue claims, std::string_view name, std::optional<std::string_view> *out)
{
	std::optional<JsonValue> claim = claims.Find(name);

	if (!claim || claim->kind() == JsonKind::kNull)
		return true;
	if (!claim->IsString())
		return false;
	*out = claim->text();
	return true;
}

/* A NumericDate (RFC 7519 section 2) into *out.  False for anything but a number from the year -6060 to 9999. */
bool
ReadTime(JsonValue claims, std::string_view name, Rounding rounding, std::optional<std::int64_t> *out)
{
	std::optional<JsonValue> claim = claims.Find(name);
	double seconds = 0;

	if (!claim)
		return true;
	if (claim->kind() != JsonKind::kNumber)
		return false;

	std::string_view text = claim->text();
	auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
	if (error != std::errc() || end != text.data() + text.size())
		return false;
	seconds = rounding == Rounding::kUp ? std::ceil(seconds) : std::floor(seconds);
	if (!(std::fabs(seconds) <= static_cast<double>(kMaxTime)))
		return false;
	*out = static_cast<std::int64_t>(seconds);
	return true;
}

/* RFC 7519 section 4.1.3: a string or an array of strings. */
bool
IsAudience(JsonValue value)
{
	return value.IsString() ||
		   (value.IsArray() && std::none_of(value.begin(), value.end(), [](JsonValue v) { return !v.IsString(); }));
}

bool
AudienceContains(JsonValue value, std::string_view audience)
{
	if (value.IsString())
		return value.text() == audience;
	return std::any_of(value.begin(), value.end(), [&](JsonValue element) { return element.text() == audience; });
}

/* Other kinds of tokens are made by the same providers and must not pass for an access token (RFC 8725 section 3.11).
 *  */
bool
IsAccessTokenType(std::string_view typ)
{
	constexpr std::string_view kPrefix = "application/";
	std::string lower(typ);

	std::transform(lower.begin(), lower.end(), lower.begin(),
				   [](char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c); });
	if (lower.starts_with(kPrefix))
		lower.erase(0, kPrefix.size());
	return lower == "jwt" || lower == "at+jwt";
}

/* Whether the key may vouch for the issuer: its own, or any that has no keys of its own. */
bool
MayVouch(const KeyEntry &entry, const std::optional<std::string_view> &issuer, bool issuer_has_keys)
{
	return entry.issuer ? issuer && *issuer == *entry.issuer : !issuer_has_keys;
}

/* The index of the key that verifies the signature. */
Result<std::size_t>
FindKey(const UnverifiedJws &jws, const std::optional<std::string_view> &issuer, const KeySet &keys)
{
	bool issuer_has_keys = issuer && keys.HasIssuer(*issuer);
	bool tried = false, of_other_issuer = false;

	for (std::size_t i = 0; i < keys.entries().size(); i++) {
		const KeyEntry &entry = keys.entries()[i];

		if (!FitsKey(jws, entry.jwk))
			continue;
		if (!MayVouch(entry, issuer, issuer_has_keys)) {
			of_other_issuer = true;
			continue;
		}
		if (entry.jwk.key.Verify(jws.signing_input, jws.signature))
			return i;
		tried = true;
	}
	if (tried)
		return Status{ErrorClass::kBadSignature, "the signature does not fit"};
	if (of_other_issuer)
		return Status{ErrorClass::kWrongIssuer, "the key belongs to another issuer"};
	return Status{ErrorClass::kUnknownKey, "there is no key for this algorithm and kid"};
}

}  // namespace

bool
VerifiedToken::IsApiKey() const noexcept
{
	return !sub_ && role_ && (*role_ == "anon" || *role_ == "service_role");
}

Status
VerifiedToken::ReadClaims()
{
	JsonValue root = claims();

	if (!root.IsObject())
		return {ErrorClass::kMalformed, "the payload is not a JSON object"};
	if (!ReadString(root, "sub", &sub_) || !ReadString(root, "role", &role_) || !ReadString(root, "email", &email_) ||
		!ReadString(root, "phone", &phone_) || !ReadString(root, "aal", &aal_) ||
		!ReadString(root, "session_id", &session_id_) || !ReadString(root, "iss", &issuer_))
		return {ErrorClass::kMalformed, "sub, role, email, phone, aal, session_id and iss must be strings"};
	if (!ReadTime(root, "exp", Rounding::kDown, &expires_at_) || !ReadTime(root, "nbf", Rounding::kUp, &not_before_) ||
		!ReadTime(root, "iat", Rounding::kDown, &issued_at_))
		return {ErrorClass::kMalformed, "exp, nbf and iat must be numbers within the years that there are"};
	if (std::optional<JsonValue> aud = root.Find("aud"); aud && !IsAudience(*aud))
		return {ErrorClass::kMalformed, "aud must be a string or an array of strings"};
	return {};
}

Status
VerifiedToken::Check(const VerifyOptions &options) const
{
	if (!options.issuers.empty() &&
		(!issuer_ || std::find(options.issuers.begin(), options.issuers.end(), *issuer_) == options.issuers.end()))
		return {ErrorClass::kWrongIssuer, "the issuer is not accepted"};

	if (!options.audience.empty()) {
		std::optional<JsonValue> aud = claims().Find("aud");

		if (aud ? !AudienceContains(*aud, options.audience) : !IsApiKey())
			return {ErrorClass::kWrongAudience, "the token is not for this audience"};
	}

	/* All times are within kMaxTime, so nothing here overflows. */
	if (!expires_at_ && !IsApiKey())
		return {ErrorClass::kMalformed, "the token of a user must have exp"};
	if (expires_at_ && options.now >= *expires_at_ + options.leeway)
		return {ErrorClass::kExpired, "exp is in the past"};
	if (not_before_ && options.now < *not_before_ - options.leeway)
		return {ErrorClass::kNotYetValid, "nbf is in the future"};
	if (issued_at_ && options.now < *issued_at_ - options.leeway)
		return {ErrorClass::kNotYetValid, "iat is in the future"};
	return {};
}

Result<VerifiedToken>
VerifyToken(std::string_view token, const KeySet &keys, const VerifyOptions &options)
{
	Result<UnverifiedJws> split = SplitJws(token, options.max_bytes, options.parser);
	if (!split.ok())
		return split.status();

	UnverifiedJws &jws = split.value();
	if (jws.typ && !IsAccessTokenType(*jws.typ))
		return Status{ErrorClass::kMalformed, "typ is not that of an access token"};

	Result<JsonDocument> document =
		ParseJson(jws.payload, {options.max_bytes, kPayloadMaxDepth, kPayloadMaxValues}, options.parser);
	if (!document.ok())
		return document.status();

	/* Not verified before the end of this function, and not given to anybody earlier. */
	VerifiedToken verified(std::move(jws.payload), std::move(document).value());
	if (Status status = verified.ReadClaims(); !status.ok())
		return status;

	Result<std::size_t> key = FindKey(jws, verified.issuer_, keys);
	if (!key.ok())
		return key.status();
	verified.key_index_ = key.value();

	if (Status status = verified.Check(options); !status.ok())
		return status;
	return verified;
}

}  // namespace mentalspace
