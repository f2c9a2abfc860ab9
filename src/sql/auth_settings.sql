COMMENT ON FUNCTION mentalspace.missing_auth_settings() IS
    'settings in mentalspace.auth_settings that the database lacks, as after a restore: they are in force nevertheless';
COMMENT ON FUNCTION mentalspace.provision_auth_settings() IS
    'internal to provision(): gives the database the settings that mentalspace.auth_settings has';
REVOKE EXECUTE ON FUNCTION mentalspace.provision_auth_settings() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION mentalspace.provision_auth_settings() TO pg_database_owner;
