/* The report of a run, as JSON, for a machine. */
#pragma once

#include <string>
#include <vector>

#include "migrate/apply.h"
#include "migrate/check.h"

namespace mentalspace::migrate {

struct Report {
	std::string database;
	int server_version = 0;
	bool dry_run = false;
	int exit_code = 0;
	std::string message;   // why the run ended early; empty if it did not
	double seconds = 0;
	std::vector<MigrationFile> files;
	std::vector<std::string> status;   // per file: already applied, pending, applied, failed, interrupted, undecided
	std::vector<FileResult> results;   // per file; of no meaning for those that did not run
	CheckResult check;
};

/* Writes the report: whole or not at all.  False where the file cannot be written. */
[[nodiscard]] bool WriteReport(const Report &report, const std::string &path);

}  // namespace mentalspace::migrate
