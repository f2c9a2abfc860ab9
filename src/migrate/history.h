/* What was applied: the tracking table of the Supabase CLI, our note of how far a file came, and the lock. */
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "migrate/db.h"
#include "migrate/files.h"
#include "migrate/options.h"

namespace mentalspace::migrate {

/* How far a file came that could not run in one transaction. */
struct Progress {
	unsigned done = 0;                    // pieces that are done
	bool running = false;                 // the next one was begun outside a transaction
	std::vector<std::string> statements;  // the texts of the pieces that are done
};

class History {
public:
	explicit History(Db *db) : db_(db) {}

	/* Takes the lock that keeps two runs apart; waits at most `seconds`.  Throws Stop(kLocked) with who holds it. */
	void Lock(int seconds);
	/* Takes the lock again if a migration gave it up (pg_advisory_unlock_all, DISCARD ALL). */
	void KeepLock();

	/* Versions that are recorded. */
	[[nodiscard]] std::vector<std::string> Applied();
	/* Makes the tracking table as the Supabase CLI does. */
	void CreateTable();
	/* Records a file; to be called in the file's transaction. */
	[[nodiscard]] bool Record(const MigrationFile &file, const std::vector<SqlPiece> &pieces, DbError *error);

	[[nodiscard]] std::optional<Progress> ReadProgress(const MigrationFile &file);
	/* Makes the table of notes, once it is needed. */
	[[nodiscard]] bool CreateProgressTable(DbError *error);
	/* Writes a note; to be called within a transaction, which it shares.  added: the texts that are done since the last
	 * note. */
	[[nodiscard]] bool WriteProgress(const MigrationFile &file, const std::vector<Value> &added, unsigned done, bool running,
									 DbError *error);
	/* The file is done: its note goes. */
	[[nodiscard]] bool ForgetProgress(const MigrationFile &file, DbError *error);

private:
	[[nodiscard]] std::string Holder();

	Db *db_;
};

/* Sorts the files into applied and pending; fills *applied per file.  Throws Stop(kHistory) where the files and the
 * history do not fit together and the options do not allow it. */
[[nodiscard]] std::vector<bool> CompareHistory(const std::vector<MigrationFile> &files,
											   const std::vector<std::string> &applied, const Options &options);

}  // namespace mentalspace::migrate
