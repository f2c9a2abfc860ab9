-- The objects of the extension belong to whoever owns its schema.  The owner of a schema can rename it and put another in
-- its place, and so have functions that run with their owner's rights (SECURITY DEFINER) find objects of his own: these
-- rights must be none but his.  It also lets the owner go on working after a superuser has restored a dump.
DO $$
DECLARE
    owner pg_catalog.regrole := (SELECT n.nspowner FROM pg_catalog.pg_namespace n WHERE n.nspname = '@SCHEMA@');
    command text;
BEGIN
    IF owner = current_user::pg_catalog.regrole OR (SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.oid = owner) THEN
        RETURN;
    END IF;
    FOR command IN
        SELECT pg_catalog.format('ALTER %s %s OWNER TO %s', CASE o.type WHEN 'composite type' THEN 'type' ELSE o.type END, o.identity, owner)
          FROM pg_catalog.pg_depend d, LATERAL pg_catalog.pg_identify_object(d.classid, d.objid, 0) o
         WHERE d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e'
           AND d.refobjid = (SELECT e.oid FROM pg_catalog.pg_extension e WHERE e.extname = '@NAME@')
           AND (o.type IN ('table', 'view', 'function', 'procedure')
                OR o.type = 'type' AND EXISTS (SELECT FROM pg_catalog.pg_type t LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid
                                                WHERE t.oid = d.objid AND t.typelem = 0 AND (t.typrelid = 0 OR c.relkind = 'c')))
    LOOP
        EXECUTE command;
    END LOOP;
END
$$;
