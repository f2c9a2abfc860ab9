-- pg_cron's tables and functions.  Row-level security decides who may see and change which job: the functions run with the
-- rights of their caller, and no right on the tables goes beyond what they do.
CREATE SEQUENCE cron.jobid_seq;
CREATE SEQUENCE cron.runid_seq;
COMMENT ON SEQUENCE cron.jobid_seq IS 'ids of jobs';
COMMENT ON SEQUENCE cron.runid_seq IS 'ids of runs';

CREATE TABLE cron.job (
    jobid bigint PRIMARY KEY DEFAULT pg_catalog.nextval('cron.jobid_seq'),
    schedule text NOT NULL,
    command text NOT NULL,
    nodename text NOT NULL DEFAULT 'localhost',
    nodeport integer NOT NULL DEFAULT pg_catalog.current_setting('port')::integer,
    database text NOT NULL DEFAULT pg_catalog.current_database(),
    username text NOT NULL DEFAULT CURRENT_USER,
    active boolean NOT NULL DEFAULT true,
    jobname text,
    CONSTRAINT jobname_username_uniq UNIQUE (jobname, username)
);
COMMENT ON TABLE cron.job IS 'jobs: what runs when, as which role; only those of this database are run';

CREATE TABLE cron.job_run_details (
    jobid bigint,
    runid bigint PRIMARY KEY DEFAULT pg_catalog.nextval('cron.runid_seq'),
    job_pid integer,
    database text,
    username text,
    command text,
    status text,
    return_message text,
    start_time timestamptz,
    end_time timestamptz
);
COMMENT ON TABLE cron.job_run_details IS 'runs of jobs; status is starting, running, succeeded or failed';

-- Not in pg_dump's output: what a copy of the database has run is its own matter.
CREATE TABLE cron.last_tick (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    last timestamptz
);
INSERT INTO cron.last_tick DEFAULT VALUES;
COMMENT ON TABLE cron.last_tick IS 'up to when mentalspace.cron_tick() has run the jobs';

ALTER TABLE cron.job ENABLE ROW LEVEL SECURITY;
ALTER TABLE cron.job_run_details ENABLE ROW LEVEL SECURITY;
CREATE POLICY cron_job_policy ON cron.job USING (username = CURRENT_USER);
CREATE POLICY cron_job_run_details_policy ON cron.job_run_details USING (username = CURRENT_USER);
COMMENT ON POLICY cron_job_policy ON cron.job IS 'a role sees and changes its own jobs';
COMMENT ON POLICY cron_job_run_details_policy ON cron.job_run_details IS 'a role sees and deletes its own runs';
GRANT SELECT, DELETE ON cron.job, cron.job_run_details TO PUBLIC;
GRANT INSERT (schedule, command, username, active, jobname), UPDATE (schedule, command, database, active) ON cron.job TO PUBLIC;
GRANT USAGE, SELECT ON SEQUENCE cron.jobid_seq TO PUBLIC;
GRANT SELECT ON SEQUENCE cron.runid_seq TO PUBLIC;

SELECT pg_catalog.pg_extension_config_dump('cron.job', '');
SELECT pg_catalog.pg_extension_config_dump('cron.jobid_seq', '');
SELECT pg_catalog.pg_extension_config_dump('cron.job_run_details', '');
SELECT pg_catalog.pg_extension_config_dump('cron.runid_seq', '');

CREATE FUNCTION cron.schedule(schedule text, command text) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    job_id bigint;
BEGIN
    PERFORM mentalspace.cron_due(schedule, 'epoch', 'epoch');
    INSERT INTO cron.job AS j (schedule, command) VALUES (schedule.schedule, schedule.command) RETURNING j.jobid INTO job_id;
    RETURN job_id;
END
$$;
COMMENT ON FUNCTION cron.schedule(text, text) IS 'schedules a command as a job without a name; returns the job''s id';

CREATE FUNCTION cron.schedule(job_name text, schedule text, command text) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    job_id bigint;
BEGIN
    IF job_name IS NULL OR schedule IS NULL OR command IS NULL THEN
        RAISE EXCEPTION '% must not be null', CASE WHEN job_name IS NULL THEN 'job_name' WHEN schedule IS NULL THEN 'schedule' ELSE 'command' END
            USING ERRCODE = 'null_value_not_allowed';
    END IF;
    PERFORM mentalspace.cron_due(schedule, 'epoch', 'epoch');
    INSERT INTO cron.job AS j (jobname, schedule, command) VALUES (schedule.job_name, schedule.schedule, schedule.command)
        ON CONFLICT ON CONSTRAINT jobname_username_uniq DO UPDATE SET schedule = excluded.schedule, command = excluded.command
        RETURNING j.jobid INTO job_id;
    RETURN job_id;
END
$$;
COMMENT ON FUNCTION cron.schedule(text, text, text) IS
    'schedules a command as a job with a name, or changes the caller''s job of that name; returns the job''s id';

CREATE FUNCTION cron.alter_job(job_id bigint, schedule text DEFAULT NULL, command text DEFAULT NULL, database text DEFAULT NULL,
                               username text DEFAULT NULL, active boolean DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    IF username IS NOT NULL AND NOT (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user) THEN
        RAISE EXCEPTION 'must be superuser to change the role of a job' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF username IS NOT NULL AND to_regrole(quote_ident(username)) IS NULL THEN
        RAISE EXCEPTION 'role "%" does not exist', username USING ERRCODE = 'undefined_object';
    END IF;
    IF database <> current_database() THEN
        RAISE EXCEPTION 'cannot run jobs in database "%" from here', database
            USING ERRCODE = 'feature_not_supported', HINT = 'Create extension pg_cron in that database and schedule the job there.';
    END IF;
    IF schedule IS NOT NULL THEN
        PERFORM mentalspace.cron_due(schedule, 'epoch', 'epoch');
    END IF;
    UPDATE cron.job j
       SET schedule = coalesce(alter_job.schedule, j.schedule), command = coalesce(alter_job.command, j.command),
           database = coalesce(alter_job.database, j.database), active = coalesce(alter_job.active, j.active)
     WHERE j.jobid = alter_job.job_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'job % does not exist or you do not own it', coalesce(job_id::text, 'NULL') USING ERRCODE = 'undefined_object';
    END IF;
    IF username IS NOT NULL THEN
        UPDATE cron.job j SET username = alter_job.username WHERE j.jobid = alter_job.job_id;
    END IF;
END
$$;
COMMENT ON FUNCTION cron.alter_job(bigint, text, text, text, text, boolean) IS 'changes a job: what is null stays as it is';

CREATE FUNCTION cron.schedule_in_database(job_name text, schedule text, command text, database text,
                                          username text DEFAULT NULL, active boolean DEFAULT true) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    job_id bigint;
    other boolean := username <> current_user;
BEGIN
    IF other AND NOT (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user) THEN
        RAISE EXCEPTION 'must be superuser to schedule a job of another role' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF job_name IS NULL OR schedule IS NULL OR command IS NULL OR active IS NULL THEN
        RAISE EXCEPTION 'job_name, schedule, command and active must not be null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    IF database IS DISTINCT FROM current_database() THEN
        RAISE EXCEPTION 'cannot run jobs in database "%" from here', database
            USING ERRCODE = 'feature_not_supported', HINT = 'Create extension pg_cron in that database and schedule the job there.';
    END IF;
    IF other AND to_regrole(quote_ident(username)) IS NULL THEN
        RAISE EXCEPTION 'role "%" does not exist', username USING ERRCODE = 'undefined_object';
    END IF;
    PERFORM mentalspace.cron_due(schedule, 'epoch', 'epoch');
    INSERT INTO cron.job AS j (jobname, schedule, command, username, active)
        VALUES (job_name, schedule_in_database.schedule, schedule_in_database.command,
                coalesce(schedule_in_database.username, current_user), schedule_in_database.active)
        ON CONFLICT ON CONSTRAINT jobname_username_uniq DO UPDATE
            SET schedule = excluded.schedule, command = excluded.command, active = excluded.active
        RETURNING j.jobid INTO job_id;
    RETURN job_id;
END
$$;
COMMENT ON FUNCTION cron.schedule_in_database(text, text, text, text, text, boolean) IS
    'as cron.schedule(); the database can only be the current one';

CREATE FUNCTION cron.unschedule(job_id bigint) RETURNS boolean
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    DELETE FROM cron.job j WHERE j.jobid = job_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'could not find valid entry for job ''%''', job_id USING ERRCODE = 'undefined_object';
    END IF;
    RETURN true;
END
$$;
COMMENT ON FUNCTION cron.unschedule(bigint) IS 'deletes a job by its id';

CREATE FUNCTION cron.unschedule(job_name text) RETURNS boolean
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    DELETE FROM cron.job j WHERE j.jobname = job_name AND j.username = current_user;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'could not find valid entry for job ''%''', job_name USING ERRCODE = 'undefined_object';
    END IF;
    RETURN true;
END
$$;
COMMENT ON FUNCTION cron.unschedule(text) IS 'deletes the caller''s job of that name';

-- As in pg_cron: who administers the database decides who may call these.
REVOKE ALL ON FUNCTION cron.alter_job(bigint, text, text, text, text, boolean),
    cron.schedule_in_database(text, text, text, text, text, boolean) FROM PUBLIC;
