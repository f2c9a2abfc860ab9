/* base64url as JOSE uses it (RFC 4648 section 5, RFC 7515 section 2): no padding, no white space, one spelling only. */
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mentalspace {

/* The unpadded base64url text of any bytes. */
std::string Base64UrlEncode(std::string_view bytes);

/* The bytes, or nothing where `text` is not the one encoding of them: a character outside the alphabet, padding, an
 * impossible length, or unused bits of the last character that are not zero. */
std::optional<std::string> Base64UrlDecode(std::string_view text);

}  // namespace mentalspace
