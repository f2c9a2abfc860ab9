/* mentalspace.audit_enabled: whoever turns the audit off leaves a trace, however it is done. */
#pragma once

/* At the beginning of whatever is executed: an event if the switch was moved since the last time, by SET, set_config(), a
 * setting of the role or the database, or the configuration file.  Cheap. */
void ms_audit_check_switch(void);
