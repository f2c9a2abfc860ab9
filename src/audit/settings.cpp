/* The configuration variables mentalspace.audit_*.
 *
 * Only a superuser sets them, except for the purpose of use and the break-glass access that a session claims. */
#include "pg/prelude.h"

#include "audit/settings.h"

bool audit_enabled = true;
int audit_ring_size = 16384;
int audit_ring_full = kRingFullWait;
int audit_standby = kStandbySpool;
int audit_durability = kDurableProcess;
int audit_bulk_patients = 50;
char *audit_spool_directory = nullptr;
char *audit_purpose = nullptr;
char *audit_break_glass = nullptr;

static const struct config_enum_entry kRingFullChoices[] = {
	{"wait", kRingFullWait, false}, {"fail", kRingFullFail, false}, {nullptr, 0, false}};
static const struct config_enum_entry kStandbyChoices[] = {
	{"spool", kStandbySpool, false}, {"log", kStandbyLog, false}, {nullptr, 0, false}};
static const struct config_enum_entry kDurabilityChoices[] = {
	{"process", kDurableProcess, false}, {"machine", kDurableMachine, false}, {nullptr, 0, false}};

void
ms_audit_settings_init(void)
{
	DefineCustomBoolVariable("mentalspace.audit_enabled",
							 "Whether the audit of declared tables works at all.",
							 "Off: reads and writes of audited tables leave no trace.  For repairs by a superuser; switching it "
							 "is itself an audit event.",
							 &audit_enabled, true, PGC_SUSET, 0, nullptr, nullptr, nullptr);
	DefineCustomEnumVariable("mentalspace.audit_ring_full",
							 "What a read does when the worker does not keep up.",
							 "wait: until there is room.  fail: with an error (53400).  Nothing is dropped in either case.",
							 &audit_ring_full, kRingFullWait, kRingFullChoices, PGC_SUSET, 0, nullptr, nullptr, nullptr);
	DefineCustomEnumVariable("mentalspace.audit_standby",
							 "Where a standby leaves the events of reads.",
							 "spool: as JSON lines in mentalspace.audit_spool_directory, which the primary's worker or "
							 "mentalspace.audit_ingest() takes over.  log: in the server's log.",
							 &audit_standby, kStandbySpool, kStandbyChoices, PGC_SUSET, 0, nullptr, nullptr, nullptr);
	DefineCustomEnumVariable("mentalspace.audit_durability",
							 "What the record of a read that was begun survives.",
							 "process: the end of any process of the server, kill -9 included.  machine: also a power failure, at "
							 "the price of a flush to disk before the first row of each statement.",
							 &audit_durability, kDurableProcess, kDurabilityChoices, PGC_SUSET, 0, nullptr, nullptr, nullptr);
	DefineCustomIntVariable("mentalspace.audit_bulk_patients",
							"Number of patients in one statement above which an event is a warning.",
							nullptr, &audit_bulk_patients, 50, 0, INT_MAX, PGC_SUSET, 0, nullptr, nullptr, nullptr);
	DefineCustomStringVariable("mentalspace.audit_purpose",
							   "Purpose of use, which every event names.",
							   "A code such as TREAT, HPAYMT or HOPERAT (HL7 PurposeOfUse), set by the application for the "
							   "session or transaction.",
							   &audit_purpose, "", PGC_USERSET, 0, nullptr, nullptr, nullptr);
	DefineCustomStringVariable("mentalspace.audit_break_glass",
							   "Identifier of the emergency access that is being used, which every event names.",
							   nullptr, &audit_break_glass, "", PGC_USERSET, 0, nullptr, nullptr, nullptr);
	DefineCustomIntVariable("mentalspace.audit_ring_size",
							"Size of the ring through which reads reach the worker, in each database with audited tables.",
							"A file of this size in the data directory, mapped by every session.  Takes effect for rings that "
							"are made from then on.",
							&audit_ring_size, 16384, 64, 1024 * 1024, PGC_SIGHUP, GUC_UNIT_KB, nullptr, nullptr, nullptr);
	DefineCustomStringVariable("mentalspace.audit_spool_directory",
							   "Directory for events that no ring can take: those of a standby above all.",
							   "Absolute, or relative to the data directory.  The worker of a primary takes over what it finds there.",
							   &audit_spool_directory, "mentalspace/spool", PGC_SIGHUP, GUC_SUPERUSER_ONLY, nullptr, nullptr,
							   nullptr);
}
