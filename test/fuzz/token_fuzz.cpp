/* Any bytes as a token.  Nothing that was not signed may be verified: the keys are made anew in each run, so no input
 * can bear a signature of them. */
#include "fuzz/fuzz.h"

using namespace mentalspace;

namespace {

KeySet
Keys()
{
	KeySetBuilder builder;

	for (Algorithm algorithm : {Algorithm::kHS256, Algorithm::kES256, Algorithm::kEdDSA, Algorithm::kRS256})
		fuzz::Must(builder.AddJwks(std::nullopt, testing::SigningKey(algorithm).Jwk(), ReadJson).ok());
	return builder.Build();
}

} // namespace

extern "C" int
LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size)
{
	static const KeySet keys = Keys();
	std::string_view token = fuzz::Input(data, size);

	fuzz::Must(!VerifyToken(token, keys, fuzz::Options()).ok());

	Result<UnverifiedJws> jws = SplitJws(token, 16384, ReadJson);
	if (jws.ok()) {
		/* There is one spelling of each segment, so they lead back to the token. */
		std::string_view header = token.substr(0, token.find('.'));
		fuzz::Must(std::string(header) + '.' + Base64UrlEncode(jws.value().payload) + '.' +
					   Base64UrlEncode(jws.value().signature) ==
				   token);
		fuzz::Must(Base64UrlEncode(*Base64UrlDecode(header)) == header);
	}
	return 0;
}
