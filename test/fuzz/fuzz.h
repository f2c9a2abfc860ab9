/* What the fuzzers share.  A fuzzer aborts when something that must always hold does not. */
#pragma once

#include "core/claims.h"
#include "core/jws.h"
#include "pg/json_reader.h"
#include "support/signing.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace mentalspace::fuzz {

using testing::Must;

constexpr std::int64_t kNow = 1700000000;

inline std::string_view
Input(const std::uint8_t *data, std::size_t size)
{
	return {reinterpret_cast<const char *>(data), size};
}

inline VerifyOptions
Options()
{
	VerifyOptions options;

	options.now = kNow;
	options.parser = ReadJson;
	return options;
}

/* What holds of every verified token. */
inline void
CheckVerified(const VerifiedToken &token, const VerifyOptions &options)
{
	Must(token.claims().IsObject());
	Must(token.Check(options).ok());
	Must(token.IsApiKey() || (token.expires_at() && *token.expires_at() + options.leeway > options.now));
	Must(!token.expires_at() || *token.expires_at() <= kMaxTime);
	Must(!token.sub() || token.claims().Find("sub")->text() == *token.sub());
	Must(ParseJson(token.payload(), {options.max_bytes, kPayloadMaxDepth, kPayloadMaxValues}, ReadJson).ok());
}

}  // namespace mentalspace::fuzz
