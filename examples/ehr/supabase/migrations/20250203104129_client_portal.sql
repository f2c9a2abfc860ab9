-- A portal user is a user of the application without a role: what they see hangs on the client they are linked to.
CREATE TABLE public.client_portal_users (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  user_id UUID NOT NULL REFERENCES auth.users(id) ON DELETE CASCADE,
  client_id UUID NOT NULL REFERENCES public.clients(id) ON DELETE CASCADE,
  relationship TEXT NOT NULL DEFAULT 'self' CHECK (relationship IN ('self', 'guardian')),
  is_active BOOLEAN NOT NULL DEFAULT true,
  UNIQUE (user_id, client_id)
);

CREATE TABLE public.portal_messages (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  client_id UUID NOT NULL REFERENCES public.clients(id) ON DELETE CASCADE,
  sender_id UUID NOT NULL REFERENCES auth.users(id),
  body TEXT NOT NULL CHECK (length(body) BETWEEN 1 AND 4000),
  read_at TIMESTAMP WITH TIME ZONE,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now()
);

CREATE TABLE public.portal_documents (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  client_id UUID NOT NULL REFERENCES public.clients(id) ON DELETE CASCADE,
  title TEXT NOT NULL,
  storage_path TEXT NOT NULL UNIQUE,
  shared_by UUID REFERENCES public.profiles(id),
  created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now()
);

ALTER TABLE public.client_portal_users ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.portal_messages ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.portal_documents ENABLE ROW LEVEL SECURITY;

CREATE OR REPLACE FUNCTION public.my_client_ids()
RETURNS SETOF UUID
LANGUAGE sql
STABLE
SECURITY DEFINER
SET search_path = public
AS $$
  SELECT client_id FROM client_portal_users WHERE user_id = auth.uid() AND is_active
$$;

CREATE POLICY "Portal users can view their links"
  ON public.client_portal_users FOR SELECT TO authenticated
  USING (user_id = auth.uid());

CREATE POLICY "Front desk can invite portal users"
  ON public.client_portal_users FOR ALL TO authenticated
  USING (has_role(auth.uid(), 'front_desk') AND client_practice_id(client_id) = my_practice_id())
  WITH CHECK (has_role(auth.uid(), 'front_desk') AND client_practice_id(client_id) = my_practice_id());

CREATE POLICY "Portal users can view their own record"
  ON public.clients FOR SELECT TO authenticated
  USING (id IN (SELECT my_client_ids()));

CREATE POLICY "Portal users can view their appointments"
  ON public.appointments FOR SELECT TO authenticated
  USING (client_id IN (SELECT my_client_ids()));

CREATE POLICY "Portal users can view shared treatment plans"
  ON public.treatment_plans FOR SELECT TO authenticated
  USING (shared_with_client AND client_id IN (SELECT my_client_ids()));

CREATE POLICY "Portal users can view their payments"
  ON public.payments FOR SELECT TO authenticated
  USING (client_id IN (SELECT my_client_ids()));

CREATE POLICY "Portal users can read and write messages"
  ON public.portal_messages FOR SELECT TO authenticated
  USING (client_id IN (SELECT my_client_ids()));

CREATE POLICY "Portal users can send messages"
  ON public.portal_messages FOR INSERT TO authenticated
  WITH CHECK (sender_id = auth.uid() AND client_id IN (SELECT my_client_ids()));

CREATE POLICY "Clinicians can read messages of their clients"
  ON public.portal_messages FOR SELECT TO authenticated
  USING (is_assigned(client_id));

CREATE POLICY "Clinicians can answer messages"
  ON public.portal_messages FOR INSERT TO authenticated
  WITH CHECK (sender_id = auth.uid() AND is_assigned(client_id));

CREATE POLICY "Portal users can view their documents"
  ON public.portal_documents FOR SELECT TO authenticated
  USING (client_id IN (SELECT my_client_ids()));

CREATE POLICY "Clinicians can share documents"
  ON public.portal_documents FOR ALL TO authenticated
  USING (is_assigned(client_id))
  WITH CHECK (is_assigned(client_id) AND shared_by = auth.uid());

COMMENT ON TABLE public.client_portal_users IS 'Links a sign-in to a client: the client themselves or a guardian';
