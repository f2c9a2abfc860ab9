/* What a runner of migrations must know of a statement before it sends it. */
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mentalspace {

enum class SqlConduct {
	kOrdinary,   // runs in a transaction block
	kSession,    // SET, RESET, SELECT set_config(...): ordinary, and needed again where a new session goes on
	kBegin,      // BEGIN, START TRANSACTION
	kCommit,     // COMMIT, END
	kRollback,   // ROLLBACK, ABORT
	kOutside,    // cannot run in a transaction block
	kCopyIn      // COPY ... FROM STDIN: its data follows in the file
};

/* Tells how a statement (one piece of SplitSql) behaves, by its keywords. */
[[nodiscard]] SqlConduct ConductOf(std::string_view statement);

/* Of a statement that cannot run in a transaction block: what makes it safe to repeat after an interruption. */
struct ConcurrentIndex {
	bool create = false;     // else DROP
	std::string schema;      // empty: not written
	std::string index;       // empty: the server chooses the name
};
[[nodiscard]] std::optional<ConcurrentIndex> ConcurrentIndexOf(std::string_view statement);
[[nodiscard]] bool IsRepeatable(std::string_view statement);   // VACUUM, REINDEX, CLUSTER, ALTER SYSTEM

/* Something that only newer servers know and that does no harm to leave out. */
struct NewerLine {
	std::string what;          // for a message: "SET transaction_timeout"
	std::string replacement;   // the statement without it; empty: leave out the whole statement
};

/* server_version as PQserverVersion gives it: 150018. */
[[nodiscard]] std::optional<NewerLine> NewerLineOf(std::string_view statement, int server_version);

/* The statement in one line of at most `length` bytes, for a message.  Constants are masked, and what SET gives: any of
 * them may be a secret.  Of a line for psql only the command is shown. */
[[nodiscard]] std::string Shorten(std::string_view statement, std::size_t length);

/* What the server says of a failed statement, with `***` in place of what it repeats of the statement's constants and of
 * values of rows.  Names of objects stay: they are what an error of class 42, 3D or 3F is about. */
[[nodiscard]] std::string MaskedMessage(std::string message, std::string_view statement, std::string_view sqlstate);

/* Objects that the text of a DO block may make: what follows CREATE ... in it, strings and all. */
struct LooseName {
	std::string kind;                // relation, type, function, schema, role, extension, publication
	std::vector<std::string> name;   // as written: name or schema, name
};
[[nodiscard]] std::vector<LooseName> LooselyMade(std::string_view block);

}  // namespace mentalspace
