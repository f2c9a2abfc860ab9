# Dump and restore of a database with audited tables: the declarations, the triggers, the salt and the events are there
# afterwards, nothing of the restore itself is an event, and the audit goes on; with both flavours, plain and custom.
use strict;
use warnings;
use MentalspaceTest;
use PostgreSQL::Test::Utils;
use Test::More;

foreach my $flavor (flavors())
{
	my ($first, $second) = map { start_server("audit_dump_${flavor}_$_", $flavor) } 1 .. 2;
	my $owner = owned_database($first, 'app', $flavor);
	my @as = ('-U', $owner);
	my $ask = sub {
		my ($node, $db, $sql) = @_;
		return $node->safe_psql($db, $sql, extra_params => [@as]);
	};
	$ask->($first, 'app', q{
		CREATE EXTENSION mentalspace;
		CREATE SCHEMA "Care";
		CREATE TABLE clients (id int PRIMARY KEY, ssn text);
		CREATE TABLE "Care"."Notes" (id int PRIMARY KEY, client_id int REFERENCES clients ON DELETE CASCADE, body text);
		CREATE TABLE files (id int PRIMARY KEY, note_id int REFERENCES "Care"."Notes" ON DELETE CASCADE);
		CREATE TABLE vitals (client_id int, taken date) PARTITION BY RANGE (taken);
		CREATE TABLE vitals_all PARTITION OF vitals DEFAULT;
		CREATE TABLE gone (id int);
	});
	my ($status, $out, $err) = $first->psql('app', q{
		SELECT mentalspace.audit_table('clients', 'id', redact => '{ssn}');
		SELECT mentalspace.audit_table('"Care"."Notes"', 'client_id', category => 'psychotherapy_note');
		SELECT mentalspace.audit_table('files', 'note_id->"Notes".client_id', reads => false);
		SELECT mentalspace.audit_table('vitals', 'client_id'), mentalspace.audit_table('gone', NULL);
	}, extra_params => [@as]);
	is($status, 0, "$flavor: tables are declared");
	like($err, $flavor eq 'native' ? qr/WARNING:  reads of audited tables go to the server log only\nHINT:  Add mentalspace to shared_preload_libraries/
		: qr/WARNING:  reads of audited tables are not seen by the trusted flavour/, "$flavor: and what is wanting for reads is said");
	$ask->($first, 'app', q{
		INSERT INTO clients VALUES (1, 'x'), (2, 'y');
		INSERT INTO "Care"."Notes" VALUES (10, 1, 'a');
		INSERT INTO files VALUES (100, 10);
		INSERT INTO vitals VALUES (1, '2020-01-01');
		UPDATE clients SET ssn = 'z' WHERE id = 2;
		-- of a month without a partition
		INSERT INTO mentalspace.audit_events (occurred_at, kind, detail) VALUES ('1999-01-01', 'login', 'of old');
		-- a month that is over, with its indexes
		CREATE TABLE mentalspace.audit_events_199902 PARTITION OF mentalspace.audit_events
			FOR VALUES FROM ('1999-02-01 00:00+00') TO ('1999-03-01 00:00+00');
		SELECT mentalspace.audit_guard_events('mentalspace.audit_events_199902'), mentalspace.audit_make_partitions();
		DROP TABLE gone;
		CREATE ROLE inspector LOGIN IN ROLE mentalspace_auditor;
	});
	# All that must be the same.  Numbers of events that the restore makes would be seen, too: by count and by highest number.
	my $state = q{
		SELECT relation, patient_key, reads, writes, redact, category, triggers, resolves, problem FROM mentalspace.audit_tables() WHERE relation::text !~ '^[0-9]+$';
		SELECT kind, action, relation, row_key, patient_ids, changes, row_digest, detail FROM mentalspace.audit_events
		 WHERE kind IN ('data_modification', 'login') OR detail LIKE 'audit_table:%' ORDER BY event_id;
		SELECT encode(sha256(salt), 'hex') FROM mentalspace.audit_salts ORDER BY made_at LIMIT 1;
		SELECT c.relname, relrowsecurity, (SELECT count(*) FROM pg_policy WHERE polrelid = c.oid), array_agg(tgname || tgenabled::text ORDER BY tgname),
		       has_table_privilege('mentalspace_auditor', c.oid, 'SELECT'), (SELECT count(*) FROM pg_index WHERE indrelid = c.oid), pg_get_expr(c.relpartbound, c.oid)
		  FROM pg_class AS c JOIN pg_trigger ON tgrelid = c.oid WHERE relname LIKE 'audit\_events%' GROUP BY c.oid ORDER BY 1};
	my $wanted = $ask->($first, 'app', $state);
	like($wanted, qr/^files\|note_id->"Care"\."Notes"\.client_id\|f\|t/m, "$flavor: a path is declared");
	like($wanted, qr/^data_modification\|C\|public.files\|100\|\{1\}/m, "$flavor: and used");
	like($wanted, qr/^login.*of old/m, "$flavor: an event is in the default partition");
	like($wanted, qr/^audit_events_20\d{4}\|t\|1\|\{audit_refuse_changeA,audit_refuse_truncateA\}\|t\|0\|FOR VALUES/m, "$flavor: partitions are guarded");
	like($wanted, qr/^audit_events_199902\|t\|1\|\{audit_refuse_changeA,audit_refuse_truncateA\}\|t\|2\|FOR VALUES/m, "$flavor: and indexed when their month is over");

	my $dir = $first->basedir;
	owned_database($second, 'app', $flavor);
	owned_database($second, 'custom', $flavor);
	command_ok([ 'pg_dump', @as, '-d', $first->connstr('app'), '-f', "$dir/plain.sql" ], "$flavor: plain dump");
	command_ok([ 'pg_dump', @as, '-Fc', '-d', $first->connstr('app'), '-f', "$dir/custom.dump" ], "$flavor: custom dump");
	($out, $err) = run_command([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $second->connstr('app') . " user=$owner", '-f', "$dir/plain.sql" ]);
	unlike($err, qr/ERROR/, "$flavor: plain restore without an error");
	command_ok([ 'pg_restore', @as, '--exit-on-error', '-j', '2', '-d', $second->connstr('custom'), "$dir/custom.dump" ], "$flavor: custom restore, in parallel");

	foreach my $db (qw(app custom))
	{
		is($ask->($second, $db, $state), $wanted, "$flavor: $db: declarations, triggers, salt, events and their guards are the same");
		# The digest of a row that came along fits still.
		is($ask->($second, $db, q{SELECT mentalspace.audit_digest(n) = e.row_digest FROM "Care"."Notes" AS n, mentalspace.audit_events AS e
			WHERE e.relation = '"Care"."Notes"' AND e.kind = 'data_modification' AND e.action = 'C'}), 't', "$flavor: $db: a digest fits");
		my $before = $ask->($second, $db, 'SELECT max(event_id) FROM mentalspace.audit_events');
		$ask->($second, $db, q{
			DELETE FROM clients WHERE id = 1;
			INSERT INTO vitals VALUES (2, '2021-01-01');
		});
		is($ask->($second, $db, "SELECT action, relation, row_key, patient_ids FROM mentalspace.audit_events WHERE event_id > $before AND kind = 'data_modification' ORDER BY relation"),
			qq{D|"Care"."Notes"|10|{1}\nD|public.clients|1|{1}\nD|public.files|100|{1}\nC|public.vitals||{2}}, "$flavor: $db: the audit goes on, with new numbers");
		is($ask->($second, $db, 'SELECT count(*) - count(DISTINCT event_id) FROM mentalspace.audit_events'), 0, "$flavor: $db: no number comes twice");
		($status, $out, $err) = $second->psql($db, 'TRUNCATE mentalspace.audit_events', extra_params => [@as]);
		like($err, qr/rows of mentalspace.audit_events\w* cannot be changed or removed/, "$flavor: $db: events are guarded");
		is($ask->($second, $db, 'SELECT mentalspace.audit_make_partitions(2)'), 0, "$flavor: $db: the partitions are found there");
	}
	$_->stop foreach $first, $second;
}
done_testing();
