/* What a person can do about a failure, where we know it. */
#pragma once

#include <map>
#include <string>
#include <vector>

#include "migrate/apply.h"
#include "migrate/check.h"

namespace mentalspace::migrate {

/* For a file that ends within a comment, a constant and so on. */
constexpr const char *kUnfinishedHint = "It begins in this line and the file ends before it does: close it.";

/* The component of mentalspace.provision that makes an object; empty where none does. */
[[nodiscard]] std::string ComponentOf(const ObjectName &object);

/* For a name that is missing: the component, the later file that makes it, or the dashboard. */
[[nodiscard]] std::string MissingHint(Db *db, const ObjectName &object, const std::map<ObjectName, Place> &made,
									  const std::vector<MigrationFile> &files);

/* For a statement that does not parse: syntax of a newer version, or of none. */
[[nodiscard]] std::string SyntaxHint(const std::string &statement, int server_version);

/* For a failed statement. */
[[nodiscard]] std::string FailureHint(Db *db, const FileError &failure, const std::string &statement,
									  const std::map<ObjectName, Place> &made, const std::vector<MigrationFile> &files);

}  // namespace mentalspace::migrate
