#include "migrate/project.h"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace mentalspace::migrate {

namespace {

std::string
Trim(const std::string &text)
{
	std::size_t from = text.find_first_not_of(" \t\r");
	std::size_t to = text.find_last_not_of(" \t\r");

	return from == std::string::npos ? "" : text.substr(from, to - from + 1);
}

/* Whether the roles of the API get rights on the tables that we shall make; nothing where there are no such roles. */
std::optional<bool>
NewTablesAreOpen(Db *db)
{
	auto rows = db->Query(
		"SELECT EXISTS (SELECT FROM pg_catalog.pg_default_acl d, pg_catalog.aclexplode(d.defaclacl) a"
		" WHERE d.defaclrole OPERATOR(pg_catalog.=) (SELECT oid FROM pg_catalog.pg_roles WHERE rolname OPERATOR(pg_catalog.=)"
		" current_user) AND d.defaclobjtype OPERATOR(pg_catalog.=) 'r'"
		" AND d.defaclnamespace OPERATOR(pg_catalog.=) ANY (ARRAY[0::pg_catalog.oid, pg_catalog.to_regnamespace('public')])"
		" AND a.grantee OPERATOR(pg_catalog.=) r.oid) FROM pg_catalog.pg_roles r"
		" WHERE r.rolname OPERATOR(pg_catalog.=) 'authenticated'");

	if (rows.empty())
		return std::nullopt;
	return rows[0][0].value_or("f") == "t";
}

}  // namespace

std::optional<bool>
ReadAutoExpose(const std::string &toml)
{
	std::istringstream lines(toml);
	std::string line, section;
	std::optional<bool> found;

	while (std::getline(lines, line)) {
		line = Trim(line.substr(0, line.find('#')));
		if (!line.empty() && line.front() == '[') {
			section = Trim(line.substr(1, line.find(']') - 1));
			continue;
		}
		std::size_t equals = line.find('=');
		if (equals == std::string::npos)
			continue;
		std::string key = Trim(line.substr(0, equals)), value = Trim(line.substr(equals + 1));
		if ((section.empty() ? key : section + "." + key) == "api.auto_expose_new_tables" && (value == "true" || value == "false"))
			found = value == "true";
	}
	return found;
}

void
PrintGeneration(Db *db, const std::string &dir)
{
	std::filesystem::path path = std::filesystem::absolute(dir).lexically_normal();
	if (!path.has_filename())
		path = path.parent_path();
	path = path.parent_path() / "config.toml";
	std::ifstream file(path);
	std::ostringstream toml;

	if (!file)
		return;
	toml << file.rdbuf();
	std::optional<bool> exposes = ReadAutoExpose(toml.str());
	std::optional<bool> open = NewTablesAreOpen(db);
	const char *grants = !exposes ? "is not set: Supabase grants new tables to the API in projects from before 30 May 2026 only"
						 : *exposes ? "= true: new tables are open to the API (api_grants => 'data')"
									: "= false: migrations grant each table to the API (api_grants => 'none')";

	std::printf("config.toml: [api] auto_expose_new_tables %s\n", grants);
	if (exposes && open && *exposes != *open)
		std::printf("warning: tables that this role makes in this database are %s to anon and authenticated; first run\n"
					"  SELECT * FROM mentalspace.provision(api_grants => '%s')\n",
					*open ? "open" : "closed", *exposes ? "data" : "none");
	else if (!exposes && open)
		std::printf("  in this database they are %s; SELECT * FROM mentalspace.provision(api_grants => '%s') changes that\n",
					*open ? "granted" : "not granted", *open ? "none" : "data");
}

}  // namespace mentalspace::migrate
