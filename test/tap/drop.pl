# DROP EXTENSION: refused while policies need it; with CASCADE nothing of the user's rows, tables, triggers or functions is
# lost, and where a policy is gone nobody but the owner sees a row.
use strict;
use warnings;
use MentalspaceTest;
use Test::More;

foreach my $flavor (flavors())
{
	my $node = start_server("drop_$flavor", $flavor);
	my $owner = owned_database($node, 'app', $flavor);
	my $ask = sub { return $node->safe_psql('app', $_[0], extra_params => [ '-U', $owner ]) };

	$ask->(q{
		CREATE EXTENSION mentalspace;
		SELECT count(*) FROM mentalspace.provision();
		CREATE TABLE public.profiles (id uuid PRIMARY KEY REFERENCES auth.users ON DELETE CASCADE, created_by uuid DEFAULT auth.uid());
		CREATE FUNCTION public.handle_new_user() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
			BEGIN INSERT INTO public.profiles (id) VALUES (new.id); RETURN new; END $$;
		CREATE TRIGGER on_auth_user_created AFTER INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION public.handle_new_user();
		INSERT INTO auth.users (id, email) VALUES ('00000000-0000-4000-8000-00000000000a', 'a@x.test'), ('00000000-0000-4000-8000-00000000000b', 'b@x.test');
		CREATE TABLE public.notes (id int, user_id uuid REFERENCES auth.users);
		ALTER TABLE public.notes ENABLE ROW LEVEL SECURITY;
		CREATE POLICY own ON public.notes USING (auth.uid() = user_id);
		CREATE TABLE public.papers (id int, user_id uuid, hidden boolean DEFAULT false);
		ALTER TABLE public.papers ENABLE ROW LEVEL SECURITY;
		CREATE POLICY everybody ON public.papers USING (true);
		CREATE POLICY but_own ON public.papers AS RESTRICTIVE USING (auth.uid() = user_id);
		INSERT INTO public.notes VALUES (1, '00000000-0000-4000-8000-00000000000a'), (2, '00000000-0000-4000-8000-00000000000b');
		INSERT INTO public.papers VALUES (1, '00000000-0000-4000-8000-00000000000a'), (2, '00000000-0000-4000-8000-00000000000b');
		CREATE FUNCTION public.mine() RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER AS 'SELECT count(*) FROM public.notes WHERE user_id = auth.uid()';
		INSERT INTO storage.buckets (id, name) VALUES ('b', 'b');
		CREATE POLICY folder ON storage.objects USING (bucket_id = 'b' AND auth.uid()::text = (storage.foldername(name))[1]);
		INSERT INTO storage.objects (bucket_id, name) VALUES ('b', '00000000-0000-4000-8000-00000000000a/x.png');
	});
	my $see = q{
		BEGIN;
		SET LOCAL request.jwt.claims = '{"sub": "00000000-0000-4000-8000-00000000000a", "role": "authenticated"}';
		SET LOCAL ROLE authenticated;
		SELECT (SELECT count(*) FROM notes), (SELECT count(*) FROM papers), (SELECT count(*) FROM storage.objects);
		SET LOCAL ROLE anon;
		SELECT (SELECT count(*) FROM notes), (SELECT count(*) FROM papers), (SELECT count(*) FROM storage.objects);
		ROLLBACK};
	my $kept = q{
		SELECT (SELECT count(*) FROM auth.users), (SELECT count(*) FROM profiles), (SELECT count(*) FROM notes), (SELECT count(*) FROM papers),
		       (SELECT count(*) FROM storage.objects), (SELECT count(*) FROM storage.buckets),
		       (SELECT count(*) FROM pg_trigger WHERE tgname = 'on_auth_user_created'),
		       (SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace IN ('auth'::regnamespace, 'storage'::regnamespace, 'realtime'::regnamespace)),
		       (SELECT count(*) FROM pg_publication), (SELECT count(*) FROM pg_class WHERE relrowsecurity AND relnamespace <> coalesce(to_regnamespace('mentalspace'), 0)),
		       (SELECT count(*) FROM pg_proc WHERE proname IN ('handle_new_user', 'mine'))};
	my $visible = $ask->($see);
	is($visible, "1|1|1\n1|1|1", "$flavor: a user sees his rows, at first");
	my $before = $ask->($kept);

	my ($status, $out, $err) = $node->psql('app', 'DROP EXTENSION mentalspace', extra_params => [ '-U', $owner ]);
	isnt($status, 0, "$flavor: without CASCADE it is refused");
	like($err, qr/policy own on table notes depends on function auth\.uid\(\)/, "$flavor: and says what for");
	is($ask->($see), $visible, "$flavor: and nothing has changed");

	$ask->('SET client_min_messages = error; DROP EXTENSION mentalspace CASCADE');
	is($ask->($kept), $before, "$flavor: with CASCADE, no table, row, trigger or function of the user's is gone");
	is($ask->(q{SELECT count(*) FROM pg_policies WHERE policyname IN ('own', 'folder')}), 0, "$flavor: policies that called it are gone");
	my $after = $ask->($see);
	is($after =~ s/\|\d+\|/|-|/gr, "0|-|0\n0|-|0", "$flavor: and admit nobody any more");

	# A restrictive policy that goes opens what a permissive one gives: that is PostgreSQL's rule, and DROP ... CASCADE says
	# each policy by name.  Nothing is guarded by the extension alone.
	is(($after =~ /\|(\d+)\|/)[0], 2, "$flavor: a restrictive policy that is dropped restricts no more: said in the documentation");
	($status, $out, $err) = $node->psql('app', 'SELECT mine()', extra_params => [ '-U', $owner ]);
	like($err, qr/function auth\.uid\(\) does not exist/, "$flavor: functions that call it fail, they do not answer");
	$ask->(q{INSERT INTO auth.users (id, email) VALUES ('00000000-0000-4000-8000-00000000000c', 'c@x.test')});
	is($ask->('SELECT count(*) FROM profiles'), 3, "$flavor: the trigger on auth.users fires still");

	# And back.
	$ask->(q{CREATE EXTENSION mentalspace; CREATE POLICY own ON notes USING (auth.uid() = user_id)});
	is($ask->($see) =~ s/\n.*//sr, '1|2|0', "$flavor: created again, and with its policy, the table works as before");
	is($ask->(q{SELECT count(*) FROM mentalspace.provision() WHERE component <> 'roles' AND state IN ('made', 'changed') AND kind NOT IN ('database setting', 'owner of function')}),
		0, "$flavor: provision() finds everything there");
	$node->stop;
}
done_testing();
