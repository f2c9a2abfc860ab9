#include "core/jwk.h"
#include "pg/json_reader.h"
#include "support/signing.h"

#include <gtest/gtest.h>

#include <string>

namespace mentalspace {
namespace {

using testing::kAllAlgorithms;
using testing::SigningKey;

/* Why the key is refused, empty where it is not. */
std::string
Refusal(const std::string &jwk)
{
	Result<Jwk> key = ParseJwk(jwk, ReadJson);

	if (key.ok())
		return "";
	EXPECT_EQ(key.status().error(), ErrorClass::kInvalidKey);
	return key.status().detail();
}

std::string
SetRefusal(const std::string &jwks)
{
	KeySetBuilder builder;
	Result<int> added = builder.AddJwks(std::nullopt, jwks, ReadJson);

	if (added.ok())
		return "";
	/* All or nothing. */
	EXPECT_TRUE(builder.Build().entries().empty());
	EXPECT_EQ(added.status().error(), ErrorClass::kInvalidKey);
	return added.status().detail();
}

std::string
RsaJwk(std::string_view n, std::string_view e)
{
	return R"({"kty":"RSA","alg":"RS256","n":")" + Base64UrlEncode(n) + R"(","e":")" + Base64UrlEncode(e) + "\"}";
}

const char kNotForVerifying[] = "the key is not one that verifies signatures of a known algorithm";
const char kNoKey[] = "there is no key that verifies signatures of a known algorithm";

TEST(Jwk, EveryAlgorithm)
{
	for (Algorithm algorithm : kAllAlgorithms) {
		SigningKey key(algorithm, "k1");
		Result<Jwk> jwk = ParseJwk(key.Jwk(), ReadJson);

		ASSERT_TRUE(jwk.ok()) << jwk.status().detail();
		EXPECT_EQ(jwk.value().key.algorithm(), algorithm);
		EXPECT_EQ(jwk.value().kid, "k1");
		EXPECT_FALSE(ParseJwk(SigningKey(algorithm).Jwk(), ReadJson).value().kid);
	}
}

TEST(Jwk, AlgorithmOfAnUnlabelledKey)
{
	for (Algorithm algorithm : {Algorithm::kES256, Algorithm::kES384, Algorithm::kES512, Algorithm::kEdDSA})
		EXPECT_EQ(ParseJwk(SigningKey(algorithm).Jwk(false), ReadJson).value().key.algorithm(), algorithm);
	EXPECT_EQ(ParseJwk(SigningKey(Algorithm::kPS512).Jwk(false), ReadJson).value().key.algorithm(), Algorithm::kRS256);
	EXPECT_EQ(Refusal(SigningKey(Algorithm::kHS256).Jwk(false)), "a symmetric key must name its alg");
}

TEST(Jwk, AlgorithmMustFitTheKey)
{
	auto with_alg = [](Algorithm of_key, const char *alg) {
		return Refusal("{" + SigningKey(of_key).JwkMembers(false) + R"(,"alg":")" + alg + "\"}");
	};

	EXPECT_EQ(with_alg(Algorithm::kES256, "ES384"), "alg does not fit the curve of the key");
	EXPECT_EQ(with_alg(Algorithm::kES256, "HS256"), "alg does not fit the curve of the key");
	EXPECT_EQ(with_alg(Algorithm::kEdDSA, "ES256"), "alg does not fit the curve of the key");
	EXPECT_EQ(with_alg(Algorithm::kRS256, "HS256"), "an RSA key is only for RS256 to RS512 or PS256 to PS512");
	EXPECT_EQ(with_alg(Algorithm::kRS256, "ES256"), "an RSA key is only for RS256 to RS512 or PS256 to PS512");
	EXPECT_EQ(with_alg(Algorithm::kHS256, "RS256"), "a symmetric key is only for HS256, HS384 or HS512");
	for (const char *alg : {"none", "A256GCM", "RSA1_5", "ES256K", "es256", ""})
		EXPECT_EQ(with_alg(Algorithm::kES256, alg), kNotForVerifying);
	EXPECT_STREQ(VerificationKey::Ec(Algorithm::kRS256, "x", "y").status().detail(),
				 "an EC key is only for ES256, ES384 or ES512");
}

TEST(Jwk, UseAndKeyOpsAreObeyed)
{
	std::string members = SigningKey(Algorithm::kES256).JwkMembers();
	auto with = [&](const char *extra) { return Refusal("{" + members + "," + extra + "}"); };

	for (const char *extra :
		 {R"("use":"sig")", R"("key_ops":["verify"])", R"("key_ops":["sign","verify"],"use":"sig")"})
		EXPECT_EQ(with(extra), "");
	for (const char *extra :
		 {R"("use":"enc")", R"("use":"")", R"("key_ops":["sign"])", R"("key_ops":[])", R"("key_ops":["encrypt"])",
		  R"("use":"enc","key_ops":["verify"])", R"("use":"sig","key_ops":["deriveKey"])"})
		EXPECT_EQ(with(extra), kNotForVerifying) << extra;
	for (const char *extra : {R"("use":1)", R"("use":["sig"])", R"("key_ops":"verify")", R"("key_ops":[1,"verify"])"})
		EXPECT_EQ(with(extra), "use must be a string and key_ops an array of strings") << extra;
}

TEST(Jwk, HmacKeysAreAsLongAsTheHash)
{
	const std::pair<const char *, std::size_t> lengths[] = {{"HS256", 32}, {"HS384", 48}, {"HS512", 64}};

	for (auto [alg, length] : lengths) {
		auto with_length = [alg](std::size_t bytes) {
			return Refusal(std::string(R"({"kty":"oct","alg":")") + alg + R"(","k":")" +
						   Base64UrlEncode(RandomBytes(bytes)) + "\"}");
		};
		EXPECT_EQ(with_length(length), "");
		EXPECT_EQ(with_length(length + 100), "");
		EXPECT_EQ(with_length(length - 1), "the secret is shorter than the hash of its algorithm");
		EXPECT_EQ(with_length(0), "the secret is shorter than the hash of its algorithm");
	}
	EXPECT_EQ(Refusal(R"({"kty":"oct","alg":"HS256"})"), "a symmetric key needs k in base64url");
	EXPECT_EQ(Refusal(R"({"kty":"oct","alg":"HS256","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="})"),
			  "a symmetric key needs k in base64url");
}

TEST(Jwk, RsaStrength)
{
	SigningKey key(Algorithm::kRS256);
	std::string n = testing::NumberOf(key.key(), OSSL_PKEY_PARAM_RSA_N), e("\x01\x00\x01", 3);
	std::string even = n, short_n = n;

	EXPECT_EQ(Refusal(RsaJwk(n, e)), "");
	EXPECT_EQ(Refusal(RsaJwk(n, "\x03")), "");
	for (const char *weak : {"\x01", "\x02", "\x04"})
		EXPECT_EQ(Refusal(RsaJwk(n, weak)), "the exponent of the RSA key must be odd and at least 3");
	EXPECT_EQ(Refusal(RsaJwk(n, std::string("\x01\x00\x00", 3))),
			  "the exponent of the RSA key must be odd and at least 3");
	EXPECT_EQ(Refusal(RsaJwk(n, std::string(9, '\x01'))), "the RSA key is too large");
	even.back() = static_cast<char>(even.back() & ~1);
	EXPECT_EQ(Refusal(RsaJwk(even, e)), "the modulus of the RSA key is even");
	short_n[0] = '\x7f'; /* 2047 bits */
	EXPECT_EQ(Refusal(RsaJwk(short_n, e)), "the RSA key has less than 2048 bits");
	EXPECT_EQ(Refusal(RsaJwk(std::string(128, '\xff'), e)), "the RSA key has less than 2048 bits");
	EXPECT_EQ(Refusal(RsaJwk(std::string(2049, '\xff'), e)), "the RSA key is too large");
	/* RFC 7518 section 2: as few bytes as it takes. */
	EXPECT_EQ(Refusal(RsaJwk(std::string(1, '\0') + n, e)), "an RSA key needs n and e in base64url");
	EXPECT_EQ(Refusal(RsaJwk(n, std::string(1, '\0') + e)), "an RSA key needs n and e in base64url");
	EXPECT_EQ(Refusal(RsaJwk(n, "")), "an RSA key needs n and e in base64url");
	EXPECT_EQ(Refusal(R"({"kty":"RSA","n":"AQAB"})"), "an RSA key needs n and e in base64url");
}

/* A modulus that is a power of 65537 modulo each small prime, as CVE-2017-15361 makes them: here simply such a power.
 *  */
TEST(Jwk, RocaModulus)
{
	BIGNUM *base = BN_new(), *exponent = BN_new(), *power = BN_new();
	BN_CTX *context = BN_CTX_new();

	BN_set_word(base, 65537);
	BN_set_word(exponent, 130);
	ASSERT_EQ(BN_exp(power, base, exponent, context), 1);
	std::string modulus(static_cast<std::size_t>(BN_num_bytes(power)), '\0');
	BN_bn2bin(power, reinterpret_cast<unsigned char *>(modulus.data()));
	BN_free(base);
	BN_free(exponent);
	BN_free(power);
	BN_CTX_free(context);
	EXPECT_EQ(Refusal(RsaJwk(modulus, "\x03")), "the RSA key was made by a broken generator (CVE-2017-15361)");
}

TEST(Jwk, EcPointIsOnTheCurve)
{
	for (Algorithm algorithm : {Algorithm::kES256, Algorithm::kES384, Algorithm::kES512}) {
		SigningKey key(algorithm);
		std::string point = testing::OctetsOf(key.key(), OSSL_PKEY_PARAM_PUB_KEY);
		std::size_t length = point.size() / 2;
		std::string x = point.substr(1, length), y = point.substr(1 + length), changed = y;

		EXPECT_TRUE(VerificationKey::Ec(algorithm, x, y).ok());
		changed.back() = static_cast<char>(changed.back() ^ 1);
		EXPECT_STREQ(VerificationKey::Ec(algorithm, x, changed).status().detail(),
					 "the point of the EC key is not on its curve");
		EXPECT_FALSE(VerificationKey::Ec(algorithm, y, x).ok());
		EXPECT_FALSE(VerificationKey::Ec(algorithm, std::string(length, '\0'), std::string(length, '\0')).ok());
		EXPECT_FALSE(VerificationKey::Ec(algorithm, std::string(length, '\xff'), std::string(length, '\xff')).ok());
		for (const std::string &wrong :
			 {x.substr(1), x + std::string(1, '\0'), std::string(1, '\0') + x, std::string()})
			EXPECT_STREQ(VerificationKey::Ec(algorithm, wrong, y).status().detail(),
						 "a coordinate of the EC key has the wrong length");
	}
	std::string jwk = SigningKey(Algorithm::kES256).Jwk(false);
	jwk.replace(jwk.find("P-256"), 5, "P-384");
	EXPECT_EQ(Refusal(jwk), "a coordinate of the EC key has the wrong length");
	jwk.replace(jwk.find("P-384"), 5, "P-192");
	EXPECT_EQ(Refusal(jwk), kNotForVerifying);
	EXPECT_EQ(Refusal(R"({"kty":"EC","x":"AA","y":"AA"})"), "crv must be a string");
	EXPECT_EQ(Refusal(R"({"kty":"EC","crv":"P-256","x":"AA"})"), "an EC key needs x and y in base64url");
}

TEST(Jwk, OkpLength)
{
	EXPECT_EQ(Refusal(R"({"kty":"OKP","crv":"Ed25519","x":"AAAA"})"), "the Ed25519 or Ed448 key has the wrong length");
	EXPECT_EQ(Refusal(R"({"kty":"OKP","crv":"Ed448","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})"),
			  "the Ed25519 or Ed448 key has the wrong length");
	EXPECT_EQ(Refusal(R"({"kty":"OKP","crv":"X25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})"),
			  kNotForVerifying);
	EXPECT_EQ(Refusal(R"({"kty":"OKP","crv":"Ed25519"})"), "an OKP key needs x in base64url");
}

TEST(Jwk, Shape)
{
	for (const char *jwk :
		 {"", "[]", "1", "\"x\"", "{}", R"({"kty":1})", R"({"kty":null})", R"({"kty":"RSA","kty":"RSA"})",
		  "{\"kty\":\"RSA\"", R"({"kty":"EC","crv":1})", R"({"kty":"EC","kid":1})", R"({"kty":"EC","alg":1})"})
		EXPECT_NE(Refusal(jwk), "") << jwk;
	EXPECT_EQ(Refusal(R"({"kty":"AKP","alg":"ML-DSA-44"})"), kNotForVerifying);
	EXPECT_EQ(Refusal(R"({"kty":"rsa","n":"AQAB","e":"AQAB"})"), kNotForVerifying);
}

/* A private key has no place in a database that only verifies. */
TEST(Jwk, PrivateKeysAreRefused)
{
	for (Algorithm algorithm : {Algorithm::kRS256, Algorithm::kES256, Algorithm::kEdDSA})
		EXPECT_EQ(Refusal("{" + SigningKey(algorithm).JwkMembers() + R"(,"d":"AQAB"})"), "the key is a private key");
	EXPECT_EQ(
		SetRefusal(R"({"keys":[{)" + SigningKey(Algorithm::kES256).JwkMembers() + R"(,"use":"enc","d":"AQAB"}]})"),
		"the key is a private key");
}

/* The set of RFC 7517 appendix A.1 (published): one key to encrypt with, one to verify with. */
TEST(KeySet, Rfc7517A1)
{
	KeySetBuilder builder;
	Result<int> added = builder.AddJwks(
		std::nullopt,
		R"({"keys":[{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",)"
		R"("y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","use":"enc","kid":"1"},{"kty":"RSA","n":"0vx7agoebG)"
		R"(cQSuuPiLJXZptN9nndr)"
		R"(QmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY)"
		R"(4Hc5n9yBXArwl93lqt7)"
		R"(_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNL)"
		R"(yrdkt-bFTWhAI4vMQFh)"
		R"(6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256",")"
		R"(kid":"2011-04-29"}]})",
		ReadJson);

	ASSERT_TRUE(added.ok()) << added.status().detail();
	EXPECT_EQ(added.value(), 1);
	KeySet set = builder.Build();
	EXPECT_EQ(set.entries()[0].jwk.kid, "2011-04-29");
	EXPECT_STREQ(set.entries()[0].jwk.kty, "RSA");
}

TEST(KeySet, OneWrongKeyRefusesTheSet)
{
	std::string good = SigningKey(Algorithm::kES256, "a").Jwk(), weak = RsaJwk(std::string(128, '\xff'), "\x03");
	KeySetBuilder builder;
	Result<int> added = builder.AddJwks(std::nullopt, R"({"keys":[)" + good + "," + weak + "]}", ReadJson);

	ASSERT_FALSE(added.ok());
	EXPECT_EQ(added.status().index(), 1);
	EXPECT_TRUE(builder.Build().entries().empty());
	EXPECT_EQ(SetRefusal(R"({"keys":[)" + good + ",1]}"), "a key must be a JSON object");
	EXPECT_EQ(SetRefusal(R"({"keys":[)" + good + R"(,{"kty":"AKP"}]})"), "");
}

TEST(KeySet, DuplicateKids)
{
	std::string a = SigningKey(Algorithm::kES256, "a").Jwk(), a2 = SigningKey(Algorithm::kEdDSA, "a").Jwk();
	std::string none = SigningKey(Algorithm::kES256).Jwk(), none2 = SigningKey(Algorithm::kES256).Jwk();
	KeySetBuilder builder;

	EXPECT_EQ(SetRefusal(R"({"keys":[)" + a + "," + a2 + "]}"), "two keys have the same kid");
	EXPECT_EQ(SetRefusal(R"({"keys":[)" + a + R"(,{"kty":"AKP","kid":"a"}]})"), "two keys have the same kid");
	EXPECT_EQ(SetRefusal(R"({"keys":[)" + none + "," + none2 + "]}"), "");

	/* Of two issuers, the same kid may come twice. */
	ASSERT_TRUE(builder.AddJwks("https://a.example", a, ReadJson).ok());
	EXPECT_TRUE(builder.AddJwks("https://b.example", a2, ReadJson).ok());
	EXPECT_STREQ(builder.AddJwks("https://a.example", a2, ReadJson).status().detail(), "two keys have the same kid");
	EXPECT_TRUE(builder.AddSecret("https://a.example", Algorithm::kHS256, RandomBytes(32), "b").ok());
	EXPECT_EQ(builder.AddSecret("https://a.example", Algorithm::kHS256, RandomBytes(32), "a").error(),
			  ErrorClass::kInvalidKey);
	KeySet set = builder.Build();
	EXPECT_EQ(set.entries().size(), 3u);
	EXPECT_TRUE(set.HasIssuer("https://b.example"));
	EXPECT_FALSE(set.HasIssuer("https://b.example/"));
	EXPECT_TRUE(builder.Build().entries().empty());
}

TEST(KeySet, SecretsAreNotMixedWithPublicKeys)
{
	std::string secret = SigningKey(Algorithm::kHS256, "a").Jwk(), other = SigningKey(Algorithm::kHS512, "b").Jwk();
	std::string key = SigningKey(Algorithm::kES256, "c").Jwk();

	EXPECT_EQ(SetRefusal(R"({"keys":[)" + secret + "," + key + "]}"), "the set mixes secrets and public keys");
	EXPECT_EQ(SetRefusal(R"({"keys":[)" + secret + "," + other + "]}"), "");
}

TEST(KeySet, Shape)
{
	std::string key = SigningKey(Algorithm::kES256, "a").Jwk(), many = "{}";

	EXPECT_EQ(SetRefusal(key), "");
	EXPECT_EQ(SetRefusal(R"({"keys":[]})"), kNoKey);
	EXPECT_EQ(SetRefusal(R"({"keys":[{"kty":"AKP"}]})"), kNoKey);
	EXPECT_EQ(SetRefusal(R"({"keys":{}})"), "keys must be an array of at most 256 keys");
	for (int i = 0; i < 256; i++)
		many += ",{}";
	EXPECT_EQ(SetRefusal(R"({"keys":[)" + many + "]}"), "keys must be an array of at most 256 keys");
	EXPECT_EQ(SetRefusal(std::string(R"({"keys":[],"x":")") + std::string(300000, 'x') + "\"}"), "JSON is too long");
	EXPECT_EQ(SetRefusal(R"({"keys":[],"keys":[]})"), "a JSON object has a key twice");
	EXPECT_EQ(SetRefusal("[]"), "a key must be a JSON object");
}

TEST(KeySet, Secrets)
{
	KeySetBuilder builder;

	EXPECT_EQ(builder.AddSecret(std::nullopt, Algorithm::kHS256, RandomBytes(31), std::nullopt).error(),
			  ErrorClass::kInvalidKey);
	EXPECT_EQ(builder.AddSecret(std::nullopt, Algorithm::kRS256, RandomBytes(64), std::nullopt).error(),
			  ErrorClass::kInvalidKey);
	EXPECT_EQ(builder.AddSecret(std::nullopt, Algorithm::kHS256, "", std::nullopt).error(), ErrorClass::kInvalidKey);
	EXPECT_TRUE(builder.AddSecret(std::nullopt, Algorithm::kHS256, RandomBytes(32), std::nullopt).ok());
	EXPECT_EQ(builder.Build().entries().size(), 1u);
}

} // namespace
} // namespace mentalspace
