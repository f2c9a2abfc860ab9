# The worker that writes what leaves transactions into the table: what was handed over before is there after, and none
# twice, whatever happens to the worker, the server and the database.
use strict;
use warnings;
use AuditTest;
use MentalspaceTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = audited_server('worker', "mentalspace.audit_ring_size = 64kB\n");
audited_database($node, 'app', 2000);
my $serial = 0;

# The clients from one number to another are read by a session of its own; its name.
sub reads
{
	my ($from, $to, $database, $before) = @_;
	my $name = 'r' . ++$serial;
	my ($status, undef, $err) = finish_read(start_read($node, $database // 'app', $name,
		($before // '') . "SELECT id FROM clients WHERE n BETWEEN $from AND $to"));
	diag $err if $status;
	return $name;
}
sub all_there
{
	my ($name, $from, $to, $what, $database) = @_;
	$database //= 'app';
	flush($node, $database);
	is(recorded($node, $database, $name), ids($from, $to), $what);
	is(twice($node, $database, $name), 0, "$what: none twice");
	return;
}

# ---- audit_flush() waits; each database has its own ring and worker
audited_database($node, 'other', 10);
is($node->safe_psql('app', 'SELECT count(*) FROM clients WHERE id IS NULL; SELECT mentalspace.audit_flush()'), "0\n", 'audit_flush()');
is($node->safe_psql('app', q{SET application_name = 'flushed'; SELECT id FROM clients WHERE n = 7; SELECT mentalspace.audit_flush();
	SELECT patient_ids FROM mentalspace.audit_events WHERE application_name = 'flushed'}), "c7\n\n{c7}", 'what a session did is there when it returns');
isnt(wait_for_worker($node, 'app'), wait_for_worker($node, 'other'), 'two databases have two workers');
my $name = reads(1, 5, 'other');
all_there($name, 1, 5, 'the other database has its own reads', 'other');
is(recorded($node, 'app', $name), '', 'and only it');
is($node->safe_psql('app', 'SELECT outlet, ring_bytes, waiting_bytes, events_lost, waits FROM mentalspace.audit_status()'),
	'ring|65536|0|0|0', 'audit_status()');

# ---- parts of one statement that are found together become one event
my $worker = hold_worker($node, 'app');
$name = reads(1, 1500);
release_worker($worker);
all_there($name, 1, 1500, 'a long read');
is(events($node, 'app', $name, 'cardinality(patient_ids), row_count'), '1500|1500', 'its parts became one event');

# ---- a worker that is terminated, and one that is killed
$worker = hold_worker($node, 'app');
$name = reads(1, 10);
$node->safe_psql('postgres', "SELECT pg_terminate_backend($worker)");
release_worker($worker);
$worker = wait_for_worker($node, 'app', $worker);
all_there($name, 1, 10, 'another worker takes the place of one that was terminated');
$worker = hold_worker($node, 'app');
$name = reads(11, 20);
kill 'KILL', $worker;
wait_for_worker($node, 'app', $worker);
all_there($name, 11, 20, 'a worker that was killed takes all sessions along, and nothing is lost');

# ---- a restart with a filled ring
for my $mode (qw(fast immediate))
{
	$worker = hold_worker($node, 'app');
	my @names = map { reads($_ * 10 + 1, $_ * 10 + 10) } 1 .. 20;
	my $other = reads(1, 10, 'other');
	cmp_ok(status($node, 'app', 'waiting_bytes'), '>', 1000, "$mode: the ring is filled");
	# Who is held notices no request to stop.
	release_worker($worker) if $mode eq 'fast';
	$node->stop($mode);
	$node->start;
	wait_for_worker($node, $_) for qw(app other);
	flush($node, $_) for qw(app other);
	my $good = grep { recorded($node, 'app', $names[ $_ - 1 ]) eq ids($_ * 10 + 1, $_ * 10 + 10) && twice($node, 'app', $names[ $_ - 1 ]) == 0 } 1 .. 20;
	is($good, 20, "$mode: what was read before is there after, and none twice");
	all_there($other, 1, 10, "$mode: the other database", 'other');
}

# ---- crashes at any moment, while many read: events before = events after
for my $round (1 .. 5)
{
	$worker = wait_for_worker($node, 'app');
	my @reads = map { start_read($node, 'app', "crash$round", join ';', ('SELECT id FROM clients WHERE n = ' . ($round * 100 + $_)) x 40) } 1 .. 6;
	kill 'KILL', $worker;
	# What a session has answers for was read; what it has none for may have been.
	my $answers = 0;
	foreach my $read (@reads)
	{
		my (undef, $out) = finish_read($read);
		$answers += () = $out =~ /\n/g;
	}
	$node->poll_query_until('postgres', 'SELECT true');
	wait_for_worker($node, 'app', $worker);
	flush($node, 'app');
	my $rows = $node->safe_psql('app', qq{SELECT coalesce(sum(row_count), 0) FROM mentalspace.audit_events
		WHERE application_name = 'crash$round' AND outcome <> 'unknown'});
	cmp_ok($rows, '>=', $answers, "crash $round: all $answers answers are recorded");
	cmp_ok($rows, '<=', 240, "crash $round: none twice");
}

# ---- a ring that is full: readers wait
sub some_wait
{
	my ($names) = @_;
	return $node->poll_query_until('postgres',
		"SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name LIKE '$names%' AND wait_event = 'Extension'");
}
$worker = hold_worker($node, 'app');
my @waiting = map { start_read($node, 'app', "wait$_", 'SELECT id FROM clients') } 1 .. 6;
ok(some_wait('wait'), 'readers wait for room');
cmp_ok(status($node, 'app', 'waits'), '>', 0, 'which is counted');
release_worker($worker);
is((finish_read($waiting[ $_ - 1 ]))[0], 0, "reader $_ goes on when there is room") for 1 .. 6;
all_there("wait$_", 1, 2000, "what reader $_ read") for 1 .. 6;

# ---- or are cancelled, or fail: what they had read by then is recorded nonetheless
$worker = hold_worker($node, 'app');
@waiting = map { start_read($node, 'app', "cancelled$_", 'SELECT id FROM clients ORDER BY n') } 1 .. 6;
some_wait('cancelled');
$node->poll_query_until('postgres', q{SELECT count(*) = 0 AND count(c) = 0 FROM (
	SELECT CASE WHEN wait_event = 'Extension' THEN pg_cancel_backend(pid) END AS c FROM pg_stat_activity
	 WHERE application_name LIKE 'cancelled%') AS t});
my @cancelled = grep { (finish_read($waiting[ $_ - 1 ]))[2] =~ /57014/ } 1 .. 6;
cmp_ok(scalar @cancelled, '>', 0, 'readers that wait can be cancelled');

$node->safe_psql('postgres', q{ALTER ROLE reader SET mentalspace.audit_ring_full = 'fail'});
my ($status, undef, $err) = finish_read(start_read($node, 'app', 'fails', 'SELECT id FROM clients WHERE n <= 700 ORDER BY n'));
like($err, qr/53400: .*ring of this database is full/s, 'audit_ring_full = fail: a read fails');
my $session = $node->background_psql('app', on_error_stop => 0);
$session->query(q{SET application_name = 'flushes'; SET mentalspace.audit_ring_full = 'fail'; SELECT id FROM clients WHERE n <= 700 ORDER BY n});
$node->safe_psql('postgres', 'ALTER ROLE reader RESET mentalspace.audit_ring_full');
# An error in the middle finds no room either, and cannot wait.
$err = (finish_read(start_read($node, 'app', 'aborts', 'SELECT id, 1 / (301 - n + (random() * 0)::int) FROM clients ORDER BY n')))[2];
like($err, qr/22012/, 'another error stays what it is');
my @spool = spool_files($node);
cmp_ok(scalar @spool, '>', 0, 'the spool takes what has no room');
release_worker($worker);
$session->query('SELECT mentalspace.audit_flush()');
like(recorded($node, 'app', 'fails'), qr/^c1 c2 .*c512\b/, 'what the failed read had read');
like(recorded($node, 'app', 'flushes'), qr/^c1 c2 .*c512\b/, 'audit_flush() waits also for what is in the spool');
$session->quit;
is(recorded($node, 'app', 'aborts'), ids(1, 300), 'what was read before the error');
is(twice($node, 'app', $_), 0, "$_: none twice") for qw(fails flushes aborts);
foreach my $i (@cancelled)
{
	my $recorded = recorded($node, 'app', "cancelled$i");
	my $count = () = $recorded =~ /c/g;
	is($recorded, ids(1, $count), "cancelled reader $i: the first $count patients");
	cmp_ok($count, '>=', 512, 'which are as many as it had read');
	is(twice($node, 'app', "cancelled$i"), 0, 'none twice');
}
is(status($node, 'app', 'events_lost'), 0, 'nothing was lost');

# ---- who keeps the worker from going on does not wait for it
($status, undef, $err) = $node->psql('app', q{BEGIN; LOCK TABLE mentalspace.audit_events; SELECT id FROM clients WHERE n = 5;
	SELECT mentalspace.audit_flush()}, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
like($err, qr/55000: .*waits for a lock that this transaction holds/, 'audit_flush() within a transaction that locks the table');
flush($node, 'app');
my $later = $node->safe_psql('app', q{SELECT max(relname) FROM pg_class WHERE relname ~ '^audit_events_[0-9]{6}$'});
$node->safe_psql('app', "DROP TABLE mentalspace.$later");
$worker = wait_for_worker($node, 'app');
$node->safe_psql('postgres', "SELECT pg_terminate_backend($worker)");
ok($node->poll_query_until('app', "SELECT to_regclass('mentalspace.$later') IS NOT NULL"), 'the worker makes partitions ahead');

# ---- a table that takes nothing, and one event that it does not take
$node->safe_psql('app', 'ALTER TABLE mentalspace.audit_progress RENAME TO away');
($status, undef, $err) = $node->psql('app', 'SELECT id FROM clients WHERE n = 5; SELECT mentalspace.audit_flush()', extra_params => [ '-v', 'VERBOSITY=verbose' ]);
like($err, qr/55000/, 'audit_flush() does not wait for a table that takes nothing');
$name = reads(1, 3);
$node->safe_psql('app', 'ALTER TABLE mentalspace.away RENAME TO audit_progress');
all_there($name, 1, 3, 'later it takes what waited');
my ($default) = $node->safe_psql('app', 'SELECT tableoid::regclass FROM mentalspace.audit_events ORDER BY event_id DESC LIMIT 1');
$node->safe_psql('app', "CREATE UNIQUE INDEX poison ON $default (application_name) WHERE application_name = 'poison'");
$worker = hold_worker($node, 'app');
finish_read(start_read($node, 'app', 'poison', 'SELECT id FROM clients WHERE n = 1'));
my $log = -s $node->logfile;
finish_read(start_read($node, 'app', 'poison', 'SELECT id FROM clients WHERE n = 2'));
$name = reads(4, 6);
release_worker($worker);
all_there($name, 4, 6, 'one event that cannot be written does not keep the others');
is(status($node, 'app', 'events_lost'), 1, 'it is counted');
ok($node->log_contains(qr/WARNING:  an audit event cannot be written.*"patient_ids":\["c2"\]/s, $log), 'and is in the server log');
$node->safe_psql('app', 'DROP INDEX mentalspace.poison');

# ---- a disk that has room for small events and not for a large one: that one waits
$node->safe_psql('app', qq{CREATE FUNCTION room(text, text[]) RETURNS text IMMUTABLE LANGUAGE plpgsql AS \$\$ BEGIN
	IF \$1 = 'large' THEN RAISE EXCEPTION 'no space left on device' USING ERRCODE = 'disk_full'; END IF; RETURN \$1; END \$\$;
	CREATE INDEX full_disk ON $default (public.room(application_name, patient_ids))});
$log = -s $node->logfile;
finish_read(start_read($node, 'app', 'large', 'SELECT id FROM clients WHERE n <= 300'));
$name = reads(7, 9);
my $tries = 0;
while ($tries < 4 && $node->wait_for_log(qr/at present: no space left on device/, $log)) {
	my $text = slurp_file($node->logfile, $log);
	$text =~ /at present: no space left on device.*?\n/g;
	$log += pos $text;
	$tries++;
}
is($tries, 4, 'the worker tries again and again');
is(status($node, 'app', 'events_lost'), 1, 'and gives nothing up');
$node->safe_psql('app', 'DROP INDEX mentalspace.full_disk');
all_there('large', 1, 300, 'it is there once there is room');
all_there($name, 7, 9, 'and what waited behind it');

# ---- the database, and the extension, go
my $file = ring_file($node, 'other');
ok(-e $file, 'the ring of a database');
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE app');
pass('a database with a worker is copied');
$name = reads(1, 4, 'copy');
flush($node, 'copy');
is(recorded($node, 'copy', $name), ids(1, 4), 'the copy gets a ring and a worker of its own');
$node->safe_psql('postgres', 'DROP DATABASE other');
pass('a database with a worker is dropped');
$node->poll_query_until('postgres', q{SELECT count(*) = 2 FROM pg_stat_activity WHERE backend_type = 'mentalspace audit'});
for (1 .. 1800) { last if !-e $file; select undef, undef, undef, 0.1 }
ok(!-e $file, 'its ring is gone');
$node->safe_psql('copy', 'DROP EXTENSION mentalspace CASCADE; CREATE EXTENSION mentalspace');
$node->safe_psql('copy', q{SELECT mentalspace.audit_table('clients', 'id')});
$name = reads(5, 8, 'copy');
flush($node, 'copy');
is(recorded($node, 'copy', $name), ids(5, 8), 'an extension that was made anew');
$node->stop;

# ---- no worker to be had
$node = audited_server('crowded', "max_worker_processes = 1\n");
$node->safe_psql('postgres', 'CREATE DATABASE app');
audited_database($node, 'first', 10);
$node->safe_psql('app', q{CREATE EXTENSION mentalspace; CREATE TABLE clients AS SELECT 'c' || i AS id, i AS n FROM generate_series(1, 10) AS i});
($status, undef, $err) = $node->psql('app', q{SELECT mentalspace.audit_table('clients', 'id')}, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
like($err, qr/WARNING:  53400: no background worker is free.*max_worker_processes/s, 'a warning where no worker is free');
($status, undef, $err) = $node->psql('app', q{SELECT id FROM clients; SELECT mentalspace.audit_flush()}, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
like($err, qr/55000: no background worker writes the audit events/, 'audit_flush() does not wait for one');
$node->adjust_conf('postgresql.conf', 'max_worker_processes', '8');
$node->restart;
wait_for_worker($node, 'app');
flush($node, 'app');
is($node->safe_psql('app', q{SELECT array_length(patient_ids, 1) FROM mentalspace.audit_events WHERE kind = 'phi_access'}), 10,
	'with one, after a restart, all is there');
$node->stop;

# ---- a library that was not preloaded with the server
$node = start_server('session', 'native', "session_preload_libraries = 'mentalspace'\n");
($status, undef, $err) = $node->psql('postgres', q{CREATE EXTENSION mentalspace; CREATE TABLE clients AS SELECT 'c1' AS id;
	SELECT mentalspace.audit_table('clients', 'id')});
$log = -s $node->logfile;
$node->safe_psql('postgres', 'SELECT id FROM clients');
ok($node->log_contains(qr/LOG:  mentalspace audit: \{.*"kind":"phi_access".*"patient_ids":\["c1"\].*\}/, $log), 'reads are in the server log');
($status, undef, $err) = $node->psql('postgres', 'SELECT id FROM clients; SELECT mentalspace.audit_flush()', extra_params => [ '-v', 'VERBOSITY=verbose' ]);
like($err, qr/55000: .*shared_preload_libraries/s, 'and audit_flush() says so');
is($node->safe_psql('postgres', 'SELECT outlet, worker_pid, ring_bytes FROM mentalspace.audit_status()'), 'server log||', 'so does audit_status()');
$node->stop;
done_testing();
