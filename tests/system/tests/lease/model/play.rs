//! A gateway that steps are done with.

use std::time::Duration;

use sandgate_gateway::Running;
use sandgate_kit::Kind;
use sandgate_proto::{
    Outcome,
    v1::{PauseSandboxRequest, RenewSandboxRequest, ResumeSandboxRequest, SandboxState},
};
use sandgate_system::{Act, Client, Op};
use tokio::runtime::Runtime;

use super::{known::Known, steps::Step};
use crate::stand::Stand;

/// What a provider that is down does not do.
const ALL: [Op; 10] = [
    Op::Create,
    Op::Get,
    Op::List,
    Op::Start,
    Op::Stop,
    Op::Pause,
    Op::Resume,
    Op::Renew,
    Op::Delete,
    Op::Reach,
];
/// After which uses at another gateway are written for sure.
const WRITTEN: u64 = 31;
/// Parts that a length of time is passed in.
const PARTS: u64 = 4;
const WORK: &str = "hang";

/// The gateway, and what is known of its sandboxes.
pub(super) struct Play {
    runtime: Runtime,
    scene: Option<Scene>,
}

struct Scene {
    stand: Stand,
    other: Option<(Running, Client)>,
    sandboxes: Vec<Known>,
    /// Since when the provider answers, as far as that matters; none: it does not.
    up_since: Option<i64>,
    calls: usize,
}

impl Play {
    pub(super) fn begin() -> Self {
        let runtime = Runtime::new().unwrap();
        let stand = runtime.block_on(Stand::pausing());
        let scene = Scene {
            stand,
            other: None,
            sandboxes: Vec::new(),
            up_since: Some(0),
            calls: 0,
        };
        Self {
            runtime,
            scene: Some(scene),
        }
    }

    pub(super) fn take(&mut self, step: &Step) {
        let scene = self.scene.take().expect("it goes on after each step");
        self.scene = Some(self.runtime.block_on(scene.take(step)));
    }

    /// When all has been done that was to be done, upstream and store agree.
    pub(super) fn end(mut self) {
        let scene = self.scene.take().expect("it goes on after each step");
        self.runtime.block_on(scene.end());
        self.runtime.shutdown_background();
    }
}

impl Scene {
    async fn take(mut self, step: &Step) -> Self {
        match step {
            Step::Make(life) => {
                let made = self.client().create(self.stand.request(*life)).await;
                // One that a provider that is down was to make is of no interest.
                let id =
                    made.map_or_else(|_| String::new(), |made| made.sandbox.unwrap().sandbox_id);
                let (now, version) = (self.stand.now(), self.version(&id).await);
                self.sandboxes.push(Known::new(id, *life, version, now));
            }
            Step::Pass(seconds) => self.pass(*seconds).await,
            Step::Down => {
                for op in ALL {
                    let down = Kind::Unavailable(Outcome::Rejected);
                    self.stand.world.fake.set(op, Act::Fail(down));
                }
                self.up_since = None;
            }
            Step::Up => self.mend(),
            Step::OtherGateway(true) => {
                self.stand.awake().await;
                let other = self.stand.world.beside().await;
                let client = Client::connect(other.address()).await;
                self.other = Some((other, client));
            }
            Step::OtherGateway(false) => self.without_other().await,
            Step::Restart => self.stand = self.stand.restarted(Duration::ZERO).await,
            of_one => self.of_one(of_one).await,
        }
        self.stand.settle().await;
        self.see().await;
        self
    }

    async fn of_one(&mut self, step: &Step) {
        let (Step::Use(one)
        | Step::Begin(one)
        | Step::Finish(one)
        | Step::Look(one)
        | Step::Renew(one)
        | Step::Stop(one)
        | Step::Start(one)
        | Step::Pause(one)
        | Step::Resume(one)
        | Step::Delete(one)
        | Step::Lose(one)) = step
        else {
            panic!("of no sandbox: {step:?}");
        };
        let mut known = self.sandboxes[*one].clone();
        if known.id.is_empty() {
            return;
        }
        known.answered();
        let client = self.client();
        match step {
            Step::Use(_) | Step::Begin(_) | Step::Finish(_) => {
                self.work(step, &client, &mut known).await;
            }
            Step::Look(_) => {
                let looked = client.get(&self.stand.session_id, &known.id).await;
                assert!(looked.is_ok(), "a look always has an answer: {known:?}");
            }
            Step::Lose(_) => {
                self.stand.world.fake.lose(&known.id);
                known.lose(self.stand.now());
            }
            _ => {
                let now = self.stand.now();
                let done = ask(step, &client, &self.stand.session_id, &known.id).await;
                match step {
                    Step::Stop(_) => known.ask(SandboxState::Stopped),
                    Step::Pause(_) => known.ask(SandboxState::Paused),
                    Step::Delete(_) => known.ask(SandboxState::Deleted),
                    Step::Renew(_) => known.use_it(done, now),
                    _ => known.rise(done, now),
                }
            }
        }
        self.sandboxes[*one] = known;
    }

    /// Commands that end at once, go on, or end now.
    async fn work(&self, step: &Step, client: &Client, known: &mut Known) {
        let (session_id, id) = (self.stand.session_id.as_str(), known.id.clone());
        let (now, was) = (self.stand.now(), known.state);
        match step {
            Step::Use(_) => {
                let version = self.version(&id).await;
                let ran = client.exec(session_id, &id, "print x").await.is_ok();
                known.use_it(ran, now);
                known.ask(SandboxState::Running);
                if ran && was == SandboxState::Running && !known.is_lost() {
                    assert_eq!(version, self.version(&id).await, "use is no change");
                }
            }
            Step::Begin(_) if !known.busy => {
                let begun = match client.stream(session_id, &id, WORK).await {
                    Ok(mut stream) => stream.message().await.is_ok(),
                    Err(_) => false,
                };
                known.use_it(begun, now);
                known.busy |= begun;
                known.ask(SandboxState::Running);
            }
            Step::Finish(_) if known.busy && was == SandboxState::Running => {
                self.stand.world.fake.finish(&id).await;
                known.finish(now);
            }
            _ => {}
        }
    }

    async fn pass(&mut self, seconds: u64) {
        let mut left = seconds;
        if self.other.is_some() && left > WRITTEN {
            // In two small steps, so that what the one noted is read by the other in time.
            self.stand.pass(WRITTEN).await;
            self.see().await;
            self.stand.settle().await;
            left -= WRITTEN;
        }
        for part in 0..PARTS {
            self.stand
                .pass(left / PARTS + u64::from(part < left % PARTS))
                .await;
            self.see().await;
        }
    }

    /// Looks at all rows, and judges.
    async fn see(&mut self) {
        let now = self.stand.now();
        for known in &mut self.sandboxes {
            if !known.id.is_empty() {
                known.see(&self.stand.row(&known.id).await, now, self.up_since);
            }
        }
    }

    fn mend(&mut self) {
        if self.up_since.is_none() {
            for op in ALL {
                self.stand.world.fake.mend(op);
            }
            self.up_since = Some(Known::caught_up(self.stand.now()));
        }
    }

    async fn without_other(&mut self) {
        if let Some((running, _)) = self.other.take() {
            running.stop(Duration::ZERO).await;
        }
    }

    /// One gateway after the other.
    fn client(&mut self) -> Client {
        self.calls += 1;
        match &self.other {
            Some((_, client)) if self.calls.is_multiple_of(2) => client.clone(),
            _ => self.stand.client.clone(),
        }
    }

    async fn version(&self, sandbox_id: &str) -> i64 {
        if sandbox_id.is_empty() {
            return 0;
        }
        self.stand.row(sandbox_id).await.version
    }

    async fn end(mut self) {
        self.without_other().await;
        self.mend();
        // All that was put off, and two comparisons.
        self.pass(800).await;
        self.pass(800).await;
        let upstream = self.stand.world.fake.states();
        for known in self.sandboxes.iter().filter(|known| !known.id.is_empty()) {
            let there = upstream.iter().find(|(id, _)| *id == known.id);
            let there = there.map(|(_, state)| *state);
            let expected = match known.state {
                SandboxState::Deleted | SandboxState::Failed => None,
                state => Some(state),
            };
            assert_eq!(there, expected, "{known:?}");
        }
        let known = |id: &str| self.sandboxes.iter().any(|known| known.id == id);
        assert!(upstream.iter().all(|(id, _)| known(id)), "{upstream:?}");
    }
}

/// A call about the life of a sandbox; whether it was done.
async fn ask(step: &Step, client: &Client, session_id: &str, id: &str) -> bool {
    let (session, sandbox_id) = (session_id.to_owned(), id.to_owned());
    match step {
        Step::Stop(_) => client.stop(session_id, id).await.is_ok(),
        Step::Start(_) => client.start(session_id, id).await.is_ok(),
        Step::Delete(_) => client.delete(session_id, id).await.is_ok(),
        Step::Renew(_) => {
            let request = RenewSandboxRequest {
                session_id: session,
                sandbox_id,
                ..Default::default()
            };
            client.sandboxes().renew_sandbox(request).await.is_ok()
        }
        Step::Pause(_) => {
            let request = PauseSandboxRequest {
                session_id: session,
                sandbox_id,
                ..Default::default()
            };
            client.sandboxes().pause_sandbox(request).await.is_ok()
        }
        _ => {
            let request = ResumeSandboxRequest {
                session_id: session,
                sandbox_id,
                ..Default::default()
            };
            client.sandboxes().resume_sandbox(request).await.is_ok()
        }
    }
}
