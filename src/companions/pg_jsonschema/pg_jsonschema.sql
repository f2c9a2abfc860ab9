-- pg_jsonschema's functions by name and signature.  A CHECK that calls one lets no row in.
CREATE FUNCTION jsonschema_unavailable() RETURNS boolean
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RAISE EXCEPTION 'JSON Schema validation is not available'
        USING ERRCODE = 'feature_not_supported',
              DETAIL = 'The installed extension pg_jsonschema is a companion of mentalspace that only accepts the name.',
              HINT = 'Install the extension pg_jsonschema, or check in a function of your own.';
END
$$;
COMMENT ON FUNCTION jsonschema_unavailable() IS 'raises the error that says what this extension is';
CREATE FUNCTION json_matches_schema(schema json, instance json) RETURNS boolean
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    RETURN jsonschema_unavailable();
COMMENT ON FUNCTION json_matches_schema(json, json) IS 'raises an error: JSON Schema validation is not available here';
CREATE FUNCTION jsonb_matches_schema(schema json, instance jsonb) RETURNS boolean
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    RETURN jsonschema_unavailable();
COMMENT ON FUNCTION jsonb_matches_schema(json, jsonb) IS 'raises an error: JSON Schema validation is not available here';
CREATE FUNCTION jsonschema_is_valid(schema json) RETURNS boolean
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    RETURN jsonschema_unavailable();
COMMENT ON FUNCTION jsonschema_is_valid(json) IS 'raises an error: JSON Schema validation is not available here';
CREATE FUNCTION jsonschema_validation_errors(schema json, instance json) RETURNS text[]
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    RETURN ARRAY[jsonschema_unavailable()::text];
COMMENT ON FUNCTION jsonschema_validation_errors(json, json) IS 'raises an error: JSON Schema validation is not available here';
