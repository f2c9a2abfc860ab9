-- has_role() and its siblings in SQL.
CREATE FUNCTION mentalspace.has_role(user_id uuid, role text) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$ SELECT coalesce(role = ANY (mentalspace.roles_of(user_id)), false) $$;
CREATE FUNCTION mentalspace.has_role(role text) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$ SELECT coalesce(role = ANY (mentalspace.roles_of(auth.uid())), false) $$;
CREATE FUNCTION mentalspace.has_any_role(roles text[]) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$ SELECT coalesce(roles && mentalspace.roles_of(auth.uid()), false) $$;
CREATE FUNCTION mentalspace.roles() RETURNS text[]
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$ SELECT mentalspace.roles_of(auth.uid()) $$;
