-- Seed of the example: two practices, fifteen of staff, 480 clients, two portal users.  Nobody here exists: names are
-- made of roles and serial numbers, addresses end in .example (RFC 2606), dates are fixed.  Run it once, by the role
-- that ran the migrations, with: psql --single-transaction -v ON_ERROR_STOP=1 -f seed.sql
SET LOCAL TimeZone = 'UTC';

CREATE FUNCTION pg_temp.person(n int) RETURNS uuid LANGUAGE sql IMMUTABLE
    AS $$ SELECT ('5eed0000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid $$;
CREATE FUNCTION pg_temp.client(n int) RETURNS uuid LANGUAGE sql IMMUTABLE
    AS $$ SELECT ('c11e0000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid $$;
CREATE FUNCTION pg_temp.visit(n int, v int) RETURNS uuid LANGUAGE sql IMMUTABLE
    AS $$ SELECT ('a990000' || v || '-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid $$;
CREATE FUNCTION pg_temp.practice(n int) RETURNS uuid LANGUAGE sql IMMUTABLE
    AS $$ SELECT ('9ac70000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid $$;

-- ---- practices and people ----
INSERT INTO public.practices (id, name, npi)
VALUES (pg_temp.practice(1), 'Hollow Oak Counseling (invented)', NULL),
       (pg_temp.practice(2), 'Paper Lantern Clinic (invented)', NULL);

CREATE TEMPORARY TABLE people (n int, email text, first_name text, last_name text, practice int, role public.app_role);
INSERT INTO people VALUES
    ( 1, 'ada@hollow-oak.example',     'Ada',    'Example',        1, 'administrator'),
    ( 2, 'sol@hollow-oak.example',     'Sol',    'Placeholder',    1, 'supervisor'),
    ( 3, 'tess@hollow-oak.example',    'Tess',   'Specimen',       1, 'therapist'),
    ( 4, 'asa@hollow-oak.example',     'Asa',    'Sample',         1, 'associate'),
    ( 5, 'bill@hollow-oak.example',    'Bill',   'Fictional',      1, 'billing'),
    ( 6, 'fran@hollow-oak.example',    'Fran',   'Invented',       1, 'front_desk'),
    (21, 'ada@paper-lantern.example',  'Adeline', 'Example',      2, 'administrator'),
    (22, 'ted@paper-lantern.example',  'Ted',    'Specimen',       2, 'therapist'),
    (91, 'pat@patients.example',       'Pat',    'Testcase-010',   NULL, NULL),
    (92, 'quinn@patients.example',     'Quinn',  'Testcase-013',   NULL, NULL);
INSERT INTO people
SELECT n, format('therapist-%s@hollow-oak.example', n), 'Therapist', 'Nobody-' || lpad(n::text, 2, '0'), 1, 'therapist'
  FROM generate_series(7, 14) AS n;

-- As the Auth service makes them; nobody knows the passwords.  The trigger on auth.users makes the profiles.
INSERT INTO auth.users (instance_id, id, aud, role, email, encrypted_password, email_confirmed_at,
                        raw_app_meta_data, raw_user_meta_data, created_at, updated_at)
SELECT '00000000-0000-0000-0000-000000000000', pg_temp.person(n), 'authenticated', 'authenticated', email,
       crypt(gen_random_uuid()::text, gen_salt('bf', 4)), '2025-03-03 09:00',
       '{"provider": "email", "providers": ["email"]}',
       jsonb_build_object('first_name', first_name, 'last_name', last_name),
       '2025-03-03 09:00', '2025-03-03 09:00'
  FROM people ORDER BY n;

INSERT INTO auth.identities (user_id, provider_id, provider, identity_data, created_at, updated_at)
SELECT pg_temp.person(n), pg_temp.person(n)::text, 'email',
       jsonb_build_object('sub', pg_temp.person(n), 'email', email, 'email_verified', true),
       '2025-03-03 09:00', '2025-03-03 09:00'
  FROM people ORDER BY n;

UPDATE public.profiles p SET practice_id = pg_temp.practice(s.practice)
  FROM people s WHERE p.id = pg_temp.person(s.n) AND s.practice IS NOT NULL;

INSERT INTO public.user_roles (user_id, role)
SELECT pg_temp.person(n), role FROM people WHERE role IS NOT NULL ORDER BY n;

INSERT INTO public.supervision_relationships (supervisor_id, associate_id, started_on)
VALUES (pg_temp.person(2), pg_temp.person(4), '2025-03-03');

-- ---- clients: 400 of the first practice, 80 of the second ----
-- Of each ten clients of the first practice one is with Tess, one with Sol, one with Asa (the first twenty) or
-- therapist 07, the others with therapists 08 to 14.
CREATE TEMPORARY TABLE caseload AS
SELECT n, 1 AS practice,
       CASE n % 10 WHEN 0 THEN 3
                   WHEN 1 THEN 2
                   WHEN 2 THEN CASE WHEN n <= 200 THEN 4 ELSE 7 END
                   ELSE n % 10 + 5 END AS clinician
  FROM generate_series(1, 400) AS n
UNION ALL
SELECT n, 2, 22 FROM generate_series(401, 480) AS n;

INSERT INTO public.clients (id, practice_id, medical_record_number, first_name, last_name, date_of_birth, phone, email)
SELECT pg_temp.client(n), pg_temp.practice(practice), 'MRN-' || lpad(n::text, 5, '0'),
       coalesce((ARRAY['Pat', 'Quinn'])[array_position(ARRAY[10, 13], n)],
                (ARRAY['Amber', 'Birch', 'Clover', 'Dune', 'Ember', 'Fern', 'Gale', 'Heath'])[n % 8 + 1]),
       'Testcase-' || lpad(n::text, 3, '0'),
       date '1950-01-01' + (n * 149) % 20000, '555-01' || lpad((n % 100)::text, 2, '0'),
       'testcase-' || lpad(n::text, 3, '0') || '@patients.example'
  FROM caseload ORDER BY n;

INSERT INTO public.client_assignments (client_id, clinician_id, assigned_on)
SELECT pg_temp.client(n), pg_temp.person(clinician), '2025-03-10' FROM caseload ORDER BY n;

-- Three visits each, two weeks apart, eight a day; the third is still to come.
INSERT INTO public.appointments (id, practice_id, client_id, clinician_id, starts_at, ends_at, status)
SELECT pg_temp.visit(c.n, v), pg_temp.practice(c.practice), pg_temp.client(c.n), pg_temp.person(c.clinician),
       t.starts_at, t.starts_at + interval '50 minutes',
       (CASE WHEN v < 3 THEN 'completed' ELSE 'scheduled' END)::public.appointment_status
  FROM (SELECT *, row_number() OVER (PARTITION BY clinician ORDER BY n) - 1 AS k FROM caseload) AS c
 CROSS JOIN generate_series(1, 3) AS v
 CROSS JOIN LATERAL (SELECT timestamptz '2025-04-07 12:00Z'
                            + make_interval(days => (14 * (v - 1) + c.k / 8)::int,
                                            hours => (c.k % 8)::int)) AS t(starts_at)
 ORDER BY c.n, v;

-- ---- the record ----
-- A note for each completed visit: signed; of the second visits, Asa's wait for Sol, and each fourth of Tess's is a
-- draft.
INSERT INTO public.clinical_notes (client_id, appointment_id, author_id, note_type, content, status, signed_at,
                                   cosigned_by, cosigned_at)
SELECT a.client_id, a.id, a.clinician_id, CASE s.v WHEN 1 THEN 'intake' ELSE 'progress' END,
       jsonb_build_object('text', 'Invented text for ' || c.medical_record_number), s.status::public.note_status,
       CASE WHEN s.status <> 'draft' THEN a.ends_at END,
       CASE WHEN s.clinician = 4 AND s.v = 1 THEN pg_temp.person(2) END,
       CASE WHEN s.clinician = 4 AND s.v = 1 THEN a.ends_at + interval '1 day' END
  FROM (SELECT n, clinician, v, CASE WHEN v = 2 AND clinician = 4 THEN 'awaiting_cosignature'
                                     WHEN v = 2 AND clinician = 3 AND n % 40 = 0 THEN 'draft'
                                     ELSE 'signed' END AS status
          FROM caseload CROSS JOIN generate_series(1, 2) AS v) AS s
  JOIN public.appointments a ON a.id = pg_temp.visit(s.n, s.v)
  JOIN public.clients c ON c.id = a.client_id
 ORDER BY s.n, s.v;

INSERT INTO public.psychotherapy_notes (client_id, author_id, session_date, content)
SELECT pg_temp.client(n), pg_temp.person(clinician), '2025-04-21', 'Invented private note ' || n
  FROM caseload WHERE n % 3 = 0 ORDER BY n;

INSERT INTO public.diagnoses (client_id, icd10_code, description, diagnosed_by, diagnosed_on)
SELECT pg_temp.client(n), d.code, d.description,
       pg_temp.person(CASE clinician WHEN 4 THEN 2 ELSE clinician END), '2025-04-07'
  FROM caseload
  JOIN (VALUES (0, 'F41.1', 'Generalized anxiety disorder'),
               (1, 'F33.1', 'Major depressive disorder, recurrent, moderate'),
               (2, 'F43.10', 'Post-traumatic stress disorder'),
               (3, 'F90.0', 'Attention-deficit hyperactivity disorder'))
       AS d(k, code, description) ON d.k = n % 4
 ORDER BY n;

INSERT INTO public.treatment_plans (client_id, author_id, goals, review_on, shared_with_client)
SELECT pg_temp.client(n), pg_temp.person(clinician), '["an invented goal"]', '2025-10-07', n % 2 = 0
  FROM caseload ORDER BY n;

-- ---- billing ----
INSERT INTO public.payers (name, payer_code) VALUES ('Imaginary Mutual', 'IM001'), ('No Such Health Plan', 'NS002');

INSERT INTO public.claims (practice_id, client_id, appointment_id, payer_id, amount, status, submitted_on)
SELECT a.practice_id, a.client_id, a.id,
       (SELECT id FROM public.payers WHERE payer_code = CASE c.n % 2 WHEN 0 THEN 'IM001' ELSE 'NS002' END),
       150, (CASE v WHEN 1 THEN 'paid' ELSE 'submitted' END)::public.claim_status, '2025-04-30'
  FROM caseload c CROSS JOIN generate_series(1, 2) AS v
  JOIN public.appointments a ON a.id = pg_temp.visit(c.n, v)
 ORDER BY c.n, v;

INSERT INTO public.payments (practice_id, client_id, claim_id, amount, method, received_on)
SELECT practice_id, client_id, id, amount - 25, 'insurance', '2025-05-20' FROM public.claims WHERE status = 'paid'
 ORDER BY client_id;

-- ---- the portal: Pat is a client of Tess, Quinn one of therapist 08 ----
INSERT INTO public.client_portal_users (user_id, client_id)
VALUES (pg_temp.person(91), pg_temp.client(10)), (pg_temp.person(92), pg_temp.client(13));

INSERT INTO public.portal_messages (client_id, sender_id, body, created_at)
SELECT pg_temp.client(c.n), pg_temp.person(CASE m % 2 WHEN 1 THEN c.portal ELSE c.clinician END),
       'Invented message ' || m, timestamptz '2025-05-05 10:00Z' + make_interval(hours => m)
  FROM (VALUES (10, 91, 3, 6), (13, 92, 8, 4)) AS c(n, portal, clinician, messages)
 CROSS JOIN LATERAL generate_series(1, c.messages) AS m
 ORDER BY c.n, m;

INSERT INTO public.portal_documents (client_id, title, storage_path, shared_by)
SELECT pg_temp.client(c.n), d.title, format('%s/%s', pg_temp.client(c.n), d.file), pg_temp.person(c.clinician)
  FROM (VALUES (10, 3), (13, 8)) AS c(n, clinician)
 CROSS JOIN (VALUES ('Consent form (invented)', 'consent.pdf'),
                    ('Treatment plan (invented)', 'plan.pdf')) AS d(title, file)
 ORDER BY c.n, d.file;

-- What the Storage service would have recorded of the uploads.
INSERT INTO storage.objects (bucket_id, name, owner_id, metadata)
SELECT 'client-documents', storage_path, shared_by::text, '{"mimetype": "application/pdf"}' FROM public.portal_documents
 ORDER BY storage_path;
INSERT INTO storage.objects (bucket_id, name, owner_id, metadata)
SELECT 'avatars', pg_temp.person(n) || '/portrait.png', pg_temp.person(n)::text, '{"mimetype": "image/png"}'
  FROM generate_series(1, 3) AS n;

DROP TABLE people, caseload;
