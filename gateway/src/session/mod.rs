//! Sessions: who owns them, what they may use, and how they end.

mod capability;
mod create;
mod describe;
mod mask;
mod options;
mod removal;
mod update;

use std::{collections::BTreeMap, sync::Arc};

use sandgate_proto::{
    Problem,
    v1::{SandboxSpec, Session},
};
use uuid::Uuid;

pub(crate) use capability::{
    Capabilities, capabilities_of, check_enabled, connection_of, ends_with_session,
    provider_of_face, providers,
};
pub(crate) use describe::{DEFAULT_ALIAS, describe};
pub(crate) use mask::Mask;
pub(crate) use options::apply as apply_options;
pub(crate) use removal::{Belongings, Owned, Removals};

use crate::{
    agent::Agents,
    clock,
    principal::Principal,
    problem::{self, Result},
    store::{SessionFilter, SessionRecord, Store},
};

/// Bytes of a title.
const TITLE_BYTES: usize = 256;
/// Labels of one thing, and the bytes of their keys and values.
const LABELS: (usize, usize, usize) = (64, 63, 256);

/// The sessions of this installation.
pub(crate) struct Sessions {
    store: Arc<dyn Store>,
    capabilities: Arc<Capabilities>,
    agents: Arc<Agents>,
}

impl Sessions {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        capabilities: Arc<Capabilities>,
        agents: Arc<Agents>,
    ) -> Self {
        Self {
            store,
            capabilities,
            agents,
        }
    }

    /// A session of the caller's own that has not expired.
    pub(crate) async fn get(
        &self,
        principal: &Principal,
        session_id: Uuid,
    ) -> Result<SessionRecord> {
        let found = self.store.session(session_id).await?;
        found
            .filter(|session| principal.owns(&session.org_id, &session.user_id))
            .filter(|session| !has_expired(session.expire_time))
            .ok_or_else(|| problem::session_not_found(session_id))
    }

    /// Sessions, newest first.
    pub(crate) async fn list(&self, filter: SessionFilter) -> Result<Vec<SessionRecord>> {
        self.store.list_sessions(&filter).await.map_err(Into::into)
    }
}

/// Whether this is the end of a session that expires then, if ever.
pub(crate) fn has_expired(expire_time: Option<i64>) -> bool {
    expire_time.is_some_and(|time| time <= clock::now())
}

/// The spec that the session's sandboxes get where a create names none.
pub(crate) fn default_spec(session: &Session) -> SandboxSpec {
    session.default_sandbox.clone().unwrap_or_default()
}

/// Bounds of a title, whatever has it.
pub(crate) fn check_title(field: &'static str, title: &str) -> Result<()> {
    if title.len() <= TITLE_BYTES {
        return Ok(());
    }
    Err(Problem::invalid_field(field, "must have at most 256 bytes"))
}

/// Bounds of the caller's own labels.
pub(crate) fn check_labels(labels: &BTreeMap<String, String>) -> Result<()> {
    let (count, key, value) = LABELS;
    let fits = |(k, v): (&String, &String)| !k.is_empty() && k.len() <= key && v.len() <= value;
    if labels.len() <= count && labels.iter().all(fits) {
        return Ok(());
    }
    Err(Problem::invalid_field(
        "labels",
        "at most 64 labels, each with a key of 1 to 63 bytes and a value of at most 256",
    ))
}

/// When a session is to end: in the future.
fn expiry(time: Option<prost_types::Timestamp>) -> Result<Option<i64>> {
    let Some(time) = time else { return Ok(None) };
    clock::millis(time)
        .filter(|time| *time > clock::now())
        .map(Some)
        .ok_or_else(|| {
            Problem::invalid_field(
                "expire_time",
                "must be in the future; leave it unset for a session that does not end by itself",
            )
        })
}
