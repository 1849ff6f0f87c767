//! Changing a session.

use prost::Message as _;
use sandgate_proto::v1::UpdateSessionRequest;

use super::{Mask, Sessions, check_labels, check_title, describe, expiry};
use crate::{
    clock, ids,
    principal::Principal,
    problem::{self, Result},
    store::{SessionChanges, SessionRecord},
};

/// What can be changed.
const FIELDS: &[&str] = &[
    "title",
    "capabilities",
    "default_sandbox",
    "labels",
    "expire_time",
];
/// How often a change is made again because another change came first.
const TRIES: usize = 8;

impl Sessions {
    /// Changes a session of the caller's own; the routes to its sandboxes have to be forgotten then.
    pub(crate) async fn update(
        &self,
        principal: &Principal,
        request: UpdateSessionRequest,
    ) -> Result<SessionRecord> {
        let session_id = ids::session_id(&request.session_id)?;
        for _ in 0..TRIES {
            let session = self.get(principal, session_id).await?;
            if !request.if_match.is_empty() && request.if_match != describe::etag(&session) {
                return Err(problem::etag_mismatch());
            }
            let changes = self.changes(&session, request.clone())?;
            let same = (&changes.definition, &changes.labels, changes.expire_time)
                == (&session.definition, &session.labels, session.expire_time);
            if same {
                return Ok(session);
            }
            let changed = self
                .store
                .change_session(session_id, session.version, &changes)
                .await?;
            if let Some(changed) = changed {
                return Ok(changed);
            }
        }
        Err(problem::etag_mismatch())
    }

    fn changes(
        &self,
        session: &SessionRecord,
        request: UpdateSessionRequest,
    ) -> Result<SessionChanges> {
        let mask = Mask::of(request.update_mask, FIELDS)?;
        let mut definition = describe::definition(session)?;
        let (mut labels, mut expire_time) = (session.labels.clone(), session.expire_time);
        if mask.takes("title", !request.title.is_empty()) {
            check_title("title", &request.title)?;
            definition.title = request.title;
        }
        if mask.takes("capabilities", !request.capabilities.is_empty()) {
            self.capabilities.check(&request.capabilities)?;
            definition.capabilities = request.capabilities;
            self.capabilities.complete(&mut definition.capabilities);
        }
        if mask.takes("default_sandbox", request.default_sandbox.is_some()) {
            definition.default_sandbox = request.default_sandbox;
        }
        if mask.takes("labels", !request.labels.is_empty()) {
            check_labels(&request.labels)?;
            labels = request.labels;
        }
        if mask.takes("expire_time", request.expire_time.is_some()) {
            expire_time = expiry(request.expire_time)?;
        }
        Ok(SessionChanges {
            definition: definition.encode_to_vec(),
            labels,
            expire_time,
            update_time: clock::now(),
        })
    }
}
