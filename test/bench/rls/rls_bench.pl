#!/usr/bin/perl
# What row level security costs, for eight shapes of policy, in four variants that take turns within one run:
#
#   a stock    Supabase's functions in plain SQL; the library is not loaded
#   b wrapped  the same policies rewritten by hand as (select ...); the library is not loaded
#   c ours     the policies unchanged, mentalspace.rls_optimize = full
#   d hand     no row level security; the predicate written into the query for that user
#
#   rls_bench.pl --out DIR [--rows 10000,100000,1000000] [--rounds 11] [--stock-rounds 3] [--lookups 2000]
#                [--shapes "own row,..."]
#
# Medians of the rounds go to DIR/rls.tsv and DIR/rls.md, drawings to DIR/rls-ROWS.svg.  A turn is five executions, or one of
# those that take more than 50 ms.  Stock, which takes seconds to minutes, runs in the first --stock-rounds rounds only, and
# once from a million rows on.  Connects as PG* says, as a superuser, and makes the database rls_bench anew.
use strict;
use warnings;
use Getopt::Long;
use IPC::Open2;
use FindBin;

my ($sizes, $rounds, $stock_rounds, $lookups, $only, $out) = ('10000,100000,1000000', 11, 3, 2000, undef, undef);
GetOptions('rows=s' => \$sizes, 'rounds=i' => \$rounds, 'stock-rounds=i' => \$stock_rounds, 'lookups=i' => \$lookups,
	'shapes=s' => \$only, 'out=s' => \$out)
	&& $out or die "see the head of $0\n";
$ENV{PGDATABASE} = 'rls_bench';
my @variants = qw(stock wrapped ours hand);
my $user = "'00000000-0000-4000-8000-000000000007'";

# Name, policies on notes as a project writes them (permissive; those after "and" are restrictive), and the predicate that
# somebody would write who knows this user.
my $five = join(' OR ', map { "has_role(auth.uid(), '$_')" } qw(administrator supervisor billing front_desk auditor));
my @shapes = (
	['own row', ['therapist_id = auth.uid()'], "therapist_id = $user"],
	['own row or role', ["therapist_id = auth.uid() OR has_role(auth.uid(), 'administrator')"], "therapist_id = $user"],
	['five roles in an OR', [$five, 'therapist_id = auth.uid()', 'associate_id = auth.uid()'],
		"therapist_id = $user OR associate_id = $user"],
	['EXISTS on a parent', ['EXISTS (SELECT 1 FROM clients c WHERE c.id = notes.client_id AND c.therapist_id = auth.uid())'],
		"EXISTS (SELECT 1 FROM clients c WHERE c.id = notes.client_id AND c.therapist_id = $user)"],
	['tenant by claim', ["org_id = (auth.jwt() -> 'app_metadata' ->> 'org_id')::int"], 'org_id = 7'],
	['tenant by membership', ['org_id IN (SELECT m.org_id FROM memberships m WHERE m.user_id = auth.uid())'],
		"org_id IN (SELECT m.org_id FROM memberships m WHERE m.user_id = $user)"],
	['helper in PL/pgSQL', ['therapist_id = auth.uid() OR is_staff()'], "therapist_id = $user"],
	['restrictive MFA check', ['therapist_id = auth.uid()', 'and', "(auth.jwt() ->> 'aal') = 'aal2'"], "therapist_id = $user"],
);
if ($only) {
	my %wanted = map { $_ => 1 } split(/,/, $only);
	@shapes = grep { $wanted{$_->[0]} } @shapes;
}

# The condition as the variant's policies have it.
sub in_variant
{
	my ($condition, $variant) = @_;
	return $condition if $variant eq 'ours';
	$condition =~ s/(has_role\(auth\.uid\(\), '\w+'\)|auth\.\w+\(\)|\bis_staff\(\))/(SELECT $1)/g if $variant eq 'wrapped';
	$condition =~ s/\bauth\./stock./g;
	$condition =~ s/\bis_staff\(/stock.is_staff(/g;
	return $condition;
}

sub policies_sql
{
	my @policies = @_;
	my $sql = "SELECT format('DROP POLICY %I ON %s', polname, polrelid::regclass) FROM pg_policy \\gexec\n";
	for my $variant (qw(stock wrapped ours)) {
		my ($kind, $n) = ('PERMISSIVE', 0);
		for my $policy (@policies) {
			if ($policy eq 'and') { $kind = 'RESTRICTIVE'; next; }
			$sql .= sprintf("CREATE POLICY %s_%d ON notes AS %s FOR SELECT TO bench_%s USING (%s);\n", $variant, $n++, $kind,
				$variant, in_variant($policy, $variant));
		}
		for my $parent (['clients', 'therapist_id'], ['memberships', 'user_id']) {
			$sql .= sprintf("CREATE POLICY %s ON %s FOR SELECT TO bench_%s USING (%s);\n", $variant, $parent->[0], $variant,
				in_variant("$parent->[1] = auth.uid()", $variant));
		}
	}
	return $sql;
}

# ---- sessions ----

sub run_psql
{
	my ($sql, @options) = @_;
	open(my $psql, '|-', 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', @options) or die "psql: $!\n";
	print $psql $sql;
	close($psql) or die "psql failed\n";
}

sub start_session
{
	my ($role) = @_;
	my $pid = open2(my $from, my $to, 'psql', '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-U', $role);
	$to->autoflush(1);
	print $to "\\timing on\n";
	return { pid => $pid, from => $from, to => $to };
}

# Runs one query; its output without the timing, and milliseconds as the client sees them.
sub run_query
{
	my ($session, $sql) = @_;
	my ($output, $ms) = ('', undef);
	print { $session->{to} } "$sql;\n";
	while (defined(my $line = readline($session->{from}))) {
		if ($line =~ /^Time: ([\d.]+) ms/) { $ms = $1; last; }
		$output .= $line;
	}
	die "a session ended at: $sql\n" unless defined $ms;
	return ($output, $ms);
}

sub end_sessions
{
	for my $session (@_) {
		close($session->{to});
		waitpid($session->{pid}, 0);
	}
}

sub median
{
	my @sorted = sort { $a <=> $b } @_;
	return @sorted ? ($sorted[$#sorted / 2] + $sorted[@sorted / 2]) / 2 : undef;
}

# ---- measuring ----

# Median milliseconds of `SELECT count(*) FROM notes` by variant.
sub measure_shape
{
	my ($shape, $rows) = @_;
	my (%session, %times, %seen);

	run_psql(policies_sql(@{ $shape->[1] }));
	$session{$_} = start_session("bench_$_") for @variants;
	for my $round (0 .. $rounds) {
		# Who comes after a variant that has looked at the whole table finds other things in the processor's caches.
		for my $variant (qw(stock wrapped), $round % 2 ? qw(ours hand) : qw(hand ours)) {
			next if $variant eq 'stock' && ($round == 0 || $round > ($rows >= 1_000_000 ? 1 : $stock_rounds));
			my $sql = 'SELECT count(*) FROM notes' . ($variant eq 'hand' ? " WHERE $shape->[2]" : '');
			my @turn;
			while (@turn < 5) {
				my ($count, $ms) = run_query($session{$variant}, $sql);
				$seen{$count} = 1;
				push @turn, $ms;
				last if $ms > 50;
			}
			# The first round fills the caches.
			push @{ $times{$variant} }, median(@turn) if $round > 0;
		}
	}
	end_sessions(values %session);
	die "$shape->[0]: the variants count differently: " . join(' ', keys %seen) . "\n" unless keys %seen == 1;
	return { map { $_ => median(@{ $times{$_} }) } @variants };
}

# Median microseconds of a lookup by primary key; the variants take turns.
sub measure_lookups
{
	my ($shape, $mode, $rows) = @_;
	my %times;

	for my $round (1 .. $rounds) {
		for my $variant (qw(ours hand)) {
			my $file = "$out/lookup.sql";
			open(my $script, '>', $file) or die "$file: $!\n";
			print $script "\\set id random(0, " . ($rows / 100 - 1) . ") * 100 + 7\n";
			print $script 'SELECT * FROM notes WHERE id = :id' . ($variant eq 'hand' ? " AND ($shape->[2])" : '') . ";\n";
			close($script);
			my $output = `pgbench -n -M $mode -U bench_$variant --random-seed=7 -t $lookups -f $file rls_bench 2>&1`;
			unlink($file);
			$output =~ /latency average = ([\d.]+) ms/ && $output =~ /^tps = ([\d.]+)/m or die "pgbench: $output\n";
			push @{ $times{$variant} }, 1e6 / $1;
		}
	}
	return { map { $_ => median(@{ $times{$_} }) } keys %times };
}

# Median milliseconds to plan a query on a table with 20 policies.
sub measure_planning
{
	my @policies = map {
		my $role = (qw(administrator supervisor billing front_desk auditor))[$_ % 5];
		$_ % 2 ? "has_role(auth.uid(), '$role') AND org_id <> $_" : "therapist_id = auth.uid() AND org_id <> $_";
	} 1 .. 20;
	my (%session, %times);

	run_psql(policies_sql(@policies));
	$session{$_} = start_session("bench_$_") for qw(stock ours);
	for my $round (0 .. 10 * $rounds) {
		for my $variant (qw(stock ours)) {
			my ($plan) = run_query($session{$variant}, 'EXPLAIN (SUMMARY) SELECT * FROM notes');
			$plan =~ /Planning Time: ([\d.]+) ms/ or die "no planning time\n";
			push @{ $times{$variant} }, $1 if $round > 0;
		}
	}
	end_sessions(values %session);
	return { map { $_ => median(@{ $times{$_} }) } keys %times };
}

# ---- drawing ----

sub svg
{
	my ($file, $rows, $results) = @_;
	my %colour = (stock => '#b5483a', wrapped => '#d9a441', ours => '#2f6f9f', hand => '#7a8b7f');
	my %label = (stock => 'stock', wrapped => 'wrapped by hand', ours => 'mentalspace', hand => 'no RLS, predicate by hand');
	my ($left, $top, $bar, $group, $plot) = (190, 74, 14, 72, 560);
	my @all = map { my $r = $_; grep { defined } map { $r->{$_} } @variants } @$results;
	my $low = 10 ** round_down(log10((sort { $a <=> $b } @all)[0]));
	my $high = 10 ** (round_down(log10((sort { $b <=> $a } @all)[0])) + 1);
	my $scale = $plot / (log10($high) - log10($low));
	my $height = $top + $group * @$results + 44;

	open(my $svg, '>', $file) or die "$file: $!\n";
	print $svg qq(<svg xmlns="http://www.w3.org/2000/svg" width="860" height="$height" font-family="sans-serif" font-size="13">\n);
	print $svg qq(<rect width="860" height="$height" fill="#ffffff"/>\n);
	print $svg qq(<text x="16" y="26" font-size="17">SELECT count(*) under row level security, ) . commas($rows)
		. qq( rows: milliseconds, median, logarithmic</text>\n);
	my $x = $left;
	for my $variant (@variants) {
		print $svg qq(<rect x="$x" y="42" width="12" height="12" fill="$colour{$variant}"/>);
		printf $svg qq(<text x="%d" y="53">%s</text>\n), $x + 17, $label{$variant};
		$x += 30 + 8 * length($label{$variant});
	}
	for (my $tick = $low; $tick <= $high * 1.001; $tick *= 10) {
		my $at = $left + $scale * (log10($tick) - log10($low));
		printf $svg qq(<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#dddddd"/>), $at, $top - 6, $at, $height - 34;
		printf $svg qq(<text x="%.1f" y="%d" text-anchor="middle" fill="#555555">%s ms</text>\n), $at, $height - 16,
			commas($tick);
	}
	my $y = $top;
	for my $result (@$results) {
		printf $svg qq(<text x="%d" y="%d" text-anchor="end">%s</text>\n), $left - 10, $y + 2 * $bar + 5, $result->{shape};
		for my $variant (@variants) {
			next unless defined $result->{$variant};
			my $width = $scale * (log10($result->{$variant}) - log10($low));
			printf $svg qq(<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>), $left, $y, $width, $bar - 1,
				$colour{$variant};
			printf $svg qq(<text x="%.1f" y="%d" font-size="11">%s</text>\n), $left + $width + 4, $y + $bar - 3,
				commas(digits($result->{$variant}));
			$y += $bar;
		}
		$y += $group - 4 * $bar;
	}
	print $svg "</svg>\n";
	close($svg);
}

sub log10 { return log($_[0]) / log(10); }
sub round_down { my $n = int($_[0]); return $n > $_[0] ? $n - 1 : $n; }
sub digits { my ($n) = @_; return sprintf($n >= 100 ? '%.0f' : $n >= 10 ? '%.1f' : '%.2f', $n); }
sub commas { my ($n) = @_; 1 while $n =~ s/^(\d+)(\d{3})/$1,$2/; return $n; }

# ---- the run ----

open(my $tsv, '>', "$out/rls.tsv") or die "$out/rls.tsv: $!\n";
open(my $md, '>', "$out/rls.md") or die "$out/rls.md: $!\n";
$_->autoflush(1) for $tsv, $md, \*STDOUT;
print $tsv "what\trows\tunit\tstock\twrapped\tours\thand\tours/hand\tstock/ours\twrapped/ours\n";

sub report
{
	my ($what, $rows, $unit, $r) = @_;
	my @ratio = map { $r->{ $_->[0] } && $r->{ $_->[1] } ? $r->{ $_->[0] } / $r->{ $_->[1] } : undef }
		(['ours', 'hand'], ['stock', 'ours'], ['wrapped', 'ours']);
	my @shown = map { defined $_ ? digits($_) : '' } (map { $r->{$_} } @variants), @ratio;
	print $tsv join("\t", $what, $rows, $unit, @shown), "\n";
	print $md '| ', join(' | ', $what, map { commas($_) } @shown), " |\n";
	print join("\t", $what, $rows, $unit, @shown), "\n";
}

for my $rows (split(/,/, $sizes)) {
	my @results;
	run_psql("SET client_min_messages = warning;\nDROP DATABASE IF EXISTS rls_bench WITH (FORCE);\nDROP ROLE IF EXISTS bench_stock, bench_wrapped, bench_ours, "
		. "bench_hand;\nCREATE DATABASE rls_bench;\n", '-d', 'postgres');
	run_psql(scalar(`cat $FindBin::Bin/schema.sql`), '-v', "rows=$rows");
	print $md "\n", commas($rows), " rows, milliseconds:\n\n| shape | stock | wrapped | ours | by hand | ours/hand | "
		. "stock/ours | wrapped/ours |\n|---|---|---|---|---|---|---|---|\n";
	for my $shape (@shapes) {
		my $r = measure_shape($shape, $rows);
		$r->{shape} = $shape->[0];
		push @results, $r;
		report($shape->[0], $rows, 'ms', $r);
	}
	svg("$out/rls-$rows.svg", $rows, \@results);
	for my $shape (grep { $_->[0] =~ /^(own|five)/ } @shapes) {
		run_psql(policies_sql(@{ $shape->[1] }));
		report("lookup, $_, $shape->[0]", $rows, 'us', measure_lookups($shape, $_, $rows)) for qw(simple prepared);
	}
	report('planning, 20 policies', $rows, 'ms', measure_planning());
}
run_psql("DROP DATABASE rls_bench WITH (FORCE);\nDROP ROLE bench_stock, bench_wrapped, bench_ours, bench_hand;\n",
	'-d', 'postgres');
