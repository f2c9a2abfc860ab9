-- provision(): what the roles of the API may do with the tables, sequences and functions that the owner makes in public.
--
-- Functions get no default rights of their own: what PostgreSQL gives to PUBLIC is all that they need, and what a script
-- takes from PUBLIC (CREATE EXTENSION dblink does) is then closed to the roles of the API as well.

-- MODE is 'none', 'data' or 'legacy'; NULL is what was chosen before, less what is more than 'data', or 'data' where nothing was
-- chosen.  With PUBLIC_CLOSED, PUBLIC's right on functions was taken away and roles are named in its place.  Given once: what a migration has taken away since stays away, unless MODE says otherwise.  The owner's own entry
-- remembers that.
CREATE FUNCTION mentalspace.provision_default_privileges(owner name, schema name, mode text, public_closed boolean)
    RETURNS SETOF mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    class record;
    role record;
    api CONSTANT oid[] := ARRAY(SELECT r.oid FROM pg_roles r WHERE r.rolname IN ('anon', 'authenticated', 'service_role')
            ORDER BY r.rolname);
    holder CONSTANT oid := quote_ident(owner)::regrole;
    given boolean;
    held boolean;
    giving boolean;
    wanted text[];
    excess text[];
    done text[];
    lacking text[];
BEGIN
    SELECT count(*) > 0, coalesce(bool_or(a.grantee = ANY (api)), false) INTO given, held
      FROM pg_default_acl d, aclexplode(d.defaclacl) a
     WHERE d.defaclrole = holder AND d.defaclnamespace = schema::regnamespace AND a.grantee = ANY (holder || api);
    giving := mode IS DISTINCT FROM 'none' AND (NOT given OR mode IS NOT NULL AND NOT held);
    FOR class IN SELECT * FROM (VALUES
            ('TABLES', 'r', '{SELECT,INSERT,UPDATE,DELETE}'::text[], 'SELECT'),
            ('SEQUENCES', 'S', '{USAGE}'::text[], 'USAGE'),
            ('FUNCTIONS', 'f', '{}'::text[], 'EXECUTE')) AS v(name, letter, data, mark)
    LOOP
        done := '{}';
        lacking := '{}';
        wanted := CASE WHEN mode = 'none' THEN '{}'
                       WHEN mode = 'legacy' AND class.letter <> 'f' THEN ARRAY(SELECT privilege_type
                               FROM aclexplode(acldefault(CASE class.letter WHEN 'S' THEN 's' ELSE class.letter END::"char", holder)))
                       WHEN class.letter = 'f' AND public_closed THEN '{EXECUTE}'
                       ELSE class.data END;
        IF NOT given AND class.letter = 'r' THEN
            PERFORM mentalspace.provision_run(owner, format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA %I GRANT ALL ON TABLES TO %I',
                    owner, schema, owner));
        END IF;
        FOR role IN
            SELECT r.oid, r.rolname, ARRAY(SELECT a.privilege_type FROM pg_default_acl d, aclexplode(d.defaclacl) a
                     WHERE d.defaclrole = holder AND d.defaclnamespace = schema::regnamespace
                       AND d.defaclobjtype = class.letter::"char" AND a.grantee = r.oid ORDER BY 1) AS rights
              FROM pg_roles r WHERE r.oid = ANY (api) ORDER BY r.rolname
        LOOP
            excess := ARRAY(SELECT u FROM unnest(role.rights) AS u WHERE u <> ALL (wanted));
            IF excess <> '{}' THEN
                PERFORM mentalspace.provision_run(owner, format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA %I REVOKE %s ON %s FROM %I',
                        owner, schema, array_to_string(excess, ', '), class.name, role.rolname));
                done := done || format('took %s from %s', array_to_string(excess, ', '), role.rolname);
            END IF;
            IF wanted <> '{}' AND NOT wanted <@ role.rights AND NOT (class.letter = 'f' AND public_closed)
               AND (giving OR mode = 'legacy' AND class.mark = ANY (role.rights)) THEN
                PERFORM mentalspace.provision_run(owner, format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA %I GRANT %s ON %s TO %I',
                        owner, schema, array_to_string(wanted, ', '), class.name, role.rolname));
                done := done || format('%s to %s', array_to_string(wanted, ', '), role.rolname);
            ELSIF held AND wanted <> '{}' AND role.rights = '{}' THEN
                lacking := lacking || role.rolname::text;
            END IF;
        END LOOP;
        RETURN NEXT ('default privileges', format('%s in schema %I', lower(class.name), schema),
            CASE WHEN done = '{}' THEN 'found' WHEN given THEN 'changed' ELSE 'made' END,
            nullif(concat_ws('; ', nullif(array_to_string(done, '; '), ''),
                'all but what was taken from ' || nullif(array_to_string(lacking, ', '), ''),
                CASE WHEN class.letter = 'f' AND NOT public_closed AND done = '{}' THEN 'those of PUBLIC' END), ''))::mentalspace.provision_step;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mentalspace.provision_default_privileges(name, name, text, boolean) IS
    'internal to provision(): default privileges of what the owner makes in a schema';

-- PostgreSQL lets PUBLIC execute every new function, whatever its schema.  IS_OPEN false takes that from what the owner makes
-- from now on, except in the schemas of extensions and of ours, whose functions are meant to be called.
CREATE FUNCTION mentalspace.provision_public_functions(owner name, is_open boolean) RETURNS boolean
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    schema name;
    was_open CONSTANT boolean := NOT EXISTS (SELECT FROM pg_default_acl d
            WHERE d.defaclrole = quote_ident(owner)::regrole AND d.defaclnamespace = 0 AND d.defaclobjtype = 'f'
              AND NOT EXISTS (SELECT FROM aclexplode(d.defaclacl) a WHERE a.grantee = 0));
BEGIN
    IF was_open = is_open THEN
        RETURN was_open;
    END IF;
    PERFORM mentalspace.provision_run(owner, format('ALTER DEFAULT PRIVILEGES FOR ROLE %I %s ON FUNCTIONS %s PUBLIC', owner,
            CASE WHEN is_open THEN 'GRANT EXECUTE' ELSE 'REVOKE EXECUTE' END, CASE WHEN is_open THEN 'TO' ELSE 'FROM' END));
    IF NOT is_open THEN
        FOR schema IN SELECT nspname FROM pg_namespace WHERE nspname IN ('auth', 'extensions', 'mentalspace')
                         AND has_schema_privilege(owner, oid, 'CREATE') ORDER BY 1 LOOP
            PERFORM mentalspace.provision_run(owner, format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA %I GRANT EXECUTE ON FUNCTIONS TO PUBLIC',
                    owner, schema));
        END LOOP;
    END IF;
    RETURN was_open;
END
$$;
COMMENT ON FUNCTION mentalspace.provision_public_functions(name, boolean) IS
    'internal to provision(): whether PUBLIC may execute what the owner makes; returns whether it might before';

-- Everybody may make temporary objects in a new database, and a name in pg_temp goes before that of a table.
CREATE FUNCTION mentalspace.provision_temporary(owner name) RETURNS mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    step mentalspace.provision_step := ('rights', 'temporary objects', 'found', 'owners only');
    command CONSTANT text := format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
BEGIN
    IF has_database_privilege('public', current_database(), 'TEMPORARY') THEN
        EXECUTE command;
        -- Whoever has no right to take it away is told so by a warning only.
        IF has_database_privilege('public', current_database(), 'TEMPORARY') THEN
            step.state := 'skipped';
            step.detail := 'WARNING: everybody may make temporary objects; have the owner of the database run ' || command;
        ELSE
            step.state := 'changed';
            step.detail := 'took TEMPORARY from PUBLIC';
        END IF;
    END IF;
    RETURN step;
EXCEPTION WHEN insufficient_privilege THEN
    RETURN ('rights', 'temporary objects', 'skipped',
            'WARNING: everybody may make temporary objects; have the owner of the database run ' || command)::mentalspace.provision_step;
END
$$;
COMMENT ON FUNCTION mentalspace.provision_temporary(name) IS
    'internal to provision(): temporary objects are for owners';

-- Takes back what check_rights() finds and what ALL gave: by 0.1, by Supabase or by a restore.  A right that was granted by its name
-- (TRUNCATE without TRIGGER, EXECUTE on an extension's function after it was made) is meant, and stays.
CREATE FUNCTION mentalspace.provision_take_back(owner name, kinds text[]) RETURNS SETOF mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    found record;
    step mentalspace.provision_step;
    done text[];
    failed text[];
    title text;
BEGIN
    FOREACH title IN ARRAY kinds LOOP
        done := '{}';
        failed := '{}';
        FOR found IN SELECT r.* FROM mentalspace.check_rights() AS r WHERE r.finding = title AND r.by_default
                      ORDER BY r.schema_name, r.object LOOP
            BEGIN
                IF found.holder = quote_ident(owner)::regrole THEN
                    PERFORM mentalspace.provision_run(owner, found.remedy);
                ELSE
                    EXECUTE found.remedy;
                END IF;
                IF EXISTS (SELECT FROM mentalspace.check_rights() AS r WHERE r.finding = title AND r.object = found.object) THEN
                    RAISE insufficient_privilege USING MESSAGE = 'another role granted it';
                END IF;
                done := done || found.object;
            EXCEPTION WHEN insufficient_privilege OR dependent_objects_still_exist THEN
                failed := failed || format('%s (%s)', found.object, sqlerrm);
            END;
        END LOOP;
        step := ('rights', CASE title WHEN 'api_rights' THEN 'tables and sequences' ELSE 'functions of extensions' END, 'found', NULL);
        IF done <> '{}' THEN
            step.state := 'changed';
            step.detail := format('took %s from the roles of the API: %s', CASE title
                WHEN 'api_rights' THEN 'TRIGGER, TRUNCATE and the like' ELSE 'EXECUTE' END, array_to_string(done, ', '));
        END IF;
        IF failed <> '{}' THEN
            step.detail := concat_ws('; ', step.detail, 'WARNING: could not take from: ' || array_to_string(failed, ', '));
        END IF;
        RETURN NEXT step;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mentalspace.provision_take_back(name, text[]) IS
    'internal to provision(): takes back rights of the roles of the API that default privileges gave and 0.2.0 does not';
