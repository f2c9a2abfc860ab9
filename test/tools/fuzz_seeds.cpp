/* fuzz_seeds DIR: writes seeds for the fuzzers to DIR/token_fuzz, DIR/claims_fuzz and DIR/jwks_fuzz, and a dictionary
 * to DIR/jose.dict. */
#include "support/signing.h"

#include <filesystem>
#include <fstream>
#include <iostream>

namespace {

using namespace mentalspace;
using mentalspace::testing::SigningKey;

const char *const kClaims[] = {
	R"({"iss":"https://auth.example/v1","sub":"11111111-2222-4333-8444-555555555555","aud":"authenticated","exp")"
	R"(:1700003600,)"
	R"("iat":1699999990,"email":"anna@clinic.example","phone":"","role":"authenticated","aal":"aal1","session_id":)"
	R"("99999999-2222-4333-8444-555555555555","app_metadata":{"provider":"email","providers":["email"]},"is_anon)"
	R"(ymous":false})",
	R"({"role":"anon","iss":"supabase"})",
	R"({"sub":"u1","aud":["a","authenticated"],"exp":1.7000036e9,"nbf":1699999999.5,"x":"\u00e9\ud83d\ude00\n"})",
	R"({"sub":"u1","exp":"never"})",
	"[[[[[[[[1]]]]]]]]",
	"",
};

const char *const kWords[] = {
	"alg",          "kid",           "typ",       "JWT",   "at+jwt", "cty",        "crit",  "b64",        "jwk",
	"jku",          "x5u",           "x5c",       "enc",   "none",   "HS256",      "RS256", "PS256",      "ES256",
	"EdDSA",        "iss",           "sub",       "aud",   "exp",    "nbf",        "iat",   "role",       "anon",
	"service_role", "authenticated", "email",     "phone", "aal",    "session_id", "keys",  "kty",        "use",
	"sig",          "key_ops",       "verify",    "RSA",   "EC",     "OKP",        "oct",   "crv",        "P-256",
	"P-384",        "P-521",         "Ed25519",   "Ed448", "null",   "true",       "false", "1700003600", "1e400",
	"\\\\ud800",    "\\\\udc00",     "\\\\u0000", "AQAB"};

} // namespace

int
main(int argc, char **argv)
{
	if (argc != 2) {
		std::cerr << "usage: fuzz_seeds DIR\n";
		return 2;
	}
	std::filesystem::path directory(argv[1]);
	int number = 0;
	auto write = [&](const char *fuzzer, const std::string &bytes) {
		std::filesystem::create_directories(directory / fuzzer);
		std::ofstream(directory / fuzzer / ("seed" + std::to_string(number++)), std::ios::binary) << bytes;
	};

	std::string all;
	for (Algorithm algorithm : mentalspace::testing::kAllAlgorithms) {
		SigningKey key(algorithm, "k" + std::to_string(number));

		write("token_fuzz", key.Sign(kClaims[0]));
		write("jwks_fuzz", key.Jwk());
		write("jwks_fuzz", "{\"keys\":[" + key.Jwk() + "," + SigningKey(algorithm, "k").Jwk() + "]}");
		if (key.secret().empty())
			all += (all.empty() ? "" : ",") + std::string("{") + key.JwkMembers() +
				   R"(,"use":"sig","key_ops":["verify"]})";
	}
	write("jwks_fuzz", "{\"keys\":[" + all + "]}");
	for (const char *claims : kClaims) {
		SigningKey key(Algorithm::kHS256, "k1");

		write("token_fuzz", key.Sign(claims));
		write("claims_fuzz", claims);
		write("claims_fuzz", key.Header() + "\n" + claims);
	}
	write("claims_fuzz",
		  R"({"alg":"HS256","kid":"k1","crit":["b64"],"b64":false,"jwk":{},"x5c":["AAAA"]})" + std::string("\n{}"));
	for (const char *token : {"", "..", "a.b.c", "a.b.c.d.e", "eyJhbGciOiJub25lIn0.e30."})
		write("token_fuzz", token);

	std::ofstream dictionary(directory / "jose.dict");
	for (const char *word : kWords)
		dictionary << '"' << word << "\"\n";
}
