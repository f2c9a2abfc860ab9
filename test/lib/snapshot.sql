-- All that users of a database have in it, one line each, sorted: what a dump must carry over.  Names stand for OIDs.
-- Members of extensions are left out, but the rows of their tables are in.
\set ON_ERROR_STOP on
\pset format unaligned
\pset tuples_only on
SET search_path = pg_catalog;
SET row_security = off;
CREATE TEMP TABLE line (text text);
-- Namespaces of users, and the objects in them that no extension owns.
CREATE TEMP VIEW space AS SELECT * FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema';
CREATE TEMP VIEW own AS SELECT c.* FROM pg_class c JOIN space n ON n.oid = relnamespace
    WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e');
CREATE FUNCTION pg_temp.acl(acl aclitem[], kind text, owner oid) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(grantor::regrole || '>' || CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END || ':' || privilege_type
                      || CASE WHEN is_grantable THEN '*' ELSE '' END, ',' ORDER BY grantee::regrole::text, privilege_type, grantor::regrole::text)
      FROM aclexplode(coalesce(acl, acldefault(kind::"char", owner))) $$;
INSERT INTO line
SELECT concat_ws(' | ', 'extension', extname, extversion, extnamespace::regnamespace) FROM pg_extension
UNION ALL SELECT concat_ws(' | ', 'schema', nspname, nspowner::regrole, pg_temp.acl(nspacl, 'n', nspowner), obj_description(oid, 'pg_namespace')) FROM space
UNION ALL SELECT concat_ws(' | ', 'relation', oid::regclass, relkind, relowner::regrole, pg_temp.acl(relacl, CASE relkind WHEN 'S' THEN 's' ELSE 'r' END, relowner),
        'rls ' || relrowsecurity || relforcerowsecurity, reloptions, relreplident, obj_description(oid, 'pg_class'),
        CASE WHEN relkind IN ('v', 'm') THEN md5(pg_get_viewdef(oid)) END)
    FROM own WHERE relkind <> 'i'
UNION ALL SELECT concat_ws(' | ', 'column', c.oid::regclass || '.' || attname, format_type(atttypid, atttypmod), attnotnull, attidentity, attgenerated,
        pg_get_expr(adbin, adrelid), attacl, col_description(attrelid, attnum))
    FROM own c JOIN pg_attribute ON attrelid = c.oid AND attnum > 0 AND NOT attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = attrelid AND d.adnum = attnum WHERE relkind IN ('r', 'p', 'v', 'm')
UNION ALL SELECT concat_ws(' | ', 'index', pg_get_indexdef(oid)) FROM own WHERE relkind = 'i'
UNION ALL SELECT concat_ws(' | ', 'constraint', conrelid::regclass, conname, pg_get_constraintdef(oid)) FROM pg_constraint WHERE conrelid IN (SELECT oid FROM own)
UNION ALL SELECT concat_ws(' | ', 'trigger', pg_get_triggerdef(oid), tgenabled) FROM pg_trigger WHERE NOT tgisinternal AND tgrelid IN (SELECT oid FROM pg_class WHERE relnamespace IN (SELECT oid FROM space))
UNION ALL SELECT concat_ws(' | ', 'policy', polrelid::regclass, polname, polcmd, polpermissive, (SELECT array_agg(r::regrole ORDER BY r) FROM unnest(polroles) r),
        pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)) FROM pg_policy
UNION ALL SELECT concat_ws(' | ', 'function', p.oid::regprocedure, proowner::regrole, pg_temp.acl(proacl, 'f', proowner), md5(pg_get_functiondef(p.oid)), obj_description(p.oid, 'pg_proc'))
    FROM pg_proc p JOIN space n ON n.oid = pronamespace
    WHERE prokind IN ('f', 'p') AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
UNION ALL SELECT concat_ws(' | ', 'type', t.oid::regtype, typtype, typowner::regrole, (SELECT string_agg(enumlabel, ',' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid))
    FROM pg_type t JOIN space n ON n.oid = typnamespace WHERE typtype IN ('e', 'd')
UNION ALL SELECT concat_ws(' | ', 'publication', pubname, pubowner::regrole, puballtables, pubinsert, pubupdate, pubdelete, pubtruncate,
        (SELECT string_agg(prrelid::regclass::text, ',' ORDER BY prrelid::regclass::text) FROM pg_publication_rel WHERE prpubid = p.oid)) FROM pg_publication p
UNION ALL SELECT concat_ws(' | ', 'default privileges', defaclrole::regrole, defaclnamespace::regnamespace, defaclobjtype, pg_temp.acl(defaclacl, defaclobjtype::text, defaclrole)) FROM pg_default_acl
UNION ALL SELECT concat_ws(' | ', 'event trigger', evtname, evtevent, evtfoid::regproc, evtenabled) FROM pg_event_trigger
UNION ALL SELECT concat_ws(' | ', 'sequence', schemaname, sequencename, last_value) FROM pg_sequences
UNION ALL SELECT concat_ws(' | ', 'rows', c.oid::regclass, (xpath('//f/text()', query_to_xml(format(
        'SELECT count(*) || '' '' || coalesce(md5(string_agg(t::text, E''\n'' ORDER BY t::text COLLATE "C")), '''') AS f FROM %s t', c.oid::regclass), true, false, '')))[1])
    FROM pg_class c JOIN space n ON n.oid = relnamespace WHERE relkind = 'r';
SELECT text FROM line ORDER BY text COLLATE "C";
