-- cron_tick() and jobs of other roles, where the owner of the tables is no superuser.  What another role's command does must
\set SHOW_CONTEXT never
-- stay that role's.
CREATE EXTENSION mentalspace;
CREATE EXTENSION pg_cron;
CREATE ROLE regress_a;
CREATE ROLE regress_stranger;
GRANT regress_a TO CURRENT_USER;
GRANT USAGE ON SCHEMA cron TO regress_a, regress_stranger;
GRANT CREATE, USAGE ON SCHEMA public TO regress_a;
CREATE TABLE secret (s text);
INSERT INTO secret VALUES ('the owner''s');
CREATE TABLE log (who text, what text);
GRANT INSERT ON log TO regress_a;
SELECT current_user AS me \gset
-- One minute later each time.
CREATE SEQUENCE minute;
CREATE FUNCTION tick(command text) RETURNS TABLE (status text, return_message text) LANGUAGE plpgsql AS $$
BEGIN
    SET LOCAL ROLE regress_a;
    PERFORM cron.schedule('a', '* * * * *', command);
    RESET ROLE;
    RETURN QUERY SELECT t.status, t.return_message FROM mentalspace.cron_tick('2026-03-02 09:00:00+00'::timestamptz + nextval('minute') * interval '1 minute') t;
END
$$;
SELECT * FROM tick('INSERT INTO log VALUES (current_user, ''plain'')');
SELECT * FROM tick('SELECT * FROM secret');
SELECT * FROM tick('RESET ROLE; SELECT * FROM secret');
SELECT * FROM tick('SET ROLE none; SELECT * FROM secret');
SELECT * FROM tick('SELECT set_config(''role'', ''none'', false)');
SELECT * FROM tick('SET SESSION AUTHORIZATION DEFAULT; SELECT * FROM secret');
-- Settings end with the job.
SELECT * FROM tick('SET search_path = evil; SET request.jwt.claims = ''{"role": "service_role"}''; SET statement_timeout = 1');
SELECT current_user = :'me' AS still_me, current_setting('search_path') AS path, current_setting('request.jwt.claims', true) AS claims,
       current_setting('statement_timeout') AS timeout;
SELECT * FROM tick('SET TRANSACTION READ ONLY');
SELECT * FROM tick('INSERT INTO log VALUES (current_user, ''after'')');
-- What would run at the end of the transaction, with the owner's rights, does not get there.
SELECT * FROM tick($job$
    CREATE TABLE trap (a int);
    CREATE FUNCTION trapped() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN INSERT INTO log SELECT current_user, s FROM secret; RETURN NULL; END';
    CREATE CONSTRAINT TRIGGER t AFTER INSERT ON trap DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION trapped();
    INSERT INTO trap VALUES (1)$job$);
SELECT * FROM tick($job$
    CREATE TABLE trap (a int);
    CREATE FUNCTION trapped() RETURNS trigger LANGUAGE plpgsql AS $t$
    BEGIN
        IF NEW.a = 1 THEN
            SET CONSTRAINTS ALL DEFERRED;
            INSERT INTO trap VALUES (2);
        ELSE
            INSERT INTO log SELECT current_user, s FROM secret;
        END IF;
        RETURN NULL;
    END $t$;
    CREATE CONSTRAINT TRIGGER t AFTER INSERT ON trap DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION trapped();
    INSERT INTO trap VALUES (1)$job$);
SELECT * FROM tick($job$
    CREATE FUNCTION trapped() RETURNS text LANGUAGE plpgsql AS
        'BEGIN INSERT INTO log SELECT current_user, s FROM secret; RETURN s FROM secret; END';
    DECLARE c CURSOR WITH HOLD FOR SELECT trapped()$job$);
TABLE log;
SELECT to_regclass('trap') IS NULL AS undone;
SELECT count(*) AS left_behind FROM pg_proc WHERE pronamespace = pg_my_temp_schema();

-- A role that the caller may not become: refused, with a row that its user can see.
REVOKE regress_a FROM CURRENT_USER;
SELECT username, status, return_message FROM mentalspace.cron_tick('2026-03-05 09:00:00+00');
SELECT status, return_message FROM cron.job_run_details ORDER BY runid DESC LIMIT 1;
