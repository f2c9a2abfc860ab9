-- Cron schedules: one table of cases for both flavours (C++ and PL/pgSQL).
\set SHOW_CONTEXT never
CREATE EXTENSION mentalspace;
SET datestyle = 'ISO, YMD';

-- Whether a schedule has a minute.  2026-03-02 is a Monday.
CREATE TABLE cases (id int GENERATED ALWAYS AS IDENTITY, schedule text, at timestamp, expected boolean);
INSERT INTO cases (schedule, at, expected) VALUES
    ('* * * * *', '2026-03-02 09:30', true),
    ('30 9 * * *', '2026-03-02 09:30', true),
    ('30 9 * * *', '2026-03-02 09:31', false),
    ('30 9 * * *', '2026-03-02 10:30', false),
    (E' 30\t9  2 3 1 ', '2026-03-02 09:30', true),
    ('*/15 * * * *', '2026-03-02 09:30', true),
    ('*/15 * * * *', '2026-03-02 09:31', false),
    ('*/7 * * * *', '2026-03-02 09:56', true),
    ('*/7 * * * *', '2026-03-02 10:03', false),
    ('10-50/20 * * * *', '2026-03-02 09:30', true),
    ('10-50/20 * * * *', '2026-03-02 09:40', false),
    ('0,30,45 8,9 * * *', '2026-03-02 09:30', true),
    ('0,30,45 8,9 * * *', '2026-03-02 10:30', false),
    ('30 9 * MAR Mon-Fri', '2026-03-02 09:30', true),
    ('30 9 * feb,mar *', '2026-03-02 09:30', true),
    ('30 9 * jan-feb *', '2026-03-02 09:30', false),
    ('30 9 * * tue-sat', '2026-03-02 09:30', false),
    ('0 0 * * 0', '2026-03-01 00:00', true),
    ('0 0 * * 7', '2026-03-01 00:00', true),
    ('0 0 * * sun', '2026-03-01 00:00', true),
    ('0 0 * * 5-7', '2026-03-01 00:00', true),
    ('0 0 * * 1-6', '2026-03-01 00:00', false),
    ('0 0 5 * mon', '2026-03-02 00:00', true),
    ('0 0 5 * mon', '2026-03-05 00:00', true),
    ('0 0 5 * mon', '2026-03-06 00:00', false),
    ('0 0 */2 * thu', '2026-03-05 00:00', true),
    ('0 0 */2 * mon', '2026-03-02 00:00', false),
    ('0 0 5 * */2', '2026-03-05 00:00', true),
    ('0 0 5 * */2', '2026-03-03 00:00', false),
    ('0 12 $ * *', '2026-02-28 12:00', true),
    ('0 12 $ * *', '2024-02-28 12:00', false),
    ('0 12 $ * *', '2024-02-29 12:00', true),
    ('0 12 1,$ * *', '2026-04-30 12:00', true),
    ('0 12 1,$ * *', '2026-04-01 12:00', true),
    ('0 12 $ * *', '2026-05-30 12:00', false),
    ('0 12 29 2 *', '2024-02-29 12:00', true),
    ('@hourly', '2026-03-02 10:00', true),
    ('@HOURLY', '2026-03-02 10:30', false),
    ('@daily', '2026-03-02 00:00', true),
    ('@midnight', '2026-03-02 00:00', true),
    ('@midnight', '2026-03-02 12:00', false),
    ('@weekly', '2026-03-01 00:00', true),
    ('@weekly', '2026-03-02 00:00', false),
    ('@monthly', '2026-03-01 00:00', true),
    ('@yearly', '2026-03-01 00:00', false),
    ('@annually', '2026-01-01 00:00', true),
    ('30 seconds', '2026-03-02 09:30', true);
SELECT count(*) AS cases,
       count(*) FILTER (WHERE mentalspace.cron_due(schedule, at - interval '1 minute', at) = expected) AS as_expected
  FROM cases;
SELECT schedule, at, expected FROM cases
 WHERE mentalspace.cron_due(schedule, at - interval '1 minute', at) IS DISTINCT FROM expected ORDER BY id;

-- Spans: open below, closed above.
SELECT mentalspace.cron_due('0 3 * * *', '2026-03-02 02:59:59', '2026-03-02 03:00') AS on_time,
       mentalspace.cron_due('0 3 * * *', '2026-03-02 03:00', '2026-03-03 02:59:59') AS between,
       mentalspace.cron_due('0 3 * * *', '2026-03-02 03:00', '2026-03-03 03:00') AS next_day,
       mentalspace.cron_due('0 3 * * *', '2026-03-02 03:00', '2026-03-02 03:00') AS empty,
       mentalspace.cron_due('0 3 * * *', '2026-03-02 03:01', '2026-03-02 02:00') AS backwards,
       mentalspace.cron_due('0 0 30 2 *', '2026-01-01', '2026-12-31') AS never;
SELECT mentalspace.cron_due('20 seconds', '2026-03-02 03:00', '2026-03-02 03:00:19') AS before,
       mentalspace.cron_due('20 seconds', '2026-03-02 03:00', '2026-03-02 03:00:20') AS on_time,
       mentalspace.cron_due('1 second', '2026-03-02 03:00', '2026-03-02 03:00:01') AS singular,
       mentalspace.cron_due(NULL, '2026-03-02 03:00', '2026-03-02 03:00:01') IS NULL AS strict;
SELECT mentalspace.cron_due('* * * * *', '2026-01-01', '2028-01-01');
SELECT mentalspace.cron_due('* * * * *', '2026-01-01', 'infinity');

-- What is refused, and for what.
CREATE FUNCTION refusal(schedule text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    detail text;
BEGIN
    PERFORM mentalspace.cron_due(schedule, 'epoch', 'epoch');
    RETURN 'accepted';
EXCEPTION WHEN invalid_parameter_value THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RETURN detail;
END
$$;
SELECT s AS schedule, refusal(s) FROM unnest(ARRAY[
    '', '   ', '* * * *', '* * * * * *', '60 * * * *', '-1 * * * *', '1, * * * *', ',1 * * * *', '*/0 * * * *',
    '*/ * * * *', '5/15 * * * *', '30-10 * * * *', '1-2-3 * * * *', '0005 * * * *', '99999999999999999999 * * * *',
    '$ * * * *', 'jan * * * *', '*5 * * * *', '1.5 * * * *', '0 24 * * *', '0 0 0 * *', '0 0 32 * *', '0 0 $/2 * *',
    '0 0 * 0 *', '0 0 * 13 *', '0 0 * january *', '0 0 * * 8', '0 0 * * fri-mon', '0 0 * * fr', '0 seconds',
    '60 seconds', '-5 seconds', '5.5 seconds', '5 minutes', '@reboot', '@daily 1', '@', 'now']) AS s;
SELECT mentalspace.cron_due('61 * * * *', 'epoch', 'epoch');
