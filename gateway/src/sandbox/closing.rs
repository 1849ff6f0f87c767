//! What a sandbox did since it was last asked: saved, so that it outlives the sandbox, and told.

use std::time::Duration;

use sandgate_proto::{
    Reason,
    v1::{EndExecutions, EndedExecution, RenewSandboxRequest, SandboxState},
};
use tokio::time::Instant;

use super::{Sandboxes, context::Key, state};
use crate::{
    clock,
    fleet::Renewed,
    problem::{self, Result},
    store::{SandboxRecord, SessionRecord},
    watch,
};

/// How long a provider may take to say what a sandbox did.
const PATIENCE: Duration = Duration::from_secs(10);
/// Answers that are taken of one sandbox at a time; each carries megabytes.
const ANSWERS: usize = 128;

/// A provider that was lost sooner than this was lost, and did not merely take too long.
const LOST: Duration = Duration::from_secs(15);

/// What a sandbox does.
#[derive(Clone, Debug)]
pub(super) struct News {
    /// The row, with what is new.
    pub(super) sandbox: SandboxRecord,
    pub(super) running: u32,
    /// The last thing that happened inside.
    pub(super) last_activity: Option<i64>,
    /// All executions were ended, as was asked.
    pub(super) closed: bool,
}

impl Sandboxes {
    /// Asks a running sandbox what it did, and saves all that has ended in it.
    pub(super) async fn save_all(
        &self,
        session: &SessionRecord,
        sandbox: &SandboxRecord,
        mut end: Option<EndExecutions>,
        key: Key,
    ) -> Result<News> {
        let mut news = News {
            sandbox: sandbox.clone(),
            running: 0,
            last_activity: None,
            closed: false,
        };
        for _ in 0..ANSWERS {
            let request = RenewSandboxRequest {
                ended_cursor: news.sandbox.ended_cursor.clone(),
                end_executions: end.take(),
                keep_for: self.keep_for(&news.sandbox),
                ..Default::default()
            };
            let renewed = self.ask(session, &news.sandbox, request, key).await?;
            news.running = renewed.running;
            news.last_activity = renewed.last_activity;
            news.closed |= renewed.closed;
            let more = renewed.more_ended;
            self.take_news(&mut news.sandbox, renewed).await?;
            if !more || state(&news.sandbox) != state(sandbox) {
                break;
            }
        }
        Ok(news)
    }

    /// What a sandbox did since `ended_cursor`, as far as one answer tells; what has ended is saved.
    pub(crate) async fn renew(
        &self,
        session: &SessionRecord,
        sandbox: &SandboxRecord,
        ended_cursor: String,
    ) -> Result<Renewed> {
        let request = RenewSandboxRequest {
            ended_cursor,
            keep_for: self.keep_for(sandbox),
            ..Default::default()
        };
        let renewed = self.ask(session, sandbox, request, Key::Current).await?;
        self.save(sandbox, renewed.ended.clone()).await?;
        if state(sandbox) == SandboxState::Running {
            self.take_in(sandbox, &renewed.answer).await?;
        }
        Ok(renewed)
    }

    /// Says that a sandbox is still wanted: as [`Self::renew`], and its clocks begin anew.
    pub(crate) async fn renew_lease(
        &self,
        session: &SessionRecord,
        sandbox: SandboxRecord,
        ended_cursor: String,
    ) -> Result<(SandboxRecord, Option<Renewed>)> {
        check_lives(&sandbox)?;
        self.used_now(&sandbox).await?;
        self.touch(&sandbox).now();
        if state(&sandbox) != SandboxState::Running {
            return Ok((self.reload(sandbox.sandbox_id).await?, None));
        }
        let renewed = self.renew(session, &sandbox, ended_cursor).await;
        let now = self.reload(sandbox.sandbox_id).await?;
        match renewed {
            Ok(renewed) => Ok((now, Some(renewed))),
            Err(problem) if state(&now) == SandboxState::Running => Err(problem),
            // It was brought to rest meanwhile, and so could not be asked.
            Err(_) => check_lives(&now).map(|()| (now, None)),
        }
    }

    /// As [`Self::save_all`], ahead of a stop or a delete. Where the provider is lost meanwhile neither
    /// can be done now, and what was not saved is saved by the next try: that is the error. Whatever
    /// else goes wrong is given back, since nobody must be kept from a stop by a broken runner.
    pub(super) async fn save_last(
        &self,
        session: &SessionRecord,
        sandbox: &SandboxRecord,
        end: Option<EndExecutions>,
        key: Key,
    ) -> Result<Result<News>> {
        let begun = Instant::now();
        let saved = self.save_all(session, sandbox, end, key).await;
        match saved {
            Err(problem)
                if problem.reason() == Reason::ProviderUnavailable && begun.elapsed() < LOST =>
            {
                Err(problem)
            }
            saved => Ok(saved),
        }
    }

    /// One answer of a sandbox, of which nothing is written yet.
    async fn ask(
        &self,
        session: &SessionRecord,
        sandbox: &SandboxRecord,
        request: RenewSandboxRequest,
        key: Key,
    ) -> Result<Renewed> {
        let grace = request
            .end_executions
            .as_ref()
            .and_then(|end| end.grace_timeout);
        let grace = grace.and_then(|grace| Duration::try_from(grace).ok());
        let patience = PATIENCE + grace.map_or(Duration::ZERO, |grace| grace + PATIENCE);
        let context = self.context(session, sandbox, key).await?;
        self.lane(sandbox)?.renew(&context, request, patience).await
    }

    /// Writes what an answer brought: executions first, so that none is passed over.
    async fn take_news(&self, sandbox: &mut SandboxRecord, renewed: Renewed) -> Result<()> {
        self.save(sandbox, renewed.ended).await?;
        if !renewed.ended_cursor.is_empty() {
            sandbox.ended_cursor = renewed.ended_cursor;
        }
        let expiry = renewed.answer.sandbox.provider_expire_time;
        sandbox.provider_expire_time = expiry.and_then(clock::millis);
        // On its way to rest its state is ours to say.
        if state(sandbox) == SandboxState::Running
            && let Some(changed) = self.take_in(sandbox, &renewed.answer).await?
        {
            *sandbox = SandboxRecord {
                ended_cursor: std::mem::take(&mut sandbox.ended_cursor),
                provider_expire_time: sandbox.provider_expire_time,
                ..changed
            };
        }
        Ok(())
    }

    /// Saves executions that have ended, and tells those who watch the session.
    async fn save(&self, sandbox: &SandboxRecord, ended: Vec<EndedExecution>) -> Result<()> {
        if ended.is_empty() {
            return Ok(());
        }
        let (session_id, sandbox_id) = (sandbox.session_id, sandbox.sandbox_id);
        let events: Vec<_> = ended
            .iter()
            .filter_map(|one| one.execution.clone())
            .map(|execution| watch::execution_finished(session_id, sandbox_id, execution))
            .collect();
        self.kept.keep(sandbox, &ended).await?;
        self.store.append_events(&events).await?;
        Ok(())
    }

    fn keep_for(&self, sandbox: &SandboxRecord) -> Option<prost_types::Duration> {
        let time = super::Clocks::of(sandbox).keep_for()?;
        prost_types::Duration::try_from(time).ok()
    }
}

/// Refuses a sandbox that comes back no more.
fn check_lives(sandbox: &SandboxRecord) -> Result<()> {
    match state(sandbox) {
        SandboxState::Failed | SandboxState::Deleting | SandboxState::Deleted => {
            let state = super::state_name(state(sandbox));
            Err(problem::not_running(sandbox.sandbox_id, state))
        }
        _ => Ok(()),
    }
}

/// Milliseconds, on the wire.
pub(super) fn length(millis: i64) -> prost_types::Duration {
    prost_types::Duration {
        seconds: millis / 1000,
        nanos: i32::try_from(millis % 1000 * 1_000_000).unwrap_or_default(),
    }
}
