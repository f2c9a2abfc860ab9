# The JSON reader inside a server: in databases whose encoding is not UTF-8, and with errors raised inside the parser.
. "$MS_TOP/test/lib/stage.sh"

dir=$MS_WORK/json-reader
mkdir -p "$dir" && chmod 755 "$dir"
# same SQL EXPECTED NAME: one statement whose output is known
same() {
	local got
	got=$(psql -qAtX -d "$database" -c "$1" 2>&1)
	if [ "$got" = "$2" ]; then ms_report ok "$database: $3"; else
		ms_report "not ok" "$database: $3"
		printf '    expected: %s\n    got:      %s\n' "$2" "$got"
	fi
}

if ! "${CXX:-g++}" -std=c++20 -O1 -Wall -Wextra -Werror -D_GNU_SOURCE -fPIC -shared -I"$MS_TOP/src" \
	-isystem "$("$PG_CONFIG" --includedir-server)" -o "$dir/probe.so" "$MS_TOP/test/backend/json_reader_probe.cpp" \
	"$MS_TOP/src/core/json.cpp" >"$dir/build.log" 2>&1; then
	cat "$dir/build.log"
	ms_report "not ok" "the probe builds"
	ms_done
	exit
fi
trap ms_cluster_stop EXIT
MS_ROOT='' ms_cluster_start "$dir/cluster" || { ms_report "not ok" "a server starts"; ms_done; exit; }

for encoding in UTF8 LATIN1 SQL_ASCII EUC_JP; do
	database=in_$encoding
	createdb -T template0 -E $encoding --lc-collate=C --lc-ctype=C "$database"
	psql -qX -d "$database" \
		-c "CREATE FUNCTION describe(bytea) RETURNS text LANGUAGE c AS '$dir/probe', 'ms_probe_describe'" \
		-c "CREATE FUNCTION fault(int, int) RETURNS text LANGUAGE c AS '$dir/probe', 'ms_probe_fault'"
	same "SELECT describe(convert_to(
		'{\"a\":\"\\u00e9\\u20ac\\ud83d\\ude00\",\"b\":\"x\\u0041\\n\",\"c\":1e5}', 'SQL_ASCII'))" \
		'a=c3a9e282acf09f9880 b=78410a c=316535' "escapes become UTF-8 in any encoding"
	same "SELECT describe('\\x7b2261223a22c3a9e282acf09f9880227d')" 'a=c3a9e282acf09f9880' "UTF-8 stays as it is"
	same "SELECT describe('\\x7b2261223a22e9227d')" 'not valid UTF-8' "other bytes are refused"
	same "SELECT describe(convert_to('{\"a\":\"\\ud800\"}', 'SQL_ASCII'))" \
		'half of a surrogate pair in JSON' "lone surrogates are refused"
	same "SELECT describe(convert_to('{\"a\":\"\\u0000\"}', 'SQL_ASCII'))" 'NUL in JSON' "NUL is refused"
	same "SELECT describe(convert_to('{\"a\" 1}', 'SQL_ASCII'))" 'not valid JSON' "syntax errors raise nothing"
	same "SELECT fault(0, 100)" '0 caught, state as before' "without a fault"
	same "SELECT fault(1, 100)" '100 caught, state as before' "an error within the parser"
	same "SELECT fault(2, 100)" '100 caught, state as before' "out of memory within the parser"
	same "SELECT sum(length(fault(n % 3, 1000))) > 0, (SELECT total_bytes <= 8192 FROM pg_backend_memory_contexts
		WHERE name = 'mentalspace JSON') FROM generate_series(1, 30) n" 't|t' "no memory is left behind"
done
ms_done
