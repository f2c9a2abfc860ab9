package Wire;

# A client that speaks PostgreSQL's protocol itself, so that nothing that the server sent is lost to a library: libpq's
# PQexec throws the rows away that came before an error.
#
#   my $wire = Wire->new(user => ..., database => ...);      PGHOST names the directory of the socket
#   my $got = $wire->simple($sql);                           the simple protocol: statements separated by ;
#   my $got = $wire->extended($sql, \@params, @fetches);     Parse, Bind, one Execute per number of rows (0: all)
#
# A result has rows (texts of all columns, one string a row), copied (lines of COPY), said (notices and errors), error
# (SQLSTATE, undef: none), and tags (of the commands that ended).
use strict;
use warnings;
use IO::Socket::UNIX;

sub new
{
	my ($class, %options) = @_;
	my $host = $ENV{PGHOST} || die "PGHOST is not set\n";
	my $socket = IO::Socket::UNIX->new(Peer => "$host/.s.PGSQL." . ($ENV{PGPORT} || 5432))
		or die "no server at $host: $!\n";
	my $self = bless { socket => $socket, buffer => '' }, $class;
	my $startup = pack('N', 196608) . join('', map { "$_\0$options{$_}\0" } sort keys %options) . "\0";
	$self->send_raw(pack('N', length($startup) + 4) . $startup);
	my $got = $self->receive();
	die "connection refused: @{$got->{said}}\n" if defined $got->{error};
	return $self;
}

sub send_raw
{
	my ($self, $bytes) = @_;
	while (length $bytes)
	{
		my $written = syswrite($self->{socket}, $bytes);
		die "the connection is lost\n" unless $written;
		substr($bytes, 0, $written) = '';
	}
}

sub message
{
	my ($type, $body) = @_;
	return $type . pack('N', length($body) + 4) . $body;
}

sub read_bytes
{
	my ($self, $length) = @_;
	while (length($self->{buffer}) < $length)
	{
		my $read = sysread($self->{socket}, $self->{buffer}, 65536, length($self->{buffer}));
		die "the server closed the connection\n" unless $read;
	}
	return substr($self->{buffer}, 0, $length, '');
}

# Fields of an ErrorResponse or NoticeResponse.
sub fields
{
	my ($body) = @_;
	my %field;
	for my $part (split /\0/, $body)
	{
		$field{substr($part, 0, 1)} = substr($part, 1) if length $part;
	}
	return %field;
}

# Until ReadyForQuery.
sub receive
{
	my ($self) = @_;
	my $got = { rows => [], copied => [], said => [], tags => [], error => undef, message => '' };
	while (1)
	{
		my ($type, $length) = unpack('aN', $self->read_bytes(5));
		my $body = $self->read_bytes($length - 4);
		if ($type eq 'D')
		{
			my ($count, $offset, @values) = (unpack('n', $body), 2);
			for (1 .. $count)
			{
				my $size = unpack('N', substr($body, $offset, 4));
				$offset += 4;
				if ($size == 0xffffffff) { push @values, '(null)'; next; }
				push @values, substr($body, $offset, $size);
				$offset += $size;
			}
			push @{ $got->{rows} }, join('|', @values);
		}elsif ($type eq 'd')
		{
			push @{ $got->{copied} }, $body;
		}elsif ($type eq 'C')
		{
			push @{ $got->{tags} }, unpack('Z*', $body);
		}elsif ($type eq 'N' || $type eq 'E')
		{
			my %field = fields($body);
			push @{ $got->{said} }, join(' ', map { defined $field{$_} ? $field{$_} : () } qw(M D H W));
			if ($type eq 'E')
			{
				($got->{error}, $got->{message}) = ($field{C}, $field{M});
				die "the server ended the connection: $field{M}\n" if ($field{V} // $field{S}) =~ /^(FATAL|PANIC)$/;
			}
		}elsif ($type eq 'R')
		{
			die "the server asks for a password\n" if unpack('N', $body) != 0;
		}elsif ($type eq 'G')
		{
			$self->send_raw(message('f', "no\0"));
		}elsif ($type eq 'Z')
		{
			$self->{status} = $body;
			return $got;
		}
	}
}

sub simple
{
	my ($self, $sql) = @_;
	$self->send_raw(message('Q', "$sql\0"));
	return $self->receive();
}

sub extended
{
	my ($self, $sql, $params, @fetches) = @_;
	my $bytes = message('P', "\0$sql\0" . pack('n', 0));
	$bytes .= message('B',
		"\0\0" . pack('nn', 0, scalar @$params) . join('', map { pack('N', length $_) . $_ } @$params) . pack('n', 0));
	$bytes .= message('E', "\0" . pack('N', $_)) for @fetches ? @fetches : (0);
	$self->send_raw($bytes . message('S', ''));
	return $self->receive();
}

# What was received, in one string.
sub text
{
	my ($got) = @_;
	return join("\n", @{ $got->{rows} }, @{ $got->{copied} }, @{ $got->{said} });
}

sub close
{
	my ($self) = @_;
	$self->send_raw(message('X', ''));
	close $self->{socket};
}

1;
