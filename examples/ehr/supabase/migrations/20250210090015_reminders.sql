CREATE EXTENSION IF NOT EXISTS pg_cron WITH SCHEMA pg_catalog;
CREATE EXTENSION IF NOT EXISTS pg_net;

CREATE TABLE public.appointment_reminders (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  appointment_id UUID NOT NULL UNIQUE REFERENCES public.appointments(id) ON DELETE CASCADE,
  queued_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
  sent_at TIMESTAMP WITH TIME ZONE
);

-- No policy: the reminder function works with the service key.
ALTER TABLE public.appointment_reminders ENABLE ROW LEVEL SECURITY;

CREATE OR REPLACE FUNCTION public.queue_appointment_reminders()
RETURNS INTEGER
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = public
AS $$
DECLARE
  _count INTEGER;
BEGIN
  INSERT INTO appointment_reminders (appointment_id)
  SELECT id FROM appointments
  WHERE status = 'scheduled'
    AND starts_at BETWEEN now() AND now() + INTERVAL '24 hours'
  ON CONFLICT (appointment_id) DO NOTHING;
  GET DIAGNOSTICS _count = ROW_COUNT;
  RETURN _count;
END;
$$;

SELECT cron.schedule(
  'queue-appointment-reminders',
  '0 * * * *',
  $$SELECT public.queue_appointment_reminders();$$
);

SELECT cron.schedule(
  'send-appointment-reminders',
  '5 * * * *', -- five minutes past every hour
  $$
  SELECT net.http_post(
    url := 'https://functions.hollow-oak.example/send-reminders',
    headers := '{"Content-Type": "application/json"}'::jsonb,
    body := '{}'::jsonb
  ) AS request_id
  WHERE EXISTS (SELECT 1 FROM public.appointment_reminders WHERE sent_at IS NULL);
  $$
);
