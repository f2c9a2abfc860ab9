-- provision(), component auth: users and their sessions, in the present shape of Supabase Auth.
CREATE FUNCTION mentalspace.provision_auth_users(owner name) RETURNS SETOF mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RETURN NEXT mentalspace.provision_enum(owner, 'auth', 'aal_level', 'how strongly a session was authenticated',
            '{aal1,aal2,aal3}');
    RETURN NEXT mentalspace.provision_enum(owner, 'auth', 'one_time_token_type', 'what a one-time token is for',
        '{confirmation_token,reauthentication_token,recovery_token,email_change_token_new,email_change_token_current,phone_change_token}');
    RETURN NEXT mentalspace.provision_table(owner, 'auth', 'users', 'people who can sign in to the application', $t$
        instance_id uuid
        id uuid NOT NULL
        aud varchar(255)
        role varchar(255)
        email varchar(255)
        encrypted_password varchar(255)
        email_confirmed_at timestamptz
        invited_at timestamptz
        confirmation_token varchar(255)
        confirmation_sent_at timestamptz
        recovery_token varchar(255)
        recovery_sent_at timestamptz
        email_change_token_new varchar(255)
        email_change varchar(255)
        email_change_sent_at timestamptz
        last_sign_in_at timestamptz
        raw_app_meta_data jsonb
        raw_user_meta_data jsonb
        is_super_admin boolean
        created_at timestamptz
        updated_at timestamptz
        phone text
        phone_confirmed_at timestamptz
        phone_change text DEFAULT ''
        phone_change_token varchar(255) DEFAULT ''
        phone_change_sent_at timestamptz
        confirmed_at timestamptz GENERATED ALWAYS AS (LEAST(email_confirmed_at, phone_confirmed_at)) STORED
        email_change_token_current varchar(255) DEFAULT ''
        email_change_confirm_status smallint DEFAULT 0
        banned_until timestamptz
        reauthentication_token varchar(255) DEFAULT ''
        reauthentication_sent_at timestamptz
        is_sso_user boolean DEFAULT false NOT NULL
        deleted_at timestamptz
        is_anonymous boolean DEFAULT false NOT NULL
        CONSTRAINT users_pkey PRIMARY KEY (id)
        CONSTRAINT users_phone_key UNIQUE (phone)
        CONSTRAINT users_email_change_confirm_status_check CHECK (email_change_confirm_status >= 0 AND email_change_confirm_status <= 2)
        UNIQUE INDEX confirmation_token_idx (confirmation_token) WHERE (confirmation_token !~ '^[0-9 ]*$')
        UNIQUE INDEX email_change_token_current_idx (email_change_token_current) WHERE (email_change_token_current !~ '^[0-9 ]*$')
        UNIQUE INDEX email_change_token_new_idx (email_change_token_new) WHERE (email_change_token_new !~ '^[0-9 ]*$')
        UNIQUE INDEX reauthentication_token_idx (reauthentication_token) WHERE (reauthentication_token !~ '^[0-9 ]*$')
        UNIQUE INDEX recovery_token_idx (recovery_token) WHERE (recovery_token !~ '^[0-9 ]*$')
        UNIQUE INDEX users_email_partial_key (email) WHERE (is_sso_user = false)
        INDEX users_instance_id_email_idx (instance_id, lower(email))
        INDEX users_instance_id_idx (instance_id)
        INDEX users_is_anonymous_idx (is_anonymous)
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'auth', 'identities',
            'how a user signs in: one row for each provider', $t$
        provider_id text NOT NULL
        user_id uuid NOT NULL
        identity_data jsonb NOT NULL
        provider text NOT NULL
        last_sign_in_at timestamptz
        created_at timestamptz
        updated_at timestamptz
        email text GENERATED ALWAYS AS (lower((identity_data ->> 'email'))) STORED
        id uuid DEFAULT gen_random_uuid() NOT NULL
        CONSTRAINT identities_pkey PRIMARY KEY (id)
        CONSTRAINT identities_provider_id_provider_unique UNIQUE (provider_id, provider)
        CONSTRAINT identities_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE CASCADE
        INDEX identities_email_idx (email text_pattern_ops)
        INDEX identities_user_id_idx (user_id)
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'auth', 'sessions', 'sessions of signed-in users', $t$
        id uuid NOT NULL
        user_id uuid NOT NULL
        created_at timestamptz
        updated_at timestamptz
        factor_id uuid
        aal auth.aal_level
        not_after timestamptz
        refreshed_at timestamp
        user_agent text
        ip inet
        tag text
        oauth_client_id uuid
        refresh_token_hmac_key text
        refresh_token_counter bigint
        scopes text
        CONSTRAINT sessions_pkey PRIMARY KEY (id)
        CONSTRAINT sessions_scopes_length CHECK (length(scopes) <= 4096)
        CONSTRAINT sessions_oauth_client_id_fkey FOREIGN KEY (oauth_client_id) REFERENCES auth.oauth_clients(id) ON DELETE CASCADE
        CONSTRAINT sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE CASCADE
        INDEX sessions_not_after_idx (not_after DESC)
        INDEX sessions_oauth_client_id_idx (oauth_client_id)
        INDEX sessions_user_id_idx (user_id)
        INDEX user_id_created_at_idx (user_id, created_at)
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'auth', 'refresh_tokens', 'refresh tokens of sessions', $t$
        instance_id uuid
        id bigserial
        token varchar(255)
        user_id varchar(255)
        revoked boolean
        created_at timestamptz
        updated_at timestamptz
        parent varchar(255)
        session_id uuid
        CONSTRAINT refresh_tokens_pkey PRIMARY KEY (id)
        CONSTRAINT refresh_tokens_token_unique UNIQUE (token)
        CONSTRAINT refresh_tokens_session_id_fkey FOREIGN KEY (session_id) REFERENCES auth.sessions(id) ON DELETE CASCADE
        INDEX refresh_tokens_instance_id_idx (instance_id)
        INDEX refresh_tokens_instance_id_user_id_idx (instance_id, user_id)
        INDEX refresh_tokens_parent_idx (parent)
        INDEX refresh_tokens_session_id_revoked_idx (session_id, revoked)
        INDEX refresh_tokens_updated_at_idx (updated_at DESC)
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'auth', 'one_time_tokens',
            'hashes of tokens sent to users, to confirm, recover or change something', $t$
        id uuid NOT NULL
        user_id uuid NOT NULL
        token_type auth.one_time_token_type NOT NULL
        token_hash text NOT NULL
        relates_to text NOT NULL
        created_at timestamp DEFAULT now() NOT NULL
        updated_at timestamp DEFAULT now() NOT NULL
        CONSTRAINT one_time_tokens_pkey PRIMARY KEY (id)
        CONSTRAINT one_time_tokens_token_hash_check CHECK (length(token_hash) > 0)
        CONSTRAINT one_time_tokens_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE CASCADE
        INDEX one_time_tokens_relates_to_hash_idx USING hash (relates_to)
        INDEX one_time_tokens_token_hash_hash_idx USING hash (token_hash)
        UNIQUE INDEX one_time_tokens_user_id_token_type_key (user_id, token_type)
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'auth', 'audit_log_entries', 'what Supabase Auth did', $t$
        instance_id uuid
        id uuid NOT NULL
        payload json
        created_at timestamptz
        ip_address varchar(64) DEFAULT '' NOT NULL
        CONSTRAINT audit_log_entries_pkey PRIMARY KEY (id)
        INDEX audit_logs_instance_id_idx (instance_id)
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'auth', 'instances',
            'instances of Supabase Auth that share this database', $t$
        id uuid NOT NULL
        uuid uuid
        raw_base_config text
        created_at timestamptz
        updated_at timestamptz
        CONSTRAINT instances_pkey PRIMARY KEY (id)
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'auth', 'schema_migrations',
            'migrations of Supabase Auth that were applied', $t$
        version varchar(255) NOT NULL
        CONSTRAINT schema_migrations_pkey PRIMARY KEY (version)
    $t$);
END
$$;
COMMENT ON FUNCTION mentalspace.provision_auth_users(name) IS 'internal to provision(): users and sessions';
