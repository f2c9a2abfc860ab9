-- provision(), component extensions: schema extensions with what projects call without a schema, the search_path that
-- makes such calls work, and the bookkeeping of the Supabase CLI.
CREATE FUNCTION mentalspace.provision_search_path() RETURNS mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    step mentalspace.provision_step := ('database setting', 'search_path', 'found', NULL);
    before text;
BEGIN
    SELECT substr(c, strpos(c, '=') + 1) INTO before
      FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) AS c
     WHERE d.datname = current_database() AND s.setrole = 0 AND c LIKE 'search\_path=%';
    IF before ~ '(^|[, ])"?extensions"?($|[, ])' THEN
        step.detail := before;
        RETURN step;
    END IF;
    step.state := CASE WHEN before IS NULL THEN 'made' ELSE 'changed' END;
    step.detail := coalesce(nullif(before, ''), '"$user", public') || ', extensions';
    -- Set here only for the one statement that copies it to the database: no command is made of text.
    PERFORM set_config('search_path', step.detail, true);
    EXECUTE pg_catalog.format('ALTER DATABASE %I SET search_path FROM CURRENT', pg_catalog.current_database());
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    RETURN step;
EXCEPTION WHEN insufficient_privilege THEN
    RETURN ('database setting', 'search_path', 'skipped', sqlerrm)::mentalspace.provision_step;
END
$$;
COMMENT ON FUNCTION mentalspace.provision_search_path() IS 'internal to provision(): search_path of the database';

CREATE FUNCTION mentalspace.provision_extensions(owner name) RETURNS SETOF mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RETURN NEXT mentalspace.provision_schema(owner, 'extensions',
            'extensions, apart from the application''s own objects');
    RETURN NEXT mentalspace.provision_grant(owner, 'SCHEMA', 'extensions', '{USAGE}',
            '{anon,authenticated,service_role,supabase_auth_admin,supabase_storage_admin}');
    RETURN NEXT mentalspace.provision_extension(owner, 'pgcrypto', 'extensions');
    RETURN NEXT mentalspace.provision_extension(owner, 'uuid-ossp', 'extensions');
    RETURN NEXT mentalspace.provision_extension(owner, 'pgjwt', 'extensions');
    RETURN NEXT mentalspace.provision_search_path();
    RETURN NEXT mentalspace.provision_schema(owner, 'graphql', 'the schema that CREATE EXTENSION pg_graphql names');
    RETURN NEXT mentalspace.provision_schema(owner, 'graphql_public', 'the schema that Supabase serves GraphQL from');
    RETURN NEXT mentalspace.provision_grant(owner, 'SCHEMA', 'graphql_public', '{USAGE}',
            '{anon,authenticated,service_role}');
    RETURN NEXT mentalspace.provision_schema(owner, 'supabase_migrations',
            'bookkeeping of the Supabase CLI and of mentalspace-migrate');
    RETURN NEXT mentalspace.provision_table(owner, 'supabase_migrations', 'schema_migrations',
            'migrations that were applied', $t$
        version text NOT NULL
        statements text[]
        name text
        CONSTRAINT schema_migrations_pkey PRIMARY KEY (version)
    $t$);
END
$$;
COMMENT ON FUNCTION mentalspace.provision_extensions(name) IS
    'component extensions of provision(): schema extensions with pgcrypto, uuid-ossp and pgjwt, search_path of the database, schemas graphql and graphql_public, supabase_migrations.schema_migrations';
