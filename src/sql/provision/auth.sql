-- provision(), component auth: schema auth with all tables of Supabase Auth.  auth.uid() and its siblings belong to the
-- extension; the tables belong to the user, so that pg_dump takes them with their rows, triggers and policies.
CREATE FUNCTION mentalspace.provision_auth(owner name) RETURNS SETOF mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    exposed text;
    helper regprocedure;
    replaced name;
BEGIN
    RETURN NEXT mentalspace.provision_schema(owner, 'auth', 'Supabase Auth: users and the identity of the request');
    RETURN NEXT mentalspace.provision_grant(owner, 'SCHEMA', 'auth', '{USAGE}',
        '{anon,authenticated,service_role,supabase_auth_admin,supabase_storage_admin,supabase_realtime_admin,dashboard_user}');
    FOREACH replaced IN ARRAY mentalspace.replaced_auth_functions() LOOP
        BEGIN
            PERFORM mentalspace.restore_auth_functions(ARRAY[replaced]);
            RETURN NEXT ('function', format('auth.%s()', replaced), 'changed', 'was replaced by another definition')::mentalspace.provision_step;
        EXCEPTION WHEN insufficient_privilege OR invalid_function_definition THEN
            RETURN NEXT ('function', format('auth.%s()', replaced), 'skipped',
                         'WARNING: was replaced by another definition: ' || sqlerrm)::mentalspace.provision_step;
        END;
    END LOOP;
    RETURN QUERY SELECT * FROM mentalspace.provision_auth_clients(owner);
    RETURN QUERY SELECT * FROM mentalspace.provision_auth_users(owner);
    RETURN QUERY SELECT * FROM mentalspace.provision_auth_factors(owner);
    RETURN QUERY SELECT * FROM mentalspace.provision_auth_grants(owner);
    -- A restored or hand-made table may be open; that may be meant, so it is said and not changed.
    SELECT string_agg(format('%s (%s)', c.relname, r.rolname), ', ' ORDER BY c.relname, r.rolname) INTO exposed
      FROM pg_class c, pg_roles r
     WHERE c.relnamespace = 'auth'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')
       AND r.rolname IN ('anon', 'authenticated') AND NOT r.rolsuper AND has_any_column_privilege(r.oid, c.oid,
               'SELECT');
    RETURN NEXT ('check', 'tables of auth are closed to anon and authenticated', 'found',
                 'WARNING: readable: ' || exposed)::mentalspace.provision_step;
    -- roles_of() reads the table of roles, and in the trusted flavour sync_user_of() writes auth.users, as the function's owner:
    -- as the owner of these tables, whose policies and triggers then run with no other role's rights.
    FOR helper IN SELECT p.oid::regprocedure FROM pg_proc AS p
                   WHERE p.oid IN (to_regprocedure('mentalspace.roles_of(uuid)'), to_regprocedure('mentalspace.sync_user_of(text)'))
                   ORDER BY p.proname
    LOOP
        IF (SELECT rolsuper FROM pg_roles WHERE rolname = owner)
           OR (SELECT pg_get_userbyid(proowner) = owner FROM pg_proc WHERE oid = helper) THEN
            RETURN NEXT ('owner of function', helper::text, 'found', NULL)::mentalspace.provision_step;
            CONTINUE;
        END IF;
        BEGIN
            -- For the moment of the change, the new owner must be allowed to create in the schema.
            EXECUTE format('GRANT CREATE ON SCHEMA mentalspace TO %I', owner);
            EXECUTE format('GRANT EXECUTE ON FUNCTION mentalspace.sync_user(jsonb) TO %I', owner);
            EXECUTE format('ALTER FUNCTION %s OWNER TO %I', helper, owner);
            EXECUTE format('REVOKE CREATE ON SCHEMA mentalspace FROM %I', owner);
            RETURN NEXT ('owner of function', helper::text, 'changed', format('now belongs to "%s"',
                    owner))::mentalspace.provision_step;
        EXCEPTION WHEN insufficient_privilege THEN
            RETURN NEXT ('owner of function', helper::text, 'skipped', sqlerrm)::mentalspace.provision_step;
        END;
    END LOOP;
    RETURN NEXT mentalspace.provision_preload();
    RETURN QUERY SELECT * FROM mentalspace.provision_auth_settings();
END
$$;
COMMENT ON FUNCTION mentalspace.provision_auth(name) IS
    'component auth of provision(): schema auth with the tables of Supabase Auth (users, identities, sessions, factors, single sign-on, OAuth), closed to anon and authenticated; the library preloaded in sessions of this database';

-- The library is loaded at the start of each session of this database, so that claims set before the first call of
-- auth.uid() are seen by it.  Libraries that are in the list stay.
CREATE FUNCTION mentalspace.provision_preload() RETURNS mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    step mentalspace.provision_step := ('database setting', 'session_preload_libraries', 'found', NULL);
    library text;
    before text;
BEGIN
    SELECT s.library INTO library FROM mentalspace.auth_sources() AS s WHERE s.function = 'uid';
    IF library IS NULL THEN
        step.state := 'skipped';
        step.detail := 'this flavour has no library';
        RETURN step;
    END IF;
    SELECT substr(c, strpos(c, '=') + 1) INTO before
      FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) AS c
     WHERE d.datname = current_database() AND s.setrole = 0 AND c LIKE 'session\_preload\_libraries=%';
    -- A setting of the database replaces the server's own: start from that one.
    before := coalesce(before, (SELECT reset_val FROM pg_settings WHERE name = 'session_preload_libraries'), '');
    IF concat_ws(',', before, current_setting('shared_preload_libraries')) ~ '(^|[,/" ])mentalspace($|[," ])' THEN
        RETURN step;
    END IF;
    -- A library that cannot be found would close the database to everybody: only a name that loads is written down.
    BEGIN
        LOAD 'mentalspace';
        library := 'mentalspace';
    EXCEPTION WHEN undefined_file THEN
        EXECUTE format('LOAD %L', library);
    END;
    PERFORM set_config('session_preload_libraries', concat_ws(', ', nullif(before, ''), library), true);
    EXECUTE format('ALTER DATABASE %I SET session_preload_libraries FROM CURRENT', current_database());
    step.state := CASE before WHEN '' THEN 'made' ELSE 'changed' END;
    step.detail := concat_ws(', ', nullif(before, ''), library);
    RETURN step;
EXCEPTION
    WHEN insufficient_privilege THEN
        RETURN ('database setting', 'session_preload_libraries', 'skipped',
                'only a superuser can set it: the library is loaded by the first call of auth.uid()')::mentalspace.provision_step;
    WHEN undefined_file THEN
        RETURN ('database setting', 'session_preload_libraries', 'skipped', sqlerrm)::mentalspace.provision_step;
END
$$;
COMMENT ON FUNCTION mentalspace.provision_preload() IS 'internal to provision(): session_preload_libraries of the database';
