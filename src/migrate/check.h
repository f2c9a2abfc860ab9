/* Looks through all pending files before the first statement runs: what does not parse, what the database lacks, and
 * what this server's version does not know. */
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "migrate/db.h"
#include "migrate/files.h"

namespace mentalspace::migrate {

/* Where something is named. */
struct Place {
	std::size_t file = 0;   // index in the list of files
	unsigned line = 0;
};

/* An object's name: schema is empty where none is written. */
struct ObjectName {
	std::string kind;   // relation, function, type, role, schema, extension, publication, language
	std::string schema;
	std::string name;
	[[nodiscard]] std::string Text() const { return schema.empty() ? name : schema + "." + name; }
	auto operator<=>(const ObjectName &) const = default;
};

struct Missing {
	ObjectName object;
	std::vector<Place> places;   // in order
	std::string suggestion;
};

struct Problem {
	Place place;
	std::string sqlstate;
	std::string message;
	std::string suggestion;
};

struct CheckResult {
	bool checked = false;                  // the database has mentalspace.parse_sql
	bool names = false;                    // and it lists names (native flavour)
	std::vector<Problem> syntax;
	std::vector<Problem> newer;            // lines that only newer servers know
	std::vector<Missing> missing;
	std::vector<std::string> extensions;   // made by pending files: what they bring cannot be told
	std::vector<Missing> maybe_extension;  // missing, unless one of these brings it
	std::map<ObjectName, Place> made;      // first place that makes an object: for hints
};

/* pending: indexes of the files to look at. */
[[nodiscard]] CheckResult CheckFiles(Db *db, const std::vector<MigrationFile> &files, const std::vector<std::size_t> &pending);

/* Prints what was found, the first 40 of it unless verbose. */
void PrintCheck(const CheckResult &result, const std::vector<MigrationFile> &files, bool lenient, bool verbose);

}  // namespace mentalspace::migrate
