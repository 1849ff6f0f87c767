//! Bounds, and where addresses are taken from.

use sandgate_proto::Reason;
use sandgate_system::{assert_reason, fact};

use crate::{
    stand::Stand,
    visitor::{get, is_refused, open},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_has_so_many_ports_and_no_more() {
    let stand = Stand::local(&[]).await;
    let ids = stand.pair().await;
    for port in 1..=32 {
        stand.expose(&ids, port).await;
    }
    let error = stand.try_expose(&ids, 33).await.unwrap_err();
    assert_reason(&error, Reason::TooManyPorts, "32");
    assert_eq!(fact(&error, "limit").as_deref(), Some("32"));
    // Those that are there are no news.
    stand.expose(&ids, 32).await;
    stand.unexpose(&ids, 7).await.unwrap();
    stand.expose(&ids, 33).await;
    let other = stand.pair().await;
    stand.expose(&other, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_come_from_the_range_and_carry_the_name() {
    // Two ports that are free together, as far as can be known.
    let first = (21_000..30_000)
        .step_by(2)
        .find(|first| {
            let free = |port| std::net::TcpListener::bind(("127.0.0.2", port)).is_ok();
            free(*first) && free(first + 1)
        })
        .unwrap();
    let range = format!("{first}-{}", first + 1);
    let stand = Stand::local(&[
        ("SANDGATE_PORTS_ADDRESS", "127.0.0.2"),
        ("SANDGATE_PORTS_RANGE", &range),
        ("SANDGATE_PORTS_HOST", "apps.example.com"),
    ])
    .await;
    let ids = stand.pair().await;
    stand.serve(&ids, 8080).await;
    let one = stand.try_expose(&ids, 8080).await.unwrap();
    assert_eq!(one.url, format!("http://apps.example.com:{first}"));
    let at = ([127, 0, 0, 2], first).into();
    assert_eq!(get(at, "/").await.unwrap(), "hello");
    assert!(is_refused(([127, 0, 0, 1], first).into()).await);
    stand.try_expose(&ids, 8081).await.unwrap();
    let error = stand.try_expose(&ids, 8082).await.unwrap_err();
    assert_reason(&error, Reason::TooManyPorts, "SANDGATE_PORTS_RANGE");
    stand.unexpose(&ids, 8080).await.unwrap();
    let three = stand.try_expose(&ids, 8082).await.unwrap();
    assert_eq!(three.url, one.url);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_has_so_many_connections_and_no_more() {
    let stand = Stand::local(&[]).await;
    let ids = stand.pair().await;
    // One process takes them all, says a word to each, and waits for its end.
    let quiet = r#"perl -MIO::Socket::INET -MIO::Select -e '
        $| = 1;
        $server = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => 7000, Listen => 500) or die;
        $all = IO::Select->new($server);
        print "up\n";
        while (1) {
            for my $ready ($all->can_read) {
                if ($ready == $server) {
                    my $client = $server->accept;
                    syswrite $client, "in";
                    $all->add($client);
                } elsif (!sysread $ready, my $bytes, 1) {
                    $all->remove($ready);
                    close $ready;
                }
            }
        }'"#;
    let mut stream = stand.client.stream(&ids.0, &ids.1, quiet).await.unwrap();
    stream.message().await.unwrap();
    stream.message().await.unwrap();
    let at = stand.expose(&ids, 7000).await;
    let mut held = Vec::new();
    for _ in 0..256 {
        let mut stream = open(at, "").await;
        let mut said = [0; 2];
        tokio::io::AsyncReadExt::read_exact(&mut stream, &mut said)
            .await
            .unwrap();
        held.push(stream);
    }
    crate::visitor::ends(open(at, "").await).await;
    drop(held.pop());
    // The place of one that went is free.
    let begun = std::time::Instant::now();
    loop {
        let mut stream = open(at, "").await;
        let mut said = [0; 2];
        let read = tokio::io::AsyncReadExt::read_exact(&mut stream, &mut said).await;
        if read.is_ok() {
            break;
        }
        assert!(begun.elapsed().as_secs() < 20, "no place is free");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}
