#include "core/jws.h"

#include "core/base64url.h"

#include <algorithm>
#include <utility>

namespace mentalspace {

namespace {

/* ASCII letters without regard to case; `lower` is in lower case. */
bool
EqualsIgnoringCase(std::string_view text, std::string_view lower) noexcept
{
	return std::equal(text.begin(), text.end(), lower.begin(), lower.end(),
					  [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b; });
}

/* An optional string member into *out; false where it is something else. */
bool
ReadString(JsonValue header, std::string_view name, std::optional<std::string> *out)
{
	std::optional<JsonValue> member = header.Find(name);

	if (!member)
		return true;
	if (!member->IsString())
		return false;
	out->emplace(member->text());
	return true;
}

Status
ReadHeader(std::string_view text, JsonParser parser, UnverifiedJws *jws)
{
	Result<JsonDocument> document = ParseJson(text, kHeaderLimits, parser);
	if (!document.ok())
		return document.status();

	JsonValue header = document.value().root();
	std::optional<std::string> alg, content_type;
	if (!header.IsObject())
		return {ErrorClass::kMalformed, "the header is not a JSON object"};
	if (header.Find("crit"))
		return {ErrorClass::kMalformed, "crit in the header is refused"};
	if (header.Find("b64"))
		return {ErrorClass::kMalformed, "b64 in the header is refused"};
	if (header.Find("enc"))
		return {ErrorClass::kMalformed, "encrypted tokens are refused"};
	if (!ReadString(header, "alg", &alg) || !ReadString(header, "kid", &jws->kid) ||
		!ReadString(header, "typ", &jws->typ) || !ReadString(header, "cty", &content_type))
		return {ErrorClass::kMalformed, "alg, kid, typ and cty in the header must be strings"};
	if (content_type &&
		(EqualsIgnoringCase(*content_type, "jwt") || EqualsIgnoringCase(*content_type, "application/jwt")))
		return {ErrorClass::kMalformed, "nested tokens are refused"};
	if (!alg)
		return {ErrorClass::kMalformed, "the header lacks alg"};
	if (EqualsIgnoringCase(*alg, "none"))
		return {ErrorClass::kMalformed, "unsigned tokens are refused"};

	std::optional<Algorithm> algorithm = AlgorithmFromName(*alg);
	if (!algorithm)
		return {ErrorClass::kMalformed, "the algorithm is not known"};
	jws->algorithm = *algorithm;
	return {};
}

}  // namespace

Result<UnverifiedJws>
SplitJws(std::string_view token, std::size_t max_bytes, JsonParser parser)
{
	if (token.size() > max_bytes)
		return Status{ErrorClass::kMalformed, "the token is too long"};

	std::ptrdiff_t dots = std::count(token.begin(), token.end(), '.');
	if (dots == 4)
		return Status{ErrorClass::kMalformed, "encrypted tokens are refused"};
	if (dots != 2)
		return Status{ErrorClass::kMalformed, "a token has exactly three segments"};

	std::size_t first = token.find('.'), second = token.rfind('.');
	std::optional<std::string> header = Base64UrlDecode(token.substr(0, first));
	std::optional<std::string> payload = Base64UrlDecode(token.substr(first + 1, second - first - 1));
	std::optional<std::string> signature = Base64UrlDecode(token.substr(second + 1));
	if (!header || !payload || !signature)
		return Status{ErrorClass::kMalformed, "a segment is not strict base64url"};

	UnverifiedJws jws{};
	if (Status status = ReadHeader(*header, parser, &jws); !status.ok())
		return status;
	jws.signing_input = token.substr(0, second);
	jws.payload = std::move(*payload);
	jws.signature = std::move(*signature);
	return jws;
}

bool
FitsKey(const UnverifiedJws &jws, const Jwk &key) noexcept
{
	return jws.algorithm == key.key.algorithm() && (!jws.kid || !key.kid || *jws.kid == *key.kid);
}

Result<std::string>
VerifyJws(std::string_view token, const Jwk &key, std::size_t max_bytes, JsonParser parser)
{
	Result<UnverifiedJws> jws = SplitJws(token, max_bytes, parser);
	if (!jws.ok())
		return jws.status();
	if (!FitsKey(jws.value(), key))
		return Status{ErrorClass::kUnknownKey, "the key is not for this algorithm and kid"};
	if (!key.key.Verify(jws.value().signing_input, jws.value().signature))
		return Status{ErrorClass::kBadSignature, "the signature does not fit"};
	return std::move(jws.value().payload);
}

Result<std::string>
SignJws(Algorithm algorithm, std::string_view secret, std::string_view header, std::string_view payload)
{
	Hash hash;

	switch (algorithm) {
		case Algorithm::kHS256: hash = Hash::kSha256; break;
		case Algorithm::kHS384: hash = Hash::kSha384; break;
		case Algorithm::kHS512: hash = Hash::kSha512; break;
		default: return Status{ErrorClass::kInvalidArgument, "only HS256, HS384 and HS512 can sign"};
	}
	if (secret.size() < HashLength(hash))
		return Status{ErrorClass::kInvalidKey, "the secret is shorter than the hash of its algorithm"};

	std::string token = Base64UrlEncode(header) + '.' + Base64UrlEncode(payload);
	return token + '.' + Base64UrlEncode(Hmac(hash, secret, token));
}

}  // namespace mentalspace
