/* What the command line asks for. */
#pragma once

#include <stdexcept>
#include <string>

namespace mentalspace::migrate {

/* Exit statuses; documented in docs/migrate.md. */
enum ExitCode {
	kDone = 0,
	kFailed = 1,        // a file failed; with --dry-run: the check found something
	kUsage = 2,
	kHistory = 3,       // files and history do not fit together
	kLocked = 4,        // another run holds the lock
	kConnection = 5,    // no connection, or it was lost
	kUncertain = 6,     // an interrupted statement needs a decision
	kInterrupted = 128  // plus the number of the signal
};

/* Ends the program: what() is the message, code the exit status. */
struct Stop : std::runtime_error {
	Stop(int exit_code, const std::string &message) : std::runtime_error(message), code(exit_code) {}
	int code;
};

struct Options {
	std::string db;                           // connection string; empty: PG* variables
	std::string dir = "supabase/migrations";
	std::string report;                       // file for the report; empty: none
	std::string interrupted;                  // "redo" or "done": what to do with a statement of unknown outcome
	bool dry_run = false;
	bool go_on = false;
	bool lenient = false;
	bool include_all = false;
	bool allow_missing = false;
	bool dash_names = false;
	bool through_pooler = false;
	bool verbose = false;
	int lock_wait = 10;                       // seconds
};

/* Reads the command line.  Prints the usage and ends the program for --help and --version; throws Stop(kUsage). */
[[nodiscard]] Options ReadOptions(int argc, char **argv);

}  // namespace mentalspace::migrate
