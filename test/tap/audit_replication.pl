# What logical replication applies is audited on the subscriber: rows, TRUNCATE, the first copy of a table, transactions that
# are streamed, and those whose subtransactions were rolled back on the publisher.
use strict;
use warnings;
use MentalspaceTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $publisher = start_server('publisher', 'native', "wal_level = logical\nmax_wal_senders = 10\nmax_replication_slots = 10\nmax_prepared_transactions = 5\nlogical_decoding_work_mem = 64kB\n");
my $subscriber = start_server('subscriber', 'native', "shared_preload_libraries = 'mentalspace'\nmax_prepared_transactions = 5\n");
my $tables = q{
	CREATE TABLE clients (id int PRIMARY KEY, name text, ssn text);
	CREATE TABLE notes (id int PRIMARY KEY, client_id int, body text) PARTITION BY RANGE (id);
	CREATE TABLE notes_1 PARTITION OF notes FOR VALUES FROM (0) TO (1000);
	CREATE TABLE notes_2 PARTITION OF notes FOR VALUES FROM (1000) TO (1000000)};

$publisher->safe_psql('postgres', qq{$tables;
	INSERT INTO clients VALUES (1, 'Ann', '111'), (2, 'Bob', '222');
	CREATE PUBLICATION everything FOR TABLE clients, notes});
$subscriber->safe_psql('postgres', qq{SET client_min_messages = error; $tables; CREATE EXTENSION mentalspace;
	SELECT mentalspace.audit_table('clients', 'id', redact => '{ssn}'), mentalspace.audit_table('notes', 'client_id');
	CREATE SUBSCRIPTION applied CONNECTION '} . ($publisher->connstr('postgres') =~ s/'//gr)
	. q{' PUBLICATION everything WITH (streaming = on, two_phase = on)});
$subscriber->wait_for_subscription_sync($publisher, 'applied');

# What has come since the last look: action, relation, key, patients, and what was written.  By time: each session takes
# numbers ahead, so that those of one may be before another's.
my $seen = '-infinity';
sub look
{
	my ($columns) = @_;
	$columns //= q{concat_ws(' ', action, relation, row_key, patient_ids, changes, row_image - 'ssn')};
	$publisher->wait_for_catchup('applied');
	my $events = $subscriber->safe_psql('postgres', qq{SELECT $columns FROM mentalspace.audit_events
		WHERE kind = 'data_modification' AND occurred_at > '$seen'} . ($columns =~ /^count/ ? '' : ' ORDER BY occurred_at, event_id'));
	$seen = $subscriber->safe_psql('postgres', 'SELECT max(occurred_at) FROM mentalspace.audit_events');
	return $events;
}

is(look(), "C public.clients 1 {1}\nC public.clients 2 {2}", 'the first copy');
$publisher->safe_psql('postgres', "INSERT INTO clients VALUES (3, 'Cid'); INSERT INTO notes VALUES (1, 3, 'x'), (1001, 3, 'y')");
is(look(), "C public.clients 3 {3}\nC public.notes 1 {3}\nC public.notes 1001 {3}", 'INSERT, also into partitions');
is($subscriber->safe_psql('postgres', q{SELECT bool_and(mentalspace.audit_digest(c) = e.row_digest)
	FROM clients AS c JOIN mentalspace.audit_events AS e ON e.row_key = c.id::text AND e.relation = 'public.clients'}), 't', 'digests');
$publisher->safe_psql('postgres', "UPDATE clients SET name = 'Cyd' WHERE id = 3; UPDATE notes SET client_id = 2 WHERE id = 1");
is(look(), 'U public.clients 3 {3} {"name": ["Cid", "Cyd"]}' . "\n" . 'U public.notes 1 {3,2} {"client_id": [3, 2]}',
	'UPDATE, of both patients where it takes a row from one to another');
$publisher->safe_psql('postgres', 'DELETE FROM clients WHERE id = 2');
is(look(), 'D public.clients 2 {2} {"id": 2, "name": "Bob"}', 'DELETE');
$publisher->safe_psql('postgres', 'UPDATE notes SET id = 2001 WHERE id = 1');
is(look(q{concat_ws(' ', action, row_key, patient_ids)}), "D 1 {2}\nC 2001 {2}", 'a row that moves to another partition');
$publisher->safe_psql('postgres', 'TRUNCATE notes');
is(join("\n", sort split(/\n/, look(q{concat_ws(' ', action, relation, patient_ids, row_count, detail)}))),
	"D public.notes {3,2} 2 TRUNCATE\nD public.notes {} 0 TRUNCATE", 'TRUNCATE');

# Larger than what the publisher keeps in memory: it is streamed, and applied at its commit.
$publisher->safe_psql('postgres', q{BEGIN;
	INSERT INTO clients SELECT n, repeat('x', 100) FROM generate_series(1001, 3000) AS n;
	SAVEPOINT s; DELETE FROM clients WHERE id > 1000; ROLLBACK TO s;
	UPDATE clients SET name = 'y' WHERE id BETWEEN 1001 AND 1005; COMMIT});
is(look(q{count(*) FILTER (WHERE action = 'C') || ' ' || count(*) FILTER (WHERE action = 'U') || ' ' || count(*) FILTER (WHERE action = 'D')}),
	'2000 5 0', 'a streamed transaction, part of which was rolled back');
$publisher->safe_psql('postgres', 'BEGIN; INSERT INTO clients SELECT n FROM generate_series(5001, 9000) AS n; ROLLBACK; INSERT INTO clients VALUES (9999)');
is(look(), 'C public.clients 9999 {9999}', 'what was rolled back there leaves nothing here');
is($subscriber->safe_psql('postgres', q{SELECT DISTINCT session_user_name = current_user, identity_source
	FROM mentalspace.audit_events WHERE row_key = '9999'}), 't|none', 'who did it');

# In two phases: the event is part of what was prepared.
$publisher->safe_psql('postgres', "BEGIN; INSERT INTO clients VALUES (10000); PREPARE TRANSACTION 'x'");
is(look(), '', 'prepared');
$publisher->safe_psql('postgres', "COMMIT PREPARED 'x'");
is(look(), 'C public.clients 10000 {10000}', 'and committed');

# What cannot be recorded is not applied, and comes when it can.
$subscriber->safe_psql('postgres', 'ALTER SEQUENCE mentalspace.audit_event_ids RENAME TO away');
my $log = -s $subscriber->logfile;
$publisher->safe_psql('postgres', "UPDATE clients SET name = 'z' WHERE id = 3");
for (1 .. 600) { last if slurp_file($subscriber->logfile, $log) =~ /there is no sequence/; select undef, undef, undef, 0.1; }
like(slurp_file($subscriber->logfile, $log), qr/audit event could not be written: there is no sequence/, 'the log says why');
is($subscriber->safe_psql('postgres', 'SELECT name FROM clients WHERE id = 3'), 'Cyd', 'nothing unseen is applied');
$subscriber->safe_psql('postgres', 'ALTER SEQUENCE mentalspace.away RENAME TO audit_event_ids');
is(look(), 'U public.clients 3 {3} {"name": ["Cyd", "z"]}', 'and then it is applied');
done_testing();
