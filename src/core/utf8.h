/* UTF-8, byte by byte. */
#pragma once

#include <cstddef>

namespace mentalspace {

/* Length of the UTF-8 sequence at `text` (RFC 3629: shortest form, no surrogates, up to U+10FFFF), 0 where it is none.
 * `left` is at least 1. */
inline std::size_t
Utf8Length(const unsigned char *text, std::size_t left) noexcept
{
	unsigned char c = text[0];
	std::size_t length = c < 0x80                ? 1
						 : c >= 0xc2 && c <= 0xdf ? 2
						 : c >= 0xe0 && c <= 0xef ? 3
						 : c >= 0xf0 && c <= 0xf4 ? 4
												  : 0;

	if (length == 0 || length > left)
		return 0;
	for (std::size_t i = 1; i < length; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((c == 0xe0 && text[1] < 0xa0) || (c == 0xed && text[1] > 0x9f) || (c == 0xf0 && text[1] < 0x90) ||
		(c == 0xf4 && text[1] > 0x8f))
		return 0;
	return length;
}

}  // namespace mentalspace
