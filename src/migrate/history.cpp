#include "migrate/history.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <set>
#include <thread>

namespace mentalspace::migrate {

namespace {

/* The key of the advisory lock: "ms migra" as eight bytes. */
constexpr const char *kLockKey = "7886683026747781729";
constexpr const char *kLockRows =
	"FROM pg_catalog.pg_locks l WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1"
	" AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())"
	" AND (l.classid::bigint << 32 | l.objid::bigint) = ";
constexpr const char *kLackingTable = "42P01";

std::string
List(const std::vector<std::string> &items)
{
	std::string result;

	for (const std::string &item : items)
		result += "\n  " + item;
	return result;
}

}  // namespace

std::string
History::Holder()
{
	Rows rows = db_->Query(std::string("SELECT a.pid, a.usename, a.application_name, coalesce(a.client_addr::text, 'a local socket'),"
									   " pg_catalog.to_char(a.backend_start, 'YYYY-MM-DD HH24:MI:SS TZ')"
									   " FROM pg_catalog.pg_stat_activity a WHERE a.pid IN (SELECT l.pid ") +
						   kLockRows + kLockKey + ")");
	if (rows.empty())
		return "a session that has just ended";
	const auto &row = rows[0];
	return "process " + row[0].value_or("?") + " (user " + row[1].value_or("?") + ", " + row[2].value_or("") + ", from " +
		   row[3].value_or("?") + ", connected since " + row[4].value_or("?") + ")";
}

void
History::Lock(int seconds)
{
	auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
	bool told = false;

	for (;;) {
		Rows rows = db_->Query(std::string("SELECT pg_catalog.pg_try_advisory_lock(") + kLockKey + ")");
		if (rows[0][0] == "t")
			return;
		if (StopSignal() != 0)
			throw Stop(kInterrupted + StopSignal(), "interrupted");
		if (std::chrono::steady_clock::now() >= deadline)
			throw Stop(kLocked, "another run is migrating this database: " + Holder() +
									"\nWait for it, or end it on the server with pg_terminate_backend(pid).");
		if (!told) {
			std::fprintf(stderr, "waiting for another run: %s\n", Holder().c_str());
			told = true;
		}
		std::this_thread::sleep_for(std::chrono::milliseconds(200));
	}
}

void
History::KeepLock()
{
	Rows rows = db_->Query(std::string("SELECT 1 ") + kLockRows + kLockKey + " AND l.pid = pg_catalog.pg_backend_pid()");
	if (rows.empty())
		Lock(0);
}

std::vector<std::string>
History::Applied()
{
	Rows rows;
	DbError error;
	std::vector<std::string> versions;

	if (!db_->TryQuery("SELECT version FROM supabase_migrations.schema_migrations", {}, &rows, &error)) {
		if (error.sqlstate == kLackingTable || error.sqlstate == "3F000")
			return versions;
		throw Stop(error.lost ? kConnection : kHistory, "cannot read supabase_migrations.schema_migrations: " + error.message);
	}
	for (const auto &row : rows)
		versions.push_back(row[0].value_or(""));
	std::sort(versions.begin(), versions.end());
	return versions;
}

void
History::CreateTable()
{
	DbError error;
	/* The CLI's statements; its lock timeout too, so that a reader of the table does not hold up everything. */
	if (!db_->Run("BEGIN;"
				  "SET LOCAL lock_timeout = '4s';"
				  "SET LOCAL client_min_messages = warning;"
				  "CREATE SCHEMA IF NOT EXISTS supabase_migrations;"
				  "CREATE TABLE IF NOT EXISTS supabase_migrations.schema_migrations (version text NOT NULL PRIMARY KEY);"
				  "ALTER TABLE supabase_migrations.schema_migrations ADD COLUMN IF NOT EXISTS statements text[];"
				  "ALTER TABLE supabase_migrations.schema_migrations ADD COLUMN IF NOT EXISTS name text;"
				  "COMMIT",
				  &error)) {
		DbError ignored;
		(void) db_->Run("ROLLBACK", &ignored);
		/* Who may write to a table that is as it should be need not own it. */
		Rows rows;
		if (error.sqlstate == "42501" &&
			db_->TryQuery("SELECT version, name, statements FROM supabase_migrations.schema_migrations LIMIT 0", {}, &rows,
						  &ignored))
			return;
		throw Stop(kHistory, "cannot make supabase_migrations.schema_migrations: " + error.message + " (" + error.sqlstate + ")");
	}
}

bool
History::Record(const MigrationFile &file, const std::vector<SqlPiece> &pieces, DbError *error)
{
	std::vector<Value> statements;

	for (const SqlPiece &piece : pieces)
		statements.push_back(piece.text);
	return db_->TryQuery("INSERT INTO supabase_migrations.schema_migrations(version, name, statements) VALUES ($1, $2, $3::text[])",
						 {file.version, file.name, ArrayLiteral(statements)}, nullptr, error);
}

std::optional<Progress>
History::ReadProgress(const MigrationFile &file)
{
	if (!db_->Query("SELECT pg_catalog.to_regclass('supabase_migrations.mentalspace_progress')")[0][0])
		return std::nullopt;
	Rows rows = db_->Query("SELECT done, running, s FROM supabase_migrations.mentalspace_progress"
						   " LEFT JOIN LATERAL pg_catalog.unnest(statements) WITH ORDINALITY u(s, n) ON true"
						   " WHERE version = $1 ORDER BY n",
						   {file.version});
	if (rows.empty())
		return std::nullopt;
	Progress progress;
	progress.done = static_cast<unsigned>(std::stoul(rows[0][0].value_or("0")));
	progress.running = rows[0][1] == "t";
	for (const auto &row : rows)
		if (row[2])
			progress.statements.push_back(*row[2]);
	return progress;
}

bool
History::CreateProgressTable(DbError *error)
{
	return db_->Run("SET LOCAL client_min_messages = warning;"
					"CREATE TABLE IF NOT EXISTS supabase_migrations.mentalspace_progress (version text NOT NULL PRIMARY KEY,"
					" name text, done integer NOT NULL, running boolean NOT NULL, statements text[] NOT NULL);"
					"COMMENT ON TABLE supabase_migrations.mentalspace_progress IS 'mentalspace-migrate: how far a migration"
					" came that cannot run in one transaction; a row goes when its migration is done'",
					error);
}

bool
History::WriteProgress(const MigrationFile &file, const std::vector<Value> &added, unsigned done, bool running,
					   DbError *error)
{
	return db_->TryQuery("INSERT INTO supabase_migrations.mentalspace_progress(version, name, done, running, statements)"
						 " VALUES ($1, $2, $3::integer, $4::boolean, $5::text[]) ON CONFLICT (version) DO UPDATE SET"
						 " name = EXCLUDED.name, done = EXCLUDED.done, running = EXCLUDED.running,"
						 " statements = mentalspace_progress.statements || EXCLUDED.statements",
						 {file.version, file.name, std::to_string(done), running ? "true" : "false", ArrayLiteral(added)},
						 nullptr, error);
}

bool
History::ForgetProgress(const MigrationFile &file, DbError *error)
{
	return db_->TryQuery("DELETE FROM supabase_migrations.mentalspace_progress WHERE version = $1", {file.version}, nullptr,
						 error);
}

std::vector<bool>
CompareHistory(const std::vector<MigrationFile> &files, const std::vector<std::string> &applied, const Options &options)
{
	std::set<std::string> recorded(applied.begin(), applied.end()), local;
	std::vector<bool> is_applied;
	std::vector<std::string> twice, missing, late;
	std::size_t last = 0;

	for (const MigrationFile &file : files) {
		if (!local.insert(file.version).second)
			twice.push_back(file.path);
		is_applied.push_back(recorded.count(file.version) > 0);
		if (is_applied.back())
			last = is_applied.size();
	}
	for (const std::string &version : applied)
		if (local.count(version) == 0)
			missing.push_back(version);
	for (std::size_t i = 0; i < last; i++)
		if (!is_applied[i])
			late.push_back(files[i].path);

	if (!twice.empty() && !options.go_on)
		throw Stop(kHistory, "files whose version another file bears too (only one of them can be recorded):" + List(twice) +
								 "\nRename them: the digits before the first underscore must differ.  With --continue they fail"
								 " one by one.");
	if (!missing.empty() && !options.allow_missing)
		throw Stop(kHistory, "versions are recorded in the database that the folder has no file for:" + List(missing) +
								 "\nIs the folder up to date?  --allow-missing goes on without them; `supabase migration repair"
								 " --status reverted` takes them off the record.");
	if (!late.empty() && !options.include_all)
		throw Stop(kHistory, "files are pending that are older than the last one applied (" + files[last - 1].file + "):" +
								 List(late) +
								 "\nTheir statements would run in another order than in a new database.  --include-all applies"
								 " them, as in the Supabase CLI.");
	return is_applied;
}

}  // namespace mentalspace::migrate
