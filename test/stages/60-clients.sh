# A whole project, examples/ehr, by the Supabase CLI from npm, half of it by mentalspace-migrate; then what the CLI's lint,
# advisors and types say of it.  How the two record migrations is compared in 66-cli.
. "$MS_TOP/test/lib/stage.sh"
dir=$MS_WORK/clients
mkdir -p "$dir/home" "$dir/project/supabase"
cp -r "$MS_TOP/examples/ehr/supabase/migrations" "$dir/project/supabase/"
log=$dir/log

cli=$(ms_supabase_cli "$dir/npm") || { ms_report "not ok" "npm installs the Supabase CLI"; ms_done; exit; }
MS_ROOT=$(ms_root native) || { ms_report "not ok" "build"; ms_done; exit; }
openssl rand -hex 32 >"$dir/vault.key"
chmod 600 "$dir/vault.key"
[ "$(id -u)" != 0 ] || chown postgres "$dir/vault.key"
# The CLI needs TCP.  The port is one that nobody listens on.
port=$(perl -MIO::Socket::INET -e 'print IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1")->sockport')
ms_cluster_start "$dir/server" "listen_addresses = '127.0.0.1'" "port = $port" "mentalspace.cron_worker = off" \
	"wal_level = logical" "mentalspace.vault_key_file = '$dir/vault.key'" || { ms_report "not ok" "start of the server"; ms_done; exit; }
trap ms_cluster_stop EXIT
export PGPORT=$port
url="postgres://postgres@127.0.0.1:$port/postgres?sslmode=disable"
psql -X -q -v ON_ERROR_STOP=1 -c "CREATE EXTENSION mentalspace" -c "SELECT count(*) FROM mentalspace.provision()" >"$log" 2>&1 ||
	{ cat "$log"; ms_report "not ok" "provision()"; }

# cli WHAT PATTERN ARGUMENT...: succeeds, and says PATTERN (a regular expression over all its output).
cli() {
	local what=$1 pattern=$2
	shift 2
	if (cd "$dir/project" && HOME=$dir/home SUPABASE_TELEMETRY_DISABLED=1 DO_NOT_TRACK=1 timeout 120 "$cli" "$@" "--remote=$url" --yes \
		</dev/null) >"$log" 2>&1 && tr -s '[:space:]' ' ' <"$log" | grep -qE "$pattern"; then
		ms_report ok "$what"
	else
		ms_report "not ok" "$what"
		tail -n 30 "$log"
	fi
}
count=$(ls "$dir/project/supabase/migrations" | wc -l)
recorded() { psql -XAtq -c "SELECT count(*), count(name), bool_and(cardinality(statements) > 0) FROM supabase_migrations.schema_migrations"; }

migrate=$(find "$MS_ROOT" -name mentalspace-migrate -type f | head -n 1)
if [ -n "$migrate" ]; then
	# The first half by mentalspace-migrate, the rest by the CLI, and nothing left for either.
	mkdir "$dir/half"
	ls "$dir/project/supabase/migrations" | head -n $((count / 2)) |
		while read -r file; do cp "$dir/project/supabase/migrations/$file" "$dir/half"; done
	if "$migrate" --db "$url" --dir "$dir/half" >"$log" 2>&1; then
		ms_report ok "mentalspace-migrate applies the first $((count / 2)) of $count migrations"
	else
		tail -n 30 "$log"
		ms_report "not ok" "mentalspace-migrate applies the first half"
	fi
fi
cli "supabase migration up applies the rest" "Applying migration 20250317143305" migration up
[ "$(recorded)" = "$count|$count|t" ] && ms_report ok "all $count are recorded with name and statements" ||
	ms_report "not ok" "recorded: $(recorded), not $count"
cli "supabase migration up again finds nothing to do" "up to date" migration up
cli "supabase migration list knows all of them on both sides" "20250106141205[^0-9]+20250106141205.*20250317143305[^0-9]+20250317143305" migration list
if [ -n "$migrate" ]; then
	"$migrate" --db "$url" --dir "$dir/project/supabase/migrations" >"$log" 2>&1 && [ "$(recorded)" = "$count|$count|t" ] &&
		ms_report ok "mentalspace-migrate finds nothing to do" || { tail -n 30 "$log"; ms_report "not ok" "mentalspace-migrate after the CLI"; }
fi
psql -X -q -c "CREATE EXTENSION plpgsql_check SCHEMA extensions" 2>/dev/null
cli "supabase db lint" "Linting schema: public" db lint
! grep -q '"level": "error"' "$log" && ms_report ok "it finds no error" || { cat "$log"; ms_report "not ok" "it finds no error"; }
cli "supabase db advisors" '"cache_key"|No issues' db advisors
cli "supabase gen types" '"?clients"?: \{ Row: \{' gen types
ms_done
