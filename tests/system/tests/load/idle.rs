//! A thousand streams on which nothing happens.

use futures::future::join_all;
use sandgate_proto::v1::ExecRequest;
use sandgate_system::{World, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_idle_streams_open_and_close() {
    let world = World::start().await;
    let client = world.client().await;
    let (session_id, sandbox_id) = client.pair().await;
    let opened = join_all((0..1000).map(|_| async {
        let request = ExecRequest {
            session_id: session_id.clone(),
            sandbox_id: sandbox_id.clone(),
            command: "hang".to_owned(),
            cancel_on_disconnect: true,
            ..Default::default()
        };
        let mut stream = client.sandboxes().exec(request).await.unwrap().into_inner();
        stream.message().await.unwrap().unwrap();
        stream
    }));
    let streams = opened.await;
    assert_eq!(world.fake.live(), 1000);
    for _ in 0..20 {
        client
            .exec(&session_id, &sandbox_id, "print x")
            .await
            .unwrap();
    }
    drop(streams);
    eventually("all are closed", || world.fake.live() == 0).await;
    client
        .exec(&session_id, &sandbox_id, "print x")
        .await
        .unwrap();
}
