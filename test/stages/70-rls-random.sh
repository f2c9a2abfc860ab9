# Random policies and statements: rls_optimize off, hoist and full show and change the same rows (see test/rls_random).
# MS_RLS_CASES (300) cases; the seed is printed.
. "$MS_TOP/test/lib/stage.sh"
MS_ROOT=$(ms_root native) || { ms_report "not ok" "build"; ms_done; exit; }
ms_cluster_start "$MS_WORK/rls-random" "session_preload_libraries = 'mentalspace'" ||
	{ ms_report "not ok" "start of the server"; ms_done; exit; }
trap ms_cluster_stop EXIT
if ! psql -X -q -v ON_ERROR_STOP=1 -c "CREATE EXTENSION mentalspace" -c "CREATE ROLE rls_random_user" -c "CREATE ROLE rls_random_other" \
	-c "GRANT USAGE ON SCHEMA auth TO rls_random_user, rls_random_other"; then
	ms_report "not ok" "the extension"
	ms_done
	exit
fi
# The same cases each time; MS_RLS_SEED= takes a new seed, as the long run does.
seed=${MS_RLS_SEED-101}
perl "$MS_TOP/test/rls_random/rls_random.pl" --cases "${MS_RLS_CASES:-300}" ${seed:+--seed "$seed"} --keep "$MS_WORK/rls-random-case"
