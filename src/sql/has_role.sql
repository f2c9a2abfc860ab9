-- Roles of the application, for policies: has_role(), has_any_role(), roles().
--
-- Where roles come from is what the database's setting mentalspace.rls_role_source says: a table with columns user_id uuid
-- and role (text, varchar or an enum), or a path into the signed-in user's claims (claim:app_metadata.roles, a string or an
-- array of strings), or both, separated by a comma.  Without it: the table public.user_roles.  The setting is read from
-- where only the owner of the database (native: a superuser) can put it, not from the session: a user must not be able to
-- name a table of his own.
-- These two are in PL/pgSQL, which keeps plans.
CREATE FUNCTION mentalspace.role_sources() RETURNS text[]
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RETURN coalesce(
        (SELECT array_agg(btrim(part) ORDER BY n)
           FROM pg_db_role_setting s, unnest(s.setconfig) AS c,
                string_to_table(substr(c, strpos(c, '=') + 1), ',') WITH ORDINALITY AS parts(part, n)
          WHERE s.setdatabase = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()) AND s.setrole = 0
            AND c LIKE 'mentalspace.rls\_role\_source=%' AND btrim(part) <> ''),
        '{public.user_roles}');
END
$$;
COMMENT ON FUNCTION mentalspace.role_sources() IS 'where has_role() looks: a table, claim:PATH, or both';

CREATE FUNCTION mentalspace.role_source() RETURNS regclass
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RETURN (SELECT to_regclass(part) FROM unnest(mentalspace.role_sources()) WITH ORDINALITY AS parts(part, n)
             WHERE part NOT LIKE 'claim:%' ORDER BY n LIMIT 1);
END
$$;
COMMENT ON FUNCTION mentalspace.role_source() IS 'the table that has_role() looks in, NULL where there is none';

CREATE FUNCTION mentalspace.roles_of(user_id uuid) RETURNS text[]
    LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    source regclass := mentalspace.role_source();
    answer text[] := '{}';
    output text;
    path text;
    claimed jsonb;
BEGIN
    IF user_id IS NULL THEN
        RETURN answer;
    END IF;
    IF source IS NOT NULL THEN
        -- Reading a table can run code of the table's owner (a policy, what an index calls), and this function runs as its own.
        IF (SELECT NOT pg_has_role(c.relowner, current_user, 'MEMBER') FROM pg_class c WHERE c.oid = source) THEN
            RAISE EXCEPTION 'the owner of function mentalspace.roles_of(uuid) is not the owner of table %', source
                USING ERRCODE = 'insufficient_privilege',
                      HINT = format('Run SELECT * FROM mentalspace.provision(ARRAY[''auth''], owner => %L) as the owner of the extension.',
                                    (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = source));
        END IF;
        -- The enum's own output function, not a cast that somebody may have defined.
        SELECT CASE WHEN t.typtype = 'e' THEN 'enum_out(s.role)::text' ELSE 's.role::text' END INTO output
          FROM pg_class c
          JOIN pg_attribute u ON u.attrelid = c.oid AND u.attname = 'user_id' AND u.atttypid = 'uuid'::regtype
          JOIN pg_attribute r ON r.attrelid = c.oid AND r.attname = 'role'
          JOIN pg_type t ON t.oid = r.atttypid
         WHERE c.oid = source AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
           AND (t.typtype = 'e' OR t.oid IN ('text'::regtype, 'varchar'::regtype));
        IF output IS NULL THEN
            RAISE EXCEPTION '% cannot serve as the table of roles', source
                USING ERRCODE = 'wrong_object_type',
                      DETAIL = 'It must be a table with a column user_id of type uuid '
                               'and a column role of type text, varchar or an enum.';
        END IF;
        EXECUTE format('SELECT coalesce(array_agg(DISTINCT %2$s) FILTER (WHERE s.role IS NOT NULL), ''{}'') '
                       'FROM %1$s s WHERE s.user_id = $1', source, output)
           INTO answer USING user_id;
    END IF;
    -- Claims are those of the signed-in user, and of nobody else.
    FOR path IN SELECT substr(part, 7) FROM unnest(mentalspace.role_sources()) AS part WHERE part LIKE 'claim:%' LOOP
        IF path ~ '^user_metadata(\.|$)' THEN
            RAISE EXCEPTION 'claim % cannot serve as a source of roles', path
                USING ERRCODE = 'invalid_parameter_value', DETAIL = 'Users can change their user_metadata themselves.';
        END IF;
        CONTINUE WHEN user_id IS DISTINCT FROM auth.uid();
        claimed := auth.jwt() #> string_to_array(path, '.');
        IF jsonb_typeof(claimed) = 'string' THEN
            answer := answer || (claimed #>> '{}');
        ELSIF jsonb_typeof(claimed) = 'array' THEN
            answer := answer || ARRAY(SELECT e #>> '{}' FROM jsonb_array_elements(claimed) AS e
                                       WHERE jsonb_typeof(e) = 'string');
        END IF;
    END LOOP;
    RETURN answer;
END
$$;
COMMENT ON FUNCTION mentalspace.roles_of(uuid) IS 'the roles of a user: those in the table of roles and, of the signed-in user, those in the claims';
