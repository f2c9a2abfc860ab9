-- auth.uid() and its siblings, in C++ (src/auth/functions.cpp).
CREATE FUNCTION mentalspace.auth_sources() RETURNS TABLE (function name, result text, language name, source text, library text)
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT s.function, s.result, 'c'::name, s.symbol, 'MODULE_PATHNAME'
      FROM (VALUES ('uid'::name, 'uuid', 'ms_auth_uid'), ('role', 'text', 'ms_auth_role'), ('email', 'text', 'ms_auth_email'),
                   ('jwt', 'jsonb', 'ms_auth_jwt')) AS s (function, result, symbol)
    $$;
