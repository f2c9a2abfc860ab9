-- What the components of provision() are made with: each function here makes one kind of object if it is missing,
-- completes it if parts are missing, touches nothing that is there, and says what it did in one row.
--
-- Everything runs with the caller's rights.  Objects are made under the role `owner`, so that they belong to it from the
-- start and nothing that the owner wrote (a default, a check, an index expression) ever runs with a superuser's rights.
CREATE TYPE mentalspace.provision_step AS (kind text, object text, state text, detail text);
COMMENT ON TYPE mentalspace.provision_step IS 'one object of provision(): what it is, and whether it was made, found, changed or skipped';

CREATE FUNCTION mentalspace.provision_run(owner name, command text) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    before text := current_setting('role');
BEGIN
    IF current_user = owner THEN
        EXECUTE command;
        RETURN;
    END IF;
    PERFORM set_config('role', owner, true);
    EXECUTE command;
    PERFORM set_config('role', before, true);
END
$$;
COMMENT ON FUNCTION mentalspace.provision_run(name, text) IS 'internal to provision(): runs a command as the owner';

CREATE FUNCTION mentalspace.provision_warning(holder oid, owner name) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT format('WARNING: belongs to role "%s", which is neither the owner nor a superuser: look at it before you trust it', r.rolname)
      FROM pg_roles r
     WHERE r.oid = holder AND NOT r.rolsuper
       AND r.rolname NOT IN (owner, current_user, 'pg_database_owner', 'postgres', 'supabase_admin',
                             'supabase_auth_admin', 'supabase_storage_admin', 'supabase_realtime_admin')
    $$;
COMMENT ON FUNCTION mentalspace.provision_warning(oid,
        name) IS 'internal to provision(): a warning if a role that nobody vouches for holds an object, else NULL';

CREATE FUNCTION mentalspace.provision_schema(owner name, schema name, summary text) RETURNS mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    n pg_namespace;
    step mentalspace.provision_step := ('schema', schema, 'found', NULL);
BEGIN
    SELECT * INTO n FROM pg_namespace WHERE nspname = schema;
    IF n.oid IS NULL THEN
        EXECUTE format('CREATE SCHEMA %I AUTHORIZATION %I', schema, owner);
        PERFORM mentalspace.provision_run(owner, format('COMMENT ON SCHEMA %I IS %L', schema, summary));
        step.state := 'made';
        RETURN step;
    END IF;
    -- Whoever owns a schema can replace what is in it: nothing is put into a stranger's.
    IF mentalspace.provision_warning(n.nspowner, owner) IS NOT NULL THEN
        RAISE EXCEPTION 'schema "%" belongs to role "%", which is neither the owner nor a superuser', schema,
                n.nspowner::regrole
            USING ERRCODE = 'insufficient_privilege',
                  HINT = format('Look at what is in it, then run ALTER SCHEMA %I OWNER TO %I.', schema, owner);
    END IF;
    IF has_schema_privilege(owner, n.oid, 'CREATE') AND has_schema_privilege(owner, n.oid, 'USAGE') THEN
        RETURN step;
    END IF;
    step.state := 'changed';
    IF pg_get_userbyid(n.nspowner) = current_user THEN
        EXECUTE format('ALTER SCHEMA %I OWNER TO %I', schema, owner);
        step.detail := format('now belongs to "%s"', owner);
    ELSE
        EXECUTE format('GRANT CREATE, USAGE ON SCHEMA %I TO %I WITH GRANT OPTION', schema, owner);
        step.detail := format('"%s" may create in it', owner);
    END IF;
    IF NOT has_schema_privilege(owner, n.oid, 'CREATE') THEN
        RAISE EXCEPTION 'role "%" may not create objects in schema "%"', owner, schema
            USING ERRCODE = 'insufficient_privilege',
                  HINT = format('Have a superuser run: SELECT * FROM mentalspace.provision(owner => %L).', owner);
    END IF;
    RETURN step;
END
$$;
COMMENT ON FUNCTION mentalspace.provision_schema(name, name,
        text) IS 'internal to provision(): a schema in which the owner may create';

CREATE FUNCTION mentalspace.provision_enum(owner name, schema name, type name, summary text, labels text[])
    RETURNS mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    t pg_type;
    step mentalspace.provision_step := ('type', format('%I.%I', schema, type), 'found', NULL);
    missing text[];
BEGIN
    SELECT * INTO t FROM pg_type WHERE typname = type AND typnamespace = schema::regnamespace;
    IF t.oid IS NULL THEN
        PERFORM mentalspace.provision_run(owner, format('CREATE TYPE %s AS ENUM (%s)', step.object,
            (SELECT string_agg(quote_literal(l), ', ' ORDER BY o) FROM unnest(labels) WITH ORDINALITY AS u(l, o))));
        PERFORM mentalspace.provision_run(owner, format('COMMENT ON TYPE %s IS %L', step.object, summary));
        step.state := 'made';
        RETURN step;
    END IF;
    step.detail := mentalspace.provision_warning(t.typowner, owner);
    IF t.typtype <> 'e' THEN
        step.state := 'skipped';
        step.detail := 'another type of this name is there';
        RETURN step;
    END IF;
    missing := ARRAY(SELECT l FROM unnest(labels) WITH ORDINALITY AS u(l, o)
                      WHERE NOT EXISTS (SELECT FROM pg_enum e WHERE e.enumtypid = t.oid
                              AND e.enumlabel = l) ORDER BY o);
    IF missing <> '{}' THEN
        PERFORM mentalspace.provision_run(owner, format('ALTER TYPE %s ADD VALUE %L', step.object, l))
                FROM unnest(missing) AS l;
        step.state := 'changed';
        step.detail := concat_ws('; ', step.detail, 'added ' || array_to_string(missing, ', '));
    END IF;
    RETURN step;
END
$$;
COMMENT ON FUNCTION mentalspace.provision_enum(name, name, name, text,
        text[]) IS 'internal to provision(): an enum type with at least these labels';

-- SPEC has one column, CONSTRAINT or [UNIQUE] INDEX in a line, as CREATE TABLE and CREATE INDEX take them; TAIL is what
-- follows the columns in CREATE TABLE.  A table that is there gets the columns, constraints and indexes that it lacks
-- (by name), and keeps everything else as it is.
CREATE FUNCTION mentalspace.provision_table(owner name, schema name, relation name, summary text, spec text,
        tail text DEFAULT '')
    RETURNS mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    c pg_class;
    step mentalspace.provision_step := ('table', format('%I.%I', schema, relation), 'found', NULL);
    line text;
    part text[];
    body text[] := '{}';
    indexes text[] := '{}';
    added text[] := '{}';
    failed text[] := '{}';
    command text;
BEGIN
    SELECT * INTO c FROM pg_class WHERE relname = relation AND relnamespace = schema::regnamespace;
    IF c.oid IS NOT NULL AND c.relkind NOT IN ('r', 'p') THEN
        step.state := 'skipped';
        step.detail := 'something else of this name is there';
        RETURN step;
    END IF;
    FOR line IN SELECT btrim(l) FROM string_to_table(spec, E'\n') AS l WHERE btrim(l) <> '' LOOP
        -- kind, name, definition
        part := coalesce(regexp_match(line, '^(UNIQUE INDEX|INDEX|CONSTRAINT) ("[^"]+"|\S+) (.*)$'),
                         array_cat(ARRAY['COLUMN'], regexp_match(line, '^(\S+) (.*)$')));
        IF c.oid IS NULL THEN
            IF part[1] LIKE '%INDEX' THEN
                indexes := indexes || format('CREATE %s %s ON %s %s', part[1], part[2], step.object, part[3]);
            ELSE
                body := body || line;
            END IF;
            CONTINUE;
        END IF;
        CONTINUE WHEN CASE
            WHEN part[1] = 'COLUMN' THEN EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid
                    AND a.attname = btrim(part[2], '"') AND a.attnum > 0)
            WHEN part[1] = 'CONSTRAINT' THEN EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = c.oid
                AND (k.conname = btrim(part[2], '"') OR k.contype = 'p' AND part[3] LIKE 'PRIMARY KEY%'))
            ELSE EXISTS (SELECT FROM pg_class i WHERE i.relname = btrim(part[2], '"')
                    AND i.relnamespace = c.relnamespace) END;
        command := CASE WHEN part[1] = 'COLUMN' THEN format('ALTER TABLE %s ADD COLUMN %s', step.object, line)
                        WHEN part[1] = 'CONSTRAINT' THEN format('ALTER TABLE %s ADD %s', step.object, line)
                        ELSE format('CREATE %s %s ON %s %s', part[1], part[2], step.object, part[3]) END;
        BEGIN
            BEGIN
                PERFORM mentalspace.provision_run(owner, command);
            EXCEPTION WHEN not_null_violation THEN
                -- Rows are there and no default fits them.
                PERFORM mentalspace.provision_run(owner, replace(command, ' NOT NULL', ''));
            END;
            added := added || part[2];
        EXCEPTION WHEN integrity_constraint_violation OR syntax_error_or_access_rule_violation OR feature_not_supported
                THEN
            failed := failed || format('%s (%s)', part[2], sqlerrm);
        END;
    END LOOP;
    IF c.oid IS NULL THEN
        PERFORM mentalspace.provision_run(owner, format(E'CREATE TABLE %s (%s) %s', step.object, array_to_string(body,
                ', '), tail));
        PERFORM mentalspace.provision_run(owner, i) FROM unnest(indexes) AS i;
        PERFORM mentalspace.provision_run(owner, format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', step.object));
        PERFORM mentalspace.provision_run(owner, format('COMMENT ON TABLE %s IS %L', step.object, summary));
        step.state := 'made';
        RETURN step;
    END IF;
    -- The roles of the API get rights on these: without row level security they would see everything.
    IF NOT c.relrowsecurity AND schema IN ('storage', 'realtime') THEN
        PERFORM mentalspace.provision_run(owner, format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', step.object));
        c.relrowsecurity := true;
        added := added || 'row level security'::text;
    END IF;
    IF added <> '{}' THEN
        step.state := 'changed';
    END IF;
    step.detail := nullif(concat_ws('; ', mentalspace.provision_warning(c.relowner, owner),
        'added ' || nullif(array_to_string(added, ', '), ''),
        'could not add ' || nullif(array_to_string(failed, ', '), ''),
        CASE WHEN NOT c.relrowsecurity THEN 'row level security is off' END), '');
    RETURN step;
END
$$;
COMMENT ON FUNCTION mentalspace.provision_table(name, name, name, text, text,
        text) IS 'internal to provision(): a table with at least these columns, constraints and indexes';

-- DEFINITION is what follows CREATE FUNCTION schema.name.  A function that is there stays as it is.
CREATE FUNCTION mentalspace.provision_function(owner name, signature text, summary text, definition text)
    RETURNS mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    f oid := to_regprocedure(signature);
    step mentalspace.provision_step := ('function', signature, 'found', NULL);
BEGIN
    IF f IS NOT NULL THEN
        step.detail := mentalspace.provision_warning((SELECT proowner FROM pg_proc WHERE oid = f), owner);
        RETURN step;
    END IF;
    PERFORM mentalspace.provision_run(owner, format('CREATE FUNCTION %s%s', split_part(signature, '(', 1), definition));
    PERFORM mentalspace.provision_run(owner, format('COMMENT ON FUNCTION %s IS %L', signature, summary));
    step.state := 'made';
    RETURN step;
END
$$;
COMMENT ON FUNCTION mentalspace.provision_function(name, text, text, text) IS 'internal to provision(): a function';

CREATE FUNCTION mentalspace.provision_object(owner name, kind text, object text, is_there boolean, command text)
    RETURNS mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    IF is_there THEN
        RETURN (kind, object, 'found', NULL)::mentalspace.provision_step;
    END IF;
    PERFORM mentalspace.provision_run(owner, command);
    RETURN (kind, object, 'made', NULL)::mentalspace.provision_step;
END
$$;
COMMENT ON FUNCTION mentalspace.provision_object(name, text, text, boolean,
        text) IS 'internal to provision(): runs a command as the owner unless the object is there';
