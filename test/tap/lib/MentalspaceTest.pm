# What the TAP tests share: servers that find one flavour of the extension, and a few shorthands.
package MentalspaceTest;
use strict;
use warnings;
use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

our @EXPORT = qw(start_server owned_database flavors);

# The flavours there are; a test usually does the same on each.
sub flavors { return qw(native trusted); }

# start_server(NAME, FLAVOR, CONF): a running PostgreSQL::Test::Cluster that finds that flavour of the extension.
sub start_server
{
	my ($name, $flavor, $conf) = @_;
	my $root = $ENV{ 'MS_ROOT_' . uc $flavor } or die "unknown flavour $flavor";
	my ($libdir) = PostgreSQL::Test::Utils::run_command([ $ENV{PG_CONFIG} // 'pg_config', '--pkglibdir' ]);
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init(extra => ['--locale=C', '--encoding=UTF8']);
	$node->append_conf('postgresql.conf', "extension_destdir = '$root'\n"
		. "dynamic_library_path = '$root$libdir:\$libdir'\n" . "fsync = off\n" . ($conf // ''));
	$node->start;
	return $node;
}

# owned_database(NODE, NAME, FLAVOR): an empty database, and the role that installs the extension there and runs the
# migrations: a superuser for native, a NOSUPERUSER role with CREATEROLE that owns the database for trusted.
# Returns the role's name.
sub owned_database
{
	my ($node, $name, $flavor) = @_;
	my $owner = $flavor eq 'native' ? 'admin' : 'owner';
	my $super = $flavor eq 'native' ? 'SUPERUSER' : 'NOSUPERUSER';

	$node->safe_psql('postgres', qq{
		SELECT format('CREATE ROLE $owner LOGIN $super CREATEROLE')
		 WHERE to_regrole('$owner') IS NULL \\gexec
		CREATE DATABASE $name OWNER $owner});
	return $owner;
}

1;
