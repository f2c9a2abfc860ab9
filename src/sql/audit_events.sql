-- The record of who did what with patients' data: mentalspace.audit_events, and what is kept beside it.
--
-- The monthly partitions are made by audit_make_partitions(), not by this script: they belong to the installation, not to
-- the extension, so that pg_dump takes them along.
DO $$
BEGIN
    IF pg_catalog.to_regrole('mentalspace_auditor') IS NULL THEN
        CREATE ROLE mentalspace_auditor NOLOGIN;
        COMMENT ON ROLE mentalspace_auditor IS 'mentalspace: members read the audit events';
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;
END
$$;

-- It begins where no earlier installation has come, so that events which are restored from a dump and those of the restore
-- itself have different numbers; its state is not in dumps.
CREATE SEQUENCE mentalspace.audit_event_ids CACHE 64;
COMMENT ON SEQUENCE mentalspace.audit_event_ids IS 'numbers of audit events; each session takes some ahead, so they have gaps';
SELECT pg_catalog.setval('mentalspace.audit_event_ids', (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000)::bigint << 16);

-- The order of the columns keeps the rows small.
CREATE TABLE mentalspace.audit_events (
    event_id          bigint NOT NULL DEFAULT nextval('mentalspace.audit_event_ids'),
    occurred_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    transaction_id    xid8,
    query_fingerprint bigint,
    row_count         bigint,
    statement_no      int,
    kind              text NOT NULL,
    action            text,
    category          text,
    outcome           text NOT NULL DEFAULT 'success',
    severity          text NOT NULL DEFAULT 'info',
    precision         text,
    relation          text,
    row_key           text,
    patient_ids       text[],
    user_id           uuid,
    session_user_name text NOT NULL DEFAULT session_user,
    current_user_name text,
    outer_role_name   text,
    roles             text[],
    aal               text,
    session_id        text,
    identity_source   text,
    client_address    inet,
    application_name  text,
    user_agent        text,
    request_id        text,
    purpose_of_use    text,
    break_glass_id    text,
    changes           jsonb,
    row_digest        bytea,
    row_image         jsonb,
    detail            text
) PARTITION BY RANGE (occurred_at);
CREATE TABLE mentalspace.audit_events_default PARTITION OF mentalspace.audit_events DEFAULT;

-- What is audited, as audit_table() declared it.
CREATE TABLE mentalspace.audit_relations (
    relation    regclass PRIMARY KEY,
    patient_key text,
    reads       boolean NOT NULL,
    writes      boolean NOT NULL,
    redact      text[] NOT NULL,
    category    text NOT NULL,
    declared_at timestamptz NOT NULL DEFAULT now(),
    declared_by text NOT NULL DEFAULT session_user
);
COMMENT ON TABLE mentalspace.audit_relations IS 'what is audited, as audit_table() declared it; in dumps';
COMMENT ON COLUMN mentalspace.audit_relations.relation IS 'the table; its partitions and children are audited with it';
COMMENT ON COLUMN mentalspace.audit_relations.patient_key IS 'column of the patient, or path over foreign keys to it, names quoted and with their schema; NULL: rows belong to no patient';
COMMENT ON COLUMN mentalspace.audit_relations.reads IS 'whether reads are audited';
COMMENT ON COLUMN mentalspace.audit_relations.writes IS 'whether writes are audited';
COMMENT ON COLUMN mentalspace.audit_relations.redact IS 'columns whose values events show as salted digests only';
COMMENT ON COLUMN mentalspace.audit_relations.category IS 'phi, psychotherapy_note, substance_use or billing';
COMMENT ON COLUMN mentalspace.audit_relations.declared_at IS 'when audit_table() was last called for it';
COMMENT ON COLUMN mentalspace.audit_relations.declared_by IS 'the login role that called it';

-- What digests are salted with: 32 bytes.  A restored database has its own and the dumped one; the oldest is in use.
CREATE TABLE mentalspace.audit_salts (
    salt    bytea NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE mentalspace.audit_salts IS 'secrets that digests in events are salted with: the oldest is in use; for the owner of the extension only, in dumps';
COMMENT ON COLUMN mentalspace.audit_salts.salt IS '32 random bytes';
COMMENT ON COLUMN mentalspace.audit_salts.made_at IS 'when the extension was created that made it';
-- Statistics hold samples of a column's values.
ALTER TABLE mentalspace.audit_salts ALTER COLUMN salt SET STATISTICS 0;
INSERT INTO mentalspace.audit_salts (salt)
    VALUES (pg_catalog.sha256(pg_catalog.uuid_send(pg_catalog.gen_random_uuid())
                              || pg_catalog.uuid_send(pg_catalog.gen_random_uuid())));

-- How far rings and spool files were taken over: in the transaction that takes them over, so that nothing comes twice.
-- Not in dumps: the files belong to the server.
CREATE TABLE mentalspace.audit_progress (
    source   text PRIMARY KEY,
    position bigint NOT NULL,
    taken_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE mentalspace.audit_progress IS 'how far events that left their transactions were taken over into audit_events, so that none comes twice';
COMMENT ON COLUMN mentalspace.audit_progress.source IS 'the ring or the spool file';
COMMENT ON COLUMN mentalspace.audit_progress.position IS 'up to where it was taken over';
COMMENT ON COLUMN mentalspace.audit_progress.taken_at IS 'when that was';

COMMENT ON TABLE mentalspace.audit_events IS 'who did what with patients'' data: members of mentalspace_auditor read it, nobody changes it; a partition for each month (UTC)';
COMMENT ON COLUMN mentalspace.audit_events.event_id IS 'number of the event; numbers have gaps and are not in the order of time';
COMMENT ON COLUMN mentalspace.audit_events.occurred_at IS 'when it happened';
COMMENT ON COLUMN mentalspace.audit_events.transaction_id IS 'full id of the transaction, NULL where it had none';
COMMENT ON COLUMN mentalspace.audit_events.query_fingerprint IS 'PostgreSQL''s query id: the same for statements that differ in literals only; their text is never kept';
COMMENT ON COLUMN mentalspace.audit_events.row_count IS 'number of rows';
COMMENT ON COLUMN mentalspace.audit_events.statement_no IS 'number of the client''s statement in the transaction, from 1; NULL: not known';
COMMENT ON COLUMN mentalspace.audit_events.kind IS 'phi_access, data_modification, admin_action, login, logout, authentication_attempt, permission_change, configuration_change, export or denied';
COMMENT ON COLUMN mentalspace.audit_events.action IS 'as FHIR names it: C (create), R (read), U (update), D (delete), E (execute)';
COMMENT ON COLUMN mentalspace.audit_events.category IS 'of the relation: phi, psychotherapy_note, substance_use or billing';
COMMENT ON COLUMN mentalspace.audit_events.outcome IS 'success; failure: it ended with an error after what the event tells of; denied: refused; unknown: the server stopped before its end';
COMMENT ON COLUMN mentalspace.audit_events.severity IS 'info, warning or critical';
COMMENT ON COLUMN mentalspace.audit_events.precision IS 'of a read: delivered (exactly what was sent to the client) or examined (what the query looked at, at least what was sent)';
COMMENT ON COLUMN mentalspace.audit_events.relation IS 'the declared table, with its schema, names quoted where needed';
COMMENT ON COLUMN mentalspace.audit_events.row_key IS 'primary key of the row as text; a JSON object for keys of several columns';
COMMENT ON COLUMN mentalspace.audit_events.patient_ids IS 'the patients, each once; NULL: none or not known';
COMMENT ON COLUMN mentalspace.audit_events.user_id IS 'the application''s user, as auth.uid() has it';
COMMENT ON COLUMN mentalspace.audit_events.session_user_name IS 'the login role';
COMMENT ON COLUMN mentalspace.audit_events.current_user_name IS 'the role whose privileges counted, within SECURITY DEFINER functions their owner; NULL: not known';
COMMENT ON COLUMN mentalspace.audit_events.outer_role_name IS 'the role that SET ROLE or login() had taken, NULL where that is the login role';
COMMENT ON COLUMN mentalspace.audit_events.roles IS 'roles of the application''s user, from the claims';
COMMENT ON COLUMN mentalspace.audit_events.aal IS 'authenticator assurance level, from the claims';
COMMENT ON COLUMN mentalspace.audit_events.session_id IS 'the application''s session, from the claims';
COMMENT ON COLUMN mentalspace.audit_events.identity_source IS 'where the claims come from: verified, guc or none, as in whoami()';
COMMENT ON COLUMN mentalspace.audit_events.client_address IS 'address of the client, NULL for a Unix socket';
COMMENT ON COLUMN mentalspace.audit_events.application_name IS 'what the client calls itself';
COMMENT ON COLUMN mentalspace.audit_events.user_agent IS 'header user-agent of the request, as PostgREST passes it on';
COMMENT ON COLUMN mentalspace.audit_events.request_id IS 'header x-request-id of the request';
COMMENT ON COLUMN mentalspace.audit_events.purpose_of_use IS 'why: mentalspace.audit_purpose, as the application set it';
COMMENT ON COLUMN mentalspace.audit_events.break_glass_id IS 'the emergency access that was used: mentalspace.audit_break_glass';
COMMENT ON COLUMN mentalspace.audit_events.changes IS 'of an UPDATE: {"column": [old, new]} for the columns that changed';
COMMENT ON COLUMN mentalspace.audit_events.row_digest IS 'of an INSERT: digest of the row, see audit_digest()';
COMMENT ON COLUMN mentalspace.audit_events.row_image IS 'of a DELETE: the row as it was';
COMMENT ON COLUMN mentalspace.audit_events.detail IS 'the rest in words, never a value of the application''s';
COMMENT ON TABLE mentalspace.audit_events_default IS 'audit events of months that audit_make_partitions() made no partition for';
DO $$
DECLARE
    c record;
BEGIN
    FOR c IN SELECT attname, pg_catalog.col_description(attrelid, attnum) AS remark FROM pg_catalog.pg_attribute
              WHERE attrelid = 'mentalspace.audit_events'::pg_catalog.regclass AND attnum > 0 LOOP
        EXECUTE pg_catalog.format('COMMENT ON COLUMN mentalspace.audit_events_default.%I IS %L', c.attname, c.remark);
    END LOOP;
END
$$;

-- Dumps hold what was declared (of tables that are gone only a number would be left), the salt in use, and the events;
-- those in monthly partitions without further ado, as these are no members.
SELECT pg_catalog.pg_extension_config_dump('mentalspace.audit_relations',
    'WHERE EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.oid = relation)');
SELECT pg_catalog.pg_extension_config_dump('mentalspace.audit_salts',
    'WHERE made_at = (SELECT min(s.made_at) FROM mentalspace.audit_salts AS s)');
SELECT pg_catalog.pg_extension_config_dump('mentalspace.audit_events_default', '');
