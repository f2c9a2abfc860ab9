/* A small immutable JSON document, and the contract with the parser that fills it.
 *
 * The parser is PostgreSQL's own and comes in as a function pointer (src/pg/json_reader.cpp), since src/core knows
 * nothing of PostgreSQL.  A document is only made by ParseJson, which bounds the input first and makes sure that:
 * - the text is strict UTF-8 without NUL, and no escape makes a NUL or half of a surrogate pair;
 * - bytes, depth and number of values are within the limits, before the parser sees the text;
 * - no object has a key twice.
 * Numbers are kept as they are written. */
#pragma once

#include "core/status.h"

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <string_view>

namespace mentalspace {

struct JsonLimits {
	std::size_t max_bytes;
	int max_depth;            /* 1: the outermost object or array only; at most kJsonMaxDepth */
	std::uint32_t max_values; /* objects, arrays and scalars together */
};

constexpr int kJsonMaxDepth = 32;

enum class JsonKind : unsigned char { kNull, kFalse, kTrue, kNumber, kString, kArray, kObject };

/* A value, in the order of the text: a container is followed by its members.  Plain data. */
struct JsonNode {
	JsonKind kind;
	std::uint32_t size;       /* members of an array or object */
	std::uint32_t end;        /* index of the first node after this value and all that is in it */
	std::uint32_t key_length; /* of the key in the object that the value is a member of */
	std::uint32_t text_length;
	const char *key;
	const char *text;         /* of a string (without escapes) or a number (as written) */
};

/* What a parser fills.  Plain data in memory that is already there: filling never allocates, throws or raises, so it
 * can be done from C callbacks.  Anything beyond the capacity sets `failed` and is left out. */
class JsonSink {
 public:
	JsonSink(JsonNode *nodes, std::uint32_t node_capacity, char *text, std::size_t text_capacity) noexcept
		: nodes_(nodes), node_capacity_(node_capacity), text_(text), text_capacity_(text_capacity)
	{
	}

	void Begin(JsonKind kind) noexcept;
	void End() noexcept;
	void Key(std::string_view key) noexcept;
	void Scalar(JsonKind kind, std::string_view text) noexcept;

	bool failed() const noexcept { return failed_; }
	bool Complete() const noexcept { return !failed_ && depth_ == 0 && count_ > 0; }

 private:
	JsonNode *Add(JsonKind kind) noexcept;
	const char *Keep(std::string_view text) noexcept;

	JsonNode *nodes_;
	std::uint32_t node_capacity_;
	std::uint32_t count_ = 0;
	char *text_;
	std::size_t text_capacity_;
	std::size_t text_length_ = 0;
	int depth_ = 0;
	std::uint32_t open_[kJsonMaxDepth] = {};
	std::string_view key_;
	bool failed_ = false;
};

enum class JsonOutcome : unsigned char { kParsed, kSyntaxError, kOutOfMemory };

/* A parser of RFC 8259 texts that reports what it finds to the sink.  `text` is UTF-8 whose \u escapes all mean ASCII
 * characters.  Must neither throw nor jump out. */
using JsonParser = JsonOutcome (*)(std::string_view text, JsonSink *sink);

/* A value of a document, valid as long as the document. */
class JsonValue {
 public:
	explicit JsonValue(const JsonNode *nodes, std::uint32_t index) noexcept : nodes_(nodes), index_(index) {}

	JsonKind kind() const noexcept { return node().kind; }
	bool IsString() const noexcept { return kind() == JsonKind::kString; }
	bool IsObject() const noexcept { return kind() == JsonKind::kObject; }
	bool IsArray() const noexcept { return kind() == JsonKind::kArray; }

	/* The text of a string or number, empty for anything else. */
	std::string_view text() const noexcept { return {node().text, node().text_length}; }
	/* The key under which an object holds this value. */
	std::string_view key() const noexcept { return {node().key, node().key_length}; }
	/* Number of members of an array or object, 0 for anything else. */
	std::uint32_t size() const noexcept { return node().size; }

	/* The member of an object, nothing where there is none or this is no object. */
	std::optional<JsonValue> Find(std::string_view key) const noexcept;

	/* The members of an array or object: for (JsonValue member : value). */
	class Iterator {
	 public:
		using value_type = JsonValue;
		using difference_type = std::ptrdiff_t;
		using reference = JsonValue;
		using pointer = void;
		using iterator_category = std::input_iterator_tag;

		Iterator(const JsonNode *nodes, std::uint32_t index) noexcept : nodes_(nodes), index_(index) {}
		JsonValue operator*() const noexcept { return JsonValue(nodes_, index_); }
		Iterator &
		operator++() noexcept
		{
			index_ = nodes_[index_].end;
			return *this;
		}
		Iterator
		operator++(int) noexcept
		{
			Iterator before = *this;

			++*this;
			return before;
		}
		bool operator==(const Iterator &other) const noexcept { return index_ == other.index_; }

	 private:
		const JsonNode *nodes_;
		std::uint32_t index_;
	};
	Iterator begin() const noexcept { return {nodes_, index_ + 1}; }
	Iterator end() const noexcept { return {nodes_, node().end}; }

 private:
	const JsonNode &node() const noexcept { return nodes_[index_]; }

	const JsonNode *nodes_;
	std::uint32_t index_;
};

/* Owns the nodes and the text of a parsed document; values stay valid when it is moved. */
class JsonDocument {
 public:
	JsonValue root() const noexcept { return JsonValue(nodes_.get(), 0); }

 private:
	friend Result<JsonDocument> ParseJson(std::string_view, const JsonLimits &, JsonParser);
	JsonDocument() = default;

	std::unique_ptr<JsonNode[]> nodes_;
	std::unique_ptr<char[]> text_;
};

/* Parses `text`.  Returns kMalformed for whatever the rules above forbid.  Throws std::bad_alloc. */
Result<JsonDocument> ParseJson(std::string_view text, const JsonLimits &limits, JsonParser parser);

}  // namespace mentalspace
