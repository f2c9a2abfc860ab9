-- provision(): makes what migrations written for Supabase expect to find.
CREATE FUNCTION mentalspace.provision(components text[] DEFAULT NULL, owner name DEFAULT CURRENT_USER,
        api_grants text DEFAULT NULL)
    RETURNS TABLE (component text, kind text, object text, state text, detail text)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    known CONSTANT text[] := '{roles,extensions,auth,storage,realtime,cron,net,vault,pgmq,tests}';
    on_request CONSTANT text[] := '{tests}';
    unknown text;
    name text;
    public_may_execute boolean;
    public_now boolean;
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
    IF api_grants NOT IN ('none', 'data', 'legacy') THEN
        RAISE EXCEPTION 'api_grants cannot be "%"', api_grants
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'It is none (migrations grant each object), data (rows only) or legacy (all of what Supabase gave).';
    END IF;
    -- Tests sign in as users.
    IF 'tests' = ANY (components) THEN
        components := components || '{auth,extensions}'::text[];
    END IF;
    -- One at a time: two at once would make the same things.
    PERFORM pg_advisory_xact_lock(hashtext('mentalspace.provision'));
    -- What is made here is as PostgreSQL makes it, whatever holds for the owner's own functions afterwards.
    public_may_execute := mentalspace.provision_public_functions(owner, true);
    FOREACH name IN ARRAY known LOOP
        -- The roles are needed by all the others.
        IF name = ANY (components) OR name = 'roles' OR components IS NULL AND name <> ALL (on_request) THEN
            RETURN QUERY EXECUTE format('SELECT %L, s.* FROM mentalspace.%I($1) AS s', name,
                    'provision_' || name) USING owner;
            IF name = 'roles' THEN
                RETURN QUERY SELECT name, s.* FROM mentalspace.provision_default_privileges(owner, 'public', api_grants, NOT public_may_execute) AS s;
            END IF;
        ELSIF components IS NULL THEN
            RETURN QUERY VALUES (name, 'component', name, 'skipped',
                    format('made on request only: provision(ARRAY[%L])', name));
        END IF;
    END LOOP;
    RETURN QUERY SELECT 'roles', s.* FROM mentalspace.provision_take_back(owner, CASE WHEN api_grants = 'legacy'
            THEN '{extension_function}' ELSE '{api_rights,extension_function}' END::text[]) AS s;
    -- Where roles are named in its place, PUBLIC's right was taken by a migration.
    public_now := api_grants IS DISTINCT FROM 'none' AND (public_may_execute OR api_grants IS NOT NULL AND NOT EXISTS (
        SELECT FROM pg_default_acl d, aclexplode(d.defaclacl) a
         WHERE d.defaclrole = quote_ident(owner)::regrole AND d.defaclnamespace = 'public'::regnamespace
           AND d.defaclobjtype = 'f' AND a.grantee <> d.defaclrole));
    PERFORM mentalspace.provision_public_functions(owner, public_now);
    RETURN QUERY VALUES ('roles', 'default privileges', 'functions for PUBLIC',
        CASE WHEN public_now = public_may_execute THEN 'found' ELSE 'changed' END,
        CASE WHEN public_now THEN 'PUBLIC may execute what the owner makes' ELSE 'closed until they are granted' END);
END
$$;
COMMENT ON FUNCTION mentalspace.provision(text[], name, text) IS
'makes what migrations written for Supabase expect, as objects of OWNER; idempotent; one row for each object (state made, found, changed or skipped)
api_grants: what anon, authenticated and service_role get on new tables, sequences and functions of public: none, data (SELECT, INSERT, UPDATE, DELETE; USAGE; EXECUTE), legacy (all); NULL keeps what was chosen, else data
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
