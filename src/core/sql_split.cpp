#include "core/sql_split.h"

#include <algorithm>

#include "core/sql_lexer.h"

namespace mentalspace {

namespace {

constexpr std::size_t kNothing = std::string_view::npos;
constexpr std::string_view kBlanks = " \t\n\r\f\v";

unsigned
CountLines(std::string_view text)
{
	return static_cast<unsigned>(std::count(text.begin(), text.end(), '\n'));
}

/* Follows the tokens of one statement and knows whether a semicolon ends it. */
class Nesting {
public:
	explicit Nesting(std::string_view text) : text_(text) {}

	void Add(const SqlToken &token)
	{
		if (token.kind == SqlTokenKind::kSymbol) {
			if (text_[token.begin] == '(') {
				if (parens_++ == 0 && blocks_ == 0)
					opened_ = token.begin;
			} else if (text_[token.begin] == ')' && parens_ > 0) {
				parens_--;
			}
		} else if (token.kind == SqlTokenKind::kWord && parens_ == 0) {
			AddWord(token);
		}
		before_ = token;
		tokens_++;
	}

	bool AtTop() const { return parens_ == 0 && blocks_ == 0; }
	std::size_t Opened() const { return opened_; }   // of the parentheses or the body that we are in

private:
	void AddWord(const SqlToken &token)
	{
		/* CREATE [OR REPLACE] FUNCTION | PROCEDURE */
		if (tokens_ == 0)
			create_ = IsWord(text_, token, "create");
		else if (create_ && (tokens_ == 1 || tokens_ == 3) &&
				 (IsWord(text_, token, "function") || IsWord(text_, token, "procedure")))
			routine_ = true;
		if (!routine_)
			return;
		if (blocks_ == 0) {
			if (IsWord(text_, token, "atomic") && IsWord(text_, before_, "begin"))
				blocks_ = 1, opened_ = before_.begin;
		} else if (IsWord(text_, token, "case")) {
			blocks_++;
		} else if (IsWord(text_, token, "end")) {
			blocks_--;
		}
	}

	std::string_view text_;
	SqlToken before_;
	unsigned tokens_ = 0;
	unsigned parens_ = 0;
	unsigned blocks_ = 0;
	std::size_t opened_ = 0;
	bool create_ = false;
	bool routine_ = false;
};

class Splitter {
public:
	explicit Splitter(std::string_view text) : text_(text), lexer_(text) {}

	std::vector<SqlPiece> Run()
	{
		while (ReadPiece()) {
		}
		return std::move(pieces_);
	}

private:
	/* Reads up to and with the next semicolon; false at the end of the text. */
	bool ReadPiece()
	{
		std::size_t begin = lexer_.Offset();
		Nesting nesting(text_);
		SqlToken token = lexer_.Next();
		SqlToken first = token;

		if (token.kind == SqlTokenKind::kSymbol && text_[token.begin] == '\\') {
			if (token.begin > begin)
				Emit(begin, token.begin, token.begin);
			std::size_t end = text_.find('\n', token.begin);
			end = end == std::string_view::npos ? text_.size() : end;
			lexer_.Seek(end);
			Emit(token.begin, end, token.begin);
			pieces_.back().kind = SqlPieceKind::kMetaCommand;
			return end < text_.size();
		}
		std::size_t opened = kNothing;
		while (token.kind != SqlTokenKind::kEnd) {
			if (token.kind == SqlTokenKind::kSymbol && text_[token.begin] == ';' && nesting.AtTop()) {
				Emit(begin, token.begin, first.begin);
				return true;
			}
			nesting.Add(token);
			if (!token.closed)
				opened = token.opened;
			token = lexer_.Next();
		}
		if (!token.closed)
			opened = token.opened;
		else if (opened == kNothing && !nesting.AtTop())
			opened = nesting.Opened();
		Emit(begin, text_.size(), first.begin, opened);
		return false;
	}

	/* What begins at an offset and does not end, for people. */
	const char *NameOfOpen(std::size_t opened) const
	{
		switch (text_[opened]) {
			case '/': return "/* comment";
			case '$': return "dollar-quoted string";
			case '"': return "quoted name";
			case '(': return "parenthesis";
			default: break;
		}
		std::string_view rest = text_.substr(opened, 4);
		if (rest.find('\'') != std::string_view::npos)
			return "quoted string";
		return rest.find('"') != std::string_view::npos ? "quoted name" : "BEGIN ATOMIC body";
	}

	/* [begin, end) without the semicolon; first: offset of the first token; opened: of what is not closed. */
	void Emit(std::size_t begin, std::size_t end, std::size_t first, std::size_t opened = kNothing)
	{
		std::string_view body = text_.substr(begin, end - begin);
		/* The Supabase CLI takes semicolons off the end before white space, also those that end a comment. */
		std::size_t last = body.find_last_not_of(';');
		body = body.substr(0, last == std::string_view::npos ? 0 : last + 1);
		std::size_t skip = body.find_first_not_of(kBlanks);
		if (skip == std::string_view::npos)
			return;
		std::size_t stop = body.find_last_not_of(kBlanks) + 1;

		SqlPiece piece;
		std::size_t text_begin = begin + skip;
		piece.text = body.substr(skip, stop - skip);
		piece.kind = first >= text_begin + piece.text.size() ? SqlPieceKind::kCommentOnly : SqlPieceKind::kStatement;
		piece.start = std::min(first - text_begin, piece.text.size());
		line_ += CountLines(text_.substr(counted_, text_begin - counted_));
		counted_ = text_begin;
		piece.text_line = line_;
		piece.line = line_ + CountLines(std::string_view(piece.text).substr(0, piece.start));
		piece.closed = opened == kNothing;
		if (!piece.closed) {
			piece.open_line = line_ + CountLines(text_.substr(text_begin, opened - text_begin));
			piece.open = NameOfOpen(opened);
		}
		pieces_.push_back(std::move(piece));
	}

	std::string_view text_;
	SqlLexer lexer_;
	std::vector<SqlPiece> pieces_;
	std::size_t counted_ = 0;
	unsigned line_ = 1;
};

}  // namespace

std::vector<SqlPiece>
SplitSql(std::string_view text)
{
	if (text.substr(0, 3) == "\xef\xbb\xbf")
		text.remove_prefix(3);
	return Splitter(text).Run();
}

}  // namespace mentalspace
