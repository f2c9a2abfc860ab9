-- mentalspace 0.1.0, trusted flavour: made by src/sql/assemble, not to be edited.

-- ---- schema.sql
-- The schema of the extension, and the schema auth, which may be there already: pg_dump restores schemas before
-- extensions, and a database that comes from Supabase has one.  It never becomes a member of the extension: the user's
-- tables live in it, and DROP EXTENSION must not reach them.
CREATE SCHEMA mentalspace;
COMMENT ON SCHEMA mentalspace IS 'mentalspace: Supabase applications on plain PostgreSQL (extension)';
GRANT USAGE ON SCHEMA mentalspace TO PUBLIC;

DO $$
BEGIN
    IF pg_catalog.to_regnamespace('auth') IS NULL THEN
        CREATE SCHEMA auth;
        COMMENT ON SCHEMA auth IS 'Supabase Auth: users and the identity of the request';
        ALTER EXTENSION mentalspace DROP SCHEMA auth;
    END IF;
END
$$;

-- ---- module_trusted.sql
CREATE FUNCTION mentalspace.module_version() RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$ SELECT '0.1.0'::text $$;

-- ---- module.sql
COMMENT ON FUNCTION mentalspace.module_version() IS 'version that the loaded library was built as, or, where the flavour has no library, that the script was made for';

-- ---- auth_takeover.sql
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

-- ---- auth_trusted.sql
-- auth.uid() and its siblings, in SQL: the legacy variable first, then the claim.
CREATE OR REPLACE FUNCTION auth.uid() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
    SELECT CASE
        WHEN pg_catalog.current_setting('request.jwt.claim.sub', true) <> ''
        THEN pg_catalog.current_setting('request.jwt.claim.sub', true)
        ELSE nullif(pg_catalog.current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'
    END::uuid
    $$;
CREATE OR REPLACE FUNCTION auth.role() RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
    SELECT CASE
        WHEN pg_catalog.current_setting('request.jwt.claim.role', true) <> ''
        THEN pg_catalog.current_setting('request.jwt.claim.role', true)
        ELSE nullif(pg_catalog.current_setting('request.jwt.claims', true), '')::jsonb ->> 'role'
    END
    $$;
CREATE OR REPLACE FUNCTION auth.email() RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
    SELECT CASE
        WHEN pg_catalog.current_setting('request.jwt.claim.email', true) <> ''
        THEN pg_catalog.current_setting('request.jwt.claim.email', true)
        ELSE nullif(pg_catalog.current_setting('request.jwt.claims', true), '')::jsonb ->> 'email'
    END
    $$;
CREATE OR REPLACE FUNCTION auth.jwt() RETURNS jsonb
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
    SELECT CASE
        WHEN pg_catalog.current_setting('request.jwt.claim', true) <> ''
        THEN pg_catalog.current_setting('request.jwt.claim', true)
        ELSE nullif(pg_catalog.current_setting('request.jwt.claims', true), '')
    END::jsonb
    $$;

-- ---- auth.sql
-- What both flavours say of auth.uid() and its siblings.
GRANT EXECUTE ON FUNCTION auth.uid(), auth.role(), auth.email(), auth.jwt() TO PUBLIC;
ALTER FUNCTION auth.uid() OWNER TO CURRENT_USER;
ALTER FUNCTION auth.role() OWNER TO CURRENT_USER;
ALTER FUNCTION auth.email() OWNER TO CURRENT_USER;
ALTER FUNCTION auth.jwt() OWNER TO CURRENT_USER;
COMMENT ON FUNCTION auth.uid() IS 'id of the signed-in user: claim sub of the request''s token (RFC 7519), NULL where there is none';
COMMENT ON FUNCTION auth.role() IS 'claim role of the request''s token, NULL where there is none';
COMMENT ON FUNCTION auth.email() IS 'claim email of the request''s token, NULL where there is none';
COMMENT ON FUNCTION auth.jwt() IS 'all claims of the request''s token, NULL where there are none';

-- ---- has_role.sql
-- Roles of the application, for policies: has_role(), has_any_role(), roles().
--
-- Where roles come from is what the database's setting mentalspace.rls_role_source says: a table with columns user_id uuid
-- and role (text, varchar or an enum), or a path into the signed-in user's claims (claim:app_metadata.roles, a string or an
-- array of strings), or both, separated by a comma.  Without it: the table public.user_roles.  The setting is read from
-- where only the owner of the database (native: a superuser) can put it, not from the session: a user must not be able to
-- name a table of his own.
CREATE FUNCTION mentalspace.role_sources() RETURNS text[]
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT coalesce(
        (SELECT array_agg(btrim(part) ORDER BY n)
           FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) AS c,
                string_to_table(substr(c, strpos(c, '=') + 1), ',') WITH ORDINALITY AS parts(part, n)
          WHERE d.datname = current_database() AND s.setrole = 0 AND c LIKE 'mentalspace.rls\_role\_source=%'
            AND btrim(part) <> ''),
        '{public.user_roles}')
    $$;
COMMENT ON FUNCTION mentalspace.role_sources() IS 'where has_role() looks: a table, claim:PATH, or both';

CREATE FUNCTION mentalspace.role_source() RETURNS regclass
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT to_regclass(part) FROM unnest(mentalspace.role_sources()) WITH ORDINALITY AS parts(part, n)
     WHERE part NOT LIKE 'claim:%' ORDER BY n LIMIT 1
    $$;
COMMENT ON FUNCTION mentalspace.role_source() IS 'the table that has_role() looks in, NULL where there is none';

CREATE FUNCTION mentalspace.roles_of(user_id uuid) RETURNS text[]
    LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    source regclass := mentalspace.role_source();
    answer text[] := '{}';
    output text;
    path text;
    claimed jsonb;
BEGIN
    IF user_id IS NULL THEN
        RETURN answer;
    END IF;
    IF source IS NOT NULL THEN
        -- Reading a table can run code of the table's owner (an index predicate, say), and this function runs as its own.
        IF (SELECT f.rolsuper AND NOT t.rolsuper FROM pg_roles f, pg_class c JOIN pg_roles t ON t.oid = c.relowner
             WHERE f.rolname = current_user AND c.oid = source) THEN
            RAISE EXCEPTION 'function mentalspace.roles_of(uuid) belongs to a superuser, table % does not', source
                USING ERRCODE = 'insufficient_privilege',
                      HINT = format('Run SELECT * FROM mentalspace.provision(ARRAY[''auth''], owner => %L) as a superuser.',
                                    (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = source));
        END IF;
        -- The enum's own output function, not a cast that somebody may have defined.
        SELECT CASE WHEN t.typtype = 'e' THEN 'enum_out(s.role)::text' ELSE 's.role::text' END INTO output
          FROM pg_class c
          JOIN pg_attribute u ON u.attrelid = c.oid AND u.attname = 'user_id' AND u.atttypid = 'uuid'::regtype
          JOIN pg_attribute r ON r.attrelid = c.oid AND r.attname = 'role'
          JOIN pg_type t ON t.oid = r.atttypid
         WHERE c.oid = source AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
           AND (t.typtype = 'e' OR t.oid IN ('text'::regtype, 'varchar'::regtype));
        IF output IS NULL THEN
            RAISE EXCEPTION '% cannot serve as the table of roles', source
                USING ERRCODE = 'wrong_object_type',
                      DETAIL = 'It must be a table with a column user_id of type uuid '
                               'and a column role of type text, varchar or an enum.';
        END IF;
        EXECUTE format('SELECT coalesce(array_agg(DISTINCT %2$s) FILTER (WHERE s.role IS NOT NULL), ''{}'') '
                       'FROM %1$s s WHERE s.user_id = $1', source, output)
           INTO answer USING user_id;
    END IF;
    -- Claims are those of the signed-in user, and of nobody else.
    FOR path IN SELECT substr(part, 7) FROM unnest(mentalspace.role_sources()) AS part WHERE part LIKE 'claim:%' LOOP
        IF path ~ '^user_metadata(\.|$)' THEN
            RAISE EXCEPTION 'claim % cannot serve as a source of roles', path
                USING ERRCODE = 'invalid_parameter_value', DETAIL = 'Users can change their user_metadata themselves.';
        END IF;
        CONTINUE WHEN user_id IS DISTINCT FROM auth.uid();
        claimed := auth.jwt() #> string_to_array(path, '.');
        IF jsonb_typeof(claimed) = 'string' THEN
            answer := answer || (claimed #>> '{}');
        ELSIF jsonb_typeof(claimed) = 'array' THEN
            answer := answer || ARRAY(SELECT e #>> '{}' FROM jsonb_array_elements(claimed) AS e
                                       WHERE jsonb_typeof(e) = 'string');
        END IF;
    END LOOP;
    RETURN answer;
END
$$;
COMMENT ON FUNCTION mentalspace.roles_of(uuid) IS 'the roles of a user: those in the table of roles and, of the signed-in user, those in the claims';

-- ---- has_role_trusted.sql
-- has_role() and its siblings in SQL.
CREATE FUNCTION mentalspace.has_role(user_id uuid, role text) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$ SELECT coalesce(role = ANY (mentalspace.roles_of(user_id)), false) $$;
CREATE FUNCTION mentalspace.has_role(role text) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$ SELECT coalesce(role = ANY (mentalspace.roles_of(auth.uid())), false) $$;
CREATE FUNCTION mentalspace.has_any_role(roles text[]) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$ SELECT coalesce(roles && mentalspace.roles_of(auth.uid()), false) $$;
CREATE FUNCTION mentalspace.roles() RETURNS text[]
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$ SELECT mentalspace.roles_of(auth.uid()) $$;

-- ---- has_role_comments.sql
COMMENT ON FUNCTION mentalspace.has_role(uuid, text) IS 'whether a user has a role; false where there is no source of roles';
COMMENT ON FUNCTION mentalspace.has_role(text) IS 'whether the signed-in user has a role';
COMMENT ON FUNCTION mentalspace.has_any_role(text[]) IS 'whether the signed-in user has one of these roles';
COMMENT ON FUNCTION mentalspace.roles() IS 'the roles of the signed-in user; empty where there are none';

-- ---- check_policies.sql
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
)
SELECT f.level, f.finding, f.nspname, f.relname, f.polname, f.detail
  FROM found f
 ORDER BY f.level, f.nspname, f.relname, f.polname, f.finding, f.detail
$body$;
COMMENT ON FUNCTION mentalspace.check_policies() IS
    'row security policies that never admit anybody (level never) or do not do what they seem to (level warning)';

-- ---- advise_indexes.sql
-- mentalspace.advise_indexes(): indexes that the policies ask for.  Where a policy compares a column by equality with what
-- is the same for every row of a query (auth.uid(), a claim, the answer of a helper function, a sub-select about the user),
-- an index that begins with the column finds the user's rows; without one the server reads the whole table.
--
-- Policies are read from their stored parse trees, in which a column is a number in a list of tables and cannot be mistaken
-- for another of the same name.  A part of a tree that is not understood gives no advice.

CREATE FUNCTION mentalspace.parse_node_tree(tree text) RETURNS jsonb
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $body$
    WITH token AS (
        -- Brackets hold the bytes of constants, which nobody here asks for.  A name that begins with a colon is no field.
        SELECT m[1] AS t, lag(m[1]) OVER (ORDER BY n) AS previous, n
          FROM regexp_matches(regexp_replace(regexp_replace(tree, $re$ \[ (?:-?[0-9]+ )*\]$re$, '', 'g'),
                                             $re$( :\w+ ):$re$, $re$\1\\:$re$, 'g'),
                              $re$([(){}]|(?:\\.|[^\s(){}\\])+)$re$, 'g') WITH ORDINALITY AS r(m, n)
    )
    SELECT string_agg(CASE
               WHEN t IN (')', '}') THEN translate(t, ')', ']')
               WHEN t ~ '^:' THEN format(',%s:', to_json(substr(t, 2)))
               WHEN previous = '{' THEN format('"_":%s', to_json(t))
               ELSE CASE WHEN previous ~ '^[:({]' THEN '' ELSE ',' END
                    || CASE WHEN t IN ('(', '{') THEN translate(t, '(', '[')
                            WHEN t = '<>' THEN 'null'
                            ELSE to_json(regexp_replace(regexp_replace(t, '^"(.*)"$', '\1'), $re$\\(.)$re$, '\1', 'g'))::text END
               END, '' ORDER BY n)::jsonb
      FROM (SELECT t, coalesce(previous, '(') AS previous, n FROM token) AS x
    $body$;
COMMENT ON FUNCTION mentalspace.parse_node_tree(text) IS
    'internal to advise_indexes(): a parse tree as JSON: nodes are objects with their kind under the key _, lists are arrays';

CREATE FUNCTION mentalspace.list_node_columns(node jsonb, depth int) RETURNS TABLE (levels int, varno int, attnum int)
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $body$
DECLARE
    part jsonb;
BEGIN
    IF jsonb_typeof(node) = 'array' THEN
        FOR part IN SELECT jsonb_array_elements(node) LOOP
            RETURN QUERY SELECT * FROM mentalspace.list_node_columns(part, depth);
        END LOOP;
    ELSIF jsonb_typeof(node) = 'object' THEN
        IF node ->> '_' = 'VAR' THEN
            IF (node ->> 'varlevelsup')::int >= depth THEN
                RETURN QUERY SELECT (node ->> 'varlevelsup')::int - depth, (node ->> 'varno')::int, (node ->> 'varattno')::int;
            END IF;
            RETURN;
        END IF;
        FOR part IN SELECT value FROM jsonb_each(node) WHERE jsonb_typeof(value) IN ('object', 'array') LOOP
            RETURN QUERY SELECT * FROM mentalspace.list_node_columns(part, depth + (node ->> '_' = 'QUERY')::int);
        END LOOP;
    END IF;
END
$body$;
COMMENT ON FUNCTION mentalspace.list_node_columns(jsonb, int) IS
    'internal to advise_indexes(): columns of tables outside an expression: how many queries further out, number of the table in that query, number of the column';

CREATE FUNCTION mentalspace.describe_side(side jsonb, OUT levels int, OUT varno int, OUT attnum int, OUT expression text)
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $body$
DECLARE
    operand jsonb;
    immutable boolean;
BEGIN
    IF (SELECT count(DISTINCT (c.levels, c.varno, c.attnum)) FROM mentalspace.list_node_columns(side, 0) AS c) <> 1 THEN
        RETURN;
    END IF;
    SELECT c.levels, c.varno, c.attnum INTO levels, varno, attnum FROM mentalspace.list_node_columns(side, 0) AS c LIMIT 1;
    WHILE side ->> '_' = 'RELABELTYPE' LOOP
        side := side -> 'arg';
    END LOOP;
    IF side ->> '_' = 'VAR' THEN
        RETURN;
    END IF;
    -- A cast of the column, or a function of it alone.
    operand := coalesce(side -> 'arg', CASE jsonb_array_length(side -> 'args') WHEN 1 THEN side -> 'args' -> 0 END);
    IF side ->> '_' = 'COERCEVIAIO' AND operand ->> '_' = 'VAR' THEN
        expression := format('((%%s)::%s)', replace(format_type((side ->> 'resulttype')::oid, NULL), '%', '%%'));
        immutable := NOT EXISTS (SELECT FROM pg_type t JOIN pg_proc f
                ON t.oid = (operand ->> 'vartype')::oid AND f.oid = t.typoutput
                OR t.oid = (side ->> 'resulttype')::oid AND f.oid = t.typinput
             WHERE f.provolatile <> 'i');
    ELSIF side ->> '_' = 'FUNCEXPR' AND (operand ->> '_' = 'VAR'
            OR operand ->> '_' = 'RELABELTYPE' AND operand #>> '{arg,_}' = 'VAR') THEN
        SELECT CASE WHEN side ->> 'funcformat' IN ('1', '2')
                    THEN format('((%%s)::%s)', replace(format_type(f.prorettype, NULL), '%', '%%'))
                    ELSE replace(CASE n.nspname WHEN 'pg_catalog' THEN '' ELSE quote_ident(n.nspname) || '.' END
                                 || quote_ident(f.proname), '%', '%%') || '(%s)' END,
               f.provolatile = 'i' AND NOT f.proretset
          INTO expression, immutable
          FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace
         WHERE f.oid = (side ->> 'funcid')::oid;
    END IF;
    IF immutable IS NOT TRUE THEN
        expression := '?';
    END IF;
END
$body$;
COMMENT ON FUNCTION mentalspace.describe_side(jsonb) IS
    'internal to advise_indexes(): the one column in a side of a comparison; expression: how to write the side, with %s for the column, NULL for the column itself, ? where that is not known';

CREATE FUNCTION mentalspace.resolve_column(rtable jsonb, varno int, column_number int, OUT relation oid, OUT attnum int)
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $body$
DECLARE
    entry jsonb := rtable -> (varno - 1);
    source jsonb;
BEGIN
    LOOP
        -- What the entry is: a table, a sub-select, a join that has a name.
        CASE entry ->> 'rtekind'
        WHEN '0' THEN
            relation := (entry ->> 'relid')::oid;
            attnum := column_number;
            RETURN;
        WHEN '1' THEN
            source := entry -> 'subquery' -> 'targetList' -> (column_number - 1) -> 'expr';
            rtable := entry -> 'subquery' -> 'rtable';
        WHEN '2' THEN
            source := entry -> 'joinaliasvars' -> (column_number - 1);
        ELSE
            RETURN;
        END CASE;
        IF column_number < 1 OR source ->> '_' IS DISTINCT FROM 'VAR' OR source ->> 'varlevelsup' <> '0' THEN
            RETURN;
        END IF;
        entry := rtable -> ((source ->> 'varno')::int - 1);
        column_number := (source ->> 'varattno')::int;
    END LOOP;
END
$body$;
COMMENT ON FUNCTION mentalspace.resolve_column(jsonb, int, int) IS
    'internal to advise_indexes(): the table''s column that a column of a list of tables is; NULL where it is none';

CREATE FUNCTION mentalspace.list_request_calls(node jsonb) RETURNS text
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $body$
BEGIN
    IF node::text !~ '"FUNCEXPR"' THEN
        RETURN NULL;
    END IF;
    RETURN (
        SELECT string_agg(DISTINCT CASE n.nspname WHEN 'pg_catalog' THEN '' ELSE quote_ident(n.nspname) || '.' END
                                   || quote_ident(f.proname) || '()', ', ')
                   FILTER (WHERE f.provolatile = 's' AND (n.nspname <> 'pg_catalog' OR f.proname = 'current_setting'))
          -- Within a string of JSON the quotes would be escaped.
          FROM (SELECT DISTINCT m[1]::oid AS oid FROM regexp_matches(node::text, '"funcid": "([0-9]+)"', 'g') AS m) AS called
          JOIN pg_proc f ON f.oid = called.oid
          JOIN pg_namespace n ON n.oid = f.pronamespace
        HAVING bool_and(f.provolatile <> 'v'));
END
$body$;
COMMENT ON FUNCTION mentalspace.list_request_calls(jsonb) IS
    'internal to advise_indexes(): functions in an expression that know the request or its user; NULL where there are none';

CREATE FUNCTION mentalspace.find_compared_columns(node jsonb, scopes jsonb, is_condition boolean)
    RETURNS TABLE (relation oid, attnum int, expression text, of_new_row boolean, is_join boolean, compared_with text)
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $body$
DECLARE
    -- scopes: the lists of tables of the queries around, the innermost last.
    depth CONSTANT int := jsonb_array_length(scopes);
    kind CONSTANT text := CASE jsonb_typeof(node) WHEN 'object' THEN node ->> '_' ELSE '' END;
    part record;
    sides jsonb;
    side record;
    other jsonb;
    calls text;
    joins boolean;
BEGIN
    -- Most of a tree holds no comparison, and need not be walked through.
    IF node::text !~ 'OPEXPR"|"SUBLINK"' THEN
        RETURN;
    END IF;
    IF jsonb_typeof(node) = 'array' THEN
        FOR part IN SELECT value FROM jsonb_array_elements(node) WHERE jsonb_typeof(value) IN ('object', 'array') LOOP
            RETURN QUERY SELECT * FROM mentalspace.find_compared_columns(part.value, scopes, is_condition);
        END LOOP;
        RETURN;
    END IF;
    IF kind = 'SUBLINK' THEN
        -- A join is worth an index if the sub-select is about the user.
        calls := mentalspace.list_request_calls(node -> 'subselect');
        RETURN QUERY SELECT c.* FROM mentalspace.find_compared_columns(node -> 'subselect', scopes, false) AS c
                      WHERE NOT c.is_join OR calls IS NOT NULL;
    ELSE
        FOR part IN SELECT key, value FROM jsonb_each(node) WHERE jsonb_typeof(value) IN ('object', 'array') LOOP
            RETURN QUERY SELECT * FROM mentalspace.find_compared_columns(part.value,
                CASE kind WHEN 'QUERY' THEN scopes || jsonb_build_array(node -> 'rtable') ELSE scopes END,
                CASE kind WHEN 'QUERY' THEN part.key = 'jointree'
                          WHEN 'FROMEXPR' THEN true
                          WHEN 'JOINEXPR' THEN true
                          WHEN 'BOOLEXPR' THEN is_condition AND node ->> 'boolop' <> 'not'
                          ELSE false END);
        END LOOP;
    END IF;

    -- A comparison by an operator of equality, with what is on its other side.
    sides := CASE WHEN kind IN ('OPEXPR', 'SCALARARRAYOPEXPR') THEN node
                  WHEN kind = 'SUBLINK' AND node ->> 'subLinkType' = '2' AND node #>> '{testexpr,_}' = 'OPEXPR' THEN node -> 'testexpr' END;
    IF NOT is_condition OR sides IS NULL OR jsonb_array_length(sides -> 'args') <> 2 OR sides ->> 'useOr' = 'false'
    OR NOT EXISTS (SELECT FROM pg_amop a JOIN pg_am m ON m.oid = a.amopmethod AND m.amname = 'btree'
                    WHERE a.amopopr = (sides ->> 'opno')::oid AND a.amopstrategy = 3) THEN
        RETURN;
    END IF;
    FOR n IN 0 .. CASE kind WHEN 'OPEXPR' THEN 1 ELSE 0 END LOOP
        SELECT * INTO side FROM mentalspace.describe_side(sides -> 'args' -> n);
        CONTINUE WHEN side.attnum IS NULL OR side.levels >= depth;
        other := CASE kind WHEN 'SUBLINK' THEN node -> 'subselect' ELSE sides -> 'args' -> (1 - n) END;
        calls := mentalspace.list_request_calls(other);
        joins := EXISTS (SELECT FROM mentalspace.list_node_columns(other, 0));
        CONTINUE WHEN CASE WHEN joins THEN kind <> 'OPEXPR' OR EXISTS (
                                     SELECT FROM mentalspace.list_node_columns(other, 0) AS c
                                      WHERE (c.levels, c.varno) = (side.levels, side.varno))
                           ELSE calls IS NULL END;
        RETURN QUERY SELECT r.relation, r.attnum, side.expression, side.levels = depth - 1, joins,
                            CASE WHEN joins THEN 'joined in a sub-select about the user'
                                 WHEN kind = 'SUBLINK' OR other ->> '_' = 'SUBLINK' AND other #>> '{subselect,jointree,fromlist}' IS NOT NULL
                                 THEN 'compared with a sub-select by ' || calls
                                 ELSE 'compared with ' || calls END
                       FROM mentalspace.resolve_column(scopes -> (depth - 1 - side.levels), side.varno, side.attnum) AS r
                      WHERE r.attnum > 0;
    END LOOP;
END
$body$;
COMMENT ON FUNCTION mentalspace.find_compared_columns(jsonb, jsonb, boolean) IS
    'internal to advise_indexes(): columns that a parse tree compares by equality with what is the same for every row, or joins in a sub-select; of_new_row: columns of the policy''s own table';

CREATE FUNCTION mentalspace.advise_indexes()
    RETURNS TABLE (relation regclass, column_name name, policies text[], reason text, statement text)
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off
    AS $body$
    WITH found AS (
        SELECT p.oid AS policy, p.polname, p.polrelid, f.*
          FROM pg_policy p
          JOIN pg_class c ON c.oid = p.polrelid AND c.relrowsecurity
         -- WITH CHECK looks at a row that is at hand already: only its sub-selects look for rows.
         CROSS JOIN LATERAL (VALUES (p.polqual::text, false),
                                    (CASE WHEN p.polwithcheck::text ~ '\{SUBLINK' THEN p.polwithcheck::text END, true)) AS e(tree, checks)
         CROSS JOIN LATERAL mentalspace.parse_node_tree(e.tree) AS expression
         CROSS JOIN LATERAL mentalspace.find_compared_columns(expression,
             jsonb_build_array(jsonb_build_array(jsonb_build_object('rtekind', '0', 'relid', p.polrelid::text))), true) AS f
         WHERE NOT (e.checks AND f.of_new_row)
    ), asked AS (
        SELECT f.relation, a.attname, f.attnum, nullif(f.expression, '?') AS expression, f.expression = '?' AS unknown,
               array_agg(DISTINCT format('%I on %s', f.polname, f.polrelid::regclass)) AS policies,
               string_agg(DISTINCT f.compared_with, '; ') AS reason
          FROM found f
          JOIN pg_attribute a ON a.attrelid = f.relation AND a.attnum = f.attnum AND NOT a.attisdropped
         WHERE EXISTS (SELECT FROM pg_depend d
                        WHERE d.classid = 'pg_policy'::regclass AND d.objid = f.policy
                          AND d.refclassid = 'pg_class'::regclass AND d.refobjid = f.relation AND d.refobjsubid = f.attnum)
         GROUP BY f.relation, a.attname, f.attnum, f.expression
    )
    SELECT s.relation, s.attname, s.policies,
           s.reason || CASE WHEN s.unknown THEN '; the column stands in an expression: index the whole of it'
                            WHEN s.expression IS NOT NULL THEN '; the column stands in an expression' ELSE '' END,
           CASE WHEN s.unknown THEN NULL
                ELSE format('CREATE INDEX ON %I.%I (%s)', n.nspname, c.relname,
                            format(coalesce(s.expression, '%s'), quote_ident(s.attname))) END
      FROM asked s
      JOIN pg_class c ON c.oid = s.relation AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
      JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
     WHERE NOT EXISTS (SELECT FROM pg_depend d
                        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
       AND NOT EXISTS (
            SELECT FROM pg_index i
              JOIN pg_class x ON x.oid = i.indexrelid
              JOIN pg_am m ON m.oid = x.relam AND m.amname IN ('btree', 'hash')
             WHERE i.indrelid = s.relation AND i.indisvalid AND i.indpred IS NULL
               AND CASE WHEN s.expression IS NULL THEN NOT coalesce(s.unknown, false) AND i.indkey[0] = s.attnum
                        ELSE i.indkey[0] = 0 AND translate(pg_get_indexdef(i.indexrelid, 1, false), '() ', '')
                             = translate(format(s.expression, quote_ident(s.attname)), '() ', '') END)
     ORDER BY n.nspname, c.relname, s.attname, s.expression NULLS FIRST
    $body$;
COMMENT ON FUNCTION mentalspace.advise_indexes() IS
    'columns that policies compare with the user, a claim or a helper function, or join in sub-selects about the user, and that no index begins with; with the statement that makes one';

-- ---- wrap_policies.sql
-- mentalspace.wrap_policies() and unwrap_policies(): for servers without the planner hook.  A call in a policy that does not
-- depend on the row, auth.uid() above all, becomes a scalar sub-select, which the server evaluates at most once a query.
--
-- Expressions are worked on as pg_get_expr() writes them under a search_path of pg_catalog: names outside pg_catalog bear
-- their schema, keywords are in capitals, and a name that is neither in lower case nor a word of SQL is quoted.  What is not
-- understood is left as it is.  No text is ever run but ALTER POLICY with an expression that the server wrote, in which
-- nothing but `(SELECT ` and `)` has been put around calls.

CREATE TABLE mentalspace.wrapped_policies (
    table_schema name NOT NULL,
    table_name name NOT NULL,
    policy_name name NOT NULL,
    original_using text,
    original_check text,
    wrapped_using text,
    wrapped_check text,
    PRIMARY KEY (table_schema, table_name, policy_name)
);
COMMENT ON TABLE mentalspace.wrapped_policies IS 'what wrap_policies() has rewritten, so that unwrap_policies() can undo it';
COMMENT ON COLUMN mentalspace.wrapped_policies.table_schema IS 'schema of the policy''s table';
COMMENT ON COLUMN mentalspace.wrapped_policies.table_name IS 'the policy''s table';
COMMENT ON COLUMN mentalspace.wrapped_policies.policy_name IS 'the policy';
COMMENT ON COLUMN mentalspace.wrapped_policies.original_using IS 'USING before wrap_policies(), names with their schema; NULL if it had none';
COMMENT ON COLUMN mentalspace.wrapped_policies.original_check IS 'WITH CHECK before wrap_policies(); NULL if it had none';
COMMENT ON COLUMN mentalspace.wrapped_policies.wrapped_using IS 'USING as wrap_policies() left it: if it is another now, unwrap_policies() leaves the policy alone';
COMMENT ON COLUMN mentalspace.wrapped_policies.wrapped_check IS 'WITH CHECK as wrap_policies() left it';
SELECT pg_catalog.pg_extension_config_dump('mentalspace.wrapped_policies', '');

CREATE FUNCTION mentalspace.tokenize_expression(expression text, OUT tokens text[], OUT spaces text[], OUT closing int[])
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $body$
DECLARE
    -- A name with its qualifiers, a string, a cast with the whole name of its type: one token each.
    word CONSTANT text := $re$(?:[a-z_][a-z0-9_]*|"(?:[^"]|"")*")$re$;
    token CONSTANT text := $re$[BX]?'(?:[^']|'')*'|$re$
        || '::' || word || '(?:\.' || word || ')?(?: varying\M| precision\M)?(?:\([0-9]+(?:,[0-9]+)?\))?'
        || '(?: with(?:out)? time zone\M)?(?:\[\])*|'
        || '\.?' || word || '(?:\.' || word || $re$)*|[A-Z_]+|[0-9][0-9.]*(?:e[-+]?[0-9]+)?|[-+*/<>=~!@#%^&|`?]+|.|$$re$;
    open_at int[] := '{}';
    depth int := 0;
BEGIN
    SELECT array_agg(m[2] ORDER BY n), array_agg(m[1] ORDER BY n) INTO tokens, spaces
      FROM regexp_matches(expression, '(\s*)(' || token || ')', 'g') WITH ORDINALITY AS r(m, n)
     WHERE m[1] || m[2] <> '';
    -- closing[i] is where the parenthesis that token i opens is closed.
    closing := array_fill(0, ARRAY[cardinality(tokens)]);
    FOR i IN 1 .. cardinality(tokens) LOOP
        IF tokens[i] = '(' THEN
            depth := depth + 1;
            open_at[depth] := i;
        ELSIF tokens[i] = ')' THEN
            closing[open_at[depth]] := i;
            depth := depth - 1;
        END IF;
    END LOOP;
    IF depth <> 0 OR (SELECT string_agg(s || t, '' ORDER BY n)
                        FROM unnest(spaces, tokens) WITH ORDINALITY AS u(s, t, n)) <> expression THEN
        RAISE EXCEPTION 'could not read the expression of a policy'
            USING ERRCODE = 'internal_error', DETAIL = format('The expression is %s.', expression);
    END IF;
END
$body$;
COMMENT ON FUNCTION mentalspace.tokenize_expression(text) IS
    'internal to wrap_policies(): the tokens of an expression, the white space before each, and where parentheses close';

CREATE FUNCTION mentalspace.is_row_free(tokens text[], steady text[]) RETURNS boolean
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $body$
DECLARE
    t text;
    previous text := '';
BEGIN
    FOR i IN 1 .. cardinality(tokens) LOOP
        t := tokens[i];
        IF t ~ '^::' THEN
            -- The cast of a value to a type of the user's may run a function of the user's; that of a literal does not.
            IF t ~ '^::("|[a-z0-9_]+\.)' AND t <> '::"char"' AND previous !~ $re$^(?:'|NULL$)$re$ THEN
                RETURN false;
            END IF;
        ELSIF t ~ '^[a-z_"]' THEN
            IF tokens[i + 1] = '(' AND previous <> 'AS' THEN
                -- Without a schema, it is one of pg_catalog.
                IF t <> ALL (steady) AND NOT coalesce((
                        SELECT bool_and(p.provolatile <> 'v' AND NOT p.proretset AND p.prokind = 'f')
                          FROM pg_proc p WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proname = t), false) THEN
                    RETURN false;
                END IF;
            ELSIF t NOT IN ('true', 'false') AND previous <> 'AS' AND tokens[i + 1] IS DISTINCT FROM '=>' THEN
                RETURN false;
            END IF;
        ELSIF t ~ '^[A-Z_]+$' AND t NOT IN ('AND', 'OR', 'NOT', 'IS', 'NULL', 'CASE', 'WHEN', 'THEN', 'ELSE', 'END', 'ARRAY',
                'COALESCE', 'NULLIF', 'GREATEST', 'LEAST', 'VARIADIC', 'SELECT', 'AS', 'ANY', 'CURRENT_USER', 'SESSION_USER',
                'CURRENT_ROLE', 'CURRENT_DATE', 'CURRENT_TIMESTAMP') THEN
            -- FROM and what follows it, OPERATOR(schema.operator), COLLATE, and what else there may be.
            RETURN false;
        END IF;
        previous := t;
    END LOOP;
    RETURN true;
END
$body$;
COMMENT ON FUNCTION mentalspace.is_row_free(text[], text[]) IS
    'internal to wrap_policies(): whether tokens hold no column, no sub-select with FROM, and no function but steady ones';

CREATE FUNCTION mentalspace.wrap_expression(expression text, stable text[], steady text[]) RETURNS text
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $body$
DECLARE
    e record;
    answer text := '';
    -- The clause of the sub-select that each open parenthesis is in; '' where it is an expression or a list of arguments.
    clauses text[] := ARRAY[''];
    depth int := 1;
    i int := 1;
    t text;
    before text;
    last int;
BEGIN
    SELECT * INTO e FROM mentalspace.tokenize_expression(expression);
    WHILE i <= cardinality(e.tokens) LOOP
        t := e.tokens[i];
        before := coalesce(e.tokens[i - 1], '');
        last := NULL;
        IF t = '(' THEN
            IF e.tokens[i + 1] = 'SELECT' AND mentalspace.is_row_free(e.tokens[i + 1 : e.closing[i] - 1], steady) THEN
                last := e.closing[i];
                answer := answer || array_to_string(ARRAY(SELECT e.spaces[n] || e.tokens[n] FROM generate_series(i, last) AS n), '');
            ELSE
                -- Parentheses in FROM hold joins or a sub-select, but those of a function hold arguments.  What a
                -- sub-select sorts or groups by must stay the same as in its list.
                clauses[depth + 1] := CASE WHEN clauses[depth] = 'FROM' AND before !~ '^[a-z_".]'
                                             OR clauses[depth] IN ('DISTINCT', 'GROUP', 'ORDER') THEN clauses[depth] ELSE '' END;
                depth := depth + 1;
            END IF;
        ELSIF t = ')' THEN
            depth := depth - 1;
        ELSIF t = 'SELECT' THEN
            clauses[depth] := t;
        ELSIF clauses[depth] <> '' THEN
            IF t = 'FROM' AND NOT (before = 'DISTINCT' AND e.tokens[i - 2] IN ('IS', 'NOT'))
            OR clauses[depth] = 'ON' AND t IN ('JOIN', ',') THEN
                clauses[depth] := 'FROM';
            ELSIF t = 'ON' AND clauses[depth] = 'FROM' OR t = 'DISTINCT' AND before = 'SELECT'
            OR t IN ('WHERE', 'GROUP', 'HAVING', 'WINDOW', 'ORDER', 'LIMIT', 'OFFSET', 'FETCH', 'FOR') THEN
                clauses[depth] := t;
            END IF;
        END IF;
        -- A call; in FROM it is a table.
        IF last IS NULL AND t = ANY (stable) AND e.tokens[i + 1] = '(' AND before <> 'AS'
        AND clauses[depth] IN ('', 'SELECT', 'ON', 'WHERE', 'HAVING')
        AND mentalspace.is_row_free(e.tokens[i : e.closing[i + 1]], steady) THEN
            last := e.closing[i + 1];
            answer := answer || e.spaces[i] || '(SELECT ' || ltrim(array_to_string(
                ARRAY(SELECT e.spaces[n] || e.tokens[n] FROM generate_series(i, last) AS n), '')) || ')';
        END IF;
        IF last IS NULL THEN
            answer := answer || e.spaces[i] || t;
            last := i;
        END IF;
        i := last + 1;
    END LOOP;
    RETURN answer;
END
$body$;
COMMENT ON FUNCTION mentalspace.wrap_expression(text, text[], text[]) IS
    'internal to wrap_policies(): the expression with calls of stable functions that do not depend on the row as sub-selects';

CREATE FUNCTION mentalspace.unwrap_expression(expression text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $body$
DECLARE
    e record;
    last int;
    dropped boolean[] := '{}';
BEGIN
    SELECT * INTO e FROM mentalspace.tokenize_expression(expression);
    FOR i IN 1 .. cardinality(e.tokens) LOOP
        IF e.tokens[i] = '(' AND e.tokens[i + 1] = 'SELECT' AND e.tokens[i + 2] ~ '^[a-z_"]' AND e.tokens[i + 3] = '(' THEN
            last := e.closing[i + 3];
            IF e.closing[i] = last + 1 OR e.closing[i] = last + 3 AND e.tokens[last + 1] = 'AS' THEN
                dropped[i] := true;
                dropped[i + 1] := true;
                FOR n IN last + 1 .. e.closing[i] LOOP
                    dropped[n] := true;
                END LOOP;
            END IF;
        END IF;
    END LOOP;
    RETURN (SELECT string_agg(t, ' ' ORDER BY n) FROM unnest(e.tokens) WITH ORDINALITY AS u(t, n) WHERE dropped[n] IS NOT TRUE);
END
$body$;
COMMENT ON FUNCTION mentalspace.unwrap_expression(text) IS
    'internal to wrap_policies(): the tokens of an expression, where ( SELECT call AS name) is the call: equal for two that differ in that alone';


CREATE FUNCTION mentalspace.list_owned_policies(only_policy oid DEFAULT NULL)
    RETURNS TABLE (schema_name name, table_name name, policy_name name, policy oid, relation oid, using_text text, check_text text)
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET standard_conforming_strings = on
    AS $body$
    SELECT n.nspname, c.relname, p.polname, p.oid, p.polrelid,
           pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)
      FROM pg_policy p
      JOIN pg_class c ON c.oid = p.polrelid AND c.relpersistence <> 't'
      JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE (only_policy IS NULL OR p.oid = only_policy) AND pg_has_role(c.relowner, 'USAGE')
       AND NOT EXISTS (SELECT FROM pg_depend d
                        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
     ORDER BY 1, 2, 3
    $body$;
COMMENT ON FUNCTION mentalspace.list_owned_policies(oid) IS
    'internal to wrap_policies(): policies that the current user may alter, but those on tables that are temporary or an extension''s';

CREATE FUNCTION mentalspace.list_policy_functions(only_policy oid, OUT stable text[], OUT steady text[])
    LANGUAGE sql STABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET standard_conforming_strings = on
    AS $body$
    WITH named AS (
        -- Overloaded functions share a name: what is said of a name holds for all of them that the policy calls.
        SELECT quote_ident(n.nspname) || '.' || quote_ident(f.proname) AS name,
               bool_and(f.provolatile <> 'v' AND NOT f.proretset AND f.prokind = 'f' AND (f.proargdefaults IS NULL
                   OR mentalspace.is_row_free((mentalspace.tokenize_expression(pg_get_expr(f.proargdefaults, 0))).tokens,
                                              ARRAY['auth.uid', 'auth.jwt', 'auth.role', 'auth.email']))) AS steady,
               -- A record without column names cannot be the result of a sub-select whose fields are asked for.
               bool_and(f.provolatile = 's' AND f.prorettype <> 'record'::regtype) AS stable
          FROM pg_depend d
          JOIN pg_proc f ON f.oid = d.refobjid
          JOIN pg_namespace n ON n.oid = f.pronamespace
         WHERE d.classid = 'pg_policy'::regclass AND d.objid = only_policy AND d.refclassid = 'pg_proc'::regclass
         GROUP BY 1
    )
    SELECT coalesce(array_agg(name) FILTER (WHERE steady AND named.stable), '{}') || 'current_setting'::text,
           coalesce(array_agg(name) FILTER (WHERE named.steady), '{}')
      FROM named
    $body$;
COMMENT ON FUNCTION mentalspace.list_policy_functions(oid) IS
    'internal to wrap_policies(): functions that a policy calls, as pg_get_expr() names them: those to wrap, and those that may be in arguments';

CREATE FUNCTION mentalspace.write_alter_policy(schema_name name, table_name name, policy_name name, using_text text, check_text text)
    RETURNS text LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off
    AS $body$
    SELECT format('ALTER POLICY %I ON %I.%I', policy_name, schema_name, table_name)
        || coalesce(' USING (' || using_text || ')', '') || coalesce(' WITH CHECK (' || check_text || ')', '')
    $body$;
COMMENT ON FUNCTION mentalspace.write_alter_policy(name, name, name, text, text) IS
    'internal to wrap_policies(): the statement that gives a policy these expressions';

CREATE FUNCTION mentalspace.run_alter_policy(only_policy oid, statement text, INOUT using_text text, INOUT check_text text)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET standard_conforming_strings = on
    AS $body$
DECLARE
    now_there record;
BEGIN
    SELECT * INTO now_there FROM mentalspace.list_owned_policies(only_policy);
    IF NOT FOUND THEN
        RAISE EXCEPTION 'policy has been dropped by another session' USING ERRCODE = 'serialization_failure';
    END IF;
    EXECUTE format('LOCK TABLE ONLY %I.%I IN ACCESS EXCLUSIVE MODE', now_there.schema_name, now_there.table_name);
    -- Only now is it sure that nobody changes the policy under our hands.
    SELECT * INTO now_there FROM mentalspace.list_owned_policies(only_policy);
    IF (now_there.using_text, now_there.check_text) IS DISTINCT FROM (using_text, check_text) THEN
        RAISE EXCEPTION 'policy has been changed by another session' USING ERRCODE = 'serialization_failure';
    END IF;
    EXECUTE statement;
    SELECT * INTO now_there FROM mentalspace.list_owned_policies(only_policy);
    IF mentalspace.unwrap_expression(now_there.using_text) IS DISTINCT FROM mentalspace.unwrap_expression(using_text)
    OR mentalspace.unwrap_expression(now_there.check_text) IS DISTINCT FROM mentalspace.unwrap_expression(check_text) THEN
        RAISE EXCEPTION 'rewritten policy would not be the same' USING ERRCODE = 'invalid_object_definition';
    END IF;
    using_text := now_there.using_text;
    check_text := now_there.check_text;
END
$body$;
COMMENT ON FUNCTION mentalspace.run_alter_policy(oid, text, text, text) IS
    'internal to wrap_policies(): alters a policy that has these expressions and returns the new ones; an error if they differ in more than sub-selects';

CREATE FUNCTION mentalspace.check_may_wrap() RETURNS void
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $body$
BEGIN
    IF NOT has_table_privilege('mentalspace.wrapped_policies', 'SELECT')
    OR NOT has_table_privilege('mentalspace.wrapped_policies', 'INSERT')
    OR NOT has_table_privilege('mentalspace.wrapped_policies', 'UPDATE')
    OR NOT has_table_privilege('mentalspace.wrapped_policies', 'DELETE') THEN
        RAISE EXCEPTION 'permission denied for table mentalspace.wrapped_policies'
            USING ERRCODE = 'insufficient_privilege',
                  HINT = 'The owner of the extension can grant SELECT, INSERT, UPDATE and DELETE on it.';
    END IF;
    -- An older snapshot would not show what another session has made of a policy.
    IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
        RAISE EXCEPTION 'policies can be rewritten in transactions of isolation level READ COMMITTED only'
            USING ERRCODE = 'invalid_transaction_state';
    END IF;
END
$body$;
COMMENT ON FUNCTION mentalspace.check_may_wrap() IS
    'internal to wrap_policies(): an error where the current user or transaction cannot rewrite policies';

CREATE FUNCTION mentalspace.wrap_policies(dry_run boolean DEFAULT true)
    RETURNS TABLE (schema_name name, table_name name, policy_name name, statement text, done boolean, detail text)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET standard_conforming_strings = on
    AS $body$
DECLARE
    p record;
    functions record;
    changed record;
    new_using text;
    new_check text;
BEGIN
    IF dry_run IS NOT TRUE THEN
        PERFORM mentalspace.check_may_wrap();
    END IF;
    FOR p IN SELECT * FROM mentalspace.list_owned_policies() LOOP
        SELECT * INTO functions FROM mentalspace.list_policy_functions(p.policy);
        new_using := mentalspace.wrap_expression(p.using_text, functions.stable, functions.steady);
        new_check := mentalspace.wrap_expression(p.check_text, functions.stable, functions.steady);
        CONTINUE WHEN (new_using, new_check) IS NOT DISTINCT FROM (p.using_text, p.check_text);
        schema_name := p.schema_name;
        table_name := p.table_name;
        policy_name := p.policy_name;
        statement := mentalspace.write_alter_policy(schema_name, table_name, policy_name, new_using, new_check);
        done := false;
        detail := NULL;
        IF dry_run IS NOT TRUE THEN
            BEGIN
                SELECT * INTO changed FROM mentalspace.run_alter_policy(p.policy, statement, p.using_text, p.check_text);
                -- A policy of ours that still is as we left it keeps its first original.
                INSERT INTO mentalspace.wrapped_policies AS w
                VALUES (p.schema_name, p.table_name, p.policy_name, p.using_text, p.check_text, changed.using_text, changed.check_text)
                ON CONFLICT ON CONSTRAINT wrapped_policies_pkey DO UPDATE
                    SET original_using = CASE WHEN (w.wrapped_using, w.wrapped_check)
                                IS NOT DISTINCT FROM (excluded.original_using, excluded.original_check)
                            THEN w.original_using ELSE excluded.original_using END,
                        original_check = CASE WHEN (w.wrapped_using, w.wrapped_check)
                                IS NOT DISTINCT FROM (excluded.original_using, excluded.original_check)
                            THEN w.original_check ELSE excluded.original_check END,
                        wrapped_using = excluded.wrapped_using, wrapped_check = excluded.wrapped_check;
                done := true;
            EXCEPTION WHEN syntax_error_or_access_rule_violation OR serialization_failure THEN
                detail := 'left alone: ' || SQLERRM;
            END;
        END IF;
        RETURN NEXT;
    END LOOP;
END
$body$;
COMMENT ON FUNCTION mentalspace.wrap_policies(boolean) IS
    'ALTER POLICY statements that put calls which do not depend on the row into sub-selects, for policies on tables that the caller owns; runs them if dry_run is false';

CREATE FUNCTION mentalspace.unwrap_policies(dry_run boolean DEFAULT true)
    RETURNS TABLE (schema_name name, table_name name, policy_name name, statement text, done boolean, detail text)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET standard_conforming_strings = on
    AS $body$
DECLARE
    w record;
BEGIN
    IF dry_run IS NOT TRUE THEN
        PERFORM mentalspace.check_may_wrap();
    END IF;
    FOR w IN SELECT r.*, o.policy, o.using_text, o.check_text
               FROM mentalspace.wrapped_policies r
               LEFT JOIN mentalspace.list_owned_policies() o
                 ON (o.schema_name, o.table_name, o.policy_name) = (r.table_schema, r.table_name, r.policy_name)
              ORDER BY r.table_schema, r.table_name, r.policy_name LOOP
        schema_name := w.table_schema;
        table_name := w.table_name;
        policy_name := w.policy_name;
        statement := NULL;
        done := false;
        detail := NULL;
        IF w.policy IS NULL THEN
            -- On a table of somebody else's, or gone.
            CONTINUE WHEN EXISTS (SELECT FROM pg_policies o
                                   WHERE (o.schemaname, o.tablename, o.policyname) = (w.table_schema, w.table_name, w.policy_name));
            detail := 'left alone: the policy is no longer there';
            IF dry_run IS NOT TRUE THEN
                DELETE FROM mentalspace.wrapped_policies r
                 WHERE (r.table_schema, r.table_name, r.policy_name) = (w.table_schema, w.table_name, w.policy_name);
            END IF;
        ELSIF (w.using_text, w.check_text) IS DISTINCT FROM (w.wrapped_using, w.wrapped_check) THEN
            detail := 'left alone: the policy has been changed since it was wrapped';
        ELSIF mentalspace.unwrap_expression(w.original_using) IS DISTINCT FROM mentalspace.unwrap_expression(w.wrapped_using)
           OR mentalspace.unwrap_expression(w.original_check) IS DISTINCT FROM mentalspace.unwrap_expression(w.wrapped_check) THEN
            -- Whoever may write the table must not be able to put an expression of his own into a policy.
            detail := 'left alone: what was recorded is not this policy without its sub-selects';
        ELSE
            statement := mentalspace.write_alter_policy(schema_name, table_name, policy_name, w.original_using, w.original_check);
            IF dry_run IS NOT TRUE THEN
                BEGIN
                    PERFORM mentalspace.run_alter_policy(w.policy, statement, w.using_text, w.check_text);
                    DELETE FROM mentalspace.wrapped_policies r
                     WHERE (r.table_schema, r.table_name, r.policy_name) = (w.table_schema, w.table_name, w.policy_name);
                    done := true;
                EXCEPTION WHEN syntax_error_or_access_rule_violation OR serialization_failure THEN
                    detail := 'left alone: ' || SQLERRM;
                END;
            END IF;
        END IF;
        RETURN NEXT;
    END LOOP;
END
$body$;
COMMENT ON FUNCTION mentalspace.unwrap_policies(boolean) IS
    'ALTER POLICY statements that undo wrap_policies(); runs them if dry_run is false; a policy that was changed since is left alone';

-- ---- provision/engine.sql
-- What the components of provision() are made with: each function here makes one kind of object if it is missing,
-- completes it if parts are missing, touches nothing that is there, and says what it did in one row.
--
-- Everything runs with the caller's rights.  Objects are made under the role `owner`, so that they belong to it from the
-- start and nothing that the owner wrote (a default, a check, an index expression) ever runs with a superuser's rights.
CREATE TYPE mentalspace.provision_step AS (kind text, object text, state text, detail text);
COMMENT ON TYPE mentalspace.provision_step IS 'one object of provision(): what it is, and whether it was made, found, changed or skipped';

CREATE FUNCTION mentalspace.provision_run(owner name, command text) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    before text := current_setting('role');
BEGIN
    IF current_user = owner THEN
        EXECUTE command;
        RETURN;
    END IF;
    PERFORM set_config('role', owner, true);
    EXECUTE command;
    PERFORM set_config('role', before, true);
END
$$;
COMMENT ON FUNCTION mentalspace.provision_run(name, text) IS 'internal to provision(): runs a command as the owner';

CREATE FUNCTION mentalspace.provision_warning(holder oid, owner name) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT format('WARNING: belongs to role "%s", which is neither the owner nor a superuser: look at it before you trust it', r.rolname)
      FROM pg_roles r
     WHERE r.oid = holder AND NOT r.rolsuper
       AND r.rolname NOT IN (owner, current_user, 'pg_database_owner', 'postgres', 'supabase_admin',
                             'supabase_auth_admin', 'supabase_storage_admin', 'supabase_realtime_admin')
    $$;
COMMENT ON FUNCTION mentalspace.provision_warning(oid,
        name) IS 'internal to provision(): a warning if a role that nobody vouches for holds an object, else NULL';

CREATE FUNCTION mentalspace.provision_schema(owner name, schema name, summary text) RETURNS mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    n pg_namespace;
    step mentalspace.provision_step := ('schema', schema, 'found', NULL);
BEGIN
    SELECT * INTO n FROM pg_namespace WHERE nspname = schema;
    IF n.oid IS NULL THEN
        EXECUTE format('CREATE SCHEMA %I AUTHORIZATION %I', schema, owner);
        PERFORM mentalspace.provision_run(owner, format('COMMENT ON SCHEMA %I IS %L', schema, summary));
        step.state := 'made';
        RETURN step;
    END IF;
    -- Whoever owns a schema can replace what is in it: nothing is put into a stranger's.
    IF mentalspace.provision_warning(n.nspowner, owner) IS NOT NULL THEN
        RAISE EXCEPTION 'schema "%" belongs to role "%", which is neither the owner nor a superuser', schema,
                n.nspowner::regrole
            USING ERRCODE = 'insufficient_privilege',
                  HINT = format('Look at what is in it, then run ALTER SCHEMA %I OWNER TO %I.', schema, owner);
    END IF;
    IF has_schema_privilege(owner, n.oid, 'CREATE') AND has_schema_privilege(owner, n.oid, 'USAGE') THEN
        RETURN step;
    END IF;
    step.state := 'changed';
    IF pg_get_userbyid(n.nspowner) = current_user THEN
        EXECUTE format('ALTER SCHEMA %I OWNER TO %I', schema, owner);
        step.detail := format('now belongs to "%s"', owner);
    ELSE
        EXECUTE format('GRANT CREATE, USAGE ON SCHEMA %I TO %I WITH GRANT OPTION', schema, owner);
        step.detail := format('"%s" may create in it', owner);
    END IF;
    IF NOT has_schema_privilege(owner, n.oid, 'CREATE') THEN
        RAISE EXCEPTION 'role "%" may not create objects in schema "%"', owner, schema
            USING ERRCODE = 'insufficient_privilege',
                  HINT = format('Have a superuser run: SELECT * FROM mentalspace.provision(owner => %L).', owner);
    END IF;
    RETURN step;
END
$$;
COMMENT ON FUNCTION mentalspace.provision_schema(name, name,
        text) IS 'internal to provision(): a schema in which the owner may create';

CREATE FUNCTION mentalspace.provision_enum(owner name, schema name, type name, summary text, labels text[])
    RETURNS mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    t pg_type;
    step mentalspace.provision_step := ('type', format('%I.%I', schema, type), 'found', NULL);
    missing text[];
BEGIN
    SELECT * INTO t FROM pg_type WHERE typname = type AND typnamespace = schema::regnamespace;
    IF t.oid IS NULL THEN
        PERFORM mentalspace.provision_run(owner, format('CREATE TYPE %s AS ENUM (%s)', step.object,
            (SELECT string_agg(quote_literal(l), ', ' ORDER BY o) FROM unnest(labels) WITH ORDINALITY AS u(l, o))));
        PERFORM mentalspace.provision_run(owner, format('COMMENT ON TYPE %s IS %L', step.object, summary));
        step.state := 'made';
        RETURN step;
    END IF;
    step.detail := mentalspace.provision_warning(t.typowner, owner);
    IF t.typtype <> 'e' THEN
        step.state := 'skipped';
        step.detail := 'another type of this name is there';
        RETURN step;
    END IF;
    missing := ARRAY(SELECT l FROM unnest(labels) WITH ORDINALITY AS u(l, o)
                      WHERE NOT EXISTS (SELECT FROM pg_enum e WHERE e.enumtypid = t.oid
                              AND e.enumlabel = l) ORDER BY o);
    IF missing <> '{}' THEN
        PERFORM mentalspace.provision_run(owner, format('ALTER TYPE %s ADD VALUE %L', step.object, l))
                FROM unnest(missing) AS l;
        step.state := 'changed';
        step.detail := concat_ws('; ', step.detail, 'added ' || array_to_string(missing, ', '));
    END IF;
    RETURN step;
END
$$;
COMMENT ON FUNCTION mentalspace.provision_enum(name, name, name, text,
        text[]) IS 'internal to provision(): an enum type with at least these labels';

-- SPEC has one column, CONSTRAINT or [UNIQUE] INDEX in a line, as CREATE TABLE and CREATE INDEX take them; TAIL is what
-- follows the columns in CREATE TABLE.  A table that is there gets the columns, constraints and indexes that it lacks
-- (by name), and keeps everything else as it is.
CREATE FUNCTION mentalspace.provision_table(owner name, schema name, relation name, summary text, spec text,
        tail text DEFAULT '')
    RETURNS mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    c pg_class;
    step mentalspace.provision_step := ('table', format('%I.%I', schema, relation), 'found', NULL);
    line text;
    part text[];
    body text[] := '{}';
    indexes text[] := '{}';
    added text[] := '{}';
    failed text[] := '{}';
    command text;
BEGIN
    SELECT * INTO c FROM pg_class WHERE relname = relation AND relnamespace = schema::regnamespace;
    IF c.oid IS NOT NULL AND c.relkind NOT IN ('r', 'p') THEN
        step.state := 'skipped';
        step.detail := 'something else of this name is there';
        RETURN step;
    END IF;
    FOR line IN SELECT btrim(l) FROM string_to_table(spec, E'\n') AS l WHERE btrim(l) <> '' LOOP
        -- kind, name, definition
        part := coalesce(regexp_match(line, '^(UNIQUE INDEX|INDEX|CONSTRAINT) ("[^"]+"|\S+) (.*)$'),
                         array_cat(ARRAY['COLUMN'], regexp_match(line, '^(\S+) (.*)$')));
        IF c.oid IS NULL THEN
            IF part[1] LIKE '%INDEX' THEN
                indexes := indexes || format('CREATE %s %s ON %s %s', part[1], part[2], step.object, part[3]);
            ELSE
                body := body || line;
            END IF;
            CONTINUE;
        END IF;
        CONTINUE WHEN CASE
            WHEN part[1] = 'COLUMN' THEN EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid
                    AND a.attname = btrim(part[2], '"') AND a.attnum > 0)
            WHEN part[1] = 'CONSTRAINT' THEN EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = c.oid
                AND (k.conname = btrim(part[2], '"') OR k.contype = 'p' AND part[3] LIKE 'PRIMARY KEY%'))
            ELSE EXISTS (SELECT FROM pg_class i WHERE i.relname = btrim(part[2], '"')
                    AND i.relnamespace = c.relnamespace) END;
        command := CASE WHEN part[1] = 'COLUMN' THEN format('ALTER TABLE %s ADD COLUMN %s', step.object, line)
                        WHEN part[1] = 'CONSTRAINT' THEN format('ALTER TABLE %s ADD %s', step.object, line)
                        ELSE format('CREATE %s %s ON %s %s', part[1], part[2], step.object, part[3]) END;
        BEGIN
            BEGIN
                PERFORM mentalspace.provision_run(owner, command);
            EXCEPTION WHEN not_null_violation THEN
                -- Rows are there and no default fits them.
                PERFORM mentalspace.provision_run(owner, replace(command, ' NOT NULL', ''));
            END;
            added := added || part[2];
        EXCEPTION WHEN integrity_constraint_violation OR syntax_error_or_access_rule_violation OR feature_not_supported
                THEN
            failed := failed || format('%s (%s)', part[2], sqlerrm);
        END;
    END LOOP;
    IF c.oid IS NULL THEN
        PERFORM mentalspace.provision_run(owner, format(E'CREATE TABLE %s (%s) %s', step.object, array_to_string(body,
                ', '), tail));
        PERFORM mentalspace.provision_run(owner, i) FROM unnest(indexes) AS i;
        PERFORM mentalspace.provision_run(owner, format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', step.object));
        PERFORM mentalspace.provision_run(owner, format('COMMENT ON TABLE %s IS %L', step.object, summary));
        step.state := 'made';
        RETURN step;
    END IF;
    -- The roles of the API get rights on these: without row level security they would see everything.
    IF NOT c.relrowsecurity AND schema IN ('storage', 'realtime') THEN
        PERFORM mentalspace.provision_run(owner, format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', step.object));
        c.relrowsecurity := true;
        added := added || 'row level security'::text;
    END IF;
    IF added <> '{}' THEN
        step.state := 'changed';
    END IF;
    step.detail := nullif(concat_ws('; ', mentalspace.provision_warning(c.relowner, owner),
        'added ' || nullif(array_to_string(added, ', '), ''),
        'could not add ' || nullif(array_to_string(failed, ', '), ''),
        CASE WHEN NOT c.relrowsecurity THEN 'row level security is off' END), '');
    RETURN step;
END
$$;
COMMENT ON FUNCTION mentalspace.provision_table(name, name, name, text, text,
        text) IS 'internal to provision(): a table with at least these columns, constraints and indexes';

-- DEFINITION is what follows CREATE FUNCTION schema.name.  A function that is there stays as it is.
CREATE FUNCTION mentalspace.provision_function(owner name, signature text, summary text, definition text)
    RETURNS mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    f oid := to_regprocedure(signature);
    step mentalspace.provision_step := ('function', signature, 'found', NULL);
BEGIN
    IF f IS NOT NULL THEN
        step.detail := mentalspace.provision_warning((SELECT proowner FROM pg_proc WHERE oid = f), owner);
        RETURN step;
    END IF;
    PERFORM mentalspace.provision_run(owner, format('CREATE FUNCTION %s%s', split_part(signature, '(', 1), definition));
    PERFORM mentalspace.provision_run(owner, format('COMMENT ON FUNCTION %s IS %L', signature, summary));
    step.state := 'made';
    RETURN step;
END
$$;
COMMENT ON FUNCTION mentalspace.provision_function(name, text, text, text) IS 'internal to provision(): a function';

CREATE FUNCTION mentalspace.provision_object(owner name, kind text, object text, is_there boolean, command text)
    RETURNS mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    IF is_there THEN
        RETURN (kind, object, 'found', NULL)::mentalspace.provision_step;
    END IF;
    PERFORM mentalspace.provision_run(owner, command);
    RETURN (kind, object, 'made', NULL)::mentalspace.provision_step;
END
$$;
COMMENT ON FUNCTION mentalspace.provision_object(name, text, text, boolean,
        text) IS 'internal to provision(): runs a command as the owner unless the object is there';

-- ---- provision/privileges.sql
-- provision(): roles, memberships, privileges and extensions.
CREATE FUNCTION mentalspace.provision_role(role name, summary text,
        options text DEFAULT '') RETURNS mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    r pg_roles;
    step mentalspace.provision_step := ('role', role, 'found', NULL);
BEGIN
    SELECT * INTO r FROM pg_roles WHERE rolname = role;
    IF r.oid IS NULL THEN
        EXECUTE format('CREATE ROLE %I NOLOGIN %s', role, options);
        EXECUTE format('COMMENT ON ROLE %I IS %L', role, summary);
        step.state := 'made';
    ELSIF role IN ('anon', 'authenticated') AND (r.rolsuper OR r.rolbypassrls) THEN
        step.detail := 'WARNING: this role passes row level security; run ALTER ROLE ' || quote_ident(role) || ' NOSUPERUSER NOBYPASSRLS';
    ELSIF r.rolcanlogin AND role IN ('anon', 'authenticated', 'service_role', 'authenticator') THEN
        step.detail := 'can log in';
    END IF;
    RETURN step;
EXCEPTION WHEN insufficient_privilege THEN
    RETURN ('role', role, 'skipped', sqlerrm)::mentalspace.provision_step;
END
$$;
COMMENT ON FUNCTION mentalspace.provision_role(name, text, text) IS 'internal to provision(): a role';

-- MEMBER gets ROLE.  PostgreSQL 16 and later tell inheriting from taking the role: what is asked for is stated there,
-- before that the member's INHERIT attribute decides.
CREATE FUNCTION mentalspace.provision_member(role name, member name, inherits boolean DEFAULT true,
        may_set boolean DEFAULT true)
    RETURNS mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    detailed boolean := current_setting('server_version_num')::int >= 160000;
    step mentalspace.provision_step := ('membership', format('%I of %I', member, role), 'found', NULL);
BEGIN
    IF to_regrole(quote_ident(role)) IS NULL OR to_regrole(quote_ident(member)) IS NULL THEN
        step.state := 'skipped';
        step.detail := 'no such role';
    ELSIF pg_has_role(member, role, CASE WHEN inherits THEN 'USAGE' ELSE 'MEMBER' END)
       AND (NOT detailed OR NOT may_set OR pg_has_role(member, role, CASE WHEN detailed THEN 'SET' ELSE 'MEMBER' END))
               THEN
        NULL;
    ELSE
        EXECUTE format('GRANT %I TO %I %s', role, member,
            CASE WHEN detailed THEN format('WITH INHERIT %s, SET %s', inherits::text, may_set::text) ELSE '' END);
        step.state := 'made';
    END IF;
    RETURN step;
EXCEPTION WHEN insufficient_privilege OR invalid_grant_operation THEN
    step.state := 'skipped';
    step.detail := sqlerrm;
    RETURN step;
END
$$;
COMMENT ON FUNCTION mentalspace.provision_member(name, name, boolean,
        boolean) IS 'internal to provision(): membership of one role in another';

-- Grants PRIVILEGES on an object (KIND is SCHEMA, TABLE or DATABASE) to those of the roles that exist
-- and do not have them, the owner's or the caller's grant.  Given once: where the object's own list names one of the roles
-- already, what another lacks was taken away by a migration, and stays away.
CREATE FUNCTION mentalspace.provision_grant(owner name, kind text, object text, privileges text[], roles name[],
        options text DEFAULT '')
    RETURNS mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    step mentalspace.provision_step := ('grant', lower(kind) || ' ' || object, 'found', NULL);
    holder oid;
    acl aclitem[];
    lacking name[];
    command text;
BEGIN
    CASE kind
        WHEN 'SCHEMA' THEN SELECT nspowner, nspacl INTO holder, acl FROM pg_namespace
                WHERE oid = to_regnamespace(object);
        WHEN 'DATABASE' THEN SELECT datdba, datacl INTO holder, acl FROM pg_database WHERE datname = current_database();
        ELSE SELECT relowner, relacl INTO holder, acl FROM pg_class WHERE oid = to_regclass(object);
    END CASE;
    lacking := ARRAY(
        SELECT r.rolname FROM pg_roles r
         WHERE r.rolname = ANY (roles)
           AND EXISTS (SELECT FROM unnest(privileges) AS p
                        WHERE NOT CASE kind WHEN 'SCHEMA' THEN has_schema_privilege(r.oid, to_regnamespace(object), p)
                                            WHEN 'TABLE' THEN has_table_privilege(r.oid, to_regclass(object), p)
                                            WHEN 'DATABASE' THEN has_database_privilege(r.oid, current_database(),
                                                    p) END
                        -- What service_role has as a member of the owner, it would lose with that membership.
                        OR r.rolname = 'service_role' AND NOT r.rolsuper AND pg_has_role(r.oid, owner, 'USAGE')
                           AND NOT EXISTS (SELECT FROM aclexplode(acl) a WHERE a.grantee IN (r.oid, 0)
                                   AND a.privilege_type = p))
         ORDER BY r.rolname);
    step.detail := format('%s to %s', array_to_string(privileges, ', '), array_to_string(coalesce(nullif(lacking, '{}'),
            roles), ', '));
    IF lacking = '{}' THEN
        RETURN step;
    ELSIF EXISTS (SELECT FROM aclexplode(acl) a JOIN pg_roles r ON r.oid = a.grantee
                   WHERE r.rolname = ANY (roles) AND r.rolname <> ALL (ARRAY[owner, current_user])) THEN
        step.detail := 'all but what was taken from ' || array_to_string(lacking, ', ');
        RETURN step;
    END IF;
    command := format('GRANT %s ON %s %s TO %s %s', array_to_string(privileges, ', '), kind, object,
        (SELECT string_agg(quote_ident(r), ', ') FROM unnest(lacking) AS r), options);
    step.state := 'made';
    IF pg_has_role(owner, holder, 'USAGE') THEN
        PERFORM mentalspace.provision_run(owner, command);
    ELSE
        EXECUTE command;
    END IF;
    RETURN step;
EXCEPTION WHEN insufficient_privilege THEN
    RETURN ('grant', step.object, 'skipped', concat_ws(': ', step.detail, sqlerrm))::mentalspace.provision_step;
END
$$;
COMMENT ON FUNCTION mentalspace.provision_grant(name, text, text, text[], name[],
        text) IS 'internal to provision(): privileges on an object';

-- What the owner makes in SCHEMA from now on, the roles of the API may use; rows are guarded by policies.  Given once: what
-- a migration has taken away since stays away.
CREATE FUNCTION mentalspace.provision_default_privileges(owner name,
        schema name) RETURNS SETOF mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    class record;
    api CONSTANT name[] := ARRAY(SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated',
            'service_role') ORDER BY rolname);
    given boolean := EXISTS (
        SELECT FROM pg_default_acl d, aclexplode(d.defaclacl) a
         WHERE d.defaclrole = quote_ident(owner)::regrole AND d.defaclnamespace = schema::regnamespace
           AND a.grantee IN (SELECT r.oid FROM pg_roles r WHERE r.rolname = ANY (api)));
    lacking text;
BEGIN
    FOR class IN SELECT * FROM (VALUES ('TABLES', 'r', 7), ('SEQUENCES', 'S', 3), ('FUNCTIONS', 'f', 1)) AS v(name,
            letter, rights) LOOP
        SELECT string_agg(quote_ident(r.rolname), ', ' ORDER BY r.rolname) INTO lacking
          FROM pg_roles r
         WHERE r.rolname = ANY (api)
           AND (SELECT count(*) FROM pg_default_acl d, aclexplode(d.defaclacl) a
                 WHERE d.defaclrole = quote_ident(owner)::regrole AND d.defaclnamespace = schema::regnamespace
                   AND d.defaclobjtype = class.letter::"char" AND a.grantee = r.oid) < class.rights;
        IF given OR lacking IS NULL THEN
            RETURN NEXT ('default privileges', format('%s in schema %I', lower(class.name), schema), 'found',
                'all but what was taken from ' || lacking)::mentalspace.provision_step;
        ELSE
            PERFORM mentalspace.provision_run(owner,
                    format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA %I GRANT ALL ON %s TO %s',
                owner, schema, class.name, lacking));
            RETURN NEXT ('default privileges', format('%s in schema %I', lower(class.name), schema), 'made',
                    'to ' || lacking)::mentalspace.provision_step;
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mentalspace.provision_default_privileges(name,
        name) IS 'internal to provision(): default privileges of what the owner makes in a schema';

-- An extension by name: the packaged one or, where there is none, the one of that name that is installed beside this one.
-- The owner makes it where it may, so that its migrations can drop it and comment on it.
CREATE FUNCTION mentalspace.provision_extension(owner name, extension name,
        schema name DEFAULT '') RETURNS mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    step mentalspace.provision_step := ('extension', extension, 'found', NULL);
    command text := format('CREATE EXTENSION %I', extension) || CASE WHEN schema = '' THEN ''
            ELSE format(' WITH SCHEMA %I', schema) END;
BEGIN
    SELECT format('version %s in schema %I', e.extversion, n.nspname) INTO step.detail
      FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = extension;
    IF FOUND THEN
        RETURN step;
    END IF;
    step.state := 'skipped';
    BEGIN
        PERFORM mentalspace.provision_run(owner, command);
    EXCEPTION WHEN insufficient_privilege THEN
        IF current_user = owner THEN
            RAISE;
        END IF;
        EXECUTE command;
    END;
    SELECT 'made', format('version %s in schema %I', e.extversion, n.nspname) INTO step.state, step.detail
      FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = extension;
    RETURN step;
EXCEPTION WHEN others THEN
    -- Each extension has its own reasons why it cannot be made here (not preloaded, wrong database, ...): the row says which.
    step.state := 'skipped';
    step.detail := sqlerrm;
    RETURN step;
END
$$;
COMMENT ON FUNCTION mentalspace.provision_extension(name, name,
        name) IS 'internal to provision(): an extension, if it can be made here';

-- ---- provision/roles.sql
-- provision(), component roles: the roles that migrations, PostgREST and dumps of a Supabase project name.
--
-- None of them can log in: whoever wants authenticator to gives it LOGIN and a password.  service_role passes row level
-- security by BYPASSRLS, which only a superuser (from PostgreSQL 16 on also a role that has it) can give; otherwise it
-- becomes a member of the owner and passes the policies of the owner's tables as the owner does.
CREATE FUNCTION mentalspace.provision_service_role(owner name, is_new boolean) RETURNS mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    step mentalspace.provision_step := ('row level security', 'service_role', 'found', NULL);
    reason text;
    strangers text;
BEGIN
    IF (SELECT rolbypassrls OR rolsuper FROM pg_roles WHERE rolname = 'service_role') THEN
        step.detail := 'passes policies by BYPASSRLS';
        RETURN step;
    ELSIF owner = 'service_role' OR pg_has_role('service_role', owner, 'USAGE') THEN
        step.detail := format('passes the policies of tables of "%s" as a member of that role', owner);
        RETURN step;
    END IF;
    -- Roles belong to the whole cluster: whoever is a member of a service_role that was there would pass the policies of
    -- this database too.
    SELECT string_agg(quote_ident(r.rolname), ', ' ORDER BY r.rolname) INTO strangers
      FROM pg_roles r
     WHERE pg_has_role(r.oid, 'service_role', 'MEMBER') AND NOT r.rolsuper
       AND r.rolname NOT IN (owner, current_user, 'service_role', 'authenticator', 'postgres', 'supabase_admin',
               'supabase_storage_admin');
    IF strangers IS NOT NULL AND NOT is_new THEN
        step.state := 'skipped';
        step.detail := format('WARNING: service_role has other members (%s); if they may see all rows of this database, run ALTER ROLE service_role BYPASSRLS', strangers);
        RETURN step;
    END IF;
    step.state := CASE WHEN is_new THEN 'made' ELSE 'changed' END;
    BEGIN
        ALTER ROLE service_role BYPASSRLS;
        step.detail := 'passes policies by BYPASSRLS';
        RETURN step;
    EXCEPTION WHEN insufficient_privilege THEN
        reason := sqlerrm;
    END;
    BEGIN
        EXECUTE format('GRANT %I TO service_role %s', owner,
            CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'WITH INHERIT TRUE, SET FALSE'
                    ELSE '' END);
        step.detail := format('only a superuser can give BYPASSRLS: passes the policies of tables of "%s" as a member of that role instead', owner)
            || CASE WHEN current_setting('server_version_num')::int < 160000
                    THEN '; before PostgreSQL 16, whoever may take service_role may therefore take that role too'
                            ELSE '' END;
    EXCEPTION WHEN insufficient_privilege OR invalid_grant_operation THEN
        step.state := 'skipped';
        step.detail := format('does not pass policies: neither ALTER ROLE service_role BYPASSRLS (%s) nor GRANT %I TO service_role (%s) is allowed here', reason, owner, sqlerrm);
    END;
    RETURN step;
END
$$;
COMMENT ON FUNCTION mentalspace.provision_service_role(name,
        boolean) IS 'internal to provision(): BYPASSRLS of service_role, or its substitute';

CREATE FUNCTION mentalspace.provision_roles(owner name) RETURNS SETOF mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    r record;
    service_role_is_new boolean := to_regrole('service_role') IS NULL;
    owner_is_super boolean := (SELECT rolsuper FROM pg_roles WHERE rolname = owner);
BEGIN
    FOR r IN
        SELECT * FROM (VALUES
            ('anon', 'requests without a signed-in user', ''),
            ('authenticated', 'requests of a signed-in user', ''),
            ('service_role', 'requests of the application''s own servers: passes row level security', ''),
            ('authenticator', 'login role of PostgREST: takes the role of the request''s token', 'NOINHERIT'),
            ('postgres', 'role that Supabase projects name as the owner of their objects', ''),
            ('dashboard_user', 'role of Supabase''s dashboard, named in dumps', ''),
            ('supabase_admin', 'administrator''s role on Supabase, named in dumps; no superuser here', ''),
            ('supabase_auth_admin', 'role of Supabase Auth', 'NOINHERIT'),
            ('supabase_storage_admin', 'role of Supabase Storage', 'NOINHERIT'),
            ('supabase_realtime_admin', 'role of Supabase Realtime', 'NOINHERIT'),
            ('supabase_functions_admin', 'role of Supabase''s database webhooks', 'NOINHERIT'),
            ('supabase_replication_admin', 'replication role on Supabase, named in dumps', ''),
            ('supabase_read_only_user', 'read-only role on Supabase, named in dumps', ''),
            ('pgbouncer', 'role of Supabase''s connection pooler, named in dumps', '')) AS v(name, summary, options)
    LOOP
        RETURN NEXT mentalspace.provision_role(r.name, r.summary, r.options);
    END LOOP;
    IF to_regrole('service_role') IS NOT NULL THEN
        RETURN NEXT mentalspace.provision_service_role(owner, service_role_is_new);
    END IF;
    RETURN QUERY SELECT m.* FROM unnest(ARRAY['anon', 'authenticated', 'service_role']) AS api,
            mentalspace.provision_member(api, 'authenticator', false) AS m;
    -- So that the owner's migrations can give objects to these roles and take their place in tests.
    IF NOT owner_is_super THEN
        FOR r IN
            SELECT rolname FROM pg_roles
             WHERE rolname IN ('anon', 'authenticated', 'service_role', 'authenticator', 'postgres', 'dashboard_user',
                     'supabase_admin',
                               'supabase_auth_admin', 'supabase_storage_admin', 'supabase_realtime_admin',
                                       'supabase_functions_admin')
               AND rolname <> owner AND NOT rolsuper AND NOT pg_has_role(rolname, owner, 'MEMBER')
             ORDER BY rolname
        LOOP
            RETURN NEXT mentalspace.provision_member(r.rolname, owner);
        END LOOP;
    END IF;
    RETURN NEXT mentalspace.provision_grant(owner, 'DATABASE', quote_ident(current_database()), '{CREATE,TEMPORARY}',
            ARRAY[owner]);
    RETURN NEXT mentalspace.provision_grant(owner, 'SCHEMA', 'public', '{CREATE,USAGE}', ARRAY[owner]);
    RETURN NEXT mentalspace.provision_grant(owner, 'SCHEMA', 'public', '{USAGE}', '{anon,authenticated,service_role}');
    RETURN QUERY SELECT * FROM mentalspace.provision_default_privileges(owner, 'public');
END
$$;
COMMENT ON FUNCTION mentalspace.provision_roles(name) IS
    'component roles of provision(): anon, authenticated, service_role, authenticator, the administrative roles that dumps name, memberships, default privileges in public';

-- ---- provision/extensions.sql
-- provision(), component extensions: schema extensions with what projects call without a schema, the search_path that
-- makes such calls work, and the bookkeeping of the Supabase CLI.
CREATE FUNCTION mentalspace.provision_search_path() RETURNS mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    step mentalspace.provision_step := ('database setting', 'search_path', 'found', NULL);
    before text;
BEGIN
    SELECT substr(c, strpos(c, '=') + 1) INTO before
      FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) AS c
     WHERE d.datname = current_database() AND s.setrole = 0 AND c LIKE 'search\_path=%';
    IF before ~ '(^|[, ])"?extensions"?($|[, ])' THEN
        step.detail := before;
        RETURN step;
    END IF;
    step.state := CASE WHEN before IS NULL THEN 'made' ELSE 'changed' END;
    step.detail := coalesce(nullif(before, ''), '"$user", public') || ', extensions';
    -- Set here only for the one statement that copies it to the database: no command is made of text.
    PERFORM set_config('search_path', step.detail, true);
    EXECUTE pg_catalog.format('ALTER DATABASE %I SET search_path FROM CURRENT', pg_catalog.current_database());
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    RETURN step;
EXCEPTION WHEN insufficient_privilege THEN
    RETURN ('database setting', 'search_path', 'skipped', sqlerrm)::mentalspace.provision_step;
END
$$;
COMMENT ON FUNCTION mentalspace.provision_search_path() IS 'internal to provision(): search_path of the database';

CREATE FUNCTION mentalspace.provision_extensions(owner name) RETURNS SETOF mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RETURN NEXT mentalspace.provision_schema(owner, 'extensions',
            'extensions, apart from the application''s own objects');
    RETURN NEXT mentalspace.provision_grant(owner, 'SCHEMA', 'extensions', '{USAGE}',
            '{anon,authenticated,service_role,supabase_auth_admin,supabase_storage_admin}');
    RETURN NEXT mentalspace.provision_extension(owner, 'pgcrypto', 'extensions');
    RETURN NEXT mentalspace.provision_extension(owner, 'uuid-ossp', 'extensions');
    RETURN NEXT mentalspace.provision_extension(owner, 'pgjwt', 'extensions');
    RETURN NEXT mentalspace.provision_search_path();
    RETURN NEXT mentalspace.provision_schema(owner, 'graphql', 'the schema that CREATE EXTENSION pg_graphql names');
    RETURN NEXT mentalspace.provision_schema(owner, 'graphql_public', 'the schema that Supabase serves GraphQL from');
    RETURN NEXT mentalspace.provision_grant(owner, 'SCHEMA', 'graphql_public', '{USAGE}',
            '{anon,authenticated,service_role}');
    RETURN NEXT mentalspace.provision_schema(owner, 'supabase_migrations',
            'bookkeeping of the Supabase CLI and of mentalspace-migrate');
    RETURN NEXT mentalspace.provision_table(owner, 'supabase_migrations', 'schema_migrations',
            'migrations that were applied', $t$
        version text NOT NULL
        statements text[]
        name text
        CONSTRAINT schema_migrations_pkey PRIMARY KEY (version)
    $t$);
END
$$;
COMMENT ON FUNCTION mentalspace.provision_extensions(name) IS
    'component extensions of provision(): schema extensions with pgcrypto, uuid-ossp and pgjwt, search_path of the database, schemas graphql and graphql_public, supabase_migrations.schema_migrations';

-- ---- provision/auth_users.sql
-- provision(), component auth: users and their sessions, in the present shape of Supabase Auth.
CREATE FUNCTION mentalspace.provision_auth_users(owner name) RETURNS SETOF mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RETURN NEXT mentalspace.provision_enum(owner, 'auth', 'aal_level', 'how strongly a session was authenticated',
            '{aal1,aal2,aal3}');
    RETURN NEXT mentalspace.provision_enum(owner, 'auth', 'one_time_token_type', 'what a one-time token is for',
        '{confirmation_token,reauthentication_token,recovery_token,email_change_token_new,email_change_token_current,phone_change_token}');
    RETURN NEXT mentalspace.provision_table(owner, 'auth', 'users', 'people who can sign in to the application', $t$
        instance_id uuid
        id uuid NOT NULL
        aud varchar(255)
        role varchar(255)
        email varchar(255)
        encrypted_password varchar(255)
        email_confirmed_at timestamptz
        invited_at timestamptz
        confirmation_token varchar(255)
        confirmation_sent_at timestamptz
        recovery_token varchar(255)
        recovery_sent_at timestamptz
        email_change_token_new varchar(255)
        email_change varchar(255)
        email_change_sent_at timestamptz
        last_sign_in_at timestamptz
        raw_app_meta_data jsonb
        raw_user_meta_data jsonb
        is_super_admin boolean
        created_at timestamptz
        updated_at timestamptz
        phone text
        phone_confirmed_at timestamptz
        phone_change text DEFAULT ''
        phone_change_token varchar(255) DEFAULT ''
        phone_change_sent_at timestamptz
        confirmed_at timestamptz GENERATED ALWAYS AS (LEAST(email_confirmed_at, phone_confirmed_at)) STORED
        email_change_token_current varchar(255) DEFAULT ''
        email_change_confirm_status smallint DEFAULT 0
        banned_until timestamptz
        reauthentication_token varchar(255) DEFAULT ''
        reauthentication_sent_at timestamptz
        is_sso_user boolean DEFAULT false NOT NULL
        deleted_at timestamptz
        is_anonymous boolean DEFAULT false NOT NULL
        CONSTRAINT users_pkey PRIMARY KEY (id)
        CONSTRAINT users_phone_key UNIQUE (phone)
        CONSTRAINT users_email_change_confirm_status_check CHECK (email_change_confirm_status >= 0 AND email_change_confirm_status <= 2)
        UNIQUE INDEX confirmation_token_idx (confirmation_token) WHERE (confirmation_token !~ '^[0-9 ]*$')
        UNIQUE INDEX email_change_token_current_idx (email_change_token_current) WHERE (email_change_token_current !~ '^[0-9 ]*$')
        UNIQUE INDEX email_change_token_new_idx (email_change_token_new) WHERE (email_change_token_new !~ '^[0-9 ]*$')
        UNIQUE INDEX reauthentication_token_idx (reauthentication_token) WHERE (reauthentication_token !~ '^[0-9 ]*$')
        UNIQUE INDEX recovery_token_idx (recovery_token) WHERE (recovery_token !~ '^[0-9 ]*$')
        UNIQUE INDEX users_email_partial_key (email) WHERE (is_sso_user = false)
        INDEX users_instance_id_email_idx (instance_id, lower(email))
        INDEX users_instance_id_idx (instance_id)
        INDEX users_is_anonymous_idx (is_anonymous)
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'auth', 'identities',
            'how a user signs in: one row for each provider', $t$
        provider_id text NOT NULL
        user_id uuid NOT NULL
        identity_data jsonb NOT NULL
        provider text NOT NULL
        last_sign_in_at timestamptz
        created_at timestamptz
        updated_at timestamptz
        email text GENERATED ALWAYS AS (lower((identity_data ->> 'email'))) STORED
        id uuid DEFAULT gen_random_uuid() NOT NULL
        CONSTRAINT identities_pkey PRIMARY KEY (id)
        CONSTRAINT identities_provider_id_provider_unique UNIQUE (provider_id, provider)
        CONSTRAINT identities_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE CASCADE
        INDEX identities_email_idx (email text_pattern_ops)
        INDEX identities_user_id_idx (user_id)
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'auth', 'sessions', 'sessions of signed-in users', $t$
        id uuid NOT NULL
        user_id uuid NOT NULL
        created_at timestamptz
        updated_at timestamptz
        factor_id uuid
        aal auth.aal_level
        not_after timestamptz
        refreshed_at timestamp
        user_agent text
        ip inet
        tag text
        oauth_client_id uuid
        refresh_token_hmac_key text
        refresh_token_counter bigint
        scopes text
        CONSTRAINT sessions_pkey PRIMARY KEY (id)
        CONSTRAINT sessions_scopes_length CHECK (length(scopes) <= 4096)
        CONSTRAINT sessions_oauth_client_id_fkey FOREIGN KEY (oauth_client_id) REFERENCES auth.oauth_clients(id) ON DELETE CASCADE
        CONSTRAINT sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE CASCADE
        INDEX sessions_not_after_idx (not_after DESC)
        INDEX sessions_oauth_client_id_idx (oauth_client_id)
        INDEX sessions_user_id_idx (user_id)
        INDEX user_id_created_at_idx (user_id, created_at)
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'auth', 'refresh_tokens', 'refresh tokens of sessions', $t$
        instance_id uuid
        id bigserial
        token varchar(255)
        user_id varchar(255)
        revoked boolean
        created_at timestamptz
        updated_at timestamptz
        parent varchar(255)
        session_id uuid
        CONSTRAINT refresh_tokens_pkey PRIMARY KEY (id)
        CONSTRAINT refresh_tokens_token_unique UNIQUE (token)
        CONSTRAINT refresh_tokens_session_id_fkey FOREIGN KEY (session_id) REFERENCES auth.sessions(id) ON DELETE CASCADE
        INDEX refresh_tokens_instance_id_idx (instance_id)
        INDEX refresh_tokens_instance_id_user_id_idx (instance_id, user_id)
        INDEX refresh_tokens_parent_idx (parent)
        INDEX refresh_tokens_session_id_revoked_idx (session_id, revoked)
        INDEX refresh_tokens_updated_at_idx (updated_at DESC)
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'auth', 'one_time_tokens',
            'hashes of tokens sent to users, to confirm, recover or change something', $t$
        id uuid NOT NULL
        user_id uuid NOT NULL
        token_type auth.one_time_token_type NOT NULL
        token_hash text NOT NULL
        relates_to text NOT NULL
        created_at timestamp DEFAULT now() NOT NULL
        updated_at timestamp DEFAULT now() NOT NULL
        CONSTRAINT one_time_tokens_pkey PRIMARY KEY (id)
        CONSTRAINT one_time_tokens_token_hash_check CHECK (length(token_hash) > 0)
        CONSTRAINT one_time_tokens_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE CASCADE
        INDEX one_time_tokens_relates_to_hash_idx USING hash (relates_to)
        INDEX one_time_tokens_token_hash_hash_idx USING hash (token_hash)
        UNIQUE INDEX one_time_tokens_user_id_token_type_key (user_id, token_type)
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'auth', 'audit_log_entries', 'what Supabase Auth did', $t$
        instance_id uuid
        id uuid NOT NULL
        payload json
        created_at timestamptz
        ip_address varchar(64) DEFAULT '' NOT NULL
        CONSTRAINT audit_log_entries_pkey PRIMARY KEY (id)
        INDEX audit_logs_instance_id_idx (instance_id)
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'auth', 'instances',
            'instances of Supabase Auth that share this database', $t$
        id uuid NOT NULL
        uuid uuid
        raw_base_config text
        created_at timestamptz
        updated_at timestamptz
        CONSTRAINT instances_pkey PRIMARY KEY (id)
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'auth', 'schema_migrations',
            'migrations of Supabase Auth that were applied', $t$
        version varchar(255) NOT NULL
        CONSTRAINT schema_migrations_pkey PRIMARY KEY (version)
    $t$);
END
$$;
COMMENT ON FUNCTION mentalspace.provision_auth_users(name) IS 'internal to provision(): users and sessions';

-- ---- provision/auth_factors.sql
-- provision(), component auth: second factors, passkeys and single sign-on, in the present shape of Supabase Auth.
CREATE FUNCTION mentalspace.provision_auth_factors(owner name) RETURNS SETOF mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RETURN NEXT mentalspace.provision_enum(owner, 'auth', 'factor_type', 'kinds of second factors',
            '{totp,webauthn,phone}');
    RETURN NEXT mentalspace.provision_enum(owner, 'auth', 'factor_status', 'whether a second factor was verified',
            '{unverified,verified}');
    RETURN NEXT mentalspace.provision_enum(owner, 'auth', 'code_challenge_method',
            'how a code challenge is made (RFC 7636)', '{s256,plain}');
    RETURN NEXT mentalspace.provision_table(owner, 'auth', 'mfa_factors', 'second factors of users', $t$
        id uuid NOT NULL
        user_id uuid NOT NULL
        friendly_name text
        factor_type auth.factor_type NOT NULL
        status auth.factor_status NOT NULL
        created_at timestamptz NOT NULL
        updated_at timestamptz NOT NULL
        secret text
        phone text
        last_challenged_at timestamptz
        web_authn_credential jsonb
        web_authn_aaguid uuid
        last_webauthn_challenge_data jsonb
        CONSTRAINT mfa_factors_pkey PRIMARY KEY (id)
        CONSTRAINT mfa_factors_last_challenged_at_key UNIQUE (last_challenged_at)
        CONSTRAINT mfa_factors_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE CASCADE
        INDEX factor_id_created_at_idx (user_id, created_at)
        UNIQUE INDEX mfa_factors_user_friendly_name_unique (friendly_name, user_id) WHERE (btrim(friendly_name) <> '')
        INDEX mfa_factors_user_id_idx (user_id)
        UNIQUE INDEX unique_phone_factor_per_user (user_id, phone)
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'auth', 'mfa_challenges', 'challenges sent for a second factor', $t$
        id uuid NOT NULL
        factor_id uuid NOT NULL
        created_at timestamptz NOT NULL
        verified_at timestamptz
        ip_address inet NOT NULL
        otp_code text
        web_authn_session_data jsonb
        CONSTRAINT mfa_challenges_pkey PRIMARY KEY (id)
        CONSTRAINT mfa_challenges_auth_factor_id_fkey FOREIGN KEY (factor_id) REFERENCES auth.mfa_factors(id) ON DELETE CASCADE
        INDEX mfa_challenge_created_at_idx (created_at DESC)
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'auth', 'mfa_amr_claims', 'how each session was authenticated', $t$
        session_id uuid NOT NULL
        created_at timestamptz NOT NULL
        updated_at timestamptz NOT NULL
        authentication_method text NOT NULL
        id uuid NOT NULL
        CONSTRAINT amr_id_pk PRIMARY KEY (id)
        CONSTRAINT mfa_amr_claims_session_id_authentication_method_pkey UNIQUE (session_id, authentication_method)
        CONSTRAINT mfa_amr_claims_session_id_fkey FOREIGN KEY (session_id) REFERENCES auth.sessions(id) ON DELETE CASCADE
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'auth', 'webauthn_credentials', 'passkeys of users', $t$
        id uuid DEFAULT gen_random_uuid() NOT NULL
        user_id uuid NOT NULL
        credential_id bytea NOT NULL
        public_key bytea NOT NULL
        attestation_type text DEFAULT '' NOT NULL
        aaguid uuid
        sign_count bigint DEFAULT 0 NOT NULL
        transports jsonb DEFAULT '[]' NOT NULL
        backup_eligible boolean DEFAULT false NOT NULL
        backed_up boolean DEFAULT false NOT NULL
        friendly_name text DEFAULT '' NOT NULL
        created_at timestamptz DEFAULT now() NOT NULL
        updated_at timestamptz DEFAULT now() NOT NULL
        last_used_at timestamptz
        CONSTRAINT webauthn_credentials_pkey PRIMARY KEY (id)
        CONSTRAINT webauthn_credentials_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE CASCADE
        UNIQUE INDEX webauthn_credentials_credential_id_key (credential_id)
        INDEX webauthn_credentials_user_id_idx (user_id)
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'auth', 'webauthn_challenges', 'passkey challenges under way', $t$
        id uuid DEFAULT gen_random_uuid() NOT NULL
        user_id uuid
        challenge_type text NOT NULL
        session_data jsonb NOT NULL
        created_at timestamptz DEFAULT now() NOT NULL
        expires_at timestamptz NOT NULL
        CONSTRAINT webauthn_challenges_pkey PRIMARY KEY (id)
        CONSTRAINT webauthn_challenges_challenge_type_check CHECK (challenge_type IN ('signup', 'registration', 'authentication'))
        CONSTRAINT webauthn_challenges_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE CASCADE
        INDEX webauthn_challenges_expires_at_idx (expires_at)
        INDEX webauthn_challenges_user_id_idx (user_id)
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'auth', 'flow_state', 'sign-ins under way (PKCE)', $t$
        id uuid NOT NULL
        user_id uuid
        auth_code text
        code_challenge_method auth.code_challenge_method
        code_challenge text
        provider_type text NOT NULL
        provider_access_token text
        provider_refresh_token text
        created_at timestamptz
        updated_at timestamptz
        auth_code_issued_at timestamptz
        invite_token text
        referrer text
        oauth_client_state_id uuid
        linking_target_id uuid
        email_optional boolean DEFAULT false NOT NULL
        authentication_method text NOT NULL
        CONSTRAINT flow_state_pkey PRIMARY KEY (id)
        INDEX flow_state_created_at_idx (created_at DESC)
        INDEX idx_auth_code (auth_code)
        INDEX idx_user_id_auth_method (user_id, authentication_method)
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'auth', 'sso_providers', 'single sign-on providers', $t$
        id uuid NOT NULL
        resource_id text
        created_at timestamptz
        updated_at timestamptz
        disabled boolean
        CONSTRAINT sso_providers_pkey PRIMARY KEY (id)
        CONSTRAINT "resource_id not empty" CHECK (resource_id IS NULL OR length(resource_id) > 0)
        UNIQUE INDEX sso_providers_resource_id_idx (lower(resource_id))
        INDEX sso_providers_resource_id_pattern_idx (resource_id text_pattern_ops)
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'auth', 'sso_domains', 'mail domains of single sign-on providers',
            $t$
        id uuid NOT NULL
        sso_provider_id uuid NOT NULL
        domain text NOT NULL
        created_at timestamptz
        updated_at timestamptz
        CONSTRAINT sso_domains_pkey PRIMARY KEY (id)
        CONSTRAINT "domain not empty" CHECK (length(domain) > 0)
        CONSTRAINT sso_domains_sso_provider_id_fkey FOREIGN KEY (sso_provider_id) REFERENCES auth.sso_providers(id) ON DELETE CASCADE
        UNIQUE INDEX sso_domains_domain_idx (lower(domain))
        INDEX sso_domains_sso_provider_id_idx (sso_provider_id)
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'auth', 'saml_providers',
            'SAML metadata of single sign-on providers', $t$
        id uuid NOT NULL
        sso_provider_id uuid NOT NULL
        entity_id text NOT NULL
        metadata_xml text NOT NULL
        metadata_url text
        attribute_mapping jsonb
        created_at timestamptz
        updated_at timestamptz
        name_id_format text
        CONSTRAINT saml_providers_pkey PRIMARY KEY (id)
        CONSTRAINT saml_providers_entity_id_key UNIQUE (entity_id)
        CONSTRAINT "entity_id not empty" CHECK (length(entity_id) > 0)
        CONSTRAINT "metadata_url not empty" CHECK (metadata_url IS NULL OR length(metadata_url) > 0)
        CONSTRAINT "metadata_xml not empty" CHECK (length(metadata_xml) > 0)
        CONSTRAINT saml_providers_sso_provider_id_fkey FOREIGN KEY (sso_provider_id) REFERENCES auth.sso_providers(id) ON DELETE CASCADE
        INDEX saml_providers_sso_provider_id_idx (sso_provider_id)
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'auth', 'saml_relay_states', 'SAML sign-ins under way', $t$
        id uuid NOT NULL
        sso_provider_id uuid NOT NULL
        request_id text NOT NULL
        for_email text
        redirect_to text
        created_at timestamptz
        updated_at timestamptz
        flow_state_id uuid
        CONSTRAINT saml_relay_states_pkey PRIMARY KEY (id)
        CONSTRAINT "request_id not empty" CHECK (length(request_id) > 0)
        CONSTRAINT saml_relay_states_flow_state_id_fkey FOREIGN KEY (flow_state_id) REFERENCES auth.flow_state(id) ON DELETE CASCADE
        CONSTRAINT saml_relay_states_sso_provider_id_fkey FOREIGN KEY (sso_provider_id) REFERENCES auth.sso_providers(id) ON DELETE CASCADE
        INDEX saml_relay_states_created_at_idx (created_at DESC)
        INDEX saml_relay_states_for_email_idx (for_email)
        INDEX saml_relay_states_sso_provider_id_idx (sso_provider_id)
    $t$);
END
$$;
COMMENT ON FUNCTION mentalspace.provision_auth_factors(name) IS 'internal to provision(): second factors and single sign-on';

-- ---- provision/auth_oauth.sql
-- provision(), component auth: OAuth, as server and as client, in the present shape of Supabase Auth.
CREATE FUNCTION mentalspace.provision_auth_clients(owner name) RETURNS SETOF mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RETURN NEXT mentalspace.provision_enum(owner, 'auth', 'oauth_registration_type',
            'how an OAuth client was registered', '{dynamic,manual}');
    RETURN NEXT mentalspace.provision_enum(owner, 'auth', 'oauth_client_type',
            'whether an OAuth client can keep a secret', '{public,confidential}');
    RETURN NEXT mentalspace.provision_table(owner, 'auth', 'oauth_clients',
            'applications that may use this project as their OAuth server', $t$
        id uuid NOT NULL
        client_secret_hash text
        registration_type auth.oauth_registration_type NOT NULL
        redirect_uris text NOT NULL
        grant_types text NOT NULL
        client_name text
        client_uri text
        logo_uri text
        created_at timestamptz DEFAULT now() NOT NULL
        updated_at timestamptz DEFAULT now() NOT NULL
        deleted_at timestamptz
        client_type auth.oauth_client_type DEFAULT 'confidential' NOT NULL
        token_endpoint_auth_method text NOT NULL
        CONSTRAINT oauth_clients_pkey PRIMARY KEY (id)
        CONSTRAINT oauth_clients_client_name_length CHECK (length(client_name) <= 1024)
        CONSTRAINT oauth_clients_client_uri_length CHECK (length(client_uri) <= 2048)
        CONSTRAINT oauth_clients_logo_uri_length CHECK (length(logo_uri) <= 2048)
        CONSTRAINT oauth_clients_token_endpoint_auth_method_check CHECK (token_endpoint_auth_method IN ('client_secret_basic', 'client_secret_post', 'none'))
        INDEX oauth_clients_deleted_at_idx (deleted_at)
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'auth', 'oauth_client_states',
            'sign-ins under way at other OAuth servers', $t$
        id uuid NOT NULL
        provider_type text NOT NULL
        code_verifier text
        created_at timestamptz NOT NULL
        CONSTRAINT oauth_client_states_pkey PRIMARY KEY (id)
        INDEX idx_oauth_client_states_created_at (created_at)
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'auth', 'custom_oauth_providers',
            'OAuth and OpenID Connect providers added by the project', $t$
        id uuid DEFAULT gen_random_uuid() NOT NULL
        provider_type text NOT NULL
        identifier text NOT NULL
        name text NOT NULL
        client_id text NOT NULL
        client_secret text NOT NULL
        acceptable_client_ids text[] DEFAULT '{}' NOT NULL
        scopes text[] DEFAULT '{}' NOT NULL
        pkce_enabled boolean DEFAULT true NOT NULL
        attribute_mapping jsonb DEFAULT '{}' NOT NULL
        authorization_params jsonb DEFAULT '{}' NOT NULL
        enabled boolean DEFAULT true NOT NULL
        email_optional boolean DEFAULT false NOT NULL
        issuer text
        discovery_url text
        skip_nonce_check boolean DEFAULT false NOT NULL
        cached_discovery jsonb
        discovery_cached_at timestamptz
        authorization_url text
        token_url text
        userinfo_url text
        jwks_uri text
        created_at timestamptz DEFAULT now() NOT NULL
        updated_at timestamptz DEFAULT now() NOT NULL
        custom_claims_allowlist text[] DEFAULT '{}' NOT NULL
        CONSTRAINT custom_oauth_providers_pkey PRIMARY KEY (id)
        CONSTRAINT custom_oauth_providers_identifier_key UNIQUE (identifier)
        CONSTRAINT custom_oauth_providers_authorization_url_https CHECK (authorization_url IS NULL OR authorization_url LIKE 'https://%')
        CONSTRAINT custom_oauth_providers_authorization_url_length CHECK (authorization_url IS NULL OR length(authorization_url) <= 2048)
        CONSTRAINT custom_oauth_providers_client_id_length CHECK (length(client_id) >= 1 AND length(client_id) <= 512)
        CONSTRAINT custom_oauth_providers_discovery_url_length CHECK (discovery_url IS NULL OR length(discovery_url) <= 2048)
        CONSTRAINT custom_oauth_providers_identifier_format CHECK (identifier ~ '^[a-z0-9][a-z0-9:-]{0,48}[a-z0-9]$')
        CONSTRAINT custom_oauth_providers_issuer_length CHECK (issuer IS NULL OR (length(issuer) >= 1 AND length(issuer) <= 2048))
        CONSTRAINT custom_oauth_providers_jwks_uri_https CHECK (jwks_uri IS NULL OR jwks_uri LIKE 'https://%')
        CONSTRAINT custom_oauth_providers_jwks_uri_length CHECK (jwks_uri IS NULL OR length(jwks_uri) <= 2048)
        CONSTRAINT custom_oauth_providers_name_length CHECK (length(name) >= 1 AND length(name) <= 100)
        CONSTRAINT custom_oauth_providers_oauth2_requires_endpoints CHECK (provider_type <> 'oauth2' OR (authorization_url IS NOT NULL AND token_url IS NOT NULL AND userinfo_url IS NOT NULL))
        CONSTRAINT custom_oauth_providers_oidc_discovery_url_https CHECK (provider_type <> 'oidc' OR discovery_url IS NULL OR discovery_url LIKE 'https://%')
        CONSTRAINT custom_oauth_providers_oidc_issuer_https CHECK (provider_type <> 'oidc' OR issuer IS NULL OR issuer LIKE 'https://%')
        CONSTRAINT custom_oauth_providers_oidc_requires_issuer CHECK (provider_type <> 'oidc' OR issuer IS NOT NULL)
        CONSTRAINT custom_oauth_providers_provider_type_check CHECK (provider_type IN ('oauth2', 'oidc'))
        CONSTRAINT custom_oauth_providers_token_url_https CHECK (token_url IS NULL OR token_url LIKE 'https://%')
        CONSTRAINT custom_oauth_providers_token_url_length CHECK (token_url IS NULL OR length(token_url) <= 2048)
        CONSTRAINT custom_oauth_providers_userinfo_url_https CHECK (userinfo_url IS NULL OR userinfo_url LIKE 'https://%')
        CONSTRAINT custom_oauth_providers_userinfo_url_length CHECK (userinfo_url IS NULL OR length(userinfo_url) <= 2048)
        INDEX custom_oauth_providers_created_at_idx (created_at)
        INDEX custom_oauth_providers_enabled_idx (enabled)
        INDEX custom_oauth_providers_identifier_idx (identifier)
        INDEX custom_oauth_providers_provider_type_idx (provider_type)
    $t$);
END
$$;
COMMENT ON FUNCTION mentalspace.provision_auth_clients(name) IS 'internal to provision(): OAuth clients and providers';

CREATE FUNCTION mentalspace.provision_auth_grants(owner name) RETURNS SETOF mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RETURN NEXT mentalspace.provision_enum(owner, 'auth', 'oauth_authorization_status',
            'state of an OAuth authorization', '{pending,approved,denied,expired}');
    RETURN NEXT mentalspace.provision_enum(owner, 'auth', 'oauth_response_type',
            'what an OAuth authorization answers with', '{code}');
    RETURN NEXT mentalspace.provision_table(owner, 'auth', 'oauth_authorizations',
            'OAuth authorizations asked of users', $t$
        id uuid NOT NULL
        authorization_id text NOT NULL
        client_id uuid NOT NULL
        user_id uuid
        redirect_uri text NOT NULL
        scope text NOT NULL
        state text
        resource text
        code_challenge text
        code_challenge_method auth.code_challenge_method
        response_type auth.oauth_response_type DEFAULT 'code' NOT NULL
        status auth.oauth_authorization_status DEFAULT 'pending' NOT NULL
        authorization_code text
        created_at timestamptz DEFAULT now() NOT NULL
        expires_at timestamptz DEFAULT (now() + interval '3 minutes') NOT NULL
        approved_at timestamptz
        nonce text
        CONSTRAINT oauth_authorizations_pkey PRIMARY KEY (id)
        CONSTRAINT oauth_authorizations_authorization_code_key UNIQUE (authorization_code)
        CONSTRAINT oauth_authorizations_authorization_id_key UNIQUE (authorization_id)
        CONSTRAINT oauth_authorizations_authorization_code_length CHECK (length(authorization_code) <= 255)
        CONSTRAINT oauth_authorizations_code_challenge_length CHECK (length(code_challenge) <= 128)
        CONSTRAINT oauth_authorizations_expires_at_future CHECK (expires_at > created_at)
        CONSTRAINT oauth_authorizations_nonce_length CHECK (length(nonce) <= 255)
        CONSTRAINT oauth_authorizations_redirect_uri_length CHECK (length(redirect_uri) <= 2048)
        CONSTRAINT oauth_authorizations_resource_length CHECK (length(resource) <= 2048)
        CONSTRAINT oauth_authorizations_scope_length CHECK (length(scope) <= 4096)
        CONSTRAINT oauth_authorizations_state_length CHECK (length(state) <= 4096)
        CONSTRAINT oauth_authorizations_client_id_fkey FOREIGN KEY (client_id) REFERENCES auth.oauth_clients(id) ON DELETE CASCADE
        CONSTRAINT oauth_authorizations_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE CASCADE
        INDEX oauth_auth_pending_exp_idx (expires_at) WHERE (status = 'pending')
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'auth', 'oauth_consents', 'OAuth consents that users gave', $t$
        id uuid NOT NULL
        user_id uuid NOT NULL
        client_id uuid NOT NULL
        scopes text NOT NULL
        granted_at timestamptz DEFAULT now() NOT NULL
        revoked_at timestamptz
        CONSTRAINT oauth_consents_pkey PRIMARY KEY (id)
        CONSTRAINT oauth_consents_user_client_unique UNIQUE (user_id, client_id)
        CONSTRAINT oauth_consents_revoked_after_granted CHECK (revoked_at IS NULL OR revoked_at >= granted_at)
        CONSTRAINT oauth_consents_scopes_length CHECK (length(scopes) <= 2048)
        CONSTRAINT oauth_consents_scopes_not_empty CHECK (length(btrim(scopes)) > 0)
        CONSTRAINT oauth_consents_client_id_fkey FOREIGN KEY (client_id) REFERENCES auth.oauth_clients(id) ON DELETE CASCADE
        CONSTRAINT oauth_consents_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE CASCADE
        INDEX oauth_consents_active_client_idx (client_id) WHERE (revoked_at IS NULL)
        INDEX oauth_consents_active_user_client_idx (user_id, client_id) WHERE (revoked_at IS NULL)
        INDEX oauth_consents_user_order_idx (user_id, granted_at DESC)
    $t$);
END
$$;
COMMENT ON FUNCTION mentalspace.provision_auth_grants(name) IS 'internal to provision(): OAuth authorizations and consents';

-- ---- provision/auth.sql
-- provision(), component auth: schema auth with all tables of Supabase Auth.  auth.uid() and its siblings belong to the
-- extension; the tables belong to the user, so that pg_dump takes them with their rows, triggers and policies.
CREATE FUNCTION mentalspace.provision_auth(owner name) RETURNS SETOF mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    exposed text;
    helper regprocedure := 'mentalspace.roles_of(uuid)'::regprocedure;
BEGIN
    RETURN NEXT mentalspace.provision_schema(owner, 'auth', 'Supabase Auth: users and the identity of the request');
    RETURN NEXT mentalspace.provision_grant(owner, 'SCHEMA', 'auth', '{USAGE}',
        '{anon,authenticated,service_role,supabase_auth_admin,supabase_storage_admin,supabase_realtime_admin,dashboard_user}');
    RETURN QUERY SELECT * FROM mentalspace.provision_auth_clients(owner);
    RETURN QUERY SELECT * FROM mentalspace.provision_auth_users(owner);
    RETURN QUERY SELECT * FROM mentalspace.provision_auth_factors(owner);
    RETURN QUERY SELECT * FROM mentalspace.provision_auth_grants(owner);
    -- A restored or hand-made table may be open; that may be meant, so it is said and not changed.
    SELECT string_agg(format('%s (%s)', c.relname, r.rolname), ', ' ORDER BY c.relname, r.rolname) INTO exposed
      FROM pg_class c, pg_roles r
     WHERE c.relnamespace = 'auth'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')
       AND r.rolname IN ('anon', 'authenticated') AND NOT r.rolsuper AND has_any_column_privilege(r.oid, c.oid,
               'SELECT');
    RETURN NEXT ('check', 'tables of auth are closed to anon and authenticated', 'found',
                 'WARNING: readable: ' || exposed)::mentalspace.provision_step;
    -- roles_of() reads the table of roles as the function's owner: as the owner of that table, not as a superuser.
    IF (SELECT rolsuper FROM pg_roles WHERE rolname = owner)
       OR (SELECT pg_get_userbyid(proowner) = owner FROM pg_proc WHERE oid = helper) THEN
        RETURN NEXT ('owner of function', helper::text, 'found', NULL)::mentalspace.provision_step;
    ELSE
        BEGIN
            -- For the moment of the change, the new owner must be allowed to create in the schema.
            EXECUTE format('GRANT CREATE ON SCHEMA mentalspace TO %I', owner);
            EXECUTE format('ALTER FUNCTION %s OWNER TO %I', helper, owner);
            EXECUTE format('REVOKE CREATE ON SCHEMA mentalspace FROM %I', owner);
            RETURN NEXT ('owner of function', helper::text, 'changed', format('now belongs to "%s"',
                    owner))::mentalspace.provision_step;
        EXCEPTION WHEN insufficient_privilege THEN
            RETURN NEXT ('owner of function', helper::text, 'skipped', sqlerrm)::mentalspace.provision_step;
        END;
    END IF;
    RETURN NEXT mentalspace.provision_preload();
END
$$;
COMMENT ON FUNCTION mentalspace.provision_auth(name) IS
    'component auth of provision(): schema auth with the tables of Supabase Auth (users, identities, sessions, factors, single sign-on, OAuth), closed to anon and authenticated; the library preloaded in sessions of this database';

-- The library is loaded at the start of each session of this database, so that claims set before the first call of
-- auth.uid() are seen by it.  Libraries that are in the list stay.
CREATE FUNCTION mentalspace.provision_preload() RETURNS mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    step mentalspace.provision_step := ('database setting', 'session_preload_libraries', 'found', NULL);
    library text;
    before text;
BEGIN
    SELECT probin INTO library FROM pg_proc WHERE oid = 'auth.uid()'::regprocedure;
    IF library IS NULL THEN
        step.state := 'skipped';
        step.detail := 'this flavour has no library';
        RETURN step;
    END IF;
    SELECT substr(c, strpos(c, '=') + 1) INTO before
      FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) AS c
     WHERE d.datname = current_database() AND s.setrole = 0 AND c LIKE 'session\_preload\_libraries=%';
    -- A setting of the database replaces the server's own: start from that one.
    before := coalesce(before, (SELECT reset_val FROM pg_settings WHERE name = 'session_preload_libraries'), '');
    IF concat_ws(',', before, current_setting('shared_preload_libraries')) ~ '(^|[,/" ])mentalspace($|[," ])' THEN
        RETURN step;
    END IF;
    -- A library that cannot be found would close the database to everybody: only a name that loads is written down.
    BEGIN
        LOAD 'mentalspace';
        library := 'mentalspace';
    EXCEPTION WHEN undefined_file THEN
        EXECUTE format('LOAD %L', library);
    END;
    PERFORM set_config('session_preload_libraries', concat_ws(', ', nullif(before, ''), library), true);
    EXECUTE format('ALTER DATABASE %I SET session_preload_libraries FROM CURRENT', current_database());
    step.state := CASE before WHEN '' THEN 'made' ELSE 'changed' END;
    step.detail := concat_ws(', ', nullif(before, ''), library);
    RETURN step;
EXCEPTION
    WHEN insufficient_privilege THEN
        RETURN ('database setting', 'session_preload_libraries', 'skipped',
                'only a superuser can set it: the library is loaded by the first call of auth.uid()')::mentalspace.provision_step;
    WHEN undefined_file THEN
        RETURN ('database setting', 'session_preload_libraries', 'skipped', sqlerrm)::mentalspace.provision_step;
END
$$;
COMMENT ON FUNCTION mentalspace.provision_preload() IS 'internal to provision(): session_preload_libraries of the database';

-- ---- provision/storage_tables.sql
-- provision(), component storage: the tables of Supabase Storage in their present shape.
CREATE FUNCTION mentalspace.provision_storage_tables(owner name) RETURNS SETOF mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RETURN NEXT mentalspace.provision_enum(owner, 'storage', 'buckettype', 'kinds of buckets',
            '{STANDARD,ANALYTICS,VECTOR}');
    RETURN NEXT mentalspace.provision_table(owner, 'storage', 'buckets', 'buckets of files', $t$
        id text NOT NULL
        name text NOT NULL
        owner uuid
        created_at timestamptz DEFAULT now()
        updated_at timestamptz DEFAULT now()
        public boolean DEFAULT false
        avif_autodetection boolean DEFAULT false
        file_size_limit bigint
        allowed_mime_types text[]
        owner_id text
        type storage.buckettype DEFAULT 'STANDARD' NOT NULL
        versioning_status text DEFAULT 'DISABLED' NOT NULL
        CONSTRAINT buckets_pkey PRIMARY KEY (id)
        CONSTRAINT buckets_versioning_dark_check CHECK (versioning_status = 'DISABLED')
        CONSTRAINT buckets_versioning_standard_only_check CHECK (type = 'STANDARD' OR versioning_status = 'DISABLED')
        CONSTRAINT buckets_versioning_status_check CHECK (versioning_status IN ('DISABLED', 'ENABLED', 'SUSPENDED'))
        UNIQUE INDEX bname (name)
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'storage', 'objects',
            'files: metadata and path; the policies here guard the files', $t$
        id uuid DEFAULT gen_random_uuid() NOT NULL
        bucket_id text
        name text
        owner uuid
        created_at timestamptz DEFAULT now()
        updated_at timestamptz DEFAULT now()
        last_accessed_at timestamptz DEFAULT now()
        metadata jsonb
        path_tokens text[] GENERATED ALWAYS AS (string_to_array(name, '/')) STORED
        version text
        owner_id text
        user_metadata jsonb
        archived_at timestamptz
        is_delete_marker boolean DEFAULT false NOT NULL
        is_versioned boolean DEFAULT false NOT NULL
        CONSTRAINT objects_pkey PRIMARY KEY (id)
        CONSTRAINT "objects_bucketId_fkey" FOREIGN KEY (bucket_id) REFERENCES storage.buckets(id)
        UNIQUE INDEX bucketid_objname (bucket_id, name)
        INDEX idx_objects_bucket_id_name (bucket_id, name COLLATE "C")
        INDEX idx_objects_bucket_id_name_lower (bucket_id, lower(name) COLLATE "C")
        INDEX name_prefix_search (name text_pattern_ops)
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'storage', 'migrations',
            'migrations of Supabase Storage that were applied', $t$
        id integer NOT NULL
        name varchar(100) NOT NULL
        hash varchar(40) NOT NULL
        executed_at timestamp DEFAULT now()
        CONSTRAINT migrations_pkey PRIMARY KEY (id)
        CONSTRAINT migrations_name_key UNIQUE (name)
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'storage', 's3_multipart_uploads',
            'uploads in parts that are under way', $t$
        id text NOT NULL
        in_progress_size bigint DEFAULT 0 NOT NULL
        upload_signature text NOT NULL
        bucket_id text NOT NULL
        key text NOT NULL COLLATE "C"
        version text NOT NULL
        owner_id text
        created_at timestamptz DEFAULT now() NOT NULL
        user_metadata jsonb
        metadata jsonb
        CONSTRAINT s3_multipart_uploads_pkey PRIMARY KEY (id)
        CONSTRAINT s3_multipart_uploads_bucket_id_fkey FOREIGN KEY (bucket_id) REFERENCES storage.buckets(id)
        INDEX idx_multipart_uploads_list (bucket_id, key, created_at)
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'storage', 's3_multipart_uploads_parts',
            'parts of uploads that have arrived', $t$
        id uuid DEFAULT gen_random_uuid() NOT NULL
        upload_id text NOT NULL
        size bigint DEFAULT 0 NOT NULL
        part_number integer NOT NULL
        bucket_id text NOT NULL
        key text NOT NULL COLLATE "C"
        etag text NOT NULL
        owner_id text
        version text NOT NULL
        created_at timestamptz DEFAULT now() NOT NULL
        CONSTRAINT s3_multipart_uploads_parts_pkey PRIMARY KEY (id)
        CONSTRAINT s3_multipart_uploads_parts_bucket_id_fkey FOREIGN KEY (bucket_id) REFERENCES storage.buckets(id)
        CONSTRAINT s3_multipart_uploads_parts_upload_id_fkey FOREIGN KEY (upload_id) REFERENCES storage.s3_multipart_uploads(id) ON DELETE CASCADE
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'storage', 'buckets_analytics',
            'analytics buckets (Iceberg catalogs)', $t$
        name text NOT NULL
        type storage.buckettype DEFAULT 'ANALYTICS' NOT NULL
        format text DEFAULT 'ICEBERG' NOT NULL
        created_at timestamptz DEFAULT now() NOT NULL
        updated_at timestamptz DEFAULT now() NOT NULL
        id uuid DEFAULT gen_random_uuid() NOT NULL
        deleted_at timestamptz
        CONSTRAINT buckets_analytics_pkey PRIMARY KEY (id)
        UNIQUE INDEX buckets_analytics_unique_name_idx (name) WHERE (deleted_at IS NULL)
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'storage', 'iceberg_namespaces', 'namespaces of Iceberg catalogs',
            $t$
        id uuid DEFAULT gen_random_uuid() NOT NULL
        bucket_name text NOT NULL
        name text NOT NULL COLLATE "C"
        created_at timestamptz DEFAULT now() NOT NULL
        updated_at timestamptz DEFAULT now() NOT NULL
        metadata jsonb DEFAULT '{}' NOT NULL
        catalog_id uuid NOT NULL
        CONSTRAINT iceberg_namespaces_pkey PRIMARY KEY (id)
        CONSTRAINT iceberg_namespaces_catalog_id_fkey FOREIGN KEY (catalog_id) REFERENCES storage.buckets_analytics(id) ON DELETE CASCADE
        UNIQUE INDEX idx_iceberg_namespaces_bucket_id (catalog_id, name)
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'storage', 'iceberg_tables', 'tables of Iceberg catalogs', $t$
        id uuid DEFAULT gen_random_uuid() NOT NULL
        namespace_id uuid NOT NULL
        bucket_name text NOT NULL
        name text NOT NULL COLLATE "C"
        location text NOT NULL
        created_at timestamptz DEFAULT now() NOT NULL
        updated_at timestamptz DEFAULT now() NOT NULL
        remote_table_id text
        shard_key text
        shard_id text
        catalog_id uuid NOT NULL
        CONSTRAINT iceberg_tables_pkey PRIMARY KEY (id)
        CONSTRAINT iceberg_tables_catalog_id_fkey FOREIGN KEY (catalog_id) REFERENCES storage.buckets_analytics(id) ON DELETE CASCADE
        CONSTRAINT iceberg_tables_namespace_id_fkey FOREIGN KEY (namespace_id) REFERENCES storage.iceberg_namespaces(id) ON DELETE CASCADE
        UNIQUE INDEX idx_iceberg_tables_location (location)
        UNIQUE INDEX idx_iceberg_tables_namespace_id (catalog_id, namespace_id, name)
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'storage', 'buckets_vectors', 'vector buckets', $t$
        id text NOT NULL
        type storage.buckettype DEFAULT 'VECTOR' NOT NULL
        created_at timestamptz DEFAULT now() NOT NULL
        updated_at timestamptz DEFAULT now() NOT NULL
        CONSTRAINT buckets_vectors_pkey PRIMARY KEY (id)
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'storage', 'vector_indexes', 'indexes of vector buckets', $t$
        id text DEFAULT gen_random_uuid() NOT NULL
        name text NOT NULL COLLATE "C"
        bucket_id text NOT NULL
        data_type text NOT NULL
        dimension integer NOT NULL
        distance_metric text NOT NULL
        metadata_configuration jsonb
        created_at timestamptz DEFAULT now() NOT NULL
        updated_at timestamptz DEFAULT now() NOT NULL
        CONSTRAINT vector_indexes_pkey PRIMARY KEY (id)
        CONSTRAINT vector_indexes_bucket_id_fkey FOREIGN KEY (bucket_id) REFERENCES storage.buckets_vectors(id)
        UNIQUE INDEX vector_indexes_name_bucket_id_idx (name, bucket_id)
    $t$);
END
$$;
COMMENT ON FUNCTION mentalspace.provision_storage_tables(name) IS 'internal to provision(): tables of buckets and files';

-- ---- provision/storage.sql
-- provision(), component storage: buckets and files, and the functions that policies on them call.  The files themselves
-- are kept by Supabase Storage or whatever takes its place; the database holds their metadata and guards them.
CREATE FUNCTION mentalspace.provision_storage_functions(owner name) RETURNS SETOF mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RETURN NEXT mentalspace.provision_function(owner, 'storage.foldername(text)', 'folders of a path, outermost first',
            $f$(name text)
        RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
        RETURN (string_to_array(name, '/'))[1:array_length(string_to_array(name, '/'), 1) - 1]$f$);
    RETURN NEXT mentalspace.provision_function(owner, 'storage.filename(text)', 'the last part of a path',
            $f$(name text)
        RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
        RETURN (string_to_array(name, '/'))[array_length(string_to_array(name, '/'), 1)]$f$);
    RETURN NEXT mentalspace.provision_function(owner, 'storage.extension(text)',
            'what follows the last dot of the last part of a path', $f$(name text)
        RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
        RETURN split_part((string_to_array(name, '/'))[array_length(string_to_array(name, '/'), 1)], '.', -1)$f$);
    RETURN NEXT mentalspace.provision_function(owner, 'storage.operation()',
            'the operation of Supabase Storage that this request is', $f$()
        RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
        RETURN current_setting('storage.operation', true)$f$);
    RETURN NEXT mentalspace.provision_function(owner, 'storage.allow_any_operation(text[])',
            'whether this request is one of these operations', $f$(expected_operations text[])
        RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
        RETURN coalesce(regexp_replace(storage.operation(), '^storage\.', '') IN
            (SELECT regexp_replace(o, '^storage\.', '') FROM unnest(expected_operations) AS o WHERE o <> ''),
                    false)$f$);
    RETURN NEXT mentalspace.provision_function(owner, 'storage.allow_only_operation(text)',
            'whether this request is this operation', $f$(expected_operation text)
        RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
        RETURN storage.allow_any_operation(ARRAY[expected_operation])$f$);
    RETURN NEXT mentalspace.provision_function(owner, 'storage.get_common_prefix(text, text, text)',
            'the folder below p_prefix that p_key is in, NULL where it is in none', $f$(p_key text, p_prefix text,
            p_delimiter text)
        RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
        RETURN CASE WHEN strpos(substr(p_key, length(p_prefix) + 1), p_delimiter) > 0
                    THEN left(p_key, length(p_prefix) + strpos(substr(p_key, length(p_prefix) + 1),
                            p_delimiter)) END$f$);
    RETURN NEXT mentalspace.provision_function(owner, 'storage.get_size_by_bucket()', 'bytes in each bucket', $f$()
        RETURNS TABLE (size bigint, bucket_id text) LANGUAGE sql STABLE PARALLEL SAFE
        BEGIN ATOMIC
            SELECT sum((o.metadata ->> 'size')::bigint)::bigint, o.bucket_id
                    FROM storage.objects o GROUP BY o.bucket_id;
        END$f$);
    RETURN NEXT mentalspace.provision_function(owner, 'storage.can_insert_object(text, text, uuid, jsonb)',
            'tries an insert under the caller''s policies and takes it back: ends with SQLSTATE PT200 where it is allowed', $f$(bucketid text, name text, owner uuid, metadata jsonb)
        RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
        AS $body$
        BEGIN
            INSERT INTO storage.objects (bucket_id, name, owner, metadata) VALUES (bucketid, name, owner, metadata);
            RAISE EXCEPTION 'ROLLBACK' USING ERRCODE = 'PT200', DETAIL = 'The insert is allowed and was taken back.';
        END
        $body$ $f$);
    RETURN NEXT mentalspace.provision_function(owner,
            'storage.search(text, text, integer, integer, integer, text, text, text)',
            'files and folders of a bucket at a level below a prefix', $f$(
            prefix text, bucketname text, limits integer DEFAULT 100, levels integer DEFAULT 1,
                    offsets integer DEFAULT 0,
            search text DEFAULT '', sortcolumn text DEFAULT 'name', sortorder text DEFAULT 'asc')
        RETURNS TABLE (name text, id uuid, updated_at timestamptz, created_at timestamptz, last_accessed_at timestamptz,
                metadata jsonb)
        LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
        AS $body$
        DECLARE
            wanted text := lower(replace(replace(replace(concat(prefix, search), '\', '\\'), '%', '\%'), '_',
                    '\_')) || '%';
            column_name text := CASE WHEN lower(sortcolumn) IN ('updated_at', 'created_at', 'last_accessed_at')
                    THEN lower(sortcolumn) ELSE 'name' END;
            direction text := CASE lower(sortorder) WHEN 'desc' THEN 'DESC' ELSE 'ASC' END;
        BEGIN
            RETURN QUERY EXECUTE format($q$
                SELECT e.name, e.id, e.updated_at, e.created_at, e.last_accessed_at, e.metadata
                  FROM (SELECT DISTINCT o.path_tokens[$1] AS name, NULL::uuid AS id, NULL::timestamptz AS updated_at,
                               NULL::timestamptz AS created_at, NULL::timestamptz AS last_accessed_at,
                                       NULL::jsonb AS metadata
                          FROM storage.objects o
                         WHERE o.bucket_id = $2 AND lower(o.name) LIKE $3 AND array_length(o.path_tokens, 1) > $1
                        UNION ALL
                        SELECT o.path_tokens[$1], o.id, o.updated_at, o.created_at, o.last_accessed_at, o.metadata
                          FROM storage.objects o
                         WHERE o.bucket_id = $2 AND lower(o.name) LIKE $3 AND array_length(o.path_tokens, 1) = $1) AS e
                 ORDER BY %s %s NULLS FIRST, e.name LIMIT $4 OFFSET $5$q$,
                CASE column_name WHEN 'name' THEN 'e.name COLLATE "C"' ELSE 'e.' || column_name END, direction)
                USING levels, bucketname, wanted, limits, offsets;
        END
        $body$ $f$);
    RETURN NEXT mentalspace.provision_function(owner, 'storage.update_updated_at_column()', 'trigger: sets updated_at',
            $f$()
        RETURNS trigger LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
        AS $body$ BEGIN new.updated_at := now(); RETURN new; END $body$ $f$);
    RETURN NEXT mentalspace.provision_function(owner, 'storage.enforce_bucket_name_length()',
            'trigger: refuses names of buckets over 100 characters', $f$()
        RETURNS trigger LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
        AS $body$
        BEGIN
            IF length(new.name) > 100 THEN
                RAISE EXCEPTION 'name of bucket is too long' USING ERRCODE = 'string_data_right_truncation',
                    DETAIL = format('It has %s characters; 100 are allowed.', length(new.name));
            END IF;
            RETURN new;
        END
        $body$ $f$);
END
$$;
COMMENT ON FUNCTION mentalspace.provision_storage_functions(name) IS 'internal to provision(): functions of schema storage';

CREATE FUNCTION mentalspace.provision_storage(owner name) RETURNS SETOF mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    t text;
BEGIN
    RETURN NEXT mentalspace.provision_schema(owner, 'storage', 'Supabase Storage: buckets and files');
    RETURN NEXT mentalspace.provision_grant(owner, 'SCHEMA', 'storage', '{USAGE}',
            '{anon,authenticated,service_role,supabase_storage_admin}');
    RETURN QUERY SELECT * FROM mentalspace.provision_storage_tables(owner);
    RETURN QUERY SELECT * FROM mentalspace.provision_storage_functions(owner);
    RETURN NEXT mentalspace.provision_object(owner, 'trigger', 'update_objects_updated_at on storage.objects',
        EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'storage.objects'::regclass
                AND tgname = 'update_objects_updated_at'),
        'CREATE TRIGGER update_objects_updated_at BEFORE UPDATE ON storage.objects FOR EACH ROW EXECUTE FUNCTION storage.update_updated_at_column()');
    RETURN NEXT mentalspace.provision_object(owner, 'trigger', 'enforce_bucket_name_length_trigger on storage.buckets',
        EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'storage.buckets'::regclass
                AND tgname = 'enforce_bucket_name_length_trigger'),
        'CREATE TRIGGER enforce_bucket_name_length_trigger BEFORE INSERT OR UPDATE OF name ON storage.buckets FOR EACH ROW EXECUTE FUNCTION storage.enforce_bucket_name_length()');
    -- Row level security is on for all of them, and no policy is there before the migrations make one.
    FOREACH t IN ARRAY ARRAY['buckets', 'objects'] LOOP
        RETURN NEXT mentalspace.provision_grant(owner, 'TABLE', 'storage.' || t,
                '{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}', '{service_role}');
        RETURN NEXT mentalspace.provision_grant(owner, 'TABLE', 'storage.' || t, '{SELECT,INSERT,UPDATE,DELETE}',
                '{anon,authenticated,supabase_storage_admin}');
    END LOOP;
    FOREACH t IN ARRAY ARRAY['s3_multipart_uploads', 's3_multipart_uploads_parts', 'buckets_analytics',
            'iceberg_namespaces', 'iceberg_tables',
                             'buckets_vectors', 'vector_indexes'] LOOP
        RETURN NEXT mentalspace.provision_grant(owner, 'TABLE', 'storage.' || t, '{SELECT,INSERT,UPDATE,DELETE}',
                '{service_role,supabase_storage_admin}');
        RETURN NEXT mentalspace.provision_grant(owner, 'TABLE', 'storage.' || t, '{SELECT}', '{anon,authenticated}');
    END LOOP;
END
$$;
COMMENT ON FUNCTION mentalspace.provision_storage(name) IS
    'component storage of provision(): buckets, objects and the other tables of Supabase Storage with row level security, foldername(), filename(), extension(), search() and their siblings';

-- ---- provision/realtime.sql
-- provision(), component realtime: messages, the functions that write them, and the publication of changes.  Messages
-- are kept in the database; delivering them to browsers is the work of Supabase Realtime or whatever takes its place.
CREATE FUNCTION mentalspace.provision_realtime(owner name) RETURNS SETOF mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    step mentalspace.provision_step;
    level text := current_setting('client_min_messages');
BEGIN
    RETURN NEXT mentalspace.provision_schema(owner, 'realtime',
            'Supabase Realtime: messages and who may read and send them');
    RETURN NEXT mentalspace.provision_grant(owner, 'SCHEMA', 'realtime', '{USAGE}',
            '{anon,authenticated,service_role,supabase_realtime_admin}');
    RETURN NEXT mentalspace.provision_table(owner, 'realtime', 'messages',
            'messages to topics; policies say who may read and send', $t$
        topic text NOT NULL
        extension text NOT NULL
        payload jsonb
        event text
        private boolean DEFAULT false
        updated_at timestamp DEFAULT now() NOT NULL
        inserted_at timestamp DEFAULT now() NOT NULL
        id uuid DEFAULT gen_random_uuid() NOT NULL
        binary_payload bytea
        CONSTRAINT messages_pkey PRIMARY KEY (id, inserted_at)
        CONSTRAINT messages_payload_exclusive CHECK (payload IS NULL OR binary_payload IS NULL)
        INDEX messages_inserted_at_topic_index (inserted_at DESC, topic) WHERE (extension = 'broadcast' AND private IS TRUE)
    $t$, 'PARTITION BY RANGE (inserted_at)');
    -- Supabase Realtime makes a partition a day; without it, messages go here.
    IF EXISTS (SELECT FROM pg_class WHERE oid = 'realtime.messages'::regclass AND relkind = 'p') THEN
        step := mentalspace.provision_object(owner, 'table', 'realtime.messages_default',
                to_regclass('realtime.messages_default') IS NOT NULL,
            'CREATE TABLE realtime.messages_default PARTITION OF realtime.messages DEFAULT');
        IF step.state = 'made' THEN
            PERFORM mentalspace.provision_run(owner, 'ALTER TABLE realtime.messages_default ENABLE ROW LEVEL SECURITY');
            PERFORM mentalspace.provision_run(owner,
                    'COMMENT ON TABLE realtime.messages_default IS ''messages that no other partition takes''');
        END IF;
        RETURN NEXT step;
    END IF;
    RETURN NEXT mentalspace.provision_grant(owner, 'TABLE', 'realtime.messages', '{SELECT,INSERT,UPDATE}',
            '{anon,authenticated,service_role,supabase_realtime_admin}');
    RETURN NEXT mentalspace.provision_function(owner, 'realtime.topic()',
            'topic of the channel that this request reads or sends to', $f$()
        RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
        RETURN nullif(current_setting('realtime.topic', true), '')$f$);
    RETURN NEXT mentalspace.provision_function(owner, 'realtime.send(jsonb, text, text, boolean)',
            'puts a message into realtime.messages under the caller''s policies; a failure is a warning', $f$(
            payload jsonb, event text, topic text, private boolean DEFAULT true)
        RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
        AS $body$
        DECLARE
            message uuid := gen_random_uuid();
        BEGIN
            PERFORM set_config('realtime.topic', topic, true);
            INSERT INTO realtime.messages (id, payload, event, topic, private, extension)
            VALUES (message, CASE WHEN payload ? 'id' THEN payload ELSE jsonb_set(payload, '{id}',
                    to_jsonb(message)) END,
                    event, topic, private, 'broadcast');
        EXCEPTION WHEN others THEN
            RAISE WARNING 'could not send message: %', sqlerrm USING ERRCODE = sqlstate;
        END
        $body$ $f$);
    RETURN NEXT mentalspace.provision_function(owner, 'realtime.send_binary(bytea, text, text, boolean)',
            'as realtime.send(), for bytes', $f$(
            payload bytea, event text, topic text, private boolean DEFAULT true)
        RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
        AS $body$
        BEGIN
            PERFORM set_config('realtime.topic', topic, true);
            INSERT INTO realtime.messages (binary_payload, event, topic, private, extension)
            VALUES (payload, event, topic, private, 'broadcast');
        EXCEPTION WHEN others THEN
            RAISE WARNING 'could not send message: %', sqlerrm USING ERRCODE = sqlstate;
        END
        $body$ $f$);
    RETURN NEXT mentalspace.provision_function(owner,
            'realtime.broadcast_changes(text, text, text, text, text, record, record, text)',
        'sends a row change to a topic; to be called by a row trigger', $f$(
            topic_name text, event_name text, operation text, table_name text, table_schema text, new record,
                    old record, level text DEFAULT 'ROW')
        RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
        AS $body$
        BEGIN
            IF level = 'STATEMENT' THEN
                RAISE EXCEPTION 'changes can be broadcast for each row only, not for each statement' USING ERRCODE = 'wrong_object_type';
            ELSIF operation NOT IN ('INSERT', 'UPDATE', 'DELETE') THEN
                RAISE EXCEPTION 'unexpected operation "%"', operation USING ERRCODE = 'invalid_parameter_value';
            END IF;
            PERFORM realtime.send(jsonb_build_object('old_record', old, 'record', new, 'operation', operation,
                                                     'table', table_name, 'schema', table_schema), event_name,
                                                             topic_name);
        END
        $body$ $f$);
    -- CREATE PUBLICATION warns where wal_level is not logical; the row says it instead.
    PERFORM set_config('client_min_messages', 'error', true);
    step := mentalspace.provision_object(owner, 'publication', 'supabase_realtime',
        EXISTS (SELECT FROM pg_publication WHERE pubname = 'supabase_realtime'),
                'CREATE PUBLICATION supabase_realtime');
    PERFORM set_config('client_min_messages', level, true);
    IF current_setting('wal_level') <> 'logical' THEN
        step.detail := format('nothing is published while wal_level is %s', current_setting('wal_level'));
    END IF;
    RETURN NEXT step;
END
$$;
COMMENT ON FUNCTION mentalspace.provision_realtime(name) IS
    'component realtime of provision(): realtime.messages with row level security, topic(), send(), broadcast_changes(), publication supabase_realtime';

-- ---- provision/companions.sql
-- provision(), components cron, net, vault and pgmq: each an extension, the packaged one where the server has it, else the
-- one of that name that is installed beside this one.
CREATE FUNCTION mentalspace.provision_companion(owner name, extension name, schema name,
        roles name[]) RETURNS SETOF mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RETURN NEXT mentalspace.provision_extension(owner, extension);
    IF EXISTS (SELECT FROM pg_extension WHERE extname = extension) AND to_regnamespace(quote_ident(schema)) IS NOT NULL
            THEN
        RETURN NEXT mentalspace.provision_grant(owner, 'SCHEMA', quote_ident(schema), '{USAGE}', ARRAY[owner],
                'WITH GRANT OPTION');
        IF roles <> '{}' THEN
            RETURN NEXT mentalspace.provision_grant(owner, 'SCHEMA', quote_ident(schema), '{USAGE}', roles);
        END IF;
    END IF;
END
$$;
COMMENT ON FUNCTION mentalspace.provision_companion(name, name, name,
        name[]) IS 'internal to provision(): an extension and who may use its schema';

CREATE FUNCTION mentalspace.provision_cron(owner name) RETURNS SETOF mentalspace.provision_step
    LANGUAGE sql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$ SELECT * FROM mentalspace.provision_companion(owner, 'pg_cron', 'cron', '{}') $$;
COMMENT ON FUNCTION mentalspace.provision_cron(name) IS
    'component cron of provision(): pg_cron, where it can work in this database';

CREATE FUNCTION mentalspace.provision_vault(owner name) RETURNS SETOF mentalspace.provision_step
    LANGUAGE sql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$ SELECT * FROM mentalspace.provision_companion(owner, 'supabase_vault', 'vault', '{}') $$;
COMMENT ON FUNCTION mentalspace.provision_vault(name) IS
    'component vault of provision(): supabase_vault with vault.secrets and vault.decrypted_secrets';

CREATE FUNCTION mentalspace.provision_pgmq(owner name) RETURNS SETOF mentalspace.provision_step
    LANGUAGE sql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$ SELECT * FROM mentalspace.provision_companion(owner, 'pgmq', 'pgmq', '{}') $$;
COMMENT ON FUNCTION mentalspace.provision_pgmq(name) IS
    'component pgmq of provision(): message queues in the database';

CREATE FUNCTION mentalspace.provision_net(owner name) RETURNS SETOF mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    step mentalspace.provision_step;
BEGIN
    RETURN QUERY SELECT * FROM mentalspace.provision_companion(owner, 'pg_net', 'net',
            '{anon,authenticated,service_role,supabase_functions_admin}');
    RETURN NEXT mentalspace.provision_schema(owner, 'supabase_functions', 'database webhooks');
    RETURN NEXT mentalspace.provision_grant(owner, 'SCHEMA', 'supabase_functions', '{USAGE}',
            '{anon,authenticated,service_role,supabase_functions_admin}');
    RETURN NEXT mentalspace.provision_table(owner, 'supabase_functions', 'hooks',
            'requests that database webhooks asked for', $t$
        id bigserial
        hook_table_id integer NOT NULL
        hook_name text NOT NULL
        created_at timestamptz DEFAULT now() NOT NULL
        request_id bigint
        CONSTRAINT hooks_pkey PRIMARY KEY (id)
        INDEX supabase_functions_hooks_request_id_idx (request_id)
        INDEX supabase_functions_hooks_h_table_id_h_name_idx (hook_table_id, hook_name)
    $t$);
    step := mentalspace.provision_function(owner, 'supabase_functions.http_request()',
        'trigger: asks pg_net for a request; arguments: url, method, headers, parameters, timeout in milliseconds',
                $f$()
        RETURNS trigger LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
        AS $body$
        DECLARE
            url text := nullif(nullif(tg_argv[0], 'null'), '');
            method text := upper(coalesce(tg_argv[1], 'POST'));
            headers jsonb := coalesce(nullif(nullif(tg_argv[2], 'null'), ''),
                    '{"Content-Type": "application/json"}')::jsonb;
            params jsonb := coalesce(nullif(nullif(tg_argv[3], 'null'), ''), '{}')::jsonb;
            wait_ms integer := coalesce(nullif(nullif(tg_argv[4], 'null'), ''), '1000')::integer;
            request bigint;
        BEGIN
            IF url IS NULL THEN
                RAISE EXCEPTION 'webhook "%" has no URL', tg_name USING ERRCODE = 'invalid_parameter_value';
            END IF;
            IF method = 'GET' THEN
                request := net.http_get(url, params, headers, wait_ms);
            ELSIF method = 'POST' THEN
                request := net.http_post(url, jsonb_build_object('old_record', to_jsonb(old), 'record', to_jsonb(new),
                        'type', tg_op,
                                                                 'table', tg_table_name, 'schema', tg_table_schema),
                                                                         params, headers, wait_ms);
            ELSE
                RAISE EXCEPTION 'webhook "%" has method "%"', tg_name, method
                    USING ERRCODE = 'invalid_parameter_value', HINT = 'It must be GET or POST.';
            END IF;
            INSERT INTO supabase_functions.hooks (hook_table_id, hook_name,
                    request_id) VALUES (tg_relid::bigint::integer, tg_name, request);
            RETURN coalesce(new, old);
        END
        $body$ $f$);
    IF step.state = 'made' THEN
        -- Whoever may call it can make the database ask any URL: not for the roles of the API, which have TRIGGER on tables.
        PERFORM mentalspace.provision_run(owner,
                'REVOKE EXECUTE ON FUNCTION supabase_functions.http_request() FROM PUBLIC');
    END IF;
    RETURN NEXT step;
END
$$;
COMMENT ON FUNCTION mentalspace.provision_net(name) IS
    'component net of provision(): pg_net, and supabase_functions.http_request() for database webhooks';

-- ---- provision/tests.sql
-- provision(), component tests: helpers for pgTAP tests of policies, by the names that Supabase projects use.  They make
-- users and take their place, so this component is made on request only.
CREATE FUNCTION mentalspace.provision_tests(owner name) RETURNS SETOF mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RETURN NEXT mentalspace.provision_extension(owner, 'pgtap', 'extensions');
    RETURN NEXT mentalspace.provision_schema(owner, 'tests',
            'helpers for tests of policies; never on a production database');
    RETURN NEXT mentalspace.provision_grant(owner, 'SCHEMA', 'tests', '{USAGE}', '{anon,authenticated,service_role}');
    RETURN NEXT mentalspace.provision_function(owner, 'tests.create_supabase_user(text, text, text, jsonb)',
            'makes a user and returns its id', $f$(
            identifier text, email text DEFAULT NULL, phone text DEFAULT NULL, metadata jsonb DEFAULT NULL)
        RETURNS uuid LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
        AS $body$
            INSERT INTO auth.users (id, aud, role, email, phone, raw_user_meta_data, raw_app_meta_data, created_at,
                    updated_at)
            VALUES (gen_random_uuid(), 'authenticated', 'authenticated', coalesce(email,
                    gen_random_uuid() || '@test.invalid'), phone,
                    coalesce(metadata, '{}') || jsonb_build_object('test_identifier', identifier), '{}', now(), now())
            RETURNING id
        $body$ $f$);
    RETURN NEXT mentalspace.provision_function(owner, 'tests.get_supabase_user(text)',
            'the user of create_supabase_user(), as JSON', $f$(identifier text)
        RETURNS json LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
        AS $body$
        DECLARE
            found json;
        BEGIN
            SELECT json_build_object('id', u.id, 'email', u.email, 'phone', u.phone, 'raw_user_meta_data',
                    u.raw_user_meta_data,
                                     'raw_app_meta_data', u.raw_app_meta_data) INTO found
              FROM auth.users u WHERE u.raw_user_meta_data ->> 'test_identifier' = identifier
             ORDER BY u.created_at DESC LIMIT 1;
            IF found IS NULL THEN
                RAISE EXCEPTION 'there is no test user "%"', identifier USING ERRCODE = 'no_data_found';
            END IF;
            RETURN found;
        END
        $body$ $f$);
    RETURN NEXT mentalspace.provision_function(owner, 'tests.get_supabase_uid(text)',
            'the id of the user of create_supabase_user()', $f$(identifier text)
        RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
        AS $body$ SELECT (tests.get_supabase_user(identifier) ->> 'id')::uuid $body$ $f$);
    RETURN NEXT mentalspace.provision_function(owner, 'tests.authenticate_as(text)',
            'for the rest of the transaction, be that user', $f$(identifier text)
        RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
        AS $body$
        DECLARE
            person json := tests.get_supabase_user(identifier);
        BEGIN
            PERFORM pg_catalog.set_config('request.jwt.claims', pg_catalog.json_build_object('sub', person ->> 'id',
                    'aud', 'authenticated',
                'role', 'authenticated', 'email', person ->> 'email', 'phone', person ->> 'phone',
                'user_metadata', person -> 'raw_user_meta_data', 'app_metadata', person -> 'raw_app_meta_data')::text,
                        true);
            PERFORM pg_catalog.set_config('role', 'authenticated', true);
        END
        $body$ $f$);
    RETURN NEXT mentalspace.provision_function(owner, 'tests.authenticate_as_service_role()',
            'for the rest of the transaction, be service_role', $f$()
        RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
        AS $body$
        BEGIN
            PERFORM pg_catalog.set_config('request.jwt.claims', '{"role": "service_role"}', true);
            PERFORM pg_catalog.set_config('role', 'service_role', true);
        END
        $body$ $f$);
    RETURN NEXT mentalspace.provision_function(owner, 'tests.clear_authentication()',
            'for the rest of the transaction, be nobody (anon)', $f$()
        RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
        AS $body$
        BEGIN
            PERFORM pg_catalog.set_config('request.jwt.claims', '', true);
            PERFORM pg_catalog.set_config('role', 'anon', true);
        END
        $body$ $f$);
    RETURN NEXT mentalspace.provision_function(owner, 'tests.rls_enabled(text)',
            'pgTAP: row level security is on for each table of a schema', $f$(testing_schema text)
        RETURNS text LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
        AS $body$
        BEGIN
            RETURN is((SELECT string_agg(c.relname, ', ' ORDER BY c.relname) FROM pg_catalog.pg_class c
                        WHERE c.relnamespace = to_regnamespace(quote_ident(testing_schema)) AND c.relkind IN ('r', 'p')
                                AND NOT c.relrowsecurity),
                      NULL::text, 'row level security is on for each table of schema ' || testing_schema);
        END
        $body$ $f$);
    RETURN NEXT mentalspace.provision_function(owner, 'tests.rls_enabled(text, text)',
            'pgTAP: row level security is on for a table', $f$(testing_schema text, testing_table text)
        RETURNS text LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
        AS $body$
        BEGIN
            RETURN is((SELECT c.relrowsecurity FROM pg_catalog.pg_class c
                        WHERE c.relnamespace = to_regnamespace(quote_ident(testing_schema))
                                AND c.relname = testing_table AND c.relkind IN ('r', 'p')),
                      true, format('row level security is on for %I.%I', testing_schema, testing_table));
        END
        $body$ $f$);
END
$$;
COMMENT ON FUNCTION mentalspace.provision_tests(name) IS
    'component tests of provision(): pgTAP where it is installed, and schema tests with create_supabase_user(), authenticate_as() and their siblings';

-- ---- provision/provision.sql
-- provision(): makes what migrations written for Supabase expect to find.
CREATE FUNCTION mentalspace.provision(components text[] DEFAULT NULL, owner name DEFAULT CURRENT_USER)
    RETURNS TABLE (component text, kind text, object text, state text, detail text)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    known CONSTANT text[] := '{roles,extensions,auth,storage,realtime,cron,net,vault,pgmq,tests}';
    on_request CONSTANT text[] := '{tests}';
    unknown text;
    name text;
BEGIN
    SELECT c INTO unknown FROM unnest(components) AS c WHERE c IS NULL OR c <> ALL (known) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'there is no component "%"', unknown
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Components are ' || array_to_string(known, ', ') || '.';
    END IF;
    IF owner IS NULL OR to_regrole(quote_ident(owner)) IS NULL THEN
        RAISE EXCEPTION 'role "%" does not exist', owner USING ERRCODE = 'undefined_object';
    END IF;
    IF NOT pg_has_role(current_user, owner, 'MEMBER') THEN
        RAISE EXCEPTION 'must be a member of role "%" to make objects for it',
                owner USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF owner IN ('anon', 'authenticated', 'authenticator') THEN
        RAISE EXCEPTION 'role "%" cannot own the database''s objects', owner
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'An owner passes row level security on its tables.';
    END IF;
    -- Tests sign in as users.
    IF 'tests' = ANY (components) THEN
        components := components || '{auth,extensions}'::text[];
    END IF;
    -- One at a time: two at once would make the same things.
    PERFORM pg_advisory_xact_lock(hashtext('mentalspace.provision'));
    FOREACH name IN ARRAY known LOOP
        -- The roles are needed by all the others.
        IF name = ANY (components) OR name = 'roles' OR components IS NULL AND name <> ALL (on_request) THEN
            RETURN QUERY EXECUTE format('SELECT %L, s.* FROM mentalspace.%I($1) AS s', name,
                    'provision_' || name) USING owner;
        ELSIF components IS NULL THEN
            RETURN QUERY VALUES (name, 'component', name, 'skipped',
                    format('made on request only: provision(ARRAY[%L])', name));
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mentalspace.provision(text[], name) IS
'makes what migrations written for Supabase expect, as objects of OWNER; idempotent; one row for each object (state made, found, changed or skipped)
  roles       anon, authenticated, service_role, authenticator, the administrative roles that dumps name, default privileges (made with every other component)
  extensions  schema extensions with pgcrypto, uuid-ossp and pgjwt, search_path of the database, supabase_migrations
  auth        the tables of Supabase Auth, closed to anon and authenticated; the library preloaded
  storage     buckets and objects with row level security, foldername() and its siblings
  realtime    messages, topic(), send(), broadcast_changes(), publication supabase_realtime
  cron        pg_cron, or the extension of that name that comes with this one
  net         pg_net likewise, and supabase_functions.http_request()
  vault       supabase_vault likewise
  pgmq        pgmq likewise
  tests       schema tests with helpers for pgTAP (with auth and extensions); on request only, never on a production database';

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

-- ---- capabilities.sql
-- What this installation can do.  A feature adds its rows here: name, whether it works now, and a sentence that says why
-- not or what it takes.
CREATE FUNCTION mentalspace.extension_detail(extension name) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT coalesce((SELECT format('extension %s, version %s', extname, extversion) FROM pg_extension
            WHERE extname = extension),
                    (SELECT format('extension %s is installed on this server and not created in this database', name)
                       FROM pg_available_extensions WHERE name = extension),
                    format('extension %s is not created in this database', extension))
    $$;
COMMENT ON FUNCTION mentalspace.extension_detail(name) IS 'internal to capabilities(): where an extension is to be had';

CREATE FUNCTION mentalspace.capabilities() RETURNS TABLE (capability text, available boolean, detail text)
    LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
    AS $$
    WITH session AS (
        SELECT 'trusted' = 'native' AS native,
               (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser,
               to_regrole('service_role') AS service_role,
               -- a variable that the module has not defined is not shown
               EXISTS (SELECT FROM pg_settings WHERE name = 'mentalspace.auth_lock') AS loaded
    ), here AS (
        -- asked only where it loads nothing
        SELECT s.*, CASE WHEN s.loaded THEN mentalspace.audit_outlet_name() ELSE 'off' END AS outlet FROM session AS s
    )
    SELECT c.capability, c.available, c.detail
      FROM here, LATERAL (VALUES
        (1, 'identity by claims', true,
            'auth.uid(), auth.role(), auth.email() and auth.jwt() read request.jwt.claims as PostgREST sets them'),
        (2, 'identity in C++', native,
            CASE WHEN native THEN 'claims are parsed once after each change'
                    ELSE 'the trusted flavour reads claims in SQL at each call' END),
        (3, 'preloading by provision()', native AND superuser,
            CASE WHEN NOT native THEN 'the trusted flavour has no library'
                 WHEN superuser THEN 'session_preload_libraries of the database'
                 ELSE 'only a superuser can set session_preload_libraries; the library is loaded by the first call of auth.uid()' END),
        (4, 'service_role by BYPASSRLS',
            coalesce((SELECT rolbypassrls OR rolsuper FROM pg_roles WHERE oid = service_role), superuser),
            CASE WHEN (SELECT rolbypassrls OR rolsuper FROM pg_roles WHERE oid = service_role)
                    THEN 'service_role passes row level security'
                 WHEN superuser THEN 'provision() gives service_role BYPASSRLS'
                 ELSE 'only a superuser can give BYPASSRLS; service_role is made a member of the owner instead' END),
        (5, 'publication of changes', current_setting('wal_level') = 'logical',
            format('wal_level is %s', current_setting('wal_level'))),
        (6, 'tokens verified in the database', true,
            CASE WHEN native THEN 'mentalspace.login(): HS, RS, PS and ES 256 to 512, EdDSA'
                 ELSE 'mentalspace.login(): HS and RS 256 to 512; the trusted flavour cannot verify PS, ES and EdDSA' END),
        (7, 'claims that cannot be forged', loaded AND current_setting('mentalspace.auth_claims_source',
                true) = 'verified',
            CASE WHEN NOT native THEN 'in the trusted flavour whoever can run SQL can set request.jwt.claims'
                 WHEN loaded THEN format('mentalspace.auth_claims_source is %s',
                         current_setting('mentalspace.auth_claims_source', true))
                 ELSE 'the library is not loaded in this session: it takes session_preload_libraries, which provision() sets' END),
        (8, 'role lock', loaded AND (current_setting('mentalspace.auth_lock', true) IN ('transaction', 'always')
                OR current_setting('mentalspace.auth_lock', true) = 'auto'
                        AND current_setting('mentalspace.auth_claims_source', true) = 'verified'),
            CASE WHEN NOT native
                    THEN 'the trusted flavour has no hooks: whoever can run SQL can undo the role that login() took'
                 WHEN loaded THEN format('mentalspace.auth_lock is %s', current_setting('mentalspace.auth_lock', true))
                 ELSE 'the library is not loaded in this session: it takes session_preload_libraries, which provision() sets' END),
        (9, 'names in migrations', native,
            CASE WHEN native THEN 'parse_sql() lists what statements make, drop and need'
                 ELSE 'parse_sql() checks syntax by PL/pgSQL''s compiler; it cannot list names' END),
        (10, 'policies at the price of WHERE', loaded AND current_setting('mentalspace.rls_optimize', true) <> 'off',
            CASE WHEN NOT native THEN 'the trusted flavour has no planner hook: see wrap_policies() and advise_indexes()'
                 WHEN loaded THEN format('mentalspace.rls_optimize is %s', current_setting('mentalspace.rls_optimize', true))
                 ELSE 'the library is not loaded in this session: it takes session_preload_libraries, which provision() sets' END),
        (11, 'component cron', EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_cron'),
                mentalspace.extension_detail('pg_cron')),
        (12, 'component net', EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_net'),
                mentalspace.extension_detail('pg_net')),
        (13, 'component vault', EXISTS (SELECT FROM pg_extension WHERE extname = 'supabase_vault'),
                mentalspace.extension_detail('supabase_vault')),
        (14, 'component pgmq', EXISTS (SELECT FROM pg_extension WHERE extname = 'pgmq'),
                mentalspace.extension_detail('pgmq')),
        (15, 'component tests', to_regnamespace('tests') IS NOT NULL,
            CASE WHEN to_regnamespace('tests') IS NULL THEN 'made on request: provision(ARRAY[''tests''])'
                    ELSE 'schema tests is there' END),
        (16, 'audit of writes', true,
            'audit_table() gives tables triggers, ' || CASE WHEN native THEN 'in C++' ELSE 'in PL/pgSQL' END),
        (17, 'audit of reads', loaded,
            CASE WHEN NOT native THEN 'the trusted flavour has no hooks: reads by read_phi() are seen, others where pgaudit logs them'
                 WHEN loaded THEN 'reads of tables that audit_table() declared'
                 ELSE 'the library is not loaded in this session: it takes session_preload_libraries, which provision() sets' END),
        (18, 'durable audit of reads', outlet IN ('ring', 'spool'),
            CASE WHEN NOT native THEN 'the trusted flavour has no process of its own: a rollback takes the events of read_phi() along'
                 WHEN outlet = 'ring' THEN 'reads leave their transaction at once and survive the end of any process'
                 WHEN outlet = 'spool' THEN 'reads are appended to a file, which the primary takes over'
                 WHEN outlet = 'off' THEN 'the library is not loaded in this session'
                 ELSE 'reads go to the server log: to keep them in audit_events, shared_preload_libraries must name mentalspace' END),
        (19, 'audit of DDL', loaded,
            CASE WHEN NOT native THEN 'the trusted flavour has no hooks: audit_tables() shows triggers that are missing'
                 WHEN loaded THEN 'DDL on audited tables, policies, grants and roles'
                 ELSE 'the library is not loaded in this session: it takes session_preload_libraries, which provision() sets' END)
      ) AS c (position, capability, available, detail)
     ORDER BY c.position
    $$;
COMMENT ON FUNCTION mentalspace.capabilities() IS 'what this installation can do, and why not where it cannot';

-- ---- cron_trusted.sql
-- Schedules of the companion pg_cron in PL/pgSQL: the language of src/core/cron_schedule.h.
CREATE FUNCTION mentalspace.cron_due(schedule text, after timestamp, until timestamp) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    words text[] := regexp_split_to_array(btrim(schedule COLLATE "C", E' \t\r\n'), E'[ \t\r\n]+');
    field_names CONSTANT text[] := '{minute,hour,day-of-month,month,day-of-week}';
    lows CONSTANT int[] := '{0,0,1,1,0}';
    highs CONSTANT int[] := '{59,23,31,12,7}';
    months CONSTANT text[] := '{jan,feb,mar,apr,may,jun,jul,aug,sep,oct,nov,dec}';
    weekdays CONSTANT text[] := '{sun,mon,tue,wed,thu,fri,sat}';
    minutes int[]; hours int[]; days int[]; months_of_year int[]; days_of_week int[];
    bits int[];
    item text; part text[];
    low int; high int; first int; last int; step int;
    last_day boolean := false;
    of_month boolean; of_week boolean;
    problem text;
    day date;
BEGIN
    words[1] := CASE lower(words[1])
        WHEN '@yearly' THEN '0 0 1 1 *' WHEN '@annually' THEN '0 0 1 1 *' WHEN '@monthly' THEN '0 0 1 * *'
        WHEN '@weekly' THEN '0 0 * * 0' WHEN '@daily' THEN '0 0 * * *' WHEN '@midnight' THEN '0 0 * * *'
        WHEN '@hourly' THEN '0 * * * *' ELSE words[1] END;
    IF cardinality(words) = 1 AND words[1] LIKE '% %' THEN
        words := string_to_array(words[1], ' ');
    END IF;
    IF cardinality(words) = 2 AND lower(words[2]) IN ('seconds', 'second') THEN
        IF words[1] !~ '^[0-9]{1,3}$' THEN
            problem := 'The number of seconds must be between 1 and 59.';
        ELSIF words[1]::int NOT BETWEEN 1 AND 59 THEN
            problem := 'The number of seconds must be between 1 and 59.';
        END IF;
        step := CASE WHEN problem IS NULL THEN words[1]::int END;
    ELSIF words[1] LIKE '@%' OR words[1] LIKE '% %' THEN
        problem := 'The word is not one of @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly.';
    ELSIF cardinality(words) <> 5 THEN
        problem := 'A schedule has five fields: minute, hour, day of the month, month, day of the week.';
    ELSE
        <<fields>>
        FOR i IN 1 .. 5 LOOP
            low := lows[i];
            high := highs[i];
            bits := '{}';
            FOREACH item IN ARRAY string_to_array(lower(words[i]), ',') LOOP
                IF i = 3 AND item = '$' THEN
                    last_day := true;
                    CONTINUE;
                END IF;
                -- *, n or n-m, and a step; a name stands for a number
                part := regexp_match(item, '^(?:(\*)|([0-9]{1,3}|[a-z]{3})(?:-([0-9]{1,3}|[a-z]{3}))?)(?:/([0-9]{1,3}))?$');
                first := CASE WHEN part[1] = '*' THEN low WHEN part[2] ~ '^[0-9]' THEN part[2]::int
                    WHEN i = 4 THEN array_position(months, part[2])
                    WHEN i = 5 THEN array_position(weekdays, part[2]) - 1 END;
                last := CASE WHEN part[1] = '*' THEN high WHEN part[3] IS NULL THEN first WHEN part[3] ~ '^[0-9]' THEN part[3]::int
                    WHEN i = 4 THEN array_position(months, part[3])
                    WHEN i = 5 THEN array_position(weekdays, part[3]) - 1 END;
                step := coalesce(part[4]::int, 1);
                IF first >= low AND last <= high AND first <= last AND step > 0
                    AND (part[4] IS NULL OR part[1] = '*' OR part[3] IS NOT NULL) THEN
                    bits := bits || ARRAY(SELECT generate_series(first, last, step));
                ELSE
                    problem := format('The %s field is not valid.', field_names[i]);
                    EXIT fields;
                END IF;
            END LOOP;
            CASE i
                WHEN 1 THEN minutes := bits;
                WHEN 2 THEN hours := bits;
                WHEN 3 THEN days := bits;
                WHEN 4 THEN months_of_year := bits;
                ELSE days_of_week := bits;
            END CASE;
        END LOOP;
        step := NULL;
    END IF;
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION 'invalid schedule: "%"', schedule
            USING ERRCODE = 'invalid_parameter_value', DETAIL = problem,
                  HINT = 'Write five fields as in "30 4 * * mon-fri", a word like @daily, or "N seconds" with N from 1 to 59.';
    END IF;
    IF NOT (isfinite(after) AND isfinite(until)) THEN
        RAISE EXCEPTION 'timestamp out of range' USING ERRCODE = 'datetime_field_overflow';
    END IF;
    IF until <= after THEN
        RETURN false;
    END IF;
    IF until - after > interval '366 days' THEN
        RAISE EXCEPTION 'the time span is longer than a year' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF step IS NOT NULL THEN
        RETURN floor(extract(epoch FROM until) / step) > floor(extract(epoch FROM after) / step);
    END IF;

    FOR day IN SELECT generate_series(after::date, until::date, interval '1 day') LOOP
        CONTINUE WHEN extract(month FROM day)::int <> ALL (months_of_year);
        of_month := extract(day FROM day)::int = ANY (days) OR last_day AND extract(month FROM day + 1) <> extract(month FROM day);
        of_week := extract(dow FROM day)::int = ANY (days_of_week) OR extract(isodow FROM day)::int = ANY (days_of_week);
        -- Both kinds of day restricted: either is enough.
        CONTINUE WHEN NOT CASE WHEN words[3] LIKE '*%' OR words[5] LIKE '*%' THEN of_month AND of_week ELSE of_month OR of_week END;
        IF EXISTS (SELECT FROM unnest(hours) AS h, unnest(minutes) AS m,
                               LATERAL (SELECT day + make_interval(hours => h, mins => m)) AS t(at)
                    WHERE t.at > after AND t.at <= until) THEN
            RETURN true;
        END IF;
    END LOOP;
    RETURN false;
END
$$;
CREATE FUNCTION mentalspace.cron_worker_running() RETURNS boolean
    LANGUAGE sql VOLATILE PARALLEL RESTRICTED STRICT SET search_path = pg_catalog, pg_temp
    AS $$ SELECT false $$;

-- ---- cron.sql
-- What both flavours say of schedules, and cron_tick(), which runs the jobs of the companion pg_cron where no background
-- worker does.
COMMENT ON FUNCTION mentalspace.cron_due(text, timestamp, timestamp) IS
    'whether a cron schedule has a time later than "after" and not later than "until", both of the schedule''s local clock; an error for a schedule that is not understood';
COMMENT ON FUNCTION mentalspace.cron_worker_running() IS 'whether a background worker runs the cron jobs of this database';

-- Runs one command as a role, for cron_tick().  The command of another role runs within a SECURITY DEFINER function of
-- that role: there, unlike after a plain SET ROLE, it cannot come back to the caller's rights by RESET ROLE.  What it
-- could leave behind to run later with the caller's rights is refused: the caller's subtransaction undoes the run.
CREATE FUNCTION mentalspace.cron_run(command text, username text, path text) RETURNS text
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    caller CONSTANT text := current_setting('role');
    wrapper CONSTANT text := format('pg_temp.%I', 'mentalspace_cron_' || gen_random_uuid());
    count bigint;
BEGIN
    IF username = current_user THEN
        PERFORM set_config('search_path', path, true);
        EXECUTE command;
        GET DIAGNOSTICS count = ROW_COUNT;
        EXECUTE 'RESET ALL';
        PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    ELSE
        PERFORM set_config('role', username, true);
        EXECUTE format($create$
            CREATE FUNCTION %s(command text, path text) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER AS $body$
            DECLARE
                count bigint;
            BEGIN
                PERFORM pg_catalog.set_config('search_path', path, true);
                EXECUTE command;
                GET DIAGNOSTICS count = ROW_COUNT;
                SET CONSTRAINTS ALL IMMEDIATE;
                RETURN count;
            END
            $body$ $create$, wrapper);
        PERFORM set_config('role', caller, true);
        EXECUTE format('SELECT %s($1, $2)', wrapper) INTO count USING command, path;
        -- First of all: no setting of the command may reach a statement of ours, nor the next job.
        EXECUTE 'RESET ALL';
        PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
        IF EXISTS (SELECT FROM pg_cursors c WHERE c.is_holdable) THEN
            RAISE EXCEPTION 'the job leaves a cursor WITH HOLD open' USING ERRCODE = 'feature_not_supported';
        END IF;
        IF EXISTS (SELECT FROM pg_trigger t
                     JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid
                     JOIN pg_roles r ON r.oid IN (c.relowner, p.proowner)
                    WHERE t.tgdeferrable AND p.proname NOT LIKE 'RI\_FKey\_%'
                      AND r.rolname <> current_user AND NOT r.rolsuper) THEN
            RAISE EXCEPTION 'jobs of other roles cannot run while other roles have deferrable triggers or constraints'
                USING ERRCODE = 'feature_not_supported',
                      DETAIL = 'Such a trigger could run at the end of the transaction with the rights of the caller of mentalspace.cron_tick().';
        END IF;
        PERFORM set_config('role', username, true);
        EXECUTE format('DROP FUNCTION %s(text, text)', wrapper);
        PERFORM set_config('role', caller, true);
    END IF;
    RETURN format('%s %s', count, CASE count WHEN 1 THEN 'row' ELSE 'rows' END);
END
$$;
REVOKE ALL ON FUNCTION mentalspace.cron_run(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION mentalspace.cron_run(text, text, text) IS 'runs one job for mentalspace.cron_tick()';

-- To be called by the owner of cron.job.  Not SECURITY DEFINER: PostgreSQL forbids SET ROLE within such functions.
CREATE FUNCTION mentalspace.cron_tick(now timestamptz DEFAULT pg_catalog.now())
    RETURNS TABLE (jobid bigint, jobname text, username text, status text, return_message text)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_variable
DECLARE
    zone CONSTANT text := coalesce(nullif(current_setting('cron.timezone', true), ''), 'GMT');
    path CONSTANT text := (SELECT s.reset_val FROM pg_settings s WHERE s.name = 'search_path');
    -- Since PostgreSQL 16 a member may be one without SET ROLE.
    become CONSTANT text := CASE WHEN current_setting('server_version_num')::integer < 160000 THEN 'MEMBER' ELSE 'SET' END;
    superuser CONSTANT boolean := (SELECT bool_or(r.rolsuper) FROM pg_roles r WHERE r.rolname IN (current_user, session_user));
    since timestamptz;
    began timestamptz;
    job record;
BEGIN
    IF to_regclass('cron.last_tick') IS NULL THEN
        RAISE EXCEPTION 'the companion extension pg_cron is not installed in this database'
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Run CREATE EXTENSION pg_cron.';
    END IF;
    IF mentalspace.cron_worker_running() THEN
        RAISE EXCEPTION 'a background worker runs the jobs of this database'
            USING ERRCODE = 'object_in_use', HINT = 'Set mentalspace.cron_worker = off to run them by mentalspace.cron_tick().';
    END IF;

    -- Whoever comes second waits here, and finds nothing left to do.
    SELECT t.last INTO STRICT since FROM cron.last_tick t FOR UPDATE;
    IF now <= since THEN
        RETURN;
    END IF;
    since := greatest(coalesce(since, date_trunc('minute', now) - interval '1 second'), now - interval '1 day');
    UPDATE cron.last_tick t SET last = now;

    FOR job IN SELECT j.* FROM cron.job j WHERE j.active ORDER BY j.jobid LOOP
        jobid := job.jobid;
        jobname := job.jobname;
        username := job.username;
        status := NULL;
        began := clock_timestamp();
        BEGIN
            CONTINUE WHEN NOT mentalspace.cron_due(job.schedule, since AT TIME ZONE zone, now AT TIME ZONE zone);
            return_message := CASE
                WHEN job.database <> current_database() THEN format('the job belongs to database "%s"', job.database)
                WHEN job.username = current_user THEN NULL
                WHEN to_regrole(quote_ident(job.username)) IS NULL THEN format('role "%s" does not exist', job.username)
                WHEN superuser THEN 'a superuser does not run the jobs of other roles'
                WHEN NOT pg_has_role(session_user, job.username, become) THEN
                    format('role "%s" may not become role "%s"', session_user, job.username)
                END;
            IF return_message IS NULL THEN
                return_message := mentalspace.cron_run(job.command, job.username, path);
                status := 'succeeded';
            ELSE
                status := 'refused';
            END IF;
            INSERT INTO cron.job_run_details (jobid, job_pid, database, username, command, status, return_message, start_time, end_time)
                VALUES (job.jobid, pg_backend_pid(), job.database, job.username, job.command,
                        CASE status WHEN 'refused' THEN 'failed' ELSE status END, return_message, began, clock_timestamp());
        EXCEPTION WHEN OTHERS THEN
            status := 'failed';
            return_message := 'ERROR:  ' || SQLERRM;
            INSERT INTO cron.job_run_details (jobid, job_pid, database, username, command, status, return_message, start_time, end_time)
                VALUES (job.jobid, pg_backend_pid(), job.database, job.username, job.command,
                        status, return_message, began, clock_timestamp());
        END;
        RETURN NEXT;
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION mentalspace.cron_tick(timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION mentalspace.cron_tick(timestamptz) IS
    'runs the jobs of the companion pg_cron that are due since the last call, where no background worker does; returns one row per job that was due';

-- ---- parse_sql_trusted.sql
-- PL/pgSQL's compiler gives each SQL statement of a function to the server's parser.  A function is made of the text, never
-- called, and undone: whatever the text holds, also if it ends the block early, is compiled and no more.  The body goes in
-- as a literal, so it cannot leave it.
CREATE FUNCTION mentalspace.parse_sql(sql text)
    RETURNS TABLE (statement integer, line integer, "position" integer, action text, kind text, name text[], detail text)
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp SET check_function_bodies = on
    AS $$
DECLARE
    -- Without comments in front, to see what kind of statement it is.
    head text := lower(substring(regexp_replace(sql, '^(\s|--[^\n]*(\n|$)|/\*([^*]|\*+[^*/])*\*+/)*', '') from '^[A-Za-z]+'));
BEGIN
    statement := 1;
    line := 1;
    "position" := 1;
    IF head IS NULL THEN
        RETURN;
    END IF;
    action := 'statement';
    kind := upper(head);
    -- Words that PL/pgSQL takes for its own: such a statement cannot be compiled this way.
    IF head IN ('abort', 'begin', 'call', 'close', 'commit', 'declare', 'do', 'end', 'execute', 'fetch', 'move', 'prepare',
                'rollback', 'start') THEN
        detail := 'not checked';
        RETURN NEXT;
        RETURN;
    END IF;
    BEGIN
        EXECUTE format('CREATE FUNCTION pg_temp.mentalspace_syntax_check() RETURNS void LANGUAGE plpgsql AS %L',
                       E'BEGIN\n' || sql || E'\n;END');
        RAISE EXCEPTION USING ERRCODE = 'MSOK0', MESSAGE = 'undo';
    EXCEPTION
        WHEN SQLSTATE 'MSOK0' THEN
            NULL;
        WHEN insufficient_privilege THEN
            RAISE;
        WHEN syntax_error_or_access_rule_violation OR syntax_error OR feature_not_supported OR invalid_escape_sequence
             OR nonstandard_use_of_escape_character OR undefined_object OR datatype_mismatch THEN
            -- SELECT INTO is PL/pgSQL's where it is no new table's.
            IF SQLERRM LIKE '%is not a known variable' THEN
                detail := 'not checked';
            ELSE
                action := 'error';
                kind := SQLSTATE;
                detail := SQLERRM;
            END IF;
    END;
    RETURN NEXT;
END
$$;

-- ---- parse_sql.sql
COMMENT ON FUNCTION mentalspace.parse_sql(text) IS
    'what the parser of this server makes of statements, without running them: a row per statement, per syntax error and, in the native flavour, per object that a statement makes, drops or needs';

-- ---- jwt_keys.sql
-- The keys that tokens are verified with, and what was revoked.  The tables are members of the extension and not marked
-- for pg_dump: keys and revocations belong to an installation, not to a dump.
CREATE TABLE mentalspace.jwt_key_store (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    issuer   text,
    kid      text,
    kty      text NOT NULL,
    alg      text NOT NULL,
    jwk      jsonb NOT NULL,
    added_at timestamptz NOT NULL DEFAULT now(),
    origin   text NOT NULL CHECK (origin IN ('jwks', 'secret'))
);
CREATE UNIQUE INDEX jwt_key_store_issuer_kid ON mentalspace.jwt_key_store ((coalesce(issuer, '')), kid);
COMMENT ON TABLE mentalspace.jwt_key_store IS 'keys that tokens are verified with, shared secrets among them: for the owner of the extension only, not in dumps';
COMMENT ON SEQUENCE mentalspace.jwt_key_store_id_seq IS 'numbers of the keys in mentalspace.jwt_key_store';
COMMENT ON COLUMN mentalspace.jwt_key_store.id IS 'number of the key';
COMMENT ON COLUMN mentalspace.jwt_key_store.issuer IS 'claim iss of the tokens that it verifies; NULL: of issuers without keys of their own';
COMMENT ON COLUMN mentalspace.jwt_key_store.kid IS 'name of the key in the header of tokens, NULL where it has none';
COMMENT ON COLUMN mentalspace.jwt_key_store.kty IS 'kind of key: RSA, EC, OKP or oct (shared secret)';
COMMENT ON COLUMN mentalspace.jwt_key_store.alg IS 'the one algorithm that it verifies';
COMMENT ON COLUMN mentalspace.jwt_key_store.jwk IS 'the key as a JSON Web Key (RFC 7517)';
COMMENT ON COLUMN mentalspace.jwt_key_store.added_at IS 'when it was loaded';
COMMENT ON COLUMN mentalspace.jwt_key_store.origin IS 'jwks: from load_jwks(); secret: from add_jwt_secret()';
-- Statistics hold samples of a column's values.
ALTER TABLE mentalspace.jwt_key_store ALTER COLUMN jwk SET STATISTICS 0;

CREATE TABLE mentalspace.jwt_key_use (
    key_id  bigint NOT NULL,
    used_at timestamptz NOT NULL
);
COMMENT ON TABLE mentalspace.jwt_key_use IS 'notes, one an hour at most for each key, that a key was used';
COMMENT ON COLUMN mentalspace.jwt_key_use.key_id IS 'number of the key';
COMMENT ON COLUMN mentalspace.jwt_key_use.used_at IS 'when it verified a token';

CREATE TABLE mentalspace.jwt_revocations (
    subject    text COLLATE "C",
    kind       text COLLATE "C" CHECK (kind IN ('session', 'user')),
    revoked_at timestamptz NOT NULL,
    reason     text,
    PRIMARY KEY (subject, kind)
);
COMMENT ON TABLE mentalspace.jwt_revocations IS 'sessions and users whose tokens are refused, from revoke_session() and revoke_user()';
COMMENT ON COLUMN mentalspace.jwt_revocations.subject IS 'session_id or user id';
COMMENT ON COLUMN mentalspace.jwt_revocations.kind IS 'session, or user (then tokens issued until revoked_at are refused)';
COMMENT ON COLUMN mentalspace.jwt_revocations.revoked_at IS 'when it was revoked';
COMMENT ON COLUMN mentalspace.jwt_revocations.reason IS 'why, for whoever reads the table';

-- Nobody but the owner, whatever default privileges say; and row security without a policy keeps members of
-- pg_read_all_data out too.
ALTER TABLE mentalspace.jwt_key_store ENABLE ROW LEVEL SECURITY;
ALTER TABLE mentalspace.jwt_key_use ENABLE ROW LEVEL SECURITY;
ALTER TABLE mentalspace.jwt_revocations ENABLE ROW LEVEL SECURITY;
DO $$
DECLARE
    r record;
BEGIN
    FOR r IN
        SELECT DISTINCT c.oid::pg_catalog.regclass AS rel,
               CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END AS grantee
          FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) AS a
         WHERE c.relnamespace = 'mentalspace'::pg_catalog.regnamespace AND a.grantee <> c.relowner
           AND c.relname IN ('jwt_key_store', 'jwt_key_store_id_seq', 'jwt_key_use', 'jwt_revocations')
    LOOP
        EXECUTE pg_catalog.format('REVOKE ALL ON %s FROM %s', r.rel, r.grantee);
    END LOOP;
END
$$;

CREATE VIEW mentalspace.jwt_keys AS
    SELECT k.kid, k.kty, k.alg, k.issuer, k.added_at,
           (SELECT max(u.used_at) FROM mentalspace.jwt_key_use u WHERE u.key_id = k.id) AS last_used_at
      FROM mentalspace.jwt_key_store k;
REVOKE ALL ON mentalspace.jwt_keys FROM PUBLIC;
COMMENT ON VIEW mentalspace.jwt_keys IS 'the keys that tokens are verified with, without the keys themselves';
COMMENT ON COLUMN mentalspace.jwt_keys.kid IS 'name of the key in the header of tokens';
COMMENT ON COLUMN mentalspace.jwt_keys.kty IS 'kind of key: RSA, EC, OKP or oct (shared secret)';
COMMENT ON COLUMN mentalspace.jwt_keys.alg IS 'the one algorithm that it verifies';
COMMENT ON COLUMN mentalspace.jwt_keys.issuer IS 'claim iss of its tokens; NULL: of issuers without keys of their own';
COMMENT ON COLUMN mentalspace.jwt_keys.added_at IS 'when it was loaded';
COMMENT ON COLUMN mentalspace.jwt_keys.last_used_at IS 'when it last verified a token, give or take an hour';

CREATE FUNCTION mentalspace.load_jwks(jwks jsonb, issuer text DEFAULT NULL) RETURNS int
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    of_issuer text := nullif(load_jwks.issuer, '');
    loaded int;
BEGIN
    IF load_jwks.jwks IS NULL THEN
        RAISE EXCEPTION 'key set must not be NULL' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    PERFORM mentalspace.check_jwks(load_jwks.jwks);
    LOCK TABLE mentalspace.jwt_key_store IN SHARE ROW EXCLUSIVE MODE;
    DELETE FROM mentalspace.jwt_key_store AS k WHERE k.issuer IS NOT DISTINCT FROM of_issuer AND k.origin = 'jwks';
    INSERT INTO mentalspace.jwt_key_store (issuer, kid, kty, alg, jwk, origin)
    SELECT of_issuer, j.key ->> 'kid', j.key ->> 'kty', mentalspace.jwk_algorithm(j.key), j.key, 'jwks'
      FROM jsonb_array_elements(CASE WHEN load_jwks.jwks ? 'keys' THEN load_jwks.jwks -> 'keys'
                                     ELSE jsonb_build_array(load_jwks.jwks) END) WITH ORDINALITY AS j(key, place)
     WHERE mentalspace.jwk_algorithm(j.key) IS NOT NULL
     ORDER BY j.place;
    GET DIAGNOSTICS loaded = ROW_COUNT;
    DELETE FROM mentalspace.jwt_key_use AS u
     WHERE NOT EXISTS (SELECT FROM mentalspace.jwt_key_store AS k WHERE k.id = u.key_id);
    RETURN loaded;
END
$$;
COMMENT ON FUNCTION mentalspace.load_jwks(jsonb, text) IS 'replaces the keys of an issuer by a JWKS and returns their number; the old ones stay if anything in it is wrong; secrets stay';

CREATE FUNCTION mentalspace.add_jwt_secret(secret text, issuer text DEFAULT NULL, kid text DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    made jsonb;
BEGIN
    IF octet_length(convert_to(add_jwt_secret.secret, 'UTF8')) < 32 IS NOT FALSE THEN
        RAISE EXCEPTION 'secret is too short' USING ERRCODE = 'invalid_parameter_value',
            DETAIL = 'A secret for HS256 has 32 bytes at least.';
    END IF;
    made := jsonb_strip_nulls(jsonb_build_object('kty', 'oct', 'alg', 'HS256', 'kid', add_jwt_secret.kid,
        'k', rtrim(translate(encode(convert_to(add_jwt_secret.secret, 'UTF8'), 'base64'), E'+/\n', '-_'), '=')));
    PERFORM mentalspace.check_jwks(jsonb_build_object('keys', jsonb_build_array(made)));
    -- The same again changes nothing.
    IF NOT EXISTS (SELECT FROM mentalspace.jwt_key_store AS k
                    WHERE k.jwk = made AND k.issuer IS NOT DISTINCT FROM nullif(add_jwt_secret.issuer, '')) THEN
        INSERT INTO mentalspace.jwt_key_store (issuer, kid, kty, alg, jwk, origin)
        VALUES (nullif(add_jwt_secret.issuer, ''), add_jwt_secret.kid, 'oct', 'HS256', made, 'secret');
    END IF;
END
$$;
COMMENT ON FUNCTION mentalspace.add_jwt_secret(text, text, text) IS 'adds a shared secret for HS256 (a Supabase project''s legacy JWT secret), of 32 bytes at least';

CREATE FUNCTION mentalspace.revoke_session(session_id uuid, reason text) RETURNS void
    LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
    INSERT INTO mentalspace.jwt_revocations (subject, kind, revoked_at, reason)
    VALUES ($1::text, 'session', clock_timestamp(), $2)
    ON CONFLICT (subject, kind) DO NOTHING
    $$;
COMMENT ON FUNCTION mentalspace.revoke_session(uuid, text) IS 'tokens of this session (claim session_id) are refused from the next login on, in every backend';

CREATE FUNCTION mentalspace.revoke_user(user_id uuid, reason text) RETURNS void
    LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
    INSERT INTO mentalspace.jwt_revocations AS r (subject, kind, revoked_at, reason)
    VALUES ($1::text, 'user', clock_timestamp(), $2)
    ON CONFLICT (subject, kind) DO UPDATE SET revoked_at = excluded.revoked_at, reason = excluded.reason
    $$;
COMMENT ON FUNCTION mentalspace.revoke_user(uuid, text) IS 'tokens issued to this user until now are refused from the next login on, in every backend';

REVOKE ALL ON FUNCTION mentalspace.load_jwks(jsonb, text), mentalspace.add_jwt_secret(text, text, text),
    mentalspace.revoke_session(uuid, text), mentalspace.revoke_user(uuid, text) FROM PUBLIC;

-- ---- jwt_trusted.sql
-- Verification of tokens in PL/pgSQL: HS256 to HS512 and RS256 to RS512.  The rules are those of src/core.

-- Settings of the identity: variables of an extension without a library could be set by anybody, so they are rows that
-- only the owner writes.
CREATE TABLE mentalspace.auth_settings (
    name  text PRIMARY KEY CHECK (name IN ('auth_issuers', 'auth_audience', 'auth_leeway', 'auth_max_token_bytes',
                                           'auth_allowed_roles', 'auth_sync_users')),
    value text NOT NULL
);
COMMENT ON TABLE mentalspace.auth_settings IS 'settings of login() in the trusted flavour, in place of the variables mentalspace.auth_* of the native one';
COMMENT ON COLUMN mentalspace.auth_settings.name IS 'name of the variable without the prefix mentalspace.';
COMMENT ON COLUMN mentalspace.auth_settings.value IS 'its value, as the variable would have it';
SELECT pg_catalog.pg_extension_config_dump('mentalspace.auth_settings', '')
 WHERE EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = 'mentalspace');

CREATE FUNCTION mentalspace.auth_setting(name text) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT coalesce((SELECT s.value FROM mentalspace.auth_settings AS s WHERE s.name = $1),
                    CASE $1 WHEN 'auth_audience' THEN 'authenticated' WHEN 'auth_leeway' THEN '30'
                            WHEN 'auth_max_token_bytes' THEN '16384' WHEN 'auth_allowed_roles' THEN 'anon, authenticated'
                            WHEN 'auth_sync_users' THEN 'off' ELSE '' END)
    $$;
COMMENT ON FUNCTION mentalspace.auth_setting(text) IS 'value of a setting in mentalspace.auth_settings, or its default';

CREATE FUNCTION mentalspace.refuse_token(class text, detail text) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RAISE EXCEPTION 'token refused: %', class USING ERRCODE = 'invalid_authorization_specification',
        DETAIL = format('The reason is: %s.', detail);
END
$$;
COMMENT ON FUNCTION mentalspace.refuse_token(text, text) IS 'internal to login(): raises SQLSTATE 28000';

CREATE FUNCTION mentalspace.base64url_decode(encoded text) RETURNS bytea
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    bytes bytea;
BEGIN
    IF encoded !~ '^[A-Za-z0-9_-]*$' OR length(encoded) % 4 = 1 THEN
        RETURN NULL;
    END IF;
    bytes := decode(translate(encoded, '-_', '+/') || repeat('=', (4 - length(encoded) % 4) % 4), 'base64');
    -- One spelling only: unused bits of the last character are zero.
    IF rtrim(translate(encode(bytes, 'base64'), E'+/\n', '-_'), '=') <> encoded THEN
        RETURN NULL;
    END IF;
    RETURN bytes;
END
$$;
COMMENT ON FUNCTION mentalspace.base64url_decode(text) IS 'internal to login(): bytes of unpadded base64url, NULL where it is not strict';

CREATE FUNCTION mentalspace.json_is_strict(document json, depth int) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    CASE json_typeof(document)
        WHEN 'object' THEN
            RETURN depth > 0
               AND (SELECT count(*) = count(DISTINCT key) AND coalesce(bool_and(mentalspace.json_is_strict(value, depth - 1)), true)
                      FROM json_each(document));
        WHEN 'array' THEN
            RETURN depth > 0 AND (SELECT coalesce(bool_and(mentalspace.json_is_strict(value, depth - 1)), true)
                                    FROM json_array_elements(document));
        ELSE
            RETURN true;
    END CASE;
END
$$;
COMMENT ON FUNCTION mentalspace.json_is_strict(json, int) IS 'internal to login(): whether no object has a key twice and nothing is nested deeper';

CREATE FUNCTION mentalspace.json_of(bytes bytea, depth int) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    document json;
BEGIN
    document := convert_from(bytes, 'UTF8')::json;
    IF json_typeof(document) <> 'object' OR NOT mentalspace.json_is_strict(document, depth) THEN
        RETURN NULL;
    END IF;
    RETURN document::jsonb;
EXCEPTION
    WHEN data_exception OR statement_too_complex THEN
        RETURN NULL;
END
$$;
COMMENT ON FUNCTION mentalspace.json_of(bytea, int) IS 'internal to login(): a JSON object in strict UTF-8, NULL where it is not one';

CREATE FUNCTION mentalspace.number_of(bytes bytea) RETURNS numeric
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    result numeric := 0;
BEGIN
    FOR i IN 0 .. octet_length(bytes) - 1 LOOP
        result := result * 256 + get_byte(bytes, i);
    END LOOP;
    RETURN result;
END
$$;
COMMENT ON FUNCTION mentalspace.number_of(bytea) IS 'internal to login(): a big-endian number';

CREATE FUNCTION mentalspace.hash_of(bits text, message bytea) RETURNS bytea
    LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$ SELECT CASE $1 WHEN '256' THEN sha256($2) WHEN '384' THEN sha384($2) WHEN '512' THEN sha512($2) END $$;
COMMENT ON FUNCTION mentalspace.hash_of(text, bytea) IS 'internal to login(): SHA-256, SHA-384 or SHA-512';

CREATE FUNCTION mentalspace.hmac_of(bits text, key bytea, message bytea) RETURNS bytea
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    block int := CASE bits WHEN '256' THEN 64 ELSE 128 END;
    padded bytea := CASE WHEN octet_length(key) > block THEN mentalspace.hash_of(bits, key) ELSE key END;
    inner_pad bytea := decode(repeat('36', block), 'hex');
    outer_pad bytea := decode(repeat('5c', block), 'hex');
BEGIN
    FOR i IN 0 .. octet_length(padded) - 1 LOOP
        inner_pad := set_byte(inner_pad, i, get_byte(inner_pad, i) # get_byte(padded, i));
        outer_pad := set_byte(outer_pad, i, get_byte(outer_pad, i) # get_byte(padded, i));
    END LOOP;
    RETURN mentalspace.hash_of(bits, outer_pad || mentalspace.hash_of(bits, inner_pad || message));
END
$$;
COMMENT ON FUNCTION mentalspace.hmac_of(text, bytea, bytea) IS 'internal to login(): HMAC (RFC 2104)';

CREATE FUNCTION mentalspace.rsa_fits(bits text, modulus bytea, exponent bytea, message bytea, signature bytea) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    n numeric := mentalspace.number_of(modulus);
    e bigint := mentalspace.number_of(exponent)::bigint;
    s numeric := mentalspace.number_of(signature);
    power numeric := 1;
    -- The one encoding of the hash (RFC 8017 section 9.2), compared as a whole: nothing is parsed.
    tail bytea := decode(CASE bits WHEN '256' THEN '3031300d060960864801650304020105000420'
                                   WHEN '384' THEN '3041300d060960864801650304020205000430'
                                   ELSE '3051300d060960864801650304020305000440' END, 'hex')
                  || mentalspace.hash_of(bits, message);
    expected bytea := '\x0001'::bytea
                      || decode(repeat('ff', octet_length(modulus) - octet_length(tail) - 3), 'hex') || '\x00'::bytea || tail;
BEGIN
    IF octet_length(signature) <> octet_length(modulus) OR s >= n THEN
        RETURN false;
    END IF;
    WHILE e > 0 LOOP
        IF e % 2 = 1 THEN
            power := power * s % n;
        END IF;
        s := s * s % n;
        e := e / 2;
    END LOOP;
    RETURN power = mentalspace.number_of(expected);
END
$$;
COMMENT ON FUNCTION mentalspace.rsa_fits(text, bytea, bytea, bytea, bytea) IS 'internal to login(): RSASSA-PKCS1-v1_5 (RFC 8017 section 8.2.2)';

CREATE FUNCTION mentalspace.read_jwk(jwk jsonb, OUT algorithm text, OUT problem text)
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    kty text := jwk ->> 'kty';
    alg text := jwk ->> 'alg';
    modulus bytea;
    exponent bytea;
    secret bytea;
BEGIN
    IF jsonb_typeof(jwk) IS DISTINCT FROM 'object' THEN
        problem := 'a key must be a JSON object';
    ELSIF jsonb_typeof(jwk -> 'kty') IS DISTINCT FROM 'string' THEN
        problem := 'kty must be a string';
    ELSIF jsonb_typeof(jwk -> 'kid') <> 'string' OR jsonb_typeof(jwk -> 'alg') <> 'string' THEN
        problem := 'kid and alg must be strings';
    ELSIF kty NOT IN ('RSA', 'EC', 'OKP', 'oct') THEN
        RETURN;
    ELSIF kty <> 'oct' AND jwk ?| ARRAY['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth'] THEN
        problem := 'the key is a private key';
    ELSIF jsonb_typeof(jwk -> 'use') <> 'string' OR jsonb_typeof(jwk -> 'key_ops') <> 'array' THEN
        problem := 'use must be a string and key_ops an array of strings';
    ELSIF jwk ->> 'use' <> 'sig' OR NOT jwk -> 'key_ops' ? 'verify' THEN
        RETURN;
    ELSIF kty IN ('EC', 'OKP') OR alg LIKE 'PS___' THEN
        problem := format('the trusted flavour cannot verify signatures of %s keys', coalesce(alg, kty));
    ELSIF kty = 'RSA' THEN
        modulus := mentalspace.base64url_decode(jwk ->> 'n');
        exponent := mentalspace.base64url_decode(jwk ->> 'e');
        alg := coalesce(alg, 'RS256');
        IF alg NOT IN ('RS256', 'RS384', 'RS512') THEN
            problem := 'alg does not fit the kind of the key';
        ELSIF modulus IS NULL OR exponent IS NULL OR octet_length(modulus) = 0 OR octet_length(exponent) = 0
              OR get_byte(modulus, 0) = 0 OR get_byte(exponent, 0) = 0 THEN
            problem := 'an RSA key needs n and e in base64url';
        ELSIF octet_length(modulus) < 256 OR (octet_length(modulus) = 256 AND get_byte(modulus, 0) < 128) THEN
            problem := 'an RSA key has 2048 bits at least';
        ELSIF octet_length(modulus) > 1024 OR octet_length(exponent) > 7
              OR mentalspace.number_of(exponent) < 3 OR mentalspace.number_of(exponent) % 2 = 0 THEN
            problem := 'the RSA key is too large, or its exponent is not odd and at least 3';
        ELSE
            algorithm := alg;
        END IF;
    ELSIF alg IS NULL THEN
        problem := 'a symmetric key must name its alg';
    ELSIF alg NOT IN ('HS256', 'HS384', 'HS512') THEN
        problem := 'alg does not fit the kind of the key';
    ELSE
        secret := mentalspace.base64url_decode(jwk ->> 'k');
        IF secret IS NULL THEN
            problem := 'a symmetric key needs k in base64url';
        ELSIF octet_length(secret) < right(alg, 3)::int / 8 THEN
            problem := 'the secret is shorter than the hash of its algorithm';
        ELSE
            algorithm := alg;
        END IF;
    END IF;
END
$$;
COMMENT ON FUNCTION mentalspace.read_jwk(jsonb) IS 'internal to load_jwks(): algorithm of a key, what is wrong with it, or neither where it is to be passed over';

CREATE FUNCTION mentalspace.jwk_algorithm(jwk jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$ SELECT algorithm FROM mentalspace.read_jwk($1) $$;

CREATE FUNCTION mentalspace.check_jwks(jwks jsonb) RETURNS int
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    listed jsonb := CASE WHEN jwks ? 'keys' THEN jwks -> 'keys' ELSE jsonb_build_array(jwks) END;
    r record;
    usable int := 0;
    kids text[] := '{}';
    secrets int := 0;
    found text := 'keys must be an array of at most 256 keys';
    place bigint;
BEGIN
    IF jsonb_typeof(listed) = 'array' AND jsonb_array_length(listed) <= 256 THEN
        found := NULL;
        FOR r IN SELECT e.place, e.key, k.algorithm, k.problem
                   FROM jsonb_array_elements(listed) WITH ORDINALITY AS e(key, place), mentalspace.read_jwk(e.key) AS k
                  ORDER BY e.place
        LOOP
            place := r.place;
            found := CASE WHEN r.problem IS NOT NULL THEN r.problem
                          WHEN r.key ->> 'kid' = ANY (kids) THEN 'two keys have the same kid' END;
            EXIT WHEN found IS NOT NULL;
            kids := kids || coalesce(r.key ->> 'kid', '');
            kids := array_remove(kids, '');
            usable := usable + (r.algorithm IS NOT NULL)::int;
            secrets := secrets + coalesce((r.algorithm LIKE 'HS%')::int, 0);
        END LOOP;
        IF found IS NULL THEN
            place := NULL;
            found := CASE WHEN secrets > 0 AND secrets < usable THEN 'the set mixes secrets and public keys'
                          WHEN usable = 0 THEN 'there is no key that verifies signatures of a known algorithm' END;
        END IF;
    END IF;
    IF found IS NOT NULL THEN
        RAISE EXCEPTION 'invalid key set'
            USING ERRCODE = CASE WHEN found LIKE 'the trusted flavour%' THEN 'feature_not_supported' ELSE 'invalid_parameter_value' END,
                  DETAIL = CASE WHEN place IS NULL THEN format('The reason is: %s.', found)
                                ELSE format('The reason is, at key number %s: %s.', place, found) END;
    END IF;
    RETURN usable;
END
$$;

CREATE FUNCTION mentalspace.jwk_fits(jwk jsonb, message bytea, signature bytea) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    alg text := mentalspace.jwk_algorithm(jwk);
BEGIN
    IF alg LIKE 'RS%' THEN
        RETURN mentalspace.rsa_fits(right(alg, 3), mentalspace.base64url_decode(jwk ->> 'n'),
                                    mentalspace.base64url_decode(jwk ->> 'e'), message, signature);
    END IF;
    -- Hashes are compared, so that the time it takes says nothing of the signature that is expected.
    RETURN sha256(mentalspace.hmac_of(right(alg, 3), mentalspace.base64url_decode(jwk ->> 'k'), message)) = sha256(signature);
END
$$;
COMMENT ON FUNCTION mentalspace.jwk_fits(jsonb, bytea, bytea) IS 'internal to login(): whether the signature is the key''s';

CREATE FUNCTION mentalspace.split_token(token text, OUT header jsonb, OUT payload bytea, OUT signature bytea, OUT signed bytea)
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    parts text[];
    alg text;
BEGIN
    IF token IS NULL THEN
        PERFORM mentalspace.refuse_token('malformed', 'the token is NULL');
    ELSIF octet_length(token) > mentalspace.auth_setting('auth_max_token_bytes')::int THEN
        PERFORM mentalspace.refuse_token('malformed', 'the token is too long');
    END IF;
    parts := string_to_array(token, '.');
    IF cardinality(parts) = 5 THEN
        PERFORM mentalspace.refuse_token('malformed', 'encrypted tokens are refused');
    ELSIF cardinality(parts) <> 3 THEN
        PERFORM mentalspace.refuse_token('malformed', 'a token has exactly three segments');
    END IF;
    payload := mentalspace.base64url_decode(parts[2]);
    signature := mentalspace.base64url_decode(parts[3]);
    IF payload IS NULL OR signature IS NULL OR mentalspace.base64url_decode(parts[1]) IS NULL THEN
        PERFORM mentalspace.refuse_token('malformed', 'a segment is not strict base64url');
    END IF;
    header := mentalspace.json_of(mentalspace.base64url_decode(parts[1]), 4);
    IF header IS NULL THEN
        PERFORM mentalspace.refuse_token('malformed', 'the header is not a JSON object');
    ELSIF header ?| ARRAY['crit', 'b64', 'enc'] THEN
        PERFORM mentalspace.refuse_token('malformed', 'crit, b64 and enc in the header are refused');
    ELSIF EXISTS (SELECT FROM unnest(ARRAY['alg', 'kid', 'typ', 'cty']) AS n WHERE jsonb_typeof(header -> n) <> 'string') THEN
        PERFORM mentalspace.refuse_token('malformed', 'alg, kid, typ and cty in the header must be strings');
    ELSIF lower(header ->> 'cty') IN ('jwt', 'application/jwt') THEN
        PERFORM mentalspace.refuse_token('malformed', 'nested tokens are refused');
    END IF;
    alg := header ->> 'alg';
    IF alg IS NULL THEN
        PERFORM mentalspace.refuse_token('malformed', 'the header lacks alg');
    ELSIF lower(alg) = 'none' THEN
        PERFORM mentalspace.refuse_token('malformed', 'unsigned tokens are refused');
    ELSIF alg NOT IN ('HS256', 'HS384', 'HS512', 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512',
                      'ES256', 'ES384', 'ES512', 'EdDSA') THEN
        PERFORM mentalspace.refuse_token('malformed', 'the algorithm is not known');
    END IF;
    signed := convert_to(parts[1] || '.' || parts[2], 'UTF8');
END
$$;
COMMENT ON FUNCTION mentalspace.split_token(text) IS 'internal to login(): takes a token apart, its signature not yet verified';

CREATE FUNCTION mentalspace.jws_verify(token text, jwk jsonb) RETURNS bytea
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    t record;
    k record;
BEGIN
    SELECT * INTO k FROM mentalspace.read_jwk(jwk);
    IF k.algorithm IS NULL THEN
        RAISE EXCEPTION 'invalid key'
            USING ERRCODE = CASE WHEN k.problem LIKE 'the trusted flavour%' THEN 'feature_not_supported' ELSE 'invalid_parameter_value' END,
                  DETAIL = format('The reason is: %s.', coalesce(k.problem,
                                  'the key is not one that verifies signatures of a known algorithm'));
    END IF;
    SELECT * INTO t FROM mentalspace.split_token(token);
    IF t.header ->> 'alg' <> k.algorithm OR t.header ->> 'kid' <> jwk ->> 'kid' THEN
        PERFORM mentalspace.refuse_token('unknown key', 'the key is not for this algorithm and kid');
    END IF;
    IF NOT mentalspace.jwk_fits(jwk, t.signed, t.signature) THEN
        PERFORM mentalspace.refuse_token('bad signature', 'the signature does not fit');
    END IF;
    RETURN t.payload;
END
$$;

-- ---- login_trusted.sql
-- Verified identity in PL/pgSQL.  The signature and all claims are checked as in the native flavour; what holds the
-- identity afterwards are ordinary variables, which every SQL statement can set: this flavour cannot lock.
CREATE FUNCTION mentalspace.check_claims(claims jsonb) RETURNS void
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    api_key boolean := claims ->> 'sub' IS NULL AND claims ->> 'role' IN ('anon', 'service_role');
    issuers text[] := array_remove(regexp_split_to_array(trim(mentalspace.auth_setting('auth_issuers')), '\s*,\s*'), '');
    audience text := mentalspace.auth_setting('auth_audience');
    leeway numeric := mentalspace.auth_setting('auth_leeway')::numeric;
    seconds numeric := extract(epoch FROM clock_timestamp());
BEGIN
    IF cardinality(issuers) > 0 AND NOT coalesce(claims ->> 'iss' = ANY (issuers), false) THEN
        PERFORM mentalspace.refuse_token('wrong issuer', 'the issuer is not accepted');
    ELSIF audience <> '' AND (CASE jsonb_typeof(claims -> 'aud') WHEN 'string' THEN claims ->> 'aud' <> audience
                                  WHEN 'array' THEN NOT claims -> 'aud' ? audience ELSE NOT coalesce(api_key, false) END) THEN
        PERFORM mentalspace.refuse_token('wrong audience', 'the token is not for this audience');
    ELSIF claims -> 'exp' IS NULL AND NOT coalesce(api_key, false) THEN
        PERFORM mentalspace.refuse_token('malformed', 'the token of a user must have exp');
    ELSIF seconds >= floor((claims ->> 'exp')::numeric) + leeway THEN
        PERFORM mentalspace.refuse_token('expired', 'exp is in the past');
    ELSIF seconds < ceil((claims ->> 'nbf')::numeric) - leeway THEN
        PERFORM mentalspace.refuse_token('not yet valid', 'nbf is in the future');
    ELSIF seconds < floor((claims ->> 'iat')::numeric) - leeway THEN
        PERFORM mentalspace.refuse_token('not yet valid', 'iat is in the future');
    ELSIF claims ->> 'sub' IS NOT NULL
          AND claims ->> 'sub' !~* '^\{?[0-9a-f]{4}(-?[0-9a-f]{4}){7}\}?$' THEN
        PERFORM mentalspace.refuse_token('malformed', 'a claim has a value that PostgreSQL cannot represent, or sub is not a uuid');
    END IF;
END
$$;
COMMENT ON FUNCTION mentalspace.check_claims(jsonb) IS 'internal to login(): issuer, audience and times';

CREATE FUNCTION mentalspace.verify_jwt(token text) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    t record;
    k record;
    claims jsonb;
    issuer_has_keys boolean;
    of_other_issuer boolean := false;
    tried boolean := false;
    verified_by bigint;
BEGIN
    SELECT * INTO t FROM mentalspace.split_token(token);
    IF lower(t.header ->> 'typ') NOT IN ('jwt', 'at+jwt', 'application/jwt', 'application/at+jwt') THEN
        PERFORM mentalspace.refuse_token('malformed', 'typ is not that of an access token');
    END IF;
    claims := mentalspace.json_of(t.payload, 16);
    IF claims IS NULL THEN
        PERFORM mentalspace.refuse_token('malformed', 'the payload is not a JSON object');
    ELSIF EXISTS (SELECT FROM unnest(ARRAY['sub', 'role', 'email', 'phone', 'aal', 'session_id', 'iss']) AS n
                   WHERE jsonb_typeof(claims -> n) NOT IN ('string', 'null')) THEN
        PERFORM mentalspace.refuse_token('malformed', 'sub, role, email, phone, aal, session_id and iss must be strings');
    ELSIF EXISTS (SELECT FROM unnest(ARRAY['exp', 'nbf', 'iat']) AS n
                   WHERE CASE WHEN jsonb_typeof(claims -> n) = 'number' THEN abs((claims ->> n)::numeric) > 253402300799
                              ELSE claims ? n END) THEN
        PERFORM mentalspace.refuse_token('malformed', 'exp, nbf and iat must be numbers within the years that there are');
    ELSIF jsonb_typeof(claims -> 'aud') NOT IN ('string', 'array')
          OR EXISTS (SELECT FROM jsonb_array_elements(CASE WHEN jsonb_typeof(claims -> 'aud') = 'array' THEN claims -> 'aud' ELSE '[]' END) AS a
                      WHERE jsonb_typeof(a.value) <> 'string') THEN
        PERFORM mentalspace.refuse_token('malformed', 'aud must be a string or an array of strings');
    END IF;

    issuer_has_keys := EXISTS (SELECT FROM mentalspace.jwt_key_store AS s WHERE s.issuer = claims ->> 'iss');
    FOR k IN SELECT s.id, s.jwk, s.issuer FROM mentalspace.jwt_key_store AS s
              WHERE s.alg = t.header ->> 'alg' AND coalesce(s.kid = t.header ->> 'kid', true) ORDER BY s.id
    LOOP
        IF NOT coalesce(CASE WHEN k.issuer IS NULL THEN NOT issuer_has_keys ELSE k.issuer = claims ->> 'iss' END, false) THEN
            of_other_issuer := true;
            CONTINUE;
        END IF;
        tried := true;
        IF mentalspace.jwk_fits(k.jwk, t.signed, t.signature) THEN
            verified_by := k.id;
            EXIT;
        END IF;
    END LOOP;
    IF verified_by IS NULL THEN
        PERFORM mentalspace.refuse_token(
            CASE WHEN tried THEN 'bad signature' WHEN of_other_issuer THEN 'wrong issuer' ELSE 'unknown key' END,
            CASE WHEN tried THEN 'the signature does not fit' WHEN of_other_issuer THEN 'the key belongs to another issuer'
                 ELSE 'there is no key for this algorithm and kid' END);
    END IF;
    PERFORM mentalspace.check_claims(claims);

    IF EXISTS (SELECT FROM mentalspace.jwt_revocations AS r
                WHERE (r.kind = 'session' AND r.subject = lower(claims ->> 'session_id'))
                   OR (r.kind = 'user' AND r.subject = (claims ->> 'sub')::uuid::text
                       AND coalesce(to_timestamp(floor((claims ->> 'iat')::numeric)::float8) <= r.revoked_at, true))) THEN
        PERFORM mentalspace.refuse_token('revoked', 'the session or the user''s older tokens were revoked');
    END IF;

    -- One note an hour; nobody waits for it.
    IF NOT pg_is_in_recovery() AND NOT current_setting('transaction_read_only')::boolean
       AND NOT EXISTS (SELECT FROM mentalspace.jwt_key_use AS u
                        WHERE u.key_id = verified_by AND u.used_at > statement_timestamp() - interval '1 hour')
       AND pg_try_advisory_xact_lock('mentalspace.jwt_key_use'::regclass::oid::int, verified_by::int) THEN
        INSERT INTO mentalspace.jwt_key_use (key_id, used_at) VALUES (verified_by, statement_timestamp());
    END IF;
    RETURN claims;
END
$$;

CREATE FUNCTION mentalspace.sync_user_of(token text) RETURNS boolean
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    claims jsonb;
BEGIN
    IF NOT mentalspace.auth_setting('auth_sync_users')::boolean OR pg_is_in_recovery()
       OR current_setting('transaction_read_only')::boolean THEN
        RETURN false;
    END IF;
    claims := mentalspace.verify_jwt(token);
    RETURN claims ->> 'sub' IS NOT NULL AND mentalspace.sync_user(claims);
END
$$;
COMMENT ON FUNCTION mentalspace.sync_user_of(text) IS 'internal to login(): sync_user() for the claims of a token that it verifies itself';

CREATE FUNCTION mentalspace.login(token text, scope text) RETURNS uuid
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    AS $$
DECLARE
    claims pg_catalog.jsonb;
    local boolean := pg_catalog.lower(scope) OPERATOR(pg_catalog.=) 'transaction';
    name pg_catalog.text;
    role pg_catalog.text;
BEGIN
    IF scope IS NULL OR NOT scope OPERATOR(pg_catalog.=) ANY (ARRAY['transaction', 'session']) THEN
        RAISE EXCEPTION 'scope must be "transaction" or "session"' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    claims := mentalspace.verify_jwt(token);
    role := claims OPERATOR(pg_catalog.->>) 'role';
    IF role IS NULL OR NOT role OPERATOR(pg_catalog.=) ANY (pg_catalog.regexp_split_to_array(
           pg_catalog.btrim(mentalspace.auth_setting('auth_allowed_roles')), '\s*,\s*')) THEN
        PERFORM mentalspace.refuse_token('role not allowed', 'mentalspace.auth_allowed_roles does not list the role that the token names');
    ELSIF NOT EXISTS (SELECT FROM pg_catalog.pg_roles AS r WHERE r.rolname OPERATOR(pg_catalog.=) role
                         AND pg_catalog.pg_has_role(session_user, r.oid, 'MEMBER')) THEN
        PERFORM mentalspace.refuse_token('role not allowed', 'the session''s login role is not a member of the role that the token names');
    END IF;
    -- Triggers on auth.users run under nobody's identity, as they do in Supabase.
    PERFORM pg_catalog.set_config('request.jwt.claims', '', local);
    PERFORM pg_catalog.set_config('request.jwt.claim', '', local);
    FOREACH name IN ARRAY ARRAY['sub', 'role', 'email', 'aal', 'app_metadata', 'aud', 'exp', 'iat', 'is_anonymous', 'iss',
                                'phone', 'session_id', 'user_metadata'] LOOP
        PERFORM pg_catalog.set_config(pg_catalog.concat('request.jwt.claim.', name), '', local);
    END LOOP;
    PERFORM mentalspace.sync_user_of(token);
    PERFORM pg_catalog.set_config('request.jwt.claims', claims::pg_catalog.text, local);
    PERFORM pg_catalog.set_config('request.jwt.claim', claims::pg_catalog.text, local);
    FOREACH name IN ARRAY ARRAY['sub', 'role', 'email', 'aal', 'app_metadata', 'aud', 'exp', 'iat', 'is_anonymous', 'iss',
                                'phone', 'session_id', 'user_metadata'] LOOP
        PERFORM pg_catalog.set_config(pg_catalog.concat('request.jwt.claim.', name),
                                      COALESCE(claims OPERATOR(pg_catalog.->>) name, ''), local);
    END LOOP;
    PERFORM pg_catalog.set_config('role', role, local);
    RETURN (claims OPERATOR(pg_catalog.->>) 'sub')::pg_catalog.uuid;
END
$$;
CREATE FUNCTION mentalspace.login(token text) RETURNS uuid
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    AS $$ SELECT mentalspace.login($1, 'transaction') $$;

CREATE FUNCTION mentalspace.logout() RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    AS $$
DECLARE
    name pg_catalog.text;
BEGIN
    FOREACH name IN ARRAY ARRAY['claims', 'claim', 'claim.sub', 'claim.role', 'claim.email', 'claim.aal', 'claim.app_metadata',
                                'claim.aud', 'claim.exp', 'claim.iat', 'claim.is_anonymous', 'claim.iss', 'claim.phone',
                                'claim.session_id', 'claim.user_metadata'] LOOP
        PERFORM pg_catalog.set_config(pg_catalog.concat('request.jwt.', name), '', false);
    END LOOP;
    PERFORM pg_catalog.set_config('role', 'none', false);
END
$$;

CREATE FUNCTION mentalspace.whoami(OUT "session_user" text, OUT "current_user" text, OUT claims_source text,
    OUT uid uuid, OUT role text, OUT email text, OUT aal text, OUT session_id text, OUT issuer text,
    OUT expires_at timestamptz, OUT problem text, OUT audit text)
    LANGUAGE plpgsql VOLATILE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    claims jsonb;
    was_set boolean := current_setting('request.jwt.claims', true) IS NOT NULL;
    expired boolean;
BEGIN
    audit := 'off: the trusted flavour sees no reads but those by mentalspace.read_phi()';
    "session_user" := session_user;
    "current_user" := current_user;
    claims_source := CASE WHEN coalesce(current_setting('request.jwt.claims', true), '') <> ''
                            OR coalesce(current_setting('request.jwt.claim', true), '') <> ''
                            OR coalesce(current_setting('request.jwt.claim.sub', true), '') <> ''
                            OR coalesce(current_setting('request.jwt.claim.role', true), '') <> ''
                            OR coalesce(current_setting('request.jwt.claim.email', true), '') <> '' THEN 'guc' ELSE 'none' END;
    IF claims_source = 'none' THEN
        problem := CASE WHEN was_set THEN 'no claims are set in this transaction; those of an earlier one ended with it'
                        ELSE 'no claims are set: request.jwt.claims was not set in this session' END;
        RETURN;
    END IF;
    BEGIN
        claims := auth.jwt();
        role := auth.role();
        email := auth.email();
        IF jsonb_typeof(claims) = 'object' THEN
            aal := claims ->> 'aal';
            session_id := claims ->> 'session_id';
            issuer := claims ->> 'iss';
            expires_at := CASE WHEN jsonb_typeof(claims -> 'exp') = 'number' AND (claims ->> 'exp')::numeric BETWEEN 1 AND 253402300799
                               THEN to_timestamp((claims ->> 'exp')::float8) END;
        END IF;
    EXCEPTION WHEN data_exception THEN
        problem := 'the claims are not valid JSON';
        RETURN;
    END;
    BEGIN
        uid := auth.uid();
    EXCEPTION WHEN data_exception THEN
        problem := 'sub is not a uuid';
        RETURN;
    END;
    expired := coalesce(expires_at < clock_timestamp(), false);
    problem := CASE WHEN uid IS NOT NULL AND expired THEN 'the token expired; claims that are set as variables are believed all the same'
                    WHEN uid IS NOT NULL THEN NULL
                    WHEN jsonb_typeof(claims) <> 'object' THEN 'the claims are not a JSON object'
                    WHEN expired THEN 'the claims have no sub, and the token expired'
                    ELSE 'the claims have no sub' END;
END
$$;

-- ---- login.sql
-- What both flavours say of the verified identity.
COMMENT ON FUNCTION mentalspace.check_jwks(jsonb) IS 'number of keys in a JWKS that can verify tokens; an error where anything in it is wrong';
COMMENT ON FUNCTION mentalspace.jwk_algorithm(jsonb) IS 'the one algorithm that a JWK verifies, NULL where it can verify none';
COMMENT ON FUNCTION mentalspace.jws_verify(text, jsonb) IS 'payload of a signed token (RFC 7515) after its signature, and nothing else, was verified with the key';
COMMENT ON FUNCTION mentalspace.verify_jwt(text) IS 'claims of a token after all checks of login(); the identity stays as it is';
COMMENT ON FUNCTION mentalspace.login(text) IS 'verifies a token and takes on its claims and role until the end of the transaction; returns sub';
COMMENT ON FUNCTION mentalspace.login(text, text) IS 'login() for the transaction or, with scope session, until logout(), DISCARD ALL or disconnection';
COMMENT ON FUNCTION mentalspace.logout() IS 'ends what login() began';
COMMENT ON FUNCTION mentalspace.whoami() IS 'who this session is, where its claims come from, and in words why auth.uid() is NULL and how its reads are audited';
GRANT EXECUTE ON FUNCTION mentalspace.jws_verify(text, jsonb), mentalspace.verify_jwt(text), mentalspace.login(text),
    mentalspace.login(text, text), mentalspace.logout(), mentalspace.whoami() TO PUBLIC;

-- ---- sync_users.sql
-- Users appear by themselves: auth.users from the claims of verified tokens, and from Supabase's list of users.
CREATE FUNCTION mentalspace.sync_user(claims jsonb) RETURNS boolean
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    issued timestamptz := to_timestamp((claims ->> 'iat')::float8);
    signed_in timestamptz;
    said record;
    known record;
BEGIN
    SELECT max(to_timestamp((m.value ->> 'timestamp')::float8)) INTO signed_in
      FROM jsonb_array_elements(CASE WHEN jsonb_typeof(claims -> 'amr') = 'array' THEN claims -> 'amr' ELSE '[]' END) AS m
     WHERE jsonb_typeof(m.value -> 'timestamp') = 'number';
    SELECT (claims ->> 'sub')::uuid AS id,
           CASE jsonb_typeof(claims -> 'aud') WHEN 'array' THEN claims -> 'aud' ->> 0 ELSE claims ->> 'aud' END AS aud,
           claims ->> 'role' AS role, nullif(claims ->> 'email', '') AS email, nullif(claims ->> 'phone', '') AS phone,
           coalesce(claims -> 'app_metadata', '{}') AS raw_app_meta_data,
           coalesce(claims -> 'user_metadata', '{}') AS raw_user_meta_data,
           coalesce((claims ->> 'is_anonymous')::boolean, false) AS is_anonymous
      INTO said;

    SELECT u.* INTO known FROM auth.users AS u WHERE u.id = said.id;
    IF FOUND THEN
        -- An older token says nothing new, and a row that says the same already is not touched.
        IF issued <= known.updated_at
           OR (known.aud, known.role, known.email, known.phone, known.raw_app_meta_data, known.raw_user_meta_data,
               known.is_anonymous)
              IS NOT DISTINCT FROM
              (said.aud, said.role, said.email, said.phone, said.raw_app_meta_data, said.raw_user_meta_data,
               said.is_anonymous)
              AND (signed_in IS NULL OR signed_in <= known.last_sign_in_at)
        THEN
            RETURN false;
        END IF;
    END IF;
    INSERT INTO auth.users AS u (instance_id, id, aud, role, email, phone, raw_app_meta_data, raw_user_meta_data,
                                 is_anonymous, last_sign_in_at, created_at, updated_at)
    VALUES ('00000000-0000-0000-0000-000000000000', said.id, said.aud, said.role, said.email, said.phone,
            said.raw_app_meta_data, said.raw_user_meta_data, said.is_anonymous, coalesce(signed_in, issued, now()),
            coalesce(issued, now()), coalesce(issued, now()))
    ON CONFLICT (id) DO UPDATE
       SET aud = excluded.aud, role = excluded.role, email = excluded.email, phone = excluded.phone,
           raw_app_meta_data = excluded.raw_app_meta_data, raw_user_meta_data = excluded.raw_user_meta_data,
           is_anonymous = excluded.is_anonymous, last_sign_in_at = greatest(u.last_sign_in_at, signed_in),
           updated_at = excluded.updated_at
     -- Two first logins at once: the second one finds that the first said it all.
     WHERE u.updated_at IS NULL OR u.updated_at < excluded.updated_at;
    RETURN true;
END
$$;
REVOKE ALL ON FUNCTION mentalspace.sync_user(jsonb) FROM PUBLIC;
COMMENT ON FUNCTION mentalspace.sync_user(jsonb) IS 'inserts or refreshes the row of auth.users that verified claims speak of; login() calls it as the owner of auth.users where auth_sync_users is on';

CREATE FUNCTION mentalspace.import_auth_users(users jsonb) RETURNS int
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    listed jsonb := CASE jsonb_typeof(users) WHEN 'object' THEN users -> 'users' ELSE users END;
    item jsonb;
    imported int := 0;
BEGIN
    IF jsonb_typeof(listed) IS DISTINCT FROM 'array' THEN
        RAISE EXCEPTION 'users must be an array, or an object with an array "users"' USING ERRCODE = 'invalid_parameter_value',
            HINT = 'This is what GET /auth/v1/admin/users of Supabase''s admin API returns.';
    END IF;
    FOR item IN SELECT value FROM jsonb_array_elements(listed) LOOP
        INSERT INTO auth.users AS u (instance_id, id, aud, role, email, email_confirmed_at, phone, phone_confirmed_at,
                                     invited_at, confirmation_sent_at, recovery_sent_at, last_sign_in_at,
                                     raw_app_meta_data, raw_user_meta_data, created_at, updated_at, banned_until,
                                     deleted_at, is_sso_user, is_anonymous)
        VALUES ('00000000-0000-0000-0000-000000000000', (item ->> 'id')::uuid, item ->> 'aud', item ->> 'role',
                nullif(item ->> 'email', ''), (item ->> 'email_confirmed_at')::timestamptz,
                nullif(item ->> 'phone', ''), (item ->> 'phone_confirmed_at')::timestamptz,
                (item ->> 'invited_at')::timestamptz, (item ->> 'confirmation_sent_at')::timestamptz,
                (item ->> 'recovery_sent_at')::timestamptz, (item ->> 'last_sign_in_at')::timestamptz,
                coalesce(item -> 'app_metadata', '{}'), coalesce(item -> 'user_metadata', '{}'),
                (item ->> 'created_at')::timestamptz, (item ->> 'updated_at')::timestamptz,
                (item ->> 'banned_until')::timestamptz, (item ->> 'deleted_at')::timestamptz,
                coalesce((item ->> 'is_sso_user')::boolean, false), coalesce((item ->> 'is_anonymous')::boolean, false))
        ON CONFLICT (id) DO UPDATE
           SET aud = excluded.aud, role = excluded.role, email = excluded.email,
               email_confirmed_at = excluded.email_confirmed_at, phone = excluded.phone,
               phone_confirmed_at = excluded.phone_confirmed_at, invited_at = excluded.invited_at,
               confirmation_sent_at = excluded.confirmation_sent_at, recovery_sent_at = excluded.recovery_sent_at,
               last_sign_in_at = greatest(u.last_sign_in_at, excluded.last_sign_in_at),
               raw_app_meta_data = excluded.raw_app_meta_data, raw_user_meta_data = excluded.raw_user_meta_data,
               created_at = excluded.created_at, updated_at = excluded.updated_at, banned_until = excluded.banned_until,
               deleted_at = excluded.deleted_at, is_sso_user = excluded.is_sso_user, is_anonymous = excluded.is_anonymous;
        IF pg_catalog.to_regclass('auth.identities') IS NOT NULL AND jsonb_typeof(item -> 'identities') = 'array' THEN
            INSERT INTO auth.identities (id, user_id, provider_id, provider, identity_data, last_sign_in_at, created_at,
                                         updated_at)
            SELECT coalesce((i.value ->> 'identity_id')::uuid, gen_random_uuid()), (item ->> 'id')::uuid,
                   coalesce(i.value -> 'identity_data' ->> 'sub', i.value ->> 'id'), i.value ->> 'provider',
                   coalesce(i.value -> 'identity_data', '{}'), (i.value ->> 'last_sign_in_at')::timestamptz,
                   (i.value ->> 'created_at')::timestamptz, (i.value ->> 'updated_at')::timestamptz
              FROM jsonb_array_elements(item -> 'identities') AS i
            ON CONFLICT (provider_id, provider) DO UPDATE
               SET identity_data = excluded.identity_data, last_sign_in_at = excluded.last_sign_in_at,
                   updated_at = excluded.updated_at;
        END IF;
        imported := imported + 1;
    END LOOP;
    RETURN imported;
END
$$;
REVOKE ALL ON FUNCTION mentalspace.import_auth_users(jsonb) FROM PUBLIC;
COMMENT ON FUNCTION mentalspace.import_auth_users(jsonb) IS 'inserts or refreshes rows of auth.users, and their identities, from what Supabase''s admin API lists; returns how many users';

-- ---- rls_trusted.sql
-- This flavour has no planner hook: it has optimised nothing.
CREATE FUNCTION mentalspace.rls_session_stats(
    OUT queries_optimized bigint, OUT calls_hoisted bigint, OUT calls_saved bigint, OUT facts_folded bigint,
    OUT executions_with_facts bigint, OUT executions_replanned bigint) RETURNS record
    LANGUAGE sql VOLATILE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
    AS $$ SELECT 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint $$;

-- ---- rls.sql
COMMENT ON FUNCTION mentalspace.rls_session_stats() IS 'what the rows of this session were spared by mentalspace.rls_optimize, as the view rls_stats shows it';
CREATE VIEW mentalspace.rls_stats AS SELECT * FROM mentalspace.rls_session_stats();
COMMENT ON VIEW mentalspace.rls_stats IS 'what the rows of this session were spared by mentalspace.rls_optimize; everybody may call rls_session_stats()';
COMMENT ON COLUMN mentalspace.rls_stats.queries_optimized IS 'queries planned whose policies were optimised';
COMMENT ON COLUMN mentalspace.rls_stats.calls_hoisted IS 'calls taken out of policies, so that they are made once in a query';
COMMENT ON COLUMN mentalspace.rls_stats.calls_saved IS 'times that a row took a value instead of having it computed';
COMMENT ON COLUMN mentalspace.rls_stats.facts_folded IS 'conditions that were settled while planning';
COMMENT ON COLUMN mentalspace.rls_stats.executions_with_facts IS 'executions of plans with such conditions';
COMMENT ON COLUMN mentalspace.rls_stats.executions_replanned IS 'executions that found another answer and planned anew';
GRANT SELECT ON mentalspace.rls_stats TO pg_monitor;

-- ---- audit_events.sql
-- The record of who did what with patients' data: mentalspace.audit_events, and what is kept beside it.
--
-- The monthly partitions are made by audit_make_partitions(), not by this script: they belong to the installation, not to
-- the extension, so that pg_dump takes them along.
DO $$
BEGIN
    IF pg_catalog.to_regrole('mentalspace_auditor') IS NULL THEN
        CREATE ROLE mentalspace_auditor NOLOGIN;
        COMMENT ON ROLE mentalspace_auditor IS 'mentalspace: members read the audit events';
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;
END
$$;

-- It begins where no earlier installation has come, so that events which are restored from a dump and those of the restore
-- itself have different numbers; its state is not in dumps.
CREATE SEQUENCE mentalspace.audit_event_ids CACHE 64;
COMMENT ON SEQUENCE mentalspace.audit_event_ids IS 'numbers of audit events; each session takes some ahead, so they have gaps';
SELECT pg_catalog.setval('mentalspace.audit_event_ids', (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000)::bigint << 16);

-- The order of the columns keeps the rows small.
CREATE TABLE mentalspace.audit_events (
    event_id          bigint NOT NULL DEFAULT nextval('mentalspace.audit_event_ids'),
    occurred_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    transaction_id    xid8,
    query_fingerprint bigint,
    row_count         bigint,
    statement_no      int,
    kind              text NOT NULL,
    action            text,
    category          text,
    outcome           text NOT NULL DEFAULT 'success',
    severity          text NOT NULL DEFAULT 'info',
    precision         text,
    relation          text,
    row_key           text,
    patient_ids       text[],
    user_id           uuid,
    session_user_name text NOT NULL DEFAULT session_user,
    current_user_name text,
    outer_role_name   text,
    roles             text[],
    aal               text,
    session_id        text,
    identity_source   text,
    client_address    inet,
    application_name  text,
    user_agent        text,
    request_id        text,
    purpose_of_use    text,
    break_glass_id    text,
    changes           jsonb,
    row_digest        bytea,
    row_image         jsonb,
    detail            text
) PARTITION BY RANGE (occurred_at);
CREATE TABLE mentalspace.audit_events_default PARTITION OF mentalspace.audit_events DEFAULT;

-- What is audited, as audit_table() declared it.
CREATE TABLE mentalspace.audit_relations (
    relation    regclass PRIMARY KEY,
    patient_key text,
    reads       boolean NOT NULL,
    writes      boolean NOT NULL,
    redact      text[] NOT NULL,
    category    text NOT NULL,
    declared_at timestamptz NOT NULL DEFAULT now(),
    declared_by text NOT NULL DEFAULT session_user
);
COMMENT ON TABLE mentalspace.audit_relations IS 'what is audited, as audit_table() declared it; in dumps';
COMMENT ON COLUMN mentalspace.audit_relations.relation IS 'the table; its partitions and children are audited with it';
COMMENT ON COLUMN mentalspace.audit_relations.patient_key IS 'column of the patient, or path over foreign keys to it, names quoted and with their schema; NULL: rows belong to no patient';
COMMENT ON COLUMN mentalspace.audit_relations.reads IS 'whether reads are audited';
COMMENT ON COLUMN mentalspace.audit_relations.writes IS 'whether writes are audited';
COMMENT ON COLUMN mentalspace.audit_relations.redact IS 'columns whose values events show as salted digests only';
COMMENT ON COLUMN mentalspace.audit_relations.category IS 'phi, psychotherapy_note, substance_use or billing';
COMMENT ON COLUMN mentalspace.audit_relations.declared_at IS 'when audit_table() was last called for it';
COMMENT ON COLUMN mentalspace.audit_relations.declared_by IS 'the login role that called it';

-- What digests are salted with: 32 bytes.  A restored database has its own and the dumped one; the oldest is in use.
CREATE TABLE mentalspace.audit_salts (
    salt    bytea NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE mentalspace.audit_salts IS 'secrets that digests in events are salted with: the oldest is in use; for the owner of the extension only, in dumps';
COMMENT ON COLUMN mentalspace.audit_salts.salt IS '32 random bytes';
COMMENT ON COLUMN mentalspace.audit_salts.made_at IS 'when the extension was created that made it';
-- Statistics hold samples of a column's values.
ALTER TABLE mentalspace.audit_salts ALTER COLUMN salt SET STATISTICS 0;
INSERT INTO mentalspace.audit_salts (salt)
    VALUES (pg_catalog.sha256(pg_catalog.uuid_send(pg_catalog.gen_random_uuid())
                              || pg_catalog.uuid_send(pg_catalog.gen_random_uuid())));

-- How far rings and spool files were taken over: in the transaction that takes them over, so that nothing comes twice.
-- Not in dumps: the files belong to the server.
CREATE TABLE mentalspace.audit_progress (
    source   text PRIMARY KEY,
    position bigint NOT NULL,
    taken_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE mentalspace.audit_progress IS 'how far events that left their transactions were taken over into audit_events, so that none comes twice';
COMMENT ON COLUMN mentalspace.audit_progress.source IS 'the ring or the spool file';
COMMENT ON COLUMN mentalspace.audit_progress.position IS 'up to where it was taken over';
COMMENT ON COLUMN mentalspace.audit_progress.taken_at IS 'when that was';

COMMENT ON TABLE mentalspace.audit_events IS 'who did what with patients'' data: members of mentalspace_auditor read it, nobody changes it; a partition for each month (UTC)';
COMMENT ON COLUMN mentalspace.audit_events.event_id IS 'number of the event; numbers have gaps and are not in the order of time';
COMMENT ON COLUMN mentalspace.audit_events.occurred_at IS 'when it happened';
COMMENT ON COLUMN mentalspace.audit_events.transaction_id IS 'full id of the transaction, NULL where it had none';
COMMENT ON COLUMN mentalspace.audit_events.query_fingerprint IS 'PostgreSQL''s query id: the same for statements that differ in literals only; their text is never kept';
COMMENT ON COLUMN mentalspace.audit_events.row_count IS 'number of rows';
COMMENT ON COLUMN mentalspace.audit_events.statement_no IS 'number of the client''s statement in the transaction, from 1; NULL: not known';
COMMENT ON COLUMN mentalspace.audit_events.kind IS 'phi_access, data_modification, admin_action, login, logout, authentication_attempt, permission_change, configuration_change, export or denied';
COMMENT ON COLUMN mentalspace.audit_events.action IS 'as FHIR names it: C (create), R (read), U (update), D (delete), E (execute)';
COMMENT ON COLUMN mentalspace.audit_events.category IS 'of the relation: phi, psychotherapy_note, substance_use or billing';
COMMENT ON COLUMN mentalspace.audit_events.outcome IS 'success; failure: it ended with an error after what the event tells of; denied: refused; unknown: the server stopped before its end';
COMMENT ON COLUMN mentalspace.audit_events.severity IS 'info, warning or critical';
COMMENT ON COLUMN mentalspace.audit_events.precision IS 'of a read: delivered (exactly what was sent to the client) or examined (what the query looked at, at least what was sent)';
COMMENT ON COLUMN mentalspace.audit_events.relation IS 'the declared table, with its schema, names quoted where needed';
COMMENT ON COLUMN mentalspace.audit_events.row_key IS 'primary key of the row as text; a JSON object for keys of several columns';
COMMENT ON COLUMN mentalspace.audit_events.patient_ids IS 'the patients, each once; NULL: none or not known';
COMMENT ON COLUMN mentalspace.audit_events.user_id IS 'the application''s user, as auth.uid() has it';
COMMENT ON COLUMN mentalspace.audit_events.session_user_name IS 'the login role';
COMMENT ON COLUMN mentalspace.audit_events.current_user_name IS 'the role whose privileges counted, within SECURITY DEFINER functions their owner; NULL: not known';
COMMENT ON COLUMN mentalspace.audit_events.outer_role_name IS 'the role that SET ROLE or login() had taken, NULL where that is the login role';
COMMENT ON COLUMN mentalspace.audit_events.roles IS 'roles of the application''s user, from the claims';
COMMENT ON COLUMN mentalspace.audit_events.aal IS 'authenticator assurance level, from the claims';
COMMENT ON COLUMN mentalspace.audit_events.session_id IS 'the application''s session, from the claims';
COMMENT ON COLUMN mentalspace.audit_events.identity_source IS 'where the claims come from: verified, guc or none, as in whoami()';
COMMENT ON COLUMN mentalspace.audit_events.client_address IS 'address of the client, NULL for a Unix socket';
COMMENT ON COLUMN mentalspace.audit_events.application_name IS 'what the client calls itself';
COMMENT ON COLUMN mentalspace.audit_events.user_agent IS 'header user-agent of the request, as PostgREST passes it on';
COMMENT ON COLUMN mentalspace.audit_events.request_id IS 'header x-request-id of the request';
COMMENT ON COLUMN mentalspace.audit_events.purpose_of_use IS 'why: mentalspace.audit_purpose, as the application set it';
COMMENT ON COLUMN mentalspace.audit_events.break_glass_id IS 'the emergency access that was used: mentalspace.audit_break_glass';
COMMENT ON COLUMN mentalspace.audit_events.changes IS 'of an UPDATE: {"column": [old, new]} for the columns that changed';
COMMENT ON COLUMN mentalspace.audit_events.row_digest IS 'of an INSERT: digest of the row, see audit_digest()';
COMMENT ON COLUMN mentalspace.audit_events.row_image IS 'of a DELETE: the row as it was';
COMMENT ON COLUMN mentalspace.audit_events.detail IS 'the rest in words, never a value of the application''s';
COMMENT ON TABLE mentalspace.audit_events_default IS 'audit events of months that audit_make_partitions() made no partition for';
DO $$
DECLARE
    c record;
BEGIN
    FOR c IN SELECT attname, pg_catalog.col_description(attrelid, attnum) AS remark FROM pg_catalog.pg_attribute
              WHERE attrelid = 'mentalspace.audit_events'::pg_catalog.regclass AND attnum > 0 LOOP
        EXECUTE pg_catalog.format('COMMENT ON COLUMN mentalspace.audit_events_default.%I IS %L', c.attname, c.remark);
    END LOOP;
END
$$;

-- Dumps hold what was declared (of tables that are gone only a number would be left), the salt in use, and the events;
-- those in monthly partitions without further ado, as these are no members.
SELECT pg_catalog.pg_extension_config_dump('mentalspace.audit_relations',
    'WHERE EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.oid = relation)');
SELECT pg_catalog.pg_extension_config_dump('mentalspace.audit_salts',
    'WHERE made_at = (SELECT min(s.made_at) FROM mentalspace.audit_salts AS s)');
SELECT pg_catalog.pg_extension_config_dump('mentalspace.audit_events_default', '');

-- ---- audit_access.sql
-- Who may do what with the record: members of mentalspace_auditor read the events, nobody changes them.
CREATE FUNCTION mentalspace.audit_refuse_change() RETURNS trigger
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RAISE EXCEPTION 'rows of %.% cannot be changed or removed', quote_ident(TG_TABLE_SCHEMA), quote_ident(TG_TABLE_NAME)
        USING ERRCODE = 'insufficient_privilege', DETAIL = 'They are the record of access to patients'' data.',
              SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME;
END
$$;
COMMENT ON FUNCTION mentalspace.audit_refuse_change() IS 'trigger: no UPDATE, DELETE or TRUNCATE';

CREATE FUNCTION mentalspace.audit_close_table(rel regclass) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    grantee text;
BEGIN
    -- Nobody but the owner, whatever default privileges say; and row security keeps members of pg_read_all_data out too.
    FOR grantee IN
        SELECT DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END
          FROM pg_class AS c, aclexplode(c.relacl) AS a WHERE c.oid = rel AND a.grantee <> c.relowner
    LOOP
        EXECUTE format('REVOKE ALL ON %s FROM %s', rel, grantee);
    END LOOP;
    IF (SELECT relkind FROM pg_class WHERE oid = rel) <> 'S' THEN
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', rel);
    END IF;
END
$$;
COMMENT ON FUNCTION mentalspace.audit_close_table(regclass) IS 'internal to the audit: takes back what default privileges gave on one of its tables';

-- Triggers for rows come to a partition with those of audit_events, triggers for TRUNCATE do not.
CREATE FUNCTION mentalspace.audit_guard_events(rel regclass) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM mentalspace.audit_close_table(rel);
    EXECUTE format('GRANT SELECT ON %s TO mentalspace_auditor', rel);
    EXECUTE format('CREATE POLICY auditors ON %s FOR SELECT TO mentalspace_auditor USING (true)', rel);
    EXECUTE format('CREATE TRIGGER audit_refuse_truncate BEFORE TRUNCATE ON %s FOR EACH STATEMENT '
                   'EXECUTE FUNCTION mentalspace.audit_refuse_change()', rel);
    -- Also with session_replication_role = replica.
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER audit_refuse_truncate', rel);
END
$$;
COMMENT ON FUNCTION mentalspace.audit_guard_events(regclass) IS 'internal to the audit: who may do what with a table of events';

CREATE TRIGGER audit_refuse_change BEFORE UPDATE OR DELETE ON mentalspace.audit_events
    FOR EACH ROW EXECUTE FUNCTION mentalspace.audit_refuse_change();
ALTER TABLE mentalspace.audit_events ENABLE ALWAYS TRIGGER audit_refuse_change;
CREATE TRIGGER audit_refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON mentalspace.audit_salts
    FOR EACH STATEMENT EXECUTE FUNCTION mentalspace.audit_refuse_change();
ALTER TABLE mentalspace.audit_salts ENABLE ALWAYS TRIGGER audit_refuse_change;
DO $$
BEGIN
    PERFORM mentalspace.audit_guard_events('mentalspace.audit_events');
    PERFORM mentalspace.audit_guard_events('mentalspace.audit_events_default');
    PERFORM mentalspace.audit_close_table('mentalspace.audit_event_ids');
    PERFORM mentalspace.audit_close_table('mentalspace.audit_relations');
    PERFORM mentalspace.audit_close_table('mentalspace.audit_salts');
    PERFORM mentalspace.audit_close_table('mentalspace.audit_progress');
END
$$;

-- Indexes come when a month is over: until then each event would pay for them.  They are each partition's own: were there
-- one on audit_events, a restored partition would have it twice, because pg_dump knows of the partition's only.
CREATE FUNCTION mentalspace.audit_index_partitions() RETURNS int
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    past regclass;
    made int := 0;
BEGIN
    FOR past IN
        SELECT c.oid::regclass FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
         WHERE i.inhparent = 'mentalspace.audit_events'::regclass AND c.relname ~ '^audit_events_[0-9]{6}$' AND c.relkind = 'r'
           AND right(c.relname, 6) < to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYYMM')
           AND NOT EXISTS (SELECT FROM pg_index AS x WHERE x.indrelid = c.oid)
         ORDER BY c.relname
    LOOP
        EXECUTE format('CREATE INDEX ON %s USING brin (occurred_at)', past);
        EXECUTE format('CREATE INDEX ON %s USING gin (patient_ids)', past);
        made := made + 1;
    END LOOP;
    RETURN made;
END
$$;
COMMENT ON FUNCTION mentalspace.audit_index_partitions() IS 'internal to audit_make_partitions(): indexes by time and by patient for the months that are over, and returns how many it indexed';

CREATE FUNCTION mentalspace.audit_make_partitions(ahead int DEFAULT 2) RETURNS int
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    first timestamp := date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC');
    month timestamp;
    began timestamptz;
    ended timestamptz;
    made int := 0;
    name text;
BEGIN
    IF ahead IS NULL OR ahead NOT BETWEEN 0 AND 120 THEN
        RAISE EXCEPTION 'number of months must be between 0 and 120' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM mentalspace.audit_index_partitions();
    FOR i IN 0 .. ahead LOOP
        month := first + make_interval(months => i);
        name := 'audit_events_' || to_char(month, 'YYYYMM');
        CONTINUE WHEN to_regclass(format('mentalspace.%I', name)) IS NOT NULL;
        IF made = 0 THEN
            -- One at a time: whoever waited here sees what the other has made.  And nobody adds events of the month to
            -- audit_events_default in between.
            LOCK TABLE ONLY mentalspace.audit_events IN SHARE UPDATE EXCLUSIVE MODE;
            CONTINUE WHEN to_regclass(format('mentalspace.%I', name)) IS NOT NULL;
            LOCK TABLE mentalspace.audit_events_default IN ACCESS EXCLUSIVE MODE;
        END IF;
        began := month AT TIME ZONE 'UTC';
        ended := (month + interval '1 month') AT TIME ZONE 'UTC';
        CONTINUE WHEN EXISTS (SELECT FROM mentalspace.audit_events_default AS e
                               WHERE e.occurred_at >= began AND e.occurred_at < ended);
        -- Attaching lets those go on who write to other partitions; creating as a partition would not.
        EXECUTE format('CREATE TABLE mentalspace.%I (LIKE mentalspace.audit_events INCLUDING DEFAULTS INCLUDING COMMENTS)',
                       name);
        EXECUTE format('ALTER TABLE mentalspace.audit_events ATTACH PARTITION mentalspace.%I '
                       'FOR VALUES FROM (%L) TO (%L)', name, began, ended);
        EXECUTE format('COMMENT ON TABLE mentalspace.%I IS %L', name,
                       format('audit events of %s (UTC)', to_char(month, 'YYYY-MM')));
        PERFORM mentalspace.audit_guard_events(format('mentalspace.%I', name)::regclass);
        made := made + 1;
    END LOOP;
    RETURN made;
END
$$;
COMMENT ON FUNCTION mentalspace.audit_make_partitions(int) IS 'makes the partitions of audit_events for this month and so many ahead, where they are missing, and returns how many it made; months that are over get their indexes';

REVOKE ALL ON FUNCTION mentalspace.audit_refuse_change(), mentalspace.audit_close_table(regclass),
    mentalspace.audit_guard_events(regclass), mentalspace.audit_index_partitions(),
    mentalspace.audit_make_partitions(int) FROM PUBLIC;

-- ---- audit_record.sql
-- Events that SQL writes: those of audit_table() and its kin in both flavours, in the trusted one all of them.
CREATE FUNCTION mentalspace.audit_add_event(event mentalspace.audit_events) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    who record := mentalspace.whoami();
    claims jsonb;
    headers jsonb;
    role_names text[];
BEGIN
    -- What cannot be read is left out: an event is never refused for what claims or headers hold.
    IF who.claims_source <> 'none' THEN
        BEGIN
            claims := auth.jwt();
        EXCEPTION WHEN data_exception OR statement_too_complex THEN
            NULL;
        END;
    END IF;
    IF current_setting('request.headers', true) <> '' THEN
        BEGIN
            headers := current_setting('request.headers', true);
        EXCEPTION WHEN data_exception OR statement_too_complex THEN
            NULL;
        END;
    END IF;
    SELECT array_agg(r.name ORDER BY r.n) INTO role_names
      FROM (SELECT name, min(n) AS n
              FROM (SELECT who.role AS name, 0::bigint AS n
                    UNION ALL
                    SELECT claims #>> '{app_metadata,role}', 1
                     WHERE jsonb_typeof(claims #> '{app_metadata,role}') = 'string'
                    UNION ALL
                    SELECT e.value #>> '{}', 1 + e.n
                      FROM jsonb_array_elements(CASE WHEN jsonb_typeof(claims #> '{app_metadata,roles}') = 'array'
                                                     THEN claims #> '{app_metadata,roles}' END) WITH ORDINALITY AS e(value, n)
                     WHERE jsonb_typeof(e.value) = 'string') AS all_of_them
             WHERE name <> '' GROUP BY name) AS r;

    INSERT INTO mentalspace.audit_events (
        occurred_at, transaction_id, row_count, kind, action, category, outcome, severity, precision, relation, row_key,
        patient_ids, user_id, session_user_name, current_user_name, outer_role_name, roles, aal, session_id,
        identity_source, client_address, application_name, user_agent, request_id, purpose_of_use, break_glass_id,
        changes, row_digest, row_image, detail)
    VALUES (
        clock_timestamp(), pg_current_xact_id(), event.row_count, event.kind, event.action, event.category,
        coalesce(event.outcome, 'success'), coalesce(event.severity, 'info'), event.precision, event.relation, event.row_key,
        event.patient_ids, who.uid, session_user, event.current_user_name,
        nullif(nullif(current_setting('role'), 'none'), session_user), role_names, left(who.aal, 200),
        left(who.session_id, 200), who.claims_source, inet_client_addr(), nullif(current_setting('application_name'), ''),
        CASE WHEN jsonb_typeof(headers -> 'user-agent') = 'string' THEN nullif(left(headers ->> 'user-agent', 200), '') END,
        CASE WHEN jsonb_typeof(headers -> 'x-request-id') = 'string' THEN nullif(left(headers ->> 'x-request-id', 200), '') END,
        nullif(left(current_setting('mentalspace.audit_purpose', true), 200), ''),
        nullif(left(current_setting('mentalspace.audit_break_glass', true), 200), ''),
        event.changes, event.row_digest, event.row_image, event.detail);
END
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

CREATE FUNCTION mentalspace.audit_salt() RETURNS bytea
    LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$ SELECT salt FROM mentalspace.audit_salts ORDER BY made_at, salt LIMIT 1 $$;
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

REVOKE ALL ON FUNCTION mentalspace.audit_add_event(mentalspace.audit_events), mentalspace.audit_relation_name(regclass),
    mentalspace.audit_record_admin(regclass, text, text, text, text), mentalspace.audit_salt(), mentalspace.audit_digest(record)
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION mentalspace.audit_digest(record) TO mentalspace_auditor;

-- ---- audit_paths.sql
-- From a row to its patient: a column, or a path over foreign keys such as note_id->clinical_notes.client_id.
CREATE FUNCTION mentalspace.audit_path(rel regclass, patient_key text, OUT step int, OUT relation regclass, OUT key_column name,
    OUT refers_to regclass, OUT referred_column name) RETURNS SETOF record
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    parts text[] := string_to_array(patient_key, '->');
    names text[];
    next_names text[];
    attribute int2;
    kind "char";
    n int;
BEGIN
    relation := rel;
    -- A name that is a column's as it stands needs no quotes.
    IF EXISTS (SELECT FROM pg_attribute AS a
                WHERE a.attrelid = rel AND a.attname = patient_key AND a.attnum > 0 AND NOT a.attisdropped) THEN
        parts := ARRAY[quote_ident(patient_key)];
    END IF;
    FOR i IN 1 .. greatest(cardinality(parts), 1) LOOP
        step := i;
        IF i = 1 THEN
            BEGIN
                names := parse_ident(btrim(parts[1]));
                next_names := NULL;
            EXCEPTION WHEN invalid_parameter_value THEN
                names := NULL;
            END;
            IF cardinality(names) IS DISTINCT FROM 1 THEN
                RAISE EXCEPTION 'patient key "%" does not begin with a column', patient_key
                    USING ERRCODE = 'invalid_parameter_value', HINT = 'It is a column, or a path over foreign keys like note_id->clinical_notes.client_id.';
            END IF;
        ELSE
            names := next_names;
            relation := refers_to;
        END IF;
        key_column := names[cardinality(names)];
        SELECT a.attnum, c.relkind INTO attribute, kind
          FROM pg_class AS c LEFT JOIN pg_attribute AS a
            ON a.attrelid = c.oid AND a.attname = key_column AND a.attnum > 0 AND NOT a.attisdropped
         WHERE c.oid = relation;
        IF attribute IS NULL THEN
            RAISE EXCEPTION 'column "%" of patient key "%" does not exist in table %', key_column, patient_key, relation
                USING ERRCODE = 'undefined_column';
        END IF;
        refers_to := NULL;
        referred_column := NULL;
        IF i < cardinality(parts) THEN
            IF kind NOT IN ('r', 'p') THEN
                RAISE EXCEPTION '% has no foreign keys that patient key "%" could follow', relation, patient_key
                    USING ERRCODE = 'wrong_object_type', HINT = 'Give it a column with the patient''s identifier.';
            END IF;
            BEGIN
                next_names := parse_ident(btrim(parts[i + 1]));
            EXCEPTION WHEN invalid_parameter_value THEN
                next_names := NULL;
            END;
            IF cardinality(next_names) NOT IN (2, 3) IS NOT FALSE THEN
                RAISE EXCEPTION 'step "%" of patient key "%" is not a table and a column', btrim(parts[i + 1]), patient_key
                    USING ERRCODE = 'invalid_parameter_value',
                          HINT = 'A path is like note_id->clinical_notes.client_id.';
            END IF;
            SELECT count(DISTINCT k.confrelid), min(k.confrelid::oid::bigint)::oid INTO n, refers_to
              FROM pg_constraint AS k
              JOIN pg_class AS c ON c.oid = k.confrelid
              JOIN pg_namespace AS s ON s.oid = c.relnamespace
             WHERE k.contype = 'f' AND k.conrelid = relation AND k.conkey = ARRAY[attribute]
               AND c.relname = next_names[cardinality(next_names) - 1]
               AND (cardinality(next_names) = 2 OR s.nspname = next_names[1]);
            IF n > 1 THEN
                RAISE EXCEPTION 'table "%" of patient key "%" is ambiguous', next_names[1], patient_key
                    USING ERRCODE = 'ambiguous_column', HINT = 'Name its schema, too.';
            ELSIF n = 0 THEN
                IF NOT EXISTS (SELECT FROM pg_class AS c JOIN pg_namespace AS s ON s.oid = c.relnamespace
                                WHERE c.relname = next_names[cardinality(next_names) - 1] AND c.relkind IN ('r', 'p')
                                  AND (cardinality(next_names) = 2 OR s.nspname = next_names[1])) THEN
                    RAISE EXCEPTION 'table "%" of patient key "%" does not exist',
                        array_to_string(next_names[:cardinality(next_names) - 1], '.'), patient_key
                        USING ERRCODE = 'undefined_table';
                END IF;
                RAISE EXCEPTION 'column "%" of table % has no foreign key of its own to table "%"', key_column, relation,
                    array_to_string(next_names[:cardinality(next_names) - 1], '.')
                    USING ERRCODE = 'invalid_parameter_value', DETAIL = format('The patient key is "%s".', patient_key);
            END IF;
            SELECT a.attname INTO referred_column
              FROM pg_constraint AS k JOIN pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = k.confkey[1]
             WHERE k.contype = 'f' AND k.conrelid = relation AND k.conkey = ARRAY[attribute] AND k.confrelid = refers_to
             ORDER BY k.conname LIMIT 1;
        END IF;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mentalspace.audit_path(regclass, text) IS 'internal to the audit: the steps of a patient key, an error where it leads nowhere';

CREATE FUNCTION mentalspace.audit_canonical_path(rel regclass, patient_key text) RETURNS text
    LANGUAGE sql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT string_agg(CASE WHEN p.step = 1 THEN '' ELSE '->' || mentalspace.audit_relation_name(p.relation) || '.' END
                      || quote_ident(p.key_column), '' ORDER BY p.step)
      FROM mentalspace.audit_path($1, $2) AS p
    $$;
COMMENT ON FUNCTION mentalspace.audit_canonical_path(regclass, text) IS 'internal to the audit: a patient key with the schema of each table, names quoted where needed';

-- The nearest: its own, else that of the partitioned table or parent that it belongs to.
CREATE FUNCTION mentalspace.audit_declaration(rel regclass) RETURNS mentalspace.audit_relations
    LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
    WITH RECURSIVE up(relid, distance) AS (
        SELECT $1::oid, 0
        UNION ALL
        SELECT i.inhparent, up.distance + 1 FROM up JOIN pg_inherits AS i ON i.inhrelid = up.relid
    )
    SELECT r FROM up JOIN mentalspace.audit_relations AS r ON r.relation = up.relid ORDER BY up.distance, up.relid LIMIT 1
    $$;
COMMENT ON FUNCTION mentalspace.audit_declaration(regclass) IS 'internal to the audit: the declaration that covers a table';

CREATE FUNCTION mentalspace.audit_descendants(rel regclass) RETURNS SETOF regclass
    LANGUAGE sql STABLE STRICT PARALLEL SAFE ROWS 10 SET search_path = pg_catalog, pg_temp
    AS $$
    WITH RECURSIVE down(relid) AS (
        SELECT $1::oid
        UNION
        SELECT i.inhrelid FROM down JOIN pg_inherits AS i ON i.inhparent = down.relid
    )
    SELECT d.relid::regclass FROM down AS d JOIN pg_class AS c ON c.oid = d.relid WHERE c.relkind IN ('r', 'p', 'f', 'm')
    $$;
COMMENT ON FUNCTION mentalspace.audit_descendants(regclass) IS 'internal to the audit: a table, its partitions and children';

REVOKE ALL ON FUNCTION mentalspace.audit_path(regclass, text), mentalspace.audit_canonical_path(regclass, text),
    mentalspace.audit_declaration(regclass), mentalspace.audit_descendants(regclass) FROM PUBLIC;

-- ---- audit_trusted.sql
-- The audit in PL/pgSQL: writes by triggers as in the native flavour.  Reads leave no trace by themselves, because this
-- flavour has no hooks: an application reads by read_phi(), and pgaudit, where it is installed, sees the statements.
CREATE FUNCTION mentalspace.audit_outlet_name() RETURNS text
    LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
    AS $$ SELECT 'off'::text $$;

CREATE FUNCTION mentalspace.audit_start_reads(warn boolean) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    IF warn THEN
        RAISE WARNING 'reads of audited tables are not seen by the trusted flavour' USING
            ERRCODE = 'feature_not_supported', HINT = 'Read by mentalspace.read_phi(), and have pgaudit log statements.';
    END IF;
END
$$;

CREATE FUNCTION mentalspace.audit_flush() RETURNS void
    LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$ SELECT $$;

CREATE FUNCTION mentalspace.audit_ingest(file text) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RAISE EXCEPTION 'the trusted flavour reads no files' USING ERRCODE = 'feature_not_supported',
        DETAIL = 'Spool files are written by standbys of the native flavour.';
END
$$;

-- The patient that a row leads to.  Where a row on the way was deleted by this transaction, as a cascade has before it, its
-- image in the event of that is looked at.
CREATE FUNCTION mentalspace.audit_patient(rel regclass, patient_key text, image jsonb) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    p record;
    previous record;
    value text;
    found_value text;
    there boolean;
BEGIN
    IF patient_key ~ '^[a-z_][a-z0-9_]*$' THEN
        RETURN image ->> patient_key;
    END IF;
    FOR p IN SELECT * FROM mentalspace.audit_path(rel, patient_key) ORDER BY step LOOP
        IF p.step = 1 THEN
            value := image ->> p.key_column::text;
        ELSE
            EXECUTE format('SELECT t.%I::text, true FROM %s AS t WHERE t.%I = $1::%s', p.key_column, p.relation,
                           previous.referred_column, (SELECT format_type(a.atttypid, a.atttypmod) FROM pg_attribute AS a
                             WHERE a.attrelid = p.relation AND a.attname = previous.referred_column))
               INTO found_value, there USING value;
            IF there IS NULL THEN
                SELECT e.row_image ->> p.key_column::text INTO found_value
                  FROM mentalspace.audit_events AS e
                 WHERE e.occurred_at >= now() AND e.transaction_id = pg_current_xact_id() AND e.action = 'D'
                   AND e.relation = mentalspace.audit_relation_name(p.relation)
                   AND e.row_image ->> previous.referred_column::text = value
                 ORDER BY e.event_id DESC LIMIT 1;
            END IF;
            value := found_value;
        END IF;
        EXIT WHEN value IS NULL;
        previous := p;
    END LOOP;
    RETURN value;
END
$$;
COMMENT ON FUNCTION mentalspace.audit_patient(regclass, text, jsonb) IS 'internal to the audit: the patient that a row leads to';

CREATE FUNCTION mentalspace.audit_row_key(rel regclass, image jsonb) RETURNS text
    LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT CASE count(*) WHEN 0 THEN NULL WHEN 1 THEN min($2 ->> a.attname::text)
                         ELSE '{' || string_agg(format('%s: %s', to_json(a.attname::text),
                             CASE WHEN a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
                                  THEN $2 ->> a.attname::text ELSE to_json($2 ->> a.attname::text)::text END), ', ' ORDER BY k.n) || '}' END
      FROM pg_index AS i CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k(attnum, n)
      JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
     WHERE i.indrelid = $1 AND i.indisprimary AND k.n <= i.indnkeyatts
    $$;
COMMENT ON FUNCTION mentalspace.audit_row_key(regclass, jsonb) IS 'internal to the audit: the primary key of a row as events have it';

-- As the types write their values, not as JSON has them.
CREATE FUNCTION mentalspace.audit_redact(image jsonb, row_of_table record, columns text[]) RETURNS jsonb
    LANGUAGE plpgsql STABLE STRICT PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    digest CONSTANT text := 'CASE WHEN $1.%1$I IS DISTINCT FROM NULL '
        'THEN ''sha256:'' || encode(sha256($2 || convert_to(format(''%%s'', $1.%1$I), ''UTF8'')), ''hex'') END';
    -- Those that this partition or child has.
    names text[] := ARRAY(SELECT c.name FROM unnest(columns) AS c(name) WHERE image ? c.name);
    digests text[];
BEGIN
    IF cardinality(names) = 0 THEN
        RETURN image;
    END IF;
    EXECUTE (SELECT 'SELECT ARRAY[' || string_agg(format(digest, c.name), ', ' ORDER BY c.n) || ']'
               FROM unnest(names) WITH ORDINALITY AS c(name, n))
       INTO digests USING row_of_table, mentalspace.audit_salt();
    RETURN image || jsonb_object(names, digests);
END
$$;
COMMENT ON FUNCTION mentalspace.audit_redact(jsonb, record, text[]) IS 'internal to the audit: a row with salted digests in place of some columns'' values';

CREATE FUNCTION mentalspace.audit_row() RETURNS trigger
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    declared mentalspace.audit_relations := mentalspace.audit_declaration(TG_RELID);
    event mentalspace.audit_events;
    old_image jsonb;
    new_image jsonb;
    old_shown jsonb;
    new_shown jsonb;
BEGIN
    IF declared.relation IS NULL OR NOT declared.writes THEN
        RETURN NULL;
    END IF;
    event.kind := CASE WHEN declared.relation = mentalspace.role_source() THEN 'permission_change' ELSE 'data_modification' END;
    event.action := CASE TG_OP WHEN 'INSERT' THEN 'C' WHEN 'UPDATE' THEN 'U' ELSE 'D' END;
    event.category := declared.category;
    event.relation := mentalspace.audit_relation_name(declared.relation);
    event.row_count := 1;
    IF TG_OP <> 'INSERT' THEN
        old_image := to_jsonb(OLD);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        new_image := to_jsonb(NEW);
    END IF;
    event.row_key := mentalspace.audit_row_key(TG_RELID, coalesce(new_image, old_image));
    -- A row that an UPDATE takes from one patient to another is both's.
    IF declared.patient_key IS NOT NULL THEN
        BEGIN
            event.patient_ids := nullif(array_remove(ARRAY[
                mentalspace.audit_patient(declared.relation, declared.patient_key, coalesce(old_image, new_image)),
                mentalspace.audit_patient(declared.relation, declared.patient_key, coalesce(new_image, old_image))], NULL), '{}');
            IF event.patient_ids[1] = event.patient_ids[2] THEN
                event.patient_ids := event.patient_ids[:1];
            END IF;
        EXCEPTION WHEN syntax_error_or_access_rule_violation OR invalid_parameter_value THEN
            event.patient_ids := NULL;
            event.severity := 'critical';
        END;
    END IF;
    IF TG_OP = 'INSERT' THEN
        event.row_digest := mentalspace.audit_digest(NEW);
    ELSIF TG_OP = 'UPDATE' THEN
        old_shown := mentalspace.audit_redact(old_image, OLD, declared.redact);
        new_shown := mentalspace.audit_redact(new_image, NEW, declared.redact);
        SELECT coalesce(jsonb_object_agg(o.key, jsonb_build_array(old_shown -> o.key, new_shown -> o.key)), '{}')
          INTO event.changes
          FROM jsonb_each_text(old_image) AS o
         WHERE o.value IS DISTINCT FROM new_image ->> o.key;
    ELSE
        event.row_image := mentalspace.audit_redact(old_image, OLD, declared.redact);
    END IF;
    PERFORM mentalspace.audit_add_event(event);
    RETURN NULL;
END
$$;

CREATE FUNCTION mentalspace.audit_truncate() RETURNS trigger
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    declared mentalspace.audit_relations := mentalspace.audit_declaration(TG_RELID);
    event mentalspace.audit_events;
    places regclass[] := ARRAY[TG_RELID::regclass];
    place regclass;
    key_column name;
    n bigint;
    keys text[];
BEGIN
    IF declared.relation IS NULL OR NOT declared.writes THEN
        RETURN NULL;
    END IF;
    IF (SELECT relkind FROM pg_class WHERE oid = TG_RELID) = 'p' THEN
        -- A partition that has the trigger itself gives an event of its own.
        places := ARRAY(SELECT t.relid FROM pg_partition_tree(TG_RELID) AS t
                         WHERE t.isleaf AND t.relid <> TG_RELID
                           AND NOT EXISTS (SELECT FROM pg_trigger AS g WHERE g.tgrelid = t.relid
                                              AND g.tgfoid = 'mentalspace.audit_truncate()'::regprocedure));
        IF cardinality(places) = 0 AND EXISTS (SELECT FROM pg_inherits AS i WHERE i.inhparent = TG_RELID) THEN
            RETURN NULL;
        END IF;
    END IF;
    event.kind := CASE WHEN declared.relation = mentalspace.role_source() THEN 'permission_change' ELSE 'data_modification' END;
    event.action := 'D';
    event.category := declared.category;
    event.relation := mentalspace.audit_relation_name(declared.relation);
    event.row_count := 0;
    event.patient_ids := CASE WHEN declared.patient_key IS NOT NULL THEN '{}'::text[] END;
    event.severity := 'warning';
    event.detail := 'TRUNCATE';
    BEGIN
        SELECT p.key_column INTO key_column FROM mentalspace.audit_path(declared.relation, declared.patient_key) AS p
         WHERE declared.patient_key IS NOT NULL AND p.step = 1;
    EXCEPTION WHEN syntax_error_or_access_rule_violation OR invalid_parameter_value THEN
        event.patient_ids := NULL;
        event.severity := 'critical';
    END;
    FOREACH place IN ARRAY places LOOP
        EXECUTE format('SELECT count(*), array_agg(DISTINCT to_jsonb(t) ->> %L) FROM ONLY %s AS t', key_column, place)
           INTO n, keys;
        event.row_count := event.row_count + n;
        IF event.patient_ids IS NOT NULL THEN
            event.patient_ids := ARRAY(
                SELECT e.id FROM (SELECT unnest(event.patient_ids) AS id UNION
                                  SELECT mentalspace.audit_patient(declared.relation, declared.patient_key,
                                                                   jsonb_build_object(key_column, k.key))
                                    FROM unnest(keys) AS k(key)) AS e
                 WHERE e.id IS NOT NULL ORDER BY e.id);
        END IF;
    END LOOP;
    PERFORM mentalspace.audit_add_event(event);
    RETURN NULL;
END
$$;

-- Anybody may call it, because read_phi() runs as its caller: what it adds is an event of the caller's own.
CREATE FUNCTION mentalspace.audit_note_read(rel regclass, patient_id text, rows bigint) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    declared mentalspace.audit_relations := mentalspace.audit_declaration(rel);
    event mentalspace.audit_events;
BEGIN
    IF declared.relation IS NULL OR NOT declared.reads THEN
        RETURN;
    END IF;
    event.kind := 'phi_access';
    event.action := 'R';
    event.category := declared.category;
    event.severity := CASE WHEN declared.category = 'psychotherapy_note' THEN 'critical' ELSE 'info' END;
    event.precision := 'examined';
    event.relation := mentalspace.audit_relation_name(declared.relation);
    event.row_count := rows;
    event.patient_ids := ARRAY[patient_id];
    PERFORM mentalspace.audit_add_event(event);
END
$$;
COMMENT ON FUNCTION mentalspace.audit_note_read(regclass, text, bigint) IS 'internal to read_phi(): adds the event of a read';
REVOKE ALL ON FUNCTION mentalspace.audit_patient(regclass, text, jsonb), mentalspace.audit_row_key(regclass, jsonb),
    mentalspace.audit_redact(jsonb, record, text[]) FROM PUBLIC;

-- ---- audit.sql
-- What both flavours say of the audit.
COMMENT ON FUNCTION mentalspace.audit_outlet_name() IS 'internal to capabilities(): how this session''s reads leave their transaction: ring, spool, server log or off';
COMMENT ON FUNCTION mentalspace.audit_start_reads(boolean) IS 'internal to audit_table(): starts what takes reads, and warns where they cannot be taken durably';
COMMENT ON FUNCTION mentalspace.audit_flush() IS 'waits until all that this session has done so far is in audit_events';
COMMENT ON FUNCTION mentalspace.audit_ingest(text) IS 'takes over a spool file, of a standby for example, into audit_events and returns the number of events; what was taken over before does not come again';
COMMENT ON FUNCTION mentalspace.audit_row() IS 'trigger for rows of audited tables: adds an event to the transaction';
COMMENT ON FUNCTION mentalspace.audit_truncate() IS 'trigger for TRUNCATE of audited tables: adds an event to the transaction';
REVOKE ALL ON FUNCTION mentalspace.audit_start_reads(boolean), mentalspace.audit_ingest(text), mentalspace.audit_row(),
    mentalspace.audit_truncate() FROM PUBLIC;

-- ---- audit_declare.sql
-- What is audited: audit_table(), unaudit_table(), audit_tables().
CREATE FUNCTION mentalspace.audit_sync_trigger(rel regclass, name name, definition text, wanted boolean) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    present record;
BEGIN
    SELECT t.tgenabled, t.tgparentid, p.pronamespace = 'mentalspace'::regnamespace AS ours INTO present
      FROM pg_trigger AS t JOIN pg_proc AS p ON p.oid = t.tgfoid WHERE t.tgrelid = rel AND t.tgname = name;
    IF present.ours IS NOT NULL AND NOT present.ours THEN
        RAISE EXCEPTION 'table % has a trigger % of its own', rel, quote_ident(name) USING ERRCODE = 'duplicate_object';
    ELSIF NOT wanted THEN
        -- A partition's goes with that of the partitioned table.
        IF present.tgparentid = 0 THEN
            EXECUTE format('DROP TRIGGER %I ON %s', name, rel);
        END IF;
        RETURN;
    ELSIF present.ours IS NULL THEN
        EXECUTE format(definition, name, rel);
    END IF;
    -- Also for changes that replication applies, or that are made with session_replication_role = replica.
    IF present.tgenabled IS DISTINCT FROM 'A' THEN
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', rel, name);
    END IF;
END
$$;
COMMENT ON FUNCTION mentalspace.audit_sync_trigger(regclass, name, text, boolean) IS 'internal to audit_table(): makes or drops a trigger';

-- A partitioned table gives its triggers for rows to its partitions; all others take triggers of their own.
CREATE FUNCTION mentalspace.audit_trigger_places(rel regclass, OUT place regclass, OUT truncates boolean) RETURNS SETOF record
    LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT c.oid::regclass, t.truncates
      FROM mentalspace.audit_descendants($1) AS d JOIN pg_class AS c ON c.oid = d, (VALUES (false), (true)) AS t(truncates)
     WHERE c.relkind <> 'm'
       AND NOT (t.truncates AND c.relkind = 'f' AND current_setting('server_version_num')::int < 160000)
     ORDER BY c.oid <> $1, c.oid, t.truncates
    $$;
COMMENT ON FUNCTION mentalspace.audit_trigger_places(regclass) IS 'internal to the audit: the tables that have triggers where a table is audited, itself first';

CREATE FUNCTION mentalspace.audit_sync_triggers(rel regclass) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    p record;
    wanted boolean;
BEGIN
    FOR p IN SELECT place, truncates FROM mentalspace.audit_trigger_places(rel) LOOP
        wanted := coalesce((mentalspace.audit_declaration(p.place)).writes, false);
        IF p.truncates THEN
            PERFORM mentalspace.audit_sync_trigger(p.place, 'mentalspace_audit_truncate',
                'CREATE TRIGGER %I BEFORE TRUNCATE ON %s FOR EACH STATEMENT '
                'EXECUTE FUNCTION mentalspace.audit_truncate()', wanted);
        ELSE
            PERFORM mentalspace.audit_sync_trigger(p.place, 'mentalspace_audit', 'CREATE TRIGGER %I '
                'AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION mentalspace.audit_row()', wanted);
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mentalspace.audit_sync_triggers(regclass) IS 'internal to audit_table(): the triggers of a table, its partitions and children become those that its declaration wants';

CREATE FUNCTION mentalspace.audit_check_relation(rel regclass) RETURNS "char"
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    c record;
BEGIN
    SELECT relkind, relpersistence, relispartition, relnamespace INTO c FROM pg_class WHERE oid = rel;
    IF c.relkind IS NULL THEN
        RAISE EXCEPTION 'table % does not exist', coalesce(rel::text, 'NULL') USING ERRCODE = 'undefined_table';
    ELSIF c.relkind = 'v' THEN
        RAISE EXCEPTION '% is a view and cannot be audited itself', rel
            USING ERRCODE = 'wrong_object_type',
                  HINT = 'Declare the tables that it reads: what is read of them through a view is audited.';
    ELSIF c.relkind NOT IN ('r', 'p', 'm', 'f') THEN
        RAISE EXCEPTION '% is not a table', rel USING ERRCODE = 'wrong_object_type';
    ELSIF c.relispartition THEN
        RAISE EXCEPTION '% is a partition', rel USING ERRCODE = 'wrong_object_type',
            HINT = 'Declare the partitioned table: it stands for all its partitions.';
    ELSIF c.relpersistence = 't' THEN
        RAISE EXCEPTION '% is a temporary table and cannot be audited', rel USING ERRCODE = 'wrong_object_type';
    ELSIF c.relnamespace::regnamespace::text IN ('pg_catalog', 'information_schema', 'pg_toast', 'mentalspace') THEN
        RAISE EXCEPTION '% belongs to the system and cannot be audited', rel USING ERRCODE = 'wrong_object_type';
    END IF;
    RETURN c.relkind;
END
$$;
COMMENT ON FUNCTION mentalspace.audit_check_relation(regclass) IS 'internal to audit_table(): the kind of a table, an error where it cannot be audited';

CREATE FUNCTION mentalspace.audit_table(rel regclass, patient_key text, reads boolean DEFAULT true, writes boolean DEFAULT true,
    redact text[] DEFAULT '{}', category text DEFAULT 'phi') RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    kind "char" := mentalspace.audit_check_relation(rel);
    known text;
    path text;
    missing text;
    warned boolean;
BEGIN
    IF audit_table.reads IS NULL OR audit_table.writes IS NULL OR audit_table.redact IS NULL
       OR audit_table.redact IS NOT NULL AND array_position(audit_table.redact, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'reads, writes and redact must not be NULL' USING ERRCODE = 'invalid_parameter_value';
    ELSIF audit_table.category IS NULL
          OR audit_table.category NOT IN ('phi', 'psychotherapy_note', 'substance_use', 'billing') THEN
        RAISE EXCEPTION 'category must be phi, psychotherapy_note, substance_use or billing'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- Nothing can be written to a materialised view.
    audit_table.writes := audit_table.writes AND kind <> 'm';
    IF NOT (audit_table.reads OR audit_table.writes) THEN
        RAISE EXCEPTION 'neither reads nor writes are to be audited' USING ERRCODE = 'invalid_parameter_value',
            HINT = 'mentalspace.unaudit_table() ends the audit of a table.';
    END IF;
    SELECT min(r.name) INTO missing FROM unnest(audit_table.redact) AS r(name)
     WHERE NOT EXISTS (SELECT FROM pg_attribute AS a
                        WHERE a.attrelid = rel AND a.attname = r.name AND a.attnum > 0 AND NOT a.attisdropped);
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION 'column "%" to redact does not exist in table %', missing, rel USING ERRCODE = 'undefined_column';
    END IF;
    IF audit_table.patient_key IS NOT NULL THEN
        path := mentalspace.audit_canonical_path(rel, audit_table.patient_key);
    END IF;

    PERFORM mentalspace.audit_make_partitions();
    -- Said once in a transaction.
    warned := EXISTS (SELECT FROM mentalspace.audit_relations AS r WHERE r.reads AND r.declared_at = now());
    SELECT r.category INTO known FROM mentalspace.audit_relations AS r WHERE r.relation = rel;
    audit_table.redact := ARRAY(SELECT DISTINCT unnest(audit_table.redact) ORDER BY 1);
    INSERT INTO mentalspace.audit_relations AS r (relation, patient_key, reads, writes, redact, category)
    VALUES (rel, path, audit_table.reads, audit_table.writes, audit_table.redact, audit_table.category)
    ON CONFLICT (relation) DO UPDATE
       SET patient_key = excluded.patient_key, reads = excluded.reads, writes = excluded.writes, redact = excluded.redact,
           category = excluded.category, declared_at = excluded.declared_at, declared_by = excluded.declared_by;
    PERFORM mentalspace.audit_sync_triggers(rel);
    PERFORM mentalspace.audit_record_admin(rel, CASE WHEN known IS NULL THEN 'C' ELSE 'U' END,
        CASE WHEN known IS NULL THEN 'info' ELSE 'warning' END, audit_table.category,
        format('audit_table: %s, patient key %s, reads %s, writes %s, redacted columns: %s',
               CASE WHEN known IS NULL THEN 'declared' ELSE 'declaration changed' END, coalesce(path, 'none'),
               CASE WHEN audit_table.reads THEN 'on' ELSE 'off' END, CASE WHEN audit_table.writes THEN 'on' ELSE 'off' END,
               coalesce(nullif(array_to_string(audit_table.redact, ', '), ''), 'none')));
    IF audit_table.reads THEN
        PERFORM mentalspace.audit_start_reads(NOT warned);
    END IF;
END
$$;
COMMENT ON FUNCTION mentalspace.audit_table(regclass, text, boolean, boolean, text[], text) IS 'declares a table with patients'' data: from now on its reads and writes are audited; called again, it changes the declaration';

CREATE FUNCTION mentalspace.unaudit_table(rel regclass) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    of_category text;
BEGIN
    DELETE FROM mentalspace.audit_relations AS r WHERE r.relation = rel RETURNING r.category INTO of_category;
    IF NOT FOUND THEN
        IF NOT EXISTS (SELECT FROM pg_class WHERE oid = rel) THEN
            RAISE EXCEPTION 'table % does not exist', coalesce(rel::text, 'NULL') USING ERRCODE = 'undefined_table';
        END IF;
        RAISE EXCEPTION 'table % is not declared', rel USING ERRCODE = 'invalid_parameter_value',
            HINT = 'SELECT * FROM mentalspace.audit_tables() lists what is.';
    END IF;
    PERFORM mentalspace.audit_sync_triggers(rel);
    PERFORM mentalspace.audit_record_admin(rel, 'D', 'warning', of_category, 'unaudit_table: no longer audited');
END
$$;
COMMENT ON FUNCTION mentalspace.unaudit_table(regclass) IS 'ends the audit of a table, which is itself an event; the events that there are stay';

CREATE FUNCTION mentalspace.audit_tables(OUT relation regclass, OUT patient_key text, OUT reads boolean, OUT writes boolean,
    OUT redact text[], OUT category text, OUT declared_at timestamptz, OUT declared_by text, OUT triggers boolean,
    OUT resolves boolean, OUT problem text) RETURNS SETOF record
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    r mentalspace.audit_relations;
    missing text;
BEGIN
    FOR r IN SELECT * FROM mentalspace.audit_relations AS a ORDER BY a.relation::text LOOP
        relation := r.relation;
        patient_key := r.patient_key;
        reads := r.reads;
        writes := r.writes;
        redact := r.redact;
        category := r.category;
        declared_at := r.declared_at;
        declared_by := r.declared_by;
        triggers := NULL;
        resolves := NULL;
        problem := NULL;
        IF NOT EXISTS (SELECT FROM pg_class AS c WHERE c.oid = r.relation) THEN
            problem := 'the table is gone';
            RETURN NEXT;
            CONTINUE;
        END IF;
        IF r.patient_key IS NOT NULL THEN
            BEGIN
                PERFORM mentalspace.audit_path(r.relation, r.patient_key);
                resolves := true;
            EXCEPTION WHEN syntax_error_or_access_rule_violation OR invalid_parameter_value THEN
                resolves := false;
                problem := sqlerrm;
            END;
        END IF;
        -- Triggers of partitions can be disabled each for itself.
        IF r.writes THEN
            SELECT string_agg(DISTINCT w.place::text, ', ') INTO missing
              FROM mentalspace.audit_trigger_places(r.relation) AS w
             WHERE (mentalspace.audit_declaration(w.place)).writes
               AND NOT EXISTS (SELECT FROM pg_trigger AS t WHERE t.tgrelid = w.place AND t.tgenabled = 'A'
                                  AND t.tgfoid = CASE WHEN w.truncates THEN 'mentalspace.audit_truncate()'::regprocedure
                                                      ELSE 'mentalspace.audit_row()'::regprocedure END);
            triggers := missing IS NULL;
            problem := concat_ws('; ', problem, 'no triggers, or not enabled always, on ' || missing);
        END IF;
        SELECT concat_ws('; ', problem, 'no column ' || string_agg(quote_ident(c.name), ', ' ORDER BY c.name) || ' to redact')
          INTO problem
          FROM unnest(r.redact) AS c(name)
         WHERE NOT EXISTS (SELECT FROM pg_attribute AS a
                            WHERE a.attrelid = r.relation AND a.attname = c.name AND a.attnum > 0 AND NOT a.attisdropped);
        problem := nullif(problem, '');
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mentalspace.audit_tables() IS 'what is audited, whether the triggers are there and enabled, and whether the patient key leads to the patient';

REVOKE ALL ON FUNCTION mentalspace.audit_sync_trigger(regclass, name, text, boolean), mentalspace.audit_trigger_places(regclass),
    mentalspace.audit_sync_triggers(regclass), mentalspace.audit_check_relation(regclass),
    mentalspace.audit_table(regclass, text, boolean, boolean, text[], text), mentalspace.unaudit_table(regclass),
    mentalspace.audit_tables() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION mentalspace.audit_tables() TO mentalspace_auditor;

-- ---- audit_discover.sql
-- audit_discover(): on a schema of hundreds of tables nobody declares them by hand.
CREATE FUNCTION mentalspace.audit_discover(root regclass, OUT relation regclass, OUT patient_key text, OUT distance int,
    OUT nullable boolean, OUT audited boolean) RETURNS SETOF record
    LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    kind "char" := mentalspace.audit_check_relation(root);
    key_column name;
    -- What was found: tables, their keys, and whether a column on the way may be NULL.
    tables oid[];
    keys text[];
    nullables boolean[];
    ends int;
    begins int := 1;
    step record;
    composite record;
BEGIN
    IF kind NOT IN ('r', 'p') THEN
        RAISE EXCEPTION '% is not a table with a primary key', root USING ERRCODE = 'wrong_object_type';
    END IF;
    SELECT a.attname INTO key_column
      FROM pg_index AS i JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
     WHERE i.indrelid = root AND i.indisprimary AND i.indnkeyatts = 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'table % has no primary key of one column', root USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Its primary key is what identifies a patient.';
    END IF;
    tables := ARRAY[root::oid];
    keys := ARRAY[quote_ident(key_column)];
    nullables := ARRAY[false];
    -- Breadth first: each round takes the tables that refer to those of the last one.
    distance := 0;
    LOOP
        ends := cardinality(tables);
        FOR i IN begins .. ends LOOP
            relation := tables[i];
            patient_key := keys[i];
            nullable := nullables[i];
            audited := (mentalspace.audit_declaration(tables[i])).relation IS NOT NULL;
            RETURN NEXT;
        END LOOP;
        distance := distance + 1;
        FOR step IN
            SELECT DISTINCT ON (c.relname, n.nspname, c.oid) c.oid AS relid, f.nullable OR NOT a.attnotnull AS nullable,
                   CASE WHEN f.relid = root AND r.attname = key_column THEN quote_ident(a.attname)
                        ELSE format('%I->%s%s', a.attname,
                                    CASE WHEN t.relnamespace = c.relnamespace THEN quote_ident(t.relname)
                                         ELSE mentalspace.audit_relation_name(t.oid) END, '.' || f.key) END AS key
              FROM unnest(tables[begins : ends], keys[begins : ends], nullables[begins : ends]) AS f(relid, key, nullable)
              JOIN pg_constraint AS k ON k.confrelid = f.relid AND k.contype = 'f' AND cardinality(k.conkey) = 1
              JOIN pg_class AS c ON c.oid = k.conrelid AND NOT c.relispartition
                                AND c.relnamespace <> 'mentalspace'::regnamespace AND c.relpersistence <> 't'
              JOIN pg_namespace AS n ON n.oid = c.relnamespace
              JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
              JOIN pg_class AS t ON t.oid = k.confrelid
              JOIN pg_attribute AS r ON r.attrelid = k.confrelid AND r.attnum = k.confkey[1]
             WHERE k.conrelid <> ALL (tables)
             ORDER BY c.relname, n.nspname, c.oid, f.nullable OR NOT a.attnotnull, a.attname, t.relname, k.conname
        LOOP
            tables := tables || step.relid;
            keys := keys || step.key;
            nullables := nullables || step.nullable;
        END LOOP;
        EXIT WHEN cardinality(tables) = ends;
        begins := ends + 1;
    END LOOP;
    FOR composite IN
        SELECT k.conname, k.conrelid::regclass AS child, k.confrelid::regclass AS parent
          FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.conrelid
         WHERE k.contype = 'f' AND cardinality(k.conkey) > 1 AND k.conparentid = 0 AND NOT c.relispartition
           AND k.confrelid = ANY (tables) AND k.conrelid <> ALL (tables)
         ORDER BY k.conrelid::regclass::text, k.conname
    LOOP
        RAISE NOTICE 'table % is left out: its foreign key % to % has several columns', composite.child,
            quote_ident(composite.conname), composite.parent
            USING HINT = 'Give audit_table() a patient key for it yourself.';
    END LOOP;
END
$$;
COMMENT ON FUNCTION mentalspace.audit_discover(regclass) IS 'proposes for audit_table() every table that leads to the table of patients over foreign keys, with its patient key by the shortest way';
REVOKE ALL ON FUNCTION mentalspace.audit_discover(regclass) FROM PUBLIC;

-- ---- audit_read_phi.sql
-- read_phi(): the rows of one patient.  It runs as its caller, under the caller's row security and search_path, so that all
-- names in it bear their schema.
CREATE FUNCTION mentalspace.audit_condition(rel regclass, OUT condition text, OUT key_type text) RETURNS record
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    declared mentalspace.audit_relations := mentalspace.audit_declaration(rel);
    p record;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_class WHERE oid = rel) IS NOT FALSE THEN
        RAISE EXCEPTION 'table % does not exist', coalesce(rel::text, 'NULL') USING ERRCODE = 'undefined_table';
    ELSIF declared.relation IS NULL THEN
        RAISE EXCEPTION 'table % is not declared', rel USING ERRCODE = 'invalid_parameter_value',
            HINT = 'mentalspace.audit_table() declares a table with patients'' data.';
    ELSIF declared.patient_key IS NULL THEN
        RAISE EXCEPTION 'rows of table % belong to no patient', rel USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- From the patient back to the table.
    FOR p IN SELECT * FROM mentalspace.audit_path(declared.relation, declared.patient_key) ORDER BY step DESC LOOP
        IF condition IS NULL THEN
            SELECT format_type(a.atttypid, NULL) INTO key_type FROM pg_attribute AS a
             WHERE a.attrelid = p.relation AND a.attname = p.key_column;
            condition := format('t%s.%I OPERATOR(pg_catalog.=) $1::%s', p.step, p.key_column, key_type);
        ELSE
            condition := format('t%s.%I IN (SELECT t%s.%I FROM %s AS t%s WHERE %s)', p.step, p.key_column, p.step + 1,
                                p.referred_column, p.refers_to, p.step + 1, condition);
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mentalspace.audit_condition(regclass) IS 'internal to read_phi(): the condition that a row belongs to patient $1, and the type of a patient''s identifier';

CREATE FUNCTION mentalspace.read_phi(rel regclass, patient_id text, purpose text DEFAULT NULL) RETURNS SETOF jsonb
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    AS $$
DECLARE
    c record;
    rows bigint;
BEGIN
    IF read_phi.patient_id IS NULL THEN
        RAISE EXCEPTION 'patient must not be NULL' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT * INTO c FROM mentalspace.audit_condition(read_phi.rel);
    BEGIN
        EXECUTE pg_catalog.concat('SELECT $1::', c.key_type) USING read_phi.patient_id;
    EXCEPTION WHEN data_exception OR integrity_constraint_violation THEN
        RAISE EXCEPTION 'patient is not a value of type %', c.key_type USING ERRCODE = 'invalid_parameter_value';
    END;
    IF read_phi.purpose IS NOT NULL THEN
        PERFORM pg_catalog.set_config('mentalspace.audit_purpose', read_phi.purpose, true);
    END IF;
    RETURN QUERY EXECUTE pg_catalog.format('SELECT pg_catalog.to_jsonb(t1) FROM %s AS t1 WHERE %s', read_phi.rel, c.condition)
        USING read_phi.patient_id;
    GET DIAGNOSTICS rows = ROW_COUNT;
    -- In the native flavour the executor's hooks have seen it.
    IF 'trusted'::pg_catalog.text OPERATOR(pg_catalog.=) 'trusted' THEN
        PERFORM mentalspace.audit_note_read(read_phi.rel, read_phi.patient_id, rows);
    END IF;
END
$$;
COMMENT ON FUNCTION mentalspace.read_phi(regclass, text, text) IS 'rows of an audited table that belong to a patient and that the caller may see; the read is an audit event, its purpose that of the rest of the transaction';

-- ---- audit_status_trusted.sql
-- Nothing leaves its transaction here: there is no ring, no worker and no spool.
CREATE FUNCTION mentalspace.audit_status(OUT outlet text, OUT worker_pid int, OUT ring_bytes bigint, OUT waiting_bytes bigint,
                                         OUT events_lost bigint, OUT waits bigint, OUT spool_directory text)
    LANGUAGE sql VOLATILE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
    AS $$ SELECT 'off'::text, NULL::int, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint, NULL::text $$;

-- ---- audit_status.sql
COMMENT ON FUNCTION mentalspace.audit_status() IS
    'the way of reads into audit_events: outlet of this session, worker, size of the ring and what waits in it, events that could not be recorded (they are in the server log), how often sessions waited for room';
REVOKE ALL ON FUNCTION mentalspace.audit_status() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION mentalspace.audit_status() TO mentalspace_auditor;
