# login() where connections are shared, on a standby, and with users that appear by themselves.
use strict;
use warnings;
use MentalspaceTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Cwd qw(abs_path);
use File::Basename qw(dirname);

my $lib = dirname(__FILE__) . '/../lib';
my ($bouncer) = grep { -x $_ } map { "$_/pgbouncer" } split(/:/, $ENV{PATH}), '/usr/sbin';
my $pid_file;
END { kill 'INT', slurp_file($pid_file) + 0 if $pid_file }

my $primary = start_server('login_pool', 'native', "session_preload_libraries = 'mentalspace'\nwal_level = replica\nmax_wal_senders = 3\n");
my $super = $primary->safe_psql('postgres', 'SELECT current_user');
$primary->safe_psql('postgres', 'CREATE EXTENSION mentalspace');
$primary->safe_psql('postgres', slurp_file("$lib/tokens.sql"));
$primary->safe_psql('postgres', q{
	SELECT count(*) FROM mentalspace.provision(ARRAY['roles', 'auth']);
	SELECT mentalspace.add_jwt_secret(maker.secret());
	CREATE ROLE app LOGIN NOINHERIT IN ROLE anon, authenticated;
	ALTER ROLE app SET mentalspace.auth_claims_source = 'verified';
	ALTER ROLE app SET mentalspace.auth_lock = 'always';
	CREATE TABLE profiles (id uuid REFERENCES auth.users, email text, made_by uuid, made_as name, claims text);
	CREATE TABLE notes AS SELECT ('00000000-0000-4000-8000-' || lpad((i % 10)::text, 12, '0'))::uuid AS owner FROM generate_series(1, 100) AS i;
	ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
	CREATE POLICY own ON notes USING (owner = auth.uid());
	GRANT SELECT ON notes TO authenticated;
	CREATE FUNCTION handle_new_user() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
		AS $$ BEGIN
			INSERT INTO public.profiles VALUES (new.id, new.email, auth.uid(), current_user, nullif(current_setting('request.jwt.claims', true), ''));
			RETURN new;
		END $$;
	CREATE TRIGGER on_auth_user_created AFTER INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION handle_new_user()});
my @tokens = map { $primary->safe_psql('postgres', "SELECT maker.token($_)") } 0 .. 9;
sub uid { return sprintf '00000000-0000-4000-8000-%012d', $_[0] }

users_appear();
pooled() if $bouncer;
standby();
done_testing();

sub users_appear
{
	my $node = $primary;
	my $session = $node->background_psql('postgres', on_error_stop => 0, extra_params => [ '-U', 'app' ]);
	my $login = sub { return $session->query("BEGIN; SELECT mentalspace.login('$_[0]'); COMMIT") };
	my $row = sub { return $node->safe_psql('postgres', "SELECT $_[1] FROM auth.users WHERE id = '" . uid($_[0]) . "'") };

	is($login->($tokens[1]), uid(1), 'off: login');
	is($row->(1, 'count(*)'), 0, 'off: no row');
	$node->safe_psql('postgres', 'ALTER ROLE app SET mentalspace.auth_sync_users = on');
	$session->quit;
	$session = $node->background_psql('postgres', on_error_stop => 0, extra_params => [ '-U', 'app' ]);
	is($session->query("BEGIN; SELECT mentalspace.login('$tokens[1]'); SELECT auth.uid(), current_user; ROLLBACK"),
		uid(1) . "\n" . uid(1) . '|authenticated', 'first login, rolled back');
	is($row->(1, 'count(*)'), 0, 'and the row with it');
	is($session->query("BEGIN READ ONLY; SELECT mentalspace.login('$tokens[2]'); COMMIT"), uid(2), 'read only: login');
	is($row->(2, 'count(*)'), 0, 'read only: no row');

	# The rollback must not have been remembered as a write.
	is($login->($tokens[1]), uid(1), 'first login');
	is($row->(1, q{concat_ws(' ', aud, role, email, phone, raw_app_meta_data, raw_user_meta_data, is_anonymous, last_sign_in_at IS NOT NULL, created_at IS NOT NULL)}),
		'authenticated authenticated user1@example.org {"provider": "email", "providers": ["email"]} {"full_name": "Person 1"} f t t', 'the row');
	is($node->safe_psql('postgres', 'SELECT * FROM profiles'), uid(1) . "|user1\@example.org||$super|", 'the trigger ran, under nobody\'s identity');
	my $version = $row->(1, 'concat(xmin, ctid, xmax)');
	$login->($tokens[1]);
	$login->($node->safe_psql('postgres', 'SELECT maker.token(1)'));
	my $again = $node->background_psql('postgres', on_error_stop => 0, extra_params => [ '-U', 'app' ]);
	$again->query("BEGIN; SELECT mentalspace.login('$tokens[1]'); COMMIT");
	is($row->(1, 'concat(xmin, ctid, xmax)'), $version, 'the same claims again write nothing, not even a lock');
	$login->($node->safe_psql('postgres', q{SELECT maker.token(1, jsonb_build_object('iat', maker.at(0), 'user_metadata', '{"full_name": "New Name"}'::jsonb))}));
	is($row->(1, 'raw_user_meta_data'), '{"full_name": "New Name"}', 'a newer token that says something new');
	$again->query("BEGIN; SELECT mentalspace.login('$tokens[1]'); COMMIT");
	$login->($node->safe_psql('postgres', 'SELECT maker.token(1)'));
	is($row->(1, 'raw_user_meta_data'), '{"full_name": "New Name"}', 'an older one does not take it back');
	$again->query(q{BEGIN; SELECT mentalspace.login(maker.token(3, '{"sub": null, "aud": null, "role": "anon"}')); COMMIT});
	is($node->safe_psql('postgres', 'SELECT count(*) FROM auth.users'), 1, 'an API key is no user');

	# Two first logins at once: the second waits for the first, and finds its row.
	$session->query("BEGIN; SELECT mentalspace.login('$tokens[4]')");
	$again->query_until(qr/started/, "\\echo started\nBEGIN; SELECT mentalspace.login('$tokens[4]'); SELECT 'in', auth.uid(); COMMIT;\n");
	$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_locks WHERE NOT granted}) or die;
	$session->query('COMMIT');
	like($again->query('SELECT 1'), qr/^1$/m, 'two first logins at once');
	is($again->{stderr}, '', 'without an error');
	is($node->safe_psql('postgres', "SELECT count(*) FROM profiles WHERE id = '" . uid(4) . "'"), 1, 'and one trigger');

	# A trigger that fails refuses the login, and the identity stays as it was.
	$node->safe_psql('postgres', q{CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not today'; END $$;
		CREATE TRIGGER refuse BEFORE INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION refuse()});
	is($session->query("BEGIN; SELECT mentalspace.login('$tokens[1]'); SELECT maker.try('SELECT mentalspace.login(''$tokens[5]'')'), auth.uid(), current_user; COMMIT"),
		uid(1) . "\nP0001 not today|" . uid(1) . '|authenticated', 'a failing trigger');
	$node->safe_psql('postgres', 'DROP TRIGGER refuse ON auth.users');
	$_->quit for $session, $again;

	# Not with a superuser's rights: as the owner of auth.users, whose triggers these are.
	$node->safe_psql('postgres', q{CREATE ROLE keeper; GRANT USAGE, CREATE ON SCHEMA auth TO keeper; GRANT USAGE ON SCHEMA mentalspace TO keeper;
		ALTER TABLE auth.users OWNER TO keeper; CREATE TABLE ran_as (who name); GRANT INSERT ON ran_as TO PUBLIC;
		CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.ran_as VALUES (current_user); RETURN new; END $$;
		CREATE TRIGGER note BEFORE INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION note()});
	$session = $node->background_psql('postgres', on_error_stop => 0, extra_params => [ '-U', 'app' ]);
	is($login->($tokens[6]), uid(6), 'auth.users has another owner');
	is($node->safe_psql('postgres', 'SELECT * FROM ran_as'), 'keeper', 'its triggers run as that owner');
	$session->quit;

	is($node->safe_psql('postgres', q{SELECT mentalspace.import_auth_users('{"users": [
			{"id": "00000000-0000-4000-8000-0000000000aa", "aud": "authenticated", "role": "authenticated", "email": "a@example.org",
			 "email_confirmed_at": "2024-01-01T00:00:00Z", "phone": "", "last_sign_in_at": "2024-02-01T00:00:00Z",
			 "app_metadata": {"provider": "email"}, "user_metadata": {"x": 1}, "created_at": "2024-01-01T00:00:00Z", "updated_at": "2024-02-01T00:00:00Z",
			 "identities": [{"identity_id": "00000000-0000-4000-8000-0000000000ab", "id": "00000000-0000-4000-8000-0000000000aa",
			  "user_id": "00000000-0000-4000-8000-0000000000aa", "identity_data": {"sub": "00000000-0000-4000-8000-0000000000aa", "email": "a@example.org"},
			  "provider": "email", "created_at": "2024-01-01T00:00:00Z", "updated_at": "2024-01-01T00:00:00Z"}]},
			{"id": "00000000-0000-4000-8000-000000000001", "email": "renamed@example.org", "user_metadata": {}}], "aud": "authenticated"}');
		SELECT mentalspace.import_auth_users('[]');
		SELECT email, email_confirmed_at IS NOT NULL, phone IS NULL, raw_user_meta_data FROM auth.users WHERE id = '00000000-0000-4000-8000-0000000000aa';
		SELECT provider, provider_id FROM auth.identities;
		SELECT email FROM auth.users WHERE id = '00000000-0000-4000-8000-000000000001'}),
		"2\n0\na\@example.org|t|t|{\"x\": 1}\nemail|00000000-0000-4000-8000-0000000000aa\nrenamed\@example.org", 'import_auth_users()');
	$primary->safe_psql('postgres', 'ALTER ROLE app RESET mentalspace.auth_sync_users');
	return;
}

# PgBouncer in transaction mode, two clients on one server connection, each logging in for each transaction.
sub pooled
{
	my $dir = abs_path($primary->basedir);
	my $pooler = PostgreSQL::Test::Cluster->new('login_pooler');
	my ($host, $port) = ($pooler->host, $pooler->port);

	append_to_file("$dir/pgbouncer.ini", <<"END");
[databases]
one = host=@{[ $primary->host ]} port=@{[ $primary->port ]} dbname=postgres user=app pool_size=1
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
	$pid_file = "$dir/pgbouncer.pid";
	my ($a, $b) = map { $pooler->background_psql('one', on_error_stop => 0) } 1 .. 2;
	# The login role has no rights, not even to call auth.uid().
	my $who = q{SELECT coalesce(uid::text, 'nobody'), current_user FROM mentalspace.whoami()};

	is($b->query('SELECT pg_backend_pid()'), $a->query('SELECT pg_backend_pid()'), 'pool: two clients, one server connection');
	my $wrong = '';
	foreach my $n (1 .. 30)
	{
		my ($x, $y) = $n % 2 ? ($a, $b) : ($b, $a);
		my ($p, $q) = ($n % 10, ($n + 3) % 10);
		my $end = (qw(COMMIT ROLLBACK), 'SELECT 1 / 0; COMMIT')[ $n % 3 ];
		$x->query("BEGIN; SELECT mentalspace.login('$tokens[$p]')");
		my $got = $x->query("$who; SELECT count(*), min(owner::text), max(owner::text) FROM notes");
		$wrong .= "$n: $got\n" if $got ne uid($p) . "|authenticated\n10|" . join('|', (uid($p)) x 2);
		$x->query($end);
		$got = $y->query($who);
		$wrong .= "$n, the other: $got\n" if $got ne 'nobody|app';
		# The other one logs in and tries to keep it; then the first forgets to log in.
		$y->query("BEGIN; SELECT mentalspace.login('$tokens[$q]'); RESET ROLE; COMMIT");
		$got = $x->query($who);
		$wrong .= "$n, the first again: $got\n" if $got ne 'nobody|app';
		$x->query('SELECT count(*) FROM notes');
		$wrong .= "$n: notes without a login\n" if $x->{stderr} !~ /permission denied for table notes/;
	}
	is($wrong, '', 'pool: two users interleaved on one connection, 30 rounds, no leak');
	$a->query("BEGIN; SELECT mentalspace.login('$tokens[1]')");
	$a->quit;
	is($b->query($who), 'nobody|app', 'pool: a client that goes away in its transaction takes its identity along');
	$b->query("COMMIT\\; BEGIN\\; SET ROLE authenticated");
	like($b->{stderr}, qr/role and claims are locked/, 'pool: an injected SET ROLE between transactions');
	$b->query('ROLLBACK');
	# A backend that is terminated, and the connection that takes its place.
	$b->query("BEGIN; SELECT mentalspace.login('$tokens[1]')");
	$primary->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'});
	my $c = $pooler->background_psql('one', on_error_stop => 0);
	is($c->query($who), 'nobody|app', 'pool: FATAL ends it');
	$c->quit;
	$b->{run}->kill_kill;
	return;
}

# A hot standby: login without a write; keys and revocations arrive with the WAL.
sub standby
{
	$primary->safe_psql('postgres', 'ALTER ROLE app SET mentalspace.auth_sync_users = on');
	$primary->backup('base');
	my $standby = PostgreSQL::Test::Cluster->new('login_standby');
	$standby->init_from_backup($primary, 'base', has_streaming => 1);
	$standby->start;
	$primary->wait_for_catchup($standby);
	my $session = $standby->background_psql('postgres', on_error_stop => 0, extra_params => [ '-U', 'app' ]);
	my $login = "BEGIN; SELECT maker.try('SELECT mentalspace.login(''$tokens[8]'')'); SELECT count(*) FROM auth.users WHERE id = auth.uid(); COMMIT";

	is($session->query("BEGIN; SELECT mentalspace.login('$tokens[8]'); SELECT auth.uid(), current_user; SELECT count(*) FROM notes; COMMIT"),
		uid(8) . "\n" . uid(8) . "|authenticated\n10", 'standby: login');
	is($standby->safe_psql('postgres', "SELECT count(*) FROM auth.users WHERE id = '" . uid(8) . "'"), 0, 'standby: writes no user');
	$primary->safe_psql('postgres', "SELECT mentalspace.revoke_user('" . uid(8) . "', 'x')");
	$primary->wait_for_catchup($standby);
	is($session->query("SELECT maker.try('SELECT mentalspace.login(''$tokens[8]'')')"), '28000 token refused: revoked', 'standby: a revocation arrives');
	$primary->safe_psql('postgres', 'DELETE FROM mentalspace.jwt_key_store');
	$primary->wait_for_catchup($standby);
	is($session->query("SELECT maker.try('SELECT mentalspace.login(''$tokens[9]'')')"), '28000 token refused: unknown key', 'standby: so does a change of keys');
	$session->quit;
	$standby->stop;
	$primary->stop;
	return;
}
