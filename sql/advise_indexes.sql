-- mentalspace.advise_indexes(): policies that want an index, those that have it, and those that no index would help.
CREATE EXTENSION mentalspace;
CREATE SCHEMA app;
CREATE TYPE app.app_role AS ENUM ('therapist', 'billing');
CREATE TABLE app.user_roles (user_id uuid, role app.app_role, PRIMARY KEY (user_id, role));
CREATE FUNCTION app.my_org() RETURNS uuid LANGUAGE sql STABLE AS $$ SELECT (auth.jwt() ->> 'org')::uuid $$;
CREATE FUNCTION app.my_orgs() RETURNS SETOF uuid LANGUAGE sql STABLE AS $$ SELECT (auth.jwt() ->> 'org')::uuid $$;
CREATE FUNCTION app.any_org() RETURNS uuid LANGUAGE sql VOLATILE AS $$ SELECT gen_random_uuid() $$;
CREATE FUNCTION app.has_role(_user_id uuid, _role app.app_role) RETURNS boolean LANGUAGE sql STABLE
    AS $$ SELECT EXISTS (SELECT FROM app.user_roles ur WHERE ur.user_id = _user_id AND ur.role = _role) $$;
CREATE FUNCTION app.first_word(text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT split_part($1, ' ', 1) $$;

-- ---- the user, directly ----
CREATE TABLE app.own (id uuid PRIMARY KEY, user_id uuid, made_by uuid, "Odd ""Owner""" uuid, owner uuid, owner_text text,
                      email varchar(80), org uuid, other uuid, name text, seen timestamptz, members uuid[]);
ALTER TABLE app.own ENABLE ROW LEVEL SECURITY;
CREATE POLICY "primary key" ON app.own USING (id = auth.uid());
CREATE POLICY "own" ON app.own FOR SELECT USING (auth.uid() = user_id OR app.has_role(auth.uid(), 'billing'));
CREATE POLICY "own, wrapped" ON app.own FOR UPDATE USING ((SELECT auth.uid()) = user_id) WITH CHECK (other = auth.uid());
CREATE POLICY "quoted" ON app.own FOR DELETE USING ("Odd ""Owner""" = auth.uid() AND name <> 'auth.uid() = other');
CREATE POLICY "column as text" ON app.own USING ((owner)::text = (auth.uid())::text);
CREATE POLICY "user as text" ON app.own USING (owner_text = (auth.uid())::text);
CREATE POLICY "claim" ON app.own USING (lower(email) = auth.jwt() ->> 'email' OR email = auth.email());
CREATE POLICY "claim by setting" ON app.own USING (org = (current_setting('request.jwt.claims', true)::jsonb ->> 'org')::uuid);
CREATE POLICY "helper" ON app.own AS RESTRICTIVE USING (org = app.my_org());
CREATE POLICY "helper of many" ON app.own USING (org IN (SELECT app.my_orgs()));
CREATE POLICY "any of these" ON app.own USING (made_by = ANY (ARRAY[auth.uid(), app.my_org()]));
CREATE POLICY "part of a name" ON app.own USING (split_part(name, '/', 1) = (auth.uid())::text);
CREATE POLICY "function of a column" ON app.own USING (app.first_word(name) = auth.role());
-- no index serves these
CREATE POLICY "not equal" ON app.own USING (other <> auth.uid() AND NOT (other = auth.uid()));
CREATE POLICY "inside" ON app.own USING (coalesce(other = auth.uid(), false) OR CASE WHEN other = auth.uid() THEN true END);
CREATE POLICY "depends on the row" ON app.own USING (other = coalesce(made_by, auth.uid()) OR app.has_role(other, 'billing'));
CREATE POLICY "volatile" ON app.own USING (other = app.any_org());
CREATE POLICY "constant" ON app.own USING (name = 'x' AND seen = now());
CREATE POLICY "array" ON app.own USING (auth.uid() = ANY (members));
CREATE POLICY "new row" ON app.own FOR INSERT WITH CHECK (other = auth.uid());
SELECT * FROM mentalspace.advise_indexes();

-- ---- sub-selects: parents, memberships ----
DROP TABLE app.own;
CREATE TABLE app.clients (id uuid PRIMARY KEY, therapist_id uuid, org_id uuid);
CREATE TABLE app.memberships (org_id uuid, user_id uuid, role text);
CREATE TABLE app.notes (id int, client_id uuid, org_id uuid, kind text, kind_id int);
CREATE TABLE app.kinds (id int, name text);
CREATE TABLE app.documents (note_id int, org_id uuid, uploader uuid);
ALTER TABLE app.notes ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.documents ENABLE ROW LEVEL SECURITY;
CREATE POLICY "client's therapist" ON app.notes FOR SELECT
    USING (EXISTS (SELECT 1 FROM app.clients c WHERE c.id = notes.client_id AND c.therapist_id = auth.uid()));
CREATE POLICY "not about the user" ON app.notes FOR UPDATE
    USING (EXISTS (SELECT 1 FROM app.kinds k WHERE k.id = notes.kind_id AND k.name = notes.kind));
SELECT * FROM mentalspace.advise_indexes();
DROP POLICY "client's therapist" ON app.notes;
CREATE POLICY "member" ON app.notes FOR INSERT
    WITH CHECK (org_id IN (SELECT m.org_id FROM app.memberships m WHERE m.user_id = (SELECT auth.uid()) AND m.role = 'x'));
SELECT * FROM mentalspace.advise_indexes();
CREATE POLICY "chain" ON app.documents FOR SELECT
    USING (note_id IN (SELECT n.id FROM app.notes n JOIN app.clients c ON c.id = n.client_id
                        WHERE c.org_id IN (SELECT org_id FROM app.memberships WHERE user_id = auth.uid()))
           OR org_id = (SELECT j.org_id FROM (app.memberships JOIN app.kinds ON kinds.name = role) AS j WHERE j.user_id = auth.uid())
           OR EXISTS (SELECT FROM (SELECT m.org_id AS o, m.user_id AS u FROM app.memberships m) s
                       WHERE s.o = documents.org_id AND s.u = auth.uid()));
SELECT * FROM mentalspace.advise_indexes();

-- ---- what an index is worth ----
DO $$
DECLARE
    advice text;
BEGIN
    FOR advice IN SELECT statement FROM mentalspace.advise_indexes() LOOP
        EXECUTE advice;
    END LOOP;
END
$$;
SELECT * FROM mentalspace.advise_indexes();
CREATE TABLE app.partial (id int, user_id uuid, org_id uuid, owner uuid);
ALTER TABLE app.partial ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON app.partial USING (user_id = auth.uid() OR org_id = app.my_org() OR (owner)::text = (auth.uid())::text);
CREATE INDEX ON app.partial (user_id) WHERE id > 5;
CREATE INDEX ON app.partial (id, user_id);
CREATE INDEX ON app.partial USING hash (org_id);
CREATE INDEX ON app.partial (owner);
SELECT relation, column_name, statement FROM mentalspace.advise_indexes();
CREATE INDEX ON app.partial (((owner)::text), id);
CREATE INDEX ON app.partial (user_id, id);
SELECT relation, column_name, statement FROM mentalspace.advise_indexes();

-- ---- partitioned tables; tables that are left out; names ----
CREATE TABLE app.parted (id int, user_id uuid) PARTITION BY LIST (id);
CREATE TABLE app.part1 PARTITION OF app.parted FOR VALUES IN (1);
CREATE TABLE app.disabled (id int, user_id uuid);
CREATE TEMPORARY TABLE passing (id int, user_id uuid);
CREATE TABLE app."Mixed Case" (id int, ":user id (x)\ {" uuid, "select" uuid);
ALTER TABLE app.parted ENABLE ROW LEVEL SECURITY;
ALTER TABLE passing ENABLE ROW LEVEL SECURITY;
ALTER TABLE app."Mixed Case" ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON app.parted USING (user_id = auth.uid());
CREATE POLICY p ON app.disabled USING (user_id = auth.uid());
CREATE POLICY p ON passing USING (user_id = auth.uid());
CREATE POLICY "P 1" ON app."Mixed Case" USING (":user id (x)\ {" = auth.uid());
CREATE POLICY "P 2" ON app."Mixed Case" USING (EXISTS (
    SELECT FROM app."Mixed Case" ":other" WHERE ":other"."select" = "Mixed Case"."select" AND ":other"."select" = auth.uid()));
SELECT * FROM mentalspace.advise_indexes();

-- anybody may ask, whatever his search_path
CREATE ROLE ai_user;
GRANT USAGE ON SCHEMA app TO ai_user;
GRANT ai_user TO CURRENT_USER;
SET search_path = app, pg_temp;
SET quote_all_identifiers = on;
SET ROLE ai_user;
SELECT column_name, statement FROM mentalspace.advise_indexes();
RESET ROLE;
