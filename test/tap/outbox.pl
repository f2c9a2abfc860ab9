# mentalspace-outbox against an HTTP server of our own: what is sent, what is recorded, what is refused, and what a crash does.
use strict;
use warnings;
use IO::Socket::INET;
use IPC::Run;
use MentalspaceTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my ($bindir) = PostgreSQL::Test::Utils::run_command([ $ENV{PG_CONFIG} // 'pg_config', '--bindir' ]);
my $outbox = "$ENV{MS_ROOT_NATIVE}$bindir/mentalspace-outbox";
plan skip_all => 'mentalspace-outbox is not built: libcurl is missing' unless -x $outbox;

# ---- the HTTP server: a process per connection; each request is appended to $log, as a block of lines
my $dir = PostgreSQL::Test::Utils::tempdir();
my ($log, $gate) = ("$dir/requests", "$dir/gate");
my $listen = IO::Socket::INET->new(Listen => 50, LocalAddr => '127.0.0.1', Proto => 'tcp') or die "no socket: $!";
my $url = 'http://127.0.0.1:' . $listen->sockport;

sub answer
{
	my ($client) = @_;
	my ($head, $body) = ('', '');
	while (defined(my $line = <$client>)) { last if $line =~ /^\r?\n$/; $head .= $line; }
	read $client, $body, $1 if $head =~ /^content-length:\s*(\d+)/im;
	my ($path) = $head =~ m{^\S+ (\S+)};
	open my $out, '>>', $log;
	syswrite $out, "$head$body\n----\n";
	close $out;
	my $reply = sub {
		my ($status, $headers, $content) = @_;
		print $client "HTTP/1.1 $status\r\nConnection: close\r\nContent-Length: " . length($content) . "\r\n$headers\r\n$content";
	};
	if ($path =~ m{^/wait}) { usleep 20_000 until -e $gate; $reply->('200 OK', '', 'waited'); }
	elsif ($path =~ m{^/redirect}) { $reply->('302 Found', "Location: $url/hello\r\n", ''); }
	elsif ($path =~ m{^/missing}) { $reply->('404 Not Found', "Content-Type: text/plain\r\n", 'no'); }
	elsif ($path =~ m{^/big}) { $reply->('200 OK', '', 'x' x 100_000); }
	elsif ($path =~ m{^/binary}) { $reply->('200 OK', "X-Odd: \xff\"\\\r\nX-Two: a\r\nX-Two: b\r\n", "a\0b\xffc\xc3\xa4"); }
	elsif ($path =~ m{^/close}) { }
	else { $reply->('200 OK', "Content-Type: application/json\r\n", '{"hello": "world"}'); }
	close $client;
}
my $server = fork // die "no process: $!";
if ($server == 0) {
	$SIG{CHLD} = 'IGNORE';
	$SIG{TERM} = 'DEFAULT';
	while (1) {
		my $client = $listen->accept or next;
		if (!fork) { close $listen; answer($client); require POSIX; POSIX::_exit(0); }
		close $client;
	}
}
close $listen;

# The blocks of the log, and how many of them match.
sub requests { return -e $log ? split /\n----\n/, slurp_file($log) : (); }
sub sent { my ($pattern) = @_; return scalar grep { /$pattern/ } requests(); }

# ---- the database
my $node = start_server('outbox', 'native');
$node->safe_psql('postgres', q{CREATE DATABASE app});
$node->safe_psql('app', q{CREATE EXTENSION mentalspace; CREATE EXTENSION pg_net});
my $db = $node->connstr('app');
sub sql { return $node->safe_psql('app', @_); }
my @once = ($outbox, '--db', $db, '--once');
sub deliver { my @more = @_; return $node->command_ok([ @once, @more ], "mentalspace-outbox --once @more"); }
# What came of a request; columns divided by |.
sub result { my ($id) = @_; return sql("SELECT status_code, content, timed_out, error_msg FROM net._http_response WHERE id = $id"); }

# ---- what is sent is what was asked for
my $get = sql("SELECT net.http_get('$url/hello', params := '{\"q\": \"a b\"}', headers := '{\"X-Empty\": \"\", \"X-Quote\": \"a\\\"; \\\\ \$(id) `id`\"}')");
my $post = sql(qq{SELECT net.http_post('$url/post', body := '{"name": "J\\u00fcrgen", "q": "''; DROP TABLE x; --"}', headers := '{"Authorization": "Bearer token"}')});
my $delete = sql("SELECT net.http_delete('$url/delete', body := '[1]')");
my %key = map { split /\|/ } split /\n/, sql('SELECT id, idempotency_key FROM net.http_request_queue');
deliver('--allow-host', '127.0.0.1');
is(result($get), '200|{"hello": "world"}|f|', 'the response of a GET');
is(sql("SELECT content_type, headers ->> 'Content-Length', response FROM net._http_response r, net.http_collect_response(r.id) WHERE id = $post"),
	'application/json|18|(200,"{""Connection"": ""close"", ""Content-Type"": ""application/json"", ""Content-Length"": ""18""}","{""hello"": ""world""}")', 'the response of a POST');
is(sql('SELECT count(*) FROM net.http_request_queue'), 0, 'the queue is empty');
my @got = requests();
is(scalar @got, 3, 'three requests');
like($got[0], qr{^GET /hello\?q=a%20b HTTP/1.1\r\n}, 'GET with its parameters');
like($got[0], qr{^X-Quote: a"; \\ \$\(id\) `id`\r$}m, 'a header arrives as it is');
like($got[0], qr{^X-Empty:\r$}m, 'an empty one too');
like($got[0], qr{^User-Agent: mentalspace-outbox/}m, 'User-Agent');
like($got[0], qr{^Idempotency-Key: $key{$get}\r$}m, 'Idempotency-Key');
like($got[1], qr{^POST /post HTTP/1.1\r\n.*Content-Type: application/json\r\n.*\n\{"q": "'; DROP TABLE x; --", "name": "J\xc3\xbcrgen"\}$}s, 'POST with its body');
like($got[1], qr{^Authorization: Bearer token\r$}m, 'Authorization');
like($got[2], qr{^DELETE /delete HTTP/1.1\r\n.*\n\[1\]$}s, 'DELETE with a body');

# ---- answers of every kind
my %id;
$id{$_} = sql("SELECT net.http_get('$url/$_')") foreach qw(missing redirect big binary close);
my $before = sent('GET /hello');
$id{nobody} = sql("SELECT net.http_get('http://127.0.0.1:1/')");
deliver('--allow-host', '127.0.0.1', '--max-response', 50000);
is(result($id{missing}), '404|no|f|', 'a status that tells of an error is an answer');
is(result($id{redirect}), '302||f|', 'a redirect is an answer');
is(sent('GET /hello'), $before, 'and is not followed');
is(result($id{big}), '200||f|the response is larger than 50000 bytes', 'a response that is too large');
is(sql("SELECT content = U&'a\\FFFDb\\FFFDc\\00E4', headers ->> 'X-Odd' = U&'\\FFFD\"\\005C', headers ->> 'X-Two' FROM net._http_response WHERE id = $id{binary}"),
	't|t|a, b', 'bytes that are no text');
like(result($id{close}), qr/^\|\|f\|Empty reply from server/, 'no answer');
like(result($id{nobody}), qr/^\|\|f\|Failed to connect/, 'no server');

# ---- timeouts
$id{late} = sql("SELECT net.http_get('$url/wait', timeout_milliseconds := 200)");
deliver('--allow-host', '127.0.0.1');
like(result($id{late}), qr/^\|\|t\|.*timed out/, 'a timeout is honoured and recorded');

# ---- where requests may go
my $count = scalar requests();
$id{private} = sql("SELECT net.http_get('$url/private')");
my $port = $1 if $url =~ /(\d+)$/;
$id{name} = sql("SELECT net.http_get('http://localhost:$port/private')");
$id{decimal} = sql("SELECT net.http_get('http://2130706433:$port/private')");
$id{mapped} = sql("SELECT net.http_get('http://[::ffff:127.0.0.1]:$port/private')");
deliver();
like(result($id{$_}), qr/\|the host has a private address, which needs --allow-host$/, "a private address: $_") foreach qw(private name decimal mapped);
$id{other} = sql("SELECT net.http_get('$url/other')");
deliver('--allow-host', '*.example.org');
like(result($id{other}), qr/\|the host is not one that mentalspace-outbox may send to/, 'a host that is not allowed');
# What the functions would have refused, written into the table by its owner.
sql("INSERT INTO net.http_request_queue (id, method, url, headers, timeout_milliseconds) VALUES
	(1001, 'GET', 'file:///etc/passwd', '{}', 1000), (1002, 'GET', 'gopher://127.0.0.1:$port/', '{}', 1000),
	(1003, 'GET', 'http://127.0.0.1\@127.0.0.1:$port/', '{}', 1000), (1004, 'GET', E'http://127.0.0.1:$port/\\nx', '{}', 1000),
	(1005, 'GET', '$url/x', '{\"A\": \"b\\r\\nInjected: yes\"}', 1000), (1006, 'GET', '$url/x', '{\"A: b\": \"\"}', 1000)");
{
	local $ENV{http_proxy} = $url;
	deliver('--allow-host', '*');
}
is(sql('SELECT string_agg(error_msg, E\'\n\' ORDER BY id) FROM net._http_response WHERE id BETWEEN 1001 AND 1006 AND status_code IS NULL'),
	"the scheme of the url is neither http nor https\nthe scheme of the url is neither http nor https\nthe url holds a user name\n"
	. "invalid url\ninvalid header\ninvalid header", 'schemes, user names, control characters, header injection');
is(scalar requests(), $count, 'none of them was sent');

# ---- a crash: sent again, with the same key
$id{crash} = sql("SELECT net.http_get('$url/wait/crash', timeout_milliseconds := 600000)");
my ($out, $err) = ('', '');
my $process = IPC::Run::start([ @once, '--allow-host', '127.0.0.1' ], '>', \$out, '2>', \$err);
sub wait_until { my ($what, $test) = @_; for (1 .. 1800) { return pass($what) if $test->(); usleep 100_000; } return fail($what); }
wait_until('a request is on its way', sub { sent('/wait/crash') == 1 });
is(result($id{crash}), '', 'nothing is said of it before there is an answer');
$process->kill_kill(grace => 0);
ok($node->poll_query_until('app', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'mentalspace-outbox'}), 'the process dies');
is(sql("SELECT count(*) FROM net.http_request_queue WHERE id = $id{crash}"), 1, 'the request is still queued');

# ---- SIGTERM while a request is on its way
$process = IPC::Run::start([ @once, '--allow-host', '127.0.0.1' ], '>', \$out, '2>', \$err);
wait_until('again on its way', sub { sent('/wait/crash') == 2 });
$process->signal('TERM');
ok($process->finish, 'SIGTERM ends the process cleanly');
is(sql("SELECT count(*) FROM net.http_request_queue WHERE id = $id{crash}"), 1, 'the request stays queued');
append_to_file($gate, '');
deliver('--allow-host', '127.0.0.1');
is(result($id{crash}), '200|waited|f|', 'delivered in the end');
my @keys = map { /^Idempotency-Key: (\S+)/mi ? $1 : () } grep { m{/wait/crash} } requests();
is(scalar @keys, 3, 'sent three times');
is(scalar(keys %{ { map { $_ => 1 } @keys } }), 1, 'with one key, so that the receiver can tell');

# ---- several side by side, and LISTEN
sql("SELECT net.http_post('$url/many/' || n) FROM generate_series(1, 40) n");
my @daemons = map { IPC::Run::start([ $outbox, '--db', $db, '--allow-host', '127.0.0.1' ], '>', \$out, '2>', \$err) } 1 .. 3;
ok($node->poll_query_until('app', 'SELECT count(*) = 0 FROM net.http_request_queue'), 'three processes deliver a queue');
is(sent('POST /many/'), 40, 'each request once');
is(sql("SELECT count(*), count(DISTINCT id) FROM net._http_response JOIN generate_series(1, 1) ON true WHERE status_code = 200 AND id > $id{crash}"), '40|40', 'with one response each');
is(sql('SELECT net.check_worker_is_up()'), '', 'net.check_worker_is_up() sees them');
my $began = Time::HiRes::time();
my $woken = sql("SELECT net.http_get('$url/woken')");
ok($node->poll_query_until('app', "SELECT count(*) = 1 FROM net._http_response WHERE id = $woken"), 'a new request is delivered');
# Without the notification they would look again after half a minute.
cmp_ok(Time::HiRes::time() - $began, '<', 15, 'because they listen');
is(sql("SELECT status, message FROM net.http_collect_response($woken, async := false)"), 'SUCCESS|ok', 'and is waited for');
$node->restart;
my $later = sql("SELECT net.http_get('$url/later')");
ok($node->poll_query_until('app', "SELECT count(*) = 1 FROM net._http_response WHERE id = $later"), 'they come back after a restart of the server');
$_->signal('TERM') foreach @daemons;
ok($_->finish, 'a daemon ends cleanly') foreach @daemons;

# ---- old responses, rights, options
sql("UPDATE net._http_response SET created = now() - interval '7 hours' WHERE id = $later");
deliver('--allow-host', '127.0.0.1');
is(result($later), '', 'old responses are deleted');
sql('CREATE ROLE stranger LOGIN');
$node->command_fails_like([ $outbox, '--once', '--db', "$db user=stranger" ], qr/permission denied/, 'a role without rights');
$node->command_fails_like([ $outbox, '--frobnicate' ], qr/--allow-host PATTERN/, 'usage');
$node->command_fails([ $outbox, '--once', '--db', "$db dbname=nowhere" ], 'no such database');
unlike($err, qr/http:|token|Bearer/, 'the log holds no URLs or keys');
kill 'TERM', $server;
waitpid $server, 0;
$node->stop;
done_testing();
