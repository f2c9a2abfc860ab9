-- Psychotherapy notes (45 CFR 164.501) are kept apart from the rest of the record: a table of their own, for the
-- clinician who wrote them and for nobody else.
CREATE TABLE public.psychotherapy_notes (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  client_id UUID NOT NULL REFERENCES public.clients(id) ON DELETE RESTRICT,
  author_id UUID NOT NULL DEFAULT auth.uid() REFERENCES public.profiles(id),
  session_date DATE NOT NULL,
  content TEXT NOT NULL,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
  updated_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now()
);

CREATE INDEX idx_psychotherapy_notes_author ON public.psychotherapy_notes (author_id);

ALTER TABLE public.psychotherapy_notes ENABLE ROW LEVEL SECURITY;

CREATE TRIGGER update_psychotherapy_notes_updated_at
  BEFORE UPDATE ON public.psychotherapy_notes
  FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();

CREATE POLICY "Only the author has psychotherapy notes"
  ON public.psychotherapy_notes FOR ALL TO authenticated
  USING (author_id = (SELECT auth.uid()))
  WITH CHECK (author_id = (SELECT auth.uid()) AND is_assigned(client_id));

COMMENT ON TABLE public.psychotherapy_notes IS
  'Separate from the record: 45 CFR 164.501. Not part of exports, portal or supervision.';
