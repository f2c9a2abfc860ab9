# Installing, updating and dropping by pg_tle, as a role with the rights of Aurora's master user.  pg_tle is not packaged: where
# the server has it, this runs, elsewhere it says that it is skipped.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $top = $ENV{MS_TOP};
my ($sharedir) = PostgreSQL::Test::Utils::run_command([ $ENV{PG_CONFIG} // 'pg_config', '--sharedir' ]);
plan skip_all => 'the server has no pg_tle' unless -f "$sharedir/extension/pg_tle.control";

my $tle = "$top/bin/mentalspace-install-tle";
my $node = PostgreSQL::Test::Cluster->new('tle');
$node->init(extra => [ '--locale=C', '--encoding=UTF8' ]);
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_tle'\nfsync = off\n");
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE master LOGIN CREATEROLE; CREATE ROLE nobody LOGIN');
my $tree = PostgreSQL::Test::Utils::tempdir();
system("cp -R '$top/Makefile' '$top/mentalspace.control' '$top/src' '$tree' && make -s -C '$tree' pgtle >/dev/null 2>&1") == 0
  or die 'make pgtle failed';
my $connection = sub { my ($role, $database) = @_; return sprintf "host=%s port=%d user=%s dbname=%s", $node->host, $node->port, $role, $database };
my $run = sub {
	my ($role, $database, @options) = @_;
	my ($out, $err) = ('', '');
	my $ok = IPC::Run::run([ $tle, '--dist', "$tree/dist", @options, $connection->($role, $database) ], '>', \$out, '2>', \$err);
	return ($ok, $out, $err);
};
my $as_master = sub { return $node->safe_psql($_[0], $_[1], extra_params => [ '-U', 'master' ]) };

for my $database ('fresh', 'old') {
	$node->safe_psql('postgres', "CREATE DATABASE $database OWNER master");
	$node->safe_psql($database, 'CREATE EXTENSION pg_tle; GRANT pgtle_admin TO master');
}
my ($version) = `sed -n "s/^default_version = '\\(.*\\)'/\\1/p" '$top/mentalspace.control'` =~ /(\S+)/;

my ($ok, $out, $err) = $run->('nobody', 'fresh');
ok(!$ok && $err =~ /may not create roles/ && $err =~ /CREATEROLE/, 'a role without rights is told what it lacks');
($ok, $out, $err) = $run->('master', 'fresh', '--dry-run');
ok($ok && $out =~ /dry run: nothing was changed/, 'dry run');
is($as_master->('fresh', "SELECT count(*) FROM pgtle.available_extensions() WHERE name = 'mentalspace'"), '0', 'the dry run changes nothing');
($ok, $out, $err) = $run->('master', 'fresh');
ok($ok, 'installs') or diag "$out$err";
($ok, $out, $err) = $run->('master', 'fresh');
ok($ok && $out =~ /mentalspace \Q$version\E is in this database/ && $out !~ /installs/, 'a second run finds everything') or diag "$out$err";
is($as_master->('fresh', "CREATE ROLE app_owner; GRANT app_owner TO CURRENT_USER; GRANT CREATE ON DATABASE fresh TO app_owner;
	SELECT count(*) FILTER (WHERE state = 'made') > 100 FROM mentalspace.provision(owner => 'app_owner')"), 't', 'provisions');
$as_master->('fresh', 'DROP EXTENSION mentalspace CASCADE');
is($as_master->('fresh', "SELECT count(*) FROM pg_extension WHERE extname = 'mentalspace'"), '0', 'drops');

# The version before, then the way from it.
my $dir = PostgreSQL::Test::Utils::tempdir();
system("cp '$top/test/upgrade/0.1.0/trusted.sql' '$dir/mentalspace--0.1.0.sql' && cp '$tree/dist/mentalspace.control' '$dir/'"
	. " && '$top/src/sql/pgtle' '$dir/mentalspace--0.1.0.sql' >'$dir/old.sql'") == 0 or die;
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $connection->('master', 'old'), '-f', "$dir/old.sql",
	'-c', 'CREATE EXTENSION mentalspace' ], 'installs 0.1.0');
($ok, $out, $err) = $run->('master', 'old', '--no-companions');
ok($ok && $out =~ /updates mentalspace from 0\.1\.0/, 'updates') or diag "$out$err";
is($as_master->('old', "SELECT extversion FROM pg_extension WHERE extname = 'mentalspace'"), $version, 'the new version is there');
done_testing();
