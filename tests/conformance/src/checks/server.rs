//! A server of HTTP in a sandbox.

use sandgate_proto::v1;

use crate::{
    failure::{Failure, broken},
    subject::{Place, Watch, line, new_execution},
};

/// A number that hardly anything else has: at some providers sandboxes share one network.
pub(super) fn some_port() -> u32 {
    let id = uuid::Uuid::new_v4().into_bytes();
    20_000 + u32::from(u16::from_be_bytes([id[0], id[1]])) % 12_000
}

/// One that listens on loopback and gives out the files of a folder, in whichever language there is;
/// its stream and its execution.
pub(super) async fn start(
    place: &Place<'_>,
    port: u32,
    folder: &str,
) -> Result<(Watch, String), Failure> {
    let execution_id = new_execution();
    let command = format!(
        r#"cd '{folder}' || exit
if command -v perl > /dev/null; then exec perl -MIO::Socket::INET -e '
$| = 1;
my $server = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => {port}, Listen => 16, ReuseAddr => 1) or die "listen: $!";
print "up\n";
while (my $client = $server->accept) {{
    my (undef, $path) = split " ", <$client> // "";
    while (my $line = <$client>) {{ last if $line =~ /^\r?\n/ }}
    $path = "." . ($path // "/") =~ s/[?].*//r;
    $path .= "index.html" if $path =~ /[\/]$/;
    my ($status, $body) = ("404 Not Found", "");
    if (-f $path && open my $file, "<:raw", $path) {{ local $/; $body = <$file> // ""; $status = "200 OK" }}
    print $client "HTTP/1.1 $status\r\nContent-Length: " . length($body) . "\r\nConnection: close\r\n\r\n$body";
    close $client;
}}'; fi
exec python3 -c '
import http.server
class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", {port}), Handler)
print("up", flush=True)
server.serve_forever()'"#
    );
    let request = v1::ExecRequest {
        execution_id: execution_id.clone(),
        ..line(command)
    };
    let mut server = place.exec(request).await?;
    let up = server.until_stdout("up").await;
    up.map_err(|failure| {
        broken(format!(
            "no server in the sandbox, which takes perl or python3: {failure}"
        ))
    })?;
    Ok((server, execution_id))
}
