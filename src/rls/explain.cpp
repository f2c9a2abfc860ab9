/* EXPLAIN shows what was taken out of policies: the parameters that the plan refers to, and the facts it was made with. */
#include "pg/prelude.h"

#include "pg/module.h"
#include "rls/items.h"

extern "C" {
#include "commands/explain.h"
#include "nodes/bitmapset.h"
#include "nodes/nodeFuncs.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"
#include "catalog/pg_type.h"
#include "tcop/tcopprot.h"
}

static ExplainOneQuery_hook_type next_explain = nullptr;

/* The carrier of the query that is being explained; set by the executor. */
RlsCarrier *rls_explained = nullptr;

static const char *
item_text(Node *item)
{
	if (IsA(item, List))
		return "(subquery)";
	return deparse_expression(item, NIL, false, false);
}

static const char *
value_text(const Const *value)
{
	if (value->constisnull)
		return "NULL";
	if (value->consttype == BOOLOID)
		return DatumGetBool(value->constvalue) ? "true" : "false";
	ArrayType *keys = DatumGetArrayTypeP(value->constvalue);
	return psprintf("%d keys", ArrayGetNItems(ARR_NDIM(keys), ARR_DIMS(keys)));
}

static void
show_items(const RlsCarrier *carrier, ExplainState *es)
{
	List *shown = NIL;
	Bitmapset *facts = nullptr;
	ListCell *cell;
	int index = 0;

	foreach(cell, carrier->facts)
		facts = bms_add_member(facts, intVal(linitial((List *) lfirst(cell))));
	foreach(cell, carrier->items) {
		if (!bms_is_member(index, facts))
			shown = lappend(shown, psprintf("$%d = %s", carrier->base + index + 1, item_text((Node *) lfirst(cell))));
		index++;
	}
	if (shown != NIL)
		ExplainPropertyList("Policy Parameters", shown, es);
	shown = NIL;
	foreach(cell, carrier->facts) {
		index = intVal(linitial((List *) lfirst(cell)));
		shown = lappend(shown, psprintf("%s is %s", item_text((Node *) list_nth(carrier->items, index)),
										value_text((Const *) lsecond((List *) lfirst(cell)))));
	}
	if (shown != NIL)
		ExplainPropertyList("Policy Facts", shown, es);
}

static void
explain_query(Query *query, int cursor_options, IntoClause *into, ExplainState *es, const char *source,
			  ParamListInfo params, QueryEnvironment *environment)
{
	RlsCarrier carrier = {};
	RlsCarrier *outer = rls_explained;

	rls_explained = &carrier;
	PG_TRY();
	{
		if (next_explain != nullptr)
			next_explain(query, cursor_options, into, es, source, params, environment);
		else
			ms_explain_one_query(query, cursor_options, into, es, source, params, environment);
	}
	PG_FINALLY();
	{
		rls_explained = outer;
	}
	PG_END_TRY();
	if (carrier.items != NIL)
		show_items(&carrier, es);
}

void
rls_init_explain(void)
{
	next_explain = ExplainOneQuery_hook;
	ExplainOneQuery_hook = explain_query;
}
