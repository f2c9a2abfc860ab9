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
