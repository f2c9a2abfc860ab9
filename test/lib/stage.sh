# What the stages of test/check share.  To be sourced by bash; test/check has set MS_TOP and MS_WORK.
#
#   ms_root FLAVOR               prints the DESTDIR with that flavour installed; builds and installs it the first time; all
#                                companions are in it, those of packaged extensions too
#   ms_report ok|"not ok" WHAT   counts and prints one result
#   ms_done                      prints the stage's last line, the count; its status says whether anything failed

set -u
. "$MS_TOP/test/lib/cluster.sh"
ms_passed=0 ms_failed=0

ms_root() {
	local root=$MS_WORK/root-$1
	if [ ! -d "$root" ]; then
		ms_install "$root.new" "FLAVOR=$1" FORCE_COMPANIONS=1 >"$MS_WORK/install-$1.log" 2>&1 ||
			{ echo "the $1 flavour does not build:" >&2; tail -n 30 "$MS_WORK/install-$1.log" >&2; return 1; }
		mv "$root.new" "$root"
	fi
	echo "$root"
}

ms_report() {
	if [ "$1" = ok ]; then ms_passed=$((ms_passed + 1)); else ms_failed=$((ms_failed + 1)); fi
	echo "$1 $2"
}

ms_done() {
	echo "$ms_passed passed, $ms_failed failed"
	[ "$ms_failed" = 0 ]
}
