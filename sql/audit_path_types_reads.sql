-- The same pairs as in audit_path_types, read: each row leads to its patient.
CREATE EXTENSION mentalspace;
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
\getenv abs_srcdir PG_ABS_SRCDIR
\set pairs :abs_srcdir '/test/lib/audit_pairs.sql'
\i :pairs
\o /dev/null
\set ECHO none
SELECT format('SELECT id, ref::text FROM f%s WHERE id = %s', id, n) FROM pairs, generate_series(1, 3) AS n ORDER BY id, n \gexec
\set ECHO all
\o
SELECT mentalspace.audit_flush();
-- pairs of which a read named another patient than that of its row, or none
SELECT p.referring, p.referred, e.row_count, array_agg(e.patient_ids::text) FROM mentalspace.audit_events AS e JOIN pairs AS p ON e.relation = 'public.f' || p.id
 WHERE e.kind = 'phi_access' GROUP BY p.id, 1, 2, 3
HAVING array_agg(e.patient_ids[1] ORDER BY e.patient_ids[1]) NOT IN ('{patient 1,patient 2}', '{patient 1,patient 2,patient 3}') ORDER BY p.id;
SELECT count(*) > 300, count(*) = (SELECT count(*) FROM mentalspace.audit_events WHERE action = 'C' AND relation LIKE 'public.f%' AND kind = 'data_modification'),
       bool_and(precision = 'delivered' AND row_count = 1)
  FROM mentalspace.audit_events WHERE kind = 'phi_access';
