/* The JSON reader inside a server, where its parser may raise errors and the encoding may not be UTF-8.  A library of
 * its own for the stage json-reader; no part of the product. */
#include "pg/prelude.h"

extern "C" {
PG_MODULE_MAGIC;
}

namespace {

enum Fault { kNone, kError, kOutOfMemory };
int fault = kNone;

/* The parser, or an error in its place, as palloc or the stack check may raise one at any point. */
JsonParseErrorType
parse_or_raise(JsonLexContext *lexer, JsonSemAction *actions)
{
	if (fault == kError)
		ereport(ERROR, (errcode(ERRCODE_STATEMENT_TOO_COMPLEX), errmsg("an error within the parser")));
	if (fault == kOutOfMemory)
		(void) MemoryContextAllocHuge(CurrentMemoryContext, (Size) 1 << 46);
	return pg_parse_json(lexer, actions);
}

} // namespace

#define pg_parse_json parse_or_raise
#include "pg/json_reader.cpp"
#undef pg_parse_json

#include <new>
#include <string>

namespace mentalspace {

static char result[4096];

/* The members of the outermost object as name=bytes in hexadecimal, or why it is refused. */
static void
describe(std::string_view text)
{
	Result<JsonDocument> document = ParseJson(text, {100000, 16, 1000}, ReadJson);
	std::string described;

	if (document.ok()) {
		for (JsonValue member : document.value().root()) {
			described.append(described.empty() ? "" : " ").append(member.key()).append("=");
			for (unsigned char byte : member.text()) {
				described.push_back("0123456789abcdef"[byte >> 4]);
				described.push_back("0123456789abcdef"[byte & 15]);
			}
		}
	} else {
		described = document.status().detail();
	}
	strlcpy(result, described.c_str(), sizeof(result));
}

static bool
is_out_of_memory()
{
	try {
		(void) ParseJson(R"({"a":[1,{"b":"x"}]})", {1000, 8, 100}, ReadJson).ok();
	} catch (const std::bad_alloc &) {
		return true;
	}
	return false;
}

} // namespace mentalspace

/* probe_describe(bytea) returns text */
MS_FUNCTION(ms_probe_describe)
{
	bytea *text = PG_GETARG_BYTEA_PP(0);

	mentalspace::describe({VARDATA_ANY(text), VARSIZE_ANY_EXHDR(text)});
	PG_RETURN_TEXT_P(cstring_to_text(mentalspace::result));
}

/* probe_fault(kind int, times int) returns text: how often the fault became out-of-memory, and what state it left. */
MS_FUNCTION(ms_probe_fault)
{
	uint32 interrupts = InterruptHoldoffCount, cancels = QueryCancelHoldoffCount;
	MemoryContext context = CurrentMemoryContext;
	sigjmp_buf *handler = PG_exception_stack;
	int caught = 0, times = PG_GETARG_INT32(1);

	fault = PG_GETARG_INT32(0);
	for (int i = 0; i < times; i++)
		caught += mentalspace::is_out_of_memory();
	fault = kNone;
	bool same = interrupts == InterruptHoldoffCount && cancels == QueryCancelHoldoffCount &&
				context == CurrentMemoryContext && handler == PG_exception_stack;
	PG_RETURN_TEXT_P(cstring_to_text(psprintf("%d caught, state %s", caught, same ? "as before" : "changed")));
}
