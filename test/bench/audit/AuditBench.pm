# What the parts of the benchmark share: variants in databases of their own, timings, tables.
package AuditBench;
use strict;
use warnings;
use Exporter 'import';
use File::Temp ();

our @EXPORT = qw(median ratio psql psql_lines value timed pgbench make_databases print_table have_pgaudit);

sub median
{
	my @sorted = sort { $a <=> $b } @_;
	return undef unless @sorted;
	return ($sorted[$#sorted / 2] + $sorted[@sorted / 2]) / 2;
}

# Median of the ratios of what was measured in one round.
sub ratio
{
	my ($values, $base) = @_;
	return median(map { $values->[$_] / $base->[$_] } 0 .. $#$values);
}

# Removed when it goes out of scope.
sub script_file
{
	my ($text) = @_;
	my $file = File::Temp->new(SUFFIX => '.sql');

	print $file $text;
	close $file;
	return $file;
}

sub psql_lines
{
	my ($database, $user, $sql) = @_;
	my $file = script_file($sql);
	my @lines = qx(psql -X -q -A -t -v ON_ERROR_STOP=1 -d $database -U $user -f $file);

	die "psql failed in $database\n" if $?;
	chomp @lines;
	return @lines;
}

sub psql { my ($database, $sql) = @_; psql_lines($database, 'postgres', $sql); return; }

sub value { my ($database, $sql) = @_; return (psql_lines($database, 'postgres', $sql))[0]; }

# Milliseconds of the statement, its commit included, in a session of the role that has done `before` already.
sub timed
{
	my ($database, $user, $before, $statement) = @_;
	my ($line) = grep { /^Time: / } psql_lines($database, $user, "$before;\n\\timing on\n$statement;\n");
	my ($milliseconds) = ($line // '') =~ /^Time: ([\d.]+) ms/ or die "no timing of: $statement\n";
	return $milliseconds;
}

# Transactions in a second.
sub pgbench
{
	my ($database, $user, $clients, $seconds, $script, $settings) = @_;
	my $file = script_file($script);

	local $ENV{PGOPTIONS} = $settings;
	my $report = qx(pgbench -n -M prepared -c $clients -j 2 -T $seconds -f $file -U $user $database 2>&1);
	my ($tps) = $report =~ /^tps = ([\d.]+)/m or die "pgbench failed:\n$report";
	return $tps;
}

sub have_pgaudit { return value('postgres', "SHOW shared_preload_libraries") =~ /pgaudit/; }

# make_databases({ variant => SQL, ... }, SQL): databases audit_VARIANT; the common SQL first, then the variant's.
sub make_databases
{
	my ($variants, $common) = @_;

	for my $variant (sort keys %$variants) {
		psql('postgres', "SET client_min_messages = error; DROP DATABASE IF EXISTS audit_$variant;\n"
			. "CREATE DATABASE audit_$variant TEMPLATE template0;");
		psql("audit_$variant", "SET client_min_messages = error;\n$common\n$variants->{$variant}");
	}
}

# Columns wide enough, as Markdown; also into a file.
sub print_table
{
	my ($file, $title, @rows) = @_;
	my @widths;

	for my $row (@rows) {
		for my $i (0 .. $#$row) {
			my $length = length $row->[$i];
			$widths[$i] = $length if !defined $widths[$i] || $length > $widths[$i];
		}
	}
	my $text = "\n$title\n\n";
	for my $n (0 .. $#rows) {
		$text .= '| ' . join(' | ', map { sprintf "%-$widths[$_]s", $rows[$n][$_] // '' } 0 .. $#widths) . " |\n";
		$text .= '|' . join('|', map { '-' x ($_ + 2) } @widths) . "|\n" if $n == 0;
	}
	print $text;
	open(my $out, '>>', $file) or die "$file: $!\n";
	print $out $text;
	close $out;
}

1;
