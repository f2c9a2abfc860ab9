-- The edge function that mails "you have a new message" knows us by this key.
SELECT vault.create_secret(
  replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''),
  'portal_webhook_key',
  'Bearer token for the new-message webhook'
);

CREATE OR REPLACE FUNCTION public.notify_new_message()
RETURNS TRIGGER
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = public
AS $$
DECLARE
  _key TEXT;
BEGIN
  SELECT decrypted_secret INTO _key
  FROM vault.decrypted_secrets
  WHERE name = 'portal_webhook_key';

  -- The id only: what is in the message stays here.
  PERFORM net.http_post(
    url := COALESCE(current_setting('app.settings.functions_url', true), 'https://functions.hollow-oak.example')
      || '/new-message',
    headers := jsonb_build_object('Content-Type', 'application/json', 'Authorization', 'Bearer ' || _key),
    body := jsonb_build_object('message_id', NEW.id)
  );
  RETURN NEW;
END;
$$;

CREATE TRIGGER on_portal_message_created
  AFTER INSERT ON public.portal_messages
  FOR EACH ROW EXECUTE FUNCTION public.notify_new_message();
