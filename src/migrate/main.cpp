/* mentalspace-migrate: applies a Supabase project's migrations. */
#include <chrono>
#include <cstdio>
#include <exception>

#include "migrate/apply.h"
#include "migrate/check.h"
#include "migrate/db.h"
#include "migrate/files.h"
#include "migrate/hint.h"
#include "migrate/history.h"
#include "migrate/options.h"
#include "migrate/project.h"
#include "migrate/report.h"

namespace mentalspace::migrate {

namespace {

class Run {
public:
	Run(const Options &options, Report *report) : options_(options), report_(*report) {}

	int Go()
	{
		report_.files = ListMigrations(options_.dir, options_.dash_names);
		report_.status.assign(report_.files.size(), "pending");
		report_.results.resize(report_.files.size());

		Db db(options_.db, options_.verbose);
		History history(&db);
		report_.database = db.Where();
		report_.server_version = db.ServerVersion();
		if (!options_.dry_run) {
			RefusePooler(&db);
			history.Lock(options_.lock_wait);
		}
		std::vector<std::size_t> pending = Pending(&history);
		std::printf("%s, PostgreSQL %d.%d: %zu migrations in %s, %zu applied, %zu pending\n", db.Where().c_str(),
					db.ServerVersion() / 10000, db.ServerVersion() % 10000, report_.files.size(), options_.dir.c_str(),
					report_.files.size() - pending.size(), pending.size());
		if (pending.empty())
			return kDone;
		PrintGeneration(&db, options_.dir);
		report_.check = CheckFiles(&db, report_.files, pending);
		PrintCheck(report_.check, report_.files, options_.lenient, options_.verbose);
		std::fflush(stdout);
		if (options_.dry_run) {
			for (std::size_t i : pending)
				std::printf("would apply %s\n", report_.files[i].path.c_str());
			const CheckResult &check = report_.check;
			bool clean = check.syntax.empty() && check.missing.empty() && (check.newer.empty() || options_.lenient);
			return clean ? kDone : kFailed;
		}
		history.CreateTable();
		return ApplyAll(&db, &history, pending);
	}

private:
	/* A pooler answers with a process number of its own.  In transaction mode our lock would be worth nothing. */
	void RefusePooler(Db *db)
	{
		std::string pid = db->Query("SELECT pg_catalog.pg_backend_pid()")[0][0].value_or("");

		if (pid != std::to_string(db->CancelPid()) && !options_.through_pooler)
			throw Stop(kConnection, "there is a connection pooler between us and the server; migrations need a session of"
									" their own\nConnect to the server itself, or say --through-pooler if the pooler is in"
									" session mode.");
	}

	std::vector<std::size_t> Pending(History *history)
	{
		std::vector<bool> applied = CompareHistory(report_.files, history->Applied(), options_);
		std::vector<std::size_t> pending;

		for (std::size_t i = 0; i < applied.size(); i++) {
			if (applied[i])
				report_.status[i] = "already applied";
			else
				pending.push_back(i);
		}
		return pending;
	}

	int ApplyAll(Db *db, History *history, const std::vector<std::size_t> &pending)
	{
		Applier applier(db, history, options_);
		std::size_t good = 0, bad = 0;

		for (std::size_t i : pending) {
			std::printf("[%zu/%zu] %s\n", i + 1, report_.files.size(), report_.files[i].file.c_str());
			std::fflush(stdout);
			FileResult &result = report_.results[i] = applier.Apply(report_.files[i]);
			if (result.outcome == Outcome::kApplied) {
				report_.status[i] = "applied";
				std::printf("  applied: %u statements, %.3f s\n", result.statements, result.seconds);
				good++;
			} else {
				bad++;
				Explain(db, i, &result);
			}
			std::fflush(stdout);
			if (result.outcome == Outcome::kInterrupted || StopSignal() != 0)
				throw Stop(kInterrupted + StopSignal(), "interrupted: run again to go on");
			if (result.outcome != Outcome::kApplied && db->Lost())
				throw Stop(kConnection, "the connection was lost");
			if (result.outcome == Outcome::kUncertain)
				return kUncertain;
			if (result.outcome == Outcome::kFailed && !options_.go_on)
				break;
		}
		std::printf("%zu applied, %zu failed, %zu not tried\n", good, bad, pending.size() - good - bad);
		return bad == 0 ? kDone : kFailed;
	}

	/* Says what went wrong, in full. */
	void Explain(Db *db, std::size_t i, FileResult *result)
	{
		FileError &failure = result->error;
		const DbError &error = failure.error;
		const MigrationFile &file = report_.files[i];

		report_.status[i] = result->outcome == Outcome::kFailed		   ? "failed"
							: result->outcome == Outcome::kInterrupted ? "interrupted"
																	   : "undecided";
		if (result->outcome == Outcome::kFailed) {
			std::vector<SqlPiece> pieces = ReadMigration(file);
			bool known = failure.statement > 0 && failure.statement <= pieces.size();
			failure.suggestion =
				FailureHint(db, failure, known ? pieces[failure.statement - 1].text : "", report_.check.made, report_.files);
		}
		std::printf("  %s after %.3f s\n", report_.status[i].c_str(), result->seconds);
		if (failure.line > 0)
			std::printf("%s:%u: ", file.path.c_str(), failure.line);
		std::printf("ERROR %s: %s\n", error.sqlstate.c_str(), error.message.c_str());
		auto line = [](const char *label, const std::string &text) {
			if (!text.empty())
				std::printf("  %s: %s\n", label, text.c_str());
		};
		line("statement", failure.text);
		line("detail", error.detail);
		line("hint", error.hint);
		line("context", error.context);
		line("what to do", failure.suggestion);
		if (result->outcome != Outcome::kUncertain)
			line("in effect", result->one_transaction
								  ? "nothing of this file"
								  : "what supabase_migrations.mentalspace_progress says; a next run goes on after it");
	}

	const Options &options_;
	Report &report_;
};

int
Main(int argc, char **argv)
{
	auto began = std::chrono::steady_clock::now();
	Options options;
	Report report;
	int code;

	try {
		options = ReadOptions(argc, argv);
		report.dry_run = options.dry_run;
		code = Run(options, &report).Go();
	} catch (const Stop &stop) {
		std::fflush(stdout);
		std::fprintf(stderr, "mentalspace-migrate: %s\n", stop.what());
		report.message = stop.what();
		code = stop.code;
	} catch (const std::exception &e) {
		std::fprintf(stderr, "mentalspace-migrate: %s\n", e.what());
		report.message = e.what();
		code = kFailed;
	}
	report.exit_code = code;
	report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
	if (!options.report.empty() && !WriteReport(report, options.report)) {
		std::fprintf(stderr, "mentalspace-migrate: cannot write the report to \"%s\"\n", options.report.c_str());
		code = code == kDone ? kFailed : code;
	}
	return code;
}

}  // namespace

}  // namespace mentalspace::migrate

int
main(int argc, char **argv)
{
	return mentalspace::migrate::Main(argc, argv);
}
