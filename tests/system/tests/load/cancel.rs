//! Callers that go away: the provider hears of it, and nobody else is harmed.

use futures::future::join_all;
use sandgate_proto::v1::{ExecRequest, ExecResponse};
use sandgate_system::{Act, Client, Op, World, eventually};
use tonic::{Status, Streaming};

async fn open(client: &Client, ids: &(String, String)) -> Result<Streaming<ExecResponse>, Status> {
    let request = ExecRequest {
        session_id: ids.0.clone(),
        sandbox_id: ids.1.clone(),
        command: "print x; hang".to_owned(),
        cancel_on_disconnect: true,
        ..Default::default()
    };
    let mut stream = client.sandboxes().exec(request).await?.into_inner();
    stream.message().await?;
    Ok(stream)
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_streams_cancelled_at_once_harm_nobody() {
    let world = World::start().await;
    let client = world.client().await;
    let ids = client.pair().await;
    let bystander_client = world.client().await;
    let mut bystander = open(&bystander_client, &ids).await.unwrap();
    for _ in 0..3 {
        let streams = join_all((0..500).map(|_| open(&client, &ids))).await;
        let streams: Vec<_> = streams.into_iter().map(Result::unwrap).collect();
        assert_eq!(world.fake.live(), 501);
        drop(streams);
        eventually("their commands are ended", || world.fake.live() == 1).await;
        client.exec(&ids.0, &ids.1, "print x").await.unwrap();
    }
    assert_eq!(world.fake.kills(), 1500);
    bystander.message().await.unwrap().unwrap();
    bystander_client
        .exec(&ids.0, &ids.1, "print x")
        .await
        .unwrap();
}

/// Whoever opens and drops calls in a burst may lose their own connection for it.
#[tokio::test(flavor = "multi_thread")]
async fn calls_dropped_before_their_answer_harm_no_other_client() {
    let world = World::start().await;
    let hasty = world.client().await;
    let ids = hasty.pair().await;
    let calm = world.client().await;
    let mut bystander = open(&calm, &ids).await.unwrap();
    world.fake.set(Op::Exec, Act::Hang);
    for round in 0..5 {
        let calls = (0..500).map(|_| {
            let (client, ids) = (hasty.clone(), ids.clone());
            tokio::spawn(async move { open(&client, &ids).await.is_ok() })
        });
        let calls: Vec<_> = calls.collect();
        tokio::time::sleep(std::time::Duration::from_millis(5 * round)).await;
        for call in &calls {
            call.abort();
        }
    }
    world.fake.mend(Op::Exec);
    eventually("what they began is ended", || {
        world.fake.pending(Op::Exec) == 0 && world.fake.live() == 1
    })
    .await;
    bystander.message().await.unwrap().unwrap();
    calm.exec(&ids.0, &ids.1, "print x").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_goes_on_without_its_reader_unless_it_asked_otherwise() {
    let world = World::start().await;
    let client = world.client().await;
    let (session_id, sandbox_id) = client.pair().await;
    let stream = client
        .stream(&session_id, &sandbox_id, "repeat 3000 10000; hang")
        .await
        .unwrap();
    drop(stream);
    eventually("it runs on unread", || world.fake.outputs() == 3000).await;
    assert_eq!(world.fake.live(), 1);
    assert_eq!(world.fake.kills(), 0);
}
