-- mentalspace.has_role(): whether a user has a role of the application, for policies.
--
-- The table of roles is public.user_roles (user_id uuid, role text, varchar or an enum) or what the database's setting
-- mentalspace.rls_role_source names.  The setting is read from where only the owner of the database (native: a superuser)
-- can put it, not from the session: a user must not be able to name a table of his own.
CREATE FUNCTION mentalspace.role_source() RETURNS regclass
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT to_regclass(coalesce(
        (SELECT nullif(substr(c, strpos(c, '=') + 1), '')
           FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) AS c
          WHERE d.datname = current_database() AND s.setrole = 0 AND c LIKE 'mentalspace.rls\_role\_source=%'),
        'public.user_roles'))
    $$;
COMMENT ON FUNCTION mentalspace.role_source() IS 'the table that has_role() looks in, NULL where there is none';

CREATE FUNCTION mentalspace.has_role(user_id uuid, role text) RETURNS boolean
    LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    source regclass := mentalspace.role_source();
    output text;
    answer boolean;
BEGIN
    IF source IS NULL OR user_id IS NULL OR role IS NULL THEN
        RETURN false;
    END IF;
    -- Reading a table can run code of the table's owner (an index predicate, say), and this function runs as its own.
    IF (SELECT f.rolsuper AND NOT t.rolsuper FROM pg_roles f, pg_class c JOIN pg_roles t ON t.oid = c.relowner
         WHERE f.rolname = current_user AND c.oid = source) THEN
        RAISE EXCEPTION 'function mentalspace.has_role(uuid, text) belongs to a superuser, table % does not', source
            USING ERRCODE = 'insufficient_privilege',
                  HINT = format('Run SELECT * FROM mentalspace.provision(ARRAY[''auth''], owner => %L) as a superuser.',
                                (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = source));
    END IF;
    -- The enum's own output function, not a cast that somebody may have defined.
    SELECT CASE WHEN t.typtype = 'e' THEN 'enum_out(s.role)::text' ELSE 's.role::text' END INTO output
      FROM pg_class c
      JOIN pg_attribute u ON u.attrelid = c.oid AND u.attname = 'user_id' AND u.atttypid = 'uuid'::regtype
      JOIN pg_attribute r ON r.attrelid = c.oid AND r.attname = 'role'
      JOIN pg_type t ON t.oid = r.atttypid
     WHERE c.oid = source AND c.relkind IN ('r', 'p') AND (t.typtype = 'e' OR t.oid IN ('text'::regtype,
             'varchar'::regtype));
    IF output IS NULL THEN
        RAISE EXCEPTION '% cannot serve as the table of roles', source
            USING ERRCODE = 'wrong_object_type',
                  DETAIL = 'It must be a table with a column user_id of type uuid and a column role of type text, varchar or an enum.';
    END IF;
    EXECUTE format('SELECT EXISTS (SELECT FROM %s s WHERE s.user_id = $1 AND %s = $2)', source, output)
       INTO answer USING user_id, role;
    RETURN answer;
END
$$;
COMMENT ON FUNCTION mentalspace.has_role(uuid,
        text) IS 'whether a user has a role in the table of roles; false where there is no such table';

CREATE FUNCTION mentalspace.has_role(role text) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$ SELECT mentalspace.has_role(auth.uid(), role) $$;
COMMENT ON FUNCTION mentalspace.has_role(text) IS 'whether the signed-in user has a role in the table of roles';
