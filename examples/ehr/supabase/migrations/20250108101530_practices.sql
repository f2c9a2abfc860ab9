CREATE TABLE public.practices (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  name TEXT NOT NULL,
  npi TEXT,
  timezone TEXT NOT NULL DEFAULT 'America/New_York',
  created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
  updated_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now()
);

ALTER TABLE public.practices ENABLE ROW LEVEL SECURITY;

-- Staff belong to one practice; portal users have none.
ALTER TABLE public.profiles
  ADD COLUMN IF NOT EXISTS practice_id UUID REFERENCES public.practices(id);

CREATE TRIGGER update_practices_updated_at
  BEFORE UPDATE ON public.practices
  FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();

CREATE OR REPLACE FUNCTION public.my_practice_id()
RETURNS UUID
LANGUAGE sql
STABLE
SECURITY DEFINER
SET search_path = public
AS $$
  SELECT practice_id FROM profiles WHERE id = auth.uid()
$$;

CREATE OR REPLACE FUNCTION public.is_staff(_user_id UUID)
RETURNS BOOLEAN
LANGUAGE sql
STABLE
SECURITY DEFINER
SET search_path = public
AS $$
  SELECT EXISTS (SELECT 1 FROM user_roles WHERE user_id = _user_id)
$$;

CREATE POLICY "Staff can view their practice"
  ON public.practices FOR SELECT
  USING (id = my_practice_id());

CREATE POLICY "Administrators can update their practice"
  ON public.practices FOR UPDATE
  USING (id = my_practice_id() AND has_role(auth.uid(), 'administrator'));

CREATE POLICY "Staff can view colleagues"
  ON public.profiles FOR SELECT
  USING (practice_id = my_practice_id());

CREATE POLICY "Administrators can update colleagues"
  ON public.profiles FOR UPDATE
  USING (practice_id = my_practice_id() AND has_role(auth.uid(), 'administrator'))
  WITH CHECK (practice_id = my_practice_id());

-- A user must not move to another practice by editing the own profile.
CREATE OR REPLACE FUNCTION public.guard_profile_practice()
RETURNS TRIGGER
LANGUAGE plpgsql
SET search_path = public
AS $$
BEGIN
  IF NEW.practice_id IS DISTINCT FROM OLD.practice_id
     AND auth.uid() IS NOT NULL
  THEN
    RAISE EXCEPTION 'the practice of a profile cannot be changed'
      USING ERRCODE = '42501';
  END IF;
  RETURN NEW;
END;
$$;

CREATE TRIGGER guard_profile_practice
  BEFORE UPDATE ON public.profiles
  FOR EACH ROW EXECUTE FUNCTION public.guard_profile_practice();

CREATE POLICY "Administrators can manage roles of their practice"
  ON public.user_roles FOR ALL
  USING (
    has_role(auth.uid(), 'administrator')
    AND EXISTS (
      SELECT 1 FROM public.profiles p
      WHERE p.id = user_roles.user_id AND p.practice_id = my_practice_id()
    )
  )
  WITH CHECK (
    has_role(auth.uid(), 'administrator')
    AND EXISTS (
      SELECT 1 FROM public.profiles p
      WHERE p.id = user_roles.user_id AND p.practice_id = my_practice_id()
    )
  );
