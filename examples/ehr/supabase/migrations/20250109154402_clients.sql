CREATE TABLE public.clients (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  practice_id UUID NOT NULL REFERENCES public.practices(id),
  medical_record_number TEXT NOT NULL,
  first_name TEXT NOT NULL,
  last_name TEXT NOT NULL,
  date_of_birth DATE NOT NULL,
  phone TEXT,
  email TEXT,
  status TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('waitlist', 'active', 'discharged')),
  created_by UUID REFERENCES auth.users(id),
  created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
  updated_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
  UNIQUE (practice_id, medical_record_number)
);

-- Who treats whom. A client is seen by the clinicians assigned, not by every clinician.
CREATE TABLE public.client_assignments (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  client_id UUID NOT NULL REFERENCES public.clients(id) ON DELETE CASCADE,
  clinician_id UUID NOT NULL REFERENCES public.profiles(id),
  is_primary BOOLEAN NOT NULL DEFAULT true,
  assigned_on DATE NOT NULL DEFAULT CURRENT_DATE,
  ended_on DATE,
  UNIQUE (client_id, clinician_id)
);

CREATE INDEX idx_client_assignments_clinician ON public.client_assignments (clinician_id) WHERE ended_on IS NULL;

ALTER TABLE public.clients ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.client_assignments ENABLE ROW LEVEL SECURITY;

CREATE TRIGGER update_clients_updated_at
  BEFORE UPDATE ON public.clients
  FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();

CREATE OR REPLACE FUNCTION public.is_assigned(_client_id UUID)
RETURNS BOOLEAN
LANGUAGE sql
STABLE
SECURITY DEFINER
SET search_path = public
AS $$
  SELECT EXISTS (
    SELECT 1 FROM client_assignments a
    WHERE a.client_id = _client_id AND a.clinician_id = auth.uid() AND a.ended_on IS NULL
  )
$$;

-- Definer as well: policies of client_assignments look at clients and the other way round.
CREATE OR REPLACE FUNCTION public.client_practice_id(_client_id UUID)
RETURNS UUID
LANGUAGE sql
STABLE
SECURITY DEFINER
SET search_path = public
AS $$
  SELECT practice_id FROM clients WHERE id = _client_id
$$;

CREATE POLICY "Clinicians can view assigned clients"
  ON public.clients FOR SELECT
  USING (is_assigned(id));

CREATE POLICY "Office staff can view clients of the practice"
  ON public.clients FOR SELECT
  USING (
    practice_id = my_practice_id()
    AND (
      has_role(auth.uid(), 'administrator')
      OR has_role(auth.uid(), 'front_desk')
      OR has_role(auth.uid(), 'billing')
    )
  );

CREATE POLICY "Office staff can register clients"
  ON public.clients FOR INSERT
  WITH CHECK (
    practice_id = my_practice_id()
    AND (has_role(auth.uid(), 'administrator') OR has_role(auth.uid(), 'front_desk'))
  );

CREATE POLICY "Office staff can update clients"
  ON public.clients FOR UPDATE
  USING (
    practice_id = my_practice_id()
    AND (has_role(auth.uid(), 'administrator') OR has_role(auth.uid(), 'front_desk'))
  )
  WITH CHECK (practice_id = my_practice_id());

CREATE POLICY "Clinicians can update assigned clients"
  ON public.clients FOR UPDATE
  USING (is_assigned(id))
  WITH CHECK (is_assigned(id) AND practice_id = my_practice_id());

CREATE POLICY "Clinicians can view their assignments"
  ON public.client_assignments FOR SELECT
  USING (clinician_id = auth.uid());

CREATE POLICY "Administrators can manage assignments"
  ON public.client_assignments FOR ALL
  USING (has_role(auth.uid(), 'administrator') AND client_practice_id(client_id) = my_practice_id())
  WITH CHECK (has_role(auth.uid(), 'administrator') AND client_practice_id(client_id) = my_practice_id());

CREATE POLICY "Front desk can view assignments"
  ON public.client_assignments FOR SELECT
  USING (has_role(auth.uid(), 'front_desk') AND client_practice_id(client_id) = my_practice_id());
