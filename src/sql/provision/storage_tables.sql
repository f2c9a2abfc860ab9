-- provision(), component storage: the tables of Supabase Storage in their present shape.
CREATE FUNCTION mentalspace.provision_storage_tables(owner name) RETURNS SETOF mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RETURN NEXT mentalspace.provision_enum(owner, 'storage', 'buckettype', 'kinds of buckets',
            '{STANDARD,ANALYTICS,VECTOR}');
    RETURN NEXT mentalspace.provision_table(owner, 'storage', 'buckets', 'buckets of files', $t$
        id text NOT NULL
        name text NOT NULL
        owner uuid
        created_at timestamptz DEFAULT now()
        updated_at timestamptz DEFAULT now()
        public boolean DEFAULT false
        avif_autodetection boolean DEFAULT false
        file_size_limit bigint
        allowed_mime_types text[]
        owner_id text
        type storage.buckettype DEFAULT 'STANDARD' NOT NULL
        versioning_status text DEFAULT 'DISABLED' NOT NULL
        CONSTRAINT buckets_pkey PRIMARY KEY (id)
        CONSTRAINT buckets_versioning_dark_check CHECK (versioning_status = 'DISABLED')
        CONSTRAINT buckets_versioning_standard_only_check CHECK (type = 'STANDARD' OR versioning_status = 'DISABLED')
        CONSTRAINT buckets_versioning_status_check CHECK (versioning_status IN ('DISABLED', 'ENABLED', 'SUSPENDED'))
        UNIQUE INDEX bname (name)
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'storage', 'objects',
            'files: metadata and path; the policies here guard the files', $t$
        id uuid DEFAULT gen_random_uuid() NOT NULL
        bucket_id text
        name text
        owner uuid
        created_at timestamptz DEFAULT now()
        updated_at timestamptz DEFAULT now()
        last_accessed_at timestamptz DEFAULT now()
        metadata jsonb
        path_tokens text[] GENERATED ALWAYS AS (string_to_array(name, '/')) STORED
        version text
        owner_id text
        user_metadata jsonb
        archived_at timestamptz
        is_delete_marker boolean DEFAULT false NOT NULL
        is_versioned boolean DEFAULT false NOT NULL
        CONSTRAINT objects_pkey PRIMARY KEY (id)
        CONSTRAINT "objects_bucketId_fkey" FOREIGN KEY (bucket_id) REFERENCES storage.buckets(id)
        UNIQUE INDEX bucketid_objname (bucket_id, name)
        INDEX idx_objects_bucket_id_name (bucket_id, name COLLATE "C")
        INDEX idx_objects_bucket_id_name_lower (bucket_id, lower(name) COLLATE "C")
        INDEX name_prefix_search (name text_pattern_ops)
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'storage', 'migrations',
            'migrations of Supabase Storage that were applied', $t$
        id integer NOT NULL
        name varchar(100) NOT NULL
        hash varchar(40) NOT NULL
        executed_at timestamp DEFAULT now()
        CONSTRAINT migrations_pkey PRIMARY KEY (id)
        CONSTRAINT migrations_name_key UNIQUE (name)
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'storage', 's3_multipart_uploads',
            'uploads in parts that are under way', $t$
        id text NOT NULL
        in_progress_size bigint DEFAULT 0 NOT NULL
        upload_signature text NOT NULL
        bucket_id text NOT NULL
        key text NOT NULL COLLATE "C"
        version text NOT NULL
        owner_id text
        created_at timestamptz DEFAULT now() NOT NULL
        user_metadata jsonb
        metadata jsonb
        CONSTRAINT s3_multipart_uploads_pkey PRIMARY KEY (id)
        CONSTRAINT s3_multipart_uploads_bucket_id_fkey FOREIGN KEY (bucket_id) REFERENCES storage.buckets(id)
        INDEX idx_multipart_uploads_list (bucket_id, key, created_at)
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'storage', 's3_multipart_uploads_parts',
            'parts of uploads that have arrived', $t$
        id uuid DEFAULT gen_random_uuid() NOT NULL
        upload_id text NOT NULL
        size bigint DEFAULT 0 NOT NULL
        part_number integer NOT NULL
        bucket_id text NOT NULL
        key text NOT NULL COLLATE "C"
        etag text NOT NULL
        owner_id text
        version text NOT NULL
        created_at timestamptz DEFAULT now() NOT NULL
        CONSTRAINT s3_multipart_uploads_parts_pkey PRIMARY KEY (id)
        CONSTRAINT s3_multipart_uploads_parts_bucket_id_fkey FOREIGN KEY (bucket_id) REFERENCES storage.buckets(id)
        CONSTRAINT s3_multipart_uploads_parts_upload_id_fkey FOREIGN KEY (upload_id) REFERENCES storage.s3_multipart_uploads(id) ON DELETE CASCADE
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'storage', 'buckets_analytics',
            'analytics buckets (Iceberg catalogs)', $t$
        name text NOT NULL
        type storage.buckettype DEFAULT 'ANALYTICS' NOT NULL
        format text DEFAULT 'ICEBERG' NOT NULL
        created_at timestamptz DEFAULT now() NOT NULL
        updated_at timestamptz DEFAULT now() NOT NULL
        id uuid DEFAULT gen_random_uuid() NOT NULL
        deleted_at timestamptz
        CONSTRAINT buckets_analytics_pkey PRIMARY KEY (id)
        UNIQUE INDEX buckets_analytics_unique_name_idx (name) WHERE (deleted_at IS NULL)
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'storage', 'iceberg_namespaces', 'namespaces of Iceberg catalogs',
            $t$
        id uuid DEFAULT gen_random_uuid() NOT NULL
        bucket_name text NOT NULL
        name text NOT NULL COLLATE "C"
        created_at timestamptz DEFAULT now() NOT NULL
        updated_at timestamptz DEFAULT now() NOT NULL
        metadata jsonb DEFAULT '{}' NOT NULL
        catalog_id uuid NOT NULL
        CONSTRAINT iceberg_namespaces_pkey PRIMARY KEY (id)
        CONSTRAINT iceberg_namespaces_catalog_id_fkey FOREIGN KEY (catalog_id) REFERENCES storage.buckets_analytics(id) ON DELETE CASCADE
        UNIQUE INDEX idx_iceberg_namespaces_bucket_id (catalog_id, name)
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'storage', 'iceberg_tables', 'tables of Iceberg catalogs', $t$
        id uuid DEFAULT gen_random_uuid() NOT NULL
        namespace_id uuid NOT NULL
        bucket_name text NOT NULL
        name text NOT NULL COLLATE "C"
        location text NOT NULL
        created_at timestamptz DEFAULT now() NOT NULL
        updated_at timestamptz DEFAULT now() NOT NULL
        remote_table_id text
        shard_key text
        shard_id text
        catalog_id uuid NOT NULL
        CONSTRAINT iceberg_tables_pkey PRIMARY KEY (id)
        CONSTRAINT iceberg_tables_catalog_id_fkey FOREIGN KEY (catalog_id) REFERENCES storage.buckets_analytics(id) ON DELETE CASCADE
        CONSTRAINT iceberg_tables_namespace_id_fkey FOREIGN KEY (namespace_id) REFERENCES storage.iceberg_namespaces(id) ON DELETE CASCADE
        UNIQUE INDEX idx_iceberg_tables_location (location)
        UNIQUE INDEX idx_iceberg_tables_namespace_id (catalog_id, namespace_id, name)
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'storage', 'buckets_vectors', 'vector buckets', $t$
        id text NOT NULL
        type storage.buckettype DEFAULT 'VECTOR' NOT NULL
        created_at timestamptz DEFAULT now() NOT NULL
        updated_at timestamptz DEFAULT now() NOT NULL
        CONSTRAINT buckets_vectors_pkey PRIMARY KEY (id)
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'storage', 'vector_indexes', 'indexes of vector buckets', $t$
        id text DEFAULT gen_random_uuid() NOT NULL
        name text NOT NULL COLLATE "C"
        bucket_id text NOT NULL
        data_type text NOT NULL
        dimension integer NOT NULL
        distance_metric text NOT NULL
        metadata_configuration jsonb
        created_at timestamptz DEFAULT now() NOT NULL
        updated_at timestamptz DEFAULT now() NOT NULL
        CONSTRAINT vector_indexes_pkey PRIMARY KEY (id)
        CONSTRAINT vector_indexes_bucket_id_fkey FOREIGN KEY (bucket_id) REFERENCES storage.buckets_vectors(id)
        UNIQUE INDEX vector_indexes_name_bucket_id_idx (name, bucket_id)
    $t$);
END
$$;
COMMENT ON FUNCTION mentalspace.provision_storage_tables(name) IS 'internal to provision(): tables of buckets and files';
