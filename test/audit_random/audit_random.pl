#!/usr/bin/perl
# Random statements of random users on audited tables: whoever was sent a patient's row must be in mentalspace.audit_events.
#
#   audit_random.pl --cases N [--seed S] [--case N] [--keep FILE] [--verbose] [--leave]
#
# Each case runs twice: in the database `audited`, and in the database `plain`, where nothing is audited.  What the client
# received from the first tells which patients' rows it was sent (lib/Schema.pm: rows bear marks), and the second, by a twin
# of the statement that returns the marks of its rows, tells it where what was received does not.  Then
#
#   - each patient of whom something was received is in an event of the user, the table and the case;
#   - so is each patient whose row was to be sent, though what was received does not tell, and those whose rows went into
#     an aggregate or another table;
#   - where events say `delivered`, they name exactly those whose rows were sent;
#   - no event is of a table that the statement does not touch: policies and foreign keys read unseen;
#   - each event names the user, login role and role of the session;
#   - writes that are committed are an event for each row, those that are rolled back are none;
#   - what is refused is an event, psychotherapy notes are critical;
#   - the same rows come from both databases.
#
# The seed is printed; --case repeats one case of it, and prints all that there is to know.  Connects as PG* says, which must
# be a superuser on a server with the library in shared_preload_libraries; makes both databases, and drops them without --leave.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Getopt::Long;
use Draw;
use Schema;
use Wire;
use Ways;

my ($cases, $seed, $only, $keep, $verbose, $leave) = (200, int(rand(1 << 31)));
GetOptions(
	'cases=i' => \$cases,
	'seed=i' => \$seed,
	'case=i' => \$only,
	'keep=s' => \$keep,
	'verbose' => \$verbose,
	'leave' => \$leave
) or die "see the head of $0\n";
print "seed $seed\n";
$| = 1;
my $per_set = 40;      # cases under one set of policies
my $super = $ENV{PGUSER} || 'postgres';
my @databases = ('audited', 'plain');
my %login = (user => 'audit_random_login', direct => 'audit_random_direct', super => $super);
my (%wire, %count, $version);

sub connection
{
	my ($database, $session) = @_;
	return $wire{$database}{$session} ||= Wire->new(user => $login{$session} || $super, database => $database);
}

sub must
{
	my ($wire, $sql) = @_;
	my $got = $wire->simple($sql);
	die "$got->{message}\n  in: " . substr($sql, 0, 300) . "\n" if defined $got->{error};
	return @{ $got->{rows} };
}

sub make_databases
{
	my $admin = Wire->new(user => $super, database => $ENV{PGDATABASE} || 'postgres');
	must($admin, $_)
		for "DROP DATABASE IF EXISTS audited", "DROP DATABASE IF EXISTS plain",
		"DROP ROLE IF EXISTS audit_random_login", "DROP ROLE IF EXISTS audit_random_direct",
		"DROP ROLE IF EXISTS audit_random_user", "CREATE ROLE audit_random_user",
		"CREATE ROLE audit_random_login LOGIN NOINHERIT IN ROLE audit_random_user",
		"CREATE ROLE audit_random_direct LOGIN", "CREATE DATABASE audited", "CREATE DATABASE plain";
	for my $database (@databases)
	{
		draw_from($seed);
		my $wire = connection($database, 'admin');
		must($wire, 'CREATE EXTENSION mentalspace; GRANT USAGE ON SCHEMA auth TO PUBLIC');
		must($wire, schema_sql());
		must($wire, audit_sql()) if $database eq 'audited';
		must($wire,
			'GRANT USAGE ON SCHEMA mentalspace TO PUBLIC; GRANT EXECUTE ON FUNCTION mentalspace.audit_flush() TO PUBLIC'
		);
	}
	($version) = must($admin, 'SHOW server_version_num');
	$admin->close();
}

# ---- one case ----

sub show_step
{
	my ($step) = @_;
	return join(' ', "$step->[0]:", $step->[1], map { ref $_ ? '(' . join(', ', @$_) . ')' : $_ } @$step[2 .. $#$step]);
}

sub run_case
{
	my ($database, $number, $case) = @_;
	my $wire = connection($database, $case->{session});
	my @before = ("SET application_name = 'case $number'", 'SET search_path = audit_random', @{ $case->{settings} });
	push @before,
		sprintf(
		q(SET request.jwt.claims = '{"sub": "%s", "role": "audit_random_user", "team": %d}'),
		$case->{user}, $case->{team}
		),
		'SET ROLE audit_random_user'
		if $case->{user};
	# The setting has another name from 16 on.
	if ($version >= 160000) { s/force_parallel_mode/debug_parallel_query/ for @before; }
	must($wire, $_) for @before;
	my (@received, @errors);
	for my $step (@{ $case->{steps} })
	{
		my ($how, @what) = @$step;
		my $got = $wire->$how(@what);
		push @received, $got;
		push @errors, "$got->{error} $got->{message}" if defined $got->{error};
	}
	return (\@received, \@errors, $wire);
}

sub clean_up
{
	my ($wire) = @_;
	$wire->simple('ROLLBACK') if $wire->{status} ne 'I';
	must($wire, $_)
		for 'CLOSE ALL', 'DEALLOCATE ALL', 'DISCARD TEMP', 'RESET ROLE', 'RESET ALL', 'SET application_name = done';
}

sub run_twins
{
	my ($number, $case) = @_;
	my $wire = connection('plain', $case->{session});
	my @marks;
	for my $twin (@{ $case->{twins} })
	{
		my $got = $wire->simple($twin);
		return undef if defined $got->{error};
		push @marks, @{ $got->{rows} };
	}
	return tags_in(join("\n", @marks));
}

# ---- what was recorded ----

sub events_of
{
	my ($number) = @_;
	my @rows = must(
		connection('audited', 'admin'),
		"SELECT kind, coalesce(replace(relation, 'audit_random.', ''), ''), coalesce(precision, ''), outcome, severity, coalesce(user_id::text, ''),
		session_user_name, coalesce(outer_role_name, ''), coalesce(row_count, -1), coalesce(array_to_string(patient_ids, ' '), ''), patient_ids IS NULL, coalesce(action, '')
		FROM mentalspace.audit_events WHERE application_name = 'case $number' ORDER BY event_id"
	);
	my @names = qw(kind relation precision outcome severity user session role rows ids no_ids action);
	return map {
		my %e;
		@e{@names} = split /\|/, $_, -1;
		$e{patients} = { map { patient_number($_) => 1 } split / /, $e{ids} };
		\%e
	} @rows;
}

sub list
{
	my ($set) = @_;
	return '{' . join(' ', sort { $a <=> $b } keys %$set) . '}';
}

sub without
{
	my ($a, $b) = @_;
	return { map { $b->{$_} ? () : ($_ => 1) } keys %$a };
}

sub check
{
	my ($number, $case, $received, $errors, $marks, $others, $other_errors) = @_;
	my @wrong;
	my @events = events_of($number);
	my $sent = tags_in(join("\n", map { Wire::text($_) } @$received));
	my @reads = grep { $_->{kind} =~ /^(phi_access|export)$/ } @events;
	my %by;
	push @{ $by{ $_->{relation} } }, $_ for @reads;
	my $complete = $case->{complete} && defined $marks && !@$errors;
	my %precision;

	for my $table (sort keys %tables)
	{
		my $own = $by{$table} || [];
		my %recorded = map { %{ $_->{patients} } } @$own;
		my %written =
			map { %{ $_->{patients} } } grep { $_->{kind} eq 'data_modification' && $_->{relation} eq $table } @events;
		my $visible = $sent->{$table} || {};
		my $missing = without($visible, \%recorded);
		if ($case->{inserts})
		{
			# Rolled back, and so are its events: that a patient's row was written, the writer knows anyway.
			delete $missing->{$_} for grep { $case->{steps}[1][1] =~ /<$table:$_>/ } keys %$missing;
			$missing = {} if $case->{steps}[1][1] =~ /^INSERT INTO $table/;
		}
		push @wrong, "$table: sent, but not recorded: " . list($missing) if %$missing;
		my $meant = $complete ? $marks->{$table} || {} : {};
		if ($complete && $case->{shown}{$table})
		{
			my $missing = without($meant, \%recorded);
			push @wrong,
				"$table: "
				. ($case->{lower} || $case->{moved} ? 'read' : 'to be sent')
				. ", but not recorded: "
				. list($missing)
				if %$missing;
		}
		# The planner leaves a table out that an outer join adds nothing of.
		my $left_out =
			!$case->{shown}{$table} && join(' ', map { $_->[1] } @{ $case->{steps} }) =~ /(LEFT|RIGHT|FULL) JOIN/;
		push @wrong, "$table: nothing recorded at all" if $complete && %$meant && !@$own && !$left_out;
		# Exactly what was sent: as what was received tells, or what the twin does.
		my $exact = $complete && !$case->{lower} && !$case->{moved} ? { %$meant, %$visible } : $visible;
		my @delivered = grep { $_->{precision} eq 'delivered' } @$own;
		for my $event (@delivered)
		{
			my $more = without($event->{patients}, $exact);
			push @wrong, "$table: delivered, but not sent: " . list($more) if %$more;
		}
		push @wrong, "$table: delivered " . list(\%recorded) . ", but sent " . list($visible)
			if @delivered && @delivered == @$own && %{ without($visible, \%recorded) };
		$precision{$table} = @delivered == @$own ? 'delivered' : 'examined' if @$own;
		push @wrong, "$table: read, but not touched" if @$own && !$case->{touched}{$table};
		if ($table eq 'psych')
		{
			push @wrong, "psych: severity $_->{severity}" for grep { $_->{severity} ne 'critical' } @$own;
		}
	}
	push @wrong, "event of an unknown relation $_" for grep { !$tables{$_} } keys %by;
	for my $event (@events)
	{
		my @who = ($event->{user}, $event->{session}, $event->{role});
		my @want = (
			$case->{user} || '',
			$login{ $case->{session} },
			$case->{user} ? 'audit_random_user'
			: $event->{role} =~ /^(|none|$login{ $case->{session} })$/ ? $event->{role}
			: '?'
		);
		push @wrong, "event $event->{kind} of $event->{relation} names @who, not @want" if "@who" ne "@want";
	}
	if ($case->{refused})
	{
		my @denied = grep { $_->{kind} eq 'denied' } @events;
		push @wrong, "refused, but no event tells" unless @denied;
		push @wrong, "not refused" unless grep { /^42501/ } @$errors;
	}
	push @wrong, "differs from the server without audit: @$errors; @$other_errors"
		if join(';', @$errors) ne join(';', @$other_errors);
	if ($case->{same} && !@wrong)
	{
		my ($a, $b) = map {
			join("\n", sort map { (@{ $_->{rows} }, @{ $_->{copied} }) } @$_)
		} $received, $others;
		push @wrong, "other rows than from the server without audit" if $a ne $b;
	}
	return (\@wrong, \@events, $sent, \%precision);
}

sub report
{
	my ($number, $case, $wrong, $events, $sent, $marks, $received, $errors) = @_;
	my $text = "case $number, seed $seed: $case->{way}, $case->{class}, as "
		. ($case->{user} || $login{ $case->{session} }) . "\n";
	$text .= "  $_;\n" for @{ $case->{settings} };
	$text .= '  ' . show_step($_) . "\n" for @{ $case->{steps} };
	$text .= "  error $_\n" for @$errors;
	$text .= "  twin: $_\n" for @{ $case->{twins} };
	$text .= "  sent $_: " . list($sent->{$_}) . "\n" for sort keys %$sent;
	$text .= "  twin says $_: " . list($marks->{$_}) . "\n" for sort keys %{ $marks || {} };
	$text .=
		"  event $_->{kind} $_->{relation} $_->{precision} $_->{outcome} $_->{severity} rows $_->{rows} "
		. ($_->{no_ids} eq 't' ? 'no ids' : list($_->{patients})) . "\n"
		for @$events;
	$text .= "  WRONG $_\n" for @$wrong;
	print $text if !$verbose || @$wrong || defined $only;
	if (defined $keep && @$wrong) { open(my $f, '>>', $keep) or die; print $f $text; close $f; }
}

# ---- all of them ----

make_databases();
my ($done, $failed, $erring, $set) = (0, 0, 0, -1);
my @numbers = defined $only ? ($only) : (1 .. $cases);
my @pending;

sub settle
{
	for my $p (@pending)
	{
		my ($number, $case, $received, $errors, $marks, $others, $other_errors) = @$p;
		my ($wrong, $events, $sent, $precision) = check(@$p);
		$done++;
		$erring++ if @$errors && !$case->{refused};
		$count{ $case->{way} eq 'plain'
			? $case->{class}
			: $case->{way} }{ %$precision ? (grep { $_ eq 'examined' } values %$precision)
					? 'examined'
					: 'delivered'
				: 'nothing' }++;
		next unless @$wrong || defined $only;
		$failed++ if @$wrong;
		report($number, $case, $wrong, $events, $sent, $marks, $received, $errors);
	}
	@pending = ();
}
for my $number (@numbers)
{
	if (int(($number - 1) / $per_set) != $set)
	{
		settle();
		$set = int(($number - 1) / $per_set);
		for my $database (@databases)
		{
			draw_from($seed + 7919 * ($set + 1));
			must(connection($database, 'admin'), policies_sql());
		}
	}
	draw_from($seed + 104729 * $number + 1);
	my $case = make_case();
	my ($received, $errors, $wire) = run_case('audited', $number, $case);
	clean_up($wire);
	must($wire, 'SELECT mentalspace.audit_flush()');
	my ($others, $other_errors, $other) = run_case('plain', $number, $case);
	$other->simple('ROLLBACK') if $other->{status} ne 'I';
	my $marks = @{ $case->{twins} } ? run_twins($number, $case) : undef;
	clean_up($other);
	push @pending, [$number, $case, $received, $errors, $marks, $others, $other_errors];
}
settle();
printf "\n%-28s %10s %10s %10s\n", 'class', 'delivered', 'examined', 'nothing';
printf "%-28s %10d %10d %10d\n", $_, map { $_ || 0 } @{ $count{$_} }{qw(delivered examined nothing)}
	for sort keys %count;
$_->close() for map { values %$_ } values %wire;
%wire = ();
my $admin = Wire->new(user => $super, database => $ENV{PGDATABASE} || 'postgres');
$leave
	or must($admin, $_)
	for map({ "DROP DATABASE $_ WITH (FORCE)" } @databases),
	map { "DROP ROLE $_" } qw(audit_random_login audit_random_direct audit_random_user);
printf "%d cases, %d of them end in an error\n", $done, $erring;
printf "%d passed, %d failed\n", $done - $failed, $failed;
exit($failed ? 1 : 0);
