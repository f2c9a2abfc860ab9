-- provision(), component tests: helpers for tests of policies.
CREATE EXTENSION mentalspace;
-- as the row says, only on request
SELECT state, detail FROM mentalspace.provision() WHERE component = 'tests';
SELECT kind, object, state FROM mentalspace.provision('{tests}') WHERE component = 'tests' AND kind <> 'extension';
CREATE TABLE public.notes (owner uuid DEFAULT auth.uid(), body text);
ALTER TABLE public.notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON public.notes TO authenticated USING (owner = auth.uid());
CREATE TABLE public.open (id int);

BEGIN;
SELECT tests.create_supabase_user('ada', 'ada@example.invalid', '555', '{"name": "Ada"}') AS ada \gset
SELECT tests.get_supabase_uid('ada') = :'ada' AS same;
SELECT tests.create_supabase_user('ben') IS NOT NULL AS made;
SELECT u ->> 'email' AS email, u ->> 'phone' AS phone, u -> 'raw_user_meta_data' AS metadata FROM tests.get_supabase_user('ada') AS u;
SAVEPOINT s;
SELECT tests.get_supabase_uid('nobody');
ROLLBACK TO s;
SELECT tests.authenticate_as('ada');
SELECT current_user, auth.uid() = tests.get_supabase_uid('ada') AS ada, auth.role(), auth.email();
INSERT INTO public.notes (body) VALUES ('of Ada');
SELECT body FROM public.notes;
-- one user after the other
SELECT tests.authenticate_as('ben');
SELECT current_user, auth.uid() = tests.get_supabase_uid('ben') AS ben, (SELECT count(*) FROM public.notes) AS notes;
SELECT tests.clear_authentication();
SELECT current_user, auth.uid() IS NULL AS nobody, (SELECT count(*) FROM public.notes) AS notes;
ROLLBACK;

-- with pgTAP, or as here something that answers like it
CREATE FUNCTION public.is(have anyelement, want anyelement, description text) RETURNS text LANGUAGE sql
    AS $$ SELECT CASE WHEN have IS NOT DISTINCT FROM want THEN 'ok' ELSE 'not ok' END || ' - ' || description $$;
SET search_path = public;
SELECT tests.rls_enabled('public', 'notes') UNION ALL SELECT tests.rls_enabled('public', 'open')
 UNION ALL SELECT tests.rls_enabled('public', 'no such table') UNION ALL SELECT tests.rls_enabled('public') UNION ALL SELECT tests.rls_enabled('auth');
