#include "core/vault.h"

#include <gtest/gtest.h>

#include <string>

namespace mentalspace {
namespace {

const std::string kRow(kVaultIdLength, '\x11'), kOtherRow(kVaultIdLength, '\x12');

/* A line for a key, different for each number. */
std::string
KeyLine(int number)
{
	std::string line;

	for (int i = 0; i < 64; i++)
		line.push_back("0123456789abcdef"[(i * 7 + number) % 16]);
	return line;
}

VaultKeys
Keys(const std::string &text)
{
	VaultKeys keys;

	EXPECT_TRUE(ParseVaultKeys(text, &keys).ok());
	return keys;
}

TEST(Vault, ReadsKeys)
{
	EXPECT_EQ(Keys(KeyLine(0)).count, 1u);
	EXPECT_EQ(Keys("\n# remark\n \t" + KeyLine(1) + " \r\n\n" + KeyLine(2) + "\n").count, 2u);

	std::string upper = KeyLine(3);
	for (char &c : upper)
		c = static_cast<char>(toupper(c));
	EXPECT_EQ(Keys(upper).keys[0].Key(), Keys(KeyLine(3)).keys[0].Key());
}

TEST(Vault, RefusesWhatIsNoKey)
{
	std::string nine;
	for (int i = 0; i < 9; i++)
		nine += KeyLine(i) + "\n";

	for (const std::string &text : {std::string(), std::string("\n\n"), std::string("# remark"), KeyLine(0).substr(1),
									KeyLine(0) + "0", "g" + KeyLine(0).substr(1), KeyLine(0) + " " + KeyLine(1),
									KeyLine(0) + "\nnonsense", KeyLine(0) + "\n" + KeyLine(0), std::string(64, '\0'), nine}) {
		VaultKeys keys;
		Status status = ParseVaultKeys(text, &keys);

		EXPECT_EQ(status.error(), ErrorClass::kInvalidKey) << text;
		EXPECT_EQ(keys.count, 0u);
		for (const VaultKey &key : keys.keys)
			EXPECT_EQ(key.Key(), std::string(kAesGcmKeyLength, '\0'));
	}
}

TEST(Vault, KeysAreKnownByIds)
{
	VaultKeys keys = Keys(KeyLine(1) + "\n" + KeyLine(2));

	EXPECT_NE(keys.keys[0].Id(), keys.keys[1].Id());
	EXPECT_EQ(keys.Find(keys.keys[1].Id()), &keys.keys[1]);
	EXPECT_EQ(keys.Find(kRow), nullptr);
	EXPECT_EQ(keys.Find(""), nullptr);
	EXPECT_EQ(Keys(KeyLine(1)).keys[0].Id(), keys.keys[0].Id());
	/* A UUID of version 8. */
	EXPECT_EQ(keys.keys[0].id[6] & 0xf0, 0x80);
	EXPECT_EQ(keys.keys[0].id[8] & 0xc0, 0x80);
}

TEST(Vault, SealsAndOpens)
{
	VaultKeys keys = Keys(KeyLine(1));

	for (const std::string &secret : {std::string(), std::string("s"), std::string("a secret"), std::string(100000, 'x')}) {
		Result<SealedSecret> sealed = SealSecret(keys.keys[0], kRow, secret);
		ASSERT_TRUE(sealed.ok());
		EXPECT_EQ(sealed.value().nonce.size(), kAesGcmNonceLength);
		EXPECT_EQ(sealed.value().text.find("secret"), std::string::npos);

		Result<std::string> opened = OpenSecret(keys.keys[0], kRow, sealed.value().text, sealed.value().nonce);
		ASSERT_TRUE(opened.ok());
		EXPECT_EQ(opened.value(), secret);
	}
}

TEST(Vault, NeverSealsTheSameWay)
{
	VaultKeys keys = Keys(KeyLine(1));
	Result<SealedSecret> a = SealSecret(keys.keys[0], kRow, "a secret"), b = SealSecret(keys.keys[0], kRow, "a secret");

	EXPECT_NE(a.value().text, b.value().text);
	EXPECT_NE(a.value().nonce, b.value().nonce);
}

TEST(Vault, OpensNothingElse)
{
	VaultKeys keys = Keys(KeyLine(1) + "\n" + KeyLine(2));
	SealedSecret sealed = SealSecret(keys.keys[0], kRow, "a secret").value();

	EXPECT_EQ(OpenSecret(keys.keys[1], kRow, sealed.text, sealed.nonce).status().error(), ErrorClass::kBadSignature);
	EXPECT_EQ(OpenSecret(keys.keys[0], kOtherRow, sealed.text, sealed.nonce).status().error(), ErrorClass::kBadSignature);

	std::string nonce = sealed.nonce;
	nonce[0] = static_cast<char>(nonce[0] ^ 1);
	EXPECT_EQ(OpenSecret(keys.keys[0], kRow, sealed.text, nonce).status().error(), ErrorClass::kBadSignature);

	for (std::size_t i = 4; i < sealed.text.size(); i++) {
		std::string text = sealed.text;
		text[i] = text[i] == 'A' ? 'B' : 'A';
		EXPECT_FALSE(OpenSecret(keys.keys[0], kRow, text, sealed.nonce).ok()) << i;
	}
	for (std::size_t length = 0; length < sealed.text.size(); length++)
		EXPECT_FALSE(OpenSecret(keys.keys[0], kRow, sealed.text.substr(0, length), sealed.nonce).ok()) << length;
}

TEST(Vault, TellsWhatIsNotSealed)
{
	VaultKeys keys = Keys(KeyLine(1));
	SealedSecret sealed = SealSecret(keys.keys[0], kRow, "a secret").value();

	for (const std::string &text : {std::string(), std::string("a secret"), std::string("ms1:"), std::string("ms1:AAAA"),
									std::string("ms2:") + sealed.text.substr(4), sealed.text + "="})
		EXPECT_EQ(OpenSecret(keys.keys[0], kRow, text, sealed.nonce).status().error(), ErrorClass::kMalformed) << text;
	EXPECT_EQ(OpenSecret(keys.keys[0], kRow, sealed.text, "").status().error(), ErrorClass::kMalformed);
}

}  // namespace
}  // namespace mentalspace
