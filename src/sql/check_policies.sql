-- mentalspace.check_policies(): which row security policies can never admit anybody, and which do not do what they
-- seem to do.  It reads the catalogs only, and says what it can prove: an expression that it does not understand counts
-- as one that may be true.  Superusers, roles with BYPASSRLS and owners pass policies by and are left out of account,
-- as are tables that belong to an extension.  Expressions are read as pg_get_expr() writes them under a search_path of
-- pg_catalog: every AND and OR in parentheses of its own, every name outside pg_catalog with its schema.

CREATE FUNCTION mentalspace.split_expression(expression text, OUT operator text, OUT parts text[])
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $body$
DECLARE
    token text;
    depth int;
    part text;
    wrapped bool;
BEGIN
    LOOP
        expression := btrim(expression, E' \n');
        operator := NULL;
        parts := '{}';
        part := '';
        depth := 0;
        -- Whether one pair of parentheses holds all of it: then it is opened, and the walk begins again.
        wrapped := left(expression, 1) = '(';
        FOR token IN
            -- Strings and quoted names are one token each; quotes within are doubled.
            SELECT m[1] FROM regexp_matches(expression,
                $re$('(?:[^']|'')*'|"(?:[^"]|"")*"|[()]|\m(?:AND|OR)\M|(?:(?!\m(?:AND|OR)\M)[^'"()])+)$re$, 'g') AS m
        LOOP
            wrapped := wrapped AND (depth > 0 OR part = '');
            depth := depth + CASE token WHEN '(' THEN 1 WHEN ')' THEN -1 ELSE 0 END;
            IF depth = 0 AND token IN ('AND', 'OR') THEN
                operator := token;
                parts := parts || btrim(part, E' \n');
                part := '';
            ELSE
                part := part || token;
            END IF;
        END LOOP;
        EXIT WHEN NOT wrapped;
        expression := substr(expression, 2, length(expression) - 2);
    END LOOP;
    -- Within CASE and SELECT the words stand without parentheses around them.
    IF operator IS NULL OR expression ~ '^(CASE|SELECT|WITH|NOT)\M' THEN
        operator := NULL;
        parts := ARRAY[expression];
    ELSE
        parts := parts || btrim(part, E' \n');
    END IF;
END
$body$;
COMMENT ON FUNCTION mentalspace.split_expression(text) IS
    'the arguments of an AND or OR in the text of a policy''s expression; operator is NULL where it is neither';

CREATE FUNCTION mentalspace.find_never_true(expression text, to_roles oid[], OUT finding text, OUT detail text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $body$
DECLARE
    literal CONSTANT text := $re$(?:(?:true|false|NULL|-?[0-9]+(?:\.[0-9]+)?|'(?:[^']|'')*')$re$
        || $re$(?:::(?:text|boolean|integer|bigint|numeric|uuid|character varying))?)$re$;
    -- A sub-select without FROM is what it selects: ( SELECT auth.role() AS role).
    scalar_select CONSTANT text :=
        $re$SELECT ((?:(?!\mFROM\M)[^()]|\((?:[^()]|\([^()]*\))*\))+?)(?: AS (?:\w+|"[^"]+"))?$re$;
    claim CONSTANT text := $re$(?:auth\.role\(\)|\(auth\.jwt\(\) ->> 'role'::text\))$re$;
    split record;
    part text;
    leaf text;
    answer bool;
    why record;
    matched text[];
    names text[];
BEGIN
    IF expression IS NULL THEN
        RETURN;
    END IF;
    SELECT * INTO split FROM mentalspace.split_expression(expression);
    IF split.operator IS NOT NULL THEN
        -- AND is never true if one part is not, OR if no part is; the reason is that of the first such part.
        FOREACH part IN ARRAY split.parts LOOP
            SELECT * INTO why FROM mentalspace.find_never_true(part, to_roles);
            IF split.operator = 'AND' AND why.finding IS NOT NULL
            OR split.operator = 'OR' AND why.finding IS NULL THEN
                finding := why.finding;
                detail := why.detail;
                RETURN;
            END IF;
            finding := coalesce(finding, why.finding);
            detail := coalesce(detail, why.detail);
        END LOOP;
        RETURN;
    END IF;

    leaf := split.parts[1];
    IF leaf ~ '\mSELECT ' THEN
        leaf := regexp_replace(leaf, '\( ' || scalar_select || '\)', '\1', 'g');
        leaf := regexp_replace(leaf, '^' || scalar_select || '$', '\1');
        leaf := (mentalspace.split_expression(leaf)).parts[1];
    END IF;

    -- Literals only: nothing but operators of pg_catalog can run here.
    IF leaf ~ ('^' || literal || '(?: (?:=|<>|<|>|<=|>=) ' || literal || ')?$') THEN
        EXECUTE format('SELECT (%s)::boolean', leaf) INTO answer;
        IF answer IS NOT TRUE THEN
            finding := 'constant';
            detail := format('%s is %s', leaf, coalesce(answer::text, 'null'));
        END IF;
        RETURN;
    END IF;
    IF leaf ~ ('^NULL(::[\w ."]+)? (=|<>|<|>|<=|>=) ' ) OR leaf ~ ' (=|<>|<|>|<=|>=) NULL(::[\w ."]+)?$' THEN
        finding := 'constant';
        detail := format('%s compares with NULL, which is never true', leaf);
        RETURN;
    END IF;

    -- The role of the token is the database role of the request: one that exists, that the request can be switched to,
    -- and that the policy is for.
    matched := coalesce(regexp_match(leaf, '^' || claim || $re$ = '((?:[^']|'')*)'::text$$re$),
                        regexp_match(leaf, $re$^'((?:[^']|'')*)'::text = $re$ || claim || '$'));
    IF matched IS NOT NULL THEN
        names := ARRAY[replace(matched[1], '''''', '''')];
    ELSE
        matched := regexp_match(leaf, '^' || claim || $re$ = ANY \(ARRAY\[((?:'(?:[^']|'')*'::text(?:, )?)+)\]\)$$re$);
        SELECT array_agg(replace(m[1], '''''', '''')) INTO names
          FROM regexp_matches(matched[1], $re$'((?:[^']|'')*)'::text$re$, 'g') AS m;
    END IF;
    IF names IS NOT NULL THEN
        IF NOT EXISTS (SELECT FROM pg_roles r
                        WHERE r.rolname = ANY (names)
                          AND (to_regrole('authenticator') IS NULL
                               OR pg_has_role(to_regrole('authenticator'), r.oid, 'MEMBER'))) THEN
            finding := 'role_of_no_token';
            detail := format('no token has the role %s: requests cannot be switched to it',
                             array_to_string(names, ' or '));
        ELSIF NOT 0 = ANY (to_roles)
          AND NOT EXISTS (SELECT FROM pg_roles r, unnest(to_roles) AS t(oid)
                           WHERE r.rolname = ANY (names) AND EXISTS (SELECT FROM pg_roles x WHERE x.oid = t.oid)
                             AND pg_has_role(r.oid, t.oid, 'USAGE')) THEN
            finding := 'role_of_no_token';
            detail := format('the policy is not for the role %s that its expression asks for',
                             array_to_string(names, ' or '));
        END IF;
        RETURN;
    END IF;

    -- has_role(..., 'x') on a table whose column role is an enum without x.  The table is the one that
    -- mentalspace.has_role() looks in; that of a function of the user's is one that the body names, and the body must not
    -- know the value itself.
    matched := regexp_match(leaf, $re$^(\w+)\.(\w*role\w*)\((?:.*, )?'((?:[^']|'')*)'::text\)$$re$);
    IF matched IS NOT NULL THEN
        SELECT t.oid::regtype::text AS enum, c.relname INTO why
          FROM pg_proc f
          JOIN pg_class c ON c.relkind IN ('r', 'p')
           AND CASE WHEN matched[1] = 'mentalspace' THEN c.oid = mentalspace.role_source()
                    ELSE f.prosrc ~ ('\m' || regexp_replace(c.relname, '\W', '.', 'g') || '\M') END
          JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'role' AND NOT a.attisdropped
          JOIN pg_type t ON t.oid = a.atttypid AND t.typtype = 'e'
         WHERE f.pronamespace = to_regnamespace(matched[1]) AND f.proname = matched[2]
           AND position('''' || matched[3] || '''' IN f.prosrc) = 0
           AND NOT EXISTS (SELECT FROM pg_enum e
                            WHERE e.enumtypid = t.oid AND e.enumlabel = replace(matched[3], '''''', ''''))
         ORDER BY 1, 2 LIMIT 1;
        IF why.enum IS NOT NULL THEN
            finding := 'role_not_in_enum';
            detail := format('%s asks %s.role for ''%s'', which is no value of %s',
                             leaf, why.relname, matched[3], why.enum);
        END IF;
    END IF;
END
$body$;
COMMENT ON FUNCTION mentalspace.find_never_true(text, oid[]) IS
    'why a policy''s expression can never be true for the roles the policy is for; NULL where it may be';

CREATE FUNCTION mentalspace.check_policies(OUT level text, OUT finding text, OUT schema_name name, OUT table_name name,
                                           OUT policy_name name, OUT detail text)
    RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $body$
WITH tables AS (
    SELECT c.oid, c.relnamespace, c.relname, c.relowner, c.relrowsecurity, c.relforcerowsecurity, n.nspname
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
       AND NOT EXISTS (SELECT FROM pg_depend d
                        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
), policies AS (
    SELECT p.oid, p.polname, p.polcmd, p.polpermissive, p.polroles,
           t.oid AS relid, t.nspname, t.relname, t.relnamespace, t.relowner, t.relrowsecurity, t.relforcerowsecurity,
           p.polwithcheck IS NOT NULL AS has_check,
           CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE'
                ELSE 'SELECT, INSERT, UPDATE, DELETE' END AS commands,
           pg_get_expr(p.polqual, p.polrelid) AS using_expression,
           pg_get_expr(p.polwithcheck, p.polrelid) AS check_expression
      FROM pg_policy p JOIN tables t ON t.oid = p.polrelid
), judged AS (
    SELECT p.*, u.finding AS using_finding, u.detail AS using_detail,
           w.finding AS check_finding, w.detail AS check_detail,
           -- What nobody gets by: for ALL, reading and writing have an expression each.
           CASE WHEN p.polcmd = 'a' THEN w.finding IS NOT NULL
                WHEN p.polcmd = '*' AND p.has_check THEN u.finding IS NOT NULL AND w.finding IS NOT NULL
                ELSE u.finding IS NOT NULL OR w.finding IS NOT NULL END AS never
      FROM policies p
     CROSS JOIN LATERAL mentalspace.find_never_true(p.using_expression, p.polroles) AS u
     CROSS JOIN LATERAL mentalspace.find_never_true(p.check_expression, p.polroles) AS w
), roles AS (
    -- Whom a policy is for, as far as row security holds for them.
    SELECT p.oid AS policy, r.oid, r.rolname,
           has_schema_privilege(r.oid, p.relnamespace, 'USAGE') AND (
               p.polcmd IN ('r', '*') AND has_any_column_privilege(r.oid, p.relid, 'SELECT')
            OR p.polcmd IN ('a', '*') AND has_any_column_privilege(r.oid, p.relid, 'INSERT')
            OR p.polcmd IN ('w', '*') AND has_any_column_privilege(r.oid, p.relid, 'UPDATE')
            OR p.polcmd IN ('d', '*') AND has_table_privilege(r.oid, p.relid, 'DELETE')) AS has_privilege
      FROM policies p
      JOIN pg_roles r ON NOT r.rolsuper AND NOT r.rolbypassrls AND r.rolname !~ '^pg_'
       AND (p.relforcerowsecurity OR NOT pg_has_role(r.oid, p.relowner, 'USAGE'))
       AND (0 = ANY (p.polroles)
            OR EXISTS (SELECT FROM pg_roles t WHERE t.oid = ANY (p.polroles) AND pg_has_role(r.oid, t.oid, 'USAGE')))
), found AS (
    SELECT CASE WHEN never AND polpermissive THEN 'never' ELSE 'warning' END AS level,
           coalesce(using_finding, check_finding) AS finding, nspname, relname, polname,
           concat_ws('; ', 'USING: ' || using_detail, 'WITH CHECK: ' || check_detail,
                     CASE WHEN NOT polpermissive THEN 'restrictive: it shuts everybody out' END) AS detail
      FROM judged WHERE using_finding IS NOT NULL OR check_finding IS NOT NULL
    UNION ALL
    SELECT 'never', 'role_of_nobody', nspname, relname, polname,
           format('nobody can have the role %s: it cannot log in and has no members',
                  (SELECT string_agg(coalesce(r.rolname, t.oid::text), ' or ' ORDER BY r.rolname)
                     FROM unnest(polroles) AS t(oid) LEFT JOIN pg_roles r ON r.oid = t.oid))
      FROM policies
     WHERE NOT 0 = ANY (polroles)
       AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = ANY (polroles)
                          AND (r.rolcanlogin
                               -- From PostgreSQL 16 on, whoever makes a role is a member that may only administer it.
                               OR EXISTS (SELECT FROM pg_auth_members m WHERE m.roleid = r.oid
                                             AND NOT to_jsonb(m) @> '{"set_option": false, "inherit_option": false}')))
    UNION ALL
    SELECT 'never', 'no_privilege', nspname, relname, polname,
           format('none of its roles may %s on the table or use its schema', replace(commands, ', ', ' or '))
      FROM policies p
     WHERE EXISTS (SELECT FROM roles r WHERE r.policy = p.oid)
       AND NOT EXISTS (SELECT FROM roles r WHERE r.policy = p.oid AND r.has_privilege)
    UNION ALL
    SELECT 'never', 'no_execute', p.nspname, p.relname, p.polname,
           format('none of its roles may execute %s', f.oid::regprocedure)
      FROM policies p
      JOIN pg_depend d ON d.classid = 'pg_policy'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_proc'::regclass
      JOIN pg_proc f ON f.oid = d.refobjid
     WHERE EXISTS (SELECT FROM roles r WHERE r.policy = p.oid AND r.has_privilege)
       AND NOT EXISTS (SELECT FROM roles r WHERE r.policy = p.oid AND r.has_privilege
                          AND has_function_privilege(r.oid, f.oid, 'EXECUTE'))
    UNION ALL
    SELECT 'never', 'only_restrictive', nspname, relname, polname,
           format('restrictive, and no permissive policy of the table is for %s', replace(commands, ', ', ' or '))
      FROM policies p
     WHERE NOT polpermissive
       AND NOT EXISTS (SELECT FROM policies o WHERE o.relid = p.relid AND o.polpermissive
                          AND (o.polcmd = p.polcmd OR o.polcmd = '*' OR p.polcmd = '*'))
    UNION ALL
    SELECT 'warning', 'no_select_policy', nspname, relname, polname,
           format('%s finds no rows by a WHERE clause: no policy of the table is for SELECT', commands)
      FROM policies p
     WHERE polpermissive AND polcmd IN ('w', 'd')
       AND NOT EXISTS (SELECT FROM policies o WHERE o.relid = p.relid AND o.polpermissive AND o.polcmd IN ('r', '*'))
    UNION ALL
    SELECT 'warning', 'rls_disabled', nspname, relname, polname,
           'row security of the table is disabled: the policy has no effect'
      FROM policies WHERE NOT relrowsecurity
    UNION ALL
    SELECT 'warning', 'no_policy', nspname, relname, NULL,
           'row security is enabled, and no policy admits anybody'
      FROM tables t
     WHERE relrowsecurity AND NOT EXISTS (SELECT FROM policies p WHERE p.relid = t.oid)
       -- A table that nobody could read or write anyway misses nothing.
       AND EXISTS (SELECT FROM pg_roles r
                    WHERE NOT r.rolsuper AND NOT r.rolbypassrls AND r.rolname !~ '^pg_'
                      AND NOT pg_has_role(r.oid, t.relowner, 'USAGE')
                      AND has_schema_privilege(r.oid, t.relnamespace, 'USAGE')
                      AND has_table_privilege(r.oid, t.oid, 'SELECT, INSERT, UPDATE, DELETE'))
    UNION ALL
    SELECT 'warning', r.finding, r.schema_name,
           CASE WHEN r.finding IN ('api_rights', 'open_table') THEN (parse_ident(r.object))[2]::name END, NULL,
           CASE WHEN r.finding IN ('api_rights', 'open_table') THEN '' ELSE r.object || ': ' END || r.detail || ': ' || r.remedy
      FROM mentalspace.check_rights() AS r
)
SELECT f.level, f.finding, f.nspname, f.relname, f.polname, f.detail
  FROM found f
 ORDER BY f.level, f.nspname, f.relname, f.polname, f.finding, f.detail
$body$;
COMMENT ON FUNCTION mentalspace.check_policies() IS
    'row security policies that never admit anybody (level never) or do not do what they seem to (level warning), and rights of the roles of the API that no policy guards';
