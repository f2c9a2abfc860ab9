# What the tests of mentalspace-migrate share: a project's folder, and runs of the program.
package MigrateTest;
use strict;
use warnings;
use Exporter 'import';
use IPC::Run;
use PostgreSQL::Test::Utils;

# PostgreSQL::Test::Utils names every session after the test; the program names its own.
delete $ENV{PGAPPNAME};

our @EXPORT = qw(project migrate start_migrate finish_migrate wait_for tool);

# The program as it was installed.
sub tool
{
	my ($bindir) = PostgreSQL::Test::Utils::run_command([ $ENV{PG_CONFIG} // 'pg_config', '--bindir' ]);
	return "$ENV{MS_ROOT_NATIVE}$bindir/mentalspace-migrate";
}

# project(NAME => SQL, ...): a folder with these files; NAME is without .sql where it has no point.
sub project
{
	my (%files) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir_short();

	foreach my $name (keys %files)
	{
		my $file = $name =~ /\./ ? $name : "$name.sql";
		open my $out, '>:raw', "$dir/$file" or die "$dir/$file: $!";
		print $out $files{$name};
		close $out;
	}
	return $dir;
}

# migrate(NODE, DATABASE, DIR, OPTION...): exit status, standard output, standard error.
sub migrate
{
	my ($node, $database, $dir, @options) = @_;
	my ($out, $err) = ('', '');

	IPC::Run::run([ tool(), '--db', $node->connstr($database), '--dir', $dir, @options ], '>', \$out, '2>', \$err);
	return ($? >> 8, $out, $err);
}

# Started, to be interrupted; finish_migrate gives what migrate gives.
sub start_migrate
{
	my ($node, $database, $dir, @options) = @_;
	my %run = (out => '', err => '');

	$run{handle} = IPC::Run::start([ tool(), '--db', $node->connstr($database), '--dir', $dir, @options ],
		'>', \$run{out}, '2>', \$run{err}, IPC::Run::timeout(60));
	return \%run;
}

sub finish_migrate
{
	my ($run) = @_;
	$run->{handle}->finish;
	my $status = ($run->{handle}->full_results)[0];
	return ($status & 127 ? 128 + ($status & 127) : $status >> 8, $run->{out}, $run->{err});
}

# Waits until a query gives true.
sub wait_for
{
	my ($node, $database, $query) = @_;
	return $node->poll_query_until($database, $query);
}

1;
