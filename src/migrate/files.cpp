#include "migrate/files.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "migrate/options.h"

namespace mentalspace::migrate {

namespace {

bool
EndsWith(const std::string &text, const std::string &end)
{
	return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

std::size_t
Digits(const std::string &text, std::size_t from)
{
	std::size_t end = from;

	while (end < text.size() && text[end] >= '0' && text[end] <= '9')
		end++;
	return end - from;
}

/* <14 digits>_init.sql of the first versions of the Supabase CLI: the schema that Supabase itself makes. */
bool
IsOldInit(const std::string &file)
{
	std::size_t at = file.find("_init.sql");

	return at != std::string::npos && at >= 14 && Digits(file, at - 14) == 14 && file.substr(at - 14, 14) < "20211209000000";
}

}  // namespace

std::vector<MigrationFile>
ListMigrations(const std::string &dir, bool dash_names)
{
	std::vector<std::filesystem::directory_entry> entries;
	std::vector<MigrationFile> files;
	std::error_code failed;

	for (std::filesystem::directory_iterator at(dir, failed), end; !failed && at != end; at.increment(failed))
		entries.push_back(*at);
	if (failed)
		throw Stop(kUsage, "cannot read the migrations folder \"" + dir + "\": " + failed.message());
	std::sort(entries.begin(), entries.end(),
			  [](const auto &a, const auto &b) { return a.path().filename().string() < b.path().filename().string(); });

	bool first = true;
	for (const auto &entry : entries) {
		MigrationFile file;
		file.path = entry.path().string();
		file.file = entry.path().filename().string();
		bool is_first = first;
		first = false;
		if (entry.is_directory(failed))
			continue;
		if (is_first && IsOldInit(file.file)) {
			std::printf("skipped: %s (the initial schema of an early Supabase CLI; rename it to have it applied)\n",
						file.path.c_str());
			continue;
		}
		std::size_t digits = Digits(file.file, 0);
		bool ends = EndsWith(file.file, ".sql");
		bool dash = digits > 0 && ends && file.file[digits] == '-';
		if (digits == 0 || !ends || !(file.file[digits] == '_' || (dash && dash_names))) {
			std::printf("skipped: %s (a migration's name is <digits>_<name>.sql%s)\n", file.path.c_str(),
						dash ? "; --dash-names applies it" : "");
			continue;
		}
		file.version = file.file.substr(0, digits);
		file.name = file.file.substr(digits + 1, file.file.size() - digits - 5);
		files.push_back(std::move(file));
	}
	return files;
}

std::vector<SqlPiece>
ReadMigration(const MigrationFile &file)
{
	std::ifstream in(file.path, std::ios::binary);
	std::stringstream text;

	if (in.peek() != std::ifstream::traits_type::eof())
		text << in.rdbuf();
	if (in.bad() || !in.is_open())
		throw Stop(kHistory, "cannot read " + file.path);
	std::string content = text.str();
	if (content.find('\0') != std::string::npos)
		throw Stop(kHistory, file.path + " holds a zero byte: it is no SQL in UTF-8");
	return SplitSql(content);
}

}  // namespace mentalspace::migrate
