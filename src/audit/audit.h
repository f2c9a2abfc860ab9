/* Entry points of the parts of src/audit, called by ms_audit_init() in audit.cpp. */
#pragma once

void ms_audit_writes_init(void);
void ms_audit_statement_init(void);
void ms_audit_utility_init(void);
void ms_audit_denied_init(void);
