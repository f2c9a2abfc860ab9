# The same with 10,000 cases.
MS_RLS_SEED=${MS_RLS_SEED:-} MS_RLS_CASES=10000 exec bash "$MS_TOP/test/stages/70-rls-random.sh"
