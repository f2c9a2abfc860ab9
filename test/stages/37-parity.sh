# The two flavours have the same objects: names, arguments, results, volatility, parallel safety, strictness, grants and
# comments.  test/native_only lists what cannot be the same.
. "$MS_TOP/test/lib/stage.sh"
ms_cluster_template || { ms_report "not ok" "initdb"; ms_done; exit; }

# The catalog of one flavour, with every companion that it brings.
catalog() (
	MS_ROOT=$(ms_root "$1") || exit 1
	ms_cluster_start "$MS_WORK/parity-$1" || exit 1
	trap ms_cluster_stop EXIT
	psql -X -q -v ON_ERROR_STOP=1 -c "CREATE EXTENSION mentalspace" &&
		for control in "$MS_ROOT$("$PG_CONFIG" --sharedir)"/extension/*.control; do
			grep -q "^comment = 'mentalspace companion" "$control" || continue
			psql -X -q -v ON_ERROR_STOP=1 -c "CREATE EXTENSION \"$(basename "$control" .control)\" CASCADE" || exit 1
		done && psql -X -q -f "$MS_TOP/test/lib/catalog.sql"
)

for flavor in native trusted; do
	if catalog "$flavor" >"$MS_WORK/catalog.$flavor"; then
		ms_report ok "catalog of the $flavor flavour: $(wc -l <"$MS_WORK/catalog.$flavor") lines"
	else
		ms_report "not ok" "catalog of the $flavor flavour"
	fi
done

# Lines of the first catalog that the second lacks, without those that test/native_only names by their beginning.
missing() {
	comm -23 <(LC_ALL=C sort "$1") <(LC_ALL=C sort "$2") |
		awk -v words="$3" 'FNR == NR { if ($0 !~ /^#/ && match(words, $1)) { sub(/^[a-z]+ +/, ""); known[$0] } next }
			{ for (k in known) if (index($0, k) == 1) next; print }' "$MS_TOP/test/native_only" -
}
only=$(missing "$MS_WORK/catalog.native" "$MS_WORK/catalog.trusted" "native differs")
[ -z "$only" ] && ms_report ok "the trusted flavour lacks nothing unexplained" ||
	ms_report "not ok" "native alone has, or has different:"$'\n'"$only"
only=$(missing "$MS_WORK/catalog.trusted" "$MS_WORK/catalog.native" "differs trusted")
[ -z "$only" ] && ms_report ok "the native flavour lacks nothing" ||
	ms_report "not ok" "trusted alone has, or has different:"$'\n'"$only"
# The list must not grow old.
while read -r word line; do
	case $word in "" | "#"*) continue ;; esac
	catalog=$MS_WORK/catalog.native
	[ "$word" != trusted ] || catalog=$MS_WORK/catalog.trusted
	grep -qF "$line" "$catalog" || ms_report "not ok" "test/native_only names what is not there: $line"
done <"$MS_TOP/test/native_only"
ms_done
