# The helpers of docs/connecting.md, as they stand there, against a server: Node with pg and postgres, Deno with postgres.
. "$MS_TOP/test/lib/stage.sh"
dir=$MS_WORK/connecting
mkdir -p "$dir"
cp "$MS_TOP"/test/clients/connecting/*.mjs "$dir/"
# A block of the page, by the name in its first line.
block() { awk -v name="// $1" '/^```/ { inside = 0 } inside { print } $0 == name { inside = 1 }' "$MS_TOP/docs/connecting.md" >"$dir/$1"; [ -s "$dir/$1" ]; }
block with-user-pg.mjs && block with-user-postgres.mjs && block with_user.ts && ms_report ok "the page has its helpers" ||
	ms_report "not ok" "the page has its helpers"

if ! npm install --prefix "$dir" --no-audit --no-fund --silent pg@8 postgres@3 deno@2 >"$dir/log" 2>&1; then
	tail -n 20 "$dir/log"
	ms_report "not ok" "npm installs the clients"
	ms_done
	exit
fi
MS_ROOT=$(ms_root native) || { ms_report "not ok" "build"; ms_done; exit; }
# postgres.js and Deno take no directory of a Unix socket from the environment.
port=$(perl -MIO::Socket::INET -e 'print IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1")->sockport')
ms_cluster_start "$dir/server" "listen_addresses = '127.0.0.1'" "port = $port" "max_prepared_transactions = 2" || { ms_report "not ok" "start of the server"; ms_done; exit; }
trap ms_cluster_stop EXIT
export PGPORT=$port

node "$MS_TOP/test/lib/tokens.mjs" https://project.example/auth/v1 >"$dir/tokens"
{
	echo "CREATE EXTENSION mentalspace; SELECT count(*) FROM mentalspace.provision(ARRAY['roles', 'auth']);"
	# As the page says, to the letter; trust needs no password.
	sed -n "s/ PASSWORD '...'//; s/^    \(CREATE ROLE .*\|ALTER ROLE .*\)/\1/p" "$MS_TOP/docs/connecting.md"
	while IFS=$'\t' read -r algorithm jwks _; do
		case $algorithm in
		HS256) echo "SELECT mentalspace.load_jwks('$jwks');" ;;
		ES256 | RS256 | EdDSA) keys="${keys:+$keys,}$(sed 's/^{"keys":\[//; s/\]}$//' <<<"$jwks")" ;;
		esac
	done <"$dir/tokens"
	echo "SELECT mentalspace.load_jwks('{\"keys\":[$keys]}', 'https://project.example/auth/v1');"
	# The shared secret for the same issuer, beside its public keys.
	echo "UPDATE mentalspace.jwt_key_store SET issuer = 'https://project.example/auth/v1', origin = 'secret' WHERE kty = 'oct';"
	cat <<-'SQL'
		CREATE TABLE notes (owner uuid DEFAULT auth.uid(), body text);
		INSERT INTO notes VALUES ('00000000-0000-4000-8000-000000000001', 'mine'), ('00000000-0000-4000-8000-000000000002', 'not mine');
		ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
		CREATE POLICY own ON notes USING (owner = auth.uid());
		GRANT SELECT, INSERT, DELETE ON notes TO authenticated;
		-- For the attacks: names that could be shadowed, and the rights to try.
		CREATE DOMAIN label AS text;
		CREATE SEQUENCE numbers;
		GRANT USAGE ON SEQUENCE numbers TO authenticated;
		GRANT TEMPORARY ON DATABASE postgres TO PUBLIC;
	SQL
} | psql -X -q -v ON_ERROR_STOP=1 >"$dir/log" 2>&1 || { cat "$dir/log"; ms_report "not ok" "set-up"; }

export PGHOST=127.0.0.1 PGUSER=edge PGDATABASE=postgres
helper() {
	local name=$1 line
	shift
	psql -X -q -h 127.0.0.1 -p "$port" -U postgres -c "DELETE FROM notes WHERE body = 'new'"
	local count=0
	while IFS= read -r line; do
		case $line in
		"ok "*) ms_report ok "$name: ${line#ok }" ;;
		"not ok "*) ms_report "not ok" "$name: ${line#not ok }" ;;
		*) echo "$line" ;;
		esac
		case $line in "ok "* | "not ok "*) count=$((count + 1)) ;; esac
	done < <(cd "$dir" && timeout 120 "$@" <"$dir/tokens" 2>&1)
	[ "$count" -ge "$least" ] || ms_report "not ok" "$name: ended early"
}
least=13
helper "Node, pg" node run.mjs ./with-user-pg.mjs
helper "Node, postgres" node run.mjs ./with-user-postgres.mjs
helper "Deno, postgres" env DENO_DIR="$dir/deno" DENO_NO_UPDATE_CHECK=1 "$dir/node_modules/.bin/deno" run --no-remote --node-modules-dir=manual \
	--allow-all run.mjs ./with-user-postgres.mjs
# What a user leaves for the next one: over one connection, to the server and through PgBouncer in transaction mode.
sed 's/max: 3/max: 1/' "$dir/with-user-pg.mjs" >"$dir/one-pg.mjs"
for prepare in true false; do
	sed "s/{ max: 3 }/{ max: 1, prepare: $prepare, onnotice() {} }/" "$dir/with-user-postgres.mjs" >"$dir/one-postgres-$prepare.mjs"
done
least=5
helper "fast path" node fastpath.mjs
least=2
helper "attacks, pg" node attacks.mjs ./one-pg.mjs
helper "attacks, postgres" node attacks.mjs ./one-postgres-true.mjs
bouncer=$(PATH=$PATH:/usr/sbin command -v pgbouncer)
if [ -n "$bouncer" ]; then
	pooled=$(perl -MIO::Socket::INET -e 'print IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1")->sockport')
	cat >"$dir/server/pgbouncer.ini" <<-END
		[databases]
		postgres = host=127.0.0.1 port=$port dbname=postgres user=edge pool_size=1
		[pgbouncer]
		listen_addr = 127.0.0.1
		listen_port = $pooled
		unix_socket_dir =
		auth_type = any
		pool_mode = transaction
		logfile = $dir/server/pgbouncer.log
		pidfile = $dir/server/pgbouncer.pid
	END
	# From 1.21 on, it keeps the prepared statements of its clients apart; before, one client has to be alone.
	case $("$bouncer" --version) in *\ 1.1[0-9].* | *\ 1.20.*) ;; *) echo "max_prepared_statements = 100" >>"$dir/server/pgbouncer.ini" ;; esac
	ms_as_server_user "$bouncer" -q -d "$dir/server/pgbouncer.ini"
	trap 'kill -INT "$(cat "$dir/server/pgbouncer.pid")"; ms_cluster_stop' EXIT
	export PGPORT=$pooled
	helper "attacks, PgBouncer, postgres without prepared statements" node attacks.mjs ./one-postgres-false.mjs
	fresh() { psql -X -q -A -t -p "$port" -U postgres -c "SELECT FROM pg_stat_activity, pg_terminate_backend(pid) WHERE usename = 'edge'"; }
	fresh
	helper "attacks, PgBouncer, postgres" node attacks.mjs ./one-postgres-true.mjs
	fresh
	helper "attacks, PgBouncer, pg" node attacks.mjs ./one-pg.mjs
	export PGPORT=$port
fi
answer=$(psql -X -A -t -U postgres -c "SELECT count(*) FROM pg_authid WHERE rolpassword IS NOT NULL")
[ "$answer" = 0 ] && ms_report ok "no password was changed" || ms_report "not ok" "no password was changed"
# The login role by itself has nothing.
answer=$(psql -X -A -t -c 'SELECT count(*) FROM notes' 2>&1)
case $answer in *"permission denied for table notes"*) ms_report ok "the login role alone reads nothing" ;; *) ms_report "not ok" "the login role alone reads nothing: $answer" ;; esac
ms_done
