-- audit_table(), unaudit_table(), audit_tables(): what can be declared, what is refused and why, which triggers that makes.
CREATE EXTENSION mentalspace;
\set SHOW_CONTEXT never
-- how reads are audited differs between the flavours, and what is said of it here
SET client_min_messages = error;
CREATE TABLE clients (id uuid PRIMARY KEY, ssn text, name text);
CREATE TABLE notes (id bigint PRIMARY KEY, client_id uuid REFERENCES clients, "Body" text, "a->b" text);
CREATE TABLE files (id int PRIMARY KEY, note_id bigint NOT NULL REFERENCES notes, other_id int REFERENCES files, loose int);
CREATE TABLE pages (id int PRIMARY KEY, file_id int REFERENCES files);
CREATE TABLE weather (day date);
CREATE VIEW note_view AS SELECT * FROM notes;
CREATE MATERIALIZED VIEW note_counts AS SELECT client_id, count(*) AS n FROM notes GROUP BY 1;
CREATE TEMP TABLE scratch (client_id uuid);
CREATE TABLE vitals (client_id uuid REFERENCES clients, taken date, value int) PARTITION BY RANGE (taken);
CREATE TABLE vitals_old PARTITION OF vitals FOR VALUES FROM (MINVALUE) TO ('2020-01-01') PARTITION BY LIST (value);
CREATE TABLE vitals_old_rest PARTITION OF vitals_old DEFAULT;
CREATE TABLE letters (id int PRIMARY KEY, client_id uuid, body text);
CREATE TABLE faxes (number text) INHERITS (letters);
CREATE FUNCTION triggers(regclass) RETURNS TABLE (relation regclass, trigger name, enabled "char", of_parent boolean) LANGUAGE sql AS $$
    -- The trusted flavour has one for each kind of statement.
    SELECT DISTINCT ON (tgrelid::regclass::text, regexp_replace(tgname, '_(insert|update|delete)$', '')) tgrelid::regclass, regexp_replace(tgname, '_(insert|update|delete)$', '')::name, tgenabled, tgparentid <> 0 FROM pg_trigger
     WHERE tgrelid IN (SELECT $1 UNION SELECT relid FROM pg_partition_tree($1) UNION SELECT inhrelid FROM pg_inherits WHERE inhparent = $1)
       AND NOT tgisinternal OR tgrelid IN (SELECT relid FROM pg_partition_tree($1)) AND tgname LIKE 'mental%'
     ORDER BY tgrelid::regclass::text, regexp_replace(tgname, '_(insert|update|delete)$', '')
$$;

-- nothing yet
SELECT * FROM mentalspace.audit_tables();

-- a column, paths; what they are kept as
SELECT mentalspace.audit_table('clients', 'id', redact => '{ssn}');
SELECT mentalspace.audit_table('notes', 'client_id', category => 'psychotherapy_note', redact => '{Body,Body}');
SELECT mentalspace.audit_table('files', 'note_id->notes.client_id');
SELECT mentalspace.audit_table('pages', 'FILE_ID -> files.note_id -> public.notes.client_id', reads => false);
SELECT mentalspace.audit_table('weather', NULL, category => 'billing');
SELECT mentalspace.audit_table('note_counts', 'client_id');
SELECT mentalspace.audit_table('vitals', 'client_id');
SELECT mentalspace.audit_table('letters', 'client_id', redact => '{body}');
SELECT relation, patient_key, reads, writes, redact, category, triggers, resolves, problem, declared_by = session_user AS by_me
  FROM mentalspace.audit_tables();
SELECT * FROM triggers('clients');
SELECT * FROM triggers('vitals');
SELECT * FROM triggers('letters');
SELECT * FROM triggers('note_counts');
SELECT action, severity, category, relation, detail FROM mentalspace.audit_events WHERE kind = 'admin_action' AND detail LIKE '%audit_table:%'
 ORDER BY event_id;

-- partitions and children that come later
CREATE TABLE vitals_new PARTITION OF vitals DEFAULT;
CREATE TABLE emails (address text) INHERITS (letters);
-- declared again they have what they lacked, if anything
SELECT mentalspace.audit_table('vitals', 'client_id'), mentalspace.audit_table('letters', 'client_id');
SELECT relation, redact, triggers, problem FROM mentalspace.audit_tables() WHERE relation IN ('vitals'::regclass, 'letters'::regclass);
SELECT * FROM triggers('letters');
-- a child of its own declaration
SELECT mentalspace.audit_table('faxes', 'client_id', writes => false);
SELECT * FROM triggers('letters');
SELECT mentalspace.unaudit_table('letters');
SELECT * FROM triggers('letters');
SELECT mentalspace.unaudit_table('faxes');
SELECT mentalspace.audit_table('letters', 'client_id');
SELECT mentalspace.audit_table('faxes', NULL);
SELECT mentalspace.unaudit_table('faxes');
SELECT * FROM triggers('letters');

-- only reads, only writes, and back
SELECT mentalspace.audit_table('clients', 'id', writes => false, redact => '{}');
SELECT reads, writes, redact, triggers FROM mentalspace.audit_tables() WHERE relation = 'clients'::regclass;
SELECT * FROM triggers('clients');
SELECT mentalspace.audit_table('clients', 'id', reads => false, writes => true, category => 'substance_use');
SELECT reads, writes, category, triggers FROM mentalspace.audit_tables() WHERE relation = 'clients'::regclass;
SELECT * FROM triggers('clients');
SELECT action, severity, detail FROM mentalspace.audit_events WHERE relation = 'public.clients' AND detail LIKE 'audit_table:%' ORDER BY event_id;

-- refused
\set VERBOSITY terse
SELECT mentalspace.audit_table('nowhere', 'id');
SELECT mentalspace.audit_table(999999, 'id');
SELECT mentalspace.audit_table(NULL, 'id');
\set VERBOSITY default
SELECT mentalspace.audit_table('note_view', 'client_id');
SELECT mentalspace.audit_table('scratch', 'client_id');
SELECT mentalspace.audit_table('vitals_old', 'client_id');
SELECT mentalspace.audit_table('clients_pkey', 'id');
SELECT mentalspace.audit_table('pg_class', 'relname');
SELECT mentalspace.audit_table('mentalspace.audit_events', 'patient_ids');
SELECT mentalspace.audit_table('clients', 'id', reads => false, writes => false);
SELECT mentalspace.audit_table('note_counts', 'client_id', reads => false);
SELECT mentalspace.audit_table('clients', 'id', redact => '{ssn,NULL}');
SELECT mentalspace.audit_table('clients', 'id', redact => '{ssn,phone}');
SELECT mentalspace.audit_table('clients', 'id', redact => '{ctid}');
SELECT mentalspace.audit_table('clients', 'id', category => 'PHI');
SELECT mentalspace.audit_table('clients', '');
SELECT mentalspace.audit_table('clients', 'client_id');
SELECT mentalspace.audit_table('clients', 'ctid');
SELECT mentalspace.audit_table('clients', 'clients.id');
SELECT mentalspace.audit_table('clients', 'id; DROP TABLE clients');
SELECT mentalspace.audit_table('files', 'note_id->client_id');
SELECT mentalspace.audit_table('files', 'note_id->');
SELECT mentalspace.audit_table('files', '->notes.client_id');
SELECT mentalspace.audit_table('files', 'note_id->notes.body');
SELECT mentalspace.audit_table('files', 'note_id->nowhere.client_id');
SELECT mentalspace.audit_table('files', 'note_id->other.notes.client_id');
SELECT mentalspace.audit_table('files', 'loose->notes.client_id');
SELECT mentalspace.audit_table('files', 'other_id->notes.client_id');
SELECT mentalspace.audit_table('files', 'note_id->notes."a->b"');
SELECT mentalspace.audit_table('note_counts', 'client_id->clients.id');
SELECT mentalspace.unaudit_table('scratch');
SELECT mentalspace.unaudit_table(999999);
-- a table of the same name elsewhere
CREATE SCHEMA other;
CREATE TABLE other.notes (id bigint PRIMARY KEY, client_id uuid);
ALTER TABLE files ADD FOREIGN KEY (note_id) REFERENCES other.notes;
SELECT mentalspace.audit_table('files', 'note_id->notes.client_id');
SELECT mentalspace.audit_table('files', 'note_id->other.notes.client_id');
SELECT mentalspace.audit_table('files', 'note_id->public.notes.client_id');
SELECT relation, patient_key FROM mentalspace.audit_tables() WHERE relation = 'files'::regclass;
-- a trigger of the user's by the same name
CREATE FUNCTION mine() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER mentalspace_audit_truncate AFTER TRUNCATE ON other.notes FOR EACH STATEMENT EXECUTE FUNCTION mine();
SELECT mentalspace.audit_table('other.notes', 'client_id');

-- what audit_tables() finds
ALTER TABLE notes DISABLE TRIGGER USER;
ALTER TABLE vitals_new DISABLE TRIGGER mentalspace_audit;
ALTER TABLE clients ENABLE TRIGGER mentalspace_audit_truncate;
DROP TRIGGER mentalspace_audit_truncate ON weather;
ALTER TABLE notes RENAME COLUMN "Body" TO content;
ALTER TABLE pages DROP CONSTRAINT pages_file_id_fkey;
ALTER TABLE letters DROP COLUMN client_id;
SELECT relation, triggers, resolves, problem FROM (
    SELECT relation, triggers, resolves, regexp_replace(problem, '; changed since [^;]*', '') AS problem FROM mentalspace.audit_tables()) AS t
 WHERE problem IS NOT NULL;
SELECT mentalspace.audit_table('notes', 'client_id', redact => '{content}'), mentalspace.audit_table('weather', NULL),
       mentalspace.audit_table('vitals', 'client_id'), mentalspace.audit_table('clients', 'id');
SELECT relation, triggers, resolves, problem FROM mentalspace.audit_tables() WHERE problem IS NOT NULL;
DROP TABLE weather;
SELECT count(*) FROM mentalspace.audit_tables() WHERE relation::text ~ '^[0-9]+$' AND problem <> 'the table is gone';

-- all or nothing
BEGIN;
SELECT mentalspace.unaudit_table('notes');
SELECT * FROM triggers('notes');
ROLLBACK;
SELECT * FROM triggers('notes');
SELECT count(*) AS ended FROM mentalspace.audit_events WHERE detail LIKE 'unaudit_table:%' AND relation = 'public.notes';
SELECT mentalspace.unaudit_table('notes');
SELECT * FROM triggers('notes');
SELECT kind, action, severity, category, detail FROM mentalspace.audit_events WHERE detail LIKE 'unaudit_table:%' AND relation = 'public.notes';

-- partitions of audit_events are there for this month and the two after it, and made once
SELECT count(*) FROM pg_inherits WHERE inhparent = 'mentalspace.audit_events'::regclass;
SELECT mentalspace.audit_make_partitions(), mentalspace.audit_make_partitions(4), mentalspace.audit_make_partitions(4);
SELECT mentalspace.audit_make_partitions(-1);
SELECT mentalspace.audit_make_partitions(NULL);
-- a month that events of the default partition are of has none
SET TimeZone = 'Pacific/Auckland';
INSERT INTO mentalspace.audit_events (occurred_at, kind)
    SELECT (date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC') + interval '6 months') AT TIME ZONE 'UTC', 'login';
INSERT INTO mentalspace.audit_events (occurred_at, kind)
    SELECT (date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC') + interval '8 months - 1 second') AT TIME ZONE 'UTC', 'login';
SELECT mentalspace.audit_make_partitions(8);
SELECT count(*) FROM mentalspace.audit_events_default;
SELECT substr(c.relname, 1, 13) AS name, r.oid IS NULL AS missing
  FROM generate_series(5, 8) AS n,
       format('audit_events_%s', to_char(date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC') + make_interval(months => n), 'YYYYMM')) AS c(relname)
       LEFT JOIN pg_class AS r ON r.relname = c.relname ORDER BY n;

-- What is not given stays as it was declared: a recipe may declare everything again after each migration.
CREATE TABLE therapies (id int PRIMARY KEY, client_id uuid REFERENCES clients, body text, gone text);
SELECT mentalspace.audit_table('therapies', 'client_id', writes => false, redact => '{body,gone}', category => 'psychotherapy_note');
SELECT mentalspace.audit_table('therapies', 'client_id');
SELECT reads, writes, redact, category FROM mentalspace.audit_tables() WHERE relation = 'therapies'::regclass;
ALTER TABLE therapies DROP gone;
SELECT mentalspace.audit_table(relation, patient_key) FROM mentalspace.audit_discover('clients') WHERE relation = 'therapies'::regclass;
SELECT reads, writes, redact, category FROM mentalspace.audit_tables() WHERE relation = 'therapies'::regclass;
SELECT mentalspace.audit_table('therapies', 'client_id', redact => '{}', category => 'phi', writes => NULL);
SELECT reads, writes, redact, category FROM mentalspace.audit_tables() WHERE relation = 'therapies'::regclass;
