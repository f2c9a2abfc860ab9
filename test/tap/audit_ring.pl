# The file of the ring: damaged, from an earlier configuration, or in the way.
use strict;
use warnings;
use AuditTest;
use Fcntl 'SEEK_SET';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = audited_server('ring', "mentalspace.audit_ring_size = 64kB\nmax_connections = 20\n");
audited_database($node, 'app', 2000);
my $file = ring_file($node, 'app');
is(sprintf('%o', (stat $file)[2] & 07777), '600', 'the ring is for nobody else to read');
is(sprintf('%o', (stat $node->data_dir . '/mentalspace')[2] & 07777), '700', 'nor is its directory');
my $page = 4096;

sub overwrite
{
	my ($position, $bytes) = @_;
	open my $ring, '+<:raw', $file or die "$file: $!";
	sysseek $ring, $position, SEEK_SET;
	syswrite $ring, $bytes;
	close $ring;
	return;
}
# Reads of one patient each, which the worker does not take over before the server stops.
sub fill
{
	my ($from, $to) = @_;
	my $worker = hold_worker($node, 'app');
	finish_read(start_read($node, 'app', "r$_", "SELECT id FROM clients WHERE n = $_")) for $from .. $to;
	return;
}
sub recorded_of
{
	my ($from, $to) = @_;
	flush($node, 'app');
	return join ' ', grep { $_ ne '' } map { recorded($node, 'app', "r$_") } $from .. $to;
}
# Where a record is in the file: its event names who read.
sub place_of
{
	my ($name) = @_;
	return index slurp_file($file), "\0$name\0";
}

# ---- a record that a power failure has torn
fill(1, 5);
$node->stop('immediate');
my $place = place_of('r3');
cmp_ok($place, '>', $page, 'a record is found');
overwrite($place + 1, 'XX');
my $log = -s $node->logfile;
$node->start;
wait_for_worker($node, 'app');
is(recorded_of(1, 5), 'c1 c2 c4 c5', 'a torn record: the others are recorded');
is(status($node, 'app', 'events_lost'), 1, 'it is counted');
ok($node->log_contains(qr/WARNING:  the audit ring of this database is damaged in 1 place/, $log), 'with a warning');

# ---- a header that is older than the records
fill(6, 8);
my $early = substr slurp_file($file), 0, $page;
fill(9, 10);
$node->stop('immediate');
overwrite(0, $early);
$node->start;
wait_for_worker($node, 'app');
is(recorded_of(6, 10), ids(6, 10), 'records that the header does not know of yet');

# ---- a server that stopped between the commit of the worker and the moving of the tail
my $worker = hold_worker($node, 'app');
finish_read(start_read($node, 'app', "r$_", "SELECT id FROM clients WHERE n = $_")) for 30 .. 33;
$early = substr slurp_file($file), 0, $page;
release_worker($worker);
is(recorded_of(30, 33), ids(30, 33), 'records that were taken over');
$node->stop('immediate');
overwrite(0, $early);
$node->start;
wait_for_worker($node, 'app');
finish_read(start_read($node, 'app', 'r34', 'SELECT id FROM clients WHERE n = 34'));
is(recorded_of(30, 34), ids(30, 34), 'and seem not to have been');
is(twice($node, 'app', "r$_"), 0, 'are not taken over again') for 30 .. 33;

# ---- more sessions than before
$node->adjust_conf('postgresql.conf', 'max_connections', '200');
my $size = -s $file;
fill(11, 12);
$node->stop('immediate');
$node->start;
wait_for_worker($node, 'app');
cmp_ok(-s $file, '>', $size, 'the ring grows with max_connections');
is(recorded_of(11, 12), ids(11, 12), 'and keeps what is in it');
my @sessions = map { $node->background_psql('app') } 1 .. 40;
$_->query_safe('SELECT id FROM clients WHERE n = 1') for @sessions;
$_->quit for @sessions;
flush($node, 'app');
is($node->safe_psql('app', q{SELECT count(*) FROM mentalspace.audit_events WHERE outcome = 'unknown'}), 0, 'with places for all');

# ---- a file that is no ring
fill(13, 13);
$node->stop('immediate');
overwrite(0, 'nonsense');
$log = -s $node->logfile;
$node->start;
ok($node->log_contains(qr/LOG:  the audit ring .* cannot be used and is kept as .*damaged": the file is not a ring/, $log), 'a file that is no ring is kept aside');
ok(-e "$file.damaged", 'under another name');
finish_read(start_read($node, 'app', 'r14', 'SELECT id FROM clients WHERE n = 14'));
wait_for_worker($node, 'app');
is(recorded_of(14, 14), 'c14', 'and another one takes its place');
$node->stop('immediate');
truncate $file, $page + 100;
$node->start;
finish_read(start_read($node, 'app', 'r15', 'SELECT id FROM clients WHERE n = 15'));
wait_for_worker($node, 'app');
is(recorded_of(15, 15), 'c15', 'a file that is too short');

# ---- where no ring can be made, the spool takes its place
$node->stop;
unlink $file;
$node->append_conf('postgresql.conf', "mentalspace.audit_ring_size = 1GB\nmentalspace.audit_spool_directory = 'elsewhere'\n");
my $directory = $node->data_dir . '/mentalspace';
rename $directory, "$directory.away";
append_to_file($directory, '');
$node->start;
$log = -s $node->logfile;
finish_read(start_read($node, 'app', 'r16', 'SELECT id FROM clients WHERE n = 16'));
ok($node->log_contains(qr/LOG:  could not make the audit ring/, $log), 'where no ring can be made');
like(slurp_file((glob $node->data_dir . '/elsewhere/*.jsonl')[0]), qr/"patient_ids":\["c16"\]/, 'the spool takes its place');
my (undef, undef, $err) = $node->psql('app', 'SELECT id FROM clients WHERE n = 17; SELECT mentalspace.audit_flush()', extra_params => [ '-v', 'VERBOSITY=verbose' ]);
like($err, qr/55000/, 'audit_flush() says that nothing takes it over');
unlink $directory;
finish_read(start_read($node, 'app', 'r18', 'SELECT id FROM clients WHERE n = 18'));
wait_for_worker($node, 'app');
$node->poll_query_until('app', q{SELECT count(*) = 1 FROM mentalspace.audit_events WHERE application_name = 'r16'});
is(recorded_of(16, 18), 'c16 c18', 'until it can be made');

# ---- where even the spool takes nothing
my $holder = hold_worker($node, 'app');
$node->append_conf('postgresql.conf', "mentalspace.audit_spool_directory = 'postgresql.conf'\nmentalspace.audit_ring_size = 64kB\n");
release_worker($holder);
$node->stop;
unlink $file;
$node->start;
finish_read(start_read($node, 'app', 'r19', 'SELECT id FROM clients WHERE n = 19'));
wait_for_worker($node, 'app');
$holder = hold_worker($node, 'app');
$log = -s $node->logfile;
my $error = '';
for my $i (1 .. 10)
{
	$error .= $node->safe_psql('app', 'SELECT 1') && ($node->psql('app',
		q{SET mentalspace.audit_ring_full = 'fail'; SELECT id FROM clients}, extra_params => [ '-v', 'VERBOSITY=verbose' ]))[2];
}
like($error, qr/WARNING:  58030: an audit event could not be recorded.*ERROR:  53400/s, 'what can be recorded nowhere: a warning');
ok($node->log_contains(qr/LOG:  mentalspace audit: \{.*"patient_ids":\["c1",/, $log), 'it is in the server log');
cmp_ok(status($node, 'app', 'events_lost'), '>', 0, 'and counted');
release_worker($holder);
$node->stop;
done_testing();
