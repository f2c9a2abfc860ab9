-- For tests of reads: seen() gives what events have come since the last look, by kind; patients as they are, sorted.
CREATE TABLE looked (event_id bigint);
CREATE FUNCTION seen(OUT relation text, OUT event text, OUT rows numeric, OUT patients text) RETURNS SETOF record LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM mentalspace.audit_flush();
    CREATE TEMPORARY TABLE new AS SELECT * FROM mentalspace.audit_events WHERE event_id NOT IN (SELECT event_id FROM looked);
    INSERT INTO looked SELECT event_id FROM new;
    RETURN QUERY SELECT n.relation, concat_ws(' ', n.kind, n.action, n.precision, nullif(n.outcome, 'success'), nullif(n.severity, 'info')), sum(n.row_count),
                        (SELECT string_agg(p, ' ' ORDER BY length(p), p) FROM
                            (SELECT DISTINCT unnest(m.patient_ids) AS p FROM new AS m WHERE (m.relation, m.kind, m.action, m.outcome, m.severity, coalesce(m.precision, ''))
                                = (n.relation, n.kind, n.action, n.outcome, n.severity, coalesce(n.precision, ''))) AS d)
        FROM new AS n WHERE n.kind IN ('phi_access', 'export', 'data_modification', 'denied')
        GROUP BY n.relation, n.kind, n.action, n.precision, n.outcome, n.severity ORDER BY 1, 2;
    DROP TABLE new;
END
$$;
