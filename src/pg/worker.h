/* What the module's background workers share. */
#pragma once

#include "pg/prelude.h"

/* True if somebody holds, or waits for, the database as a whole (DROP DATABASE, CREATE DATABASE with it as template):
 * the worker should leave. */
bool ms_worker_database_is_wanted(void);

/* Whether a database has files: to connect to one that was dropped would fail, again and again. */
bool ms_worker_database_exists(Oid database);

/* Settings of the database must not get in the way of the worker's own statements. */
void ms_worker_fix_settings(void);

/* Waits for `milliseconds`, or less if something happens, and does what every process has to do in between. */
void ms_worker_wait(long milliseconds);
