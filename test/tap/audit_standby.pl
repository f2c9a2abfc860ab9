# Reads on a standby: in a spool file, which the primary takes over; and what becomes of ring and spool when it is promoted.
use strict;
use warnings;
use AuditTest;
use Cwd 'abs_path';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = audited_server('primary', "wal_level = replica\nmax_wal_senders = 5\nhot_standby = on\n");
audited_database($primary, 'app', 2000);

# ---- a base backup takes a ring along that is filled, and a read that is under way
my $worker = hold_worker($primary, 'app');
finish_read(start_read($primary, 'app', 'ring', 'SELECT id FROM clients WHERE n <= 3'));
my $holder = $primary->background_psql('app');
$holder->query_safe('SELECT pg_advisory_lock(42)');
my $underway = start_read($primary, 'app', 'underway', 'SELECT id, CASE WHEN n > 5 THEN pg_advisory_lock(42)::text END FROM clients ORDER BY n');
blocked($primary, 'underway', 'advisory');
$primary->backup('base');
release_worker($worker);
$holder->quit;
finish_read($underway);
flush($primary, 'app');
is(recorded($primary, 'app', 'ring'), ids(1, 3), 'the primary has what was in its ring');

my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby);
my $directory = abs_path($standby->data_dir) . '/mentalspace/spool';
sub lines
{
	my $all = '';
	$all .= slurp_file($_) for glob "$directory/*.jsonl";
	return $all;
}
sub ingest
{
	my ($file) = @_;
	return $primary->safe_psql('app', "SELECT mentalspace.audit_ingest('$file')");
}

# ---- reads on the standby
is($standby->safe_psql('app', 'SELECT outlet FROM mentalspace.audit_status()'), 'spool', 'the outlet of a standby');
finish_read(start_read($standby, 'app', 'spool', 'SELECT id FROM clients WHERE n <= 700 ORDER BY n'));
my ($status, undef, $err) = finish_read(start_read($standby, 'app', 'failed', 'SELECT id, 1 / (301 - n + (random() * 0)::int) FROM clients ORDER BY n'));
like($err, qr/22012/, 'a read that fails there');
my ($file, $more) = glob "$directory/*.jsonl";
ok(!defined $more, 'one file');
is(sprintf('%o', (stat $file)[2] & 07777), '600', 'for nobody else to read');
like(lines(), qr/"state":"begun".*"outcome":"unknown".*"patient_ids":\["c1",.*"state":"ended"/s, 'the read is there before its rows');
($status, undef, $err) = $standby->psql('app', 'SELECT mentalspace.audit_flush()', extra_params => [ '-v', 'VERBOSITY=verbose' ]);
like($err, qr/55000: audit events of a standby/, 'audit_flush() does not wait there');

# ---- taken over by hand, while it goes on
$holder = $standby->background_psql('app');
$holder->query_safe('SELECT pg_advisory_lock(42)');
my $sql = 'SELECT id, CASE WHEN n > 600 THEN pg_advisory_lock(42)::text END FROM clients ORDER BY n';
my $read = start_read($standby, 'app', 'killed', $sql);
my $pid = blocked($standby, 'killed', 'advisory');
my $ended = start_read($standby, 'app', 'ended', $sql);
blocked($standby, 'ended', 'advisory');
# 700 in two parts, 300, and the first part of each of the others.
is(ingest($file), 5, 'what is new in a file');
is(ingest($file), 0, 'is taken over once');
is(recorded($primary, 'app', 'spool'), ids(1, 700), 'what was read there');
is(recorded($primary, 'app', 'failed'), ids(1, 300), 'and before an error');
is(recorded($primary, 'app', 'killed'), ids(1, 512), 'and what is still being read');
is($primary->safe_psql('app', q{SELECT count(*) FROM mentalspace.audit_events WHERE outcome = 'unknown'}), 0, 'whose outcome is open');
my $ended_pid = $standby->safe_psql('app', q{SELECT pid FROM pg_stat_activity WHERE application_name = 'ended'});
$standby->safe_psql('app', "SELECT pg_cancel_backend($ended_pid)");
finish_read($ended);

# ---- a crash of the standby in the midst of a read
kill 'KILL', $pid;
finish_read($read);
$standby->poll_query_until('app', 'SELECT true');
is(ingest($file), 2, 'after a crash: the rest of the one, and that the other was not ended');
is(recorded($primary, 'app', 'ended'), ids(1, 600), 'what was cancelled');
is(events($primary, 'app', 'killed', 'outcome, relation, cardinality(patient_ids)'), "success|public.clients|512\nunknown|public.clients|",
	'what was read until the crash, and who was reading');
is(twice($primary, 'app', $_), 0, "$_: none twice") for qw(spool failed killed ended);
is(ingest($file), 0, 'that, too, once');

# ---- what cannot be taken over
my $bad = "$directory/bad.txt";
my ($good) = (split /\n/, slurp_file($file))[1];
$good =~ s/"application_name":"\w+"/"application_name":"copied"/;
sub try_bad
{
	my ($content) = @_;
	unlink $bad;
	append_to_file($bad, $content);
	my (undef, undef, $error) = $primary->psql('app', "SELECT mentalspace.audit_ingest('$bad')");
	return $error;
}
my $before = $primary->safe_psql('app', 'SELECT count(*) FROM mentalspace.audit_events');
like(try_bad("$good\nno json\n$good\n"), qr/line 2 of audit spool file "bad.txt"/, 'a line that is no JSON is named');
like(try_bad("$good\n\n$good\n{\"a\": 1}\n"), qr/line 4 of/, 'a line that is no event');
like(try_bad("[\"event\"]\n"), qr/line 1 of/, 'a line that is no object');
my $wrong = $good =~ s/"row_count":\d+/"row_count":"secret"/r;
$err = try_bad("$wrong\n");
like($err, qr/line 1 of/, 'a value of another type');
unlike($err, qr/secret/, 'which is not repeated');
like(try_bad("$good\n" . substr($good, 0, 40)), qr/^$/, 'the beginning of a line is left');
is($primary->safe_psql('app', 'SELECT count(*) FROM mentalspace.audit_events'), $before + 1, 'nothing of what failed was taken');
is(ingest($bad), 0, 'and what was taken is not taken again');
unlink $bad;
$primary->safe_psql('postgres', 'CREATE ROLE nobody LOGIN');
$primary->safe_psql('app', 'GRANT EXECUTE ON FUNCTION mentalspace.audit_ingest TO nobody; GRANT USAGE ON SCHEMA mentalspace TO nobody');
($status, undef, $err) = $primary->psql('app', "SELECT mentalspace.audit_ingest('x')", extra_params => [ '-U', 'nobody' ]);
like($err, qr/must be superuser or owner of the extension/, 'not for everybody');
($status, undef, $err) = $primary->psql('app', "SELECT mentalspace.audit_ingest('../x')");
like($err, qr/is not the name of a file in mentalspace.audit_spool_directory/, 'no way out of the directory');
($status, undef, $err) = $primary->psql('app', "SELECT mentalspace.audit_ingest(NULL)");
like($err, qr/must not be NULL/, 'NULL');

# ---- a directory that both see: the primary's worker takes over by itself
my $shared = abs_path(PostgreSQL::Test::Utils::tempdir());
foreach my $node ($primary, $standby)
{
	$node->append_conf('postgresql.conf', "mentalspace.audit_spool_directory = '$shared/spool'");
	$node->reload;
}
$standby->poll_query_until('app', "SELECT spool_directory = '$shared/spool' FROM mentalspace.audit_status()");
finish_read(start_read($standby, 'app', 'shared', 'SELECT id FROM clients WHERE n <= 8'));
$primary->poll_query_until('app', q{SELECT count(*) = 1 FROM mentalspace.audit_events WHERE application_name = 'shared'});
is(recorded($primary, 'app', 'shared'), ids(1, 8), 'a shared directory');

# ---- to the server log instead
$standby->append_conf('postgresql.conf', "mentalspace.audit_standby = log");
$standby->reload;
$standby->poll_query_until('app', q{SELECT outlet = 'server log' FROM mentalspace.audit_status()});
my $log = -s $standby->logfile;
finish_read(start_read($standby, 'app', 'logged', 'SELECT id FROM clients WHERE n <= 2'));
ok($standby->log_contains(qr/LOG:  mentalspace audit: \{.*"patient_ids":\["c1","c2"\].*"application_name":"logged"/, $log), 'audit_standby = log');
$standby->append_conf('postgresql.conf', "mentalspace.audit_standby = spool");
$standby->reload;
$standby->poll_query_until('app', q{SELECT outlet = 'spool' FROM mentalspace.audit_status()});

# ---- a read that begins on a standby and ends on a primary
$holder = $standby->background_psql('app');
$holder->query_safe('SELECT pg_advisory_lock(42)');
$read = start_read($standby, 'app', 'across', 'SELECT id, CASE WHEN n > 530 THEN pg_advisory_lock(42)::text END FROM clients ORDER BY n');
blocked($standby, 'across', 'advisory');
finish_read(start_read($standby, 'app', 'last', 'SELECT id FROM clients WHERE n <= 9'));
$primary->poll_query_until('app', q{SELECT count(*) > 0 FROM mentalspace.audit_events WHERE application_name = 'last'});
$primary->wait_for_catchup($standby);
$primary->stop;
$standby->promote;
is($standby->safe_psql('app', 'SELECT outlet FROM mentalspace.audit_status()'), 'ring', 'a standby that was promoted');
$holder->quit;
is((finish_read($read))[0], 0, 'a read that began before goes on');
finish_read(start_read($standby, 'app', 'promoted', 'SELECT id FROM clients WHERE n <= 4'));
wait_for_worker($standby, 'app');
flush($standby, 'app');
is(recorded($standby, 'app', 'promoted'), ids(1, 4), 'reads go through its ring');
is(recorded($standby, 'app', 'across'), ids(1, 2000), 'and so does the rest of the one that began before');
is(twice($standby, 'app', $_), 0, "$_: none twice") for qw(ring underway spool failed killed ended shared last across promoted);
is($standby->safe_psql('app', q{SELECT string_agg(application_name, ' ') FROM mentalspace.audit_events WHERE outcome = 'unknown'}), 'killed',
	'no read became one of unknown outcome: neither those that the backup found under way, nor the one across');
is(status($standby, 'app', 'events_lost'), 0, 'nothing was lost');

# What nobody writes to any more is removed when it is in the table.
$standby->restart;
$standby->poll_query_until('app', q{SELECT count(*) = 0 FROM pg_ls_dir(current_setting('mentalspace.audit_spool_directory')) AS f})
	and pass('spool files that were taken over are gone');
is($standby->safe_psql('app', q{SELECT count(*) FROM mentalspace.audit_progress WHERE source LIKE '% read %'}), 0, 'no read is open');
$standby->stop;
done_testing();
