-- The second step of wrap_policies(): conditions that do not look at the row and stand beside conditions that could use an
-- index become one that uses an index itself.
--
-- `has_role(...) OR therapist = auth.uid()` scans the table even where has_role() is false, because no index answers it.  As
-- `id >= (SELECT CASE WHEN has_role(...) THEN least END) AND id <= greatest`, on a NOT NULL column with an index and a type
-- with a least and a greatest value, it is a range that is empty where has_role() is false or NULL and holds all rows
-- otherwise; the planner then takes a BitmapOr of the two indexes.
CREATE FUNCTION mentalspace.range_types(OUT type regtype, OUT lowest text, OUT highest text) RETURNS SETOF record
    LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
    VALUES ('uuid'::regtype, '00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff'),
           ('int2', '-32768', '32767'), ('int4', '-2147483648', '2147483647'),
           ('int8', '-9223372036854775808', '9223372036854775807'),
           ('timestamptz', '-infinity', 'infinity'), ('date', '-infinity', 'infinity')
    $$;
COMMENT ON FUNCTION mentalspace.range_types() IS 'internal to wrap_policies(): types with a least and a greatest value, and these';

CREATE FUNCTION mentalspace.range_column(relation oid, OUT name text, OUT type text, OUT lowest text, OUT highest text)
    LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT quote_ident(a.attname), format_type(a.atttypid, NULL), v.lowest, v.highest
      FROM pg_class AS c
      JOIN pg_index AS i ON i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL
      JOIN pg_class AS x ON x.oid = i.indexrelid
      JOIN pg_am AS m ON m.oid = x.relam AND m.amname = 'btree'
      JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = i.indkey[0] AND a.attnotnull
      JOIN mentalspace.range_types() AS v ON v.type = a.atttypid
     -- A child by inheritance may hold NULL where its parent may not.
     WHERE c.oid = $1 AND (c.relkind = 'p' OR c.relkind = 'r' AND NOT EXISTS (SELECT FROM pg_inherits AS h WHERE h.inhparent = c.oid))
     ORDER BY i.indisprimary DESC, i.indisunique DESC, a.attnum, x.oid LIMIT 1
    $$;
COMMENT ON FUNCTION mentalspace.range_column(oid) IS
    'internal to wrap_policies(): a NOT NULL column that an index begins with and whose type has a least and a greatest value';

CREATE FUNCTION mentalspace.list_disjuncts(expression text) RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $body$
DECLARE
    -- As pg_get_expr() writes what range_expression() makes, a space between tokens.
    lower_bound CONSTANT text := $re$^\( ("(?:[^"]|"")*"|[a-z_][a-z0-9_$]*) >= \( SELECT CASE WHEN (.*) THEN $re$
        || $re$'([^']*)' ::([a-z ]+) ELSE NULL ::[a-z ]+ END AS "case" \) \)$$re$;
    split record;
    bound text[];
    part text;
    answer text[] := '{}';
BEGIN
    SELECT * INTO split FROM mentalspace.split_expression(mentalspace.unwrap_expression(expression));
    IF split.operator = 'OR' THEN
        FOREACH part IN ARRAY split.parts LOOP
            answer := answer || mentalspace.list_disjuncts(part);
        END LOOP;
        RETURN ARRAY(SELECT DISTINCT unnest(answer) ORDER BY 1);
    ELSIF split.operator = 'AND' AND cardinality(split.parts) = 2 THEN
        bound := regexp_match(split.parts[1], lower_bound);
        IF EXISTS (SELECT FROM mentalspace.range_types() AS r
                    WHERE r.lowest = bound[3] AND format_type(r.type, NULL) = bound[4]
                      AND split.parts[2] IN (format('( %s <= %L ::%s )', bound[1], r.highest, bound[4]),
                                             format('( %s <= %s )', bound[1], r.highest))) THEN
            RETURN mentalspace.list_disjuncts(bound[2]);
        END IF;
    END IF;
    RETURN ARRAY[CASE WHEN split.operator IS NULL THEN split.parts[1] ELSE mentalspace.unwrap_expression(expression) END];
END
$body$;
COMMENT ON FUNCTION mentalspace.list_disjuncts(text) IS
    'internal to wrap_policies(): what an expression is an OR of, as tokens and in order, conditions that became ranges as they were: equal for two that differ in sub-selects and ranges alone';

CREATE FUNCTION mentalspace.range_expression(expression text, relation oid, steady text[], alone boolean, OUT ranged text, OUT detail text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $body$
DECLARE
    split record;
    r record;
    part text;
    free text[] := '{}';
    others text[] := '{}';
BEGIN
    SELECT * INTO split FROM mentalspace.split_expression(expression);
    FOREACH part IN ARRAY CASE WHEN split.operator = 'OR' THEN split.parts ELSE ARRAY[expression] END LOOP
        IF part ~ '[a-z_"]\(' AND mentalspace.is_row_free((mentalspace.tokenize_expression(part)).tokens, steady) THEN
            free := free || part;
        ELSE
            others := others || part;
        END IF;
    END LOOP;
    IF free = '{}' OR others = '{}' AND NOT alone THEN
        RETURN;
    END IF;
    SELECT * INTO r FROM mentalspace.range_column(relation);
    IF r.name IS NULL THEN
        detail := 'wrapped only: no NOT NULL column of type uuid, int2, int4, int8, timestamptz or date begins an index';
        RETURN;
    END IF;
    ranged := array_to_string(others || format('((%1$s >= (SELECT CASE WHEN %2$s THEN %3$L::%4$s END)) AND (%1$s <= %5$L::%4$s))',
        r.name, array_to_string(free, ' OR '), r.lowest, r.type, r.highest), ' OR ');
END
$body$;
COMMENT ON FUNCTION mentalspace.range_expression(text, oid, text[], boolean) IS
    'internal to wrap_policies(): the expression with conditions that do not look at the row as one range of an indexed column; why not, where that was to be';
