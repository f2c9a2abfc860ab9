package Draw;

# Random choices that depend on the seed alone.
use strict;
use warnings;
use Exporter 'import';
our @EXPORT = qw(pick chance number draw_from);

sub draw_from { my ($seed) = @_; srand($seed % 4294967296); }
sub pick { return $_[int(rand(@_))]; }
sub chance { return rand() < $_[0]; }
sub number { my ($from, $to) = @_; return $from + int(rand($to - $from + 1)); }

1;
