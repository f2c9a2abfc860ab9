#include "migrate/report.h"

#include <cstdio>
#include <fstream>

#include "core/utf8.h"

namespace mentalspace::migrate {

namespace {

/* Writes JSON with as little ceremony as it takes: commas and quotes are its business. */
class Json {
public:
	explicit Json(std::ostream *out) : out_(out) {}

	Json &Open(char bracket) { Comma(); *out_ << bracket; fresh_ = true; return *this; }
	Json &Close(char bracket) { *out_ << bracket; fresh_ = false; return *this; }
	Json &Key(const char *key) { Comma(); Quote(key); *out_ << ':'; fresh_ = true; return *this; }
	Json &Text(const std::string &text) { Comma(); Quote(text); return *this; }
	Json &Number(double number)
	{
		char digits[40];
		std::snprintf(digits, sizeof(digits), "%.3f", number);
		Comma();
		*out_ << digits;
		return *this;
	}
	Json &Count(long number) { Comma(); *out_ << number; return *this; }
	Json &Bool(bool value) { Comma(); *out_ << (value ? "true" : "false"); return *this; }

private:
	void Comma()
	{
		if (!fresh_)
			*out_ << ',';
		fresh_ = false;
	}
	/* Bytes that are no UTF-8 become U+FFFD: JSON has no other place for them. */
	void Quote(const std::string &text)
	{
		*out_ << '"';
		for (std::size_t at = 0; at < text.size(); at++) {
			const char c = text[at];
			const std::size_t length = Utf8Length(reinterpret_cast<const unsigned char *>(text.data()) + at, text.size() - at);
			if (length == 0) {
				*out_ << "\\ufffd";
			} else if (length > 1) {
				*out_ << text.substr(at, length);
				at += length - 1;
			} else if (c == '"' || c == '\\') {
				*out_ << '\\' << c;
			} else if (static_cast<unsigned char>(c) < 0x20) {
				char code[8];
				std::snprintf(code, sizeof(code), "\\u%04x", static_cast<unsigned>(c));
				*out_ << code;
			} else {
				*out_ << c;
			}
		}
		*out_ << '"';
	}
	std::ostream *out_;
	bool fresh_ = true;
};

void
WriteError(Json *json, const FileError &error)
{
	json->Key("error").Open('{');
	json->Key("line").Count(error.line).Key("statement").Count(error.statement).Key("text").Text(error.text);
	json->Key("sqlstate").Text(error.error.sqlstate).Key("message").Text(error.error.message);
	json->Key("detail").Text(error.error.detail).Key("hint").Text(error.error.hint);
	json->Key("context").Text(error.error.context).Key("suggestion").Text(error.suggestion).Close('}');
}

void
WritePlace(Json *json, const Report &report, const Place &place)
{
	json->Key("file").Text(report.files[place.file].path).Key("line").Count(place.line);
}

void
WriteProblems(Json *json, const Report &report, const char *key, const std::vector<Problem> &problems)
{
	json->Key(key).Open('[');
	for (const Problem &problem : problems) {
		json->Open('{');
		WritePlace(json, report, problem.place);
		json->Key("sqlstate").Text(problem.sqlstate).Key("message").Text(problem.message);
		json->Key("suggestion").Text(problem.suggestion).Close('}');
	}
	json->Close(']');
}

void
WriteMissing(Json *json, const Report &report, const char *key, const std::vector<Missing> &missing)
{
	json->Key(key).Open('[');
	for (const Missing &item : missing) {
		json->Open('{').Key("kind").Text(item.object.kind).Key("name").Text(item.object.Text());
		WritePlace(json, report, item.places[0]);
		json->Key("places").Count(static_cast<long>(item.places.size()));
		json->Key("suggestion").Text(item.suggestion).Close('}');
	}
	json->Close(']');
}

void
WriteAll(std::ostream *out, const Report &report)
{
	Json json(out);

	json.Open('{').Key("tool").Text("mentalspace-migrate " MS_VERSION).Key("database").Text(report.database);
	json.Key("server_version").Count(report.server_version).Key("dry_run").Bool(report.dry_run);
	json.Key("exit_code").Count(report.exit_code).Key("message").Text(report.message).Key("seconds").Number(report.seconds);
	json.Key("files").Open('[');
	for (std::size_t i = 0; i < report.files.size(); i++) {
		const FileResult &result = report.results[i];
		const std::string &status = report.status[i];
		json.Open('{').Key("file").Text(report.files[i].path).Key("version").Text(report.files[i].version);
		json.Key("name").Text(report.files[i].name).Key("status").Text(status);
		if (status != "already applied" && status != "pending") {
			json.Key("seconds").Number(result.seconds).Key("statements").Count(result.statements);
			json.Key("one_transaction").Bool(result.one_transaction).Key("remarks").Open('[');
			for (const std::string &remark : result.remarks)
				json.Text(remark);
			json.Close(']');
		}
		if (status != "already applied" && status != "pending" && status != "applied")
			WriteError(&json, result.error);
		json.Close('}');
	}
	json.Close(']').Key("check").Open('{');
	json.Key("syntax_checked").Bool(report.check.checked).Key("names_checked").Bool(report.check.names);
	WriteProblems(&json, report, "syntax", report.check.syntax);
	WriteProblems(&json, report, "newer", report.check.newer);
	WriteMissing(&json, report, "missing", report.check.missing);
	WriteMissing(&json, report, "missing_unless_extension", report.check.maybe_extension);
	json.Close('}').Close('}');
	*out << '\n';
}

}  // namespace

bool
WriteReport(const Report &report, const std::string &path)
{
	std::string draft = path + ".new";
	std::ofstream out(draft, std::ios::binary | std::ios::trunc);

	WriteAll(&out, report);
	out.close();
	if (!out || std::rename(draft.c_str(), path.c_str()) != 0) {
		std::remove(draft.c_str());
		return false;
	}
	return true;
}

}  // namespace mentalspace::migrate
