-- How many objects of each kind the database has: number|what|count.  Extensions' own objects do not count.
WITH member AS (
    SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
), place AS (
    SELECT oid, CASE WHEN nspname IN ('storage', 'auth', 'realtime') THEN nspname ELSE 'own' END AS name
      FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
), tables AS (
    SELECT c.oid, c.relrowsecurity, place.name AS place
      FROM pg_class c JOIN place ON place.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p')
       AND NOT EXISTS (SELECT FROM member WHERE classid = 'pg_class'::regclass AND objid = c.oid)
), policies AS (
    SELECT tables.place FROM pg_policy JOIN tables ON tables.oid = polrelid
)
          SELECT 1, 'tables', count(*) FROM tables
UNION ALL SELECT 2, 'tables with row level security', count(*) FROM tables WHERE relrowsecurity
UNION ALL SELECT 3, 'policies on own tables', count(*) FROM policies WHERE place = 'own'
UNION ALL SELECT 4, 'policies on tables of storage', count(*) FROM policies WHERE place = 'storage'
UNION ALL SELECT 5, 'policies on tables of auth', count(*) FROM policies WHERE place = 'auth'
UNION ALL SELECT 6, 'policies on tables of realtime', count(*) FROM policies WHERE place = 'realtime'
UNION ALL SELECT 7, 'functions', count(*) FROM pg_proc p JOIN place ON place.oid = p.pronamespace
           WHERE NOT EXISTS (SELECT FROM member WHERE classid = 'pg_proc'::regclass AND objid = p.oid)
UNION ALL SELECT 8, 'triggers', count(*) FROM pg_trigger JOIN tables ON tables.oid = tgrelid WHERE NOT tgisinternal
ORDER BY 1;
