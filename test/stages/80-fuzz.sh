# The parsers of tokens, claims and key sets against random input, under AddressSanitizer and UBSan, each
# MS_FUZZ_SECONDS (60) long and side by side.  Inputs that break something are kept in MS_FUZZ_KEEP (default
# build/fuzz-findings).
. "$MS_TOP/test/lib/stage.sh"

seconds=${MS_FUZZ_SECONDS:-60}
keep=${MS_FUZZ_KEEP:-$MS_TOP/build/fuzz-findings}
work=$MS_WORK/fuzz
fuzzers="token_fuzz claims_fuzz jwks_fuzz"
compiler=$(command -v clang++-14 || command -v clang++)
export ASAN_OPTIONS=detect_leaks=0:abort_on_error=1 UBSAN_OPTIONS=print_stacktrace=1

build() {
	cmake -S "$MS_TOP" -B "$work" -DCMAKE_CXX_COMPILER="$compiler" -DMS_FUZZ=ON -DMS_SANITIZE=address,undefined \
		-DPG_CONFIG="$PG_CONFIG" && cmake --build "$work" -j"$(nproc)" --target fuzz_seeds $fuzzers
}
if ! build >"$MS_WORK/fuzz-build.log" 2>&1; then
	tail -n 30 "$MS_WORK/fuzz-build.log"
	ms_report "not ok" "the fuzzers build"
	ms_done
	exit
fi
mkdir -p "$keep"
"$work/fuzz_seeds" "$work/seeds"

for fuzzer in $fuzzers; do
	"$work/$fuzzer" -max_total_time="$seconds" -max_len=4096 -timeout=10 -dict="$work/seeds/jose.dict" \
		-artifact_prefix="$keep/$fuzzer-" -print_final_stats=1 "$work/seeds/$fuzzer" >"$MS_WORK/$fuzzer.log" 2>&1 &
	pids="${pids:-} $fuzzer:$!"
done
for pair in $pids; do
	fuzzer=${pair%%:*}
	if wait "${pair##*:}"; then result=ok; else result="not ok"; fi
	executed=$(sed -n 's/^stat::number_of_executed_units: *//p' "$MS_WORK/$fuzzer.log")
	[ -n "$executed" ] || result="not ok"
	[ "$result" = ok ] || tail -n 40 "$MS_WORK/$fuzzer.log"
	ms_report "$result" "$fuzzer: ${executed:-no} executions"
done
ms_done
