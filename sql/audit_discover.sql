-- audit_discover(): every table that leads to the patients over foreign keys, by the shortest way.
CREATE EXTENSION mentalspace;
\set SHOW_CONTEXT never
CREATE TABLE clients (id uuid PRIMARY KEY, mrn text UNIQUE NOT NULL, referred_by uuid REFERENCES clients, household int);
CREATE TABLE staff (id int PRIMARY KEY);
CREATE TABLE appointments (id int PRIMARY KEY, client_id uuid NOT NULL REFERENCES clients, staff_id int REFERENCES staff);
-- two ways of the same length: the one that cannot be NULL; then by name
CREATE TABLE notes (id int PRIMARY KEY, about_id uuid REFERENCES clients, client_id uuid NOT NULL REFERENCES clients,
                    appointment_id int REFERENCES appointments, previous_id int REFERENCES notes);
CREATE TABLE transfers (id int PRIMARY KEY, to_id uuid NOT NULL REFERENCES clients, from_id uuid NOT NULL REFERENCES clients);
-- a short way that may be NULL is shorter than a long one that may not
CREATE TABLE addenda (id int PRIMARY KEY, note_id int NOT NULL REFERENCES notes, client_id uuid REFERENCES clients);
CREATE TABLE files (id int PRIMARY KEY, addendum_id int NOT NULL REFERENCES addenda);
CREATE TABLE file_pages (file_id int NOT NULL REFERENCES files, page int, PRIMARY KEY (file_id, page));
-- a cycle
CREATE TABLE claims (id int PRIMARY KEY, appointment_id int NOT NULL REFERENCES appointments, current_payment int);
CREATE TABLE payments (id int PRIMARY KEY, claim_id int NOT NULL REFERENCES claims);
ALTER TABLE claims ADD FOREIGN KEY (current_payment) REFERENCES payments;
-- not the primary key of the patients
CREATE TABLE imports (mrn text REFERENCES clients (mrn));
-- its primary key is the patient's
CREATE TABLE insurance (client_id uuid PRIMARY KEY REFERENCES clients);
CREATE TABLE eligibility (id int PRIMARY KEY, insurance_id uuid REFERENCES insurance);
-- several columns
CREATE TABLE page_marks (file_id int, page int, mark text, FOREIGN KEY (file_id, page) REFERENCES file_pages);

-- other schemas, odd names, partitions
CREATE SCHEMA "Lab";
CREATE TABLE "Lab"."Results" ("Id" int PRIMARY KEY, "Client Id" uuid NOT NULL REFERENCES public.clients);
CREATE TABLE "Lab".notes (id int PRIMARY KEY, result_id int REFERENCES "Lab"."Results", of_note int REFERENCES public.notes);
CREATE TABLE vitals (client_id uuid NOT NULL REFERENCES clients, taken date) PARTITION BY RANGE (taken);
CREATE TABLE vitals_old PARTITION OF vitals FOR VALUES FROM (MINVALUE) TO ('2020-01-01');
CREATE TABLE vitals_new PARTITION OF vitals DEFAULT;
-- leads nowhere
CREATE TABLE settings (id int PRIMARY KEY, staff_id int REFERENCES staff);

SELECT * FROM mentalspace.audit_discover('clients') ORDER BY distance, relation::text;
-- each can be declared as it is proposed
SET client_min_messages = error;
SELECT count(mentalspace.audit_table(relation, patient_key)) FROM mentalspace.audit_discover('clients') WHERE distance < 3;
SELECT relation, patient_key, triggers, resolves, problem FROM mentalspace.audit_tables();
SELECT relation, audited FROM mentalspace.audit_discover('clients') WHERE NOT audited ORDER BY relation::text;
RESET client_min_messages;

-- another root
SELECT * FROM mentalspace.audit_discover('staff') ORDER BY distance, relation::text;
SELECT * FROM mentalspace.audit_discover('settings');

-- what cannot be a root
CREATE VIEW client_names AS SELECT id FROM clients;
CREATE MATERIALIZED VIEW client_ids AS SELECT id FROM clients;
SELECT * FROM mentalspace.audit_discover('imports');
SELECT * FROM mentalspace.audit_discover('file_pages');
SELECT * FROM mentalspace.audit_discover('client_names');
SELECT * FROM mentalspace.audit_discover('client_ids');
SELECT * FROM mentalspace.audit_discover('clients_pkey');
SELECT * FROM mentalspace.audit_discover('vitals_old');
SELECT * FROM mentalspace.audit_discover('pg_class');
SELECT * FROM mentalspace.audit_discover(NULL);
