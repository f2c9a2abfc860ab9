-- vector: the type with exact search, and indexes by name.
\set SHOW_CONTEXT never
CREATE SCHEMA extensions;
CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA extensions;
SET search_path = public, extensions;

SELECT '[1,2.5,-3e2]'::vector, ' [ 1 , 2 ] '::vector, '[1,2]'::vector(2), '[0.1,1e-30]'::vector;
SELECT '[1,2]'::vector(3);
SELECT ''::vector;
SELECT '[]'::vector;
SELECT '[1,]'::vector;
SELECT '[1 2]'::vector;
SELECT '[1,2'::vector;
SELECT '[1,2]x'::vector;
SELECT '[NaN]'::vector;
SELECT '[Infinity]'::vector;
SELECT '[1e40]'::vector;
SELECT '[null]'::vector;
SELECT NULL::vector(0);
SELECT NULL::vector(16001);
SELECT NULL::vector(1, 2);
SELECT vector_dims(array_fill(1, ARRAY[16000])::vector);
SELECT array_fill(1, ARRAY[16001])::vector;
SELECT vector_send('[1,2]'), pg_column_size('[1,2]'::vector);

SELECT ARRAY[1, 2]::vector, ARRAY[1.5, 2]::vector, ARRAY[1.5, 2]::real[]::vector, ARRAY[1.5, 2]::double precision[]::vector(2), '[1,2]'::vector::real[];
SELECT ARRAY[1, NULL]::vector;
SELECT '{}'::real[]::vector;
SELECT '{{1}}'::real[]::vector;
SELECT ARRAY[1e300]::double precision[]::vector;

SELECT '[0,0]'::vector <-> '[3,4]' AS l2, '[1,2]'::vector <#> '[3,4]' AS ip, '[1,0]'::vector <=> '[0,2]' AS cosine, '[1,1]'::vector <=> '[2,2]' AS same,
       '[1,1]'::vector <=> '[-1,-1]' AS opposite, '[0,0]'::vector <=> '[1,1]' AS nothing, '[0,0]'::vector <+> '[3,-4]' AS l1;
SELECT l2_distance('[1,2]', '[1,2,3]');
SELECT inner_product('[1,2]', '[3,4]'), cosine_distance('[1,2]', '[2,4]'), l1_distance('[1,2]', '[3,4]'), vector_norm('[3,4]'), l2_normalize('[3,4]'), l2_normalize('[0,0]');
SELECT '[1,2]'::vector + '[3,4]', '[1,2]'::vector - '[3,4]', '[1,2]'::vector * '[3,4]';
SELECT '[3e38]'::vector + '[3e38]';
SELECT '[1,2]'::vector = '[1,2]', '[1,2]'::vector < '[1,3]', '[1,2]'::vector < '[1,2,0]', '[2]'::vector > '[1,9]', '[1]'::vector <> '[1]';

CREATE TABLE documents (id integer PRIMARY KEY, embedding vector(3));
INSERT INTO documents SELECT i, ARRAY[i, i * i % 7, i % 3]::vector FROM generate_series(1, 50) AS i;
INSERT INTO documents VALUES (51, '[1,2]');
INSERT INTO documents VALUES (52, NULL);
SELECT count(*), count(DISTINCT embedding), sum(embedding) FROM documents;
CREATE INDEX by_l2 ON documents USING hnsw (embedding vector_l2_ops) WITH (m = 16, ef_construction = 64);
CREATE INDEX by_cosine ON documents USING ivfflat (embedding vector_cosine_ops) WITH (lists = 100);
CREATE INDEX ON documents USING ivfflat (embedding);
CREATE UNIQUE INDEX ON documents (embedding);
SET enable_seqscan = off;
SELECT id FROM documents ORDER BY embedding <-> '[10,2,1]', id LIMIT 3;
SELECT id FROM documents ORDER BY embedding <=> '[10,2,1]', id LIMIT 3;
RESET enable_seqscan;
EXPLAIN (COSTS OFF) SELECT id FROM documents ORDER BY embedding <-> '[10,2,1]' LIMIT 3;
UPDATE documents SET embedding = embedding + '[0.5,0,0]' WHERE id < 10;
DELETE FROM documents WHERE id = 20;
VACUUM ANALYZE documents;
REINDEX TABLE documents;
SELECT id FROM documents ORDER BY embedding <-> '[10,2,1]', id LIMIT 3;
SELECT pg_get_indexdef('by_l2'::regclass);
COPY (SELECT * FROM documents ORDER BY id LIMIT 2) TO STDOUT (FORMAT csv);
CREATE TABLE copied (LIKE documents);
DO $$
DECLARE
    file text := current_setting('data_directory') || '/vectors';
BEGIN
    EXECUTE format('COPY documents TO %L (FORMAT binary)', file);
    EXECUTE format('COPY copied FROM %L (FORMAT binary)', file);
END
$$;
SELECT count(*), bool_and(d.embedding = c.embedding) AS same FROM documents d JOIN copied c USING (id);
DROP TABLE copied;
CREATE UNLOGGED TABLE scratch (embedding vector(3));
CREATE INDEX ON scratch USING hnsw (embedding vector_l2_ops);

CREATE FUNCTION match_documents(query_embedding extensions.vector(3), match_count integer) RETURNS TABLE (id integer, similarity double precision)
    LANGUAGE sql STABLE AS $$ SELECT d.id, 1 - (d.embedding <=> query_embedding) FROM documents d ORDER BY d.embedding <=> query_embedding LIMIT match_count $$;
SELECT id, round(similarity::numeric, 4) FROM match_documents('[1,2,3]', 2);

ALTER EXTENSION vector SET SCHEMA public;
DROP EXTENSION vector CASCADE;
CREATE EXTENSION vector;
