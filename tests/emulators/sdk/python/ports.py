"""Ports, by the host names that the SDK has for them."""

import os
import urllib.error
import urllib.request

from common import fails, same, sandbox, soon

SERVER = r"""perl -MIO::Socket::INET -e '
my $server = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => 8080, Listen => 16, ReuseAddr => 1) or die;
while (my $client = $server->accept) {
    while (my $line = <$client>) { last if $line =~ /^\r?\n/ }
    print $client "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
    close $client;
}'"""


def get(host, **headers):
    """What a name answers; no name server knows it here, so the emulator's address stands for it."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(os.environ["E2B_API_URL"] + "/", headers={"Host": host, **headers})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.read()


def open_to_all():
    with sandbox(timeout=120, allow_internet_access=False) as box:
        host = box.get_host(8080)
        same(host.split(".")[0], f"8080-{box.sandbox_id}")
        error = fails(urllib.error.HTTPError, lambda: get(host))
        same(error.code, 502)
        assert b"port is not open" in error.read()
        box.commands.run(SERVER, background=True)
        same(soon(lambda: answered(host)), b"hello")


def answered(host, **headers):
    try:
        return get(host, **headers)
    except urllib.error.HTTPError:
        return None


def by_token():
    network = {"allow_public_traffic": False}
    with sandbox(timeout=120, allow_internet_access=False, network=network) as box:
        host, token = box.get_host(8080), box.traffic_access_token
        assert token
        box.commands.run(SERVER, background=True)
        same(soon(lambda: answered(host, e2b_traffic_access_token=token)), b"hello")
        same(fails(urllib.error.HTTPError, lambda: get(host)).code, 403)
        wrong = fails(urllib.error.HTTPError, lambda: get(host, e2b_traffic_access_token="guessed"))
        same(wrong.code, 403)


for part in [open_to_all, by_token]:
    part()
    print("ok", part.__name__, flush=True)
