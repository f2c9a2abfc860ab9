/* Any bytes as a set of keys, and as a single one. */
#include "fuzz/fuzz.h"

using namespace mentalspace;

extern "C" int
LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size)
{
	std::string_view input = fuzz::Input(data, size);
	KeySetBuilder builder;

	Result<int> added = builder.AddJwks("issuer", input, ReadJson);
	KeySet keys = builder.Build();
	if (added.ok()) {
		fuzz::Must(added.value() > 0 && keys.entries().size() == static_cast<std::size_t>(added.value()));
		for (const KeyEntry &entry : keys.entries()) {
			fuzz::Must(!entry.jwk.key.Verify("message", ""));
			fuzz::Must(!entry.jwk.key.Verify("message", std::string(64, '\0')));
		}
	} else {
		fuzz::Must(keys.entries().empty() && added.status().error() == ErrorClass::kInvalidKey);
	}

	Result<Jwk> jwk = ParseJwk(input, ReadJson);
	fuzz::Must(jwk.ok() || jwk.status().error() == ErrorClass::kInvalidKey);
	return 0;
}
