//! A gateway whose clock stands until a test moves it, and what its database says.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, SystemTime},
};

use sandgate_gateway::{Clock, Pace};
use sandgate_proto::v1::{
    CreateSandboxRequest, Lifecycle, Sandbox, SandboxSpec, SandboxState, StartExecutionRequest,
};
use sandgate_system::{Client, Plan, World};
use sqlx::{SqlitePool, sqlite::SqliteConnectOptions};

/// By how much the clock is ahead of the provider's from the start, so that nothing that the provider
/// says happened lies ahead of it when it is set back.
const AHEAD: Duration = Duration::from_secs(2 * 3600);
/// Looks at the database until what is left of the work counts as waiting for something.
const PATIENCE: u32 = 250;

/// All that a test has.
pub(crate) struct Stand {
    pub(crate) world: World,
    pub(crate) client: Client,
    pub(crate) clock: Clock,
    pub(crate) session_id: String,
    database: SqlitePool,
    now: AtomicI64,
}

/// A sandbox as its row has it.
#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub(crate) struct Row {
    state: i32,
    pub(crate) activity_time: i64,
    pub(crate) version: i64,
    pub(crate) due_time: Option<i64>,
    pub(crate) reason_code: String,
}

impl Row {
    pub(crate) fn state(&self) -> SandboxState {
        self.state.try_into().unwrap()
    }
}

/// A length of time in a spec.
#[allow(clippy::unnecessary_wraps, reason = "fields of a message are options")]
pub(crate) fn secs(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

/// Milliseconds of a time in an answer.
pub(crate) fn millis(time: Option<prost_types::Timestamp>) -> Option<i64> {
    let time = SystemTime::try_from(time?).unwrap();
    Some(since_epoch(time))
}

fn since_epoch(time: SystemTime) -> i64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_millis()
        .try_into()
        .unwrap()
}

impl Stand {
    pub(crate) async fn new() -> Self {
        Self::with(Plan::default()).await
    }

    pub(crate) async fn pausing() -> Self {
        let can_pause = true;
        Self::with(Plan {
            can_pause,
            ..Plan::default()
        })
        .await
    }

    async fn with(plan: Plan) -> Self {
        let now = since_epoch(SystemTime::now()) + span(AHEAD);
        let clock = Clock::manual();
        clock.jump(span(AHEAD));
        let world = World::with(Plan {
            clock: clock.clone(),
            // Looks with every move of the clock.
            pace: Pace {
                interval: Duration::from_millis(1),
                ..Pace::default()
            },
            ..plan
        })
        .await;
        let client = world.client().await;
        let session_id = client.session().await;
        let options = SqliteConnectOptions::new().filename(world.database());
        Self {
            database: SqlitePool::connect_with(options).await.unwrap(),
            now: AtomicI64::new(now),
            client,
            session_id,
            clock,
            world,
        }
    }

    /// The gateway ends, this time passes, and another one takes its place.
    pub(crate) async fn restarted(self, away: Duration) -> Self {
        self.awake().await;
        let (clock, fake) = (self.clock.clone(), self.world.fake.clone());
        let meanwhile = async move {
            clock.advance(away);
            fake.age(away);
        };
        self.now.fetch_add(span(away), Ordering::SeqCst);
        let world = self.world.away(Duration::ZERO, meanwhile).await;
        Self {
            client: world.client().await,
            world,
            ..self
        }
    }

    /// What the clock shows, but for some milliseconds.
    pub(crate) fn now(&self) -> i64 {
        self.now.load(Ordering::SeqCst)
    }

    /// Lets time pass, at once.
    pub(crate) fn move_clock(&self, time: Duration) {
        self.now.fetch_add(span(time), Ordering::SeqCst);
        self.clock.advance(time);
        self.world.fake.age(time);
    }

    /// Sets the wall clock alone, and waits until that was seen.
    pub(crate) async fn jump(&self, millis: i64) {
        self.set_clock(millis);
        self.awake().await;
    }

    /// Sets the wall clock alone.
    pub(crate) fn set_clock(&self, millis: i64) {
        self.now.fetch_add(millis, Ordering::SeqCst);
        self.clock.jump(millis);
    }

    /// Waits until the gateway has noted that it is awake.
    pub(crate) async fn awake(&self) {
        for _ in 0..2000 {
            let awake = sqlx::query_scalar("SELECT awake_time FROM installation");
            let awake: i64 = awake.fetch_one(&self.database).await.unwrap();
            if (self.now() - awake).abs() < 30_000 {
                return;
            }
            self.move_clock(Duration::from_millis(1));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("the gateway does not note that it is awake");
    }

    /// Lets so many seconds pass, at once, and all be done that is due then.
    pub(crate) async fn pass(&self, seconds: u64) {
        self.move_clock(Duration::from_secs(seconds));
        self.settle().await;
    }

    /// Lets so many seconds pass in such steps.
    pub(crate) async fn pass_in(&self, seconds: u64, step: u64) {
        for _ in 0..seconds / step {
            self.pass(step).await;
        }
    }

    /// Lets time pass in steps of so many seconds, at most so many, until something holds.
    #[track_caller]
    pub(crate) fn until(
        &self,
        step: u64,
        most: u32,
        what: &'static str,
        holds: impl AsyncFn() -> bool,
    ) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        async move {
            for _ in 0..most {
                self.pass(step).await;
                if holds().await {
                    return;
                }
            }
            panic!("{place}: not within {most} steps of {step} s: {what}");
        }
    }

    /// As [`Self::until`], that a sandbox is in this state.
    #[track_caller]
    pub(crate) fn until_state(
        &self,
        sandbox_id: &str,
        state: SandboxState,
        step: u64,
        most: u32,
    ) -> impl Future<Output = ()> {
        let is_there = async move || self.state(sandbox_id).await == state;
        self.until(step, most, state.as_str_name(), is_there)
    }

    /// Waits until something holds, with as good as no time passing.
    #[track_caller]
    pub(crate) fn soon(
        &self,
        what: &'static str,
        holds: impl Fn() -> bool,
    ) -> impl Future<Output = ()> {
        let nudged = move || {
            self.move_clock(Duration::from_millis(1));
            holds()
        };
        sandgate_system::eventually(what, nudged)
    }

    /// Waits until nothing is due, no look is under way and no sandbox is being moved; not for ever,
    /// since some wait for more than that.
    pub(crate) async fn settle(&self) {
        let pace = Pace::default();
        let (mut quiet, mut waiting) = (0, 0);
        for _ in 0..2000 {
            // Wakes the gateway if it began to sleep only just now.
            self.move_clock(Duration::from_millis(1));
            tokio::time::sleep(Duration::from_millis(1)).await;
            // Claimed or held within the last second.
            let counts = sqlx::query_as(
                "SELECT COUNT(*) FILTER (WHERE due_time <= ?1), COUNT(*) FROM sandboxes
                 WHERE due_time <= ?1 OR due_time BETWEEN ?1 + ?2 - 1000 AND ?1 + ?2
                    OR (state IN (1, 3, 5, 7, 8) AND due_time BETWEEN ?1 + ?3 - 1000 AND ?1 + ?3)",
            );
            let counts = counts.bind(self.now());
            let counts = counts.bind(span(pace.claim)).bind(span(pace.takeover));
            let counts = counts.fetch_one(&self.database);
            let (due, busy): (i64, i64) = counts.await.unwrap();
            quiet = if busy == 0 { quiet + 1 } else { 0 };
            waiting = if due == 0 { waiting + 1 } else { 0 };
            if quiet == 2 || waiting == PATIENCE {
                return;
            }
        }
        panic!("what is due is not done");
    }

    /// A gateway left a sandbox in this state, and is gone.
    pub(crate) async fn leave(&self, sandbox_id: &str, state: SandboxState) {
        let left = sqlx::query(
            "UPDATE sandboxes SET state = ?1, due_time = ?2, version = version + 1,
                 start_time = CASE ?1 WHEN 1 THEN NULL ELSE start_time END
             WHERE sandbox_id = ?3",
        );
        let held = self.now() + span(Pace::default().takeover);
        let left = left.bind(i32::from(state)).bind(held);
        left.bind(sandbox_id).execute(&self.database).await.unwrap();
    }

    /// Makes a sandbox that lives like this; its id.
    pub(crate) async fn make(&self, lifecycle: Lifecycle) -> String {
        let made = self.client.create(self.request(lifecycle)).await.unwrap();
        made.sandbox.unwrap().sandbox_id
    }

    pub(crate) fn request(&self, lifecycle: Lifecycle) -> CreateSandboxRequest {
        CreateSandboxRequest {
            session_id: self.session_id.clone(),
            spec: Some(SandboxSpec {
                lifecycle: Some(lifecycle),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    /// What the database has of a sandbox.
    pub(crate) async fn row(&self, sandbox_id: &str) -> Row {
        let row = sqlx::query_as(
            "SELECT state, activity_time, version, due_time, reason_code FROM sandboxes WHERE sandbox_id = ?",
        );
        row.bind(sandbox_id)
            .fetch_one(&self.database)
            .await
            .unwrap()
    }

    /// The state of a sandbox, without a look at it.
    pub(crate) async fn state(&self, sandbox_id: &str) -> SandboxState {
        self.row(sandbox_id).await.state()
    }

    /// GetSandbox.
    pub(crate) async fn get(&self, sandbox_id: &str) -> Sandbox {
        self.client.get(&self.session_id, sandbox_id).await.unwrap()
    }

    /// Runs a command that ends at once.
    pub(crate) async fn use_it(&self, sandbox_id: &str) {
        let ran = self.client.exec(&self.session_id, sandbox_id, "print x");
        assert_eq!(ran.await.unwrap().exit_code(), Some(0));
    }

    /// Starts a command.
    pub(crate) async fn start(&self, sandbox_id: &str, id: &str, command: &str) {
        let request = StartExecutionRequest {
            session_id: self.session_id.clone(),
            sandbox_id: sandbox_id.to_owned(),
            execution_id: id.to_owned(),
            command: command.to_owned(),
            stdin_open: command == "cat",
            ..Default::default()
        };
        let executions = self.client.executions();
        executions.clone().start_execution(request).await.unwrap();
    }

    /// Ends a command.
    pub(crate) async fn kill(&self, sandbox_id: &str, id: &str) {
        let request = sandgate_proto::v1::SignalExecutionRequest {
            session_id: self.session_id.clone(),
            sandbox_id: sandbox_id.to_owned(),
            execution_id: id.to_owned(),
            signal: 9,
            ..Default::default()
        };
        let live = self.world.fake.live();
        let executions = self.client.executions();
        executions.clone().signal_execution(request).await.unwrap();
        sandgate_system::eventually("it has ended", || self.world.fake.live() < live).await;
    }
}

pub(crate) fn span(time: Duration) -> i64 {
    time.as_millis().try_into().unwrap()
}
