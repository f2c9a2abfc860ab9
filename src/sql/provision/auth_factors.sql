-- provision(), component auth: second factors, passkeys and single sign-on, in the present shape of Supabase Auth.
CREATE FUNCTION mentalspace.provision_auth_factors(owner name) RETURNS SETOF mentalspace.provision_step
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RETURN NEXT mentalspace.provision_enum(owner, 'auth', 'factor_type', 'kinds of second factors',
            '{totp,webauthn,phone}');
    RETURN NEXT mentalspace.provision_enum(owner, 'auth', 'factor_status', 'whether a second factor was verified',
            '{unverified,verified}');
    RETURN NEXT mentalspace.provision_enum(owner, 'auth', 'code_challenge_method',
            'how a code challenge is made (RFC 7636)', '{s256,plain}');
    RETURN NEXT mentalspace.provision_table(owner, 'auth', 'mfa_factors', 'second factors of users', $t$
        id uuid NOT NULL
        user_id uuid NOT NULL
        friendly_name text
        factor_type auth.factor_type NOT NULL
        status auth.factor_status NOT NULL
        created_at timestamptz NOT NULL
        updated_at timestamptz NOT NULL
        secret text
        phone text
        last_challenged_at timestamptz
        web_authn_credential jsonb
        web_authn_aaguid uuid
        last_webauthn_challenge_data jsonb
        CONSTRAINT mfa_factors_pkey PRIMARY KEY (id)
        CONSTRAINT mfa_factors_last_challenged_at_key UNIQUE (last_challenged_at)
        CONSTRAINT mfa_factors_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE CASCADE
        INDEX factor_id_created_at_idx (user_id, created_at)
        UNIQUE INDEX mfa_factors_user_friendly_name_unique (friendly_name, user_id) WHERE (btrim(friendly_name) <> '')
        INDEX mfa_factors_user_id_idx (user_id)
        UNIQUE INDEX unique_phone_factor_per_user (user_id, phone)
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'auth', 'mfa_challenges', 'challenges sent for a second factor', $t$
        id uuid NOT NULL
        factor_id uuid NOT NULL
        created_at timestamptz NOT NULL
        verified_at timestamptz
        ip_address inet NOT NULL
        otp_code text
        web_authn_session_data jsonb
        CONSTRAINT mfa_challenges_pkey PRIMARY KEY (id)
        CONSTRAINT mfa_challenges_auth_factor_id_fkey FOREIGN KEY (factor_id) REFERENCES auth.mfa_factors(id) ON DELETE CASCADE
        INDEX mfa_challenge_created_at_idx (created_at DESC)
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'auth', 'mfa_amr_claims', 'how each session was authenticated', $t$
        session_id uuid NOT NULL
        created_at timestamptz NOT NULL
        updated_at timestamptz NOT NULL
        authentication_method text NOT NULL
        id uuid NOT NULL
        CONSTRAINT amr_id_pk PRIMARY KEY (id)
        CONSTRAINT mfa_amr_claims_session_id_authentication_method_pkey UNIQUE (session_id, authentication_method)
        CONSTRAINT mfa_amr_claims_session_id_fkey FOREIGN KEY (session_id) REFERENCES auth.sessions(id) ON DELETE CASCADE
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'auth', 'webauthn_credentials', 'passkeys of users', $t$
        id uuid DEFAULT gen_random_uuid() NOT NULL
        user_id uuid NOT NULL
        credential_id bytea NOT NULL
        public_key bytea NOT NULL
        attestation_type text DEFAULT '' NOT NULL
        aaguid uuid
        sign_count bigint DEFAULT 0 NOT NULL
        transports jsonb DEFAULT '[]' NOT NULL
        backup_eligible boolean DEFAULT false NOT NULL
        backed_up boolean DEFAULT false NOT NULL
        friendly_name text DEFAULT '' NOT NULL
        created_at timestamptz DEFAULT now() NOT NULL
        updated_at timestamptz DEFAULT now() NOT NULL
        last_used_at timestamptz
        CONSTRAINT webauthn_credentials_pkey PRIMARY KEY (id)
        CONSTRAINT webauthn_credentials_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE CASCADE
        UNIQUE INDEX webauthn_credentials_credential_id_key (credential_id)
        INDEX webauthn_credentials_user_id_idx (user_id)
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'auth', 'webauthn_challenges', 'passkey challenges under way', $t$
        id uuid DEFAULT gen_random_uuid() NOT NULL
        user_id uuid
        challenge_type text NOT NULL
        session_data jsonb NOT NULL
        created_at timestamptz DEFAULT now() NOT NULL
        expires_at timestamptz NOT NULL
        CONSTRAINT webauthn_challenges_pkey PRIMARY KEY (id)
        CONSTRAINT webauthn_challenges_challenge_type_check CHECK (challenge_type IN ('signup', 'registration', 'authentication'))
        CONSTRAINT webauthn_challenges_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE CASCADE
        INDEX webauthn_challenges_expires_at_idx (expires_at)
        INDEX webauthn_challenges_user_id_idx (user_id)
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'auth', 'flow_state', 'sign-ins under way (PKCE)', $t$
        id uuid NOT NULL
        user_id uuid
        auth_code text
        code_challenge_method auth.code_challenge_method
        code_challenge text
        provider_type text NOT NULL
        provider_access_token text
        provider_refresh_token text
        created_at timestamptz
        updated_at timestamptz
        auth_code_issued_at timestamptz
        invite_token text
        referrer text
        oauth_client_state_id uuid
        linking_target_id uuid
        email_optional boolean DEFAULT false NOT NULL
        authentication_method text NOT NULL
        CONSTRAINT flow_state_pkey PRIMARY KEY (id)
        INDEX flow_state_created_at_idx (created_at DESC)
        INDEX idx_auth_code (auth_code)
        INDEX idx_user_id_auth_method (user_id, authentication_method)
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'auth', 'sso_providers', 'single sign-on providers', $t$
        id uuid NOT NULL
        resource_id text
        created_at timestamptz
        updated_at timestamptz
        disabled boolean
        CONSTRAINT sso_providers_pkey PRIMARY KEY (id)
        CONSTRAINT "resource_id not empty" CHECK (resource_id IS NULL OR length(resource_id) > 0)
        UNIQUE INDEX sso_providers_resource_id_idx (lower(resource_id))
        INDEX sso_providers_resource_id_pattern_idx (resource_id text_pattern_ops)
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'auth', 'sso_domains', 'mail domains of single sign-on providers',
            $t$
        id uuid NOT NULL
        sso_provider_id uuid NOT NULL
        domain text NOT NULL
        created_at timestamptz
        updated_at timestamptz
        CONSTRAINT sso_domains_pkey PRIMARY KEY (id)
        CONSTRAINT "domain not empty" CHECK (length(domain) > 0)
        CONSTRAINT sso_domains_sso_provider_id_fkey FOREIGN KEY (sso_provider_id) REFERENCES auth.sso_providers(id) ON DELETE CASCADE
        UNIQUE INDEX sso_domains_domain_idx (lower(domain))
        INDEX sso_domains_sso_provider_id_idx (sso_provider_id)
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'auth', 'saml_providers',
            'SAML metadata of single sign-on providers', $t$
        id uuid NOT NULL
        sso_provider_id uuid NOT NULL
        entity_id text NOT NULL
        metadata_xml text NOT NULL
        metadata_url text
        attribute_mapping jsonb
        created_at timestamptz
        updated_at timestamptz
        name_id_format text
        CONSTRAINT saml_providers_pkey PRIMARY KEY (id)
        CONSTRAINT saml_providers_entity_id_key UNIQUE (entity_id)
        CONSTRAINT "entity_id not empty" CHECK (length(entity_id) > 0)
        CONSTRAINT "metadata_url not empty" CHECK (metadata_url IS NULL OR length(metadata_url) > 0)
        CONSTRAINT "metadata_xml not empty" CHECK (length(metadata_xml) > 0)
        CONSTRAINT saml_providers_sso_provider_id_fkey FOREIGN KEY (sso_provider_id) REFERENCES auth.sso_providers(id) ON DELETE CASCADE
        INDEX saml_providers_sso_provider_id_idx (sso_provider_id)
    $t$);
    RETURN NEXT mentalspace.provision_table(owner, 'auth', 'saml_relay_states', 'SAML sign-ins under way', $t$
        id uuid NOT NULL
        sso_provider_id uuid NOT NULL
        request_id text NOT NULL
        for_email text
        redirect_to text
        created_at timestamptz
        updated_at timestamptz
        flow_state_id uuid
        CONSTRAINT saml_relay_states_pkey PRIMARY KEY (id)
        CONSTRAINT "request_id not empty" CHECK (length(request_id) > 0)
        CONSTRAINT saml_relay_states_flow_state_id_fkey FOREIGN KEY (flow_state_id) REFERENCES auth.flow_state(id) ON DELETE CASCADE
        CONSTRAINT saml_relay_states_sso_provider_id_fkey FOREIGN KEY (sso_provider_id) REFERENCES auth.sso_providers(id) ON DELETE CASCADE
        INDEX saml_relay_states_created_at_idx (created_at DESC)
        INDEX saml_relay_states_for_email_idx (for_email)
        INDEX saml_relay_states_sso_provider_id_idx (sso_provider_id)
    $t$);
END
$$;
COMMENT ON FUNCTION mentalspace.provision_auth_factors(name) IS 'internal to provision(): second factors and single sign-on';
