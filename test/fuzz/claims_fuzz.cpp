/* Header and payload of a token that is signed with a right key: header, line feed, payload; without a line feed the
 * whole input is the payload. */
#include "fuzz/fuzz.h"

using namespace mentalspace;

namespace {

const testing::SigningKey &
Key()
{
	static const testing::SigningKey key(Algorithm::kHS256, "k1");
	return key;
}

KeySet
Keys()
{
	KeySetBuilder builder;

	fuzz::Must(builder.AddJwks(std::nullopt, Key().Jwk(), ReadJson).ok());
	return builder.Build();
}

} // namespace

extern "C" int
LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size)
{
	static const KeySet keys = Keys();
	std::string_view input = fuzz::Input(data, size);
	std::size_t cut = input.find('\n');
	std::string header = cut == std::string_view::npos ? Key().Header() : std::string(input.substr(0, cut));
	std::string payload(cut == std::string_view::npos ? input : input.substr(cut + 1));
	std::string token = Key().Sign(header, payload);
	VerifyOptions options = fuzz::Options();

	Result<VerifiedToken> verified = VerifyToken(token, keys, options);
	if (verified.ok()) {
		fuzz::Must(verified.value().payload() == payload);
		fuzz::CheckVerified(verified.value(), options);
		/* Not with another signature, and not after its end. */
		token.back() = token.back() == 'A' ? 'Q' : 'A';
		fuzz::Must(!VerifyToken(token, keys, options).ok());
		if (verified.value().expires_at()) {
			options.now = *verified.value().expires_at() + options.leeway;
			fuzz::Must(!verified.value().Check(options).ok());
		}
	} else {
		ErrorClass error = verified.status().error();
		fuzz::Must(error != ErrorClass::kNone && error != ErrorClass::kBadSignature && error <= ErrorClass::kMalformed);
	}
	return 0;
}
