/* Keeps tokens out of the server's log and of pg_stat_activity, as far as they are ours to keep out. */
#pragma once

/* Overwrites what looks like a token in the text of the running statement that pg_stat_activity shows. */
void ms_redact_activity(void);

void ms_redact_init(void);
