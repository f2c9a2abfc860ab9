# A database that was restored from Supabase has a schema auth, auth.uid() and siblings in SQL, users, and policies that
# depend on them.  CREATE EXTENSION takes the functions over in place, or refuses and changes nothing.
use strict;
use warnings;
use MentalspaceTest;
use Test::More;

my $alice = '00000000-0000-4000-8000-00000000000a';

# The shape of such a database.
my $restored = q{
	CREATE SCHEMA auth;
	CREATE TABLE auth.users (id uuid PRIMARY KEY, email text, raw_user_meta_data jsonb);
	CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS $$
		SELECT coalesce(nullif(current_setting('request.jwt.claim.sub', true), ''),
			nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid $$;
	CREATE FUNCTION auth.role() RETURNS text LANGUAGE plpgsql STABLE AS $$
		BEGIN RETURN nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role'; END $$;
	CREATE FUNCTION auth.email() RETURNS text LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' AS $$
		SELECT nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'email' $$;
	CREATE FUNCTION auth.is_admin() RETURNS boolean LANGUAGE sql STABLE AS $$ SELECT auth.role() = 'admin' $$;
	COMMENT ON FUNCTION auth.uid() IS 'Deprecated.';
	INSERT INTO auth.users VALUES ('00000000-0000-4000-8000-00000000000a', 'alice@x.test', '{}'),
	                              ('00000000-0000-4000-8000-00000000000b', 'bob@x.test', '{}');
	CREATE TABLE public.profiles (id uuid PRIMARY KEY REFERENCES auth.users ON DELETE CASCADE);
	CREATE FUNCTION public.handle_new_user() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
		BEGIN INSERT INTO public.profiles VALUES (new.id); RETURN new; END $$;
	CREATE TRIGGER on_auth_user_created AFTER INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION public.handle_new_user();
	CREATE TABLE public.notes (id int PRIMARY KEY, user_id uuid DEFAULT auth.uid() REFERENCES auth.users, body text);
	ALTER TABLE public.notes ENABLE ROW LEVEL SECURITY;
	CREATE POLICY own ON public.notes USING (auth.uid() = user_id);
	CREATE POLICY signed_in ON public.notes AS RESTRICTIVE USING (auth.role() = 'authenticated');
	CREATE VIEW public.me AS SELECT auth.uid() AS id, auth.email() AS email;
	INSERT INTO public.notes SELECT i, CASE WHEN i <= 3 THEN '00000000-0000-4000-8000-00000000000a'::uuid
	                                        ELSE '00000000-0000-4000-8000-00000000000b' END, 'note' FROM generate_series(1, 10) AS i;
	GRANT USAGE ON SCHEMA auth TO authenticated;
	GRANT SELECT, INSERT ON public.notes TO authenticated;
};
my $oids = q{SELECT string_agg(oid::regprocedure || ' ' || oid, ', ' ORDER BY proname)
	FROM pg_proc WHERE pronamespace = 'auth'::regnamespace AND proname <> 'jwt'};
my $everything = q{SELECT string_agg(p::text, E'\n' ORDER BY oid) FROM pg_proc p WHERE pronamespace >= 16384};
my $notes = qq{
	BEGIN;
	SET LOCAL ROLE authenticated;
	SELECT count(*) FROM notes;
	SELECT set_config('request.jwt.claims', '{"sub": "$alice", "role": "authenticated"}', true) IS NULL;
	SELECT count(*) FROM notes;
	INSERT INTO notes (id) VALUES (100) RETURNING user_id;
	ROLLBACK;
};

foreach my $flavor (flavors())
{
	my $node = start_server("takeover_$flavor", $flavor);
	my $owner = owned_database($node, 'restored', $flavor);
	my $create = 'CREATE EXTENSION mentalspace';
	my $ask = sub { return $node->safe_psql('restored', $_[0], extra_params => [ '-U', $owner ]) };

	$node->safe_psql('postgres', qq{CREATE ROLE authenticated; CREATE ROLE stranger; GRANT authenticated TO $owner});
	$ask->($restored);
	my $before = $ask->($oids);
	my ($status, $out, $err) = $node->psql('restored', $notes, extra_params => [ '-U', $owner ]);
	my $seen = $out;
	like($seen, qr/^0\nf\n3\n$alice/, "$flavor: policies on Supabase's functions work");

	# As dumps do.
	$ask->("SET search_path = ''; $create");
	is($ask->($oids), $before, "$flavor: the functions keep their OIDs");
	is($ask->(q{SELECT string_agg(concat_ws(' ', proname, provolatile, proparallel, prosecdef, proconfig, l.lanname = 'c'), ', ' ORDER BY proname)
			FROM pg_proc p JOIN pg_language l ON l.oid = prolang WHERE pronamespace = 'auth'::regnamespace AND proname <> 'is_admin'}),
		join(', ', map { "$_ s s f " . ($flavor eq 'native' ? 't' : 'f') } qw(email jwt role uid)),
		"$flavor: they are ours now, parallel safe, nothing of the old definition left");
	is($ask->(q{SELECT string_agg(m.what, ', ' ORDER BY m.what) FROM (
			SELECT DISTINCT pg_describe_object(classid, objid, 0) FROM pg_depend d JOIN pg_namespace n ON n.nspname = 'auth'
			 WHERE deptype = 'e' AND (classid = 'pg_namespace'::regclass AND objid = n.oid
			       OR classid = 'pg_class'::regclass AND objid IN (SELECT oid FROM pg_class WHERE relnamespace = n.oid)
			       OR objid IN (SELECT oid FROM pg_proc WHERE pronamespace = n.oid))) AS m (what)}),
		'function auth.email(), function auth.jwt(), function auth.role(), function auth.uid()',
		"$flavor: the four functions are members; the schema, its tables and other functions are not");
	is($ask->(q{SELECT obj_description('auth.uid()'::regprocedure) LIKE 'id of the signed-in user%'}), 't', "$flavor: comment");
	($status, $out, $err) = $node->psql('restored', $notes, extra_params => [ '-U', $owner ]);
	is($out, $seen, "$flavor: the policies, the default and the grants live on");
	is($ask->(q{SELECT count(*) FROM pg_policies WHERE schemaname <> 'mentalspace'}), 2, "$flavor: as many policies as before");
	is($ask->(q{INSERT INTO auth.users VALUES ('00000000-0000-4000-8000-00000000000c'); SELECT count(*) FROM profiles}), 1,
		"$flavor: the trigger on auth.users fires");
	is($ask->(qq{SET request.jwt.claims = '{"sub": "$alice", "email": "a\@x.test"}'; SELECT * FROM me}), "$alice|a\@x.test",
		"$flavor: the view reads ours");

	# Dropping it is refused while policies need it.
	($status, $out, $err) = $node->psql('restored', 'DROP EXTENSION mentalspace', extra_params => [ '-U', $owner ]);
	like($err, qr/cannot drop extension mentalspace because other objects depend on it/, "$flavor: DROP EXTENSION is refused");
	like($err, qr/policy own on table notes depends on function auth\.uid\(\)/, "$flavor: and names the policy");

	# What must not be taken over: each in a database of its own, where nothing may change.
	my %bad = (
		'a third role owns a function' => [
			'ALTER FUNCTION auth.role() OWNER TO stranger', qr/ERROR:  42501: cannot take over function auth\.role\(\): it belongs to role "stranger"/ ],
		'a function returns something else' => [
			'DROP FUNCTION auth.email() CASCADE; CREATE FUNCTION auth.email() RETURNS varchar LANGUAGE sql AS $$ SELECT NULL::varchar $$',
			qr/ERROR:  42P13: cannot take over function auth\.email\(\): it returns character varying, not text/ ]);
	$bad{'a superuser owns a function, the installer is none'} = [
		'ALTER FUNCTION auth.uid() OWNER TO postgres', qr/ERROR:  42501: must be owner of function (auth\.)?uid/ ]
		if $flavor eq 'trusted';
	my $n = 0;
	foreach my $what (sort keys %bad)
	{
		my ($change, $message) = @{ $bad{$what} };
		my $db = 'bad' . $n++;
		owned_database($node, $db, $flavor);
		$node->safe_psql($db, $restored, extra_params => [ '-U', $owner ]);
		$node->safe_psql($db, $change);
		my $was = $node->safe_psql($db, $everything);
		($status, $out, $err) = $node->psql($db, "\\set VERBOSITY verbose\n$create", extra_params => [ '-U', $owner ]);
		like($err, $message, "$flavor: refused: $what");
		is($node->safe_psql($db, $everything), $was, "$flavor: and nothing was changed: $what");
		is($node->safe_psql($db, q{SELECT count(*) FROM pg_extension WHERE extname = 'mentalspace'}), 0, "$flavor: no extension: $what");
	}
	$node->stop;
}
done_testing();
