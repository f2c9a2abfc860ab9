-- auth.uid() and its siblings, in C++ (src/auth/functions.cpp).
CREATE FUNCTION mentalspace.auth_sources() RETURNS TABLE (function name, result text, language name, source text, library text)
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT s.function, s.result, 'c'::name, 'ms_auth_' || s.function, 'MODULE_PATHNAME'
      FROM (VALUES ('uid'::name, 'uuid'), ('role', 'text'), ('email', 'text'), ('jwt', 'jsonb')) AS s (function, result)
    $$;
