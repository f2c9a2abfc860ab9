-- Schemas graphql and graphql_public with pg_graphql's entry points.
CREATE FUNCTION graphql._unavailable() RETURNS jsonb
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RAISE EXCEPTION 'GraphQL is not available'
        USING ERRCODE = 'feature_not_supported',
              DETAIL = 'The installed extension pg_graphql is a companion of mentalspace that only accepts the name.',
              HINT = 'Use PostgREST, or serve GraphQL from the application.';
END
$$;
COMMENT ON FUNCTION graphql._unavailable() IS 'raises the error that says what this extension is';

CREATE FUNCTION graphql.resolve(query text, variables jsonb DEFAULT '{}', "operationName" text DEFAULT NULL, extensions jsonb DEFAULT NULL) RETURNS jsonb
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    RETURN graphql._unavailable();
COMMENT ON FUNCTION graphql.resolve(text, jsonb, text, jsonb) IS 'raises an error: GraphQL is not available here';
CREATE FUNCTION graphql_public.graphql("operationName" text DEFAULT NULL, query text DEFAULT NULL, variables jsonb DEFAULT NULL, extensions jsonb DEFAULT NULL) RETURNS jsonb
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    RETURN graphql._unavailable();
COMMENT ON FUNCTION graphql_public.graphql(text, text, jsonb, jsonb) IS 'raises an error: GraphQL is not available here';
