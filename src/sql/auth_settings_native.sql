-- The settings of the identity that ALTER DATABASE has made, for dumps, which do not hold such settings.  The library
-- writes them down, and obeys them where the database's own are missing (src/auth/recorded.cpp).
CREATE TABLE mentalspace.auth_settings (
    name  text PRIMARY KEY CHECK (name ~ '^auth_[a-z_]+$'),
    value text NOT NULL
);
COMMENT ON TABLE mentalspace.auth_settings IS 'variables mentalspace.auth_* of this database, as ALTER DATABASE has set them: in dumps, and obeyed where the database''s own settings are missing';
COMMENT ON COLUMN mentalspace.auth_settings.name IS 'name of the variable without the prefix mentalspace.';
COMMENT ON COLUMN mentalspace.auth_settings.value IS 'its value, as the variable would have it';
ALTER TABLE mentalspace.auth_settings ENABLE ROW LEVEL SECURITY;
SELECT pg_catalog.pg_extension_config_dump('mentalspace.auth_settings', '');

-- Those that the database has; `removed` is a name that may have none any more, `*` all.
CREATE FUNCTION mentalspace.record_auth_settings(removed text) RETURNS void
    LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
    DELETE FROM mentalspace.auth_settings WHERE removed IN ('*', 'mentalspace.' || name);
    INSERT INTO mentalspace.auth_settings AS a (name, value)
    SELECT substr(split_part(c, '=', 1), length('mentalspace.') + 1), substr(c, strpos(c, '=') + 1)
      FROM pg_db_role_setting AS s JOIN pg_database AS d ON d.oid = s.setdatabase, unnest(s.setconfig) AS c
     WHERE d.datname = current_database() AND s.setrole = 0 AND c ~ '^mentalspace\.auth_[a-z_]+='
    ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE a.value <> excluded.value
    $$;
REVOKE ALL ON FUNCTION mentalspace.record_auth_settings(text) FROM PUBLIC;
COMMENT ON FUNCTION mentalspace.record_auth_settings(text) IS
    'internal: writes the database''s settings mentalspace.auth_* down in mentalspace.auth_settings';

CREATE FUNCTION mentalspace.missing_auth_settings() RETURNS name[]
    LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT coalesce(array_agg(a.name::name ORDER BY a.name), '{}') FROM mentalspace.auth_settings AS a
     WHERE NOT EXISTS (SELECT FROM pg_db_role_setting AS s JOIN pg_database AS d ON d.oid = s.setdatabase, unnest(s.setconfig) AS c
                        WHERE d.datname = current_database() AND s.setrole = 0 AND split_part(c, '=', 1) = 'mentalspace.' || a.name)
    $$;

CREATE FUNCTION mentalspace.provision_auth_settings() RETURNS SETOF mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    missing name[] := mentalspace.missing_auth_settings();
    s record;
BEGIN
    FOR s IN SELECT a.name, a.value FROM mentalspace.auth_settings AS a WHERE a.name = ANY (missing) ORDER BY a.name LOOP
        EXECUTE format('ALTER DATABASE %I SET mentalspace.%I = %L', current_database(), s.name, s.value);
        RETURN NEXT ('database setting', 'mentalspace.' || s.name, 'made', s.value)::mentalspace.provision_step;
    END LOOP;
    PERFORM mentalspace.record_auth_settings(NULL);
EXCEPTION WHEN insufficient_privilege THEN
    IF missing <> '{}' THEN
        RETURN NEXT ('database setting', 'mentalspace.auth_*', 'skipped',
                     'WARNING: missing: ' || array_to_string(missing, ', ') || ': ' || sqlerrm)::mentalspace.provision_step;
    END IF;
END
$$;
