/* What parallel workers are told: a configuration variable takes it there, as all of them are sent to a worker.
 *
 * A worker has the part of the plan below a Gather and follows the patient there as the leader did, but does not know
 * what becomes of its rows.  So the leader names every node that it counts at. */
#include "pg/prelude.h"

#include "audit/context.h"
#include "audit/marks.h"
#include "audit/parallel.h"
#include "audit/reads.h"

extern "C" {
#include "access/parallel.h"
}

/* Its check hook lets nothing in but what this file puts there: "" or what is below, in hexadecimal digits. */
static const char kCarrier[] = "mentalspace.audit_parallel";
static char *carrier = nullptr;
static bool publishing = false;

struct PublishedItem {
	int32 node;              /* plan_node_id */
	Oid relid;
	int16 attno;
	uint8 place;
	bool counts_only;
	bool dropped;
};

struct Published {
	uint32 event_bytes;      /* an encoded event follows, 8-aligned, */
	uint32 marks;            /* then members of the range table that are policies' own, */
	uint32 items;            /* then items */
	bool policy;             /* all of it is a policy's */
};

/* In a worker. */
static AuditEvent leader;
static AuditWho leader_who;
static const PublishedItem *agreed = nullptr;
static uint32 agreed_count = 0;

/* ---- the leader ---- */

static void
append_item(StringInfo out, const AuditItem *item)
{
	PublishedItem published = {};

	published.node = item->counted_at->plan->plan_node_id;
	published.relid = item->relid;
	published.attno = item->attno;
	published.place = item->place;
	published.counts_only = item->counts_only;
	published.dropped = item->dropped;
	appendBinaryStringInfo(out, (const char *) &published, sizeof(published));
}

static char *
describe(AuditCapture *capture)
{
	StringInfoData bytes;
	AuditEvent event;
	Published header = {};

	initStringInfo(&bytes);
	appendBinaryStringInfo(&bytes, (const char *) &header, sizeof(header));
	while (bytes.len % 8 != 0)
		appendStringInfoChar(&bytes, '\0');
	int begin = bytes.len;
	ms_audit_event_init(&event, capture && capture->exporting ? kExport : kPhiAccess, kRead);
	event.statement_id = ms_audit_statement_id();
	ms_audit_encode(&event, &bytes);
	header.event_bytes = (uint32) (bytes.len - begin);
	while (bytes.len % 8 != 0)
		appendStringInfoChar(&bytes, '\0');
	header.policy = audit_policy_depth > 0;
	if (capture != nullptr) {
		uint32 rti = 0;
		ListCell *cell;

		foreach(cell, capture->estate->es_range_table) {
			const RangeTblEntry *entry = (const RangeTblEntry *) lfirst(cell);

			rti++;
			if (!ms_audit_is_policy_read(entry))
				continue;
			appendBinaryStringInfo(&bytes, (const char *) &rti, sizeof(rti));
			header.marks++;
		}
		for (const AuditTap *tap = capture->taps; tap != nullptr; tap = tap->sibling)
			for (const AuditItem *item = tap->items; item != nullptr; item = item->next)
				if (item->counted_at != nullptr) {
					append_item(&bytes, item);
					header.items++;
				}
		for (const AuditItem *item = capture->dropped; item != nullptr; item = item->next) {
			append_item(&bytes, item);
			header.items++;
		}
	}
	memcpy(bytes.data, &header, sizeof(header));

	char *text = (char *) palloc((Size) bytes.len * 2 + 1);
	uint64 length = hex_encode(bytes.data, (size_t) bytes.len, text);
	text[length] = '\0';
	pfree(bytes.data);
	return text;
}

void
ms_audit_publish(AuditCapture *capture)
{
	char *value = describe(capture);

	publishing = true;
	PG_TRY();
	{
		/* For the transaction only; the next parallel query sets it anew. */
		(void) set_config_option(kCarrier, value, PGC_SUSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
	}
	PG_FINALLY();
	{
		publishing = false;
	}
	PG_END_TRY();
	pfree(value);
}

/* ---- the worker ---- */

bool
ms_audit_adopt(List *range_table)
{
	agreed_count = 0;
	if (carrier == nullptr || *carrier == '\0')
		return false;
	size_t length = strlen(carrier);
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	char *bytes = (char *) palloc(length / 2 + 8);
	MemoryContextSwitchTo(old);

	length = hex_decode(carrier, length, bytes);
	const Published *header = (const Published *) bytes;
	size_t at = MAXALIGN(sizeof(Published));
	if (length < at || !ms_audit_decode(bytes + at, header->event_bytes, &leader, &leader_who))
		return false;
	at = MAXALIGN(at + header->event_bytes);
	for (uint32 i = 0; i < header->marks && at + sizeof(uint32) <= length; i++) {
		uint32 rti;

		memcpy(&rti, bytes + at, sizeof(rti));
		at += sizeof(rti);
		if (rti >= 1 && rti <= (uint32) list_length(range_table))
			ms_audit_mark_policy_read((RangeTblEntry *) list_nth(range_table, (int) rti - 1));
	}
	agreed = (const PublishedItem *) (bytes + at);
	if (at + header->items * sizeof(PublishedItem) <= length)
		agreed_count = header->items;
	if (header->policy)
		audit_policy_depth = 1;
	ms_audit_who_override(&leader_who);
	ms_audit_capture_for(&leader);
	return true;
}

static const PublishedItem *
agreed_on(const AuditItem *item, const PlanState *node)
{
	while (IsA(node, HashState))
		node = outerPlanState(node);
	for (uint32 i = 0; i < agreed_count; i++) {
		const PublishedItem *published = &agreed[i];

		if (published->node == node->plan->plan_node_id && published->relid == item->relid &&
			published->attno == item->attno && published->place == item->place)
			return published;
	}
	return nullptr;
}

void
ms_audit_agree(AuditLineage *lineage, AuditItem *top, PlanState *root)
{
	for (AuditItem *item = lineage->settled; item != nullptr; item = item->next) {
		const PublishedItem *published = agreed_on(item, item->counted_at);

		if (published != nullptr) {
			item->counts_only = published->counts_only;
			item->dropped = published->dropped;
		}
	}
	while (top != nullptr) {
		AuditItem *item = top;

		top = item->next;
		item->next = nullptr;
		item->counted_at = root;
		for (; item != nullptr; item = item->fallback) {
			const PublishedItem *published = agreed_on(item, item->counted_at);

			if (published == nullptr)
				continue;
			item->counts_only = published->counts_only;
			item->dropped = published->dropped;
			item->fallback = nullptr;
			item->next = nullptr;
			ms_audit_settle(lineage, item, item->counted_at);
			break;
		}
	}
}

/* ---- the variable ---- */

static bool
check_carrier(char **value, void **extra, GucSource source)
{
	(void) extra;
	/* The leader's value reaches a worker with the source it had there; whatever ALTER ROLE, ALTER DATABASE or the
	 * client's options bring has another. */
	if (publishing || source <= PGC_S_DYNAMIC_DEFAULT || *value == nullptr || **value == '\0' ||
		(InitializingParallelWorker && source == PGC_S_SESSION))
		return true;
	GUC_check_errcode(ERRCODE_INSUFFICIENT_PRIVILEGE);
	GUC_check_errmsg("parameter \"%s\" cannot be set", kCarrier);
	return false;
}

static const char *
show_carrier(void)
{
	return "";
}

void
ms_audit_parallel_init(void)
{
	DefineCustomStringVariable(kCarrier, "Tells parallel workers whose reading they take part in.",
							   "Set by the module alone; reads as empty.",
							   &carrier, "", PGC_SUSET,
							   GUC_NO_SHOW_ALL | GUC_NO_RESET_ALL | GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE |
							   GUC_SUPERUSER_ONLY,
							   check_carrier, nullptr, show_carrier);
}
