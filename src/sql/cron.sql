-- What both flavours say of schedules, and cron_tick(), which runs the jobs of the companion pg_cron where no background
-- worker does.
COMMENT ON FUNCTION mentalspace.cron_due(text, timestamp, timestamp) IS
    'whether a cron schedule has a time later than "after" and not later than "until", both of the schedule''s local clock; an error for a schedule that is not understood';
COMMENT ON FUNCTION mentalspace.cron_worker_running() IS 'whether a background worker runs the cron jobs of this database';

-- Runs one command as a role, for cron_tick().  The command of another role runs within a SECURITY DEFINER function of
-- that role: there, unlike after a plain SET ROLE, it cannot come back to the caller's rights by RESET ROLE.  What it
-- could leave behind to run later with the caller's rights is refused: the caller's subtransaction undoes the run.
CREATE FUNCTION mentalspace.cron_run(command text, username text, path text) RETURNS text
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    caller CONSTANT text := current_setting('role');
    wrapper CONSTANT text := format('pg_temp.%I', 'mentalspace_cron_' || gen_random_uuid());
    count bigint;
BEGIN
    IF username = current_user THEN
        PERFORM set_config('search_path', path, true);
        EXECUTE command;
        GET DIAGNOSTICS count = ROW_COUNT;
        EXECUTE 'RESET ALL';
        PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    ELSE
        PERFORM set_config('role', username, true);
        EXECUTE format($create$
            CREATE FUNCTION %s(command text, path text) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER AS $body$
            DECLARE
                count bigint;
            BEGIN
                PERFORM pg_catalog.set_config('search_path', path, true);
                EXECUTE command;
                GET DIAGNOSTICS count = ROW_COUNT;
                SET CONSTRAINTS ALL IMMEDIATE;
                RETURN count;
            END
            $body$ $create$, wrapper);
        PERFORM set_config('role', caller, true);
        EXECUTE format('SELECT %s($1, $2)', wrapper) INTO count USING command, path;
        -- First of all: no setting of the command may reach a statement of ours, nor the next job.
        EXECUTE 'RESET ALL';
        PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
        IF EXISTS (SELECT FROM pg_cursors c WHERE c.is_holdable) THEN
            RAISE EXCEPTION 'the job leaves a cursor WITH HOLD open' USING ERRCODE = 'feature_not_supported';
        END IF;
        IF EXISTS (SELECT FROM pg_trigger t
                     JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid
                     JOIN pg_roles r ON r.oid IN (c.relowner, p.proowner)
                    WHERE t.tgdeferrable AND p.proname NOT LIKE 'RI\_FKey\_%'
                      AND r.rolname <> current_user AND NOT r.rolsuper) THEN
            RAISE EXCEPTION 'jobs of other roles cannot run while other roles have deferrable triggers or constraints'
                USING ERRCODE = 'feature_not_supported',
                      DETAIL = 'Such a trigger could run at the end of the transaction with the rights of the caller of mentalspace.cron_tick().';
        END IF;
        PERFORM set_config('role', username, true);
        EXECUTE format('DROP FUNCTION %s(text, text)', wrapper);
        PERFORM set_config('role', caller, true);
    END IF;
    RETURN format('%s %s', count, CASE count WHEN 1 THEN 'row' ELSE 'rows' END);
END
$$;
REVOKE ALL ON FUNCTION mentalspace.cron_run(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION mentalspace.cron_run(text, text, text) IS 'runs one job for mentalspace.cron_tick()';

-- To be called by the owner of cron.job.  Not SECURITY DEFINER: PostgreSQL forbids SET ROLE within such functions.
CREATE FUNCTION mentalspace.cron_tick(now timestamptz DEFAULT pg_catalog.now())
    RETURNS TABLE (jobid bigint, jobname text, username text, status text, return_message text)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_variable
DECLARE
    zone CONSTANT text := coalesce(nullif(current_setting('cron.timezone', true), ''), 'GMT');
    path CONSTANT text := (SELECT s.reset_val FROM pg_settings s WHERE s.name = 'search_path');
    -- Since PostgreSQL 16 a member may be one without SET ROLE.
    become CONSTANT text := CASE WHEN current_setting('server_version_num')::integer < 160000 THEN 'MEMBER' ELSE 'SET' END;
    superuser CONSTANT boolean := (SELECT bool_or(r.rolsuper) FROM pg_roles r WHERE r.rolname IN (current_user, session_user));
    since timestamptz;
    began timestamptz;
    job record;
BEGIN
    IF to_regclass('cron.last_tick') IS NULL THEN
        RAISE EXCEPTION 'the companion extension pg_cron is not installed in this database'
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Run CREATE EXTENSION pg_cron.';
    END IF;
    IF mentalspace.cron_worker_running() THEN
        RAISE EXCEPTION 'a background worker runs the jobs of this database'
            USING ERRCODE = 'object_in_use', HINT = 'Set mentalspace.cron_worker = off to run them by mentalspace.cron_tick().';
    END IF;

    -- Whoever comes second waits here, and finds nothing left to do.
    SELECT t.last INTO STRICT since FROM cron.last_tick t FOR UPDATE;
    IF now <= since THEN
        RETURN;
    END IF;
    since := greatest(coalesce(since, date_trunc('minute', now) - interval '1 second'), now - interval '1 day');
    UPDATE cron.last_tick t SET last = now;

    FOR job IN SELECT j.* FROM cron.job j WHERE j.active ORDER BY j.jobid LOOP
        jobid := job.jobid;
        jobname := job.jobname;
        username := job.username;
        status := NULL;
        began := clock_timestamp();
        BEGIN
            CONTINUE WHEN NOT mentalspace.cron_due(job.schedule, since AT TIME ZONE zone, now AT TIME ZONE zone);
            return_message := CASE
                WHEN job.database <> current_database() THEN format('the job belongs to database "%s"', job.database)
                WHEN job.username = current_user THEN NULL
                WHEN to_regrole(quote_ident(job.username)) IS NULL THEN format('role "%s" does not exist', job.username)
                WHEN superuser THEN 'a superuser does not run the jobs of other roles'
                WHEN NOT pg_has_role(session_user, job.username, become) THEN
                    format('role "%s" may not become role "%s"', session_user, job.username)
                END;
            IF return_message IS NULL THEN
                return_message := mentalspace.cron_run(job.command, job.username, path);
                status := 'succeeded';
            ELSE
                status := 'refused';
            END IF;
            INSERT INTO cron.job_run_details (jobid, job_pid, database, username, command, status, return_message, start_time, end_time)
                VALUES (job.jobid, pg_backend_pid(), job.database, job.username, job.command,
                        CASE status WHEN 'refused' THEN 'failed' ELSE status END, return_message, began, clock_timestamp());
        EXCEPTION WHEN OTHERS THEN
            status := 'failed';
            return_message := 'ERROR:  ' || SQLERRM;
            INSERT INTO cron.job_run_details (jobid, job_pid, database, username, command, status, return_message, start_time, end_time)
                VALUES (job.jobid, pg_backend_pid(), job.database, job.username, job.command,
                        status, return_message, began, clock_timestamp());
        END;
        RETURN NEXT;
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION mentalspace.cron_tick(timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION mentalspace.cron_tick(timestamptz) IS
    'runs the jobs of the companion pg_cron that are due since the last call, where no background worker does; returns one row per job that was due';
