/* The tree work of the planner hook: taking items out of a query and putting facts in. */
#pragma once

#include "rls/items.h"

struct RlsRewrite {
	int base;                /* the query's own parameters come before ours */
	bool fold;               /* facts are wanted: subqueries may become items */
	bool arrays;             /* subqueries that give keys become arrays */
	bool no_facts;           /* one of the items raises: facts could keep its error from being seen */
	bool convertible;        /* out: there are such subqueries */
	double subquery_cost;    /* out: planner's cost of the items that are subqueries, and of planning with their keys */
	List *items;             /* Node, or List(Param, Query), after planning List(Param, PlannedStmt) */
	List *originals;         /* what each item was made of, as it stood in the query */
	bool in_plain_item;      /* while a root item without subqueries is made: nothing in it depends on a row */
	bool in_check;           /* in what new rows are checked with, which is not settled beforehand */
	Bitmapset *roots;        /* items that stand in conditions of the query itself, not only inside other items */
	Bitmapset *array_items;  /* items that are arrays of keys */
	Bitmapset **references;  /* items that each item refers to */
	List *relations;         /* what the items' plans depend on, as in PlannedStmt */
	List *invalidations;
	bool depends_on_role;
	bool is_transient;
};

/* Whether an expression of a query depends on its rows; and whether it has subqueries. */
bool rls_depends_on_row(Node *node, bool *has_subquery);

/* Whether its value can be one of a parameter. */
bool rls_can_be_value(Node *node);

/* Conditions that rls_take_out() looks at: what is wrapped by hand becomes what it wraps. */
void rls_unwrap_conditions(Query *query);

/* Replaces in `query` (in place) what does not depend on the row in conditions of policies by parameters. */
void rls_take_out(Query *query, RlsRewrite *rewrite);

/* Replaces parameters of evaluated items by constants and lists them in *facts: booleans, and arrays of keys.  Expensive
 * items that were not evaluated keep their place among the conditions of a scan. */
Query *rls_put_in(Query *query, const RlsRewrite *rewrite, RlsRun *run, List **facts);

/* Fills `references`; before the items' subqueries are planned. */
void rls_note_references(RlsRewrite *rewrite);

/* Items that the query, or items that it uses, still refer to; and whether the query runs what users wrote. */
List *rls_live_items(Query *query, const RlsRewrite *rewrite, bool *runs_code);

/* Replaces keys that became constants of the plan by their parameters; false where that cannot be done, and the plan must
 * not be used. */
bool rls_hide_keys(PlannedStmt *stmt, const RlsRewrite *rewrite, List *facts);

/* What it costs, in the planner's units, to plan with keys: an estimate before they are evaluated. */
double rls_cost_of_keys(const RlsRewrite *rewrite, const RlsRun *run);

/* Whether the query looks up rows of one table by equality with all columns of its primary key. */
bool rls_is_point_lookup(Query *query);

/* Highest number of an external parameter in the query, 0 where it has none; and whether the query calls a function that
 * changes the identity. */
int rls_highest_param(Query *query, bool *changes_identity);
