#include "migrate/db.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <unistd.h>

#include "migrate/options.h"

namespace mentalspace::migrate {

namespace {

volatile std::sig_atomic_t stop_signal = 0;
volatile std::sig_atomic_t signals_seen = 0;
PGcancel *volatile cancel_handle = nullptr;

/* Asks the server to cancel; PQcancel is made to be called from here.  Who insists gets out at the third signal. */
void
OnSignal(int number)
{
	int saved = errno;
	char message[256];

	stop_signal = number;
	signals_seen = signals_seen + 1;
	if (signals_seen >= 3)
		_exit(kInterrupted + number);
	if (cancel_handle != nullptr)
		PQcancel(cancel_handle, message, sizeof(message));
	errno = saved;
}

void
OnNotice(void *verbose, const PGresult *result)
{
	const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

	if (message == nullptr)
		return;
	bool warning = severity != nullptr && std::strcmp(severity, "WARNING") == 0;
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	/* 01M01: the extension kept auth.uid() or a sibling from being replaced. */
	bool kept = sqlstate != nullptr && std::strcmp(sqlstate, "01M01") == 0;
	if (warning || kept || *static_cast<bool *>(verbose))
		std::fprintf(stderr, "  %s: %s\n", severity ? severity : "NOTICE", message);
}

/* The password as far as one can tell it from a connection string that libpq may not understand. */
std::string
PasswordIn(const std::string &conninfo)
{
	std::size_t scheme = conninfo.find("://");
	if (scheme == std::string::npos) {
		std::size_t key = conninfo.find("password");
		std::size_t equals = key == std::string::npos ? key : conninfo.find('=', key);
		return equals == std::string::npos ? "" : conninfo.substr(equals + 1);
	}
	std::size_t at = conninfo.rfind('@');
	std::size_t colon = conninfo.find(':', scheme + 3);
	return at == std::string::npos || colon == std::string::npos || colon > at ? ""
																			   : conninfo.substr(colon + 1, at - colon - 1);
}

/* The message, or a general one if any part of the password shows in it. */
std::string
WithoutPassword(const std::string &message, const std::string &password)
{
	std::size_t begin = 0;

	while (begin < password.size()) {
		std::size_t end = password.find_first_of("@:/?#[]&'\" ", begin);
		end = end == std::string::npos ? password.size() : end;
		if (end > begin && message.find(password.substr(begin, end - begin)) != std::string::npos)
			return "the connection string is not understood (special characters in a password must be percent-encoded)";
		begin = end + 1;
	}
	return message;
}

std::string
Trimmed(const char *text)
{
	std::string result = text ? text : "";

	while (!result.empty() && (result.back() == '\n' || result.back() == ' '))
		result.pop_back();
	return result;
}

}  // namespace

int
StopSignal()
{
	return stop_signal;
}

Db::Db(const std::string &conninfo, bool verbose) : verbose_(verbose)
{
	/* Later keywords win, so that what the caller says of these in the connection string does not count. */
	const char *keywords[] = {"dbname", "client_encoding", "fallback_application_name", nullptr};
	const char *values[] = {conninfo.c_str(), "UTF8", "mentalspace-migrate", nullptr};

	conn_.reset(PQconnectdbParams(keywords, values, 1));
	if (!conn_)
		throw std::bad_alloc();
	if (PQstatus(conn_.get()) != CONNECTION_OK)
		throw Stop(kConnection, WithoutPassword(Trimmed(PQerrorMessage(conn_.get())), PasswordIn(conninfo)));

	PQsetNoticeReceiver(conn_.get(), OnNotice, &verbose_);
	cancel_handle = PQgetCancel(conn_.get());
	for (int number : {SIGINT, SIGTERM, SIGHUP}) {
		struct sigaction action = {};
		action.sa_handler = OnSignal;
		action.sa_flags = SA_RESTART;
		sigaction(number, &action, nullptr);
	}
}

std::string
Db::Where() const
{
	const char *host = PQhost(conn_.get());

	return std::string("database ") + PQdb(conn_.get()) + " at " + (host && *host ? host : "the local socket");
}

/* Keeps what the result says and frees it; drains COPY. */
bool
Db::Take(PGresult *result, Rows *rows, DbError *error)
{
	ExecStatusType status = PQresultStatus(result);
	bool good = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY;

	if (status == PGRES_COPY_OUT || status == PGRES_COPY_IN) {
		if (status == PGRES_COPY_IN) {
			PQputCopyEnd(conn_.get(), "a migration has no data for COPY FROM STDIN");
		} else {
			char *line;
			while (PQgetCopyData(conn_.get(), &line, 0) > 0)
				PQfreemem(line);
		}
		PQclear(result);
		good = true;
		while (PGresult *next = PQgetResult(conn_.get()))
			good &= Take(next, nullptr, error);
		return good;
	}
	if (good && rows != nullptr) {
		for (int i = 0; i < PQntuples(result); i++) {
			std::vector<Value> row;
			for (int j = 0; j < PQnfields(result); j++)
				row.push_back(PQgetisnull(result, i, j) ? Value() : Value(PQgetvalue(result, i, j)));
			rows->push_back(std::move(row));
		}
	}
	if (!good) {
		auto field = [&](int code) { return Trimmed(PQresultErrorField(result, code)); };
		*error = DbError();
		error->sqlstate = field(PG_DIAG_SQLSTATE);
		error->message = field(PG_DIAG_MESSAGE_PRIMARY);
		error->detail = field(PG_DIAG_MESSAGE_DETAIL);
		error->hint = field(PG_DIAG_MESSAGE_HINT);
		error->context = field(PG_DIAG_CONTEXT);
		error->position = static_cast<unsigned>(std::strtoul(field(PG_DIAG_STATEMENT_POSITION).c_str(), nullptr, 10));
		error->lost = Lost();
		if (error->message.empty())
			error->message = Trimmed(PQresultErrorMessage(result));
		if (error->message.empty())
			error->message = Trimmed(PQerrorMessage(conn_.get()));
		if (error->sqlstate.empty())
			error->sqlstate = "08006";
	}
	PQclear(result);
	return good;
}

bool
Db::Run(const std::string &sql, DbError *error)
{
	return Take(PQexec(conn_.get(), sql.c_str()), nullptr, error);
}

bool
Db::TryQuery(const std::string &sql, const std::vector<Value> &parameters, Rows *rows, DbError *error)
{
	std::vector<const char *> values;

	for (const Value &value : parameters)
		values.push_back(value ? value->c_str() : nullptr);
	return Take(PQexecParams(conn_.get(), sql.c_str(), static_cast<int>(values.size()), nullptr, values.data(), nullptr,
							 nullptr, 0),
				rows, error);
}

Rows
Db::Query(const std::string &sql, const std::vector<Value> &parameters)
{
	Rows rows;
	DbError error;

	if (!TryQuery(sql, parameters, &rows, &error)) {
		if (StopSignal() != 0)
			throw Stop(kInterrupted + StopSignal(), "interrupted");
		throw Stop(error.lost ? kConnection : kFailed, error.message + " (" + error.sqlstate + ")");
	}
	return rows;
}

std::string
ArrayLiteral(const std::vector<Value> &values)
{
	std::string result = "{";

	for (const Value &value : values) {
		if (result.size() > 1)
			result += ',';
		if (!value) {
			result += "NULL";
			continue;
		}
		result += '"';
		for (char c : *value) {
			if (c == '"' || c == '\\')
				result += '\\';
			result += c;
		}
		result += '"';
	}
	return result + "}";
}

}  // namespace mentalspace::migrate
