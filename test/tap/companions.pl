# Companions beyond one database: dump and restore, where a key can be and who sees it, and what `make install` leaves out.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Path qw(make_path);
use MentalspaceTest;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $secret = 'plain-text-of-the-secret';

# A key for the vault, made up now.
sub new_key
{
	open my $random, '<', '/dev/urandom' or die "no random numbers: $!";
	read $random, my $bytes, 32;
	return unpack 'H*', $bytes;
}

sub write_key_file
{
	my ($node, @keys) = @_;
	my $file = abs_path($node->data_dir) . '/vault.key';

	unlink $file;
	append_to_file($file, "$_\n") foreach @keys;
	chmod 0600, $file or die;
	return $file;
}

# ---- dump and restore
foreach my $flavor (flavors())
{
	my $key = new_key();
	my $node = start_server("companions_$flavor", $flavor);
	my $owner = owned_database($node, 'project', $flavor);
	my $in = sub {
		my ($database, $sql) = @_;
		return $node->safe_psql($database, $sql, extra_params => [ '-U', $owner ]);
	};
	# Gives the database's vault its key.
	my $give_key = sub {
		my ($database) = @_;
		if ($flavor eq 'native') {
			my $file = write_key_file($node, $key);
			$node->safe_psql('postgres', "ALTER DATABASE $database SET mentalspace.vault_key_file = '$file'");
		} else {
			$in->($database, "SELECT vault.add_key('$key')");
		}
	};

	$node->safe_psql('postgres', 'CREATE ROLE service_role');
	$in->('project', q{
		CREATE SCHEMA extensions; CREATE SCHEMA vault; CREATE SCHEMA pgmq; CREATE SCHEMA graphql;
		CREATE EXTENSION pgcrypto WITH SCHEMA extensions;
		CREATE EXTENSION supabase_vault WITH SCHEMA vault;
		CREATE EXTENSION pgmq WITH SCHEMA pgmq;
		CREATE EXTENSION pgjwt WITH SCHEMA extensions;
		CREATE EXTENSION http WITH SCHEMA extensions;
		CREATE EXTENSION hypopg WITH SCHEMA extensions;
		CREATE EXTENSION index_advisor WITH SCHEMA extensions;
		CREATE EXTENSION pg_graphql WITH SCHEMA graphql;
		COMMENT ON EXTENSION pgmq IS 'our queues';
		SELECT pgmq.create('emails'), pgmq.create_unlogged('fast');
		SELECT pgmq.send('emails', '{"n": 1}'), pgmq.send('emails', '{"n": 2}');
		SELECT pgmq.archive('emails', 1);
		CREATE TABLE requests (headers extensions.http_header[]);
		CREATE FUNCTION token() RETURNS text LANGUAGE sql AS $$ SELECT extensions.sign('{"a": 1}', 'shared') $$;
	});
	$give_key->('project');
	$in->('project', qq{SELECT vault.create_secret('$secret', 'api', 'described')});
	if ($flavor eq 'native')
	{
		$in->('project', q{LOAD '$libdir/mentalspace'; ALTER EXTENSION pgmq SET SCHEMA extensions});
	}

	my $dump = $node->data_dir . '/project.sql';
	$node->command_ok([ 'pg_dump', '-U', $owner, '--file', $dump, 'project' ], "$flavor: pg_dump");
	my $text = slurp_file($dump);
	unlike($text, qr/\Q$secret\E/, "$flavor: no secret in the dump");
	unlike($text, qr/$key/i, "$flavor: no key in the dump");
	unlike($text, qr/CREATE (FUNCTION|TABLE|VIEW) vault\./, "$flavor: members are the extension's to make");

	foreach my $copy ('first', 'second')
	{
		owned_database($node, $copy, $flavor);
		$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-U', $owner, '-d', $copy, '--file', $dump ],
			"$flavor: restore into the $copy copy");
		is($in->($copy, 'SELECT name, description FROM vault.secrets'), 'api|described', "$flavor: the secret is there, sealed");
		isnt(scalar $node->psql($copy, 'SELECT decrypted_secret FROM vault.decrypted_secrets', extra_params => [ '-U', $owner ]),
			0, "$flavor: and does not open without the key");
		$give_key->($copy);
		is($in->($copy, 'SELECT decrypted_secret FROM vault.decrypted_secrets'), $secret, "$flavor: and opens with it");
		is($in->($copy, 'SELECT queue_name, is_unlogged FROM pgmq.list_queues() ORDER BY 1'), "emails|f\nfast|t", "$flavor: queues");
		is($in->($copy, 'SELECT message FROM pgmq.read(\'emails\', 0, 5)'), '{"n": 2}', "$flavor: messages");
		is($in->($copy, 'SELECT message FROM pgmq.a_emails'), '{"n": 1}', "$flavor: archive");
		is($in->($copy, q{SELECT pgmq.send('emails', '3')}), $copy eq 'first' ? '3' : '4', "$flavor: ids go on");
		is($in->($copy, q{SELECT valid FROM extensions.verify(token(), 'shared')}), 't', "$flavor: tokens");
		is($in->($copy, q{SELECT has_table_privilege('service_role', 'vault.decrypted_secrets', 'SELECT')}), 't',
			"$flavor: grants");

		# The copy of the copy.
		$in->($copy, q{SELECT pgmq.delete('emails', ARRAY[3, 4]::bigint[])});
		$dump = $node->data_dir . "/$copy.sql";
		$node->command_ok([ 'pg_dump', '-U', $owner, '--file', $dump, $copy ], "$flavor: pg_dump of the $copy copy");
	}

	# Failures of all kinds, and what the log has of them.
	$node->psql('project', qq{INSERT INTO vault.secrets (secret, name) VALUES ('$secret', 'api')}, extra_params => [ '-U', $owner ]);
	$node->psql('project', qq{INSERT INTO vault.secrets (secret, description) VALUES ('$secret', NULL)}, extra_params => [ '-U', $owner ]);
	my $server_log = slurp_file($node->logfile);
	# Statements are logged as they came in: that is the test's own setting.
	my @said = grep { !/LOG:  statement:|STATEMENT:|^\t/ } split /\n/, $server_log;
	is(join("\n", grep { /\Q$secret\E/ || /$key/i } @said), '', "$flavor: no message has the secret or the key");
	$node->stop('immediate');
}

# ---- natively, as the owner of a database who is no superuser; and restored by a superuser
{
	my $node = start_server('companions_owner', 'native');
	my $file = write_key_file($node, new_key());
	$node->append_conf('postgresql.conf', "mentalspace.vault_key_file = '$file'");
	$node->reload;
	$node->safe_psql('postgres', 'CREATE ROLE app LOGIN; CREATE DATABASE project OWNER app; CREATE DATABASE copy OWNER app');
	my $app = sub { return $node->safe_psql($_[0], $_[1], extra_params => [ '-U', 'app' ]) };

	$app->('project', q{CREATE EXTENSION supabase_vault; CREATE EXTENSION pgmq; CREATE EXTENSION pgjwt; SELECT pgmq.create('q')});
	$app->('project', qq{SELECT vault.create_secret('$secret', 'a'); SELECT pgmq.send('q', '1')});
	is($app->('project', 'SELECT decrypted_secret FROM vault.decrypted_secrets'), $secret, 'owner: the vault works');
	my $dump = $node->data_dir . '/owner.sql';
	$node->command_ok([ 'pg_dump', '-U', 'app', '--file', $dump, 'project' ], 'owner: pg_dump');
	$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', 'copy', '--file', $dump ], 'owner: restored by a superuser');
	is($app->('copy', 'SELECT decrypted_secret FROM vault.decrypted_secrets'), $secret, 'owner: reads the copy\'s secrets');
	$app->('copy', q{SELECT vault.create_secret('more', 'b'); SELECT pgmq.create('r'); SELECT pgmq.send('r', '1')});
	is($app->('copy', 'SELECT count(*) FROM pgmq.list_queues()'), '2', 'owner: goes on working with the copy');
	$node->command_ok([ 'pg_dump', '-U', 'app', '--file', $dump, 'copy' ], 'owner: pg_dump of the copy');
	unlike(slurp_file($dump), qr/^(GRANT|REVOKE) .* (vault|pgmq)\./m, 'owner: grants are the extension\'s own, not the dump\'s');
	$node->stop('immediate');
}

# ---- a key in a setting, for which the library must be preloaded
{
	my $key = new_key();
	my $node = start_server('vault_setting', 'native', "shared_preload_libraries = 'mentalspace'\nmentalspace.vault_key = '$key'\n");
	$node->safe_psql('postgres', q{CREATE EXTENSION supabase_vault; CREATE ROLE reader; GRANT pg_read_all_settings TO reader});
	$node->safe_psql('postgres', qq{SELECT vault.create_secret('$secret')});
	is($node->safe_psql('postgres', 'SELECT decrypted_secret FROM vault.decrypted_secrets'), $secret, 'setting: seals and opens');
	is($node->safe_psql('postgres', 'SHOW mentalspace.vault_key'), '(hidden)', 'setting: SHOW does not tell');
	my $seen = join '', map { $node->safe_psql('postgres', $_) } 'SHOW ALL', 'SELECT * FROM pg_settings',
		q{SELECT current_setting('mentalspace.vault_key')}, 'SET ROLE reader; SELECT * FROM pg_settings; SHOW mentalspace.vault_key';
	unlike($seen, qr/$key/i, 'setting: nor does anything else');
	isnt($node->psql('postgres', "SET mentalspace.vault_key = 'x'"), 0, 'setting: not changed in a session');
	isnt($node->psql('postgres', "ALTER DATABASE postgres SET mentalspace.vault_key = 'x'"), 0, 'setting: nor for a database');
	$node->reload;
	is($node->safe_psql('postgres', 'SELECT decrypted_secret FROM vault.decrypted_secrets'), $secret, 'setting: lives through a reload');
	unlike(slurp_file($node->logfile), qr/$key/i, 'setting: not in the log');

	# A malformed one is not printed either.
	$node->adjust_conf('postgresql.conf', 'mentalspace.vault_key', "'malformed-$key'");
	$node->restart;
	my ($status, $stdout, $stderr) = $node->psql('postgres', q{SELECT vault.create_secret('x')});
	like($stderr, qr/parameter "mentalspace.vault_key" holds no usable key/, 'setting: malformed');
	unlike($stderr . slurp_file($node->logfile), qr/$key/i, 'setting: malformed, and not shown');

	# A file goes first.
	my $file = write_key_file($node, new_key(), $key);
	$node->append_conf('postgresql.conf', "mentalspace.vault_key_file = '$file'");
	$node->reload;
	is($node->safe_psql('postgres', 'SELECT decrypted_secret FROM vault.decrypted_secrets'), $secret, 'file: an older key opens');
	is($node->safe_psql('postgres', 'SELECT vault.rotate_key()'), '1', 'file: the first key seals');
	write_key_file($node, split /\n/, (split /\n$key/, slurp_file($file))[0]);
	is($node->safe_psql('postgres', 'SELECT decrypted_secret FROM vault.decrypted_secrets'), $secret, 'file: the older key can go');
	$node->stop('immediate');
}

# ---- what is installed, and what is left out
{
	my $dir = PostgreSQL::Test::Utils::tempdir();
	my ($built, $real, $root) = ("$dir/built", "$dir/share", "$dir/root");
	make_path($built, $real, $root);
	my $put = sub { my ($file, $comment) = @_; unlink $file; append_to_file($file, "comment = '$comment'\n"); };
	my $install = sub {
		my ($environment, @arguments) = @_;
		my ($stdout, $stderr) = ('', '');
		local %ENV = (%ENV, SHAREDIR => $real, %$environment);
		my $ok = IPC::Run::run([ "$ENV{MS_TOP}/src/companions/install", @arguments ], '>', \$stdout, '2>', \$stderr);
		return ($ok ? 'ok ' : 'failed ') . $stdout . $stderr;
	};
	foreach my $name (qw(a b c))
	{
		$put->("$built/$name.control", "mentalspace companion: $name");
		append_to_file("$built/$name--1-mentalspace.sql", '-- script');
	}
	$put->("$real/b.control", 'the real thing');

	is($install->({}, $built, qw(a b c)), "ok companions left out, because the server has the extension itself: b\n", 'install');
	ok(-f "$real/a.control" && -f "$real/a--1-mentalspace.sql" && -f "$real/c.control", 'install: control file and script');
	is(slurp_file("$real/b.control"), "comment = 'the real thing'\n", 'install: the real one is as it was');
	ok(!-e "$real/b--1-mentalspace.sql", 'install: no script of ours beside it');
	is($install->({}, $built, qw(a)), 'ok ', 'install: again, over our own');

	like($install->({ DESTDIR => $root }, $built, qw(a b)), qr/^ok .*: b$/m, 'install below a DESTDIR looks at the server too');
	ok(-f "$root$real/a.control" && !-e "$root$real/b.control", 'install below a DESTDIR');
	is($install->({ DESTDIR => $root, FORCE_COMPANIONS => 1 }, $built, 'b'), 'ok ', 'install beside a real one, forced');
	ok(-f "$root$real/b.control", 'install beside a real one, forced: below the DESTDIR');
	like($install->({ FORCE_COMPANIONS => 1 }, $built, 'b'), qr/^failed .*never overwritten/, 'never over a packaged one');
	is(slurp_file("$real/b.control"), "comment = 'the real thing'\n", 'which is as it was');

	append_to_file("$real/b--1.0.sql", '-- of the real thing');
	is($install->({}, '--remove', qw(a b c)), 'ok ', 'uninstall');
	is(join(' ', sort map { s|.*/||r } glob("$real/*")), 'b--1.0.sql b.control', 'uninstall takes only what is ours');
}

done_testing();
