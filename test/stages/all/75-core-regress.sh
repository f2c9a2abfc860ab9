# PostgreSQL's own regression tests print the same with the library loaded as without: those that have to do with policies,
# plans, prepared statements and privileges.  The tests come from the server's source package.  Their output is compared
# between the two servers, not with the expected files, because some depend on tests that are left out here.
# So do they with reads of every table that they make audited: an event trigger declares each as it is made.
. "$MS_TOP/test/lib/stage.sh"

tests=(test_setup rowsecurity updatable_views plancache prepare merge insert_conflict returning with subselect
	select_views privileges rangefuncs join aggregates groupingsets window union portals partition_join partition_prune
	select_parallel inherit plpgsql tsrf)
dir=$MS_WORK/core
major=$("$PG_CONFIG" --version | sed -E 's/^PostgreSQL ([0-9]+).*/\1/')
package=$(dpkg-query -W -f '${source:Package}' "postgresql-$major" 2>/dev/null)

# Debian's archives as this machine has them, as archives of sources.
list_of_sources() {
	local file
	for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
		[ ! -f "$file" ] || sed -nE 's/^deb[[:space:]]/deb-src /p' "$file"
	done >"$dir/sources.list"
	for file in /etc/apt/sources.list.d/*.sources; do
		[ ! -f "$file" ] || { sed -E 's/^Types:.*/Types: deb-src/' "$file"; echo; }
	done >"$dir/deb822.sources"
	[ -s "$dir/sources.list" ] && list=$dir/sources.list || list=$dir/deb822.sources
}

source_of_server() {
	local options version
	mkdir -p "$dir/lists/partial" "$dir/source"
	chmod 755 "$dir" "$dir/source"
	list_of_sources
	options=(-o "Dir::Etc::sourcelist=$list" -o "Dir::Etc::sourceparts=-" -o "Dir::State::lists=$dir/lists"
		-o "APT::Sandbox::User=root")
	apt-get -qq "${options[@]}" update && cd "$dir" || return 1
	# The installed version, or else another minor release: both servers run the same tests anyway.
	for version in $(dpkg-query -W -f '${source:Version}' "postgresql-$major") \
		$(apt-cache "${options[@]}" showsrc "$package" | sed -n 's/^Version: //p' | sort -rV); do
		apt-get -qq "${options[@]}" source --download-only --tar-only "$package=$version" && break
	done
	tar -xf "$dir"/postgresql-*.orig.tar.* -C "$dir/source" --strip-components=1 --wildcards '*/src/test/regress'
}

# Tables of roles without rights, and those whose first column cannot be a key, stay as they are.
declare_all() {
	psql -qX -v ON_ERROR_STOP=1 -d regression <<-'SQL'
		CREATE EXTENSION mentalspace;
		CREATE FUNCTION mentalspace.declare_all() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
		DECLARE
		    made record;
		    key text;
		BEGIN
		    FOR made IN SELECT objid FROM pg_event_trigger_ddl_commands() WHERE object_type IN ('table', 'materialized view') LOOP
		        SELECT quote_ident(attname) INTO key FROM pg_attribute
		         WHERE attrelid = made.objid AND attnum > 0 AND NOT attisdropped ORDER BY attnum LIMIT 1;
		        BEGIN
		            PERFORM mentalspace.audit_table(made.objid, key, writes => false);
		        EXCEPTION WHEN OTHERS THEN
		            NULL;
		        END;
		    END LOOP;
		END
		$$;
		CREATE EVENT TRIGGER declare_all ON ddl_command_end
		    WHEN TAG IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'CREATE MATERIALIZED VIEW')
		    EXECUTE FUNCTION mentalspace.declare_all();
	SQL
}

# A server's output: run NAME [conf lines].
run() {
	local name=$1 status
	shift
	# Computed, but not shown by EXPLAIN.
	ms_cluster_start "$dir/$name" "compute_query_id = regress" "$@" || return 1
	psql -qX -c "CREATE DATABASE regression TEMPLATE template0" || return 1
	[ "$name" != audited ] || declare_all || return 1
	mkdir -p "$dir/out-$name"
	chmod 777 "$dir/out-$name"
	"$(dirname "$("$PG_CONFIG" --pgxs)")/../test/regress/pg_regress" --inputdir="$dir/source/src/test/regress" \
		--outputdir="$dir/out-$name" --bindir="$("$PG_CONFIG" --bindir)" --host="$PGHOST" --port="$PGPORT" \
		--user="$PGUSER" --dlpath="$dir" --use-existing --dbname=regression --max-connections=1 "${tests[@]}" >"$dir/$name.log" 2>&1
	[ "$name" != audited ] ||
		events=$(psql -qXAt -d regression -c "SELECT count(*) FROM mentalspace.audit_events WHERE kind = 'phi_access'")
	ms_cluster_stop
	! grep -qE 'terminated by signal|PANIC' "$dir/$name/server.log"
}

MS_ROOT=$(ms_root native) || { ms_report "not ok" "build"; ms_done; exit; }
mkdir -p "$dir"
if [ -z "$package" ] || ! source_of_server >"$dir/source.log" 2>&1; then
	tail -n 5 "$dir/source.log"
	ms_report "not ok" "the server's source package"
	ms_done
	exit
fi
run without || ms_report "not ok" "run without the library"
compare() { # compare NAME
	local name
	for name in "${tests[@]}"; do
		if [ -s "$dir/out-without/results/$name.out" ] &&
			diff -u "$dir/out-without/results/$name.out" "$dir/out-$1/results/$name.out"; then
			ms_report ok "$name, $1"
		else
			ms_report "not ok" "$name, $1"
		fi
	done
}
for mode in hoist full; do
	run "$mode" "session_preload_libraries = 'mentalspace'" "mentalspace.rls_optimize = $mode" ||
		ms_report "not ok" "run with rls_optimize = $mode"
	compare "$mode"
done
events=0
run audited "shared_preload_libraries = 'mentalspace'" || ms_report "not ok" "run with audited tables"
compare audited
if [ "$events" -gt 500 ]; then ms_report ok "$events events of reads"; else ms_report "not ok" "$events events of reads"; fi
ms_done
