-- Review: the front desk needs to know that somebody comes, not why.
DROP POLICY IF EXISTS "Front desk can view diagnoses" ON public.diagnoses;

-- The name said "read and write"; the policy only reads.
ALTER POLICY "Portal users can read and write messages" ON public.portal_messages
  RENAME TO "Portal users can read their messages";

-- A draft is no part of the record: it cannot be discarded once somebody else could have seen it.
DROP POLICY "Authors can discard drafts" ON public.clinical_notes;
CREATE POLICY "Authors can discard drafts"
  ON public.clinical_notes FOR DELETE TO authenticated
  USING (author_id = auth.uid() AND status = 'draft' AND signed_at IS NULL);
