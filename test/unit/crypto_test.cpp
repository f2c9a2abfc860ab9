#include "core/crypto.h"

#include <gtest/gtest.h>

#include <string>

namespace mentalspace {
namespace {

std::string
Hex(std::string_view bytes)
{
	static const char digits[] = "0123456789abcdef";
	std::string text;

	for (unsigned char byte : bytes) {
		text.push_back(digits[byte >> 4]);
		text.push_back(digits[byte & 15]);
	}
	return text;
}

/* RFC 4231 test case 2 (published). */
TEST(Crypto, HmacPublishedExample)
{
	EXPECT_EQ(Hex(Hmac(Hash::kSha256, "Jefe", "what do ya want for nothing?")),
			  "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	EXPECT_EQ(Hex(Hmac(Hash::kSha384, "Jefe", "what do ya want for nothing?")),
			  "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649");
	EXPECT_EQ(Hex(Hmac(Hash::kSha512, "Jefe", "what do ya want for nothing?")),
			  "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a3"
			  "4d4a6b4b636e070a38bce737");
	EXPECT_EQ(Hmac(Hash::kSha256, "", "").size(), 32u);
}

/* The examples that NIST publishes for FIPS 180-4, and the hash of nothing. */
TEST(Crypto, Sha256PublishedExamples)
{
	Sha256 hash;
	auto hashed = [&hash](std::string_view message, std::size_t piece) {
		unsigned char digest[kSha256Length];

		EXPECT_TRUE(hash.Begin());
		for (std::size_t at = 0; at < message.size(); at += piece)
			EXPECT_TRUE(hash.Update(message.substr(at, piece)));
		EXPECT_TRUE(hash.Finish(digest));
		return Hex({reinterpret_cast<const char *>(digest), sizeof(digest)});
	};

	/* One object for all of them, whole and in pieces across the blocks of 64 bytes. */
	for (std::size_t piece : {1, 3, 63, 64, 65, 1000000}) {
		EXPECT_EQ(hashed("", piece), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
		EXPECT_EQ(hashed("abc", piece), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
		EXPECT_EQ(hashed("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", piece),
				  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
		EXPECT_EQ(hashed("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrs"
						 "mnopqrstnopqrstu", piece),
				  "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1");
		EXPECT_EQ(hashed(std::string(1000000, 'a'), piece),
				  "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
	}
}

TEST(Crypto, Sha256OutOfOrder)
{
	Sha256 hash;
	unsigned char digest[kSha256Length];

	EXPECT_FALSE(hash.Update("abc"));
	EXPECT_FALSE(hash.Finish(digest));
	/* What was begun and not finished leaves nothing behind. */
	ASSERT_TRUE(hash.Begin());
	ASSERT_TRUE(hash.Update("of before"));
	ASSERT_TRUE(hash.Begin());
	ASSERT_TRUE(hash.Update("abc"));
	ASSERT_TRUE(hash.Finish(digest));
	EXPECT_EQ(digest[0], 0xba);
	EXPECT_EQ(digest[31], 0xad);
	EXPECT_FALSE(hash.Update("abc"));
	EXPECT_FALSE(hash.Finish(digest));
}

TEST(Crypto, ConstantTimeEqual)
{
	EXPECT_TRUE(ConstantTimeEqual("", ""));
	EXPECT_TRUE(ConstantTimeEqual("abc", "abc"));
	EXPECT_FALSE(ConstantTimeEqual("abc", "abd"));
	EXPECT_FALSE(ConstantTimeEqual("abc", "xbc"));
	EXPECT_FALSE(ConstantTimeEqual("abc", "ab"));
	EXPECT_FALSE(ConstantTimeEqual("", "a"));
}

TEST(Crypto, AesGcmThereAndBack)
{
	std::string key = RandomBytes(kAesGcmKeyLength), nonce = RandomBytes(kAesGcmNonceLength);

	for (std::string text : {std::string(), std::string("x"), std::string(1000, 'y')}) {
		for (std::string data : {std::string(), std::string("row 7")}) {
			Result<std::string> sealed = AesGcmEncrypt(key, nonce, data, text);
			ASSERT_TRUE(sealed.ok());
			EXPECT_EQ(sealed.value().size(), text.size() + kAesGcmTagLength);
			Result<std::string> opened = AesGcmDecrypt(key, nonce, data, sealed.value());
			ASSERT_TRUE(opened.ok());
			EXPECT_EQ(opened.value(), text);

			EXPECT_FALSE(AesGcmDecrypt(RandomBytes(kAesGcmKeyLength), nonce, data, sealed.value()).ok());
			EXPECT_FALSE(AesGcmDecrypt(key, RandomBytes(kAesGcmNonceLength), data, sealed.value()).ok());
			EXPECT_FALSE(AesGcmDecrypt(key, nonce, data + "x", sealed.value()).ok());
			for (std::size_t i : {std::size_t{0}, sealed.value().size() - 1}) {
				std::string changed = sealed.value();
				changed[i] = static_cast<char>(changed[i] ^ 1);
				EXPECT_EQ(AesGcmDecrypt(key, nonce, data, changed).status().error(), ErrorClass::kBadSignature);
			}
		}
	}
	EXPECT_EQ(AesGcmDecrypt(key, nonce, "", "short").status().error(), ErrorClass::kBadSignature);
	EXPECT_EQ(AesGcmEncrypt("short", nonce, "", "x").status().error(), ErrorClass::kInvalidArgument);
	EXPECT_EQ(AesGcmEncrypt(key, "short", "", "x").status().error(), ErrorClass::kInvalidArgument);
	EXPECT_EQ(AesGcmDecrypt("short", nonce, "", "x").status().error(), ErrorClass::kInvalidArgument);
}

/* The example of the GCM specification (McGrew and Viega, test case 13, published): no text, all zero. */
TEST(Crypto, AesGcmPublishedExample)
{
	Result<std::string> sealed = AesGcmEncrypt(std::string(32, '\0'), std::string(12, '\0'), "", "");

	ASSERT_TRUE(sealed.ok());
	EXPECT_EQ(Hex(sealed.value()), "530f8afbc74536b9a963b4f1c4cb738b");
}

} // namespace
} // namespace mentalspace
