//! A reader that does not read holds up its own stream: neither its command nor anybody else.

use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, future::join_all, stream};
use http_body::Frame;
use sandgate_proto::v1::{
    ExecResponse, ListExecutionsRequest, OutputChunk, StreamExecutionRequest, exec_response::Event,
    stream_execution_response,
};
use sandgate_system::{World, eventually, framed};
use tonic::{Streaming, body::Body};

/// What may be on its way for one stream, all buffers together.
const IN_FLIGHT: u64 = 8 << 20;

/// Each on a connection of its own: on a shared one they would hold up each other.
async fn open(
    world: &World,
    ids: &(String, String),
    scripts: &[&str],
) -> Vec<Streaming<ExecResponse>> {
    let mut streams = Vec::new();
    for script in scripts {
        let client = world.client().await;
        let mut stream = client.stream(&ids.0, &ids.1, script).await.unwrap();
        stream.message().await.unwrap().unwrap();
        streams.push(stream);
    }
    settled(world).await;
    streams
}

/// Waits until the runner is asked for no more output.
async fn settled(world: &World) {
    let mut before = u64::MAX;
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let now = world.fake.sent();
        if now == before {
            return;
        }
        before = now;
    }
    panic!("the runner is read on and on: {before} bytes");
}

async fn others_go_on(world: &World, ids: &(String, String)) {
    let client = world.client().await;
    let runs = join_all((0..50).map(|_| client.exec(&ids.0, &ids.1, "repeat 50 1000")));
    let runs = tokio::time::timeout(Duration::from_secs(20), runs)
        .await
        .expect("held up");
    for run in runs {
        assert_eq!(run.unwrap().stdout.len(), 50_000);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn small_outputs_unread() {
    let world = World::start().await;
    let ids = world.client().await.pair().await;
    // 20 bytes each, 200 MB in all.
    let mut streams = open(&world, &ids, &["repeat 10000000 20"]).await;
    let held = world.fake.sent();
    assert!(held < IN_FLIGHT, "{held} bytes");
    eventually("the command ends unread", || world.fake.live() == 0).await;
    assert_eq!(world.fake.outputs(), 10_000_000);
    others_go_on(&world, &ids).await;
    // It can still go on, from where it was.
    let mut next = 0;
    while next < IN_FLIGHT * 2 {
        if let Some(Event::Output(chunk)) = streams[0].message().await.unwrap().unwrap().event {
            assert_eq!(chunk.offset, next);
            next += chunk.data.len() as u64;
        }
    }
    assert!(world.fake.sent() > held);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_outputs_unread() {
    let world = World::start().await;
    let ids = world.client().await.pair().await;
    let scripts = ["repeat 100000 65536"; 4];
    let streams = open(&world, &ids, &scripts).await;
    let most = IN_FLIGHT * scripts.len() as u64;
    let held = world.fake.sent();
    assert!(held < most, "{held} bytes");
    others_go_on(&world, &ids).await;
    drop(streams);
}

/// Asks for all output of the one execution that there is.
async fn the_only_one(world: &World, ids: &(String, String)) -> StreamExecutionRequest {
    let (session_id, sandbox_id) = ids.clone();
    let request = ListExecutionsRequest {
        session_id: session_id.clone(),
        sandbox_id: sandbox_id.clone(),
        ..Default::default()
    };
    let client = world.client().await;
    let listed = client.executions().list_executions(request).await.unwrap();
    StreamExecutionRequest {
        session_id,
        sandbox_id,
        execution_id: listed.into_inner().executions.remove(0).execution_id,
        follow: true,
        ..Default::default()
    }
}

/// Any number of readers, each at its own pace.
#[tokio::test(flavor = "multi_thread")]
async fn two_that_do_not_read_and_one_that_does() {
    let world = World::start().await;
    let ids = world.client().await.pair().await;
    let mut slow = open(&world, &ids, &["repeat 500 65536"; 1]).await.remove(0);
    let request = the_only_one(&world, &ids).await;
    let mut others = Vec::new();
    for _ in 0..2 {
        let mut executions = world.client().await.executions();
        others.push(
            executions
                .stream_execution(request.clone())
                .await
                .unwrap()
                .into_inner(),
        );
    }
    settled(&world).await;
    let mut fast = others.remove(0);
    let mut read = 0;
    while let Some(message) = fast.message().await.unwrap() {
        if let Some(stream_execution_response::Event::Output(chunk)) = message.event {
            assert_eq!(chunk.offset, read);
            read += chunk.data.len() as u64;
        }
    }
    assert_eq!(read, 500 * 65_536);
    // The first one still has all of it before it.
    let mut late = 0;
    while let Some(message) = slow.message().await.unwrap() {
        if let Some(Event::Output(chunk)) = message.event {
            assert_eq!(chunk.offset, late);
            late += chunk.data.len() as u64;
        }
    }
    assert_eq!(late, read);
    drop(others);
}

/// HTTP/2 counts small unread frames against their whole connection, and ends it for too many. Our
/// kit merges output; another provider may not. The slow readers' own connections may end by it.
#[tokio::test(flavor = "multi_thread")]
async fn small_frames_unread() {
    let world = World::tapped().await;
    let ids = world.client().await.pair().await;
    world.tap().answer("Exec", || {
        let output = OutputChunk {
            data: vec![b'x'; 20].into(),
            ..Default::default()
        };
        let message = framed(&ExecResponse {
            event: Some(Event::Output(output)),
        });
        let frames = stream::repeat(message)
            .take(200_000)
            .map(|message| Ok::<_, tonic::Status>(Frame::<Bytes>::data(message)));
        let body = http_body_util::StreamBody::new(frames.chain(stream::pending()));
        http::Response::builder()
            .header("content-type", "application/grpc")
            .body(Body::new(body))
            .unwrap()
    });
    let mut streams = Vec::new();
    for _ in 0..8 {
        let slow = world.client().await;
        streams.push(slow.stream(&ids.0, &ids.1, "x").await.unwrap());
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    world.tap().mend();
    others_go_on(&world, &ids).await;
}
