/* Companion pgjwt: JSON Web Tokens signed with a shared secret (RFC 7515, 7518 section 3.2, 7519).
 *
 * Stricter than the original: no empty secret, base64url in its one spelling, three segments exactly, the header's alg must
 * be the one that is asked for, exp and nbf must be numbers.  What is not even a token is an error (22023, without a word
 * of what it holds); a token that is not valid is a row that says so. */
#include "pg/prelude.h"

#include "core/base64url.h"
#include "core/crypto.h"
#include "pg/boundary.h"

extern "C" {
#include "mb/pg_wchar.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"
}

using namespace mentalspace;
using HashFunction = mentalspace::Hash;   /* PostgreSQL has a Hash too */

namespace {

/* A text in UTF-8, in the current context. */
std::string_view
utf8_of(text *argument)
{
	char *raw = VARDATA_ANY(argument);
	int length = (int) VARSIZE_ANY_EXHDR(argument);
	char *utf8 = pg_server_to_any(raw, length, PG_UTF8);

	return {utf8, utf8 == raw ? (size_t) length : strlen(utf8)};
}

HashFunction
hash_of(text *algorithm)
{
	std::string_view name(VARDATA_ANY(algorithm), VARSIZE_ANY_EXHDR(algorithm));

	if (name == "HS256")
		return HashFunction::kSha256;
	if (name == "HS384")
		return HashFunction::kSha384;
	if (name == "HS512")
		return HashFunction::kSha512;
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unknown signature algorithm"),
					errhint("Known are HS256, HS384 and HS512.")));
	pg_unreachable();
}

void
check_secret(std::string_view secret)
{
	if (secret.empty())
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("the secret must not be empty")));
}

/* What a core function returns as a string, in a palloc'ed varlena of the current context.  capacity bounds its length. */
template <typename F>
struct varlena *
guarded_varlena(size_t capacity, F &&make)
{
	struct varlena *result = (struct varlena *) palloc(capacity + VARHDRSZ);
	size_t length = 0;
	bool made = false;
	Failure failure;

	if (!Guarded(&failure, [&]() {
			std::optional<std::string> bytes = make();

			if (!bytes || bytes->size() > capacity)
				return;
			length = bytes->size();
			memcpy(VARDATA(result), bytes->data(), length);
			made = true;
		}))
		raise_failure(&failure);
	if (!made)
		return nullptr;
	SET_VARSIZE(result, length + VARHDRSZ);
	return result;
}

/* Room for base64url of so many bytes. */
size_t
encoded_size(size_t bytes)
{
	return bytes / 3 * 4 + 4;
}

struct varlena *
decode_segment(std::string_view segment)
{
	struct varlena *bytes =
		guarded_varlena(segment.size(), [&]() { return Base64UrlDecode(segment); });

	if (bytes == nullptr)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("the text is not base64url")));
	return bytes;
}

struct varlena *
signature_of(std::string_view message, std::string_view secret, HashFunction hash)
{
	return guarded_varlena(encoded_size(HashLength(hash)), [&]() {
		return std::optional<std::string>(Base64UrlEncode(Hmac(hash, secret, message)));
	});
}

/* Whether the bytes, which are valid UTF-8, are JSON. */
bool
is_json(const char *bytes, int length)
{
	JsonLexContext *lexer = ms_json_lexer_create(bytes, length);
	JsonParseErrorType error = pg_parse_json(lexer, &nullSemAction);

	ms_json_lexer_free(lexer);
	return error == JSON_SUCCESS;
}

/* The JSON of a segment, as text that json accepts; an ERROR if it is none. */
text *
json_of(std::string_view segment)
{
	struct varlena *bytes = decode_segment(segment);
	int length = (int) VARSIZE_ANY_EXHDR(bytes);
	char *raw = pnstrdup(VARDATA_ANY(bytes), length);
	char *server;

	/* Both check first: the bytes may be anything, and json_in would print them. */
	if (!pg_verify_mbstr(PG_UTF8, raw, length, true) || !is_json(raw, length))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("malformed token: header and payload must be JSON")));
	server = pg_any_to_server(raw, length, PG_UTF8);
	return cstring_to_text(server);
}

Jsonb *
jsonb_of(text *json)
{
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text_to_cstring(json))));
}

/* The member of an object, NULL where there is none or this is no object. */
JsonbValue *
member_of(Jsonb *object, const char *key)
{
	if (!JB_ROOT_IS_OBJECT(object))
		return nullptr;
	return getKeyJsonValueFromContainer(&object->root, key, (int) strlen(key), nullptr);
}

bool
is_time_or_missing(Jsonb *claims, const char *key)
{
	JsonbValue *value = member_of(claims, key);

	return value == nullptr || value->type == jbvNumeric;
}

/* Whether the claim is a number that compares so with the start of the transaction; true where there is no such claim. */
bool
time_holds(Jsonb *claims, const char *key, bool must_be_later)
{
	JsonbValue *value = member_of(claims, key);
	if (value == nullptr)
		return true;
	if (value->type != jbvNumeric)
		return false;

	Datum now = DirectFunctionCall2(extract_timestamptz, PointerGetDatum(cstring_to_text("epoch")),
									TimestampTzGetDatum(GetCurrentTransactionStartTimestamp()));
	int order = DatumGetInt32(DirectFunctionCall2(numeric_cmp, NumericGetDatum(value->val.numeric), now));
	return must_be_later ? order > 0 : order <= 0;
}

}  // namespace

/* url_encode(data bytea) returns text. */
MS_FUNCTION(ms_pgjwt_url_encode)
{
	bytea *data = PG_GETARG_BYTEA_PP(0);
	std::string_view bytes(VARDATA_ANY(data), VARSIZE_ANY_EXHDR(data));

	PG_RETURN_TEXT_P(guarded_varlena(encoded_size(bytes.size()), [&]() {
		return std::optional<std::string>(Base64UrlEncode(bytes));
	}));
}

/* url_decode(data text) returns bytea: 22023 for what is not base64url. */
MS_FUNCTION(ms_pgjwt_url_decode)
{
	text *data = PG_GETARG_TEXT_PP(0);

	PG_RETURN_BYTEA_P(decode_segment({VARDATA_ANY(data), (size_t) VARSIZE_ANY_EXHDR(data)}));
}

/* algorithm_sign(signables text, secret text, algorithm text) returns text: 22023 for an empty secret or an unknown
 * algorithm. */
MS_FUNCTION(ms_pgjwt_algorithm_sign)
{
	std::string_view message = utf8_of(PG_GETARG_TEXT_PP(0));
	std::string_view secret = utf8_of(PG_GETARG_TEXT_PP(1));
	HashFunction hash = hash_of(PG_GETARG_TEXT_PP(2));

	check_secret(secret);
	PG_RETURN_TEXT_P(signature_of(message, secret, hash));
}

/* sign(payload json, secret text, algorithm text) returns text: 22023 besides for a payload that is no object, or whose exp
 * or nbf is no number. */
MS_FUNCTION(ms_pgjwt_sign)
{
	text *payload = PG_GETARG_TEXT_PP(0);
	std::string_view secret = utf8_of(PG_GETARG_TEXT_PP(1));
	text *algorithm = PG_GETARG_TEXT_PP(2);
	HashFunction hash = hash_of(algorithm);
	Jsonb *claims = jsonb_of(payload);

	check_secret(secret);
	if (!JB_ROOT_IS_OBJECT(claims))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the payload of a token must be a JSON object")));
	if (!is_time_or_missing(claims, "exp") || !is_time_or_missing(claims, "nbf"))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("exp and nbf of a token must be numbers")));

	std::string_view body = utf8_of(payload);
	std::string_view name(VARDATA_ANY(algorithm), VARSIZE_ANY_EXHDR(algorithm));
	size_t capacity = encoded_size(64) + encoded_size(body.size()) + encoded_size(HashLength(hash)) + 2;
	PG_RETURN_TEXT_P(guarded_varlena(capacity, [&]() {
		std::string header = std::string("{\"alg\":\"").append(name).append("\",\"typ\":\"JWT\"}");
		std::string token = Base64UrlEncode(header).append(".").append(Base64UrlEncode(body));
		std::string signature = Base64UrlEncode(Hmac(hash, secret, token));

		return std::optional<std::string>(token.append(".").append(signature));
	}));
}

/* verify(token text, secret text, algorithm text) returns one row of header, payload, valid. */
MS_FUNCTION(ms_pgjwt_verify)
{
	text *token_text = PG_GETARG_TEXT_PP(0);
	std::string_view secret = utf8_of(PG_GETARG_TEXT_PP(1));
	text *algorithm = PG_GETARG_TEXT_PP(2);
	HashFunction hash = hash_of(algorithm);

	check_secret(secret);
	std::string_view token(VARDATA_ANY(token_text), VARSIZE_ANY_EXHDR(token_text));
	size_t first = token.find('.'), last = token.rfind('.');
	if (first == std::string_view::npos || first == last || token.find('.', first + 1) != last)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("malformed token: it must have three segments")));

	text *header = json_of(token.substr(0, first));
	text *payload = json_of(token.substr(first + 1, last - first - 1));
	struct varlena *signature = decode_segment(token.substr(last + 1));

	bool is_signed = false;
	Failure failure;
	if (!Guarded(&failure, [&]() {
			is_signed = ConstantTimeEqual(Hmac(hash, secret, token.substr(0, last)),
										  {VARDATA_ANY(signature), (size_t) VARSIZE_ANY_EXHDR(signature)});
		}))
		raise_failure(&failure);

	Jsonb *head = jsonb_of(header), *claims = jsonb_of(payload);
	JsonbValue *claimed = member_of(head, "alg");
	bool valid = is_signed && JB_ROOT_IS_OBJECT(claims) && claimed && claimed->type == jbvString &&
				 std::string_view(claimed->val.string.val, (size_t) claimed->val.string.len) ==
					 std::string_view(VARDATA_ANY(algorithm), VARSIZE_ANY_EXHDR(algorithm)) &&
				 member_of(head, "crit") == nullptr && time_holds(claims, "exp", true) && time_holds(claims, "nbf", false);

	InitMaterializedSRF(fcinfo, 0);
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Datum values[3] = {PointerGetDatum(header), PointerGetDatum(payload), BoolGetDatum(valid)};
	bool nulls[3] = {false, false, false};
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	return (Datum) 0;
}
