CREATE TABLE public.activity_log (
  id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  practice_id UUID REFERENCES public.practices(id),
  actor_id UUID,
  action TEXT NOT NULL,
  table_name TEXT NOT NULL,
  record_id UUID,
  happened_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now()
);

ALTER TABLE public.activity_log ENABLE ROW LEVEL SECURITY;

CREATE OR REPLACE FUNCTION public.log_activity()
RETURNS TRIGGER
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = public
AS $$
DECLARE
  _row JSONB := to_jsonb(COALESCE(NEW, OLD));
BEGIN
  INSERT INTO activity_log (practice_id, actor_id, action, table_name, record_id)
  VALUES ((_row ->> 'practice_id')::uuid, auth.uid(), TG_OP, TG_TABLE_NAME, (_row ->> 'id')::uuid);
  RETURN COALESCE(NEW, OLD);
END;
$$;

DO $$
DECLARE
  _table TEXT;
BEGIN
  FOREACH _table IN ARRAY ARRAY['clients', 'appointments', 'payments'] LOOP
    EXECUTE format(
      'CREATE TRIGGER log_%1$s_activity AFTER INSERT OR UPDATE OR DELETE ON public.%1$I '
      'FOR EACH ROW EXECUTE FUNCTION public.log_activity()', _table);
  END LOOP;
END
$$;

CREATE POLICY "Administrators can view the activity of their practice"
  ON public.activity_log FOR SELECT TO authenticated
  USING (practice_id = my_practice_id() AND has_role(auth.uid(), 'administrator'));
