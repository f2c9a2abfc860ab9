-- provision(), component storage: buckets and files, and the functions that policies on them call.  The files themselves
-- are kept by Supabase Storage or whatever takes its place; the database holds their metadata and guards them.
CREATE FUNCTION mentalspace.provision_storage_functions(owner name) RETURNS SETOF mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RETURN NEXT mentalspace.provision_function(owner, 'storage.foldername(text)', 'folders of a path, outermost first',
            $f$(name text)
        RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
        RETURN (string_to_array(name, '/'))[1:array_length(string_to_array(name, '/'), 1) - 1]$f$);
    RETURN NEXT mentalspace.provision_function(owner, 'storage.filename(text)', 'the last part of a path',
            $f$(name text)
        RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
        RETURN (string_to_array(name, '/'))[array_length(string_to_array(name, '/'), 1)]$f$);
    RETURN NEXT mentalspace.provision_function(owner, 'storage.extension(text)',
            'what follows the last dot of the last part of a path', $f$(name text)
        RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
        RETURN split_part((string_to_array(name, '/'))[array_length(string_to_array(name, '/'), 1)], '.', -1)$f$);
    RETURN NEXT mentalspace.provision_function(owner, 'storage.operation()',
            'the operation of Supabase Storage that this request is', $f$()
        RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
        RETURN current_setting('storage.operation', true)$f$);
    RETURN NEXT mentalspace.provision_function(owner, 'storage.allow_any_operation(text[])',
            'whether this request is one of these operations', $f$(expected_operations text[])
        RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
        RETURN coalesce(regexp_replace(storage.operation(), '^storage\.', '') IN
            (SELECT regexp_replace(o, '^storage\.', '') FROM unnest(expected_operations) AS o WHERE o <> ''),
                    false)$f$);
    RETURN NEXT mentalspace.provision_function(owner, 'storage.allow_only_operation(text)',
            'whether this request is this operation', $f$(expected_operation text)
        RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
        RETURN storage.allow_any_operation(ARRAY[expected_operation])$f$);
    RETURN NEXT mentalspace.provision_function(owner, 'storage.get_common_prefix(text, text, text)',
            'the folder below p_prefix that p_key is in, NULL where it is in none', $f$(p_key text, p_prefix text,
            p_delimiter text)
        RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
        RETURN CASE WHEN strpos(substr(p_key, length(p_prefix) + 1), p_delimiter) > 0
                    THEN left(p_key, length(p_prefix) + strpos(substr(p_key, length(p_prefix) + 1),
                            p_delimiter)) END$f$);
    RETURN NEXT mentalspace.provision_function(owner, 'storage.get_size_by_bucket()', 'bytes in each bucket', $f$()
        RETURNS TABLE (size bigint, bucket_id text) LANGUAGE sql STABLE PARALLEL SAFE
        BEGIN ATOMIC
            SELECT sum((o.metadata ->> 'size')::bigint)::bigint, o.bucket_id
                    FROM storage.objects o GROUP BY o.bucket_id;
        END$f$);
    RETURN NEXT mentalspace.provision_function(owner, 'storage.can_insert_object(text, text, uuid, jsonb)',
            'tries an insert under the caller''s policies and takes it back: ends with SQLSTATE PT200 where it is allowed', $f$(bucketid text, name text, owner uuid, metadata jsonb)
        RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
        AS $body$
        BEGIN
            INSERT INTO storage.objects (bucket_id, name, owner, metadata) VALUES (bucketid, name, owner, metadata);
            RAISE EXCEPTION 'ROLLBACK' USING ERRCODE = 'PT200', DETAIL = 'The insert is allowed and was taken back.';
        END
        $body$ $f$);
    RETURN NEXT mentalspace.provision_function(owner,
            'storage.search(text, text, integer, integer, integer, text, text, text)',
            'files and folders of a bucket at a level below a prefix', $f$(
            prefix text, bucketname text, limits integer DEFAULT 100, levels integer DEFAULT 1,
                    offsets integer DEFAULT 0,
            search text DEFAULT '', sortcolumn text DEFAULT 'name', sortorder text DEFAULT 'asc')
        RETURNS TABLE (name text, id uuid, updated_at timestamptz, created_at timestamptz, last_accessed_at timestamptz,
                metadata jsonb)
        LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
        AS $body$
        DECLARE
            wanted text := lower(replace(replace(replace(concat(prefix, search), '\', '\\'), '%', '\%'), '_',
                    '\_')) || '%';
            column_name text := CASE WHEN lower(sortcolumn) IN ('updated_at', 'created_at', 'last_accessed_at')
                    THEN lower(sortcolumn) ELSE 'name' END;
            direction text := CASE lower(sortorder) WHEN 'desc' THEN 'DESC' ELSE 'ASC' END;
        BEGIN
            RETURN QUERY EXECUTE format($q$
                SELECT e.name, e.id, e.updated_at, e.created_at, e.last_accessed_at, e.metadata
                  FROM (SELECT DISTINCT o.path_tokens[$1] AS name, NULL::uuid AS id, NULL::timestamptz AS updated_at,
                               NULL::timestamptz AS created_at, NULL::timestamptz AS last_accessed_at,
                                       NULL::jsonb AS metadata
                          FROM storage.objects o
                         WHERE o.bucket_id = $2 AND lower(o.name) LIKE $3 AND array_length(o.path_tokens, 1) > $1
                        UNION ALL
                        SELECT o.path_tokens[$1], o.id, o.updated_at, o.created_at, o.last_accessed_at, o.metadata
                          FROM storage.objects o
                         WHERE o.bucket_id = $2 AND lower(o.name) LIKE $3 AND array_length(o.path_tokens, 1) = $1) AS e
                 ORDER BY %s %s NULLS FIRST, e.name LIMIT $4 OFFSET $5$q$,
                CASE column_name WHEN 'name' THEN 'e.name COLLATE "C"' ELSE 'e.' || column_name END, direction)
                USING levels, bucketname, wanted, limits, offsets;
        END
        $body$ $f$);
    RETURN NEXT mentalspace.provision_function(owner, 'storage.update_updated_at_column()', 'trigger: sets updated_at',
            $f$()
        RETURNS trigger LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
        AS $body$ BEGIN new.updated_at := now(); RETURN new; END $body$ $f$);
    RETURN NEXT mentalspace.provision_function(owner, 'storage.enforce_bucket_name_length()',
            'trigger: refuses names of buckets over 100 characters', $f$()
        RETURNS trigger LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
        AS $body$
        BEGIN
            IF length(new.name) > 100 THEN
                RAISE EXCEPTION 'name of bucket is too long' USING ERRCODE = 'string_data_right_truncation',
                    DETAIL = format('It has %s characters; 100 are allowed.', length(new.name));
            END IF;
            RETURN new;
        END
        $body$ $f$);
END
$$;
COMMENT ON FUNCTION mentalspace.provision_storage_functions(name) IS 'internal to provision(): functions of schema storage';

CREATE FUNCTION mentalspace.provision_storage(owner name) RETURNS SETOF mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    t text;
BEGIN
    RETURN NEXT mentalspace.provision_schema(owner, 'storage', 'Supabase Storage: buckets and files');
    RETURN NEXT mentalspace.provision_grant(owner, 'SCHEMA', 'storage', '{USAGE}',
            '{anon,authenticated,service_role,supabase_storage_admin}');
    RETURN QUERY SELECT * FROM mentalspace.provision_storage_tables(owner);
    RETURN QUERY SELECT * FROM mentalspace.provision_storage_functions(owner);
    RETURN NEXT mentalspace.provision_object(owner, 'trigger', 'update_objects_updated_at on storage.objects',
        EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'storage.objects'::regclass
                AND tgname = 'update_objects_updated_at'),
        'CREATE TRIGGER update_objects_updated_at BEFORE UPDATE ON storage.objects FOR EACH ROW EXECUTE FUNCTION storage.update_updated_at_column()');
    RETURN NEXT mentalspace.provision_object(owner, 'trigger', 'enforce_bucket_name_length_trigger on storage.buckets',
        EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'storage.buckets'::regclass
                AND tgname = 'enforce_bucket_name_length_trigger'),
        'CREATE TRIGGER enforce_bucket_name_length_trigger BEFORE INSERT OR UPDATE OF name ON storage.buckets FOR EACH ROW EXECUTE FUNCTION storage.enforce_bucket_name_length()');
    -- Row level security is on for all of them, and no policy is there before the migrations make one.
    FOREACH t IN ARRAY ARRAY['buckets', 'objects'] LOOP
        RETURN NEXT mentalspace.provision_grant(owner, 'TABLE', 'storage.' || t, '{SELECT,INSERT,UPDATE,DELETE}',
                '{anon,authenticated,service_role,supabase_storage_admin}');
    END LOOP;
    FOREACH t IN ARRAY ARRAY['s3_multipart_uploads', 's3_multipart_uploads_parts', 'buckets_analytics',
            'iceberg_namespaces', 'iceberg_tables',
                             'buckets_vectors', 'vector_indexes'] LOOP
        RETURN NEXT mentalspace.provision_grant(owner, 'TABLE', 'storage.' || t, '{SELECT,INSERT,UPDATE,DELETE}',
                '{service_role,supabase_storage_admin}');
        RETURN NEXT mentalspace.provision_grant(owner, 'TABLE', 'storage.' || t, '{SELECT}', '{anon,authenticated}');
    END LOOP;
END
$$;
COMMENT ON FUNCTION mentalspace.provision_storage(name) IS
    'component storage of provision(): buckets, objects and the other tables of Supabase Storage with row level security, foldername(), filename(), extension(), search() and their siblings';
