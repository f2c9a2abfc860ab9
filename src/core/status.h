/* How the core reports what can be expected to go wrong: by value.  Only bugs and out-of-memory throw.
 *
 * A Status holds a class and a sentence, and the sentence is always a string literal: nothing of a token, a key or a
 * claim can get into a message by accident. */
#pragma once

#include <cstddef>
#include <optional>
#include <utility>

namespace mentalspace {

/* What went wrong, as far as a caller has to tell it apart. */
enum class ErrorClass : unsigned char {
	kNone,
	/* Refusals of a token. */
	kExpired,
	kNotYetValid,
	kWrongAudience,
	kWrongIssuer,
	kBadSignature,
	kUnknownKey,
	kMalformed,
	/* Refusals of a key, a key set, or another argument. */
	kInvalidKey,
	kInvalidArgument,
};

/* The class in the words that users see, for example "not yet valid". */
constexpr const char *
ErrorClassName(ErrorClass error) noexcept
{
	switch (error) {
		case ErrorClass::kNone: return "success";
		case ErrorClass::kExpired: return "expired";
		case ErrorClass::kNotYetValid: return "not yet valid";
		case ErrorClass::kWrongAudience: return "wrong audience";
		case ErrorClass::kWrongIssuer: return "wrong issuer";
		case ErrorClass::kBadSignature: return "bad signature";
		case ErrorClass::kUnknownKey: return "unknown key";
		case ErrorClass::kMalformed: return "malformed";
		case ErrorClass::kInvalidKey: return "invalid key";
		case ErrorClass::kInvalidArgument: return "invalid argument";
	}
	return "unknown error";
}

/* Success, or a class with a literal that says more.  Trivially destructible: it may outlive a guarded call. */
class [[nodiscard]] Status {
 public:
	constexpr Status() noexcept = default;

	/* `detail` must be a literal: lower case, one line, no period. */
	template <std::size_t N>
	constexpr Status(ErrorClass error, const char (&detail)[N]) noexcept : error_(error), detail_(detail)
	{
	}

	constexpr bool ok() const noexcept { return error_ == ErrorClass::kNone; }
	constexpr ErrorClass error() const noexcept { return error_; }
	constexpr const char *detail() const noexcept { return detail_; }

	/* The same sentence in another class. */
	constexpr Status
	As(ErrorClass error) const noexcept
	{
		Status status = *this;

		status.error_ = error;
		return status;
	}

	/* Which key of a key set is meant, counted from 0; -1 where none is. */
	constexpr int index() const noexcept { return index_; }
	constexpr Status
	At(int index) const noexcept
	{
		Status status = *this;

		status.index_ = index;
		return status;
	}

 private:
	ErrorClass error_ = ErrorClass::kNone;
	int index_ = -1;
	const char *detail_ = "";
};

/* A value, or the Status that says why there is none. */
template <typename T>
class [[nodiscard]] Result {
 public:
	Result(T value) : value_(std::move(value)) {}
	Result(Status status) noexcept : status_(status) {}

	bool ok() const noexcept { return value_.has_value(); }
	const Status &status() const noexcept { return status_; }

	/* Only where ok(). */
	T &value() & { return value_.value(); }
	const T &value() const & { return value_.value(); }
	T &&value() && { return std::move(value_).value(); }

 private:
	Status status_;
	std::optional<T> value_;
};

}  // namespace mentalspace
