-- Who may do what with the record: members of mentalspace_auditor read the events, nobody changes them.
CREATE FUNCTION mentalspace.audit_refuse_change() RETURNS trigger
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RAISE EXCEPTION 'rows of %.% cannot be changed or removed', quote_ident(TG_TABLE_SCHEMA), quote_ident(TG_TABLE_NAME)
        USING ERRCODE = 'insufficient_privilege', DETAIL = 'They are the record of access to patients'' data.',
              SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME;
END
$$;
COMMENT ON FUNCTION mentalspace.audit_refuse_change() IS 'trigger: no UPDATE, DELETE or TRUNCATE';

CREATE FUNCTION mentalspace.audit_close_table(rel regclass) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    grantee text;
BEGIN
    -- Nobody but the owner, whatever default privileges say; and row security keeps members of pg_read_all_data out too.
    FOR grantee IN
        SELECT DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END
          FROM pg_class AS c, aclexplode(c.relacl) AS a WHERE c.oid = rel AND a.grantee <> c.relowner
    LOOP
        EXECUTE format('REVOKE ALL ON %s FROM %s', rel, grantee);
    END LOOP;
    IF (SELECT relkind FROM pg_class WHERE oid = rel) <> 'S' THEN
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', rel);
    END IF;
END
$$;
COMMENT ON FUNCTION mentalspace.audit_close_table(regclass) IS 'internal to the audit: takes back what default privileges gave on one of its tables';

-- Triggers for rows come to a partition with those of audit_events, triggers for TRUNCATE do not.
CREATE FUNCTION mentalspace.audit_guard_events(rel regclass) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM mentalspace.audit_close_table(rel);
    EXECUTE format('GRANT SELECT ON %s TO mentalspace_auditor', rel);
    EXECUTE format('CREATE POLICY auditors ON %s FOR SELECT TO mentalspace_auditor USING (true)', rel);
    EXECUTE format('CREATE TRIGGER audit_refuse_truncate BEFORE TRUNCATE ON %s FOR EACH STATEMENT '
                   'EXECUTE FUNCTION mentalspace.audit_refuse_change()', rel);
    -- Also with session_replication_role = replica.
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER audit_refuse_truncate', rel);
END
$$;
COMMENT ON FUNCTION mentalspace.audit_guard_events(regclass) IS 'internal to the audit: who may do what with a table of events';

CREATE TRIGGER audit_refuse_change BEFORE UPDATE OR DELETE ON mentalspace.audit_events
    FOR EACH ROW EXECUTE FUNCTION mentalspace.audit_refuse_change();
ALTER TABLE mentalspace.audit_events ENABLE ALWAYS TRIGGER audit_refuse_change;
CREATE TRIGGER audit_refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON mentalspace.audit_salts
    FOR EACH STATEMENT EXECUTE FUNCTION mentalspace.audit_refuse_change();
ALTER TABLE mentalspace.audit_salts ENABLE ALWAYS TRIGGER audit_refuse_change;
DO $$
BEGIN
    PERFORM mentalspace.audit_guard_events('mentalspace.audit_events');
    PERFORM mentalspace.audit_guard_events('mentalspace.audit_events_default');
    PERFORM mentalspace.audit_close_table('mentalspace.audit_event_ids');
    PERFORM mentalspace.audit_close_table('mentalspace.audit_relations');
    PERFORM mentalspace.audit_close_table('mentalspace.audit_salts');
    PERFORM mentalspace.audit_close_table('mentalspace.audit_progress');
END
$$;

-- Indexes come when a month is over: until then each event would pay for them.  They are each partition's own: were there
-- one on audit_events, a restored partition would have it twice, because pg_dump knows of the partition's only.
CREATE FUNCTION mentalspace.audit_index_partitions() RETURNS int
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    past regclass;
    made int := 0;
BEGIN
    FOR past IN
        SELECT c.oid::regclass FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
         WHERE i.inhparent = 'mentalspace.audit_events'::regclass AND c.relname ~ '^audit_events_[0-9]{6}$' AND c.relkind = 'r'
           AND right(c.relname, 6) < to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYYMM')
           AND NOT EXISTS (SELECT FROM pg_index AS x WHERE x.indrelid = c.oid)
         ORDER BY c.relname
    LOOP
        EXECUTE format('CREATE INDEX ON %s USING brin (occurred_at)', past);
        EXECUTE format('CREATE INDEX ON %s USING gin (patient_ids)', past);
        made := made + 1;
    END LOOP;
    RETURN made;
END
$$;
COMMENT ON FUNCTION mentalspace.audit_index_partitions() IS 'internal to audit_make_partitions(): indexes by time and by patient for the months that are over, and returns how many it indexed';

CREATE FUNCTION mentalspace.audit_make_partitions(ahead int DEFAULT 2) RETURNS int
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    first timestamp := date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC');
    month timestamp;
    has_events boolean;
    began timestamptz;
    ended timestamptz;
    made int := 0;
    name text;
BEGIN
    IF ahead IS NULL OR ahead NOT BETWEEN 0 AND 120 THEN
        RAISE EXCEPTION 'number of months must be between 0 and 120' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM mentalspace.audit_index_partitions();
    -- Also the months of events that came while their partition was missing.
    FOREACH month IN ARRAY ARRAY(
        SELECT first + make_interval(months => i) FROM generate_series(0, ahead) AS i
        UNION SELECT date_trunc('month', e.occurred_at AT TIME ZONE 'UTC') FROM mentalspace.audit_events_default AS e
        ORDER BY 1)
    LOOP
        name := 'audit_events_' || to_char(month, 'YYYYMM');
        CONTINUE WHEN to_regclass(format('mentalspace.%I', name)) IS NOT NULL;
        IF made = 0 THEN
            -- One at a time: whoever waited here sees what the other has made.  And nobody adds events of the month to
            -- audit_events_default in between.
            LOCK TABLE ONLY mentalspace.audit_events IN SHARE UPDATE EXCLUSIVE MODE;
            CONTINUE WHEN to_regclass(format('mentalspace.%I', name)) IS NOT NULL;
            LOCK TABLE mentalspace.audit_events_default IN ACCESS EXCLUSIVE MODE;
        END IF;
        began := month AT TIME ZONE 'UTC';
        ended := (month + interval '1 month') AT TIME ZONE 'UTC';
        has_events := EXISTS (SELECT FROM mentalspace.audit_events_default AS e WHERE e.occurred_at >= began AND e.occurred_at < ended);
        -- Attaching lets those go on who write to other partitions; creating as a partition would not.
        EXECUTE format('CREATE TABLE mentalspace.%I (LIKE mentalspace.audit_events INCLUDING DEFAULTS INCLUDING COMMENTS)',
                       name);
        IF has_events THEN
            -- They move, and nobody sees or changes the table meanwhile: the lock is held until the end of the transaction.
            EXECUTE format('INSERT INTO mentalspace.%I SELECT * FROM mentalspace.audit_events_default AS e '
                           'WHERE e.occurred_at >= $1 AND e.occurred_at < $2', name) USING began, ended;
            ALTER TABLE mentalspace.audit_events_default DISABLE TRIGGER audit_refuse_change;
            DELETE FROM mentalspace.audit_events_default AS e WHERE e.occurred_at >= began AND e.occurred_at < ended;
            ALTER TABLE mentalspace.audit_events_default ENABLE ALWAYS TRIGGER audit_refuse_change;
        END IF;
        EXECUTE format('ALTER TABLE mentalspace.audit_events ATTACH PARTITION mentalspace.%I '
                       'FOR VALUES FROM (%L) TO (%L)', name, began, ended);
        EXECUTE format('COMMENT ON TABLE mentalspace.%I IS %L', name,
                       format('audit events of %s (UTC)', to_char(month, 'YYYY-MM')));
        PERFORM mentalspace.audit_guard_events(format('mentalspace.%I', name)::regclass);
        made := made + 1;
    END LOOP;
    RETURN made;
END
$$;
COMMENT ON FUNCTION mentalspace.audit_make_partitions(int) IS 'makes the partitions of audit_events for this month and so many ahead, where they are missing, and returns how many it made; months that are over get their indexes';

REVOKE ALL ON FUNCTION mentalspace.audit_refuse_change(), mentalspace.audit_close_table(regclass),
    mentalspace.audit_guard_events(regclass), mentalspace.audit_index_partitions(),
    mentalspace.audit_make_partitions(int) FROM PUBLIC;
