/* The lexical structure of PostgreSQL's SQL, as far as it takes to find statements and their keywords.
 *
 * Follows "Lexical Structure" of PostgreSQL's manual with standard_conforming_strings on: string constants ('', E'',
 * U&'', B'', X''), continued constants, dollar quotes, quoted names, nested comments.  Never fails: what is not closed
 * ends with the text. */
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace mentalspace {

enum class SqlTokenKind {
	kEnd,          // end of the text
	kWord,         // keyword or unquoted name
	kQuotedName,   // "name"
	kString,       // any string constant, dollar quotes too
	kNumber,       // digits, also $1
	kSymbol        // one character of anything else
};

struct SqlToken {
	SqlTokenKind kind = SqlTokenKind::kEnd;
	std::size_t begin = 0;   // offset in bytes
	std::size_t end = 0;     // offset after the last byte
	bool closed = true;      // false for a constant, name or comment that the text ends in
	std::size_t opened = 0;  // of what is not closed: the offset of its first byte
};

/* Reads tokens one by one.  Keeps a view: the text must outlive the lexer. */
class SqlLexer {
public:
	explicit SqlLexer(std::string_view text, std::size_t offset = 0) : text_(text), at_(offset) {}

	/* The next token; comments and white space are passed over. */
	[[nodiscard]] SqlToken Next();

	/* Where the next token will be looked for, in bytes. */
	[[nodiscard]] std::size_t Offset() const { return at_; }
	void Seek(std::size_t offset) { at_ = offset; }

private:
	bool SkipBlanks(std::size_t *comment);   // false where a comment is not closed, which begins at *comment
	bool SkipQuoted(char quote, bool backslashes);
	bool SkipStringConstant(bool backslashes);
	std::size_t DollarTag() const;   // length of the $tag$ here, 0 if there is none

	std::string_view text_;
	std::size_t at_;
};

/* True if the token is this keyword (given in lower case), unquoted, in any case. */
[[nodiscard]] bool IsWord(std::string_view text, const SqlToken &token, std::string_view keyword);

/* The token's value as the server would take it for a name: folded, or unquoted. */
[[nodiscard]] std::string NameOf(std::string_view text, const SqlToken &token);

}  // namespace mentalspace
