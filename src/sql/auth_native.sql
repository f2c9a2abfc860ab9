-- auth.uid() and its siblings, in C++ (src/auth/functions.cpp).
CREATE OR REPLACE FUNCTION auth.uid() RETURNS uuid
    LANGUAGE c STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'ms_auth_uid';
CREATE OR REPLACE FUNCTION auth.role() RETURNS text
    LANGUAGE c STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'ms_auth_role';
CREATE OR REPLACE FUNCTION auth.email() RETURNS text
    LANGUAGE c STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'ms_auth_email';
CREATE OR REPLACE FUNCTION auth.jwt() RETURNS jsonb
    LANGUAGE c STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'ms_auth_jwt';
