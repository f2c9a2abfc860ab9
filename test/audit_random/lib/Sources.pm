package Sources;

# What stands in FROM, and conditions on it.  A source is a hash:
#   sql, alias   as it is written, and its name in the query
#   marks        columns that tell whose rows they are; none for tables that are not audited (plain)
#   key, int_id  columns of the patient's uuid and of a number, where it has them
#   tables       whose rows it shows; from, rest: by column, where not all columns are of all of them
#   touched      tables that it reads, also those that conditions ask
#   base         it is a table, with ctid and rows as a whole; table: its name
use strict;
use warnings;
use Exporter 'import';
use Draw;
use Schema;
our @EXPORT = qw(begin_query fresh union table_source source filter tables_of joined_by from_list expressions);

my $serial = 0;
sub begin_query { $serial = 0; }
sub fresh { return 't' . ++$serial; }

sub union
{
	my %all = map { %$_ } @_;
	return \%all;
}

# ---- sources: what stands in FROM ----

sub table_source
{
	my ($table, $alias) = @_;
	my $t = $tables{$table};
	my $key = $t->{key} ? "$alias.$t->{key}" : undef;
	return {
		sql => "$table $alias",
		alias => $alias,
		table => $table,
		touched => { $table => 1 },
		marks => ["$alias.wm"],
		key => $key,
		int_id => $t->{int_id} ? "$alias.id" : undef,
		tables => { $table => 1 },
		base => !$t->{matview}
	};
}

sub source
{
	my ($depth) = @_;
	my $alias = fresh();
	my $kind = rand();
	my $table = pick(
		qw(patients patients visits visits visits notes notes records records docs psych persons letters summaries assignments)
	);
	my $s = table_source($table, $alias);
	if ($kind < 0.55 || ($depth <= 0 && $kind > 0.9))
	{
		if ($s->{base} && chance(0.04))
		{
			$s->{sql} .= ' TABLESAMPLE BERNOULLI (60) REPEATABLE (7)';
			$s->{base} = 0;
		}elsif ($table eq 'docs' && chance(0.3))
		{
			$s->{sql} = "ONLY docs $alias";
		}
		return $s;
	}
	if ($kind < 0.65)
	{
		my ($view, @tables) =
			@{ pick(['v_patients', 'patients'], ['v_invoker', 'visits'], ['v_visit_notes', 'visits', 'notes']) };
		my %set = map { $_ => 1 } @tables;
		return {
			sql => "$view $alias",
			alias => $alias,
			touched => \%set,
			tables => \%set,
			marks => ["$alias.wm"],
			from => $view eq 'v_visit_notes' ? { wm => \%set, body => { notes => 1 }, score => { notes => 1 } } : undef,
			rest => { visits => 1 },
			key => "$alias." . ($view eq 'v_patients' ? 'id' : 'pid')
		};
	}
	if ($kind < 0.70)
	{
		return {
			sql => pick('f_inline', 'f_definer') . "(\@T\@) $alias",
			alias => $alias,
			touched => { patients => 1 },
			tables => { patients => 1 },
			marks => ["$alias.wm"],
			key => "$alias.id"
		};
	}
	if ($kind < 0.76)
	{
		return { sql => "lookups $alias", alias => $alias, touched => {}, tables => {}, marks => [], plain => 1 };
	}
	# A subquery with the same columns.
	my $inner = table_source($table, fresh());
	my $i = $inner->{alias};
	my $where = chance(0.6) ? ' WHERE ' . filter($inner, $depth - 1) : '';
	my $tail = pick('', '', " ORDER BY $i.wm, $i.score LIMIT " . number(1, 30),
		' OFFSET 0'," ORDER BY $i.wm, $i.score OFFSET " . number(0, 5));
	my $columns = "$i.wm, $i.body, $i.score, $i.team, $i.owner" . ($inner->{key} ? ", $inner->{key} AS pid" : '');
	$columns = "DISTINCT $columns" if $tail eq '' && chance(0.1);
	return {
		sql => "(SELECT $columns FROM $inner->{sql}$where$tail) $alias",
		alias => $alias,
		touched => $inner->{touched},
		tables => { $table => 1 },
		marks => ["$alias.wm"],
		key => $inner->{key} ? "$alias.pid" : undef
	};
}

# ---- conditions ----

# What a condition read beside the sources' rows is added to $s->{touched}.
sub filter
{
	my ($s, $depth) = @_;
	my $a = $s->{alias};
	return "$a.team = \@T\@" if $s->{plain};
	return '(' . filter($s, $depth - 1) . pick(' AND ', ' OR ') . filter($s, $depth - 1) . ')'
		if $depth > 0 && chance(0.3);
	my @leaf = (
		"$a.team = \@T\@",
		"$a.team = \@T\@",
		"$a.team <= \@T\@",
		"$a.owner = '" . pick(@users) . "'",
		"$a.wm LIKE '%" . number(1, 9) . ">'",
		"$a.score % 5 < 3",
		"$a.team IN (1, \@T\@)",
		'true',
		"$a.body IS NOT NULL",
		"NOT $a.team = \@T\@"
	);
	push @leaf, "$s->{key} = '" . sprintf('00000000-0000-4000-8000-%012d', number(1, 40)) . "'", "$s->{key} IS NOT NULL"
		if $s->{key};
	push @leaf, "$s->{int_id} < " . number(5, 80), "$s->{int_id} = " . number(1, 60), "$s->{int_id} BETWEEN 5 AND 25",
		"$s->{int_id} IN (3, 7, 11, 15)"
		if $s->{int_id};
	push @leaf, "$a.ctid = ANY (ARRAY['(0,3)', '(0,5)', '(1,1)']::tid[])"
		if $s->{base} && $s->{table} !~ /records|docs/;
	return pick(@leaf) if $depth < 0 || !$s->{key} || chance(0.75);
	my $x = table_source(pick(qw(visits records docs psych assignments summaries patients)), fresh());
	$s->{touched} = union($s->{touched}, $x->{touched});
	my $and = chance(0.5) ? ' AND ' . filter($x, -1) : '';
	return pick(
		"EXISTS (SELECT 1 FROM $x->{sql} WHERE $x->{key} = $s->{key}$and)",
		"NOT EXISTS (SELECT 1 FROM $x->{sql} WHERE $x->{key} = $s->{key}$and)",
		"$s->{key} IN (SELECT $x->{key} FROM $x->{sql} WHERE true$and)",
		"$s->{key} = ANY (ARRAY(SELECT $x->{key} FROM $x->{sql} WHERE true$and))",
		"(SELECT count(*) FROM $x->{sql} WHERE $x->{key} = $s->{key}$and) > 1"
	);
}

# The tables that an expression over a source's columns is made of.
sub tables_of
{
	my ($s, $expression) = @_;
	return $s->{tables} unless $s->{from};
	my @columns = $expression =~ /\b$s->{alias}\.(\w+)/g;
	return union(map { $s->{from}{$_} || $s->{rest} } @columns);
}

sub joined_by
{
	my ($left, $right) = @_;
	my ($a, $b) = ($left->{alias}, $right->{alias});
	my ($l, $r) = ($left->{table} || '', $right->{table} || '');
	return "$a.id = $b.visit_id" if $l eq 'visits' && $r eq 'notes' && chance(0.8);
	return "$b.id = $a.visit_id" if $r eq 'visits' && $l eq 'notes' && chance(0.8);
	return "$a.id = $b.person_id" if $l eq 'persons' && $r eq 'letters' && chance(0.8);
	return "$left->{key} = $right->{key}" if $left->{key} && $right->{key} && chance(0.85);
	return "$a.team = $b.team" . ($left->{plain} || $right->{plain} ? '' : " AND $a.score % 6 = $b.score % 6");
}

sub from_list
{
	my ($depth) = @_;
	my @sources = (source($depth));
	my ($sql, $count) = ($sources[0]{sql}, pick(1, 1, 1, 2, 2, 2, 3));
	my $dense = 0;
	for (2 .. $count)
	{
		my $s = source($depth);
		my $left = pick(@sources);
		my $kind = rand();
		if ($kind < 0.1 && !$dense++)
		{
			$sql .= pick(' CROSS JOIN ', ', ')
				. ($s->{sql} =~ /^[a-z_]+ / ? "(SELECT * FROM $s->{sql} ORDER BY 1 LIMIT 4) $s->{alias}" : $s->{sql});
			$s->{base} = 0;
		}
		elsif ($kind < 0.22 && $s->{key} && $left->{key} && $sql !~ /, /)
		{
			# LATERAL sees what is left of it.
			my $inner = table_source(pick(qw(visits records docs psych)), fresh());
			my $a = fresh();
			$s = {
				sql => '',
				alias => $a,
				touched => $inner->{touched},
				tables => $inner->{tables},
				marks => ["$a.wm"],
				key => "$a.pid"
			};
			$sql .=
				pick(" CROSS JOIN LATERAL", ' LEFT JOIN LATERAL')
				. " (SELECT $inner->{alias}.* FROM $inner->{sql} WHERE $inner->{key} = $left->{key}"
				. pick('', " ORDER BY $inner->{alias}.wm LIMIT " . number(1, 2)) . ") $a";
			$sql .= ' ON true' if $sql =~ /LEFT JOIN LATERAL \([^()]*\) $a$/;
		}elsif ($sql =~ /, \S+ \S+$|, \(/)
		{
			next;
		}else
		{
			my $on = joined_by($left, $s);
			my $join =
				pick('JOIN', 'JOIN', 'LEFT JOIN', 'LEFT JOIN', 'RIGHT JOIN', $on =~ /score/ ? 'JOIN' : 'FULL JOIN');
			$sql .= " $join $s->{sql} ON $on";
		}
		push @sources, $s;
	}
	return ($sql, @sources);
}

sub expressions
{
	my ($s) = @_;
	my $a = $s->{alias};
	return ("$a.label", "$a.id") if $s->{plain};
	my @of = (
		"$a.wm", "$a.body", "$a.score", "upper($a.body)", "length($a.body)", "$a.score % 10",
		"$a.team", "$a.wm || '!'",
		"coalesce($a.body, '-')",
		"CASE WHEN $a.team > 2 THEN $a.body ELSE 'x' END", "$a.owner"
	);
	push @of, $s->{key}, $s->{key} if $s->{key};
	push @of, $s->{int_id} if $s->{int_id};
	push @of, $a, "$a.*" if $s->{base};
	return @of;
}

1;
