# What the tests of the audit's way into the table share: a server with an audited table, reads that stop in their midst,
# and what was recorded of them.
package AuditTest;
use strict;
use warnings;
use Exporter 'import';
use IPC::Run;
use MentalspaceTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(audited_server audited_database start_read finish_read blocked recorded twice events ids flush status
	hold_worker release_worker wait_for_worker ring_file spool_files);

# audited_server(NAME, CONF): a server that has the library preloaded.
sub audited_server
{
	my ($name, $conf) = @_;
	return start_server($name, 'native', "shared_preload_libraries = 'mentalspace'\nmax_worker_processes = 20\n"
		. "restart_after_crash = on\n" . ($conf // ''));
}

# audited_database(NODE, NAME, ROWS): clients c1, c2, ... of which `n` is the number, and a role that reads them.
sub audited_database
{
	my ($node, $name, $rows) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $name") if $name ne 'postgres';
	$node->safe_psql('postgres', q{SELECT 'CREATE ROLE reader LOGIN' WHERE to_regrole('reader') IS NULL \gexec});
	$node->safe_psql($name, qq{
		CREATE EXTENSION mentalspace;
		CREATE TABLE clients (id text PRIMARY KEY, n int NOT NULL);
		INSERT INTO clients SELECT 'c' || i, i FROM generate_series(1, $rows) AS i;
		GRANT SELECT ON clients TO reader;
		SELECT mentalspace.audit_table('clients', 'id')});
	return;
}

# start_read(NODE, DATABASE, NAME, SQL): a session of `reader` that runs SQL by itself; its events bear NAME.
sub start_read
{
	my ($node, $database, $name, $sql) = @_;
	my %read = (out => '', err => '', name => $name);
	local $ENV{PGAPPNAME} = $name;
	$read{handle} = IPC::Run::start(
		[ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-v', 'VERBOSITY=verbose', '-U', 'reader', '-d', $node->connstr($database), '-c', $sql ],
		'<', \undef, '>', \$read{out}, '2>', \$read{err}, IPC::Run::timeout(180));
	return \%read;
}

# Its exit status, standard output and standard error.
sub finish_read
{
	my ($read) = @_;
	$read->{handle}->finish;
	return ($read->{handle}->result(0), $read->{out}, $read->{err});
}

# blocked(NODE, NAME, EVENT): waits until the session of that name waits for EVENT (as in pg_stat_activity); its pid.
sub blocked
{
	my ($node, $name, $event) = @_;
	$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity "
		. "WHERE application_name = '$name' AND wait_event = '$event'") or die "$name does not wait for $event";
	return $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE application_name = '$name'");
}

# Everything that there is in the ring and the spool gets into the table.
sub flush
{
	my ($node, $database) = @_;
	return $node->poll_query_until($database, 'SELECT coalesce(waiting_bytes, 0) = 0 FROM mentalspace.audit_status()');
}

# The patients that were recorded of the reads of that name, in the order of their numbers.
sub recorded
{
	my ($node, $database, $name) = @_;
	return $node->safe_psql($database, "SELECT coalesce(string_agg(p, ' ' ORDER BY substr(p, 2)::int), '') FROM (SELECT DISTINCT p "
		. "FROM mentalspace.audit_events, unnest(patient_ids) AS p WHERE application_name = '$name' AND kind = 'phi_access') AS t");
}

# How many of them were recorded more than once.
sub twice
{
	my ($node, $database, $name) = @_;
	return $node->safe_psql($database, "SELECT count(*) FROM (SELECT p FROM mentalspace.audit_events, unnest(patient_ids) AS p "
		. "WHERE application_name = '$name' AND kind = 'phi_access' GROUP BY p HAVING count(*) > 1) AS t");
}

# events(NODE, DATABASE, NAME, COLUMNS, ORDER)
sub events
{
	my ($node, $database, $name, $columns) = @_;
	return $node->safe_psql($database, "SELECT $columns FROM mentalspace.audit_events "
		. "WHERE application_name = '$name' AND kind = 'phi_access' ORDER BY event_id");
}

# ids(FROM, TO): c1 c2 ...
sub ids
{
	my ($from, $to) = @_;
	return join ' ', map { "c$_" } $from .. $to;
}

sub status
{
	my ($node, $database, $column) = @_;
	return $node->safe_psql($database, "SELECT $column FROM mentalspace.audit_status()");
}

# Waits until there is a worker, another one than OTHER if that is given; its pid.
sub wait_for_worker
{
	my ($node, $database, $other) = @_;
	$other //= 0;
	$node->poll_query_until($database, "SELECT coalesce(worker_pid, 0) NOT IN (0, $other) FROM mentalspace.audit_status()")
		or die 'no worker';
	return status($node, $database, 'worker_pid');
}

# The worker does nothing until it is released; both give its pid.
sub hold_worker
{
	my ($node, $database) = @_;
	my $pid = wait_for_worker($node, $database);
	kill 'STOP', $pid or die "worker $pid: $!";
	return $pid;
}
sub release_worker
{
	my ($pid) = @_;
	kill 'CONT', $pid;
	return $pid;
}

sub ring_file
{
	my ($node, $database) = @_;
	return $node->data_dir . '/mentalspace/audit-'
		. $node->safe_psql('postgres', "SELECT oid FROM pg_database WHERE datname = '$database'") . '.ring';
}

sub spool_files
{
	my ($node) = @_;
	return glob($node->data_dir . '/mentalspace/spool/*.jsonl');
}

1;
