package Schema;

# The tables, their rows and their policies.
#
# Whatever a row holds says whose it is and where it is from: texts hold <table:patient>, the number in `score` is
# table, patient, row (1, 3 and 3 digits).  So one can see from what a client received whose rows it was sent, whatever
# way it came.  Keys alone do not say it: the same patient's key is in several tables.
use strict;
use warnings;
use Exporter 'import';
use Draw;
our @EXPORT = qw(%tables @users tags_in patient_number schema_sql policies_sql audit_sql);

# number: first digit of scores; key: the column that joins with others; patient_key: as audit_table() is told.
our %tables = (
	patients => { number => 1, key => 'id', patient_key => 'id' },
	visits => { number => 2, key => 'pid', patient_key => 'pid', int_id => 1 },
	notes => { number => 3, patient_key => 'visit_id->audit_random.visits.pid', int_id => 1 },
	records => { number => 4, key => 'pid', patient_key => 'pid', int_id => 1, relation => 'audit_random.records' },
	docs => { number => 5, key => 'pid', patient_key => 'pid', int_id => 1 },
	psych => { number => 6, key => 'pid', patient_key => 'pid', int_id => 1, category => 'psychotherapy_note' },
	persons => { number => 7, patient_key => 'id', int_id => 1 },
	letters => { number => 8, patient_key => 'person_id->audit_random.persons.id', int_id => 1 },
	summaries => { number => 9, key => 'pid', patient_key => 'pid', matview => 1 },
	assignments => { key => 'pid', patient_key => 'pid' },
);
my %by_number = map { $tables{$_}{number} ? ($tables{$_}{number} => $_) : () } keys %tables;
our @users = map { sprintf('aaaaaaaa-0000-4000-8000-%012d', $_) } 1 .. 4;

# { table => { patient => 1 } } of all that a text tells.
sub tags_in
{
	my ($text) = @_;
	my %found;
	$found{$1}{ $2 + 0 } = 1 while $text =~ /<([a-z]+):(\d+)>/gi;
	$found{ $by_number{$1} }{ $2 + 0 } = 1 while $text =~ /(?<![\w.-])([1-9])(\d{3})\d{3}(?![\w.-])/g;
	return \%found;
}

# Of an id in an event: the last digits of a uuid, or the number itself.
sub patient_number { my ($id) = @_; return $id =~ /(\d+)$/ ? $1 + 0 : "unreadable id $id"; }

sub uuid { return sprintf("'00000000-0000-4000-8000-%012d'", $_[0]); }

sub row_of
{
	my ($table, $patient, $row, @keys) = @_;
	my $score = $tables{$table}{number} ? $tables{$table}{number} * 1000000 + $patient * 1000 + $row : 'NULL';
	return sprintf(
		"(%s, '<%s:%d>', 'text of <%s:%d>', %s, %d, %s)",
		join(', ', @keys),
		$table, $patient, $table, $patient,$score,
		number(1, 4),
		chance(0.9) ? "'" . pick(@users) . "'" : 'NULL'
	);
}

sub schema_sql
{
	my $columns = 'wm text NOT NULL, body text, score int, team int, owner uuid';
	my $sql = <<"SQL";
SET client_min_messages = error;
CREATE SCHEMA audit_random;
SET search_path = audit_random;
CREATE TABLE lookups (id int PRIMARY KEY, label text, team int);
INSERT INTO lookups SELECT i, 'label ' || i, i % 4 + 1 FROM generate_series(1, 12) AS i;
CREATE TABLE scratch (line text);
CREATE TABLE roles (user_id uuid, role text);
CREATE TABLE patients (id uuid PRIMARY KEY, $columns);
CREATE TABLE visits (id int PRIMARY KEY, pid uuid REFERENCES patients ON DELETE CASCADE, $columns);
CREATE TABLE notes (id int PRIMARY KEY, visit_id int REFERENCES visits ON DELETE CASCADE, $columns);
CREATE TABLE records (id int, pid uuid REFERENCES patients ON DELETE CASCADE, $columns) PARTITION BY RANGE (id);
CREATE TABLE records_1 PARTITION OF records FOR VALUES FROM (0) TO (40);
CREATE TABLE records_2 (filler text, $columns, pid uuid, id int);
ALTER TABLE records_2 DROP COLUMN filler;
ALTER TABLE records ATTACH PARTITION records_2 FOR VALUES FROM (40) TO (80);
CREATE TABLE records_3 PARTITION OF records DEFAULT;
CREATE TABLE docs (id int, pid uuid REFERENCES patients ON DELETE CASCADE, $columns);
CREATE TABLE docs_scanned (pages int) INHERITS (docs);
CREATE TABLE psych (id int PRIMARY KEY, pid uuid REFERENCES patients ON DELETE CASCADE, $columns);
CREATE TABLE persons (id int PRIMARY KEY, $columns);
CREATE TABLE letters (id int PRIMARY KEY, person_id int REFERENCES persons ON DELETE CASCADE, $columns);
CREATE TABLE assignments (pid uuid REFERENCES patients ON DELETE CASCADE, $columns);
SQL
	my $patients = number(30, 90);
	my (%rows, %id);
	for my $p (1 .. $patients)
	{
		push @{ $rows{patients} }, row_of('patients', $p, 1, uuid($p));
		push @{ $rows{assignments} }, row_of('assignments', $p, 1, uuid($p)) if chance(0.7);
		for my $t (qw(visits records docs docs_scanned psych))
		{
			my $base = $t eq 'docs_scanned' ? 'docs' : $t;
			for my $r (1 .. pick(0, 1, 1, 2, 3))
			{
				my $n = ++$id{$base};
				push @{ $rows{$t} }, row_of($base, $p, $n % 1000, $n, uuid($p));
				next unless $t eq 'visits';
				push @{ $rows{notes} }, row_of('notes', $p, ++$id{notes} % 1000, $id{notes}, $n)
					for 1 .. pick(0, 1, 1, 2);
			}
		}
	}
	for my $p (1 .. number(20, 70))
	{
		push @{ $rows{persons} }, row_of('persons', $p, 1, $p);
		push @{ $rows{letters} }, row_of('letters', $p, ++$id{letters} % 1000, $id{letters}, $p) for 1 .. pick(0, 1, 2);
	}
	my %names = (
		patients => 'id',
		assignments => 'pid',
		notes => 'id, visit_id',
		persons => 'id',
		letters => 'id, person_id'
	);
	for my $t (qw(patients visits notes records docs docs_scanned psych persons letters assignments))
	{
		my $names = $names{$t} || 'id, pid';
		$sql .= "INSERT INTO $t ($names, wm, body, score, team, owner) VALUES\n" . join(",\n", @{ $rows{$t} }) . ";\n"
			if $rows{$t};
	}
	for my $user (@users)
	{
		$sql .= "INSERT INTO roles VALUES ('$user', '$_');\n" for grep { chance(0.4) } qw(staff admin billing);
	}
	# A patient's row as another relation tells it has that relation's name and number.
	$sql .= <<'SQL';
CREATE MATERIALIZED VIEW summaries AS
	SELECT p.id AS pid, replace(p.wm, 'patients', 'summaries') AS wm, replace(p.body, 'patients', 'summaries') AS body,
	       p.score + 8000000 AS score, p.team, p.owner, count(v.id) AS visits
	  FROM patients p LEFT JOIN visits v ON v.pid = p.id GROUP BY p.id;
CREATE INDEX ON visits (pid); CREATE INDEX ON notes (visit_id); CREATE INDEX ON records (pid, id); CREATE INDEX ON docs (team);
CREATE INDEX ON psych (owner, pid); CREATE INDEX ON letters (person_id, score); CREATE INDEX ON patients (team); CREATE INDEX ON visits (score, team);
CREATE VIEW v_patients AS SELECT id, wm, body, score, team, owner FROM patients WHERE team < 4;
CREATE VIEW v_invoker WITH (security_invoker = true, security_barrier) AS SELECT * FROM visits WHERE team <> 2;
CREATE VIEW v_visit_notes AS
	SELECT v.pid, v.wm || n.wm AS wm, n.body, n.score, v.team, v.owner FROM visits v JOIN notes n ON n.visit_id = v.id;

CREATE FUNCTION has_role(r text) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = audit_random
	AS $$ SELECT EXISTS (SELECT 1 FROM roles WHERE user_id = auth.uid() AND role = r) $$;
CREATE FUNCTION is_assigned(p uuid) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = audit_random
	AS $$ SELECT EXISTS (SELECT 1 FROM assignments WHERE owner = auth.uid() AND pid = p) $$;
CREATE FUNCTION is_assigned_plpgsql(p uuid) RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = audit_random
	AS $$ BEGIN RETURN EXISTS (SELECT 1 FROM assignments WHERE owner = auth.uid() AND pid = p); END $$;
CREATE FUNCTION team_of(p uuid) RETURNS int LANGUAGE sql STABLE SECURITY DEFINER SET search_path = audit_random
	AS $$ SELECT team FROM patients WHERE id = p $$;

CREATE FUNCTION f_inline(t int) RETURNS SETOF patients LANGUAGE sql STABLE AS $$ SELECT * FROM audit_random.patients WHERE team = t $$;
CREATE FUNCTION f_definer(t int) RETURNS SETOF patients LANGUAGE sql STABLE SECURITY DEFINER SET search_path = audit_random
	AS $$ SELECT * FROM patients WHERE team = t $$;
CREATE FUNCTION f_run(q text) RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY EXECUTE q; END $$;
CREATE FUNCTION f_run_definer(q text) RETURNS SETOF text LANGUAGE plpgsql SECURITY DEFINER SET search_path = audit_random
	AS $$ BEGIN RETURN QUERY EXECUTE q; END $$;
CREATE FUNCTION f_loop(q text) RETURNS SETOF text LANGUAGE plpgsql
	AS $$ DECLARE r text; BEGIN FOR r IN EXECUTE q LOOP RETURN NEXT r; END LOOP; END $$;
CREATE FUNCTION f_some(q text, n int) RETURNS SETOF text LANGUAGE plpgsql
	AS $$ DECLARE r text; c refcursor; BEGIN OPEN c FOR EXECUTE q; FOR i IN 1 .. n LOOP FETCH c INTO r; EXIT WHEN NOT FOUND; RETURN NEXT r; END LOOP; CLOSE c; END $$;
CREATE FUNCTION f_notice(q text) RETURNS void LANGUAGE plpgsql
	AS $$ DECLARE r text; BEGIN FOR r IN EXECUTE q LOOP RAISE NOTICE '%', r; END LOOP; END $$;
CREATE FUNCTION f_tell(t text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '%', t; RETURN t; END $$;
CREATE FUNCTION f_caught(q text) RETURNS void LANGUAGE plpgsql
	AS $$ DECLARE r text; BEGIN BEGIN FOR r IN EXECUTE q LOOP RAISE NOTICE '%', r; END LOOP; PERFORM 1/0; EXCEPTION WHEN division_by_zero THEN RAISE NOTICE 'caught'; END; END $$;
CREATE FUNCTION f_cursor(q text) RETURNS refcursor LANGUAGE plpgsql
	AS $$ DECLARE c refcursor := 'given'; BEGIN OPEN c FOR EXECUTE q; RETURN c; END $$;
CREATE PROCEDURE p_commits(q text) LANGUAGE plpgsql
	AS $$ DECLARE r text; BEGIN FOR r IN EXECUTE q LOOP RAISE NOTICE '%', r; COMMIT; END LOOP; ROLLBACK; END $$;
GRANT USAGE ON SCHEMA audit_random TO audit_random_user, audit_random_direct;
GRANT ALL ON ALL TABLES IN SCHEMA audit_random TO audit_random_user, audit_random_direct;
REVOKE ALL ON letters FROM audit_random_direct;
ANALYZE;
SQL
	return $sql;
}

sub audit_sql
{
	my $sql = '';
	for my $t (sort keys %tables)
	{
		my $d = $tables{$t};
		$sql .= sprintf(
			"SELECT mentalspace.audit_table('audit_random.%s', '%s'%s%s);\n",
			$t, $d->{patient_key},
			$d->{matview} ? ', writes => false' : '',
			$d->{category} ? ", category => '$d->{category}'" : ''
		);
	}
	return $sql;
}

# ---- policies ----

sub condition
{
	my ($table, $depth) = @_;
	return '(' . condition($table, $depth - 1) . pick(' AND ', ' OR ', ' OR ') . condition($table, $depth - 1) . ')'
		if $depth > 0 && chance(0.5);
	my $key = $tables{$table}{key};
	my @leaf = (
		"$table.owner = auth.uid()",
		"$table.owner = (SELECT auth.uid())",
		"$table.team = (auth.jwt() ->> 'team')::int",
		"has_role('" . pick(qw(staff admin billing)) . "')",
		"$table.team <> " . number(1, 4),
		"$table.owner IS NOT NULL",
		'true'
	);
	push @leaf, "is_assigned($table.$key)", "is_assigned_plpgsql($table.$key)",
		"team_of($table.$key) = (auth.jwt() ->> 'team')::int",
		"$table.$key IN (SELECT a.pid FROM assignments a WHERE a.owner = auth.uid())"
		if $key && $table ne 'assignments';
	push @leaf, "EXISTS (SELECT 1 FROM patients p WHERE p.id = $table.pid AND p.team > 1)"
		if $key && $key eq 'pid' && $table ne 'assignments';
	push @leaf, "EXISTS (SELECT 1 FROM visits v WHERE v.id = notes.visit_id AND v.team > 1)" if $table eq 'notes';
	push @leaf, "EXISTS (SELECT 1 FROM persons p WHERE p.id = letters.person_id AND p.owner = auth.uid())"
		if $table eq 'letters';
	return pick(@leaf);
}

# A new set of policies, in place of the old one.
sub policies_sql
{
	my $sql = "SET client_min_messages = error;\nSET search_path = audit_random;\n";
	for my $t (sort keys %tables)
	{
		next if $tables{$t}{matview};
		for my $table ($t eq 'docs' ? ('docs', 'docs_scanned') : $t)
		{
			$sql .= "DROP POLICY IF EXISTS p$_ ON $table;\n" for 1 .. 3;
			if ($table eq 'docs_scanned' || chance($t eq 'assignments' ? 0.8 : 0.2))
			{
				$sql .= "ALTER TABLE $table DISABLE ROW LEVEL SECURITY;\n";
				next;
			}
			$sql .= "ALTER TABLE $table ENABLE ROW LEVEL SECURITY;\n";
			$sql .= sprintf(
				"CREATE POLICY p%d ON %s AS %s FOR %s USING (%s);\n",
				$_, $table,
				$_ > 1 && chance(0.3) ? 'RESTRICTIVE' : 'PERMISSIVE',
				pick('ALL', 'ALL', 'SELECT'),
				condition($t, 2)
			) for 1 .. number(1, 3);
		}
	}
	return $sql;
}

1;
