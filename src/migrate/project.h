/* What the project says beside its migrations: supabase/config.toml. */
#pragma once

#include <optional>
#include <string>

#include "migrate/db.h"

namespace mentalspace::migrate {

/* The setting [api] auto_expose_new_tables of the text of a config.toml, where it has one. */
[[nodiscard]] std::optional<bool> ReadAutoExpose(const std::string &toml);

/* Says which generation of default rights the project in the folder above DIR is of, and warns where the database gives new
 * tables other rights than the migrations count on.  Silent where there is no config.toml. */
void PrintGeneration(Db *db, const std::string &dir);

}  // namespace mentalspace::migrate
