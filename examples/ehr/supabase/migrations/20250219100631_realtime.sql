-- The calendar and the inbox refresh by themselves.
ALTER PUBLICATION supabase_realtime ADD TABLE public.appointments;
ALTER PUBLICATION supabase_realtime ADD TABLE public.portal_messages;

ALTER TABLE public.appointments REPLICA IDENTITY FULL;

-- Private channels are named practice:<id>.
CREATE POLICY "Staff can join the channel of their practice"
  ON realtime.messages FOR SELECT TO authenticated
  USING ((SELECT realtime.topic()) = 'practice:' || my_practice_id()::text);
