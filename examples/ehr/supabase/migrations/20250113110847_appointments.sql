CREATE EXTENSION IF NOT EXISTS btree_gist WITH SCHEMA extensions;

CREATE TYPE public.appointment_status AS ENUM ('scheduled', 'checked_in', 'completed', 'cancelled', 'no_show');

CREATE TABLE public.appointments (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  practice_id UUID NOT NULL REFERENCES public.practices(id),
  client_id UUID NOT NULL REFERENCES public.clients(id) ON DELETE CASCADE,
  clinician_id UUID NOT NULL REFERENCES public.profiles(id),
  starts_at TIMESTAMP WITH TIME ZONE NOT NULL,
  ends_at TIMESTAMP WITH TIME ZONE NOT NULL,
  service_code TEXT NOT NULL DEFAULT '90834',
  status public.appointment_status NOT NULL DEFAULT 'scheduled',
  created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
  updated_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
  CHECK (ends_at > starts_at),
  -- Nobody is in two sessions at once.
  CONSTRAINT appointments_no_double_booking EXCLUDE USING gist (
    clinician_id WITH =,
    tstzrange(starts_at, ends_at) WITH &&
  ) WHERE (status <> 'cancelled')
);

CREATE INDEX idx_appointments_client ON public.appointments (client_id);

ALTER TABLE public.appointments ENABLE ROW LEVEL SECURITY;

CREATE TRIGGER update_appointments_updated_at
  BEFORE UPDATE ON public.appointments
  FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();

CREATE POLICY "Clinicians can view their appointments"
  ON public.appointments FOR SELECT TO authenticated
  USING (clinician_id = auth.uid() OR is_assigned(client_id));

CREATE POLICY "Clinicians can update their appointments"
  ON public.appointments FOR UPDATE TO authenticated
  USING (clinician_id = auth.uid())
  WITH CHECK (clinician_id = auth.uid() AND practice_id = my_practice_id());

CREATE POLICY "Office staff can manage the calendar"
  ON public.appointments FOR ALL TO authenticated
  USING (
    practice_id = my_practice_id()
    AND (has_role(auth.uid(), 'administrator') OR has_role(auth.uid(), 'front_desk'))
  )
  WITH CHECK (
    practice_id = my_practice_id()
    AND client_practice_id(client_id) = my_practice_id()
    AND (has_role(auth.uid(), 'administrator') OR has_role(auth.uid(), 'front_desk'))
  );

CREATE POLICY "Billing can view the calendar"
  ON public.appointments FOR SELECT TO authenticated
  USING (practice_id = my_practice_id() AND has_role(auth.uid(), 'billing'));
