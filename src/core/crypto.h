/* Everything cryptographic, and the only user of OpenSSL (3.0 or newer, EVP interface).
 *
 * Bytes are string_views.  Functions that return false or nothing leave OpenSSL's error queue empty: the server's TLS
 * code reads that queue too.  Nothing here may be called from more than one thread at a time. */
#pragma once

#include "core/status.h"

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace mentalspace {

enum class Hash : unsigned char { kSha256, kSha384, kSha512 };

/* Length of the hash in bytes. */
constexpr std::size_t
HashLength(Hash hash) noexcept
{
	return hash == Hash::kSha256 ? 32 : hash == Hash::kSha384 ? 48 : 64;
}

/* Compares in a time that depends on the lengths only. */
bool ConstantTimeEqual(std::string_view a, std::string_view b) noexcept;

/* Overwrites memory in a way that the compiler does not remove. */
void Zeroise(void *memory, std::size_t length) noexcept;

/* HMAC (RFC 2104) with a SHA-2 hash; any key length: whoever needs a minimum checks it.  Throws std::bad_alloc. */
std::string Hmac(Hash hash, std::string_view key, std::string_view message);

constexpr std::size_t kSha256Length = 32;

/* SHA-256 (FIPS 180-4) of bytes that come in pieces.  One object hashes any number of messages one after another and
 * allocates only when it is made. */
class Sha256 {
 public:
	/* Throws std::bad_alloc. */
	Sha256();
	Sha256(const Sha256 &) = delete;
	Sha256 &operator=(const Sha256 &) = delete;
	~Sha256();

	/* Begins a message, whatever was before; appends to it; ends it.  False where OpenSSL fails, and then also from all
	 * that follows until the next Begin. */
	bool Begin() noexcept;
	bool Update(std::string_view bytes) noexcept;
	bool Finish(unsigned char digest[kSha256Length]) noexcept;

 private:
	struct State;
	std::unique_ptr<State> state_;
};

/* Cryptographically strong random bytes.  Throws std::runtime_error where the system has none. */
std::string RandomBytes(std::size_t count);

constexpr std::size_t kAesGcmKeyLength = 32;
constexpr std::size_t kAesGcmNonceLength = 12;
constexpr std::size_t kAesGcmTagLength = 16;

/* AES-256-GCM (NIST SP 800-38D).  Returns ciphertext followed by the 16-byte tag; `key` must be 32 and `nonce` 12 bytes
 * (kInvalidArgument otherwise).  A nonce must never be used twice with one key. */
Result<std::string> AesGcmEncrypt(std::string_view key, std::string_view nonce, std::string_view associated_data,
								  std::string_view plaintext);

/* The plaintext, or kBadSignature where key, nonce, associated data, ciphertext or tag do not belong together. */
Result<std::string> AesGcmDecrypt(std::string_view key, std::string_view nonce, std::string_view associated_data,
								  std::string_view ciphertext_and_tag);

/* The signature algorithms of RFC 7518 section 3.1 and RFC 8037 that are accepted.  `none` is not among them. */
enum class Algorithm : unsigned char {
	kHS256, kHS384, kHS512,
	kRS256, kRS384, kRS512,
	kPS256, kPS384, kPS512,
	kES256, kES384, kES512,
	kEdDSA,
};

/* The name as a JOSE header writes it, and back; names are case sensitive. */
const char *AlgorithmName(Algorithm algorithm) noexcept;
std::optional<Algorithm> AlgorithmFromName(std::string_view name) noexcept;

enum class OkpCurve : unsigned char { kEd25519, kEd448 };

/* One key that verifies signatures of exactly one algorithm.  The key is checked and prepared once, here; Verify then
 * does no more than the mathematics.  Immutable for the caller; key material is zeroised with the object. */
class VerificationKey {
 public:
	/* All return kInvalidKey for a key that must not be used.
	 * Symmetric: HS*, at least as long as the hash.
	 * Rsa: RS* or PS*; big-endian modulus of 2048 to 16384 bits, odd exponent of at least 3 and at most 64 bits.
	 * Ec: ES256 with P-256, ES384 with P-384, ES512 with P-521; big-endian coordinates of full length, on the curve.
	 * Okp: EdDSA; 32 (Ed25519) or 57 (Ed448) bytes.  Bytes that decode to no point make a key that verifies nothing. */
	static Result<VerificationKey> Symmetric(Algorithm algorithm, std::string_view secret);
	static Result<VerificationKey> Rsa(Algorithm algorithm, std::string_view modulus, std::string_view exponent);
	static Result<VerificationKey> Ec(Algorithm algorithm, std::string_view x, std::string_view y);
	static Result<VerificationKey> Okp(OkpCurve curve, std::string_view x);

	VerificationKey(VerificationKey &&) noexcept;
	VerificationKey &operator=(VerificationKey &&) noexcept;
	~VerificationKey();

	Algorithm algorithm() const noexcept { return algorithm_; }

	/* Whether `signature`, as JWS writes it (RFC 7518 section 3: for ES* r and s side by side, never DER), is this
	 * key's signature of `message`. */
	bool Verify(std::string_view message, std::string_view signature) const;

 private:
	struct Prepared;
	VerificationKey(Algorithm algorithm, std::unique_ptr<Prepared> prepared) noexcept;

	Algorithm algorithm_;
	std::unique_ptr<Prepared> prepared_;
};

}  // namespace mentalspace
