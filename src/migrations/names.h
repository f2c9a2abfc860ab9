/* Walks the parse tree of a statement and tells which objects it names: makes, drops or needs. */
#pragma once

#include "pg/prelude.h"

extern "C" {
#include "nodes/parsenodes.h"
}

/* Receives what is found.  action: makes, drops, needs.  kind: relation, function, type, role, schema, extension,
 * available extension, publication, language.  schema may be NULL.  location: offset in bytes in the text that was parsed,
 * or -1. */
struct NameSink {
	void (*name)(NameSink *sink, const char *action, const char *kind, const char *schema, const char *name, int location);
	/* The body of a function in LANGUAGE sql. */
	void (*sql_body)(NameSink *sink, const char *sql, int location);
};

/* statement: the node within a RawStmt. */
void ms_find_names(NameSink *sink, Node *statement);
