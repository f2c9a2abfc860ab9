/* Connections for replication as exports.  Only where the library is preloaded with the server. */
#pragma once

void ms_audit_replication_init(void);
