//! What all workers share, and the sessions that they leave for the end.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use sandgate_proto::v1::{
    CreateSessionRequest, DeleteSessionRequest, session_service_client::SessionServiceClient,
};
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::ask::Caller;
use crate::{
    config::{Kind, Options},
    failure::{Result, some},
};

/// Sandboxes alive at a time.
const ALIVE: usize = 8;
/// With fewer kills than this, sessions are deleted at the end only: a gateway that is killed while
/// it takes down what a session owned keeps its claim on that for longer than a short run lasts.
const SHORT: u64 = 100;

/// What all workers share.
pub(crate) struct Stage {
    /// Calls at the end are made with it.
    pub(crate) caller: Caller,
    /// Provider of all sandboxes.
    pub(crate) provider: Kind,
    /// Image of all sandboxes.
    pub(crate) image: Option<String>,
    /// Room for one more sandbox.
    pub(crate) room: Semaphore,
    /// Whether sessions are deleted while the blows fall.
    pub(crate) deletes_sessions: bool,
    over: AtomicBool,
    sessions: Mutex<Vec<String>>,
}

impl Stage {
    /// An empty one.
    pub(crate) fn new(caller: Caller, options: &Options) -> Self {
        Self {
            caller,
            provider: options.provider,
            image: options.image.clone(),
            room: Semaphore::new(ALIVE),
            deletes_sessions: options.kills >= SHORT,
            over: AtomicBool::default(),
            sessions: Mutex::default(),
        }
    }

    /// Whether enough was killed, and no worker begins anything more.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// Enough was killed.
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    /// Sessions that are still to be deleted; they are the caller's from now on.
    pub(crate) fn take_sessions(&self) -> Vec<String> {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *sessions)
    }

    /// Makes a session.
    pub(crate) async fn session(&self, caller: &Caller) -> Result<String> {
        let request = CreateSessionRequest {
            request_id: Uuid::new_v4().to_string(),
            title: "chaos".to_owned(),
            ..Default::default()
        };
        let call = |gate, request| async move {
            SessionServiceClient::new(gate)
                .create_session(request)
                .await
        };
        let made = caller.call("CreateSession", request, call).await?;
        let session_id = some("session", made.session)?.session_id;
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.push(session_id.clone());
        Ok(session_id)
    }

    /// Deletes a session with all that it has.
    pub(crate) async fn delete_session(&self, caller: &Caller, session_id: &str) -> Result<()> {
        let request = DeleteSessionRequest {
            session_id: session_id.to_owned(),
            allow_missing: true,
            ..Default::default()
        };
        let call = |gate, request| async move {
            SessionServiceClient::new(gate)
                .delete_session(request)
                .await
        };
        caller.call("DeleteSession", request, call).await?;
        let mut figures = caller.tally.add();
        let changes = &mut figures.life.changes;
        *changes.entry("sessions deleted").or_default() += 1;
        Ok(())
    }
}
