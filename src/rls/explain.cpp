/* EXPLAIN shows what was taken out of policies: the parameters that the plan refers to, and the facts it was made
 * with. */
#include "pg/prelude.h"

#include "pg/module.h"
#include "rls/items.h"

extern "C" {
#include "commands/explain.h"
#include "nodes/nodeFuncs.h"
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

/* What a subquery gave is for those to see who may read its tables. */
static const char *
fact_text(Node *item, const Const *value)
{
	if (IsA(item, List))
		return "(subquery) is settled";
	if (value->constisnull)
		return psprintf("%s is NULL", item_text(item));
	return psprintf("%s is %s", item_text(item), DatumGetBool(value->constvalue) ? "true" : "false");
}

static void
show_items(const RlsCarrier *carrier, ExplainState *es)
{
	List *parameters = NIL, *facts = NIL;
	ListCell *cell, *fact;
	int index = 0;

	foreach(cell, carrier->items) {
		const char *text = item_text((Node *) lfirst(cell));
		bool is_parameter = true;

		foreach(fact, carrier->facts)
			if (intVal(linitial((List *) lfirst(fact))) == index) {
				/* Keys are parameters of the plan, whatever it was made with. */
				is_parameter = ((Const *) lsecond((List *) lfirst(fact)))->consttype != BOOLOID;
				if (is_parameter)
					text = "keys of a subquery";
			}
		if (is_parameter)
			parameters = lappend(parameters, psprintf("$%d = %s", carrier->base + index + 1, text));
		index++;
	}
	foreach(fact, carrier->facts) {
		const Const *value = (const Const *) lsecond((List *) lfirst(fact));

		if (value->consttype == BOOLOID)
			facts = lappend(facts, (void *) fact_text((Node *) list_nth(carrier->items, intVal(linitial((List *) lfirst(fact)))),
													  value));
	}
	if (parameters != NIL)
		ExplainPropertyList("Policy Parameters", parameters, es);
	if (facts != NIL)
		ExplainPropertyList("Policy Facts", facts, es);
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
