//! A sandbox that is made, started, stopped and deleted by several calls at once.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use sandgate_proto::{
    Reason,
    v1::{
        CreateSandboxRequest, DeleteSandboxRequest, GetSandboxRequest, SandboxState,
        StartSandboxRequest, StopSandboxRequest, sandbox_service_client::SandboxServiceClient,
    },
};
use tokio::time::Instant;
use uuid::Uuid;

use super::{answers::Refusal, ask::Caller, book::Book, errand::Deeds};
use crate::failure::{Failure, Result, ensure, same, some};

/// How long a gateway may not know what the other one did: it keeps its way to a running sandbox for
/// a second.
const NEWS: Duration = Duration::from_millis(1500);

/// One sandbox, and what this run did to it.
pub(crate) struct House {
    /// Calls are made with it.
    pub(crate) caller: Caller,
    /// What made it.
    pub(crate) request: CreateSandboxRequest,
    /// Its id.
    pub(crate) sandbox_id: String,
    /// Its commands.
    pub(crate) book: Book,
    stop: AtomicBool,
    delete: AtomicBool,
    /// Starts, stops and deletes under way.
    changes: AtomicUsize,
    /// When the last one was answered.
    changed: Mutex<Option<Instant>>,
}

/// A change under way, until it is dropped.
struct Change<'a>(&'a House);

impl<'a> Change<'a> {
    fn of(house: &'a House) -> Self {
        house.changes.fetch_add(1, Ordering::SeqCst);
        Self(house)
    }
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        let changed = self.0.changed.lock();
        *changed.unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        self.0.changes.fetch_sub(1, Ordering::SeqCst);
    }
}

impl House {
    /// A sandbox that was made by this request.
    pub(crate) fn new(caller: Caller, request: CreateSandboxRequest, sandbox_id: String) -> Self {
        Self {
            caller,
            request,
            sandbox_id,
            book: Book::default(),
            stop: AtomicBool::default(),
            delete: AtomicBool::default(),
            changes: AtomicUsize::default(),
            changed: Mutex::default(),
        }
    }

    /// Its session.
    pub(crate) fn session_id(&self) -> &str {
        &self.request.session_id
    }

    /// What was done to it so far.
    pub(crate) fn deeds(&self) -> Deeds {
        Deeds {
            stop: self.stop.load(Ordering::SeqCst),
            delete: self.delete.load(Ordering::SeqCst),
        }
    }

    /// Whether a call changes it just now, or did so a moment ago.
    pub(crate) fn is_changing(&self) -> bool {
        let changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = changed.is_some_and(|at| at.elapsed() < NEWS);
        is_news || self.changes.load(Ordering::SeqCst) > 0
    }

    /// GetSandbox: its state; UNKNOWN is asked again.
    pub(crate) async fn state(&self) -> Result<std::result::Result<SandboxState, Refusal>> {
        let begin = Instant::now();
        loop {
            let request = GetSandboxRequest {
                session_id: self.session_id().to_owned(),
                sandbox_id: self.sandbox_id.clone(),
            };
            let call = |gate, request| async move {
                SandboxServiceClient::new(gate).get_sandbox(request).await
            };
            let asked = self.caller.ask("GetSandbox", request, || false, call);
            let answer = match asked.await? {
                Ok(answer) => some("sandbox", answer.sandbox)?,
                Err(refusal) => return Ok(Err(refusal)),
            };
            if answer.state() != SandboxState::Unknown {
                return Ok(Ok(answer.state()));
            }
            self.caller.again("GetSandbox", "UNKNOWN", begin).await?;
        }
    }

    /// Fails unless it is in this state, while nobody changes it.
    pub(crate) async fn is_now(&self, due: SandboxState) -> Result<()> {
        let state = self.state().await?;
        let state = state.map_err(|refusal| Failure::Broken(refusal.text))?;
        same(&format!("state of {}", self.sandbox_id), &state, &due)
    }

    /// StartSandbox.
    pub(crate) async fn start(&self, caller: &Caller) -> Result<()> {
        let _change = Change::of(self);
        let request = StartSandboxRequest {
            session_id: self.session_id().to_owned(),
            sandbox_id: self.sandbox_id.clone(),
            request_id: self.maybe_request_id(),
            ..Default::default()
        };
        let call = |gate, request| async move {
            SandboxServiceClient::new(gate).start_sandbox(request).await
        };
        let asked = caller.ask("StartSandbox", request, || self.others_change(), call);
        self.done("started", asked.await?.map(drop))
    }

    /// StopSandbox.
    pub(crate) async fn stop(&self, caller: &Caller) -> Result<()> {
        let _change = Change::of(self);
        self.stop.store(true, Ordering::SeqCst);
        let grace = caller.roll(|dice| dice.pick([0, 300, 2000]));
        let request = StopSandboxRequest {
            session_id: self.session_id().to_owned(),
            sandbox_id: self.sandbox_id.clone(),
            request_id: self.maybe_request_id(),
            grace_timeout: Some(prost_types::Duration {
                seconds: 0,
                nanos: grace * 1_000_000,
            })
            .filter(|_| grace < 1000),
        };
        let call = |gate, request| async move {
            SandboxServiceClient::new(gate).stop_sandbox(request).await
        };
        let asked = caller.ask("StopSandbox", request, || self.others_change(), call);
        self.done("stopped", asked.await?.map(drop))
    }

    /// DeleteSandbox: its answer is a tombstone, or that there is no such sandbox.
    pub(crate) async fn delete(&self, caller: &Caller) -> Result<std::result::Result<(), Refusal>> {
        let _change = Change::of(self);
        self.delete.store(true, Ordering::SeqCst);
        let request = DeleteSandboxRequest {
            session_id: self.session_id().to_owned(),
            sandbox_id: self.sandbox_id.clone(),
            request_id: self.maybe_request_id(),
        };
        let call = |gate, request| async move {
            SandboxServiceClient::new(gate)
                .delete_sandbox(request)
                .await
        };
        let asked = caller.ask("DeleteSandbox", request, || false, call);
        match asked.await? {
            Ok(answer) => {
                let state = some("sandbox", answer.sandbox)?.state();
                same(
                    "state answered by DeleteSandbox",
                    &state,
                    &SandboxState::Deleted,
                )?;
                self.done("deleted", Ok(()))?;
                Ok(Ok(()))
            }
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    /// DeleteSandbox of one that is there.
    pub(crate) async fn delete_known(&self, caller: &Caller) -> Result<()> {
        let deleted = self.delete(caller).await?;
        deleted.map_err(|refusal| Failure::Broken(refusal.text))
    }

    fn others_change(&self) -> bool {
        self.changes.load(Ordering::SeqCst) > 1
    }

    /// Counts a change; a refusal is due only to who came too late.
    fn done(&self, what: &'static str, answer: std::result::Result<(), Refusal>) -> Result<()> {
        let what = match answer {
            Ok(()) => what,
            Err(refusal) => {
                let is_late = refusal.is(Reason::SandboxNotRunning) && self.deeds().delete;
                ensure(is_late, || refusal.text)?;
                "refused"
            }
        };
        let mut figures = self.caller.tally.add();
        *figures.life.changes.entry(what).or_default() += 1;
        Ok(())
    }

    fn maybe_request_id(&self) -> String {
        if self.caller.roll(|dice| dice.one_in(2)) {
            Uuid::new_v4().to_string()
        } else {
            String::new()
        }
    }
}
