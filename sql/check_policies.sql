-- mentalspace.check_policies(): a case of each finding, and policies in good health beside them.
CREATE EXTENSION mentalspace;
-- Rolled back at the end: the roles are the cluster's.
BEGIN;
DO $$
BEGIN
    IF to_regrole('authenticator') IS NULL THEN
        CREATE ROLE authenticator NOINHERIT;
    END IF;
END
$$;
CREATE ROLE cp_user;
CREATE ROLE cp_boss;
CREATE ROLE cp_idle;
CREATE ROLE cp_apart;
GRANT cp_user, cp_boss TO authenticator;
CREATE ROLE cp_login LOGIN IN ROLE cp_apart;

CREATE SCHEMA cp;
GRANT USAGE ON SCHEMA cp TO cp_user, cp_boss, cp_apart, cp_idle;
CREATE TYPE cp.app_role AS ENUM ('therapist', 'billing');
CREATE TABLE cp.user_roles (user_id uuid, role cp.app_role);
CREATE FUNCTION cp.has_role(_user_id uuid, _role text) RETURNS boolean LANGUAGE sql STABLE
    AS $$ SELECT EXISTS (SELECT FROM cp.user_roles ur WHERE ur.user_id = _user_id AND ur.role::text = _role) $$;
CREATE FUNCTION cp.has_app_role(_user_id uuid, _role cp.app_role) RETURNS boolean LANGUAGE sql STABLE
    AS $$ SELECT EXISTS (SELECT FROM cp.user_roles ur WHERE ur.user_id = _user_id AND ur.role = _role) $$;
-- Knows a name of its own for a value.
CREATE FUNCTION cp.has_short_role(_role text) RETURNS boolean LANGUAGE sql STABLE
    AS $$ SELECT EXISTS (SELECT FROM cp.user_roles ur WHERE ur.role::text = CASE _role WHEN 'th' THEN 'therapist' END) $$;
CREATE FUNCTION cp.closed() RETURNS boolean LANGUAGE sql STABLE AS 'SELECT true';
REVOKE EXECUTE ON FUNCTION cp.closed() FROM PUBLIC;

-- ---- in good health: nothing is found ----
CREATE TABLE cp.healthy (id int, user_id uuid, note text, role cp.app_role);
ALTER TABLE cp.healthy ENABLE ROW LEVEL SECURITY;
GRANT ALL ON cp.healthy TO cp_user, cp_boss, cp_apart;
CREATE POLICY "all of it" ON cp.healthy USING (true);
CREATE POLICY "own" ON cp.healthy FOR SELECT TO cp_user USING (auth.uid() = user_id);
CREATE POLICY "own, once a query" ON cp.healthy FOR ALL TO cp_user USING ((SELECT auth.uid()) = user_id);
CREATE POLICY "by token role" ON cp.healthy FOR SELECT USING (auth.role() = 'cp_user' OR auth.jwt() ->> 'role' = 'cp_boss');
CREATE POLICY "one of the roles exists" ON cp.healthy FOR SELECT USING (auth.role() IN ('cp_user', 'nobody'));
CREATE POLICY "no role" ON cp.healthy FOR SELECT USING (auth.role() IS NULL OR auth.role() <> 'nobody');
CREATE POLICY "a role of the enum" ON cp.healthy FOR SELECT USING (cp.has_role(auth.uid(), 'therapist'));
CREATE POLICY "typed" ON cp.healthy FOR SELECT USING (cp.has_app_role((SELECT auth.uid()), 'billing'));
CREATE POLICY "a name of the function's own" ON cp.healthy FOR SELECT USING (cp.has_short_role('th'));
CREATE POLICY "one branch is dead" ON cp.healthy FOR SELECT USING (false OR user_id = auth.uid());
CREATE POLICY "words in strings" ON cp.healthy FOR SELECT USING (note = 'a) AND (false' OR note = 'it''s (false OR NULL');
CREATE POLICY "null or not" ON cp.healthy FOR SELECT USING (note IS DISTINCT FROM NULL::text AND (user_id IS NULL) = false);
CREATE POLICY "case" ON cp.healthy FOR SELECT USING (CASE WHEN id = 1 AND false THEN false ELSE id > 0 OR false END);
CREATE POLICY "between" ON cp.healthy FOR SELECT USING (id BETWEEN 1 AND 5 AND NOT (id = 3 AND false));
CREATE POLICY "sub-select" ON cp.healthy FOR SELECT
    USING (EXISTS (SELECT FROM cp.user_roles ur WHERE ur.user_id = auth.uid() AND (ur.role = 'billing' OR false)));
CREATE POLICY "member's role" ON cp.healthy FOR UPDATE TO cp_apart USING (1 = 1) WITH CHECK (note <> '');
CREATE POLICY "restrictive" ON cp.healthy AS RESTRICTIVE FOR DELETE USING (user_id = auth.uid());
SELECT * FROM mentalspace.check_policies() WHERE table_name = 'healthy';

-- ---- never true ----
CREATE TABLE cp.constant (LIKE cp.healthy);
ALTER TABLE cp.constant ENABLE ROW LEVEL SECURITY;
GRANT ALL ON cp.constant TO cp_user;
CREATE POLICY "false" ON cp.constant FOR SELECT USING (false);
CREATE POLICY "null" ON cp.constant FOR SELECT USING (NULL);
CREATE POLICY "other constant" ON cp.constant FOR SELECT USING (1 = 2);
CREATE POLICY "texts differ" ON cp.constant FOR INSERT WITH CHECK ('a' = 'b'::text);
CREATE POLICY "and" ON cp.constant FOR SELECT USING (user_id = auth.uid() AND (id > 1 AND false));
CREATE POLICY "or" ON cp.constant FOR DELETE USING (false OR (NULL OR (id = 1 AND false)));
CREATE POLICY "equals null" ON cp.constant FOR SELECT USING (user_id = NULL);
CREATE POLICY "sub-select of false" ON cp.constant FOR SELECT USING ((SELECT false));
CREATE POLICY "update: check" ON cp.constant FOR UPDATE USING (true) WITH CHECK (false);
CREATE POLICY "all: reading only" ON cp.constant FOR ALL USING (true) WITH CHECK (false);
CREATE POLICY "all: neither" ON cp.constant FOR ALL USING (NULL) WITH CHECK (false);
CREATE POLICY "shut" ON cp.constant AS RESTRICTIVE FOR SELECT USING (false);
SELECT level, finding, policy_name, detail FROM mentalspace.check_policies() WHERE table_name = 'constant';

-- ---- roles of tokens, and of the application ----
CREATE TABLE cp.roles (LIKE cp.healthy);
ALTER TABLE cp.roles ENABLE ROW LEVEL SECURITY;
GRANT ALL ON cp.roles TO cp_user, cp_boss, cp_idle, cp_apart;
CREATE POLICY "no such role" ON cp.roles FOR SELECT USING (auth.role() = 'administrator');
CREATE POLICY "it's quoted" ON cp.roles FOR SELECT USING ('it''s' = auth.role());
CREATE POLICY "not for requests" ON cp.roles FOR SELECT USING ((SELECT auth.role()) = 'cp_apart');
CREATE POLICY "in the token" ON cp.roles FOR SELECT USING ((auth.jwt() ->> 'role') = 'boss');
CREATE POLICY "none of these" ON cp.roles FOR SELECT USING (auth.role() IN ('boss', 'owner'));
CREATE POLICY "another role's policy" ON cp.roles FOR SELECT TO cp_user USING (auth.role() = 'cp_boss');
CREATE POLICY "of the enum" ON cp.roles FOR SELECT USING (cp.has_role(auth.uid(), 'superadmin'));
CREATE POLICY "of the enum, sub-select" ON cp.roles FOR SELECT
    USING ((SELECT cp.has_role((SELECT auth.uid()), 'superadmin')) OR cp.has_role(auth.uid(), 'chief'));
CREATE TABLE public.user_roles (user_id uuid, role cp.app_role);
CREATE POLICY "of the enum, by ours" ON cp.roles FOR SELECT USING (mentalspace.has_role('chief'));
CREATE POLICY "by ours, healthy" ON cp.roles FOR SELECT USING (mentalspace.has_role(auth.uid(), 'billing'));
CREATE POLICY "idle" ON cp.roles FOR SELECT TO cp_idle USING (true);
CREATE POLICY "idle and another" ON cp.roles FOR SELECT TO cp_idle, cp_apart USING (true);
SELECT level, finding, policy_name, detail FROM mentalspace.check_policies() WHERE table_name = 'roles';

-- ---- privileges ----
CREATE TABLE cp.privileges (LIKE cp.healthy);
ALTER TABLE cp.privileges ENABLE ROW LEVEL SECURITY;
GRANT SELECT (id) ON cp.privileges TO cp_user;
CREATE POLICY "a column will do" ON cp.privileges FOR SELECT TO cp_user USING (true);
CREATE POLICY "may not insert" ON cp.privileges FOR INSERT TO cp_user WITH CHECK (true);
CREATE POLICY "may nothing" ON cp.privileges FOR ALL TO cp_boss USING (true);
CREATE POLICY "nobody may delete" ON cp.privileges FOR DELETE USING (true);
CREATE POLICY "may not call" ON cp.privileges FOR SELECT TO cp_user USING (cp.closed());
CREATE SCHEMA cp_closed;
CREATE TABLE cp_closed.behind (id int);
ALTER TABLE cp_closed.behind ENABLE ROW LEVEL SECURITY;
GRANT ALL ON cp_closed.behind TO cp_user;
CREATE POLICY "no way in" ON cp_closed.behind USING (true);
SELECT level, finding, policy_name, detail FROM mentalspace.check_policies() WHERE table_name IN ('privileges', 'behind');

-- ---- tables ----
CREATE TABLE cp.restrictive (LIKE cp.healthy);
ALTER TABLE cp.restrictive ENABLE ROW LEVEL SECURITY;
GRANT ALL ON cp.restrictive TO cp_user;
CREATE POLICY "lonely" ON cp.restrictive AS RESTRICTIVE FOR SELECT USING (true);
CREATE POLICY "update" ON cp.restrictive FOR UPDATE USING (true);
CREATE POLICY "update, restricted" ON cp.restrictive AS RESTRICTIVE FOR UPDATE USING (true);
CREATE TABLE cp.disabled (LIKE cp.healthy);
GRANT ALL ON cp.disabled TO cp_user;
CREATE POLICY "idle" ON cp.disabled USING (true);
CREATE TABLE cp.shut (LIKE cp.healthy);
ALTER TABLE cp.shut ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON cp.shut TO cp_user;
-- Nobody has a privilege: nothing is missing.
CREATE TABLE cp.private (LIKE cp.healthy);
ALTER TABLE cp.private ENABLE ROW LEVEL SECURITY;
SELECT level, finding, table_name, policy_name, detail FROM mentalspace.check_policies()
 WHERE table_name IN ('restrictive', 'disabled', 'shut', 'private');

-- ---- what the parts of an expression are ----
SELECT e, operator, parts
  FROM (VALUES (''), ('a'), ('(a)'), ('((a) = (b))'), ('((a) AND (b))'), ('(a) OR (b) OR c'), ('((a AND b) OR c)'),
               ('(NOT (a AND b))'), ('(x = '') AND ('')'), ('("AND" AND "x OR y)")'), ('band ORDER')) AS v(e)
 CROSS JOIN LATERAL mentalspace.split_expression(e);
ROLLBACK;
