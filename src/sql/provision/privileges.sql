-- provision(): roles, memberships, privileges and extensions.
CREATE FUNCTION mentalspace.provision_role(role name, summary text,
        options text DEFAULT '') RETURNS mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    r pg_roles;
    step mentalspace.provision_step := ('role', role, 'found', NULL);
BEGIN
    SELECT * INTO r FROM pg_roles WHERE rolname = role;
    IF r.oid IS NULL THEN
        EXECUTE format('CREATE ROLE %I NOLOGIN %s', role, options);
        EXECUTE format('COMMENT ON ROLE %I IS %L', role, summary);
        step.state := 'made';
    ELSIF role IN ('anon', 'authenticated') AND (r.rolsuper OR r.rolbypassrls) THEN
        step.detail := 'WARNING: this role passes row level security; run ALTER ROLE ' || quote_ident(role) || ' NOSUPERUSER NOBYPASSRLS';
    ELSIF r.rolcanlogin AND role IN ('anon', 'authenticated', 'service_role', 'authenticator') THEN
        step.detail := 'can log in';
    END IF;
    RETURN step;
EXCEPTION WHEN insufficient_privilege THEN
    RETURN ('role', role, 'skipped', sqlerrm)::mentalspace.provision_step;
END
$$;
COMMENT ON FUNCTION mentalspace.provision_role(name, text, text) IS 'internal to provision(): a role';

-- Direct membership: what runs through a third role ends with that one's.
CREATE FUNCTION mentalspace.provision_is_member(role name, member name, inherits boolean DEFAULT true,
        may_set boolean DEFAULT false)
    RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
    -- PostgreSQL 15 has neither column and gives both.
    SELECT EXISTS (SELECT FROM pg_auth_members m, to_jsonb(m) AS j
                    WHERE m.roleid = to_regrole(quote_ident($1)) AND m.member = to_regrole(quote_ident($2))
                      AND (NOT inherits OR coalesce((j ->> 'inherit_option')::boolean, true))
                      AND (NOT may_set OR coalesce((j ->> 'set_option')::boolean, true)))
    $$;
COMMENT ON FUNCTION mentalspace.provision_is_member(name, name, boolean, boolean) IS
    'internal to provision(): direct membership of one role in another';

-- MEMBER gets ROLE.  PostgreSQL 16 and later tell inheriting from taking the role: what is asked for is stated there,
-- before that the member's INHERIT attribute decides.
CREATE FUNCTION mentalspace.provision_member(role name, member name, inherits boolean DEFAULT true,
        may_set boolean DEFAULT true)
    RETURNS mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    detailed boolean := current_setting('server_version_num')::int >= 160000;
    step mentalspace.provision_step := ('membership', format('%I of %I', member, role), 'found', NULL);
BEGIN
    IF to_regrole(quote_ident(role)) IS NULL OR to_regrole(quote_ident(member)) IS NULL THEN
        step.state := 'skipped';
        step.detail := 'no such role';
    ELSIF mentalspace.provision_is_member(role, member, inherits, may_set) THEN
        NULL;
    ELSE
        EXECUTE format('GRANT %I TO %I %s', role, member,
            CASE WHEN detailed THEN format('WITH INHERIT %s, SET %s', inherits::text, may_set::text) ELSE '' END);
        step.state := 'made';
    END IF;
    RETURN step;
EXCEPTION WHEN insufficient_privilege OR invalid_grant_operation THEN
    step.state := 'skipped';
    step.detail := sqlerrm;
    RETURN step;
END
$$;
COMMENT ON FUNCTION mentalspace.provision_member(name, name, boolean,
        boolean) IS 'internal to provision(): membership of one role in another';

-- Grants PRIVILEGES on an object (KIND is SCHEMA, TABLE or DATABASE) to those of the roles that exist
-- and do not have them, the owner's or the caller's grant.  Given once: where the object's own list names one of the roles
-- already, what another lacks was taken away by a migration, and stays away.
CREATE FUNCTION mentalspace.provision_grant(owner name, kind text, object text, privileges text[], roles name[],
        options text DEFAULT '')
    RETURNS mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    step mentalspace.provision_step := ('grant', lower(kind) || ' ' || object, 'found', NULL);
    holder oid;
    acl aclitem[];
    lacking name[];
    command text;
BEGIN
    CASE kind
        WHEN 'SCHEMA' THEN SELECT nspowner, nspacl INTO holder, acl FROM pg_namespace
                WHERE oid = to_regnamespace(object);
        WHEN 'DATABASE' THEN SELECT datdba, datacl INTO holder, acl FROM pg_database WHERE datname = current_database();
        ELSE SELECT relowner, relacl INTO holder, acl FROM pg_class WHERE oid = to_regclass(object);
    END CASE;
    lacking := ARRAY(
        SELECT r.rolname FROM pg_roles r
         WHERE r.rolname = ANY (roles)
           AND EXISTS (SELECT FROM unnest(privileges) AS p
                        WHERE NOT CASE kind WHEN 'SCHEMA' THEN has_schema_privilege(r.oid, to_regnamespace(object), p)
                                            WHEN 'TABLE' THEN has_table_privilege(r.oid, to_regclass(object), p)
                                            WHEN 'DATABASE' THEN has_database_privilege(r.oid, current_database(),
                                                    p) END
                        -- What service_role has as a member of the owner, it would lose with that membership.
                        OR r.rolname = 'service_role' AND NOT r.rolsuper AND pg_has_role(r.oid, owner, 'USAGE')
                           AND NOT EXISTS (SELECT FROM aclexplode(acl) a WHERE a.grantee IN (r.oid, 0)
                                   AND a.privilege_type = p))
         ORDER BY r.rolname);
    step.detail := format('%s to %s', array_to_string(privileges, ', '), array_to_string(coalesce(nullif(lacking, '{}'),
            roles), ', '));
    IF lacking = '{}' THEN
        RETURN step;
    ELSIF EXISTS (SELECT FROM aclexplode(acl) a JOIN pg_roles r ON r.oid = a.grantee
                   WHERE r.rolname = ANY (roles) AND r.rolname <> ALL (ARRAY[owner, current_user])) THEN
        step.detail := 'all but what was taken from ' || array_to_string(lacking, ', ');
        RETURN step;
    END IF;
    command := format('GRANT %s ON %s %s TO %s %s', array_to_string(privileges, ', '), kind, object,
        (SELECT string_agg(quote_ident(r), ', ') FROM unnest(lacking) AS r), options);
    step.state := 'made';
    IF pg_has_role(owner, holder, 'USAGE') THEN
        PERFORM mentalspace.provision_run(owner, command);
    ELSE
        EXECUTE command;
    END IF;
    RETURN step;
EXCEPTION WHEN insufficient_privilege THEN
    RETURN ('grant', step.object, 'skipped', concat_ws(': ', step.detail, sqlerrm))::mentalspace.provision_step;
END
$$;
COMMENT ON FUNCTION mentalspace.provision_grant(name, text, text, text[], name[],
        text) IS 'internal to provision(): privileges on an object';

-- An extension by name: the packaged one or, where there is none, the one of that name that is installed beside this one.
-- The owner makes it where it may, so that its migrations can drop it and comment on it.
CREATE FUNCTION mentalspace.provision_extension(owner name, extension name,
        schema name DEFAULT '') RETURNS mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    step mentalspace.provision_step := ('extension', extension, 'found', NULL);
    command text := format('CREATE EXTENSION %I', extension) || CASE WHEN schema = '' THEN ''
            ELSE format(' WITH SCHEMA %I', schema) END;
BEGIN
    SELECT format('version %s in schema %I', e.extversion, n.nspname) INTO step.detail
      FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = extension;
    IF FOUND THEN
        RETURN step;
    END IF;
    step.state := 'skipped';
    BEGIN
        PERFORM mentalspace.provision_run(owner, command);
    EXCEPTION WHEN insufficient_privilege THEN
        IF current_user = owner THEN
            RAISE;
        END IF;
        EXECUTE command;
    END;
    SELECT 'made', format('version %s in schema %I', e.extversion, n.nspname) INTO step.state, step.detail
      FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = extension;
    RETURN step;
EXCEPTION WHEN others THEN
    -- Each extension has its own reasons why it cannot be made here (not preloaded, wrong database, ...): the row says which.
    step.state := 'skipped';
    step.detail := sqlerrm;
    RETURN step;
END
$$;
COMMENT ON FUNCTION mentalspace.provision_extension(name, name,
        name) IS 'internal to provision(): an extension, if it can be made here';
