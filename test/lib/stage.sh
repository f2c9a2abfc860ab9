# What the stages of test/check share.  To be sourced by bash; test/check has set MS_TOP and MS_WORK.
#
#   ms_root FLAVOR               prints the DESTDIR with that flavour installed; builds and installs it the first time; all
#                                companions are in it, those of packaged extensions too
#   ms_supabase_cli DIR          installs the Supabase CLI from npm below DIR, and prints its path
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

# The program itself: the script that npm puts before it needs a newer Node than Debian's.
ms_supabase_cli() {
	if ! { mkdir -p "$1" && cp "$MS_TOP/test/clients/cli/package.json" "$1/" && cd "$1" && npm install --no-audit --no-fund --silent; } >"$1.log" 2>&1; then
		tail -n 20 "$1.log" >&2
		return 1
	fi
	find "$1/node_modules/@supabase" -path "*/cli-linux-*/bin/supabase" -not -path '*-musl/*' -type f | head -n 1
}

ms_report() {
	if [ "$1" = ok ]; then ms_passed=$((ms_passed + 1)); else ms_failed=$((ms_failed + 1)); fi
	echo "$1 $2"
}

ms_done() {
	echo "$ms_passed passed, $ms_failed failed"
	[ "$ms_failed" = 0 ]
}
