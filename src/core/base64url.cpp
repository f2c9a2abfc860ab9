#include "core/base64url.h"

#include <array>
#include <cstdint>

namespace mentalspace {

namespace {

constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::uint8_t kNoDigit = 0xff;

constexpr std::array<std::uint8_t, 256> kDigits = [] {
	std::array<std::uint8_t, 256> digits{};

	digits.fill(kNoDigit);
	for (std::uint8_t i = 0; i < 64; i++)
		digits[static_cast<unsigned char>(kAlphabet[i])] = i;
	return digits;
}();

}  // namespace

std::string
Base64UrlEncode(std::string_view bytes)
{
	std::string text;
	std::uint32_t bits = 0;
	int count = 0;

	text.reserve((bytes.size() * 4 + 2) / 3);
	for (unsigned char byte : bytes) {
		bits = (bits << 8) | byte;
		for (count += 8; count >= 6; count -= 6)
			text.push_back(kAlphabet[(bits >> (count - 6)) & 63]);
	}
	if (count > 0)
		text.push_back(kAlphabet[(bits << (6 - count)) & 63]);
	return text;
}

std::optional<std::string>
Base64UrlDecode(std::string_view text)
{
	/* A single left-over character holds 6 bits: no byte. */
	if (text.size() % 4 == 1)
		return std::nullopt;

	std::string bytes;
	std::uint32_t bits = 0;
	int count = 0;

	bytes.reserve(text.size() / 4 * 3 + 2);
	for (unsigned char c : text) {
		std::uint8_t digit = kDigits[c];

		if (digit == kNoDigit)
			return std::nullopt;
		bits = (bits << 6) | digit;
		count += 6;
		if (count >= 8) {
			count -= 8;
			bytes.push_back(static_cast<char>((bits >> count) & 0xff));
		}
	}
	/* The bits that are left over must be zero, else two texts would mean the same bytes. */
	if ((bits & ((1u << count) - 1)) != 0)
		return std::nullopt;
	return bytes;
}

}  // namespace mentalspace
