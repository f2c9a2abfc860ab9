#!/bin/bash
# test/bench/ehr/run.sh DIR: the mission's EHR (MentalSpaceTherapy1/mentalspaceehr, whose SQL is not kept here), end to end.
#
# DIR holds its migrations (supabase/migrations).  On a throw-away PostgreSQL, once with the native flavour as a superuser
# and once with the trusted flavour as the NOSUPERUSER owner of the database: CREATE EXTENSION, provision(),
# mentalspace-migrate in one run, unchanged; then counts, and 100,000 seeded clients of 100 therapists, of whom one signs in
# and must see exactly his 1,000.  Prints what it measured and ends with `N passed, N failed`.
set -u
MS_TOP=$(cd "$(dirname "$0")/../../.." && pwd)
export MS_TOP
migrations=$(cd "${1:?usage: run.sh DIR}" && pwd) || exit 2
MS_WORK=$(mktemp -d "${TMPDIR:-/tmp}/mentalspace-ehr.XXXXXX") && chmod 755 "$MS_WORK"
trap 'ms_cluster_stop; rm -rf "$MS_WORK"' EXIT
. "$MS_TOP/test/lib/stage.sh"

sql() { psql -XAtq -v ON_ERROR_STOP=1 -d ehr "$@"; }
expect() { # expect WHAT WANTED GOT
	if [ "$2" = "$3" ]; then ms_report ok "$1: $3"; else ms_report "not ok" "$1: $3, not $2"; fi
}
timed() { # timed NAME COMMAND ...
	local began=$(date +%s%N)
	"${@:2}" >"$MS_WORK/out" 2>&1 || { ms_report "not ok" "$1"; tail -n 20 "$MS_WORK/out"; return 1; }
	echo "   $1: $((($(date +%s%N) - began) / 1000000)) ms"
}

as_therapist() { # as_therapist SQL ...: in a transaction of the therapist's
	local commands=() command
	statement=$((${statement:-0} + 1))
	export PGAPPNAME="statement $statement"
	for command in "$@"; do commands+=(-c "$command"); done
	sql -c 'BEGIN' -c "SELECT set_config('request.jwt.claims', '{\"sub\": \"00000000-0000-4000-8000-000000000007\", \"role\": \"authenticated\"}', true)" \
		-c 'SET LOCAL ROLE authenticated' "${commands[@]}" -c 'COMMIT' -c 'RESET ROLE' -c 'SELECT mentalspace.audit_flush()'
}
# What the events say of the therapist's last statement on clients, which may be in several parts: outcome, precision, rows,
# patients, severity, whose it is.
event() { # event KIND
	sql -c "SELECT concat_ws(' ', min(outcome), min(precision), sum(row_count), sum(cardinality(patient_ids)), max(severity), max(right(user_id::text, 2)))
		FROM mentalspace.audit_events WHERE kind = '$1' AND relation = 'public.clients' AND application_name = 'statement $statement'"
}

audit() { # audit FLAVOR
	local tables
	timed "audit_discover('public.clients')" sql -c "SELECT * FROM mentalspace.audit_discover('public.clients')"
	tables=$(sql -c "SELECT count(*) FROM mentalspace.audit_discover('public.clients')")
	echo "   $tables of 161 tables lead to a client: $(sql -c "SELECT string_agg(format('%s over %s', n, d), ', ' ORDER BY d)
		FROM (SELECT distance AS d, count(*) AS n FROM mentalspace.audit_discover('public.clients') GROUP BY 1) AS x") foreign keys"
	timed "audit_table() for all of them" sql -c "SELECT count(mentalspace.audit_table(relation, patient_key)) FROM mentalspace.audit_discover('public.clients')"
	expect "declared, with triggers and a way to the client" "$tables" "$(sql -c 'SELECT count(*) FROM mentalspace.audit_tables() WHERE triggers AND resolves AND problem IS NULL')"
	timed "a therapist's update of 10 clients" as_therapist "UPDATE clients SET city = 'B' WHERE id IN (SELECT id FROM clients ORDER BY medical_record_number LIMIT 10)"
	expect "events of it" 10 "$(sql -c "SELECT count(*) FROM mentalspace.audit_events WHERE kind = 'data_modification' AND action = 'U' AND relation = 'public.clients' AND user_id::text LIKE '%07'")"
	[ "$1" = native ] || return 0
	timed "a therapist's count" as_therapist "SELECT count(*) FROM clients"
	expect "its event" "success examined 1000 info 07" "$(event phi_access)"
	timed "a page of 20" as_therapist "SELECT id, last_name FROM clients ORDER BY medical_record_number LIMIT 20"
	expect "its event" "success delivered 20 20 info 07" "$(event phi_access)"
	timed "all of hers" as_therapist "SELECT id, last_name FROM clients"
	expect "its event" "success delivered 1000 1000 warning 07" "$(event phi_access)"
	timed "an export" as_therapist "COPY (SELECT * FROM clients) TO STDOUT"
	expect "its event" "success delivered 1000 1000 warning 07" "$(event export)"
	echo "   $(sql -c "SELECT format('%s events', count(*)) FROM mentalspace.audit_events")"
}

one_flavour() { # one_flavour FLAVOR USER
	local flavor=$1 user=$2 files
	echo "-- $flavor flavour as role $user"
	MS_ROOT=$(ms_root "$flavor") || { ms_report "not ok" "the $flavor flavour builds"; return; }
	ms_cluster_start "$MS_WORK/$flavor" "jit = off" "$([ "$flavor" = trusted ] || echo "shared_preload_libraries = 'mentalspace'")" || { ms_report "not ok" "a server starts"; return; }
	psql -Xqc "DO \$\$ BEGIN IF '$user' <> 'postgres' THEN CREATE ROLE $user LOGIN NOSUPERUSER CREATEROLE; END IF; END \$\$" -c "CREATE DATABASE ehr OWNER $user" || return
	export PGUSER=$user
	timed "CREATE EXTENSION" sql -c 'CREATE EXTENSION mentalspace'
	timed "provision()" sql -c 'SELECT * FROM mentalspace.provision()'
	timed "mentalspace-migrate" "$MS_TOP/bin/mentalspace-migrate" --db "host=$PGHOST dbname=ehr user=$user" --dir "$migrations"
	files=$(ls "$migrations"/*.sql | wc -l)
	expect "files applied of $files" "$files applied, 0 failed, 0 not tried" "$(tail -n 1 "$MS_WORK/out")"
	expect "policies on its own tables" 416 "$(sql -c "SELECT count(*) FROM pg_policies WHERE schemaname = 'public'")"
	expect "tables with row level security" 161 "$(sql -c "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND relrowsecurity")"
	timed "seed of 100,000 clients" sql <<-'SQL'
		-- One of the project's own triggers asks for a column that its tables do not have: no user can be inserted with it.
		ALTER TABLE auth.users DISABLE TRIGGER USER;
		ALTER TABLE user_roles DISABLE TRIGGER USER;
		ALTER TABLE profiles DISABLE TRIGGER USER;
		ALTER TABLE clients DISABLE TRIGGER USER;
		INSERT INTO auth.users (id, email) SELECT format('00000000-0000-4000-8000-%s', lpad(t::text, 12, '0'))::uuid, 'therapist' || t || '@example.org' FROM generate_series(0, 99) AS t;
		INSERT INTO profiles (id, email, first_name, last_name) SELECT id, email, 'Therapist', left(email, 12) FROM auth.users ON CONFLICT DO NOTHING;
		INSERT INTO user_roles (user_id, role) SELECT id, 'therapist' FROM auth.users ON CONFLICT DO NOTHING;
		INSERT INTO clients (medical_record_number, first_name, last_name, date_of_birth, primary_phone, street1, city, state, zip_code, primary_therapist_id)
			SELECT 'MRN-' || i, 'Client', i::text, '1990-01-01', '-', '-', '-', '-', '-', format('00000000-0000-4000-8000-%s', lpad((i % 100)::text, 12, '0'))::uuid
			  FROM generate_series(1, 100000) AS i;
		ANALYZE clients;
	SQL
	timed "a therapist's count" sql -c 'BEGIN' -c "SELECT set_config('request.jwt.claims', '{\"sub\": \"00000000-0000-4000-8000-000000000007\", \"role\": \"authenticated\"}', true)" \
		-c 'SET LOCAL ROLE authenticated' -c 'SELECT count(*) FROM clients'
	expect "clients that the therapist sees of $(sql -c 'SELECT count(*) FROM clients')" 1000 "$(tail -n 1 "$MS_WORK/out")"
	audit "$flavor"
	ms_cluster_stop
}

one_flavour native postgres
one_flavour trusted ehr_owner
ms_done
