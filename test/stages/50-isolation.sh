# Isolation tests: test/isolation/specs/NAME.spec, compared with test/isolation/expected/NAME.out, on the native flavour.
. "$MS_TOP/test/lib/stage.sh"
# MS_SPEC=NAME runs one.
specs=("$MS_TOP"/test/isolation/specs/${MS_SPEC:-*}.spec)
[ -f "${specs[0]}" ] || { ms_done; exit; }
MS_ROOT=$(ms_root native) || { ms_report "not ok" "build"; ms_done; exit; }
dir=$MS_WORK/isolation
mkdir -p "$dir/out"
ms_cluster_start "$dir/server" "shared_preload_libraries = 'mentalspace'" || { ms_report "not ok" "start of the server"; ms_done; exit; }
trap ms_cluster_stop EXIT
for spec in "${specs[@]}"; do
	name=$(basename "$spec" .spec)
	psql -X -q -c "DROP DATABASE IF EXISTS isolation WITH (FORCE)" -c "CREATE DATABASE isolation" 2>/dev/null
	psql -X -q -d isolation -c "CREATE EXTENSION mentalspace"
	if "$(dirname "$("$PG_CONFIG" --pgxs)")/../test/isolation/pg_isolation_regress" --inputdir="$MS_TOP/test/isolation" \
		--outputdir="$dir/out" --bindir="$("$PG_CONFIG" --bindir)" --host="$PGHOST" --port="$PGPORT" --user="$PGUSER" \
		--use-existing --dbname=isolation "$name" >"$dir/$name.log" 2>&1; then
		ms_report ok "$name"
	else
		ms_report "not ok" "$name"
		cat "$dir/out/regression.diffs" 2>/dev/null || cat "$dir/$name.log"
	fi
done
ms_done
