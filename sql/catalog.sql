-- Rules that every object of the extension keeps.
CREATE EXTENSION mentalspace;
CREATE VIEW member AS
    SELECT classid, objid, (pg_identify_object(classid, objid, 0)).type, (pg_identify_object(classid, objid, 0)).identity
      FROM pg_depend
     WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
       AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'mentalspace');

-- the identity functions, exactly
SELECT p.oid::regprocedure AS function, prorettype::regtype AS returns, provolatile AS volatile, proparallel AS parallel,
       proisstrict AS strict, prosecdef AS definer, proretset AS set,
       has_function_privilege('public', p.oid, 'EXECUTE') AS everybody
  FROM pg_proc p WHERE pronamespace = 'auth'::regnamespace ORDER BY p.oid::regprocedure::text;

-- every object has a comment (types of rows and arrays are made by the server and have none)
SELECT type, identity FROM member
 WHERE obj_description(objid, classid::regclass::name) IS NULL AND classid <> 'pg_type'::regclass
 ORDER BY 1, 2;
SELECT attrelid::regclass AS relation, attname FROM member JOIN pg_attribute ON attrelid = objid
 WHERE classid = 'pg_class'::regclass AND attnum > 0 AND NOT attisdropped
   AND (SELECT relkind FROM pg_class WHERE oid = objid) IN ('r', 'p', 'v')
   AND col_description(attrelid, attnum) IS NULL
 ORDER BY 1, 2;
-- no comment is a word or two
SELECT type, identity FROM member WHERE length(obj_description(objid, classid::regclass::name)) < 15 ORDER BY 1, 2;

-- what runs with the owner's rights cannot be led astray by the caller's search_path
SELECT p.oid::regprocedure AS unpinned FROM member JOIN pg_proc p ON p.oid = objid
 WHERE classid = 'pg_proc'::regclass AND prosecdef
   AND NOT coalesce(proconfig && ARRAY['search_path=pg_catalog, pg_temp'], false)
 ORDER BY p.oid::regprocedure::text;

-- everything lives in schemas of ours, whatever search_path was set
SELECT type, identity FROM member
 WHERE (pg_identify_object(classid, objid, 0)).schema NOT IN ('mentalspace', 'auth') ORDER BY 1, 2;
-- the schema auth, and what the user keeps there, is no member: DROP EXTENSION must not reach it
SELECT type, identity FROM member WHERE type IN ('schema', 'table') AND identity NOT LIKE 'mentalspace.%' ORDER BY 1, 2;

-- PUBLIC may not write to, or read, any table of ours (rls_stats is a view of the session's own counters)
SELECT identity, privilege FROM member, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) AS privilege
 WHERE classid = 'pg_class'::regclass AND (SELECT relkind FROM pg_class WHERE oid = objid) IN ('r', 'p', 'v')
   AND has_table_privilege('public', objid, privilege)
 ORDER BY 1, 2;
