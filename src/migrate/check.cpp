#include "migrate/check.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <tuple>

#include "core/sql_statement.h"
#include "migrate/hint.h"

namespace mentalspace::migrate {

namespace {

/* One thing that a statement does to a name. */
struct Mention {
	Place place;
	std::string action;   // makes, drops, needs
	ObjectName object;
};

constexpr std::array<const char *, 6> kSerials = {"serial", "serial2", "serial4", "serial8", "smallserial", "bigserial"};

class Checker {
public:
	Checker(Db *db, const std::vector<MigrationFile> &files) : db_(db), files_(files) {}

	CheckResult Run(const std::vector<std::size_t> &pending)
	{
		Rows rows = db_->Query("SELECT p.oid IS NOT NULL AND pg_catalog.has_function_privilege(p.oid, 'EXECUTE'),"
							   " l.lanname = 'c' FROM (SELECT pg_catalog.to_regprocedure('mentalspace.parse_sql(text)')) f(oid)"
							   " LEFT JOIN pg_catalog.pg_proc p ON p.oid = f.oid"
							   " LEFT JOIN pg_catalog.pg_language l ON l.oid = p.prolang");
		result_.checked = rows[0][0] == "t";
		result_.names = result_.checked && rows[0][1] == "t";
		for (std::size_t file : pending)
			ReadFile(file);
		if (result_.names) {
			AskDatabase();
			Follow();
		}
		return std::move(result_);
	}

private:
	void ReadFile(std::size_t file)
	{
		std::vector<SqlPiece> pieces = ReadMigration(files_[file]);
		std::vector<Value> texts;
		std::vector<std::size_t> index;

		for (std::size_t i = 0; i < pieces.size(); i++) {
			const SqlPiece &piece = pieces[i];
			Place place{file, piece.line};
			if (!piece.closed)
				result_.syntax.push_back({{file, piece.open_line}, "42601", std::string("unterminated ") + piece.open, kUnfinishedHint});
			else if (piece.kind == SqlPieceKind::kMetaCommand)
				result_.newer.push_back({place, "42601", piece.text.substr(0, piece.text.find_first_of(" \t\r")), ""});
			else if (auto newer = NewerLineOf(piece.text, db_->ServerVersion()))
				result_.newer.push_back({place, "0A000", newer->what, ""});
			else if (piece.kind == SqlPieceKind::kStatement) {
				texts.push_back(piece.text);
				index.push_back(i);
			}
		}
		if (!result_.checked || texts.empty())
			return;
		Rows rows;
		DbError error;
		if (!db_->TryQuery("SELECT s.n, p.line, p.action, p.kind, p.name[pg_catalog.array_length(p.name, 1) - 1],"
							   " p.name[pg_catalog.array_length(p.name, 1)], p.detail"
							   " FROM pg_catalog.unnest($1::text[]) WITH ORDINALITY s(sql, n),"
							   " LATERAL mentalspace.parse_sql(s.sql) WITH ORDINALITY"
							   " p(statement, line, \"position\", action, kind, name, detail, o) ORDER BY s.n, p.o",
						   {ArrayLiteral(texts)}, &rows, &error)) {
			result_.syntax.push_back({{file, 1}, error.sqlstate, "the check of this file failed: " + error.message, ""});
			return;
		}
		for (const auto &row : rows) {
			const SqlPiece &piece = pieces[index[std::strtoul(row[0].value_or("1").c_str(), nullptr, 10) - 1]];
			unsigned long line = row[1] ? std::strtoul(row[1]->c_str(), nullptr, 10) : 0;
			Place place{file, line > 0 ? piece.text_line + static_cast<unsigned>(line) - 1 : piece.line};
			std::string action = row[2].value_or(""), kind = row[3].value_or("");
			if (action == "error") {
				DbError error;
				error.sqlstate = kind;
				error.message = MaskedMessage(row[6].value_or(""), piece.text, kind);
				result_.syntax.push_back({place, kind, error.message, SyntaxHint(piece.text, db_->ServerVersion())});
			} else if (action == "statement") {
				if (kind == "DO")
					for (LooseName &made : LooselyMade(piece.text))
						Add(place, "makes", made.kind, made.name.size() > 1 ? made.name[made.name.size() - 2] : "",
							made.name.back());
			} else {
				Add(place, action, kind, row[4].value_or(""), row[5].value_or(""));
			}
		}
	}

	void Add(Place place, const std::string &action, const std::string &kind, const std::string &schema, const std::string &name)
	{
		mentions_.push_back({place, action, {kind, schema, name}});
		if (action == "makes")
			result_.made.emplace(mentions_.back().object, place);
	}

	/* Which of the names there are, in one query. */
	void AskDatabase()
	{
		std::set<ObjectName> names;
		std::vector<Value> kinds, schemas, texts;

		for (const Mention &mention : mentions_)
			names.insert(mention.object);
		for (const ObjectName &object : names) {
			kinds.push_back(object.kind);
			schemas.push_back(object.schema);
			texts.push_back(object.name);
		}
		Rows rows = db_->Query(
			"SELECT k, s, n FROM ROWS FROM (pg_catalog.unnest($1::text[]),"
			" pg_catalog.unnest($2::text[]), pg_catalog.unnest($3::text[])) u(k, s, n) WHERE CASE k"
			" WHEN 'relation' THEN EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace x ON x.oid ="
			" relnamespace WHERE relname = n AND CASE s WHEN '' THEN pg_catalog.pg_table_is_visible(c.oid) ELSE nspname = s END)"
			" WHEN 'type' THEN EXISTS (SELECT FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace x ON x.oid ="
			" typnamespace WHERE typname = n AND CASE s WHEN '' THEN pg_catalog.pg_type_is_visible(t.oid) ELSE nspname = s END)"
			" WHEN 'function' THEN EXISTS (SELECT FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace x ON x.oid ="
			" pronamespace WHERE proname = n AND CASE s WHEN '' THEN nspname = ANY (pg_catalog.current_schemas(true))"
			" ELSE nspname = s END)"
			" WHEN 'schema' THEN EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = n)"
			" WHEN 'role' THEN EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = n)"
			" WHEN 'publication' THEN EXISTS (SELECT FROM pg_catalog.pg_publication WHERE pubname = n)"
			" WHEN 'language' THEN EXISTS (SELECT FROM pg_catalog.pg_language WHERE lanname = n)"
			" WHEN 'extension' THEN EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = n)"
			/* Debian's servers do not list what they find below extension_destdir. */
			" WHEN 'available extension' THEN coalesce(pg_catalog.current_setting('extension_destdir', true), '') <> ''"
			" OR EXISTS (SELECT FROM pg_catalog.pg_available_extensions WHERE name = n)"
			" ELSE true END",
			{ArrayLiteral(kinds), ArrayLiteral(schemas), ArrayLiteral(texts)});
		for (const auto &row : rows)
			there_.insert({row[0].value_or(""), row[1].value_or(""), row[2].value_or("")});
	}

	/* Goes through all mentions in order and keeps book of what is there. */
	void Follow()
	{
		std::map<ObjectName, Missing> missing;
		std::vector<ObjectName> order;

		for (const Mention &mention : mentions_) {
			const ObjectName &object = mention.object;
			std::pair<std::string, std::string> key(object.kind, object.name);
			if (mention.action == "makes") {
				made_[key].insert(object.schema);
				dropped_.erase(object);
				if (object.kind == "extension" && there_.count(object) == 0)
					result_.extensions.push_back(object.name);
			} else if (mention.action == "drops") {
				made_[key].erase(object.schema);
				dropped_.insert(object);
			} else if (!Known(object)) {
				auto found = missing.find(object);
				if (found == missing.end()) {
					found = missing.emplace(object, Missing{object, {}, ""}).first;
					order.push_back(object);
				}
				found->second.places.push_back(mention.place);
			}
		}
		std::sort(result_.extensions.begin(), result_.extensions.end());
		result_.extensions.erase(std::unique(result_.extensions.begin(), result_.extensions.end()), result_.extensions.end());
		for (const ObjectName &object : order) {
			Missing &item = missing.at(object);
			item.suggestion = MissingHint(db_, object, result_.made, files_);
			(MayComeWithExtension(object) ? result_.maybe_extension : result_.missing).push_back(std::move(item));
		}
	}

	/* Whether an extension that a file creates could make it: nothing tells before it is there. */
	bool MayComeWithExtension(const ObjectName &object)
	{
		if (result_.extensions.empty() || object.kind == "role" || object.kind == "publication" ||
			object.kind == "available extension")
			return false;
		if (object.kind == "relation" && (object.schema.empty() || object.schema == "public"))
			return false;
		std::string component = ComponentOf(object);
		return component != "auth" && component != "storage" && component != "realtime";
	}

	bool Known(const ObjectName &object)
	{
		if (object.kind == "type" && object.schema.empty() &&
			std::find(kSerials.begin(), kSerials.end(), object.name) != kSerials.end())
			return true;
		if (Made(object))
			return true;
		/* A table is a row type too. */
		if (object.kind == "type" && Known({"relation", object.schema, object.name}))
			return true;
		return there_.count(object) > 0 && dropped_.count(object) == 0;
	}

	bool Made(const ObjectName &object)
	{
		auto found = made_.find({object.kind, object.name});
		if (found == made_.end() || found->second.empty())
			return false;
		return object.schema.empty() || found->second.count(object.schema) > 0 || found->second.count("") > 0;
	}

	Db *db_;
	const std::vector<MigrationFile> &files_;
	CheckResult result_;
	std::vector<Mention> mentions_;
	std::set<ObjectName> there_, dropped_;
	std::map<std::pair<std::string, std::string>, std::set<std::string>> made_;   // kind, name: schemas
};

std::string
PlaceText(const Place &place, const std::vector<MigrationFile> &files)
{
	return files[place.file].path + ":" + std::to_string(place.line);
}

void
PrintMissing(const std::vector<Missing> &missing, const std::vector<MigrationFile> &files, bool verbose)
{
	std::size_t shown = 0;

	for (const Missing &item : missing) {
		if (++shown > 40 && !verbose) {
			std::printf("  ... and %zu more (--verbose shows all)\n", missing.size() - 40);
			break;
		}
		std::printf("  %s %s: %s", item.object.kind.c_str(), item.object.Text().c_str(),
					PlaceText(item.places[0], files).c_str());
		if (item.places.size() > 1)
			std::printf(" and %zu more", item.places.size() - 1);
		std::printf("\n");
		if (!item.suggestion.empty())
			std::printf("    %s\n", item.suggestion.c_str());
	}
}

}  // namespace

CheckResult
CheckFiles(Db *db, const std::vector<MigrationFile> &files, const std::vector<std::size_t> &pending)
{
	return Checker(db, files).Run(pending);
}

void
PrintCheck(const CheckResult &result, const std::vector<MigrationFile> &files, bool lenient, bool verbose)
{
	if (!result.checked)
		std::printf("check: skipped, this database has no extension mentalspace\n");
	else if (!result.names)
		std::printf("check: syntax only, the trusted flavour does not list names\n");
	if (!result.syntax.empty())
		std::printf("check: %zu statements do not parse on this server\n", result.syntax.size());
	for (const Problem &problem : result.syntax) {
		std::printf("  %s: %s (%s)\n", PlaceText(problem.place, files).c_str(), problem.message.c_str(), problem.sqlstate.c_str());
		if (!problem.suggestion.empty())
			std::printf("    %s\n", problem.suggestion.c_str());
	}
	if (!result.newer.empty())
		std::printf("check: %zu lines are for psql or a newer server%s\n", result.newer.size(),
					lenient ? ", left out because of --lenient" : "; --lenient leaves out those that do no harm");
	for (const Problem &problem : result.newer)
		std::printf("  %s: %s\n", PlaceText(problem.place, files).c_str(), problem.message.c_str());
	if (!result.missing.empty()) {
		std::printf("check: %zu names that the database lacks and no earlier statement makes\n", result.missing.size());
		PrintMissing(result.missing, files, verbose);
	}
	if (!result.maybe_extension.empty()) {
		std::string names;
		for (const std::string &extension : result.extensions)
			names += (names.empty() ? "" : ", ") + extension;
		std::printf("check: %zu names that the database lacks, unless an extension brings them that these files create (%s)\n",
					result.maybe_extension.size(), names.c_str());
		PrintMissing(result.maybe_extension, files, verbose);
	}
	if (result.names && result.syntax.empty() && result.missing.empty() && result.maybe_extension.empty())
		std::printf("check: every statement parses, every name is there or made before\n");
}

}  // namespace mentalspace::migrate
