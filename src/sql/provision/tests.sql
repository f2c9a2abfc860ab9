-- provision(), component tests: helpers for pgTAP tests of policies, by the names that Supabase projects use.  They make
-- users and take their place, so this component is made on request only.
CREATE FUNCTION mentalspace.provision_tests(owner name) RETURNS SETOF mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RETURN NEXT mentalspace.provision_extension(owner, 'pgtap', 'extensions');
    RETURN NEXT mentalspace.provision_schema(owner, 'tests',
            'helpers for tests of policies; never on a production database');
    RETURN NEXT mentalspace.provision_grant(owner, 'SCHEMA', 'tests', '{USAGE}', '{anon,authenticated,service_role}');
    RETURN NEXT mentalspace.provision_function(owner, 'tests.create_supabase_user(text, text, text, jsonb)',
            'makes a user and returns its id', $f$(
            identifier text, email text DEFAULT NULL, phone text DEFAULT NULL, metadata jsonb DEFAULT NULL)
        RETURNS uuid LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
        AS $body$
            INSERT INTO auth.users (id, aud, role, email, phone, raw_user_meta_data, raw_app_meta_data, created_at,
                    updated_at)
            VALUES (gen_random_uuid(), 'authenticated', 'authenticated', coalesce(email,
                    gen_random_uuid() || '@test.invalid'), phone,
                    coalesce(metadata, '{}') || jsonb_build_object('test_identifier', identifier), '{}', now(), now())
            RETURNING id
        $body$ $f$);
    RETURN NEXT mentalspace.provision_function(owner, 'tests.get_supabase_user(text)',
            'the user of create_supabase_user(), as JSON', $f$(identifier text)
        RETURNS json LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
        AS $body$
        DECLARE
            found json;
        BEGIN
            SELECT json_build_object('id', u.id, 'email', u.email, 'phone', u.phone, 'raw_user_meta_data',
                    u.raw_user_meta_data,
                                     'raw_app_meta_data', u.raw_app_meta_data) INTO found
              FROM auth.users u WHERE u.raw_user_meta_data ->> 'test_identifier' = identifier
             ORDER BY u.created_at DESC LIMIT 1;
            IF found IS NULL THEN
                RAISE EXCEPTION 'there is no test user "%"', identifier USING ERRCODE = 'no_data_found';
            END IF;
            RETURN found;
        END
        $body$ $f$);
    RETURN NEXT mentalspace.provision_function(owner, 'tests.get_supabase_uid(text)',
            'the id of the user of create_supabase_user()', $f$(identifier text)
        RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
        AS $body$ SELECT (tests.get_supabase_user(identifier) ->> 'id')::uuid $body$ $f$);
    RETURN NEXT mentalspace.provision_function(owner, 'tests.authenticate_as(text)',
            'for the rest of the transaction, be that user', $f$(identifier text)
        RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
        AS $body$
        DECLARE
            person json := tests.get_supabase_user(identifier);
        BEGIN
            PERFORM pg_catalog.set_config('request.jwt.claims', pg_catalog.json_build_object('sub', person ->> 'id',
                    'aud', 'authenticated',
                'role', 'authenticated', 'email', person ->> 'email', 'phone', person ->> 'phone',
                'user_metadata', person -> 'raw_user_meta_data', 'app_metadata', person -> 'raw_app_meta_data')::text,
                        true);
            PERFORM pg_catalog.set_config('role', 'authenticated', true);
        END
        $body$ $f$);
    RETURN NEXT mentalspace.provision_function(owner, 'tests.authenticate_as_service_role()',
            'for the rest of the transaction, be service_role', $f$()
        RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
        AS $body$
        BEGIN
            PERFORM pg_catalog.set_config('request.jwt.claims', '{"role": "service_role"}', true);
            PERFORM pg_catalog.set_config('role', 'service_role', true);
        END
        $body$ $f$);
    RETURN NEXT mentalspace.provision_function(owner, 'tests.clear_authentication()',
            'for the rest of the transaction, be nobody (anon)', $f$()
        RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
        AS $body$
        BEGIN
            PERFORM pg_catalog.set_config('request.jwt.claims', '', true);
            PERFORM pg_catalog.set_config('role', 'anon', true);
        END
        $body$ $f$);
    RETURN NEXT mentalspace.provision_function(owner, 'tests.rls_enabled(text)',
            'pgTAP: row level security is on for each table of a schema', $f$(testing_schema text)
        RETURNS text LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
        AS $body$
        BEGIN
            RETURN is((SELECT string_agg(c.relname, ', ' ORDER BY c.relname) FROM pg_catalog.pg_class c
                        WHERE c.relnamespace = to_regnamespace(quote_ident(testing_schema)) AND c.relkind IN ('r', 'p')
                                AND NOT c.relrowsecurity),
                      NULL::text, 'row level security is on for each table of schema ' || testing_schema);
        END
        $body$ $f$);
    RETURN NEXT mentalspace.provision_function(owner, 'tests.rls_enabled(text, text)',
            'pgTAP: row level security is on for a table', $f$(testing_schema text, testing_table text)
        RETURNS text LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
        AS $body$
        BEGIN
            RETURN is((SELECT c.relrowsecurity FROM pg_catalog.pg_class c
                        WHERE c.relnamespace = to_regnamespace(quote_ident(testing_schema))
                                AND c.relname = testing_table AND c.relkind IN ('r', 'p')),
                      true, format('row level security is on for %I.%I', testing_schema, testing_table));
        END
        $body$ $f$);
END
$$;
COMMENT ON FUNCTION mentalspace.provision_tests(name) IS
    'component tests of provision(): pgTAP where it is installed, and schema tests with create_supabase_user(), authenticate_as() and their siblings';
