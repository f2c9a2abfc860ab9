-- A therapist's and an administrator's count over 100,000 clients: policies unchanged, wrapped, with ranges, and the
-- hand-written WHERE.
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS mentalspace;
CREATE ROLE clinic;
GRANT clinic TO CURRENT_USER;
GRANT USAGE ON SCHEMA auth TO clinic;
CREATE TABLE user_roles (user_id uuid, role text, PRIMARY KEY (user_id, role));
CREATE FUNCTION has_role(_user_id uuid, _role text) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public
    AS $$ SELECT EXISTS (SELECT 1 FROM user_roles WHERE user_id = _user_id AND role = _role) $$;
CREATE FUNCTION id_of(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid $$;
INSERT INTO user_roles VALUES (id_of(1), 'administrator'), (id_of(5), 'therapist');
CREATE TABLE clients (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), therapist uuid, psychiatrist uuid, case_manager uuid, name text);
INSERT INTO clients (therapist, psychiatrist, case_manager, name)
SELECT id_of(5 + n % 200), id_of(1000 + n % 50), id_of(2000 + n % 50), 'client ' || n FROM generate_series(1, 100000) AS n;
CREATE INDEX ON clients (therapist);
CREATE INDEX ON clients (psychiatrist);
CREATE INDEX ON clients (case_manager);
ALTER TABLE clients ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON clients TO clinic;
CREATE POLICY administrators ON clients USING (has_role(auth.uid(), 'administrator'));
CREATE POLICY team ON clients FOR SELECT USING (therapist = auth.uid() OR psychiatrist = auth.uid() OR case_manager = auth.uid()
    OR has_role(auth.uid(), 'supervisor') OR has_role(auth.uid(), 'front_desk') OR has_role(auth.uid(), 'billing_staff'));
VACUUM ANALYZE clients;
CREATE TABLE policy_times (stage text, who text, ms float8);
GRANT INSERT ON policy_times TO clinic;
CREATE PROCEDURE look(stage text, who int, name text, statement text, repeats int, by_hand boolean DEFAULT false) LANGUAGE plpgsql AS $$
DECLARE
    began timestamptz;
BEGIN
    PERFORM set_config('request.jwt.claims', json_build_object('sub', id_of(who))::text, true);
    IF NOT by_hand THEN
        SET LOCAL ROLE clinic;
    END IF;
    EXECUTE statement;
    began := clock_timestamp();
    FOR i IN 1 .. repeats LOOP
        EXECUTE statement;
    END LOOP;
    INSERT INTO policy_times VALUES (stage, name, extract(epoch FROM clock_timestamp() - began) * 1000 / repeats);
    COMMIT;
END $$;
CREATE PROCEDURE policy_rounds(rounds int) LANGUAGE plpgsql AS $$
BEGIN
    CALL look('1 unchanged', 5, 'therapist', 'SELECT count(*) FROM clients', 1);
    FOR round IN 1 .. rounds LOOP
        PERFORM mentalspace.wrap_policies(false, false);
        COMMIT;
        CALL look('2 wrapped', 5, 'therapist', 'SELECT count(*) FROM clients', 20);
        CALL look('2 wrapped', 1, 'administrator', 'SELECT count(*) FROM clients', 5);
        PERFORM mentalspace.wrap_policies(false);
        COMMIT;
        CALL look('3 with ranges', 5, 'therapist', 'SELECT count(*) FROM clients', 20);
        CALL look('3 with ranges', 1, 'administrator', 'SELECT count(*) FROM clients', 5);
        CALL look('4 by hand', 5, 'therapist', format('SELECT count(*) FROM clients WHERE therapist = %1$L OR psychiatrist = %1$L OR case_manager = %1$L', id_of(5)), 20, true);
        CALL look('4 by hand', 1, 'administrator', 'SELECT count(*) FROM clients', 5, true);
        PERFORM mentalspace.unwrap_policies(false);
        COMMIT;
    END LOOP;
END $$;
CALL policy_rounds(:rounds);
SELECT who, stage, round(percentile_cont(0.5) WITHIN GROUP (ORDER BY ms)::numeric, 2) AS ms FROM policy_times GROUP BY 1, 2 ORDER BY 1, 2;
