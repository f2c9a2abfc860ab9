/* The configuration variables mentalspace.audit_*. */
#pragma once

#include "pg/prelude.h"

enum AuditRingFull { kRingFullWait, kRingFullFail };
enum AuditStandby { kStandbySpool, kStandbyLog };
enum AuditDurability { kDurableProcess, kDurableMachine };

extern bool audit_enabled;
extern int audit_ring_size;           /* kB */
extern int audit_ring_full;
extern int audit_standby;
extern int audit_durability;
extern int audit_bulk_patients;
extern char *audit_spool_directory;
extern char *audit_purpose;
extern char *audit_break_glass;

void ms_audit_settings_init(void);
