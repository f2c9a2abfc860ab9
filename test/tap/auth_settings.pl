# A dump of the database holds what protects its identity: restored into another server without the settings that ALTER
# DATABASE made, it refuses claims as before, says what is missing, and provision() sets it again.
use strict;
use warnings;
use MentalspaceTest;
use PostgreSQL::Test::Utils;
use Test::More;
use IPC::Run qw(run);

my $forged = q{'{"sub": "00000000-0000-4000-8000-00000000000f", "role": "service_role"}'};

# Output and errors of a session of its own.
sub session
{
	my ($node, $db, $sql) = @_;
	run [ 'psql', '-XAtq', '-d', $node->connstr($db), '-f', '-' ], '<', \$sql, '>', \my $out, '2>', \my $err;
	return $out . $err;
}

foreach my $flavor (flavors())
{
	my $native = $flavor eq 'native';
	my ($first, $second) = map { start_server("settings_${flavor}_$_", $flavor, "mentalspace.cron_worker = off\n") } 1 .. 2;
	my $set = $native
		? q{ALTER DATABASE app SET mentalspace.auth_claims_source = 'verified'; ALTER DATABASE app SET mentalspace.auth_issuers = 'https://a.example, supabase';
			ALTER DATABASE app SET mentalspace.auth_audience = 'clinic'; ALTER DATABASE app SET mentalspace.auth_lock TO transaction;}
		: q{INSERT INTO mentalspace.auth_settings VALUES ('auth_claims_source', 'verified'), ('auth_issuers', 'https://a.example, supabase'), ('auth_audience', 'clinic');};
	$first->safe_psql('postgres', 'CREATE DATABASE app');
	$first->safe_psql('app', 'CREATE EXTENSION mentalspace; SELECT count(*) FROM mentalspace.provision()');
	$first->safe_psql('app', $set);
	$first->safe_psql('app', q{CREATE TABLE clients (name text); INSERT INTO clients VALUES ('Ada');
		ALTER TABLE clients ENABLE ROW LEVEL SECURITY; GRANT SELECT ON clients TO authenticated;
		CREATE POLICY staff ON clients USING (auth.role() = 'service_role' AND auth.uid() IS NOT NULL)});
	# What is taken back is not written down any more.
	$first->safe_psql('app', 'ALTER DATABASE app SET mentalspace.auth_leeway = 10; ALTER DATABASE app RESET mentalspace.auth_leeway') if $native;
	my @expected = ('auth_audience clinic', 'auth_claims_source verified', 'auth_issuers https://a.example, supabase', $native ? 'auth_lock transaction' : ());
	my $rows = q{SELECT name || ' ' || value FROM mentalspace.auth_settings ORDER BY name};
	is($first->safe_psql('app', $rows), join("\n", @expected), "$flavor: written down");

	my $dump = $first->backup_dir . '/app.dump';
	mkdir $first->backup_dir;
	run [ 'pg_dump', '-Fc', '-d', $first->connstr('app'), '-f', $dump ] or die 'pg_dump';
	$second->safe_psql('postgres', 'CREATE DATABASE app; CREATE DATABASE roles');
	$second->safe_psql('roles', 'CREATE EXTENSION mentalspace; SELECT count(*) FROM mentalspace.provision()');
	run [ 'pg_restore', '--exit-on-error', '-d', $second->connstr('app'), $dump ] or die 'pg_restore';
	is($second->safe_psql('app', $rows), join("\n", @expected), "$flavor: restored");

	my $ask = "BEGIN; SELECT auth.uid(); SET LOCAL ROLE authenticated; SELECT count(*) FROM clients; COMMIT;";
	foreach my $load ($native ? ('', "LOAD 'mentalspace';") : (''))
	{
		# Once before the library is loaded, once after.
		my $answer = session($second, 'app', "$load SELECT set_config('request.jwt.claims', $forged, false) IS NULL; $ask");
		unlike($answer, qr/0000000f|^1$/m, "$flavor: forged claims are refused ('$load')");
		next unless $native;
		like($answer, qr/WARNING:  settings of the identity are missing in this database/, "$flavor: a WARNING ('$load')");
		like(session($second, 'app', "$load SELECT auth.uid(); SET request.jwt.claim.sub = '00000000-0000-4000-8000-00000000000f'; $ask"),
			qr/claims cannot be set by hand/, "$flavor: and cannot be set any more ('$load')");
	}
	if ($native)
	{
		like(session($second, 'app', 'SELECT problem FROM mentalspace.whoami()'),
			qr/missing in the database, and in force nevertheless: mentalspace\.auth_audience, mentalspace\.auth_claims_source/, "$flavor: whoami()");
		like(session($second, 'app', "SELECT detail FROM mentalspace.capabilities() WHERE capability = 'claims that cannot be forged'"),
			qr/missing in the database: auth_audience, auth_claims_source, auth_issuers, auth_lock/, "$flavor: capabilities()");
		like(session($second, 'app', "SELECT auth.uid(); SELECT current_setting('mentalspace.auth_issuers') || ' ' || current_setting('mentalspace.auth_audience')"),
			qr/^https:\/\/a\.example, supabase clinic$/m, "$flavor: the others are in force, too");
	}
	my $made = $second->safe_psql('app', q{SELECT object || ' ' || detail FROM mentalspace.provision() WHERE kind = 'database setting' AND object LIKE 'mentalspace.auth%' ORDER BY 1});
	is($made, $native ? join("\n", map { "mentalspace.$_" } @expected) : '', "$flavor: provision() sets them again");
	my $quiet = session($second, 'app', "SELECT set_config('request.jwt.claims', $forged, false) IS NULL; $ask");
	unlike($quiet, qr/missing in this database|0000000f|^1$/m, "$flavor: and it is as it was");
	next unless $native;
	like($quiet, qr/claims cannot be set by hand/, "$flavor: refused at once");
	# The way back to claims that are believed is a command that says so.
	$second->safe_psql('app', 'ALTER DATABASE app RESET mentalspace.auth_claims_source; ALTER DATABASE app RESET mentalspace.auth_lock');
	like(session($second, 'app', "SELECT set_config('request.jwt.claims', $forged, false) IS NULL; $ask"), qr/0000000f/, "$flavor: taken back");
	# Where the row is beyond understanding, what protects is in force.
	$second->safe_psql('app', "INSERT INTO mentalspace.auth_settings VALUES ('auth_claims_source', 'nonsense')");
	unlike(session($second, 'app', "SELECT set_config('request.jwt.claims', $forged, false) IS NULL; $ask"), qr/0000000f/, "$flavor: nonsense is verified");
}

done_testing();
