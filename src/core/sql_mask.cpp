/* Statements and messages without secrets. */
#include <algorithm>
#include <vector>

#include "core/sql_lexer.h"
#include "core/sql_statement.h"

namespace mentalspace {

namespace {

constexpr std::string_view kMask = "***";

/* Shorter constants are not looked for in messages: too much else is equal to them. */
constexpr std::size_t kLeastValue = 4;

/* The constants of a statement, also within the bodies and statements that constants hold.  A constant with quotes or
 * backslashes in it comes in pieces: the server shows it without the doubled ones. */
void
AddConstants(std::string_view statement, std::vector<std::string_view> *values)
{
	SqlLexer lexer(statement);

	for (SqlToken token = lexer.Next(); token.kind != SqlTokenKind::kEnd; token = lexer.Next()) {
		if (token.kind != SqlTokenKind::kString)
			continue;
		std::string_view inside = statement.substr(token.begin, token.end - token.begin);
		const bool dollar = inside[0] == '$';
		const std::size_t open = dollar ? inside.find('$', 1) + 1 : inside.find('\'') + 1;
		inside.remove_prefix(open);
		inside.remove_suffix(std::min(inside.size(), dollar ? open : 1));
		if (inside.find_first_of(" (") != std::string_view::npos)
			AddConstants(inside, values);
		for (std::size_t at = 0; at < inside.size();) {
			const std::size_t end = std::min(dollar ? inside.size() : inside.find_first_of("'\\", at), inside.size());
			if (end - at >= kLeastValue)
				values->push_back(inside.substr(at, end - at));
			at = end + 1;
		}
	}
}

/* Could be the name of an object: small letters and underscores. */
bool
LooksLikeName(std::string_view value)
{
	return value.find_first_not_of("abcdefghijklmnopqrstuvwxyz_.") == std::string_view::npos;
}

bool
IsAboutNames(std::string_view sqlstate)
{
	const std::string_view of_class = sqlstate.substr(0, 2);

	return (of_class == "42" && sqlstate != "42601") || of_class == "3D" || of_class == "3F";
}

void
ReplaceAll(std::string *text, std::string_view value)
{
	for (std::size_t at = text->find(value); at != std::string::npos; at = text->find(value, at + kMask.size()))
		text->replace(at, value.size(), kMask);
}

/* Masks what stands between `before` and the last `after` of the line. */
void
MaskBetween(std::string *text, std::string_view before, std::string_view after)
{
	const std::size_t at = text->find(before);
	const std::size_t end = text->rfind(after);

	if (at != std::string::npos && end != std::string::npos && end >= at + before.size())
		text->replace(at + before.size(), end - at - before.size(), kMask);
}

}  // namespace

std::string
Shorten(std::string_view statement, std::size_t length)
{
	std::string result;
	SqlLexer lexer(statement);
	SqlToken before;
	bool sets = false;
	std::size_t count = 0;

	for (;;) {
		SqlToken token = lexer.Next();
		if (token.kind == SqlTokenKind::kEnd || result.size() > length)
			break;
		if (count == 0 && statement[token.begin] == '\\')
			return std::string(statement.substr(token.begin, statement.find_first_of(" \t\r\n", token.begin) - token.begin));
		/* SET name TO value, ALTER ... SET name = value: the value may be a word. */
		sets |= IsWord(statement, token, "set") && (count == 0 || !result.compare(0, 5, "ALTER") || !result.compare(0, 5, "alter"));
		if (!result.empty() && token.begin > before.end)
			result += ' ';
		std::string_view written = statement.substr(token.begin, token.end - token.begin);
		if (token.kind == SqlTokenKind::kString) {
			result += "'***'";
		} else {
			for (char c : written)
				result += c == '\n' || c == '\r' || c == '\t' ? ' ' : c;
		}
		if (sets && (written == "=" || IsWord(statement, token, "to"))) {
			result += " '***'";
			break;
		}
		before = token;
		count++;
	}
	if (result.size() > length) {
		std::size_t cut = length;
		/* Not within a character of UTF-8. */
		while (cut > 0 && (static_cast<unsigned char>(result[cut]) & 0xc0) == 0x80)
			cut--;
		result.resize(cut);
		result += " ...";
	}
	return result;
}

std::string
MaskedMessage(std::string message, std::string_view statement, std::string_view sqlstate)
{
	std::vector<std::string_view> values;
	const bool names = IsAboutNames(sqlstate);

	AddConstants(statement, &values);
	std::sort(values.begin(), values.end(), [](auto a, auto b) { return a.size() > b.size(); });
	for (std::string_view value : values)
		if (!names || !LooksLikeName(value))
			ReplaceAll(&message, value);
	/* A part of a constant, as the parser of a connection string or of a date shows it. */
	for (std::size_t open = names ? std::string::npos : message.find('"'); open != std::string::npos;) {
		const std::size_t close = message.find('"', open + 1);
		if (close == std::string::npos)
			break;
		const std::string part = message.substr(open + 1, close - open - 1);
		const bool repeats = part.size() >= kLeastValue && part != kMask && std::any_of(values.begin(), values.end(),
			[&](std::string_view value) { return value.find(part) != std::string_view::npos && value.size() > part.size(); });
		if (repeats)
			message.replace(open + 1, part.size(), kMask);
		open = message.find('"', open + (repeats ? kMask.size() : part.size()) + 2);
	}
	/* Rows: the server cuts their values off, so that they cannot be found. */
	MaskBetween(&message, "Failing row contains (", ")");
	MaskBetween(&message, ")=(", ")");
	return message;
}

}  // namespace mentalspace
