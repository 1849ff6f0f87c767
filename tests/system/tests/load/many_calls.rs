//! Thousands of calls over the same few connections.
//!
//! An HTTP/2 peer allows about a hundred empty DATA frames on a connection and then closes it, with
//! all that run there; a relay that puts bodies together carelessly sends one with each call.

use futures::{StreamExt as _, stream};
use sandgate_proto::{
    Reason,
    v1::{WriteFileOpen, WriteFileRequest, file_service_client::FileServiceClient},
};
use sandgate_system::{World, assert_reason};

const AT_ONCE: usize = 32;

#[tokio::test(flavor = "multi_thread")]
async fn four_thousand_commands_over_one_connection_all_succeed() {
    let world = World::start().await;
    let client = world.client().await;
    let (session_id, sandbox_id) = client.pair().await;
    let runs = stream::iter(0..4000).map(|_| client.exec(&session_id, &sandbox_id, "print x"));
    let failed: Vec<_> = runs
        .buffer_unordered(AT_ONCE)
        .filter_map(|run| async { run.err() })
        .collect()
        .await;
    assert!(
        failed.is_empty(),
        "{} failed, the first: {:?}",
        failed.len(),
        failed[0]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn four_thousand_looks_over_one_connection_all_succeed() {
    let world = World::start().await;
    let client = world.client().await;
    let (session_id, sandbox_id) = client.pair().await;
    let looks = stream::iter(0..4000).map(|_| client.get(&session_id, &sandbox_id));
    let failed: Vec<_> = looks
        .buffer_unordered(AT_ONCE)
        .filter_map(|look| async { look.err() })
        .collect()
        .await;
    assert!(
        failed.is_empty(),
        "{} failed, the first: {:?}",
        failed.len(),
        failed[0]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_harm_no_connection() {
    let world = World::start().await;
    let client = world.client().await;
    let (session_id, sandbox_id) = client.pair().await;
    let mut bystander = client
        .stream(&session_id, &sandbox_id, "print x; hang")
        .await
        .unwrap();
    bystander.message().await.unwrap().unwrap();
    for _ in 0..500 {
        let first = WriteFileRequest {
            session_id: session_id.clone(),
            sandbox_id: sandbox_id.clone(),
            open: Some(WriteFileOpen {
                path: "much".to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let more = WriteFileRequest {
            data: vec![0; 1000].into(),
            ..Default::default()
        };
        let upload = stream::iter([first, more.clone(), more]);
        let answer = FileServiceClient::new(client.channel.clone())
            .write_file(upload)
            .await;
        // The runner of the scripted provider knows no files; the requests have crossed all the same.
        let refused = answer.unwrap_err();
        assert_reason(&refused, Reason::CapabilityUnsupported, "older");
    }
    bystander.message().await.unwrap().unwrap();
    client
        .exec(&session_id, &sandbox_id, "print x")
        .await
        .unwrap();
}
