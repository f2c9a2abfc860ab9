-- Settings that the database has already.
SELECT mentalspace.record_auth_settings(NULL);
