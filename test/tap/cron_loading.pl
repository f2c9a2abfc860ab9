# The scheduler of the companion pg_cron begins, ends and begins again, however the library comes into the server; what was
# due and not run is in the log.
use strict;
use warnings;
use MentalspaceTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_server('cron_loading', 'native', "max_worker_processes = 20\n");
my $schedulers = q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'mentalspace cron' AND datname = };

sub soon
{
	my ($database, $query, $what) = @_;
	ok($node->poll_query_until($database, $query), $what);
}

# schedule_thrice(DATABASE, HOW): a job, no job, a job, each in a session of its own; then all in one session.
sub schedule_thrice
{
	my ($database, $how) = @_;
	my $session = $node->background_psql($database, on_error_stop => 0);

	foreach my $turn ('first', 'second', 'third')
	{
		my $job = qq{SELECT cron.schedule('$turn', '1 second', 'SELECT 1')};
		$turn eq 'third' ? $session->query_safe($job) : $node->safe_psql($database, $job);
		soon($database, qq{SELECT count(*) >= 1 FROM cron.job_run_details JOIN cron.job USING (jobid)
			WHERE jobname = '$turn' AND status = 'succeeded'}, "$how: the $turn job runs");
		my $end = qq{SELECT cron.unschedule('$turn')};
		$turn eq 'third' ? $session->query_safe($end) : $node->safe_psql($database, $end);
		soon('postgres', "SELECT ($schedulers '$database') = 0", "$how: and the scheduler ends with it");
	}
	$session->quit;
}

# what a new server or a restored database has: a job, and nobody who would tell
sub start_with_a_job
{
	my ($database, $how) = @_;
	$node->safe_psql($database, q{SELECT cron.schedule('kept', '1 second', 'SELECT 1')});
	$node->restart;
	soon('postgres', "SELECT ($schedulers '$database') = 1", "$how: nobody need connect after a start") if $how =~ /^shared/;
	$node->safe_psql($database, 'SELECT 1');
	$node->safe_psql($database, 'SELECT auth.uid()') if $how =~ /^a function/;
	soon('postgres', "SELECT ($schedulers '$database') = 1", "$how: a session starts the scheduler");
	$node->safe_psql($database, q{SELECT cron.unschedule('kept')});
	soon('postgres', "SELECT ($schedulers '$database') = 0", "$how: ends");
}

sub new_database
{
	my ($name) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $name");
	$node->safe_psql($name, 'CREATE EXTENSION mentalspace; CREATE EXTENSION pg_cron');
}

new_database('demand');
schedule_thrice('demand', 'a function loads the library');
start_with_a_job('demand', 'a function loads the library');

new_database('session');
$node->safe_psql('postgres', "ALTER DATABASE session SET session_preload_libraries = 'mentalspace'");
schedule_thrice('session', 'session_preload_libraries');
start_with_a_job('session', 'session_preload_libraries');

$node->append_conf('postgresql.conf', "shared_preload_libraries = 'mentalspace'");
$node->restart;
new_database('shared');
schedule_thrice('shared', 'shared_preload_libraries');
start_with_a_job('shared', 'shared_preload_libraries');

# jobs that nobody is to run start nothing
$node->safe_psql('shared', q{SELECT cron.schedule('asleep', '1 second', 'SELECT 1'), cron.schedule('elsewhere', '1 second', 'SELECT 1');
	UPDATE cron.job SET active = false WHERE jobname = 'asleep'; UPDATE cron.job SET database = 'x' WHERE jobname = 'elsewhere'});
soon('postgres', "SELECT ($schedulers 'shared') = 0", 'no active job of this database');
my $log = -s $node->logfile;
$node->append_conf('postgresql.conf', "log_min_messages = debug1");
$node->restart;
$node->safe_psql('shared', 'SELECT 1') foreach 1 .. 3;
$node->safe_psql('postgres', 'SELECT pg_sleep(1)');
soon('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type LIKE 'mentalspace cron%'}, 'no scheduler stays without jobs');
my $started = () = slurp_file($node->logfile, $log) =~ /starting background worker process "mentalspace cron for database/g;
is($started, scalar(split /\n/, $node->safe_psql('postgres', 'SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate')),
	'the launcher looks once into each database, sessions start nothing');
$node->safe_psql('shared', 'DELETE FROM cron.job');

# what was due while nobody ran it
$node->safe_psql('shared', q{INSERT INTO cron.job (jobid, schedule, command, active) VALUES (4711, '* * * * *', 'SELECT 1', false),
	(4712, '0 0 29 2 *', 'SELECT 1', false);
	INSERT INTO cron.job_run_details (jobid, database, status, start_time)
	SELECT j, current_database(), 'succeeded', now() - interval '1 hour' FROM unnest(ARRAY[4711, 4712]) j});
$log = -s $node->logfile;
$node->safe_psql('shared', q{UPDATE cron.job SET active = true, schedule = '* * * * *' WHERE jobid = 4711});
soon('postgres', "SELECT ($schedulers 'shared') = 1", 'a scheduler');
my $seen = '';
foreach (1 .. 100)
{
	$seen = slurp_file($node->logfile, $log);
	last if $seen =~ /cron job 4711 was due/;
	select undef, undef, undef, 0.1;
}
like($seen, qr/cron job 4711 was due while no cron worker ran and is not run for it/, 'a job that was due and not run is in the log');
unlike($seen, qr/cron job 4712/, 'one that was not due is not');

$node->stop('fast');
done_testing();
