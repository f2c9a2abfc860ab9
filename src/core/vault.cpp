#include "core/vault.h"

#include "core/base64url.h"

#include <cstring>

namespace mentalspace {

namespace {

constexpr std::string_view kBlanks = " \t\r";
constexpr std::string_view kIdLabel = "mentalspace vault key id";
/* The format of a sealed text; it is also the beginning of the associated data. */
constexpr std::string_view kPrefix = "ms1:";

int
HexDigit(char c) noexcept
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* The id tells of a key whether another is the same, and nothing else: 16 bytes of the HMAC of a label, in the form of a
 * UUID of version 8 (RFC 9562). */
void
MakeId(VaultKey *key)
{
	std::string digest = Hmac(Hash::kSha256, key->Key(), kIdLabel);

	std::memcpy(key->id, digest.data(), sizeof(key->id));
	key->id[6] = static_cast<char>((key->id[6] & 0x0f) | 0x80);
	key->id[8] = static_cast<char>((key->id[8] & 0x3f) | 0x80);
}

/* Takes one line, which is not empty. */
Status
AddKey(std::string_view line, VaultKeys *keys)
{
	if (line.size() != 2 * kAesGcmKeyLength)
		return {ErrorClass::kInvalidKey, "a key is a line of 64 hexadecimal digits"};
	if (keys->count == kVaultMaxKeys)
		return {ErrorClass::kInvalidKey, "there are more than 8 keys"};

	VaultKey *key = &keys->keys[keys->count];
	for (std::size_t i = 0; i < kAesGcmKeyLength; i++) {
		int high = HexDigit(line[2 * i]), low = HexDigit(line[2 * i + 1]);

		if (high < 0 || low < 0)
			return {ErrorClass::kInvalidKey, "a key is a line of 64 hexadecimal digits"};
		key->key[i] = static_cast<char>(high << 4 | low);
	}
	MakeId(key);
	if (keys->Find(key->Id()))
		return {ErrorClass::kInvalidKey, "a key is there twice"};
	keys->count++;
	return {};
}

Status
AddKeys(std::string_view text, VaultKeys *keys)
{
	while (!text.empty()) {
		std::size_t end = text.find('\n');
		std::string_view line = text.substr(0, end);
		text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);

		std::size_t first = line.find_first_not_of(kBlanks);
		if (first == std::string_view::npos || line[first] == '#')
			continue;
		Status status = AddKey(line.substr(first, line.find_last_not_of(kBlanks) - first + 1), keys);
		if (!status.ok())
			return status;
	}
	if (keys->count == 0)
		return {ErrorClass::kInvalidKey, "there is no key"};
	return {};
}

std::string
AssociatedData(const VaultKey &key, std::string_view row_id)
{
	std::string data(kPrefix);

	data.append(key.Id()).append(row_id);
	return data;
}

}  // namespace

const VaultKey *
VaultKeys::Find(std::string_view id) const noexcept
{
	for (std::size_t i = 0; i < count; i++)
		if (keys[i].Id() == id)
			return &keys[i];
	return nullptr;
}

Status
ParseVaultKeys(std::string_view text, VaultKeys *keys)
{
	Zeroise(keys, sizeof(*keys));
	Status status = AddKeys(text, keys);
	if (!status.ok())
		Zeroise(keys, sizeof(*keys));
	return status;
}

Result<SealedSecret>
SealSecret(const VaultKey &key, std::string_view row_id, std::string_view secret)
{
	std::string nonce = RandomBytes(kAesGcmNonceLength);
	Result<std::string> sealed = AesGcmEncrypt(key.Key(), nonce, AssociatedData(key, row_id), secret);

	if (!sealed.ok())
		return sealed.status();
	return SealedSecret{std::string(kPrefix) + Base64UrlEncode(sealed.value()), std::move(nonce)};
}

Result<std::string>
OpenSecret(const VaultKey &key, std::string_view row_id, std::string_view text, std::string_view nonce)
{
	if (text.substr(0, kPrefix.size()) != kPrefix || nonce.size() != kAesGcmNonceLength)
		return Status{ErrorClass::kMalformed, "not a sealed secret"};
	std::optional<std::string> sealed = Base64UrlDecode(text.substr(kPrefix.size()));
	if (!sealed || sealed->size() < kAesGcmTagLength)
		return Status{ErrorClass::kMalformed, "not a sealed secret"};
	return AesGcmDecrypt(key.Key(), nonce, AssociatedData(key, row_id), *sealed);
}

}  // namespace mentalspace
