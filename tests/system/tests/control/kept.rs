//! Executions outlive their sandbox: how they ended and the last of their output, for whose they are.

use std::time::Duration;

use sandgate_proto::{
    Reason,
    v1::{
        self, DeleteSessionRequest, ExecutionEnded, GetExecutionRequest, ListExecutionsRequest,
        StartExecutionRequest, StreamExecutionRequest, WaitExecutionRequest, WatchSessionRequest,
        execution_ended::Outcome, session_event, stream_execution_response::Event,
        watch_session_response,
    },
};
use sandgate_system::{Caller, Client, Op, Plan, World, assert_reason, fact};
use tokio::time::timeout;
use tonic::{Request, Status};

use crate::{database, rotation::keys};

/// More than is kept.
const LONG: &str = "lines 20000; complain the_secret_of_the_output; exit 4";
const SHORT: &str = "print the_secret_of_the_command";
const ALL: u64 = 160_000;
const TAIL: u64 = 64 * 1024;

/// A sandbox, and who looks at it.
struct Place {
    client: Client,
    caller: Option<Caller>,
    session_id: String,
    sandbox_id: String,
}

impl Place {
    /// One of nobody in particular, in which `long` and then `short` have run.
    async fn new(world: &World) -> Self {
        let client = world.client().await;
        let (session_id, sandbox_id) = client.pair().await;
        let place = Self {
            client,
            caller: None,
            session_id,
            sandbox_id,
        };
        place.run(&[("long", LONG), ("short", SHORT)]).await;
        place
    }

    fn request<T>(&self, message: T) -> Request<T> {
        match &self.caller {
            None => Request::new(message),
            Some(caller) => caller.request(message),
        }
    }

    /// Runs these, and waits until the gateway knows that they have ended.
    async fn run(&self, commands: &[(&str, &str)]) {
        let watch = WatchSessionRequest {
            session_id: self.session_id.clone(),
            ..Default::default()
        };
        let watch = self.request(watch);
        let events = self.client.sessions().watch_session(watch).await.unwrap();
        let mut events = events.into_inner();
        for (id, command) in commands {
            let start = self.request(StartExecutionRequest {
                session_id: self.session_id.clone(),
                sandbox_id: self.sandbox_id.clone(),
                execution_id: (*id).to_owned(),
                command: (*command).to_owned(),
                ..Default::default()
            });
            self.client
                .executions()
                .start_execution(start)
                .await
                .unwrap();
        }
        let mut left = commands.len();
        while left > 0 {
            let event = timeout(Duration::from_secs(20), events.message()).await;
            let event = event.expect("no event within 20 s").unwrap().unwrap();
            if let Some(watch_session_response::Event::Entry(entry)) = event.event
                && let Some(session_event::Event::ExecutionEnded(_)) = entry.event
            {
                left -= 1;
            }
        }
    }

    async fn get(&self, id: &str) -> Result<v1::Execution, Status> {
        let asked = self.request(GetExecutionRequest {
            session_id: self.session_id.clone(),
            sandbox_id: self.sandbox_id.clone(),
            execution_id: id.to_owned(),
        });
        let found = self.client.executions().get_execution(asked).await?;
        Ok(found.into_inner().execution.unwrap())
    }

    async fn wait(&self, id: &str) -> Result<v1::Execution, Status> {
        let asked = self.request(WaitExecutionRequest {
            session_id: self.session_id.clone(),
            sandbox_id: self.sandbox_id.clone(),
            execution_id: id.to_owned(),
            wait_timeout: None,
        });
        let found = self.client.executions().wait_execution(asked).await?;
        Ok(found.into_inner().execution.unwrap())
    }

    async fn list(&self) -> Result<Vec<String>, Status> {
        let asked = self.request(ListExecutionsRequest {
            session_id: self.session_id.clone(),
            sandbox_id: self.sandbox_id.clone(),
            ..Default::default()
        });
        let listed = self.client.executions().list_executions(asked).await?;
        let executions = listed.into_inner().executions;
        Ok(executions.into_iter().map(|one| one.execution_id).collect())
    }

    async fn stream(&self, id: &str, offset: u64) -> Result<Vec<Event>, Status> {
        let asked = self.request(StreamExecutionRequest {
            session_id: self.session_id.clone(),
            sandbox_id: self.sandbox_id.clone(),
            execution_id: id.to_owned(),
            stdout_offset: Some(offset),
            follow: true,
            ..Default::default()
        });
        let stream = self.client.executions().stream_execution(asked).await?;
        let (mut stream, mut events) = (stream.into_inner(), Vec::new());
        while let Some(message) = stream.message().await? {
            events.push(message.event.unwrap());
        }
        Ok(events)
    }

    /// Everything is answered as it would be live, but for output that is gone.
    async fn is_answered(&self) {
        let events = self.stream("long", 8).await.unwrap();
        let [
            Event::Started(started),
            Event::Gap(gap),
            Event::Output(stdout),
            Event::Output(stderr),
            Event::Ended(ended),
        ] = &events[..]
        else {
            panic!("{events:?}")
        };
        assert!(started.attached);
        assert_eq!(started.sandbox_id, self.sandbox_id);
        assert_eq!((gap.start_offset, gap.end_offset), (8, ALL - TAIL));
        assert_eq!(gap.reason, "SANDBOX_GONE");
        assert_eq!(
            (stdout.offset, stdout.data.len()),
            (ALL - TAIL, TAIL as usize)
        );
        assert!(stdout.data.ends_with(b"0019998\n0019999\n"));
        assert_eq!(stderr.data, "the_secret_of_the_output");
        is_the_end(ended);
        let beyond = self.stream("long", ALL + 1).await.unwrap_err();
        assert_reason(&beyond, Reason::OffsetOutOfRange, "so far");
        assert_eq!(fact(&beyond, "offset"), Some(ALL.to_string()));

        let execution = self.get("long").await.unwrap();
        is_the_end(execution.ended.as_ref().unwrap());
        assert_eq!(execution.command, LONG);
        assert!(execution.output_expire_time.is_some());
        assert_eq!(self.wait("long").await.unwrap(), execution);
    }
}

fn is_the_end(ended: &ExecutionEnded) {
    assert_eq!(ended.outcome, Some(Outcome::ExitCode(4)));
    assert_eq!(ended.stdout.unwrap().bytes, ALL);
    assert!(ended.end_time.is_some() && ended.duration.is_some());
}

/// Rows of what is kept, but for those under this key.
async fn rows(world: &World, key_id: &str) -> i64 {
    let query = "SELECT COUNT(*) FROM kept_executions WHERE key_id <> ?";
    database::number(world, query, key_id).await
}

#[tokio::test]
async fn a_sandbox_that_was_lost_is_answered_for() {
    let world = World::start().await;
    let place = Place::new(&world).await;
    let live = place.get("long").await.unwrap();
    assert!(live.output_expire_time.is_none());
    assert!(matches!(
        place.stream("long", 0).await.unwrap()[1],
        Event::Output(_)
    ));
    world.fake.lose(&place.sandbox_id);
    place.is_answered().await;
    assert_eq!(place.list().await.unwrap(), ["short", "long"]);
    let refused = place.get("unknown").await.unwrap_err();
    assert_reason(&refused, Reason::SandboxNotFound, "");
}

#[tokio::test]
async fn a_sandbox_that_was_stopped_and_deleted_is_answered_for() {
    let world = World::start().await;
    let place = Place::new(&world).await;
    let (client, ids) = (&place.client, (&place.session_id, &place.sandbox_id));
    client.stop(ids.0, ids.1).await.unwrap();
    place.is_answered().await;
    assert_eq!(place.list().await.unwrap(), ["short", "long"]);
    let refused = place.get("unknown").await.unwrap_err();
    assert_reason(&refused, Reason::SandboxNotRunning, "STOPPED");

    // Its runner knows nothing of what ran before, and is asked first.
    client.start(ids.0, ids.1).await.unwrap();
    place.is_answered().await;
    assert_eq!(place.list().await.unwrap(), [""; 0]);
    let refused = place.get("unknown").await.unwrap_err();
    assert_reason(&refused, Reason::ExecutionNotFound, "");

    client.delete(ids.0, ids.1).await.unwrap();
    place.is_answered().await;
    let mut file = database::open(&world).await;
    let forgotten = sqlx::query("DELETE FROM sandboxes WHERE sandbox_id = ?")
        .bind(ids.1)
        .execute(&mut file);
    assert_eq!(forgotten.await.unwrap().rows_affected(), 1);
    place.is_answered().await;
    assert_eq!(place.list().await.unwrap(), ["short", "long"]);
    let world = world.restarted(Duration::ZERO).await;
    let place = Place {
        client: world.client().await,
        ..place
    };
    place.is_answered().await;
}

#[tokio::test]
async fn nobody_else_learns_of_it() {
    let (world, admin) = World::administered(Plan::default()).await;
    let ann = admin.issue("ann", &[]).await;
    let (session_id, sandbox_id) = ann.pair().await;
    let mut place = Place {
        client: world.client().await,
        caller: Some(ann.clone()),
        session_id: session_id.clone(),
        sandbox_id,
    };
    place.run(&[("long", LONG), ("short", SHORT)]).await;
    world.fake.lose(&place.sandbox_id);
    let mut file = database::open(&world).await;
    let forget = sqlx::query("DELETE FROM sandboxes").execute(&mut file);
    assert_eq!(forget.await.unwrap().rows_affected(), 1);
    // Routes are known for a second.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    place.is_answered().await;

    let bob = admin.issue("bob", &[]).await;
    let blind = admin.issue("ann", &["sandboxes.read"]).await;
    let (of_bob, of_ann) = (bob.session().await, ann.session().await);
    for (caller, session_id, reason) in [
        (&bob, &session_id, Reason::SessionNotFound),
        (&bob, &of_bob, Reason::SandboxNotFound),
        (&ann, &of_ann, Reason::SandboxNotFound),
        (&blind, &session_id, Reason::SandboxNotFound),
    ] {
        place.caller = Some(caller.clone());
        session_id.clone_into(&mut place.session_id);
        assert_reason(&place.get("long").await.unwrap_err(), reason, "");
        assert_reason(&place.wait("long").await.unwrap_err(), reason, "");
        assert_reason(&place.stream("long", 0).await.unwrap_err(), reason, "");
        assert_reason(&place.list().await.unwrap_err(), reason, "");
    }
}

#[tokio::test]
async fn it_goes_with_its_session() {
    let world = World::start().await;
    let place = Place::new(&world).await;
    assert_eq!(rows(&world, "").await, 2);
    let request = DeleteSessionRequest {
        session_id: place.session_id.clone(),
        ..Default::default()
    };
    place
        .client
        .sessions()
        .delete_session(request)
        .await
        .unwrap();
    assert_eq!(rows(&world, "").await, 0);
    let refused = place.get("long").await.unwrap_err();
    assert_reason(&refused, Reason::SessionNotFound, "");
}

#[tokio::test]
async fn it_is_sealed_and_moves_to_a_new_key() {
    let plan = Plan {
        encryption_keys: keys(&[1]),
        ..Plan::default()
    };
    let world = World::with(plan).await;
    let place = Place::new(&world).await;
    for entry in std::fs::read_dir(world.database().parent().unwrap()).unwrap() {
        let path = entry.unwrap().path();
        // The folder of session files, of which there are none.
        if path.is_dir() {
            continue;
        }
        let bytes = std::fs::read(path).unwrap();
        for text in ["the_secret_of", "0019999"] {
            let found = bytes
                .windows(text.len())
                .any(|some| some == text.as_bytes());
            assert!(!found, "{text}");
        }
    }
    assert_eq!((rows(&world, "").await, rows(&world, "k1").await), (2, 0));

    let world = world.rekeyed(&keys(&[2, 1])).await;
    let client = world.client().await;
    // With the state of the sandbox and the key of the digests.
    assert_eq!(client.rotate_keys().await.unwrap().rotated, 2 + 2);
    assert_eq!(rows(&world, "k2").await, 0);
    let world = world.rekeyed(&keys(&[2])).await;
    world.fake.lose(&place.sandbox_id);
    let place = Place {
        client: world.client().await,
        ..place
    };
    place.is_answered().await;
}

#[tokio::test]
async fn a_start_that_is_repeated_after_a_restart_runs_nothing_twice() {
    let world = World::start().await;
    let place = Place::new(&world).await;
    let (client, ids) = (&place.client, (&place.session_id, &place.sandbox_id));
    client.stop(ids.0, ids.1).await.unwrap();
    client.start(ids.0, ids.1).await.unwrap();
    let runs = world.fake.count(Op::Exec);
    let start = |command: &str| StartExecutionRequest {
        session_id: ids.0.clone(),
        sandbox_id: ids.1.clone(),
        execution_id: "long".to_owned(),
        command: command.to_owned(),
        ..Default::default()
    };
    let again = client.executions().start_execution(start(LONG)).await;
    let again = again.unwrap().into_inner();
    assert!(again.attached);
    is_the_end(&again.execution.unwrap().ended.unwrap());
    let other = client.executions().start_execution(start(SHORT)).await;
    let other = other.unwrap_err();
    assert_reason(&other, Reason::ExecutionIdReused, "GetExecution");

    let request = v1::RunCommandRequest {
        session_id: ids.0.clone(),
        sandbox_id: ids.1.clone(),
        execution_id: "long".to_owned(),
        command: LONG.to_owned(),
        max_output_bytes: Some(16),
        ..Default::default()
    };
    let ran = client.sandboxes().run_command(request).await.unwrap();
    let ran = ran.into_inner();
    assert_eq!(ran.stdout, "0019998\n0019999\n");
    is_the_end(&ran.ended.unwrap());
    let request = v1::ExecRequest {
        session_id: ids.0.clone(),
        sandbox_id: ids.1.clone(),
        execution_id: "long".to_owned(),
        command: LONG.to_owned(),
        ..Default::default()
    };
    let stream = client.sandboxes().exec(request).await.unwrap();
    let (mut stream, mut events) = (stream.into_inner(), 0);
    while stream.message().await.unwrap().is_some() {
        events += 1;
    }
    assert_eq!(events, 5);
    assert_eq!(world.fake.count(Op::Exec), runs, "it ran again");
    // Another one runs.
    client.exec(ids.0, ids.1, "print x").await.unwrap();
    assert_eq!(world.fake.count(Op::Exec), runs + 1);
}
