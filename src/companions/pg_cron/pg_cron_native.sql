-- The background worker hears of changes.
CREATE FUNCTION cron.job_cache_invalidate() RETURNS trigger
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'ms_cron_job_changed';
COMMENT ON FUNCTION cron.job_cache_invalidate() IS 'tells the background worker that jobs have changed';
CREATE TRIGGER cron_job_cache_invalidate AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON cron.job
    FOR EACH STATEMENT EXECUTE FUNCTION cron.job_cache_invalidate();
COMMENT ON TRIGGER cron_job_cache_invalidate ON cron.job IS 'tells the background worker that jobs have changed';

-- The tables belong to the superuser that the worker is; whoever created the extension administers it.
GRANT USAGE ON SCHEMA cron TO @extowner@ WITH GRANT OPTION;
GRANT EXECUTE ON FUNCTION cron.alter_job(bigint, text, text, text, text, boolean),
    cron.schedule_in_database(text, text, text, text, text, boolean) TO @extowner@ WITH GRANT OPTION;
