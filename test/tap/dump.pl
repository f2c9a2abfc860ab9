# pg_dump and restore of a provisioned and migrated database, examples/ehr with its seed: everything is there afterwards, in
# a database of another server and once more in a copy of that copy, in plain and in custom format; as a superuser with the
# native flavour and as the NOSUPERUSER owner with the trusted one.
use strict;
use warnings;
use Cwd qw(abs_path);
use MentalspaceTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $top = $ENV{MS_TOP};

# What some users of auth.users see of each table with row security, as the API would ask: `email table count`.
my $seen = q{
	CREATE TEMP TABLE seen (who text, what regclass, rows bigint);
	GRANT ALL ON seen TO authenticated;
	DO $$
	DECLARE
		u record; t record; n bigint;
	BEGIN
		FOR u IN SELECT id, email FROM auth.users ORDER BY email LIMIT 5 LOOP
			PERFORM set_config('request.jwt.claims', json_build_object('sub', u.id, 'role', 'authenticated', 'email', u.email, 'aal', 'aal2')::text, true);
			SET LOCAL ROLE authenticated;
			FOR t IN SELECT oid::regclass AS name FROM pg_class WHERE relrowsecurity AND relnamespace IN ('public'::regnamespace, to_regnamespace('storage'))
			          AND has_table_privilege(oid, 'SELECT') LOOP
				EXECUTE format('SELECT count(*) FROM %s', t.name) INTO n;
				INSERT INTO seen VALUES (u.email, t.name, n);
			END LOOP;
			RESET ROLE;
		END LOOP;
	END $$;
	SELECT who, what, rows FROM seen WHERE rows > 0 ORDER BY who, what::text};

foreach my $flavor (flavors())
{
	my $key = join('', map { sprintf '%02x', int rand 256 } 1 .. 32);
	my @nodes = map { start_server("dump_${flavor}_$_", $flavor, "wal_level = logical\nmentalspace.cron_worker = off\n") } 1 .. 2;
	my ($first, $second) = @nodes;
	my $owner = owned_database($first, 'ehr', $flavor);
	my @as = ('-U', $owner);
	my $ask = sub {
		my ($node, $db, $sql) = @_;
		return $node->safe_psql($db, $sql, extra_params => [ '-U', $owner ]);
	};
	# A key for the vault: in a file of the server where there is a library, else in a table.  Dumps hold sealed secrets, but
	# no keys: the operator keeps those and gives them to the copy.
	my $give_key = sub {
		my ($node, $db) = @_;
		return $ask->($node, $db, "SELECT vault.add_key('$key')") if $flavor eq 'trusted';
		my $file = abs_path($node->basedir) . '/vault.key';
		append_to_file($file, "$key\n");
		chmod 0600, $file;
		$node->append_conf('postgresql.conf', "mentalspace.vault_key_file = '$file'\n");
		return $node->reload;
	};
	$ask->($first, 'ehr', 'CREATE EXTENSION mentalspace; SELECT count(*) FROM mentalspace.provision()');
	$give_key->($first, 'ehr');
	foreach my $file (sort glob "$top/examples/ehr/supabase/migrations/*.sql")
	{
		my ($name) = $file =~ m{([^/]+)$};
		my ($out, $err) = run_command([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $first->connstr('ehr') . " user=$owner", '-f', $file ]);
		unlike($err, qr/ERROR/, "$flavor: $name");
	}
	$first->command_ok([ 'psql', '-Xq', '-1', '-v', 'ON_ERROR_STOP=1', '-d', $first->connstr('ehr') . " user=$owner", '-f', "$top/examples/ehr/seed.sql" ],
		"$flavor: seed");
	# What the example leaves out.
	$ask->($first, 'ehr', q{
		CREATE FUNCTION public.note_user() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN new; END $$;
		CREATE TRIGGER another_of_mine AFTER UPDATE ON auth.users FOR EACH ROW EXECUTE FUNCTION public.note_user();
		CREATE TRIGGER on_object AFTER INSERT ON storage.objects FOR EACH ROW EXECUTE FUNCTION public.note_user();
		CREATE INDEX of_mine ON storage.objects ((storage.foldername(name)));
		CREATE POLICY of_mine ON storage.objects FOR SELECT TO authenticated USING (auth.uid()::text = (storage.foldername(name))[1]);
		CREATE POLICY listen ON realtime.messages FOR SELECT TO authenticated USING (realtime.topic() = 'room:' || auth.uid());
		INSERT INTO storage.objects (bucket_id, name) SELECT (SELECT min(id) FROM storage.buckets), id || '/a.png' FROM auth.users LIMIT 3;
		SELECT vault.create_secret('not for everybody', 'a secret');
		SELECT cron.schedule('nightly', '0 3 * * *', 'SELECT 1');
	});
	my $secret = q{SELECT string_agg(decrypted_secret, ',' ORDER BY name) FROM vault.decrypted_secrets};
	my $secrets = $ask->($first, 'ehr', $secret);
	like($secrets, qr/not for everybody/, "$flavor: a secret is kept");

	my $snapshot = sub {
		my ($node, $db) = @_;
		my ($out, $err) = run_command([ 'psql', '-Xq', '-d', $node->connstr($db) . " user=$owner", '-f', "$top/test/lib/snapshot.sql" ]);
		die $err if $err =~ /ERROR/;
		return $out;
	};
	# Shows the lines that differ.  What a copy must not have: keys, and requests that the source sends already; and what it
	# has of its own: a salt beside the dumped one, numbers of audit events (see audit_dump.pl).
	my $same = sub {
		my ($got, $wanted, $name) = @_;
		my $left_out = qr/^(rows \| |sequence \| )(vault\.keys|vault \| keys_number_seq|mentalspace\.audit_salts|mentalspace\.auth_seal|mentalspace \| audit_event_ids|net\.http_request_queue|net \| http_request_queue_id_seq)\b/;
		my %count;
		$count{$_}++ foreach split /\n/, $got;
		$count{$_}-- foreach split /\n/, $wanted;
		my $diff = join "\n", map { ($count{$_} > 0 ? 'too much: ' : 'missing: ') . $_ } grep { $count{$_} && !/$left_out/ } sort keys %count;
		is($diff, '', $name);
	};
	# Migrations' GRANT ALL gives the roles of the API more than rights on rows: as the copy will be, without it.
	$ask->($first, 'ehr', 'SELECT count(*) FROM mentalspace.provision()');
	my $wanted = $snapshot->($first, 'ehr');
	my $sees = $ask->($first, 'ehr', $seen);
	cmp_ok(scalar(split /\n/, $sees), '>', 20, "$flavor: users see something of the tables");
	foreach my $kind ('trigger \| CREATE TRIGGER \w+ AFTER INSERT ON auth.users', 'policy \| storage.objects', 'publication \| supabase_realtime.*[a-z]+\.?[a-z]+,',
		'default privileges', 'rows \| cron.job \| [1-9]', 'rows \| vault.secrets \| [1-9]', 'rows \| auth.users \| [1-9]')
	{
		like($wanted, qr/^$kind/m, "$flavor: the source has: $kind");
	}

	# Roles belong to the server, not to the database.
	my $dir = $first->basedir;
	command_ok([ 'pg_dumpall', '-d', $first->connstr('postgres'), '--globals-only', '--no-role-passwords', '-f', "$dir/globals.sql" ], "$flavor: roles are dumped");
	$second->psql('postgres', slurp_file("$dir/globals.sql"), on_error_stop => 0);

	# Plain, with the database's settings, into another server.
	command_ok([ 'pg_dump', @as, '-d', $first->connstr('ehr'), '-f', "$dir/plain.sql" ], "$flavor: plain dump");
	owned_database($second, 'ehr', $flavor);
	my ($out, $err) = run_command([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $second->connstr('ehr') . " user=$owner", '-f', "$dir/plain.sql" ]);
	unlike($err, qr/ERROR/, "$flavor: plain restore without an error");
	$same->($snapshot->($second, 'ehr'), $wanted, "$flavor: the copy is complete");
	is($ask->($second, 'ehr', $seen), $sees, "$flavor: and users see in it what they saw before");
	$give_key->($second, 'ehr');
	is($ask->($second, 'ehr', $secret), $secrets, "$flavor: with the same key, secrets can be read in it");
	is($ask->($second, 'ehr', q{SELECT count(*) FROM mentalspace.provision() WHERE component <> 'roles' AND kind <> 'database setting' AND state IN ('made', 'changed')}), 0,
		"$flavor: provision() finds all objects there");

	# Custom, of the copy, back into the first server.
	command_ok([ 'pg_dump', @as, '-Fc', '-d', $second->connstr('ehr'), '-f', "$dir/custom.dump" ], "$flavor: custom dump of the copy");
	owned_database($first, 'again', $flavor);
	command_ok([ 'pg_restore', @as, '--exit-on-error', '-d', $first->connstr('again'), "$dir/custom.dump" ], "$flavor: restore of the copy's dump");
	$same->($snapshot->($first, 'again'), $wanted, "$flavor: the copy of the copy is complete");
	is($ask->($first, 'again', $seen), $sees, "$flavor: and users see in it what they saw at first");

	# It lives: users sign up, and the trigger on auth.users makes their profile.
	my $profiles = $ask->($first, 'again', 'SELECT count(*) FROM public.profiles');
	$ask->($first, 'again', q{INSERT INTO auth.users (id, email) VALUES ('00000000-0000-4000-8000-0000000000ff', 'new@x.test')});
	is($ask->($first, 'again', 'SELECT count(*) FROM public.profiles'), $profiles + 1, "$flavor: the trigger on auth.users makes a profile in it");
	$_->stop foreach @nodes;
}
done_testing();
