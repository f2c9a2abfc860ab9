# login() between backends and beyond SQL: every algorithm, keys and revocations as other sessions see them, what reaches
# the log, dumps, options of the connection, a JWKS on disk.
use strict;
use warnings;
use MentalspaceTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use IPC::Run qw(run);

my $lib = dirname(__FILE__) . '/../lib';
my $issuer = 'https://project.example/auth/v1';
run [ 'node', "$lib/tokens.mjs", $issuer ], '>', \my $made or die 'node failed';
my %made = map { my ($alg, $jwks, $token) = split /\t/; $alg => { jwks => $jwks, token => $token } } split /\n/, $made;
my $cheat = '{"sub": "00000000-0000-4000-8000-00000000000f", "role": "service_role"}';

# A psql as a role, with options of the connection; its output, errors and all.
sub as_role
{
	my ($node, $role, $sql, $options) = @_;
	local $ENV{PGOPTIONS} = $options // '';
	run [ 'psql', '-XAtq', '-d', $node->connstr('postgres') . " user=$role", '-c', $sql ], '>', \my $out, '2>', \my $err;
	return $out . $err;
}

foreach my $flavor (flavors())
{
	my $native = $flavor eq 'native';
	my $node = start_server("login_$flavor", $flavor, ($native ? "session_preload_libraries = 'mentalspace'\n" : ''));
	$node->safe_psql('postgres', 'CREATE EXTENSION mentalspace');
	$node->safe_psql('postgres', slurp_file("$lib/tokens.sql"));
	$node->safe_psql('postgres', q{CREATE ROLE anon; CREATE ROLE authenticated; CREATE ROLE service_role;
		CREATE ROLE app LOGIN NOINHERIT IN ROLE anon, authenticated; GRANT USAGE ON SCHEMA auth TO PUBLIC});

	# Every algorithm, with keys and tokens that Node made.
	foreach my $alg (sort keys %made)
	{
		my ($jwks, $token) = @{ $made{$alg} }{qw(jwks token)};
		my $answer = $node->safe_psql('postgres', qq{SELECT maker.try(\$\$SELECT mentalspace.load_jwks('$jwks', '$issuer')\$\$)});
		if (!$native && $alg eq 'ES512')
		{
			like($answer, qr/^0A000 /, "$flavor: $alg is refused when the key is loaded");
			next;
		}
		is($answer, 1, "$flavor: $alg key");
		my ($header, $payload, $signature) = split /\./, $token;
		substr($signature, 5, 1) = substr($signature, 5, 1) eq 'A' ? 'B' : 'A';
		my @tampered = ("$header.$payload.$signature", $header . '.' . $node->safe_psql('postgres', "SELECT maker.base64url('{}')") . ".$signature");
		is($node->safe_psql('postgres', "SELECT maker.answer(t) FROM unnest(ARRAY['$token', '$tampered[0]']) AS t"),
			"accepted\n28000 token refused: bad signature", "$flavor: $alg token, and one with another signature");
		like($node->safe_psql('postgres', "SELECT maker.answer('$tampered[1]')"), qr/^28000 token refused: /, "$flavor: $alg, other claims");
		# The public key as the secret of an HMAC (RS/HS confusion): there is no such key.
		is($node->safe_psql('postgres', "SELECT maker.answer(maker.sign('{\"alg\":\"HS256\"}', maker.claims(1)::text, '$jwks'))"),
			'28000 token refused: ' . ($alg eq 'HS256' ? 'bad signature' : 'unknown key'), "$flavor: $alg key is not used as a secret");
	}
	$node->safe_psql('postgres', "DELETE FROM mentalspace.jwt_key_store; SELECT mentalspace.add_jwt_secret(maker.secret())");

	# Two sessions: what one commits, the other's next login knows, be it in the midst of a transaction.
	my ($one, $two) = map { $node->background_psql('postgres', on_error_stop => 0, extra_params => [ '-U', $_ ]) }
		$node->safe_psql('postgres', 'SELECT current_user'), 'app';
	my $token = $node->safe_psql('postgres', 'SELECT maker.token(1)');
	my $try = "SELECT maker.try('SELECT mentalspace.login(''$token'')')";
	my $uid = '00000000-0000-4000-8000-000000000001';
	$two->query('BEGIN ISOLATION LEVEL REPEATABLE READ');
	is($two->query($try), $uid, "$flavor: login in an old snapshot");
	$one->query("SELECT mentalspace.revoke_session('10000000-0000-4000-8000-000000000001', 'x')");
	is($two->query($try), $native ? '28000 token refused: revoked' : $uid, "$flavor: revoked in between");
	$two->query('ROLLBACK; BEGIN');
	is($two->query($try), '28000 token refused: revoked', "$flavor: revoked for the next transaction");
	is($two->query('SELECT current_user'), 'app', "$flavor: and nothing of it stays");
	$one->query('BEGIN; DELETE FROM mentalspace.jwt_revocations');
	is($two->query($try), '28000 token refused: revoked', "$flavor: what is not committed does not count");
	$one->query('COMMIT');
	is($two->query($try), $uid, "$flavor: forgiven");
	$one->query("SELECT mentalspace.revoke_user('$uid', 'x')");
	is($two->query($try), '28000 token refused: revoked', "$flavor: the user's tokens revoked");
	# The trusted flavour holds a lock on what it read.
	$one->query($native ? 'TRUNCATE mentalspace.jwt_revocations' : 'DELETE FROM mentalspace.jwt_revocations');
	is($two->query($try), $uid, "$flavor: all forgiven at once");
	$one->query('BEGIN; DELETE FROM mentalspace.jwt_key_store');
	is($two->query($try), $uid, "$flavor: a key is there until the commit");
	$one->query('COMMIT');
	is($two->query($try), '28000 token refused: unknown key', "$flavor: and gone after it");
	$one->query("SET session_replication_role = replica; SELECT mentalspace.add_jwt_secret(maker.secret())");
	is($two->query($try), $uid, "$flavor: a key that came as by replication");
	$two->query('COMMIT');
	is($two->query('BEGIN READ ONLY; ' . $try . '; COMMIT'), $uid, "$flavor: login in a read-only transaction");

	# Dumps: no key, no revocation.
	run [ 'pg_dump', '-d', $node->connstr('postgres') ], '>', \my $dump or die 'pg_dump failed';
	unlike($dump, qr/"oct"|jwt_key_store|jwt_revocations/, "$flavor: a dump holds neither keys nor their table");
	$_->quit for $one, $two;

	if ($native)
	{
		secrets_in_log($node, $token);
		options_of_the_connection($node);
		jwks_on_disk($node);
	}
	$node->stop;
}
preloaded_for_all();
done_testing();

# Tokens in the text of statements, whatever is logged.
sub secrets_in_log
{
	my ($node, $token) = @_;
	my ($header, $payload, $signature) = split /\./, $token;
	my $secret = 'a secret that must not be seen ' . int(rand(1e9));
	my $from = -s $node->logfile;

	foreach my $settings ("log_statement = 'all'", 'log_min_duration_statement = 0', "log_min_error_statement = 'debug5'")
	{
		$node->psql('postgres', "SET $settings; SELECT mentalspace.login('$token')");
		$node->psql('postgres', "SET $settings; SELECT mentalspace.login('$token' || 'x')");
		$node->psql('postgres', "SET $settings; DO \$\$ BEGIN PERFORM mentalspace.login('${token}A') FROM nowhere; END \$\$");
		$node->psql('postgres', "SET $settings; SELECT 'x' AS $signature, mentalspace.verify_jwt('$token') FROM nowhere");
		$node->psql('postgres', "SET $settings; PREPARE p AS SELECT mentalspace.login(\$1); EXECUTE p('$token'); EXECUTE p('x$token')");
		$node->psql('postgres', "SET $settings; SELECT mentalspace.add_jwt_secret('$secret', 'x'), 1 / 0");
		$node->psql('postgres', "SET $settings; SELECT mentalspace.add_jwt_secret('$secret', 'x')");
		append_to_file($node->basedir . '/bound.sql', "SELECT mentalspace.login(:token) FROM nowhere;\n");
		run [ 'pgbench', '-n', '-M', 'extended', '-t', '1', '-D', "token=$token", '-f', $node->basedir . '/bound.sql', '-d', $node->connstr('postgres') ],
			'&>', \my $ignored;
	}
	my $log = slurp_file($node->logfile, $from);
	like($log, qr/token refused/, 'the log has the refusals');
	like($log, qr/mentalspace\.login\('\*+'\)/, 'and the statements, with stars in place of tokens');
	my $text = index($log, $payload) < 0 && index($log, $secret) < 0;
	ok($text, 'but no claims and no secret') or diag($log =~ /^(.*(?:\Q$payload\E|\Q$secret\E).*)$/mg);
	my $shown = as_role($node, $node->safe_psql('postgres', 'SELECT current_user'), "BEGIN; SELECT mentalspace.verify_jwt('$token'); SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid()");
	like($shown, qr/mentalspace\.verify_jwt\('\*+'\)/, 'pg_stat_activity shows stars too');
	ok(index($shown, $signature) < 0, 'and no token');
	$node->safe_psql('postgres', q{DELETE FROM mentalspace.jwt_key_store WHERE issuer = 'x'});
	return;
}

# What a client can bring along cannot be an identity.
sub options_of_the_connection
{
	my ($node) = @_;
	my $who = q{SELECT coalesce(auth.uid()::text, 'nobody'), current_user, current_setting('request.jwt.claims')};
	my $cheat_option = '-c request.jwt.claims={"sub":"00000000-0000-4000-8000-00000000000f"}';
	like(as_role($node, 'app', $who, $cheat_option), qr/^0+-0000-4000-8000-00000000000f\|app\|/, 'guc: claims from the options are believed');
	$node->safe_psql('postgres', q{ALTER ROLE app SET mentalspace.auth_claims_source = 'verified'});
	my $got = as_role($node, 'app', $who, $cheat_option);
	like($got, qr/^nobody\|app\|$/m, 'verified: they are not');
	like($got, qr/WARNING:  claims cannot be set by hand/, 'and the client is told');
	like(as_role($node, 'app', $who, '-c mentalspace.auth_identity=7\\ 0\\ {"sub":"00000000-0000-4000-8000-00000000000f"}'),
		qr/^nobody\|app\|$/m, 'nor is the carrier of parallel workers');
	like(as_role($node, 'app', $who, '-c mentalspace.auth_claims_source=guc'), qr/permission denied|^nobody/m, 'nor is the source to be changed');
	like(as_role($node, 'app', $who, '-c session_preload_libraries='), qr/permission denied to set parameter "session_preload_libraries"/, 'nor the library to be left out');
	# What was set for the role while nobody refused it.
	$node->safe_psql('postgres', qq{ALTER ROLE app SET mentalspace.auth_claims_source = 'guc';
		SET mentalspace.auth_claims_source = 'guc'; ALTER ROLE app SET request.jwt.claims = '$cheat'});
	like(as_role($node, 'app', $who), qr/^0+-0000-4000-8000-00000000000f\|/, 'guc: ALTER ROLE SET is believed');
	$node->safe_psql('postgres', q{ALTER ROLE app SET mentalspace.auth_claims_source = 'verified'});
	like(as_role($node, 'app', $who), qr/^nobody\|app\|$/m, 'verified: it is not');
	my $parallel = q{SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET parallel_leader_participation = off;
		SELECT count(*), count(auth.uid()), count(*) FILTER (WHERE auth.uid()::text = 'x') FROM pg_class WHERE auth.uid() IS NULL};
	like(as_role($node, 'app', $parallel), qr/^\d+\|0\|0$/m, 'nor in a parallel worker, which reads the settings of the role by itself');
	$node->safe_psql('postgres', 'ALTER ROLE app RESET request.jwt.claims');
	$node->safe_psql('postgres', q{ALTER ROLE app SET mentalspace.auth_lock = 'always'});
	like(as_role($node, 'app', 'SELECT current_user', '-c role=authenticated'), qr/FATAL:  session cannot begin with a role/, 'always: no role from the options');
	like(as_role($node, 'app', 'SELECT current_user'), qr/^app$/m, 'without one the session begins');
	$node->safe_psql('postgres', 'ALTER ROLE app RESET ALL');
	return;
}

# mentalspace.auth_jwks_file
sub jwks_on_disk
{
	my ($node) = @_;
	my $file = abs_path($node->basedir) . '/jwks.json';
	my $answer = sub { my ($out, $err) = ('', ''); $node->psql('postgres', "SELECT maker.answer('$_[0]')", stdout => \$out, stderr => \$err); return "$out $err" };
	my ($es, $rs) = @made{qw(ES256 RS256)};

	append_to_file($file, $es->{jwks});
	chmod 0644, $file;
	$node->safe_psql('postgres', "ALTER SYSTEM SET mentalspace.auth_jwks_file = '$file'");
	$node->reload;
	$node->poll_query_until('postgres', "SELECT current_setting('mentalspace.auth_jwks_file') <> ''");
	is($answer->($es->{token}), 'accepted ', 'file: its key verifies');
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	is($session->query("SELECT maker.answer('$rs->{token}')"), '28000 token refused: unknown key', 'file: another key does not');
	unlink $file;
	append_to_file($file, $rs->{jwks});
	is($session->query("SELECT maker.answer('$rs->{token}')"), '28000 token refused: unknown key', 'file: changed, not yet read');
	my $before = $session->query('SELECT pg_conf_load_time()');
	$node->reload;
	$session->query('SELECT pg_sleep(0.05)') while $session->query("SELECT pg_conf_load_time() = '$before'") eq 't';
	is($session->query("SELECT maker.answer('$rs->{token}')"), 'accepted', 'file: read again after the reload, in a session that was there');
	is($session->query("SELECT maker.answer('$es->{token}')"), '28000 token refused: unknown key', 'file: the old key is gone, for a token that was verified before too');
	$session->quit;
	foreach my $bad ([ 0664, 'group or others may write' ], [ 0646, 'group or others may write' ])
	{
		chmod $bad->[0], $file;
		like($answer->($rs->{token}), qr/unknown key.*WARNING.*$bad->[1]/s, sprintf 'file: mode %o', $bad->[0]);
	}
	unlink $file;
	like($answer->($rs->{token}), qr/unknown key.*cannot be opened/s, 'file: missing');
	append_to_file($file, $made{HS256}{jwks});
	chmod 0644, $file;
	like($answer->($made{HS256}{token}), qr/signature.*others may read|unknown key.*others may read/s, 'file: a secret that others may read');
	chmod 0600, $file;
	like($answer->($made{HS256}{token}), qr/accepted/, 'file: a secret of its own');
	unlink $file;
	append_to_file($file, '{"keys": [');
	chmod 0600, $file;
	like($answer->($rs->{token}), qr/unknown key.*WARNING/s, 'file: no JSON');
	$node->safe_psql('postgres', 'ALTER SYSTEM RESET mentalspace.auth_jwks_file');
	return;
}

# Loaded by the postmaster: sessions fork with the module in them, and settings come later.
sub preloaded_for_all
{
	my $node = start_server('login_shared', 'native', "shared_preload_libraries = 'mentalspace'\n");
	my $set = "SELECT set_config('request.jwt.claims', '{}', false)";

	$node->safe_psql('postgres', 'CREATE EXTENSION mentalspace; CREATE ROLE anon; CREATE ROLE app LOGIN NOINHERIT IN ROLE anon; GRANT USAGE ON SCHEMA auth TO PUBLIC');
	my $session = $node->background_psql('postgres', on_error_stop => 0, extra_params => [ '-U', 'app' ]);
	is($session->query($set), '{}', 'shared: guc at first');
	is($session->query("SELECT current_setting('request.jwt.claim.sub', true) IS NULL"), 't', 'shared: and undefined until used');
	$node->safe_psql('postgres', q{ALTER DATABASE postgres SET mentalspace.auth_claims_source = 'verified'});
	like(as_role($node, 'app', $set), qr/claims cannot be set by hand/, 'shared: verified for the database, from the first statement on');
	$node->safe_psql('postgres', q{ALTER DATABASE postgres RESET mentalspace.auth_claims_source; ALTER SYSTEM SET mentalspace.auth_claims_source = 'verified'});
	$node->reload;
	my $other = $node->background_psql('postgres', on_error_stop => 0, extra_params => [ '-U', 'app' ]);
	$other->query('SELECT pg_sleep(0.05)') while $other->query('SHOW mentalspace.auth_claims_source') ne 'verified';
	$session->query('SELECT pg_sleep(0.05)') while $session->query('SHOW mentalspace.auth_claims_source') ne 'verified';
	$session->query($set);
	like($session->{stderr}, qr/claims cannot be set by hand/, 'shared: verified by a reload, in a session that was there');
	is($session->query("SELECT coalesce(auth.jwt()::text, 'nothing')"), 'nothing', 'shared: and what it had set before no longer counts');
	$_->quit for $session, $other;
	$node->safe_psql('postgres', q{ALTER SYSTEM SET mentalspace.auth_lock = 'always'});
	$node->reload;
	$node->poll_query_until('postgres', q{SELECT current_setting('mentalspace.auth_lock') = 'always'});
	like(as_role($node, 'app', 'SET ROLE anon'), qr/role and claims are locked/, 'shared: always, for all');
	like(as_role($node, 'app', 'SELECT 1', '-c role=anon'), qr/FATAL:  session cannot begin with a role/, 'shared: no session begins with a role');
	$node->stop;
	return;
}
