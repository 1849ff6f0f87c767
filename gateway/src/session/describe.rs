//! A session as callers see it.

use prost::Message as _;
use sandgate_proto::v1::{CreateSessionRequest, Session};
use uuid::Uuid;

use super::Sessions;
use crate::{
    clock,
    problem::{self, Result},
    store::SessionRecord,
};

/// The alias of a session's default sandbox.
pub(crate) const DEFAULT_ALIAS: &str = "default";

impl Sessions {
    /// Sessions with their default sandboxes, on the wire.
    pub(crate) async fn views(&self, records: &[SessionRecord]) -> Result<Vec<Session>> {
        let ids: Vec<Uuid> = records.iter().map(|record| record.session_id).collect();
        let sandboxes = self.store.sandboxes_by_alias(&ids, DEFAULT_ALIAS).await?;
        let view = |record: &SessionRecord| {
            let default = sandboxes.get(&record.session_id);
            Ok(Session {
                default_sandbox_id: default.map(Uuid::to_string).unwrap_or_default(),
                ..describe(record)?
            })
        };
        records.iter().map(view).collect()
    }

    /// A session with its default sandbox, on the wire.
    pub(crate) async fn view(&self, record: SessionRecord) -> Result<Session> {
        let views = self.views(std::slice::from_ref(&record)).await?;
        let view = views.into_iter().next();
        view.ok_or_else(|| problem::session_not_found(record.session_id))
    }
}

/// The row on the wire, without its default sandbox.
pub(crate) fn describe(record: &SessionRecord) -> Result<Session> {
    let made = definition(record)?;
    Ok(Session {
        session_id: record.session_id.to_string(),
        org_id: record.org_id.clone(),
        user_id: record.user_id.clone(),
        agent_id: record.agent_id.clone(),
        harness_id: record.harness_id.clone(),
        title: made.title,
        capabilities: made.capabilities,
        default_sandbox: made.default_sandbox,
        default_sandbox_id: String::new(),
        labels: record.labels.clone(),
        create_time: Some(clock::timestamp(record.create_time)),
        update_time: Some(clock::timestamp(record.update_time)),
        expire_time: record.expire_time.map(clock::timestamp),
        etag: etag(record),
    })
}

/// What was asked for, resolved.
pub(super) fn definition(record: &SessionRecord) -> Result<CreateSessionRequest> {
    CreateSessionRequest::decode(record.definition.as_slice())
        .map_err(|error| problem::damaged("session row", &error))
}

pub(super) fn etag(record: &SessionRecord) -> String {
    record.version.to_string()
}
