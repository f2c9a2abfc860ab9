-- provision() by a role that may make roles: service_role and authenticator must not become it.  (From PostgreSQL 16 on, a role
-- cannot give itself away.)
SELECT current_setting('server_version_num')::int >= 160000 AS newer \gset
\if :newer
\quit
\endif
CREATE EXTENSION mentalspace;
SET client_min_messages = warning;
SELECT kind, state, detail FROM mentalspace.provision('{}') WHERE kind IN ('row level security', 'check');
SELECT r.rolname FROM pg_roles r WHERE pg_has_role(r.oid, current_user, 'MEMBER') AND NOT rolsuper;
SELECT finding, detail FROM mentalspace.check_policies() WHERE finding = 'privileged_member';
-- a database of 0.1, where service_role was made a member: said, with the way out
REVOKE authenticator, service_role FROM regress_owner;
GRANT regress_owner TO service_role;
SELECT finding, detail FROM mentalspace.check_policies() WHERE finding = 'privileged_member';
SELECT state, detail FROM mentalspace.provision('{}') WHERE kind IN ('row level security', 'check');
-- and a right owner is not taken for found because the membership runs through the wrong one
CREATE ROLE app_owner;
GRANT app_owner TO CURRENT_USER;
SELECT kind, state, split_part(detail, ';', 1) AS detail FROM mentalspace.provision('{}', 'app_owner') WHERE kind IN ('row level security', 'check');
REVOKE regress_owner FROM service_role;
SELECT kind, state, split_part(detail, ';', 1) AS detail FROM mentalspace.provision('{}', 'app_owner') WHERE kind IN ('row level security', 'check');
