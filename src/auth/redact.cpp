/* Keeps tokens out of the log and of pg_stat_activity.
 *
 * A client that writes a token into the text of a statement, instead of passing it as a parameter, gives it to whatever
 * shows statements.  Every line that this backend logs passes emit_log_hook; what looks like a token is overwritten
 * there, and the statement is left out where it holds one.  This covers log_statement, log_min_duration_statement,
 * log_min_error_statement, auto_explain and pgaudit. */
#include "pg/prelude.h"

#include "auth/redact.h"
#include "pg/module.h"

extern "C" {
#include "tcop/tcopprot.h"
#include "utils/backend_status.h"
}

namespace {

emit_log_hook_type next_emit_log;

/* Segments at least this long: names of tables with dots in them stay as they are. */
constexpr int kShortestSegment = 16;
constexpr int kShortestSignature = 20;

inline bool
is_base64url(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* The end of the segment that begins at `text`. */
inline const char *
segment_end(const char *text)
{
	while (is_base64url(*text))
		text++;
	return text;
}

/* The first token in `text` and its end; NULL where there is none.  It need not begin where a token would: another
 * character may stand before it. */
const char *
find_token(const char *text, const char **end)
{
	while (*text) {
		if (!is_base64url(*text)) {
			text++;
			continue;
		}
		const char *header_end = segment_end(text);

		if (*header_end == '.' && header_end - text >= kShortestSegment) {
			const char *payload_end = segment_end(header_end + 1);

			if (*payload_end == '.' && payload_end - header_end > kShortestSegment) {
				const char *signature_end = segment_end(payload_end + 1);

				if (signature_end - payload_end > kShortestSignature) {
					*end = signature_end;
					return text;
				}
			}
		}
		text = header_end;
	}
	return nullptr;
}

/* Overwrites the tokens in a text of ours. */
bool
redact(char *text)
{
	bool found = false;
	const char *end;

	if (text == nullptr)
		return false;
	while (const char *token = find_token(text, &end)) {
		memset(text + (token - text), '*', end - token);
		text += end - text;
		found = true;
	}
	return found;
}

/* A statement that hands over a secret: the secret has no shape, so all from the first quote after the function's name
 * goes. */
bool
redact_secret(char *text)
{
	char *call = text ? strstr(text, "add_jwt_secret") : nullptr;

	if (call == nullptr)
		return false;
	char *quote = strpbrk(call, "'$");
	if (quote == nullptr)
		return false;
	memset(quote, '*', strlen(quote));
	return true;
}

void
emit_log(ErrorData *edata)
{
	const char *end;

	(void) redact(edata->message);
	(void) redact(edata->detail);
	(void) redact(edata->detail_log);
	(void) redact(edata->hint);
	(void) redact(edata->context);
	(void) redact(edata->internalquery);
	(void) redact_secret(edata->message);
	(void) redact_secret(edata->context);
	(void) redact_secret(edata->internalquery);
	if (!edata->hide_stmt && debug_query_string &&
		(find_token(debug_query_string, &end) || strstr(debug_query_string, "add_jwt_secret")))
		edata->hide_stmt = true;
	if (next_emit_log)
		next_emit_log(edata);
}

}  // namespace

void
ms_redact_activity(void)
{
	const char *end;

	/* With the token passed as a parameter this looks at a few dozen bytes. */
	if (debug_query_string == nullptr || !find_token(debug_query_string, &end))
		return;
	char *copy = pstrdup(debug_query_string);
	(void) redact(copy);
	pgstat_report_activity(STATE_RUNNING, copy);
	pfree(copy);
}

void
ms_redact_init(void)
{
	next_emit_log = emit_log_hook;
	emit_log_hook = emit_log;
}
