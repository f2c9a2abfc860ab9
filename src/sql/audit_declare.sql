-- What is audited: audit_table(), unaudit_table(), audit_tables().

-- Owners of partitioned tables may execute audit_row(), which PostgreSQL asks of whoever makes a partition.  So a trigger of
-- our name and function may be theirs, and fire for less.
CREATE FUNCTION mentalspace.audit_trigger_fits(t pg_trigger) RETURNS boolean
    LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT t.tgqual IS NULL AND cardinality(t.tgattr) = 0 AND t.tgconstraint = 0
           AND CASE t.tgname WHEN 'mentalspace_audit' THEN t.tgtype = 29 AND t.tgfoid = 'mentalspace.audit_row()'::regprocedure
                             WHEN 'mentalspace_audit_truncate' THEN t.tgtype = 34 AND t.tgfoid = 'mentalspace.audit_truncate()'::regprocedure
                             ELSE true END
    $$;
COMMENT ON FUNCTION mentalspace.audit_trigger_fits(pg_trigger) IS 'internal to the audit: whether a trigger of ours is as audit_table() makes it';

CREATE FUNCTION mentalspace.audit_sync_triggers(rel regclass) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    wanted record;
    present record;
    made regclass;
    made_function regproc;
    maker name;
BEGIN
    -- A partition's trigger goes with that of the partitioned table.
    FOR present IN
        SELECT t.tgname AS name, d AS place, p.oid::regprocedure AS function, p.proname LIKE 'audit\_write\_%' AS made
          FROM mentalspace.audit_descendants(rel) AS d
          JOIN pg_trigger AS t ON t.tgrelid = d AND t.tgparentid = 0
          JOIN pg_proc AS p ON p.oid = t.tgfoid AND p.pronamespace = 'mentalspace'::regnamespace
         WHERE NOT (coalesce((mentalspace.audit_declaration(d)).writes, false)
                    AND EXISTS (SELECT FROM mentalspace.audit_trigger_list(rel) AS l WHERE l.place = d AND l.name = t.tgname))
         ORDER BY d <> rel, d, t.tgname
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', present.name, present.place);
        IF present.made AND NOT EXISTS (SELECT FROM pg_trigger AS t WHERE t.tgfoid = present.function) THEN
            EXECUTE format('DROP FUNCTION %s', present.function);
        END IF;
    END LOOP;
    FOR wanted IN SELECT * FROM mentalspace.audit_trigger_list(rel) AS l LOOP
        CONTINUE WHEN NOT coalesce((mentalspace.audit_declaration(wanted.place)).writes, false);
        IF wanted.definition NOT LIKE '%EXECUTE FUNCTION%' THEN
            IF made IS DISTINCT FROM wanted.place THEN
                made := wanted.place;
                made_function := mentalspace.audit_trigger_function(made);
            END IF;
            wanted.definition := wanted.definition || format(' EXECUTE FUNCTION %s()', made_function);
        END IF;
        SELECT t.tgenabled, p.pronamespace = 'mentalspace'::regnamespace AS ours, mentalspace.audit_trigger_fits(t) AS fits INTO present
          FROM pg_trigger AS t JOIN pg_proc AS p ON p.oid = t.tgfoid WHERE t.tgrelid = wanted.place AND t.tgname = wanted.name;
        IF present.ours AND NOT present.fits THEN
            EXECUTE format('DROP TRIGGER %I ON %s', wanted.name, wanted.place);
            present.ours := NULL;
            present.tgenabled := NULL;
        END IF;
        IF present.ours IS NULL THEN
            EXECUTE format('CREATE TRIGGER %I ', wanted.name) || format(wanted.definition, wanted.place);
        ELSIF NOT present.ours THEN
            RAISE EXCEPTION 'table % has a trigger % of its own', wanted.place, quote_ident(wanted.name)
                USING ERRCODE = 'duplicate_object';
        END IF;
        SELECT pg_get_userbyid(c.relowner) INTO maker FROM pg_class AS c
         WHERE c.oid = wanted.place AND c.relkind = 'p' AND wanted.name = 'mentalspace_audit'
           AND NOT has_function_privilege(c.relowner, 'mentalspace.audit_row()', 'EXECUTE');
        IF FOUND THEN
            EXECUTE format('GRANT EXECUTE ON FUNCTION mentalspace.audit_row() TO %I', maker);
        END IF;
        -- Also for changes that replication applies, or that are made with session_replication_role = replica.
        IF present.tgenabled IS DISTINCT FROM 'A' THEN
            EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', wanted.place, wanted.name);
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mentalspace.audit_sync_triggers(regclass) IS 'internal to audit_table(): the triggers of a table, its partitions and children become those that its declaration wants';

CREATE FUNCTION mentalspace.audit_check_relation(rel regclass) RETURNS "char"
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    c record;
BEGIN
    SELECT relkind, relpersistence, relispartition, relnamespace INTO c FROM pg_class WHERE oid = rel;
    IF c.relkind IS NULL THEN
        RAISE EXCEPTION 'table % does not exist', coalesce(rel::text, 'NULL') USING ERRCODE = 'undefined_table';
    ELSIF c.relkind = 'v' THEN
        RAISE EXCEPTION '% is a view and cannot be audited itself', rel
            USING ERRCODE = 'wrong_object_type',
                  HINT = 'Declare the tables that it reads: what is read of them through a view is audited.';
    ELSIF c.relkind NOT IN ('r', 'p', 'm', 'f') THEN
        RAISE EXCEPTION '% is not a table', rel USING ERRCODE = 'wrong_object_type';
    ELSIF c.relispartition THEN
        RAISE EXCEPTION '% is a partition', rel USING ERRCODE = 'wrong_object_type',
            HINT = 'Declare the partitioned table: it stands for all its partitions.';
    ELSIF c.relpersistence = 't' THEN
        RAISE EXCEPTION '% is a temporary table and cannot be audited', rel USING ERRCODE = 'wrong_object_type';
    ELSIF c.relnamespace::regnamespace::text IN ('pg_catalog', 'information_schema', 'pg_toast', 'mentalspace') THEN
        RAISE EXCEPTION '% belongs to the system and cannot be audited', rel USING ERRCODE = 'wrong_object_type';
    END IF;
    RETURN c.relkind;
END
$$;
COMMENT ON FUNCTION mentalspace.audit_check_relation(regclass) IS 'internal to audit_table(): the kind of a table, an error where it cannot be audited';

CREATE FUNCTION mentalspace.audit_table(rel regclass, patient_key text, reads boolean DEFAULT NULL, writes boolean DEFAULT NULL,
    redact text[] DEFAULT NULL, category text DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    kind "char" := mentalspace.audit_check_relation(rel);
    known mentalspace.audit_relations;
    path text;
    missing text;
    warned boolean;
BEGIN
    -- What is not given stays as it was declared; columns to redact that are gone do not.
    SELECT * INTO known FROM mentalspace.audit_relations AS r WHERE r.relation = rel;
    audit_table.reads := coalesce(audit_table.reads, known.reads, true);
    audit_table.writes := coalesce(audit_table.writes, known.writes, true);
    audit_table.category := coalesce(audit_table.category, known.category, 'phi');
    audit_table.redact := coalesce(audit_table.redact,
        ARRAY(SELECT a.attname::text FROM pg_attribute AS a
               WHERE a.attrelid = rel AND a.attname = ANY (known.redact) AND a.attnum > 0 AND NOT a.attisdropped));
    IF array_position(audit_table.redact, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'redact must not hold NULL' USING ERRCODE = 'invalid_parameter_value';
    ELSIF audit_table.category NOT IN ('phi', 'psychotherapy_note', 'substance_use', 'billing') THEN
        RAISE EXCEPTION 'category must be phi, psychotherapy_note, substance_use or billing'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- Nothing can be written to a materialised view.
    audit_table.writes := audit_table.writes AND kind <> 'm';
    IF NOT (audit_table.reads OR audit_table.writes) THEN
        RAISE EXCEPTION 'neither reads nor writes are to be audited' USING ERRCODE = 'invalid_parameter_value',
            HINT = 'mentalspace.unaudit_table() ends the audit of a table.';
    END IF;
    SELECT min(r.name) INTO missing FROM unnest(audit_table.redact) AS r(name)
     WHERE NOT EXISTS (SELECT FROM pg_attribute AS a
                        WHERE a.attrelid = rel AND a.attname = r.name AND a.attnum > 0 AND NOT a.attisdropped);
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION 'column "%" to redact does not exist in table %', missing, rel USING ERRCODE = 'undefined_column';
    END IF;
    IF audit_table.patient_key IS NOT NULL THEN
        path := mentalspace.audit_canonical_path(rel, audit_table.patient_key);
    END IF;

    PERFORM mentalspace.audit_make_partitions();
    -- Said once in a transaction.
    warned := EXISTS (SELECT FROM mentalspace.audit_relations AS r WHERE r.reads AND r.declared_at = now());
    audit_table.redact := ARRAY(SELECT DISTINCT unnest(audit_table.redact) ORDER BY 1);
    INSERT INTO mentalspace.audit_relations AS r (relation, patient_key, reads, writes, redact, category)
    VALUES (rel, path, audit_table.reads, audit_table.writes, audit_table.redact, audit_table.category)
    ON CONFLICT (relation) DO UPDATE
       SET patient_key = excluded.patient_key, reads = excluded.reads, writes = excluded.writes, redact = excluded.redact,
           category = excluded.category, declared_at = excluded.declared_at, declared_by = excluded.declared_by;
    IF '@FLAVOR@' = 'trusted' THEN
        PERFORM mentalspace.audit_allow_lookup(rel, path);
    END IF;
    PERFORM mentalspace.audit_sync_triggers(rel);
    PERFORM mentalspace.audit_record_admin(rel, CASE WHEN known.relation IS NULL THEN 'C' ELSE 'U' END,
        CASE WHEN known.relation IS NULL THEN 'info' ELSE 'warning' END, audit_table.category,
        format('audit_table: %s, patient key %s, reads %s, writes %s, redacted columns: %s',
               CASE WHEN known.relation IS NULL THEN 'declared' ELSE 'declaration changed' END, coalesce(path, 'none'),
               CASE WHEN audit_table.reads THEN 'on' ELSE 'off' END, CASE WHEN audit_table.writes THEN 'on' ELSE 'off' END,
               coalesce(nullif(array_to_string(audit_table.redact, ', '), ''), 'none')));
    IF audit_table.reads THEN
        PERFORM mentalspace.audit_start_reads(NOT warned);
    END IF;
END
$$;
COMMENT ON FUNCTION mentalspace.audit_table(regclass, text, boolean, boolean, text[], text) IS 'declares a table with patients'' data: from now on its reads and writes are audited; called again, it changes the declaration, of which stays what is not given';

CREATE FUNCTION mentalspace.unaudit_table(rel regclass) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    of_category text;
BEGIN
    DELETE FROM mentalspace.audit_relations AS r WHERE r.relation = rel RETURNING r.category INTO of_category;
    IF NOT FOUND THEN
        IF NOT EXISTS (SELECT FROM pg_class WHERE oid = rel) THEN
            RAISE EXCEPTION 'table % does not exist', coalesce(rel::text, 'NULL') USING ERRCODE = 'undefined_table';
        END IF;
        RAISE EXCEPTION 'table % is not declared', rel USING ERRCODE = 'invalid_parameter_value',
            HINT = 'SELECT * FROM mentalspace.audit_tables() lists what is.';
    END IF;
    PERFORM mentalspace.audit_sync_triggers(rel);
    PERFORM mentalspace.audit_record_admin(rel, 'D', 'warning', of_category, 'unaudit_table: no longer audited');
END
$$;
COMMENT ON FUNCTION mentalspace.unaudit_table(regclass) IS 'ends the audit of a table, which is itself an event; the events that there are stay';

CREATE FUNCTION mentalspace.audit_tables(OUT relation regclass, OUT patient_key text, OUT reads boolean, OUT writes boolean,
    OUT redact text[], OUT category text, OUT declared_at timestamptz, OUT declared_by text, OUT triggers boolean,
    OUT resolves boolean, OUT problem text) RETURNS SETOF record
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    r mentalspace.audit_relations;
    missing text;
BEGIN
    FOR r IN SELECT * FROM mentalspace.audit_relations AS a ORDER BY a.relation::text LOOP
        relation := r.relation;
        patient_key := r.patient_key;
        reads := r.reads;
        writes := r.writes;
        redact := r.redact;
        category := r.category;
        declared_at := r.declared_at;
        declared_by := r.declared_by;
        triggers := NULL;
        resolves := NULL;
        problem := NULL;
        IF NOT EXISTS (SELECT FROM pg_class AS c WHERE c.oid = r.relation) THEN
            problem := 'the table is gone';
            RETURN NEXT;
            CONTINUE;
        END IF;
        IF r.patient_key IS NOT NULL THEN
            BEGIN
                PERFORM mentalspace.audit_path(r.relation, r.patient_key);
                resolves := true;
            EXCEPTION WHEN syntax_error_or_access_rule_violation OR invalid_parameter_value THEN
                resolves := false;
                problem := sqlerrm;
            END;
        END IF;
        -- Triggers of partitions can be disabled each for itself.
        IF r.writes THEN
            SELECT string_agg(DISTINCT w.place::text, ', ') INTO missing
              FROM mentalspace.audit_trigger_list(r.relation) AS w
             WHERE (mentalspace.audit_declaration(w.place)).writes
               AND NOT EXISTS (SELECT FROM pg_trigger AS t JOIN pg_proc AS p ON p.oid = t.tgfoid
                                WHERE t.tgrelid = w.place AND t.tgname = w.name AND t.tgenabled = 'A'
                                  AND mentalspace.audit_trigger_fits(t)
                                  AND p.pronamespace = 'mentalspace'::regnamespace);
            triggers := missing IS NULL;
            problem := concat_ws('; ', nullif(problem, ''), 'no triggers, or not enabled always, on ' || missing);
            IF '@FLAVOR@' = 'trusted' THEN
                IF mentalspace.audit_is_stale(r.relation) THEN
                    problem := concat_ws('; ', nullif(problem, ''), 'changed since audit_table(), which makes its triggers fast again');
                END IF;
            END IF;
        END IF;
        SELECT concat_ws('; ', nullif(problem, ''), 'no column ' || string_agg(quote_ident(c.name), ', ' ORDER BY c.name) || ' to redact')
          INTO problem
          FROM unnest(r.redact) AS c(name)
         WHERE NOT EXISTS (SELECT FROM pg_attribute AS a
                            WHERE a.attrelid = r.relation AND a.attname = c.name AND a.attnum > 0 AND NOT a.attisdropped);
        problem := nullif(problem, '');
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mentalspace.audit_tables() IS 'what is audited, whether the triggers are there and enabled, and whether the patient key leads to the patient';

REVOKE ALL ON FUNCTION mentalspace.audit_trigger_fits(pg_trigger), mentalspace.audit_sync_triggers(regclass), mentalspace.audit_check_relation(regclass),
    mentalspace.audit_table(regclass, text, boolean, boolean, text[], text), mentalspace.unaudit_table(regclass),
    mentalspace.audit_tables() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION mentalspace.audit_tables() TO mentalspace_auditor;
