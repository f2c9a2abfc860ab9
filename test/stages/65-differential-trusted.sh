# Signatures that the trusted flavour verifies in SQL, against OpenSSL (see test/clients/differential/trusted.mjs).
# MS_DIFFERENTIAL_ROUNDS (10) messages with each algorithm.
. "$MS_TOP/test/lib/stage.sh"
MS_ROOT=$(ms_root trusted) && ms_cluster_template && ms_cluster_start "$MS_WORK/signatures" || { ms_report "not ok" "start of the server"; ms_done; exit; }
trap ms_cluster_stop EXIT
psql -X -q -d postgres -c "CREATE ROLE signer LOGIN CREATEROLE" -c "CREATE DATABASE signatures OWNER signer"
export PGUSER=signer PGDATABASE=signatures
psql -X -q -c "CREATE EXTENSION mentalspace"
node "$MS_TOP/test/clients/differential/trusted.mjs" "$MS_TOP/test/tools/trusted_tool" "${MS_DIFFERENTIAL_ROUNDS:-10}"
