# mentalspace-migrate, interrupted and run again; two at once; a pooler in between.
use strict;
use warnings;
use MentalspaceTest;
use MigrateTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_server('interrupt', 'native');
my $record = q{SELECT string_agg(version, ' ' ORDER BY version) FROM supabase_migrations.schema_migrations};
my $asleep = q{SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'};
my $nobody = q{SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'mentalspace-migrate'};
my $count = 0;

sub database
{
	my $name = 'i' . ++$count;
	$node->safe_psql('postgres', "CREATE DATABASE $name");
	# The files wait as long as this table says.
	$node->safe_psql($name, 'CREATE TABLE patience AS SELECT 600 AS seconds');
	return $name;
}
my $wait = 'SELECT pg_sleep(seconds) FROM public.patience;';

# Within a file of one transaction.
foreach my $signal (qw(INT TERM KILL))
{
	my $db = database();
	my $dir = project('1_a' => 'CREATE TABLE a (i int);', '2_b' => "INSERT INTO a VALUES (1);\n$wait\nINSERT INTO a VALUES (2);\n",
		'3_c' => 'INSERT INTO a VALUES (3);');
	my $run = start_migrate($node, $db, $dir);
	ok(wait_for($node, $db, $asleep), "$signal: the second statement runs");
	$run->{handle}->signal($signal);
	my ($code, $out, $err) = finish_migrate($run);
	is($code, { INT => 130, TERM => 143, KILL => 137 }->{$signal}, "$signal: exit status");
	like($out, qr/interrupted after .*2_b\.sql:2: ERROR 57014/s, "$signal: says where") unless $signal eq 'KILL';
	if ($signal eq 'KILL')
	{
		# The server goes on with the statement until it is ended there; so long nobody else can begin.
		($code, $out, $err) = migrate($node, $db, $dir, '--lock-wait', 0);
		is($code, 4, 'KILL: the lock is still held');
		my ($pid) = $err =~ /another run is migrating this database: process (\d+) \(user \S+, mentalspace-migrate, from a local socket/;
		ok($pid, 'KILL: and it says by whom') or diag($err);
		$node->safe_psql($db, "SELECT pg_terminate_backend($pid)");
	}
	ok(wait_for($node, $db, $nobody), "$signal: no session stays");
	is($node->safe_psql($db, $record), '1', "$signal: only the first file is recorded");
	is($node->safe_psql($db, 'SELECT count(*) FROM a'), '0', "$signal: nothing of the second is in effect");
	$node->safe_psql($db, 'UPDATE patience SET seconds = 0');
	is((migrate($node, $db, $dir))[0], 0, "$signal: the next run goes on");
	is($node->safe_psql($db, q{SELECT string_agg(i::text, ' ' ORDER BY i) FROM a}), '1 2 3', "$signal: to the end, each once");
}

# Statement by statement: what is done is not done again.
foreach my $signal (qw(INT KILL))
{
	my $db = database();
	my $dir = project('1_a' => "CREATE TABLE a (i int);\nVACUUM a;\nINSERT INTO a VALUES (1);\n$wait\nINSERT INTO a VALUES (2);\n");
	my $run = start_migrate($node, $db, $dir);
	wait_for($node, $db, $asleep);
	$run->{handle}->signal($signal);
	finish_migrate($run);
	$node->safe_psql($db, q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'mentalspace-migrate'});
	wait_for($node, $db, $nobody);
	is($node->safe_psql($db, 'SELECT done || \' \' || running FROM supabase_migrations.mentalspace_progress'), '3 false',
		"$signal, statement by statement: three are noted");
	$node->safe_psql($db, 'UPDATE patience SET seconds = 0');
	is((migrate($node, $db, $dir))[0], 0, "$signal, statement by statement: the next run goes on");
	is($node->safe_psql($db, q{SELECT string_agg(i::text, ' ' ORDER BY i) FROM a}), '1 2', 'each once');
	is($node->safe_psql($db, $record), '1', 'and is recorded');
}

# CREATE INDEX CONCURRENTLY waits for an older transaction; killed, it leaves an invalid index.
{
	my $db = database();
	my $dir = project('1_a' => 'CREATE TABLE a (i int);', '2_b' => "CREATE INDEX CONCURRENTLY a_i ON a (i);\nINSERT INTO a VALUES (1);\n");
	migrate($node, $db, project('1_a' => 'CREATE TABLE a (i int);'));
	my ($in, $out, $timer) = ('', '', IPC::Run::timeout(60));
	my $other = IPC::Run::start([ 'psql', '-XqAt', '-d', $node->connstr($db) ], '<', \$in, '>', \$out, $timer);
	$in = "BEGIN; INSERT INTO a VALUES (0); SELECT 'holding';\n";
	$other->pump until $out =~ /holding/;
	my $run = start_migrate($node, $db, $dir);
	ok(wait_for($node, $db, q{SELECT count(*) = 1 FROM pg_index WHERE NOT indisvalid}), 'an index is being made');
	$run->{handle}->signal('KILL');
	finish_migrate($run);
	$node->safe_psql($db, q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'mentalspace-migrate'});
	wait_for($node, $db, $nobody);
	$in = "COMMIT;\n\\q\n";
	$other->finish;
	is($node->safe_psql($db, 'SELECT done || \' \' || running FROM supabase_migrations.mentalspace_progress'), '0 true', 'noted as begun');
	is($node->safe_psql($db, q{SELECT indisvalid FROM pg_index WHERE indexrelid = 'a_i'::regclass}), 'f', 'an invalid index stayed');
	my ($code, $text) = migrate($node, $db, $dir);
	is($code, 0, 'the next run makes it again');
	like($text, qr/dropping the invalid index public\.a_i/, 'and says what it drops');
	is($node->safe_psql($db, q{SELECT indisvalid FROM pg_index WHERE indexrelid = 'a_i'::regclass}), 't', 'the index is valid');
	is($node->safe_psql($db, 'SELECT count(*) FROM a'), '2', 'the rest of the file ran');
}

# A statement of which nobody can tell whether it took effect: a person decides.
foreach my $choice (qw(redo done))
{
	my $db = database();
	$node->safe_psql($db, q{CREATE TABLE calls (i serial);
		CREATE PROCEDURE work() LANGUAGE plpgsql AS $$ BEGIN INSERT INTO calls DEFAULT VALUES; COMMIT;
			PERFORM pg_sleep(seconds) FROM patience; COMMIT; END $$});
	my $dir = project('1_a' => "CALL work();\nCREATE TABLE after_it (i int);\n");
	my $run = start_migrate($node, $db, $dir);
	wait_for($node, $db, $asleep);
	$run->{handle}->signal('KILL');
	finish_migrate($run);
	$node->safe_psql($db, q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'mentalspace-migrate'});
	wait_for($node, $db, $nobody);
	$node->safe_psql($db, 'UPDATE patience SET seconds = 0');
	my ($code, $out) = migrate($node, $db, $dir);
	is($code, 6, 'a decision is needed');
	like($out, qr/interrupted in statement 1 .*CALL work\(\).*--interrupted done if it is, --interrupted redo if not/s, 'and it says which');
	is((migrate($node, $db, $dir, '--interrupted', $choice))[0], 0, "--interrupted $choice");
	is($node->safe_psql($db, 'SELECT count(*) FROM calls'), $choice eq 'redo' ? '2' : '1', 'is obeyed');
	is($node->safe_psql($db, $record), '1', 'and the file is recorded');
}

# Two at once: the second waits and finds nothing left to do.
{
	my $db = database();
	$node->safe_psql($db, 'UPDATE patience SET seconds = 3');
	my $dir = project('1_a' => "CREATE TABLE a (i int);\n$wait\n", '2_b' => 'INSERT INTO a VALUES (1);');
	my $first = start_migrate($node, $db, $dir);
	wait_for($node, $db, $asleep);
	my ($code, $out, $err) = migrate($node, $db, $dir, '--lock-wait', 0);
	is($code, 4, 'two at once: the second may not');
	my $second = start_migrate($node, $db, $dir, '--lock-wait', 60);
	is((finish_migrate($first))[0], 0, 'the first is not disturbed');
	($code, $out, $err) = finish_migrate($second);
	is($code, 0, 'or waits');
	like($err, qr/waiting for another run: process \d+/, 'and says for whom');
	like($out, qr/2 applied, 0 pending/, 'and finds all done');
	is($node->safe_psql($db, 'SELECT count(*) FROM a'), '1', 'each file ran once');
}

# A pooler: refused unless it is said to keep sessions.
SKIP:
{
	my ($bouncer) = grep { -x $_ } map { "$_/pgbouncer" } split(/:/, $ENV{PATH}), '/usr/sbin';
	skip 'pgbouncer is not installed', 3 unless $bouncer;
	my $db = database();
	my $pooler = PostgreSQL::Test::Cluster->new('migrate_pooler');
	my ($host, $port, $base) = ($pooler->host, $pooler->port, $node->basedir);
	append_to_file("$base/pgbouncer.ini", "[databases]\n$db = host=" . $node->host . ' port=' . $node->port . " dbname=$db user="
		  . $node->safe_psql('postgres', 'SELECT current_user')
		  . "\n[pgbouncer]\nlisten_addr =\nlisten_port = $port\nunix_socket_dir = $host\nauth_type = any\npool_mode = session\n"
		  . "logfile = $base/pgbouncer.log\npidfile = $base/pgbouncer.pid\n");
	system_or_bail($bouncer, '-q', '-d', "$base/pgbouncer.ini");
	my $dir = project('1_a' => 'CREATE TABLE a (i int);');
	my ($code, $out, $err) = migrate($pooler, $db, $dir);
	is($code, 5, 'through a pooler: refused');
	like($err, qr/connection pooler.*--through-pooler/s, 'and it says what to do');
	is((migrate($pooler, $db, $dir, '--through-pooler'))[0], 0, '--through-pooler');
	kill 'INT', slurp_file("$base/pgbouncer.pid") + 0;
}

$node->stop;
done_testing();
