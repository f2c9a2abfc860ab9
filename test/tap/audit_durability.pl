# What was read is recorded, however the read ends.
use strict;
use warnings;
use AuditTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = audited_server('durability', "client_connection_check_interval = 100\n");
audited_database($node, 'app', 2000);

# Rows up to `rows` are sent, then the read waits for a lock that is held by another session.
my $holder = $node->background_psql('app');
$holder->query_safe('SELECT pg_advisory_lock(42)');
sub up_to
{
	my ($rows) = @_;
	return "SELECT id, CASE WHEN n > $rows THEN pg_advisory_lock(42)::text END FROM clients ORDER BY n";
}
# What was sent is recorded, at most the row that the read stopped at beside it, and nothing twice.
sub sent_is_recorded
{
	my ($name, $rows, $what) = @_;
	flush($node, 'app');
	my $recorded = recorded($node, 'app', $name);
	ok($recorded eq ids(1, $rows) || $recorded eq ids(1, $rows + 1), "$what: the patients that were sent are recorded")
		or diag "recorded: $recorded";
	is(twice($node, 'app', $name), 0, "$what: none twice");
	return;
}

# ---- a read that ends well
is((finish_read(start_read($node, 'app', 'whole', 'SELECT id FROM clients WHERE n <= 3')))[0], 0, 'a read');
flush($node, 'app');
is(recorded($node, 'app', 'whole'), ids(1, 3), 'is recorded');
is(events($node, 'app', 'whole', 'relation, outcome, precision, row_count, session_user_name'),
	'public.clients|success|delivered|3|reader', 'as one event');

# ---- ROLLBACK, and in READ ONLY transactions
finish_read(start_read($node, 'app', 'rollback', 'BEGIN READ ONLY; SELECT id FROM clients WHERE n <= 4; ROLLBACK'));
flush($node, 'app');
is(recorded($node, 'app', 'rollback'), ids(1, 4), 'ROLLBACK undoes no read');
finish_read(start_read($node, 'app', 'savepoint', 'BEGIN; SAVEPOINT s; SELECT id FROM clients WHERE n <= 5; ROLLBACK TO s; COMMIT'));
flush($node, 'app');
is(recorded($node, 'app', 'savepoint'), ids(1, 5), 'nor does a savepoint');

# ---- an error after 300 rows
my ($status, undef, $err) = finish_read(start_read($node, 'app', 'error', 'SELECT id, 1 / (301 - n + (random() * 0)::int) FROM clients ORDER BY n'));
like($err, qr/22012/, 'a read fails after 300 rows');
sent_is_recorded('error', 300, 'error');

# ---- cancel, statement timeout, termination, a client that is gone
my $read = start_read($node, 'app', 'cancel', up_to(600));
my $pid = blocked($node, 'cancel', 'advisory');
$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
like((finish_read($read))[2], qr/57014/, 'a read is cancelled');
sent_is_recorded('cancel', 600, 'cancel');

$read = start_read($node, 'app', 'timeout', "SET statement_timeout = '2s'; " . up_to(50));
like((finish_read($read))[2], qr/57014/, 'a read runs into statement_timeout');
sent_is_recorded('timeout', 50, 'statement timeout');

$read = start_read($node, 'app', 'terminate', up_to(50));
$pid = blocked($node, 'terminate', 'advisory');
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
like((finish_read($read))[2], qr/57P01/, 'a read is terminated');
$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $pid");
sent_is_recorded('terminate', 50, 'termination');

$read = start_read($node, 'app', 'gone', up_to(50));
$pid = blocked($node, 'gone', 'advisory');
$read->{handle}->signal('KILL');
eval { $read->{handle}->finish };
ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $pid"), 'a client is gone');
sent_is_recorded('gone', 50, 'client gone');
is($node->safe_psql('app', q{SELECT count(*) FROM mentalspace.audit_events WHERE outcome = 'unknown'}), 0,
	'until now, of everything the outcome is known');

# ---- a cursor: what was fetched, and no more
finish_read(start_read($node, 'app', 'cursor',
	'BEGIN; DECLARE c CURSOR FOR SELECT id FROM clients ORDER BY n; FETCH 7 FROM c; FETCH 2 FROM c; ROLLBACK'));
flush($node, 'app');
is(recorded($node, 'app', 'cursor'), ids(1, 9), 'what was fetched from a cursor');

# ---- SIGKILL in the midst of a read
$read = start_read($node, 'app', 'kill', up_to(600));
$pid = blocked($node, 'kill', 'advisory');
kill 'KILL', $pid;
finish_read($read);
$node->poll_query_until('postgres', 'SELECT true');
$node->poll_query_until('app', q{SELECT count(*) > 0 FROM mentalspace.audit_events WHERE application_name = 'kill' AND outcome = 'unknown'});
is(events($node, 'app', 'kill', q{outcome, relation, session_user_name, action}) =~ /^unknown\|public.clients\|reader\|R$/m, 1,
	'after SIGKILL it is known who was about to read what');
like(recorded($node, 'app', 'kill'), qr/^c1 .* c512\b/, 'and what was handed over until then');
is(twice($node, 'app', 'kill'), 0, 'none of it twice');
is($node->safe_psql('app', q{SELECT count(*) FROM mentalspace.audit_events WHERE outcome = 'unknown' AND application_name <> 'kill'}), 0,
	'nothing else is unknown: what had ended had ended');

# ---- the server is stopped in the midst of a read
$holder = $node->background_psql('app');
$holder->query_safe('SELECT pg_advisory_lock(42)');
$read = start_read($node, 'app', 'immediate', up_to(20));
blocked($node, 'immediate', 'advisory');
finish_read(start_read($node, 'app', 'before', 'SELECT id FROM clients WHERE n <= 6'));
$node->stop('immediate');
finish_read($read);
$node->start;
$node->poll_query_until('app', q{SELECT count(*) > 0 FROM mentalspace.audit_events WHERE application_name = 'immediate'});
is(events($node, 'app', 'immediate', 'outcome, relation'), 'unknown|public.clients', 'an immediate stop leaves who was about to read what');
is(recorded($node, 'app', 'before'), ids(1, 6), 'and what was read just before');
is(twice($node, 'app', 'before'), 0, 'once');

# ---- intents are given up as soon as the read has ended: another restart finds none
$node->stop('immediate');
$node->start;
wait_for_worker($node, 'app');
finish_read(start_read($node, 'app', 'after', 'SELECT id FROM clients WHERE n <= 2'));
flush($node, 'app');
is(recorded($node, 'app', 'after'), ids(1, 2), 'after another restart');
is($node->safe_psql('app', q{SELECT count(*) FROM mentalspace.audit_events WHERE outcome = 'unknown'}), 2, 'no read is unknown a second time');

# ---- nested reads: more than there is room for intents, and all of them recorded
$node->safe_psql('app', q{
	CREATE FUNCTION nested(depth int) RETURNS text LANGUAGE plpgsql AS $$
	DECLARE c record;
	BEGIN
		FOR c IN EXECUTE format('SELECT id FROM clients WHERE n = %s', depth) LOOP
			RETURN CASE WHEN depth > 1 THEN nested(depth - 1) ELSE c.id END;
		END LOOP;
	END $$});
is((finish_read(start_read($node, 'app', 'nested', 'SELECT nested(12)')))[1], "c1\n", 'reads within reads');
flush($node, 'app');
is(recorded($node, 'app', 'nested'), ids(1, 12), 'are all recorded');

# ---- durable to the disk
$node->safe_psql('app', q{ALTER ROLE reader SET mentalspace.audit_durability = 'machine'});
finish_read(start_read($node, 'app', 'machine', 'SELECT id FROM clients WHERE n <= 700'));
flush($node, 'app');
is(recorded($node, 'app', 'machine'), ids(1, 700), 'mentalspace.audit_durability = machine');

is(status($node, 'app', 'events_lost'), 0, 'nothing was lost');
$node->stop;
done_testing();
