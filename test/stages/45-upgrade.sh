# ALTER EXTENSION UPDATE: from every version in test/upgrade, on both flavours, the catalog becomes that of a fresh install,
# and policies that depend on the extension, declarations and events live on.
. "$MS_TOP/test/lib/stage.sh"
ms_cluster_template || { ms_report "not ok" "initdb"; ms_done; exit; }
version=$(sed -n "s/^default_version = '\(.*\)'/\1/p" "$MS_TOP/mentalspace.control")

# psql as superuser for native, as the NOSUPERUSER owner of the database for trusted.
run() { psql -X -q -v ON_ERROR_STOP=1 -U "$user" "$@"; }

# upgrade VERSION: installs it in $database, updates, and prints what a user then sees.
upgrade() {
	run -d "$database" >/dev/null <<-END || return 1
		CREATE EXTENSION mentalspace VERSION '$1';
		CREATE TABLE notes (owner uuid, body text);
		ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
		ALTER TABLE notes FORCE ROW LEVEL SECURITY;
		CREATE POLICY own ON notes USING (owner = auth.uid()) WITH CHECK (true);
		CREATE VIEW me AS SELECT auth.uid() AS id, auth.role() AS role;
		INSERT INTO notes VALUES ('00000000-0000-4000-8000-00000000000a', 'a'), ('00000000-0000-4000-8000-00000000000b', 'b');
		CREATE TABLE before AS SELECT 'auth.uid()'::regprocedure::oid AS uid;
		CREATE TABLE visits (id int PRIMARY KEY, patient int, reason text);
		SELECT mentalspace.audit_table('visits', 'patient', reads => false, redact => '{reason}');
		INSERT INTO visits VALUES (1, 7, 'before');
		ALTER EXTENSION mentalspace UPDATE;
	END
	run -At -d "$database" <<-'END'
		SELECT 'version ' || extversion FROM pg_extension WHERE extname = 'mentalspace';
		UPDATE visits SET patient = 8;
		SELECT mentalspace.audit_table('visits', 'patient', reads => false, redact => '{reason}');
		DELETE FROM visits;
		SELECT string_agg(concat(action, array_to_string(patient_ids, ',')), ' ' ORDER BY event_id)
		  FROM mentalspace.audit_events WHERE kind = 'data_modification';
		SELECT 'same function ' || (uid = 'auth.uid()'::regprocedure) FROM before;
		CREATE ROLE reader;
		GRANT reader TO CURRENT_USER;
		GRANT SELECT ON notes, me TO reader;
		SET request.jwt.claims = '{"sub": "00000000-0000-4000-8000-00000000000b", "role": "r"}';
		SET ROLE reader;
		SELECT 'sees ' || string_agg(body, ',') || ' as ' || (SELECT role FROM me) FROM notes;
	END
}

for flavor in native trusted; do
	root=$MS_WORK/upgrade-$flavor
	if ! (ms_install "$root" FLAVOR=$flavor) >"$MS_WORK/upgrade-$flavor.log" 2>&1; then
		tail -n 20 "$MS_WORK/upgrade-$flavor.log"
		ms_report "not ok" "build of the $flavor flavour with updates"
		continue
	fi
	for old in "$MS_TOP"/test/upgrade/*/; do
		cp "$old$flavor.sql" "$root$("$PG_CONFIG" --sharedir)/extension/mentalspace--$(basename "$old").sql"
	done
	user=postgres
	[ "$flavor" = native ] || user=owner
	MS_ROOT=$root ms_cluster_start "$MS_WORK/upgrade-server-$flavor" || { ms_report "not ok" "start of the server"; continue; }
	[ "$user" = postgres ] || psql -X -q -c "CREATE ROLE owner LOGIN CREATEROLE"
	psql -X -q -c "CREATE DATABASE fresh OWNER $user"
	run -d fresh -c "CREATE EXTENSION mentalspace"
	run -d fresh -v bodies=on -f "$MS_TOP/test/lib/catalog.sql" >"$MS_WORK/upgrade.fresh"
	for old in "$MS_TOP"/test/upgrade/*/; do
		from=$(basename "$old") database=from_$(basename "$old")
		psql -X -q -c "CREATE DATABASE \"$database\" OWNER $user"
		got=$(upgrade "$from" 2>&1)
		wanted=$(printf '%s\n' "version $version" "" "C7 U7,8 D8" "same function true" "sees b as r")
		[ "$got" = "$wanted" ] && ms_report ok "$flavor: $from to $version, policies, declarations and events live on" ||
			ms_report "not ok" "$flavor: $from to $version"$'\n'"$got"
		run -d "$database" -v bodies=on -f "$MS_TOP/test/lib/catalog.sql" >"$MS_WORK/upgrade.updated"
		if difference=$(diff "$MS_WORK/upgrade.fresh" "$MS_WORK/upgrade.updated"); then
			ms_report ok "$flavor: catalog of $from after the update is that of a fresh install"
		else
			ms_report "not ok" "$flavor: fresh install (<) and update from $from (>)"$'\n'"$difference"
		fi
	done
	ms_cluster_stop
done
ms_done
