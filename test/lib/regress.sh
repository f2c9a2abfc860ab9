# Regression tests: sql/NAME.sql, compared with expected/NAME.out by pg_regress.  To be sourced after stage.sh.
#
#   ms_regress FLAVOR [ROOT]   runs all tests of the flavour (installed below ROOT), as many at a time as there are processors
#   MS_REGRESS="NAME ..."      runs only these
#   MS_ACCEPT=1                copies what the tests print to expected/, to be read before it is committed
#
# Every test has a server of its own (a copy of one fresh cluster, which takes a third of a second), so roles, databases
# and settings of one test are never seen by another and the order does not matter.  The database `regression` is empty:
# a test creates the extension itself.  Native tests connect as superuser; trusted tests as a NOSUPERUSER role with
# CREATEROLE that owns the database.  sql/NAME.conf, if there is one, is added to the server's configuration.
# sql/flavors names the tests that run on one flavour alone.

ms_regress_names() {
	local file name only
	[ -z "${MS_REGRESS:-}" ] || { printf '%s\n' $MS_REGRESS; return; }
	for file in "$MS_TOP"/sql/*.sql; do
		name=$(basename "$file" .sql)
		only=$(awk -v name="$name" '$1 == name { print $2 }' "$MS_TOP/sql/flavors")
		[ -n "$only" ] && [ "$only" != "$1" ] || echo "$name"
	done
}

# One test, with its output below MS_WORK; to be run in a shell of its own.
ms_regress_one() {
	local flavor=$1 name=$2 dir=$MS_WORK/regress-$(basename "$MS_ROOT")/$2 user=postgres conf=() began status
	local pgxs=$("$PG_CONFIG" --pgxs)
	[ "$flavor" = native ] || user=regress_owner
	[ ! -f "$MS_TOP/sql/$name.conf" ] || mapfile -t conf <"$MS_TOP/sql/$name.conf"
	mkdir -p "$dir/out"
	began=$(date +%s%N)
	if ms_cluster_start "$dir/server" "${conf[@]}" 2>"$dir/start.log"; then
		psql -X -q -d postgres -v ON_ERROR_STOP=1 \
			-c "CREATE ROLE regress_owner LOGIN NOSUPERUSER CREATEROLE" \
			-c "CREATE DATABASE regression OWNER $user TEMPLATE template0" &&
			"$(dirname "$pgxs")/../test/regress/pg_regress" --inputdir="$MS_TOP" --outputdir="$dir/out" \
				--bindir="$("$PG_CONFIG" --bindir)" --host="$PGHOST" --port="$PGPORT" --user="$user" \
				--use-existing --dbname=regression "$name" >"$dir/pg_regress.log" 2>&1
		status=$?
		ms_cluster_stop
	else
		status=1
	fi
	[ -z "${MS_ACCEPT:-}" ] || cp "$dir/out/results/$name.out" "$MS_TOP/expected/$name.out"
	if [ "$status" = 0 ]; then
		echo "ok $name ($flavor, $((($(date +%s%N) - began) / 1000000)) ms)"
		rm -rf "$dir/server"
	else
		echo "not ok $name ($flavor)"
		if [ -s "$dir/out/regression.diffs" ]; then
			head -n 100 "$dir/out/regression.diffs"
		else
			cat "$dir/start.log" "$dir/pg_regress.log" 2>/dev/null
		fi
		[ ! -f "$dir/server/server.log" ] || grep -E 'PANIC|terminated by signal' -A2 "$dir/server/server.log" | head -n 20
	fi
}

ms_regress() {
	local flavor=$1 result line
	MS_ROOT=${2:-$(ms_root "$flavor")}
	[ -n "$MS_ROOT" ] || { ms_report "not ok" "build of the $flavor flavour"; return; }
	export MS_ROOT MS_TOP MS_WORK PG_CONFIG
	ms_cluster_template || { ms_report "not ok" "initdb"; return; }
	while IFS= read -r line; do
		case $line in
		"ok "*) ms_report ok "${line#ok }" ;;
		"not ok "*) ms_report "not ok" "${line#not ok }" ;;
		*) printf '%s\n' "$line" ;;
		esac
	done < <(ms_regress_names "$flavor" |
		xargs -P "$(nproc)" -I{} bash -c '. "$MS_TOP/test/lib/stage.sh"; . "$MS_TOP/test/lib/regress.sh"
			result=$(ms_regress_one "$1" "$2" 2>&1); printf "%s\n" "$result"' - "$flavor" {})
}
