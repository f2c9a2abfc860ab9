-- For audit tests: `:show` prints the events that came since the last time, `:skip` does not.  To be included by a
-- superuser, whose name is not printed.
\pset null -
CREATE SCHEMA shown;
CREATE TABLE shown.events (event_id bigint PRIMARY KEY);
CREATE FUNCTION shown.next(OUT kind text, OUT action text, OUT relation text, OUT patients text, OUT rows bigint,
    OUT outcome text, OUT severity text, OUT who text, OUT detail text) RETURNS SETOF record LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    fresh bigint[];
BEGIN
    SELECT array_agg(e.event_id) INTO fresh FROM mentalspace.audit_events AS e
     WHERE NOT EXISTS (SELECT FROM shown.events AS s WHERE s.event_id = e.event_id);
    INSERT INTO shown.events SELECT unnest(fresh);
    RETURN QUERY SELECT e.kind, e.action, e.relation, (SELECT string_agg(p, ' ' ORDER BY p) FROM unnest(e.patient_ids) AS p),
            e.row_count, e.outcome, e.severity, replace(e.current_user_name, regress.name, 'superuser'),
            replace(e.detail, regress.name, 'superuser')
       FROM mentalspace.audit_events AS e, (SELECT pg_get_userbyid(10) AS name) AS regress WHERE e.event_id = ANY (fresh)
      ORDER BY e.occurred_at, e.event_id;
END $$;
\set show 'SELECT mentalspace.audit_flush(); SELECT * FROM shown.next();'
\set skip 'SELECT mentalspace.audit_flush(); SELECT count(*) > 0 AS skipped FROM shown.next();'
-- Where one statement reads in several parts, which come together or not.
\set sums 'SELECT mentalspace.audit_flush(); SELECT kind, relation, patients, sum(rows) AS rows FROM shown.next() GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;'
