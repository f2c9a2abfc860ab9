-- A database restored from Supabase has auth.uid() and its siblings already, and policies that depend on them.  They are
-- taken over in place, so that their OIDs, and the policies, live on; but only if nobody else could have put them there.
DO $$
DECLARE
    f record;
BEGIN
    FOR f IN
        SELECT p.oid, p.oid::pg_catalog.regprocedure AS signature,
               r.rolname, r.rolsuper, pg_catalog.format_type(p.prorettype, NULL) AS result, w.result AS wanted
          FROM (VALUES ('uid', 'uuid'), ('role', 'text'), ('email', 'text'), ('jwt', 'jsonb')) AS w(name, result)
          JOIN pg_catalog.pg_proc p ON p.proname = w.name AND p.pronargs = 0
           AND p.pronamespace = 'auth'::pg_catalog.regnamespace
          JOIN pg_catalog.pg_roles r ON r.oid = p.proowner
    LOOP
        IF NOT f.rolsuper AND f.rolname <> current_user THEN
            RAISE EXCEPTION 'cannot take over function %: it belongs to role "%"', f.signature, f.rolname
                USING ERRCODE = 'insufficient_privilege',
                      DETAIL = 'mentalspace replaces this function in place, so that the policies that call it live on, but only if a superuser or the installing role owns it.',
                      HINT = pg_catalog.format('Look at the function, then run ALTER FUNCTION %s OWNER TO %I.', f.signature, current_user);
        END IF;
        IF f.result <> f.wanted THEN
            RAISE EXCEPTION 'cannot take over function %: it returns %, not %', f.signature, f.result, f.wanted
                USING ERRCODE = 'invalid_function_definition',
                      HINT = 'Rename the function, or drop it, before you create the extension.';
        END IF;
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                        WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = f.oid AND d.deptype = 'e') THEN
            EXECUTE pg_catalog.format('ALTER EXTENSION mentalspace ADD FUNCTION %s', f.signature);
        END IF;
    END LOOP;
END
$$;
