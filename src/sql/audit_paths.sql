-- From a row to its patient: a column, or a path over foreign keys such as note_id->clinical_notes.client_id.

-- What a foreign key compares by: the type that the referring value is cast to (NULL: it stays as it is) and its operator.
CREATE FUNCTION mentalspace.audit_step_comparison(rel regclass, attribute int2, refers_to regclass, OUT referring oid,
    OUT cast_to oid, OUT cast_function oid, OUT operator oid, OUT index oid) RETURNS record
    LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
    WITH RECURSIVE base(typid) AS (
        SELECT a.atttypid FROM pg_attribute AS a WHERE a.attrelid = $1 AND a.attnum = $2
        UNION ALL
        SELECT t.typbasetype FROM base AS b JOIN pg_type AS t ON t.oid = b.typid WHERE t.typtype = 'd'
    )
    SELECT b.typid, CASE WHEN r.typtype <> 'p' AND r.oid <> b.typid THEN r.oid END, c.castfunc, o.oid, k.conindid
      FROM pg_constraint AS k JOIN pg_operator AS o ON o.oid = k.conpfeqop[1] JOIN pg_type AS r ON r.oid = o.oprright
      JOIN base AS b ON EXISTS (SELECT FROM pg_type AS t WHERE t.oid = b.typid AND t.typtype <> 'd')
      LEFT JOIN pg_cast AS c ON c.castsource = b.typid AND c.casttarget = r.oid
     WHERE k.contype = 'f' AND k.conrelid = $1 AND k.conkey = ARRAY[$2] AND k.confrelid = $3
     ORDER BY k.conname LIMIT 1
    $$;
COMMENT ON FUNCTION mentalspace.audit_step_comparison(regclass, int2, regclass) IS 'internal to the audit: the types, the cast and the operator that a foreign key compares by';

-- The cast and the operator run within somebody's read or write, and so do the checks of a domain where a value is read
-- back: nobody may have written them in a language of the database.
CREATE FUNCTION mentalspace.audit_step_problem(rel regclass, attribute int2, refers_to regclass) RETURNS text
    LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT CASE WHEN EXISTS (SELECT FROM pg_proc AS p JOIN pg_language AS l ON l.oid = p.prolang
                              WHERE p.oid IN (s.cast_function, (SELECT o.oprcode FROM pg_operator AS o WHERE o.oid = s.operator))
                                AND l.lanname NOT IN ('internal', 'c'))
                THEN 'its values are compared by a function of the database'
                WHEN EXISTS (SELECT FROM pg_type AS t LEFT JOIN pg_range AS r ON r.rngtypid = t.oid
                               JOIN pg_type AS e ON e.oid IN (t.oid, t.typelem, r.rngsubtype)
                              WHERE t.oid = s.referring AND e.typtype IN ('c', 'd'))
                THEN 'its values hold rows or values of domains'
                WHEN EXISTS (SELECT FROM pg_index AS i JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
                               JOIN pg_collation AS c ON c.oid IN (i.indcollation[0], a.attcollation)
                              WHERE i.indexrelid = s.index AND i.indcollation[0] <> a.attcollation AND NOT c.collisdeterministic)
                THEN 'column and index of the referred table have different collations' END
      FROM mentalspace.audit_step_comparison($1, $2, $3) AS s
    $$;
COMMENT ON FUNCTION mentalspace.audit_step_problem(regclass, int2, regclass) IS 'internal to the audit: why a foreign key cannot be followed to the patient; NULL: it can be';

CREATE FUNCTION mentalspace.audit_path(rel regclass, patient_key text, OUT step int, OUT relation regclass, OUT key_column name,
    OUT refers_to regclass, OUT referred_column name) RETURNS SETOF record
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    parts text[] := string_to_array(patient_key, '->');
    names text[];
    next_names text[];
    attribute int2;
    kind "char";
    n int;
    problem text;
BEGIN
    relation := rel;
    -- A name that is a column's as it stands needs no quotes.
    IF EXISTS (SELECT FROM pg_attribute AS a
                WHERE a.attrelid = rel AND a.attname = patient_key AND a.attnum > 0 AND NOT a.attisdropped) THEN
        parts := ARRAY[quote_ident(patient_key)];
    END IF;
    FOR i IN 1 .. greatest(cardinality(parts), 1) LOOP
        step := i;
        IF i = 1 THEN
            BEGIN
                names := parse_ident(btrim(parts[1]));
                next_names := NULL;
            EXCEPTION WHEN invalid_parameter_value THEN
                names := NULL;
            END;
            IF cardinality(names) IS DISTINCT FROM 1 THEN
                RAISE EXCEPTION 'patient key "%" does not begin with a column', patient_key
                    USING ERRCODE = 'invalid_parameter_value', HINT = 'It is a column, or a path over foreign keys like note_id->clinical_notes.client_id.';
            END IF;
        ELSE
            names := next_names;
            relation := refers_to;
        END IF;
        key_column := names[cardinality(names)];
        SELECT a.attnum, c.relkind INTO attribute, kind
          FROM pg_class AS c LEFT JOIN pg_attribute AS a
            ON a.attrelid = c.oid AND a.attname = key_column AND a.attnum > 0 AND NOT a.attisdropped
         WHERE c.oid = relation;
        IF attribute IS NULL THEN
            RAISE EXCEPTION 'column "%" of patient key "%" does not exist in table %', key_column, patient_key, relation
                USING ERRCODE = 'undefined_column';
        END IF;
        refers_to := NULL;
        referred_column := NULL;
        IF i < cardinality(parts) THEN
            IF kind NOT IN ('r', 'p') THEN
                RAISE EXCEPTION '% has no foreign keys that patient key "%" could follow', relation, patient_key
                    USING ERRCODE = 'wrong_object_type', HINT = 'Give it a column with the patient''s identifier.';
            END IF;
            BEGIN
                next_names := parse_ident(btrim(parts[i + 1]));
            EXCEPTION WHEN invalid_parameter_value THEN
                next_names := NULL;
            END;
            IF cardinality(next_names) NOT IN (2, 3) IS NOT FALSE THEN
                RAISE EXCEPTION 'step "%" of patient key "%" is not a table and a column', btrim(parts[i + 1]), patient_key
                    USING ERRCODE = 'invalid_parameter_value',
                          HINT = 'A path is like note_id->clinical_notes.client_id.';
            END IF;
            SELECT count(DISTINCT k.confrelid), min(k.confrelid::oid::bigint)::oid INTO n, refers_to
              FROM pg_constraint AS k
              JOIN pg_class AS c ON c.oid = k.confrelid
              JOIN pg_namespace AS s ON s.oid = c.relnamespace
             WHERE k.contype = 'f' AND k.conrelid = relation AND k.conkey = ARRAY[attribute]
               AND c.relname = next_names[cardinality(next_names) - 1]
               AND (cardinality(next_names) = 2 OR s.nspname = next_names[1]);
            IF n > 1 THEN
                RAISE EXCEPTION 'table "%" of patient key "%" is ambiguous', next_names[1], patient_key
                    USING ERRCODE = 'ambiguous_column', HINT = 'Name its schema, too.';
            ELSIF n = 0 THEN
                IF NOT EXISTS (SELECT FROM pg_class AS c JOIN pg_namespace AS s ON s.oid = c.relnamespace
                                WHERE c.relname = next_names[cardinality(next_names) - 1] AND c.relkind IN ('r', 'p')
                                  AND (cardinality(next_names) = 2 OR s.nspname = next_names[1])) THEN
                    RAISE EXCEPTION 'table "%" of patient key "%" does not exist',
                        array_to_string(next_names[:cardinality(next_names) - 1], '.'), patient_key
                        USING ERRCODE = 'undefined_table';
                END IF;
                RAISE EXCEPTION 'column "%" of table % has no foreign key of its own to table "%"', key_column, relation,
                    array_to_string(next_names[:cardinality(next_names) - 1], '.')
                    USING ERRCODE = 'invalid_parameter_value', DETAIL = format('The patient key is "%s".', patient_key);
            END IF;
            problem := mentalspace.audit_step_problem(relation, attribute, refers_to);
            IF problem IS NOT NULL THEN
                RAISE EXCEPTION 'the foreign key of column "%" of table % to table % cannot be followed: %',
                    key_column, relation, refers_to, problem
                    USING ERRCODE = 'invalid_parameter_value', DETAIL = format('The patient key is "%s".', patient_key),
                          HINT = 'Give the column the type of the column that it refers to.';
            END IF;
            SELECT a.attname INTO referred_column
              FROM pg_constraint AS k JOIN pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = k.confkey[1]
             WHERE k.contype = 'f' AND k.conrelid = relation AND k.conkey = ARRAY[attribute] AND k.confrelid = refers_to
             ORDER BY k.conname LIMIT 1;
        END IF;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mentalspace.audit_path(regclass, text) IS 'internal to the audit: the steps of a patient key, an error where it leads nowhere';

CREATE FUNCTION mentalspace.audit_canonical_path(rel regclass, patient_key text) RETURNS text
    LANGUAGE sql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT string_agg(CASE WHEN p.step = 1 THEN '' ELSE '->' || mentalspace.audit_relation_name(p.relation) || '.' END
                      || quote_ident(p.key_column), '' ORDER BY p.step)
      FROM mentalspace.audit_path($1, $2) AS p
    $$;
COMMENT ON FUNCTION mentalspace.audit_canonical_path(regclass, text) IS 'internal to the audit: a patient key with the schema of each table, names quoted where needed';

-- The nearest: its own, else that of the partitioned table or parent that it belongs to.
CREATE FUNCTION mentalspace.audit_declaration(rel regclass) RETURNS mentalspace.audit_relations
    LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
    WITH RECURSIVE up(relid, distance) AS (
        SELECT $1::oid, 0
        UNION ALL
        SELECT i.inhparent, up.distance + 1 FROM up JOIN pg_inherits AS i ON i.inhrelid = up.relid
    )
    SELECT r FROM up JOIN mentalspace.audit_relations AS r ON r.relation = up.relid ORDER BY up.distance, up.relid LIMIT 1
    $$;
COMMENT ON FUNCTION mentalspace.audit_declaration(regclass) IS 'internal to the audit: the declaration that covers a table';

CREATE FUNCTION mentalspace.audit_descendants(rel regclass) RETURNS SETOF regclass
    LANGUAGE sql STABLE STRICT PARALLEL SAFE ROWS 10 SET search_path = pg_catalog, pg_temp
    AS $$
    WITH RECURSIVE down(relid) AS (
        SELECT $1::oid
        UNION
        SELECT i.inhrelid FROM down JOIN pg_inherits AS i ON i.inhparent = down.relid
    )
    SELECT d.relid::regclass FROM down AS d JOIN pg_class AS c ON c.oid = d.relid WHERE c.relkind IN ('r', 'p', 'f', 'm')
    $$;
COMMENT ON FUNCTION mentalspace.audit_descendants(regclass) IS 'internal to the audit: a table, its partitions and children';

REVOKE ALL ON FUNCTION mentalspace.audit_step_comparison(regclass, int2, regclass),
    mentalspace.audit_step_problem(regclass, int2, regclass), mentalspace.audit_path(regclass, text), mentalspace.audit_canonical_path(regclass, text),
    mentalspace.audit_declaration(regclass), mentalspace.audit_descendants(regclass) FROM PUBLIC;
