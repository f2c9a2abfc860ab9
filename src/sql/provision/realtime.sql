-- provision(), component realtime: messages, the functions that write them, and the publication of changes.  Messages
-- are kept in the database; delivering them to browsers is the work of Supabase Realtime or whatever takes its place.
CREATE FUNCTION mentalspace.provision_realtime(owner name) RETURNS SETOF mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    step mentalspace.provision_step;
    level text := current_setting('client_min_messages');
BEGIN
    RETURN NEXT mentalspace.provision_schema(owner, 'realtime',
            'Supabase Realtime: messages and who may read and send them');
    RETURN NEXT mentalspace.provision_grant(owner, 'SCHEMA', 'realtime', '{USAGE}',
            '{anon,authenticated,service_role,supabase_realtime_admin}');
    RETURN NEXT mentalspace.provision_table(owner, 'realtime', 'messages',
            'messages to topics; policies say who may read and send', $t$
        topic text NOT NULL
        extension text NOT NULL
        payload jsonb
        event text
        private boolean DEFAULT false
        updated_at timestamp DEFAULT now() NOT NULL
        inserted_at timestamp DEFAULT now() NOT NULL
        id uuid DEFAULT gen_random_uuid() NOT NULL
        binary_payload bytea
        CONSTRAINT messages_pkey PRIMARY KEY (id, inserted_at)
        CONSTRAINT messages_payload_exclusive CHECK (payload IS NULL OR binary_payload IS NULL)
        INDEX messages_inserted_at_topic_index (inserted_at DESC, topic) WHERE (extension = 'broadcast' AND private IS TRUE)
    $t$, 'PARTITION BY RANGE (inserted_at)');
    -- Supabase Realtime makes a partition a day; without it, messages go here.
    IF EXISTS (SELECT FROM pg_class WHERE oid = 'realtime.messages'::regclass AND relkind = 'p') THEN
        step := mentalspace.provision_object(owner, 'table', 'realtime.messages_default',
                to_regclass('realtime.messages_default') IS NOT NULL,
            'CREATE TABLE realtime.messages_default PARTITION OF realtime.messages DEFAULT');
        IF step.state = 'made' THEN
            PERFORM mentalspace.provision_run(owner, 'ALTER TABLE realtime.messages_default ENABLE ROW LEVEL SECURITY');
            PERFORM mentalspace.provision_run(owner,
                    'COMMENT ON TABLE realtime.messages_default IS ''messages that no other partition takes''');
        END IF;
        RETURN NEXT step;
    END IF;
    RETURN NEXT mentalspace.provision_grant(owner, 'TABLE', 'realtime.messages', '{SELECT,INSERT,UPDATE}',
            '{anon,authenticated,service_role,supabase_realtime_admin}');
    RETURN NEXT mentalspace.provision_function(owner, 'realtime.topic()',
            'topic of the channel that this request reads or sends to', $f$()
        RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
        RETURN nullif(current_setting('realtime.topic', true), '')$f$);
    RETURN NEXT mentalspace.provision_function(owner, 'realtime.send(jsonb, text, text, boolean)',
            'puts a message into realtime.messages under the caller''s policies; a failure is a warning', $f$(
            payload jsonb, event text, topic text, private boolean DEFAULT true)
        RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
        AS $body$
        DECLARE
            message uuid := gen_random_uuid();
        BEGIN
            PERFORM set_config('realtime.topic', topic, true);
            INSERT INTO realtime.messages (id, payload, event, topic, private, extension)
            VALUES (message, CASE WHEN payload ? 'id' THEN payload ELSE jsonb_set(payload, '{id}',
                    to_jsonb(message)) END,
                    event, topic, private, 'broadcast');
        EXCEPTION WHEN others THEN
            RAISE WARNING 'could not send message: %', sqlerrm USING ERRCODE = sqlstate;
        END
        $body$ $f$);
    RETURN NEXT mentalspace.provision_function(owner, 'realtime.send_binary(bytea, text, text, boolean)',
            'as realtime.send(), for bytes', $f$(
            payload bytea, event text, topic text, private boolean DEFAULT true)
        RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
        AS $body$
        BEGIN
            PERFORM set_config('realtime.topic', topic, true);
            INSERT INTO realtime.messages (binary_payload, event, topic, private, extension)
            VALUES (payload, event, topic, private, 'broadcast');
        EXCEPTION WHEN others THEN
            RAISE WARNING 'could not send message: %', sqlerrm USING ERRCODE = sqlstate;
        END
        $body$ $f$);
    RETURN NEXT mentalspace.provision_function(owner,
            'realtime.broadcast_changes(text, text, text, text, text, record, record, text)',
        'sends a row change to a topic; to be called by a row trigger', $f$(
            topic_name text, event_name text, operation text, table_name text, table_schema text, new record,
                    old record, level text DEFAULT 'ROW')
        RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
        AS $body$
        BEGIN
            IF level = 'STATEMENT' THEN
                RAISE EXCEPTION 'changes can be broadcast for each row only, not for each statement' USING ERRCODE = 'wrong_object_type';
            ELSIF operation NOT IN ('INSERT', 'UPDATE', 'DELETE') THEN
                RAISE EXCEPTION 'unexpected operation "%"', operation USING ERRCODE = 'invalid_parameter_value';
            END IF;
            PERFORM realtime.send(jsonb_build_object('old_record', old, 'record', new, 'operation', operation,
                                                     'table', table_name, 'schema', table_schema), event_name,
                                                             topic_name);
        END
        $body$ $f$);
    -- CREATE PUBLICATION warns where wal_level is not logical; the row says it instead.
    PERFORM set_config('client_min_messages', 'error', true);
    step := mentalspace.provision_object(owner, 'publication', 'supabase_realtime',
        EXISTS (SELECT FROM pg_publication WHERE pubname = 'supabase_realtime'),
                'CREATE PUBLICATION supabase_realtime');
    PERFORM set_config('client_min_messages', level, true);
    IF current_setting('wal_level') <> 'logical' THEN
        step.detail := format('nothing is published while wal_level is %s', current_setting('wal_level'));
    END IF;
    RETURN NEXT step;
END
$$;
COMMENT ON FUNCTION mentalspace.provision_realtime(name) IS
    'component realtime of provision(): realtime.messages with row level security, topic(), send(), broadcast_changes(), publication supabase_realtime';
