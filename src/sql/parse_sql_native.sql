CREATE FUNCTION mentalspace.parse_sql(sql text)
    RETURNS TABLE (statement integer, line integer, "position" integer, action text, kind text, name text[], detail text)
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'ms_parse_sql';
