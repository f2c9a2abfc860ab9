/* The verifier as a filter, for tests that drive it from another program.  One request a line, fields separated by
 * tabs; one answer a line.  Bytes are in base64url, `-` stands for none.
 *
 *   jws JWK TOKEN                        ok PAYLOAD    the signature alone, with one key
 *   set JWKS TOKEN                       ok PAYLOAD    the same, with the key of a set that fits
 *   token JWKS NOW AUDIENCE TOKEN        ok PAYLOAD    all checks
 *   raw JWK MESSAGE SIGNATURE            ok
 *   hmac HS256|HS384|HS512 KEY MESSAGE   ok MAC
 *   sign HS256|HS384|HS512 KEY HEADER PAYLOAD   ok TOKEN
 *
 * Anything else is answered with `error CLASS: DETAIL`. */
#include "core/base64url.h"
#include "core/claims.h"
#include "core/jws.h"
#include "pg/json_reader.h"

#include <charconv>
#include <iostream>
#include <string>
#include <vector>

namespace {

using namespace mentalspace;

constexpr std::size_t kMaxBytes = 1 << 20;

std::string
Error(const Status &status)
{
	return std::string("error ") + ErrorClassName(status.error()) + ": " + status.detail();
}

std::string
Bytes(const std::string &field)
{
	return field == "-" ? std::string() : Base64UrlDecode(field).value();
}

std::string
VerifyWithSet(const std::string &jwks, const std::string &token)
{
	KeySetBuilder builder;
	Result<int> added = builder.AddJwks(std::nullopt, jwks, ReadJson);
	if (!added.ok())
		return Error(added.status());

	Status status{ErrorClass::kUnknownKey, "there is no key"};
	KeySet keys = builder.Build();
	for (const KeyEntry &entry : keys.entries()) {
		Result<std::string> payload = VerifyJws(token, entry.jwk, kMaxBytes, ReadJson);
		if (payload.ok())
			return "ok " + Base64UrlEncode(payload.value());
		status = payload.status();
	}
	return Error(status);
}

std::string
VerifyClaims(const std::string &jwks, const std::string &now, const std::string &audience, const std::string &token)
{
	KeySetBuilder builder;
	VerifyOptions options;
	Result<int> added = builder.AddJwks(std::nullopt, jwks, ReadJson);
	if (!added.ok())
		return Error(added.status());

	std::from_chars(now.data(), now.data() + now.size(), options.now);
	options.audience = audience == "-" ? "" : audience;
	options.max_bytes = kMaxBytes;
	options.parser = ReadJson;
	Result<VerifiedToken> verified = VerifyToken(token, builder.Build(), options);
	return verified.ok() ? "ok " + Base64UrlEncode(verified.value().payload()) : Error(verified.status());
}

std::string
Answer(const std::vector<std::string> &fields)
{
	const std::string &command = fields[0];

	if (command == "set" && fields.size() == 3)
		return VerifyWithSet(fields[1], fields[2]);
	if (command == "token" && fields.size() == 5)
		return VerifyClaims(fields[1], fields[2], fields[3], fields[4]);
	if ((command == "jws" && fields.size() == 3) || (command == "raw" && fields.size() == 4)) {
		Result<Jwk> key = ParseJwk(fields[1], ReadJson);
		if (!key.ok())
			return Error(key.status());
		if (command == "raw")
			return key.value().key.Verify(Bytes(fields[2]), Bytes(fields[3])) ? "ok" : "error bad signature: ";
		Result<std::string> payload = VerifyJws(fields[2], key.value(), kMaxBytes, ReadJson);
		return payload.ok() ? "ok " + Base64UrlEncode(payload.value()) : Error(payload.status());
	}

	if (command == "hmac" && fields.size() == 4) {
		Hash hash = fields[1] == "HS256" ? Hash::kSha256 : fields[1] == "HS384" ? Hash::kSha384 : Hash::kSha512;
		return "ok " + Base64UrlEncode(Hmac(hash, Bytes(fields[2]), Bytes(fields[3])));
	}
	if (command == "sign" && fields.size() == 5) {
		std::optional<Algorithm> algorithm = AlgorithmFromName(fields[1]);
		if (algorithm) {
			Result<std::string> token = SignJws(*algorithm, Bytes(fields[2]), Bytes(fields[3]), Bytes(fields[4]));
			return token.ok() ? "ok " + token.value() : Error(token.status());
		}
	}
	return "error invalid argument: no such request";
}

} // namespace

int
main()
{
	std::ios::sync_with_stdio(false);
	for (std::string line; std::getline(std::cin, line);) {
		std::vector<std::string> fields(1);

		for (char c : line) {
			if (c == '\t')
				fields.emplace_back();
			else
				fields.back().push_back(c);
		}
		std::cout << Answer(fields) << '\n' << std::flush;
	}
}
