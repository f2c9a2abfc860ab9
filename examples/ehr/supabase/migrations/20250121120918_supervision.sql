CREATE TABLE public.supervision_relationships (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  supervisor_id UUID NOT NULL REFERENCES public.profiles(id),
  associate_id UUID NOT NULL REFERENCES public.profiles(id),
  started_on DATE NOT NULL,
  ended_on DATE,
  UNIQUE (supervisor_id, associate_id),
  CHECK (supervisor_id <> associate_id)
);

ALTER TABLE public.supervision_relationships ENABLE ROW LEVEL SECURITY;

CREATE OR REPLACE FUNCTION public.is_supervisor_of(_associate_id UUID)
RETURNS BOOLEAN
LANGUAGE sql
STABLE
SECURITY DEFINER
SET search_path = public
AS $$
  SELECT EXISTS (
    SELECT 1 FROM supervision_relationships s
    WHERE s.supervisor_id = auth.uid() AND s.associate_id = _associate_id AND s.ended_on IS NULL
  )
$$;

CREATE OR REPLACE FUNCTION public.supervises_client(_client_id UUID)
RETURNS BOOLEAN
LANGUAGE sql
STABLE
SECURITY DEFINER
SET search_path = public
AS $$
  SELECT EXISTS (
    SELECT 1
    FROM supervision_relationships s
    JOIN client_assignments a ON a.clinician_id = s.associate_id AND a.ended_on IS NULL
    WHERE s.supervisor_id = auth.uid() AND s.ended_on IS NULL AND a.client_id = _client_id
  )
$$;

CREATE POLICY "Both sides can view a supervision"
  ON public.supervision_relationships FOR SELECT TO authenticated
  USING (auth.uid() IN (supervisor_id, associate_id));

CREATE POLICY "Administrators can manage supervision"
  ON public.supervision_relationships FOR ALL TO authenticated
  USING (
    has_role(auth.uid(), 'administrator')
    AND EXISTS (SELECT 1 FROM profiles p WHERE p.id = associate_id AND p.practice_id = my_practice_id())
  )
  WITH CHECK (
    has_role(auth.uid(), 'administrator')
    AND has_role(supervisor_id, 'supervisor')
    AND EXISTS (SELECT 1 FROM profiles p WHERE p.id = associate_id AND p.practice_id = my_practice_id())
  );

CREATE POLICY "Supervisors can view clients of their associates"
  ON public.clients FOR SELECT TO authenticated
  USING (supervises_client(id));

CREATE POLICY "Supervisors can view appointments of their associates"
  ON public.appointments FOR SELECT TO authenticated
  USING (is_supervisor_of(clinician_id));

CREATE POLICY "Supervisors can view notes of their associates"
  ON public.clinical_notes FOR SELECT TO authenticated
  USING (is_supervisor_of(author_id) AND status <> 'draft');

CREATE POLICY "Supervisors can co-sign notes of their associates"
  ON public.clinical_notes FOR UPDATE TO authenticated
  USING (is_supervisor_of(author_id) AND status = 'awaiting_cosignature')
  WITH CHECK (is_supervisor_of(author_id) AND cosigned_by = auth.uid());

-- What a note may become: a signed one stays as it is, an associate's waits for the supervisor.
CREATE OR REPLACE FUNCTION public.guard_clinical_note()
RETURNS TRIGGER
LANGUAGE plpgsql
SET search_path = public
AS $$
BEGIN
  IF OLD.status = 'signed' THEN
    RAISE EXCEPTION 'a signed note cannot be changed: write an addendum';
  END IF;
  IF NEW.client_id <> OLD.client_id OR NEW.author_id <> OLD.author_id THEN
    RAISE EXCEPTION 'a note stays with its client and its author';
  END IF;
  IF OLD.status = 'awaiting_cosignature' THEN
    IF NOT is_supervisor_of(OLD.author_id) THEN
      RAISE EXCEPTION 'this note waits for the signature of a supervisor' USING ERRCODE = '42501';
    END IF;
    IF NEW.content <> OLD.content THEN
      RAISE EXCEPTION 'a supervisor signs a note, but does not rewrite it' USING ERRCODE = '42501';
    END IF;
    NEW.cosigned_at = now();
  ELSIF NEW.cosigned_by IS NOT NULL OR NEW.cosigned_at IS NOT NULL THEN
    RAISE EXCEPTION 'only a note that waits for it can be co-signed' USING ERRCODE = '42501';
  ELSIF NEW.status = 'signed' AND has_role(OLD.author_id, 'associate') THEN
    NEW.status = 'awaiting_cosignature';
    NEW.signed_at = now();
  ELSIF NEW.status = 'signed' THEN
    NEW.signed_at = now();
  END IF;
  RETURN NEW;
END;
$$;

CREATE TRIGGER guard_clinical_note
  BEFORE UPDATE ON public.clinical_notes
  FOR EACH ROW EXECUTE FUNCTION public.guard_clinical_note();

-- Called by the application: supabase.rpc('cosign_note', { _note_id })
CREATE OR REPLACE FUNCTION public.cosign_note(_note_id UUID)
RETURNS BOOLEAN
LANGUAGE plpgsql
SECURITY INVOKER
SET search_path = public
AS $$
BEGIN
  UPDATE clinical_notes
  SET status = 'signed', cosigned_by = auth.uid()
  WHERE id = _note_id AND status = 'awaiting_cosignature';
  IF NOT FOUND THEN
    RAISE EXCEPTION 'no such note waits for your signature' USING ERRCODE = '42501';
  END IF;
  RETURN true;
END;
$$;
