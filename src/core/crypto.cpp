/* The primitives: comparison, HMAC, random bytes, AES-GCM.  The keys are in crypto_key.cpp. */
#include "core/crypto.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <limits>
#include <new>
#include <stdexcept>

namespace mentalspace {

namespace {

const EVP_MD *
MessageDigest(Hash hash) noexcept
{
	switch (hash) {
		case Hash::kSha256: return EVP_sha256();
		case Hash::kSha384: return EVP_sha384();
		case Hash::kSha512: break;
	}
	return EVP_sha512();
}

const unsigned char *
Bytes(std::string_view bytes) noexcept
{
	return reinterpret_cast<const unsigned char *>(bytes.data());
}

unsigned char *
Bytes(std::string &bytes) noexcept
{
	return reinterpret_cast<unsigned char *>(bytes.data());
}

bool
FitsInt(std::string_view bytes) noexcept
{
	return bytes.size() <= static_cast<std::size_t>(std::numeric_limits<int>::max());
}

struct CipherDeleter {
	void operator()(EVP_CIPHER_CTX *context) const noexcept { EVP_CIPHER_CTX_free(context); }
};
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, CipherDeleter>;

Status
CheckAesGcmArguments(std::string_view key, std::string_view nonce)
{
	if (key.size() != kAesGcmKeyLength)
		return {ErrorClass::kInvalidArgument, "the key must be 32 bytes long"};
	if (nonce.size() != kAesGcmNonceLength)
		return {ErrorClass::kInvalidArgument, "the nonce must be 12 bytes long"};
	return {};
}

}  // namespace

bool
ConstantTimeEqual(std::string_view a, std::string_view b) noexcept
{
	return a.size() == b.size() && (a.empty() || CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0);
}

void
Zeroise(void *memory, std::size_t length) noexcept
{
	if (length > 0)
		OPENSSL_cleanse(memory, length);
}

std::string
Hmac(Hash hash, std::string_view key, std::string_view message)
{
	std::string mac(HashLength(hash), '\0');
	/* OpenSSL takes a null key pointer for "the key of before", so an empty key needs an address of its own. */
	const void *key_bytes = key.empty() ? "" : key.data();

	if (!FitsInt(key))
		throw std::length_error("the key is too long");
	if (HMAC(MessageDigest(hash), key_bytes, static_cast<int>(key.size()), Bytes(message), message.size(), Bytes(mac),
			 nullptr) == nullptr) {
		ERR_clear_error();
		throw std::bad_alloc();
	}
	return mac;
}

/* The algorithm is fetched once: looking it up for each message costs more than a short message does. */
struct Sha256::State {
	EVP_MD *algorithm = nullptr;
	EVP_MD_CTX *context = nullptr;
	bool begun = false;

	~State()
	{
		EVP_MD_CTX_free(context);
		EVP_MD_free(algorithm);
	}

	bool
	Did(int result) noexcept
	{
		begun = result == 1;
		if (!begun)
			ERR_clear_error();
		return begun;
	}
};

Sha256::Sha256() : state_(std::make_unique<State>())
{
	state_->algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
	state_->context = EVP_MD_CTX_new();
	if (state_->algorithm == nullptr || state_->context == nullptr) {
		ERR_clear_error();
		throw std::bad_alloc();
	}
}

Sha256::~Sha256() = default;

bool
Sha256::Begin() noexcept
{
	return state_->Did(EVP_DigestInit_ex2(state_->context, state_->algorithm, nullptr));
}

bool
Sha256::Update(std::string_view bytes) noexcept
{
	return state_->begun && state_->Did(EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()));
}

bool
Sha256::Finish(unsigned char digest[kSha256Length]) noexcept
{
	if (!state_->begun || !state_->Did(EVP_DigestFinal_ex(state_->context, digest, nullptr)))
		return false;
	state_->begun = false;
	return true;
}

std::string
RandomBytes(std::size_t count)
{
	std::string bytes(count, '\0');

	if (!FitsInt(bytes) || RAND_bytes(Bytes(bytes), static_cast<int>(count)) != 1) {
		ERR_clear_error();
		throw std::runtime_error("could not generate random bytes");
	}
	return bytes;
}

Result<std::string>
AesGcmEncrypt(std::string_view key, std::string_view nonce, std::string_view associated_data,
			  std::string_view plaintext)
{
	if (Status status = CheckAesGcmArguments(key, nonce); !status.ok())
		return status;
	if (!FitsInt(plaintext) || !FitsInt(associated_data))
		return Status{ErrorClass::kInvalidArgument, "the text is too long"};

	CipherContext context(EVP_CIPHER_CTX_new());
	std::string sealed(plaintext.size() + kAesGcmTagLength, '\0');
	int length = 0;

	if (!context || EVP_EncryptInit_ex2(context.get(), EVP_aes_256_gcm(), Bytes(key), Bytes(nonce), nullptr) != 1 ||
		(!associated_data.empty() && EVP_EncryptUpdate(context.get(), nullptr, &length, Bytes(associated_data),
													   static_cast<int>(associated_data.size())) != 1) ||
		(!plaintext.empty() && EVP_EncryptUpdate(context.get(), Bytes(sealed), &length, Bytes(plaintext),
												 static_cast<int>(plaintext.size())) != 1) ||
		EVP_EncryptFinal_ex(context.get(), Bytes(sealed) + plaintext.size(), &length) != 1 ||
		EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, static_cast<int>(kAesGcmTagLength),
							Bytes(sealed) + plaintext.size()) != 1) {
		ERR_clear_error();
		throw std::bad_alloc();
	}
	return sealed;
}

Result<std::string>
AesGcmDecrypt(std::string_view key, std::string_view nonce, std::string_view associated_data,
			  std::string_view ciphertext_and_tag)
{
	if (Status status = CheckAesGcmArguments(key, nonce); !status.ok())
		return status;
	if (!FitsInt(ciphertext_and_tag) || !FitsInt(associated_data))
		return Status{ErrorClass::kInvalidArgument, "the text is too long"};
	if (ciphertext_and_tag.size() < kAesGcmTagLength)
		return Status{ErrorClass::kBadSignature, "the ciphertext is too short"};

	std::size_t size = ciphertext_and_tag.size() - kAesGcmTagLength;
	std::string tag(ciphertext_and_tag.substr(size));
	std::string plaintext(size, '\0');
	CipherContext context(EVP_CIPHER_CTX_new());
	int length = 0;

	if (!context || EVP_DecryptInit_ex2(context.get(), EVP_aes_256_gcm(), Bytes(key), Bytes(nonce), nullptr) != 1)
		throw std::bad_alloc();
	if ((!associated_data.empty() && EVP_DecryptUpdate(context.get(), nullptr, &length, Bytes(associated_data),
													   static_cast<int>(associated_data.size())) != 1) ||
		(size > 0 && EVP_DecryptUpdate(context.get(), Bytes(plaintext), &length, Bytes(ciphertext_and_tag),
									   static_cast<int>(size)) != 1) ||
		EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, static_cast<int>(kAesGcmTagLength), tag.data()) !=
			1 ||
		EVP_DecryptFinal_ex(context.get(), Bytes(plaintext) + size, &length) != 1) {
		ERR_clear_error();
		Zeroise(plaintext.data(), plaintext.size());
		return Status{ErrorClass::kBadSignature, "the ciphertext does not belong to this key"};
	}
	return plaintext;
}

}  // namespace mentalspace
