-- The trusted flavour has no settings but the rows of mentalspace.auth_settings, which are in dumps.
CREATE FUNCTION mentalspace.missing_auth_settings() RETURNS name[]
    LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$ SELECT '{}'::name[] $$;
CREATE FUNCTION mentalspace.provision_auth_settings() RETURNS SETOF mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$ BEGIN END $$;
