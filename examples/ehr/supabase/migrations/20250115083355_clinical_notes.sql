CREATE TYPE public.note_status AS ENUM ('draft', 'awaiting_cosignature', 'signed');

CREATE TABLE public.clinical_notes (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  client_id UUID NOT NULL REFERENCES public.clients(id) ON DELETE RESTRICT,
  appointment_id UUID REFERENCES public.appointments(id),
  author_id UUID NOT NULL REFERENCES public.profiles(id),
  note_type TEXT NOT NULL DEFAULT 'progress' CHECK (note_type IN ('intake', 'progress', 'discharge', 'addendum')),
  content JSONB NOT NULL DEFAULT '{}'::jsonb,
  status public.note_status NOT NULL DEFAULT 'draft',
  signed_at TIMESTAMP WITH TIME ZONE,
  cosigned_by UUID REFERENCES public.profiles(id),
  cosigned_at TIMESTAMP WITH TIME ZONE,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
  updated_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now()
);

CREATE INDEX idx_clinical_notes_client ON public.clinical_notes (client_id);
CREATE INDEX idx_clinical_notes_author ON public.clinical_notes (author_id);

ALTER TABLE public.clinical_notes ENABLE ROW LEVEL SECURITY;

CREATE TRIGGER update_clinical_notes_updated_at
  BEFORE UPDATE ON public.clinical_notes
  FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();

-- Minimum necessary: the office needs no session notes, so no policy gives it any.
CREATE POLICY "Authors can view their notes"
  ON public.clinical_notes FOR SELECT TO authenticated
  USING (author_id = auth.uid());

CREATE POLICY "The care team can view signed notes"
  ON public.clinical_notes FOR SELECT TO authenticated
  USING (status = 'signed' AND is_assigned(client_id));

CREATE POLICY "Clinicians can write notes for assigned clients"
  ON public.clinical_notes FOR INSERT TO authenticated
  WITH CHECK (author_id = auth.uid() AND is_assigned(client_id) AND status = 'draft');

CREATE POLICY "Authors can work on their notes"
  ON public.clinical_notes FOR UPDATE TO authenticated
  USING (author_id = auth.uid())
  WITH CHECK (author_id = auth.uid());

CREATE POLICY "Authors can discard drafts"
  ON public.clinical_notes FOR DELETE TO authenticated
  USING (author_id = auth.uid() AND status = 'draft');
