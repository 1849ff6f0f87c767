//! Watching a session: what is told of it, in order, to any number of watchers. Events are rows that
//! were written together with what they tell; a watcher reads them, and is woken when there are more.

mod cursor;
mod event;
mod hear;
mod reader;
mod renew;
mod topics;

use std::{sync::Arc, time::Duration};

use futures::{Stream, stream};
use sandgate_proto::v1::WatchSessionResponse;
use sandgate_service::Drain;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

pub(crate) use event::{execution_finished, new_event, session_deleted};

use crate::{
    ids::SandboxRef,
    principal::{Owner, Principal},
    problem::Result,
    retain::retain,
    sandbox::Sandboxes,
    session::Sessions,
    store::{PageKey, SandboxFilter, SandboxRecord, SessionRecord, Store, StoreError},
};
use cursor::Cursor;
use reader::Reader;
use topics::Topics;

/// How long events are kept.
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// The watches of this process. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Watches {
    store: Arc<dyn Store>,
    sessions: Arc<Sessions>,
    sandboxes: Sandboxes,
    topics: Topics,
    drain: Drain,
}

impl Watches {
    pub(crate) fn new(
        store: &Arc<dyn Store>,
        sessions: &Arc<Sessions>,
        sandboxes: &Sandboxes,
        drain: &Drain,
    ) -> Self {
        Self {
            store: store.clone(),
            sessions: sessions.clone(),
            sandboxes: sandboxes.clone(),
            topics: Topics::default(),
            drain: drain.clone(),
        }
    }

    /// Starts what wakes watchers, asks providers and removes old events, until the drain begins.
    pub(crate) fn run(self, tasks: &TaskTracker) -> Self {
        let (store, drain) = (self.store.clone(), self.drain.clone());
        tasks.spawn(hear::hear(store, self.topics.clone(), drain.clone()));
        tasks.spawn(renew::renew(self.clone(), drain.clone()));
        let store = self.store.clone();
        let remove = move |before, limit| {
            let store = store.clone();
            async move { store.drop_events_before(before, limit).await }
        };
        tasks.spawn(retain("events of sessions", KEPT, drain, remove));
        self
    }

    /// What happens in a session of the caller's own, or to one sandbox of it: from the present state
    /// on, or after a cursor.
    pub(crate) async fn subscribe(
        &self,
        principal: &Principal,
        session_id: Uuid,
        sandbox: &SandboxRef,
        cursor: &str,
    ) -> Result<impl Stream<Item = Result<WatchSessionResponse>> + Send + use<>> {
        let listener = self.topics.listen(session_id);
        let seq = self.store.last_event_seq().await?;
        // Looked for after that, so that a session which ends now ends the stream.
        let session = self.sessions.get(principal, session_id).await?;
        let (store, drain) = (self.store.clone(), self.drain.clone());
        let mut reader = Reader::new(store, drain, listener, session, seq);
        if *sandbox != SandboxRef::Default {
            let (_, found) = self.sandboxes.find(principal, session_id, sandbox).await?;
            reader.sandbox_id = Some(found.sandbox_id);
        }
        if !cursor.is_empty() {
            reader.resume(Cursor::open(session_id, cursor)?).await?;
        }
        Ok(stream::unfold(Some(reader), |reader| async {
            let mut reader = reader?;
            match reader.next().await {
                Ok(next) => next.map(|message| (Ok(message), Some(reader))),
                Err(problem) => Some((Err(problem), None)),
            }
        }))
    }
}

/// Sandboxes of a session, newest first: those that are not gone, or those in these states.
async fn sandboxes_of(
    store: &dyn Store,
    session: &SessionRecord,
    states: Vec<i32>,
    after: Option<PageKey>,
    limit: u32,
) -> std::result::Result<Vec<SandboxRecord>, StoreError> {
    let filter = SandboxFilter {
        owner: Owner {
            org_id: session.org_id.clone(),
            user_id: session.user_id.clone(),
        },
        session_id: Some(session.session_id),
        provider: String::new(),
        states,
        labels: Default::default(),
        after,
        limit,
    };
    store.list_sandboxes(&filter).await
}

#[cfg(test)]
mod tests;
