#include "migrate/apply.h"

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "core/sql_statement.h"
#include "migrate/hint.h"

namespace mentalspace::migrate {

namespace {

constexpr std::size_t kShown = 160;   // bytes of a statement in a message

/* The server says that a statement cannot be part of this transaction: 25001 no transaction block, 55P04 an enum value
 * must be committed before its use, 2D000 a procedure or DO block commits. */
bool
NeedsOutside(const DbError &error)
{
	return error.sqlstate == "25001" || error.sqlstate == "55P04" || error.sqlstate == "2D000";
}

/* Whether BEGIN and COMMIT in the file enclose one block and nothing must run outside a transaction: then the file's own
 * transaction becomes part of ours. */
bool
FitsOneTransaction(const std::vector<SqlPiece> &pieces)
{
	unsigned begins = 0, commits = 0;

	for (const SqlPiece &piece : pieces) {
		if (piece.kind != SqlPieceKind::kStatement)
			continue;
		std::string_view statement = std::string_view(piece.text).substr(piece.start);
		switch (ConductOf(statement)) {
			case SqlConduct::kOutside:
			case SqlConduct::kRollback:
				return false;
			case SqlConduct::kBegin:
				if (++begins > 1 || statement.size() > 17)   /* longer than START TRANSACTION: it has modes */
					return false;
				break;
			case SqlConduct::kCommit:
				if (++commits > begins || statement.size() > 18)   /* longer than COMMIT TRANSACTION: AND CHAIN */
					return false;
				break;
			default:
				break;
		}
	}
	return begins == commits;
}

unsigned
LineOfPosition(const SqlPiece &piece, unsigned position)
{
	/* The server counts characters: continuation bytes of UTF-8 do not count. */
	unsigned line = piece.text_line, characters = 0;

	for (char c : piece.text) {
		if ((static_cast<unsigned char>(c) & 0xc0) != 0x80 && ++characters >= position)
			break;
		if (c == '\n')
			line++;
	}
	return line;
}

}  // namespace

void
Applier::Remark(const std::string &text)
{
	std::printf("  note: %s\n", text.c_str());
	result_.remarks.push_back(text);
}

bool
Applier::Fail(unsigned i, const DbError &error)
{
	bool within = i < pieces_.size();

	result_.outcome = StopSignal() != 0 && (error.sqlstate == "57014" || error.lost) ? Outcome::kInterrupted : Outcome::kFailed;
	result_.error.error = error;
	std::string texts;
	for (std::size_t j = within ? i : 0; j < (within ? i + 1 : pieces_.size()); j++)
		texts += pieces_[j].text + ";\n";
	for (std::string DbError::*field : {&DbError::message, &DbError::detail, &DbError::hint, &DbError::context})
		result_.error.error.*field = MaskedMessage(error.*field, texts, error.sqlstate);
	result_.error.statement = within ? i + 1 : 0;
	result_.error.line = !within			  ? (pieces_.empty() ? 1 : pieces_.back().line)
						 : error.position > 0 ? LineOfPosition(pieces_[i], error.position)
											  : pieces_[i].line;
	result_.error.text = within ? Shorten(pieces_[i].text, kShown) : "(at the end of the file: COMMIT)";
	return false;
}

bool
Applier::FailAt(unsigned i, const std::string &sqlstate, const std::string &message, const std::string &hint)
{
	DbError error;

	error.sqlstate = sqlstate;
	error.message = message;
	error.hint = hint;
	return Fail(i, error);
}

bool
Applier::Uncertain(const std::string &message, const std::string &what_to_do)
{
	result_.outcome = Outcome::kUncertain;
	result_.error.error.sqlstate = "55000";
	result_.error.error.message = message;
	result_.error.error.hint = what_to_do;
	return false;
}

void
Applier::RollBack()
{
	DbError ignored;

	if (!db_->Lost() && db_->InTransaction())
		(void) db_->Run("ROLLBACK", &ignored);
}

/* Every file begins with the settings of a new session, as with the CLI, and without what others left in it. */
void
Applier::ResetSession()
{
	DbError error;

	if (!db_->Run("RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL; DEALLOCATE ALL; UNLISTEN *; DISCARD TEMP", &error))
		throw Stop(error.lost ? kConnection : kFailed, "cannot reset the session: " + error.message);
	role_ = db_->Query("SELECT CASE r WHEN 'none' THEN r ELSE pg_catalog.quote_ident(r) END"
					   " FROM pg_catalog.current_setting('role') r")[0][0].value_or("none");
}

/* Sends piece i, or what is left of it; true where there is nothing to send. */
bool
Applier::Send(unsigned i)
{
	const SqlPiece &piece = pieces_[i];
	std::string sql = piece.text;
	DbError error;

	if (piece.kind == SqlPieceKind::kCommentOnly)
		return true;
	if (StopSignal() != 0)
		return FailAt(i, "57014", "interrupted before this statement", "");
	if (piece.kind == SqlPieceKind::kMetaCommand) {
		std::string command = piece.text.substr(0, piece.text.find_first_of(" \t\r"));
		if (options_.lenient && (command == "\\restrict" || command == "\\unrestrict")) {
			Remark("left out, line " + std::to_string(piece.line) + ": " + command);
			return true;
		}
		return FailAt(i, "42601", command + " is a command of psql, not SQL",
					  command == "\\restrict" || command == "\\unrestrict" ? "--lenient leaves it out." : "");
	}
	if (ConductOf(piece.text) == SqlConduct::kCopyIn)
		return FailAt(i, "0A000", "COPY FROM STDIN needs lines of data, which a migration cannot carry",
					  "Dump the data as INSERT commands (pg_dump --inserts).");
	std::optional<NewerLine> newer = options_.lenient ? NewerLineOf(piece.text, db_->ServerVersion()) : std::nullopt;
	if (newer) {
		Remark("left out, line " + std::to_string(piece.line) + ": " + newer->what);
		if (newer->replacement.empty())
			return true;
		sql = newer->replacement;
	}
	result_.statements++;
	return db_->Run(sql, &error) || Fail(i, error);
}

/* A statement of ours around the file's. */
bool
Applier::RunOwn(const std::string &sql)
{
	DbError error;

	return db_->Run(sql, &error) || Fail(static_cast<unsigned>(pieces_.size()), error);
}

Applier::Step
Applier::InOneTransaction()
{
	if (!RunOwn("BEGIN"))
		return Step::kFailed;
	for (unsigned i = 0; i < pieces_.size(); i++) {
		SqlConduct conduct = pieces_[i].kind == SqlPieceKind::kStatement ? ConductOf(pieces_[i].text) : SqlConduct::kOrdinary;
		if (conduct == SqlConduct::kBegin || conduct == SqlConduct::kCommit)
			continue;
		if (!Send(i)) {
			RollBack();
			bool outside = result_.outcome == Outcome::kFailed && NeedsOutside(result_.error.error);
			return outside ? Step::kNeedsOutside : Step::kFailed;
		}
	}
	if (!Finish()) {
		RollBack();
		return Step::kFailed;
	}
	return Step::kDone;
}

/* Where the file defined auth.uid() or a sibling: a definition that means the same gives way to the extension's.  The
 * library, if it is loaded, has seen to it already. */
bool
Applier::KeepAuthFunctions()
{
	bool concerned = std::any_of(pieces_.begin(), pieces_.end(), [](const SqlPiece &piece) {
		return piece.text.find("auth") != std::string::npos || piece.text.find("AUTH") != std::string::npos;
	});
	if (!concerned || db_->Query("SELECT pg_catalog.to_regprocedure('mentalspace.keep_auth_functions(name[])') IS NOT NULL"
								 " AND pg_catalog.current_setting('mentalspace.auth_lock', true) IS NULL")[0][0] != "t")
		return true;
	return RunOwn("SELECT mentalspace.keep_auth_functions()");
}

/* Records the file and commits, as the user who runs us, whatever role the file has set. */
bool
Applier::Finish()
{
	DbError error;
	unsigned end = static_cast<unsigned>(pieces_.size());

	if (!db_->InTransaction())
		return FailAt(end, "25P01", "the file has ended the transaction that it runs in", "");
	if (StopSignal() != 0)
		return FailAt(end, "57014", "interrupted before COMMIT", "");
	return RunOwn("RESET SESSION AUTHORIZATION; RESET ROLE") && KeepAuthFunctions() &&
		   (history_->Record(*file_, pieces_, &error) || Fail(end, error)) && RunOwn("COMMIT");
}

/* Writes down that `done` pieces are done, and whether the next is begun outside a transaction. */
bool
Applier::Note(unsigned done, bool running, bool own_transaction)
{
	DbError error;
	std::vector<Value> added;

	for (unsigned i = noted_; i < done; i++)
		added.push_back(pieces_[i].text);
	if (own_transaction && !RunOwn("BEGIN"))
		return false;
	/* LOCAL: what the file has set comes back with COMMIT. */
	if (!RunOwn("SET LOCAL SESSION AUTHORIZATION DEFAULT") || !RunOwn("SET LOCAL ROLE " + role_))
		return false;
	if (!history_->WriteProgress(*file_, added, done, running, &error))
		return Fail(done, error);
	noted_ = done;
	return !own_transaction || RunOwn("COMMIT");
}

/* A statement outside transaction blocks: written down before and after, for nothing can be undone. */
bool
Applier::RunAlone(unsigned i)
{
	std::string_view text = pieces_[i].text;

	if (!Note(i, true, true))
		return false;
	if (!Send(i)) {
		FileResult failure = result_;
		/* Of CREATE INDEX CONCURRENTLY an invalid index stays: the mark makes the next run look for it. */
		if (!db_->Lost() && !ConcurrentIndexOf(text))
			(void) Note(i, false, true);
		result_ = failure;
		return false;
	}
	return Note(i + 1, false, true);
}

Applier::Step
Applier::ByStatement()
{
	unsigned next = 0;
	bool in_block = false;
	DbError error;

	result_.one_transaction = false;
	if (!RunOwn("BEGIN"))
		return Step::kFailed;
	if (!history_->CreateProgressTable(&error)) {
		(void) Fail(static_cast<unsigned>(pieces_.size()), error);
		RollBack();
		return Step::kFailed;
	}
	if (!RunOwn("COMMIT") || !Resume(&next))
		return Step::kFailed;

	for (unsigned i = next; i < pieces_.size(); i++) {
		bool good;
		switch (pieces_[i].kind == SqlPieceKind::kStatement ? ConductOf(pieces_[i].text) : SqlConduct::kOrdinary) {
			case SqlConduct::kBegin:
				good = in_block || Send(i);
				in_block = true;
				break;
			case SqlConduct::kCommit:
				good = !in_block || (Note(i + 1, false, false) && Send(i));
				in_block = db_->InTransaction();
				break;
			case SqlConduct::kRollback:
				good = !in_block || (Send(i) && (in_block = db_->InTransaction(), in_block || Note(i + 1, false, true)));
				break;
			case SqlConduct::kOutside:
				good = in_block ? Send(i) : RunAlone(i);
				break;
			default:
				if (in_block) {
					good = Send(i);
					break;
				}
				good = RunOwn("BEGIN") && Send(i) && Note(i + 1, false, false) && RunOwn("COMMIT");
				if (!good && result_.outcome == Outcome::kFailed && NeedsOutside(result_.error.error)) {
					RollBack();
					result_.outcome = Outcome::kApplied;
					result_.error = FileError();
					good = RunAlone(i);
				}
		}
		if (!good) {
			RollBack();
			return Step::kFailed;
		}
	}
	if (in_block) {
		RollBack();
		(void) FailAt(static_cast<unsigned>(pieces_.size()), "25P01", "the file begins a transaction and does not end it",
					  "COMMIT is missing.");
		return Step::kFailed;
	}
	bool good = RunOwn("BEGIN") && RunOwn("RESET SESSION AUTHORIZATION; RESET ROLE") &&
				(history_->ForgetProgress(*file_, &error) || Fail(static_cast<unsigned>(pieces_.size()), error)) && Finish();
	if (!good)
		RollBack();
	return good ? Step::kDone : Step::kFailed;
}

/* Where an earlier run of this file stopped, sets *next to what comes now. */
bool
Applier::Resume(unsigned *next)
{
	std::optional<Progress> progress = history_->ReadProgress(*file_);
	DbError error;

	if (!progress)
		return true;
	bool same = progress->done <= pieces_.size() && progress->done == progress->statements.size();
	for (unsigned i = 0; same && i < progress->done; i++)
		same = pieces_[i].text == progress->statements[i];
	if (!same)
		return Uncertain("the first " + std::to_string(progress->done) + " statements of " + file_->path +
							 " were changed after they had run",
						 "They are in effect as supabase_migrations.mentalspace_progress has them.  Restore them in the file,"
						 " or undo them by hand and delete the row of version " + file_->version + " there.");
	*next = noted_ = progress->done;
	if (progress->running && *next < pieces_.size() && !ResumeRunning(pieces_[*next], next))
		return false;
	if (*next > 0)
		Remark("going on after statement " + std::to_string(*next) + " of " + std::to_string(pieces_.size()) +
			   ", where an earlier run stopped");
	/* Settings were of the session that is gone. */
	for (unsigned i = 0; i < *next; i++)
		if (pieces_[i].kind == SqlPieceKind::kStatement && ConductOf(pieces_[i].text) == SqlConduct::kSession && !Send(i))
			return false;
	return true;
}

/* An earlier run began this statement outside a transaction and did not write down its end. */
bool
Applier::ResumeRunning(const SqlPiece &piece, unsigned *next)
{
	DbError error;
	std::optional<ConcurrentIndex> index = ConcurrentIndexOf(piece.text);

	if (options_.interrupted == "redo" || IsRepeatable(piece.text))
		return true;
	if (options_.interrupted == "done") {
		++*next;
		return true;
	}
	if (index && !index->index.empty()) {
		Rows rows = db_->Query("SELECT i.indisvalid, pg_catalog.format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_class c"
							   " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
							   " JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid"
							   " WHERE c.relname = $1 AND CASE WHEN $2 = '' THEN n.nspname = ANY"
							   " (pg_catalog.current_schemas(false)) ELSE n.nspname = $2 END",
							   {index->index, index->schema});
		bool valid = !rows.empty() && rows[0][0] == "t";
		if (index->create ? valid : rows.empty()) {
			++*next;
		} else if (index->create && !rows.empty()) {
			Remark("dropping the invalid index " + rows[0][1].value_or("") + " that an interrupted run left");
			if (!db_->Run("DROP INDEX CONCURRENTLY " + rows[0][1].value_or(""), &error))
				return Fail(*next, error);
		}
		return true;
	}
	return Uncertain("an earlier run was interrupted in statement " + std::to_string(*next + 1) + " of " + file_->path +
						 " (line " + std::to_string(piece.line) + "), which runs outside a transaction: " +
						 Shorten(piece.text, kShown),
					 "Look whether it is in effect, then run again with --interrupted done if it is, --interrupted redo if not.");
}

/* A file that ends within something: nothing of it runs, for what the rest of it was meant to be cannot be known. */
bool
Applier::Unfinished()
{
	if (pieces_.empty() || pieces_.back().closed)
		return false;
	const SqlPiece &last = pieces_.back();
	(void) FailAt(static_cast<unsigned>(pieces_.size()) - 1, "42601", std::string("unterminated ") + last.open, kUnfinishedHint);
	result_.error.line = last.open_line;
	return true;
}

FileResult
Applier::Apply(const MigrationFile &file)
{
	auto began = std::chrono::steady_clock::now();

	file_ = &file;
	result_ = FileResult();
	noted_ = 0;
	pieces_ = ReadMigration(file);
	history_->KeepLock();
	ResetSession();
	if (Unfinished())
		return result_;

	Step step = Step::kNeedsOutside;
	if (!FitsOneTransaction(pieces_)) {
		Remark("not in one transaction: it has transactions of its own, or statements that cannot run in one");
	} else if (history_->ReadProgress(file)) {
		/* An earlier run found that it cannot be one transaction. */
	} else {
		step = InOneTransaction();
		if (step == Step::kNeedsOutside) {
			Remark("not in one transaction: line " + std::to_string(result_.error.line) + ", " + result_.error.error.message);
			result_.error = FileError();
			result_.outcome = Outcome::kApplied;
			ResetSession();
		}
	}
	if (step == Step::kNeedsOutside)
		(void) ByStatement();
	result_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
	return result_;
}

}  // namespace mentalspace::migrate
