# Random statements on audited tables: whoever was sent a patient's row is in the record (see test/audit_random).
# MS_AUDIT_CASES (200) cases; the seed is printed, MS_AUDIT_SEED sets it.
. "$MS_TOP/test/lib/stage.sh"
MS_ROOT=$(ms_root native) || { ms_report "not ok" "build"; ms_done; exit; }
ms_cluster_start "$MS_WORK/audit-random" "shared_preload_libraries = 'mentalspace'" "max_worker_processes = 16" "jit = off" ||
	{ ms_report "not ok" "start of the server"; ms_done; exit; }
trap ms_cluster_stop EXIT
# The same cases each time; MS_AUDIT_SEED= takes a new seed, as the long run does.
seed=${MS_AUDIT_SEED-4711}
perl "$MS_TOP/test/audit_random/audit_random.pl" --cases "${MS_AUDIT_CASES:-200}" ${seed:+--seed "$seed"} \
	--keep "$MS_WORK/audit-random-failures"
