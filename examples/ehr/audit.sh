#!/bin/bash
# examples/ehr/audit.sh DIR: plays the day of scenario.audit, signing people in with the tokens that tokens.sh left in DIR,
# and compares what mentalspace.audit_events has of it with what the file says.  Prints who did what, and ends with
# `N passed, N failed`; the exit status is 0 only if every event is there and no other.
#
# The database is that of PGHOST, PGDATABASE, ...; the connecting user is a superuser.  The server has mentalspace in
# shared_preload_libraries and audit.sql has been run.
set -u
here=$(cd "$(dirname "$0")" && pwd)
tokens=${1:?usage: audit.sh DIR}
work=$(mktemp -d "${TMPDIR:-/tmp}/audit.XXXXXX")
trap 'rm -rf "$work"' EXIT
PSQL=(psql -qXAt -F ' ' -v ON_ERROR_STOP=1)
# Events of this run have names of their own, so that the day can be played again.
run=$(od -An -v -tx1 -N4 /dev/urandom | tr -d ' \n')

# Each event must name the person; - where nobody has proved to be anybody.
declare -A email=([owner]=-)
while read -r name address _ _ wrong _; do
	[ "$wrong" = - ] || address=-
	email[$name]=$address
done < <(sed -e '/^#/d' -e '/^ *$/d' "$here/scenario.people")

# ---- one psql script per person; steps and what is expected of them in files ----
steps=0 who= statement=
add_step() {
	[ -n "$who" ] || return 0
	{
		printf '%s\n' "BEGIN;" "SET LOCAL application_name = 'day $run step $steps';"
		if [ "$who" = owner ]; then
			printf '%s\n' "$statement;"
		else
			printf '%s\n' "SELECT mentalspace.login(:'token') \\g /dev/null" '\if :ERROR' '\else' "$statement;" '\endif'
		fi
		printf '%s\n' "COMMIT;"
	} >>"$work/$who.psql"
}
while IFS= read -r line; do
	case "$line" in
	"    > "*) echo "$steps ${line#    > } ${email[$who]}" >>"$work/expected" ;;
	" "*) statement+=$line$'\n' ;;
	*)
		add_step
		read -r who text <<<"$line"
		steps=$((steps + 1)) statement=
		printf '%s\t%s\t%s\n' "$steps" "$who" "$text" >>"$work/steps"
		case "$who" in
		owner | expired | forged) ;;
		*) [ -e "$work/$who.psql" ] || echo "$steps login E - - info success ${email[$who]}" >>"$work/expected" ;;
		esac
		;;
	esac
done < <(sed -e '/^#/d' -e '/^ *$/d' "$here/scenario.audit")
add_step

# ---- play it ----
for script in "$work"/*.psql; do
	name=$(basename "$script" .psql) user=authenticator
	if [ "$name" = owner ]; then
		user=$("${PSQL[@]}" -c "SELECT current_user")
	elif [ ! -s "$tokens/$name" ]; then
		echo "no token of $name in $tokens: examples/ehr/tokens.sh makes them"
		echo "0 passed, 1 failed"
		exit 1
	else
		# In a file of ours, where no list of processes shows it.
		printf '\\set token %s\n' "$(<"$tokens/$name")" | cat - "$script" >"$script.new" && mv "$script.new" "$script"
	fi
	echo "SELECT mentalspace.audit_flush();" >>"$script"
	psql -qXAt -U "$user" -f "$script" >/dev/null 2>>"$work/messages"
done
grep -v -E 'ERROR|WARNING:  there is no transaction|^DETAIL' "$work/messages" | head -n 5

# ---- compare ----
# Patients as the file writes them: one by its number, more than one by how many they are.
"${PSQL[@]}" -v run="$run" >"$work/events" <<-'SQL'
	SELECT substring(application_name FROM 'step (\d+)$'), kind, coalesce(action, '-'),
	       coalesce(regexp_replace(relation, '^public\.', ''), '-'),
	       CASE cardinality(patient_ids) WHEN 1 THEN '#' || ltrim(right(patient_ids[1], 12), '0')
	            ELSE coalesce(cardinality(patient_ids)::text, '-') END,
	       severity, outcome, coalesce(u.email, e.user_id::text, '-')
	  FROM mentalspace.audit_events e LEFT JOIN auth.users u ON u.id = e.user_id
	 WHERE application_name LIKE format('day %s step %%', :'run') ORDER BY event_id;
SQL
status=$?
compared() { tr -s ' ' <"$1" | sort; }
compared "$work/expected" >"$work/wanted" && compared "$work/events" >"$work/got"
comm -23 "$work/wanted" "$work/got" >"$work/missing"
comm -13 "$work/wanted" "$work/got" >"$work/unexpected"
missing=$(wc -l <"$work/missing") unexpected=$(wc -l <"$work/unexpected")
passed=$(($(wc -l <"$work/wanted") - missing)) failed=$((missing + unexpected))
[ "$status" = 0 ] || failed=$((failed + 1))

# ---- tell ----
echo "What the audit saw"
last=
while IFS=$'\t' read -r step who text; do
	[ "$who" = "$last" ] || printf '\n  %s\n' "$who"
	last=$who first=1
	while read -r _ kind _ relation patients severity outcome _; do
		case "$patients" in
		-) whose= ;;
		\#*) whose="client ${patients#\#}" ;;
		*) whose="$patients clients" ;;
		esac
		case "$kind" in
		phi_access) did=read ;;
		data_modification) did=changed ;;
		authentication_attempt) did="refused token" ;;
		permission_change) did=permission ;;
		*) did=${kind/_/ } ;;
		esac
		[ "$relation" = - ] && relation=
		[ "$severity" = info ] && severity=
		[ "$outcome" = failure ] && severity=failed
		[ -n "$first" ] && printf '    %-40s' "${text:0:40}" || printf '    %-40s' ''
		first=
		printf ' %s\n' "$(sed 's/ *$//' <<<"$(printf '%-13s %-19s %-11s %s' "$did" "$relation" "$whose" "$severity")")"
	done < <(awk -v step="$step" '$1 == step && $2 != "login"' "$work/events")
	[ -z "$first" ] || printf '    %-40s -\n' "${text:0:40}"
done <"$work/steps"
echo
tell() { # tell WORDS FILE
	while read -r step event; do
		echo "$1 ($(awk -F '\t' -v step="$step" '$1 == step { print $2 " " $3 }' "$work/steps")): $event"
	done <"$2"
}
if [ "$failed" != 0 ]; then
	tell "missing" "$work/missing"
	tell "not expected" "$work/unexpected"
fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
