#include "core/sql_statement.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/sql_lexer.h"

namespace mentalspace {

namespace {

/* The first words of a statement, lower case; other tokens come as "" (names in quotes and constants) or as they are. */
class Words {
public:
	explicit Words(std::string_view text, std::size_t most = 64) : text_(text)
	{
		SqlLexer lexer(text);
		while (tokens_.size() < most) {
			SqlToken token = lexer.Next();
			if (token.kind == SqlTokenKind::kEnd)
				break;
			tokens_.push_back(token);
		}
	}
	bool Is(std::size_t i, std::string_view word) const
	{
		return i < tokens_.size() && IsWord(text_, tokens_[i], word);
	}
	bool Any(std::string_view word) const
	{
		return std::any_of(tokens_.begin(), tokens_.end(), [&](const SqlToken &t) { return IsWord(text_, t, word); });
	}
	bool Symbol(std::size_t i, char c) const
	{
		return i < tokens_.size() && tokens_[i].kind == SqlTokenKind::kSymbol && text_[tokens_[i].begin] == c;
	}
	bool Name(std::size_t i) const
	{
		return i < tokens_.size() &&
			   (tokens_[i].kind == SqlTokenKind::kWord || tokens_[i].kind == SqlTokenKind::kQuotedName);
	}
	std::string NameAt(std::size_t i) const { return NameOf(text_, tokens_[i]); }
	const SqlToken &At(std::size_t i) const { return tokens_[i]; }
	std::size_t Size() const { return tokens_.size(); }

	/* The dotted name at i; moves i behind it. */
	std::vector<std::string> DottedName(std::size_t *i) const
	{
		std::vector<std::string> name;
		while (Name(*i)) {
			name.push_back(NameAt((*i)++));
			if (!Symbol(*i, '.'))
				break;
			(*i)++;
		}
		return name;
	}

private:
	std::string_view text_;
	std::vector<SqlToken> tokens_;
};

bool
IsOutside(const Words &w)
{
	if (w.Is(0, "vacuum"))
		return true;
	if (w.Is(0, "reindex"))
		return w.Any("concurrently") || w.Any("schema") || w.Any("database") || w.Any("system");
	if (w.Is(0, "create"))
		return w.Is(1, "database") || w.Is(1, "tablespace") || w.Is(1, "subscription") ||
			   (w.Is(1, "index") && w.Is(2, "concurrently")) || (w.Is(2, "index") && w.Is(3, "concurrently"));
	if (w.Is(0, "drop"))
		return w.Is(1, "database") || w.Is(1, "tablespace") || w.Is(1, "subscription") ||
			   (w.Is(1, "index") && w.Is(2, "concurrently"));
	if (w.Is(0, "alter"))
		return w.Is(1, "system") || (w.Is(1, "table") && w.Any("detach") && w.Any("concurrently")) ||
			   (w.Is(1, "database") && w.Any("tablespace"));
	if (w.Is(0, "cluster"))
		return w.Size() == 1;
	return (w.Is(0, "prepare") && w.Is(1, "transaction")) || (w.Is(0, "commit") && w.Is(1, "prepared")) ||
		   (w.Is(0, "rollback") && w.Is(1, "prepared"));
}

}  // namespace

SqlConduct
ConductOf(std::string_view statement)
{
	Words w(statement);

	if (IsOutside(w))
		return SqlConduct::kOutside;
	if (w.Is(0, "begin") || (w.Is(0, "start") && w.Is(1, "transaction")))
		return SqlConduct::kBegin;
	if (w.Is(0, "commit") || w.Is(0, "end"))
		return SqlConduct::kCommit;
	if (w.Is(0, "abort") || (w.Is(0, "rollback") && !w.Any("to")))
		return SqlConduct::kRollback;
	if (w.Is(0, "copy"))
		for (std::size_t i = 1; i < w.Size(); i++)
			if (w.Is(i, "from") && w.Is(i + 1, "stdin"))
				return SqlConduct::kCopyIn;
	if (w.Is(0, "reset") || (w.Is(0, "set") && !w.Is(1, "local") && !w.Is(1, "transaction") && !w.Is(1, "constraints")))
		return SqlConduct::kSession;
	if (w.Is(0, "select") && (w.Is(1, "set_config") || w.Is(3, "set_config")))
		return SqlConduct::kSession;
	return SqlConduct::kOrdinary;
}

std::optional<ConcurrentIndex>
ConcurrentIndexOf(std::string_view statement)
{
	Words w(statement);
	ConcurrentIndex result;
	std::size_t i;

	if (w.Is(0, "create") && w.Is(1, "index") && w.Is(2, "concurrently"))
		i = 3;
	else if (w.Is(0, "create") && w.Is(2, "index") && w.Is(3, "concurrently"))
		i = 4;
	else if (w.Is(0, "drop") && w.Is(1, "index") && w.Is(2, "concurrently"))
		i = 3;
	else
		return std::nullopt;
	result.create = w.Is(0, "create");
	if (w.Is(i, "if"))
		i += w.Is(i + 1, "not") ? 3 : 2;
	if (result.create && w.Is(i, "on"))
		return result;
	std::vector<std::string> name = w.DottedName(&i);
	if (!name.empty())
		result.index = name.back();
	if (name.size() > 1)
		result.schema = name[name.size() - 2];
	/* An index is made in the schema of its table. */
	if (result.create && w.Is(i, "on")) {
		i += w.Is(i + 1, "only") ? 2 : 1;
		std::vector<std::string> table = w.DottedName(&i);
		if (table.size() > 1)
			result.schema = table[table.size() - 2];
	}
	return result;
}

bool
IsRepeatable(std::string_view statement)
{
	Words w(statement, 2);

	return w.Is(0, "vacuum") || w.Is(0, "reindex") || w.Is(0, "cluster") || (w.Is(0, "alter") && w.Is(1, "system"));
}

std::optional<NewerLine>
NewerLineOf(std::string_view statement, int server_version)
{
	constexpr int kVersion17 = 170000;
	if (server_version >= kVersion17)
		return std::nullopt;
	Words w(statement);
	if (w.Is(0, "set") && (w.Is(1, "transaction_timeout") || w.Is(2, "transaction_timeout")))
		return NewerLine{"SET transaction_timeout", ""};
	if (w.Is(0, "select") && (w.Is(1, "set_config") || w.Is(3, "set_config")) &&
		statement.find("'transaction_timeout'") != std::string_view::npos)
		return NewerLine{"set_config('transaction_timeout', ...)", ""};

	if (!w.Is(0, "grant") && !w.Is(0, "revoke") && !(w.Is(0, "alter") && w.Is(1, "default")))
		return std::nullopt;
	std::size_t stop = 0;
	while (stop < w.Size() && !w.Is(stop, "on"))
		stop++;
	for (std::size_t i = 0; i < stop; i++) {
		if (!w.Is(i, "maintain"))
			continue;
		NewerLine line{std::string(w.Any("revoke") ? "REVOKE" : "GRANT") + " MAINTAIN", ""};
		/* One of several privileges: the others are given.  A comma goes with it. */
		std::size_t from = w.At(i).begin, to = w.At(i).end;
		if (w.Symbol(i + 1, ','))
			to = w.At(i + 1).end;
		else if (i > 0 && w.Symbol(i - 1, ','))
			from = w.At(i - 1).begin;
		else
			return line;
		line.replacement = std::string(statement.substr(0, from)) + std::string(statement.substr(to));
		return line;
	}
	return std::nullopt;
}

std::vector<LooseName>
LooselyMade(std::string_view block)
{
	constexpr std::array<std::pair<std::string_view, std::string_view>, 14> kKinds = {{{"table", "relation"},
		{"view", "relation"}, {"sequence", "relation"}, {"index", "relation"}, {"type", "type"}, {"domain", "type"},
		{"function", "function"}, {"procedure", "function"}, {"aggregate", "function"}, {"schema", "schema"},
		{"role", "role"}, {"user", "role"}, {"extension", "extension"}, {"publication", "publication"}}};
	std::vector<LooseName> made;
	SqlLexer lexer(block);

	for (SqlToken token = lexer.Next(); token.kind != SqlTokenKind::kEnd; token = lexer.Next()) {
		if (token.kind == SqlTokenKind::kString && token.end - token.begin > 2) {
			/* A body in dollar quotes, or a statement for EXECUTE: look inside the quotes. */
			std::string_view inside = block.substr(token.begin, token.end - token.begin);
			std::size_t open = inside[0] == '$' ? inside.find('$', 1) + 1 : inside.find('\'') + 1;
			if (open < inside.size()) {
				std::vector<LooseName> more = LooselyMade(inside.substr(open, inside.size() - 2 * open));
				made.insert(made.end(), more.begin(), more.end());
			}
			continue;
		}
		if (!IsWord(block, token, "create"))
			continue;
		Words w(block.substr(token.end, 400), 24);
		for (std::size_t i = 0; i < 6 && w.Name(i); i++) {
			auto kind = std::find_if(kKinds.begin(), kKinds.end(), [&](const auto &k) { return w.Is(i, k.first); });
			if (kind == kKinds.end())
				continue;
			i += w.Is(i + 1, "if") ? 4 : 1;
			std::vector<std::string> name = w.DottedName(&i);
			if (!name.empty())
				made.push_back({std::string(kind->second), std::move(name)});
			break;
		}
	}
	return made;
}

}  // namespace mentalspace
