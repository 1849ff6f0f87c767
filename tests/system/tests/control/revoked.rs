//! The end of a key is the end of all that it reads, and of nothing that it started.

use std::time::{Duration, Instant, SystemTime};

use sandgate_proto::{
    Reason,
    v1::{
        ExecRequest, ExecutionState, GetExecutionRequest, GetExecutionResponse, IssueApiKeyRequest,
        StreamExecutionRequest, WatchSessionRequest, exec_response, stream_execution_response,
    },
};
use sandgate_system::{Caller, Client, Plan, World, assert_reason};
use tokio::time::timeout;
use tonic::{Status, Streaming};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// A sandbox, and how keys read from it.
struct Place {
    session_id: String,
    sandbox_id: String,
}

impl Place {
    async fn of(caller: &Caller) -> Self {
        let (session_id, sandbox_id) = caller.pair().await;
        Self {
            session_id,
            sandbox_id,
        }
    }

    async fn exec(
        &self,
        client: &Client,
        key: &Caller,
        id: &str,
        command: &str,
    ) -> Streaming<sandgate_proto::v1::ExecResponse> {
        let request = key.request(ExecRequest {
            session_id: self.session_id.clone(),
            sandbox_id: self.sandbox_id.clone(),
            execution_id: id.to_owned(),
            command: command.to_owned(),
            ..Default::default()
        });
        let stream = client.sandboxes().exec(request).await;
        stream.unwrap().into_inner()
    }

    async fn stream(
        &self,
        client: &Client,
        key: &Caller,
        id: &str,
        offset: u64,
    ) -> Streaming<sandgate_proto::v1::StreamExecutionResponse> {
        let request = key.request(StreamExecutionRequest {
            session_id: self.session_id.clone(),
            sandbox_id: self.sandbox_id.clone(),
            execution_id: id.to_owned(),
            stdout_offset: Some(offset),
            follow: true,
            ..Default::default()
        });
        let stream = client.executions().stream_execution(request).await;
        stream.unwrap().into_inner()
    }

    async fn watch(
        &self,
        client: &Client,
        key: &Caller,
    ) -> Streaming<sandgate_proto::v1::WatchSessionResponse> {
        let request = key.request(WatchSessionRequest {
            session_id: self.session_id.clone(),
            ..Default::default()
        });
        let stream = client.sessions().watch_session(request).await;
        stream.unwrap().into_inner()
    }

    async fn state(&self, key: &Caller, id: &str) -> ExecutionState {
        let request = GetExecutionRequest {
            session_id: self.session_id.clone(),
            sandbox_id: self.sandbox_id.clone(),
            execution_id: id.to_owned(),
        };
        let reply = key.call("ExecutionService/GetExecution", &request).await;
        let found: GetExecutionResponse = reply.message();
        found.execution.unwrap().state()
    }
}

/// Bytes of output in a message.
trait Output {
    fn output(self) -> Option<(u64, bytes::Bytes)>;
}

impl Output for sandgate_proto::v1::ExecResponse {
    fn output(self) -> Option<(u64, bytes::Bytes)> {
        match self.event.unwrap() {
            exec_response::Event::Output(chunk) => Some((chunk.offset, chunk.data)),
            _ => None,
        }
    }
}

impl Output for sandgate_proto::v1::StreamExecutionResponse {
    fn output(self) -> Option<(u64, bytes::Bytes)> {
        match self.event.unwrap() {
            stream_execution_response::Event::Output(chunk) => Some((chunk.offset, chunk.data)),
            _ => None,
        }
    }
}

/// Reads numbered lines behind those that were read before, up to this offset or an error.
async fn read<T: Output>(
    stream: &mut Streaming<T>,
    read: &mut Vec<u8>,
    to: usize,
) -> Result<(), Status> {
    while read.len() < to {
        let message = timeout(PATIENCE, stream.message()).await;
        let message = message.expect("nothing comes")?.expect("a clean end");
        if let Some((offset, data)) = message.output() {
            assert_eq!(offset, read.len() as u64);
            read.extend_from_slice(&data);
        }
    }
    Ok(())
}

fn lines(count: usize) -> Vec<u8> {
    let text: String = (0..count).map(|number| format!("{number:07}\n")).collect();
    text.into_bytes()
}

/// When a stream ends, and how; whatever it says before.
async fn end<T>(mut stream: Streaming<T>) -> (Instant, Status) {
    let ended = async {
        loop {
            match stream.message().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("a clean end"),
                Err(status) => return (Instant::now(), status),
            }
        }
    };
    timeout(PATIENCE, ended).await.expect("it never ends")
}

#[track_caller]
fn assert_ended((at, status): &(Instant, Status), since: Instant, within: Duration) {
    assert_reason(status, Reason::AuthenticationRequired, "revoked");
    let took = at.saturating_duration_since(since);
    assert!(took < within, "after {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_of_a_revoked_key_end_everywhere_and_the_work_runs_on() {
    let (world, admin) = World::administered(Plan::default()).await;
    let second = world.beside().await;
    let (here, there) = (
        world.client().await,
        Client::connect(second.address()).await,
    );
    let (ending, staying) = (admin.issue("ann", &[]).await, admin.issue("ann", &[]).await);
    let place = Place::of(&staying).await;

    let (mut seen, script) = (Vec::new(), "lines 100; sleep 2500; print end; hang");
    let mut ran = place.exec(&here, &ending, "e", script).await;
    read(&mut ran, &mut seen, 800).await.unwrap();
    let streamed = place.stream(&here, &ending, "e", 0).await;
    let watched = place.watch(&here, &ending).await;
    let far_streamed = place.stream(&there, &ending, "e", 0).await;
    let far_watched = place.watch(&there, &ending).await;
    let mut kept = place.stream(&here, &staying, "e", 0).await;
    let mut far_kept = place.stream(&there, &staying, "e", 0).await;
    let mut kept_watch = place.watch(&here, &staying).await;

    let near = tokio::spawn(async move { tokio::join!(end(ran), end(streamed), end(watched)) });
    let far = tokio::spawn(async move { tokio::join!(end(far_streamed), end(far_watched)) });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!near.is_finished() && !far.is_finished());
    admin.revoke(&ending.api_key_id).await;
    let revoked = Instant::now();
    let near = near.await.unwrap();
    for ended in [&near.0, &near.1, &near.2] {
        assert_ended(ended, revoked, Duration::from_millis(500));
    }
    let far = far.await.unwrap();
    for ended in [&far.0, &far.1] {
        assert_ended(ended, revoked, Duration::from_millis(3000));
    }

    assert_eq!(place.state(&staying, "e").await, ExecutionState::Running);
    let whole = [lines(100), b"end".to_vec()].concat();
    for stream in [&mut kept, &mut far_kept] {
        let mut seen = Vec::new();
        read(stream, &mut seen, whole.len()).await.unwrap();
        assert_eq!(seen, whole);
    }
    let mut resumed = place.stream(&here, &staying, "e", 800).await;
    read(&mut resumed, &mut seen, whole.len()).await.unwrap();
    assert_eq!(seen, whole);
    assert_eq!((world.fake.live(), world.fake.kills()), (1, 0));
    while let Ok(next) = timeout(Duration::from_millis(100), kept_watch.message()).await {
        assert!(next.unwrap().is_some(), "a clean end");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_in_full_flow_ends_too_and_another_key_goes_on_where_it_was() {
    const LINES: usize = 2_000_000;
    let (world, admin) = World::administered(Plan::default()).await;
    let client = world.client().await;
    let (ending, staying) = (admin.issue("ann", &[]).await, admin.issue("ann", &[]).await);
    let place = Place::of(&staying).await;
    let mut seen = Vec::new();
    let mut ran = place
        .exec(&client, &ending, "e", "lines 2000000; hang")
        .await;
    read(&mut ran, &mut seen, 1_000_000).await.unwrap();
    admin.revoke(&ending.api_key_id).await;
    let ended = read(&mut ran, &mut seen, LINES * 8).await.unwrap_err();
    assert_reason(&ended, Reason::AuthenticationRequired, "revoked");
    assert!(seen.len() < LINES * 8);
    drop(ran);
    let mut resumed = place
        .stream(&client, &staying, "e", seen.len() as u64)
        .await;
    read(&mut resumed, &mut seen, LINES * 8).await.unwrap();
    assert!(seen == lines(LINES));
    assert_eq!(place.state(&staying, "e").await, ExecutionState::Running);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_end_when_their_key_expires() {
    let (world, admin) = World::administered(Plan::default()).await;
    let client = world.client().await;
    let staying = admin.issue("ann", &[]).await;
    let place = Place::of(&staying).await;
    let (begun, life) = (Instant::now(), Duration::from_millis(1500));
    let ending = admin
        .issue_as(IssueApiKeyRequest {
            org_id: "acme".to_owned(),
            user_id: "ann".to_owned(),
            expire_time: Some((SystemTime::now() + life).into()),
            ..Default::default()
        })
        .await;
    let ran = place.exec(&client, &ending, "e", "hang").await;
    let watched = place.watch(&client, &ending).await;
    let (ran, watched) = tokio::join!(end(ran), end(watched));
    for ended in [&ran, &watched] {
        assert!(
            ended.0 - begun >= life - Duration::from_millis(1),
            "too soon"
        );
        assert_ended(ended, begun + life, Duration::from_millis(3000));
    }
    assert_eq!(place.state(&staying, "e").await, ExecutionState::Running);
}
