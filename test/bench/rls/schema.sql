-- The schema of test/bench/rls: notes about clients, as an EHR keeps them.  Variable `rows`: how many notes.
-- Everything is computed from the row's number, so that every run has the same data.
CREATE EXTENSION mentalspace;

CREATE TYPE app_role AS ENUM ('administrator', 'supervisor', 'billing', 'front_desk', 'auditor', 'therapist');
CREATE TABLE user_roles (user_id uuid NOT NULL, role app_role NOT NULL, PRIMARY KEY (user_id, role));
CREATE TABLE memberships (user_id uuid NOT NULL, org_id int NOT NULL, PRIMARY KEY (user_id, org_id));
CREATE TABLE clients (id int PRIMARY KEY, therapist_id uuid NOT NULL);
CREATE TABLE notes (id int PRIMARY KEY, client_id int NOT NULL, therapist_id uuid NOT NULL, associate_id uuid NOT NULL,
                    org_id int NOT NULL, body text NOT NULL);

CREATE FUNCTION person(n int) RETURNS uuid LANGUAGE sql IMMUTABLE
    AS $$ SELECT ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid $$;

INSERT INTO user_roles SELECT person(n), 'therapist' FROM generate_series(0, 99) n;
INSERT INTO user_roles SELECT person(100 + n), 'administrator' FROM generate_series(0, 9) n;
INSERT INTO memberships SELECT person(n), n FROM generate_series(0, 99) n;
INSERT INTO memberships SELECT person(n), 100 + n FROM generate_series(0, 99) n;
INSERT INTO clients SELECT n, person(n % 100) FROM generate_series(0, :rows / 20 - 1) n;
INSERT INTO notes
    SELECT n, n % (:rows / 20), person(n % 100), person(n / 100 % 100), n / 10 % 200, 'note ' || n
      FROM generate_series(0, :rows - 1) n;

-- What mentalspace.advise_indexes() names for the policies of this benchmark.
CREATE INDEX ON clients (therapist_id);
CREATE INDEX ON notes (therapist_id);
CREATE INDEX ON notes (associate_id);
CREATE INDEX ON notes (client_id);
CREATE INDEX ON notes (org_id);
VACUUM ANALYZE;

-- Supabase's functions as they behave there: plain SQL over the claims.
CREATE SCHEMA stock;
CREATE FUNCTION stock.jwt() RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT coalesce(nullif(current_setting('request.jwt.claim', true), ''),
                    nullif(current_setting('request.jwt.claims', true), ''))::jsonb $$;
CREATE FUNCTION stock.uid() RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT coalesce(nullif(current_setting('request.jwt.claim.sub', true), ''),
                    nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid $$;

-- The project's own functions.
CREATE FUNCTION has_role(_user_id uuid, _role app_role) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public
    AS $$ SELECT EXISTS (SELECT 1 FROM user_roles WHERE user_id = _user_id AND role = _role) $$;
CREATE FUNCTION is_staff() RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public AS $$
BEGIN
    RETURN EXISTS (SELECT 1 FROM user_roles WHERE user_id = auth.uid() AND role <> 'therapist');
END $$;
CREATE FUNCTION stock.is_staff() RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public AS $$
BEGIN
    RETURN EXISTS (SELECT 1 FROM user_roles WHERE user_id = stock.uid() AND role <> 'therapist');
END $$;

-- One role for each variant, all the same therapist; only ours loads the library.
CREATE ROLE bench_stock LOGIN;
CREATE ROLE bench_wrapped LOGIN;
CREATE ROLE bench_ours LOGIN;
CREATE ROLE bench_hand LOGIN BYPASSRLS;
GRANT USAGE ON SCHEMA auth, stock TO PUBLIC;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO bench_stock, bench_wrapped, bench_ours, bench_hand;
ALTER ROLE bench_ours SET session_preload_libraries = 'mentalspace';
SELECT format('ALTER ROLE %I SET request.jwt.claims = %L', r,
              json_build_object('sub', person(7), 'role', 'authenticated', 'aal', 'aal2',
                                'app_metadata', json_build_object('org_id', 7)))
  FROM unnest(ARRAY['bench_stock', 'bench_wrapped', 'bench_ours', 'bench_hand']) r \gexec

ALTER TABLE user_roles ENABLE ROW LEVEL SECURITY;
ALTER TABLE memberships ENABLE ROW LEVEL SECURITY;
ALTER TABLE clients ENABLE ROW LEVEL SECURITY;
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
