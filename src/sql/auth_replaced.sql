-- auth.uid() and its siblings can be replaced in place, by their owner or a superuser, and stay members of the extension:
-- migrations of Supabase Auth and tests of projects do it.  These functions make them, see it, and mend it.
COMMENT ON FUNCTION mentalspace.auth_sources() IS 'internal: auth.uid() and its siblings as the extension makes them';

CREATE FUNCTION mentalspace.replaced_auth_functions() RETURNS name[]
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT coalesce(array_agg(s.function ORDER BY s.function), '{}')
      FROM mentalspace.auth_sources() AS s
      LEFT JOIN pg_namespace AS n ON n.nspname = 'auth'
      LEFT JOIN pg_proc AS p ON p.proname = s.function AND p.pronargs = 0 AND p.pronamespace = n.oid
      LEFT JOIN pg_language AS l ON l.oid = p.prolang
     WHERE (l.lanname, p.prosrc, p.probin, p.provolatile, p.proparallel, p.prosecdef, p.proisstrict)
               IS DISTINCT FROM (s.language, s.source, s.library, 's'::"char", 's'::"char", false, false)
        OR p.proconfig IS NOT NULL OR p.prosqlbody IS NOT NULL
    $$;
COMMENT ON FUNCTION mentalspace.replaced_auth_functions() IS
    'those of auth.uid(), role(), email() and jwt() that are not as the extension made them';

CREATE FUNCTION mentalspace.restore_auth_functions(functions name[]) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    s record;
BEGIN
    FOR s IN SELECT * FROM mentalspace.auth_sources() AS a WHERE a.function = ANY (functions) LOOP
        EXECUTE format('CREATE OR REPLACE FUNCTION auth.%I() RETURNS %s LANGUAGE %I STABLE PARALLEL SAFE AS %s', s.function, s.result,
                       s.language, concat_ws(', ', quote_literal(s.library), quote_literal(s.source)));
    END LOOP;
END
$$;
COMMENT ON FUNCTION mentalspace.restore_auth_functions(name[]) IS
    'internal to provision(): makes these functions of schema auth as they are the extension''s';

-- Whether a definition reads the claims as Supabase's versions of these functions do, whichever it is and however it is
-- written: request.jwt.claim.NAME, the key of request.jwt.claims, or the first and then the second.
CREATE FUNCTION mentalspace.reads_auth_claims(function name, source text) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    result text := CASE $1 WHEN 'uid' THEN 'uuid' WHEN 'jwt' THEN 'jsonb' ELSE 'text' END;
    key text := CASE $1 WHEN 'uid' THEN 'sub' ELSE $1 END;
    legacy text := '(nullif)?current_setting''request\.jwt\.claim' || CASE $1 WHEN 'jwt' THEN '' ELSE '\.' || key END
                   || '''(,true)?(,'''')?';
    claims text := '(nullif)*current_setting''request\.jwt\.claims''(,true)?(,'''')?'
                   || CASE $1 WHEN 'jwt' THEN '' ELSE '::jsonb?->>''' || key || '''(,'''')?' END;
    plain text := regexp_replace(regexp_replace(source, '--[^\n]*', '', 'g'), '/\*.*?\*/', '', 'g');
BEGIN
    -- Names are compared in lower case; the texts in quotes must be so already.
    IF EXISTS (SELECT FROM regexp_matches(plain, '''[^'']*''', 'g') AS m WHERE m[1] <> lower(m[1])) THEN
        RETURN false;
    END IF;
    -- What is left says the same without blanks, parentheses, quotes of names and casts that change nothing.
    plain := regexp_replace(lower(plain), '[\s()"]|pg_catalog\.|::text|::character varying', '', 'g');
    plain := regexp_replace(plain, '^beginreturn(.*);end;?$', 'select\1');
    plain := regexp_replace(plain, '^(beginatomic)?(select|return)(.*?);*(end)?$', 'select\3');
    RETURN plain ~ format('^select(coalesce)?(nullif)?(%s|%s|%s,%s)(,'''')?(::jsonb?)?(::%s)?(as[a-z_]+)?$', legacy, claims, legacy, claims,
                          result);
END
$$;
COMMENT ON FUNCTION mentalspace.reads_auth_claims(name, text) IS
    'internal: whether the source of a function in schema auth means what the extension''s means';

CREATE FUNCTION mentalspace.keep_auth_functions(functions name[] DEFAULT '{uid,role,email,jwt}') RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    f record;
BEGIN
    FOR f IN SELECT p.proname, l.lanname, coalesce(pg_get_function_sqlbody(p.oid), p.prosrc) AS source, p.proconfig
               FROM pg_proc AS p
               JOIN pg_namespace AS n ON n.oid = p.pronamespace
               JOIN pg_language AS l ON l.oid = p.prolang
              WHERE p.proname = ANY (mentalspace.replaced_auth_functions()) AND p.proname = ANY (functions)
                AND p.pronargs = 0 AND n.nspname = 'auth'
              ORDER BY p.proname
    LOOP
        -- A SET clause may bring claims of its own; that of search_path brings nothing.
        IF (f.source = (SELECT s.source FROM mentalspace.auth_sources() AS s WHERE s.function = f.proname)
            OR f.lanname IN ('sql', 'plpgsql') AND mentalspace.reads_auth_claims(f.proname, f.source))
           AND NOT EXISTS (SELECT FROM unnest(f.proconfig) AS c WHERE c !~ '^search_path=') THEN
            PERFORM mentalspace.restore_auth_functions(ARRAY[f.proname]);
            RAISE NOTICE 'function auth.%() stays the one of mentalspace', f.proname
                USING ERRCODE = '01M01', DETAIL = 'The definition that was to replace it reads the same claims.';
        ELSE
            RAISE WARNING 'function auth.%() is not the one of mentalspace any more', f.proname
                USING ERRCODE = '01M01', DETAIL = 'Its definition means something else, and is kept.',
                      HINT = 'SELECT * FROM mentalspace.provision(ARRAY[''auth'']) brings back that of mentalspace.';
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mentalspace.keep_auth_functions(name[]) IS
    'after a migration: where it replaced auth.uid() or a sibling by a definition that means the same, the extension''s stays; else a WARNING';
