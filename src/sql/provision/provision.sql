-- provision(): makes what migrations written for Supabase expect to find.
CREATE FUNCTION mentalspace.provision(components text[] DEFAULT NULL, owner name DEFAULT CURRENT_USER)
    RETURNS TABLE (component text, kind text, object text, state text, detail text)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    known CONSTANT text[] := '{roles,extensions,auth,storage,realtime,cron,net,vault,pgmq,tests}';
    on_request CONSTANT text[] := '{tests}';
    unknown text;
    name text;
BEGIN
    SELECT c INTO unknown FROM unnest(components) AS c WHERE c IS NULL OR c <> ALL (known) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'there is no component "%"', unknown
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Components are ' || array_to_string(known, ', ') || '.';
    END IF;
    IF owner IS NULL OR to_regrole(quote_ident(owner)) IS NULL THEN
        RAISE EXCEPTION 'role "%" does not exist', owner USING ERRCODE = 'undefined_object';
    END IF;
    IF NOT pg_has_role(current_user, owner, 'MEMBER') THEN
        RAISE EXCEPTION 'must be a member of role "%" to make objects for it',
                owner USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF owner IN ('anon', 'authenticated', 'authenticator') THEN
        RAISE EXCEPTION 'role "%" cannot own the database''s objects', owner
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'An owner passes row level security on its tables.';
    END IF;
    -- Tests sign in as users.
    IF 'tests' = ANY (components) THEN
        components := components || '{auth,extensions}'::text[];
    END IF;
    -- One at a time: two at once would make the same things.
    PERFORM pg_advisory_xact_lock(hashtext('mentalspace.provision'));
    FOREACH name IN ARRAY known LOOP
        -- The roles are needed by all the others.
        IF name = ANY (components) OR name = 'roles' OR components IS NULL AND name <> ALL (on_request) THEN
            RETURN QUERY EXECUTE format('SELECT %L, s.* FROM mentalspace.%I($1) AS s', name,
                    'provision_' || name) USING owner;
        ELSIF components IS NULL THEN
            RETURN QUERY VALUES (name, 'component', name, 'skipped',
                    format('made on request only: provision(ARRAY[%L])', name));
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mentalspace.provision(text[], name) IS
'makes what migrations written for Supabase expect, as objects of OWNER; idempotent; one row for each object (state made, found, changed or skipped)
  roles       anon, authenticated, service_role, authenticator, the administrative roles that dumps name, default privileges (made with every other component)
  extensions  schema extensions with pgcrypto, uuid-ossp and pgjwt, search_path of the database, supabase_migrations
  auth        the tables of Supabase Auth, closed to anon and authenticated; the library preloaded
  storage     buckets and objects with row level security, foldername() and its siblings
  realtime    messages, topic(), send(), broadcast_changes(), publication supabase_realtime
  cron        pg_cron, or the extension of that name that comes with this one
  net         pg_net likewise, and supabase_functions.http_request()
  vault       supabase_vault likewise
  pgmq        pgmq likewise
  tests       schema tests with helpers for pgTAP (with auth and extensions); on request only, never on a production database';

-- Commands of the owner of the database: nobody else has a use for them.
DO $$
DECLARE
    f regprocedure;
BEGIN
    FOR f IN SELECT oid::regprocedure FROM pg_catalog.pg_proc
              WHERE pronamespace = 'mentalspace'::pg_catalog.regnamespace AND proname ~ '^provision(_|$)' LOOP
        EXECUTE pg_catalog.format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f);
        EXECUTE pg_catalog.format('GRANT EXECUTE ON FUNCTION %s TO pg_database_owner', f);
    END LOOP;
END
$$;
