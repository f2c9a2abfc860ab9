-- provision(), components cron, net, vault and pgmq: each an extension, the packaged one where the server has it, else the
-- one of that name that is installed beside this one.
CREATE FUNCTION mentalspace.provision_companion(owner name, extension name, schema name,
        roles name[]) RETURNS SETOF mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RETURN NEXT mentalspace.provision_extension(owner, extension);
    IF EXISTS (SELECT FROM pg_extension WHERE extname = extension) AND to_regnamespace(quote_ident(schema)) IS NOT NULL
            THEN
        RETURN NEXT mentalspace.provision_grant(owner, 'SCHEMA', quote_ident(schema), '{USAGE}', ARRAY[owner],
                'WITH GRANT OPTION');
        IF roles <> '{}' THEN
            RETURN NEXT mentalspace.provision_grant(owner, 'SCHEMA', quote_ident(schema), '{USAGE}', roles);
        END IF;
    END IF;
END
$$;
COMMENT ON FUNCTION mentalspace.provision_companion(name, name, name,
        name[]) IS 'internal to provision(): an extension and who may use its schema';

CREATE FUNCTION mentalspace.provision_cron(owner name) RETURNS SETOF mentalspace.provision_step
    LANGUAGE sql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$ SELECT * FROM mentalspace.provision_companion(owner, 'pg_cron', 'cron', '{}') $$;
COMMENT ON FUNCTION mentalspace.provision_cron(name) IS
    'component cron of provision(): pg_cron, where it can work in this database';

CREATE FUNCTION mentalspace.provision_vault(owner name) RETURNS SETOF mentalspace.provision_step
    LANGUAGE sql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$ SELECT * FROM mentalspace.provision_companion(owner, 'supabase_vault', 'vault', '{}') $$;
COMMENT ON FUNCTION mentalspace.provision_vault(name) IS
    'component vault of provision(): supabase_vault with vault.secrets and vault.decrypted_secrets';

CREATE FUNCTION mentalspace.provision_pgmq(owner name) RETURNS SETOF mentalspace.provision_step
    LANGUAGE sql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$ SELECT * FROM mentalspace.provision_companion(owner, 'pgmq', 'pgmq', '{}') $$;
COMMENT ON FUNCTION mentalspace.provision_pgmq(name) IS
    'component pgmq of provision(): message queues in the database';

CREATE FUNCTION mentalspace.provision_net(owner name) RETURNS SETOF mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    step mentalspace.provision_step;
BEGIN
    RETURN QUERY SELECT * FROM mentalspace.provision_companion(owner, 'pg_net', 'net',
            '{anon,authenticated,service_role,supabase_functions_admin}');
    RETURN NEXT mentalspace.provision_schema(owner, 'supabase_functions', 'database webhooks');
    RETURN NEXT mentalspace.provision_grant(owner, 'SCHEMA', 'supabase_functions', '{USAGE}',
            '{anon,authenticated,service_role,supabase_functions_admin}');
    RETURN NEXT mentalspace.provision_table(owner, 'supabase_functions', 'hooks',
            'requests that database webhooks asked for', $t$
        id bigserial
        hook_table_id integer NOT NULL
        hook_name text NOT NULL
        created_at timestamptz DEFAULT now() NOT NULL
        request_id bigint
        CONSTRAINT hooks_pkey PRIMARY KEY (id)
        INDEX supabase_functions_hooks_request_id_idx (request_id)
        INDEX supabase_functions_hooks_h_table_id_h_name_idx (hook_table_id, hook_name)
    $t$);
    step := mentalspace.provision_function(owner, 'supabase_functions.http_request()',
        'trigger: asks pg_net for a request; arguments: url, method, headers, parameters, timeout in milliseconds',
                $f$()
        RETURNS trigger LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
        AS $body$
        DECLARE
            url text := nullif(nullif(tg_argv[0], 'null'), '');
            method text := upper(coalesce(tg_argv[1], 'POST'));
            headers jsonb := coalesce(nullif(nullif(tg_argv[2], 'null'), ''),
                    '{"Content-Type": "application/json"}')::jsonb;
            params jsonb := coalesce(nullif(nullif(tg_argv[3], 'null'), ''), '{}')::jsonb;
            wait_ms integer := coalesce(nullif(nullif(tg_argv[4], 'null'), ''), '1000')::integer;
            request bigint;
        BEGIN
            IF url IS NULL THEN
                RAISE EXCEPTION 'webhook "%" has no URL', tg_name USING ERRCODE = 'invalid_parameter_value';
            END IF;
            IF method = 'GET' THEN
                request := net.http_get(url, params, headers, wait_ms);
            ELSIF method = 'POST' THEN
                request := net.http_post(url, jsonb_build_object('old_record', to_jsonb(old), 'record', to_jsonb(new),
                        'type', tg_op,
                                                                 'table', tg_table_name, 'schema', tg_table_schema),
                                                                         params, headers, wait_ms);
            ELSE
                RAISE EXCEPTION 'webhook "%" has method "%"', tg_name, method
                    USING ERRCODE = 'invalid_parameter_value', HINT = 'It must be GET or POST.';
            END IF;
            INSERT INTO supabase_functions.hooks (hook_table_id, hook_name,
                    request_id) VALUES (tg_relid::bigint::integer, tg_name, request);
            RETURN coalesce(new, old);
        END
        $body$ $f$);
    IF step.state = 'made' THEN
        -- Whoever may call it can make the database ask any URL: not for the roles of the API, which have TRIGGER on tables.
        PERFORM mentalspace.provision_run(owner,
                'REVOKE EXECUTE ON FUNCTION supabase_functions.http_request() FROM PUBLIC');
    END IF;
    RETURN NEXT step;
END
$$;
COMMENT ON FUNCTION mentalspace.provision_net(name) IS
    'component net of provision(): pg_net, and supabase_functions.http_request() for database webhooks';
