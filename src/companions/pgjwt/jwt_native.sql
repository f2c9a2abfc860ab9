-- pgjwt's functions in C++ (src/companions/pgjwt.cpp).
CREATE FUNCTION url_encode(data bytea) RETURNS text
    LANGUAGE c IMMUTABLE PARALLEL SAFE STRICT
    AS 'MODULE_PATHNAME', 'ms_pgjwt_url_encode';
CREATE FUNCTION url_decode(data text) RETURNS bytea
    LANGUAGE c IMMUTABLE PARALLEL SAFE STRICT
    AS 'MODULE_PATHNAME', 'ms_pgjwt_url_decode';
CREATE FUNCTION algorithm_sign(signables text, secret text, algorithm text) RETURNS text
    LANGUAGE c IMMUTABLE PARALLEL SAFE STRICT
    AS 'MODULE_PATHNAME', 'ms_pgjwt_algorithm_sign';
CREATE FUNCTION sign(payload json, secret text, algorithm text DEFAULT 'HS256') RETURNS text
    LANGUAGE c IMMUTABLE PARALLEL SAFE STRICT
    AS 'MODULE_PATHNAME', 'ms_pgjwt_sign';
CREATE FUNCTION verify(token text, secret text, algorithm text DEFAULT 'HS256') RETURNS TABLE (header json, payload json, valid boolean)
    LANGUAGE c STABLE PARALLEL UNSAFE STRICT ROWS 1
    AS 'MODULE_PATHNAME', 'ms_pgjwt_verify';
