-- mentalspace.wrap_policies() and unwrap_policies(): for servers without the planner hook.  A call in a policy that does not
-- depend on the row, auth.uid() above all, becomes a scalar sub-select, which the server evaluates at most once a query.
--
-- Expressions are worked on as pg_get_expr() writes them under a search_path of pg_catalog: names outside pg_catalog bear
-- their schema, keywords are in capitals, and a name that is neither in lower case nor a word of SQL is quoted.  What is not
-- understood is left as it is.  No text is ever run but ALTER POLICY with an expression that the server wrote, in which
-- nothing but `(SELECT ` and `)` has been put around calls, and conditions of an OR have become a range (see wrap_ranges.sql).

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
    RETURNS TABLE (schema_name name, table_name name, policy_name name, policy oid, relation oid, permissive boolean,
                   using_text text, check_text text)
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET standard_conforming_strings = on
    AS $body$
    SELECT n.nspname, c.relname, p.polname, p.oid, p.polrelid, p.polpermissive,
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
    IF mentalspace.list_disjuncts(now_there.using_text) IS DISTINCT FROM mentalspace.list_disjuncts(using_text)
    OR mentalspace.unwrap_expression(now_there.check_text) IS DISTINCT FROM mentalspace.unwrap_expression(check_text) THEN
        RAISE EXCEPTION 'rewritten policy would not be the same' USING ERRCODE = 'invalid_object_definition';
    END IF;
    using_text := now_there.using_text;
    check_text := now_there.check_text;
END
$body$;
COMMENT ON FUNCTION mentalspace.run_alter_policy(oid, text, text, text) IS
    'internal to wrap_policies(): alters a policy that has these expressions and returns the new ones; an error if they differ in more than sub-selects and ranges';

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

CREATE FUNCTION mentalspace.wrap_policies(dry_run boolean DEFAULT true, ranges boolean DEFAULT true)
    RETURNS TABLE (schema_name name, table_name name, policy_name name, statement text, done boolean, detail text)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET standard_conforming_strings = on
    AS $body$
DECLARE
    p record;
    functions record;
    changed record;
    range record;
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
        detail := NULL;
        IF ranges AND p.permissive AND p.using_text IS NOT NULL THEN
            -- A condition that is all of a policy stands beside the table's other policies.
            SELECT * INTO range FROM mentalspace.range_expression(new_using, p.relation, functions.steady,
                EXISTS (SELECT FROM mentalspace.list_owned_policies() AS o
                         WHERE o.relation = p.relation AND o.policy <> p.policy AND o.permissive
                           AND NOT mentalspace.is_row_free((mentalspace.tokenize_expression(o.using_text)).tokens,
                                                           (mentalspace.list_policy_functions(o.policy)).steady)));
            new_using := coalesce(range.ranged, new_using);
            detail := range.detail;
        END IF;
        CONTINUE WHEN (new_using, new_check) IS NOT DISTINCT FROM (p.using_text, p.check_text);
        schema_name := p.schema_name;
        table_name := p.table_name;
        policy_name := p.policy_name;
        statement := mentalspace.write_alter_policy(schema_name, table_name, policy_name, new_using, new_check);
        done := false;
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
COMMENT ON FUNCTION mentalspace.wrap_policies(boolean, boolean) IS
    'ALTER POLICY statements that put calls which do not depend on the row into sub-selects and, if ranges is true, such conditions of an OR into ranges of an indexed column, for policies on tables that the caller owns; runs them if dry_run is false';

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
        ELSIF mentalspace.list_disjuncts(w.original_using) IS DISTINCT FROM mentalspace.list_disjuncts(w.wrapped_using)
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
