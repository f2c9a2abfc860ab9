-- has_role() and its siblings in C++ (src/rls/roles.cpp): a user's roles are read once per snapshot.
CREATE FUNCTION mentalspace.has_role(user_id uuid, role text) RETURNS boolean
    LANGUAGE c STABLE PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'ms_has_role';
CREATE FUNCTION mentalspace.has_role(role text) RETURNS boolean
    LANGUAGE c STABLE PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'ms_has_my_role';
CREATE FUNCTION mentalspace.has_any_role(roles text[]) RETURNS boolean
    LANGUAGE c STABLE PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'ms_has_any_role';
CREATE FUNCTION mentalspace.roles() RETURNS text[]
    LANGUAGE c STABLE PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'ms_roles';
