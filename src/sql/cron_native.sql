-- Schedules and the background worker of the companion pg_cron, in C++ (src/companions/cron_functions.cpp).
CREATE FUNCTION mentalspace.cron_due(schedule text, after timestamp, until timestamp) RETURNS boolean
    LANGUAGE c IMMUTABLE PARALLEL SAFE STRICT
    AS 'MODULE_PATHNAME', 'ms_cron_due';
CREATE FUNCTION mentalspace.cron_worker_running() RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL RESTRICTED STRICT
    AS 'MODULE_PATHNAME', 'ms_cron_worker_running';
