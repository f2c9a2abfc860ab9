-- Queues are known in pgmq.meta.  The tables of a queue, q_NAME and a_NAME, belong to whoever made it and are not members
-- of the extension: pg_dump takes them with their messages, and DROP EXTENSION does not.
CREATE TYPE pgmq.message_record AS (
    msg_id bigint,
    read_ct integer,
    enqueued_at timestamptz,
    vt timestamptz,
    message jsonb,
    headers jsonb
);
COMMENT ON TYPE pgmq.message_record IS 'a message as it is read: vt is when it can be read again';

CREATE TYPE pgmq.queue_record AS (
    queue_name varchar,
    is_partitioned boolean,
    is_unlogged boolean,
    created_at timestamptz
);
COMMENT ON TYPE pgmq.queue_record IS 'a queue';

CREATE TYPE pgmq.metrics_result AS (
    queue_name text,
    queue_length bigint,
    newest_msg_age_sec integer,
    oldest_msg_age_sec integer,
    total_messages bigint,
    scrape_time timestamptz,
    queue_visible_length bigint
);
COMMENT ON TYPE pgmq.metrics_result IS 'how full a queue is, and of how old messages';

CREATE TABLE pgmq.meta (
    queue_name varchar NOT NULL UNIQUE,
    is_partitioned boolean NOT NULL,
    is_unlogged boolean NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE pgmq.meta IS 'the queues';
SELECT pg_catalog.pg_extension_config_dump('pgmq.meta', '');
