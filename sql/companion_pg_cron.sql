-- The companion pg_cron: cron.schedule() and its siblings, who may do what, and mentalspace.cron_tick().
\set SHOW_CONTEXT never
CREATE EXTENSION mentalspace;
CREATE EXTENSION pg_cron;
COMMENT ON EXTENSION pg_cron IS 'a comment of the user''s own';
SELECT extversion ~ '-mentalspace$' AS companion FROM pg_extension WHERE extname = 'pg_cron';
SELECT current_user AS me, current_database() AS db \gset
CREATE VIEW jobs AS SELECT jobid, jobname, schedule, command, active FROM cron.job ORDER BY jobid;

-- Scheduling, and scheduling again by name.
SELECT cron.schedule('*/5 * * * *', 'SELECT 1');
SELECT cron.schedule('nightly', '30 3 * * *', 'DELETE FROM old');
SELECT cron.schedule('nightly', '@daily', 'DELETE FROM older');
SELECT cron.schedule('often', '10 seconds', 'SELECT 2');
TABLE jobs;
SELECT DISTINCT nodename, database = current_database() AS here, username = current_user AS mine FROM cron.job;

-- What is refused.
SELECT cron.schedule('bad', '61 * * * *', 'SELECT 1');
SELECT cron.schedule('bad', '60 seconds', 'SELECT 1');
SELECT cron.schedule(NULL, '* * * * *', 'SELECT 1');
SELECT cron.schedule('bad', '* * * * *', NULL);
SELECT cron.schedule('* * * * *', NULL) IS NULL AS strict;
SELECT cron.unschedule('no such job');
SELECT cron.unschedule(4711);
SELECT cron.alter_job(4711, active := false);
SELECT cron.alter_job(1, schedule := '* * *');
SELECT cron.alter_job(1, database := 'elsewhere');
SELECT cron.schedule_in_database('x', '* * * * *', 'SELECT 1', 'elsewhere');

-- Changing.
SELECT cron.alter_job(1, schedule := '0 1 * * *', active := false);
SELECT cron.alter_job(job_id := 2, command := 'SELECT 3');
SELECT cron.schedule_in_database('here', '0 0 * * *', 'SELECT 4', :'db', active := false);
TABLE jobs;
SELECT cron.unschedule(jobid) FROM cron.job WHERE jobname = 'often';
SELECT cron.unschedule('here');
SELECT cron.unschedule(1);
SELECT cron.unschedule('nightly');
TABLE jobs;

-- Roles: nothing without USAGE, then one's own jobs only.
CREATE ROLE regress_a;
CREATE ROLE regress_b;
GRANT regress_a, regress_b TO CURRENT_USER;
SET ROLE regress_a;
SELECT cron.schedule('job of a', '* * * * *', 'SELECT 1');
RESET ROLE;
GRANT USAGE ON SCHEMA cron TO regress_a, regress_b;
SELECT cron.schedule('mine', '* * * * *', 'SELECT 1') AS mine \gset
SET ROLE regress_a;
SELECT cron.schedule('job of a', '* * * * *', 'SELECT 1') AS job_a \gset
SET ROLE regress_b;
SELECT cron.schedule('job of a', '* * * * *', 'SELECT 1') <> :job_a AS another_job;
SELECT count(*) FROM cron.job;
SELECT cron.unschedule(:job_a);
SELECT cron.unschedule(:mine);
SELECT cron.alter_job(:job_a, active := false);
UPDATE cron.job SET command = 'DROP TABLE x' WHERE jobid = :job_a;
DELETE FROM cron.job WHERE jobid = :job_a;
-- Nobody can write another role's name, or choose what is not his to choose.
INSERT INTO cron.job (schedule, command, username) VALUES ('* * * * *', 'SELECT 1', 'regress_a');
INSERT INTO cron.job (schedule, command, username) VALUES ('* * * * *', 'SELECT 1', :'me');
INSERT INTO cron.job (jobid, schedule, command) VALUES (1000, '* * * * *', 'SELECT 1');
INSERT INTO cron.job (schedule, command, nodename) VALUES ('* * * * *', 'SELECT 1', 'elsewhere');
INSERT INTO cron.job (schedule, command, database) VALUES ('* * * * *', 'SELECT 1', 'elsewhere');
UPDATE cron.job SET username = :'me';
INSERT INTO cron.job_run_details (jobid, username) VALUES (1, 'regress_b');
UPDATE cron.job_run_details SET status = 'succeeded';
TRUNCATE cron.job;
UPDATE cron.last_tick SET last = NULL;
SELECT cron.schedule_in_database('x', '* * * * *', 'SELECT 1', :'db', 'regress_a');
SELECT count(*) FROM mentalspace.cron_tick();
SELECT mentalspace.cron_run('SELECT 1', current_user, '');
RESET ROLE;
-- alter_job is for whom an administrator lets; the role of a job only for superusers even then.
GRANT EXECUTE ON FUNCTION cron.alter_job(bigint, text, text, text, text, boolean) TO regress_b;
SET ROLE regress_b;
SELECT cron.alter_job(:job_a, active := false);
SELECT cron.alter_job(jobid, username := 'regress_a') FROM cron.job;
SELECT cron.alter_job(jobid, active := false) FROM cron.job;
SELECT jobname, active FROM cron.job;
RESET ROLE;
SELECT count(*) AS seen_by_owner FROM cron.job;
DELETE FROM cron.job;

-- cron_tick(): what is due since the last call, once.
CREATE TABLE log (entry text);
SELECT cron.schedule('every minute', '* * * * *', 'INSERT INTO log VALUES (''minute'')');
SELECT cron.schedule('at ten', '0 10 * * *', 'INSERT INTO log VALUES (''ten''), (''ten again'')');
SELECT cron.schedule('fails', '0 10 * * *', 'INSERT INTO log VALUES (''lost''); SELECT 1/0');
SELECT cron.schedule('asleep', '* * * * *', 'INSERT INTO log VALUES (''asleep'')') AS asleep \gset
SELECT cron.alter_job(:asleep, active := false);
SELECT jobname, status, return_message FROM mentalspace.cron_tick('2026-03-02 09:58:30+00');
SELECT jobname, status, return_message FROM mentalspace.cron_tick('2026-03-02 09:58:59+00');
SELECT jobname, status, return_message FROM mentalspace.cron_tick('2026-03-02 09:58:00+00');
SELECT jobname, status, return_message FROM mentalspace.cron_tick('2026-03-02 10:03:00+00');
SELECT jobname, status, return_message FROM mentalspace.cron_tick('2026-03-02 10:03:30+00');
TABLE log;
SELECT command, status, return_message, end_time >= start_time AS times, job_pid = pg_backend_pid() AS here, username = current_user AS mine
  FROM cron.job_run_details ORDER BY runid;
-- The clock of the jobs is GMT unless told otherwise; it is not the session's.
DELETE FROM cron.job;
DELETE FROM log;
SELECT cron.schedule('at eight', '0 8 * * *', 'SELECT 8');
SET timezone = 'America/New_York';
SELECT jobname FROM mentalspace.cron_tick('2026-03-03 08:00:00+00');
SET cron.timezone = 'America/New_York';
SELECT jobname FROM mentalspace.cron_tick('2026-03-03 12:59:00+00');
SELECT jobname FROM mentalspace.cron_tick('2026-03-03 13:00:00+00');
RESET cron.timezone;
RESET timezone;
-- Commands run with the caller's usual search_path and leave it alone.
DELETE FROM cron.job;
SELECT cron.schedule('path', '* * * * *', 'SELECT set_config(''search_path'', ''nowhere'', false); SELECT 1');
SELECT status, return_message FROM mentalspace.cron_tick('2026-03-04 08:00:00+00');
SELECT cron.schedule('path', '* * * * *', 'INSERT INTO log SELECT current_setting(''search_path'')');
SELECT status, return_message FROM mentalspace.cron_tick('2026-03-04 08:01:00+00');
TABLE log;
-- No transaction control: the whole call is one transaction.
SELECT cron.schedule('path', '* * * * *', 'COMMIT');
SELECT status, return_message FROM mentalspace.cron_tick('2026-03-04 08:02:00+00');
-- Rows of another database, as a copy of a database has them, are not run here.
UPDATE cron.job SET database = 'elsewhere';
SELECT status, return_message FROM mentalspace.cron_tick('2026-03-04 08:03:00+00');
-- Nor is what somebody wrote into the table by hand and makes no sense.
UPDATE cron.job SET database = current_database(), schedule = 'sometimes';
SELECT status, return_message FROM mentalspace.cron_tick('2026-03-04 08:04:00+00');
UPDATE cron.job SET schedule = '* * * * *', username = 'regress_nobody';
SELECT username, status, return_message FROM mentalspace.cron_tick('2026-03-04 08:05:00+00');

-- DROP, and CREATE again.
DROP EXTENSION pg_cron;
DROP EXTENSION pg_cron CASCADE;
SELECT to_regclass('cron.job') IS NULL AS gone;
SELECT * FROM mentalspace.cron_tick();
CREATE EXTENSION pg_cron WITH SCHEMA public;
SELECT cron.schedule('again', '@hourly', 'SELECT 1');
-- pg_dump takes the jobs, the runs and their numbers, and nothing else.
SELECT relname FROM pg_class WHERE oid = ANY ((SELECT extconfig FROM pg_extension WHERE extname = 'pg_cron')::oid[]) ORDER BY 1;
