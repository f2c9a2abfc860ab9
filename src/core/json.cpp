#include "core/json.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>
#include <string>

#include "core/utf8.h"

namespace mentalspace {

namespace {

constexpr std::uint32_t kNoCodePoint = 0xffffffff;

constexpr bool
IsHighSurrogate(std::uint32_t c) noexcept
{
	return c >= 0xd800 && c <= 0xdbff;
}

constexpr bool
IsLowSurrogate(std::uint32_t c) noexcept
{
	return c >= 0xdc00 && c <= 0xdfff;
}

void
AppendUtf8(std::string *out, std::uint32_t c)
{
	if (c < 0x800) {
		out->push_back(static_cast<char>(0xc0 | (c >> 6)));
	} else {
		if (c < 0x10000) {
			out->push_back(static_cast<char>(0xe0 | (c >> 12)));
		} else {
			out->push_back(static_cast<char>(0xf0 | (c >> 18)));
			out->push_back(static_cast<char>(0x80 | ((c >> 12) & 63)));
		}
		out->push_back(static_cast<char>(0x80 | ((c >> 6) & 63)));
	}
	out->push_back(static_cast<char>(0x80 | (c & 63)));
}

/* The code unit of the escape \uXXXX at `text`, kNoCodePoint where there is none. */
std::uint32_t
UnicodeEscape(std::string_view text) noexcept
{
	std::uint32_t unit = 0;

	if (text.size() < 6 || text[0] != '\\' || text[1] != 'u')
		return kNoCodePoint;
	for (char c : text.substr(2, 4)) {
		std::uint32_t digit = c >= '0' && c <= '9'   ? static_cast<std::uint32_t>(c - '0')
							  : c >= 'a' && c <= 'f' ? static_cast<std::uint32_t>(c - 'a' + 10)
							  : c >= 'A' && c <= 'F' ? static_cast<std::uint32_t>(c - 'A' + 10)
													 : kNoCodePoint;
		if (digit == kNoCodePoint)
			return kNoCodePoint;
		unit = unit * 16 + digit;
	}
	return unit;
}

/* What goes to the parser. */
struct Prepared {
	std::string text;
	std::size_t most_values = 1;  /* the text holds no more values than this */
};

/* Checks encoding, NUL and depth, and writes each \u escape that does not mean an ASCII character as that character:
 * a server whose encoding is not UTF-8 would translate it, or raise an error.  Syntax is left to the parser, which sees
 * strings begin and end exactly where this does, up to its first error. */
Status
Prepare(std::string_view text, int max_depth, Prepared *prepared)
{
	bool in_string = false;
	int depth = 0;
	std::size_t at = 0;

	prepared->text.reserve(text.size());
	while (at < text.size()) {
		std::size_t length = Utf8Length(reinterpret_cast<const unsigned char *>(text.data()) + at, text.size() - at);
		char c = text[at];

		if (length == 0)
			return {ErrorClass::kMalformed, "not valid UTF-8"};
		if (c == '\0')
			return {ErrorClass::kMalformed, "NUL in JSON"};
		if (in_string && c == '\\') {
			std::uint32_t unit = UnicodeEscape(text.substr(at));

			if (unit == 0)
				return {ErrorClass::kMalformed, "NUL in JSON"};
			if (unit != kNoCodePoint && unit >= 0x80) {
				at += 6;
				if (IsHighSurrogate(unit)) {
					std::uint32_t low = UnicodeEscape(text.substr(at));

					if (!IsLowSurrogate(low))
						return {ErrorClass::kMalformed, "half of a surrogate pair in JSON"};
					unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
					at += 6;
				} else if (IsLowSurrogate(unit)) {
					return {ErrorClass::kMalformed, "half of a surrogate pair in JSON"};
				}
				AppendUtf8(&prepared->text, unit);
				continue;
			}
			/* The escaped character goes along, so that \" does not end the string. */
			if (at + 1 < text.size() && static_cast<unsigned char>(text[at + 1]) < 0x80 && text[at + 1] != '\0')
				length = 2;
		} else if (c == '"') {
			in_string = !in_string;
		} else if (!in_string && (c == '{' || c == '[')) {
			if (++depth > max_depth)
				return {ErrorClass::kMalformed, "JSON is nested too deeply"};
			prepared->most_values++;
		} else if (!in_string && (c == '}' || c == ']')) {
			depth--;
		} else if (!in_string && c == ',') {
			prepared->most_values++;
		}
		prepared->text.append(text, at, length);
		at += length;
	}
	return {};
}

bool
HasDuplicateKey(JsonValue object) noexcept
{
	JsonValue::Iterator end = object.end();

	for (JsonValue::Iterator a = object.begin(); a != end; ++a) {
		JsonValue::Iterator b = a;

		for (++b; b != end; ++b) {
			if ((*a).key() == (*b).key())
				return true;
		}
	}
	return false;
}

}  // namespace

JsonNode *
JsonSink::Add(JsonKind kind) noexcept
{
	if (failed_ || count_ >= node_capacity_) {
		failed_ = true;
		return nullptr;
	}
	if (depth_ > 0)
		nodes_[open_[depth_ - 1]].size++;

	JsonNode *node = &nodes_[count_++];
	*node = {kind, 0, count_, static_cast<std::uint32_t>(key_.size()), 0, key_.data(), nullptr};
	key_ = {};
	return node;
}

const char *
JsonSink::Keep(std::string_view text) noexcept
{
	if (failed_ || text.size() > text_capacity_ - text_length_) {
		failed_ = true;
		return nullptr;
	}

	char *kept = text_ + text_length_;
	if (!text.empty())
		std::memcpy(kept, text.data(), text.size());
	text_length_ += text.size();
	return kept;
}

void
JsonSink::Begin(JsonKind kind) noexcept
{
	if (depth_ >= kJsonMaxDepth)
		failed_ = true;
	else if (Add(kind) != nullptr)
		open_[depth_++] = count_ - 1;
}

void
JsonSink::End() noexcept
{
	if (failed_ || depth_ == 0)
		failed_ = true;
	else
		nodes_[open_[--depth_]].end = count_;
}

void
JsonSink::Key(std::string_view key) noexcept
{
	const char *kept = Keep(key);

	key_ = kept ? std::string_view(kept, key.size()) : std::string_view();
}

void
JsonSink::Scalar(JsonKind kind, std::string_view text) noexcept
{
	const char *kept = Keep(text);
	JsonNode *node = kept ? Add(kind) : nullptr;

	if (node != nullptr) {
		node->text = kept;
		node->text_length = static_cast<std::uint32_t>(text.size());
	}
}

std::optional<JsonValue>
JsonValue::Find(std::string_view key) const noexcept
{
	if (!IsObject())
		return std::nullopt;
	for (JsonValue member : *this) {
		if (member.key() == key)
			return member;
	}
	return std::nullopt;
}

Result<JsonDocument>
ParseJson(std::string_view text, const JsonLimits &limits, JsonParser parser)
{
	constexpr std::size_t kMostBytes = std::numeric_limits<std::int32_t>::max() / 2;

	if (text.size() > limits.max_bytes || text.size() > kMostBytes)
		return Status{ErrorClass::kMalformed, "JSON is too long"};

	Prepared prepared;
	if (Status status = Prepare(text, std::min(limits.max_depth, kJsonMaxDepth), &prepared); !status.ok())
		return status;

	JsonDocument document;
	std::size_t capacity = std::min<std::size_t>(prepared.most_values, limits.max_values);
	std::size_t text_capacity = prepared.text.size();
	document.nodes_ = std::make_unique<JsonNode[]>(capacity + 1);
	document.text_ = std::make_unique<char[]>(text_capacity + 1);

	JsonSink sink(document.nodes_.get(), static_cast<std::uint32_t>(capacity), document.text_.get(), text_capacity);
	switch (parser(prepared.text, &sink)) {
		case JsonOutcome::kParsed: break;
		case JsonOutcome::kSyntaxError: return Status{ErrorClass::kMalformed, "not valid JSON"};
		case JsonOutcome::kOutOfMemory: throw std::bad_alloc();
	}
	if (sink.failed())
		return Status{ErrorClass::kMalformed, "JSON holds too many values"};
	if (!sink.Complete())
		return Status{ErrorClass::kMalformed, "not valid JSON"};

	for (std::uint32_t i = 0; i < document.nodes_[0].end; i++) {
		JsonValue value(document.nodes_.get(), i);

		if (value.IsObject() && HasDuplicateKey(value))
			return Status{ErrorClass::kMalformed, "a JSON object has a key twice"};
	}
	return document;
}

}  // namespace mentalspace
