/* mentalspace.parse_sql(sql text): what the server's own parser makes of a text.
 *
 * Nothing is executed and no catalog is read.  The parser needs no clean-up but its memory, so that its errors are caught
 * without a subtransaction; errors that are not about the text (out of memory, cancelled) go on to the caller. */
#include "pg/prelude.h"

#include "migrations/names.h"

extern "C" {
#include "mb/pg_wchar.h"
#include "nodes/pg_list.h"
#include "parser/parser.h"
#include "tcop/utility.h"
#include "utils/array.h"
#include "utils/tuplestore.h"
}

namespace {

constexpr int kColumns = 7;   /* statement, line, position, action, kind, name, detail */

/* Collects the rows of one call; `sink` first, so that a NameSink is a RowSink. */
struct RowSink {
	NameSink sink;
	ReturnSetInfo *result;
	const char *text;        /* the argument */
	int statement;           /* number of the statement, from 1 */
	int statement_start;     /* its first byte that is no blank */
	int base;                /* >= 0: within the body of a function that begins there */
	int at, line, position;  /* where the last row pointed: offset in bytes, line and characters from 1 */
};

/* Moves at, line and position to an offset: names come in order, nearly. */
void
move_to(RowSink *rows, int offset)
{
	if (offset < rows->at) {
		rows->at = 0;
		rows->line = rows->position = 1;
	}
	rows->position += pg_mbstrlen_with_len(rows->text + rows->at, offset - rows->at);
	for (; rows->at < offset; rows->at++)
		rows->line += rows->text[rows->at] == '\n';
}

void
put_row(RowSink *rows, const char *action, const char *kind, const char *schema, const char *name, const char *detail,
		int offset)
{
	Datum values[kColumns] = {};
	bool nulls[kColumns] = {};

	move_to(rows, offset >= 0 ? offset : rows->statement_start);
	values[0] = Int32GetDatum(rows->statement);
	values[1] = Int32GetDatum(rows->line);
	values[2] = Int32GetDatum(rows->position);
	values[3] = CStringGetTextDatum(action);
	values[4] = CStringGetTextDatum(kind);
	if (name != nullptr) {
		Datum parts[2];
		int n = 0;
		if (schema != nullptr)
			parts[n++] = CStringGetTextDatum(schema);
		parts[n++] = CStringGetTextDatum(name);
		values[5] = PointerGetDatum(construct_array(parts, n, TEXTOID, -1, false, TYPALIGN_INT));
	} else {
		nulls[5] = true;
	}
	if (detail != nullptr)
		values[6] = CStringGetTextDatum(detail);
	else
		nulls[6] = true;
	tuplestore_putvalues(rows->result->setResult, rows->result->setDesc, values, nulls);
}

/* Parses; NIL and a row for the error where the text is not well formed. */
bool
parse(RowSink *rows, const char *sql, int base, List **tree)
{
	MemoryContext context = CurrentMemoryContext;
	ErrorData *volatile error = nullptr;

	PG_TRY();
	{
		*tree = raw_parser(sql, RAW_PARSE_DEFAULT);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		int category = ERRCODE_TO_CATEGORY(error->sqlerrcode);
		if (category == ERRCODE_TO_CATEGORY(ERRCODE_INSUFFICIENT_RESOURCES) ||
			category == ERRCODE_TO_CATEGORY(ERRCODE_OPERATOR_INTERVENTION) ||
			category == ERRCODE_TO_CATEGORY(ERRCODE_INTERNAL_ERROR))
			PG_RE_THROW();
		FlushErrorState();
	}
	PG_END_TRY();

	if (error == nullptr)
		return true;
	/* The parser gives the position in characters, from 1. */
	int offset = base;
	if (base < 0 && error->cursorpos > 0)
		offset = pg_mbcharcliplen(sql, (int) strlen(sql), error->cursorpos - 1);
	put_row(rows, "error", unpack_sql_state(error->sqlerrcode), nullptr, nullptr, error->message, offset);
	FreeErrorData(error);
	return false;
}

void
name_found(NameSink *sink, const char *action, const char *kind, const char *schema, const char *name, int location)
{
	RowSink *rows = (RowSink *) sink;

	put_row(rows, action, kind, schema, name, nullptr, rows->base >= 0 ? rows->base : location);
}

void
body_found(NameSink *sink, const char *sql, int location)
{
	RowSink *rows = (RowSink *) sink;
	int outer = rows->base;
	List *tree;
	ListCell *cell;

	check_stack_depth();
	rows->base = outer >= 0 ? outer : (location >= 0 ? location : rows->statement_start);
	if (parse(rows, sql, rows->base, &tree))
		foreach (cell, tree)
			ms_find_names(sink, lfirst_node(RawStmt, cell)->stmt);
	rows->base = outer;
}

}  // namespace

MS_FUNCTION(ms_parse_sql)
{
	char *sql = text_to_cstring(PG_GETARG_TEXT_PP(0));
	RowSink rows = {{name_found, body_found}, (ReturnSetInfo *) fcinfo->resultinfo, sql, 1, 0, -1, 0, 1, 1};
	List *tree;
	ListCell *cell;

	InitMaterializedSRF(fcinfo, 0);
	if (!parse(&rows, sql, -1, &tree))
		PG_RETURN_VOID();
	foreach (cell, tree) {
		RawStmt *raw = lfirst_node(RawStmt, cell);

		CHECK_FOR_INTERRUPTS();
		rows.statement_start = raw->stmt_location > 0 ? raw->stmt_location : 0;
		while (isspace((unsigned char) sql[rows.statement_start]))
			rows.statement_start++;
		put_row(&rows, "statement", GetCommandTagName(CreateCommandTag(raw->stmt)), nullptr, nullptr, nullptr, -1);
		ms_find_names(&rows.sink, raw->stmt);
		rows.statement++;
	}
	PG_RETURN_VOID();
}
