-- read_phi(): the rows of one patient.  It runs as its caller, under the caller's row security and search_path, so that all
-- names in it bear their schema.
CREATE FUNCTION mentalspace.audit_condition(rel regclass, OUT condition text, OUT key_type text) RETURNS record
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    declared mentalspace.audit_relations := mentalspace.audit_declaration(rel);
    p record;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_class WHERE oid = rel) IS NOT FALSE THEN
        RAISE EXCEPTION 'table % does not exist', coalesce(rel::text, 'NULL') USING ERRCODE = 'undefined_table';
    ELSIF declared.relation IS NULL THEN
        RAISE EXCEPTION 'table % is not declared', rel USING ERRCODE = 'invalid_parameter_value',
            HINT = 'mentalspace.audit_table() declares a table with patients'' data.';
    ELSIF declared.patient_key IS NULL THEN
        RAISE EXCEPTION 'rows of table % belong to no patient', rel USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- From the patient back to the table.
    FOR p IN SELECT * FROM mentalspace.audit_path(declared.relation, declared.patient_key) ORDER BY step DESC LOOP
        IF condition IS NULL THEN
            SELECT format_type(a.atttypid, NULL) INTO key_type FROM pg_attribute AS a
             WHERE a.attrelid = p.relation AND a.attname = p.key_column;
            condition := format('t%s.%I OPERATOR(pg_catalog.=) $1::%s', p.step, p.key_column, key_type);
        ELSE
            condition := format('t%s.%I IN (SELECT t%s.%I FROM %s AS t%s WHERE %s)', p.step, p.key_column, p.step + 1,
                                p.referred_column, p.refers_to, p.step + 1, condition);
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mentalspace.audit_condition(regclass) IS 'internal to read_phi(): the condition that a row belongs to patient $1, and the type of a patient''s identifier';

CREATE FUNCTION mentalspace.read_phi(rel regclass, patient_id text, purpose text DEFAULT NULL) RETURNS SETOF jsonb
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    AS $$
DECLARE
    c record;
    rows bigint;
BEGIN
    IF read_phi.patient_id IS NULL THEN
        RAISE EXCEPTION 'patient must not be NULL' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT * INTO c FROM mentalspace.audit_condition(read_phi.rel);
    BEGIN
        EXECUTE pg_catalog.concat('SELECT $1::', c.key_type) USING read_phi.patient_id;
    EXCEPTION WHEN data_exception OR integrity_constraint_violation THEN
        RAISE EXCEPTION 'patient is not a value of type %', c.key_type USING ERRCODE = 'invalid_parameter_value';
    END;
    IF read_phi.purpose IS NOT NULL THEN
        PERFORM pg_catalog.set_config('mentalspace.audit_purpose', read_phi.purpose, true);
    END IF;
    RETURN QUERY EXECUTE pg_catalog.format('SELECT pg_catalog.to_jsonb(t1) FROM %s AS t1 WHERE %s', read_phi.rel, c.condition)
        USING read_phi.patient_id;
    GET DIAGNOSTICS rows = ROW_COUNT;
    -- In the native flavour the executor's hooks have seen it.
    IF '@FLAVOR@'::pg_catalog.text OPERATOR(pg_catalog.=) 'trusted' THEN
        PERFORM mentalspace.audit_note_read(read_phi.rel, read_phi.patient_id, rows);
    END IF;
END
$$;
COMMENT ON FUNCTION mentalspace.read_phi(regclass, text, text) IS 'rows of an audited table that belong to a patient and that the caller may see; the read is an audit event, its purpose that of the rest of the transaction';
