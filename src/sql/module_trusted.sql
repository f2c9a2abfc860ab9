CREATE FUNCTION mentalspace.module_version() RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$ SELECT '@VERSION@'::text $$;
