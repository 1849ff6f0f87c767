//! The process is not the stream: readers come and go, gateways and providers end, and every byte
//! is read once.

use std::time::Duration;

use sandgate_proto::{
    Reason,
    v1::{
        ExecRequest, ExecutionEnded, StreamExecutionRequest, StreamExecutionResponse,
        execution_ended::Outcome, stream_execution_response::Event,
    },
};
use sandgate_system::{Client, Fake, Op, World, assert_reason, gateway_for, kit_args};
use tonic::{Status, Streaming};

/// Enough that no buffer holds it.
const LINES: u64 = 2_000_000;
const SCRIPT: &str = "lines 2000000; hang";

/// Reads an execution of numbered lines, each byte of which tells its offset.
#[derive(Default)]
struct Reader {
    offset: u64,
    ended: Option<ExecutionEnded>,
}

impl Reader {
    /// Reads to an offset, or to the end.
    async fn read(
        &mut self,
        stream: &mut Streaming<StreamExecutionResponse>,
        to: u64,
    ) -> Result<(), Status> {
        while self.offset < to {
            let Some(message) = stream.message().await? else {
                assert!(self.ended.is_some(), "a clean end without `ended`");
                return Ok(());
            };
            match message.event.unwrap() {
                Event::Output(chunk) => {
                    assert_eq!(chunk.offset, self.offset);
                    self.check(&chunk.data);
                }
                Event::Ended(ended) => self.ended = Some(ended),
                Event::Started(started) => assert!(started.attached),
                other => assert!(matches!(other, Event::KeepAlive(_)), "{other:?}"),
            }
        }
        Ok(())
    }

    /// Whole lines are compared; what is cut off at either side of a chunk is not.
    fn check(&mut self, data: &[u8]) {
        let lead = (8 - self.offset % 8) % 8;
        let whole = data.get(lead as usize..).unwrap_or_default();
        let first = (self.offset + lead) / 8;
        for (line, number) in whole.chunks_exact(8).zip(first..) {
            assert_eq!(line, format!("{number:07}\n").as_bytes());
        }
        self.offset += data.len() as u64;
    }
}

async fn start(client: &Client, ids: &(String, String), command: &str) {
    let request = ExecRequest {
        session_id: ids.0.clone(),
        sandbox_id: ids.1.clone(),
        execution_id: "e".to_owned(),
        command: command.to_owned(),
        ..Default::default()
    };
    let mut stream = client.sandboxes().exec(request).await.unwrap().into_inner();
    stream.message().await.unwrap().unwrap();
}

async fn stream(
    client: &Client,
    ids: &(String, String),
    offset: u64,
    follow: bool,
) -> Result<Streaming<StreamExecutionResponse>, Status> {
    let request = StreamExecutionRequest {
        session_id: ids.0.clone(),
        sandbox_id: ids.1.clone(),
        execution_id: "e".to_owned(),
        stdout_offset: Some(offset),
        follow,
        ..Default::default()
    };
    Ok(client
        .executions()
        .stream_execution(request)
        .await?
        .into_inner())
}

async fn signal(client: &Client, ids: &(String, String)) {
    let request = sandgate_proto::v1::SignalExecutionRequest {
        session_id: ids.0.clone(),
        sandbox_id: ids.1.clone(),
        execution_id: "e".to_owned(),
        signal: 15,
        ..Default::default()
    };
    client.executions().signal_execution(request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_goes_on_where_it_was() {
    let world = World::start().await;
    let client = world.client().await;
    let ids = client.pair().await;
    start(&client, &ids, SCRIPT).await;
    let mut reader = Reader::default();
    for part in 1..=4 {
        let mut stream = stream(&client, &ids, reader.offset, true).await.unwrap();
        reader.read(&mut stream, part * LINES * 2).await.unwrap();
    }
    assert_eq!(reader.offset, LINES * 8);
    let mut last = stream(&client, &ids, reader.offset, true).await.unwrap();
    signal(&client, &ids).await;
    reader.read(&mut last, u64::MAX).await.unwrap();
    let ended = reader.ended.unwrap();
    assert!(matches!(ended.outcome, Some(Outcome::Signaled(_))));
    assert_eq!(ended.stdout.unwrap().bytes, LINES * 8);
    let beyond = stream(&client, &ids, LINES * 8 + 1, true)
        .await
        .unwrap_err();
    assert_reason(&beyond, Reason::OffsetOutOfRange, "so far");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_ends_where_the_output_did() {
    let world = World::start().await;
    let client = world.client().await;
    let ids = client.pair().await;
    start(&client, &ids, "lines 10; hang").await;
    let mut stream = stream(&client, &ids, 72, false).await.unwrap();
    let mut seen = Vec::new();
    while let Some(message) = stream.message().await.unwrap() {
        seen.push(message.event.unwrap());
    }
    let [
        Event::Started(_),
        Event::Output(chunk),
        Event::SnapshotEnd(end),
    ] = &seen[..]
    else {
        panic!("{seen:?}")
    };
    assert_eq!((chunk.offset, &chunk.data[..]), (72, &b"0000009\n"[..]));
    assert_eq!(end.totals.unwrap().stdout.unwrap().bytes, 80);
    assert!(end.running);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_outlives_its_gateway() {
    let world = World::start().await;
    let client = world.client().await;
    let ids = client.pair().await;
    start(&client, &ids, SCRIPT).await;
    let mut reader = Reader::default();
    let mut before = stream(&client, &ids, 0, true).await.unwrap();
    reader.read(&mut before, LINES).await.unwrap();
    let restarted = tokio::spawn(world.restarted(Duration::from_millis(100)));
    let drained = reader.read(&mut before, u64::MAX).await.unwrap_err();
    assert_reason(&drained, Reason::Draining, "resume");
    assert!(reader.ended.is_none());
    let world = restarted.await.unwrap();

    let client = world.client().await;
    let mut after = stream(&client, &ids, reader.offset, true).await.unwrap();
    reader.read(&mut after, LINES * 8).await.unwrap();
    signal(&client, &ids).await;
    reader.read(&mut after, u64::MAX).await.unwrap();
    assert_eq!(reader.offset, LINES * 8);
    assert_eq!(world.fake.count(Op::Exec), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_outlives_its_provider() {
    let fake = Fake::default();
    let default = ([127, 0, 0, 1], 0).into();
    let provider = sandgate_kit::start(fake.clone(), &kit_args(), default)
        .await
        .unwrap();
    let address = provider.address();
    let (gateway, _data) = gateway_for(Fake::ID, address).await;
    let client = Client::connect(gateway.address()).await;
    let ids = client.pair().await;
    start(&client, &ids, SCRIPT).await;
    let mut reader = Reader::default();
    let mut before = stream(&client, &ids, 0, true).await.unwrap();
    reader.read(&mut before, LINES).await.unwrap();
    let stopped = tokio::spawn(provider.stop(Duration::from_millis(100)));
    let drained = reader.read(&mut before, u64::MAX).await.unwrap_err();
    assert_reason(&drained, Reason::Draining, "");
    stopped.await.unwrap();
    assert_eq!(fake.live(), 1, "a drain ended what ran");

    let args = sandgate_kit::KitArgs {
        listen: Some(address),
        ..kit_args()
    };
    let _again = sandgate_kit::start(fake.clone(), &args, default)
        .await
        .unwrap();
    let mut after = stream(&client, &ids, reader.offset, true).await;
    for _ in 0..20 {
        if after.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        after = stream(&client, &ids, reader.offset, true).await;
    }
    reader.read(&mut after.unwrap(), LINES * 8).await.unwrap();
    assert_eq!(fake.live(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_breaks_is_not_noticed() {
    let world = World::start().await;
    let client = world.client().await;
    let ids = client.pair().await;
    start(&client, &ids, SCRIPT).await;
    let mut reader = Reader::default();
    let mut stream = stream(&client, &ids, 0, true).await.unwrap();
    for part in 1..=4 {
        reader.read(&mut stream, part * LINES * 2).await.unwrap();
        world.fake.unlink(&ids.1);
    }
    signal(&client, &ids).await;
    reader.read(&mut stream, u64::MAX).await.unwrap();
    assert_eq!(reader.offset, LINES * 8);
    assert!(world.fake.count(Op::Reach) > 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_said_and_so_is_a_loss() {
    for lost in [false, true] {
        let world = World::start().await;
        let client = world.client().await;
        let ids = client.pair().await;
        start(&client, &ids, "lines 1; hang").await;
        let mut reader = Reader::default();
        let mut stream = stream(&client, &ids, 0, true).await.unwrap();
        reader.read(&mut stream, 8).await.unwrap();
        if lost {
            world.fake.lose(&ids.1);
        } else {
            client.stop(&ids.0, &ids.1).await.unwrap();
        }
        reader.read(&mut stream, u64::MAX).await.unwrap();
        let ended = reader.ended.unwrap();
        match ended.outcome.clone().unwrap() {
            Outcome::Cancelled(cancelled) if !lost => assert_eq!(cancelled.by, "SANDBOX_STOPPED"),
            Outcome::Lost(gone) if lost => assert_eq!(gone.reason, "SANDBOX_GONE"),
            other => panic!("{other:?}"),
        }
        assert_eq!(ended.stdout.unwrap().bytes, 8);
    }
}
