-- provision(), component auth: OAuth, as server and as client, in the present shape of Supabase Auth.
CREATE FUNCTION mentalspace.provision_auth_clients(owner name) RETURNS SETOF mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RETURN NEXT mentalspace.provision_enum(owner, 'auth', 'oauth_registration_type',
            'how an OAuth client was registered', '{dynamic,manual}');
    RETURN NEXT mentalspace.provision_enum(owner, 'auth', 'oauth_client_type',
            'whether an OAuth client can keep a secret', '{public,confidential}');
    RETURN NEXT mentalspace.provision_table(owner, 'auth', 'oauth_clients',
            'applications that may use this project as their OAuth server', $t$
        id uuid NOT NULL
        client_secret_hash text
        registration_type auth.oauth_registration_type NOT NULL
        redirect_uris text NOT NULL
        grant_types text NOT NULL
        client_name text
        client_uri text
        logo_uri text
        created_at timestamptz DEFAULT now() NOT NULL
        updated_at timestamptz DEFAULT now() NOT NULL
        deleted_at timestamptz
        client_type auth.oauth_client_type DEFAULT 'confidential' NOT NULL
        token_endpoint_auth_method text NOT NULL
        CONSTRAINT oauth_clients_pkey PRIMARY KEY (id)
        CONSTRAINT oauth_clients_client_name_length CHECK (length(client_name) <= 1024)
        CONSTRAINT oauth_clients_client_uri_length CHECK (length(client_uri) <= 2048)
        CONSTRAINT oauth_clients_logo_uri_length CHECK (length(logo_uri) <= 2048)
        CONSTRAINT oauth_clients_token_endpoint_auth_method_check CHECK (token_endpoint_auth_method IN ('client_secret_basic', 'client_secret_post', 'none'))
        INDEX oauth_clients_deleted_at_idx (deleted_at)
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'auth', 'oauth_client_states',
            'sign-ins under way at other OAuth servers', $t$
        id uuid NOT NULL
        provider_type text NOT NULL
        code_verifier text
        created_at timestamptz NOT NULL
        CONSTRAINT oauth_client_states_pkey PRIMARY KEY (id)
        INDEX idx_oauth_client_states_created_at (created_at)
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'auth', 'custom_oauth_providers',
            'OAuth and OpenID Connect providers added by the project', $t$
        id uuid DEFAULT gen_random_uuid() NOT NULL
        provider_type text NOT NULL
        identifier text NOT NULL
        name text NOT NULL
        client_id text NOT NULL
        client_secret text NOT NULL
        acceptable_client_ids text[] DEFAULT '{}' NOT NULL
        scopes text[] DEFAULT '{}' NOT NULL
        pkce_enabled boolean DEFAULT true NOT NULL
        attribute_mapping jsonb DEFAULT '{}' NOT NULL
        authorization_params jsonb DEFAULT '{}' NOT NULL
        enabled boolean DEFAULT true NOT NULL
        email_optional boolean DEFAULT false NOT NULL
        issuer text
        discovery_url text
        skip_nonce_check boolean DEFAULT false NOT NULL
        cached_discovery jsonb
        discovery_cached_at timestamptz
        authorization_url text
        token_url text
        userinfo_url text
        jwks_uri text
        created_at timestamptz DEFAULT now() NOT NULL
        updated_at timestamptz DEFAULT now() NOT NULL
        custom_claims_allowlist text[] DEFAULT '{}' NOT NULL
        CONSTRAINT custom_oauth_providers_pkey PRIMARY KEY (id)
        CONSTRAINT custom_oauth_providers_identifier_key UNIQUE (identifier)
        CONSTRAINT custom_oauth_providers_authorization_url_https CHECK (authorization_url IS NULL OR authorization_url LIKE 'https://%')
        CONSTRAINT custom_oauth_providers_authorization_url_length CHECK (authorization_url IS NULL OR length(authorization_url) <= 2048)
        CONSTRAINT custom_oauth_providers_client_id_length CHECK (length(client_id) >= 1 AND length(client_id) <= 512)
        CONSTRAINT custom_oauth_providers_discovery_url_length CHECK (discovery_url IS NULL OR length(discovery_url) <= 2048)
        CONSTRAINT custom_oauth_providers_identifier_format CHECK (identifier ~ '^[a-z0-9][a-z0-9:-]{0,48}[a-z0-9]$')
        CONSTRAINT custom_oauth_providers_issuer_length CHECK (issuer IS NULL OR (length(issuer) >= 1 AND length(issuer) <= 2048))
        CONSTRAINT custom_oauth_providers_jwks_uri_https CHECK (jwks_uri IS NULL OR jwks_uri LIKE 'https://%')
        CONSTRAINT custom_oauth_providers_jwks_uri_length CHECK (jwks_uri IS NULL OR length(jwks_uri) <= 2048)
        CONSTRAINT custom_oauth_providers_name_length CHECK (length(name) >= 1 AND length(name) <= 100)
        CONSTRAINT custom_oauth_providers_oauth2_requires_endpoints CHECK (provider_type <> 'oauth2' OR (authorization_url IS NOT NULL AND token_url IS NOT NULL AND userinfo_url IS NOT NULL))
        CONSTRAINT custom_oauth_providers_oidc_discovery_url_https CHECK (provider_type <> 'oidc' OR discovery_url IS NULL OR discovery_url LIKE 'https://%')
        CONSTRAINT custom_oauth_providers_oidc_issuer_https CHECK (provider_type <> 'oidc' OR issuer IS NULL OR issuer LIKE 'https://%')
        CONSTRAINT custom_oauth_providers_oidc_requires_issuer CHECK (provider_type <> 'oidc' OR issuer IS NOT NULL)
        CONSTRAINT custom_oauth_providers_provider_type_check CHECK (provider_type IN ('oauth2', 'oidc'))
        CONSTRAINT custom_oauth_providers_token_url_https CHECK (token_url IS NULL OR token_url LIKE 'https://%')
        CONSTRAINT custom_oauth_providers_token_url_length CHECK (token_url IS NULL OR length(token_url) <= 2048)
        CONSTRAINT custom_oauth_providers_userinfo_url_https CHECK (userinfo_url IS NULL OR userinfo_url LIKE 'https://%')
        CONSTRAINT custom_oauth_providers_userinfo_url_length CHECK (userinfo_url IS NULL OR length(userinfo_url) <= 2048)
        INDEX custom_oauth_providers_created_at_idx (created_at)
        INDEX custom_oauth_providers_enabled_idx (enabled)
        INDEX custom_oauth_providers_identifier_idx (identifier)
        INDEX custom_oauth_providers_provider_type_idx (provider_type)
    $t$);
END
$$;
COMMENT ON FUNCTION mentalspace.provision_auth_clients(name) IS 'internal to provision(): OAuth clients and providers';

CREATE FUNCTION mentalspace.provision_auth_grants(owner name) RETURNS SETOF mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RETURN NEXT mentalspace.provision_enum(owner, 'auth', 'oauth_authorization_status',
            'state of an OAuth authorization', '{pending,approved,denied,expired}');
    RETURN NEXT mentalspace.provision_enum(owner, 'auth', 'oauth_response_type',
            'what an OAuth authorization answers with', '{code}');
    RETURN NEXT mentalspace.provision_table(owner, 'auth', 'oauth_authorizations',
            'OAuth authorizations asked of users', $t$
        id uuid NOT NULL
        authorization_id text NOT NULL
        client_id uuid NOT NULL
        user_id uuid
        redirect_uri text NOT NULL
        scope text NOT NULL
        state text
        resource text
        code_challenge text
        code_challenge_method auth.code_challenge_method
        response_type auth.oauth_response_type DEFAULT 'code' NOT NULL
        status auth.oauth_authorization_status DEFAULT 'pending' NOT NULL
        authorization_code text
        created_at timestamptz DEFAULT now() NOT NULL
        expires_at timestamptz DEFAULT (now() + interval '3 minutes') NOT NULL
        approved_at timestamptz
        nonce text
        CONSTRAINT oauth_authorizations_pkey PRIMARY KEY (id)
        CONSTRAINT oauth_authorizations_authorization_code_key UNIQUE (authorization_code)
        CONSTRAINT oauth_authorizations_authorization_id_key UNIQUE (authorization_id)
        CONSTRAINT oauth_authorizations_authorization_code_length CHECK (length(authorization_code) <= 255)
        CONSTRAINT oauth_authorizations_code_challenge_length CHECK (length(code_challenge) <= 128)
        CONSTRAINT oauth_authorizations_expires_at_future CHECK (expires_at > created_at)
        CONSTRAINT oauth_authorizations_nonce_length CHECK (length(nonce) <= 255)
        CONSTRAINT oauth_authorizations_redirect_uri_length CHECK (length(redirect_uri) <= 2048)
        CONSTRAINT oauth_authorizations_resource_length CHECK (length(resource) <= 2048)
        CONSTRAINT oauth_authorizations_scope_length CHECK (length(scope) <= 4096)
        CONSTRAINT oauth_authorizations_state_length CHECK (length(state) <= 4096)
        CONSTRAINT oauth_authorizations_client_id_fkey FOREIGN KEY (client_id) REFERENCES auth.oauth_clients(id) ON DELETE CASCADE
        CONSTRAINT oauth_authorizations_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE CASCADE
        INDEX oauth_auth_pending_exp_idx (expires_at) WHERE (status = 'pending')
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'auth', 'oauth_consents', 'OAuth consents that users gave', $t$
        id uuid NOT NULL
        user_id uuid NOT NULL
        client_id uuid NOT NULL
        scopes text NOT NULL
        granted_at timestamptz DEFAULT now() NOT NULL
        revoked_at timestamptz
        CONSTRAINT oauth_consents_pkey PRIMARY KEY (id)
        CONSTRAINT oauth_consents_user_client_unique UNIQUE (user_id, client_id)
        CONSTRAINT oauth_consents_revoked_after_granted CHECK (revoked_at IS NULL OR revoked_at >= granted_at)
        CONSTRAINT oauth_consents_scopes_length CHECK (length(scopes) <= 2048)
        CONSTRAINT oauth_consents_scopes_not_empty CHECK (length(btrim(scopes)) > 0)
        CONSTRAINT oauth_consents_client_id_fkey FOREIGN KEY (client_id) REFERENCES auth.oauth_clients(id) ON DELETE CASCADE
        CONSTRAINT oauth_consents_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE CASCADE
        INDEX oauth_consents_active_client_idx (client_id) WHERE (revoked_at IS NULL)
        INDEX oauth_consents_active_user_client_idx (user_id, client_id) WHERE (revoked_at IS NULL)
        INDEX oauth_consents_user_order_idx (user_id, granted_at DESC)
    $t$);
END
$$;
COMMENT ON FUNCTION mentalspace.provision_auth_grants(name) IS 'internal to provision(): OAuth authorizations and consents';
