# What the tests have listen in a sandbox: HTTP, and a few ways to treat a stream of bytes.
use strict;
use IO::Socket::INET;
$| = 1;
$SIG{CHLD} = 'IGNORE';
my ($port) = @ARGV;
my $server = IO::Socket::INET->new(
    LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 256, ReuseAddr => 1,
) or die "listen: $!";
my $block = join '', map { chr(($_ * 31 + ($_ >> 8)) % 256) } 0 .. 65535;
print "up\n";

sub bytes {
    my ($client, $left) = @_;
    while ($left > 0) {
        my $size = $left < 65536 ? $left : 65536;
        print $client substr($block, 0, $size) or exit;
        $left -= $size;
    }
}

sub serve {
    my ($client) = @_;
    my $line = <$client>;
    exit unless defined $line;
    if ($line =~ /^COUNT/) {
        # Answers when the other side has ended.
        my ($count, $part) = (0, '');
        $count += length $part while read $client, $part, 65536;
        print $client "$count bytes\n";
        return;
    }
    if ($line =~ /^DRIP/) {
        print $client "tick\n" or return while select(undef, undef, undef, 0.05) == 0;
        return;
    }
    if ($line =~ /^FLOOD/) {
        bytes($client, 1 << 40);
        return;
    }
    my $length = 0;
    while (my $header = <$client>) {
        last if $header =~ /^\r?\n/;
        $length = $1 if $header =~ /^content-length:\s*(\d+)/i;
    }
    my $head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length:";
    if ($line =~ m{^GET /bytes/(\d+)}) {
        print $client "$head $1\r\n\r\n";
        bytes($client, $1);
    } elsif ($line =~ m{^POST /echo}) {
        print $client "$head $length\r\n\r\n";
        while ($length > 0) {
            my $size = read $client, my $part, $length < 65536 ? $length : 65536;
            last unless $size;
            print $client $part or exit;
            $length -= $size;
        }
    } else {
        print $client "$head 5\r\n\r\nhello";
    }
}

while (1) {
    my $client = $server->accept or next;
    my $child = fork;
    if (defined $child and $child == 0) {
        close $server;
        serve($client);
        exit;
    }
    close $client;
}
