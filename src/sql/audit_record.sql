-- Events that SQL writes: those of audit_table() and its kin in both flavours, in the trusted one all of them.
-- Who does what follows, from where and why, as an event has it.
CREATE FUNCTION mentalspace.audit_actor(OUT user_id uuid, OUT session_user_name text, OUT outer_role_name text, OUT roles text[],
    OUT aal text, OUT session_id text, OUT identity_source text, OUT client_address inet, OUT application_name text,
    OUT user_agent text, OUT request_id text, OUT purpose_of_use text, OUT break_glass_id text)
    LANGUAGE plpgsql VOLATILE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    who record := mentalspace.whoami();
    claims jsonb;
    headers jsonb;
BEGIN
    user_id := who.uid;
    session_user_name := session_user;
    outer_role_name := nullif(nullif(current_setting('role'), 'none'), session_user);
    aal := left(who.aal, 200);
    session_id := left(who.session_id, 200);
    identity_source := who.claims_source;
    client_address := inet_client_addr();
    application_name := nullif(current_setting('application_name'), '');
    purpose_of_use := nullif(left(current_setting('mentalspace.audit_purpose', true), 200), '');
    break_glass_id := nullif(left(current_setting('mentalspace.audit_break_glass', true), 200), '');
    -- What cannot be read is left out: an event is never refused for what claims or headers hold.
    IF who.claims_source <> 'none' THEN
        BEGIN
            claims := auth.jwt();
        EXCEPTION WHEN data_exception OR statement_too_complex THEN
            NULL;
        END;
        SELECT array_agg(r.name ORDER BY r.n) INTO roles
          FROM (SELECT name, min(n) AS n
                  FROM (SELECT who.role AS name, 0::bigint AS n
                        UNION ALL
                        SELECT claims #>> '{app_metadata,role}', 1
                         WHERE jsonb_typeof(claims #> '{app_metadata,role}') = 'string'
                        UNION ALL
                        SELECT e.value #>> '{}', 1 + e.n
                          FROM jsonb_array_elements(CASE WHEN jsonb_typeof(claims #> '{app_metadata,roles}') = 'array'
                                                         THEN claims #> '{app_metadata,roles}' END)
                               WITH ORDINALITY AS e(value, n)
                         WHERE jsonb_typeof(e.value) = 'string') AS all_of_them
                 WHERE name <> '' GROUP BY name) AS r;
    END IF;
    IF current_setting('request.headers', true) <> '' THEN
        BEGIN
            headers := current_setting('request.headers', true);
            user_agent := CASE WHEN jsonb_typeof(headers -> 'user-agent') = 'string'
                               THEN nullif(left(headers ->> 'user-agent', 200), '') END;
            request_id := CASE WHEN jsonb_typeof(headers -> 'x-request-id') = 'string'
                               THEN nullif(left(headers ->> 'x-request-id', 200), '') END;
        EXCEPTION WHEN data_exception OR statement_too_complex THEN
            NULL;
        END;
    END IF;
END
$$;
COMMENT ON FUNCTION mentalspace.audit_actor() IS 'internal to the audit: who acts in this statement, from where and why, as events have it';

CREATE FUNCTION mentalspace.audit_add_event(event mentalspace.audit_events) RETURNS void
    LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
    INSERT INTO mentalspace.audit_events (
        occurred_at, transaction_id, row_count, kind, action, category, outcome, severity, precision, relation, row_key,
        patient_ids, user_id, session_user_name, current_user_name, outer_role_name, roles, aal, session_id,
        identity_source, client_address, application_name, user_agent, request_id, purpose_of_use, break_glass_id,
        changes, row_digest, row_image, detail)
    SELECT
        clock_timestamp(), pg_current_xact_id(), $1.row_count, $1.kind, $1.action, $1.category,
        coalesce($1.outcome, 'success'), coalesce($1.severity, 'info'), $1.precision, $1.relation, $1.row_key,
        $1.patient_ids, a.user_id, a.session_user_name, $1.current_user_name, a.outer_role_name, a.roles, a.aal, a.session_id,
        a.identity_source, a.client_address, a.application_name, a.user_agent, a.request_id, a.purpose_of_use,
        a.break_glass_id, $1.changes, $1.row_digest, $1.row_image, $1.detail
      FROM mentalspace.audit_actor() AS a
    $$;
COMMENT ON FUNCTION mentalspace.audit_add_event(mentalspace.audit_events) IS 'internal to the audit: adds an event to this transaction, with who, from where and why as they are now';

CREATE FUNCTION mentalspace.audit_relation_name(rel regclass) RETURNS text
    LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT format('%I.%I', n.nspname, c.relname)
      FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = $1
    $$;
COMMENT ON FUNCTION mentalspace.audit_relation_name(regclass) IS 'internal to the audit: name of a table as events have it';

CREATE FUNCTION mentalspace.audit_record_admin(rel regclass, action text, severity text, category text, detail text) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    event mentalspace.audit_events;
BEGIN
    event.kind := 'admin_action';
    event.action := audit_record_admin.action;
    event.severity := audit_record_admin.severity;
    event.category := audit_record_admin.category;
    event.relation := coalesce(mentalspace.audit_relation_name(rel), rel::text);
    event.current_user_name := current_user;
    event.detail := audit_record_admin.detail;
    PERFORM mentalspace.audit_add_event(event);
END
$$;
COMMENT ON FUNCTION mentalspace.audit_record_admin(regclass, text, text, text, text) IS 'internal to the audit: adds an event of kind admin_action';

-- In PL/pgSQL, which keeps plans.
CREATE FUNCTION mentalspace.audit_salt() RETURNS bytea
    LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RETURN (SELECT s.salt FROM mentalspace.audit_salts AS s ORDER BY s.made_at, s.salt LIMIT 1);
END
$$;
COMMENT ON FUNCTION mentalspace.audit_salt() IS 'internal to the audit: the secret that digests are salted with';

-- In PL/pgSQL, because functions in SQL take no record.
CREATE FUNCTION mentalspace.audit_digest(row_of_table record) RETURNS bytea
    -- The encoding of the database, whatever that of the client: SQL_ASCII is none.
    LANGUAGE plpgsql STABLE STRICT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET client_encoding = 'SQL_ASCII'
    AS $$
BEGIN
    RETURN sha256(mentalspace.audit_salt() || record_send(row_of_table));
EXCEPTION WHEN undefined_function THEN
    -- A type has no binary form.
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION mentalspace.audit_digest(record) IS 'digest of a row as events of INSERT have it: SHA-256 over the salt and the row in binary form; for auditors';

REVOKE ALL ON FUNCTION mentalspace.audit_actor(), mentalspace.audit_add_event(mentalspace.audit_events), mentalspace.audit_relation_name(regclass),
    mentalspace.audit_record_admin(regclass, text, text, text, text), mentalspace.audit_salt(), mentalspace.audit_digest(record)
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION mentalspace.audit_digest(record) TO mentalspace_auditor;
