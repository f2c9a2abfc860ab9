/* Signatures and headers.  The tokens and keys under "Published" are the examples of RFC 7515, 7520 and 8037, printed
 * there for everybody to test with; all others are made here. */
#include "core/jws.h"
#include "pg/json_reader.h"
#include "support/signing.h"

#include <gtest/gtest.h>
#include <openssl/objects.h>

#include <string>

namespace mentalspace {
namespace {

using testing::kAllAlgorithms;
using testing::SigningKey;

constexpr std::size_t kMaxBytes = 16384;

Result<std::string>
Verify(std::string_view token, std::string_view jwk)
{
	Result<Jwk> key = ParseJwk(jwk, ReadJson);

	if (!key.ok())
		return key.status();
	return VerifyJws(token, key.value(), kMaxBytes, ReadJson);
}

const char kRfc7515Payload[] =
	"eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

/* RFC 7515 A.1 gives no alg in its key; an unlabelled secret is refused here, so one is added. */
TEST(JwsPublished, Rfc7515A1Hs256)
{
	std::string token = std::string("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.") + kRfc7515Payload +
						".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
	std::string members =
		R"("kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")";
	Result<std::string> payload = Verify(token, "{" + members + R"(,"alg":"HS256"})");

	ASSERT_TRUE(payload.ok()) << payload.status().detail();
	EXPECT_EQ(payload.value(), "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}");
	EXPECT_EQ(Verify(token, "{" + members + "}").status().error(), ErrorClass::kInvalidKey);

	std::optional<std::string> secret =
		Base64UrlDecode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow");
	EXPECT_EQ(SignJws(Algorithm::kHS256, *secret, "{\"typ\":\"JWT\",\r\n \"alg\":\"HS256\"}", payload.value()).value(),
			  token);
}

TEST(JwsPublished, Rfc7515A2Rs256)
{
	std::string token =
		std::string("eyJhbGciOiJSUzI1NiJ9.") + kRfc7515Payload +
		".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJ"
		"dbF9CUAr7t1dn"
		"ZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO-"
		"-xi12jzDwusC-"
		"eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlU"
		"PQGe77Rw";
	const char *key =
		R"({"kty":"RSA","e":"AQAB","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qP)"
		R"(CJrcS2mJPMEzP1P)"
		R"(t0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdb)"
		R"(BYUsLA9e-KXBdQO)"
		R"(S-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8)"
		R"(q2ethFkMLs91kzk2)"
		R"(PAcDTW9gb54h4FRWyuXpoQ"})";

	EXPECT_TRUE(Verify(token, key).ok()) << Verify(token, key).status().detail();
}

TEST(JwsPublished, Rfc7515A3Es256)
{
	std::string token = std::string("eyJhbGciOiJFUzI1NiJ9.") + kRfc7515Payload +
						".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

	EXPECT_TRUE(Verify(token, R"({"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",)"
							  R"("y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})")
					.ok());
}

TEST(JwsPublished, Rfc7515A4Es512)
{
	Result<std::string> payload = Verify(
		"eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-"
		"KGDKB34XO"
		"0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn",
		R"({"kty":"EC","crv":"P-521","x":"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSf)"
		R"(S9tsz4qUx)"
		R"(cWceqwQGk","y":"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3ky)"
		R"(Mj2"})");

	ASSERT_TRUE(payload.ok());
	EXPECT_EQ(payload.value(), "Payload");
}

/* RFC 7515 A.5: an unsecured token. */
TEST(JwsPublished, Rfc7515A5None)
{
	SigningKey key(Algorithm::kHS256);
	Result<std::string> payload = Verify(std::string("eyJhbGciOiJub25lIn0.") + kRfc7515Payload + ".", key.Jwk());

	EXPECT_STREQ(payload.status().detail(), "unsigned tokens are refused");
}

const char kRfc7520Payload[] =
	"SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCw"
	"gYW5kIGlmIHlvdSBk"
	"b24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4";
const char kRfc7520RsaKey[] =
	R"("kty":"RSA","kid":"bilbo.baggins@hobbiton.example","use":"sig","e":"AQAB","n":"n4EPtAOCc9AlkeQHPzHStgAbgs)"
	R"(7bTZLwUBZdR8_Ku)"
	R"(KPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQL)"
	R"(rHqkHHig3RBor)"
	R"(daZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg)"
	R"(_3L_vniUFAKwu)"
	R"(CLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw")";

TEST(JwsPublished, Rfc7520Rs256)
{
	std::string token =
		std::string("eyJhbGciOiJSUzI1NiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.") + kRfc7520Payload +
		".MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xuglII7PNDi84wnB-BDk"
		"oBwA78185hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocSadnHXFxnt8Is9UzpE"
		"RV0ePPQdLuW3IS_de3xyIrDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJushZ41Axf_fcIe8u9ipH84ogore"
		"e7vjbU5y18kDquDg";

	EXPECT_TRUE(Verify(token, std::string("{") + kRfc7520RsaKey + "}").ok());
	EXPECT_EQ(Verify(token, std::string("{") + kRfc7520RsaKey + R"(,"alg":"RS384"})").status().error(),
			  ErrorClass::kUnknownKey);
}

TEST(JwsPublished, Rfc7520Ps384)
{
	std::string token =
		std::string("eyJhbGciOiJQUzM4NCIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.") + kRfc7520Payload +
		".cu22eBqkYDKgIlTpzDXGvaFfz6WGoz7fUDcfT0kkOy42miAh2qyBzk1xEsnk2IpN6-tPid6VrklHkqsGqDqHCdP6O8TTB5dDDItllVo6_1OL"
		"PpcbUrhiUSMxbbXUvdvWXzg-UD8biiReQFlfz28zGWVsdiNAUf8ZnyPEgVFn442ZdNqiVJRmBqrYRXe8P_ijQ7p8Vdz0TTrxUeT3lm8d9shnr"
		"2lfJT8ImUjvAA2Xez2Mlp8cBE5awDzT0qI0n6uiP1aCN_2_jLAeQTlqRHtfa64QQSUmFAAjVKPbByi7xho0uTOcbH510a6GYmJUAfmWjwZ6oD"
		"4ifKo8DYM-X72Eaw";

	EXPECT_TRUE(Verify(token, std::string("{") + kRfc7520RsaKey + R"(,"alg":"PS384"})").ok());
}

TEST(JwsPublished, Rfc7520Es512)
{
	std::string token =
		std::string("eyJhbGciOiJFUzUxMiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.") + kRfc7520Payload +
		".AE_R_YZCChjn4791jSQCrdPZCNYqHXCTZH0-JZGYNlaAjP2kqaluUIIUnC9qvbu9Plon7KRTzoNEuT4Va2cmL1eJAQy3mtPBu_u_sDDyYjnA"
		"MDxXPn7XrT0lw-kvAD890jl8e2puQens_IEKBpHABlsbEPX6sFY8OcGDqoRuBomu9xQ2";

	EXPECT_TRUE(
		Verify(token,
			   R"({"kty":"EC","kid":"bilbo.baggins@hobbiton.example","use":"sig","crv":"P-521",)"
			   R"("x":"AHKZLLOsCOzz5cY97ewNUajB957y-C-U88c3v13nmGZx6sYl_oJXu9A5RkTKqjqvjyekWF-7ytDyRXYgCF5cj0Kt",)"
			   R"("y":"AdymlHvOiLxXkEhayXQnNCvDX4h9htZaCJN34kfmC6pV5OhQHiraVySsUdaQkAgDPrwQrJmbnX9cwlGfP-HqHZR1"})")
			.ok());
}

TEST(JwsPublished, Rfc7520Hs256)
{
	std::string token =
		std::string("eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxOGMwYWU1LTRkOWItNDcxYi1iZmQ2LWVlZjMxNGJjNzAzNyJ9.") +
		kRfc7520Payload + ".s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0";

	EXPECT_TRUE(Verify(token, R"({"kty":"oct","kid":"018c0ae5-4d9b-471b-bfd6-eef314bc7037","use":"sig","alg":"HS256",)"
							  R"("k":"hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg"})")
					.ok());
}

TEST(JwsPublished, Rfc8037Ed25519)
{
	Result<std::string> payload = Verify(
		"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWb"
		"hijcNR4ki4iylGjg5Bh"
		"VsPt9g7sVvpAr_MuM0KAg",
		R"({"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})");

	ASSERT_TRUE(payload.ok());
	EXPECT_EQ(payload.value(), "Example of Ed25519 signing");
}

/* Every algorithm verifies its own, and nothing that was changed in any byte. */
TEST(Jws, EveryAlgorithm)
{
	for (Algorithm algorithm : kAllAlgorithms) {
		for (OkpCurve curve : {OkpCurve::kEd25519, OkpCurve::kEd448}) {
			SigningKey key(algorithm, "k1", curve), other(algorithm, "k1", curve);
			std::string token = key.Sign("any \xff bytes");
			std::size_t second = token.rfind('.');

			ASSERT_EQ(Verify(token, key.Jwk()).value(), "any \xff bytes") << AlgorithmName(algorithm);
			/* The operation that was set up once serves again and again, also after a refusal. */
			Result<Jwk> jwk = ParseJwk(key.Jwk(), ReadJson);
			for (int i = 0; i < 3; i++) {
				EXPECT_TRUE(VerifyJws(token, jwk.value(), kMaxBytes, ReadJson).ok());
				EXPECT_FALSE(VerifyJws(key.SignText("e30.e30"), jwk.value(), kMaxBytes, ReadJson).ok());
				std::string signature = *Base64UrlDecode(token.substr(second + 1));
				signature[static_cast<std::size_t>(i)] = static_cast<char>(signature[static_cast<std::size_t>(i)] ^ 1);
				EXPECT_EQ(VerifyJws(token.substr(0, second + 1) + Base64UrlEncode(signature), jwk.value(), kMaxBytes,
									ReadJson)
							  .status()
							  .error(),
						  ErrorClass::kBadSignature);
			}
			if (key.key() == nullptr || key.key() != other.key()) {
				EXPECT_EQ(Verify(other.Sign("x"), key.Jwk()).status().error(), ErrorClass::kBadSignature);
			}
			EXPECT_EQ(Verify(token.substr(0, second + 1), key.Jwk()).status().error(), ErrorClass::kBadSignature);
			EXPECT_EQ(Verify(token.substr(0, token.find('.') + 1) + "YW55" + token.substr(second), key.Jwk())
						  .status()
						  .error(),
					  ErrorClass::kBadSignature);
			if (algorithm != Algorithm::kEdDSA)
				break;
		}
	}
}

/* No token of one algorithm passes with the key of another, whatever its header says. */
TEST(Jws, AlgorithmComesFromTheKey)
{
	for (Algorithm of_key : kAllAlgorithms) {
		for (Algorithm of_token : kAllAlgorithms) {
			if (of_key == of_token)
				continue;
			SigningKey verifier(of_key), signer(of_token);
			EXPECT_EQ(Verify(signer.Sign("x"), verifier.Jwk()).status().error(), ErrorClass::kUnknownKey);
			EXPECT_EQ(Verify(signer.Sign(verifier.Header(), "x"), verifier.Jwk()).status().error(),
					  ErrorClass::kBadSignature);
		}
	}
	/* The header lies about a signature that the key would verify. */
	SigningKey rs256(Algorithm::kRS256);
	for (const char *name : {"RS384", "PS256", "HS256"})
		EXPECT_EQ(Verify(rs256.Sign(std::string(R"({"alg":")") + name + "\"}", "x"), rs256.Jwk()).status().error(),
				  ErrorClass::kUnknownKey);
}

/* The classic: the public key, in whatever form, as the secret of an HMAC. */
TEST(Jws, PublicKeyIsNoSecret)
{
	for (Algorithm algorithm : {Algorithm::kRS256, Algorithm::kPS256, Algorithm::kES256, Algorithm::kEdDSA}) {
		SigningKey key(algorithm);
		for (const std::string &secret : {key.Jwk(), key.Jwk(false), key.JwkMembers()})
			EXPECT_EQ(Verify(SignJws(Algorithm::kHS256, secret, R"({"alg":"HS256"})", "x").value(), key.Jwk())
						  .status()
						  .error(),
					  ErrorClass::kUnknownKey);
	}
}

TEST(Jws, PssSaltIsAsLongAsTheHash)
{
	for (Algorithm algorithm : {Algorithm::kPS256, Algorithm::kPS384, Algorithm::kPS512}) {
		SigningKey key(algorithm);
		int length = algorithm == Algorithm::kPS256 ? 32 : algorithm == Algorithm::kPS384 ? 48 : 64;

		EXPECT_TRUE(Verify(key.Sign(key.Header(), "x", {length, false}), key.Jwk()).ok());
		for (int other : {0, 20, length - 1, length + 1, RSA_PSS_SALTLEN_MAX})
			EXPECT_EQ(Verify(key.Sign(key.Header(), "x", {other, false}), key.Jwk()).status().error(),
					  ErrorClass::kBadSignature);
	}
}

TEST(Jws, EcdsaSignaturesAreNeverDer)
{
	for (Algorithm algorithm : {Algorithm::kES256, Algorithm::kES384, Algorithm::kES512}) {
		SigningKey key(algorithm);

		EXPECT_EQ(Verify(key.Sign(key.Header(), "x", {0, true}), key.Jwk()).status().error(),
				  ErrorClass::kBadSignature);
	}
	/* DER that has the length of r and s by chance must not pass either; short r and s make it 64 bytes. */
	SigningKey key(Algorithm::kES256);
	Result<Jwk> jwk = ParseJwk(key.Jwk(), ReadJson);
	std::string der = key.Signature("x", {0, true});
	der.resize(64);
	EXPECT_FALSE(jwk.value().key.Verify("x", der));
}

/* r and s from 1 to order - 1; CVE-2022-21449 was a verifier that took zeros. */
TEST(Jws, EcdsaRange)
{
	const std::pair<Algorithm, int> curves[] = {
		{Algorithm::kES256, NID_X9_62_prime256v1},
		{Algorithm::kES384, NID_secp384r1},
		{Algorithm::kES512, NID_secp521r1},
	};

	for (auto [algorithm, curve] : curves) {
		SigningKey key(algorithm);
		Result<Jwk> jwk = ParseJwk(key.Jwk(), ReadJson);
		std::string good = key.Signature("x");
		std::size_t length = good.size() / 2;
		EC_GROUP *group = EC_GROUP_new_by_curve_name(curve);
		const BIGNUM *order = EC_GROUP_get0_order(group);
		BIGNUM *number = BN_new();
		auto padded = [&](const BIGNUM *value) {
			std::string bytes(length, '\0');
			EXPECT_EQ(BN_bn2binpad(value, reinterpret_cast<unsigned char *>(bytes.data()), static_cast<int>(length)),
					  static_cast<int>(length));
			return bytes;
		};
		ASSERT_TRUE(jwk.value().key.Verify("x", good));
		EXPECT_EQ(good.size(), algorithm == Algorithm::kES256 ? 64u : algorithm == Algorithm::kES384 ? 96u : 132u);

		/* The same number modulo the order is another spelling of the signature. */
		for (std::size_t half : {std::size_t{0}, length}) {
			std::string changed = good;
			BN_bin2bn(reinterpret_cast<const unsigned char *>(good.data() + half), static_cast<int>(length), number);
			BN_add(number, number, order);
			if (static_cast<std::size_t>(BN_num_bytes(number)) <= length) {
				changed.replace(half, length, padded(number));
				EXPECT_FALSE(jwk.value().key.Verify("x", changed));
			}
			for (const std::string &edge : {std::string(length, '\0'), padded(order), std::string(length, '\xff')}) {
				changed = good;
				changed.replace(half, length, edge);
				EXPECT_FALSE(jwk.value().key.Verify("x", changed));
			}
		}
		/* The same numbers in more bytes. */
		EXPECT_FALSE(jwk.value().key.Verify("x", std::string(good).insert(length, 1, '\0')));
		EXPECT_FALSE(jwk.value().key.Verify("x", std::string(2 * length, '\0')));
		EXPECT_FALSE(jwk.value().key.Verify("x", good + std::string(1, '\0')));
		EXPECT_FALSE(jwk.value().key.Verify("x", std::string(1, '\0') + good));
		EXPECT_FALSE(jwk.value().key.Verify("x", ""));
		EC_GROUP_free(group);
		BN_free(number);
	}
}

TEST(Jws, ExactlyThreeSegments)
{
	SigningKey key(Algorithm::kHS256);
	std::string token = key.Sign("{}");

	for (const std::string &wrong :
		 {std::string(), std::string("."), std::string(".."), token.substr(0, token.rfind('.')), token + ".",
		  token + ".e30", "." + token, token + "..", token.substr(token.find('.') + 1)})
		EXPECT_EQ(Verify(wrong, key.Jwk()).status().error(), ErrorClass::kMalformed) << wrong;
	EXPECT_STREQ(Verify("a.b.c.d.e", key.Jwk()).status().detail(), "encrypted tokens are refused");
	/* A payload may be empty, a header not. */
	EXPECT_TRUE(Verify(key.Sign(""), key.Jwk()).ok());
	EXPECT_EQ(Verify(key.Sign("", "{}"), key.Jwk()).status().error(), ErrorClass::kMalformed);
}

/* The signature would fit each of these spellings. */
TEST(Jws, SegmentsAreStrictBase64Url)
{
	SigningKey key(Algorithm::kHS256);
	std::string header = Base64UrlEncode(key.Header());

	for (const char *payload : {"QQ==", "QR", "Q", "Q Q", "QQ\n", "+/+/"})
		EXPECT_STREQ(Verify(key.SignText(header + "." + payload), key.Jwk()).status().detail(),
					 "a segment is not strict base64url");
	EXPECT_TRUE(Verify(key.SignText(header + ".QQ"), key.Jwk()).ok());
	EXPECT_STREQ(Verify(key.SignText(header + "=.QQ"), key.Jwk()).status().detail(),
				 "a segment is not strict base64url");
	EXPECT_STREQ(Verify(key.Sign("x") + "=", key.Jwk()).status().detail(), "a segment is not strict base64url");
	EXPECT_STREQ(Verify(key.Sign("x") + "\n", key.Jwk()).status().detail(), "a segment is not strict base64url");
}

TEST(Jws, HeaderRules)
{
	SigningKey key(Algorithm::kHS256, "k1");
	auto refusal = [&](const std::string &header) {
		return std::string(Verify(key.Sign(header, "x"), key.Jwk()).status().detail());
	};

	for (const char *none : {"none", "None", "NONE", "nOnE"})
		EXPECT_EQ(refusal(std::string(R"({"alg":")") + none + "\"}"), "unsigned tokens are refused");
	for (const char *alg : {"hs256", "HS256 ", "", "HS1", "RS1", "ES256K", "Ed25519", "HS256\\u0000"})
		EXPECT_NE(refusal(std::string(R"({"alg":")") + alg + "\"}"), "");
	EXPECT_EQ(refusal(R"({"typ":"JWT"})"), "the header lacks alg");
	EXPECT_EQ(refusal(R"({"alg":"HS256","crit":["exp"]})"), "crit in the header is refused");
	EXPECT_EQ(refusal(R"({"alg":"HS256","crit":[]})"), "crit in the header is refused");
	EXPECT_EQ(refusal(R"({"alg":"HS256","b64":true})"), "b64 in the header is refused");
	EXPECT_EQ(refusal(R"({"alg":"HS256","b64":false,"crit":["b64"]})"), "crit in the header is refused");
	EXPECT_EQ(refusal(R"({"alg":"HS256","enc":"A256GCM"})"), "encrypted tokens are refused");
	for (const char *cty : {"JWT", "jwt", "application/JWT"})
		EXPECT_EQ(refusal(std::string(R"({"alg":"HS256","cty":")") + cty + "\"}"), "nested tokens are refused");
	for (const char *member : {R"("kid":1)", R"("typ":null)", R"("cty":["JWT"])"})
		EXPECT_EQ(refusal(std::string(R"({"alg":"HS256",)") + member + "}"),
				  "alg, kid, typ and cty in the header must be strings");
	EXPECT_EQ(refusal(R"({"alg":["HS256"]})"), "alg, kid, typ and cty in the header must be strings");
	EXPECT_EQ(refusal(R"({"alg":"HS256","alg":"HS256"})"), "a JSON object has a key twice");
	EXPECT_EQ(refusal(R"(["HS256"])"), "the header is not a JSON object");
	EXPECT_EQ(refusal(R"({"alg":"HS256"} x)"), "not valid JSON");
	EXPECT_EQ(refusal("{\"alg\":\"HS256\",\"x\":\"\xff\"}"), "not valid UTF-8");
	EXPECT_EQ(refusal(R"({"alg":"HS256","kid":"other"})"), "the key is not for this algorithm and kid");
	EXPECT_TRUE(Verify(key.Sign(R"({"alg":"HS256"})", "x"), key.Jwk()).ok());
	EXPECT_TRUE(Verify(key.Sign(R"({"alg":"HS256","cty":"text/plain"})", "x"), key.Jwk()).ok());
}

/* A key that the token brings along is not looked at: neither believed nor a reason to refuse. */
TEST(Jws, KeysInTheHeaderAreIgnored)
{
	SigningKey trusted(Algorithm::kES256), attacker(Algorithm::kES256);
	std::string header =
		R"({"alg":"ES256","jwk":)" + attacker.Jwk() +
		R"(,"jku":"https://attacker.example/jwks","x5u":"https://attacker.example/x5u","x5c":["AAAA"]})";

	EXPECT_EQ(Verify(attacker.Sign(header, "x"), trusted.Jwk()).status().error(), ErrorClass::kBadSignature);
	EXPECT_TRUE(Verify(trusted.Sign(header, "x"), trusted.Jwk()).ok());
}

TEST(Jws, Limits)
{
	SigningKey key(Algorithm::kHS256);
	Result<Jwk> jwk = ParseJwk(key.Jwk(), ReadJson);
	std::string token = key.Sign("x");

	EXPECT_TRUE(VerifyJws(token, jwk.value(), token.size(), ReadJson).ok());
	EXPECT_STREQ(VerifyJws(token, jwk.value(), token.size() - 1, ReadJson).status().detail(), "the token is too long");
	auto refusal = [&](const std::string &extra) {
		return std::string(Verify(key.Sign(R"({"alg":"HS256","x":)" + extra + "}", "x"), key.Jwk()).status().detail());
	};
	EXPECT_EQ(refusal("\"" + std::string(kHeaderLimits.max_bytes, 'x') + "\""), "JSON is too long");
	EXPECT_EQ(refusal("[[[[1]]]]"), "JSON is nested too deeply");
	EXPECT_EQ(refusal("[[[1]]]"), "");
	std::string list = "[1";
	for (int i = 0; i < 64; i++)
		list += ",1";
	EXPECT_EQ(refusal(list + "]"), "JSON holds too many values");
}

TEST(Jws, SigningIsStrictToo)
{
	std::string secret = RandomBytes(64);

	EXPECT_TRUE(SignJws(Algorithm::kHS512, secret, "{}", "{}").ok());
	EXPECT_EQ(SignJws(Algorithm::kHS256, "", "{}", "{}").status().error(), ErrorClass::kInvalidKey);
	EXPECT_EQ(SignJws(Algorithm::kHS256, secret.substr(0, 31), "{}", "{}").status().error(), ErrorClass::kInvalidKey);
	EXPECT_EQ(SignJws(Algorithm::kHS512, secret.substr(0, 63), "{}", "{}").status().error(), ErrorClass::kInvalidKey);
	EXPECT_EQ(SignJws(Algorithm::kRS256, secret, "{}", "{}").status().error(), ErrorClass::kInvalidArgument);
}

TEST(Jws, AlgorithmNames)
{
	for (Algorithm algorithm : kAllAlgorithms)
		EXPECT_EQ(AlgorithmFromName(AlgorithmName(algorithm)), algorithm);
	EXPECT_FALSE(AlgorithmFromName("none"));
	EXPECT_FALSE(AlgorithmFromName("rs256"));
}

} // namespace
} // namespace mentalspace
