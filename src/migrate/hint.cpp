#include "migrate/hint.h"

#include <algorithm>
#include <array>
#include <regex>
#include <utility>

#include "core/sql_lexer.h"

namespace mentalspace::migrate {

namespace {

using Pair = std::pair<std::string_view, std::string_view>;

constexpr std::array<Pair, 11> kSchemaComponents = {{{"auth", "auth"}, {"storage", "storage"}, {"realtime", "realtime"},
	{"extensions", "extensions"}, {"cron", "cron"}, {"net", "net"}, {"vault", "vault"}, {"pgmq", "pgmq"},
	{"pgmq_public", "pgmq"}, {"tests", "tests"}, {"supabase_functions", "net"}}};
constexpr std::array<Pair, 16> kNameComponents = {{{"anon", "roles"}, {"authenticated", "roles"}, {"service_role", "roles"},
	{"authenticator", "roles"}, {"supabase_admin", "roles"}, {"supabase_auth_admin", "roles"},
	{"supabase_storage_admin", "roles"}, {"supabase_realtime_admin", "roles"}, {"dashboard_user", "roles"},
	{"supabase_realtime", "realtime"}, {"uuid_generate_v4", "extensions"}, {"crypt", "extensions"}, {"gen_salt", "extensions"},
	{"digest", "extensions"}, {"hmac", "extensions"}, {"gen_random_bytes", "extensions"}}};

template <std::size_t N>
std::string
Find(const std::array<Pair, N> &pairs, const std::string &name)
{
	auto found = std::find_if(pairs.begin(), pairs.end(), [&](const Pair &pair) { return pair.first == name; });

	return found == pairs.end() ? "" : std::string(found->second);
}

/* The words of a statement in lower case, one blank between, names and constants as "?". */
std::string
Skeleton(const std::string &statement)
{
	std::string result = " ";
	SqlLexer lexer(statement);

	for (SqlToken token = lexer.Next(); token.kind != SqlTokenKind::kEnd; token = lexer.Next())
		result += (token.kind == SqlTokenKind::kWord ? NameOf(statement, token) : "?") + " ";
	return result;
}

/* What a message says is not there. */
ObjectName
NamedIn(const std::string &message)
{
	static const std::array<std::pair<const char *, const char *>, 8> kPatterns = {{
		{"relation \"([^\"]+)\" does not exist", "relation"},
		{"type \"([^\"]+)\" does not exist", "type"},
		{"role \"([^\"]+)\" does not exist", "role"},
		{"schema \"([^\"]+)\" does not exist", "schema"},
		{"publication \"([^\"]+)\" does not exist", "publication"},
		{"extension \"([^\"]+)\" does not exist", "extension"},
		{"(?:function|procedure) ([^ (]+)\\(.*does not exist", "function"},
		{"could not find a function named \"([^\"]+)\"", "function"},
	}};
	std::smatch match;

	for (const auto &[pattern, kind] : kPatterns) {
		if (!std::regex_search(message, match, std::regex(pattern)))
			continue;
		std::string name = match[1];
		std::size_t dot = name.find('.');
		return dot == std::string::npos ? ObjectName{kind, "", name} : ObjectName{kind, name.substr(0, dot), name.substr(dot + 1)};
	}
	return {};
}

}  // namespace

std::string
ComponentOf(const ObjectName &object)
{
	if (object.kind == "schema")
		return Find(kSchemaComponents, object.name);
	std::string component = Find(kSchemaComponents, object.schema);
	if (!component.empty())
		return component;
	bool by_name = object.kind == "role" || object.kind == "publication" || (object.kind == "function" && object.schema.empty());
	return by_name ? Find(kNameComponents, object.name) : "";
}

std::string
MissingHint(Db *db, const ObjectName &object, const std::map<ObjectName, Place> &made, const std::vector<MigrationFile> &files)
{
	std::string component = ComponentOf(object);

	if (!component.empty()) {
		Rows rows;
		DbError error;
		bool installed = db->TryQuery("SELECT 1 FROM pg_catalog.pg_extension WHERE extname = 'mentalspace'", {}, &rows, &error) &&
						 !rows.empty();
		return std::string(installed ? "" : "CREATE EXTENSION mentalspace; then ") + "SELECT * FROM mentalspace.provision('{" +
			   component + "}'); makes it";
	}
	for (const auto &[other, place] : made)
		if (other.kind == object.kind && other.name == object.name &&
			(object.schema.empty() || other.schema.empty() || other.schema == object.schema))
			return "made only in " + files[place.file].path + ":" + std::to_string(place.line) +
				   ": the order of the files is not the order in which they were written";
	if (object.kind == "available extension")
		return "this server has no such extension: install its package, or mentalspace's companion of that name"
			   " (make install COMPANIONS=...)";
	if (object.kind == "role")
		return "roles are not part of a migration: CREATE ROLE " + object.name + " first";
	if (object.kind == "relation" || object.kind == "type" || object.kind == "function")
		return "no file makes it: probably made in a dashboard; take its definition from the old database (pg_dump"
			   " --schema-only) into an earlier file";
	return "";
}

std::string
SyntaxHint(const std::string &statement, int server_version)
{
	constexpr std::array<const char *, 4> kNoIfNotExists = {" create policy if not exists ", " create type if not exists ",
		" create trigger if not exists ", " create domain if not exists "};
	std::string words = Skeleton(statement);
	auto has = [&](const char *text) { return words.find(text) != std::string::npos; };

	for (const char *form : kNoIfNotExists)
		if (has(form))
			return "no version of PostgreSQL knows IF NOT EXISTS here: DROP ... IF EXISTS first, or a DO block that catches"
				   " duplicate_object";
	if (has(" add constraint if not exists "))
		return "no version of PostgreSQL knows ADD CONSTRAINT IF NOT EXISTS: DROP CONSTRAINT IF EXISTS first";
	if (server_version < 170000 && (has(" json_table ") || has(" merge_action ") || (has(" merge into ") && has(" returning "))))
		return "needs PostgreSQL 17";
	if (server_version < 160000 && (has(" json_array ") || has(" json_arrayagg ") || has(" json_object ") || has(" is json ") ||
									has(" any_value ")))
		return "needs PostgreSQL 16";
	if (server_version < 180000 && (has(" virtual ") || has(" without overlaps ") || has(" not enforced ")))
		return "needs PostgreSQL 18";
	return "";
}

std::string
FailureHint(Db *db, const FileError &failure, const std::string &statement, const std::map<ObjectName, Place> &made,
			const std::vector<MigrationFile> &files)
{
	const std::string &state = failure.error.sqlstate, &message = failure.error.message;

	if (failure.error.lost)
		return "what had not been committed is rolled back by the server; run again";
	if (message.find("transaction_timeout") != std::string::npos || message.find("privilege type \"maintain\"") != std::string::npos)
		return "written for PostgreSQL 17 or newer; --lenient leaves it out";
	if (message.find("cron.database_name") != std::string::npos || message.find("pg_cron can only be loaded") != std::string::npos)
		return "pg_cron is installed and not loaded: shared_preload_libraries = 'pg_cron' and cron.database_name = this database"
			   " in postgresql.conf, then restart the server";
	if (message.find("can only create extension in database") != std::string::npos)
		return "pg_cron lives in one database of a server: set cron.database_name to this one and restart the server";
	if (state == "42601")
		return SyntaxHint(statement, db->ServerVersion());
	if (state == "0A000" && message.find("extension") != std::string::npos && message.find("not available") != std::string::npos)
		return "install the package of the extension, or mentalspace's companion of that name (make install COMPANIONS=...)";
	if (state == "42P07" || state == "42710" || state == "42723" || state == "42P06" || state == "42701")
		return "it is there already: if this migration was applied by other means, record it with `supabase migration repair"
			   " --status applied`";
	if (state == "42501")
		return "the role that migrates must own what migrations alter, or be a member of the owner: see the argument owner of"
			   " mentalspace.provision";
	if (state == "23505" && message.find("schema_migrations_pkey") != std::string::npos)
		return "this version was recorded meanwhile, or two files bear it";
	if (state == "55P03")
		return "somebody holds a lock on the table: look into pg_locks and run again";
	ObjectName object = NamedIn(message);
	return object.name.empty() ? "" : MissingHint(db, object, made, files);
}

}  // namespace mentalspace::migrate
