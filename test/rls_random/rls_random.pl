#!/usr/bin/perl
# Random policies, users and statements: every value of mentalspace.rls_optimize must show and change the same rows and
# raise the same errors.
#
#   rls_random.pl --cases N [--seed S] [--keep FILE]
#
# A case is one statement of one user under one set of policies; its output, the table's contents after it and its
# SQLSTATE are compared for off (PostgreSQL alone), hoist and full.  PostgreSQL's planner evaluates STABLE functions for its
# estimates, and may raise there what no row asked for: where EXPLAIN alone raises with off, the others may do without that
# error, and such cases are counted apart.  In some schemas statements change the identity while they run, before rows of
# tables with policies are looked at; such a statement may end in 55000 instead.  The seed is printed, and the script of a
# schema that differs is kept in FILE.  Connects as PG* says; makes and drops a schema of its own; the roles rls_random_user
# and rls_random_other must be there.
use strict;
use warnings;
use Getopt::Long;
use IPC::Open2;

my ($cases, $seed, $keep) = (300, int(rand(1 << 31)), undef);
GetOptions('cases=i' => \$cases, 'seed=i' => \$seed, 'keep=s' => \$keep) or die "see the head of $0\n";
srand($seed);
print "seed $seed\n";

sub pick { return $_[int(rand(@_))]; }
sub chance { return rand() < $_[0]; }

my @users = map { sprintf('00000000-0000-4000-8000-%012d', $_) } 1 .. 5;
my @roles = qw(admin staff billing guest);
# has_role() may not be executed.  PostgreSQL does not ask who may execute what a literal false makes superfluous; with
# rls_optimize it is asked, so there are no such literals then.
my $revoked;
# Statements may change the identity.  PostgreSQL evaluates (SELECT auth.uid()) once, and we as we do auth.uid(): no such
# conditions then.
my $changing;

# ---- conditions ----

sub constant_uuid { return "'" . pick(@users) . "'::uuid"; }

# A boolean that does not depend on the row.
sub fixed
{
	my ($depth) = @_;
	my $role = pick(@roles);
	return "current_user = 'rls_random_user'" if $changing && chance(0.1);
	my @leaf = (
		"has_role(auth.uid(), '$role')", "has_role(auth.uid(), '$role')", "is_role_plpgsql('$role')",
		"has_role_invoker(auth.uid(), '$role')", $changing ? "has_role(current_uid(), '$role')" : "(SELECT has_role(auth.uid(), '$role'))",
		"auth.role() = 'authenticated'", "auth.jwt() ->> 'aal' = 'aal" . pick(1, 2) . "'", "auth.uid() IS NOT NULL",
		"(auth.jwt() ->> 'org')::int = " . pick(1 .. 3), "immutable_true(" . pick('true', 'false', 'NULL') . ")",
		"raises_for('$role')", "strict_check(auth.uid(), " . pick("'$role'", 'NULL') . ")",
		"EXISTS (SELECT 1 FROM user_roles r WHERE r.user_id = auth.uid() AND r.role = '$role')",
		"auth.uid() IN (SELECT user_id FROM user_roles WHERE role = '$role')",
		"my_role() = '$role'", "current_setting('app.flag', true) = 'on'", $revoked ? "auth.role() IS NOT NULL" : pick('true', 'false', 'NULL::boolean'),
		"CASE my_role() WHEN '$role' THEN true WHEN 'guest' THEN raises_for('staff') ELSE false END",
		"coalesce(nullif(my_role(), '$role') = 'staff', raises_for('guest'))");
	return pick(@leaf) if $depth <= 0 || chance(0.6);
	return "NOT (" . fixed($depth - 1) . ")" if chance(0.2);
	return "(" . fixed($depth - 1) . pick(' AND ', ' OR ') . fixed($depth - 1) . ")";
}

# A condition on a row of table $t.
sub condition
{
	my ($t, $depth) = @_;
	if ($depth <= 0 || chance(0.25)) {
		return pick(
			"$t.owner = auth.uid()", "auth.uid() = $t.owner", $changing ? "$t.owner = auth.uid()" : "$t.owner = (SELECT auth.uid())", "$t.owner = current_uid()",
			"$t.org = (auth.jwt() ->> 'org')::int", "$t.org IN (SELECT org FROM members WHERE user_id = auth.uid())",
			"$t.org = ANY (my_orgs())", "$t.kind = 'open'", "$t.id > " . pick(1 .. 30), "volatile_check($t.id)",
			"EXISTS (SELECT 1 FROM parents p WHERE p.id = $t.parent AND p.owner = auth.uid())",
			"EXISTS (SELECT 1 FROM parents p WHERE $t.parent = p.id AND (p.owner = auth.uid() OR " . fixed(0) . "))",
			"EXISTS (SELECT 1 FROM parents p JOIN members m USING (org) WHERE m.user_id = auth.uid() AND p.id = $t.parent)",
			"EXISTS (SELECT 1 FROM members m WHERE m.user_id = auth.uid() AND m.org = $t.org AND $t.kind = 'open')",
			"$t.parent NOT IN (SELECT id FROM parents WHERE owner = auth.uid() AND id IS NOT NULL)",
			"NOT EXISTS (SELECT 1 FROM parents p WHERE p.id = $t.parent AND p.owner = auth.uid())",
			"row_check($t.owner, '" . pick(@roles) . "')", "$t.kind = lower(my_role())",
			"$t.org = (SELECT min(org) FROM members WHERE user_id = auth.uid())",
			"$t.owner = " . constant_uuid(), fixed(1));
	}
	return "NOT (" . condition($t, $depth - 1) . ")" if chance(0.1);
	return "(" . condition($t, $depth - 1) . pick(' AND ', ' OR ', ' OR ') . condition($t, $depth - 1) . ")";
}

sub claims
{
	return sprintf('{"sub": "%s", "role": "authenticated", "aal": "aal%d", "org": %s}', pick(@users), pick(1, 2),
				   pick(1 .. 4, $changing ? 1 : '"x"', 'null'));
}

sub policies
{
	my ($t) = @_;
	my ($sql, $n) = ('', 0);
	for my $command ('ALL', 'SELECT', 'INSERT', 'UPDATE', 'DELETE', 'ALL', 'SELECT') {
		next if chance($command eq 'ALL' || $command eq 'SELECT' ? 0.35 : 0.5);
		my $kind = chance(0.8) ? 'PERMISSIVE' : 'RESTRICTIVE';
		my $using = $command eq 'INSERT' ? '' : "USING (" . condition($t, 2) . ")";
		my $check = $command =~ /^(INSERT|UPDATE|ALL)$/ && ($command eq 'INSERT' || chance(0.5)) ? "WITH CHECK (" . condition($t, 1) . ")" : '';
		$sql .= sprintf("CREATE POLICY p%d ON %s AS %s FOR %s TO rls_random_user %s %s;\n", ++$n, $t, $kind, $command, $using, $check);
	}
	return $sql || "CREATE POLICY p ON $t TO rls_random_user USING (" . condition($t, 2) . ");\n";
}

# ---- statements ----

sub where
{
	my ($t) = @_;
	return pick('', '', "WHERE $t.id = " . pick(1 .. 45), "WHERE $t.id < " . pick(10 .. 30), "WHERE $t.owner = auth.uid()",
				"WHERE $t.org = " . pick(1 .. 4), "WHERE $t.kind = 'open' AND $t.id > 5", "WHERE $t.owner = " . constant_uuid());
}

sub statement
{
	my $id = pick(1 .. 60);
	my $row = sprintf("%d, %s, %s, %s, '%s', 'x'", $id, constant_uuid(), pick(1 .. 4), pick(1 .. 10, 'NULL'), pick('open', 'staff', 'closed'));
	return pick(
		"SELECT * FROM docs " . where('docs'), "SELECT count(*) FROM docs " . where('docs'), "SELECT * FROM docs " . where('docs'),
		"SELECT * FROM docs_view " . where('docs_view'), "SELECT * FROM parted " . where('parted'),
		"SELECT d.id, p.id FROM docs d JOIN parents p ON p.id = d.parent " . pick('', "WHERE d.org = 2"),
		"SELECT d.id, n.id FROM docs d LEFT JOIN parted n ON n.parent = d.id AND n.kind = 'open'",
		"SELECT id, (SELECT count(*) FROM parted n WHERE n.parent = d.id) FROM docs d " . where('d'),
		"WITH w AS " . pick('', 'MATERIALIZED ') . "(SELECT * FROM docs) SELECT id FROM w " . where('w'),
		"SELECT id FROM docs UNION ALL SELECT id FROM parted",
		"SELECT id FROM docs WHERE id IN (SELECT parent FROM parted)", "SELECT * FROM definer_docs()",
		"INSERT INTO docs VALUES ($row)", "INSERT INTO docs VALUES ($row) RETURNING id",
		"INSERT INTO docs VALUES ($row) ON CONFLICT (id) DO NOTHING",
		"INSERT INTO docs VALUES ($row) ON CONFLICT (id) DO UPDATE SET note = 'y' RETURNING id",
		"INSERT INTO parted VALUES ($row)",
		"UPDATE docs SET note = 'z' " . where('docs'), "UPDATE docs SET org = " . pick(1 .. 4) . " " . where('docs') . " RETURNING id",
		"UPDATE docs SET owner = " . constant_uuid() . " " . where('docs'),
		"UPDATE parted SET note = 'z' FROM docs WHERE docs.id = parted.parent",
		"DELETE FROM docs " . where('docs'), "DELETE FROM docs " . where('docs') . " RETURNING id", "DELETE FROM parted USING docs WHERE docs.id = parted.parent",
		"WITH c AS (UPDATE docs SET note = 'c' RETURNING id) SELECT count(*) FROM c",
		"MERGE INTO docs USING (SELECT 3 AS k UNION SELECT 58) s ON docs.id = s.k WHEN MATCHED AND docs.org = 1 THEN DELETE WHEN MATCHED THEN UPDATE SET note = 'm' WHEN NOT MATCHED THEN INSERT VALUES ($row)",
		"COPY (SELECT id FROM docs ORDER BY id) TO STDOUT",
		"PREPARE q AS SELECT id FROM docs " . where('docs') . "; EXECUTE q; EXECUTE q; DEALLOCATE q",
		"DECLARE k CURSOR FOR SELECT id FROM docs ORDER BY id; FETCH 3 FROM k; FETCH ALL FROM k; CLOSE k",
		"SELECT id FROM docs ORDER BY id FOR UPDATE", "SELECT plpgsql_count(" . pick(1 .. 4) . "), plpgsql_count(" . pick(1 .. 4) . ")");
}

# A statement in which the identity becomes another before a table with policies is read or written.
sub changing_statement
{
	my ($claims) = @_;
	my $change = pick("become('$claims')", "become('$claims')", "become_inside('$claims')", "become_other_role()",
					  "set_config('request.jwt.claims', '$claims', true) IS NOT NULL");
	my $t = pick('docs', 'docs', 'parted', 'docs_view');
	my $row = sprintf("%d, %s, %s, %s, '%s'", pick(1 .. 60), constant_uuid(), pick(1 .. 4), pick(1 .. 10, 'NULL'), pick('open', 'closed'));
	return pick(
		"SELECT $change, (SELECT string_agg(id::text, ',' ORDER BY id) FROM $t " . where($t) . ")",
		"SELECT $change, (SELECT count(*) FROM $t " . where($t) . "), become('$claims'), (SELECT count(*) FROM docs)",
		"SELECT 0 FROM (SELECT $change OFFSET 0) s UNION ALL SELECT id FROM $t " . where($t),
		"WITH b AS MATERIALIZED (SELECT $change AS b) SELECT b, (SELECT count(*) FROM $t " . where($t) . ") FROM b",
		"SELECT $change, plpgsql_count(" . pick(1 .. 4) . ")",
		"INSERT INTO docs SELECT $row, 'x' WHERE $change",
		"INSERT INTO docs VALUES ($row, '$claims')", "INSERT INTO docs VALUES ($row, '$claims') RETURNING id",
		"INSERT INTO docs VALUES ($row, '$claims') ON CONFLICT (id) DO UPDATE SET note = 'y' RETURNING id",
		"UPDATE docs SET note = '$claims' WHERE id = " . pick(1 .. 45),
		"UPDATE docs SET note = 'z' FROM (SELECT $change AS b OFFSET 0) s WHERE s.b AND docs.id = " . pick(1 .. 45),
		"SELECT as_another(), (SELECT count(*) FROM $t)");
}

# ---- one schema ----

sub schema
{
	my ($number) = @_;
	$revoked = chance(0.05);
	$changing = chance(0.3);
	my $sql = <<"SQL";
DROP SCHEMA IF EXISTS rls_random CASCADE;
CREATE SCHEMA rls_random;
SET search_path = rls_random;
CREATE TABLE user_roles (user_id uuid, role text);
CREATE TABLE members (user_id uuid, org int);
CREATE TABLE parents (id int PRIMARY KEY, owner uuid, org int);
CREATE TABLE docs (id int PRIMARY KEY, owner uuid, org int, parent int, kind text, note text);
CREATE TABLE parted (id int, owner uuid, org int, parent int, kind text, note text) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (20);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (20) TO (1000);
CREATE FUNCTION has_role(u uuid, r text) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = rls_random
	AS \$\$ SELECT EXISTS (SELECT 1 FROM user_roles WHERE user_id = u AND role = r) \$\$;
CREATE FUNCTION has_role_invoker(u uuid, r text) RETURNS boolean LANGUAGE sql STABLE
	AS \$\$ SELECT EXISTS (SELECT 1 FROM rls_random.user_roles WHERE user_id = u AND role = r) \$\$;
CREATE FUNCTION is_role_plpgsql(r text) RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = rls_random
	AS \$\$ BEGIN RETURN EXISTS (SELECT 1 FROM user_roles WHERE user_id = auth.uid() AND role = r); END \$\$;
CREATE FUNCTION raises_for(r text) RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = rls_random
	AS \$\$ BEGIN IF has_role(auth.uid(), r) THEN RAISE EXCEPTION 'no' USING ERRCODE = 'XR001'; END IF; RETURN false; END \$\$;
CREATE FUNCTION strict_check(u uuid, r text) RETURNS boolean LANGUAGE sql STABLE STRICT SECURITY DEFINER SET search_path = rls_random
	AS \$\$ SELECT EXISTS (SELECT 1 FROM user_roles WHERE user_id = u AND role = r) \$\$;
CREATE FUNCTION my_role() RETURNS text LANGUAGE sql STABLE SECURITY DEFINER SET search_path = rls_random
	AS \$\$ SELECT role FROM user_roles WHERE user_id = auth.uid() ORDER BY role LIMIT 1 \$\$;
CREATE FUNCTION current_uid() RETURNS uuid LANGUAGE sql STABLE AS \$\$ SELECT auth.uid() \$\$;
CREATE FUNCTION my_orgs() RETURNS int[] LANGUAGE sql STABLE SECURITY DEFINER SET search_path = rls_random
	AS \$\$ SELECT array_agg(org ORDER BY org) FROM members WHERE user_id = auth.uid() \$\$;
CREATE FUNCTION immutable_true(b boolean) RETURNS boolean LANGUAGE sql IMMUTABLE AS \$\$ SELECT b \$\$;
CREATE FUNCTION volatile_check(i int) RETURNS boolean LANGUAGE plpgsql VOLATILE AS \$\$ BEGIN RETURN i % 3 <> 0; END \$\$;
CREATE FUNCTION row_check(u uuid, r text) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = rls_random
	AS \$\$ SELECT u = auth.uid() OR has_role(u, r) \$\$;
CREATE FUNCTION plpgsql_count(o int) RETURNS bigint LANGUAGE plpgsql STABLE SET search_path = rls_random
	AS \$\$ BEGIN RETURN (SELECT count(*) FROM docs WHERE org = o); END \$\$;
SQL
	$sql .= <<'SQL';
CREATE FUNCTION become(claims text) RETURNS boolean LANGUAGE plpgsql
	AS $$ BEGIN PERFORM set_config('request.jwt.claims', claims, true); RETURN true; END $$;
CREATE FUNCTION become_inside(claims text) RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = rls_random
	AS $$ BEGIN BEGIN PERFORM become('{}'), 1 / 0; EXCEPTION WHEN division_by_zero THEN END; RETURN become(claims); END $$;
CREATE FUNCTION become_other_role() RETURNS boolean LANGUAGE plpgsql
	AS $$ BEGIN SET LOCAL ROLE rls_random_other; RETURN true; END $$;
CREATE FUNCTION as_another() RETURNS bigint LANGUAGE sql SET request.jwt.claims = '{"sub": "00000000-0000-4000-8000-000000000001"}'
	AS $$ SELECT count(*) FROM rls_random.docs $$;
CREATE FUNCTION become_by_row() RETURNS trigger LANGUAGE plpgsql SET search_path = rls_random
	AS $$ BEGIN PERFORM become(NEW.note); NEW.note := 'w'; RETURN NEW; END $$;
CREATE TRIGGER become BEFORE INSERT OR UPDATE ON docs FOR EACH ROW WHEN (NEW.note LIKE '{%') EXECUTE FUNCTION become_by_row();
SQL
	for my $user (@users) {
		$sql .= "INSERT INTO user_roles VALUES ('$user', '$_');\n" for grep { chance(0.3) } @roles;
		$sql .= "INSERT INTO members VALUES ('$user', $_);\n" for grep { chance(0.4) } 1 .. 4;
	}
	$sql .= sprintf("INSERT INTO parents VALUES (%d, '%s', %d);\n", $_, pick(@users), pick(1 .. 4)) for 1 .. 10;
	for my $t ('docs', 'parted') {
		for my $id (1 .. pick(0, 40, 40, 40, 200)) {
			$sql .= sprintf("INSERT INTO $t VALUES (%d, %s, %s, %s, '%s', '');\n", $id, chance(0.9) ? "'" . pick(@users) . "'" : 'NULL',
							pick(1 .. 4, 'NULL'), pick(1 .. 10, 'NULL'), pick('open', 'closed', 'staff'));
		}
	}
	$sql .= "CREATE INDEX ON docs (owner);\n" if chance(0.5);
	$sql .= "CREATE INDEX ON docs (org);\n" if chance(0.5);
	$sql .= "CREATE INDEX ON docs (parent);\n" if chance(0.5);
	$sql .= "CREATE INDEX ON parted (owner);\n" if chance(0.5);
	$sql .= "CREATE VIEW docs_view " . pick('', 'WITH (security_invoker = true)') . " AS SELECT * FROM docs WHERE kind <> 'closed';\n";
	$sql .= "CREATE FUNCTION definer_docs() RETURNS SETOF docs LANGUAGE sql STABLE SECURITY DEFINER SET search_path = rls_random AS \$\$ SELECT * FROM docs \$\$;\n";
	for my $t ('docs', 'parted', 'parents') {
		next if $t eq 'parents' && chance(0.6);
		$sql .= "ALTER TABLE $t ENABLE ROW LEVEL SECURITY;\n" . policies($t);
	}
	$sql .= "GRANT USAGE ON SCHEMA rls_random TO rls_random_user, rls_random_other; GRANT ALL ON ALL TABLES IN SCHEMA rls_random TO rls_random_user, rls_random_other;\n";
	$sql .= "REVOKE ALL ON user_roles FROM rls_random_user;\n" if chance(0.2);
	$sql .= "REVOKE EXECUTE ON FUNCTION has_role FROM PUBLIC;\n" if $revoked;
	$sql .= "ANALYZE docs, parted, parents, members, user_roles;\n" if chance(0.7);
	return $sql;
}

sub run_psql
{
	my ($script) = @_;
	my $pid = open2(my $out, my $in, 'exec psql -X -q -A -t -f - 2>/dev/null');
	my $writer = fork();
	if ($writer == 0) { close $out; print $in $script; close $in; exit 0; }
	close $in;
	my @lines = <$out>;
	waitpid($writer, 0);
	waitpid($pid, 0);
	return @lines;
}

my ($done, $failed, $number, $errors, $estimates, $refused) = (0, 0, 0, 0, 0, 0);
my $per_schema = 30;
while ($done < $cases) {
	my $setup = "\\set VERBOSITY sqlstate\nSET client_min_messages = error;\n" . schema(++$number);
	my @tests;
	for my $n (1 .. $per_schema) {
		my $claims = chance(0.05) ? '' : claims();
		$claims = '{"sub": "nobody"}' if chance(0.02);
		my $statement = $changing && chance(0.6) ? changing_statement(claims()) : statement();
		# EXPLAIN does not show what the planner raises inside a function.
		$claims =~ s/"x"|"nobody"/null/ if $statement =~ /plpgsql_count|definer_docs/;
		push @tests, [$claims, $statement, chance(0.15), chance(0.2)];
	}
	my $script = $setup;
	for my $mode ('explain', 'off', 'hoist', 'full') {
		for my $n (0 .. $#tests) {
			my ($claims, $statement, $parallel, $flag) = @{ $tests[$n] };
			my $rls_optimize = $mode eq 'explain' ? 'off' : $mode;
			if ($mode eq 'explain') {
				my ($query) = $statement =~ /^(?:COPY \(|PREPARE q AS |DECLARE k CURSOR FOR )?(.*?)(?:\) TO STDOUT|; (?:EXECUTE|FETCH).*)?$/;
				$statement = "EXPLAIN $query";
			}
			$script .= "\\echo =$mode $n\nBEGIN;\nSET LOCAL mentalspace.rls_optimize = $rls_optimize;\n";
			$script .= "SET LOCAL force_parallel_mode = on; SET LOCAL parallel_setup_cost = 0; SET LOCAL parallel_tuple_cost = 0; SET LOCAL min_parallel_table_scan_size = 0;\n" if $parallel;
			$script .= "SET LOCAL app.flag = 'on';\n" if $flag;
			$script .= "SELECT set_config('request.jwt.claims', '$claims', true) IS NULL;\nSET LOCAL ROLE rls_random_user;\nSAVEPOINT s;\n";
			$script .= "$statement;\n\\echo -error :SQLSTATE\n";
			$script .= "RESET ROLE;\nSET LOCAL mentalspace.rls_optimize = off;\nSELECT 'docs', * FROM docs; SELECT 'parted', * FROM parted;\nROLLBACK;\nDEALLOCATE ALL;\n";
		}
	}
	my (%result, $key);
	for my $line (run_psql("$script\\echo =end\n")) {
		if ($line =~ /^=(\S+)(?: (\d+))?/) { $key = defined $2 ? "$1 $2" : $1; next; }
		push @{ $result{$key} }, $line if defined $key;
	}
	die "the script of schema $number did not run to its end\n" unless defined $key && $key eq 'end';
	for my $n (0 .. $#tests) {
		my %text = map { my $m = $_; $m => join('', sort @{ $result{"$m $n"} || [] }) } ('off', 'hoist', 'full');
		$done++;
		$errors++ if $text{off} =~ /^-error (?!00000)/m;
		for my $mode ('hoist', 'full') {
			next if $text{$mode} eq $text{off};
			if ($changing && $text{$mode} =~ /^-error 55000/m) { $refused++; next; }
			if (join('', @{ $result{"explain $n"} }) =~ /^-error (?!00000)/m) { $estimates++; next; }
			$failed++;
			print "schema $number, statement $n, $mode differs from off\n  claims $tests[$n][0]\n  $tests[$n][1]\n";
			my %off = map { $_ => 1 } split /^/, $text{off};
			my %other = map { $_ => 1 } split /^/, $text{$mode};
			my @lost = grep { !$other{$_} } sort keys %off;
			my @new = grep { !$off{$_} } sort keys %other;
			print "  - $_" for @lost[0 .. ($#lost > 3 ? 3 : $#lost)];
			print "  + $_" for @new[0 .. ($#new > 3 ? 3 : $#new)];
			if (defined $keep) { open(my $f, '>', "$keep.$number.sql") or die; print $f $script; close $f; }
		}
	}
	print "$done cases, $errors of them end in an error, $failed differences\n" if $number % 10 == 0;
}
run_psql("SET client_min_messages = error; DROP SCHEMA rls_random CASCADE;\n");
printf "%d cases, %d of them end in an error; %d do without an error of the planner's estimates, %d refuse another identity\n",
	$done, $errors, $estimates, $refused;
printf "%d passed, %d failed\n", $done - $failed, $failed;
exit($failed ? 1 : 0);
