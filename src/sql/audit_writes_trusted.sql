-- The record of writes in PL/pgSQL.
--
-- The triggers run as the extension's owner, who alone may write events.  So nothing that the owner of a table can define may
-- run in them: values are turned into text by their types' output functions, never by a cast (a cast from an enum to json or
-- text may be anybody's); domains are not checked; and no table of another owner is read by this role, because reading a
-- table can run its policies and what its indexes' expressions and predicates call.  Such tables are read by audit_lookup(),
-- whose owner, mentalspace_lookup, has no rights but to read the key columns on the way to the patient.

-- Whether to_jsonb() writes values of a type without looking for a cast: a type of PostgreSQL's own, through domains and arrays.
CREATE FUNCTION mentalspace.audit_is_builtin(type oid) RETURNS boolean
    LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
    WITH RECURSIVE base(oid, basetype, elem) AS (
        SELECT t.oid, t.typbasetype, t.typelem FROM pg_type AS t WHERE t.oid = $1
        UNION ALL
        SELECT t.oid, t.typbasetype, t.typelem FROM base AS b
          JOIN pg_type AS t ON t.oid = CASE WHEN b.basetype <> 0 THEN b.basetype ELSE b.elem END
         WHERE b.oid >= 16384
    )
    SELECT bool_or(b.oid < 16384) FROM base AS b
    $$;
COMMENT ON FUNCTION mentalspace.audit_is_builtin(oid) IS 'internal to the audit: whether a type is PostgreSQL''s own, through domains and arrays';

-- The SQL expression of a column's value as text, as events have keys.
CREATE FUNCTION mentalspace.audit_text_of(row_name text, name name, type oid) RETURNS text
    LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT CASE WHEN $3 IN ('text'::regtype, 'varchar'::regtype, 'uuid'::regtype, 'int2'::regtype, 'int4'::regtype, 'int8'::regtype)
                THEN format('%s.%I::text', $1, $2)
                -- JSON writes arrays in its own way.
                WHEN mentalspace.audit_is_builtin($3) AND NOT EXISTS (SELECT FROM pg_type AS t WHERE t.oid = $3 AND t.typcategory = 'A')
                THEN format('to_jsonb(%s.%I) #>> ''{}''', $1, $2)
                ELSE format('CASE WHEN %1$s.%2$I IS DISTINCT FROM NULL THEN format(''%%s'', %1$s.%2$I) END', $1, $2) END
    $$;
COMMENT ON FUNCTION mentalspace.audit_text_of(text, name, oid) IS 'internal to the audit: SQL expression of a column as text';

CREATE FUNCTION mentalspace.audit_key_of(row_name text, rel regclass) RETURNS text
    LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT CASE count(*) WHEN 0 THEN 'NULL::text' WHEN 1 THEN min(k.expression)
                         ELSE 'concat(''{'', ' || string_agg(format('%L, %s', to_json(k.attname::text) || ': ',
                              CASE WHEN k.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
                                   THEN k.expression ELSE format('to_json(%s)', k.expression) END),
                              ', '', '', ' ORDER BY k.n) || ', ''}'')' END
      FROM (SELECT k.n, a.attname, a.atttypid, mentalspace.audit_text_of($1, a.attname, a.atttypid) AS expression
              FROM pg_index AS x
             CROSS JOIN LATERAL unnest(x.indkey) WITH ORDINALITY AS k(attnum, n)
              JOIN pg_attribute AS a ON a.attrelid = x.indrelid AND a.attnum = k.attnum
             WHERE x.indrelid = $2 AND x.indisprimary AND k.n <= x.indnkeyatts) AS k
    $$;
COMMENT ON FUNCTION mentalspace.audit_key_of(text, regclass) IS 'internal to the audit: SQL expression of the primary key as events have it: text, a JSON object where it has several columns, NULL without one';

-- Redacted columns are salted digests of what their types write.
CREATE FUNCTION mentalspace.audit_value_of(row_name text, name name, type oid, redact text[]) RETURNS text
    LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT CASE WHEN $2 = ANY ($4)
                THEN format('CASE WHEN %1$s.%2$I IS DISTINCT FROM NULL THEN ''sha256:'' || encode(sha256('
                            '(SELECT mentalspace.audit_salt()) || convert_to(format(''%%s'', %1$s.%2$I), ''UTF8'')), ''hex'') END', $1, $2)
                WHEN mentalspace.audit_is_builtin($3) THEN format('%s.%I', $1, $2)
                ELSE mentalspace.audit_text_of($1, $2, $3) END
    $$;
COMMENT ON FUNCTION mentalspace.audit_value_of(text, name, oid, text[]) IS 'internal to the audit: SQL expression of a column''s value as events show it';

CREATE FUNCTION mentalspace.audit_image_of(row_name text, rel regclass, redact text[]) RETURNS text
    LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT CASE WHEN bool_and(mentalspace.audit_is_builtin(a.atttypid) AND NOT a.attname = ANY ($3)) IS NOT FALSE
                THEN format('to_jsonb(%s.*)', $1)
                ELSE format('(SELECT to_jsonb(i) FROM (SELECT %s) AS i)',
                            string_agg(format('%s AS %I', mentalspace.audit_value_of($1, a.attname, a.atttypid, $3), a.attname), ', '
                                       ORDER BY a.attnum)) END
      FROM pg_attribute AS a WHERE a.attrelid = $2 AND a.attnum > 0 AND NOT a.attisdropped
    $$;
COMMENT ON FUNCTION mentalspace.audit_image_of(text, regclass, text[]) IS 'internal to the audit: SQL expression of a row as jsonb';

-- {"column": [old, new]} of the columns whose text changed.  Equal values of the types that are compared as they are have the
-- same text; those of others may differ, as 1.0 and 1.00 do.
CREATE FUNCTION mentalspace.audit_changes_of(rel regclass, redact text[]) RETURNS text
    LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT coalesce(string_agg(
               format('CASE WHEN %s IS DISTINCT FROM %s THEN jsonb_build_object(%L, jsonb_build_array(%s, %s)) ELSE ''{}'' END',
                      CASE WHEN c.by_value THEN format('o.%I', c.attname) ELSE mentalspace.audit_text_of('o', c.attname, c.atttypid) END,
                      CASE WHEN c.by_value THEN format('n.%I', c.attname) ELSE mentalspace.audit_text_of('n', c.attname, c.atttypid) END,
                      c.attname, mentalspace.audit_value_of('o', c.attname, c.atttypid, $2),
                      mentalspace.audit_value_of('n', c.attname, c.atttypid, $2)), ' || ' ORDER BY c.attnum), '''{}''::jsonb')
      FROM (SELECT a.attname, a.attnum, a.atttypid,
                   a.atttypid = ANY ('{bool,int2,int4,int8,oid,uuid,date,timestamp,timestamptz,bytea}'::regtype[])
                   OR a.atttypid IN ('text'::regtype, 'varchar'::regtype)
                      AND (SELECT l.collisdeterministic FROM pg_collation AS l WHERE l.oid = a.attcollation) AS by_value
              FROM pg_attribute AS a WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped) AS c
    $$;
COMMENT ON FUNCTION mentalspace.audit_changes_of(regclass, text[]) IS 'internal to the audit: SQL expression of what an UPDATE changed in a row';

-- ---- from rows to their patients ----

CREATE FUNCTION mentalspace.audit_lookup_rows(rel regclass, referred name, key name, ids text[], comparison oid[], OUT id text,
    OUT value text) RETURNS SETOF record
    LANGUAGE plpgsql STABLE STRICT PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    o pg_operator;
BEGIN
    SELECT * INTO o FROM pg_operator WHERE oid = comparison[1];
    RETURN QUERY EXECUTE format(
        'SELECT v.id, CASE WHEN t.%1$I IS DISTINCT FROM NULL THEN format(''%%s'', t.%1$I) END '
        'FROM unnest($1) AS v(id) JOIN %2$s AS t ON t.%3$I OPERATOR(%4$s.%5$s) v.id::%6$s', key, rel, referred,
        o.oprnamespace::regnamespace::text, o.oprname, format_type(comparison[2], NULL) || coalesce('::' || format_type(comparison[3], NULL), ''))
        USING ids;
END
$$;
COMMENT ON FUNCTION mentalspace.audit_lookup_rows(regclass, name, name, text[], oid[]) IS 'internal to the audit: the values of a column of a table for values that refer to another column; comparison: the operator, the values'' type, NULL or the type to cast them to';

CREATE FUNCTION mentalspace.audit_lookup(rel regclass, referred name, key name, ids text[], comparison oid[], OUT id text,
    OUT value text) RETURNS SETOF record
    LANGUAGE sql STABLE STRICT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$ SELECT * FROM mentalspace.audit_lookup_rows($1, $2, $3, $4, $5) $$;
COMMENT ON FUNCTION mentalspace.audit_lookup(regclass, name, name, text[], oid[]) IS 'internal to the audit: audit_lookup_rows() with the rights of mentalspace_lookup alone';

CREATE FUNCTION mentalspace.audit_is_ours(rel regclass) RETURNS boolean
    LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$ SELECT pg_get_userbyid(c.relowner) = current_user FROM pg_class AS c WHERE c.oid = $1 $$;
COMMENT ON FUNCTION mentalspace.audit_is_ours(regclass) IS 'internal to the audit: whether the role that asks owns the table, so that reading it runs no other role''s code';

-- Where a row on the way was deleted by this transaction, as a cascade has before it, its image in the event of that is
-- looked at.
CREATE FUNCTION mentalspace.audit_patients(rel regclass, patient_key text, ids text[], OUT id text, OUT patient text, OUT broken boolean)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    firsts text[] := ARRAY(SELECT DISTINCT i.id FROM unnest(ids) AS i(id) WHERE i.id IS NOT NULL);
    places text[] := firsts;
    p record;
    previous record;
    comparison oid[];
    ours boolean;
BEGIN
    IF cardinality(firsts) = 0 THEN
        RETURN;
    END IF;
    FOR p IN SELECT * FROM mentalspace.audit_path(rel, patient_key) ORDER BY step LOOP
        IF p.step > 1 THEN
            ours := mentalspace.audit_is_ours(p.relation);
            -- As the foreign key compares.
            SELECT ARRAY[s.operator, s.referring, s.cast_to] INTO comparison
              FROM pg_attribute AS a CROSS JOIN LATERAL mentalspace.audit_step_comparison(previous.relation, a.attnum, p.relation) AS s
             WHERE a.attrelid = previous.relation AND a.attname = previous.key_column;
            WITH rows AS (
                SELECT l.id, l.value
                  FROM mentalspace.audit_lookup_rows(p.relation, previous.referred_column, p.key_column, places,
                                                     comparison) AS l WHERE ours
                UNION ALL
                SELECT l.id, l.value
                  FROM mentalspace.audit_lookup(p.relation, previous.referred_column, p.key_column, places,
                                                comparison) AS l WHERE NOT ours
            )
            SELECT array_agg(CASE WHEN r.id IS NOT NULL THEN r.value
                                  WHEN w.id IS NOT NULL THEN (
                                      SELECT e.row_image ->> p.key_column::text
                                        FROM mentalspace.audit_events AS e
                                       WHERE e.occurred_at >= now() AND e.transaction_id = pg_current_xact_id() AND e.action = 'D'
                                         AND e.relation = mentalspace.audit_relation_name(p.relation)
                                         AND e.row_image ->> previous.referred_column::text = w.id
                                       ORDER BY e.event_id DESC LIMIT 1) END ORDER BY w.n)
              INTO places
              FROM unnest(places) WITH ORDINALITY AS w(id, n) LEFT JOIN rows AS r ON r.id = w.id;
        END IF;
        previous := p;
    END LOOP;
    RETURN QUERY SELECT f.id, f.patient, false FROM unnest(firsts, places) AS f(id, patient);
EXCEPTION WHEN syntax_error_or_access_rule_violation OR invalid_parameter_value THEN
    RETURN QUERY SELECT f.id, NULL::text, true FROM unnest(firsts) AS f(id);
END
$$;
COMMENT ON FUNCTION mentalspace.audit_patients(regclass, text, text[]) IS 'internal to the audit: the patients that values of a path''s first column lead to; broken where the path leads nowhere';

-- ---- the statement that writes events ----

-- What that statement depends on, so that it is made anew when the table has changed.
-- In PL/pgSQL, which keeps plans.
CREATE FUNCTION mentalspace.audit_shape(rel regclass) RETURNS text
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RETURN (SELECT md5(concat(n.nspname, '.', c.relname,
                   (SELECT string_agg(a.attname::text || ' ' || t.typname::text || (t.oid < 16384)::text || (t.typsend <> 0)::text,
                                      ',' ORDER BY a.attnum)
                      FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
                     WHERE a.attrelid = rel AND a.attnum > 0 AND NOT a.attisdropped),
                   (SELECT x.indkey::text FROM pg_index AS x WHERE x.indrelid = rel AND x.indisprimary)))
              FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = rel);
END
$$;
COMMENT ON FUNCTION mentalspace.audit_shape(regclass) IS 'internal to the audit: digest of what a table''s statement for events was made of';

-- old_rows and new_rows are what the statement reads the rows from; o is the old row in it, n the new one.
CREATE FUNCTION mentalspace.audit_statement(rel regclass, op text, old_rows text, new_rows text) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    declared mentalspace.audit_relations := mentalspace.audit_declaration(rel);
    relation_name text := mentalspace.audit_relation_name(declared.relation);
    -- The column that leads to the patient, and the patient: expressions for each of the two rows.
    first record;
    before text;
    after text;
    severity text := '''info''';
    lookup text := '';
    joins text := '';
BEGIN
    IF declared.patient_key IS NOT NULL THEN
        SELECT mentalspace.audit_text_of('o', a.attname, a.atttypid) AS o, mentalspace.audit_text_of('n', a.attname, a.atttypid) AS n
          INTO first
          FROM pg_attribute AS a
         WHERE a.attrelid = rel AND a.attnum > 0 AND NOT a.attisdropped
           AND a.attname = (parse_ident(split_part(declared.patient_key, '->', 1)))[1];
        IF first.o IS NULL THEN
            severity := '''critical''';
        ELSIF declared.patient_key NOT LIKE '%->%' THEN
            before := first.o;
            after := first.n;
        ELSE
            lookup := format('WITH patients AS MATERIALIZED (SELECT * FROM mentalspace.audit_patients(%L, %L, ARRAY(%s))) ',
                relation_name, declared.patient_key,
                concat_ws(' UNION ', CASE WHEN op <> 'INSERT' THEN format('SELECT %s FROM %s AS o', first.o, old_rows) END,
                                     CASE WHEN op <> 'DELETE' THEN format('SELECT %s FROM %s AS n', first.n, new_rows) END));
            IF op <> 'INSERT' THEN
                joins := joins || format(' LEFT JOIN patients AS po ON po.id = %s', first.o);
                before := 'po.patient';
            END IF;
            IF op <> 'DELETE' THEN
                joins := joins || format(' LEFT JOIN patients AS pn ON pn.id = %s', first.n);
                after := 'pn.patient';
            END IF;
            severity := format('CASE WHEN %s THEN ''critical'' ELSE ''info'' END',
                               CASE op WHEN 'INSERT' THEN 'pn.broken' WHEN 'DELETE' THEN 'po.broken' ELSE 'po.broken OR pn.broken' END);
        END IF;
    END IF;
    RETURN concat(lookup,
        'INSERT INTO mentalspace.audit_events (occurred_at, transaction_id, row_count, kind, action, category, outcome, severity, '
            'relation, row_key, patient_ids, user_id, session_user_name, outer_role_name, roles, aal, session_id, '
            'identity_source, client_address, application_name, user_agent, request_id, purpose_of_use, break_glass_id, '
            'changes, row_digest, row_image) '
        'SELECT clock_timestamp(), pg_current_xact_id(), 1, ',
        format('(SELECT CASE WHEN mentalspace.role_source() = to_regclass(%1$L) THEN ''permission_change'' ELSE ''data_modification'' END), '
               '%2$L, %3$L, ''success'', %4$s, %1$L, ', relation_name,
               CASE op WHEN 'INSERT' THEN 'C' WHEN 'UPDATE' THEN 'U' ELSE 'D' END, declared.category, severity),
        mentalspace.audit_key_of(CASE op WHEN 'DELETE' THEN 'o' ELSE 'n' END, rel), ', ',
        -- A row that an UPDATE takes from one patient to another is both's.
        CASE WHEN coalesce(before, after) IS NULL THEN 'NULL::text[]'
             WHEN op <> 'UPDATE' THEN format('CASE WHEN %1$s IS NOT NULL THEN ARRAY[%1$s] END', CASE op WHEN 'INSERT' THEN after ELSE before END)
             ELSE format('CASE WHEN %1$s = %2$s THEN ARRAY[%1$s] ELSE nullif(array_remove(ARRAY[%1$s, %2$s], NULL), ''{}'') END',
                         before, after) END,
        ', a.user_id, a.session_user_name, a.outer_role_name, a.roles, a.aal, a.session_id, a.identity_source, '
            'a.client_address, a.application_name, a.user_agent, a.request_id, a.purpose_of_use, a.break_glass_id, ',
        CASE op WHEN 'UPDATE' THEN mentalspace.audit_changes_of(rel, declared.redact) || ', NULL, NULL'
                WHEN 'DELETE' THEN 'NULL, NULL, ' || mentalspace.audit_image_of('o', rel, declared.redact)
                WHEN 'INSERT' THEN CASE WHEN EXISTS (SELECT FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
                                                      WHERE a.attrelid = rel AND a.attnum > 0 AND NOT a.attisdropped AND t.typsend = 0)
                                        -- A type has no binary form.
                                        THEN 'NULL, NULL, NULL'
                                        ELSE 'NULL, sha256((SELECT mentalspace.audit_salt()) || record_send(n.*)), NULL' END END,
        ' FROM mentalspace.audit_actor() AS a CROSS JOIN ',
        CASE op WHEN 'INSERT' THEN new_rows || ' AS n' WHEN 'DELETE' THEN old_rows || ' AS o'
                -- Old and new rows come in the same order.
                ELSE format('(SELECT row_number() OVER () AS mentalspace_row, r.* FROM %s AS r) AS o '
                            'JOIN (SELECT row_number() OVER () AS mentalspace_row, r.* FROM %s AS r) AS n USING (mentalspace_row)',
                            old_rows, new_rows) END,
        joins);
END
$$;
COMMENT ON FUNCTION mentalspace.audit_statement(regclass, text, text, text) IS 'internal to the audit: the statement that writes the events of a table''s changed rows';

-- ---- triggers ----

CREATE FUNCTION mentalspace.audit_row() RETURNS trigger
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET client_encoding = 'SQL_ASCII'
    AS $$
BEGIN
    IF (mentalspace.audit_declaration(TG_RELID)).writes THEN
        IF TG_WHEN <> 'AFTER' OR TG_LEVEL <> 'ROW' OR TG_NAME <> 'mentalspace_audit' THEN
            RAISE EXCEPTION 'trigger "%" was not made by mentalspace.audit_table()', TG_NAME USING ERRCODE = 'trigger_protocol_violated';
        END IF;
        EXECUTE mentalspace.audit_statement(TG_RELID, TG_OP, '(SELECT ($1).*)', '(SELECT ($2).*)') USING OLD, NEW;
    END IF;
    RETURN NULL;
END
$$;

-- A function for each table, so that the plans of its statements are kept.
CREATE FUNCTION mentalspace.audit_define_trigger_function(rel regclass, name name) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    EXECUTE format($format$CREATE OR REPLACE FUNCTION mentalspace.%1$I() RETURNS trigger
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET client_encoding = 'SQL_ASCII'
    AS %6$L$format$, name, NULL, NULL, NULL, NULL, format($format$
BEGIN
    IF mentalspace.audit_shape(TG_RELID) <> %1$L THEN
        -- The table has changed since audit_table() made this function.
        EXECUTE mentalspace.audit_statement(TG_RELID, TG_OP, 'old_rows', 'new_rows');
    ELSIF TG_OP = 'INSERT' THEN
        IF EXISTS (SELECT FROM new_rows) THEN
            %2$s;
        END IF;
    ELSIF TG_OP = 'UPDATE' THEN
        IF EXISTS (SELECT FROM new_rows) THEN
            %3$s;
        END IF;
    ELSIF EXISTS (SELECT FROM old_rows) THEN
        %4$s;
    END IF;
    RETURN NULL;
END
$format$, mentalspace.audit_shape(rel), mentalspace.audit_statement(rel, 'INSERT', 'old_rows', 'new_rows'),
          mentalspace.audit_statement(rel, 'UPDATE', 'old_rows', 'new_rows'),
          mentalspace.audit_statement(rel, 'DELETE', 'old_rows', 'new_rows')));
    EXECUTE format('REVOKE ALL ON FUNCTION mentalspace.%I() FROM PUBLIC', name);
    EXECUTE format('COMMENT ON FUNCTION mentalspace.%I() IS %L', name,
                   'trigger for writes of ' || mentalspace.audit_relation_name(rel) || ', made by audit_table()');
END
$$;
COMMENT ON FUNCTION mentalspace.audit_define_trigger_function(regclass, name) IS 'internal to audit_table(): makes the trigger function of a table';

CREATE FUNCTION mentalspace.audit_count_rows(rel regclass, key name, OUT n bigint, OUT ids text[]) RETURNS record
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    EXECUTE format('SELECT count(*), %s FROM ONLY %s AS r',
                   coalesce((SELECT format('array_agg(DISTINCT %s)', mentalspace.audit_text_of('r', a.attname, a.atttypid))
                               FROM pg_attribute AS a WHERE a.attrelid = rel AND a.attname = key AND a.attnum > 0), 'NULL::text[]'), rel)
       INTO n, ids;
END
$$;
COMMENT ON FUNCTION mentalspace.audit_count_rows(regclass, name) IS 'internal to the audit: how many rows a table has and the values of a column, read with the rights of the caller';

CREATE FUNCTION mentalspace.audit_count(rel regclass, key name, OUT n bigint, OUT ids text[]) RETURNS record
    LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$ SELECT * FROM mentalspace.audit_count_rows($1, $2) $$;
COMMENT ON FUNCTION mentalspace.audit_count(regclass, name) IS 'internal to the audit: audit_count_rows() with the rights of mentalspace_lookup alone';

CREATE FUNCTION mentalspace.audit_truncate() RETURNS trigger
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    declared mentalspace.audit_relations := mentalspace.audit_declaration(TG_RELID);
    event mentalspace.audit_events;
    places regclass[] := ARRAY[TG_RELID::regclass];
    place regclass;
    has_path boolean := declared.patient_key LIKE '%->%';
    counted record;
    broken boolean;
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
    FOREACH place IN ARRAY places LOOP
        IF mentalspace.audit_is_ours(place) THEN
            SELECT * INTO counted
              FROM mentalspace.audit_count_rows(place, (parse_ident(split_part(declared.patient_key, '->', 1)))[1]);
        ELSE
            SELECT * INTO counted
              FROM mentalspace.audit_count(place, (parse_ident(split_part(declared.patient_key, '->', 1)))[1]);
        END IF;
        event.row_count := event.row_count + counted.n;
        IF has_path THEN
            SELECT array_agg(p.patient), bool_or(p.broken) INTO counted.ids, broken
              FROM mentalspace.audit_patients(declared.relation, declared.patient_key, counted.ids) AS p;
        END IF;
        IF broken THEN
            event.severity := 'critical';
        END IF;
        event.patient_ids := CASE WHEN event.severity = 'warning' AND event.patient_ids IS NOT NULL
                                  THEN ARRAY(SELECT DISTINCT p.id FROM unnest(event.patient_ids || counted.ids) AS p(id)
                                              WHERE p.id IS NOT NULL ORDER BY p.id) END;
    END LOOP;
    PERFORM mentalspace.audit_add_event(event);
    RETURN NULL;
END
$$;

-- Statement triggers read all rows of a statement at once.  Row triggers stay where those do not see everything: partitioned
-- tables (a partition that comes later gets row triggers by itself), parents and children by inheritance (a statement on the
-- parent shows the parent's columns), foreign tables, and tables that a subscription writes to.
CREATE FUNCTION mentalspace.audit_trigger_list(rel regclass, OUT place regclass, OUT name name, OUT definition text) RETURNS SETOF record
    LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT p.place, t.name, t.definition
      FROM (SELECT c.oid::regclass AS place, c.relkind,
                   c.relkind = 'r' AND NOT EXISTS (SELECT FROM pg_inherits AS i WHERE c.oid IN (i.inhrelid, i.inhparent))
                       AND NOT EXISTS (SELECT FROM pg_subscription_rel AS s WHERE s.srrelid = c.oid) AS by_statement
              FROM mentalspace.audit_descendants($1) AS d JOIN pg_class AS c ON c.oid = d
             WHERE c.relkind <> 'm') AS p
      JOIN (VALUES (true, 'mentalspace_audit_insert'::name, 'AFTER INSERT ON %s REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT'),
                   (true, 'mentalspace_audit_update', 'AFTER UPDATE ON %s REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT'),
                   (true, 'mentalspace_audit_delete', 'AFTER DELETE ON %s REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT'),
                   (false, 'mentalspace_audit', 'AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION mentalspace.audit_row()'),
                   (NULL, 'mentalspace_audit_truncate', 'BEFORE TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION mentalspace.audit_truncate()'))
           AS t(by_statement, name, definition)
        ON coalesce(t.by_statement = p.by_statement,
                    p.relkind <> 'f' OR current_setting('server_version_num')::int >= 160000)
     ORDER BY p.place <> $1, p.place, t.name
    $$;

CREATE FUNCTION mentalspace.audit_trigger_function(rel regclass) RETURNS regproc
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    name name := (SELECT min(p.proname::text) FROM pg_trigger AS t JOIN pg_proc AS p ON p.oid = t.tgfoid
                   WHERE t.tgrelid = rel AND p.pronamespace = 'mentalspace'::regnamespace AND p.proname LIKE 'audit\_write\_%');
BEGIN
    name := coalesce(name, 'audit_write_' || substr(replace(gen_random_uuid()::text, '-', ''), 1, 16));
    PERFORM mentalspace.audit_define_trigger_function(rel, name);
    RETURN format('mentalspace.%I', name)::regproc;
END
$$;
COMMENT ON FUNCTION mentalspace.audit_trigger_function(regclass) IS 'internal to audit_table(): makes the function of a table''s statement triggers anew';

CREATE FUNCTION mentalspace.audit_is_stale(rel regclass) RETURNS boolean
    LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT coalesce(bool_or(strpos(p.prosrc, quote_literal(mentalspace.audit_shape($1))) = 0), false)
      FROM pg_trigger AS t JOIN pg_proc AS p ON p.oid = t.tgfoid
     WHERE t.tgrelid = $1 AND p.pronamespace = 'mentalspace'::regnamespace AND p.proname LIKE 'audit\_write\_%'
    $$;
COMMENT ON FUNCTION mentalspace.audit_is_stale(regclass) IS 'internal to audit_tables(): whether a table has changed since its triggers'' function was made; they work, slower';

CREATE FUNCTION mentalspace.audit_allow_lookup(rel regclass, patient_key text) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    p record;
    referred name;
BEGIN
    FOR p IN SELECT * FROM mentalspace.audit_path(rel, patient_key) WHERE patient_key IS NOT NULL ORDER BY step LOOP
        IF NOT mentalspace.audit_is_ours(p.relation) THEN
            EXECUTE format('GRANT SELECT (%s) ON %s TO mentalspace_lookup',
                           concat_ws(', ', quote_ident(p.key_column),
                                     quote_ident(referred)), p.relation);
            IF NOT has_schema_privilege('mentalspace_lookup', (SELECT relnamespace FROM pg_class WHERE oid = p.relation), 'USAGE') THEN
                EXECUTE format('GRANT USAGE ON SCHEMA %s TO mentalspace_lookup',
                               (SELECT relnamespace::regnamespace FROM pg_class WHERE oid = p.relation));
            END IF;
            IF (SELECT relrowsecurity FROM pg_class WHERE oid = p.relation)
               AND NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = p.relation AND polname = 'mentalspace_lookup') THEN
                EXECUTE format('CREATE POLICY mentalspace_lookup ON %s FOR SELECT TO mentalspace_lookup USING (true)', p.relation);
                EXECUTE format('COMMENT ON POLICY mentalspace_lookup ON %s IS %L', p.relation,
                               'mentalspace.audit_table(): the audit finds the patient that a row belongs to');
            END IF;
        END IF;
        referred := p.referred_column;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mentalspace.audit_allow_lookup(regclass, text) IS 'internal to audit_table(): lets mentalspace_lookup read the key columns of other owners'' tables on the way to the patient';

REVOKE ALL ON FUNCTION mentalspace.audit_is_builtin(oid), mentalspace.audit_text_of(text, name, oid), mentalspace.audit_key_of(text, regclass),
    mentalspace.audit_value_of(text, name, oid, text[]), mentalspace.audit_image_of(text, regclass, text[]),
    mentalspace.audit_changes_of(regclass, text[]), mentalspace.audit_lookup_rows(regclass, name, name, text[], oid[]),
    mentalspace.audit_lookup(regclass, name, name, text[], oid[]), mentalspace.audit_is_ours(regclass),
    mentalspace.audit_patients(regclass, text, text[]), mentalspace.audit_shape(regclass),
    mentalspace.audit_statement(regclass, text, text, text), mentalspace.audit_define_trigger_function(regclass, name),
    mentalspace.audit_count_rows(regclass, name), mentalspace.audit_count(regclass, name), mentalspace.audit_trigger_function(regclass),
    mentalspace.audit_is_stale(regclass), mentalspace.audit_allow_lookup(regclass, text) FROM PUBLIC;
