-- One line for each member of an extension of ours, and for each column, with all that a user can notice of it; sorted.
-- With psql's variable `bodies` on, functions also show language and body.  Owners are left out: they differ.
\set ON_ERROR_STOP on
\pset format unaligned
\pset tuples_only on
\if :{?bodies}
\else
    \set bodies off
\endif
SET search_path = pg_catalog;
WITH ext AS (
    SELECT oid, extname FROM pg_extension
     WHERE extname = 'mentalspace' OR extversion LIKE '%-mentalspace'
), member AS (
    SELECT extname, classid, objid, (pg_identify_object(classid, objid, 0)).*,
           coalesce(obj_description(objid, classid::regclass::name), '') AS remark
      FROM pg_depend JOIN ext ON ext.oid = refobjid
     WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
       -- Types of arrays and of tables' rows come with the type or table; not every version of the server lists them.
       AND NOT (classid = 'pg_type'::regclass AND EXISTS (SELECT FROM pg_type t LEFT JOIN pg_class c ON c.oid = typrelid
                                                           WHERE t.oid = objid AND (typcategory = 'A' OR c.relkind <> 'c')))
), acl AS (
    SELECT 'pg_proc'::regclass AS classid, oid AS objid, coalesce(proacl, acldefault('f', proowner)) AS acl, proowner AS owner FROM pg_proc
    UNION ALL SELECT 'pg_namespace'::regclass, oid, coalesce(nspacl, acldefault('n', nspowner)), nspowner FROM pg_namespace
    UNION ALL SELECT 'pg_class'::regclass, oid, coalesce(relacl, acldefault('r', relowner)), relowner FROM pg_class
), granted AS (
    SELECT classid, objid, string_agg(DISTINCT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(grantee)::text END
                                      || ' ' || privilege_type, ', ') AS grants
      FROM acl, aclexplode(acl) WHERE grantee <> owner GROUP BY 1, 2
)
SELECT concat_ws(' | ', m.extname, m.type, m.identity,
                 CASE WHEN p.oid IS NOT NULL THEN concat_ws(' ',
                     'returns', pg_get_function_result(p.oid), '(' || pg_get_function_arguments(p.oid) || ')',
                     CASE p.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END,
                     CASE p.proparallel WHEN 's' THEN 'parallel safe' WHEN 'r' THEN 'parallel restricted' ELSE 'parallel unsafe' END,
                     CASE WHEN p.proisstrict THEN 'strict' END, CASE WHEN p.prosecdef THEN 'security definer' END,
                     CASE WHEN p.proleakproof THEN 'leakproof' END) END,
                 CASE WHEN c.oid IS NOT NULL THEN concat_ws(' ', 'kind', c.relkind,
                     CASE WHEN c.relrowsecurity THEN 'rls' END, CASE WHEN c.relforcerowsecurity THEN 'forced' END,
                     c.reloptions::text) END,
                 'grants ' || g.grants, 'comment ' || nullif(m.remark, ''),
                 CASE WHEN p.oid IS NOT NULL AND :'bodies'::boolean
                      THEN concat_ws(' ', l.lanname, p.proconfig::text, p.probin, md5(p.prosrc)) END)
  FROM member m
  LEFT JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND p.oid = m.objid
  LEFT JOIN pg_language l ON l.oid = p.prolang
  LEFT JOIN pg_class c ON m.classid = 'pg_class'::regclass AND c.oid = m.objid
  LEFT JOIN granted g ON g.classid = m.classid AND g.objid = m.objid
UNION ALL
SELECT concat_ws(' | ', m.extname, 'column', m.identity || '.' || a.attname, format_type(a.atttypid, a.atttypmod),
                 CASE WHEN a.attnotnull THEN 'not null' END, pg_get_expr(d.adbin, d.adrelid),
                 'comment ' || col_description(a.attrelid, a.attnum))
  FROM member m
  JOIN pg_attribute a ON m.classid = 'pg_class'::regclass AND a.attrelid = m.objid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
UNION ALL
SELECT concat_ws(' | ', m.extname, 'constraint', m.identity, k.conname, pg_get_constraintdef(k.oid))
  FROM member m JOIN pg_constraint k ON m.classid = 'pg_class'::regclass AND k.conrelid = m.objid
UNION ALL
SELECT concat_ws(' | ', m.extname, 'index', pg_get_indexdef(i.indexrelid))
  FROM member m JOIN pg_index i ON m.classid = 'pg_class'::regclass AND i.indrelid = m.objid
UNION ALL
SELECT concat_ws(' | ', m.extname, 'trigger', m.identity, pg_get_triggerdef(t.oid))
  FROM member m JOIN pg_trigger t ON m.classid = 'pg_class'::regclass AND t.tgrelid = m.objid AND NOT t.tgisinternal
UNION ALL
SELECT concat_ws(' | ', m.extname, 'policy', m.identity, y.polname, y.polcmd, pg_get_expr(y.polqual, y.polrelid),
                 pg_get_expr(y.polwithcheck, y.polrelid))
  FROM member m JOIN pg_policy y ON m.classid = 'pg_class'::regclass AND y.polrelid = m.objid
 ORDER BY 1;
