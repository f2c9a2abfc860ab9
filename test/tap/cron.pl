# The background workers of the companion pg_cron: who runs what as whom, and how they begin, end and step aside.
use strict;
use warnings;
use MentalspaceTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_server('cron', 'native', q{
restart_after_crash = on
max_worker_processes = 20
wal_level = replica
max_wal_senders = 5
});
my $superuser = $node->safe_psql('postgres', 'SELECT current_user');

# A database with the extensions, as a project has it.
sub new_database
{
	my ($name) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $name");
	$node->safe_psql('postgres', "ALTER DATABASE $name SET session_preload_libraries = 'mentalspace'");
	$node->safe_psql($name, 'CREATE EXTENSION mentalspace; CREATE EXTENSION pg_cron; GRANT USAGE ON SCHEMA cron TO PUBLIC');
}
# True once the query gives t.
sub soon
{
	my ($database, $query, $what) = @_;
	ok($node->poll_query_until($database, $query), $what);
}
my $schedulers = q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'mentalspace cron' AND datname = };
sub runs
{
	my ($name, $status, $more) = @_;
	return "SELECT count(*) >= 1 FROM cron.job_run_details d JOIN cron.job j USING (jobid) "
		. "WHERE j.jobname = '$name' AND d.status = '$status'" . ($more // '');
}

$node->safe_psql('postgres', 'CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN; CREATE ROLE nologin NOLOGIN');
new_database('app');
is($node->safe_psql('postgres', $schedulers . q{'app'}), 0, 'no scheduler without jobs');
is($node->safe_psql('app', 'SELECT mentalspace.cron_worker_running()'), 'f', 'and it is known');

# ---- as whom
$node->safe_psql('app', q{CREATE TABLE who (u name, s name, super text, command text); GRANT INSERT ON who TO PUBLIC;
	CREATE TABLE secret AS SELECT 1 AS a});
my $who = q{INSERT INTO who SELECT current_user, session_user, current_setting('is_superuser')};
$node->safe_psql('app', qq{SELECT cron.schedule('mine', '1 second', \$\$$who, 'mine'\$\$)}, extra_params => [ '-U', 'alice' ]);
soon('app', q{SELECT count(*) >= 1 FROM who WHERE command = 'mine'}, 'a job runs');
is($node->safe_psql('app', q{SELECT DISTINCT u, s, super FROM who}), 'alice|alice|off', 'as its role, with the rights of that role');
soon('app', runs('mine', 'succeeded', q{ AND return_message = 'INSERT 0 1' AND end_time >= start_time AND job_pid > 0}), 'its run is recorded');
is($node->safe_psql('postgres', $schedulers . q{'app'}), 1, 'one scheduler');
is($node->safe_psql('app', 'SELECT mentalspace.cron_worker_running()'), 't', 'and it is known');
$node->safe_psql('app', q{SELECT cron.schedule('steal', '1 second', 'RESET ROLE; SELECT * FROM secret')}, extra_params => [ '-U', 'bob' ]);
soon('app', runs('steal', 'failed', q{ AND return_message = 'ERROR:  permission denied for table secret'}), 'RESET ROLE brings nothing');
is($node->safe_psql('app', q{SELECT DISTINCT username FROM cron.job_run_details}, extra_params => [ '-U', 'bob' ]), 'bob', 'one sees one\'s own runs');
my ($code, undef, $stderr) = $node->psql('app', 'SELECT * FROM mentalspace.cron_tick()');
like($stderr, qr/a background worker runs the jobs of this database/, 'cron_tick() leaves the jobs to the worker');

# ---- transactions, statements, messages
$node->safe_psql('app', q{CREATE TABLE t (a int);
	SELECT cron.schedule('all or nothing', '1 second', 'INSERT INTO t VALUES (1); SELECT 1/0');
	SELECT cron.schedule('own', '1 second', 'BEGIN; INSERT INTO t VALUES (2); COMMIT; INSERT INTO t VALUES (3); SELECT 1/0');
	SELECT cron.schedule('vacuum', '1 second', 'VACUUM t');
	SELECT cron.schedule('rows', '1 second', 'SELECT generate_series(1, 3)');
	SELECT cron.schedule('syntax', '1 second', 'SELEKT');
	SELECT cron.schedule('copy out', '1 second', 'COPY (SELECT E''forged line\\n'' || 4711) TO STDOUT');
	SELECT cron.schedule('copy in', '1 second', 'CREATE TEMP TABLE x (a int); COPY x FROM STDIN');
	SELECT cron.schedule('open', '1 second', 'BEGIN; INSERT INTO t VALUES (4)');
	SELECT cron.schedule('long', '1 second', 'DO $$ BEGIN RAISE EXCEPTION ''%'', repeat(''ü'', 3000); END $$')});
soon('app', runs('vacuum', 'succeeded', q{ AND return_message = 'VACUUM'}), 'a statement that takes no transaction block');
soon('app', runs('rows', 'succeeded', q{ AND return_message = '3 rows'}), 'the number of rows');
soon('app', runs('syntax', 'failed', q{ AND return_message LIKE 'ERROR:  syntax error%'}), 'a syntax error');
soon('app', runs('all or nothing', 'failed', q{ AND return_message = 'ERROR:  division by zero'}), 'an error');
soon('app', runs('own', 'failed'), 'an error after a transaction of its own');
soon('app', runs('copy out', 'failed', q{ AND return_message = 'ERROR:  a job cannot COPY to or from a client'}), 'COPY TO STDOUT');
soon('app', runs('copy in', 'failed', q{ AND return_message = 'ERROR:  a job cannot COPY to or from a client'}), 'COPY FROM STDIN');
unlike(slurp_file($node->logfile), qr/^forged line/m, 'nothing that a job sends is a line of the log');
soon('app', runs('open', 'succeeded'), 'a transaction that is not ended');
soon('app', runs('long', 'failed', q{ AND length(return_message) > 1000}), 'a long message is cut between characters');
is($node->safe_psql('app', 'SELECT DISTINCT a FROM t'), '2', 'what was committed stays, nothing else');

# ---- roles that cannot run jobs
$node->safe_psql('app', q{SET ROLE nologin; SELECT cron.schedule('no login', '1 second', 'SELECT 1')});
soon('app', runs('no login', 'failed', q{ AND return_message = 'the role of the job is not permitted to log in'}), 'a role without LOGIN');
$node->safe_psql('app', q{DELETE FROM cron.job WHERE jobname <> 'mine';
	CREATE ROLE gone LOGIN; SET ROLE gone; SELECT cron.schedule('gone', '1 second', 'SELECT 1'); RESET ROLE; DROP ROLE gone});
soon('app', runs('gone', 'failed', q{ AND return_message = 'the role of the job does not exist'}), 'a role that was dropped');
$node->safe_psql('postgres', 'REVOKE CONNECT ON DATABASE app FROM PUBLIC');
soon('app', runs('mine', 'failed', q{ AND return_message LIKE 'the session of the job could not be started%'}), 'a role that may not connect');
$node->safe_psql('postgres', 'GRANT CONNECT ON DATABASE app TO PUBLIC');
$node->safe_psql('app', q{DELETE FROM cron.job WHERE jobname <> 'mine'});

# ---- a job that is still running
my $holder = $node->background_psql('app', on_error_stop => 0);
$holder->query_safe('SELECT pg_advisory_lock(1)');
$node->safe_psql('app', q{SELECT cron.schedule('slow', '1 second', 'SELECT pg_advisory_lock(1)')});
soon('app', runs('slow', 'running'), 'a job that waits');
my $mine = $node->safe_psql('app', q{SELECT count(*) FROM cron.job_run_details WHERE command LIKE '%mine%'});
soon('app', qq{SELECT count(*) >= $mine + 3 FROM cron.job_run_details WHERE command LIKE '%mine%'}, 'while others run');
is($node->safe_psql('app', q{SELECT count(*) FROM cron.job_run_details JOIN cron.job USING (jobid) WHERE jobname = 'slow'}), 1, 'is not started again');

# ---- the scheduler goes, and comes again
my $pid = $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'mentalspace cron'});
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
soon('postgres', qq{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'mentalspace cron' AND pid <> $pid}, 'a terminated scheduler comes again');
$mine = $node->safe_psql('app', q{SELECT count(*) FROM cron.job_run_details WHERE command LIKE '%mine%'});
soon('app', qq{SELECT count(*) >= $mine + 2 FROM cron.job_run_details WHERE command LIKE '%mine%'}, 'jobs go on');
is($node->safe_psql('app', q{SELECT count(*), min(status) FROM cron.job_run_details JOIN cron.job USING (jobid) WHERE jobname = 'slow'}),
	'1|failed', 'the old run is closed, and not started beside the one that still waits');
$node->safe_psql('app', q{SELECT cron.unschedule('slow')});
$holder->quit;

# ---- crash
$pid = $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'mentalspace cron'});
kill 'KILL', $pid;
soon('postgres', qq{SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $pid}, 'after a crash');
$mine = $node->safe_psql('app', q{SELECT count(*) FROM cron.job_run_details WHERE command LIKE '%mine%'});
soon('app', qq{SELECT count(*) >= $mine + 2 FROM cron.job_run_details WHERE command LIKE '%mine%'}, 'jobs run again');

# ---- settings and changes
$node->append_conf('postgresql.conf', 'mentalspace.cron_worker = off');
$node->reload;
soon('postgres', "SELECT ($schedulers 'app') = 0", 'mentalspace.cron_worker = off ends the scheduler');
is($node->safe_psql('app', 'SELECT count(*) >= 0 FROM mentalspace.cron_tick()'), 't', 'cron_tick() may run then');
$node->append_conf('postgresql.conf', 'mentalspace.cron_worker = on');
$node->reload;
ok($node->poll_query_until('app', 'SELECT mentalspace.cron_worker_running()'), 'a new session starts it again');
$node->safe_psql('app', q{SELECT cron.unschedule('mine')}, extra_params => [ '-U', 'alice' ]);
soon('postgres', "SELECT ($schedulers 'app') = 0", 'it ends with the last job');
$node->safe_psql('app', q{BEGIN; SELECT cron.schedule('undone', '1 second', 'SELECT 1'); ROLLBACK});
is($node->safe_psql('postgres', $schedulers . q{'app'}), 0, 'a job that is rolled back starts nothing');
$node->safe_psql('app', q{SELECT cron.schedule('mine', '1 second', 'SELECT 1')});
soon('app', runs('mine', 'succeeded'), 'and comes with the next');

# ---- DROP DATABASE, CREATE DATABASE ... TEMPLATE, and what a copy does
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE app');
ok(1, 'a database with a scheduler can be a template');
$node->safe_psql('postgres', q{ALTER DATABASE copy SET session_preload_libraries = 'mentalspace'});
is($node->safe_psql('copy', 'SELECT count(*) FROM cron.job'), 1, 'the copy has the job');
my $count = $node->safe_psql('copy', 'SELECT count(*) FROM cron.job_run_details');
soon('app', qq{SELECT count(*) > $count + 2 FROM cron.job_run_details}, 'the original runs it');
is($node->safe_psql('copy', 'SELECT count(*) FROM cron.job_run_details'), $count, 'the copy does not');
$node->safe_psql('copy', 'SELECT cron.alter_job(jobid, database := current_database()) FROM cron.job');
soon('copy', "SELECT count(*) > $count FROM cron.job_run_details", 'until it is told to');
$node->safe_psql('postgres', 'DROP DATABASE copy');
ok(1, 'DROP DATABASE is not held up by a scheduler');
$node->safe_psql('app', q{SELECT cron.schedule('sleep', '1 second', 'SELECT pg_sleep(1000)')});
soon('app', runs('sleep', 'running'), 'a job runs');
($code, undef, $stderr) = $node->psql('postgres', 'DROP DATABASE app');
like($stderr, qr/is being accessed by other users/, 'DROP DATABASE is refused while a job runs');
$node->safe_psql('postgres', 'DROP DATABASE app WITH (FORCE)');
soon('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type LIKE 'mentalspace cron%'}, 'but not WITH (FORCE)');

# ---- tables of somebody who is no superuser: he can write what he wants, and gains nothing
$node->safe_psql('postgres', q{CREATE ROLE mallory LOGIN; CREATE DATABASE trap OWNER mallory});
$node->safe_psql('postgres', q{ALTER DATABASE trap SET session_preload_libraries = 'mentalspace'});
$node->safe_psql('trap', qq{
	CREATE SCHEMA cron; CREATE TABLE cron.last_tick (); CREATE TABLE public.caught (u text, command text);
	CREATE TABLE cron.job (jobid bigint, schedule text, command text, database text, username text, active bool);
	CREATE TABLE cron.job_run_details (jobid bigint, runid bigserial, job_pid int, database text, username text, command text,
		status text, return_message text, start_time timestamptz, end_time timestamptz);
	CREATE FUNCTION public.spy() RETURNS trigger LANGUAGE plpgsql AS
		'BEGIN INSERT INTO public.caught VALUES (current_user, NEW.command); RETURN NEW; END';
	CREATE TRIGGER spy BEFORE INSERT ON cron.job_run_details FOR EACH ROW EXECUTE FUNCTION public.spy();
	INSERT INTO cron.job VALUES (1, '1 second', 'ALTER ROLE mallory SUPERUSER', 'trap', '$superuser', true),
		(2, '1 second', 'SELECT 1', 'trap', 'alice', true), (3, '1 second', 'SELECT 1', 'trap', 'mallory', true)},
	extra_params => [ '-U', 'mallory' ]);
soon('trap', q{SELECT count(DISTINCT jobid) = 3 FROM cron.job_run_details WHERE end_time IS NOT NULL}, 'forged jobs');
is($node->safe_psql('trap', q{SELECT DISTINCT jobid, status, return_message FROM cron.job_run_details WHERE end_time IS NOT NULL ORDER BY 1}),
	"1|failed|the owner of cron.job is not a member of the role of the job\n"
	. "2|failed|the owner of cron.job is not a member of the role of the job\n3|succeeded|1 row", 'run as nobody but their owner');
is($node->safe_psql('trap', 'SELECT DISTINCT u FROM caught'), 'mallory', 'his triggers run with his rights');
is($node->safe_psql('postgres', q{SELECT rolsuper FROM pg_roles WHERE rolname = 'mallory'}), 'f', 'he has gained nothing');
$node->safe_psql('postgres', 'DROP DATABASE trap WITH (FORCE)');

# ---- dump and restore
new_database('source');
$node->safe_psql('source', q{SELECT cron.schedule('kept', '1 second', 'SELECT 1')});
soon('source', runs('kept', 'succeeded'), 'a job to dump');
my $dump = $node->backup_dir . '/source.sql';
mkdir $node->backup_dir;
$node->command_ok([ 'pg_dump', '-f', $dump, 'source' ], 'pg_dump');
$node->safe_psql('postgres', 'CREATE DATABASE target TEMPLATE template0');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, 'target' ], 'restore');
is($node->safe_psql('target', q{SELECT jobname, database FROM cron.job}), 'kept|source', 'the job is there');
cmp_ok($node->safe_psql('target', q{SELECT count(*) FROM cron.job_run_details}), '>=', 1, 'its runs are');
is($node->safe_psql('target', q{SELECT cron.schedule('new', '@yearly', 'SELECT 1')}), 2, 'and the numbers go on');
$node->safe_psql('postgres', 'DROP DATABASE target WITH (FORCE)');

# ---- shared_preload_libraries, standby
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'mentalspace'");
$node->restart;
soon('postgres', "SELECT ($schedulers 'source') = 1", 'with shared_preload_libraries nobody need connect');
my $name = $node->backup('b');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'b', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
is($standby->safe_psql('source', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'mentalspace cron%'}), 0, 'a standby runs nothing');
$node->stop('fast');
ok(1, 'the server stops');
$standby->promote;
ok($standby->poll_query_until('postgres', "SELECT ($schedulers 'source') = 1"), 'until it is promoted');
$standby->stop('fast');
done_testing();
