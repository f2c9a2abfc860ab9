#include "core/base64url.h"

#include <gtest/gtest.h>

#include <string>

namespace mentalspace {
namespace {

using namespace std::string_literals;

/* RFC 4648 section 10, without the padding. */
TEST(Base64Url, PublishedExamples)
{
	const std::pair<const char *, const char *> examples[] = {
		{"", ""},           {"f", "Zg"},          {"fo", "Zm8"},          {"foo", "Zm9v"},
		{"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"},
	};

	for (auto [bytes, text] : examples) {
		EXPECT_EQ(Base64UrlEncode(bytes), text);
		EXPECT_EQ(Base64UrlDecode(text), bytes);
	}
}

TEST(Base64Url, EveryByteComesBack)
{
	std::string bytes;

	for (int i = 0; i < 256; i++)
		bytes.push_back(static_cast<char>(i));
	for (int cut = 0; cut < 4; cut++) {
		std::string part = bytes.substr(static_cast<std::size_t>(cut));
		EXPECT_EQ(Base64UrlDecode(Base64UrlEncode(part)), part);
	}
	EXPECT_EQ(Base64UrlEncode("\xfb\xff\xfe"), "-__-");
}

TEST(Base64Url, RefusesOtherAlphabetsPaddingAndSpace)
{
	for (const char *text : {"-__+", "-_/-", "Zg==", "Zm8=", "Zm9v\n", " Zm9v", "Zm 9", "Zm.v", "Zm\xc3\xa9"})
		EXPECT_FALSE(Base64UrlDecode(text)) << text;
	EXPECT_FALSE(Base64UrlDecode("Zm\0v"s));
}

TEST(Base64Url, RefusesImpossibleLengths)
{
	EXPECT_FALSE(Base64UrlDecode("A"));
	EXPECT_FALSE(Base64UrlDecode("AAAAA"));
}

TEST(Base64Url, RefusesUnusedBitsThatAreNotZero)
{
	EXPECT_TRUE(Base64UrlDecode("Zg"));
	for (const char *text : {"Zh", "Zi", "Zo", "Zv", "Zm9", "Zm-"})
		EXPECT_FALSE(Base64UrlDecode(text)) << text;
	/* Zm8 has 2 unused bits; only multiples of 4 leave them zero. */
	EXPECT_TRUE(Base64UrlDecode("Zm8"));
}

} // namespace
} // namespace mentalspace
