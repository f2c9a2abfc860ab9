COMMENT ON FUNCTION mentalspace.parse_sql(text) IS
    'what the parser of this server makes of statements, without running them: a row per statement, per syntax error and, in the native flavour, per object that a statement makes, drops or needs';
