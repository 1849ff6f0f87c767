//! What listens in a sandbox answers outside.

use std::collections::BTreeMap;

use http::StatusCode;
use sandgate_proto::v1::NetworkMode;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    task::JoinSet,
    time::timeout,
};

use crate::{
    stand::{Ids, Stand},
    visitor::{PATIENCE, digest, fetch, get, open, pattern},
};

/// Bytes of a large body, each way.
const LARGE: usize = 64 << 20;

/// All of it, in this sandbox.
async fn answers(stand: &Stand, ids: &Ids) {
    stand.serve(ids, 8080).await;
    let at = stand.expose(ids, 8080).await;
    assert!(at.ip().is_loopback());
    assert_eq!(get(at, "/hello").await.unwrap(), "hello");

    let due = pattern(LARGE);
    let came = get(at, &format!("/bytes/{LARGE}")).await.unwrap();
    assert_eq!((came.len(), digest(&came)), (LARGE, digest(&due)));
    let none = BTreeMap::new();
    let (status, back) = fetch(at, &none, "POST /echo", due.clone()).await.unwrap();
    assert_eq!(status, StatusCode::OK);
    assert_eq!((back.len(), digest(&back)), (LARGE, digest(&due)));

    // One way ends, and the answer to that still comes.
    let mut stream = open(at, "COUNT\n").await;
    stream.write_all(&due[..1 << 20]).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut text = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut text))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(text, "1048576 bytes\n");
}

/// So many at once, all under way before the first is over.
async fn many(stand: &Stand, ids: &Ids, number: usize) {
    let at = stand.expose(ids, 8080).await;
    let mut streams = Vec::new();
    for _ in 0..number {
        streams.push(open(at, "COUNT\n").await);
    }
    let mut tasks = JoinSet::new();
    for (place, mut stream) in streams.into_iter().enumerate() {
        tasks.spawn(async move {
            let bytes = pattern(10_000 + place);
            stream.write_all(&bytes).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).await.unwrap();
            assert_eq!(text, format!("{} bytes\n", bytes.len()));
        });
    }
    let all = async {
        while let Some(done) = tasks.join_next().await {
            done.unwrap()
        }
    };
    timeout(PATIENCE, all).await.expect("they take too long");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_local_without_a_network() {
    let stand = Stand::local(&[]).await;
    let ids = stand.pair().await;
    answers(&stand, &ids).await;
    many(&stand, &ids, 100).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_container_without_a_network_and_with_one() {
    let stand = Stand::container(&[]).await;
    for mode in [NetworkMode::None, NetworkMode::Private] {
        let ids = stand.pair_with(mode).await;
        answers(&stand, &ids).await;
        many(&stand, &ids, 100).await;
        stand.client.delete(&ids.0, &ids.1).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_container_by_a_bridge() {
    let stand = Stand::container(&["--transport", "bridge"]).await;
    let ids = stand.pair().await;
    answers(&stand, &ids).await;
    many(&stand, &ids, 10).await;
    stand.client.delete(&ids.0, &ids.1).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sandboxes_have_the_same_port_each() {
    let stand = Stand::local(&[]).await;
    let (one, at_one) = stand.served().await;
    let other = stand.pair().await;
    let at_other = stand.expose(&other, 8080).await;
    assert_ne!(at_one, at_other);
    assert_eq!(get(at_one, "/").await.unwrap(), "hello");
    // Nothing listens there: the connection is closed without a byte.
    get(at_other, "/").await.unwrap_err();
    stand.serve(&other, 8080).await;
    stand.client.delete(&one.0, &one.1).await.unwrap();
    assert_eq!(get(at_other, "/").await.unwrap(), "hello");
}
