/* Keys that verify signatures.  Whatever can be done once is done when the key is made: fetching algorithms, parsing
 * and checking the key, setting up the operation.  That is what makes a verification cost little more than its
 * mathematics. */
#include "core/crypto.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include <array>
#include <cstring>
#include <iterator>
#include <new>
#include <utility>

namespace mentalspace {

namespace {

template <auto Free>
struct Deleter {
	template <typename T>
	void
	operator()(T *object) const noexcept
	{
		Free(object);
	}
};

using Pkey = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using PkeyContext = std::unique_ptr<EVP_PKEY_CTX, Deleter<EVP_PKEY_CTX_free>>;
using Md = std::unique_ptr<EVP_MD, Deleter<EVP_MD_free>>;
using MdContext = std::unique_ptr<EVP_MD_CTX, Deleter<EVP_MD_CTX_free>>;
using Mac = std::unique_ptr<EVP_MAC, Deleter<EVP_MAC_free>>;
using MacContext = std::unique_ptr<EVP_MAC_CTX, Deleter<EVP_MAC_CTX_free>>;
using BigNumber = std::unique_ptr<BIGNUM, Deleter<BN_free>>;
using EcdsaSignature = std::unique_ptr<ECDSA_SIG, Deleter<ECDSA_SIG_free>>;
using ParamBuilder = std::unique_ptr<OSSL_PARAM_BLD, Deleter<OSSL_PARAM_BLD_free>>;
using Params = std::unique_ptr<OSSL_PARAM, Deleter<OSSL_PARAM_free>>;

enum class Family : unsigned char { kHmac, kRsaPkcs1, kRsaPss, kEcdsa, kEddsa };

struct AlgorithmTraits {
	Algorithm algorithm;
	const char *name;
	Family family;
	Hash hash;                /* EdDSA has its own */
	const char *group;        /* ECDSA: OpenSSL's name of the curve */
	std::size_t field_length; /* ECDSA: of a coordinate, and of r and s, in bytes */
};

constexpr AlgorithmTraits kAlgorithms[] = {
	{Algorithm::kHS256, "HS256", Family::kHmac, Hash::kSha256, nullptr, 0},
	{Algorithm::kHS384, "HS384", Family::kHmac, Hash::kSha384, nullptr, 0},
	{Algorithm::kHS512, "HS512", Family::kHmac, Hash::kSha512, nullptr, 0},
	{Algorithm::kRS256, "RS256", Family::kRsaPkcs1, Hash::kSha256, nullptr, 0},
	{Algorithm::kRS384, "RS384", Family::kRsaPkcs1, Hash::kSha384, nullptr, 0},
	{Algorithm::kRS512, "RS512", Family::kRsaPkcs1, Hash::kSha512, nullptr, 0},
	{Algorithm::kPS256, "PS256", Family::kRsaPss, Hash::kSha256, nullptr, 0},
	{Algorithm::kPS384, "PS384", Family::kRsaPss, Hash::kSha384, nullptr, 0},
	{Algorithm::kPS512, "PS512", Family::kRsaPss, Hash::kSha512, nullptr, 0},
	{Algorithm::kES256, "ES256", Family::kEcdsa, Hash::kSha256, "P-256", 32},
	{Algorithm::kES384, "ES384", Family::kEcdsa, Hash::kSha384, "P-384", 48},
	{Algorithm::kES512, "ES512", Family::kEcdsa, Hash::kSha512, "P-521", 66},
	{Algorithm::kEdDSA, "EdDSA", Family::kEddsa, Hash::kSha512, nullptr, 0},
};

constexpr bool
AlgorithmsAreInOrder()
{
	for (std::size_t i = 0; i < std::size(kAlgorithms); i++) {
		if (static_cast<std::size_t>(kAlgorithms[i].algorithm) != i)
			return false;
	}
	return true;
}
static_assert(AlgorithmsAreInOrder());

constexpr const AlgorithmTraits &
Traits(Algorithm algorithm) noexcept
{
	return kAlgorithms[static_cast<std::size_t>(algorithm)];
}

const char *
HashName(Hash hash) noexcept
{
	return hash == Hash::kSha256 ? "SHA256" : hash == Hash::kSha384 ? "SHA384" : "SHA512";
}

const unsigned char *
Bytes(std::string_view bytes) noexcept
{
	return reinterpret_cast<const unsigned char *>(bytes.data());
}

BigNumber
Number(std::string_view big_endian)
{
	BigNumber number(BN_bin2bn(Bytes(big_endian), static_cast<int>(big_endian.size()), nullptr));

	if (!number)
		throw std::bad_alloc();
	return number;
}

/* A public key of the parameters, or null where OpenSSL does not take them; for EC that includes points off the
 * curve. */
Pkey
PublicKey(const char *type, OSSL_PARAM *params)
{
	PkeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
	EVP_PKEY *key = nullptr;

	if (!context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
		EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params) != 1) {
		ERR_clear_error();
		return nullptr;
	}
	return Pkey(key);
}

bool
PassesPublicCheck(EVP_PKEY *key)
{
	PkeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
	bool passes = context && EVP_PKEY_public_check(context.get()) == 1;

	ERR_clear_error();
	return passes;
}

/* Whether the modulus bears the mark of the broken key generator of CVE-2017-15361 (ROCA): modulo each of these
 * primes it is a power of 65537.  By chance a modulus does that once in more than 10^40. */
bool
IsRocaModulus(const BIGNUM *modulus)
{
	constexpr BN_ULONG kPrimes[] = {
		3,  5,  7,  11, 13, 17, 19,  23,  29,  31,  37,  41,  43,  47,  53,  59,  61,  67,  71,
		73, 79, 83, 89, 97, 101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
	};

	for (BN_ULONG prime : kPrimes) {
		BN_ULONG remainder = BN_mod_word(modulus, prime), power = 1;

		do
			power = power * 65537 % prime;
		while (power != remainder && power != 1);
		if (power != remainder)
			return false;
	}
	return true;
}

}  // namespace

const char *
AlgorithmName(Algorithm algorithm) noexcept
{
	return Traits(algorithm).name;
}

std::optional<Algorithm>
AlgorithmFromName(std::string_view name) noexcept
{
	for (const AlgorithmTraits &traits : kAlgorithms) {
		if (name == traits.name)
			return traits.algorithm;
	}
	return std::nullopt;
}

/* The key and the operations on it that are set up once and used again and again. */
struct VerificationKey::Prepared {
	Pkey key;
	PkeyContext operation;     /* RSA, ECDSA: verification of a hash */
	Md md;
	MdContext md_context;
	MacContext mac_context;    /* HMAC: holds the only copy of the secret, which OpenSSL zeroises */
	std::size_t signature_length = 0;
	std::string order;         /* ECDSA: of the group, big-endian, field_length bytes */

	Prepared() : md_context(EVP_MD_CTX_new())
	{
		if (!md_context)
			throw std::bad_alloc();
	}

	bool SetUpOperation(const AlgorithmTraits &traits);
	bool VerifyHmac(std::string_view message, std::string_view signature);
	bool VerifyHash(std::string_view message, std::string_view signature);
	bool VerifyEcdsa(std::string_view message, std::string_view signature, std::size_t field_length);
	bool VerifyEddsa(std::string_view message, std::string_view signature);
};

bool
VerificationKey::Prepared::SetUpOperation(const AlgorithmTraits &traits)
{
	md.reset(EVP_MD_fetch(nullptr, HashName(traits.hash), nullptr));
	operation.reset(EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr));
	if (!md || !operation || EVP_PKEY_verify_init(operation.get()) != 1)
		return false;
	if (traits.family == Family::kRsaPkcs1 &&
		EVP_PKEY_CTX_set_rsa_padding(operation.get(), RSA_PKCS1_PADDING) != 1)
		return false;
	if (traits.family == Family::kRsaPss && EVP_PKEY_CTX_set_rsa_padding(operation.get(), RSA_PKCS1_PSS_PADDING) != 1)
		return false;
	if (EVP_PKEY_CTX_set_signature_md(operation.get(), md.get()) != 1)
		return false;
	/* RFC 7518 section 3.5: MGF1 with the same hash, and a salt as long as the hash. */
	return traits.family != Family::kRsaPss ||
		   (EVP_PKEY_CTX_set_rsa_mgf1_md(operation.get(), md.get()) == 1 &&
			EVP_PKEY_CTX_set_rsa_pss_saltlen(operation.get(), RSA_PSS_SALTLEN_DIGEST) == 1);
}

bool
VerificationKey::Prepared::VerifyHmac(std::string_view message, std::string_view signature)
{
	std::array<unsigned char, EVP_MAX_MD_SIZE> mac;
	std::size_t length = 0;

	/* Without a key: begins again with the key of before. */
	if (EVP_MAC_init(mac_context.get(), nullptr, 0, nullptr) != 1 ||
		EVP_MAC_update(mac_context.get(), Bytes(message), message.size()) != 1 ||
		EVP_MAC_final(mac_context.get(), mac.data(), &length, mac.size()) != 1)
		return false;
	return ConstantTimeEqual({reinterpret_cast<const char *>(mac.data()), length}, signature);
}

/* `signature` as OpenSSL wants it. */
bool
VerificationKey::Prepared::VerifyHash(std::string_view message, std::string_view signature)
{
	std::array<unsigned char, EVP_MAX_MD_SIZE> hash;
	unsigned int length = 0;

	return EVP_DigestInit_ex2(md_context.get(), md.get(), nullptr) == 1 &&
		   EVP_DigestUpdate(md_context.get(), message.data(), message.size()) == 1 &&
		   EVP_DigestFinal_ex(md_context.get(), hash.data(), &length) == 1 &&
		   EVP_PKEY_verify(operation.get(), Bytes(signature), signature.size(), hash.data(), length) == 1;
}

bool
VerificationKey::Prepared::VerifyEcdsa(std::string_view message, std::string_view signature, std::size_t field_length)
{
	/* Not left to OpenSSL alone: r and s must be in 1 .. order - 1 (CVE-2022-21449 was their being 0). */
	std::string_view r = signature.substr(0, field_length), s = signature.substr(field_length);
	for (std::string_view number : {r, s}) {
		if (number.find_first_not_of('\0') == std::string_view::npos ||
			std::memcmp(number.data(), order.data(), field_length) >= 0)
			return false;
	}

	EcdsaSignature pair(ECDSA_SIG_new());
	BigNumber r_number = Number(r), s_number = Number(s);
	std::array<unsigned char, 160> der;  /* 2 numbers of up to 67 bytes with 2 or 3 bytes before each and before both */
	unsigned char *end = der.data();

	if (!pair || ECDSA_SIG_set0(pair.get(), r_number.get(), s_number.get()) != 1)
		throw std::bad_alloc();
	(void) r_number.release();
	(void) s_number.release();
	if (i2d_ECDSA_SIG(pair.get(), nullptr) > static_cast<int>(der.size()))
		return false;
	int length = i2d_ECDSA_SIG(pair.get(), &end);
	return length > 0 &&
		   VerifyHash(message, {reinterpret_cast<const char *>(der.data()), static_cast<std::size_t>(length)});
}

bool
VerificationKey::Prepared::VerifyEddsa(std::string_view message, std::string_view signature)
{
	return EVP_MD_CTX_reset(md_context.get()) == 1 &&
		   EVP_DigestVerifyInit_ex(md_context.get(), nullptr, nullptr, nullptr, nullptr, key.get(), nullptr) == 1 &&
		   EVP_DigestVerify(md_context.get(), Bytes(signature), signature.size(), Bytes(message), message.size()) == 1;
}

VerificationKey::VerificationKey(Algorithm algorithm, std::unique_ptr<Prepared> prepared) noexcept
	: algorithm_(algorithm), prepared_(std::move(prepared))
{
}

VerificationKey::VerificationKey(VerificationKey &&) noexcept = default;
VerificationKey &VerificationKey::operator=(VerificationKey &&) noexcept = default;
VerificationKey::~VerificationKey() = default;

Result<VerificationKey>
VerificationKey::Symmetric(Algorithm algorithm, std::string_view secret)
{
	const AlgorithmTraits &traits = Traits(algorithm);

	if (traits.family != Family::kHmac)
		return Status{ErrorClass::kInvalidKey, "a symmetric key is only for HS256, HS384 or HS512"};
	if (secret.size() < HashLength(traits.hash))
		return Status{ErrorClass::kInvalidKey, "the secret is shorter than the hash of its algorithm"};

	auto prepared = std::make_unique<Prepared>();
	Mac mac(EVP_MAC_fetch(nullptr, "HMAC", nullptr));
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, const_cast<char *>(HashName(traits.hash)), 0),
		OSSL_PARAM_construct_end(),
	};

	prepared->mac_context.reset(mac ? EVP_MAC_CTX_new(mac.get()) : nullptr);
	prepared->signature_length = HashLength(traits.hash);
	if (!prepared->mac_context ||
		EVP_MAC_init(prepared->mac_context.get(), Bytes(secret), secret.size(), params) != 1) {
		ERR_clear_error();
		return Status{ErrorClass::kInvalidKey, "OpenSSL does not take the secret"};
	}
	return VerificationKey(algorithm, std::move(prepared));
}

Result<VerificationKey>
VerificationKey::Rsa(Algorithm algorithm, std::string_view modulus, std::string_view exponent)
{
	constexpr int kLeastBits = 2048, kMostBits = 16384, kMostExponentBits = 64;
	const AlgorithmTraits &traits = Traits(algorithm);

	if (traits.family != Family::kRsaPkcs1 && traits.family != Family::kRsaPss)
		return Status{ErrorClass::kInvalidKey, "an RSA key is only for RS256 to RS512 or PS256 to PS512"};
	if (modulus.size() > kMostBits / 8 || exponent.size() > kMostExponentBits / 8)
		return Status{ErrorClass::kInvalidKey, "the RSA key is too large"};

	BigNumber n = Number(modulus), e = Number(exponent);
	if (BN_num_bits(n.get()) < kLeastBits)
		return Status{ErrorClass::kInvalidKey, "the RSA key has less than 2048 bits"};
	if (!BN_is_odd(n.get()))
		return Status{ErrorClass::kInvalidKey, "the modulus of the RSA key is even"};
	if (IsRocaModulus(n.get()))
		return Status{ErrorClass::kInvalidKey, "the RSA key was made by a broken generator (CVE-2017-15361)"};
	if (!BN_is_odd(e.get()) || BN_is_one(e.get()))
		return Status{ErrorClass::kInvalidKey, "the exponent of the RSA key must be odd and at least 3"};

	auto prepared = std::make_unique<Prepared>();
	ParamBuilder builder(OSSL_PARAM_BLD_new());
	if (!builder || OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) != 1 ||
		OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) != 1)
		throw std::bad_alloc();
	Params params(OSSL_PARAM_BLD_to_param(builder.get()));
	prepared->key = params ? PublicKey("RSA", params.get()) : nullptr;
	if (!prepared->key || !prepared->SetUpOperation(traits)) {
		ERR_clear_error();
		return Status{ErrorClass::kInvalidKey, "OpenSSL does not take the RSA key"};
	}
	prepared->signature_length = static_cast<std::size_t>(EVP_PKEY_get_size(prepared->key.get()));
	return VerificationKey(algorithm, std::move(prepared));
}

Result<VerificationKey>
VerificationKey::Ec(Algorithm algorithm, std::string_view x, std::string_view y)
{
	const AlgorithmTraits &traits = Traits(algorithm);

	if (traits.family != Family::kEcdsa)
		return Status{ErrorClass::kInvalidKey, "an EC key is only for ES256, ES384 or ES512"};
	if (x.size() != traits.field_length || y.size() != traits.field_length)
		return Status{ErrorClass::kInvalidKey, "a coordinate of the EC key has the wrong length"};

	auto prepared = std::make_unique<Prepared>();
	std::string point = "\x04";  /* uncompressed */
	point.append(x).append(y);
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, const_cast<char *>(traits.group), 0),
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()),
		OSSL_PARAM_construct_end(),
	};

	prepared->key = PublicKey("EC", params);
	if (!prepared->key || !PassesPublicCheck(prepared->key.get()))
		return Status{ErrorClass::kInvalidKey, "the point of the EC key is not on its curve"};

	BIGNUM *order = nullptr;
	bool has_order = EVP_PKEY_get_bn_param(prepared->key.get(), OSSL_PKEY_PARAM_EC_ORDER, &order) == 1;
	BigNumber owned_order(order);
	prepared->order.resize(traits.field_length);
	if (!has_order ||
		BN_bn2binpad(order, reinterpret_cast<unsigned char *>(prepared->order.data()),
					 static_cast<int>(traits.field_length)) < 0 ||
		!prepared->SetUpOperation(traits)) {
		ERR_clear_error();
		return Status{ErrorClass::kInvalidKey, "OpenSSL does not take the EC key"};
	}
	prepared->signature_length = 2 * traits.field_length;
	return VerificationKey(algorithm, std::move(prepared));
}

Result<VerificationKey>
VerificationKey::Okp(OkpCurve curve, std::string_view x)
{
	bool is_448 = curve == OkpCurve::kEd448;

	if (x.size() != (is_448 ? 57u : 32u))
		return Status{ErrorClass::kInvalidKey, "the Ed25519 or Ed448 key has the wrong length"};

	auto prepared = std::make_unique<Prepared>();
	prepared->key.reset(
		EVP_PKEY_new_raw_public_key_ex(nullptr, is_448 ? "ED448" : "ED25519", nullptr, Bytes(x), x.size()));
	if (!prepared->key) {
		ERR_clear_error();
		return Status{ErrorClass::kInvalidKey, "OpenSSL does not take the Ed25519 or Ed448 key"};
	}
	prepared->signature_length = is_448 ? 114 : 64;
	return VerificationKey(Algorithm::kEdDSA, std::move(prepared));
}

bool
VerificationKey::Verify(std::string_view message, std::string_view signature) const
{
	const AlgorithmTraits &traits = Traits(algorithm_);
	bool valid = false;

	/* One length per key: this also refuses DER in place of r and s. */
	if (signature.size() != prepared_->signature_length)
		return false;
	switch (traits.family) {
		case Family::kHmac: valid = prepared_->VerifyHmac(message, signature); break;
		case Family::kRsaPkcs1:
		case Family::kRsaPss: valid = prepared_->VerifyHash(message, signature); break;
		case Family::kEcdsa: valid = prepared_->VerifyEcdsa(message, signature, traits.field_length); break;
		case Family::kEddsa: valid = prepared_->VerifyEddsa(message, signature); break;
	}
	if (!valid)
		ERR_clear_error();
	return valid;
}

}  // namespace mentalspace
