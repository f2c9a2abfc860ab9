-- Users appear by themselves: auth.users from the claims of verified tokens, and from Supabase's list of users.
CREATE FUNCTION mentalspace.sync_user(claims jsonb) RETURNS boolean
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    issued timestamptz := to_timestamp((claims ->> 'iat')::float8);
    signed_in timestamptz;
    said record;
    known record;
BEGIN
    SELECT max(to_timestamp((m.value ->> 'timestamp')::float8)) INTO signed_in
      FROM jsonb_array_elements(CASE WHEN jsonb_typeof(claims -> 'amr') = 'array' THEN claims -> 'amr' ELSE '[]' END) AS m
     WHERE jsonb_typeof(m.value -> 'timestamp') = 'number';
    SELECT (claims ->> 'sub')::uuid AS id,
           CASE jsonb_typeof(claims -> 'aud') WHEN 'array' THEN claims -> 'aud' ->> 0 ELSE claims ->> 'aud' END AS aud,
           claims ->> 'role' AS role, nullif(claims ->> 'email', '') AS email, nullif(claims ->> 'phone', '') AS phone,
           coalesce(claims -> 'app_metadata', '{}') AS raw_app_meta_data,
           coalesce(claims -> 'user_metadata', '{}') AS raw_user_meta_data,
           coalesce((claims ->> 'is_anonymous')::boolean, false) AS is_anonymous
      INTO said;

    SELECT u.* INTO known FROM auth.users AS u WHERE u.id = said.id;
    IF FOUND THEN
        -- An older token says nothing new, and a row that says the same already is not touched.
        IF issued <= known.updated_at
           OR (known.aud, known.role, known.email, known.phone, known.raw_app_meta_data, known.raw_user_meta_data,
               known.is_anonymous)
              IS NOT DISTINCT FROM
              (said.aud, said.role, said.email, said.phone, said.raw_app_meta_data, said.raw_user_meta_data,
               said.is_anonymous)
              AND (signed_in IS NULL OR signed_in <= known.last_sign_in_at)
        THEN
            RETURN false;
        END IF;
    END IF;
    INSERT INTO auth.users AS u (instance_id, id, aud, role, email, phone, raw_app_meta_data, raw_user_meta_data,
                                 is_anonymous, last_sign_in_at, created_at, updated_at)
    VALUES ('00000000-0000-0000-0000-000000000000', said.id, said.aud, said.role, said.email, said.phone,
            said.raw_app_meta_data, said.raw_user_meta_data, said.is_anonymous, coalesce(signed_in, issued, now()),
            coalesce(issued, now()), coalesce(issued, now()))
    ON CONFLICT (id) DO UPDATE
       SET aud = excluded.aud, role = excluded.role, email = excluded.email, phone = excluded.phone,
           raw_app_meta_data = excluded.raw_app_meta_data, raw_user_meta_data = excluded.raw_user_meta_data,
           is_anonymous = excluded.is_anonymous, last_sign_in_at = greatest(u.last_sign_in_at, signed_in),
           updated_at = excluded.updated_at
     -- Two first logins at once: the second one finds that the first said it all.
     WHERE u.updated_at IS NULL OR u.updated_at < excluded.updated_at;
    RETURN true;
END
$$;
REVOKE ALL ON FUNCTION mentalspace.sync_user(jsonb) FROM PUBLIC;
COMMENT ON FUNCTION mentalspace.sync_user(jsonb) IS 'inserts or refreshes the row of auth.users that verified claims speak of; login() calls it as the owner of auth.users where auth_sync_users is on';

CREATE FUNCTION mentalspace.import_auth_users(users jsonb) RETURNS int
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    listed jsonb := CASE jsonb_typeof(users) WHEN 'object' THEN users -> 'users' ELSE users END;
    item jsonb;
    imported int := 0;
BEGIN
    IF jsonb_typeof(listed) IS DISTINCT FROM 'array' THEN
        RAISE EXCEPTION 'users must be an array, or an object with an array "users"' USING ERRCODE = 'invalid_parameter_value',
            HINT = 'This is what GET /auth/v1/admin/users of Supabase''s admin API returns.';
    END IF;
    FOR item IN SELECT value FROM jsonb_array_elements(listed) LOOP
        INSERT INTO auth.users AS u (instance_id, id, aud, role, email, email_confirmed_at, phone, phone_confirmed_at,
                                     invited_at, confirmation_sent_at, recovery_sent_at, last_sign_in_at,
                                     raw_app_meta_data, raw_user_meta_data, created_at, updated_at, banned_until,
                                     deleted_at, is_sso_user, is_anonymous)
        VALUES ('00000000-0000-0000-0000-000000000000', (item ->> 'id')::uuid, item ->> 'aud', item ->> 'role',
                nullif(item ->> 'email', ''), (item ->> 'email_confirmed_at')::timestamptz,
                nullif(item ->> 'phone', ''), (item ->> 'phone_confirmed_at')::timestamptz,
                (item ->> 'invited_at')::timestamptz, (item ->> 'confirmation_sent_at')::timestamptz,
                (item ->> 'recovery_sent_at')::timestamptz, (item ->> 'last_sign_in_at')::timestamptz,
                coalesce(item -> 'app_metadata', '{}'), coalesce(item -> 'user_metadata', '{}'),
                (item ->> 'created_at')::timestamptz, (item ->> 'updated_at')::timestamptz,
                (item ->> 'banned_until')::timestamptz, (item ->> 'deleted_at')::timestamptz,
                coalesce((item ->> 'is_sso_user')::boolean, false), coalesce((item ->> 'is_anonymous')::boolean, false))
        ON CONFLICT (id) DO UPDATE
           SET aud = excluded.aud, role = excluded.role, email = excluded.email,
               email_confirmed_at = excluded.email_confirmed_at, phone = excluded.phone,
               phone_confirmed_at = excluded.phone_confirmed_at, invited_at = excluded.invited_at,
               confirmation_sent_at = excluded.confirmation_sent_at, recovery_sent_at = excluded.recovery_sent_at,
               last_sign_in_at = greatest(u.last_sign_in_at, excluded.last_sign_in_at),
               raw_app_meta_data = excluded.raw_app_meta_data, raw_user_meta_data = excluded.raw_user_meta_data,
               created_at = excluded.created_at, updated_at = excluded.updated_at, banned_until = excluded.banned_until,
               deleted_at = excluded.deleted_at, is_sso_user = excluded.is_sso_user, is_anonymous = excluded.is_anonymous;
        IF pg_catalog.to_regclass('auth.identities') IS NOT NULL AND jsonb_typeof(item -> 'identities') = 'array' THEN
            INSERT INTO auth.identities (id, user_id, provider_id, provider, identity_data, last_sign_in_at, created_at,
                                         updated_at)
            SELECT coalesce((i.value ->> 'identity_id')::uuid, gen_random_uuid()), (item ->> 'id')::uuid,
                   coalesce(i.value -> 'identity_data' ->> 'sub', i.value ->> 'id'), i.value ->> 'provider',
                   coalesce(i.value -> 'identity_data', '{}'), (i.value ->> 'last_sign_in_at')::timestamptz,
                   (i.value ->> 'created_at')::timestamptz, (i.value ->> 'updated_at')::timestamptz
              FROM jsonb_array_elements(item -> 'identities') AS i
            ON CONFLICT (provider_id, provider) DO UPDATE
               SET identity_data = excluded.identity_data, last_sign_in_at = excluded.last_sign_in_at,
                   updated_at = excluded.updated_at;
        END IF;
        imported := imported + 1;
    END LOOP;
    RETURN imported;
END
$$;
REVOKE ALL ON FUNCTION mentalspace.import_auth_users(jsonb) FROM PUBLIC;
COMMENT ON FUNCTION mentalspace.import_auth_users(jsonb) IS 'inserts or refreshes rows of auth.users, and their identities, from what Supabase''s admin API lists; returns how many users';
