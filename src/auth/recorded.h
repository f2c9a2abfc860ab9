/* The settings of the identity that mentalspace.auth_settings has for this database, so that they come along with a dump. */
#pragma once

/* Puts in force those that the database itself lacks; reads the table once in a session.  Before settings are relied on. */
void ms_recorded_recall(void);

/* After the lock is initialised: is to run before it looks at the settings. */
void ms_recorded_init(void);
