CREATE TYPE public.claim_status AS ENUM ('draft', 'submitted', 'paid', 'denied');

CREATE TABLE public.payers (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  name TEXT NOT NULL UNIQUE,
  payer_code TEXT
);

CREATE TABLE public.claims (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  practice_id UUID NOT NULL REFERENCES public.practices(id),
  client_id UUID NOT NULL REFERENCES public.clients(id) ON DELETE RESTRICT,
  appointment_id UUID NOT NULL UNIQUE REFERENCES public.appointments(id),
  payer_id UUID REFERENCES public.payers(id),
  amount NUMERIC(10, 2) NOT NULL CHECK (amount > 0),
  status public.claim_status NOT NULL DEFAULT 'draft',
  submitted_on DATE,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
  updated_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now()
);

CREATE TABLE public.payments (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  practice_id UUID NOT NULL REFERENCES public.practices(id),
  client_id UUID NOT NULL REFERENCES public.clients(id) ON DELETE RESTRICT,
  claim_id UUID REFERENCES public.claims(id),
  amount NUMERIC(10, 2) NOT NULL,
  method TEXT NOT NULL CHECK (method IN ('insurance', 'card', 'check', 'cash')),
  received_on DATE NOT NULL
);

CREATE INDEX idx_claims_client ON public.claims (client_id);
CREATE INDEX idx_payments_client ON public.payments (client_id);

ALTER TABLE public.payers ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.claims ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.payments ENABLE ROW LEVEL SECURITY;

CREATE TRIGGER update_claims_updated_at
  BEFORE UPDATE ON public.claims
  FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();

CREATE POLICY "Staff can view payers"
  ON public.payers FOR SELECT
  USING (auth.role() = 'authenticated' AND is_staff(auth.uid()));

CREATE POLICY "Billing can manage claims"
  ON public.claims FOR ALL TO authenticated
  USING (practice_id = my_practice_id() AND has_role(auth.uid(), 'billing'))
  WITH CHECK (
    practice_id = my_practice_id()
    AND client_practice_id(client_id) = my_practice_id()
    AND has_role(auth.uid(), 'billing')
  );

CREATE POLICY "Administrators can view claims"
  ON public.claims FOR SELECT TO authenticated
  USING (practice_id = my_practice_id() AND has_role(auth.uid(), 'administrator'));

CREATE POLICY "Clinicians can view claims of their clients"
  ON public.claims FOR SELECT TO authenticated
  USING (is_assigned(client_id) AND has_role(auth.uid(), 'therapist'));

CREATE POLICY "Billing can manage payments"
  ON public.payments FOR ALL TO authenticated
  USING (practice_id = my_practice_id() AND has_role(auth.uid(), 'billing'))
  WITH CHECK (
    practice_id = my_practice_id()
    AND client_practice_id(client_id) = my_practice_id()
    AND has_role(auth.uid(), 'billing')
  );

CREATE POLICY "Administrators can view payments"
  ON public.payments FOR SELECT TO authenticated
  USING (practice_id = my_practice_id() AND has_role(auth.uid(), 'administrator'));

-- Copayments are taken at the desk.
CREATE POLICY "Front desk can take copayments"
  ON public.payments FOR INSERT TO authenticated
  WITH CHECK (
    practice_id = my_practice_id()
    AND client_practice_id(client_id) = my_practice_id()
    AND method IN ('card', 'check', 'cash')
    AND has_role(auth.uid(), 'front_desk')
  );
