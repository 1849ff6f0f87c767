//! A gateway and a provider of their own, one of which has a step at which it dies or fails.

use std::{sync::Arc, time::Duration};

use sandgate_proto::v1::{CreateSandboxRequest, SandboxSpec, sandbox_spec::Source};
use tokio::time::{Instant, sleep, timeout};
use tonic::{Response, Status, transport::Channel};
use uuid::Uuid;

use super::Case;
use crate::{
    blow::PROVIDER,
    client::channel,
    config::{Fault, Kind, Options},
    dice::Dice,
    failure::{Result, broken, describe, ensure, is_from_here, reason},
    life::{
        answers::{Verdict, judge},
        ask::Caller,
        stage::Stage,
        upstream::Upstream,
    },
    stack::Stack,
    tally::Tally,
};

/// For one attempt at a call.
const ATTEMPT: Duration = Duration::from_secs(60);
/// For all attempts until the step is reached, and for what is reached without a call.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a program may take to be seen dead after a call that it cut off.
const FALL: Duration = Duration::from_secs(2);
/// From when one that was made ahead runs until the provider has it on its shelf.
const SHELVED: Duration = Duration::from_millis(1500);
const PAUSE: Duration = Duration::from_millis(50);

/// A gateway and a provider.
pub(super) struct Rig {
    stack: Stack,
    pub(super) upstream: Upstream,
    pub(super) stage: Stage,
    pub(super) caller: Caller,
    kind: Kind,
    /// What is to happen, until it has.
    armed: Option<Case>,
    /// Length of the log of the program with the step when it was armed.
    from: usize,
    /// What the caller saw.
    pub(super) saw: Option<String>,
}

impl Rig {
    pub(super) async fn start(options: &Options) -> Result<Self> {
        let tally = Arc::new(Tally::default());
        let options = Options {
            fault: Fault::Servers,
            ..options.clone()
        };
        let stack = Stack::start(&options, tally.clone()).await?;
        let upstream = Upstream::new(options.provider, &stack);
        let gates = Arc::new([channel(stack.address())?]);
        let caller = Caller::new(gates, Dice::of(options.seed, 0), tally);
        Ok(Self {
            upstream,
            stage: Stage::new(caller.clone(), &options),
            caller,
            stack,
            kind: options.provider,
            armed: None,
            from: 0,
            saw: None,
        })
    }

    /// Starts the program that has the step anew, with what is to happen there.
    pub(super) async fn arm(&mut self, case: Case) -> Result<()> {
        let mut settings = vec![("FAILPOINTS", case.points())];
        if case.needs_pool() {
            let image = self.stage.image.clone();
            let wish = image.map_or("1".to_owned(), |image| format!("{image}=1"));
            settings.push(("SANDGATE_CONTAINER_POOL", wish));
        }
        self.saw = None;
        self.armed = Some(case);
        self.from = self.stack.program(case.place()).words().len();
        let started = self.stack.restart(case.place(), settings).await;
        if !case.is_in_background() {
            started?;
            return self.wait_for_pool(case).await;
        }
        // It may die before it serves.
        let begin = Instant::now();
        while !self.reached(None).await? {
            ensure(begin.elapsed() < PATIENCE, || "never reached".to_owned())?;
            sleep(PAUSE).await;
        }
        self.heal("nothing: it was in the background".to_owned())
            .await
    }

    async fn wait_for_pool(&self, case: Case) -> Result<()> {
        if !case.needs_pool() {
            return Ok(());
        }
        let begin = Instant::now();
        while !self.upstream.has_one_ahead().await? {
            ensure(begin.elapsed() < PATIENCE, || {
                "no sandbox was made ahead".to_owned()
            })?;
            sleep(PAUSE).await;
        }
        sleep(SHELVED).await;
        Ok(())
    }

    /// Whether the step was reached: the program has died of it, or says that it failed there.
    async fn reached(&mut self, status: Option<&Status>) -> Result<bool> {
        let Some(case) = self.armed else {
            return Ok(false);
        };
        let program = self.stack.program(case.place());
        if case.action == super::Action::Crash {
            let time = if status.is_some() { FALL } else { PAUSE };
            return Ok(program.ends_within(time).await);
        }
        ensure(!program.ends_within(Duration::ZERO).await, || {
            "it ended".to_owned()
        })?;
        let words = program.words();
        let told = status.is_some_and(|status| status.message().contains(case.step));
        Ok(told
            || words
                .get(self.from..)
                .is_some_and(|new| new.contains(case.step)))
    }

    /// Starts the program anew without the step.
    async fn heal(&mut self, saw: String) -> Result<()> {
        self.saw = Some(saw);
        self.calm().await
    }

    /// Starts the program anew without a step that was never reached.
    pub(super) async fn calm(&mut self) -> Result<()> {
        match self.armed.take() {
            Some(case) => self.stack.restart(case.place(), Vec::new()).await,
            None => Ok(()),
        }
    }

    /// Starts the provider anew, which sweeps then.
    pub(super) async fn begin_anew(&mut self) -> Result<()> {
        self.stack.restart(PROVIDER, Vec::new()).await
    }

    /// Makes a call, if the step is still to be reached. None where the call, or an earlier one, came
    /// to the step and failed, so that it has to be made again; by then the program is well.
    pub(super) async fn try_to<Q, A, C>(
        &mut self,
        rpc: &str,
        request: &Q,
        call: impl Fn(Channel, Q) -> C,
    ) -> Result<Option<A>>
    where
        Q: Clone,
        C: Future<Output = std::result::Result<Response<A>, Status>>,
    {
        let begin = Instant::now();
        while let Some(case) = self.armed {
            let called = Box::pin(call(self.caller.channel(0), request.clone()));
            let status = match timeout(ATTEMPT, called).await {
                Err(_) => return broken(format!("{rpc} gave no answer within {ATTEMPT:?}")),
                Ok(Ok(answer)) => {
                    if self.reached(None).await? {
                        ensure(case.swallowed.is_some(), || format!("{rpc} did not fail"))?;
                        self.heal(format!("{rpc}: answered")).await?;
                    }
                    return Ok(Some(answer.into_inner()));
                }
                Ok(Err(status)) => status,
            };
            if self.reached(Some(&status)).await? {
                ensure(case.swallowed.is_none(), || {
                    format!("{rpc} answered {}", describe(&status))
                })?;
                let what = if is_from_here(&status) {
                    "connection lost".to_owned()
                } else {
                    reason(&status)
                };
                self.heal(format!("{rpc}: {what}")).await?;
                return Ok(None);
            }
            // A program that was just started anew may have to be found again.
            let judged = judge(rpc, &status, false)?;
            let passes = matches!(judged, Verdict::Repeat(_)) && begin.elapsed() < PATIENCE;
            ensure(passes, || format!("{rpc} answered {}", describe(&status)))?;
            sleep(PAUSE).await;
        }
        Ok(None)
    }

    /// Fails if the upstream has more than one sandbox: each case asks for one.
    pub(super) async fn has_at_most_one(&self) -> Result<()> {
        self.upstream.check_doubles().await?;
        let there = self.upstream.sandboxes().await?;
        ensure(there.len() <= 1, || {
            format!("one request_id, and upstream are {there:?}")
        })
    }

    /// A request for the sandbox of a case.
    pub(super) fn request(&self, session_id: String) -> CreateSandboxRequest {
        CreateSandboxRequest {
            session_id,
            request_id: Uuid::new_v4().to_string(),
            spec: Some(SandboxSpec {
                provider: self.kind.id().to_owned(),
                title: "steps".to_owned(),
                source: self.stage.image.clone().map(Source::Image),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    /// The end of all logs.
    pub(super) fn last_words(&self) -> String {
        self.stack.last_words()
    }

    /// Ends both, and what a failure left.
    pub(super) async fn end(mut self) -> Result<()> {
        for place in [PROVIDER, PROVIDER + 1] {
            if self.stack.program(place).ends_within(Duration::ZERO).await {
                self.stack.restart(place, Vec::new()).await?;
            }
        }
        let ended = self.stack.end().await;
        let purged = self.upstream.purge().await;
        ended.and(purged)
    }
}
