-- provision(), component auth: what migrations do with the tables of Supabase Auth.
CREATE EXTENSION mentalspace;
SELECT DISTINCT component FROM mentalspace.provision('{auth}') ORDER BY 1;
-- the trigger that nearly every project has
CREATE TABLE public.profiles (id uuid PRIMARY KEY REFERENCES auth.users (id) ON DELETE CASCADE, name text);
ALTER TABLE public.profiles ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON public.profiles USING (auth.uid() = id);
CREATE FUNCTION public.handle_new_user() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    INSERT INTO public.profiles (id, name) VALUES (new.id, new.raw_user_meta_data ->> 'name');
    RETURN new;
END $$;
DROP TRIGGER IF EXISTS on_auth_user_created ON auth.users;
CREATE TRIGGER on_auth_user_created AFTER INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION public.handle_new_user();
INSERT INTO auth.users (id, email, raw_user_meta_data, email_confirmed_at)
VALUES ('00000000-0000-0000-0000-00000000000a', 'ada@example.invalid', '{"name": "Ada"}', '2026-01-02 03:04:05+00'),
       ('00000000-0000-0000-0000-00000000000b', 'ben@example.invalid', '{"name": "Ben"}', NULL);
INSERT INTO auth.identities (provider_id, user_id, identity_data, provider)
VALUES ('00000000-0000-0000-0000-00000000000a', '00000000-0000-0000-0000-00000000000a', '{"email": "Ada@Example.invalid"}', 'email');
SELECT u.email, u.confirmed_at AT TIME ZONE 'UTC' AS confirmed_at, u.phone, u.is_sso_user, u.is_anonymous, p.name, i.email AS identity
  FROM auth.users u JOIN public.profiles p USING (id) LEFT JOIN auth.identities i ON i.user_id = u.id ORDER BY u.email;
-- an address is taken once, except by single sign-on
INSERT INTO auth.users (id, email) VALUES ('00000000-0000-0000-0000-00000000000c', 'ada@example.invalid');
INSERT INTO auth.users (id, email, is_sso_user) VALUES ('00000000-0000-0000-0000-00000000000c', 'ada@example.invalid', true);
-- the owner may change the tables
ALTER TABLE auth.users ADD COLUMN nickname text;
CREATE INDEX users_nickname ON auth.users (nickname);
CREATE POLICY readers ON auth.users FOR SELECT TO authenticated USING (id = auth.uid());

-- a signed-in user: his own profile, and nothing of auth
BEGIN;
SET LOCAL ROLE authenticated;
SET LOCAL request.jwt.claims = '{"sub": "00000000-0000-0000-0000-00000000000a", "role": "authenticated"}';
SELECT name FROM public.profiles;
SAVEPOINT s;
SELECT count(*) FROM auth.users;
ROLLBACK TO s;
SELECT count(*) FROM auth.sessions;
ROLLBACK;
BEGIN;
SET LOCAL ROLE anon;
SELECT count(*) FROM public.profiles;
SELECT count(*) FROM auth.users;
ROLLBACK;

-- a table that was opened is reported, and left as it is
GRANT SELECT (email) ON auth.users TO authenticated;
SELECT object, state, detail FROM mentalspace.provision('{auth}') WHERE kind = 'check';

-- deleting a user takes everything of his along
DELETE FROM auth.users WHERE email = 'ada@example.invalid';
SELECT (SELECT count(*) FROM auth.identities) AS identities, (SELECT count(*) FROM public.profiles) AS profiles;
