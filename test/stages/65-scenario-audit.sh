# The day of examples/ehr/scenario.audit: each step leaves the events that it must leave, and no others; and whether a
# missing or an additional event is noticed.
. "$MS_TOP/test/lib/stage.sh"
MS_ROOT=$(ms_root native) || { echo "0 passed, 1 failed"; exit 1; }
export MS_ROOT TMPDIR=$MS_WORK/scenario-audit
unset MIGRATIONS
mkdir -p "$TMPDIR" && chmod 755 "$TMPDIR"
log=$MS_WORK/scenario-audit.log

expect() { # expect WHAT COMMAND...: the command must succeed
	local what=$1
	shift
	if "$@" >/dev/null 2>&1; then ms_report ok "$what"; else ms_report "not ok" "$what"; fi
}
sql() { psql -qXAt -v ON_ERROR_STOP=1 -c "$1"; }
day() { "$MS_TOP/examples/ehr/audit.sh" "$tokens" >"$log" 2>&1; }
notices() { ! day && grep -qE "$1" "$log"; }

if ! KEEP=1 "$MS_TOP/test/demo" >"$log" 2>&1; then
	ms_report "not ok" "demo with KEEP=1"
	grep -E '^(missing|not expected|psql|not as)' "$log"
	tail -n 30 "$log"
fi
PGHOST=$(echo "$TMPDIR"/mentalspace-demo.*/server)
export PGHOST PGPORT=5432 PGUSER=postgres PGDATABASE=postgres
MS_CLUSTER=$PGHOST
trap 'ms_cluster_stop; rm -rf "$TMPDIR"' EXIT
tokens=$(echo "$TMPDIR"/mentalspace-demo.*/tokens)
[ -d "$tokens" ] || { ms_done; exit; }

if day; then ms_report ok "the day again"; else ms_report "not ok" "the day again"; tail -n 20 "$log"; fi
count=$(tail -n 1 "$log" | grep -oE '^[0-9]+ passed, [0-9]+ failed$')
read -r passed _ failed _ <<<"${count:-0 passed, 1 failed}"
ms_passed=$((ms_passed + passed)) ms_failed=$((ms_failed + failed))
expect "no line is wider than 100 columns" test -z "$(awk 'length > 100' "$log")"
expect "it shows no token" test -z "$(grep eyJ "$log")"
expect "events hold no name, note or number of a client's" test "$(sql "SELECT count(*) FROM mentalspace.audit_events AS e
	WHERE kind <> 'data_modification' AND e::text ~ 'Testcase|MRN-|555-01|[Ii]nvented'")" = 0
expect "nor their query's text" test "$(sql "SELECT count(*) FROM mentalspace.audit_events WHERE detail ~* 'select .* from'")" = 0
expect "nobody but auditors reads them" test "$(sql "SELECT count(*) FROM pg_roles AS r
	WHERE rolname IN ('anon', 'authenticated', 'authenticator', 'service_role')
	  AND has_table_privilege(r.oid, 'mentalspace.audit_events', 'SELECT')")" = 0

sql "SELECT mentalspace.unaudit_table('public.clinical_notes')"
expect "notices reads that are no longer recorded" notices \
	"missing \(therapist opens a client's record\): phi_access R clinical_notes #10"
expect "notices writes that are no longer recorded" notices "missing \(therapist writes a draft\): data_modification C"
expect "what is audited can be declared again" psql -qX1 -v ON_ERROR_STOP=1 -f "$MS_TOP/examples/ehr/audit.sql"
sql "SELECT mentalspace.audit_table('public.psychotherapy_notes', 'client_id', category => 'phi')"
expect "notices an alert that is none any more" notices "missing .*: phi_access R psychotherapy_notes #30 critical"
expect "that can be declared again" psql -qX1 -v ON_ERROR_STOP=1 -f "$MS_TOP/examples/ehr/audit.sql"
sql "CREATE POLICY leak ON clients FOR SELECT USING (true)"
expect "notices whose rows are sent beyond those of the scenario" notices \
	"not expected \(therapist tries to read a client who is not hers\): phi_access R clients #13"
sql "DROP POLICY leak ON clients"
sql "ALTER TABLE clinical_notes DISABLE TRIGGER mentalspace_audit"
expect "notices a trigger that is disabled" notices "missing \(therapist writes a draft\): data_modification C"
sql "ALTER TABLE clinical_notes ENABLE ALWAYS TRIGGER mentalspace_audit"
expect "and is content again" day
ms_done
