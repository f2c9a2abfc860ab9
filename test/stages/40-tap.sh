# TAP tests: test/tap/*.pl, each with servers of its own (PostgreSQL::Test::Cluster), as the user postgres.
# They find the two flavours in MS_ROOT_NATIVE and MS_ROOT_TRUSTED; see test/tap/lib/MentalspaceTest.pm.
. "$MS_TOP/test/lib/stage.sh"
MS_ROOT_NATIVE=$(ms_root native) && MS_ROOT_TRUSTED=$(ms_root trusted) || { ms_report "not ok" "build"; ms_done; exit; }
export MS_ROOT_NATIVE MS_ROOT_TRUSTED PG_CONFIG
# From a copy: the user postgres cannot look into root's home, where the tree may be.
tree=$MS_WORK/tree
mkdir -p "$tree"
chmod 755 "$tree"
tar -C "$MS_TOP" --exclude=./.git --exclude=./build --exclude='*.o' -cf - . | tar -C "$tree" --no-same-owner -xf -
export MS_TOP=$tree
pgxs=$(dirname "$("$PG_CONFIG" --pgxs)")/../..
export PG_REGRESS=$pgxs/src/test/regress/pg_regress
export PERL5LIB=$pgxs/src/test/perl:$MS_TOP/test/tap/lib
export PATH=$("$PG_CONFIG" --bindir):$PATH
unset PGHOST PGPORT PGUSER PGDATABASE

# One file; all that it leaves is below MS_WORK.
one() {
	local name=$1 dir=$MS_WORK/tap/$1
	mkdir -p "$dir"
	chmod 755 "$MS_WORK/tap" "$dir"
	[ "$(id -u)" != 0 ] || chown postgres "$dir"
	ms_as_server_user bash -c 'cd "$1" && exec perl "$2" >tap.out 2>&1' - \
		"$dir" "$MS_TOP/test/tap/$name.pl"
	echo $? >"$dir/status"
}
export -f one ms_as_server_user
# MS_TAP=NAME runs that file alone.
began=$SECONDS
ls "$MS_TOP"/test/tap/${MS_TAP:-*}.pl 2>/dev/null | sed 's|.*/||; s|\.pl$||' | xargs -r -P "$(nproc)" -I{} bash -c 'one {}'

for file in "$MS_TOP"/test/tap/${MS_TAP:-*}.pl; do
	[ -f "$file" ] || continue
	name=$(basename "$file" .pl)
	out=$MS_WORK/tap/$name/tap.out
	passed=$(grep -E '^ok ' "$out" | grep -vcE '# skip' || true)
	failed=$(grep -cE '^not ok ' "$out" || true)
	skipped=$(grep -E '^ok .*# skip|^1\.\.0 # SKIP' "$out" || true)
	ms_passed=$((ms_passed + passed)) ms_failed=$((ms_failed + failed))
	echo "$name: $passed passed, $failed failed"
	[ -z "$skipped" ] || printf '%s\n' "$skipped"
	# It ended early, or its plan was not kept.
	if [ "$failed" = 0 ] && { [ "$(cat "$MS_WORK/tap/$name/status")" != 0 ] || ! grep -qE '^1\.\.[0-9]' "$out"; }; then
		ms_report "not ok" "$name ended early"
		failed=1
	fi
	if [ "$failed" != 0 ]; then
		grep -E -A12 '^not ok|^ +not ok' "$out" | head -n 60
		tail -n 20 "$MS_WORK/tap/$name/tmp_check/log"/regress_log_*
	fi
done
ms_done
