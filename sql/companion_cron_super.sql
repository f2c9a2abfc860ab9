-- cron_tick() by a superuser runs the superuser's own jobs only; members of a role may be given the schema.
\set SHOW_CONTEXT never
CREATE EXTENSION mentalspace;
CREATE ROLE regress_maker LOGIN CREATEROLE;
GRANT CREATE ON DATABASE regression TO regress_maker;
SET ROLE regress_maker;
CREATE EXTENSION pg_cron;
SELECT rolsuper AS tables_belong_to_superuser FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner WHERE c.oid = 'cron.job'::regclass;
SELECT cron.schedule('mine', '* * * * *', 'SELECT current_user');
SELECT cron.alter_job(1, command := 'SELECT 2');
SELECT cron.alter_job(1, username := 'postgres');
UPDATE cron.job SET username = 'postgres';
INSERT INTO cron.job_run_details (jobid) VALUES (1);
CREATE TRIGGER t BEFORE INSERT ON cron.job_run_details EXECUTE FUNCTION suppress_redundant_updates_trigger();
CREATE ROLE regress_other;
GRANT USAGE ON SCHEMA cron TO regress_other;
RESET ROLE;
SELECT cron.schedule('super', '* * * * *', 'SELECT 1');
SELECT username, status, return_message FROM mentalspace.cron_tick('2026-03-02 09:00:00+00');
SELECT cron.alter_job(1, username := 'postgres');
SELECT cron.alter_job(1, username := 'regress_nobody');
SELECT cron.schedule_in_database('other', '@daily', 'SELECT 1', 'regression', 'regress_other');
SELECT jobname, username FROM cron.job ORDER BY jobid;
