package Ways;

# The ways that a query goes to the server, and what else a client does with audited tables.
#
# A case is a hash:
#   steps     what the client does: ['simple', SQL] or ['extended', SQL, [parameters], numbers of rows]
#   twins     queries that give the marks of the rows that were to be sent or, with `lower`, that went into what was sent
#   complete  all that the twins tell was to be sent; otherwise only what was received tells
#   lower, shown, touched, same, class     as in Grammar
#   written   by table and action, the patients whose rows were changed for good; without it none was
#   refused   SQLSTATE 42501 is expected, and the table that it is about
use strict;
use warnings;
use Exporter 'import';
use Draw;
use Grammar;
use Schema;
our @EXPORT = qw(make_case);

sub with_team { my ($sql, $team) = @_; (my $copy = $sql) =~ s/\@T\@/$team/g; return $copy; }
sub quoted { my ($sql) = @_; return '$q$' . $sql . '$q$'; }
# All columns of the rows as one text each.
sub as_text { my ($sql) = @_; return "SELECT line::text FROM ($sql) AS line"; }

sub case_of
{
	my ($query, $way, %more) = @_;
	return {
		twins => [],
		complete => 1,
		lower => $query->{lower},
		shown => $query->{shown},
		touched => $query->{touched},
		same => $query->{same},
		class => $query->{class},
		way => $way,
		wants => $query->{settings} || [],
		%more
	};
}

sub in_transaction
{
	my (@steps) = @_;
	my $end = pick('COMMIT', 'COMMIT', 'ROLLBACK');
	return (['simple', 'BEGIN' . pick('', '', ' READ ONLY', ' ISOLATION LEVEL REPEATABLE READ')],
		@steps, ['simple', $end]);
}

sub transacted { my (@steps) = @_; return chance(0.4) ? in_transaction(@steps) : @steps; }

sub plain
{
	my ($q, $t) = @_;
	my @steps = chance(0.6) ? ['simple', with_team($q->{sql}, $t)] : ['extended', with_parameter($q->{sql}, $t)];
	return case_of($q, 'plain', steps => [transacted_for($q, @steps)], twins => [with_team($q->{twin} || '', $t)]);
}

# Row locks need a transaction that may write.
sub transacted_for
{
	my ($q, @steps) = @_;
	return transacted(@steps) unless $q->{lock};
	return (['simple', 'BEGIN'], @steps, ['simple', pick('COMMIT', 'ROLLBACK')]);
}

sub with_parameter
{
	my ($sql, $t) = @_;
	return ($sql, []) unless $sql =~ /\@T\@/;
	(my $copy = $sql) =~ s/\@T\@/\$1/g;
	return ($copy, [$t]);
}

sub prepared
{
	my ($q, $t) = @_;
	my $twin = $q->{twin} || '';
	my $times = pick(1, 2, 7);
	my @teams = $q->{sql} =~ /\@T\@/ ? map { team() } 1 .. $times : ($t) x $times;
	(my $sql = $q->{sql}) =~ s/\@T\@/\$1/g;
	my $parameter = $q->{sql} =~ /\@T\@/;
	my @steps = (
		['simple', 'SET plan_cache_mode = ' . pick('auto', 'force_generic_plan', 'force_custom_plan')],
		['simple', 'PREPARE q' . ($parameter ? '(int)' : '') . " AS $sql"],
		map { ['simple', $parameter ? "EXECUTE q($_)" : 'EXECUTE q'] } @teams
	);
	return case_of(
		$q, 'prepared',
		steps => [$q->{lock} ? @steps : transacted(@steps)],
		twins => [map { with_team($twin, $_) } @teams]
	);
}

sub cursor
{
	my ($q, $t) = @_;
	my $how = pick('', 'NO SCROLL ', 'SCROLL ');
	$how = '' if $q->{lock};
	my $hold = $q->{lock} || chance(0.7) ? '' : 'WITH HOLD ';
	my @steps = (['simple', 'BEGIN'], ['simple', "DECLARE c ${how}CURSOR ${hold}FOR " . with_team($q->{sql}, $t)]);
	my @moves = map { 'FETCH ' . pick(1, 2, 3, 10) . ' FROM c' } 1 .. pick(1, 1, 2, 3);
	splice @moves, number(0, scalar @moves), 0, 'MOVE ' . number(1, 4) . ' FROM c' if chance(0.2);
	push @moves, 'FETCH BACKWARD 1 FROM c', 'FETCH PRIOR FROM c' if $how eq 'SCROLL ' && chance(0.5);
	push @moves, 'FETCH ABSOLUTE 2 FROM c', 'FETCH LAST FROM c' if $how eq 'SCROLL ' && chance(0.3);
	my $all = chance(0.25);
	push @moves, 'FETCH ALL FROM c' if $all;
	my $end = pick('COMMIT', 'ROLLBACK');

	if ($hold && chance(0.7))
	{
		push @steps, ['simple', 'COMMIT'], map({ ['simple', $_] } @moves), ['simple', 'CLOSE c'];
	}
	else
	{
		push @steps, map({ ['simple', $_] } @moves), chance(0.5) ? ['simple', 'CLOSE c'] : (), ['simple', $end];
	}
	return case_of($q, $hold ? 'cursor with hold' : 'cursor', steps => \@steps, complete => 0, same => 0);
}

sub portal
{
	my ($q, $t) = @_;
	my @fetches = map { pick(1, 2, 5) } 1 .. pick(1, 1, 2, 3);
	my ($sql, $parameters) = with_parameter($q->{sql}, $t);
	return case_of(
		$q, 'portal',
		steps => [transacted_for($q, ['extended', $sql, $parameters, @fetches])],
		complete => 0,
		same => 0
	);
}

sub copied
{
	my ($q, $t) = @_;
	my $sql = with_team($q->{sql}, $t);
	return case_of(
		$q, 'copy',
		steps =>
			[transacted_for($q, ['simple', "COPY ($sql) TO STDOUT" . pick('', ' CSV', ' WITH (FORMAT csv, HEADER)')])],
		twins => [with_team($q->{twin} || '', $t)]
	);
}

sub in_function
{
	my ($q, $t) = @_;
	return plain($q, $t) if $q->{lock};
	my ($sql, $twin) = (as_text(with_team($q->{sql}, $t)), $q->{twin} ? with_team($q->{twin}, $t) : '');
	my $f = pick('f_run', 'f_run_definer', 'f_loop');
	# In the select list rows are handed on one by one, in FROM they are collected before.
	my $call = pick("SELECT * FROM $f(" . quoted($sql) . ')', "SELECT $f(" . quoted($sql) . ')');
	return case_of(
		$q, $f,
		steps => [transacted(['simple', $call])],
		twins => [$twin ? "SELECT * FROM $f(" . quoted($twin) . ')' : '']
	);
}

# Nothing but what was received tells here.
sub in_function_some
{
	my ($q, $t) = @_;
	my $sql = quoted(as_text(with_team($q->{sql}, $t)));
	my ($way, @steps) = @{
		pick(
			['f_some', ['simple', "SELECT * FROM f_some($sql, " . number(1, 5) . ')']],
			['f_run, limit', ['simple', "SELECT * FROM f_run($sql) LIMIT 3"]],
			['f_notice', ['simple', "SELECT f_notice($sql)"]],
			['f_caught', ['simple', "SELECT f_caught($sql)"]],
			[
				'f_cursor',
				['simple', 'BEGIN'],
				['simple', "SELECT f_cursor($sql)"],
				['simple', 'FETCH 3 FROM given'],
				['simple', pick('COMMIT', 'ROLLBACK')]
			],
			['p_commits', ['simple', "CALL p_commits($sql)"]],
			[
				'do',
				[
					'simple',
					'DO $do$ DECLARE r text; BEGIN FOR r IN EXECUTE '
						. $sql
						. ' LOOP RAISE NOTICE \'%\', r; END LOOP; '
						. pick('', 'PERFORM 1/0; ')
						. 'END $do$'
				]
			]
		)
	};
	return case_of($q, $way, steps => \@steps, complete => 0, same => 0);
}

# Rows go elsewhere than to the client.
sub moved
{
	my ($q, $t) = @_;
	return plain($q, $t) if $q->{lock};
	my $sql = as_text(with_team($q->{sql}, $t));
	my ($way, @steps) = @{
		pick(
			['insert select', ['simple', "INSERT INTO scratch $sql"]],
			['insert select returning', ['simple', "INSERT INTO scratch $sql RETURNING line"]],
			['create table as', ['simple', "CREATE TEMP TABLE taken AS $sql"], ['simple', 'SELECT * FROM taken']],
			['select into', ['simple', 'SELECT line INTO TEMP taken FROM (' . $sql . ') AS x']],
			['explain analyze', ['simple', "EXPLAIN (ANALYZE, TIMING off, SUMMARY off, COSTS off) $sql"]]
		)
	};
	return case_of(
		$q, $way,
		steps => [['simple', 'BEGIN'], @steps, ['simple', 'ROLLBACK']],
		twins => [$q->{twin} ? with_team($q->{twin}, $t) : ''],
		moved => 1,
		same => 0
	);
}

sub explained
{
	my ($q, $t) = @_;
	return case_of(
		$q, 'explain',
		steps => [['simple', 'EXPLAIN (COSTS off) ' . with_team($q->{sql}, $t)]],
		complete => 0,
		same => 0,
		touched => {},
		shown => {}
	);
}

# An error after some rows, or after all of them.
sub failing
{
	my ($q, $t) = @_;
	my $sql = with_team($q->{sql}, $t);
	my $all = chance(0.5);
	if ($all)
	{
		return case_of(
			$q,
			'error after it',
			steps => [
				pick(['simple', "$sql; SELECT 1/0"], ['simple', "BEGIN; $sql; SELECT 1/0; COMMIT"]),
				['simple', 'ROLLBACK']
			],
			twins => [with_team($q->{twin} || '', $t)]
		);
	}
	my $n = number(1, 12);
	# Evaluated above the query, row by row as they are sent.
	my $broken = "SELECT line, 1 / ($n - row_number() OVER ()) FROM (" . $sql . ') AS line';
	return case_of(
		$q, 'error in it',
		steps =>
			[transacted(pick(['simple', $broken], ['extended', $broken, []], ['simple', "COPY ($broken) TO STDOUT"]))],
		complete => 0,
		same => 0
	);
}

sub savepoints
{
	my ($q, $t) = @_;
	my $sql = with_team($q->{sql}, $t);
	my $last = pick('COMMIT', 'ROLLBACK');
	return case_of(
		$q,
		'savepoint',
		steps => [
			['simple', 'BEGIN'],
			['simple', 'SAVEPOINT s'],
			['simple', $sql],
			['simple', 'ROLLBACK TO s'],
			['simple', 'SELECT 1'],
			['simple', $last]
		],
		twins => [with_team($q->{twin} || '', $t)]
	);
}

# ---- statements that write ----

sub writing
{
	my ($t) = @_;
	my $table = pick(qw(visits notes records docs psych letters patients));
	my $key = $tables{$table}{key};
	my %touched = ($table => 1);
	my $where = pick(
		"team = $t", "team = $t",
		$key ? "$key = '" . sprintf('00000000-0000-4000-8000-%012d', number(1, 40)) . "'" : 'team = 1',
		'score % 7 = 3', 'true'
	);
	my $p = number(1, 30);
	my $pid = sprintf("'00000000-0000-4000-8000-%012d'", $p);
	my $join = $key ? pick(grep { $_ ne $table } qw(visits records psych)) : undef;
	my @of = (
		"UPDATE $table SET body = body || '.' WHERE $where RETURNING wm",
		"UPDATE $table SET body = body || '.' WHERE $where RETURNING *",
		"UPDATE $table SET team = 3 WHERE $where",
		"UPDATE $table SET body = body WHERE $where RETURNING 1",
		"WITH u AS (UPDATE $table SET body = body || '.' WHERE $where RETURNING wm) SELECT wm FROM u",
		"WITH u AS (UPDATE $table SET team = 1 WHERE $where RETURNING wm) SELECT count(*) FROM u"
	);
	push @of, "DELETE FROM $table WHERE $where RETURNING wm, body", "DELETE FROM $table WHERE $where"
		if $table ne 'patients';
	push @of,
		"INSERT INTO visits (id, pid, wm, team, owner) VALUES (9001, $pid, '<visits:$p>', $t, '$users[0]') RETURNING wm",
		"INSERT INTO visits (id, pid, wm, team, owner) VALUES ("
		. number(1, 60)
		. ", $pid, '<visits:$p>', $t, '$users[0]') ON CONFLICT (id) DO UPDATE SET team = $t RETURNING visits.wm",
		"MERGE INTO visits USING (SELECT 3 AS k UNION SELECT 9002) s ON visits.id = s.k WHEN MATCHED THEN UPDATE SET team = $t WHEN NOT MATCHED THEN INSERT (id, pid, wm, team) VALUES (k, $pid, '<visits:$p>', $t)"
		if $table eq 'visits';
	push @of,
		"UPDATE $table SET body = $table.body || j.wm FROM $join j WHERE j.$key = $table.$key AND $table.$where RETURNING $table.wm, j.wm",
		"DELETE FROM $table USING $join j WHERE j.pid = $table.pid AND $table.$where RETURNING $table.wm, j.wm",
		"INSERT INTO docs (id, pid, wm, body, team) SELECT 5000 + id, pid, replace(wm, '$table', 'docs'), body, team FROM $table WHERE $where RETURNING wm",
		"MERGE INTO $table USING $join j ON j.pid = $table.pid AND j.id % 9 = $table.id % 9 WHEN MATCHED AND $table.team = $t THEN UPDATE SET body = j.wm WHEN MATCHED THEN DO NOTHING"
		if $key && $key eq 'pid' && $where ne 'true' && $where !~ /^score/;
	push @of, "UPDATE visits SET body = f.body FROM f_inline($t) f WHERE f.id = visits.pid RETURNING visits.wm, f",
		"DELETE FROM visits USING f_inline($t) f WHERE f.id = visits.pid RETURNING f.wm"
		if $table eq 'visits';
	my $sql = pick(@of);
	$touched{patients} = 1 if $sql =~ /f_inline/;
	$touched{$_} = 1 for grep { $sql =~ /\b$_\b(?!:)/ } keys %tables;
	# What one has just written is no secret: an INSERT's event tells it.
	my $inserts = $sql =~ /^INSERT|MERGE/;
	return {
		steps => [['simple', 'BEGIN'], ['simple', $sql], ['simple', 'ROLLBACK']],
		twins => [],
		complete => 0,
		shown => {},
		touched => \%touched,
		same => 1,
		class => lc(($sql =~ /^(?:WITH u AS \()?(\w+)/)[0]) . ($sql =~ /RETURNING/ ? ' returning' : ''),
		way => 'write',
		inserts => $inserts
	};
}

# Rows that are committed, and taken away again: with notes by the way over a foreign key, and by a cascade.
sub kept
{
	my @patients = (number(1, 15), number(16, 30));
	my (@visits, @notes, %whose);
	for my $i (0, 1) {
		my $p = $patients[$i];
		push @visits, sprintf("(%d, '00000000-0000-4000-8000-%012d', '<visits:%d>')", 9001 + $i, $p, $p);
		push @notes, sprintf("(%d, %d, '<notes:%d>')", 9001 + $i, 9001 + $i, $p);
		$whose{$p} = 1;
	}
	my @inserts =
		pick(map { "INSERT INTO visits (id, pid, wm) $_" } "VALUES $visits[0], $visits[1]",
			"SELECT id, pid::uuid, wm FROM (VALUES $visits[0], $visits[1]) AS v (id, pid, wm)");
	push @inserts, "INSERT INTO notes (id, visit_id, wm) VALUES $notes[0], $notes[1]";
	my @changes = chance(0.5) ? "UPDATE visits SET body = 'x' WHERE id > 9000" : ();
	my @deletes = pick("DELETE FROM visits WHERE id > 9000",
		"MERGE INTO visits USING (VALUES (9001), (9002)) AS v (k) ON k = id WHEN MATCHED THEN DELETE");
	my %written = map { $_ => { C => \%whose, D => \%whose } } 'visits', 'notes';
	$written{visits}{U} = \%whose if @changes;
	return {
		steps => [
			['simple', 'BEGIN'],
			map({ ['simple', $_] } @inserts),
			['simple', 'COMMIT'],
			map({ ['simple', $_] } @changes, @deletes)
		],
		twins => [],
		complete => 0,
		shown => {},
		touched => { visits => 1, notes => 1 },
		same => 1,
		written => \%written,
		session => 'super',
		class => 'writes that are kept',
		way => 'kept'
	};
}

sub whole_table
{
	my $table = pick(grep { $_ ne 'summaries' && $_ ne 'records' } sort keys %tables);
	my $sql = pick(
		"COPY $table TO STDOUT",
		"COPY $table TO STDOUT CSV HEADER",
		"COPY $table (wm, team) TO STDOUT",
		"TABLE $table"
	);
	my $twin = $sql =~ /COPY/ && $table eq 'docs' ? 'SELECT wm FROM ONLY docs' : "SELECT wm FROM $table";
	return {
		steps => [transacted(['simple', $sql])],
		twins => [$twin],
		complete => 1,
		shown => { $table => 1 },
		touched => { $table => 1 },
		same => 1,
		class => 'copy table',
		way => 'plain'
	};
}

sub refused
{
	my $sql = pick(
		'SELECT * FROM letters',
		'SELECT p.wm FROM persons p JOIN letters l ON l.person_id = p.id',
		'UPDATE letters SET team = 1',
		'COPY letters TO STDOUT',
		'DELETE FROM letters'
	);
	my @steps = chance(0.5) ? (['simple', 'BEGIN'], ['simple', $sql], ['simple', 'ROLLBACK']) : ['simple', $sql];
	return {
		steps => \@steps,
		twins => [],
		complete => 0,
		shown => {},
		touched => { letters => 1, persons => 1 },
		same => 1,
		class => 'refused',
		way => 'plain',
		refused => 'letters',
		session => 'direct'
	};
}

# What comes by other ways than rows: a function tells of them, or an error.
sub leaking
{
	my ($t) = @_;
	my $table = pick(qw(visits docs psych patients persons));
	my @undone = (['simple', 'BEGIN'], undef, ['simple', 'ROLLBACK']);
	my $where = pick("team = $t", 'score % 7 = 3', 'true');
	my $sql = pick(
		"SELECT FROM $table WHERE $where AND f_tell(wm) IS NULL",
		"SELECT 1 FROM $table WHERE f_tell(wm) IS NULL OR $where LIMIT 2",
		"SELECT count(f_tell(wm)) FROM $table WHERE $where",
		"SELECT 1 FROM $table WHERE $where ORDER BY f_tell(wm) LIMIT 1",
		"SELECT count(*) FROM $table a, LATERAL f_tell(a.wm) WHERE $where",
		"SELECT (SELECT f_tell(a.wm)) IS NULL FROM $table a WHERE $where OFFSET 1000",
		"UPDATE $table SET body = f_tell(wm) WHERE $where",
		"DELETE FROM $table WHERE f_tell(wm) IS NULL",
		"MERGE INTO $table USING lookups l ON l.id = $table.team WHEN MATCHED AND f_tell(wm) IS NULL THEN DELETE WHEN MATCHED THEN DO NOTHING",
		"SELECT 1 FROM $table WHERE $where AND wm::int = 1",
		"UPDATE $table SET wm = NULL WHERE $where"
	);
	$undone[1] = ['simple', $sql];
	return {
		steps => $sql =~ /^SELECT/ ? [transacted(['simple', $sql])] : \@undone,
		twins => [],
		complete => 0,
		shown => {},
		touched => { $table => 1 },
		same => 0,
		class => 'leak',
		way => 'leak'
	};
}

sub settings
{
	my @of =
		map { "SET $_ = off" }
		grep { chance(0.12) }
		qw(enable_seqscan enable_indexscan enable_indexonlyscan enable_bitmapscan enable_hashjoin enable_mergejoin enable_nestloop
		enable_hashagg enable_sort enable_material enable_memoize enable_incremental_sort enable_parallel_append);
	push @of, 'SET enable_partitionwise_join = on', 'SET enable_partitionwise_aggregate = on' if chance(0.15);
	push @of, 'SET mentalspace.rls_optimize = ' . pick(qw(off hoist full)) if chance(0.3);
	push @of, 'SET work_mem = 64' if chance(0.1);
	push @of, 'SET parallel_setup_cost = 0', 'SET parallel_tuple_cost = 0', 'SET min_parallel_table_scan_size = 0',
		'SET min_parallel_index_scan_size = 0'
		if chance(0.3);
	push @of, 'SET force_parallel_mode = on' if chance(0.08);
	return @of;
}

sub make_case
{
	my $t = team();
	my $kind = rand();
	my $case;
	if ($kind < 0.10) { $case = writing($t); }
	elsif ($kind < 0.12) { $case = kept(); }
	elsif ($kind < 0.14) { $case = whole_table(); }
	elsif ($kind < 0.16) { $case = refused(); }
	elsif ($kind < 0.22) { $case = leaking($t); }
	else
	{
		my $stops = chance(0.3);
		my $q = query($stops ? 'marked' : '');
		if ($stops && $q->{marked})
		{
			$case = pick(\&cursor, \&cursor, \&portal, \&in_function_some, \&in_function_some, \&failing, \&failing)
				->($q, $t);
		}
		else
		{
			$case = pick(
				\&plain, \&plain, \&plain, \&plain, \&prepared,
				\&copied, \&in_function, \&moved, \&explained, \&savepoints
			)->($q, $t);
		}
	}
	$case->{twins} = [grep { $_ } @{ $case->{twins} }];
	$case->{settings} = [settings(), @{ $case->{wants} || [] }];
	$case->{session} ||= pick('user', 'user', 'user', 'direct', 'super');
	$case->{user} = $case->{session} eq 'user' ? pick(@users) : undef;
	$case->{team} = team();
	return $case;
}

1;
