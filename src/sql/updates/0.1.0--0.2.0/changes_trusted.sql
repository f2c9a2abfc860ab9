-- What 0.2.0 changes in the trusted flavour alone.
ALTER TABLE mentalspace.auth_settings DROP CONSTRAINT auth_settings_name_check;
ALTER TABLE mentalspace.auth_settings ADD CONSTRAINT auth_settings_name_check
    CHECK (name IN ('auth_issuers', 'auth_audience', 'auth_leeway', 'auth_max_token_bytes',
                    'auth_allowed_roles', 'auth_sync_users', 'auth_claims_source'));
ALTER TABLE mentalspace.auth_settings ADD CHECK (name <> 'auth_claims_source' OR value IN ('guc', 'verified'));
DROP FUNCTION IF EXISTS mentalspace.jwk_fits(jsonb, bytea, bytea), mentalspace.read_jwk(jsonb),
    mentalspace.rsa_fits(text, bytea, bytea, bytea, bytea);
DROP FUNCTION IF EXISTS mentalspace.audit_patient(regclass, text, jsonb), mentalspace.audit_row_key(regclass, jsonb),
    mentalspace.audit_redact(jsonb, record, text[]);
