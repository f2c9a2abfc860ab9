# mentalspace-migrate: order, the record, failures and what is said about them, options, the report.
use strict;
use warnings;
use JSON::PP;
use MentalspaceTest;
use MigrateTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_server('migrate', 'native');
my $record = q{SELECT string_agg(version || ' ' || name, ', ' ORDER BY version) FROM supabase_migrations.schema_migrations};
my $count = 0;

sub database
{
	my $name = 'm' . ++$count;
	$node->safe_psql('postgres', "CREATE DATABASE $name");
	return $name;
}

# Order, names that are no migrations, the record.
{
	my $db = database();
	my $dir = project(
		'20240102000000_second' => 'INSERT INTO steps(name) VALUES (2);',
		'20240101000000_first' => "\xef\xbb\xbf-- the first\nCREATE TABLE steps (id serial, name int);\n;;\nINSERT INTO steps(name) VALUES (1) ;\n-- done\n",
		'20240103000000_third_one' => "BEGIN;\nINSERT INTO steps(name) VALUES (3);\nCOMMIT;\n",
		'notes.sql' => 'THIS IS NO SQL', '20240104_x.txt' => 'nor this', 'x20240104_y.sql' => 'nor this');
	my ($code, $out) = migrate($node, $db, $dir, '--dry-run');
	is($code, 0, 'dry run');
	like($out, qr/would apply \S+20240101000000_first\.sql\n.*would apply \S+second\.sql\n.*third_one/s, 'dry run lists what is pending');
	is($node->safe_psql($db, q{SELECT to_regnamespace('supabase_migrations') IS NULL AND to_regclass('steps') IS NULL}), 't',
		'dry run changes nothing');

	($code, $out) = migrate($node, $db, $dir);
	is($code, 0, 'all applied');
	like($out, qr/\[1\/3\] 20240101000000_first\.sql\n.*applied: 2 statements, \d+\.\d+ s/, 'progress with file, number, time');
	like($out, qr/skipped: \S*notes\.sql/, 'files that are no migrations are told');
	is($node->safe_psql($db, 'SELECT string_agg(name::text, \' \' ORDER BY id) FROM steps'), '1 2 3', 'in order');
	is($node->safe_psql($db, $record), '20240101000000 first, 20240102000000 second, 20240103000000 third_one', 'recorded');
	is($node->safe_psql($db, q{SELECT statements = ARRAY[E'-- the first\nCREATE TABLE steps (id serial, name int)',
		'INSERT INTO steps(name) VALUES (1)', '-- done'] FROM supabase_migrations.schema_migrations WHERE name = 'first'}), 't',
		'statements as the Supabase CLI stores them');
	is($node->safe_psql($db, q{SELECT string_agg(attname || ' ' || format_type(atttypid, -1), ', ' ORDER BY attnum)
		FROM pg_attribute WHERE attrelid = 'supabase_migrations.schema_migrations'::regclass AND attnum > 0}),
		'version text, statements text[], name text', 'the table of the Supabase CLI');

	($code, $out) = migrate($node, $db, $dir);
	is($code, 0, 'nothing left to do');
	like($out, qr/3 applied, 0 pending/, 'and it says so');
}

# Names with a dash, which the CLI skips.
{
	my $db = database();
	my $dir = project('20240101-one' => 'CREATE TABLE one (i int);', '20240102_two' => 'INSERT INTO one VALUES (2);');
	my ($code, $out) = migrate($node, $db, $dir);
	is($code, 1, 'a name with a dash is skipped');
	like($out, qr/skipped: \S+20240101-one\.sql .*--dash-names applies it/, 'and the message says what to do');
	is((migrate($node, $db, $dir, '--dash-names'))[0], 0, '--dash-names');
	is($node->safe_psql($db, $record), '20240101 one, 20240102 two', 'applies it in its place');
}

# Failure: said in full, nothing of the file in effect, the files before it are; then on from there.
{
	my $db = database();
	my $dir = project(
		'1_a' => 'CREATE TABLE a (i int PRIMARY KEY);',
		'2_b' => "INSERT INTO a VALUES (1);\n\n-- a long comment\nINSERT INTO a\n  SELECT 'x', nothing FROM a;\n",
		'3_c' => 'INSERT INTO a VALUES (3);');
	my ($code, $out, $err) = migrate($node, $db, $dir, '--report', "$dir/r.json");
	is($code, 1, 'a failure is exit status 1');
	like($out, qr/^\Q$dir\E\/2_b\.sql:5: ERROR 42703: column "nothing" does not exist$/m, 'file, line, SQLSTATE, message');
	like($out, qr/statement: INSERT INTO a SELECT '\*\*\*', nothing FROM a$/m, 'the statement, without constants');
	like($out, qr/1 applied, 1 failed, 1 not tried/, 'stops at the first failure');
	is($node->safe_psql($db, 'SELECT count(*) FROM a'), '0', 'nothing of the failed file');
	is($node->safe_psql($db, $record), '1 a', 'only what was applied is recorded');

	my $report = decode_json(slurp_file("$dir/r.json"));
	is(join(' ', map { $_->{status} } @{ $report->{files} }), 'applied failed pending', 'report: status of each file');
	is("$report->{files}[1]{error}{line} $report->{files}[1]{error}{sqlstate}", '5 42703', 'report: the error');
	is($report->{exit_code}, 1, 'report: exit status');

	($code, $out) = migrate($node, $db, $dir, '--continue');
	is($code, 1, '--continue: still a failure');
	is($node->safe_psql($db, $record), '1 a, 3 c', '--continue: the later file is applied');

	# What is now pending is older than the last one applied.
	append_to_file("$dir/2_b.sql", "\n");
	my $fixed = slurp_file("$dir/2_b.sql");
	$fixed =~ s/'x', nothing FROM a/2/;
	open my $f, '>', "$dir/2_b.sql" or die; print $f $fixed; close $f;
	($code, $out, $err) = migrate($node, $db, $dir);
	is($code, 3, 'older than the last one applied: refused');
	like($err, qr/older than the last one applied \(3_c\.sql\):\n  \S+2_b\.sql\n.*--include-all/s, 'and it says which');
	($code, $out, $err) = migrate($node, $db, $dir, '--include-all');
	is($code, 0, '--include-all applies it');

	unlink "$dir/1_a.sql";
	($code, $out, $err) = migrate($node, $db, $dir);
	is($code, 3, 'recorded without a file: refused');
	like($err, qr/has no file for:\n  1\n/, 'and it says which');
	($code) = migrate($node, $db, $dir, '--allow-missing');
	is($code, 0, '--allow-missing');
}

# Two files of one version; usage; a constraint that fires at COMMIT.
{
	my $db = database();
	my ($code, $out, $err) = migrate($node, $db, project('1_a' => 'SELECT 1', '1_b' => 'SELECT 1'));
	is($code, 3, 'one version twice: refused');
	like($err, qr/1_b\.sql/, 'and it says which');
	is((migrate($node, $db, '/nowhere/at/all'))[0], 2, 'no folder');
	is((migrate($node, $db, project(), '--no-such-option'))[0], 2, 'unknown option');
	($code, $out) = migrate($node, $db, project('1_a' => q{CREATE TABLE p (i int PRIMARY KEY);
		CREATE TABLE c (i int REFERENCES p DEFERRABLE INITIALLY DEFERRED); INSERT INTO c VALUES (1);}));
	is($code, 1, 'a failure at COMMIT');
	like($out, qr/ERROR 23503: .*COMMIT/s, 'is told as such');
	is($node->safe_psql($db, q{SELECT to_regclass('c') IS NULL AND NOT EXISTS (SELECT FROM supabase_migrations.schema_migrations)}),
		't', 'and nothing stays');
	($code, $out, $err) = migrate($node, $db, project('1_a' => "SELECT 1;\nCOPY t FROM stdin;\n1\n\\.\n"));
	like($out, qr/:2: ERROR 0A000: COPY FROM STDIN/, 'COPY FROM STDIN is refused with its line');
}

# Secrets of a statement that fails are in no output, also where the server repeats them; the report is JSON in any case.
foreach my $sql (
	"INSERT INTO vault.secrets(secret) VALUES ('S3cretA')", "SELECT set_config('app.key', 'S3cretA', false), nothing", "SELECT 'S3cretA'::int",
	"CREATE SUBSCRIPTION s CONNECTION 'S3cretA' PUBLICATION p", "SET app.key TO S3cretA nothing", "ALTER ROLE nobody_here SET app.key = S3cretA",
	"DO \$\$ BEGIN PERFORM 'S3cretA'::int; END \$\$", "DO 'BEGIN EXECUTE ''SELECT 1/0, S3cretA''; END'", "ALTER ROLE x PASSWRD 'S3cretA'",
	"CREATE TABLE t (a text, b int NOT NULL); INSERT INTO t VALUES (upper('S3creta'), NULL)", "\\connect postgres://u:S3cretA\@h/d",
	"CREATE USER MAPPING FOR x SERVER y OPTIONS (password 'S3cretA')", "SELECT 'S3cretA' || E'\xff\xfe'")
{
	my $dir = project('1_a' => "$sql;\n");
	foreach my $option ('--dry-run', '--verbose')
	{
		my ($code, $out, $err) = migrate($node, database(), $dir, $option, '--report', "$dir/r.json");
		my $report = slurp_file("$dir/r.json");
		unlike("$out$err$report", qr/S3cret|S3CRET/, "no secret: $sql $option") or diag "$out$err$report";
		ok(eval { decode_json($report) }, 'the report is JSON');
	}
}

# A file that ends within something is not applied, whatever stands before it; line 3 is where it begins.  psql says so, too.
{
	my $psql = 0;
	my $begun = "CREATE TABLE t (i int);\nSELECT 1;\n";
	foreach my $rest ('/* open', '/* a /* b */ CREATE POLICY p ON t;', "-- c\n", "SELECT 1 /* open", "SELECT 'a; CREATE", "SELECT E'a\\'; x", "SELECT U&'a",
		"SELECT b'1", "SELECT 'a'\n'b", 'SELECT "a', 'SELECT U&"a', 'DO $$ BEGIN END; ', 'DO $x$ BEGIN END $$;', 'SELECT $x$ a $X$', 'SELECT (1; SELECT 2;',
		"CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1;", "VACUUM; /* open", "BEGIN; SELECT 1; COMMIT; VACUUM; /*", '/*/', '/**', "/* ;", "/*;")
	{
		my $db = database();
		my $dir = project('1_a' => $begun . $rest);
		my $finished = $rest eq "-- c\n";
		my ($code, $out) = migrate($node, $db, $dir, '--dry-run');
		is($code, $finished ? 0 : 1, "dry run: $rest");
		like($out, qr/1_a\.sql:[34]: unterminated .* \(42601\)/, 'says what and where') unless $finished;
		($code, $out) = migrate($node, $db, $dir, '--report', "$dir/r.json");
		is($code, $finished ? 0 : 1, 'run');
		like($out, qr/1_a\.sql:[34]: ERROR 42601: unterminated .*\n/, 'says what and where') unless $finished;
		is($node->safe_psql($db, q{SELECT to_regclass('t') IS NOT NULL, count(*) FROM supabase_migrations.schema_migrations}),
			$finished ? 't|1' : 'f|0', 'nothing of it is in effect or recorded');
		IPC::Run::run([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr(database()), '-f', "$dir/1_a.sql" ], '>', \my $o, '2>', \my $e);
		is($? == 0, $finished, 'as psql has it');
	}
}

# The password is never printed.
foreach my $url ('postgres://user:s3cr3tword@127.0.0.1:1/x', 'postgres://user:a@s3cr3tword/w@nowhere.invalid/x',
	'postgres://user:a:s3cr3tword@h:port/x', 'host=127.0.0.1 port=x password=s3cr3tword', 'postgres://s3cr3tword')
{
	my ($out, $err) = ('', '');
	IPC::Run::run([ tool(), '--dir', project(), '--db', $url ], '>', \$out, '2>', \$err);
	is($? >> 8, 5, 'no connection is exit status 5');
	unlike("$out$err", qr/s3cr3tword/, 'without the password') unless $url eq 'postgres://s3cr3tword';
}

# Session: every file begins with the settings of a new session; a role that a file sets does not keep it from being recorded.
{
	my $db = database();
	$node->safe_psql($db, 'CREATE ROLE lowly; CREATE SCHEMA lowly AUTHORIZATION lowly');
	my ($code, $out) = migrate($node, $db, project(
		'1_a' => q{SELECT pg_catalog.set_config('search_path', '', false); SET ROLE lowly; CREATE TABLE lowly.t AS SELECT current_user; CREATE TEMP TABLE x (i int);},
		'2_b' => q{CREATE TABLE here AS SELECT current_user::text AS who; CREATE TEMP TABLE x (i int);}));
	is($code, 0, 'settings and roles of one file');
	isnt($node->safe_psql($db, 'SELECT who FROM public.here'), 'lowly', 'do not reach the next');
}

# Lines for psql and for newer servers.
{
	my $db = database();
	my $dump = "\\restrict x\nSET transaction_timeout = 0;\nCREATE TABLE t (i int);\nCREATE ROLE reader_$db;\n"
	  . "GRANT SELECT,MAINTAIN ON TABLE t TO reader_$db;\nGRANT MAINTAIN ON TABLE t TO reader_$db;\n\\unrestrict x\n";
	my $dir = project('1_dump' => $dump);
	my ($code, $out) = migrate($node, $db, $dir);
	is($code, 1, 'not left out silently');
	like($out, qr/1_dump\.sql:2: SET transaction_timeout/, 'what is newer is listed before the run');
	like($out, qr/ERROR 42601: \\restrict is a command of psql.*--lenient/s, 'the failure says how to go on');
	($code, $out) = migrate($node, $db, $dir, '--lenient');
	is($code, 0, '--lenient');
	my @left_out = $out =~ /note: left out, line (\d+)/g;
	is("@left_out", $node->pg_version >= 17 ? '1 7' : '1 2 5 6 7', '--lenient says what it leaves out');
	is($node->safe_psql($db, "SELECT has_table_privilege('reader_$db', 't', 'SELECT')"), 't', 'the other privileges are given');
}

# Not in one transaction.
{
	my $db = database();
	my $dir = project(
		'1_a' => "CREATE TABLE t (i int);\nCREATE INDEX CONCURRENTLY t_i ON t (i);\nVACUUM t;\nSET search_path = pg_catalog;\n",
		'2_b' => "CREATE TYPE public.e AS ENUM ('a');\nALTER TYPE e ADD VALUE 'b';\nCREATE TABLE u (e e DEFAULT 'b');\nINSERT INTO u DEFAULT VALUES;\n",
		'3_c' => "BEGIN;\nCREATE TABLE v (i int);\nCOMMIT;\nBEGIN;\nINSERT INTO v VALUES (1);\nROLLBACK;\nBEGIN; INSERT INTO v VALUES (2); COMMIT;\n",
		'4_d' => "CREATE PROCEDURE p() LANGUAGE plpgsql AS \$\$ BEGIN INSERT INTO v VALUES (3); COMMIT; END \$\$;\nCALL p();\n");
	my ($code, $out) = migrate($node, $db, $dir, '--report', "$dir/r.json");
	is($code, 0, 'files that cannot be one transaction');
	is($node->safe_psql($db, $record), '1 a, 2 b, 3 c, 4 d', 'are recorded');
	is($node->safe_psql($db, 'SELECT string_agg(i::text, \' \' ORDER BY i) FROM v'), '2 3', 'their own ROLLBACK and COMMIT count');
	is($node->safe_psql($db, 'SELECT count(*) FROM supabase_migrations.mentalspace_progress'), '0', 'no note stays');
	is(join(' ', map { $_->{one_transaction} ? 1 : 0 } @{ decode_json(slurp_file("$dir/r.json"))->{files} }), '0 0 0 0', 'the report says so');
}

# ... and one of them fails in the middle: what is done is not done again; changed statements are noticed.
{
	my $db = database();
	my $dir = project('1_a' => "SET search_path = app, public;\nCREATE SCHEMA app;\nCREATE TABLE t (i int);\nVACUUM t;\nINSERT INTO t VALUES ('x');\nINSERT INTO t VALUES (2);\n");
	my ($code, $out) = migrate($node, $db, $dir);
	is($code, 1, 'fails in the fifth statement');
	is($node->safe_psql($db, 'SELECT done FROM supabase_migrations.mentalspace_progress'), '4', 'four are noted');
	my $text = slurp_file("$dir/1_a.sql");
	open my $f, '>', "$dir/1_a.sql" or die; print $f $text =~ s/CREATE TABLE t/CREATE TABLE tt/r; close $f;
	my $err;
	($code, $out) = migrate($node, $db, $dir);
	is($code, 6, 'statements that have run were changed: a person must decide');
	like($out, qr/first 4 statements of \S+1_a\.sql were changed.*delete the row/s, 'and is told what to do');
	open $f, '>', "$dir/1_a.sql" or die; print $f $text =~ s/'x'/1/r; close $f;
	($code, $out) = migrate($node, $db, $dir);
	is($code, 0, 'the corrected file goes on');
	like($out, qr/going on after statement 4 of 6/, 'where it stopped');
	is($node->safe_psql($db, 'SELECT sum(i) FROM app.t'), '3', 'with the settings of the statements before');
	is($node->safe_psql($db, $record), '1 a', 'and is recorded');
}

# The check before the run.
{
	my $db = database();
	my ($code, $out) = migrate($node, $db, project('1_a' => 'SELECT 1'), '--dry-run');
	like($out, qr/check: skipped, this database has no extension mentalspace/, 'without the extension the check is skipped');
	$node->safe_psql($db, 'CREATE EXTENSION mentalspace');
	my $dir = project(
		'1_a' => "CREATE TABLE a (i int);\nDO \$\$ BEGIN CREATE TYPE mood AS ENUM ('x'); EXCEPTION WHEN duplicate_object THEN NULL; END \$\$;\nCREATE TABLE b (m mood, s serial);\n",
		'2_b' => "CREATE POLICY p ON dashboard_made USING (true);\nCREATE POLICY p ON later USING (auth.uid() IS NULL);\nCREATE TABLE c (u uuid REFERENCES auth.users);\nCREATE POLICY IF NOT EXISTS p ON a USING (true);\n",
		'3_c' => "CREATE TABLE later (i int);\nDROP TABLE a;\nCOMMENT ON TABLE a IS 'gone';\nCREATE ROLE made_here;\nGRANT SELECT ON b TO made_here, made_nowhere;\nSELECT gone_away();\n");
	($code, $out) = migrate($node, $db, $dir, '--dry-run');
	is($code, 1, 'the check finds something');
	my ($list) = $out =~ /(check: 1 statements.*?)would apply/s;
	$list =~ s/\Q$dir\E\///g;
	is($list, <<'END', 'what it finds');
check: 1 statements do not parse on this server
  2_b.sql:4: syntax error at or near "NOT" (42601)
    no version of PostgreSQL knows IF NOT EXISTS here: DROP ... IF EXISTS first, or a DO block that catches duplicate_object
check: 6 names that the database lacks and no earlier statement makes
  relation dashboard_made: 2_b.sql:1
    no file makes it: probably made in a dashboard; take its definition from the old database (pg_dump --schema-only) into an earlier file
  relation later: 2_b.sql:2
    made only in 3_c.sql:1: the order of the files is not the order in which they were written
  relation auth.users: 2_b.sql:3
    SELECT * FROM mentalspace.provision('{auth}'); makes it
  relation a: 3_c.sql:3
    made only in 1_a.sql:1: the order of the files is not the order in which they were written
  role made_nowhere: 3_c.sql:5
    roles are not part of a migration: CREATE ROLE made_nowhere first
  function gone_away: 3_c.sql:6
    no file makes it: probably made in a dashboard; take its definition from the old database (pg_dump --schema-only) into an earlier file
END
	($code, $out) = migrate($node, $db, $dir);
	like($out, qr/2_b\.sql:1: ERROR 42P01: relation "dashboard_made" does not exist\n.*what to do: no file makes it/s,
		'the failure has the same hint');
}

# Which generation of default rights a project is of: config.toml beside the folder of migrations.
{
	my $db = database();
	my $top = PostgreSQL::Test::Utils::tempdir();
	my $dir = "$top/migrations";
	rename project('1_a' => 'CREATE TABLE a (i int);'), $dir or die $!;
	my $said = sub {
		my ($toml) = @_;
		unlink "$top/config.toml";
		PostgreSQL::Test::Utils::append_to_file("$top/config.toml", $toml);
		return (migrate($node, $db, "$dir/", '--dry-run'))[1];
	};
	unlike((migrate($node, $db, $dir, '--dry-run'))[1], qr/auto_expose/, 'no config.toml, no word');
	like($said->("[api]\nauto_expose_new_tables = false\n"), qr/= false: migrations grant each table to the API \(api_grants => 'none'\)$(?!.*warning)/ms,
		'false, and no roles of the API');
	$node->safe_psql($db, 'CREATE EXTENSION mentalspace; SELECT count(*) FROM mentalspace.provision()');
	like($said->("[api]\nauto_expose_new_tables = false\n"),
		qr/^warning: tables that this role makes in this database are open .*\n.*provision\(api_grants => 'none'\)$/m, 'false, and they are open');
	unlike($said->("[db]\nauto_expose_new_tables = false # not this\n[api]\n# auto_expose_new_tables = false\n  auto_expose_new_tables=true # yes\n[auth]\n"),
		qr/warning/, 'true, and they are open');
	like($said->("api.auto_expose_new_tables = true\r\n"), qr/= true: new tables are open/, 'a dotted key');
	like($said->("[api]\nport = 1\n"), qr/is not set: .*\n  in this database they are granted; .*'none'/, 'not set');
	$node->safe_psql($db, q{SELECT count(*) FROM mentalspace.provision(api_grants => 'none')});
	like($said->("[api]\nauto_expose_new_tables = true\n"), qr/^warning: .* are closed .*\n.*'data'\)$/m, 'true, and they are closed');
}

$node->stop;

# The trusted flavour, as the NOSUPERUSER owner of the database: the check sees syntax, and says that it sees no names.
{
	my $trusted = start_server('migrate_trusted', 'trusted');
	my $owner = owned_database($trusted, 'owned', 'trusted');
	$trusted->safe_psql('owned', 'CREATE EXTENSION mentalspace CASCADE', extra_params => [ '-U', $owner ]);
	local $ENV{PGUSER} = $owner;
	my $dir = project('1_a' => "CREATE TABLE a (i int);\nCREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS \$\$ BEGIN RETURN 1; END \$\$;\n",
		'2_b' => "DO \$\$ BEGIN PERFORM 1; END \$\$;\nSELEC 1;\n");
	my ($code, $out) = migrate($trusted, 'owned', $dir, '--dry-run');
	is($code, 1, 'trusted: the check finds something');
	like($out, qr/check: syntax only/, 'trusted: names are not checked, and it says so');
	like($out, qr/check: 1 statements do not parse on this server\n  \S+2_b\.sql:2: syntax error at or near "SELEC"/, 'trusted: syntax is');
	is($trusted->safe_psql('owned', q{SELECT to_regclass('a') IS NULL}), 't', 'trusted: the check runs nothing');
	($code, $out) = migrate($trusted, 'owned', $dir);
	is($code, 1, 'trusted: up to the failure');
	is($trusted->safe_psql('owned', $record), '1 a', 'trusted: what came before is applied and recorded');
	$trusted->stop;
}
# Files that define auth.uid() anew: what means the same gives way to ours, in each flavour; the rest is kept, with a warning.
foreach my $flavor (flavors())
{
	my $server = start_server("migrate_replaced_$flavor", $flavor);
	my $db = 'replaced';
	$server->safe_psql('postgres', "CREATE DATABASE $db");
	$server->safe_psql($db, 'CREATE EXTENSION mentalspace');
	my $dir = project(
		'20240101_same' => "CREATE OR REPLACE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS \$\$\n"
			. "select coalesce(nullif(current_setting('request.jwt.claim.sub', true), ''), "
			. "(nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'))::uuid\$\$;\nCREATE TABLE t (i int);",
		'20240102_other' => "CREATE OR REPLACE FUNCTION auth.role() RETURNS text LANGUAGE sql STABLE AS 'SELECT current_user::text';");
	my ($code, $out, $err) = migrate($server, $db, $dir);
	is($code, 0, "$flavor: applied");
	like($err, qr/^  NOTICE: function auth\.uid\(\) stays the one of mentalspace$/m, "$flavor: a definition that means the same");
	like($err, qr/^  WARNING: function auth\.role\(\) is not the one of mentalspace any more$/m, "$flavor: another one");
	is(() = $err =~ /function auth/g, 2, "$flavor: each is said once");
	is($server->safe_psql($db, 'SELECT mentalspace.replaced_auth_functions()'), '{role}', "$flavor: and what is there");
}

done_testing();
