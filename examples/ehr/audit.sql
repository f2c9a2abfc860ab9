-- What of the example is patients' data, and so audited.  Migrations know nothing of this: it is declared once they have
-- been applied, by a superuser: psql -1 -v ON_ERROR_STOP=1 -f audit.sql.  Can be run again.
-- audit_discover() proposes the tables that lead to a client over foreign keys, with the way:
--
--   SELECT relation, patient_key, distance FROM mentalspace.audit_discover('public.clients');

-- The record: all that is proposed and is no matter of the calendar's or the portal's inner works.
SELECT mentalspace.audit_table(relation, patient_key)
  FROM mentalspace.audit_discover('public.clients')
 WHERE relation::text NOT IN ('clients', 'psychotherapy_notes', 'claims', 'payments');

-- The values of these columns appear in events as salted digests: whether they changed, not what they are.
SELECT mentalspace.audit_table('public.clients', 'id', redact => '{medical_record_number,phone,email}');

-- Each read is an alert (45 CFR 164.501), and what the note says is kept out of the record of its changes.
SELECT mentalspace.audit_table('public.psychotherapy_notes', 'client_id', category => 'psychotherapy_note',
                               redact => '{content}');

SELECT mentalspace.audit_table('public.claims', 'client_id', category => 'billing'),
       mentalspace.audit_table('public.payments', 'client_id', category => 'billing');

-- Who may do what: has_role() looks here, so changes are events of the kind permission_change.
SELECT mentalspace.audit_table('public.user_roles', NULL, reads => false);

-- Nothing that leads to a client may be forgotten, also after the next migration.
DO $$
DECLARE
    forgotten text;
BEGIN
    SELECT string_agg(relation::text, ', ') INTO forgotten
      FROM mentalspace.audit_discover('public.clients') WHERE NOT audited;
    IF forgotten IS NOT NULL THEN
        RAISE EXCEPTION 'not audited: %', forgotten USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
END
$$;
