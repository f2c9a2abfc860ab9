# The verifier against npm's jose and jsonwebtoken (see test/clients/differential).  MS_DIFFERENTIAL_ROUNDS (10)
# rounds over all algorithms.
. "$MS_TOP/test/lib/stage.sh"

work=$MS_WORK/differential
clients() {
	cp -r "$MS_TOP/test/clients/differential" "$work" && cd "$work" && npm install --no-audit --no-fund --silent
}
tool() {
	cmake -S "$MS_TOP" -B "$work/build" -DPG_CONFIG="$PG_CONFIG" &&
		cmake --build "$work/build" -j"$(nproc)" --target token_tool
}
if ! clients >"$work.log" 2>&1; then
	tail -n 20 "$work.log"
	ms_report "not ok" "npm installs jose and jsonwebtoken"
elif ! tool >"$work.log" 2>&1; then
	tail -n 20 "$work.log"
	ms_report "not ok" "token_tool builds"
else
	node differential.mjs "$work/build/token_tool" "${MS_DIFFERENTIAL_ROUNDS:-10}"
	exit
fi
ms_done
