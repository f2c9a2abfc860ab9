-- The audit in PL/pgSQL: writes by triggers as in the native flavour.  Reads leave no trace by themselves, because this
-- flavour has no hooks: an application reads by read_phi(), and pgaudit, where it is installed, sees the statements.
CREATE FUNCTION mentalspace.audit_outlet_name() RETURNS text
    LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
    AS $$ SELECT 'off'::text $$;

CREATE FUNCTION mentalspace.audit_start_reads(warn boolean) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    IF warn THEN
        RAISE WARNING 'reads of audited tables are not seen by the trusted flavour' USING
            ERRCODE = 'feature_not_supported', HINT = 'Read by mentalspace.read_phi(), and have pgaudit log statements.';
    END IF;
END
$$;

CREATE FUNCTION mentalspace.audit_flush() RETURNS void
    LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$ SELECT $$;

CREATE FUNCTION mentalspace.audit_ingest(file text) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RAISE EXCEPTION 'the trusted flavour reads no files' USING ERRCODE = 'feature_not_supported',
        DETAIL = 'Spool files are written by standbys of the native flavour.';
END
$$;

-- The patient that a row leads to.  Where a row on the way was deleted by this transaction, as a cascade has before it, its
-- image in the event of that is looked at.
CREATE FUNCTION mentalspace.audit_patient(rel regclass, patient_key text, image jsonb) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    p record;
    previous record;
    value text;
    found_value text;
    there boolean;
BEGIN
    IF patient_key ~ '^[a-z_][a-z0-9_]*$' THEN
        RETURN image ->> patient_key;
    END IF;
    FOR p IN SELECT * FROM mentalspace.audit_path(rel, patient_key) ORDER BY step LOOP
        IF p.step = 1 THEN
            value := image ->> p.key_column::text;
        ELSE
            EXECUTE format('SELECT t.%I::text, true FROM %s AS t WHERE t.%I = $1::%s', p.key_column, p.relation,
                           previous.referred_column, (SELECT format_type(a.atttypid, a.atttypmod) FROM pg_attribute AS a
                             WHERE a.attrelid = p.relation AND a.attname = previous.referred_column))
               INTO found_value, there USING value;
            IF there IS NULL THEN
                SELECT e.row_image ->> p.key_column::text INTO found_value
                  FROM mentalspace.audit_events AS e
                 WHERE e.occurred_at >= now() AND e.transaction_id = pg_current_xact_id() AND e.action = 'D'
                   AND e.relation = mentalspace.audit_relation_name(p.relation)
                   AND e.row_image ->> previous.referred_column::text = value
                 ORDER BY e.event_id DESC LIMIT 1;
            END IF;
            value := found_value;
        END IF;
        EXIT WHEN value IS NULL;
        previous := p;
    END LOOP;
    RETURN value;
END
$$;
COMMENT ON FUNCTION mentalspace.audit_patient(regclass, text, jsonb) IS 'internal to the audit: the patient that a row leads to';

CREATE FUNCTION mentalspace.audit_row_key(rel regclass, image jsonb) RETURNS text
    LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT CASE count(*) WHEN 0 THEN NULL WHEN 1 THEN min($2 ->> a.attname::text)
                         ELSE '{' || string_agg(format('%s: %s', to_json(a.attname::text),
                             CASE WHEN a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
                                  THEN $2 ->> a.attname::text ELSE to_json($2 ->> a.attname::text)::text END), ', ' ORDER BY k.n) || '}' END
      FROM pg_index AS i CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k(attnum, n)
      JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
     WHERE i.indrelid = $1 AND i.indisprimary AND k.n <= i.indnkeyatts
    $$;
COMMENT ON FUNCTION mentalspace.audit_row_key(regclass, jsonb) IS 'internal to the audit: the primary key of a row as events have it';

-- As the types write their values, not as JSON has them.
CREATE FUNCTION mentalspace.audit_redact(image jsonb, row_of_table record, columns text[]) RETURNS jsonb
    LANGUAGE plpgsql STABLE STRICT PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    digest CONSTANT text := 'CASE WHEN $1.%1$I IS DISTINCT FROM NULL '
        'THEN ''sha256:'' || encode(sha256($2 || convert_to(format(''%%s'', $1.%1$I), ''UTF8'')), ''hex'') END';
    -- Those that this partition or child has.
    names text[] := ARRAY(SELECT c.name FROM unnest(columns) AS c(name) WHERE image ? c.name);
    digests text[];
BEGIN
    IF cardinality(names) = 0 THEN
        RETURN image;
    END IF;
    EXECUTE (SELECT 'SELECT ARRAY[' || string_agg(format(digest, c.name), ', ' ORDER BY c.n) || ']'
               FROM unnest(names) WITH ORDINALITY AS c(name, n))
       INTO digests USING row_of_table, mentalspace.audit_salt();
    RETURN image || jsonb_object(names, digests);
END
$$;
COMMENT ON FUNCTION mentalspace.audit_redact(jsonb, record, text[]) IS 'internal to the audit: a row with salted digests in place of some columns'' values';

CREATE FUNCTION mentalspace.audit_row() RETURNS trigger
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    declared mentalspace.audit_relations := mentalspace.audit_declaration(TG_RELID);
    event mentalspace.audit_events;
    old_image jsonb;
    new_image jsonb;
    old_shown jsonb;
    new_shown jsonb;
BEGIN
    IF declared.relation IS NULL OR NOT declared.writes THEN
        RETURN NULL;
    END IF;
    event.kind := CASE WHEN declared.relation = mentalspace.role_source() THEN 'permission_change' ELSE 'data_modification' END;
    event.action := CASE TG_OP WHEN 'INSERT' THEN 'C' WHEN 'UPDATE' THEN 'U' ELSE 'D' END;
    event.category := declared.category;
    event.relation := mentalspace.audit_relation_name(declared.relation);
    event.row_count := 1;
    IF TG_OP <> 'INSERT' THEN
        old_image := to_jsonb(OLD);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        new_image := to_jsonb(NEW);
    END IF;
    event.row_key := mentalspace.audit_row_key(TG_RELID, coalesce(new_image, old_image));
    -- A row that an UPDATE takes from one patient to another is both's.
    IF declared.patient_key IS NOT NULL THEN
        BEGIN
            event.patient_ids := nullif(array_remove(ARRAY[
                mentalspace.audit_patient(declared.relation, declared.patient_key, coalesce(old_image, new_image)),
                mentalspace.audit_patient(declared.relation, declared.patient_key, coalesce(new_image, old_image))], NULL), '{}');
            IF event.patient_ids[1] = event.patient_ids[2] THEN
                event.patient_ids := event.patient_ids[:1];
            END IF;
        EXCEPTION WHEN syntax_error_or_access_rule_violation OR invalid_parameter_value THEN
            event.patient_ids := NULL;
            event.severity := 'critical';
        END;
    END IF;
    IF TG_OP = 'INSERT' THEN
        event.row_digest := mentalspace.audit_digest(NEW);
    ELSIF TG_OP = 'UPDATE' THEN
        old_shown := mentalspace.audit_redact(old_image, OLD, declared.redact);
        new_shown := mentalspace.audit_redact(new_image, NEW, declared.redact);
        SELECT coalesce(jsonb_object_agg(o.key, jsonb_build_array(old_shown -> o.key, new_shown -> o.key)), '{}')
          INTO event.changes
          FROM jsonb_each_text(old_image) AS o
         WHERE o.value IS DISTINCT FROM new_image ->> o.key;
    ELSE
        event.row_image := mentalspace.audit_redact(old_image, OLD, declared.redact);
    END IF;
    PERFORM mentalspace.audit_add_event(event);
    RETURN NULL;
END
$$;

CREATE FUNCTION mentalspace.audit_truncate() RETURNS trigger
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    declared mentalspace.audit_relations := mentalspace.audit_declaration(TG_RELID);
    event mentalspace.audit_events;
    places regclass[] := ARRAY[TG_RELID::regclass];
    place regclass;
    key_column name;
    n bigint;
    keys text[];
BEGIN
    IF declared.relation IS NULL OR NOT declared.writes THEN
        RETURN NULL;
    END IF;
    IF (SELECT relkind FROM pg_class WHERE oid = TG_RELID) = 'p' THEN
        -- A partition that has the trigger itself gives an event of its own.
        places := ARRAY(SELECT t.relid FROM pg_partition_tree(TG_RELID) AS t
                         WHERE t.isleaf AND t.relid <> TG_RELID
                           AND NOT EXISTS (SELECT FROM pg_trigger AS g WHERE g.tgrelid = t.relid
                                              AND g.tgfoid = 'mentalspace.audit_truncate()'::regprocedure));
        IF cardinality(places) = 0 AND EXISTS (SELECT FROM pg_inherits AS i WHERE i.inhparent = TG_RELID) THEN
            RETURN NULL;
        END IF;
    END IF;
    event.kind := CASE WHEN declared.relation = mentalspace.role_source() THEN 'permission_change' ELSE 'data_modification' END;
    event.action := 'D';
    event.category := declared.category;
    event.relation := mentalspace.audit_relation_name(declared.relation);
    event.row_count := 0;
    event.patient_ids := CASE WHEN declared.patient_key IS NOT NULL THEN '{}'::text[] END;
    event.severity := 'warning';
    event.detail := 'TRUNCATE';
    BEGIN
        SELECT p.key_column INTO key_column FROM mentalspace.audit_path(declared.relation, declared.patient_key) AS p
         WHERE declared.patient_key IS NOT NULL AND p.step = 1;
    EXCEPTION WHEN syntax_error_or_access_rule_violation OR invalid_parameter_value THEN
        event.patient_ids := NULL;
        event.severity := 'critical';
    END;
    FOREACH place IN ARRAY places LOOP
        EXECUTE format('SELECT count(*), array_agg(DISTINCT to_jsonb(t) ->> %L) FROM ONLY %s AS t', key_column, place)
           INTO n, keys;
        event.row_count := event.row_count + n;
        IF event.patient_ids IS NOT NULL THEN
            event.patient_ids := ARRAY(
                SELECT e.id FROM (SELECT unnest(event.patient_ids) AS id UNION
                                  SELECT mentalspace.audit_patient(declared.relation, declared.patient_key,
                                                                   jsonb_build_object(key_column, k.key))
                                    FROM unnest(keys) AS k(key)) AS e
                 WHERE e.id IS NOT NULL ORDER BY e.id);
        END IF;
    END LOOP;
    PERFORM mentalspace.audit_add_event(event);
    RETURN NULL;
END
$$;

-- Anybody may call it, because read_phi() runs as its caller: what it adds is an event of the caller's own.
CREATE FUNCTION mentalspace.audit_note_read(rel regclass, patient_id text, rows bigint) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    declared mentalspace.audit_relations := mentalspace.audit_declaration(rel);
    event mentalspace.audit_events;
BEGIN
    IF declared.relation IS NULL OR NOT declared.reads THEN
        RETURN;
    END IF;
    event.kind := 'phi_access';
    event.action := 'R';
    event.category := declared.category;
    event.severity := CASE WHEN declared.category = 'psychotherapy_note' THEN 'critical' ELSE 'info' END;
    event.precision := 'examined';
    event.relation := mentalspace.audit_relation_name(declared.relation);
    event.row_count := rows;
    event.patient_ids := ARRAY[patient_id];
    PERFORM mentalspace.audit_add_event(event);
END
$$;
COMMENT ON FUNCTION mentalspace.audit_note_read(regclass, text, bigint) IS 'internal to read_phi(): adds the event of a read';
REVOKE ALL ON FUNCTION mentalspace.audit_patient(regclass, text, jsonb), mentalspace.audit_row_key(regclass, jsonb),
    mentalspace.audit_redact(jsonb, record, text[]) FROM PUBLIC;
