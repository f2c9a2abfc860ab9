-- Staff see clinical data only after a second factor (aal2). Portal users may go on with a password.
DO $$
DECLARE
  _table TEXT;
BEGIN
  FOREACH _table IN ARRAY ARRAY[
    'clients', 'appointments', 'clinical_notes', 'psychotherapy_notes', 'diagnoses', 'treatment_plans',
    'claims', 'payments', 'portal_messages', 'portal_documents'
  ] LOOP
    EXECUTE format(
      'CREATE POLICY "Staff need a second factor" ON public.%I AS RESTRICTIVE FOR ALL TO authenticated '
      'USING ((SELECT auth.jwt() ->> ''aal'') = ''aal2'' OR NOT (SELECT public.is_staff(auth.uid())))', _table);
  END LOOP;
END
$$;
