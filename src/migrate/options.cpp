#include "migrate/options.h"

#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace mentalspace::migrate {

namespace {

constexpr const char *kHelp =
	"mentalspace-migrate applies the pending migrations of a Supabase project, in order, and records them as the\n"
	"Supabase CLI does.\n"
	"\n"
	"Usage: mentalspace-migrate [OPTION]...\n"
	"\n"
	"  --db URL            database to migrate (default: PGHOST, PGDATABASE and the other PG* variables)\n"
	"  --dir DIR           where the migrations are (default: supabase/migrations)\n"
	"  --dry-run           check and list what would be applied; change nothing\n"
	"  --continue          go on with the next file after one that failed\n"
	"  --lenient           leave out what only newer servers know (SET transaction_timeout, GRANT MAINTAIN, \\restrict)\n"
	"  --include-all       also apply files that are older than the last one applied\n"
	"  --allow-missing     bear recorded migrations that DIR has no file for\n"
	"  --dash-names        <digits>-<name>.sql is a migration too, which the Supabase CLI skips\n"
	"  --report FILE       write a report as JSON\n"
	"  --lock-wait SECONDS wait so long for another run to end (default: 10)\n"
	"  --through-pooler    the connection pooler in between keeps one session per client\n"
	"  --interrupted redo|done\n"
	"                      whether to repeat a statement that an interrupted run began and may have finished\n"
	"  --verbose           show notices of the server\n"
	"  --help, --version\n"
	"\n"
	"Exit status: 0 done, 1 a migration failed, 2 wrong usage, 3 files and history do not fit, 4 another run is active,\n"
	"5 no connection, 6 a decision is needed (--interrupted), 130 interrupted.\n";

}  // namespace

Options
ReadOptions(int argc, char **argv)
{
	Options options;

	for (int i = 1; i < argc; i++) {
		std::string_view argument = argv[i];
		std::string value;
		bool has_value = false;
		if (std::size_t equals = argument.find('='); argument.substr(0, 2) == "--" && equals != std::string_view::npos) {
			value = argument.substr(equals + 1);
			argument = argument.substr(0, equals);
			has_value = true;
		}
		auto take = [&]() {
			if (!has_value) {
				if (i + 1 >= argc)
					throw Stop(kUsage, "option " + std::string(argument) + " needs a value");
				value = argv[++i];
			}
			has_value = false;
			return value;
		};
		if (argument == "--help") {
			std::fputs(kHelp, stdout);
			std::exit(kDone);
		} else if (argument == "--version") {
			std::puts("mentalspace-migrate " MS_VERSION);
			std::exit(kDone);
		} else if (argument == "--db") {
			options.db = take();
		} else if (argument == "--dir") {
			options.dir = take();
		} else if (argument == "--report") {
			options.report = take();
		} else if (argument == "--interrupted") {
			options.interrupted = take();
			if (options.interrupted != "redo" && options.interrupted != "done")
				throw Stop(kUsage, "--interrupted takes redo or done");
		} else if (argument == "--lock-wait") {
			char *end;
			std::string text = take();
			long seconds = std::strtol(text.c_str(), &end, 10);
			if (text.empty() || *end != '\0' || seconds < 0 || seconds > 86400)
				throw Stop(kUsage, "--lock-wait takes a number of seconds");
			options.lock_wait = static_cast<int>(seconds);
		} else if (argument == "--dry-run") {
			options.dry_run = true;
		} else if (argument == "--continue") {
			options.go_on = true;
		} else if (argument == "--lenient") {
			options.lenient = true;
		} else if (argument == "--include-all") {
			options.include_all = true;
		} else if (argument == "--allow-missing") {
			options.allow_missing = true;
		} else if (argument == "--dash-names") {
			options.dash_names = true;
		} else if (argument == "--through-pooler") {
			options.through_pooler = true;
		} else if (argument == "--verbose") {
			options.verbose = true;
		} else {
			/* Not echoed where it may be a connection string with a password. */
			bool is_option = argument.substr(0, 2) == "--";
			throw Stop(kUsage, is_option ? "unknown option " + std::string(argument) + "; see --help"
										 : std::string("arguments begin with --; see --help"));
		}
		if (has_value)
			throw Stop(kUsage, "option " + std::string(argument) + " takes no value");
	}
	return options;
}

}  // namespace mentalspace::migrate
