-- audit_discover(): on a schema of hundreds of tables nobody declares them by hand.
CREATE FUNCTION mentalspace.audit_discover(root regclass, OUT relation regclass, OUT patient_key text, OUT distance int,
    OUT nullable boolean, OUT audited boolean) RETURNS SETOF record
    LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    kind "char" := mentalspace.audit_check_relation(root);
    key_column name;
    -- What was found: tables, their keys, and whether a column on the way may be NULL.
    tables oid[];
    keys text[];
    nullables boolean[];
    ends int;
    begins int := 1;
    step record;
    composite record;
BEGIN
    IF kind NOT IN ('r', 'p') THEN
        RAISE EXCEPTION '% is not a table with a primary key', root USING ERRCODE = 'wrong_object_type';
    END IF;
    SELECT a.attname INTO key_column
      FROM pg_index AS i JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
     WHERE i.indrelid = root AND i.indisprimary AND i.indnkeyatts = 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'table % has no primary key of one column', root USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Its primary key is what identifies a patient.';
    END IF;
    tables := ARRAY[root::oid];
    keys := ARRAY[quote_ident(key_column)];
    nullables := ARRAY[false];
    -- Breadth first: each round takes the tables that refer to those of the last one.
    distance := 0;
    LOOP
        ends := cardinality(tables);
        FOR i IN begins .. ends LOOP
            relation := tables[i];
            patient_key := keys[i];
            nullable := nullables[i];
            audited := (mentalspace.audit_declaration(tables[i])).relation IS NOT NULL;
            RETURN NEXT;
        END LOOP;
        distance := distance + 1;
        FOR step IN
            SELECT DISTINCT ON (c.relname, n.nspname, c.oid) c.oid AS relid, f.nullable OR NOT a.attnotnull AS nullable,
                   CASE WHEN f.relid = root AND r.attname = key_column THEN quote_ident(a.attname)
                        ELSE format('%I->%s%s', a.attname,
                                    CASE WHEN t.relnamespace = c.relnamespace THEN quote_ident(t.relname)
                                         ELSE mentalspace.audit_relation_name(t.oid) END, '.' || f.key) END AS key
              FROM unnest(tables[begins : ends], keys[begins : ends], nullables[begins : ends]) AS f(relid, key, nullable)
              JOIN pg_constraint AS k ON k.confrelid = f.relid AND k.contype = 'f' AND cardinality(k.conkey) = 1
              JOIN pg_class AS c ON c.oid = k.conrelid AND NOT c.relispartition
                                AND c.relnamespace <> 'mentalspace'::regnamespace AND c.relpersistence <> 't'
              JOIN pg_namespace AS n ON n.oid = c.relnamespace
              JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
              JOIN pg_class AS t ON t.oid = k.confrelid
              JOIN pg_attribute AS r ON r.attrelid = k.confrelid AND r.attnum = k.confkey[1]
             WHERE k.conrelid <> ALL (tables)
             ORDER BY c.relname, n.nspname, c.oid, f.nullable OR NOT a.attnotnull, a.attname, t.relname, k.conname
        LOOP
            tables := tables || step.relid;
            keys := keys || step.key;
            nullables := nullables || step.nullable;
        END LOOP;
        EXIT WHEN cardinality(tables) = ends;
        begins := ends + 1;
    END LOOP;
    FOR composite IN
        SELECT k.conname, k.conrelid::regclass AS child, k.confrelid::regclass AS parent
          FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.conrelid
         WHERE k.contype = 'f' AND cardinality(k.conkey) > 1 AND k.conparentid = 0 AND NOT c.relispartition
           AND k.confrelid = ANY (tables) AND k.conrelid <> ALL (tables)
         ORDER BY k.conrelid::regclass::text, k.conname
    LOOP
        RAISE NOTICE 'table % is left out: its foreign key % to % has several columns', composite.child,
            quote_ident(composite.conname), composite.parent
            USING HINT = 'Give audit_table() a patient key for it yourself.';
    END LOOP;
END
$$;
COMMENT ON FUNCTION mentalspace.audit_discover(regclass) IS 'proposes for audit_table() every table that leads to the table of patients over foreign keys, with its patient key by the shortest way';
REVOKE ALL ON FUNCTION mentalspace.audit_discover(regclass) FROM PUBLIC;
