-- provision(), component roles: the roles that migrations, PostgREST and dumps of a Supabase project name.
--
-- None of them can log in: whoever wants authenticator to gives it LOGIN and a password.  service_role passes row level
-- security by BYPASSRLS, which only a superuser (from PostgreSQL 16 on also a role that has it) can give; otherwise it
-- becomes a member of the owner and passes the policies of the owner's tables as the owner does.
CREATE FUNCTION mentalspace.provision_privileged_members() RETURNS mentalspace.provision_step
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT 'check', 'memberships of the roles of the API', 'found',
           'WARNING: ' || string_agg(format('%s %s: %s', object, detail, remedy), '; ' ORDER BY object, detail)
      FROM mentalspace.check_rights() WHERE finding = 'privileged_member'
    $$;
COMMENT ON FUNCTION mentalspace.provision_privileged_members() IS
    'internal to provision(): memberships by which the roles of the API have rights beyond objects';

CREATE FUNCTION mentalspace.provision_service_role(owner name, is_new boolean) RETURNS mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    step mentalspace.provision_step := ('row level security', 'service_role', 'found', NULL);
    reason text;
    strangers text;
    privileges text;
BEGIN
    IF (SELECT rolbypassrls OR rolsuper FROM pg_roles WHERE rolname = 'service_role') THEN
        step.detail := 'passes policies by BYPASSRLS';
        RETURN step;
    ELSIF owner = 'service_role' OR mentalspace.provision_is_member(owner, 'service_role') THEN
        step.detail := format('passes the policies of tables of "%s" as a member of that role', owner);
        RETURN step;
    END IF;
    -- Roles belong to the whole cluster: whoever is a member of a service_role that was there would pass the policies of
    -- this database too.
    SELECT string_agg(quote_ident(r.rolname), ', ' ORDER BY r.rolname) INTO strangers
      FROM pg_roles r
     WHERE mentalspace.provision_is_member('service_role', r.rolname, false) AND NOT r.rolsuper
       AND r.rolname NOT IN (owner, current_user, 'service_role', 'authenticator', 'postgres', 'supabase_admin',
               'supabase_storage_admin');
    IF strangers IS NOT NULL AND NOT is_new THEN
        step.state := 'skipped';
        step.detail := format('WARNING: service_role has other members (%s); if they may see all rows of this database, run ALTER ROLE service_role BYPASSRLS', strangers);
        RETURN step;
    END IF;
    step.state := CASE WHEN is_new THEN 'made' ELSE 'changed' END;
    BEGIN
        ALTER ROLE service_role BYPASSRLS;
        step.detail := 'passes policies by BYPASSRLS';
        RETURN step;
    EXCEPTION WHEN insufficient_privilege THEN
        reason := sqlerrm;
    END;
    -- A member of the owner may do what the owner may: that must be no more than to own these objects.
    privileges := mentalspace.role_privileges(quote_ident(owner)::regrole);
    IF privileges IS NOT NULL THEN
        step.state := 'skipped';
        step.detail := format('WARNING: does not pass policies: only a superuser can give BYPASSRLS, and as a member of "%s" it could take %s; give the objects to a role of their own: CREATE ROLE app_owner; GRANT app_owner TO %I; SELECT * FROM mentalspace.provision(owner => ''app_owner'')',
                owner, privileges, current_user);
        RETURN step;
    END IF;
    BEGIN
        EXECUTE format('GRANT %I TO service_role %s', owner,
            CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'WITH INHERIT TRUE, SET FALSE'
                    ELSE '' END);
        step.detail := format('only a superuser can give BYPASSRLS: passes the policies of tables of "%s" as a member of that role instead', owner)
            || CASE WHEN current_setting('server_version_num')::int < 160000
                    THEN '; before PostgreSQL 16, whoever may take service_role may therefore take that role too'
                            ELSE '' END;
    EXCEPTION WHEN insufficient_privilege OR invalid_grant_operation THEN
        step.state := 'skipped';
        step.detail := format('does not pass policies: neither ALTER ROLE service_role BYPASSRLS (%s) nor GRANT %I TO service_role (%s) is allowed here', reason, owner, sqlerrm);
    END;
    RETURN step;
END
$$;
COMMENT ON FUNCTION mentalspace.provision_service_role(name,
        boolean) IS 'internal to provision(): BYPASSRLS of service_role, or its substitute';

CREATE FUNCTION mentalspace.provision_roles(owner name) RETURNS SETOF mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    r record;
    service_role_is_new boolean := to_regrole('service_role') IS NULL;
    owner_is_super boolean := (SELECT rolsuper FROM pg_roles WHERE rolname = owner);
BEGIN
    FOR r IN
        SELECT * FROM (VALUES
            ('anon', 'requests without a signed-in user', ''),
            ('authenticated', 'requests of a signed-in user', ''),
            ('service_role', 'requests of the application''s own servers: passes row level security', ''),
            ('authenticator', 'login role of PostgREST: takes the role of the request''s token', 'NOINHERIT'),
            ('postgres', 'role that Supabase projects name as the owner of their objects', ''),
            ('dashboard_user', 'role of Supabase''s dashboard, named in dumps', ''),
            ('supabase_admin', 'administrator''s role on Supabase, named in dumps; no superuser here', ''),
            ('supabase_auth_admin', 'role of Supabase Auth', 'NOINHERIT'),
            ('supabase_storage_admin', 'role of Supabase Storage', 'NOINHERIT'),
            ('supabase_realtime_admin', 'role of Supabase Realtime', 'NOINHERIT'),
            ('supabase_functions_admin', 'role of Supabase''s database webhooks', 'NOINHERIT'),
            ('supabase_replication_admin', 'replication role on Supabase, named in dumps', ''),
            ('supabase_read_only_user', 'read-only role on Supabase, named in dumps', ''),
            ('pgbouncer', 'role of Supabase''s connection pooler, named in dumps', '')) AS v(name, summary, options)
    LOOP
        RETURN NEXT mentalspace.provision_role(r.name, r.summary, r.options);
    END LOOP;
    IF to_regrole('service_role') IS NOT NULL THEN
        RETURN NEXT mentalspace.provision_service_role(owner, service_role_is_new);
    END IF;
    RETURN QUERY SELECT m.* FROM unnest(ARRAY['anon', 'authenticated', 'service_role']) AS api,
            mentalspace.provision_member(api, 'authenticator', false) AS m;
    RETURN NEXT mentalspace.provision_privileged_members();
    -- So that the owner's migrations can give objects to these roles and take their place in tests.
    IF NOT owner_is_super THEN
        FOR r IN
            SELECT rolname FROM pg_roles
             WHERE rolname IN ('anon', 'authenticated', 'service_role', 'authenticator', 'postgres', 'dashboard_user',
                     'supabase_admin',
                               'supabase_auth_admin', 'supabase_storage_admin', 'supabase_realtime_admin',
                                       'supabase_functions_admin')
               AND rolname <> owner AND NOT rolsuper AND NOT pg_has_role(rolname, owner, 'MEMBER')
             ORDER BY rolname
        LOOP
            RETURN NEXT mentalspace.provision_member(r.rolname, owner);
        END LOOP;
    END IF;
    RETURN NEXT mentalspace.provision_grant(owner, 'DATABASE', quote_ident(current_database()), '{CREATE,TEMPORARY}',
            ARRAY[owner]);
    RETURN NEXT mentalspace.provision_grant(owner, 'SCHEMA', 'public', '{CREATE,USAGE}', ARRAY[owner]);
    RETURN NEXT mentalspace.provision_grant(owner, 'SCHEMA', 'public', '{USAGE}', '{anon,authenticated,service_role}');
    RETURN NEXT mentalspace.provision_temporary(owner);
END
$$;
COMMENT ON FUNCTION mentalspace.provision_roles(name) IS
    'component roles of provision(): anon, authenticated, service_role, authenticator, the administrative roles that dumps name, memberships; temporary objects for owners only';
