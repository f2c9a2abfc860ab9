# `make demo`: the example from nothing, what it leaves behind (nothing), and that its scenario notices a leak.
. "$MS_TOP/test/lib/stage.sh"
MS_ROOT=$(ms_root native) || { echo "0 passed, 1 failed"; exit 1; }
export MS_ROOT TMPDIR=$MS_WORK/demo
unset MIGRATIONS KEEP
mkdir -p "$TMPDIR" && chmod 755 "$TMPDIR"
log=$MS_WORK/demo.log

expect() { # expect WHAT COMMAND...: the command must succeed
	local what=$1
	shift
	if "$@" >/dev/null 2>&1; then ms_report ok "$what"; else ms_report "not ok" "$what"; fi
}
is_empty() { [ -z "$(ls -A "$1")" ]; }

# The example, and every check of its scenario.
if "$MS_TOP/test/demo" >"$log" 2>&1; then
	ms_report ok "demo: $(grep '^  scenario' "$log" | tr -s ' ')"
else
	ms_report "not ok" "demo"
	tail -n 60 "$log"
fi
# One count of what each may see and do, one of what the audit saw.
counts=$(grep -oE '^[0-9]+ passed, [0-9]+ failed$' "$log")
while read -r passed _ failed _; do
	ms_passed=$((ms_passed + passed)) ms_failed=$((ms_failed + failed))
done <<<"${counts:-0 passed, 1 failed}"
expect "both have been counted" test "$(wc -l <<<"$counts")" = 2
expect "nothing is left behind" is_empty "$TMPDIR"
expect "no line is wider than 100 columns" test -z "$(awk 'length > 100' "$log")"

# A server that is kept: what the scenario says of leaks.
if KEEP=1 "$MS_TOP/test/demo" >"$log" 2>&1; then
	PGHOST=$(echo "$TMPDIR"/mentalspace-demo.*/server)
	export PGHOST PGPORT=5432 PGUSER=postgres PGDATABASE=postgres
	tokens=$(echo "$TMPDIR"/mentalspace-demo.*/tokens)
	scenario() { "$MS_TOP/examples/ehr/scenario.sh" "$tokens" >"$log" 2>&1; }
	notices() { ! scenario && grep -q "not as the scenario says: $1" "$log"; }
	sql() { psql -qX -v ON_ERROR_STOP=1 -c "$1"; }
	expect "the demo shows no token" test -z "$(grep eyJ "$log")"
	expect "the scenario can be played again" scenario
	expect "nor does it" test -z "$(grep eyJ "$log")"
	expect "the server's log tells of refused tokens" grep -q 'token refused: bad signature' "$PGHOST/server.log"
	expect "and shows none" test -z "$(grep eyJ "$PGHOST/server.log")"
	expect "nobody else may read the tokens" test -z "$(find "$tokens" -perm /077)"
	cp "$tokens/therapist" "$tokens/expired"
	expect "notices an expired token that is believed" \
		notices "expired looks for her clients with an expired token: 40; .* says: !28000/expired"
	expect "new tokens can be made" "$MS_TOP/examples/ehr/tokens.sh" "$tokens"
	sql "ALTER ROLE authenticator SET mentalspace.auth_lock = 'off'"
	expect "notices that the role is not locked" notices "therapist takes the role service_role: 0; .* says: !42501"
	sql "ALTER ROLE authenticator SET mentalspace.auth_lock = 'transaction'"
	expect "notices a lock that ends with the transaction" \
		notices "therapist takes it after the end of the transaction: 0; .* says: !42501"
	sql "ALTER ROLE authenticator SET mentalspace.auth_lock = 'always'"
	sql "CREATE POLICY leak ON psychotherapy_notes FOR SELECT USING (true)"
	expect "notices somebody who sees too much" notices "supervisor sees of psychotherapy_notes: 160; .* says: 13"
	sql "DROP POLICY leak ON psychotherapy_notes"
	sql "CREATE POLICY leak ON user_roles FOR INSERT WITH CHECK (true)"
	expect "notices somebody who does too much" notices "therapist makes herself administrator: 1; .* says: !42501"
	sql "DROP POLICY leak ON user_roles"
	sql "DROP POLICY \"Clinicians can view assigned clients\" ON clients"
	expect "notices somebody who sees too little" notices "therapist sees of clients: 0; the scenario says: 40"
	sql "CREATE TABLE forgotten (secret text)"
	expect "notices a table that it does not know" notices "table forgotten is not in scenario.sees"
	MS_CLUSTER=$PGHOST
	ms_cluster_stop
	rm -rf "$TMPDIR"/mentalspace-demo.*
else
	ms_report "not ok" "demo with KEEP=1"
	tail -n 30 "$log"
fi

# Somebody else's project: here the example's migrations, a policy that admits nobody, and a file with an error.
mkdir -p "$MS_WORK/project" && cp "$MS_TOP"/examples/ehr/supabase/migrations/*.sql "$MS_WORK/project/"
echo "CREATE POLICY nobody ON public.clients FOR SELECT USING (auth.role() = 'administrator');" \
	>"$MS_WORK/project/20250401000000_nobody.sql"
echo "SELECT public.nowhere();" >"$MS_WORK/project/20250402000000_error.sql"
MIGRATIONS=$MS_WORK/project "$MS_TOP/test/demo" >"$log" 2>&1
expect "a project that does not apply entirely makes the demo fail" test $? = 1
while read -r what; do
	expect "tells: $what" grep -qE "$what" "$log"
done <<'LIST'
migrations +21 of 22 files applied
20250402000000_error.sql:1: ERROR 42883
tables with row level security +19
policies on own tables +69
policies on tables of storage +6
policies on tables of realtime +1
can never admit anybody: 1$
public.clients: "nobody"
role_of_no_token: USING: no token has the role administrator
no_policy .* public.appointment_reminders
LIST
expect "nothing is left behind of it" is_empty "$TMPDIR"

# An interruption while the server is up.
"$MS_TOP/test/demo" >"$log" 2>&1 &
demo=$!
for _ in $(seq 600); do
	! grep -q '^  extension' "$log" || break
	sleep 0.05
done
kill -TERM $demo
wait $demo
expect "an interruption ends it with an error" test $? = 130
expect "and leaves nothing behind" is_empty "$TMPDIR"
ms_done
