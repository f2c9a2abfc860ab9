-- Access methods by the names of pgvector's (src/companions/vector_index.cpp): CREATE INDEX is accepted, the index stays empty.
CREATE FUNCTION hnswhandler(internal) RETURNS index_am_handler
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'ms_vector_index_handler';
COMMENT ON FUNCTION hnswhandler(internal) IS 'handler of an access method whose indexes stay empty';
CREATE FUNCTION ivfflathandler(internal) RETURNS index_am_handler
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'ms_vector_index_handler';
COMMENT ON FUNCTION ivfflathandler(internal) IS 'handler of an access method whose indexes stay empty';
CREATE ACCESS METHOD hnsw TYPE INDEX HANDLER hnswhandler;
COMMENT ON ACCESS METHOD hnsw IS 'accepted, but its indexes stay empty: searches are exact';
CREATE ACCESS METHOD ivfflat TYPE INDEX HANDLER ivfflathandler;
COMMENT ON ACCESS METHOD ivfflat IS 'accepted, but its indexes stay empty: searches are exact';

CREATE OPERATOR CLASS vector_l2_ops FOR TYPE vector USING hnsw AS STORAGE vector;
COMMENT ON OPERATOR CLASS vector_l2_ops USING hnsw IS 'name for an index that stays empty';
CREATE OPERATOR CLASS vector_ip_ops FOR TYPE vector USING hnsw AS STORAGE vector;
COMMENT ON OPERATOR CLASS vector_ip_ops USING hnsw IS 'name for an index that stays empty';
CREATE OPERATOR CLASS vector_cosine_ops FOR TYPE vector USING hnsw AS STORAGE vector;
COMMENT ON OPERATOR CLASS vector_cosine_ops USING hnsw IS 'name for an index that stays empty';
CREATE OPERATOR CLASS vector_l1_ops FOR TYPE vector USING hnsw AS STORAGE vector;
COMMENT ON OPERATOR CLASS vector_l1_ops USING hnsw IS 'name for an index that stays empty';
CREATE OPERATOR CLASS vector_l2_ops DEFAULT FOR TYPE vector USING ivfflat AS STORAGE vector;
COMMENT ON OPERATOR CLASS vector_l2_ops USING ivfflat IS 'name for an index that stays empty';
CREATE OPERATOR CLASS vector_ip_ops FOR TYPE vector USING ivfflat AS STORAGE vector;
COMMENT ON OPERATOR CLASS vector_ip_ops USING ivfflat IS 'name for an index that stays empty';
CREATE OPERATOR CLASS vector_cosine_ops FOR TYPE vector USING ivfflat AS STORAGE vector;
COMMENT ON OPERATOR CLASS vector_cosine_ops USING ivfflat IS 'name for an index that stays empty';
