-- Commands of the owner of the database: nobody else has a use for them.
DO $$
DECLARE
    f regprocedure;
BEGIN
    FOR f IN SELECT oid::regprocedure FROM pg_catalog.pg_proc
              WHERE pronamespace = 'mentalspace'::pg_catalog.regnamespace AND proname ~ '^provision(_|$)' LOOP
        EXECUTE pg_catalog.format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f);
        EXECUTE pg_catalog.format('GRANT EXECUTE ON FUNCTION %s TO pg_database_owner', f);
    END LOOP;
END
$$;
