-- What 0.2.0 changes beside functions, views, comments and rights: those come from the parts of the install script.
--
-- Tables, columns, types, triggers, sequences and dropped functions go here, in the order in which they were made.  A
-- function whose arguments, result type or OUT columns changed is dropped here first.

-- Triggers of audited tables are listed by audit_trigger_list(); natively and in the trusted flavour those that 0.1.0 made
-- go on as they are until audit_table() is called again.
DROP FUNCTION mentalspace.audit_sync_trigger(regclass, name, text, boolean);
DROP FUNCTION mentalspace.audit_trigger_places(regclass);
DROP FUNCTION mentalspace.wrap_policies(boolean);
DROP FUNCTION mentalspace.list_owned_policies(oid);
-- Of the trusted flavour.
DROP FUNCTION IF EXISTS mentalspace.audit_patient(regclass, text, jsonb), mentalspace.audit_row_key(regclass, jsonb),
    mentalspace.audit_redact(jsonb, record, text[]);
DROP FUNCTION IF EXISTS mentalspace.jwk_fits(jsonb, bytea, bytea), mentalspace.read_jwk(jsonb),
    mentalspace.rsa_fits(text, bytea, bytea, bytea, bytea);

-- Default privileges follow provision(api_grants => ...).
DROP FUNCTION mentalspace.provision_default_privileges(name, name);
DROP FUNCTION mentalspace.provision(text[], name);
