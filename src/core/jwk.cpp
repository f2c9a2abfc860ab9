#include "core/jwk.h"

#include "core/base64url.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

namespace mentalspace {

namespace {

constexpr JsonLimits kKeyLimits = {262144, 8, 8192};
constexpr std::uint32_t kMostKeys = 256;

enum class Use : unsigned char { kVerify, kOther, kMalformed };

/* What `use` and `key_ops` (RFC 7517 sections 4.2 and 4.3) allow. */
Use
UseOf(JsonValue jwk)
{
	std::optional<JsonValue> use = jwk.Find("use"), key_ops = jwk.Find("key_ops");
	bool verify = true;

	if (use) {
		if (!use->IsString())
			return Use::kMalformed;
		verify = use->text() == "sig";
	}
	if (key_ops) {
		bool listed = false;

		if (!key_ops->IsArray())
			return Use::kMalformed;
		for (JsonValue operation : *key_ops) {
			if (!operation.IsString())
				return Use::kMalformed;
			listed = listed || operation.text() == "verify";
		}
		verify = verify && listed;
	}
	return verify ? Use::kVerify : Use::kOther;
}

/* The bytes of a member in base64url, nothing where it is missing or not strictly encoded. */
std::optional<std::string>
BytesOf(JsonValue jwk, std::string_view name)
{
	std::optional<JsonValue> member = jwk.Find(name);

	return member && member->IsString() ? Base64UrlDecode(member->text()) : std::nullopt;
}

/* A number as RFC 7518 section 2 encodes it: in as few bytes as it takes. */
std::optional<std::string>
NumberOf(JsonValue jwk, std::string_view name)
{
	std::optional<std::string> bytes = BytesOf(jwk, name);

	if (bytes && (bytes->empty() || bytes->front() == '\0'))
		return std::nullopt;
	return bytes;
}

bool
HasPrivatePart(JsonValue jwk)
{
	constexpr std::array kPrivate = {"d", "p", "q", "dp", "dq", "qi", "oth"};

	return std::any_of(kPrivate.begin(), kPrivate.end(), [&](const char *name) { return jwk.Find(name).has_value(); });
}

Result<VerificationKey>
ReadRsa(JsonValue jwk, std::optional<Algorithm> algorithm)
{
	std::optional<std::string> n = NumberOf(jwk, "n"), e = NumberOf(jwk, "e");

	if (!n || !e)
		return Status{ErrorClass::kInvalidKey, "an RSA key needs n and e in base64url"};
	return VerificationKey::Rsa(algorithm.value_or(Algorithm::kRS256), *n, *e);
}

Result<VerificationKey>
ReadEc(JsonValue jwk, Algorithm of_curve, std::optional<Algorithm> algorithm)
{
	std::optional<std::string> x = BytesOf(jwk, "x"), y = BytesOf(jwk, "y");

	if (algorithm && *algorithm != of_curve)
		return Status{ErrorClass::kInvalidKey, "alg does not fit the curve of the key"};
	if (!x || !y)
		return Status{ErrorClass::kInvalidKey, "an EC key needs x and y in base64url"};
	return VerificationKey::Ec(of_curve, *x, *y);
}

Result<VerificationKey>
ReadOkp(JsonValue jwk, OkpCurve curve, std::optional<Algorithm> algorithm)
{
	std::optional<std::string> x = BytesOf(jwk, "x");

	if (algorithm && *algorithm != Algorithm::kEdDSA)
		return Status{ErrorClass::kInvalidKey, "alg does not fit the curve of the key"};
	if (!x)
		return Status{ErrorClass::kInvalidKey, "an OKP key needs x in base64url"};
	return VerificationKey::Okp(curve, *x);
}

Result<VerificationKey>
ReadOct(JsonValue jwk, std::optional<Algorithm> algorithm)
{
	std::optional<std::string> k = BytesOf(jwk, "k");

	if (!algorithm)
		return Status{ErrorClass::kInvalidKey, "a symmetric key must name its alg"};
	if (!k)
		return Status{ErrorClass::kInvalidKey, "a symmetric key needs k in base64url"};

	Result<VerificationKey> key = VerificationKey::Symmetric(*algorithm, *k);
	Zeroise(k->data(), k->size());
	return key;
}

Result<std::optional<Jwk>>
PassOver()
{
	return std::optional<Jwk>();
}

/* Reads a JWK; success without a key where it is one to pass over. */
Result<std::optional<Jwk>>
ReadJwk(JsonValue jwk)
{
	std::optional<JsonValue> kty = jwk.Find("kty"), kid = jwk.Find("kid"), alg = jwk.Find("alg"), crv = jwk.Find("crv");
	std::optional<Algorithm> algorithm;

	if (!jwk.IsObject())
		return Status{ErrorClass::kInvalidKey, "a key must be a JSON object"};
	if (!kty || !kty->IsString())
		return Status{ErrorClass::kInvalidKey, "kty must be a string"};
	if ((kid && !kid->IsString()) || (alg && !alg->IsString()) || (crv && !crv->IsString()))
		return Status{ErrorClass::kInvalidKey, "kid, alg and crv must be strings"};

	bool rsa = kty->text() == "RSA", ec = kty->text() == "EC", okp = kty->text() == "OKP", oct = kty->text() == "oct";
	if (!rsa && !ec && !okp && !oct)
		return PassOver();
	if (!oct && HasPrivatePart(jwk))
		return Status{ErrorClass::kInvalidKey, "the key is a private key"};

	switch (UseOf(jwk)) {
		case Use::kVerify: break;
		case Use::kOther: return PassOver();
		case Use::kMalformed:
			return Status{ErrorClass::kInvalidKey, "use must be a string and key_ops an array of strings"};
	}
	if (alg) {
		algorithm = AlgorithmFromName(alg->text());
		if (!algorithm)
			return PassOver();
	}

	Result<VerificationKey> key = Status{ErrorClass::kInvalidKey, "crv must be a string"};
	if (rsa) {
		key = ReadRsa(jwk, algorithm);
	} else if (oct) {
		key = ReadOct(jwk, algorithm);
	} else if (crv && ec) {
		if (crv->text() == "P-256")
			key = ReadEc(jwk, Algorithm::kES256, algorithm);
		else if (crv->text() == "P-384")
			key = ReadEc(jwk, Algorithm::kES384, algorithm);
		else if (crv->text() == "P-521")
			key = ReadEc(jwk, Algorithm::kES512, algorithm);
		else
			return PassOver();
	} else if (crv && okp) {
		if (crv->text() == "Ed25519")
			key = ReadOkp(jwk, OkpCurve::kEd25519, algorithm);
		else if (crv->text() == "Ed448")
			key = ReadOkp(jwk, OkpCurve::kEd448, algorithm);
		else
			return PassOver();
	}
	if (!key.ok())
		return key.status();

	std::optional<std::string> key_id;
	if (kid)
		key_id.emplace(kid->text());
	const char *type = rsa ? "RSA" : ec ? "EC" : okp ? "OKP" : "oct";
	return std::optional<Jwk>(Jwk{std::move(key_id), type, std::move(key).value()});
}

/* A JSON error of a key is the key's error. */
Result<JsonDocument>
ParseKeyJson(std::string_view text, JsonParser parser)
{
	Result<JsonDocument> document = ParseJson(text, kKeyLimits, parser);

	if (!document.ok())
		return document.status().As(ErrorClass::kInvalidKey);
	return document;
}

}  // namespace

Result<Jwk>
ParseJwk(std::string_view text, JsonParser parser)
{
	Result<JsonDocument> document = ParseKeyJson(text, parser);
	if (!document.ok())
		return document.status();

	Result<std::optional<Jwk>> jwk = ReadJwk(document.value().root());
	if (!jwk.ok())
		return jwk.status();
	if (!jwk.value())
		return Status{ErrorClass::kInvalidKey, "the key is not one that verifies signatures of a known algorithm"};
	return std::move(*jwk.value());
}

bool
KeySet::HasIssuer(std::string_view issuer) const noexcept
{
	return std::any_of(entries_.begin(), entries_.end(),
					   [&](const KeyEntry &entry) { return entry.issuer && *entry.issuer == issuer; });
}

bool
KeySetBuilder::HasKid(const std::optional<std::string> &issuer, std::string_view kid) const noexcept
{
	return std::any_of(entries_.begin(), entries_.end(), [&](const KeyEntry &entry) {
		return entry.issuer == issuer && entry.jwk.kid && *entry.jwk.kid == kid;
	});
}

Result<int>
KeySetBuilder::AddJwks(std::optional<std::string_view> issuer, std::string_view jwks, JsonParser parser)
{
	Result<JsonDocument> document = ParseKeyJson(jwks, parser);
	if (!document.ok())
		return document.status();

	JsonValue root = document.value().root();
	std::optional<JsonValue> keys = root.Find("keys");
	std::vector<JsonValue> jwk_list;
	if (!keys)
		jwk_list.push_back(root);
	else if (!keys->IsArray() || keys->size() > kMostKeys)
		return Status{ErrorClass::kInvalidKey, "keys must be an array of at most 256 keys"};
	else
		jwk_list.assign(keys->begin(), keys->end());

	std::optional<std::string> of_issuer(issuer);
	std::vector<KeyEntry> added;
	std::vector<std::string_view> kids;
	bool has_secret = false, has_public_key = false;

	for (int i = 0; JsonValue value : jwk_list) {
		Result<std::optional<Jwk>> jwk = ReadJwk(value);
		if (!jwk.ok())
			return jwk.status().At(i);

		/* A key that is passed over has its kid all the same. */
		if (std::optional<JsonValue> kid = value.Find("kid"); kid && kid->IsString()) {
			if (std::find(kids.begin(), kids.end(), kid->text()) != kids.end() || HasKid(of_issuer, kid->text()))
				return Status{ErrorClass::kInvalidKey, "two keys have the same kid"}.At(i);
			kids.push_back(kid->text());
		}
		if (jwk.value()) {
			bool secret = jwk.value()->kty == std::string_view("oct");

			has_secret = has_secret || secret;
			has_public_key = has_public_key || !secret;
			added.push_back({of_issuer, std::move(*jwk.value())});
		}
		i++;
	}
	/* A set with public keys is made to be published: a secret in it is no secret. */
	if (has_secret && has_public_key)
		return Status{ErrorClass::kInvalidKey, "the set mixes secrets and public keys"};
	if (added.empty())
		return Status{ErrorClass::kInvalidKey, "there is no key that verifies signatures of a known algorithm"};

	int count = static_cast<int>(added.size());
	entries_.reserve(entries_.size() + added.size());
	std::move(added.begin(), added.end(), std::back_inserter(entries_));
	return count;
}

Status
KeySetBuilder::AddSecret(std::optional<std::string_view> issuer, Algorithm algorithm, std::string_view secret,
						 std::optional<std::string_view> kid)
{
	std::optional<std::string> of_issuer(issuer), key_id(kid);

	if (kid && HasKid(of_issuer, *kid))
		return {ErrorClass::kInvalidKey, "two keys have the same kid"};

	Result<VerificationKey> key = VerificationKey::Symmetric(algorithm, secret);
	if (!key.ok())
		return key.status();
	entries_.push_back({std::move(of_issuer), {std::move(key_id), "oct", std::move(key).value()}});
	return {};
}

KeySet
KeySetBuilder::Build()
{
	KeySet set;

	set.entries_ = std::exchange(entries_, {});
	return set;
}

}  // namespace mentalspace
