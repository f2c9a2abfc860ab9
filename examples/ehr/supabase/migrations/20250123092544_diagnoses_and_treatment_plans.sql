CREATE TABLE public.diagnoses (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  client_id UUID NOT NULL REFERENCES public.clients(id) ON DELETE CASCADE,
  icd10_code TEXT NOT NULL CHECK (icd10_code ~ '^[A-Z][0-9][0-9A-Z](\.[0-9A-Z]{1,4})?$'),
  description TEXT NOT NULL,
  is_primary BOOLEAN NOT NULL DEFAULT true,
  diagnosed_by UUID REFERENCES public.profiles(id),
  diagnosed_on DATE NOT NULL,
  resolved_on DATE
);

CREATE TABLE public.treatment_plans (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  client_id UUID NOT NULL REFERENCES public.clients(id) ON DELETE CASCADE,
  author_id UUID NOT NULL REFERENCES public.profiles(id),
  goals JSONB NOT NULL DEFAULT '[]'::jsonb,
  review_on DATE,
  shared_with_client BOOLEAN NOT NULL DEFAULT false,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
  updated_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now()
);

CREATE INDEX idx_diagnoses_client ON public.diagnoses (client_id);
CREATE INDEX idx_treatment_plans_client ON public.treatment_plans (client_id);

ALTER TABLE public.diagnoses ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.treatment_plans ENABLE ROW LEVEL SECURITY;

CREATE TRIGGER update_treatment_plans_updated_at
  BEFORE UPDATE ON public.treatment_plans
  FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();

CREATE POLICY "The care team can view diagnoses"
  ON public.diagnoses FOR SELECT TO authenticated
  USING (is_assigned(client_id) OR supervises_client(client_id));

-- A claim needs a diagnosis code.
CREATE POLICY "Billing can view diagnoses"
  ON public.diagnoses FOR SELECT TO authenticated
  USING (has_role(auth.uid(), 'billing') AND client_practice_id(client_id) = my_practice_id());

-- The front desk asks for the reason of referral.
CREATE POLICY "Front desk can view diagnoses"
  ON public.diagnoses FOR SELECT TO authenticated
  USING (has_role(auth.uid(), 'front_desk') AND client_practice_id(client_id) = my_practice_id());

CREATE POLICY "Licensed clinicians can diagnose"
  ON public.diagnoses FOR INSERT TO authenticated
  WITH CHECK (
    is_assigned(client_id)
    AND diagnosed_by = auth.uid()
    AND (has_role(auth.uid(), 'therapist') OR has_role(auth.uid(), 'supervisor'))
  );

CREATE POLICY "The care team can view treatment plans"
  ON public.treatment_plans FOR SELECT TO authenticated
  USING (is_assigned(client_id) OR supervises_client(client_id));

CREATE POLICY "Clinicians can write treatment plans"
  ON public.treatment_plans FOR INSERT TO authenticated
  WITH CHECK (author_id = auth.uid() AND is_assigned(client_id));

CREATE POLICY "Authors can revise treatment plans"
  ON public.treatment_plans FOR UPDATE TO authenticated
  USING (author_id = auth.uid() AND is_assigned(client_id))
  WITH CHECK (author_id = auth.uid() AND is_assigned(client_id));
