/* One connection to the database, on libpq.  A signal cancels the statement that runs. */
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <libpq-fe.h>

namespace mentalspace::migrate {

struct DbError {
	std::string sqlstate;
	std::string message;
	std::string detail;
	std::string hint;
	std::string context;
	unsigned position = 0;   // in characters from 1; 0 where the server gives none
	bool lost = false;       // the connection is gone
};

using Value = std::optional<std::string>;
using Rows = std::vector<std::vector<Value>>;

class Db {
public:
	/* Connects; a connection string may be empty.  Throws Stop(kConnection) without the password in its message. */
	Db(const std::string &conninfo, bool verbose);

	/* Runs SQL, throws its rows away.  False and *error filled where it failed. */
	[[nodiscard]] bool Run(const std::string &sql, DbError *error);

	/* The rows of a query with parameters (text); throws Stop where it fails: for what never should. */
	[[nodiscard]] Rows Query(const std::string &sql, const std::vector<Value> &parameters = {});
	[[nodiscard]] bool TryQuery(const std::string &sql, const std::vector<Value> &parameters, Rows *rows, DbError *error);

	[[nodiscard]] int ServerVersion() const { return PQserverVersion(conn_.get()); }
	[[nodiscard]] bool InTransaction() const { return PQtransactionStatus(conn_.get()) != PQTRANS_IDLE; }
	[[nodiscard]] bool Lost() const { return PQstatus(conn_.get()) != CONNECTION_OK; }
	[[nodiscard]] int CancelPid() const { return PQbackendPID(conn_.get()); }
	[[nodiscard]] std::string Where() const;   // "database x at host", for people

private:
	struct Finish {
		void operator()(PGconn *conn) const { PQfinish(conn); }
	};
	[[nodiscard]] bool Take(PGresult *result, Rows *rows, DbError *error);

	std::unique_ptr<PGconn, Finish> conn_;
	bool verbose_;
};

/* The signal that asked us to stop, or 0. */
[[nodiscard]] int StopSignal();

/* {a,b} in PostgreSQL's notation of an array. */
[[nodiscard]] std::string ArrayLiteral(const std::vector<Value> &values);

}  // namespace mentalspace::migrate
