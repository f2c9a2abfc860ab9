INSERT INTO storage.buckets (id, name, public, file_size_limit, allowed_mime_types)
VALUES
  ('client-documents', 'client-documents', false, 10485760, ARRAY['application/pdf', 'image/png', 'image/jpeg']),
  ('avatars', 'avatars', true, 1048576, ARRAY['image/png', 'image/jpeg'])
ON CONFLICT (id) DO NOTHING;

-- Documents are filed as <client id>/<file name>, avatars as <user id>/<file name>.
CREATE POLICY "Anyone can view avatars"
  ON storage.objects FOR SELECT
  USING (bucket_id = 'avatars');

CREATE POLICY "Users can upload their own avatar"
  ON storage.objects FOR INSERT TO authenticated
  WITH CHECK (bucket_id = 'avatars' AND auth.uid()::text = (storage.foldername(name))[1]);

CREATE POLICY "Users can replace their own avatar"
  ON storage.objects FOR UPDATE TO authenticated
  USING (bucket_id = 'avatars' AND auth.uid()::text = (storage.foldername(name))[1]);

CREATE POLICY "Care team can view client documents"
  ON storage.objects FOR SELECT TO authenticated
  USING (
    bucket_id = 'client-documents'
    AND EXISTS (
      SELECT 1 FROM public.client_assignments a
      WHERE a.client_id::text = (storage.foldername(objects.name))[1]
        AND a.clinician_id = auth.uid()
        AND a.ended_on IS NULL
    )
  );

CREATE POLICY "Care team can upload client documents"
  ON storage.objects FOR INSERT TO authenticated
  WITH CHECK (
    bucket_id = 'client-documents'
    AND EXISTS (
      SELECT 1 FROM public.client_assignments a
      WHERE a.client_id::text = (storage.foldername(objects.name))[1]
        AND a.clinician_id = auth.uid()
        AND a.ended_on IS NULL
    )
  );

CREATE POLICY "Portal users can view their documents"
  ON storage.objects FOR SELECT TO authenticated
  USING (
    bucket_id = 'client-documents'
    AND (storage.foldername(name))[1] IN (SELECT c::text FROM public.my_client_ids() AS c)
  );
