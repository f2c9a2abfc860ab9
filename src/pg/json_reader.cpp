/* The sink is filled from the parser's callbacks.  They allocate nothing and cannot raise; the parser itself
 * allocates in the server, and an error that it raises there is caught here, before it can jump over C++ objects of
 * the callers. */
#include "pg/prelude.h"

#include "pg/json_reader.h"

#include <cstring>

namespace {

using mentalspace::JsonKind;
using mentalspace::JsonOutcome;
using mentalspace::JsonSink;

JsonSink *
sink_of(void *state)
{
	return static_cast<JsonSink *>(state);
}

ms_json_action_result
object_start(void *state)
{
	sink_of(state)->Begin(JsonKind::kObject);
	MS_JSON_ACTION_RETURN(sink_of(state)->failed());
}

ms_json_action_result
array_start(void *state)
{
	sink_of(state)->Begin(JsonKind::kArray);
	MS_JSON_ACTION_RETURN(sink_of(state)->failed());
}

ms_json_action_result
container_end(void *state)
{
	sink_of(state)->End();
	MS_JSON_ACTION_RETURN(sink_of(state)->failed());
}

ms_json_action_result
field_start(void *state, char *name, bool isnull)
{
	(void) isnull;
	sink_of(state)->Key(name);
	pfree(name);
	MS_JSON_ACTION_RETURN(sink_of(state)->failed());
}

ms_json_action_result
scalar(void *state, char *token, JsonTokenType type)
{
	JsonSink *sink = sink_of(state);

	switch (type) {
		case JSON_TOKEN_STRING: sink->Scalar(JsonKind::kString, token); break;
		case JSON_TOKEN_NUMBER: sink->Scalar(JsonKind::kNumber, token); break;
		case JSON_TOKEN_TRUE: sink->Scalar(JsonKind::kTrue, ""); break;
		case JSON_TOKEN_FALSE: sink->Scalar(JsonKind::kFalse, ""); break;
		default: sink->Scalar(JsonKind::kNull, ""); break;
	}
	pfree(token);
	MS_JSON_ACTION_RETURN(sink->failed());
}

/* May raise out-of-memory in the server. */
bool
parse(const char *text, int length, JsonSink *sink)
{
	JsonSemAction actions;
	JsonLexContext *lexer = ms_json_lexer_create(text, length);

	memset(&actions, 0, sizeof(actions));
	actions.semstate = sink;
	actions.object_start = object_start;
	actions.object_end = container_end;
	actions.array_start = array_start;
	actions.array_end = container_end;
	actions.object_field_start = field_start;
	actions.scalar = scalar;

	/* An action that failed may have stopped the parser: the sink says so. */
	bool parsed = pg_parse_json(lexer, &actions) == JSON_SUCCESS || sink->failed();
	ms_json_lexer_free(lexer);
	return parsed;
}

}  // namespace

#ifdef FRONTEND

JsonOutcome
mentalspace::ReadJson(std::string_view text, JsonSink *sink)
{
	return parse(text.data(), static_cast<int>(text.size()), sink) ? JsonOutcome::kParsed : JsonOutcome::kSyntaxError;
}

#else

JsonOutcome
mentalspace::ReadJson(std::string_view text, JsonSink *sink)
{
	static MemoryContext context = nullptr;
	MemoryContext caller = CurrentMemoryContext;
	uint32 interrupt_holdoff = InterruptHoldoffCount;
	uint32 cancel_holdoff = QueryCancelHoldoffCount;
	volatile JsonOutcome outcome = JsonOutcome::kOutOfMemory;

	/* An error that is swallowed below must not have been a cancel request. */
	HOLD_INTERRUPTS();
	PG_TRY();
	{
		if (context == nullptr)
			context = AllocSetContextCreate(TopMemoryContext, "mentalspace JSON", ALLOCSET_DEFAULT_SIZES);
		MemoryContextSwitchTo(context);
		outcome = parse(text.data(), static_cast<int>(text.size()), sink) ? JsonOutcome::kParsed
																		  : JsonOutcome::kSyntaxError;
	}
	PG_CATCH();
	{
		/* The parser allocates and does nothing else, so all there is to undo is its memory. */
		MemoryContextSwitchTo(caller);
		FlushErrorState();
		outcome = JsonOutcome::kOutOfMemory;
	}
	PG_END_TRY();
	/* Not RESUME_INTERRUPTS: raising an error sets the counts to zero. */
	InterruptHoldoffCount = interrupt_holdoff;
	QueryCancelHoldoffCount = cancel_holdoff;
	MemoryContextSwitchTo(caller);
	if (context != nullptr)
		MemoryContextReset(context);
	return outcome;
}

#endif
