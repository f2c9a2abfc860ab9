/* Applies one file: in one transaction with its record, or statement by statement with a note of how far it came. */
#pragma once

#include <string>
#include <vector>

#include "migrate/history.h"

namespace mentalspace::migrate {

/* What went wrong at which statement. */
struct FileError {
	unsigned line = 0;
	unsigned statement = 0;   // from 1; 0: at the end of the file (COMMIT, record)
	std::string text;         // the statement, shortened
	DbError error;
	std::string suggestion;
};

enum class Outcome { kApplied, kFailed, kInterrupted, kUncertain };

struct FileResult {
	Outcome outcome = Outcome::kApplied;
	double seconds = 0;
	unsigned statements = 0;             // sent to the server in this run
	bool one_transaction = true;
	std::vector<std::string> remarks;    // what was left out, why not one transaction, where it went on
	FileError error;
};

/* Runs a pending file.  Nothing of it is in effect after a failure, except statement by statement, where the note in
 * supabase_migrations.mentalspace_progress tells what is. */
class Applier {
public:
	Applier(Db *db, History *history, const Options &options) : db_(db), history_(history), options_(options) {}

	[[nodiscard]] FileResult Apply(const MigrationFile &file);

private:
	enum class Step { kDone, kFailed, kNeedsOutside };

	Step InOneTransaction();
	Step ByStatement();
	bool Resume(unsigned *next);
	bool ResumeRunning(const SqlPiece &piece, unsigned *next);
	bool Send(unsigned i);
	bool RunOwn(const std::string &sql);
	bool Note(unsigned done, bool running, bool own_transaction);
	bool RunAlone(unsigned i);
	bool Finish();
	bool Unfinished();
	bool KeepAuthFunctions();
	bool Fail(unsigned i, const DbError &error);
	bool FailAt(unsigned i, const std::string &sqlstate, const std::string &message, const std::string &hint);
	bool Uncertain(const std::string &message, const std::string &what_to_do);
	void Remark(const std::string &text);
	void ResetSession();
	void RollBack();

	Db *db_;
	History *history_;
	const Options &options_;

	/* Of the file at hand. */
	const MigrationFile *file_ = nullptr;
	std::vector<SqlPiece> pieces_;
	FileResult result_;
	unsigned noted_ = 0;   // pieces that are in the note of progress
	std::string role_;   // of the session before the file
};

}  // namespace mentalspace::migrate
