/* Names in utility statements, and what both halves of the search share. */
#pragma once

#include "pg/prelude.h"

#include "migrations/names.h"

extern "C" {
#include "nodes/pg_list.h"
#include "nodes/primnodes.h"
}

/* One statement's search. */
struct NameScan {
	NameSink *sink;
	List *ctes;   /* of char *: names that WITH clauses introduce */
};

void ms_find_in_statement(NameScan *scan, Node *node);    /* a query or a utility statement; may be NULL */
void ms_find_utility_names(NameScan *scan, Node *node);   /* a utility statement */
void ms_walk_names(NameScan *scan, Node *node);           /* an expression, a type, a part of a query; may be NULL */
void ms_walk_list(NameScan *scan, List *list);
void ms_emit_list(NameScan *scan, const char *action, const char *kind, List *names, int location);   /* kind NULL: nothing */
void ms_emit_range(NameScan *scan, const char *action, const char *kind, const RangeVar *range);
void ms_emit_role(NameScan *scan, const char *action, const RoleSpec *role);
void ms_emit_roles(NameScan *scan, const char *action, List *roles);
