# auth.uid() and its siblings under random sequences of what sessions do to the claims variables: set, set to NULL, set
# to '', RESET, locally and for the session, within savepoints, blocks and functions, read and not read in between.  The
# answers, errors and what SHOW shows are those of a server without the library, where the functions are
# written in SQL as Supabase documents them.
#
# Each sequence is a session of its own.  MS_CLAIMS_CASES sequences (2000) with the seed MS_CLAIMS_SEED (1); the first
# one that differs is printed.
use strict;
use warnings;
use MentalspaceTest;
use PostgreSQL::Test::Utils;
use Test::More;
use IPC::Run qw(run);

my $cases = $ENV{MS_CLAIMS_CASES} // 2000;
my $seed = $ENV{MS_CLAIMS_SEED} // 1;

# Own generator: the same sequences on every Perl.
my $state = $seed;
sub below
{
	my ($limit) = @_;
	$state = ($state * 1103515245 + 12345) & 0x7fffffff;
	return ($state >> 8) % $limit;
}
sub pick { return $_[below(scalar @_)]; }
sub chance { return below(100) < $_[0]; }

my @variables = map { "request.jwt.$_" } qw(claims claims claims claims claim claim.sub claim.sub claim.role claim.email);

sub uuid { return sprintf('%08d-0000-4000-8000-000000000000', below(100)); }

sub value
{
	my ($variable) = @_;
	return '' if chance(15);
	return pick(uuid(), uuid(), uuid(), 'user_1') if $variable =~ /sub$/;
	return pick('authenticated', 'anon', ' ') if $variable =~ /(role|email)$/;
	return pick('{', 'null', '[1]', ' ') if chance(8);
	return sprintf('{"sub": "%s", "role": "r%d"%s}', chance(8) ? 'user_2' : uuid(), below(9), chance(50) ? ', "email": "e@x.test"' : '');
}

# A statement that changes a variable.
sub change
{
	my $variable = pick(@variables);
	my $value = value($variable);
	my $local = pick('true', 'true', 'false');
	return pick(
		"SELECT set_config('$variable', '$value', $local) IS NULL",
		"SELECT set_config('$variable', '$value', $local) IS NULL",
		"SELECT set_config('$variable', '$value', $local) IS NULL",
		"SELECT set_config('$variable', NULL, $local) IS NULL",
		"SELECT auth.uid(), set_config('$variable', '$value', $local) IS NULL, auth.uid()",
		"SET LOCAL $variable = '$value'",
		"SET $variable = '$value'",
		"SET $variable TO DEFAULT",
		"SET LOCAL $variable TO DEFAULT",
		"RESET $variable",
		"SELECT change_and_fail('$variable', '$value')",
		"SELECT change_within('$variable', " . pick("'$value'", 'NULL') . ", $local)");
}

sub look
{
	return pick(
		'SELECT auth.uid()', 'SELECT auth.uid()', 'SELECT auth.role()', 'SELECT auth.email()', 'SELECT auth.jwt()',
		'SELECT auth.uid(), auth.role(), auth.email(), auth.jwt()', 'SELECT auth.jwt(), auth.email(), auth.role(), auth.uid()',
		'SELECT uid_by_plpgsql()', 'SELECT with_claims(), auth.uid()', 'SELECT with_sub(), auth.uid()',
		"SELECT max(auth.uid()::text) FROM rows",
		'SHOW ' . pick(@variables));
}

# A sequence; transactions begin and end wherever it happens.  Statements that fail are part of it.
sub sequence
{
	my ($number) = @_;
	my ($depth, $open) = (0, 0);
	my $sql = "\\echo # $number\n\\c - " . pick('app', 'app', 'app', 'with_default') . "\n";

	$sql .= "SET force_parallel_mode = on;\n" if chance(15);
	for (1 .. 3 + below(20)) {
		my $kind = below(100);
		if ($kind < 38) { $sql .= change() . ";\n" }
		elsif ($kind < 62) { $sql .= look() . ";\n" }
		elsif ($kind < 74) {
			if ($open) { $sql .= pick('COMMIT', 'ROLLBACK', 'COMMIT AND CHAIN', 'ROLLBACK AND CHAIN') . ";\n"; $open = 0; $depth = 0 }
			else { $sql .= "BEGIN;\n"; $open = 1 }
		}
		elsif ($kind < 82) { $sql .= 'SAVEPOINT s' . ++$depth . ";\n" if $open }
		elsif ($kind < 92) { $sql .= pick('ROLLBACK TO s', 'ROLLBACK TO s', 'RELEASE s') . (1 + below($depth)) . ";\n" if $depth }
		elsif ($kind < 94) { $sql .= "SELECT 1 / 0;\n" }
		elsif ($kind < 96) { $sql .= "RESET ALL;\n" }
		elsif ($kind < 98) { $sql .= "DISCARD ALL;\n" }
		# Placeholders that go when plpgsql is loaded: there are as many variables as before, but not the same.
		else { $sql .= join('', map { "SET plpgsql.gone$_ = 1;\n" } 1 .. 5 + below(3)) }
	}
	return $sql . "ROLLBACK;\nSELECT auth.uid(), auth.role(), auth.email(), auth.jwt();\n";
}

my $setup = q{
CREATE ROLE app LOGIN;
CREATE ROLE with_default LOGIN;
ALTER ROLE with_default SET request.jwt.claims = '{"sub": "99999999-0000-4000-8000-000000000000"}';
GRANT USAGE ON SCHEMA auth TO PUBLIC;
CREATE TABLE rows AS SELECT generate_series(1, 3) AS n;
GRANT SELECT ON rows TO PUBLIC;
CREATE FUNCTION uid_by_plpgsql() RETURNS uuid LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$BEGIN RETURN auth.uid(); END$$;
CREATE FUNCTION with_claims() RETURNS uuid LANGUAGE sql SET request.jwt.claims = '{"sub": "88888888-0000-4000-8000-000000000000"}'
	AS 'SELECT auth.uid()';
CREATE FUNCTION with_sub() RETURNS uuid LANGUAGE sql SET request.jwt.claim.sub = '77777777-0000-4000-8000-000000000000'
	AS 'SELECT auth.uid()';
CREATE FUNCTION change_and_fail(variable text, value text) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
	found uuid;
BEGIN
	BEGIN
		PERFORM set_config(variable, value, true);
		found := auth.uid();
		RAISE EXCEPTION 'back';
	EXCEPTION WHEN raise_exception THEN
		NULL;
	END;
	RETURN found;
END$$;
CREATE FUNCTION change_within(variable text, value text, local boolean) RETURNS text LANGUAGE plpgsql SET work_mem = '1MB' AS $$
BEGIN
	PERFORM set_config(variable, value, local);
	RETURN auth.role();
END$$;
};

# Supabase's functions, from their documented behaviour: a legacy variable that is neither unset nor empty, else the key
# of the claims.
my $reference = q{
CREATE SCHEMA auth;
CREATE FUNCTION public.known(name text) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT nullif(current_setting(name, true), '') $$;
CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS $$
	SELECT coalesce(known('request.jwt.claim.sub'), known('request.jwt.claims')::jsonb ->> 'sub')::uuid $$;
CREATE FUNCTION auth.role() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
	SELECT coalesce(known('request.jwt.claim.role'), known('request.jwt.claims')::jsonb ->> 'role') $$;
CREATE FUNCTION auth.email() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
	SELECT coalesce(known('request.jwt.claim.email'), known('request.jwt.claims')::jsonb ->> 'email') $$;
CREATE FUNCTION auth.jwt() RETURNS jsonb LANGUAGE sql STABLE PARALLEL SAFE AS $$
	SELECT coalesce(known('request.jwt.claim'), known('request.jwt.claims'))::jsonb $$;
};

my @sequences = map { sequence($_) } 1 .. $cases;

# What each sequence prints on a server, SQLSTATEs in their places.
sub answers
{
	my ($name, $flavor, $conf, $extension) = @_;
	my $node = start_server($name, $flavor, $conf);
	$node->safe_psql('postgres', "$extension $setup");
	my $script = "\\set VERBOSITY sqlstate\n\\pset null NULL\n" . join('', @sequences);
	run [ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-f', '-' ], '<', \$script, '>', \my $out, '2>&1';
	$node->stop('immediate');
	# Warnings are of the library that reserves a prefix; places are those of psql's input.
	$out =~ s/^psql:<stdin>:\d+: //mg;
	$out =~ s/^WARNING:.*\n//mg;
	my %answers = $out =~ /^# (\d+)\n(.*?)(?=^# |\z)/msg;
	return \%answers;
}

my $expected = answers('claims_reference', 'trusted', '', $reference);
is(scalar keys %$expected, $cases, 'the reference ran to its end');
cmp_ok(scalar(grep { /^\d{8}-/m } values %$expected), '>', $cases / 2, 'most sequences see a user');

foreach my $server (
	[ 'native', 'native', '' ],
	[ 'session_preload', 'native', "session_preload_libraries = 'mentalspace'\n" ],
	[ 'shared_preload', 'native', "shared_preload_libraries = 'mentalspace'\n" ],
	[ 'trusted', 'trusted', '' ])
{
	my ($name, $flavor, $conf) = @$server;
	my $got = answers("claims_$name", $flavor, $conf, 'CREATE EXTENSION mentalspace;');
	my @differ = grep { ($got->{$_} // 'nothing') ne $expected->{$_} } sort { $a <=> $b } keys %$expected;
	is(scalar @differ, 0, "$name: $cases sequences, seed $seed");
	next unless @differ;
	# The shortest that differs says most.
	my ($first) = sort { length $sequences[ $a - 1 ] <=> length $sequences[ $b - 1 ] || $a <=> $b } @differ;
	diag("expected:\n$expected->{$first}got:\n" . ($got->{$first} // 'nothing') . $sequences[ $first - 1 ]);
}

done_testing();
