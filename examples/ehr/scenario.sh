#!/bin/bash
# examples/ehr/scenario.sh DIR: signs each person of scenario.people in with the token that tokens.sh left in DIR, asks
# what they see (scenario.sees), and lets them try what scenario.does says.  Prints it as tables, and ends with
# `N passed, N failed`; the exit status is 0 only if everything was as the files say.
#
# The database is that of PGHOST, PGDATABASE, ...; every person connects as authenticator, as an application does, and
# the connecting user only lists the tables.
set -u
here=$(cd "$(dirname "$0")" && pwd)
tokens=${1:?usage: scenario.sh DIR}
work=$(mktemp -d "${TMPDIR:-/tmp}/scenario.XXXXXX")
trap 'rm -rf "$work"' EXIT
PSQL=(psql -qXAt -F ' ' -v ON_ERROR_STOP=0 -v VERBOSITY=terse)
tables() { # tables FILE: without comments and empty lines
	sed -e '/^#/d' -e '/^ *$/d' "$here/$1"
}

# Who is asking: the one place that signs somebody in.  Goes at the start of each transaction.
sign_in="SELECT mentalspace.login(:'token') \\g /dev/null"

# A check in a transaction of its own: `@ ID ERROR SQLSTATE ROWS COUNT MESSAGE` is what came of it.
attempt() { # attempt ID STATEMENT (ends in ; or a psql command)
	printf '%s\n' '\set count -' 'BEGIN;' "$sign_in" '\if :ERROR' '\else' '\o /dev/null' "$2" '\o' '\endif' \
		"\\echo @ $1 :ERROR :SQLSTATE :ROW_COUNT :count :LAST_ERROR_MESSAGE" 'ROLLBACK;'
}

# ---- one psql script per person, all expectations in one file ----
read -ra people < <(tables scenario.sees | head -n 1)
people=("${people[@]:1}")
declare -A words
while read -r name _ _ _ _ text; do
	words[$name]=$text
	if [ ! -s "$tokens/$name" ]; then
		echo "no token of $name in $tokens: examples/ehr/tokens.sh makes them"
		echo "0 passed, 1 failed"
		exit 1
	fi
	# In a file of ours, where no list of processes shows it.
	printf '\\set token %s\n' "$(<"$tokens/$name")" >"$work/$name.psql"
done < <(tables scenario.people)

while read -r table expected; do
	column=0
	for want in $expected; do
		name=${people[$column]} column=$((column + 1))
		attempt "sees.$table.$name" "SELECT count(*) AS count FROM $table \\gset" >>"$work/$name.psql"
		echo "sees.$table.$name $want" >>"$work/wanted"
	done
done < <(tables scenario.sees | tail -n +2)

attempts=0 statement=
add_attempt() { [ -z "$statement" ] || attempt "does.$attempts" "$statement;" >>"$work/$who.psql"; }
while IFS= read -r line; do
	case "$line" in
	" "*) statement+=$line$'\n' ;;
	*)
		add_attempt
		read -r who want text <<<"$line"
		attempts=$((attempts + 1)) statement=
		echo "does.$attempts $want" >>"$work/wanted"
		printf '%s\t%s\t%s\n' "$attempts" "$who" "$text" >>"$work/attempts"
		;;
	esac
done < <(tables scenario.does)
add_attempt

# ---- run, and compare ----
for name in "${!words[@]}"; do
	"${PSQL[@]}" -U authenticator -f "$work/$name.psql" >>"$work/output" 2>>"$work/messages"
done
# A number of rows, !SQLSTATE, or of a refused token !SQLSTATE/reason.
awk '$1 == "@" {
	reason = $0
	if (!sub(/^.*token refused: /, "/", reason)) reason = ""
	gsub(/ /, "_", reason)
	print $2, ($3 == "true" ? "!" $4 ($4 == "28000" ? reason : "") : $6 != "-" ? $6 : $5)
}' "$work/output" >"$work/got"
declare -A got wanted
while read -r id value; do got[$id]=$value; done <"$work/got"
passed=0 failed=0
while read -r id value; do
	wanted[$id]=$value
	if [ "${got[$id]:-nothing}" = "$value" ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
done <"$work/wanted"

# ---- tell ----
echo "Who signs in"
echo
for name in "${people[@]}"; do printf '  %-11s %s\n' "$name" "${words[$name]}"; done
declare -A width
# A cell must hold "refused".
for name in "${people[@]}"; do width[$name]=$((${#name} > 7 ? ${#name} : 7)); done
printf '\nWhat each may see: rows of the table, a point for none\n\n  %-25s' table
for name in "${people[@]}"; do printf ' %*s' "${width[$name]}" "$name"; done
echo
wrong=()
while read -r table _; do
	printf '  %-25s' "$table"
	for name in "${people[@]}"; do
		id=sees.$table.$name value=${got[$id]:-nothing}
		case "$value" in
		0) cell=. ;;
		!42501) cell=refused ;;
		*) cell=$value ;;
		esac
		if [ "$value" != "${wanted[$id]:-}" ]; then
			cell="*$cell"
			wrong+=("$name sees of $table: $value; the scenario says: ${wanted[$id]:-nothing}")
		fi
		printf ' %*s' "${width[$name]}" "$cell"
	done
	echo
done < <(tables scenario.sees | tail -n +2)
printf '\nWhat each may do: rows that were read or written, or the SQLSTATE of the refusal\n'
last=
while IFS=$'\t' read -r id who text; do
	[ "$who" = "$last" ] || printf '\n  %s: %s\n' "$who" "${words[$who]}"
	last=$who value=${got[does.$id]:-nothing}
	case "$value" in
	!*) verdict=refused shown="SQLSTATE ${value#!}" shown=${shown//[\/_]/ } ;;
	0) verdict=nothing shown="0 rows" ;;
	1) verdict=done shown="1 row" ;;
	*) verdict=done shown="$value rows" ;;
	esac
	printf '    %-8s  %-52s %s\n' "$verdict" "$text" "$shown"
	[ "$value" = "${wanted[does.$id]}" ] || wrong+=("$who $text: $value; the scenario says: ${wanted[does.$id]}")
done <"$work/attempts"

# A table that the scenario does not know could show anything to anybody.
for table in $("${PSQL[@]}" -c "SELECT relname FROM pg_class
		WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f')"); do
	if tables scenario.sees | grep -q "^$table "; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		wrong+=("table $table is not in scenario.sees")
	fi
done
echo
if [ $failed != 0 ]; then
	printf 'not as the scenario says: %s\n' "${wrong[@]}"
	grep -v '^psql.*ERROR' "$work/messages" | head -n 5
fi
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 0 ]
