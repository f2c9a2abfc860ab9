package Grammar;

# Random queries over the tables of Schema, each with its twin: the same FROM, WHERE, ORDER BY and LIMIT, but what it
# returns are the marks of the rows that took part.
#
# A query is a hash:
#   sql      @T@ in it stands for the number of a team, so that it can become a parameter
#   twin     a query of one column of text: the marks of each row that the query returns; undef where there is none
#   lower    the twin does not tell what was returned, but what went into it (aggregates)
#   shown    tables of which any column is in what is returned
#   marked   the marks of all of `shown` are in what is returned, so that one can stop anywhere and know
#   touched  tables that it reads
#   ordered  the same rows come in the same order wherever it runs; 1: also without ORDER BY the same rows come
#   settings SET commands that it wants
#   class    in words
use strict;
use warnings;
use Exporter 'import';
use Draw;
use Schema;
use Sources;
our @EXPORT = qw(query team);

sub team { return number(1, 4); }

# SELECT ... FROM ... WHERE ...; $want: 'marked' where what is returned must tell whose it is.
sub core
{
	my ($depth, $want) = @_;
	my ($from, @sources) = from_list($depth);
	my @where;
	for my $s (@sources) { push @where, filter($s, $depth) if chance(0.45); }
	my $where = @where ? ' WHERE ' . join(' AND ', @where) : '';
	my @marks = map { @{ $_->{marks} } } @sources;
	my (@items, %shown, %touched);
	%touched = (%touched, %{ $_->{touched} }) for @sources;
	my $marked = $want eq 'marked' || chance(0.35);
	my $class = @sources > 1 ? 'join' : 'table';
	push @items, @marks if $marked;

	if (chance(0.3))
	{
		# With the key among what is sent, what is sent can be counted exactly.
		for my $s (grep { $_->{key} } @sources)
		{
			push @items, $s->{key};
			%shown = (%shown, %{ tables_of($s, $s->{key}) });
		}
	}
	for my $s (@sources)
	{
		my @of = expressions($s);
		my @picked = map { pick(@of) } 1 .. pick(0, 0, 1, 2);
		push @items, @picked;
		# A CASE or a whole row is a column, too.
		%shown = (%shown, %{ tables_of($s, join(' ', @picked)) }) if @picked;
		%shown = (%shown, %{ $s->{tables} }) if $marked;
	}
	my $all = \%touched;
	my $has_scalar = 0;
	if (chance(0.12) && (my ($s) = grep { $_->{key} } @sources))
	{
		my $x = table_source(pick(qw(visits records docs psych summaries)), fresh());
		push @items,
			"(SELECT "
			. pick("max($x->{alias}.wm)", "string_agg($x->{alias}.body, ',')")
			. " FROM $x->{sql} WHERE $x->{key} = $s->{key})";
		%touched = (%touched, %{ $x->{touched} });
		$class = 'scalar subquery';
		$has_scalar = 1;
	}
	@items = pick('1', "'constant'") unless @items;
	my $order =
		@marks && chance(0.6)
		? ' ORDER BY ' . join(', ', (chance(0.2) && !$sources[0]{plain} ? "$sources[0]{alias}.score" : ()), @marks)
		: '';
	my $limit = chance(0.3) ? ' LIMIT ' . number(0, 20) . (chance(0.3) ? ' OFFSET ' . number(0, 5) : '') : '';
	$limit = ' OFFSET ' . number(0, 5) if $limit eq '' && chance(0.05);
	$class .= ', limit' if $limit;
	my $lock = '';
	if (@sources == 1 && $sources[0]{base} && $sources[0]{sql} !~ /TABLESAMPLE/ && chance(0.12))
	{
		$lock = pick(' FOR UPDATE', ' FOR SHARE', ' FOR NO KEY UPDATE');
		$class = 'row locks';
	}
	my $twin = @marks ? 'SELECT concat(' . join(', ', @marks) . ") FROM $from$where$order$limit\@LOCK\@" : undef;
	# Without ORDER BY a LIMIT takes what comes; then only the marks of what came can tell.
	if ($limit && (!$order || $order =~ /score/) && $twin)
	{
		$twin = undef;
		my $missing = grep {
			my $m = $_;
			!grep { $_ eq $m } @items
		} @marks;
		push @items, @marks if $missing;
		%shown = (%shown, %{ $_->{tables} }) for @sources;
		$marked = 1;
	}
	# A lock asks for the policies of UPDATE as well.
	$twin =~ s/\@LOCK\@/$lock/ if $twin;
	# With equal marks another row may come first, and its other columns are then others.
	my $same = $limit || grep({ /LATERAL.*LIMIT/ } $from) || $from =~ /CROSS JOIN \(|, \(SELECT \*/ ? 0 : 1;
	return {
		sql => 'SELECT ' . join(', ', @items) . " FROM $from$where$order$limit$lock",
		twin => $twin,
		shown => \%shown,
		touched => $all,
		marked => $marked && !$has_scalar ? 1 : 0,
		same => $same,
		class => $class,
		lock => $lock,
		rows_tell => 1
	};
}

sub aggregate
{
	my ($depth) = @_;
	my ($from, @sources) = from_list($depth);
	my ($s) = grep { !$_->{plain} } @sources;
	return core($depth, '') unless $s;
	my @where = map { filter($_, $depth) } grep { chance(0.4) } @sources;
	my $where = @where ? ' WHERE ' . join(' AND ', @where) : '';
	my %touched = map { %{ $_->{touched} } } @sources;
	my $a = $s->{alias};
	my $what = pick(
		"max($a.wm)",
		"string_agg($a.wm, ',' ORDER BY $a.wm)",
		"array_agg(DISTINCT $a.body)",
		"min($a.score)",
		"avg($a.score % 100)",
		"json_agg($a.body ORDER BY $a.body)",
		"count(DISTINCT $a.body)",
		"count(*) FILTER (WHERE $a.body LIKE '%1%')",
		'count(*)',
		'count(*)',
		"bool_or($a.body LIKE '%1%')"
	);
	my $group = pick(
		'', '',
		" GROUP BY $a.team",
		" GROUP BY $a.wm",
		$s->{key} ? " GROUP BY $s->{key}" : '',
		" GROUP BY GROUPING SETS (($a.team), ())"
	);
	my $key = $group =~ /GROUP BY (?:GROUPING SETS \(\()?([\w.]+)/ ? "$1, " : '';
	my $having = $group && chance(0.2) ? ' HAVING count(*) > 1' : '';
	my %shown;
	# A number of rows or of values tells nothing of any row.
	%shown = %{ tables_of($s, "$key$what") } unless $what =~ /^count\(/ && $group !~ /\.(?:id|pid|wm)$/;
	my $mark = $s->{marks}[0];
	my $by_patient = $s->{key} && $group eq " GROUP BY $s->{key}";
	# The first of an index is all that is read for them.
	my $first = !$group && $what =~ /^(?:min|max)\(/;
	my $twin =
		$by_patient ? "SELECT max($mark) FROM $from$where$group$having"
		: $having || $first ? undef
		: "SELECT $mark FROM $from$where";
	return {
		sql => "SELECT $key$what FROM $from$where$group$having",
		twin => $twin,
		lower => $by_patient ? 0 : 1,
		shown => \%shown,
		touched => \%touched,
		marked => 0,
		same => $from =~ /LIMIT/ ? 0 : 1,
		class => $what =~ /^count\(/ ? 'count' : 'aggregate'
	};
}

sub set_operation
{
	my ($depth) = @_;
	my @parts = map { core_marked_one() } 1 .. pick(2, 2, 3);
	my $operator = pick('UNION ALL', 'UNION ALL', 'UNION', 'INTERSECT', 'EXCEPT', 'EXCEPT ALL');
	my $union = $operator =~ /UNION/;
	my $tail = pick('', '', ' ORDER BY 1', ' ORDER BY 1 LIMIT ' . number(1, 20));
	my $sql = join(" $operator ", map { $_->{sql} } @parts);
	return {
		sql => "$sql$tail",
		twin => $union ? "SELECT wm FROM ($sql$tail) all_of_them" : undef,
		shown => union(map { $_->{shown} } @parts),
		touched => union(map { $_->{touched} } @parts),
		marked => $union ? 1 : 0,
		same => $tail =~ /LIMIT/ ? 0 : 1,
		class => lc($operator)
	};
}

# One table, two columns: marks and the team.
sub core_marked_one
{
	my $s = source(0);
	$s = source(0) while $s->{plain};
	my $where = chance(0.6) ? ' WHERE ' . filter($s, 0) : '';
	return {
		sql => "SELECT $s->{alias}.wm AS wm, $s->{alias}.team AS team FROM $s->{sql}$where",
		shown => $s->{tables},
		touched => $s->{touched}
	};
}

sub distinct
{
	my $s = source(1);
	$s = source(1) while $s->{plain};
	my $where = chance(0.5) ? ' WHERE ' . filter($s, 1) : '';
	my $a = $s->{alias};
	return {
		sql => "SELECT DISTINCT "
			. pick("$a.wm", "ON ($a.wm) $a.wm, $a.team", "$a.wm, $a.owner")
			. " FROM $s->{sql}$where"
			. pick('', " ORDER BY $a.wm"),
		twin => "SELECT $a.wm FROM $s->{sql}$where",
		shown => $s->{tables},
		touched => $s->{touched},
		marked => 1,
		same => 0,
		class => 'distinct'
	};
}

sub window
{
	my $s = source(1);
	$s = source(1) while $s->{plain};
	my $where = chance(0.5) ? ' WHERE ' . filter($s, 1) : '';
	my $a = $s->{alias};
	my $what = pick(
		"row_number() OVER (ORDER BY $a.wm)",
		"lag($a.wm) OVER (ORDER BY $a.wm, $a.score)",
		"count(*) OVER ()",
		"rank() OVER (PARTITION BY $a.team ORDER BY $a.wm)",
		"first_value($a.wm) OVER (PARTITION BY $a.team ORDER BY $a.wm)"
	);
	my $inner = "SELECT $a.wm, $what AS w FROM $s->{sql}$where";
	my $sql = pick($inner, $inner, "SELECT * FROM ($inner) ranked ORDER BY wm LIMIT " . number(1, 10));
	return {
		sql => $sql,
		twin => $sql =~ /LIMIT|lag|first_value/ ? undef : "SELECT wm FROM ($inner) counted",
		shown => $s->{tables},
		touched => $s->{touched},
		marked => 1,
		same => 0,
		class => 'window'
	};
}

sub cte
{
	my ($depth) = @_;
	my $c = core_marked_one();
	my $how = pick('', 'MATERIALIZED ', 'NOT MATERIALIZED ');
	my $with = "WITH w AS $how($c->{sql})";
	return {
		sql => "$with SELECT wm FROM w ORDER BY wm LIMIT " . number(0, 12),
		twin => undef,
		shown => $c->{shown},
		touched => $c->{touched},
		marked => 1,
		same => 1,
		class => 'cte'
		}
		if chance(0.3);
	return {
		sql => "$with SELECT a.wm, b.team FROM w a JOIN w b ON a.wm = b.wm",
		twin => "$with SELECT a.wm FROM w a JOIN w b ON a.wm = b.wm",
		shown => $c->{shown},
		touched => $c->{touched},
		marked => 1,
		same => 1,
		class => 'cte'
		}
		if chance(0.3);
	if (chance(0.4))
	{
		my $sql =
			"WITH RECURSIVE w AS (SELECT id, pid, wm, 1 AS n FROM visits WHERE id = "
			. number(1, 20)
			. " UNION ALL SELECT v.id, v.pid, v.wm, w.n + 1 FROM visits v JOIN w ON v.id = w.id + 7 WHERE w.n < 5)";
		return {
			sql => "$sql SELECT wm, n FROM w",
			twin => "$sql SELECT wm FROM w",
			shown => { visits => 1 },
			touched => { visits => 1 },
			marked => 1,
			same => 1,
			class => 'recursive cte'
		};
	}
	return {
		sql => "$with SELECT wm FROM w WHERE team = \@T\@",
		twin => "$with SELECT wm FROM w WHERE team = \@T\@",
		shown => $c->{shown},
		touched => $c->{touched},
		marked => 1,
		same => 1,
		class => 'cte'
	};
}

# Of the inner table nothing is sent, but its patients were looked at: those of the rows that are.
sub semi_join
{
	my ($s, $x) = (
		table_source(pick(qw(patients visits records docs)), fresh()),
		table_source(pick(qw(visits records docs psych summaries)), fresh())
	);
	my $and = filter($x, -1);
	my $condition = pick(
		"EXISTS (SELECT 1 FROM $x->{sql} WHERE $x->{key} = $s->{key} AND $and)",
		"$s->{key} IN (SELECT $x->{key} FROM $x->{sql} WHERE $and)"
	);
	my $mark = $s->{marks}[0];
	return {
		sql => "SELECT $mark" . pick('', ", $s->{key}") . " FROM $s->{sql} WHERE $condition",
		twin =>
			"SELECT concat($mark, $x->{marks}[0]) FROM $s->{sql} JOIN $x->{sql} ON $x->{key} = $s->{key} WHERE $and",
		shown => union($s->{tables}, $x->{tables}),
		touched => union($s->{touched}, $x->{touched}),
		marked => 0,
		same => 1,
		class => 'semi join'
	};
}

# From an index that does not have the patient.
sub index_only
{
	my $s = table_source('visits', fresh());
	my $a = $s->{alias};
	# No number here may look like one of a row: EXPLAIN shows it.
	my $where = pick("$a.score > 999999", "$a.score > 5 AND $a.team < 4", "$a.score > 0 AND $a.team = \@T\@");
	my $tail = pick('', " ORDER BY $a.score", " ORDER BY $a.score LIMIT " . number(1, 10));
	return {
		sql => "SELECT $a.score, $a.team FROM $s->{sql} WHERE $where$tail",
		twin => $tail =~ /LIMIT/ ? undef : "SELECT $a.wm FROM $s->{sql} WHERE $where",
		shown => { visits => 1 },
		touched => { visits => 1 },
		marked => 1,
		same => 1,
		class => 'index only',
		settings => [map { "SET $_ = off" } qw(enable_seqscan enable_bitmapscan enable_indexscan enable_sort)]
	};
}

sub no_audited
{
	return {
		sql => pick(
			'SELECT * FROM lookups',
			'SELECT count(*) FROM lookups WHERE team = @T@',
			'SELECT 1',
			"SELECT a.label FROM lookups a JOIN lookups b USING (team)",
			'SELECT generate_series(1, 5)',
			'SELECT relname FROM pg_class WHERE oid < 5 ORDER BY 1',
			'VALUES (1), (2)'
		),
		twin => undef,
		shown => {},
		touched => {},
		marked => 1,
		same => 1,
		class => 'nothing audited'
	};
}

# $want: 'marked' or ''.
sub query
{
	my ($want) = @_;
	begin_query();
	my $kind = rand();
	return no_audited() if $kind < 0.04;
	return index_only() if $kind < 0.07;
	return core_as_marked($want, semi_join()) if $kind < 0.11;
	return core(1, $want) if $kind < 0.55;
	return core_as_marked($want, set_operation(1)) if $kind < 0.65;
	return core_as_marked($want, distinct()) if $kind < 0.71;
	return core_as_marked($want, window()) if $kind < 0.78;
	return core_as_marked($want, cte(1)) if $kind < 0.87;
	return core_as_marked($want, aggregate(1));
}

sub core_as_marked
{
	my ($want, $query) = @_;
	return $want eq 'marked' && !$query->{marked} ? core(1, 'marked') : $query;
}

1;
