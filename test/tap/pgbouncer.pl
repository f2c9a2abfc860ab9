# PgBouncer in transaction mode: many clients share a server connection, a transaction at a time.  Claims that are set for
# the transaction, set_config(..., true), never reach another client.
use strict;
use warnings;
use MentalspaceTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($bouncer) = grep { -x $_ } map { "$_/pgbouncer" } split(/:/, $ENV{PATH}), '/usr/sbin';
plan skip_all => 'pgbouncer is not installed' unless $bouncer;

my @running;
sub stop_poolers { kill 'INT', map { slurp_file($_) + 0 } splice @running; return; }
END { stop_poolers() }

sub claims
{
	my ($n) = @_;
	return sprintf(q(SELECT length(set_config('request.jwt.claims', '{"sub": "00000000-0000-4000-8000-%012d", "role": "r%d"}', true)) > 0), $n, $n);
}
my $who = q{SELECT coalesce(right(auth.uid()::text, 2), 'nobody') || ' ' || coalesce(auth.role(), '-') || ' ' || coalesce(auth.jwt() ->> 'role', '-')};

foreach my $flavor (flavors())
{
	my $node = start_server("pgbouncer_$flavor", $flavor);
	$node->safe_psql('postgres', q{
		CREATE EXTENSION mentalspace;
		CREATE TABLE seen (expected uuid, got uuid, role text);
		CREATE TABLE notes AS SELECT i AS id, ('00000000-0000-4000-8000-' || lpad((i % 10)::text, 12, '0'))::uuid AS owner
		  FROM generate_series(1, 100) AS i;
		ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
		CREATE POLICY own ON notes USING (owner = auth.uid());
		CREATE ROLE authenticated LOGIN;
		GRANT SELECT ON notes TO authenticated});

	my $dir = $node->basedir;
	# A server that is never started lends the pooler its address, so that clients find it as they find a server.
	my $pooler = PostgreSQL::Test::Cluster->new("pooler_$flavor");
	my ($host, $port) = ($pooler->host, $pooler->port);
	my $target = 'host=' . $node->host . ' port=' . $node->port . ' dbname=postgres user=' . $node->safe_psql('postgres', 'SELECT current_user');
	# auth_type any: every client is logged in as the user that the database's line names; the server trusts its socket.
	append_to_file("$dir/pgbouncer.ini", <<"END");
[databases]
one = $target pool_size=1
two = $target pool_size=2
[pgbouncer]
listen_addr =
listen_port = $port
unix_socket_dir = $host
auth_type = any
pool_mode = transaction
logfile = $dir/pgbouncer.log
pidfile = $dir/pgbouncer.pid
END
	system_or_bail($bouncer, '-q', '-d', "$dir/pgbouncer.ini");
	push @running, "$dir/pgbouncer.pid";

	my ($a, $b) = map { $pooler->background_psql('one', on_error_stop => 0) } 1 .. 2;

	is($b->query('SELECT pg_backend_pid()'), $a->query('SELECT pg_backend_pid()'), "$flavor: two clients, one server connection");
	is($a->query($who), 'nobody - -', "$flavor: nobody at first");
	my $leaks = '';
	foreach my $n (1 .. 20)
	{
		my ($x, $y) = $n % 2 ? ($a, $b) : ($b, $a);
		$x->query('BEGIN; ' . claims($n));
		my $got = $x->query($who);
		my $end = $n % 3 ? 'COMMIT' : 'ROLLBACK';
		$x->query($end);
		$leaks .= "$n: own claims $got\n" if $got ne sprintf('%02d r%d r%d', $n, $n, $n);
		$got = $y->query($who);
		$leaks .= "$n: the other sees $got\n" if $got ne 'nobody - -';
		# The other begins with claims of its own, and without asking.
		$y->query('BEGIN; ' . claims($n + 50) . "; $end");
		$got = $x->query($who);
		$leaks .= "$n: then the first sees $got\n" if $got ne 'nobody - -';
	}
	is($leaks, '', "$flavor: two users interleaved on one connection, no leak");

	# An error within the transaction, a savepoint taken back, and the legacy variables.
	$a->query('BEGIN; ' . claims(7) . '; SELECT 1 / 0');
	$a->query('ROLLBACK');
	is($b->query($who), 'nobody - -', "$flavor: nobody after an error");
	$a->query('BEGIN; ' . claims(8) . '; SAVEPOINT s; ' . claims(9) . '; ROLLBACK TO s');
	is($a->query($who), '08 r8 r8', "$flavor: the savepoint's claims are gone");
	$a->query(q{SET LOCAL request.jwt.claim.role = 'legacy'; COMMIT});
	is($b->query($who), 'nobody - -', "$flavor: nobody after legacy variables");
	# The claims of a client that goes away within its transaction.
	$a->query('BEGIN; ' . claims(11));
	$a->quit;
	is($b->query($who), 'nobody - -', "$flavor: nobody after a client went away");
	is($b->query('BEGIN; SET LOCAL ROLE authenticated; SELECT count(*) FROM notes; ' . claims(3) . '; SELECT count(*) FROM notes; COMMIT'),
		"0\nt\n10", "$flavor: policies see the transaction's user");
	$b->quit;

	# Many clients on two connections, each transaction as somebody else.
	append_to_file("$dir/claims.sql", <<'END');
\set u random(1, 99)
BEGIN;
SELECT set_config('request.jwt.claims', '{"sub": "00000000-0000-4000-8000-' || lpad(:u::text, 12, '0') || '", "role": "r"}', true);
INSERT INTO seen VALUES (('00000000-0000-4000-8000-' || lpad(:u::text, 12, '0'))::uuid, auth.uid(), auth.role());
COMMIT;
END
	append_to_file("$dir/nobody.sql", "INSERT INTO seen VALUES (NULL, auth.uid(), auth.role());\n");
	system_or_bail('pgbench', '-n', '-h', $host, '-p', $port, '-c', 8, '-t', 50, '-f', "$dir/claims.sql", '-f', "$dir/nobody.sql", 'two');
	is($node->safe_psql('postgres', q{SELECT count(*) > 50, count(*) FILTER (WHERE expected IS NULL) > 50, count(*),
		count(*) FILTER (WHERE expected IS DISTINCT FROM got OR (expected IS NULL) <> (role IS NULL)) FROM seen}),
		't|t|400|0', "$flavor: 400 transactions of 8 clients on 2 connections, each saw its own claims or none");

	stop_poolers();
	$node->stop;
}
done_testing();
