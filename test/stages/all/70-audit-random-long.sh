# The same with 5,000 cases.
MS_AUDIT_SEED=${MS_AUDIT_SEED:-} MS_AUDIT_CASES=5000 exec bash "$MS_TOP/test/stages/70-audit-random.sh"
