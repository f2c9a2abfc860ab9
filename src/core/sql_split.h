/* Splits a file of SQL into its statements, with line numbers.
 *
 * A statement ends at a semicolon that is not within parentheses, a constant, a comment or the body of a function
 * written BEGIN ATOMIC ... END.  A line that begins with a backslash where a statement could begin is a command of psql
 * and a piece of its own. */
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace mentalspace {

enum class SqlPieceKind {
	kStatement,
	kCommentOnly,   // nothing that the server would run
	kMetaCommand    // a line for psql, such as \restrict
};

struct SqlPiece {
	SqlPieceKind kind = SqlPieceKind::kStatement;
	std::string text;         // without the semicolon, trimmed; comments in front belong to it, as for the Supabase CLI
	std::size_t start = 0;    // where in text the first token is, in bytes
	unsigned line = 1;        // of that token in the file, from 1
	unsigned text_line = 1;   // of the first character of text
	bool closed = true;       // false: the text ended within a constant, a comment, parentheses or a function's body
	unsigned open_line = 0;   // of what is not closed: the line that it begins in,
	const char *open = "";    // and its name: "/* comment"
};

/* The pieces of a text in order; a byte order mark at its beginning is left out.  Throws only std::bad_alloc. */
[[nodiscard]] std::vector<SqlPiece> SplitSql(std::string_view text);

}  // namespace mentalspace
