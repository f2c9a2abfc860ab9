/* mentalspace-outbox: delivers the requests that net.http_get() and its siblings have queued.  docs/net.md describes
 * it.
 *
 * One request at a time: claimed with FOR UPDATE SKIP LOCKED, sent, its response written and the request deleted,
 * all in one transaction.  So several processes can run side by side, and a request is lost by no crash, but it may
 * be sent again after one: the receiver can tell by the header Idempotency-Key. */
#include "outbox/http.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <curl/curl.h>
#include <getopt.h>
#include <libpq-fe.h>
#include <memory>
#include <poll.h>
#include <strings.h>

using namespace mentalspace;

namespace {

constexpr char kUsage[] =
	"mentalspace-outbox delivers the HTTP requests that a database has queued by net.http_post() and its siblings.\n"
	"\n"
	"  --db URL              the database, as psql takes it; default: PGHOST, PGDATABASE and so on\n"
	"  --once                deliver what is queued, then end\n"
	"  --allow-host PATTERN  send to this host only (or *.example.org, or *); may be given more than once.  Without it,\n"
	"                        to all hosts but those with private addresses; hosts that it names may have such addresses\n"
	"  --max-response BYTES  the largest response that is stored (default 10485760)\n"
	"  --help, --version\n";

constexpr int kCleanUpSeconds = 60;
constexpr int kPollSeconds = 30;
constexpr int kReconnectSeconds = 5;
/* How long an exchange in progress may go on once the process is told to end. */
constexpr int kGraceSeconds = 5;

struct Options {
	std::string database;
	bool once = false;
	HttpLimits limits;
};

struct FreePq {
	void operator()(PGresult *result) const { PQclear(result); }
	void operator()(PGconn *connection) const { PQfinish(connection); }
};
using Result = std::unique_ptr<PGresult, FreePq>;
using Connection = std::unique_ptr<PGconn, FreePq>;

enum class Delivery { kDone, kNothing, kStopped, kFailed };

volatile sig_atomic_t stop_wanted = 0;
time_t stop_since = 0;

void
OnSignal(int)
{
	stop_wanted = 1;
}

/* SIGTERM and SIGINT are blocked but for the wait, so that none is lost between a check and the wait. */
bool
StopWanted()
{
	sigset_t pending;

	if (!stop_wanted && sigpending(&pending) == 0 && (sigismember(&pending, SIGTERM) || sigismember(&pending, SIGINT)))
		stop_wanted = 1;
	if (stop_wanted && stop_since == 0)
		stop_since = time(nullptr);
	return stop_wanted;
}

bool
GiveUp()
{
	return StopWanted() && time(nullptr) - stop_since >= kGraceSeconds;
}

/* Runs a statement; null, with the error printed, if it fails. */
Result
Run(PGconn *connection, const char *sql, const std::vector<const char *> &values = {})
{
	Result result(PQexecParams(connection, sql, static_cast<int>(values.size()), nullptr, values.data(), nullptr,
							   nullptr, 0));
	const ExecStatusType status = PQresultStatus(result.get());

	if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
		return result;
	fprintf(stderr, "mentalspace-outbox: %s", PQerrorMessage(connection));
	return nullptr;
}

Connection
Connect(const Options &options)
{
	const char *const keywords[] = {"dbname", "application_name", "client_encoding", nullptr};
	const char *const values[] = {options.database.empty() ? nullptr : options.database.c_str(), "mentalspace-outbox",
								  "UTF8", nullptr};
	Connection connection(PQconnectdbParams(keywords, values, 1));

	if (PQstatus(connection.get()) != CONNECTION_OK) {
		fprintf(stderr, "mentalspace-outbox: %s", PQerrorMessage(connection.get()));
		return nullptr;
	}
	/* Details of an error could hold the values of a row. */
	PQsetErrorVerbosity(connection.get(), PQERRORS_TERSE);
	if (!Run(connection.get(), "SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', false), "
							   "pg_catalog.set_config('idle_in_transaction_session_timeout', '0', false), "
							   "pg_catalog.set_config('statement_timeout', '0', false)") ||
		!Run(connection.get(), "LISTEN mentalspace_outbox"))
		return nullptr;
	return connection;
}

/* Writes what came of a request.  If the server does not take the answer as it is (its encoding lacks a character,
 * say), that there was one is written all the same: to send the request again would not help. */
bool
Record(PGconn *connection, const std::string &id, const HttpResponse &response)
{
	const std::string status = std::to_string(response.status), type = ToUtf8(response.content_type),
		headers = HeadersToJson(response.headers), body = ToUtf8(response.body), error = ToUtf8(response.error);
	const bool answered = response.status != 0;
	static constexpr char insert[] =
		"INSERT INTO net._http_response (id, status_code, content_type, headers, content, timed_out, error_msg) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7)";

	if (!Run(connection, "SAVEPOINT response"))
		return false;
	if (Run(connection, insert, {id.c_str(), answered ? status.c_str() : nullptr, type.empty() ? nullptr : type.c_str(),
								 answered ? headers.c_str() : nullptr, answered && response.error.empty() ? body.c_str() : nullptr,
								 response.timed_out ? "t" : "f", error.empty() ? nullptr : error.c_str()}))
		return true;
	return Run(connection, "ROLLBACK TO SAVEPOINT response") &&
		Run(connection, insert, {id.c_str(), answered ? status.c_str() : nullptr, nullptr, nullptr, nullptr,
								 response.timed_out ? "t" : "f", "the response could not be stored"});
}

/* Claims the oldest request that nobody else has claimed, and fills *request.  kNothing if there is none. */
Delivery
Claim(PGconn *connection, std::string *id, HttpRequest *request)
{
	Result claimed = Run(connection, "SELECT id, method, url, timeout_milliseconds, idempotency_key, body "
									 "FROM net.http_request_queue ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED");
	if (!claimed)
		return Delivery::kFailed;
	if (PQntuples(claimed.get()) == 0)
		return Delivery::kNothing;
	const auto field = [&](int column) { return PQgetvalue(claimed.get(), 0, column); };

	*id = field(0);
	request->method = field(1);
	for (char &c : request->method)
		c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
	request->url = field(2);
	request->timeout_milliseconds = atol(field(3));
	request->has_body = !PQgetisnull(claimed.get(), 0, 5);
	if (request->has_body) {
		size_t length;
		unsigned char *body = PQunescapeBytea(reinterpret_cast<unsigned char *>(field(5)), &length);
		if (!body)
			return Delivery::kFailed;
		request->body.assign(reinterpret_cast<char *>(body), length);
		PQfreemem(body);
	}

	Result headers = Run(connection, "SELECT h.key, h.value "
									 "FROM net.http_request_queue q, pg_catalog.jsonb_each_text(q.headers) h "
									 "WHERE q.id = $1 AND h.value IS NOT NULL", {id->c_str()});
	if (!headers)
		return Delivery::kFailed;
	bool has_key = false;
	for (int i = 0; i < PQntuples(headers.get()); i++) {
		request->headers.emplace_back(PQgetvalue(headers.get(), i, 0), PQgetvalue(headers.get(), i, 1));
		has_key = has_key || strcasecmp(request->headers.back().first.c_str(), "Idempotency-Key") == 0;
	}
	if (!has_key)
		request->headers.emplace_back("Idempotency-Key", field(4));
	return Delivery::kDone;
}

/* Delivers one request. */
Delivery
Deliver(PGconn *connection, const HttpLimits &limits)
{
	std::string id;
	HttpRequest request;

	if (!Run(connection, "BEGIN"))
		return Delivery::kFailed;
	const Delivery claimed = Claim(connection, &id, &request);
	if (claimed != Delivery::kDone)
		return Run(connection, "ROLLBACK") ? claimed : Delivery::kFailed;

	const HttpResponse response = SendRequest(request, limits);
	if (response.interrupted) {
		fprintf(stderr, "mentalspace-outbox: request %s: given up, it stays queued\n", id.c_str());
		return Run(connection, "ROLLBACK") ? Delivery::kStopped : Delivery::kFailed;
	}
	if (!Record(connection, id, response) ||
		!Run(connection, "DELETE FROM net.http_request_queue WHERE id = $1", {id.c_str()}) || !Run(connection, "COMMIT"))
		return Delivery::kFailed;
	/* Neither URL nor error: they may hold keys or a patient's data. */
	fprintf(stderr, "mentalspace-outbox: request %s: %s\n", id.c_str(),
			response.status ? std::to_string(response.status).c_str() : response.timed_out ? "timed out" : "failed");
	return Delivery::kDone;
}

/* Waits for a notification, a signal, or some time; false if the connection is lost. */
bool
Wait(PGconn *connection, int seconds)
{
	pollfd poll_on = {PQsocket(connection), POLLIN, 0};
	const timespec timeout = {seconds, 0};
	sigset_t none;

	sigemptyset(&none);
	if (ppoll(&poll_on, 1, &timeout, &none) < 0 && errno != EINTR)
		return false;
	if (poll_on.revents != 0 && !PQconsumeInput(connection))
		return false;
	while (PGnotify *notify = PQnotifies(connection))
		PQfreemem(notify);
	return PQstatus(connection) == CONNECTION_OK;
}

/* Delivers until the connection fails or the process is told to end; with --once, until the queue is empty. */
bool
Work(PGconn *connection, const Options &options)
{
	time_t cleaned = 0;

	while (!StopWanted()) {
		if (time(nullptr) - cleaned >= kCleanUpSeconds) {
			if (!Run(connection, "SELECT net._delete_expired_responses()"))
				return false;
			cleaned = time(nullptr);
		}
		switch (Deliver(connection, options.limits)) {
			case Delivery::kDone:
				break;
			case Delivery::kStopped:
				return true;
			case Delivery::kFailed:
				return false;
			case Delivery::kNothing:
				if (options.once)
					return true;
				if (!StopWanted() && !Wait(connection, kPollSeconds))
					return false;
		}
	}
	return true;
}

/* Fills *options.  Returns the exit status if the process is to end now, -1 if not. */
int
ReadOptions(int argc, char **argv, Options *options)
{
	static const option known[] = {
		{"db", required_argument, nullptr, 'd'}, {"once", no_argument, nullptr, 'o'},
		{"allow-host", required_argument, nullptr, 'a'}, {"max-response", required_argument, nullptr, 'm'},
		{"help", no_argument, nullptr, 'h'}, {"version", no_argument, nullptr, 'v'}, {nullptr, 0, nullptr, 0},
	};
	char *end = nullptr;

	options->limits.max_response = 10485760;
	options->limits.give_up = GiveUp;
	for (int c; (c = getopt_long(argc, argv, "", known, nullptr)) != -1;)
		switch (c) {
			case 'd':
				options->database = optarg;
				break;
			case 'o':
				options->once = true;
				break;
			case 'a': {
				std::string pattern = optarg;
				for (char &letter : pattern)
					letter = letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
				options->limits.allowed.push_back(pattern);
				break;
			}
			case 'm':
				options->limits.max_response = strtoul(optarg, &end, 10);
				if (*optarg < '0' || *optarg > '9' || *end != '\0') {
					fprintf(stderr, "mentalspace-outbox: --max-response takes a number of bytes\n");
					return 2;
				}
				break;
			case 'h':
				fputs(kUsage, stdout);
				return 0;
			case 'v':
				puts("mentalspace-outbox " MS_VERSION);
				return 0;
			default:
				fputs(kUsage, stderr);
				return 2;
		}
	if (optind < argc) {
		fputs(kUsage, stderr);
		return 2;
	}
	return -1;
}

}  // namespace

int
main(int argc, char **argv)
{
	Options options;
	const int status = ReadOptions(argc, argv, &options);
	if (status >= 0)
		return status;

	struct sigaction action = {};
	sigset_t signals;
	action.sa_handler = OnSignal;
	sigaction(SIGTERM, &action, nullptr);
	sigaction(SIGINT, &action, nullptr);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, nullptr);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return 1;

	bool fine = false;
	while (!StopWanted()) {
		const Connection connection = Connect(options);
		fine = connection && Work(connection.get(), options);
		if (fine || options.once)
			break;
		timespec pause = {kReconnectSeconds, 0};
		sigset_t none;
		sigemptyset(&none);
		(void) ppoll(nullptr, 0, &pause, &none);
	}
	curl_global_cleanup();
	return fine || StopWanted() ? 0 : 1;
}
