# Unit tests of src/core, which needs no server: ctest.
. "$MS_TOP/test/lib/stage.sh"
build=$MS_WORK/cmake-unit
if ! { cmake -S "$MS_TOP" -B "$build" -DCMAKE_BUILD_TYPE=Debug -DPG_CONFIG="$PG_CONFIG" &&
	cmake --build "$build" -j"$(nproc)"; } >"$MS_WORK/unit-build.log" 2>&1; then
	tail -n 40 "$MS_WORK/unit-build.log"
	ms_report "not ok" "build of the unit tests"
	ms_done
	exit
fi
while IFS= read -r line; do
	case $line in
	*" Passed "*) ms_passed=$((ms_passed + 1)) ;;
	*"***"*) ms_report "not ok" "$line" ;;
	esac
done < <(cd "$build" && ctest -j"$(nproc)" --output-on-failure 2>&1 | tee "$MS_WORK/ctest.log")
[ "$ms_failed" = 0 ] || cat "$MS_WORK/ctest.log"
[ $((ms_passed + ms_failed)) -gt 0 ] || ms_report "not ok" "ctest ran no test"
ms_done
