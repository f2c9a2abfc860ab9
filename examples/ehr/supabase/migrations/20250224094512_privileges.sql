-- Nothing of ours is for visitors who have not signed in.
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM anon;
ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON TABLES FROM anon;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO authenticated;

-- The log is written by its trigger only.
REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON public.activity_log FROM authenticated;

GRANT USAGE ON SCHEMA public TO authenticated, service_role;
GRANT ALL ON ALL TABLES IN SCHEMA public TO service_role;
GRANT EXECUTE ON FUNCTION public.cosign_note(UUID) TO authenticated;
REVOKE EXECUTE ON FUNCTION public.queue_appointment_reminders() FROM PUBLIC, anon, authenticated;

COMMENT ON TABLE public.clients IS 'People in treatment';
COMMENT ON COLUMN public.clients.medical_record_number IS 'Unique within the practice';
COMMENT ON FUNCTION public.has_role(UUID, public.app_role) IS 'Whether the user holds the role; for policies';

NOTIFY pgrst, 'reload schema';
