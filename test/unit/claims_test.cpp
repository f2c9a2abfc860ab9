#include "core/claims.h"
#include "core/jws.h"
#include "pg/json_reader.h"
#include "support/signing.h"

#include <gtest/gtest.h>

#include <string>

namespace mentalspace {
namespace {

using testing::kAllAlgorithms;
using testing::SigningKey;

constexpr std::int64_t kNow = 1700000000;
const char kIssuer[] = "https://auth.example/v1";

VerifyOptions
Options()
{
	VerifyOptions options;

	options.now = kNow;
	options.parser = ReadJson;
	return options;
}

/* One key of no particular issuer. */
class Claims : public ::testing::Test {
 protected:
	Claims() : key_(Algorithm::kHS256)
	{
		KeySetBuilder builder;
		EXPECT_TRUE(builder.AddJwks(std::nullopt, key_.Jwk(), ReadJson).ok());
		keys_ = builder.Build();
	}

	Result<VerifiedToken> Verify(const std::string &payload, const VerifyOptions &options = Options())
	{
		return VerifyToken(key_.Sign(payload), keys_, options);
	}
	ErrorClass ErrorOf(const std::string &payload, const VerifyOptions &options = Options())
	{
		return Verify(payload, options).status().error();
	}
	/* A user's token with more claims. */
	ErrorClass ErrorWith(const std::string &claims, const VerifyOptions &options = Options())
	{
		return ErrorOf(
			R"({"sub":"u1","aud":"authenticated","exp":1700000060)" + (claims.empty() ? "" : "," + claims) + "}",
			options);
	}

	SigningKey key_;
	KeySet keys_;
};

TEST_F(Claims, WhatIsInThem)
{
	std::string payload =
		R"({"iss":"https://auth.example/v1","sub":"11111111-2222-4333-8444-555555555555","aud":"authenticated",")"
		R"(exp":1700003600,)"
		R"("iat":1699999990,"nbf":1699999980,"email":"anna@clinic.example","phone":"","role":"authenticated","aa)"
		R"(l":"aal2",)"
		R"("session_id":"99999999-2222-4333-8444-555555555555","app_metadata":{"provider":"email"},"is_anonymous)"
		R"(":false})";
	Result<VerifiedToken> result = Verify(payload);
	ASSERT_TRUE(result.ok()) << result.status().detail();
	VerifiedToken token = std::move(result).value();

	EXPECT_EQ(token.payload(), payload);
	EXPECT_EQ(token.sub(), "11111111-2222-4333-8444-555555555555");
	EXPECT_EQ(token.role(), "authenticated");
	EXPECT_EQ(token.email(), "anna@clinic.example");
	EXPECT_EQ(token.phone(), "");
	EXPECT_EQ(token.aal(), "aal2");
	EXPECT_EQ(token.session_id(), "99999999-2222-4333-8444-555555555555");
	EXPECT_EQ(token.issuer(), kIssuer);
	EXPECT_EQ(token.expires_at(), 1700003600);
	EXPECT_EQ(token.issued_at(), 1699999990);
	EXPECT_EQ(token.not_before(), 1699999980);
	EXPECT_EQ(token.claims().Find("app_metadata")->Find("provider")->text(), "email");
	EXPECT_EQ(token.key_index(), 0u);
	EXPECT_FALSE(token.IsApiKey());
}

TEST_F(Claims, EveryAlgorithm)
{
	for (Algorithm algorithm : kAllAlgorithms) {
		SigningKey key(algorithm, "k1");
		KeySetBuilder builder;
		ASSERT_TRUE(builder.AddJwks(std::nullopt, key.Jwk(), ReadJson).ok());
		KeySet keys = builder.Build();
		std::string token = key.Sign(R"({"sub":"u1","aud":"authenticated","exp":1700000060})");

		EXPECT_TRUE(VerifyToken(token, keys, Options()).ok()) << AlgorithmName(algorithm);
		token[token.size() - 5] = token[token.size() - 5] == 'A' ? 'B' : 'A';
		EXPECT_EQ(VerifyToken(token, keys, Options()).status().error(), ErrorClass::kBadSignature);
	}
}

TEST_F(Claims, StringClaimsAreStringsOrNull)
{
	for (const char *name : {"role", "email", "phone", "aal", "session_id", "iss"}) {
		EXPECT_EQ(ErrorWith(std::string("\"") + name + "\":null"), ErrorClass::kNone) << name;
		for (const char *value : {"1", "true", "[\"x\"]", "{}"})
			EXPECT_EQ(ErrorWith(std::string("\"") + name + "\":" + value), ErrorClass::kMalformed) << name;
	}
	EXPECT_EQ(ErrorOf(R"({"sub":7,"aud":"authenticated","exp":1700000060})"), ErrorClass::kMalformed);
	Result<VerifiedToken> token = Verify(R"({"sub":null,"aud":"authenticated","exp":1700000060})");
	ASSERT_TRUE(token.ok());
	EXPECT_FALSE(token.value().sub());
}

TEST_F(Claims, ExpIsRequiredOfUsers)
{
	EXPECT_EQ(ErrorOf(R"({"sub":"u1","aud":"authenticated"})"), ErrorClass::kMalformed);
	EXPECT_EQ(ErrorOf(R"({"aud":"authenticated"})"), ErrorClass::kMalformed);
	EXPECT_EQ(ErrorOf(R"({"aud":"authenticated","role":"authenticated"})"), ErrorClass::kMalformed);
	EXPECT_EQ(ErrorOf(R"({"sub":"u1","aud":"authenticated","role":"service_role"})"), ErrorClass::kMalformed);
	EXPECT_EQ(ErrorOf(R"({"role":"anon"})"), ErrorClass::kNone);
	EXPECT_EQ(ErrorOf(R"({"role":"service_role"})"), ErrorClass::kNone);
	EXPECT_EQ(ErrorOf(R"({"role":"anon","exp":1600000000})"), ErrorClass::kExpired);
}

TEST_F(Claims, ExpiryAndLeeway)
{
	auto with_exp = [&](const std::string &exp) {
		return ErrorOf(R"({"sub":"u1","aud":"authenticated","exp":)" + exp + "}");
	};
	VerifyOptions strict = Options();

	EXPECT_EQ(with_exp("1699999971"), ErrorClass::kNone);
	EXPECT_EQ(with_exp("1699999970"), ErrorClass::kExpired);
	EXPECT_EQ(with_exp("1699999970.9"), ErrorClass::kExpired);
	EXPECT_EQ(with_exp("1.699999971e9"), ErrorClass::kNone);
	EXPECT_EQ(with_exp("0"), ErrorClass::kExpired);
	EXPECT_EQ(with_exp("-1"), ErrorClass::kExpired);
	EXPECT_EQ(with_exp("-0"), ErrorClass::kExpired);
	strict.leeway = 0;
	EXPECT_EQ(ErrorOf(R"({"sub":"u1","aud":"authenticated","exp":1700000000})", strict), ErrorClass::kExpired);
	EXPECT_EQ(ErrorOf(R"({"sub":"u1","aud":"authenticated","exp":1700000001})", strict), ErrorClass::kNone);
}

TEST_F(Claims, NotBeforeAndIssuedAt)
{
	for (std::string name : {"\"nbf\":", "\"iat\":"}) {
		EXPECT_EQ(ErrorWith(name + "1700000030"), ErrorClass::kNone);
		EXPECT_EQ(ErrorWith(name + "1700000031"), ErrorClass::kNotYetValid);
		EXPECT_EQ(ErrorWith(name + "-5"), ErrorClass::kNone);
	}
	EXPECT_EQ(ErrorWith("\"nbf\":1700000030.1"), ErrorClass::kNotYetValid);
}

/* Never 0 by accident: an overflow or another type is an error. */
TEST_F(Claims, TimesAreNumbersWithinReason)
{
	for (std::string name : {"exp", "nbf", "iat"}) {
		for (const char *value : {"\"1700000060\"", "\"never\"", "null", "true", "[1700000060]", "{}", "1e400",
								  "-1e400", "1e-400", "253402300800", "-253402300800", "18446744073709551616",
								  "9223372036854775807", "99999999999999999999999999999999999999", "1.7e12"}) {
			std::string claim = "\"" + name + "\":" + value;
			EXPECT_EQ(name == "exp" ? ErrorOf(R"({"sub":"u1","aud":"authenticated",)" + claim + "}") : ErrorWith(claim),
					  ErrorClass::kMalformed)
				<< claim;
		}
	}
	EXPECT_EQ(ErrorOf(R"({"sub":"u1","aud":"authenticated","exp":253402300799})"), ErrorClass::kNone);
}

TEST_F(Claims, Audience)
{
	auto with_aud = [&](const std::string &aud) {
		return ErrorOf(R"({"sub":"u1","exp":1700000060,"aud":)" + aud + "}");
	};
	VerifyOptions any = Options();

	EXPECT_EQ(with_aud(R"("authenticated")"), ErrorClass::kNone);
	EXPECT_EQ(with_aud(R"(["other","authenticated"])"), ErrorClass::kNone);
	for (const char *aud : {R"("other")", R"("Authenticated")", R"("authenticated ")", R"("")", R"(["other"])", "[]"})
		EXPECT_EQ(with_aud(aud), ErrorClass::kWrongAudience) << aud;
	for (const char *aud : {"1", "null", "{}", R"([1])", R"(["authenticated",1])", R"([["authenticated"]])"})
		EXPECT_EQ(with_aud(aud), ErrorClass::kMalformed) << aud;
	/* Absent: as Supabase's API keys, and nobody else. */
	EXPECT_EQ(ErrorOf(R"({"sub":"u1","exp":1700000060})"), ErrorClass::kWrongAudience);
	EXPECT_EQ(ErrorOf(R"({"role":"authenticated","exp":1700000060})"), ErrorClass::kWrongAudience);
	EXPECT_EQ(ErrorOf(R"({"role":"anon","exp":1700000060})"), ErrorClass::kNone);
	EXPECT_EQ(ErrorOf(R"({"role":"anon","aud":"other"})"), ErrorClass::kWrongAudience);
	any.audience.clear();
	EXPECT_EQ(ErrorOf(R"({"sub":"u1","exp":1700000060})", any), ErrorClass::kNone);
	EXPECT_EQ(ErrorOf(R"({"sub":"u1","exp":1700000060,"aud":"other"})", any), ErrorClass::kNone);
}

TEST_F(Claims, IssuerIsExact)
{
	VerifyOptions options = Options();
	options.issuers = {"supabase", kIssuer};

	EXPECT_EQ(ErrorWith(R"("iss":"https://auth.example/v1")", options), ErrorClass::kNone);
	EXPECT_EQ(ErrorWith(R"("iss":"supabase")", options), ErrorClass::kNone);
	for (const char *issuer :
		 {"https://auth.example/v1/", "https://AUTH.example/v1", "https://auth.example", "", "http://auth.example/v1"})
		EXPECT_EQ(ErrorWith(std::string(R"("iss":")") + issuer + "\"", options), ErrorClass::kWrongIssuer) << issuer;
	EXPECT_EQ(ErrorWith("", options), ErrorClass::kWrongIssuer);
	EXPECT_EQ(ErrorWith(""), ErrorClass::kNone);
}

/* A key vouches for its issuer only; one of no issuer only for issuers that have no keys of their own. */
TEST(ClaimsKeys, EachIssuerItsOwn)
{
	SigningKey a(Algorithm::kES256, "1"), b(Algorithm::kES256, "1"), shared(Algorithm::kHS256);
	KeySetBuilder builder;
	ASSERT_TRUE(builder.AddJwks("https://a.example", a.Jwk(), ReadJson).ok());
	ASSERT_TRUE(builder.AddJwks("https://b.example", b.Jwk(), ReadJson).ok());
	ASSERT_TRUE(builder.AddJwks(std::nullopt, shared.Jwk(), ReadJson).ok());
	KeySet keys = builder.Build();
	auto error = [&](const SigningKey &key, const char *claims) {
		std::string payload = std::string(R"({"sub":"u1","aud":"authenticated","exp":1700000060)") + claims + "}";
		return VerifyToken(key.Sign(payload), keys, Options()).status().error();
	};
	const char *of_a = R"(,"iss":"https://a.example")", *of_b = R"(,"iss":"https://b.example")",
			   *of_c = R"(,"iss":"https://c.example")";

	EXPECT_EQ(error(a, of_a), ErrorClass::kNone);
	EXPECT_EQ(error(b, of_b), ErrorClass::kNone);
	EXPECT_EQ(error(a, of_b), ErrorClass::kBadSignature);
	EXPECT_EQ(error(b, of_a), ErrorClass::kBadSignature);
	EXPECT_EQ(error(a, of_c), ErrorClass::kWrongIssuer);
	EXPECT_EQ(error(a, ""), ErrorClass::kWrongIssuer);
	EXPECT_EQ(error(shared, of_c), ErrorClass::kNone);
	EXPECT_EQ(error(shared, ""), ErrorClass::kNone);
	EXPECT_EQ(error(shared, of_a), ErrorClass::kWrongIssuer);
}

TEST(ClaimsKeys, KidChoosesTheKey)
{
	SigningKey one(Algorithm::kES256, "1"), two(Algorithm::kES256, "2"), three(Algorithm::kES256, "3"),
		plain(Algorithm::kES256);
	SigningKey secret(Algorithm::kHS256), secret_with_kid(Algorithm::kHS256, "s");
	KeySetBuilder builder;
	ASSERT_TRUE(builder.AddJwks(std::nullopt, R"({"keys":[)" + one.Jwk() + "," + two.Jwk() + "]}", ReadJson).ok());
	KeySet keys = builder.Build();
	std::string payload = R"({"sub":"u1","aud":"authenticated","exp":1700000060})";
	auto verify = [&](const std::string &token) { return VerifyToken(token, keys, Options()); };

	EXPECT_EQ(verify(one.Sign(payload)).value().key_index(), 0u);
	EXPECT_EQ(verify(two.Sign(payload)).value().key_index(), 1u);
	EXPECT_EQ(verify(three.Sign(payload)).status().error(), ErrorClass::kUnknownKey);
	EXPECT_EQ(verify(one.Sign(two.Header(), payload)).status().error(), ErrorClass::kBadSignature);
	/* Without a kid, every key of the algorithm is tried. */
	EXPECT_EQ(verify(two.Sign(R"({"alg":"ES256"})", payload)).value().key_index(), 1u);
	EXPECT_EQ(verify(plain.Sign(payload)).status().error(), ErrorClass::kBadSignature);
	EXPECT_EQ(verify(secret.Sign(payload)).status().error(), ErrorClass::kUnknownKey);
	/* A secret without kid verifies tokens with any, as a project's legacy secret must. */
	ASSERT_TRUE(builder.AddSecret(std::nullopt, Algorithm::kHS256, secret.secret(), std::nullopt).ok());
	keys = builder.Build();
	EXPECT_TRUE(verify(secret.Sign(R"({"alg":"HS256","typ":"JWT","kid":"any"})", payload)).ok());
	EXPECT_EQ(verify(secret_with_kid.Sign(payload)).status().error(), ErrorClass::kBadSignature);
	keys = KeySet();
	EXPECT_EQ(verify(one.Sign(payload)).status().error(), ErrorClass::kUnknownKey);
}

/* What is wrong with the signature is said before anything that a forger could learn from the claims. */
TEST_F(Claims, OrderOfChecks)
{
	std::string forged = SigningKey(Algorithm::kHS256).Sign(R"({"sub":"u1","aud":"other","iss":"x","exp":1})");
	VerifyOptions options = Options();
	options.issuers = {kIssuer};

	EXPECT_EQ(VerifyToken(forged, keys_, options).status().error(), ErrorClass::kBadSignature);
	EXPECT_EQ(ErrorOf(R"({"sub":"u1","aud":"other","iss":"x","exp":1})", options), ErrorClass::kWrongIssuer);
	EXPECT_EQ(ErrorOf(R"({"sub":"u1","aud":"other","iss":"https://auth.example/v1","exp":1})", options),
			  ErrorClass::kWrongAudience);
	EXPECT_EQ(ErrorOf(R"({"sub":"u1","aud":"authenticated","iss":"https://auth.example/v1","exp":1})", options),
			  ErrorClass::kExpired);
}

TEST_F(Claims, PayloadIsAStrictJsonObject)
{
	for (const char *payload :
		 {"", "[]", "1", "\"x\"", "null", "{", "{}x", R"({"sub":"a","sub":"b","aud":"authenticated","exp":1700000060})",
		  R"({"sub":"\ud800","aud":"authenticated","exp":1700000060})",
		  R"({"sub":"\u0000","aud":"authenticated","exp":1700000060})",
		  "{\"sub\":\"\xff\",\"aud\":\"authenticated\",\"exp\":1700000060}",
		  R"({"sub":"a","aud":"authenticated","exp":1700000060,"x":{"y":1,"y":2}})",
		  R"({"sub":"a","aud":"authenticated","exp":01700000060})"})
		EXPECT_EQ(ErrorOf(payload), ErrorClass::kMalformed) << payload;
}

TEST_F(Claims, Limits)
{
	std::string list = "1";
	for (std::uint32_t i = 0; i < kPayloadMaxValues; i++)
		list += ",1";
	VerifyOptions options = Options();

	EXPECT_EQ(ErrorWith("\"x\":[" + list + "]"), ErrorClass::kMalformed);
	EXPECT_EQ(ErrorWith("\"x\":" + std::string(kPayloadMaxDepth, '[') + std::string(kPayloadMaxDepth, ']')),
			  ErrorClass::kMalformed);
	EXPECT_EQ(ErrorWith("\"x\":" + std::string(kPayloadMaxDepth - 1, '[') + std::string(kPayloadMaxDepth - 1, ']')),
			  ErrorClass::kNone);
	EXPECT_EQ(ErrorWith("\"x\":\"" + std::string(options.max_bytes, 'x') + "\""), ErrorClass::kMalformed);
	options.max_bytes = 100;
	EXPECT_EQ(ErrorWith("", options), ErrorClass::kMalformed);
}

/* A token of another kind from the same provider is no access token. */
TEST_F(Claims, TypeOfTheToken)
{
	std::string payload = R"({"sub":"u1","aud":"authenticated","exp":1700000060})";
	auto error = [&](const std::string &typ) {
		return VerifyToken(key_.Sign(R"({"alg":"HS256")" + typ + "}", payload), keys_, Options()).status().error();
	};

	for (const char *typ :
		 {"", R"(,"typ":"JWT")", R"(,"typ":"jwt")", R"(,"typ":"at+jwt")", R"(,"typ":"application/at+JWT")"})
		EXPECT_EQ(error(typ), ErrorClass::kNone) << typ;
	for (const char *typ : {R"(,"typ":"dpop+jwt")", R"(,"typ":"logout+jwt")", R"(,"typ":"JOSE")", R"(,"typ":"")",
							R"(,"typ":"application/")", R"(,"cty":"JWT")"})
		EXPECT_EQ(error(typ), ErrorClass::kMalformed) << typ;
}

/* The same rules again for a token that was kept. */
TEST_F(Claims, CheckAgain)
{
	Result<VerifiedToken> token =
		Verify(R"({"sub":"u1","aud":"authenticated","exp":1700000060,"iss":"https://auth.example/v1"})");
	VerifyOptions options = Options();
	ASSERT_TRUE(token.ok());

	EXPECT_TRUE(token.value().Check(options).ok());
	options.now = 1700000089;
	EXPECT_TRUE(token.value().Check(options).ok());
	options.now = 1700000090;
	EXPECT_EQ(token.value().Check(options).error(), ErrorClass::kExpired);
	options = Options();
	options.issuers = {"other"};
	EXPECT_EQ(token.value().Check(options).error(), ErrorClass::kWrongIssuer);
	options = Options();
	options.audience = "other";
	EXPECT_EQ(token.value().Check(options).error(), ErrorClass::kWrongAudience);
}

TEST_F(Claims, ApiKeys)
{
	auto is_api_key = [&](const char *payload) { return Verify(payload).value().IsApiKey(); };

	EXPECT_TRUE(is_api_key(R"({"role":"anon","iss":"supabase"})"));
	EXPECT_TRUE(is_api_key(R"({"role":"service_role"})"));
	EXPECT_FALSE(is_api_key(R"({"role":"anon","sub":"u1","aud":"authenticated","exp":1700000060})"));
	EXPECT_FALSE(is_api_key(R"({"role":"authenticated","aud":"authenticated","exp":1700000060})"));
}

TEST(ClaimsErrors, Names)
{
	EXPECT_STREQ(ErrorClassName(ErrorClass::kExpired), "expired");
	EXPECT_STREQ(ErrorClassName(ErrorClass::kNotYetValid), "not yet valid");
	EXPECT_STREQ(ErrorClassName(ErrorClass::kWrongAudience), "wrong audience");
	EXPECT_STREQ(ErrorClassName(ErrorClass::kWrongIssuer), "wrong issuer");
	EXPECT_STREQ(ErrorClassName(ErrorClass::kBadSignature), "bad signature");
	EXPECT_STREQ(ErrorClassName(ErrorClass::kUnknownKey), "unknown key");
	EXPECT_STREQ(ErrorClassName(ErrorClass::kMalformed), "malformed");
}

} // namespace
} // namespace mentalspace
