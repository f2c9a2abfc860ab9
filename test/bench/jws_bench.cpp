/* What verifying a realistic token of about 900 bytes costs, beside a bare OpenSSL verification of the same input.
 *
 *   jws_bench [ROUNDS]
 *
 * Each round times one call of every variant, so that whatever disturbs the machine disturbs all of them alike (with more
 * calls the scheduler always interrupts the same variant); medians over the rounds, in microseconds. */
#include "core/claims.h"
#include "core/jws.h"
#include "pg/json_reader.h"
#include "support/signing.h"

#include <openssl/err.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

namespace {

using namespace mentalspace;
using mentalspace::testing::Must;
using mentalspace::testing::SigningKey;

constexpr std::int64_t kNow = 1700000000;

std::string
Claims()
{
	return R"({"aal":"aal1","amr":[{"method":"password","timestamp":1699999000}],"app_metadata":{"provider":"ema)"
	R"(il","providers":)"
		   R"(["email"],"clinic_id":"22222222-2222-4222-8222-222222222222"},"aud":"authenticated","email":"anna@)"
		   R"(clinic.example",)"
		   R"("exp":1700003600,"iat":1699999990,"is_anonymous":false,"iss":"https://abcdefghijklmnopqrst.auth.ex)"
		   R"(ample/auth/v1",)"
		   R"("phone":"","role":"authenticated","session_id":"99999999-2222-4333-8444-555555555555","sub":)"
		   R"("11111111-2222-4333-8444-555555555555","user_metadata":{"email":"anna@clinic.example","email_verif)"
		   R"(ied":true,)"
		   R"("full_name":"Anna Example","phone_verified":false}})";
}

/* OpenSSL and nothing else: what a program that has the key, the message and the signature in OpenSSL's form would
 * do. */
std::function<void()>
Bare(const SigningKey &key, const std::string &message)
{
	if (!key.secret().empty()) {
		std::string mac = key.Signature(message);
		return [&key, message, mac] {
			unsigned char out[EVP_MAX_MD_SIZE];
			unsigned int length = 0;
			Must(HMAC(EVP_sha256(), key.secret().data(), static_cast<int>(key.secret().size()),
					  reinterpret_cast<const unsigned char *>(message.data()), message.size(), out,
					  &length) != nullptr &&
				 CRYPTO_memcmp(out, mac.data(), length) == 0);
		};
	}

	std::string signature = key.Signature(message, {RSA_PSS_SALTLEN_DIGEST, true});
	bool pss = key.algorithm() == Algorithm::kPS256, eddsa = key.algorithm() == Algorithm::kEdDSA;
	return [&key, message, signature, pss, eddsa] {
		EVP_MD_CTX *context = EVP_MD_CTX_new();
		EVP_PKEY_CTX *operation = nullptr;

		Must(EVP_DigestVerifyInit_ex(context, &operation, eddsa ? nullptr : "SHA256", nullptr, nullptr, key.key(),
									 nullptr) == 1);
		if (pss)
			Must(EVP_PKEY_CTX_set_rsa_padding(operation, RSA_PKCS1_PSS_PADDING) == 1 &&
				 EVP_PKEY_CTX_set_rsa_pss_saltlen(operation, RSA_PSS_SALTLEN_DIGEST) == 1);
		Must(EVP_DigestVerify(context, reinterpret_cast<const unsigned char *>(signature.data()), signature.size(),
							  reinterpret_cast<const unsigned char *>(message.data()), message.size()) == 1);
		EVP_MD_CTX_free(context);
	};
}

double
Microseconds(const std::function<void()> &body, int repetitions)
{
	auto begin = std::chrono::steady_clock::now();

	for (int i = 0; i < repetitions; i++)
		body();
	return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count() / repetitions;
}

double
Median(std::vector<double> values)
{
	std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
	return values[values.size() / 2];
}

} // namespace

int
main(int argc, char **argv)
{
	int rounds = argc > 1 ? std::atoi(argv[1]) : 2001;
	VerifyOptions options;

	options.now = kNow;
	options.parser = ReadJson;
	std::printf("%-8s %6s %12s %12s %12s %12s %12s\n", "", "bytes", "bare", "signature", "all checks", "difference",
				"check again");
	for (Algorithm algorithm :
		 {Algorithm::kHS256, Algorithm::kRS256, Algorithm::kPS256, Algorithm::kES256, Algorithm::kEdDSA}) {
		SigningKey key(algorithm, "a-key-id");
		KeySetBuilder builder;
		Must(builder.AddJwks(std::nullopt, key.Jwk(), ReadJson).ok());
		KeySet keys = builder.Build();
		std::string token = key.Sign(Claims());
		std::string input = token.substr(0, token.rfind('.'));
		std::string signature = *Base64UrlDecode(token.substr(token.rfind('.') + 1));
		const VerificationKey &verifier = keys.entries()[0].jwk.key;
		Result<VerifiedToken> kept = VerifyToken(token, keys, options);
		Must(kept.ok());

		std::function<void()> bare = Bare(key, input);
		std::function<void()> only_signature = [&] { Must(verifier.Verify(input, signature)); };
		std::function<void()> all = [&] { Must(VerifyToken(token, keys, options).ok()); };
		std::function<void()> again = [&] { Must(kept.value().Check(options).ok()); };
		std::vector<double> times[4];
		for (int i = 0; i < rounds; i++) {
			times[0].push_back(Microseconds(bare, 1));
			times[1].push_back(Microseconds(only_signature, 1));
			times[2].push_back(Microseconds(all, 1));
			times[3].push_back(Microseconds(again, 200));
		}
		double medians[4] = {Median(times[0]), Median(times[1]), Median(times[2]), Median(times[3])};
		std::printf("%-8s %6zu %12.2f %12.2f %12.2f %+12.2f %12.3f\n", AlgorithmName(algorithm), token.size(),
					medians[0], medians[1], medians[2], medians[2] - medians[0], medians[3]);
	}
}
