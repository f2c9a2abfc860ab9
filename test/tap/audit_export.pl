# What takes data out of the server by the table or by the whole: pg_dump in all its ways, base backups, replication.  The
# dumps are byte for byte what they are without the library.
use strict;
use warnings;
use MentalspaceTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_server('audit_export', 'native', "shared_preload_libraries = 'mentalspace'\nwal_level = logical\nmax_wal_senders = 5\n"
	. "max_replication_slots = 5\n");
my $dir = $node->basedir;
# The clients have their own names, which pg_dump is known by.
delete $ENV{PGAPPNAME};
$node->safe_psql('postgres', q{
	CREATE DATABASE ehr;
	CREATE ROLE app LOGIN;
	CREATE ROLE copier LOGIN REPLICATION});
$node->safe_psql('ehr', q{
	CREATE EXTENSION mentalspace;
	CREATE TABLE clients (gone int, id int PRIMARY KEY, "Full name" text, twice int GENERATED ALWAYS AS (id * 2) STORED, extra jsonb,
		born date, sum numeric, raw bytea, seen timestamptz, tags text[]);
	INSERT INTO clients (gone, id, "Full name", extra, born, sum, raw, seen, tags)
	SELECT 0, i, CASE WHEN i % 7 = 0 THEN NULL ELSE E'J\\u00fcrgen\t"' || i || E'"\n' END, jsonb_build_object('n', i), '1970-01-01'::date + i,
	       i / 7.0, decode(md5(i::text), 'hex'), '2026-01-01'::timestamptz + i * interval '1 hour', ARRAY[i::text, NULL, ',']
	  FROM generate_series(1, 500) AS i;
	ALTER TABLE clients DROP COLUMN gone;
	UPDATE clients SET "Full name" = 'moved' WHERE id % 50 = 0;
	CREATE TABLE visits (id int, client_id int REFERENCES clients, at int) PARTITION BY RANGE (at);
	CREATE TABLE visits_1 PARTITION OF visits FOR VALUES FROM (0) TO (100);
	CREATE TABLE visits_2 (note text, at int NOT NULL, client_id int, id int);
	ALTER TABLE visits_2 DROP COLUMN note;
	ALTER TABLE visits ATTACH PARTITION visits_2 FOR VALUES FROM (100) TO (200);
	INSERT INTO visits SELECT i, i, i FROM generate_series(1, 199) AS i;
	CREATE TABLE notes (id int PRIMARY KEY, client_id int REFERENCES clients, body text);
	INSERT INTO notes SELECT i, i, repeat(md5(i::text), 100) FROM generate_series(1, 60) AS i;
	ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
	CREATE POLICY few ON notes USING (id <= 5);
	CREATE TABLE other (id int);
	INSERT INTO other VALUES (1);
	GRANT SELECT ON ALL TABLES IN SCHEMA public TO app;
	VACUUM ANALYZE});
$node->safe_psql('ehr', q{SELECT mentalspace.audit_table('clients', 'id'), mentalspace.audit_table('visits', 'client_id'),
	mentalspace.audit_table('notes', 'client_id', category => 'psychotherapy_note')});

# Patients by relation and kind of what came since the last call, as soon as there are as many as there should be.
my $last = 0;
sub exported
{
	my ($wanted, $name) = @_;
	my $sql = qq{SELECT relation || ' ' || kind || ' ' || count(DISTINCT p) || ' ' || coalesce(application_name, '')
		FROM mentalspace.audit_events LEFT JOIN LATERAL unnest(patient_ids) AS p ON true
		WHERE event_id > $last AND kind IN ('export', 'phi_access') AND relation IS NOT NULL GROUP BY relation, kind, application_name ORDER BY 1};
	$node->poll_query_until('ehr', "SELECT (SELECT coalesce(string_agg(s, E'\\n'), '') FROM ($sql) AS t(s)) = '$wanted'");
	is($node->safe_psql('ehr', $sql), $wanted, $name);
	$last = $node->safe_psql('ehr', 'SELECT mentalspace.audit_flush(); SELECT max(event_id) FROM mentalspace.audit_events') =~ s/^\s+//r;
	return;
}
sub dump_to
{
	my ($file, @options) = @_;
	$node->command_ok([ 'pg_dump', '-d', $node->connstr('ehr'), '-n', 'public', '-f', "$dir/$file", @options ], "pg_dump @options");
	return;
}
$last = $node->safe_psql('ehr', 'SELECT mentalspace.audit_flush(); SELECT max(event_id) FROM mentalspace.audit_events') =~ s/^\s+//r;

my $all = join("\n", 'public.clients export 500 pg_dump', 'public.notes export 60 pg_dump', 'public.visits export 199 pg_dump');
my %ways = (
	plain => [],
	inserts => ['--inserts'],
	columns => [ '--column-inserts', '--rows-per-insert=7' ],
	one => [ '-a', '-t', 'clients' ],
);
foreach my $way (sort keys %ways)
{
	dump_to("$way.with", @{ $ways{$way} });
	exported($way eq 'one' ? 'public.clients export 500 pg_dump' : $all, "$way: every patient is recorded");
}
dump_to('schema.with', '-s');
exported('', 'a dump without data is no export');
dump_to('parallel', '-Fd', '-j2');
exported($all, 'a dump by several connections');

# As one who is subject to row level security.
my @app = ('pg_dump', '-d', $node->connstr('ehr') . ' user=app', '-n', 'public', '-a');
$node->command_fails_like(\@app, qr/query would be affected by row-level security policy for table "notes"/, 'pg_dump stays refused where policies apply');
$node->poll_query_until('ehr', q{SELECT count(*) = 1 FROM mentalspace.audit_events WHERE kind = 'denied' AND relation = 'public.notes' AND action = 'R'});
is($node->safe_psql('ehr', qq{SELECT string_agg(DISTINCT current_user_name || ' ' || outcome, ',') FROM mentalspace.audit_events WHERE kind = 'denied' AND event_id > $last}),
	'app denied', 'which is an event');
$last = $node->safe_psql('ehr', 'SELECT mentalspace.audit_flush(); SELECT max(event_id) FROM mentalspace.audit_events') =~ s/^\s+//r;
$node->command_ok([ @app, '--enable-row-security', '-T', 'clients', '-T', 'visits*', '-f', "$dir/app.with" ], 'pg_dump of what policies show');
exported('public.notes export 5 pg_dump', 'the rows that they showed');
my $copy = "COPY (SELECT * FROM clients WHERE id < 3) TO STDOUT";
$node->safe_psql('ehr', $copy);
exported('public.clients export 2 psql', 'COPY of a query');

# The whole server, and its changes.
sub connections
{
	my ($kind, $wanted, $name) = @_;
	my $sql = qq{SELECT string_agg(DISTINCT concat_ws(' ', kind, action, severity, session_user_name, application_name), ',')
		FROM mentalspace.audit_events WHERE event_id > $last AND detail = 'connection for $kind replication'};
	$node->poll_query_until('ehr', "SELECT ($sql) IS NOT NULL");
	is($node->safe_psql('ehr', $sql), $wanted, $name);
	$last = $node->safe_psql('ehr', 'SELECT mentalspace.audit_flush(); SELECT max(event_id) FROM mentalspace.audit_events') =~ s/^\s+//r;
	return;
}
my $at = '-h ' . $node->host . ' -p ' . $node->port;
$node->command_ok([ 'pg_basebackup', split(/ /, $at), '-U', 'copier', '-D', "$dir/backup", '-X', 'fetch', '-c', 'fast' ], 'a base backup');
connections('physical', 'export R warning copier pg_basebackup', 'a base backup is an export');
$node->command_ok([ 'pg_recvlogical', split(/ /, $at), '-U', 'copier', '-d', 'ehr', '-S', 'changes', '--create-slot', '-P', 'test_decoding' ], 'a logical slot');
connections('logical', 'export R warning copier pg_recvlogical', 'so is logical replication');
$node->safe_psql('ehr', q{INSERT INTO clients (id) VALUES (1000); SELECT count(*) FROM pg_logical_slot_get_changes('changes', NULL, NULL)});
$node->poll_query_until('ehr', qq{SELECT count(*) = 1 FROM mentalspace.audit_events WHERE event_id > $last AND kind = 'export'});
is($node->safe_psql('ehr', qq{SELECT action, severity, detail FROM mentalspace.audit_events WHERE event_id > $last AND kind = 'export'}),
	'R|warning|pg_logical_slot_get_changes', 'and the changes of a slot by a function');
$node->safe_psql('ehr', q{DELETE FROM clients WHERE id = 1000; SELECT pg_drop_replication_slot('changes')});
is($node->safe_psql('ehr', q{SELECT count(*) FROM mentalspace.audit_events WHERE detail LIKE 'connection for%' AND user_id IS NOT NULL}), 0, 'of no user of the application');

# The record goes with the extension: the last word is in the server's log.
foreach my $way ('DROP EXTENSION mentalspace CASCADE', 'DROP OWNED BY leaving CASCADE')
{
	my ($name) = map { lc } $way =~ /DROP (\w+)/;
	$node->safe_psql('postgres', "CREATE DATABASE last_$name");
	$node->safe_psql("last_$name", q{
		SELECT 'CREATE ROLE leaving SUPERUSER' WHERE to_regrole('leaving') IS NULL \\gexec
		SET ROLE leaving; CREATE EXTENSION mentalspace; CREATE TABLE patients (id int PRIMARY KEY);
		SELECT mentalspace.audit_table('patients', 'id')});
	my $detail = $way =~ s/ BY| CASCADE//gr;
	my $before = -s $node->logfile;
	$node->safe_psql("last_$name", $way);
	my $log = substr(slurp_file($node->logfile), $before);
	like($log, qr/mentalspace audit: \{.*"kind":"admin_action".*"detail":"\Q$detail\E"/, "$way is in the log");
	is($node->safe_psql("last_$name", q{SELECT count(*) FROM pg_extension WHERE extname = 'mentalspace'}), 0, 'and was done');
}

# The same without the library; but for the random keys that newer versions of pg_dump write in the first and last lines.
sub dumped { return slurp_file("$dir/$_[0]") =~ s/^\\(un)?restrict \w+$//mgr }
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''\n");
$node->restart;
foreach my $way (sort keys %ways, 'schema')
{
	dump_to("$way.without", @{ $way eq 'schema' ? ['-s'] : $ways{$way} });
	ok(dumped("$way.with") eq dumped("$way.without"), "$way: the same dump, byte for byte");
}
$node->command_ok([ @app, '--enable-row-security', '-T', 'clients', '-T', 'visits*', '-f', "$dir/app.without" ], 'pg_dump of what policies show');
ok(dumped("app.with") eq dumped("app.without"), 'policies: the same dump');
$node->stop;
done_testing();
