/* Keys and signatures for tests, fuzzers and benchmarks, made at run time with OpenSSL.  Never part of the product,
 * which signs with HS* only. */
#pragma once

#include "core/base64url.h"
#include "core/crypto.h"
#include "core/jws.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

namespace mentalspace::testing {

inline void
Must(bool condition)
{
	if (!condition)
		std::abort();
}

inline std::string
NumberOf(EVP_PKEY *key, const char *name)
{
	BIGNUM *number = nullptr;
	Must(EVP_PKEY_get_bn_param(key, name, &number) == 1);
	std::string bytes(static_cast<std::size_t>(BN_num_bytes(number)), '\0');
	BN_bn2bin(number, reinterpret_cast<unsigned char *>(bytes.data()));
	BN_free(number);
	return bytes;
}

inline std::string
OctetsOf(EVP_PKEY *key, const char *name)
{
	std::size_t length = 0;
	Must(EVP_PKEY_get_octet_string_param(key, name, nullptr, 0, &length) == 1);
	std::string bytes(length, '\0');
	Must(EVP_PKEY_get_octet_string_param(key, name, reinterpret_cast<unsigned char *>(bytes.data()), length, &length) ==
		 1);
	return bytes;
}

/* How to sign, where a test wants it otherwise than the algorithm says. */
struct SigningQuirks {
	int salt_length = RSA_PSS_SALTLEN_DIGEST;
	bool der = false; /* ECDSA: the signature as OpenSSL makes it */
};

/* A key pair or secret with which tokens of one algorithm are signed. */
class SigningKey {
 public:
	explicit SigningKey(Algorithm algorithm, std::string kid = "", OkpCurve curve = OkpCurve::kEd25519)
		: algorithm_(algorithm), kid_(std::move(kid)), curve_(curve)
	{
		switch (algorithm) {
			case Algorithm::kHS256:
			case Algorithm::kHS384:
			case Algorithm::kHS512: secret_ = RandomBytes(64); break;
			case Algorithm::kES256: key_.reset(EVP_EC_gen("P-256"), EVP_PKEY_free); break;
			case Algorithm::kES384: key_.reset(EVP_EC_gen("P-384"), EVP_PKEY_free); break;
			case Algorithm::kES512: key_.reset(EVP_EC_gen("P-521"), EVP_PKEY_free); break;
			case Algorithm::kEdDSA:
				key_.reset(EVP_PKEY_Q_keygen(nullptr, nullptr, curve == OkpCurve::kEd448 ? "ED448" : "ED25519"),
						   EVP_PKEY_free);
				break;
			default: key_ = SharedRsaKey(); break;
		}
		Must(!secret_.empty() || key_ != nullptr);
	}

	Algorithm algorithm() const
	{
		return algorithm_;
	}
	const std::string &secret() const
	{
		return secret_;
	}
	EVP_PKEY *key() const
	{
		return key_.get();
	}

	/* The members of the JWK (public part), without braces; `with_alg` adds alg. */
	std::string JwkMembers(bool with_alg = true) const
	{
		std::string jwk;

		if (!secret_.empty()) {
			jwk = R"("kty":"oct","k":")" + Base64UrlEncode(secret_) + '"';
		} else if (algorithm_ == Algorithm::kEdDSA) {
			jwk = std::string(R"("kty":"OKP","crv":")") + (curve_ == OkpCurve::kEd448 ? "Ed448" : "Ed25519") +
				  R"(","x":")" + Base64UrlEncode(OctetsOf(key_.get(), OSSL_PKEY_PARAM_PUB_KEY)) + '"';
		} else if (EVP_PKEY_is_a(key_.get(), "EC")) {
			std::string point = OctetsOf(key_.get(), OSSL_PKEY_PARAM_PUB_KEY);
			std::size_t length = point.size() / 2;
			jwk = std::string(R"("kty":"EC","crv":")") +
				  (length == 32   ? "P-256"
				   : length == 48 ? "P-384"
								  : "P-521") +
				  R"(","x":")" + Base64UrlEncode(point.substr(1, length)) + R"(","y":")" +
				  Base64UrlEncode(point.substr(1 + length)) + '"';
		} else {
			jwk = R"("kty":"RSA","n":")" + Base64UrlEncode(NumberOf(key_.get(), OSSL_PKEY_PARAM_RSA_N)) + R"(","e":")" +
				  Base64UrlEncode(NumberOf(key_.get(), OSSL_PKEY_PARAM_RSA_E)) + '"';
		}
		if (with_alg)
			jwk += std::string(R"(,"alg":")") + AlgorithmName(algorithm_) + '"';
		if (!kid_.empty())
			jwk += R"(,"kid":")" + kid_ + '"';
		return jwk;
	}
	std::string Jwk(bool with_alg = true) const
	{
		return "{" + JwkMembers(with_alg) + "}";
	}

	/* The header that belongs to the key. */
	std::string Header() const
	{
		std::string header = std::string(R"({"alg":")") + AlgorithmName(algorithm_) + R"(","typ":"JWT")";
		return header + (kid_.empty() ? "}" : R"(,"kid":")" + kid_ + R"("})");
	}

	std::string Sign(std::string_view payload) const
	{
		return Sign(Header(), payload);
	}
	std::string Sign(std::string_view header, std::string_view payload, SigningQuirks quirks = {}) const
	{
		return SignText(Base64UrlEncode(header) + '.' + Base64UrlEncode(payload), quirks);
	}
	/* Appends the signature to any text. */
	std::string SignText(const std::string &text, SigningQuirks quirks = {}) const
	{
		return text + '.' + Base64UrlEncode(Signature(text, quirks));
	}

	std::string Signature(std::string_view text, SigningQuirks quirks = {}) const
	{
		static const Hash hashes[] = {Hash::kSha256, Hash::kSha384, Hash::kSha512};
		static const char *const names[] = {"SHA256", "SHA384", "SHA512"};
		int which = static_cast<int>(algorithm_) % 3;

		if (!secret_.empty())
			return Hmac(hashes[which], secret_, text);

		EVP_MD_CTX *context = EVP_MD_CTX_new();
		EVP_PKEY_CTX *operation = nullptr;
		const unsigned char *bytes = reinterpret_cast<const unsigned char *>(text.data());
		std::size_t length = 0;
		Must(EVP_DigestSignInit_ex(context, &operation, algorithm_ == Algorithm::kEdDSA ? nullptr : names[which],
								   nullptr, nullptr, key_.get(), nullptr) == 1);
		if (algorithm_ >= Algorithm::kPS256 && algorithm_ <= Algorithm::kPS512)
			Must(EVP_PKEY_CTX_set_rsa_padding(operation, RSA_PKCS1_PSS_PADDING) == 1 &&
				 EVP_PKEY_CTX_set_rsa_pss_saltlen(operation, quirks.salt_length) == 1);
		Must(EVP_DigestSign(context, nullptr, &length, bytes, text.size()) == 1);
		std::string signature(length, '\0');
		Must(EVP_DigestSign(context, reinterpret_cast<unsigned char *>(signature.data()), &length, bytes,
							text.size()) == 1);
		signature.resize(length);
		EVP_MD_CTX_free(context);
		if (!quirks.der && algorithm_ >= Algorithm::kES256 && algorithm_ <= Algorithm::kES512)
			signature = FromDer(signature, which == 0 ? 32 : which == 1 ? 48 : 66);
		return signature;
	}

 private:
	static std::string FromDer(const std::string &der, int length)
	{
		const unsigned char *at = reinterpret_cast<const unsigned char *>(der.data());
		ECDSA_SIG *pair = d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size()));
		std::string raw(static_cast<std::size_t>(2 * length), '\0');
		unsigned char *out = reinterpret_cast<unsigned char *>(raw.data());

		Must(pair != nullptr && BN_bn2binpad(ECDSA_SIG_get0_r(pair), out, length) == length &&
			 BN_bn2binpad(ECDSA_SIG_get0_s(pair), out + length, length) == length);
		ECDSA_SIG_free(pair);
		return raw;
	}

	/* Making an RSA key takes a tenth of a second: one for all. */
	static std::shared_ptr<EVP_PKEY> SharedRsaKey()
	{
		static const std::shared_ptr<EVP_PKEY> key(EVP_RSA_gen(2048), EVP_PKEY_free);
		return key;
	}

	Algorithm algorithm_;
	std::string kid_;
	OkpCurve curve_;
	std::string secret_;
	std::shared_ptr<EVP_PKEY> key_;
};

constexpr Algorithm kAllAlgorithms[] = {
	Algorithm::kHS256, Algorithm::kHS384, Algorithm::kHS512, Algorithm::kRS256, Algorithm::kRS384,
	Algorithm::kRS512, Algorithm::kPS256, Algorithm::kPS384, Algorithm::kPS512, Algorithm::kES256,
	Algorithm::kES384, Algorithm::kES512, Algorithm::kEdDSA,
};

} // namespace mentalspace::testing
