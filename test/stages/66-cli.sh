# The Supabase CLI from npm (see test/clients/cli) on a provisioned database, and in turns with mentalspace-migrate: either
# goes on where the other stopped, and what they record is the same to the byte.
. "$MS_TOP/test/lib/stage.sh"

work=$MS_WORK/cli
supabase=$(ms_supabase_cli "$work") || { ms_report "not ok" "npm installs the Supabase CLI"; ms_done; exit; }
MS_ROOT=$(ms_root native) || { ms_report "not ok" "build"; ms_done; exit; }
# The CLI takes an address, not a socket.
port=$((20000 + $$ % 20000))
ms_cluster_start "$work/server" "listen_addresses = '127.0.0.1'" "port = $port" || { ms_report "not ok" "server"; ms_done; exit; }
trap ms_cluster_stop EXIT
export PGPORT=$port HOME=$work DO_NOT_TRACK=1
migrations=$work/supabase/migrations
mkdir -p "$migrations" "$work/later"
echo 'project_id = "cli"' >"$work/supabase/config.toml"

check() { if [ "$2" = "$3" ]; then ms_report ok "$1"; else ms_report "not ok" "$1: got \"$2\", expected \"$3\""; fi; }
url() { echo "postgres://postgres@127.0.0.1:$port/$1?sslmode=disable"; }
cli() { local database=$1; shift; (cd "$work" && timeout 120 "$supabase" "$@" --db-url "$(url "$database")" 2>&1); }
ours() { local database=$1; shift; "$MS_ROOT$("$PG_CONFIG" --bindir)/mentalspace-migrate" --db "$(url "$database")" --dir "$migrations" "$@" 2>&1; }
record() {
	psql -XqAt -d "$1" -c "SELECT md5(string_agg(t::text, '|' ORDER BY version)) || ' ' || count(*) FROM supabase_migrations.schema_migrations t"
}

cat >"$migrations/20240101000000_first.sql" <<'SQL'
-- the first; with a semicolon
create table notes (id int primary key, owner uuid default auth.uid(), body text default E'it''s; \'x\'');
alter table notes enable row level security;
create policy own on notes using (owner = auth.uid());;

/* a block; /* nested; */ comment */ insert into notes (id) values (1)
;
-- at the end;
SQL
cat >"$migrations/20240102000000_functions.sql" <<'SQL'
create function two() returns int language sql begin atomic select 1; select 2; end;
create function answer() returns text language plpgsql as $body$ begin return 'a;b $$ c'; end; $body$;
create rule quiet as on delete to notes do instead (select 1; select 2);
do $$ begin perform 1; end $$
SQL
cat >"$work/later/20240103000000_größe.sql" <<'SQL'
create table "größe;x" ("a""b" int, c text default U&'\0061;');
comment on table "größe;x" is 'ü; \ "x" {1,2} NULL';
SQL
printf '\tcreate table last (i int);\r\n\r\ninsert into last values (1);\r\n' >"$work/later/20240104000000_last.sql"
printf 'create table early (i int);\n' >"$work/20240102120000_early.sql"
touch "$migrations/notes.sql"

for database in cli_first ours_first cli_only ours_only; do
	psql -XqAt -d postgres -c "CREATE DATABASE $database" >/dev/null &&
		psql -XqAt -d "$database" -c "CREATE EXTENSION mentalspace" -c "SELECT FROM mentalspace.provision()" >/dev/null ||
		ms_report "not ok" "provision $database"
done
cli cli_first migration up --yes >"$work/1.log"
ours ours_first >"$work/2.log"
cp "$work"/later/*.sql "$migrations"
ours cli_first >"$work/3.log"
check "ours goes on where the CLI stopped" "$?" 0
cli ours_first migration up --yes >"$work/4.log"
check "the CLI goes on where ours stopped" "$?" 0
cli cli_only migration up --yes >"$work/5.log"
ours ours_only >"$work/6.log"
expected=$(record cli_only)
check "all four files are recorded" "${expected##* }" 4
for database in cli_first ours_first ours_only; do check "the record of $database is the CLI's" "$(record "$database")" "$expected"; done
for database in cli_first ours_only; do
	check "migration list agrees on $database" "$(cli "$database" migration list | grep -cE '`([0-9]{14})` +\| `\1`')" 4
done
case $(cli ours_only db push --dry-run) in
*"up to date"*) ms_report ok "db push has nothing to do" ;;
*) ms_report "not ok" "db push has nothing to do" ;;
esac

# A file that is older than the last one applied.
cp "$work/20240102120000_early.sql" "$migrations"
cli cli_only migration up --yes >"$work/7.log"
check "the CLI refuses what is out of order" "$?" 1
ours ours_only >"$work/8.log"
check "and so does ours" "$?" 3
cli cli_only migration up --yes --include-all >"$work/9.log"
ours ours_only --include-all >"$work/10.log"
check "--include-all of either does the same" "$(record ours_only)" "$(record cli_only)"
check "and applies it" "$(record ours_only | cut -d' ' -f2)" 5

# The rest of the CLI on a provisioned database.
for command in "db lint" "db advisors" "gen types" "inspect db table-stats"; do
	# shellcheck disable=SC2086
	cli ours_only $command >"$work/command.log"
	check "supabase $command" "$?" 0
done
[ "$ms_failed" = 0 ] || tail -n 15 "$work"/[0-9]*.log
ms_done
