-- The type of pgvector (src/companions/vector.cpp).
CREATE TYPE vector;
CREATE FUNCTION vector_in(cstring, oid, integer) RETURNS vector
    LANGUAGE c IMMUTABLE PARALLEL SAFE STRICT
    AS 'MODULE_PATHNAME', 'ms_vector_in';
COMMENT ON FUNCTION vector_in(cstring, oid, integer) IS 'vector from [1,2,3]';
CREATE FUNCTION vector_out(vector) RETURNS cstring
    LANGUAGE c IMMUTABLE PARALLEL SAFE STRICT
    AS 'MODULE_PATHNAME', 'ms_vector_out';
COMMENT ON FUNCTION vector_out(vector) IS 'vector as [1,2,3]';
CREATE FUNCTION vector_typmod_in(cstring[]) RETURNS integer
    LANGUAGE c IMMUTABLE PARALLEL SAFE STRICT
    AS 'MODULE_PATHNAME', 'ms_vector_typmod_in';
COMMENT ON FUNCTION vector_typmod_in(cstring[]) IS 'number of dimensions of vector(N)';
CREATE FUNCTION vector_recv(internal, oid, integer) RETURNS vector
    LANGUAGE c IMMUTABLE PARALLEL SAFE STRICT
    AS 'MODULE_PATHNAME', 'ms_vector_recv';
COMMENT ON FUNCTION vector_recv(internal, oid, integer) IS 'vector from its binary form';
CREATE FUNCTION vector_send(vector) RETURNS bytea
    LANGUAGE c IMMUTABLE PARALLEL SAFE STRICT
    AS 'MODULE_PATHNAME', 'ms_vector_send';
COMMENT ON FUNCTION vector_send(vector) IS 'vector in its binary form';
CREATE TYPE vector (
    INPUT = vector_in, OUTPUT = vector_out, TYPMOD_IN = vector_typmod_in, RECEIVE = vector_recv, SEND = vector_send,
    STORAGE = external
);
COMMENT ON TYPE vector IS 'vector of real numbers, as pgvector has it; searches are exact';

CREATE FUNCTION vector(vector, integer, boolean) RETURNS vector
    LANGUAGE c IMMUTABLE PARALLEL SAFE STRICT
    AS 'MODULE_PATHNAME', 'ms_vector_cast';
COMMENT ON FUNCTION vector(vector, integer, boolean) IS 'the same vector, if it has so many dimensions';
CREATE FUNCTION array_to_vector(real[], integer, boolean) RETURNS vector
    LANGUAGE c IMMUTABLE PARALLEL SAFE STRICT
    AS 'MODULE_PATHNAME', 'ms_vector_of_array';
COMMENT ON FUNCTION array_to_vector(real[], integer, boolean) IS 'vector from an array';
CREATE FUNCTION array_to_vector(double precision[], integer, boolean) RETURNS vector
    LANGUAGE c IMMUTABLE PARALLEL SAFE STRICT
    AS 'MODULE_PATHNAME', 'ms_vector_of_array';
COMMENT ON FUNCTION array_to_vector(double precision[], integer, boolean) IS 'vector from an array';
CREATE FUNCTION array_to_vector(integer[], integer, boolean) RETURNS vector
    LANGUAGE c IMMUTABLE PARALLEL SAFE STRICT
    AS 'MODULE_PATHNAME', 'ms_vector_of_array';
COMMENT ON FUNCTION array_to_vector(integer[], integer, boolean) IS 'vector from an array';
CREATE FUNCTION array_to_vector(numeric[], integer, boolean) RETURNS vector
    LANGUAGE c IMMUTABLE PARALLEL SAFE STRICT
    AS 'MODULE_PATHNAME', 'ms_vector_of_array';
COMMENT ON FUNCTION array_to_vector(numeric[], integer, boolean) IS 'vector from an array';
CREATE FUNCTION vector_to_float4(vector, integer, boolean) RETURNS real[]
    LANGUAGE c IMMUTABLE PARALLEL SAFE STRICT
    AS 'MODULE_PATHNAME', 'ms_vector_to_array';
COMMENT ON FUNCTION vector_to_float4(vector, integer, boolean) IS 'array from a vector';
CREATE CAST (vector AS vector) WITH FUNCTION vector(vector, integer, boolean) AS IMPLICIT;
CREATE CAST (vector AS real[]) WITH FUNCTION vector_to_float4(vector, integer, boolean) AS IMPLICIT;
CREATE CAST (real[] AS vector) WITH FUNCTION array_to_vector(real[], integer, boolean) AS ASSIGNMENT;
CREATE CAST (double precision[] AS vector) WITH FUNCTION array_to_vector(double precision[], integer, boolean) AS ASSIGNMENT;
CREATE CAST (integer[] AS vector) WITH FUNCTION array_to_vector(integer[], integer, boolean) AS ASSIGNMENT;
CREATE CAST (numeric[] AS vector) WITH FUNCTION array_to_vector(numeric[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (vector AS vector) IS 'checks the number of dimensions';
COMMENT ON CAST (vector AS real[]) IS 'the elements';
COMMENT ON CAST (real[] AS vector) IS 'vector of these elements';
COMMENT ON CAST (double precision[] AS vector) IS 'vector of these elements';
COMMENT ON CAST (integer[] AS vector) IS 'vector of these elements';
COMMENT ON CAST (numeric[] AS vector) IS 'vector of these elements';

CREATE FUNCTION l2_distance(vector, vector) RETURNS double precision
    LANGUAGE c IMMUTABLE PARALLEL SAFE STRICT
    AS 'MODULE_PATHNAME', 'ms_vector_l2_distance';
COMMENT ON FUNCTION l2_distance(vector, vector) IS 'Euclidean distance';
CREATE FUNCTION l1_distance(vector, vector) RETURNS double precision
    LANGUAGE c IMMUTABLE PARALLEL SAFE STRICT
    AS 'MODULE_PATHNAME', 'ms_vector_l1_distance';
COMMENT ON FUNCTION l1_distance(vector, vector) IS 'taxicab distance';
CREATE FUNCTION inner_product(vector, vector) RETURNS double precision
    LANGUAGE c IMMUTABLE PARALLEL SAFE STRICT
    AS 'MODULE_PATHNAME', 'ms_vector_inner_product';
COMMENT ON FUNCTION inner_product(vector, vector) IS 'inner product';
CREATE FUNCTION vector_negative_inner_product(vector, vector) RETURNS double precision
    LANGUAGE c IMMUTABLE PARALLEL SAFE STRICT
    AS 'MODULE_PATHNAME', 'ms_vector_negative_inner_product';
COMMENT ON FUNCTION vector_negative_inner_product(vector, vector) IS 'inner product times -1';
CREATE FUNCTION cosine_distance(vector, vector) RETURNS double precision
    LANGUAGE c IMMUTABLE PARALLEL SAFE STRICT
    AS 'MODULE_PATHNAME', 'ms_vector_cosine_distance';
COMMENT ON FUNCTION cosine_distance(vector, vector) IS '1 minus the cosine of the angle';
CREATE FUNCTION vector_add(vector, vector) RETURNS vector
    LANGUAGE c IMMUTABLE PARALLEL SAFE STRICT
    AS 'MODULE_PATHNAME', 'ms_vector_add';
COMMENT ON FUNCTION vector_add(vector, vector) IS 'sum, element by element';
CREATE FUNCTION vector_sub(vector, vector) RETURNS vector
    LANGUAGE c IMMUTABLE PARALLEL SAFE STRICT
    AS 'MODULE_PATHNAME', 'ms_vector_subtract';
COMMENT ON FUNCTION vector_sub(vector, vector) IS 'difference, element by element';
CREATE FUNCTION vector_mul(vector, vector) RETURNS vector
    LANGUAGE c IMMUTABLE PARALLEL SAFE STRICT
    AS 'MODULE_PATHNAME', 'ms_vector_multiply';
COMMENT ON FUNCTION vector_mul(vector, vector) IS 'product, element by element';
CREATE FUNCTION vector_cmp(vector, vector) RETURNS integer
    LANGUAGE c IMMUTABLE PARALLEL SAFE STRICT
    AS 'MODULE_PATHNAME', 'ms_vector_cmp';
COMMENT ON FUNCTION vector_cmp(vector, vector) IS 'order: -1, 0 or 1';
CREATE FUNCTION vector_lt(vector, vector) RETURNS boolean
    LANGUAGE c IMMUTABLE PARALLEL SAFE STRICT
    AS 'MODULE_PATHNAME', 'ms_vector_lt';
COMMENT ON FUNCTION vector_lt(vector, vector) IS 'less';
CREATE FUNCTION vector_le(vector, vector) RETURNS boolean
    LANGUAGE c IMMUTABLE PARALLEL SAFE STRICT
    AS 'MODULE_PATHNAME', 'ms_vector_le';
COMMENT ON FUNCTION vector_le(vector, vector) IS 'less or equal';
CREATE FUNCTION vector_eq(vector, vector) RETURNS boolean
    LANGUAGE c IMMUTABLE PARALLEL SAFE STRICT
    AS 'MODULE_PATHNAME', 'ms_vector_eq';
COMMENT ON FUNCTION vector_eq(vector, vector) IS 'equal';
CREATE FUNCTION vector_ne(vector, vector) RETURNS boolean
    LANGUAGE c IMMUTABLE PARALLEL SAFE STRICT
    AS 'MODULE_PATHNAME', 'ms_vector_ne';
COMMENT ON FUNCTION vector_ne(vector, vector) IS 'not equal';
CREATE FUNCTION vector_ge(vector, vector) RETURNS boolean
    LANGUAGE c IMMUTABLE PARALLEL SAFE STRICT
    AS 'MODULE_PATHNAME', 'ms_vector_ge';
COMMENT ON FUNCTION vector_ge(vector, vector) IS 'greater or equal';
CREATE FUNCTION vector_gt(vector, vector) RETURNS boolean
    LANGUAGE c IMMUTABLE PARALLEL SAFE STRICT
    AS 'MODULE_PATHNAME', 'ms_vector_gt';
COMMENT ON FUNCTION vector_gt(vector, vector) IS 'greater';
CREATE FUNCTION vector_dims(vector) RETURNS integer
    LANGUAGE c IMMUTABLE PARALLEL SAFE STRICT
    AS 'MODULE_PATHNAME', 'ms_vector_dims';
COMMENT ON FUNCTION vector_dims(vector) IS 'number of dimensions';
CREATE FUNCTION vector_norm(vector) RETURNS double precision
    LANGUAGE c IMMUTABLE PARALLEL SAFE STRICT
    AS 'MODULE_PATHNAME', 'ms_vector_norm';
COMMENT ON FUNCTION vector_norm(vector) IS 'Euclidean length';
CREATE FUNCTION l2_normalize(vector) RETURNS vector
    LANGUAGE c IMMUTABLE PARALLEL SAFE STRICT
    AS 'MODULE_PATHNAME', 'ms_vector_normalize';
COMMENT ON FUNCTION l2_normalize(vector) IS 'the vector of length 1 in the same direction';

CREATE OPERATOR <-> (LEFTARG = vector, RIGHTARG = vector, FUNCTION = l2_distance, COMMUTATOR = <->);
COMMENT ON OPERATOR <-> (vector, vector) IS 'Euclidean distance';
CREATE OPERATOR <#> (LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_negative_inner_product, COMMUTATOR = <#>);
COMMENT ON OPERATOR <#> (vector, vector) IS 'inner product times -1';
CREATE OPERATOR <=> (LEFTARG = vector, RIGHTARG = vector, FUNCTION = cosine_distance, COMMUTATOR = <=>);
COMMENT ON OPERATOR <=> (vector, vector) IS '1 minus the cosine of the angle';
CREATE OPERATOR <+> (LEFTARG = vector, RIGHTARG = vector, FUNCTION = l1_distance, COMMUTATOR = <+>);
COMMENT ON OPERATOR <+> (vector, vector) IS 'taxicab distance';
CREATE OPERATOR + (LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_add, COMMUTATOR = +);
COMMENT ON OPERATOR + (vector, vector) IS 'sum';
CREATE OPERATOR * (LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_mul, COMMUTATOR = *);
COMMENT ON OPERATOR * (vector, vector) IS 'product, element by element';
CREATE OPERATOR - (LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_sub);
COMMENT ON OPERATOR - (vector, vector) IS 'difference';
CREATE OPERATOR < (LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_lt, COMMUTATOR = >, NEGATOR = >=, RESTRICT = scalarltsel, JOIN = scalarltjoinsel);
COMMENT ON OPERATOR < (vector, vector) IS 'less';
CREATE OPERATOR <= (LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_le, COMMUTATOR = >=, NEGATOR = >, RESTRICT = scalarlesel, JOIN = scalarlejoinsel);
COMMENT ON OPERATOR <= (vector, vector) IS 'less or equal';
CREATE OPERATOR = (LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_eq, COMMUTATOR = =, NEGATOR = <>, RESTRICT = eqsel, JOIN = eqjoinsel);
COMMENT ON OPERATOR = (vector, vector) IS 'equal';
CREATE OPERATOR <> (LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_ne, COMMUTATOR = <>, NEGATOR = =, RESTRICT = neqsel, JOIN = neqjoinsel);
COMMENT ON OPERATOR <> (vector, vector) IS 'not equal';
CREATE OPERATOR >= (LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_ge, COMMUTATOR = <=, NEGATOR = <, RESTRICT = scalargesel, JOIN = scalargejoinsel);
COMMENT ON OPERATOR >= (vector, vector) IS 'greater or equal';
CREATE OPERATOR > (LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_gt, COMMUTATOR = <, NEGATOR = <=, RESTRICT = scalargtsel, JOIN = scalargtjoinsel);
COMMENT ON OPERATOR > (vector, vector) IS 'greater';
CREATE OPERATOR CLASS vector_ops DEFAULT FOR TYPE vector USING btree AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 vector_cmp(vector, vector);
COMMENT ON OPERATOR CLASS vector_ops USING btree IS 'order of vectors, element by element';

CREATE AGGREGATE sum(vector) (SFUNC = vector_add, STYPE = vector, COMBINEFUNC = vector_add, PARALLEL = SAFE);
COMMENT ON AGGREGATE sum(vector) IS 'sum, element by element';
