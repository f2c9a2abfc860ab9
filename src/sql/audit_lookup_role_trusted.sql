-- mentalspace_lookup, which owns the two functions that read tables of other owners.
DO $$
BEGIN
    IF to_regrole('mentalspace_lookup') IS NULL THEN
        CREATE ROLE mentalspace_lookup NOLOGIN;
        COMMENT ON ROLE mentalspace_lookup IS 'mentalspace: reads the key columns on the way to the patient, for the audit''s triggers';
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;
END
$$;
-- A role that another database's owner made cannot be given to this one: then patients in other owners' tables are not found,
-- and events say so.
DO $$
BEGIN
    IF NOT pg_has_role('mentalspace_lookup', 'MEMBER') THEN
        EXECUTE format('GRANT mentalspace_lookup TO %I', current_user);
    END IF;
    GRANT CREATE ON SCHEMA mentalspace TO mentalspace_lookup;
    GRANT EXECUTE ON FUNCTION mentalspace.audit_lookup_rows(regclass, name, name, text[], oid[]),
        mentalspace.audit_count_rows(regclass, name), mentalspace.audit_text_of(text, name, oid), mentalspace.audit_is_builtin(oid)
        TO mentalspace_lookup;
    ALTER FUNCTION mentalspace.audit_lookup(regclass, name, name, text[], oid[]) OWNER TO mentalspace_lookup;
    ALTER FUNCTION mentalspace.audit_count(regclass, name) OWNER TO mentalspace_lookup;
    REVOKE CREATE ON SCHEMA mentalspace FROM mentalspace_lookup;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE WARNING 'the audit finds no patients in tables of other owners' USING ERRCODE = 'insufficient_privilege',
        DETAIL = sqlerrm, HINT = format('Have a superuser run: GRANT mentalspace_lookup TO %I, then create the extension again.', current_user);
END
$$;
