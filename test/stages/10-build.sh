# The build, from a clean copy: no warnings, nothing exported that need not be, both build systems make the same module,
# and the trusted flavour needs no library.
. "$MS_TOP/test/lib/stage.sh"
copy=$MS_WORK/build-copy
mkdir -p "$copy"
(cd "$MS_TOP" && git ls-files -z --cached --others --exclude-standard 2>/dev/null | xargs -0 -r cp --parents -t "$copy")
[ -f "$copy/Makefile" ] || cp -a "$MS_TOP/." "$copy"
log=$MS_WORK/build.log

# expect WHAT COMMAND...: one result; on failure the output of the command is shown.
expect() {
	local what=$1
	shift
	if "$@" >"$log" 2>&1; then ms_report ok "$what"; else ms_report "not ok" "$what"; tail -n 40 "$log"; fi
}
quiet_make() {
	make -C "$copy" -s -j"$(nproc)" PG_CONFIG="$PG_CONFIG" "$@" 2>&1 | tee "$MS_WORK/make.log"
	[ "${PIPESTATUS[0]}" = 0 ] && ! grep -iE 'warning|error' "$MS_WORK/make.log"
}
# What a module gives to the server, sorted.
exported() {
	nm -D --defined-only "$1" | awk '{ print $NF }' | sed 's/@.*//' | sort
}
# Everything exported is the magic block, _PG_init, an SQL-callable function that an install script names, or the entry
# point of a background worker.
only_sql_callable() {
	local symbols
	symbols=$(cat "$copy"/sql-build/*.sql "$copy"/sql-build/companions/*.sql |
		grep -oE "'ms_[a-z0-9_]+'" | tr -d "'" | sort -u)
	{ printf '%s\n' Pg_magic_func _PG_init; grep -rhoE '"ms_[a-z_]+_main"' "$copy/src" | tr -d '"' | sort -u; for s in $symbols; do printf '%s\n' "$s" "pg_finfo_$s"; done; } |
		sort | diff - <(exported "$copy/mentalspace.so")
}
cmake_exports_the_same() {
	cmake -S "$copy" -B "$MS_WORK/cmake-module" -DCMAKE_BUILD_TYPE=Release -DPG_CONFIG="$PG_CONFIG" &&
		cmake --build "$MS_WORK/cmake-module" --target mentalspace_module -j"$(nproc)" &&
		diff <(exported "$copy/mentalspace.so") <(exported "$(find "$MS_WORK/cmake-module" -name mentalspace.so)")
}
trusted_is_clean() {
	"$copy/test/lib/check_trusted" "$copy"/dist/*.sql "$copy"/dist/companions/*.sql
}
# The check itself must see what it is there for.
check_trusted_can_fail() {
	local file=$MS_WORK/bad.sql line
	while IFS= read -r line; do
		printf '%b\n' "$line" >"$file"
		! "$copy/test/lib/check_trusted" "$file" 2>/dev/null || { echo "not seen: $line"; return 1; }
	done <<-'END'
		CREATE FUNCTION f() RETURNS int LANGUAGE C AS 'x';
		CREATE FUNCTION f() RETURNS int LANGUAGE\n\t'c' AS 'x';
		CREATE FUNCTION f() RETURNS int AS 'MODULE_PATHNAME';
		CREATE FUNCTION f() RETURNS int AS '$libdir/x';
		\\\\echo hello
	END
}

expect "the native flavour builds without a warning" quiet_make
expect "only SQL-callable functions are exported" only_sql_callable
expect "the CMake build exports the same symbols" cmake_exports_the_same
expect "the trusted flavour builds without a compiler" quiet_make FLAVOR=trusted CC=false CXX=false
expect "the scripts for pg_tle are made" quiet_make FLAVOR=trusted pgtle
expect "no library, C function or psql command in the trusted flavour" trusted_is_clean
expect "and the check for that sees one" check_trusted_can_fail
expect "make clean leaves nothing behind" bash -c "make -C '$copy' -s PG_CONFIG='$PG_CONFIG' clean &&
	! find '$copy' -name '*.o' -o -name '*.so' -o -name dist -o -name sql-build | grep ."
ms_done
