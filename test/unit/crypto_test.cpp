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
