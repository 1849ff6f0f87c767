//! Watching a session: in order, from any cursor, by many, whoever did it.

use std::time::Duration;

use sandgate_proto::{
    Reason,
    v1::{
        CreateSandboxRequest, DeleteSessionRequest, SandboxState, SessionEvent,
        StartExecutionRequest, WatchSessionRequest, WatchSessionResponse, session_event::Event,
        watch_session_response,
    },
};
use sandgate_system::{Act, Client, Op, World, assert_reason, reason, uuid};
use tokio::time::timeout;
use tonic::{Code, Status, Streaming};

/// One who watches.
struct Watcher(Streaming<WatchSessionResponse>);

impl Watcher {
    async fn new(client: &Client, session_id: &str) -> Self {
        Self::of(client, request_for(session_id)).await.unwrap()
    }

    async fn after(client: &Client, session_id: &str, cursor: &str) -> Self {
        let request = WatchSessionRequest {
            cursor: cursor.to_owned(),
            ..request_for(session_id)
        };
        Self::of(client, request).await.unwrap()
    }

    async fn of(client: &Client, request: WatchSessionRequest) -> Result<Self, Status> {
        let stream = client.sessions().watch_session(request).await?;
        Ok(Self(stream.into_inner()))
    }

    /// The next event; none at a clean end.
    async fn try_next(&mut self) -> Result<Option<SessionEvent>, Status> {
        let message = timeout(Duration::from_secs(10), self.0.message())
            .await
            .expect("no event within 10 s")?;
        let Some(message) = message else {
            return Ok(None);
        };
        match message.event.unwrap() {
            watch_session_response::Event::Entry(entry) => Ok(Some(entry)),
            other => panic!("{other:?}"),
        }
    }

    async fn next(&mut self) -> SessionEvent {
        self.try_next().await.unwrap().expect("the stream ended")
    }

    /// The next states, up to this one.
    async fn until(&mut self, last: SandboxState) -> Vec<(SandboxState, SandboxState)> {
        let mut seen = Vec::new();
        loop {
            let (_, before, after) = state(&self.next().await);
            seen.push((before, after));
            if after == last {
                return seen;
            }
        }
    }

    /// Nothing comes for a while.
    async fn is_quiet(&mut self, time: Duration) {
        let event = timeout(time, self.0.message()).await;
        assert!(event.is_err(), "{event:?}");
    }
}

fn request_for(session_id: &str) -> WatchSessionRequest {
    WatchSessionRequest {
        session_id: session_id.to_owned(),
        ..Default::default()
    }
}

#[track_caller]
fn state(event: &SessionEvent) -> (String, SandboxState, SandboxState) {
    assert!(event.time.is_some() && !event.cursor.is_empty());
    match event.event.as_ref().unwrap() {
        Event::SandboxChanged(changed) => {
            let sandbox = changed.sandbox.as_ref().unwrap();
            (
                sandbox.sandbox_id.clone(),
                changed.previous_state(),
                sandbox.state(),
            )
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn execution(event: &SessionEvent) -> (String, i64) {
    match event.event.as_ref().unwrap() {
        Event::ExecutionEnded(ended) => {
            let execution = ended.execution.as_ref().unwrap();
            let end = execution.ended.as_ref().unwrap().end_time.unwrap();
            (execution.execution_id.clone(), end.seconds)
        }
        other => panic!("{other:?}"),
    }
}

async fn run(client: &Client, session_id: &str, sandbox_id: &str, id: &str, command: &str) {
    let request = StartExecutionRequest {
        session_id: session_id.to_owned(),
        sandbox_id: sandbox_id.to_owned(),
        execution_id: id.to_owned(),
        command: command.to_owned(),
        ..Default::default()
    };
    client.executions().start_execution(request).await.unwrap();
}

use SandboxState::{
    Creating, Deleted, Deleting, Failed, Running, Starting, Stopped, Stopping, Unspecified,
};

const LIFE: [(SandboxState, SandboxState); 8] = [
    (Unspecified, Creating),
    (Creating, Running),
    (Running, Stopping),
    (Stopping, Stopped),
    (Stopped, Starting),
    (Starting, Running),
    (Running, Deleting),
    (Deleting, Deleted),
];

/// Everything that can happen to a sandbox.
async fn live(client: &Client, session_id: &str) -> String {
    let sandbox_id = client.sandbox(session_id).await;
    client.stop(session_id, &sandbox_id).await.unwrap();
    client.start(session_id, &sandbox_id).await.unwrap();
    client.delete(session_id, &sandbox_id).await.unwrap();
    sandbox_id
}

#[tokio::test]
async fn two_watchers_see_every_state_in_order() {
    let world = World::start().await;
    let client = world.client().await;
    let session_id = client.session().await;
    let mut first = Watcher::new(&client, &session_id).await;
    let mut second = Watcher::new(&world.client().await, &session_id).await;
    live(&client, &session_id).await;
    assert_eq!(first.until(Deleted).await, LIFE);
    assert_eq!(second.until(Deleted).await, LIFE);
    first.is_quiet(Duration::from_millis(1500)).await;
}

#[tokio::test]
async fn a_cursor_gives_exactly_what_was_missed() {
    let world = World::start().await;
    let client = world.client().await;
    let session_id = client.session().await;
    let mut watcher = Watcher::new(&client, &session_id).await;
    live(&client, &session_id).await;
    let mut cursors = Vec::new();
    for _ in LIFE {
        cursors.push(watcher.next().await.cursor);
    }
    drop(watcher);
    for (index, cursor) in cursors.iter().enumerate().take(LIFE.len() - 1) {
        let mut again = Watcher::after(&client, &session_id, cursor).await;
        assert_eq!(again.until(Deleted).await, LIFE[index + 1..]);
    }
    let mut last = Watcher::after(&client, &session_id, cursors.last().unwrap()).await;
    last.is_quiet(Duration::from_millis(300)).await;
    let other = client.session().await;
    for (session_id, cursor) in [(&other, cursors[0].as_str()), (&session_id, "rubbish")] {
        let request = WatchSessionRequest {
            cursor: cursor.to_owned(),
            ..request_for(session_id)
        };
        let refused = Watcher::of(&client, request).await.err().unwrap();
        assert_reason(&refused, Reason::InvalidField, "cursor");
    }
}

#[tokio::test]
async fn a_watch_begins_with_the_present_and_may_be_of_one_sandbox() {
    let world = World::start().await;
    let client = world.client().await;
    let (session_id, one) = client.pair().await;
    let aliased = CreateSandboxRequest {
        session_id: session_id.clone(),
        alias: "two".into(),
        ..Default::default()
    };
    let two = client.create(aliased).await.unwrap().sandbox.unwrap();
    let gone = client.sandbox(&session_id).await;
    client.delete(&session_id, &gone).await.unwrap();
    client.stop(&session_id, &one).await.unwrap();

    let mut all = Watcher::new(&client, &session_id).await;
    let mut states = [state(&all.next().await), state(&all.next().await)];
    let mut expected = [
        (one.clone(), Unspecified, Stopped),
        (two.sandbox_id.clone(), Unspecified, Running),
    ];
    states.sort_by(|a, b| a.0.cmp(&b.0));
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(states, expected);

    let of_two = WatchSessionRequest {
        sandbox_id: "@two".into(),
        ..request_for(&session_id)
    };
    let mut only = Watcher::of(&client, of_two).await.unwrap();
    assert_eq!(state(&only.next().await).0, two.sandbox_id);
    client.start(&session_id, &one).await.unwrap();
    client.stop(&session_id, &two.sandbox_id).await.unwrap();
    assert_eq!(only.until(Stopped).await, LIFE[2..4]);
    assert_eq!(
        all.until(Stopped).await,
        [&LIFE[4..6], &LIFE[2..4]].concat()
    );
    let of_none = WatchSessionRequest {
        sandbox_id: uuid(),
        ..request_for(&session_id)
    };
    let refused = Watcher::of(&client, of_none).await.err().unwrap();
    assert_reason(&refused, Reason::SandboxNotFound, "");
    let refused = Watcher::of(&client, request_for(&uuid()))
        .await
        .err()
        .unwrap();
    assert_reason(&refused, Reason::SessionNotFound, "");
}

#[tokio::test]
async fn a_create_that_was_taken_back_is_told_to_its_end() {
    let world = World::start().await;
    let client = world.client().await;
    let session_id = client.session().await;
    let mut watcher = Watcher::new(&client, &session_id).await;
    world
        .fake
        .set(Op::Create, Act::Fail(sandgate_kit::Kind::Rejected));
    let request = CreateSandboxRequest {
        session_id: session_id.clone(),
        ..Default::default()
    };
    client.create(request).await.unwrap_err();
    assert_eq!(
        watcher.until(Deleted).await,
        [
            (Unspecified, Creating),
            (Creating, Failed),
            (Failed, Deleted)
        ]
    );
}

#[tokio::test]
async fn what_another_gateway_does_is_seen_within_two_seconds() {
    let world = World::start().await;
    let client = world.client().await;
    let session_id = client.session().await;
    let mut watcher = Watcher::new(&client, &session_id).await;
    let other = world.beside().await;
    let elsewhere = Client::connect(other.address()).await;
    let sandbox_id = elsewhere.sandbox(&session_id).await;
    let begun = std::time::Instant::now();
    assert_eq!(watcher.until(Running).await, LIFE[..2]);
    assert!(begun.elapsed() < Duration::from_secs(2));
    elsewhere.stop(&session_id, &sandbox_id).await.unwrap();
    let begun = std::time::Instant::now();
    assert_eq!(watcher.until(Stopped).await, LIFE[2..4]);
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn executions_that_end_are_told_once() {
    let world = World::start().await;
    let client = world.client().await;
    let (session_id, sandbox_id) = client.pair().await;
    // Nobody was told of it yet.
    run(&client, &session_id, &sandbox_id, "before", "print x").await;
    let mut first = Watcher::new(&client, &session_id).await;
    assert_eq!(state(&first.next().await).2, Running);
    assert_eq!(execution(&first.next().await).0, "before");
    let mut second = Watcher::new(&client, &session_id).await;
    assert_eq!(state(&second.next().await).2, Running);
    for id in ["one", "two"] {
        run(&client, &session_id, &sandbox_id, id, "print x").await;
    }
    for watcher in [&mut first, &mut second] {
        for id in ["one", "two"] {
            assert_eq!(execution(&watcher.next().await).0, id);
        }
        watcher.is_quiet(Duration::from_secs(4)).await;
    }
    // A watch that begins later is not told of them.
    drop((first, second));
    let mut later = Watcher::new(&client, &session_id).await;
    assert_eq!(state(&later.next().await).2, Running);
    later.is_quiet(Duration::from_secs(4)).await;
}

#[tokio::test]
async fn the_end_of_the_session_is_the_end_of_the_stream() {
    let world = World::start().await;
    let client = world.client().await;
    let (session_id, _) = client.pair().await;
    let mut watcher = Watcher::new(&client, &session_id).await;
    assert_eq!(state(&watcher.next().await).2, Running);
    let request = DeleteSessionRequest {
        session_id: session_id.clone(),
        ..Default::default()
    };
    client.sessions().delete_session(request).await.unwrap();
    let last = watcher.next().await;
    assert!(matches!(last.event, Some(Event::SessionDeleted(_))));
    assert_eq!(watcher.try_next().await.unwrap(), None);
    let request = WatchSessionRequest {
        cursor: last.cursor,
        ..request_for(&session_id)
    };
    let refused = Watcher::of(&client, request).await.err().unwrap();
    assert_reason(&refused, Reason::SessionNotFound, "");
}

#[tokio::test]
async fn a_drain_ends_the_stream_with_a_reason_and_holds_up_nothing() {
    let world = World::start().await;
    let client = world.client().await;
    let (session_id, _) = client.pair().await;
    let mut watcher = Watcher::new(&client, &session_id).await;
    let cursor = watcher.next().await.cursor;
    let begun = std::time::Instant::now();
    let world = world.restarted(Duration::from_secs(30)).await;
    assert!(begun.elapsed() < Duration::from_secs(20));
    let status = watcher.try_next().await.unwrap_err();
    assert_eq!(
        reason(&status),
        (Code::Unavailable, Reason::Draining.name().to_owned())
    );
    let client = world.client().await;
    let mut watcher = Watcher::after(&client, &session_id, &cursor).await;
    let sandbox_id = client.sandbox(&session_id).await;
    assert_eq!(state(&watcher.next().await).0, sandbox_id);
}
