/* The files of a migrations folder, as the Supabase CLI sees them. */
#pragma once

#include <string>
#include <vector>

#include "core/sql_split.h"

namespace mentalspace::migrate {

struct MigrationFile {
	std::string path;      // as a person would write it
	std::string file;      // without the folder
	std::string version;   // the digits before the first underscore
	std::string name;      // what follows, without .sql
};

/* The migrations in the order in which they are applied (byte order of their names).  Others are told to the user and
 * left out; dash_names: <digits>-<name>.sql is a migration too.  Throws Stop where the folder cannot be read. */
[[nodiscard]] std::vector<MigrationFile> ListMigrations(const std::string &dir, bool dash_names);

/* Reads and splits a file.  Throws Stop where it cannot be read or holds a zero byte. */
[[nodiscard]] std::vector<SqlPiece> ReadMigration(const MigrationFile &file);

}  // namespace mentalspace::migrate
