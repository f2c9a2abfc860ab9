#include "core/sql_lexer.h"

namespace mentalspace {

namespace {

bool
IsBlank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

bool
IsDigit(char c)
{
	return c >= '0' && c <= '9';
}

bool
IsNameStart(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}

bool
IsNamePart(char c)
{
	return IsNameStart(c) || IsDigit(c) || c == '$';
}

char
Lower(char c)
{
	return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

}  // namespace

bool
SqlLexer::SkipBlanks(std::size_t *comment)
{
	while (at_ < text_.size()) {
		if (IsBlank(text_[at_])) {
			at_++;
		} else if (text_.substr(at_, 2) == "--") {
			std::size_t end = text_.find_first_of("\r\n", at_);
			at_ = end == std::string_view::npos ? text_.size() : end;
		} else if (text_.substr(at_, 2) == "/*") {
			int depth = 0;
			*comment = at_;
			do {
				if (at_ >= text_.size())
					return false;
				if (text_.substr(at_, 2) == "/*") {
					depth++;
					at_ += 2;
				} else if (text_.substr(at_, 2) == "*/") {
					depth--;
					at_ += 2;
				} else {
					at_++;
				}
			} while (depth > 0);
		} else {
			break;
		}
	}
	return true;
}

/* From the opening quote to behind the closing one; a doubled quote stands for itself. */
bool
SqlLexer::SkipQuoted(char quote, bool backslashes)
{
	for (at_++; at_ < text_.size(); at_++) {
		if (backslashes && text_[at_] == '\\') {
			if (++at_ >= text_.size())
				return false;
		} else if (text_[at_] == quote) {
			if (at_ + 1 < text_.size() && text_[at_ + 1] == quote) {
				at_++;
			} else {
				at_++;
				return true;
			}
		}
	}
	return false;
}

/* A constant may go on in the next line, comments in between: 'a' newline 'b' is one, and keeps the rules of its first
 * part. */
bool
SqlLexer::SkipStringConstant(bool backslashes)
{
	for (;;) {
		if (!SkipQuoted('\'', backslashes))
			return false;
		std::size_t next = at_;
		bool newline = false;
		while (next < text_.size()) {
			if (IsBlank(text_[next])) {
				newline |= text_[next] == '\n' || text_[next] == '\r';
				next++;
			} else if (text_.substr(next, 2) == "--") {
				std::size_t end = text_.find_first_of("\r\n", next);
				next = end == std::string_view::npos ? text_.size() : end;
			} else {
				break;
			}
		}
		if (!newline || next >= text_.size() || text_[next] != '\'')
			return true;
		at_ = next;
	}
}

std::size_t
SqlLexer::DollarTag() const
{
	std::size_t end = at_ + 1;

	if (end < text_.size() && IsNameStart(text_[end]))
		while (end < text_.size() && (IsNameStart(text_[end]) || IsDigit(text_[end])))
			end++;
	return end < text_.size() && text_[end] == '$' ? end + 1 - at_ : 0;
}

SqlToken
SqlLexer::Next()
{
	SqlToken token;

	if (!SkipBlanks(&token.opened)) {
		at_ = text_.size();
		token.begin = token.end = at_;
		token.closed = false;
		return token;
	}
	token.begin = token.end = token.opened = at_;
	if (at_ >= text_.size())
		return token;

	char c = text_[at_];
	char second = at_ + 1 < text_.size() ? text_[at_ + 1] : '\0';
	char third = at_ + 2 < text_.size() ? text_[at_ + 2] : '\0';
	char low = Lower(c);

	if (c == '\'') {
		token.kind = SqlTokenKind::kString;
		token.closed = SkipStringConstant(false);
	} else if (second == '\'' && (low == 'e' || low == 'b' || low == 'x' || low == 'n')) {
		at_++;
		token.kind = SqlTokenKind::kString;
		token.closed = SkipStringConstant(low == 'e');
	} else if (low == 'u' && second == '&' && (third == '\'' || third == '"')) {
		at_ += 2;
		token.kind = third == '"' ? SqlTokenKind::kQuotedName : SqlTokenKind::kString;
		token.closed = third == '"' ? SkipQuoted('"', false) : SkipStringConstant(false);
	} else if (c == '"') {
		token.kind = SqlTokenKind::kQuotedName;
		token.closed = SkipQuoted('"', false);
	} else if (std::size_t length = c == '$' ? DollarTag() : 0; length > 0) {
		std::string_view tag = text_.substr(at_, length);
		std::size_t end = text_.find(tag, at_ + length);
		token.kind = SqlTokenKind::kString;
		token.closed = end != std::string_view::npos;
		at_ = token.closed ? end + length : text_.size();
	} else if (IsNameStart(c)) {
		token.kind = SqlTokenKind::kWord;
		while (at_ < text_.size() && IsNamePart(text_[at_]))
			at_++;
	} else if (IsDigit(c) || (c == '$' && IsDigit(second))) {
		/* 1.5e10 comes as several tokens: only names must not be found inside. */
		token.kind = SqlTokenKind::kNumber;
		at_++;
		while (at_ < text_.size() && (IsDigit(text_[at_]) || text_[at_] == '.'))
			at_++;
	} else {
		token.kind = SqlTokenKind::kSymbol;
		at_++;
	}
	token.end = at_;
	return token;
}

bool
IsWord(std::string_view text, const SqlToken &token, std::string_view keyword)
{
	if (token.kind != SqlTokenKind::kWord || token.end - token.begin != keyword.size())
		return false;
	for (std::size_t i = 0; i < keyword.size(); i++)
		if (Lower(text[token.begin + i]) != keyword[i])
			return false;
	return true;
}

std::string
NameOf(std::string_view text, const SqlToken &token)
{
	std::string name;
	std::string_view written = text.substr(token.begin, token.end - token.begin);

	if (token.kind == SqlTokenKind::kQuotedName) {
		std::size_t at = written.find('"') + 1;
		std::size_t end = token.closed ? written.size() - 1 : written.size();
		for (; at < end; at++) {
			name += written[at];
			if (written[at] == '"')
				at++;
		}
	} else {
		for (char c : written)
			name += Lower(c);
	}
	return name;
}

}  // namespace mentalspace
