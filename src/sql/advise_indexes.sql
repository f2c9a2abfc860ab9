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
